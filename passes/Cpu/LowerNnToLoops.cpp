// cpu-lower-nn-to-loops: nn operations on buffers become scalar loops, straight from their definitions
// (KernelLoops.cpp). Takes everything that verifies; never fast. What cpu-lower-nn falls back to and is tested against.
#include "passes/Cpu/Kernels.h"
#include "passes/Cpu/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace burin {
#define GEN_PASS_DEF_LOWERNNTOLOOPS
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {
struct LowerNnToLoops : burin::impl::LowerNnToLoopsBase<LowerNnToLoops> {
  void runOnOperation() override {
    auto ops = cpu::operationsOf(getOperation());
    if (failed(ops))
      return signalPassFailure();
    for (nn::ComputeOp op : *ops) {
      OpBuilder builder(op);
      cpu::Emitter e{builder, op.getLoc()};
      cpu::emitLoops(e, op);
      op->erase();
    }
  }
};
} // namespace
