// The lower stage as a flat list of passes; comments only where the order matters.
#include "passes/Lower/Passes.h"

#include "dialects/Nn/Nn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Transforms/Passes.h"

namespace burin {
#define GEN_PASS_REGISTRATION
#include "passes/Lower/Passes.h.inc"
} // namespace burin

void burin::buildLowerPipeline(mlir::OpPassManager &pm, bool storesWeights, bool fixedShapes) {
  // The caller folds between the two where it can: function bodies compute with shapes.
  pm.addPass(createExpandUnlowered());
  pm.addPass(createFuseQdq({storesWeights}));
  pm.addPass(createLowerOnnx({storesWeights, fixedShapes}));

  pm.addPass(mlir::createCSEPass());
  pm.addPass(createVerifyLowered());
}

void burin::registerLowerPasses() {
  registerBurinLowerPasses();
  mlir::PassPipelineRegistration<>("lower", "onnx -> nn, linalg and tensor, images channels last",
                                   [](mlir::OpPassManager &pm) { buildLowerPipeline(pm); });
}
