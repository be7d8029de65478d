// Types and shapes by ONNX's own functions, operator by operator, shape data propagated. All knowledge is the bridge's;
// this pass only walks the functions.
#include "dialects/Onnx/Bridge.h"
#include "passes/Graph/Passes.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_INFERSHAPES
#include "passes/Graph/Passes.h.inc"

namespace {
class InferShapes : public impl::InferShapesBase<InferShapes> {
public:
  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal() && failed(onnx::inferFunction(func)))
        return signalPassFailure();
  }
};
} // namespace
} // namespace burin
