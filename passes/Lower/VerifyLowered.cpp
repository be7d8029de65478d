// verify-lowered: the contract of the door behind the lower stage, checked. It repairs nothing.
#include "passes/Lower/Lowering.h"
#include "passes/Lower/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_VERIFYLOWERED
#include "passes/Lower/Passes.h.inc"

namespace {

struct VerifyLowered : impl::VerifyLoweredBase<VerifyLowered> {
  void runOnOperation() override {
    func::FuncOp main = lower::getMain(getOperation());
    if (!main) {
      getOperation().emitError("expected a function @main with a body after the lower stage, got none");
      return signalPassFailure();
    }
    auto named = [&](auto getAttr, unsigned count, StringRef what) {
      for (unsigned i = 0; i < count; ++i)
        for (StringRef attr : {"onnx.name", "burin.dtype"})
          if (!getAttr(i, attr)) {
            main.emitError("expected attribute '") << attr << "' on " << what << " " << i << " of @main, got none";
            return failure();
          }
      return success();
    };
    if (failed(named([&](unsigned i, StringRef n) { return main.getArgAttr(i, n); }, main.getNumArguments(),
                     "argument")) ||
        failed(
            named([&](unsigned i, StringRef n) { return main.getResultAttr(i, n); }, main.getNumResults(), "result")))
      return signalPassFailure();
    for (BlockArgument arg : main.getArguments())
      if (failed(checkType(main, arg.getType())))
        return signalPassFailure();
    WalkResult result = getOperation().walk([&](Operation *op) {
      if (isa<ModuleOp, func::FuncOp, func::ReturnOp>(op))
        return WalkResult::advance();
      Dialect *dialect = op->getDialect();
      if (!dialect ||
          !(llvm::is_contained({"nn", "foreign", "linalg", "tensor", "arith", "math", "scf", "affine"},
                               dialect->getNamespace()) ||
            isa<bufferization::AllocTensorOp, bufferization::MaterializeInDestinationOp, cf::AssertOp>(op))) {
        op->emitError("expected only nn, linalg, tensor, arith, math and scf operations after the lower stage, got '")
            << op->getName() << "'";
        return WalkResult::interrupt();
      }
      for (Type type : op->getResultTypes())
        if (failed(checkType(op, type)))
          return WalkResult::interrupt();
      return WalkResult::advance();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }

  static LogicalResult checkType(Operation *op, Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor)
      return isa<ShapedType>(type) ? op->emitError("expected ranked tensors after the lower stage, got ") << type
                                   : success();
    auto integer = dyn_cast<IntegerType>(tensor.getElementType());
    if (!tensor.getEncoding() && tensor.getElementType().isIntOrFloat() && (!integer || integer.isSignless()))
      return success();
    return op->emitError("expected tensors with signless elements and no encoding after the lower stage, got ") << type;
  }
};

} // namespace
} // namespace burin
