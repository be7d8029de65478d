// The passes of the quantize stage, alphabetical. Flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_QUANT_PASSES_TD
#define BURIN_PASSES_QUANT_PASSES_TD

include "mlir/Pass/PassBase.td"

def CorrectBiases : Pass<"quant-correct-biases", "::mlir::ModuleOp"> {
  let summary = "Let biases make up for what rounding weights changes on average";
  let description = [{
    Matches Conv and Gemm with constant weights whose input channels' means are known (`burin.channels`). Makes their bias the one that
    keeps the mean of each output channel: b + sum((W - rounded W) * mean). Run before `quant-insert-qdq`, with its options. Must not
    add a bias where rounding changes nothing.
    Example: test/passes/Quant/correct-biases.mlir#conv
  }];
  let options = [
    Option<"perChannel", "per-channel", "bool", "true", "a scale for each output channel of a weight">,
    Option<"powerOfTwo", "power-of-two", "bool", "false", "scales are powers of two">,
    Option<"reduceRange", "reduce-range", "bool", "false", "weights of 7 bits">];
}

def EqualizeLayers : Pass<"quant-equalize-layers", "::mlir::ModuleOp"> {
  let summary = "Scale channels between two convolutions so that their weights have like ranges";
  let description = [{
    Matches Conv, perhaps Relu or LeakyRelu, Conv with constant weights and nothing else reading what lies between. Makes the weights
    of output channel i of the first smaller by s and of input channel i of the second larger by s, which changes no result:
    s = sqrt(range of the first / range of the second). Run before calibration. Must not run past a Clip, or a grouped second
    convolution that is not depthwise. With `measured`, after calibration: in front of depthwise convolutions alone, s makes all channels reach as far as the
    widest, which costs nothing where weights have a scale a channel; what was measured follows. Example: test/passes/Quant/equalize-layers.mlir#chain
  }];
  let options = [Option<"rounds", "rounds", "int64_t", "4", "walks over the graph; ranges settle within a few">,
                 Option<"measured", "measured", "bool", "false", "by the ranges of channels (`burin.channels`), not of weights">];
}

def InsertQdq : Pass<"quant-insert-qdq", "::mlir::ModuleOp"> {
  let summary = "Quantize activations and weights where calibration has told their ranges";
  let description = [{
    Matches Conv, ConvTranspose, Gemm and MatMul with constant weights, and between them sums, products, pools, concatenations,
    activations and what only moves elements; each activation with a range (`burin.ranges` of its operator, `burin.range` of an
    argument). Makes QuantizeLinear and DequantizeLinear around them, weights as integers by channel, biases as i32 at the
    product's scale; a Relu or Clip that the integers' own limits do is dropped. Must not quantize what no integer operator
    reads, what `keep` names, or a tensor without a range.
    Example: test/passes/Quant/insert-qdq.mlir#conv_relu
  }];
  let options = [
    Option<"activations", "activations", "std::string", "\"u8\"", "u8, s8, u16 or s16">,
    Option<"weights", "weights", "std::string", "\"s8\"", "s8 or u8">,
    Option<"symmetric", "symmetric", "bool", "false", "zero points of activations in the middle of their type">,
    Option<"perChannel", "per-channel", "bool", "true", "a scale for each output channel of a weight">,
    Option<"powerOfTwo", "power-of-two", "bool", "false", "scales are powers of two">,
    Option<"reduceRange", "reduce-range", "bool", "false", "weights of 7 bits: sums of two products fit 16 bits">,
    Option<"outputs", "outputs", "bool", "false", "what the graph returns is quantized too">,
    ListOption<"keep", "keep", "std::string", "names of nodes or operators that stay float">,
    ListOption<"only", "only", "std::string", "names of nodes or operators to quantize; all where not given">];
}

def OptimizeRounding : Pass<"quant-optimize-rounding", "::mlir::ModuleOp"> {
  let summary = "Round weights up or down by what the layer computes";
  let description = [{
    Matches Conv, Gemm and MatMul with constant weights of whose input the moments are known (`burin.moments`). Makes each weight the
    multiple of its scale below or above it, so that the layer's result on the calibration data changes least, and the bias keep
    the mean. Run before `quant-insert-qdq`, with its options, in place of `quant-correct-biases`. Must not move the largest weight
    of a channel, which is its scale. Example: test/passes/Quant/optimize-rounding.mlir#pair
  }];
  let options = [
    Option<"perChannel", "per-channel", "bool", "true", "a scale for each output channel of a weight">,
    Option<"powerOfTwo", "power-of-two", "bool", "false", "scales are powers of two">,
    Option<"reduceRange", "reduce-range", "bool", "false", "weights of 7 bits">,
    Option<"keepBiases", "keep-biases", "bool", "false", "leave biases alone: rounding keeps the mean as well as it can">,
    Option<"walks", "walks", "int", "8", "walks over the weights of a layer, at most">];
}

def PruneChannels : Pass<"quant-prune-channels", "::mlir::ModuleOp"> {
  let summary = "Take the least important channels out of the graph";
  let description = [{
    Matches channels of Conv, Gemm and MatMul with constant weights that nothing fixes: followed through activations, sums, products,
    depthwise convolutions, pools, concatenations and flattening, the channels that only go together go together. Makes all of these
    tensors smaller by the `share` of channels with the least score; where `burin.moments` says what a layer reads, its other
    weights and its bias make up for the lost inputs. Must not take channels from the graph's inputs and outputs, or from what an
    operator without channels of its own reads. Example: test/passes/Quant/prune-channels.mlir#residual
  }];
  let options = [
    Option<"share", "share", "double", "0.25", "of the channels that go">,
    Option<"criterion", "criterion", "std::string", "\"magnitude\"", "magnitude, variance, gradient or fisher">,
    Option<"global", "global", "bool", "false", "rank the channels of all layers together, not layer by layer">,
    Option<"multiple", "multiple", "int64_t", "8", "channels that stay are a multiple of this">,
    Option<"walks", "walks", "int", "4", "walks over the weights of a layer to make up">];
}

def PruneWeights : Pass<"quant-prune-weights", "::mlir::ModuleOp"> {
  let summary = "Set the least important weights to zero";
  let description = [{
    Matches Conv, Gemm and MatMul with constant weights. Makes the `sparsity` share of elements, filters or blocks with the least score
    zero, or all but N of M neighbours along the input channels; a block is one input of 16 output channels, what kernels that skip zeros leave
    out at once. Where `burin.moments` says what a layer reads, what stays and the bias
    make up for what goes. Must not touch layers with fewer than `least` weights an output channel, and with blocks grouped convolutions.
    Example: test/passes/Quant/prune-weights.mlir#magnitude
  }];
  let options = [
    Option<"sparsity", "sparsity", "double", "0.5", "share of elements, filters or blocks that become zero">,
    Option<"unit", "unit", "std::string", "\"element\"", "element, block or filter">,
    Option<"pattern", "pattern", "std::string", "\"\"", "N:M, instead of a sparsity: N of M stay">,
    Option<"criterion", "criterion", "std::string", "\"magnitude\"", "magnitude, variance, gradient or fisher">,
    Option<"global", "global", "bool", "false", "rank the weights of all layers together, not layer by layer">,
    Option<"least", "least", "int64_t", "16", "weights an output channel of the smallest layer">,
    Option<"walks", "walks", "int", "4", "walks over the weights of a layer to make up">];
}

def QuantizeDynamic : Pass<"quant-quantize-dynamic", "::mlir::ModuleOp"> {
  let summary = "Quantize weights, and activations by their range at run time";
  let description = [{
    Matches Conv, Gemm and MatMul with constant weights. Makes DynamicQuantizeLinear of the activation, ConvInteger or
    MatMulInteger with s8 weights of a scale an output channel, and the product of both scales behind it. Needs no calibration.
    Must not quantize what `keep` names. Example: test/passes/Quant/quantize-dynamic.mlir#matmul
  }];
  let options = [
    Option<"perChannel", "per-channel", "bool", "true", "a scale for each output channel of a weight">,
    Option<"reduceRange", "reduce-range", "bool", "false", "weights of 7 bits: sums of two products fit 16 bits">,
    ListOption<"keep", "keep", "std::string", "names of nodes or operators that stay float">,
    ListOption<"only", "only", "std::string", "names of nodes or operators to quantize; all where not given">];
}

def QuantizeWeights : Pass<"quant-quantize-weights", "::mlir::ModuleOp"> {
  let summary = "Store weights of matrix products and embeddings as integers";
  let description = [{
    Matches MatMul and Gemm with constant weights of two dims, and Gather of rows of a constant table. Makes DequantizeLinear
    of 8 or 4 bits with a scale for each `block` of the summed dim (0: for each output channel) or of a table's rows, or
    com.microsoft's MatMulNBits; scales are those of least squared error. Activations stay float. Must not touch weights of fewer than `least`
    elements or what `keep` names. Example: test/passes/Quant/quantize-weights.mlir#blocks
  }];
  let options = [
    Option<"bits", "bits", "int64_t", "8", "8 or 4">,
    Option<"block", "block", "int64_t", "0", "elements of the summed dim that share a scale; 0: all of a channel">,
    Option<"asymmetric", "asymmetric", "bool", "false", "blocks have zero points">,
    Option<"matmulNBits", "matmul-nbits", "bool", "false", "make com.microsoft's MatMulNBits">,
    Option<"least", "least", "int64_t", "1024", "elements of the smallest weight that is worth it">,
    ListOption<"keep", "keep", "std::string", "names of nodes or operators that stay float">];
}

def RequireIntegers : Pass<"quant-require-integers", "::mlir::ModuleOp"> {
  let summary = "Make inputs and outputs integers and refuse what still computes on floats";
  let description = [{
    Matches inputs that only QuantizeLinear reads and outputs that DequantizeLinear gives. Makes them the integers. Every other
    operator has to lie between DequantizeLinear and QuantizeLinear, so that a device without floats can compute it on
    integers; one that does not is a located error. Example: test/passes/Quant/require-integers.mlir#conv
  }];
}

def RoundWeights : Pass<"quant-round-weights", "::mlir::ModuleOp"> {
  let summary = "Store constants of floats as f16 or bf16";
  let description = [{
    Matches constants of f32. Makes constants of `type`, rounded to nearest even, and a Cast back to f32: computation stays what it was.
    Must not touch those of fewer than `least` elements, or of numbers beyond the type's largest.
    Example: test/passes/Quant/round-weights.mlir#cast
  }];
  let options = [Option<"type", "type", "std::string", "\"f16\"", "f16 or bf16">,
                 Option<"least", "least", "int64_t", "1024", "elements of the smallest constant that is worth it">];
}

def ShareWeights : Pass<"quant-share-weights", "::mlir::ModuleOp"> {
  let summary = "Give the weights of a layer few values";
  let description = [{
    Matches Conv, Gemm and MatMul with constant weights. Makes each weight one of the 2^`bits` values that k-means finds for its layer,
    or for `group` output channels; zeros stay zero. Where `burin.moments` says what the layer reads, weights count by it and are
    chosen so that its result changes least. The ratio in the remark is R = raw bits / (indices + codebooks). Must not touch weights
    of fewer than `least` elements. Example: test/passes/Quant/share-weights.mlir#nine
  }];
  let options = [
    Option<"bits", "bits", "int64_t", "4", "of an index, 2 to 8">,
    Option<"extra", "extra", "int64_t", "2", "bits more for layers with fewer than 16 weights an output channel">,
    Option<"group", "group", "int64_t", "0", "output channels that have a codebook together; 0: all">,
    Option<"least", "least", "int64_t", "1024", "elements of the smallest weight that is worth it">,
    Option<"walks", "walks", "int", "4", "walks over the weights of a layer, at most">];
}

def SmoothProducts : Pass<"quant-smooth-products", "::mlir::ModuleOp"> {
  let summary = "Move the difficulty of activations with outlying channels into weights";
  let description = [{
    Matches MatMul and Gemm with constant weights whose input channels' ranges are known (`burin.channels`); those that read one value
    share its scales. Makes a Mul in front that divides channel j by s, and rows of the weights larger by s:
    s = max|X|^strength / max|W|^(1 - strength). Run after calibration, before `quant-insert-qdq`. Must not run where the channels' ranges
    are alike. Example: test/passes/Quant/smooth-products.mlir#outlier
  }];
  let options = [Option<"strength", "strength", "double", "0.5", "0 moves nothing off the activations, 1 all">];
}

#endif
