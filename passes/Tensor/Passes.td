// The passes of the tensor stage, alphabetical. Flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_TENSOR_PASSES_TD
#define BURIN_PASSES_TENSOR_PASSES_TD

include "mlir/Pass/PassBase.td"

def AlignLoops : Pass<"tensor-align-loops", "mlir::func::FuncOp"> {
  let summary = "put what a loop carries at the same place on both sides of its condition";
  let description = [{
    Reorders the operands of `scf.while` so that each tensor that the condition passes on unchanged is the block argument of the same number, as
    bufferization in place expects. Canonicalization, which drops unused results, moves them apart. Results stay where they are.
    Example: test/passes/Tensor/align-loops.mlir#moved_apart
  }];
  let dependentDialects = ["mlir::scf::SCFDialect"];
}

def ApplyTuning : Pass<"tensor-apply-tuning", "mlir::func::FuncOp"> {
  let summary = "give convolutions and products the tile, block or Winograd form that was measured to be fastest";
  let description = [{
    Each `nn.conv` on images and `nn.matmul` with constant weights and known sizes gets its shape as text, `burin.key`, and where `choices` names that shape what
    was chosen: `burin.tile` for the cpu stage, `burin.choice` for tensor-choose-winograd and tensor-pack-weights. Other operations are left to the cost models.
    Must run before tensor-choose-winograd.
    Example: test/passes/Tensor/apply-tuning.mlir#conv
  }];
  let options = [ListOption<"choices", "choices", "std::string",
                            "SHAPE:CHOICE as lib/Support/Tuning.h has them: conv-f32-1x56x56-64-64-k3x3-s1x1-d1x1:winograd=4;block=32">];
  let dependentDialects = ["burin::nn::NnDialect"];
}

def BandRows : Pass<"tensor-band-rows", "mlir::ModuleOp"> {
  let summary = "compute large intermediate tensors in bands of rows, so that they never exist whole";
  let description = [{
    Where the arena would exceed a limit in every order that the plan tries: a run of operations of @main around the peak (convolutions, pools, products,
    elementwise loops, changes of shape, slices) computes its results band of rows by band of rows. A band reads the rows it needs of what was there before,
    computes again what two bands share, and writes its rows of each result that is used outside in place. The rest of the stage is tried on a copy of the
    module: of the runs and numbers of bands that fit, the one with the least work is taken, at several peaks one after the other.
    Does nothing where sizes are free or where no rows can be computed alone; tensor-plan-arena then says what does not fit. Must run when weights are
    packed, so that bands share them, and before tensor-pad-inputs.
    Example: test/passes/Tensor/band-rows.mlir#chain
  }];
  let options = [Option<"limit", "limit", "int64_t", "0", "bytes that the arena must not exceed, 0 for none">,
                 Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::affine::AffineDialect", "mlir::arith::ArithDialect", "mlir::bufferization::BufferizationDialect",
                           "mlir::cf::ControlFlowDialect", "mlir::linalg::LinalgDialect", "mlir::memref::MemRefDialect", "mlir::scf::SCFDialect",
                           "mlir::tensor::TensorDialect"];
}

def ChooseWinograd : Pass<"tensor-choose-winograd", "mlir::func::FuncOp"> {
  let summary = "transform the filters of 3x3 convolutions that are faster as Winograd convolutions";
  let description = [{
    A constant f32 filter [3, 3, ic, oc] of an `nn.conv` with steps and dilations of 1, one group and a result of known size becomes
    [(M+2)^2, ic, oc], and the op gets `winograd = M`: M = 2 or 4 as the mode says, or whichever the cost model of lib/Support/Winograd.h finds
    fastest. Does nothing where the plain kernel is estimated to be as fast, or where the rounding error to expect exceeds the bound.
    The filter grows to 16/9 or 4 times its size. Must run before tensor-pack-weights.
    Example: test/passes/Tensor/choose-winograd.mlir#large
  }];
  let options = [
    Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">,
    Option<"mode", "mode", "std::string", "\"auto\"", "off, f2, f4 (wherever it is possible) or auto (where it is estimated to gain)">,
    Option<"maxError", "max-error", "double", "1e-4", "auto: largest rounding error to expect, as a share of a layer's largest result">];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::arith::ArithDialect"];
}

def CollapseElementwise : Pass<"tensor-collapse-elementwise", "mlir::func::FuncOp"> {
  let summary = "run elementwise loops over the dims of the operation they follow";
  let description = [{
    An elementwise `linalg.generic` that reads a `tensor.expand_shape` of an nn operation's result, or of another such loop's, index for index runs over the dims
    before the expansion; other operands are collapsed, the result is expanded. Fusion then sees the two side by side. A collapse in front of such a loop goes through the
    elementwise loop that alone makes its operand, unless that one could be an epilogue itself.
    Does nothing where another operand or the result does not have the merged dims side by side, as behind a transposition.
    Example: test/passes/Tensor/collapse-elementwise.mlir#bias
  }];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::affine::AffineDialect", "mlir::linalg::LinalgDialect", "mlir::tensor::TensorDialect"];
}

def CollectWeights : Pass<"tensor-collect-weights", "mlir::ModuleOp"> {
  let summary = "move constant buffers into one weight section";
  let description = [{
    Every `memref.get_global` of a constant in @main becomes a `memref.view` into a new last argument `%weights: memref<Wxi8>`; equal constants
    share a slot; slots are 64-byte aligned. The module attribute `burin.weights` lists what lies where: {name, offset, source_bytes, encoding, data}.
    The globals go. Must run after bufferization.
    Example: test/passes/Tensor/collect-weights.mlir#two_constants
  }];
  let dependentDialects = ["mlir::memref::MemRefDialect"];
}

def ElideCopies : Pass<"tensor-elide-copies", "mlir::ModuleOp"> {
  let summary = "make two buffers, one of which is copied into the other, windows of one";
  let description = [{
    Matches a `memref.copy` between windows of two buffers of @main, of known sizes or of equal ones known at run time: parts of a
    concatenation that are read elsewhere too, values in a convolution's frame. Makes one buffer that holds both where the windows lie on each other, so that the copy is nothing; operations then write and read slices
    of it. Must not run where one buffer is written while what the other holds there is still read, where a buffer is used through
    other views or in nested regions, or where the arena would have to hold more at its peak than `growth` allows.
    Example: test/passes/Tensor/elide-copies.mlir#ghost
  }];
  let options = [Option<"growth", "growth", "unsigned", "0", "percent by which the arena may grow for it, 0 or more">];
  let dependentDialects = ["mlir::memref::MemRefDialect"];
}

def FuseAttention : Pass<"tensor-fuse-attention", "mlir::func::FuncOp"> {
  let summary = "make one operation of two matrix products and the softmax between them";
  let description = [{
    `nn.matmul`, elementwise loops, `nn.softmax` over the keys and `nn.matmul` become `nn.attention`, so that no score reaches memory. Loops become its score; what
    only turns, repeats or cuts its operands or turns its result becomes its maps, where keys stay side by side. Does nothing where sizes are free, scores
    are read by others, the second product has an epilogue, or inside control flow: only targets with a kernel for it may run it.
    Must run after tensor-fuse-epilogue.
    Example: test/passes/Tensor/fuse-attention.mlir#masked
  }];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::tensor::TensorDialect"];
}

def FuseElementwise : Pass<"tensor-fuse-elementwise", "mlir::func::FuncOp"> {
  let summary = "fuse chains of elementwise operations into one loop";
  let description = [{
    Merges an elementwise `linalg.generic` into its only user of the same kind, so that the intermediate tensor disappears.
    Does not fuse where a producer has several users (it would be computed again), nor into reductions that read the value repeatedly through a broadcast.
    Example: test/passes/Tensor/fuse-elementwise.mlir#chain
  }];
  let dependentDialects = ["mlir::linalg::LinalgDialect", "mlir::affine::AffineDialect"];
}

def FuseEpilogue : Pass<"tensor-fuse-epilogue", "mlir::func::FuncOp"> {
  let summary = "fuse elementwise consumers into the epilogue of nn operations";
  let description = [{
    An elementwise `linalg.generic` that is the only user of an nn operation's result, reads it index for index and makes one result of the
    same shape moves into the operation's epilogue; its other operands become `extras`. Repeats until nothing fits.
    Does not fuse through broadcasts of the nn result, through reductions, bodies that read indices or memory, or where another operand is read out of
    order (a nearest upsampling, a transpose): the kernel would have to gather it.
    Example: test/passes/Tensor/fuse-epilogue.mlir#bias_relu_residual
  }];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::linalg::LinalgDialect"];
}

def MakeDestinations : Pass<"tensor-make-destinations", "mlir::func::FuncOp"> {
  let summary = "turn the results of @main into buffers the caller gives";
  let description = [{
    Appends one memref argument a result and materializes each result in it, so that producers can write straight into the caller's memory.
    Argument attributes of results move along. With free dims, @main returns the dims of all results instead, -1 where data decides; such a result gets an
    allocation with the attribute `burin.output`. Each use of an empty tensor gets one of its own. Must run before bufferization.
    Example: test/passes/Tensor/make-destinations.mlir#two_results
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::bufferization::BufferizationDialect", "mlir::memref::MemRefDialect", "mlir::tensor::TensorDialect"];
}

def NarrowWeights : Pass<"tensor-narrow-weights", "mlir::func::FuncOp"> {
  let summary = "keep f32 weights that f16 or bf16 hold exactly as those";
  let description = [{
    Constants of at least `least` f32 numbers, each of which is one of f16 (where the machine converts that) or bf16, and which only `nn.conv` without
    Winograd, `nn.matmul` and `tensor.extract` read, become constants of that type; kernels widen what they load, so that results stay the same bits.
    Runs before weights are packed. Example: test/passes/Tensor/narrow-weights.mlir#half
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">,
                 Option<"least", "least", "int64_t", "1024", "elements of the smallest constant that is worth it">];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::arith::ArithDialect", "mlir::tensor::TensorDialect"];
}

def PackWeights : Pass<"tensor-pack-weights", "mlir::func::FuncOp"> {
  let summary = "lay constant weights out in the blocks the machine's kernels read";
  let description = [{
    Constant filters of ungrouped `nn.conv` and constant rank-2 right sides of `nn.matmul` become [blocks, ..., B] with the last block filled
    up with zeros, B from lib/Support/Packing.h. Where the machine has products of bytes, 8-bit weights that are signed or become so by their zero point
    are packed for dot products (nn::DotLayout), the input's zero point folded into what each sum begins with; also of grouped convolutions. Integers that
    stand for floats (`stored`) move into blocks of four registers.
    f32 weights of which 35 % of all blocks (one input of 16 output channels) are zero lie without those (nn::SparseLayout), and their kernel skips them; a
    filter that Winograd convolution would take as well, from 70 % on. An infinity that meets a skipped zero makes no NaN.
    Other element types are left as they are.
    Example: test/passes/Tensor/pack-weights.mlir#conv
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::arith::ArithDialect"];
}

def PadInputs : Pass<"tensor-pad-inputs", "mlir::func::FuncOp"> {
  let summary = "make the padding of convolutions part of their input buffer";
  let description = [{
    A convolution with pads reads a larger buffer instead: a frame of zeros (the input's zero point for integers) around the input, which its producer can
    write straight into. Kernels then need no bounds. Convolutions of one input with the same pads share the buffer. Not where a large dilation would make
    most products ones with the frame: the kernel leaves those out.
    Pools keep their pads: their padding has no value that could be stored.
    Example: test/passes/Tensor/pad-inputs.mlir#conv
  }];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::tensor::TensorDialect", "mlir::linalg::LinalgDialect"];
}

def PlanArena : Pass<"tensor-plan-arena", "mlir::ModuleOp"> {
  let summary = "place all intermediate buffers in one static arena by lifetime";
  let description = [{
    Each `memref.alloc` of @main gets an offset in a new argument `%arena: memref<Axi8>`: largest buffers first, each at the lowest offset where
    no buffer alive at the same time lies (greedy by size, Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
    Sets `burin.arena_bytes` and `burin.peak_live_bytes`, the largest sum of bytes alive at once, which no plan can undercut.
    Sizes that are arithmetic on dims of the arguments stay arithmetic: which buffer lies below which is decided here, for several sizes at once, and the
    offsets are computed at the start of @main and in `@plan(inputs...) -> (arena bytes, output dims...)`, which a caller asks first. Checks of such dims
    move there. Buffers whose size depends on data are allocated where they are made and released after their last use.
    With a limit, and where the arena is above it, other orders of the work are tried; an error names what lives at the peak if none fits.
    Must run after bufferization and before tensor-collect-weights, whose argument comes last.
    Example: test/passes/Tensor/plan-arena.mlir#reuse
  }];
  let options = [Option<"limit", "limit", "int64_t", "0", "bytes that the arena must not exceed, 0 for none">,
                 Option<"indexBits", "index-bits", "unsigned", "64", "of the machine's addresses, 32 or 64">];
  let dependentDialects = ["mlir::memref::MemRefDialect", "mlir::arith::ArithDialect", "mlir::cf::ControlFlowDialect"];
}

def VerifyBufferized : Pass<"verify-bufferized", "mlir::ModuleOp"> {
  let summary = "check what the tensor stage promises";
  let description = [{
    Fails where @main holds a tensor, an allocation or a result, or lacks the arena and weights arguments and the attributes that describe them.
    Example: test/passes/Tensor/verify-bufferized-errors.mlir#leftover_alloc
  }];
}

def WidenFloats : Pass<"tensor-widen-floats", "mlir::func::FuncOp"> {
  let summary = "compute f16 and bf16 graphs in f32";
  let description = [{
    For machines that only convert narrow floats: every f16 and bf16 value between the function's arguments and results becomes f32; arguments are widened
    once and results rounded once. Filters of nn operations stay narrow in memory. A Cast to the narrow type alone keeps its rounding.
    Does nothing where the bits of a narrow float are used as an integer.
    Example: test/passes/Tensor/widen-floats.mlir#chain
  }];
  let options = [Option<"keepHalf", "keep-half", "bool", "false", "leave f16 alone, for machines that compute in it">];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::linalg::LinalgDialect", "mlir::tensor::TensorDialect"];
}

#endif
