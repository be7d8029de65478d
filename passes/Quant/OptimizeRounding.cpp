// Rounding up or down is decided a layer at a time by what the layer then computes, not by which integer is nearer.
#include "passes/Quant/Plan.h"
#include "passes/Quant/Reconstruct.h"
#include "passes/Quant/Rewriting.h"
#include "passes/Quant/Weights.h"
#include <cmath>

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_OPTIMIZEROUNDING
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "OptimizeRounding";

class OptimizeRounding : public impl::OptimizeRoundingBase<OptimizeRounding> {
public:
  using OptimizeRoundingBase::OptimizeRoundingBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    unsigned count = 0;
    for (Operation *op : getWeighted(main)) {
      if (op->hasAttr(keepFloatAttr))
        continue;
      if (!rowsOf(op) || !getMoments(op)) {
        missed(op, passName, "Weights", "nothing was measured of what it multiplies");
        continue;
      }
      round(op);
      passed(op, passName, "Weights");
      ++count;
    }
    eraseUnused(main);
    counted(getOperation(), passName, count);
  }

private:
  void round(Operation *op) {
    SmallVector<float> weight = onnx::getFloats(floatConstant(op->getOperand(1)));
    WeightOptions options{{true, 8}, perChannel, powerOfTwo, reduceRange};
    WeightShape shape = weightShape(op, perChannel);
    SmallVector<float> scales = chooseWeightScales(weight, shape, options, {});
    Reconstruction reconstruction(op, !keepBiases);
    const Rows &rows = reconstruction.rows();
    float limit = weightLimit(options);
    auto nearest = [&](int64_t i, float value) {
      float scale = scales[shape.channelOf(i)];
      return std::clamp(std::nearbyint(value / scale), -limit, limit) * scale;
    };
    SmallVector<float> rounded(weight.size());
    for (auto [i, w] : llvm::enumerate(weight))
      rounded[i] = nearest(i, w);
    // The largest weight of a channel is exact and stays: it is what the scale will be read off again.
    auto choose = [&](int64_t row, int64_t j, float target) {
      int64_t i = rows.at(row, j);
      float scale = scales[shape.channelOf(i)], w = weight[i];
      if (std::abs(w) >= limit * scale * 0.9999f)
        return rounded[i];
      float down = std::floor(w / scale) * scale, up = down + scale;
      return std::abs(target - down) <= std::abs(target - up) ? nearest(i, down) : nearest(i, up);
    };
    reconstruction.walk(weight, rounded, choose, walks);
    reconstruction.replace(weight, rounded);
  }
};

} // namespace
} // namespace burin::quant
