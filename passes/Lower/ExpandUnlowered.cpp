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
    expand(main.getBody().front());
    lower::eraseDead(main.getBody().front());
  }

  static void expand(Block &block) {
    for (auto it = block.begin(); it != block.end();) {
      Operation *op = &*it;
      Operation *before = op->getPrevNode();
      if (lower::needsNoLowering(op) || lower::getRegistry().find(op->getName().getStringRef()) ||
          !onnx::hasFunctionBody(op) || failed(onnx::expandFunctionBody(op))) {
        for (Region &region : op->getRegions())
          for (Block &inner : region)
            expand(inner);
        ++it;
        continue;
      }
      it = before ? std::next(before->getIterator()) : block.begin();
    }
  }
};

} // namespace
} // namespace burin
