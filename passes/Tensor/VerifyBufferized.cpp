// verify-bufferized: the contract between the tensor stage and every target, checked.
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace burin {
#define GEN_PASS_DEF_VERIFYBUFFERIZED
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {
struct VerifyBufferizedPass : burin::impl::VerifyBufferizedBase<VerifyBufferizedPass> {
  void runOnOperation() override {
    if (failed(check()))
      signalPassFailure();
  }

  LogicalResult check() {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main)
      return module.emitError("expected a function @main");
    for (StringRef name : {"burin.arena_bytes", "burin.peak_live_bytes", "burin.weights"})
      if (!module->hasAttr(name))
        return module.emitError("expected the module attribute ") << name;
    if (main.getNumResults() != 0)
      return main.emitError("expected no results, got ") << main.getNumResults();
    unsigned count = main.getNumArguments();
    auto isBytes = [](Type type) {
      auto memref = dyn_cast<MemRefType>(type);
      return memref && memref.getRank() == 1 && memref.getElementType().isInteger(8);
    };
    if (count < 2 || !isBytes(main.getArgumentTypes()[count - 1]) || !isBytes(main.getArgumentTypes()[count - 2]))
      return main.emitError("expected arena and weights, both rank-1 memrefs of i8, as the last two arguments");
    WalkResult result = main.walk([&](Operation *op) {
      // Only what data sizes has memory of its own: bytes, or an output.
      auto alloc = dyn_cast<memref::AllocOp>(op);
      bool sizedByData =
          alloc && module->hasAttr("burin.needs_allocator") &&
          (alloc->hasAttr("burin.output") || (isBytes(alloc.getType()) && !alloc.getType().hasStaticShape()));
      if (!sizedByData && isa<memref::AllocOp, memref::AllocaOp, memref::GetGlobalOp>(op)) {
        op->emitOpError("is left after the tensor stage");
        return WalkResult::interrupt();
      }
      for (Type type : op->getResultTypes())
        if (isa<TensorType>(type)) {
          op->emitOpError("makes a tensor after bufferization");
          return WalkResult::interrupt();
        }
      return WalkResult::advance();
    });
    return failure(result.wasInterrupted());
  }
};
} // namespace
