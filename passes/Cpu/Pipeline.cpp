// The cpu stage as a flat list of passes; comments only where the order matters.
#include "passes/Cpu/Passes.h"
#include "mlir/Pass/PassManager.h"

namespace burin {
#define GEN_PASS_REGISTRATION
#include "passes/Cpu/Passes.h.inc"
} // namespace burin
void burin::buildCpuPipeline(mlir::OpPassManager &, const Machine &) {}
void burin::registerCpuPasses() {}
