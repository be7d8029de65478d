// The vision unit's stage as a flat list of passes; comments only where the order matters.
#include "dialects/Nn/Nn.h"
#include "dialects/Vpu/Vpu.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

namespace burin::vpu {
#define GEN_PASS_REGISTRATION
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;

void vpu::buildVpuTensorPipeline(OpPassManager &pm) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createFlattenBranches());
  function.addPass(createNarrowFloats());
}

void vpu::buildVpuPipeline(OpPassManager &pm, int64_t cmxBytes) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  // Half for tiles that pass through, half for tensors that stay.
  int64_t scratchpad = llvm::alignTo(cmxBytes / 2, 64);
  function.addPass(createDropCopies());
  function.addPass(createShuffleStores());
  function.addPass(createPlaceBuffers({cmxBytes, scratchpad}));
  function.addPass(createPlanTasks({scratchpad, /*doubleBuffer=*/true}));
  function.addPass(createMakeTasks());
  function.addPass(createRoundPrograms());
  function.addPass(createExpandMath());
  function.addPass(createCanonicalizerPass());
  function.addPass(createInsertBarriers());
  function.addPass(createVerifyMemory());
}

void vpu::registerVpuPasses() { registerBurinVpuPasses(); }
