// The tensor stage as a flat list of passes; comments only where the order matters.
#include "dialects/Nn/Nn.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Bufferization/Transforms/OneShotAnalysis.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

namespace burin {
#define GEN_PASS_REGISTRATION
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

static void addBufferization(OpPassManager &pm) {
  // Before bufferization: makes producers write into slices, padded buffers and the caller's outputs.
  pm.addPass(bufferization::createEmptyTensorEliminationPass());
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion = bufferization::LayoutMapOption::IdentityLayoutMap;
  options.bufferAlignment = 64;
  pm.addPass(bufferization::createOneShotBufferizePass(options));
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
}

void burin::addBufferPlacement(OpPassManager &pm, const Machine &machine) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  // After the epilogues, which match on results and not on the copies that padding makes of them. Behind the last CSE:
  // equal frames are different memory, and one that two producers share is copied.
  function.addPass(createPadInputs());
  function.addPass(createCanonicalizerPass());

  function.addPass(createAlignLoops());
  function.addPass(createMakeDestinations());
  addBufferization(pm);

  // Copies that bufferization could not avoid, since it takes buffers as they are. Machines without a second cache are
  // those where each byte of memory counts.
  pm.addPass(createElideCopies({machine.l2Bytes ? 10u : 0u}));
}

void burin::buildTensorPipeline(OpPassManager &pm, const Machine &machine, const TensorOptions &options) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  // Before anything fuses, so that conversions between narrow operations are gone.
  if (!options.forDevice)
    function.addPass(createWidenFloats({machine.halfArithmetic}));
  // Before anything fuses with what stands before a change of shape.
  function.addPass(createCollapseElementwise());
  // Chains first: an activation written as x * sigmoid(x) reads the producer twice and fits an epilogue only as one
  // loop.
  function.addPass(createFuseElementwise());
  function.addPass(createFuseEpilogue());
  // Before what it decides; after the epilogues, so that what is measured is what runs.
  if (options.isTuned) {
    ApplyTuningOptions tuning;
    tuning.choices.assign(options.choices.begin(), options.choices.end());
    function.addPass(createApplyTuning(tuning));
  }
  // After the epilogues, which hold scales of scores.
  if (options.forDevice)
    function.addPass(createFuseAttention());
  if (!options.forDevice) {
    function.addPass(createChooseWinograd({machine.name.str(), options.winograd, options.winogradError}));
    // Transformed filters are f32; blocks are packed from what is left.
    function.addPass(createNarrowWeights({machine.name.str(), 1024}));
    function.addPass(createPackWeights({machine.name.str()}));
  }
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  // Tries the rest of the stage on what it makes.
  if (options.arenaLimit)
    pm.addPass(createBandRows({int64_t(options.arenaLimit), machine.name.str()}));
  addBufferPlacement(pm, machine);
  // The arena before the weights: the contract puts its argument first.
  pm.addPass(createPlanArena({int64_t(options.arenaLimit), machine.indexBits()}));
  pm.addPass(createCollectWeights());
  pm.addPass(createCanonicalizerPass());
  pm.addPass(createCSEPass());
  pm.addPass(createVerifyBufferized());
}

void burin::buildBufferPipeline(OpPassManager &pm) {
  OpPassManager &function = pm.nest<func::FuncOp>();
  function.addPass(createFuseElementwise());
  function.addPass(createFuseEpilogue());
  function.addPass(createCanonicalizerPass());
  function.addPass(createCSEPass());
  function.addPass(createMakeDestinations());
  addBufferization(pm);
}

void burin::registerTensorPasses() {
  registerBurinTensorPasses();
  PassPipelineRegistration<> pipeline("tensor", "the tensor stage for the host's machine",
                                      [](OpPassManager &pm) { buildTensorPipeline(pm, *findMachine("host")); });
}
