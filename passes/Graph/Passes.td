// The passes of this room, alphabetical. CONVENTIONS: flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_GRAPH_PASSES_TD
#define BURIN_PASSES_GRAPH_PASSES_TD

include "mlir/Pass/PassBase.td"

def AppendPostprocessing : Pass<"graph-append-postprocessing", "::mlir::ModuleOp"> {
  let summary = "Append softmax, argmax, top-k, box suppression or pictures to outputs";
  let description = [{
    Matches outputs by name. Makes ONNX's own operators on them: `softmax[:OUTPUT][,axis=-1]`, `sigmoid[:OUTPUT]`,
    `argmax[:OUTPUT][,axis=-1][,keepdims=0]`, `topk[:OUTPUT],k=5[,axis=-1]`, and
    `nms,boxes=OUTPUT,scores=OUTPUT[,iou=0.5][,score=0.25][,max=100][,center=0]`, whose outputs are indices (batch, class, box),
    boxes and scores of what is selected. Of pictures: `picture[:OUTPUT][,scale=255][,offset=0][,layout=NHWC]` (floats to bytes),
    `colors[:OUTPUT][,axis=1][,palette=RRGGBB/...]` (classes to colours), `upsample[:OUTPUT],size=HxW|frame[,mode=linear]` (masks) and
    `boxes[:OUTPUT][,format=corners|center][,shares=0]`, from the network's image to pixels of the frame that the other options
    describe. Must not guess an output where there are several.
    Example: test/passes/Graph/append-postprocessing.mlir#argmax
  }];
  let options = [
    ListOption<"append", "append", "std::string", "what to append, in order">,
    ListOption<"imageInputs", "image-inputs", "std::string", "frames, as graph-insert-image-stage takes them; the first is the one">,
    Option<"preprocessInput", "preprocess-input", "std::string", "", "name of the image input; empty: the only one">,
    Option<"sourceSize", "source", "std::string", "", "HxW of the picture where there is no frame">,
    Option<"fit", "fit", "std::string", "\"stretch\"", "stretch, letterbox or crop: how either becomes the network's image">,
    Option<"layout", "layout", "std::string", "", "NHWC or NCHW: of the network's image; empty: as its dims say">];
}

def ApplyPatterns : Pass<"graph-apply-patterns", "::mlir::ModuleOp"> {
  let summary = "Apply rewrites that the user wrote in PDLL";
  let description = [{
    Matches and makes what the patterns say, until none fires; `--patterns=my.pdll` of the tools reads the file and runs
    this. New operators get their types by ONNX's inference. Must not run patterns that call functions or name
    operators that do not exist, nor ones that never settle: both are located errors.
    Example: test/passes/Graph/apply-patterns.mlir#relu_of_relu
  }];
  let options = [
    Option<"pdl", "pdl", "std::string", "", "the patterns, as PDL in MLIR's text">,
    Option<"file", "file", "std::string", "", "where they come from, for messages">];
}

def BindShapes : Pass<"graph-bind-shapes", "::mlir::ModuleOp"> {
  let summary = "Bind the shapes of graph inputs and the sizes of symbolic dims";
  let description = [{
    Matches the inputs of public functions by name. Makes their types as static as the options say; a symbol that a shape
    covers is bound everywhere. A dim that is `?`, negative or not mentioned stays dynamic. A sequence or optional of
    given length becomes that many inputs `x[0]`, `x[1]`, ... Must not guess: an unknown
    name, another rank and a conflicting size are located errors. Run `graph-infer-shapes` after it.
    Example: test/passes/Graph/bind-shapes.mlir#shapes
  }];
  let options = [
    ListOption<"lengths", "lengths", "std::string", "INPUT=N: the elements of a sequence; of an optional 1 or none">,
    ListOption<"shapes", "shapes", "std::string", "INPUT=1x3x224x224: the shape of a graph input">,
    ListOption<"dims", "dims", "std::string", "NAME=N: the size of a symbolic dim">];
}

def BuildEarlyExit : Pass<"graph-build-early-exit", "::mlir::ModuleOp"> {
  let summary = "Stop at the first head of a network that is sure enough";
  let description = [{
    Matches outputs named as heads, `HEAD[:threshold=T]`, and the one other output, all scores of the same classes in the last dim.
    Makes nested Ifs: the scores of the first head whose largest probability (Softmax of the scores, the least of a batch) is
    at least T, else what the rest computes, in the else branch; and an output `exit_index`. Without a T, or with
    `threshold=input`, it is an input `HEAD_threshold`. Multiplications up to each exit go to the metadata `burin.early_exit`. Must
    not guess which outputs are heads. Example: test/passes/Graph/build-early-exit.mlir#two
  }];
  let options = [ListOption<"exits", "exits", "std::string", "HEAD[:threshold=T], in any order">];
}

def ConvertPrecision : Pass<"graph-convert-precision", "::mlir::ModuleOp"> {
  let summary = "Convert f32 arithmetic and weights to f16 or bf16";
  let description = [{
    Matches operators on f32. Makes them operators on the narrow type, constants rounded once, with Casts where f32 meets it
    and none where they would cancel. Must not convert what `keep` names (nodes or operators), what ONNX does not define for the
    type, or what reads a constant beyond its range; constants that round to 0 are reported.
    Example: test/passes/Graph/convert-precision.mlir#chain
  }];
  let options = [
    Option<"to", "to", "std::string", "", "f16 or bf16; empty: nothing happens">,
    ListOption<"keep", "keep", "std::string", "names of nodes or operators that stay f32">,
    Option<"keepIo", "keep-io", "bool", "true", "leave the types of inputs and outputs">];
}

def EliminateIdentities : Pass<"graph-eliminate-identities", "::mlir::ModuleOp"> {
  let summary = "Remove operators that change nothing and merge those that one operator can do";
  let description = [{
    Matches Identity, Dropout at inference, and Cast, Reshape, Transpose, Pad, Slice, Expand, Tile, Concat, Split, Resize,
    Clip, Where, Sum/Max/Min/Mean, Add/Sub/Mul/Div/Pow that give back an operand; pairs of Reshapes (Flatten, Squeeze and
    Unsqueeze too), Transposes, Casts and negations; Transposes that only move dims of size 1; `If` with a constant
    condition. Makes the operand, one merged operator, or the branch taken. Must not change any result: a Cast that
    rounds stays, and an output of the graph keeps its own operator. Example: test/passes/Graph/eliminate-identities.mlir#identity
  }];
}

def ExpandDomains : Pass<"graph-expand-domains", "::mlir::ModuleOp"> {
  let summary = "Replace operators of com.microsoft, ai.onnx.ml and ONNX's preview domains by standard ones";
  let description = [{
    Matches operators of `com.microsoft` (fused layers, attention, quantized operators), those of `ai.onnx.ml` that are
    arithmetic on numbers or older forms of tree ensembles, of ONNX's preview domains FlexAttention and the
    optimizers' steps, and TfIdfVectorizer. Makes standard operators, types inferred on the way, since what follows an operator of another
    domain has none before. Must not guess: a form that is not understood stays as it is (with `strict`, it is a located
    error), and so does an operator whose operands have no known type. Example: test/passes/Graph/expand-domains.mlir#fused_matmul
  }];
  let options = [Option<"strict", "strict", "bool", "false", "an operator of a known name that cannot be expanded is an error">];
}

def ExpandFunctions : Pass<"graph-expand-functions", "::mlir::ModuleOp"> {
  let summary = "Replace operators that nobody lowers by their ONNX function bodies";
  let description = [{
    Matches operators that ONNX defines by a body of others and whose name is not in `keep` (and in `only`, if
    that is given). Makes that body in place,
    types inferred, bodies within bodies too. Must not run before raising, which makes such operators on purpose.
    Example: test/passes/Graph/expand-functions.mlir#mish
  }];
  let options = [
    ListOption<"keep", "keep", "std::string", "names of the operators that later stages lower themselves">,
    ListOption<"only", "only", "std::string", "names of the operators to expand; all but `keep` where not given">];
}

def ExtractSubgraph : Pass<"graph-extract-subgraph", "::mlir::ModuleOp"> {
  let summary = "Cut a graph down to what lies between named tensors";
  let description = [{
    Matches tensors by the name they have in the file (inputs, outputs, and those in `onnx.result_names`) or by the node that makes
    them. Makes `outputs` the graph's outputs and `inputs` its inputs; an empty list leaves those as they are. Must not cut where the
    outputs still need an input that is not named. Example: test/passes/Graph/extract-subgraph.mlir#middle
  }];
  let options = [
    ListOption<"inputs", "inputs", "std::string", "tensors that become inputs">,
    ListOption<"outputs", "outputs", "std::string", "tensors that become outputs">];
}

def FoldChannels : Pass<"graph-fold-channels", "::mlir::ModuleOp"> {
  let summary = "Let weights take a choice or a new order of channels";
  let description = [{
    Matches Gather and Slice along the channels, and channel shuffles (Reshape, Transpose, Reshape), behind a Conv, ConvTranspose
    or Gemm with constant weights, and new orders of all channels before a Conv; activations, pools, depthwise convolutions and
    arithmetic with constants may lie between; and, before a Conv, Concat of a value's part with what another part became. Makes the
    same without them, rows or columns of the weights in that order, the untouched part at the end where it lies. Must not run
    past groups, where a value between has other users, or where more channels would be computed.
    Example: test/passes/Graph/fold-channels.mlir#rows
  }];
}

def FoldConstants : Pass<"graph-fold-constants", "::mlir::ModuleOp"> {
  let summary = "Compute what depends on constants and static shapes alone";
  let description = [{
    Matches operators whose operands are all constants; Shape and Size of tensors whose type knows the answer, also
    partly, through the integer operators exporters compute shapes with; shape operands of Reshape and Expand that the
    result's type makes redundant. Makes constants: splats stay splats, reinterpretations share their bytes; what no
    folder here computes goes to the Evaluator in one function. Must not fold quantized weights to float, random
    operators, or a result much larger than its operands. Example: test/passes/Graph/fold-constants.mlir#shape_chain
  }];
}

def FoldHeads : Pass<"graph-fold-heads", "::mlir::ModuleOp"> {
  let summary = "Let Attention and RotaryEmbedding split and merge the heads themselves";
  let description = [{
    Matches Attention of four dims whose queries, keys and values are split into heads by Reshape and Transpose, rotated
    after it or not, and whose result is merged likewise, sequences before the batch or behind it. Makes Attention and RotaryEmbedding of three dims with the
    numbers of heads; only where the graph leaves as ONNX. Must not run where what lies between has other users.
    Example: test/passes/Graph/fold-heads.mlir#rotated
  }];
}

def FoldScale : Pass<"graph-fold-scale", "::mlir::ModuleOp"> {
  let summary = "Move scales and shifts past activations and pools towards weights that can hold them";
  let description = [{
    Matches Mul, Div, Add, Sub by a constant per channel, and BatchNormalization, behind Relu, LeakyRelu, PRelu and pools that
    follow a Conv, ConvTranspose or Gemm with constant weights; and Mul or Div in front of the same before a Conv. Makes the
    scale (past pools the shift too) directly behind or in front of the weights, for `graph-fuse-conv-bn`. Must not
    run where a scale that is not positive meets anything but a mean, a shift meets an activation or padding that counts,
    or a value between has other users. Example: test/passes/Graph/fold-scale.mlir#relu
  }];
}

def FoldShapes : Pass<"graph-fold-shapes", "::mlir::ModuleOp"> {
  let summary = "Solve shape computations over sizes that have names instead of numbers";
  let description = [{
    Matches integer tensors made of Shape by arithmetic, Gather, Concat, comparison and Where; Reshape, Expand, Slice with
    such operands; Expand before what broadcasts by itself. Makes constants where the names cancel, `0` and `1` in the
    shapes of Reshape and Expand where a size is the operand's own, one Shape of an input for all that ask the same,
    and equal names for dims that are equal. Must not run where a size left to infer stands next to one that may be 0.
    Example: test/passes/Graph/fold-shapes.mlir#split_heads
  }];
}

def FoldSpaceToDepth : Pass<"graph-fold-space-to-depth", "::mlir::ModuleOp"> {
  let summary = "Let a convolution read the image that SpaceToDepth regroups for it";
  let description = [{
    Matches SpaceToDepth of block b before a Conv of kernel k with constant weights. Makes one Conv of kernel b * k and stride
    b times its own, of as many multiplications. Must not run where the SpaceToDepth has other users, the Conv has
    groups or dilations, or the image has more channels than `max-channels`: those fill vectors better regrouped.
    Example: test/passes/Graph/fold-space-to-depth.mlir#stem
  }];
  let options = [
    Option<"maxChannels", "max-channels", "int64_t", "4", "channels of an image that is read as it is, 1 or more">];
}

def FuseConvBn : Pass<"graph-fuse-conv-bn", "::mlir::ModuleOp"> {
  let summary = "Fold per-channel scales and shifts into the weights before them";
  let description = [{
    Matches BatchNormalization at inference, and Mul, Div, Add, Sub by a constant per channel, after a Conv,
    ConvTranspose, Gemm or MatMul with constant weights. Makes the same operator with other weights and bias; a
    BatchNormalization that finds none becomes Mul and Add. Mul and Add before a Conv go into it likewise, a shift only
    where there is no padding. Must not run where the producer has other users, where a
    parameter is no constant, or where a number would leave the type's range. Example: test/passes/Graph/fuse-conv-bn.mlir#conv
  }];
}

def FuseGemm : Pass<"graph-fuse-gemm", "::mlir::ModuleOp"> {
  let summary = "Fuse a product of matrices and the sum after it into Gemm";
  let description = [{
    Matches Add of a MatMul of two float matrices and a value that fits into its result. Makes Gemm; only where the graph
    leaves as ONNX. Must not run where the sum broadcasts the product, or where that has other users.
    Example: test/passes/Graph/fuse-gemm.mlir#bias
  }];
}

def FusePad : Pass<"graph-fuse-pad", "::mlir::ModuleOp"> {
  let summary = "Let a convolution or pool do the padding before it";
  let description = [{
    Matches a constant Pad before Conv, AveragePool or MaxPool, and before another Pad of the same value. Makes its pads the
    consumer's, SAME written out. Must not run where the value is not what the consumer pads with (a mean that does not count
    padding, a maximum that zero could win), where batch or channels are padded, or where auto_pad depends on a size that is
    not known. Example: test/passes/Graph/fuse-pad.mlir#conv
  }];
}

def FuseSiblings : Pass<"graph-fuse-siblings", "::mlir::ModuleOp"> {
  let summary = "Compute products and convolutions of one value as one with weights side by side";
  let description = [{
    Matches MatMul, Gemm and Conv with one left operand, constant weights and equal attributes; then, behind the Split this
    makes, biases, activations and (with `groups`) convolutions of equal shape on all parts. Makes one operator, for the last one
    of as many groups, and a Split. Must not run where shapes differ beyond the columns, or, with `lanes`, where the parts
    fill vectors of that width well enough apart: a Split is a view, but of rows with gaps.
    `groups` is off by default as measured: towers of three 3x3 convolutions of 32 to 128 channels take 1.8 to 2.5 times as long
    compiled as one of two groups, since the fast kernels are those of one group, and 0.96 to 1.12 times in ONNX Runtime.
    Example: test/passes/Graph/fuse-siblings.mlir#projections
  }];
  let options = [
    Option<"groups", "groups", "bool", "false", "convolutions behind the parts become one of as many groups">,
    Option<"lanes", "lanes", "int64_t", "0", "columns of a full vector, by which the cost is estimated; 0: always fuse">];
}

def InferShapes : Pass<"graph-infer-shapes", "::mlir::ModuleOp"> {
  let summary = "Infer types and shapes with ONNX's own functions";
  let description = [{
    Matches every operator, in order, subgraphs included. Makes its result types as static as the operands, constants and
    propagated shape values allow, and the functions' result types with them. A conflict is a located error.
    Example: test/passes/Graph/infer-shapes.mlir#conv
  }];
}

def InsertImageStage : Pass<"graph-insert-image-stage", "::mlir::ModuleOp"> {
  let summary = "Let an image input take a camera's frames";
  let description = [{
    Matches the inputs named by `inputs`, of one image of 1 or 3 channels and known size. Makes each an input of a frame's bytes
    and a node before it that a C function computes, made for these sizes (lib/Image): decode, resize the region, place it as
    `fit` says, (x - mean) / scale, layout and type of the network. `mean` and `scale` are in the order of the network's
    channels. Where all that the network does with the input is to quantize it, the stage gives the bytes. What it computes
    stands in `burin.image_stages`. Must run last: ONNX has no such operator.
    Example: test/passes/Graph/insert-image-stage.mlir#letterbox
  }];
  let options = [
    ListOption<"inputs", "inputs", "std::string",
               "[NAME=]FORMAT:WxH[:stride=BYTES][:matrix=601|709][:range=limited|full][:region=WxH+X+Y|run][:rotate=90|180|270][:flip=horizontal|vertical]; FORMAT: NV12, I420, YUYV, RGB, BGR, RGBA, GRAY, RGGB, GRBG, GBRG, BGGR; run: NAME_region, int32[4], says x, y, width, height of each run, four zeros all">,
    Option<"fit", "fit", "std::string", "\"stretch\"", "stretch, letterbox (all of it, rest padded) or crop (its middle)">,
    Option<"resizeMode", "resize-mode", "std::string", "\"linear\"", "nearest, linear, cubic or area">,
    Option<"padValue", "pad-value", "double", "0", "what letterbox pads with, in units of the frame (0 to 255)">,
    ListOption<"mean", "mean", "double", "1 value or one a channel, in units of the frame">,
    ListOption<"scale", "scale", "double", "1 value or one a channel, not 0: y = (x - mean) / scale">,
    Option<"reverseChannels", "reverse-channels", "bool", "false", "the network takes blue first">,
    Option<"layout", "layout", "std::string", "", "NHWC or NCHW: of the network's input; empty: as its dims say">];
}

def InsertPreprocessing : Pass<"graph-insert-preprocessing", "::mlir::ModuleOp"> {
  let summary = "Give an image input the type, layout, size and range an application has";
  let description = [{
    Matches the one input of float elements and three or more dims, or the named one. Makes it an input of `input-type`, `layout` and
    `source` size, followed by Cast, Transpose, Resize (with Pad or Slice as `fit` says), the order of channels and
    (x - mean) / scale. Channels of mean and scale are named as the network sees them, after `reverse-channels`, which goes into a
    convolution's weights where that alone reads the input. Must not guess between several inputs.
    Example: test/passes/Graph/insert-preprocessing.mlir#image
  }];
  let options = [
    Option<"input", "input", "std::string", "", "name of the input; empty: the only image">,
    Option<"inputType", "input-type", "std::string", "", "u8, f16 or f32; empty: as it is">,
    ListOption<"mean", "mean", "double", "1 value or one a channel, in units of the source">,
    ListOption<"scale", "scale", "double", "1 value or one a channel, not 0: y = (x - mean) / scale">,
    Option<"reverseChannels", "reverse-channels", "bool", "false", "the source holds channels in reverse order">,
    Option<"layout", "layout", "std::string", "", "NHWC or NCHW (default): order of the source's dims">,
    Option<"source", "source", "std::string", "", "HxW in pixels: size of the source; empty: the network's">,
    Option<"fit", "fit", "std::string", "\"stretch\"", "stretch, letterbox (all of it, rest padded) or crop (its middle)">,
    Option<"resizeMode", "resize-mode", "std::string", "\"linear\"", "linear, cubic, nearest or area (means of what a pixel covers)">,
    Option<"padValue", "pad-value", "double", "0", "what letterbox pads with, in units of the source">];
}

def LowerConvTranspose : Pass<"graph-lower-conv-transpose", "::mlir::ModuleOp"> {
  let summary = "Compute a transposed convolution as a convolution and DepthToSpace";
  let description = [{
    Matches ConvTranspose with constant weights and known sizes, any stride, kernel, dilation, pads and output_padding, and groups.
    Makes a Conv over the small image with a channel for each phase of the stride, DepthToSpace (Reshape, Transpose, Reshape
    where strides differ or dims are not two), and a Slice where phases do not divide the result; activations behind it come
    before that. Must not run without a stride, where pads cut whole input positions off, or, with `lanes`, where few channels
    do not leave vectors of that width empty enough. Example: test/passes/Graph/lower-conv-transpose.mlir#stride
  }];
  let options = [
    Option<"lanes", "lanes", "int64_t", "0", "channels of a full vector, by which the cost is estimated; 0: always rewrite">];
}

def LowerStridedConv : Pass<"graph-lower-strided-conv", "::mlir::ModuleOp"> {
  let summary = "Compute a strided convolution as one of stride 1 over SpaceToDepth";
  let description = [{
    Matches a Conv of two dims with one stride above 1, one group, constant weights and known sizes. Makes SpaceToDepth, behind a
    Pad to whole blocks where needed, and a Conv of stride 1. Must not run on more input channels than `max-channels`, nor where
    no window reaches the last block. Example: test/passes/Graph/lower-strided-conv.mlir#stem
  }];
  let options = [
    Option<"maxChannels", "max-channels", "int64_t", "4", "input channels up to which a stride is taken away, 1 or more">];
}

def MergeBranches : Pass<"graph-merge-branches", "::mlir::ModuleOp"> {
  let summary = "Make one convolution of a sum of linear branches over one input";
  let description = [{
    Matches sums (Add, Sub, Sum, also nested, scaled and shifted by channel) of branches over one value: convolutions of any
    kernel, groups, dilations and pads, chains of them, mean pools, the value itself. Makes one Conv whose weights are the
    branches' summed in their places: what RepVGG, MobileOne, FastViT, ACNet and diverse branch blocks train becomes what
    they run. Must not run where strides or sizes differ, where a branch has other users, or where one convolution would take
    more multiplications. Example: test/passes/Graph/merge-branches.mlir#rep_vgg
  }];
}

def MergeConvs : Pass<"graph-merge-convs", "::mlir::ModuleOp"> {
  let summary = "Make one convolution or product of two with nothing between them";
  let description = [{
    Matches Conv behind Conv, and MatMul or Gemm behind MatMul or Gemm (a bias between them too), all with constant weights. Makes
    one operator with the product of the weights. Must not run where that takes more multiplications, where the first has
    other users, or where the second one pads what the first does not leave at zero. Example: test/passes/Graph/merge-convs.mlir#stem
  }];
}

def MergeLora : Pass<"graph-merge-lora", "::mlir::ModuleOp"> {
  let summary = "Merge LoRA adapters into the weights they belong to";
  let description = [{
    Matches the adapters of the module attribute `burin.adapters` with the constant weights of Conv, Gemm, MatMul and Gather, by
    the names of initializers or by the scopes in node names; parts of fused projections too. Makes constants
    W + scale * alpha / rank * B A, summed in f32, and removes the attribute; with mode `switch`, inputs for A, B and a scale and the
    two products beside the wide one instead, and the attribute `burin.lora_values` with what makes them each adapter. Keys of a sibling component are listed and skipped.
    Must not leave a key without a home: an error, as are shapes that do not fit, quantized weights and a name that two
    weights bear. Example: test/passes/Graph/merge-lora.mlir#peft
  }];
  let options = [
    Option<"mode", "mode", "std::string", "\"merge\"", "merge, or switch: keep the adapters as inputs">,
    Option<"list", "list", "bool", "false", "note each weight that takes an adapter">];
}

def RaiseActivations : Pass<"graph-raise-activations", "::mlir::ModuleOp"> {
  let summary = "Recognise activations that exporters spell out";
  let description = [{
    Matches products of a value with a gate made of itself: x * Sigmoid(a x), x / (1 + Exp(-x)), x * Clip(x + 3, 0, 6) / 6
    and its half Clip(x + 3, 0, 6) / 6, x * (1 + Erf(x / sqrt 2)) / 2, the tanh form of the same, x * Tanh(Softplus(x)),
    factors in any order, multiplied out or as 1 - Erf(-x / sqrt 2) and Sigmoid(2 y); Clip(a x + b, 0, 1), 1 / (1 + Exp(-x)),
    Tanh(x / 2) / 2 + 1/2, Log(1 + Exp(x)) below a limit or with Relu beside it, Max(x, a x), Relu(x) - a Relu(-x). Makes Swish,
    HardSwish, HardSigmoid, Gelu, Mish, Sigmoid, Softplus, LeakyRelu, PRelu. Must not run where a constant differs by more than
    rounding, where the form overflows and the operator does not, or where a part has other users.
    Example: test/passes/Graph/raise-activations.mlir#swish
  }];
}

def RaiseAttention : Pass<"graph-raise-attention", "::mlir::ModuleOp"> {
  let summary = "Recognise scaled dot-product attention that exporters spell out";
  let description = [{
    Matches MatMul(Softmax(MatMul(q, transposed k) * scale + mask), v) of four dims, or three with heads in the batch or sequences
    first, or transposed as a whole; the scale also on q or k or one a head, capped by tanh, the softmax between Casts to f32 or
    guarded against NaN; masks added, taken off or put in place by Where, several after one another (ALiBi, windows); k and v also
    repeated for groups of heads or one for all; Concat of past and new keys and values. Makes Attention with one mask and k and v
    unrepeated, past and present its own. Must not run where the mask or batch dims could broadcast the scores, where the softmax is not over the keys, where
    a cache is read before, or where scores or weights have other users. Example: test/passes/Graph/raise-attention.mlir#grouped
  }];
}

def RaiseEinsum : Pass<"graph-raise-einsum", "::mlir::ModuleOp"> {
  let summary = "Recognise products of matrices in Einsum";
  let description = [{
    Matches Einsum of two operands with summed dims, dims of either alone, and batch dims. Makes MatMul, with a Transpose where
    dims lie in another order and a Reshape where several are summed or come from the right operand. Must not run on diagonals,
    outer products and sums over one operand, on unnamed dims (`...`), or where dims of one letter could broadcast.
    Example: test/passes/Graph/raise-einsum.mlir#scores
  }];
}

def RaiseGroupNorm : Pass<"graph-raise-group-norm", "::mlir::ModuleOp"> {
  let summary = "Recognise group and instance normalization that exporters spell out";
  let description = [{
    Matches InstanceNormalization of scale 1 and bias 0 between a Reshape to groups and one back; (x - mean) /
    sqrt(mean((x - mean)^2) + epsilon) over all spatial dims, also where it was raised to LayerNormalization; Mul and Add by a
    constant a channel after either. Makes
    GroupNormalization and InstanceNormalization with that scale and bias. Must not run where the number of channels is
    not known, where the last shape may not be the first, or where a part has other users.
    Example: test/passes/Graph/raise-group-norm.mlir#groups
  }];
}

def RaiseImageStage : Pass<"graph-raise-image-stage", "::mlir::ModuleOp"> {
  let summary = "Compute the way from a picture's bytes to the network as one image stage";
  let description = [{
    Matches, from an input of bytes (NHWC or HWC, one picture of 1 or 3 channels, known size) on, Cast to float, Transpose, Slice, Gather
    of channels in reverse, Resize in every mode of ONNX, Pad by a constant behind it, and arithmetic with one
    constant or one a channel, as long as each has one reader. Makes a node that a C function computes (lib/Image). Must not match
    without a Resize, as the rest joins its reader at no cost, nor where fewer than `least-shrink` samples make one, and must run last: ONNX has no such operator.
    Example: test/passes/Graph/raise-image-stage.mlir#picture
  }];
  let options = [
    Option<"leastShrink", "least-shrink", "int64_t", "3", "samples of the region for one of the result, from which on; 0: always">];
}

def RaiseLayerNorm : Pass<"graph-raise-layer-norm", "::mlir::ModuleOp"> {
  let summary = "Recognise layer normalization that exporters spell out";
  let description = [{
    Matches (x - mean) / sqrt(mean((x - mean)^2) + epsilon) * scale [+ bias] over the last dims: the variance also as mean(x^2) -
    mean^2, the quotient as a product with a reciprocal or a power, into which the scale may have gone first. Makes
    LayerNormalization. Must not run where the two means differ in their axes, where scale or bias reach beyond the normalized dims, or where
    a part has other users. Example: test/passes/Graph/raise-layer-norm.mlir#affine
  }];
}

def RaiseOutputStage : Pass<"graph-raise-output-stage", "::mlir::ModuleOp"> {
  let summary = "Compute the way from a network's floats to a picture, classes or a mask as one image stage";
  let description = [{
    Matches, from each output back: bytes of a picture behind DepthToSpace or Resize, with Transpose, Cast, Clip, Round and
    arithmetic with one number; ArgMax over channels of a Resize, its numbers or the colours that Gather takes for them; a
    Resize to twice as many samples or more with nothing but arithmetic behind it. Makes a node that a C function computes
    (lib/Image). Must not match where sizes are not known, where a part has other readers, or where a convolution gives
    the phases of pixels: it stores bytes itself. Must run last: ONNX has no such operator.
    Example: test/passes/Graph/raise-output-stage.mlir#picture
  }];
}

def RaiseReductions : Pass<"graph-raise-reductions", "::mlir::ModuleOp"> {
  let summary = "Recognise means and kept dims that exporters spell out";
  let description = [{
    Matches ReduceSum divided by the number of elements it sums, or times one over it; and a reduction that drops its axes before
    an Unsqueeze or Reshape that puts them back. Makes ReduceMean, and the reduction with its dims kept. Must not run where that
    number is not known, where the sum has other users, or where other dims come back than went.
    Example: test/passes/Graph/raise-reductions.mlir#mean
  }];
}

def RaiseRmsNorm : Pass<"graph-raise-rms-norm", "::mlir::ModuleOp"> {
  let summary = "Recognise RMS normalization that exporters spell out";
  let description = [{
    Matches x / sqrt(mean(x^2) + epsilon) * scale over the last dims, in f32 or in Casts to f32 and back: square by Pow
    or Mul, root by Sqrt or Pow, division by Div, Reciprocal or 1 / r, scale within it, before or after the Cast back. Makes
    RMSNormalization. Must not run where it would be computed in another type, where the scale reaches beyond the
    normalized dims, or where a part has other users. Example: test/passes/Graph/raise-rms-norm.mlir#casts
  }];
}

def RaiseRotary : Pass<"graph-raise-rotary", "::mlir::ModuleOp"> {
  let summary = "Recognise rotary embeddings that exporters spell out";
  let description = [{
    Matches x * cos + turned(x) * sin, where the halves of x or its even and odd elements are turned, or the two parts
    x1 * cos - x2 * sin and x2 * cos + x1 * sin joined or stacked; heads before or after the sequence or within the batch, the
    sequence first; cos and sin computed or cached, doubled by Concat, Tile, Expand or Gather, the same for the batch or not; the
    rest of a head left as it was. Makes RotaryEmbedding with caches of half the width.
    Must not run where cos or sin do not provably hold each angle twice, where they broadcast over the sequence, or where
    a part has other users. Example: test/passes/Graph/raise-rotary.mlir#half_split
  }];
}

def RaiseSoftmax : Pass<"graph-raise-softmax", "::mlir::ModuleOp"> {
  let summary = "Recognise softmax and its logarithm that exporters spell out";
  let description = [{
    Matches e / sum(e) of e = exp(x - max(x)), d - log(sum(exp(d))) of d = x - max(x), and x - ReduceLogSumExp(x), over one
    axis. Makes Softmax and LogSoftmax. Must not run where the maximum is not subtracted, since the sum then overflows
    where the operator does not, or where the exponentials have other users.
    Example: test/passes/Graph/raise-softmax.mlir#softmax
  }];
}

def RaiseSpaceToDepth : Pass<"graph-raise-space-to-depth", "::mlir::ModuleOp"> {
  let summary = "Recognise DepthToSpace and SpaceToDepth that exporters spell out";
  let description = [{
    Matches Reshape, Transpose, Reshape over six dims (pixel shuffle and unshuffle, both orders of channels), and the Focus form: a
    Concat of strided Slices that together are the whole image; channels first or last. Makes DepthToSpace or SpaceToDepth; where the order of
    channels differs, it goes into the following convolution's weights, for Focus else into a Gather of channels. Must
    not run on sizes that are neither known nor named after one another. Example: test/passes/Graph/raise-space-to-depth.mlir#depth_to_space
  }];
}

def ResolveSequences : Pass<"graph-resolve-sequences", "::mlir::ModuleOp"> {
  let summary = "Replace sequences and optionals of known length by what they hold";
  let description = [{
    Matches the operators that make, change and read sequences and optionals, from a producer whose length is known; If
    whose branches give equally many; SequenceMap; Loop that carries a sequence and runs a constant number of times, or
    only appends tensors of one shape that are concatenated after it. Makes uses of the elements, If with the elements
    as results, the body once a run, a Loop that stacks; outputs of a function become `y[0]`, `y[1]`, ... Must not run
    where a position is outside the sequence; what only running tells stays. Example: test/passes/Graph/resolve-sequences.mlir#positions
  }];
  let options = [
    Option<"maxUnroll", "max-unroll", "int64_t", "256", "iterations of a Loop over a sequence that are copied, 0 or more">];
}

def SimplifyLoops : Pass<"graph-simplify-loops", "::mlir::ModuleOp"> {
  let summary = "Give loops a number of iterations and states of one shape";
  let description = [{
    Matches Loop: a state that is handed on as it came; a condition that compares a count of iterations (the iteration's
    number, or a state that grows by one) with a limit from outside, alone or beside others; states whose shapes are
    static. Makes uses of the value outside; a bound of the trip count instead of the comparison; types of the states,
    where only the first iteration changes them with that iteration before the loop. Must not run where the limit is no
    integer, and peels nothing where it may be that no iteration runs. Example: test/passes/Graph/simplify-loops.mlir#counts
  }];
}

def TrimKernels : Pass<"graph-trim-kernels", "::mlir::ModuleOp"> {
  let summary = "Drop the taps of convolutions that only ever meet padding";
  let description = [{
    Matches Conv with pads, constant weights and known sizes where rows or columns of its kernel lie outside the image for every
    result, as large dilations over small images do. Makes a Conv of the taps left. Must not run where a weight that would go is
    not finite: times zero it is NaN. Example: test/passes/Graph/trim-kernels.mlir#dilated
  }];
}

def VerifyGraph : Pass<"verify-graph", "::mlir::ModuleOp"> {
  let summary = "Check the contract of the graph stage's door out";
  let description = [{
    Matches everything: only onnx operators, every result of known type, function types as returned, no Identity within a
    graph, no Shape of a static tensor. Makes nothing; the first breach is a located error.
    Example: test/passes/Graph/verify-graph.mlir#good
  }];
}

#endif
