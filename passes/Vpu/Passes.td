// The passes of the vision unit's stage, alphabetical. Flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_VPU_PASSES_TD
#define BURIN_PASSES_VPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def PlanTasks : Pass<"vpu-plan-tasks", "mlir::func::FuncOp"> {
  let summary = "turn nn operations on main memory into transfers and operations on a scratchpad";
  let description = [{
    Each operation on static memrefs is cut into tiles of output rows, and of output channels where rows alone do not fit: `memref.copy` of each tile's
    input rows (with halo), filter and extras into views of one scratchpad buffer (memory space 1), the same operation on the views, `memref.copy` of the result back.
    Operands that change from tile to tile alternate between two places, so that a transfer may run beside the computation before it;
    what does not change is loaded once. Softmax and operations that are not nn's stay.
    Example: test/passes/Vpu/plan-tasks.mlir#conv_bias_relu_residual
  }];
  let options = [
    Option<"scratchpadBytes", "scratchpad-bytes", "int64_t", "1048576", "bytes of scratchpad, at least 64">,
    Option<"doubleBuffer", "double-buffer", "bool", "true", "give operands that change from tile to tile two places where they fit">];
  let dependentDialects = ["burin::nn::NnDialect", "mlir::arith::ArithDialect", "mlir::memref::MemRefDialect"];
}

#endif
