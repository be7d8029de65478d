// Bias correction (Nagel and others, "Data-Free Quantization Through Weight Equalization and Bias Correction", 2019,
// with measured means): rounding a weight by e shifts its output by e * E[x], which the bias takes back. Padding is
// counted as if it were image.
#include "passes/Quant/Plan.h"
#include "passes/Quant/Reconstruct.h"
#include "passes/Quant/Rewriting.h"
#include "passes/Quant/Weights.h"

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_CORRECTBIASES
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "CorrectBiases";

// What the rounded weights add to the mean of each output channel.
SmallVector<double> meanShift(Operation *op, const Channels &channels, const WeightOptions &options) {
  SmallVector<float> weight = onnx::getFloats(floatConstant(op->getOperand(1)));
  WeightShape shape = weightShape(op, options.perChannel), outputs = weightShape(op, true);
  SmallVector<float> scales = chooseWeightScales(weight, shape, options, {});
  std::vector<char> integers = quantizeWeight(weight, shape, scales, options);
  SmallVector<double> shift(outputs.channels, 0.0);
  auto type = cast<RankedTensorType>(op->getOperand(1).getType());
  auto conv = dyn_cast<onnx::ConvOp>(op);
  int64_t taps = 1, inputs = conv ? type.getDimSize(1) : channels.mean.size();
  for (int64_t d = 2; conv && d < type.getRank(); ++d)
    taps *= type.getDimSize(d);
  int64_t perGroup = conv ? outputs.channels / conv.getGroup() : outputs.channels;
  for (auto [i, w] : llvm::enumerate(weight)) {
    int64_t c = outputs.channelOf(i);
    // [out, in / groups, taps] of a Conv, [out, in] or [in, out] of a Gemm.
    int64_t input = conv                ? c / perGroup * inputs + int64_t(i) / taps % inputs
                    : outputs.axis == 0 ? int64_t(i) % inputs
                                        : int64_t(i) / outputs.channels;
    double rounded = double(static_cast<signed char>(integers[i])) * scales[shape.channelOf(i)];
    shift[c] += (double(w) - rounded) * channels.mean[input];
  }
  return shift;
}

class CorrectBiases : public impl::CorrectBiasesBase<CorrectBiases> {
public:
  using CorrectBiasesBase::CorrectBiasesBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    WeightOptions options{{true, 8}, perChannel, powerOfTwo, reduceRange};
    unsigned count = 0;
    for (Operation &op : main.front()) {
      if (!isa<onnx::ConvOp, onnx::GemmOp>(op) || op.hasAttr(keepFloatAttr) || roleOf(&op) != Role::Product)
        continue;
      std::optional<Channels> channels = getChannels(&op);
      ElementsAttr given = floatConstant(op.getOperand(2));
      if (!channels || (!given && !onnx::isNone(op.getOperand(2)))) {
        missed(&op, passName, "Bias", channels ? "its bias is no constant" : "no means of its input were measured");
        continue;
      }
      SmallVector<double> shift = meanShift(&op, *channels, options);
      if (llvm::all_of(shift, [](double s) { return s == 0; }))
        continue;
      if (!takesBias(&op))
        continue;
      addToBias(&op, shift);
      passed(&op, passName, "Bias");
      ++count;
    }
    eraseUnused(main);
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin::quant
