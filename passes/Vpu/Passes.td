// The passes of the vision unit's stage, alphabetical. Flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_VPU_PASSES_TD
#define BURIN_PASSES_VPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def DropCopies : Pass<"vpu-drop-copies", "mlir::func::FuncOp"> {
  let summary = "remove copies that move nothing";
  let description = [{
    Removes a `memref.copy` of a buffer onto itself, and one out of a part of an allocated buffer that nothing before it writes. Parts are boxes of subviews
    with unit strides; whatever else views a buffer stands for all of it.
    Example: test/passes/Vpu/drop-copies.mlir#unwritten
  }];
}

def ExpandMath : Pass<"vpu-expand-math", "mlir::func::FuncOp"> {
  let summary = "compute functions that the shaves lack from those that they have";
  let description = [{
    Inverse and hyperbolic functions, log1p, truncation and the like, in programs of the shaves, become a few operations in f32 and one rounding to the
    operation's own type.
    Example: test/passes/Vpu/expand-math.mlir#log1p
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::math::MathDialect"];
}

def FlattenBranches : Pass<"vpu-flatten-branches", "mlir::func::FuncOp"> {
  let summary = "run both branches and choose between their results";
  let description = [{
    `scf.if` whose condition is an element of a tensor and whose results have static shapes: both branches run, and a `linalg.generic` selects. Left alone where a
    branch does more than compute values; vpu-narrow-floats refuses those.
    Example: test/passes/Vpu/flatten-branches.mlir#early_exit
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::linalg::LinalgDialect", "mlir::tensor::TensorDialect"];
}

def InsertBarriers : Pass<"vpu-insert-barriers", "mlir::func::FuncOp"> {
  let summary = "hold tasks until what they depend on in other queues is finished";
  let description = [{
    A task that reads or writes bytes which a task of another queue wrote, or writes what one read, gets a `vpu.barrier` before it that names how many tasks
    of each queue must be finished. Nothing is inserted where a barrier before, of this queue or one it waited for, says as much. Boxes count as the run of bytes
    from their first to their last element.
    Example: test/passes/Vpu/insert-barriers.mlir#load_compute_store
  }];
  let dependentDialects = ["burin::vpu::VpuDialect"];
}

def MakeTasks : Pass<"vpu-make-tasks", "mlir::func::FuncOp"> {
  let summary = "turn nn and linalg operations and copies into records of the vision unit";
  let description = [{
    Copies become vpu.dma. nn operations become engine tasks with as much of their epilogue as the engine has: scale and bias a channel, leaky slope, clamp, in this
    order; what follows becomes a vpu.shave in place. `linalg.generic`, fill and transpose become vpu.shave; indices with
    `d floordiv k` or `d mod k` become linear by splitting the loop. Fails where an op has no task.
    Example: test/passes/Vpu/make-tasks.mlir#conv_bias_silu
  }];
  let dependentDialects = ["burin::vpu::VpuDialect", "mlir::arith::ArithDialect"];
}

def NarrowFloats : Pass<"vpu-narrow-floats", "mlir::func::FuncOp"> {
  let summary = "compute f32 graphs in f16";
  let description = [{
    Every f32 tensor between arguments and results becomes f16, to nearest even; finite constants stay finite. Results of reductions, what is computed of those
    alone, and what only reductions read stay f32. Bodies of loops and epilogues of nn operations stay f32 between what they read and one rounding of the result, as do
    constants of one number a channel in epilogues. Constant weights are scaled, a number a channel, where halves hold them better so; the epilogue undoes it.
    Fails on integer networks and on control flow.
    Example: test/passes/Vpu/narrow-floats.mlir#conv_bias
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::linalg::LinalgDialect", "mlir::tensor::TensorDialect"];
}

def PlaceBuffers : Pass<"vpu-place-buffers", "mlir::func::FuncOp"> {
  let summary = "give every buffer a place in CMX or main memory by lifetime";
  let description = [{
    Each `memref.alloc` becomes a `vpu.buffer`: in CMX behind the first `scratchpad-bytes`, which tiles pass through, where one fits for as long as it lives, those
    with the smallest product of size and lifetime first; otherwise in main memory, largest first. Views follow their buffer's memory space.
    Must run before vpu-plan-tasks, which cuts what does not lie in CMX.
    Example: test/passes/Vpu/place-buffers.mlir#chain
  }];
  let options = [
    Option<"cmxBytes", "cmx-bytes", "int64_t", "842752", "bytes of CMX for data">,
    Option<"scratchpadBytes", "scratchpad-bytes", "int64_t", "421376", "bytes of it at its start that tiles pass through">];
  let dependentDialects = ["burin::vpu::VpuDialect"];
}

def PlanTasks : Pass<"vpu-plan-tasks", "mlir::func::FuncOp"> {
  let summary = "turn nn operations on main memory into transfers and operations on a scratchpad";
  let description = [{
    Each operation on static memrefs is cut into tiles of output rows, and of output channels where rows alone do not fit: `memref.copy` of each tile's
    input rows (with halo), filter and extras into views of one scratchpad buffer (memory space 1), the same operation on the views, `memref.copy` of the result back.
    Operands that lie in memory space 1 already are read and written where they are. Operands that change from tile to tile alternate between two places, so that a transfer may run beside the computation before it;
    what does not change is loaded once. Softmax and operations that are not nn's stay.
    Example: test/passes/Vpu/plan-tasks.mlir#conv_bias_relu_residual
  }];
  let options = [
    Option<"scratchpadBytes", "scratchpad-bytes", "int64_t", "1048576", "bytes of scratchpad, at least 64">,
    Option<"doubleBuffer", "double-buffer", "bool", "true", "give operands that change from tile to tile two places where they fit">];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::arith::ArithDialect", "mlir::memref::MemRefDialect"];
}

def RoundPrograms : Pass<"vpu-round-programs", "mlir::func::FuncOp"> {
  let summary = "round what shave programs store, not what they compute on the way";
  let description = [{
    In the body of a vpu.shave a rounding to f16 whose result is widened again is left out. A program of f32 that reads halves, rounds once at most and has constants
    that are halves computes in f16, where shaves have twice the lanes. Operations of type f16 stay so.
    Example: test/passes/Vpu/round-programs.mlir#chain
  }];
  let dependentDialects = ["mlir::arith::ArithDialect"];
}

def ShuffleStores : Pass<"vpu-shuffle-stores", "mlir::func::FuncOp"> {
  let summary = "let convolutions store what a pixel shuffle behind them makes";
  let description = [{
    An nn.conv whose result only a `linalg.transpose` over its channels, split into parts, reads (DepthToSpace in either mode) becomes one convolution for each run of
    channels that lie together in the shuffled image, writing them there. An nn.conv_transpose whose windows do not overlap becomes a 1x1 convolution for each tap.
    Left alone where the engine would lose more by small descriptors (runs that are no multiple of 32 channels, taps of fewer than 1024 products a pixel), with groups,
    and where extras are more than a number a channel.
    Example: test/passes/Vpu/shuffle-stores.mlir#depth_column_row
  }];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::memref::MemRefDialect"];
}

def VerifyMemory : Pass<"vpu-verify-memory", "mlir::func::FuncOp"> {
  let summary = "check places of buffers and operands of the engine";
  let description = [{
    Fails where a buffer reaches outside its memory, where two overlap that are in use at once, and where the engine reads or writes main memory.
    Example: test/passes/Vpu/verify-memory-errors.mlir#overlap
  }];
  let dependentDialects = ["burin::vpu::VpuDialect"];
}

#endif
