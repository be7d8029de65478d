// The contract at the door out of the graph stage, checked: onnx and func only, every result typed, function types that
// tell the truth, and nothing left that the stage promises to remove. One located error for the first breach.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_VERIFYGRAPH
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

class VerifyGraph : public impl::VerifyGraphBase<VerifyGraph> {
public:
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal())
        continue;
      WalkResult result = func.walk([&](Operation *op) { return WalkResult(check(op)); });
      if (result.wasInterrupted())
        return signalPassFailure();
      auto types = func.front().getTerminator()->getOperandTypes();
      if (!llvm::equal(types, func.getResultTypes())) {
        func.emitError() << "expected the function's results to be of the types it returns";
        return signalPassFailure();
      }
    }
  }

private:
  static LogicalResult check(Operation *op) {
    if (!isa<onnx::OnnxDialect, func::FuncDialect>(op->getDialect()))
      return op->emitError() << "expected only onnx operators in a graph, got '" << op->getName() << "'";
    for (Value result : op->getResults()) {
      if (isa<onnx::AnyType>(result.getType()))
        return onnx::emitNodeError(op) << "expected a result of known type, got " << result.getType();
    }
    if (isa<onnx::IdentityOp>(op) && op->getBlock()->getParentOp() &&
        llvm::none_of(op->getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); }))
      return onnx::emitNodeError(op) << "expected no Identity within a graph, got one";
    if (isa<onnx::ShapeOp>(op) && staticType(op->getOperand(0)))
      return onnx::emitNodeError(op)
             << "expected the Shape of a tensor of static shape to be a constant, got the operator";
    return success();
  }
};

} // namespace
} // namespace burin
