// The lower stage as a flat list of passes; comments only where the order matters.
#include "passes/Lower/Passes.h"
#include "mlir/Pass/PassManager.h"

namespace burin {
#define GEN_PASS_REGISTRATION
#include "passes/Lower/Passes.h.inc"
} // namespace burin
void burin::buildLowerPipeline(mlir::OpPassManager &) {}
void burin::registerLowerPasses() {}
