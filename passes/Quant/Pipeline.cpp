// Registration of the room's passes. Their order is decided by the quantizer (lib/Calibrate), which measures between
// them.
#include "passes/Quant/Passes.h"

#include "mlir/Pass/PassRegistry.h"

namespace burin::quant {
using namespace mlir;
#define GEN_PASS_REGISTRATION
#include "passes/Quant/Passes.h.inc"

void registerQuantPasses() {
  registerCorrectBiases();
  registerEqualizeLayers();
  registerInsertQdq();
  registerOptimizeRounding();
  registerPruneChannels();
  registerPruneWeights();
  registerQuantizeDynamic();
  registerQuantizeWeights();
  registerRequireIntegers();
  registerRoundWeights();
  registerShareWeights();
  registerSmoothProducts();
}

} // namespace burin::quant
