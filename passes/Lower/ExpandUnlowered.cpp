// lower-expand-unlowered: an operator without a lowering becomes the nodes of its ONNX function body.
#include "dialects/Onnx/Bridge.h"
#include "passes/Lower/Lowering.h"
#include "passes/Lower/Passes.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_EXPANDUNLOWERED
#include "passes/Lower/Passes.h.inc"

namespace {

struct ExpandUnlowered : impl::ExpandUnloweredBase<ExpandUnlowered> {
  void runOnOperation() override {
    func::FuncOp main = lower::getMain(getOperation());
    if (!main)
      return;
    Block &block = main.getBody().front();
    for (auto it = block.begin(); it != block.end();) {
      Operation *op = &*it;
      Operation *before = op->getPrevNode();
      if (lower::needsNoLowering(op) || lower::getRegistry().find(op->getName().getStringRef()) ||
          !onnx::hasFunctionBody(op) || failed(onnx::expandFunctionBody(op))) {
        ++it;
        continue;
      }
      it = before ? std::next(before->getIterator()) : block.begin();
    }
    lower::eraseDead(block);
  }
};

} // namespace
} // namespace burin
