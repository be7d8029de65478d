// Registration of the vision unit's passes. There is no pipeline yet: a list of tasks is not an artifact.
#include "dialects/Nn/Nn.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace burin::vpu {
#define GEN_PASS_REGISTRATION
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

void burin::vpu::registerVpuPasses() { registerBurinVpuPasses(); }
