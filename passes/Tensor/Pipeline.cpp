// The tensor stage as a flat list of passes; comments only where the order matters.
#include "passes/Tensor/Passes.h"
#include "mlir/Pass/PassManager.h"

namespace burin {
#define GEN_PASS_REGISTRATION
#include "passes/Tensor/Passes.h.inc"
} // namespace burin
void burin::buildTensorPipeline(mlir::OpPassManager &, const Machine &) {}
void burin::registerTensorPasses() {}
