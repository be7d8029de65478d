// Scales and integers. Rounding is to nearest even, as QuantizeLinear rounds, so a weight quantized here is what ONNX
// would make of it.
#include "passes/Quant/Weights.h"
#include "passes/Quant/Rewriting.h"
#include "llvm/ADT/StringSwitch.h"

#include <cmath>

using namespace mlir;

namespace burin::quant {

Type Integers::type(MLIRContext *context) const {
  return IntegerType::get(context, bits, isSigned ? IntegerType::Signless : IntegerType::Unsigned);
}

std::optional<Integers> parseIntegers(StringRef text) {
  return llvm::StringSwitch<std::optional<Integers>>(text)
      .Case("u8", Integers{false, 8})
      .Case("s8", Integers{true, 8})
      .Case("u16", Integers{false, 16})
      .Case("s16", Integers{true, 16})
      .Case("u4", Integers{false, 4})
      .Case("s4", Integers{true, 4})
      .Default(std::nullopt);
}

static float toPowerOfTwo(float scale) { return std::exp2(std::ceil(std::log2(scale) - 1e-6f)); }

// Below this a scale times another could leave the normal numbers.
static constexpr float smallestScale = 1e-12f;

Scale chooseScale(Range range, Integers integers, bool symmetric, bool powerOfTwo) {
  double low = std::min(range.low, 0.0f), high = std::max(range.high, 0.0f);
  int64_t middle = integers.isSigned ? 0 : int64_t(1) << (integers.bits - 1);
  if (low == high)
    return {1.0f, symmetric ? middle : integers.low()};
  double steps = symmetric ? integers.high() - middle : integers.high() - integers.low();
  float scale = std::max(float((symmetric ? std::max(-low, high) : high - low) / steps), smallestScale);
  if (powerOfTwo)
    scale = toPowerOfTwo(scale);
  if (symmetric)
    return {scale, middle};
  int64_t zero = integers.low() + std::llrint(-low / scale);
  return {scale, std::clamp(zero, integers.low(), integers.high())};
}

WeightShape weightShape(Operation *product, bool perChannel) {
  auto type = cast<RankedTensorType>(product->getOperand(1).getType());
  int64_t axis = 0;
  if (auto gemm = dyn_cast<onnx::GemmOp>(product))
    axis = gemm.getTransB() ? 0 : 1;
  else if (isa<onnx::MatMulOp>(product))
    axis = type.getRank() - 1;
  else if (auto conv = dyn_cast<onnx::ConvTransposeOp>(product)) {
    axis = 1;
    perChannel &= conv.getGroup() == 1;
  }
  WeightShape shape{1, 1, 1, axis};
  for (int64_t i = 0; i < type.getRank(); ++i)
    (i < axis ? shape.outer : i == axis ? shape.channels : shape.inner) *= type.getDimSize(i);
  if (!perChannel)
    return {1, 1, type.getNumElements(), axis};
  return shape;
}

int64_t weightLimit(const WeightOptions &options) {
  int64_t limit = (int64_t(1) << (options.integers.bits - 1)) - 1;
  return options.reduceRange ? limit / 2 : limit;
}

SmallVector<float> chooseWeightScales(ArrayRef<float> weight, const WeightShape &shape, const WeightOptions &options,
                                      ArrayRef<float> leastScale) {
  SmallVector<float> scales(shape.channels, 0.0f);
  for (auto [i, w] : llvm::enumerate(weight)) {
    float &largest = scales[shape.channelOf(i)];
    largest = std::max(largest, std::abs(w));
  }
  for (auto [c, scale] : llvm::enumerate(scales)) {
    scale = std::max(scale / weightLimit(options), leastScale.empty() ? 0.0f : leastScale[c]);
    scale = scale == 0 ? 1.0f : std::max(scale, smallestScale);
    if (options.powerOfTwo)
      scale = toPowerOfTwo(scale);
  }
  return scales;
}

std::vector<char> quantizeWeight(ArrayRef<float> weight, const WeightShape &shape, ArrayRef<float> scales,
                                 const WeightOptions &options) {
  std::vector<char> raw(weight.size());
  double limit = weightLimit(options), middle = options.integers.isSigned ? 0 : 128;
  for (auto [i, w] : llvm::enumerate(weight)) {
    double q = std::nearbyint(double(w) / scales[shape.channelOf(i)]);
    raw[i] = char(int(std::clamp(q, -limit, limit) + middle));
  }
  return raw;
}

} // namespace burin::quant
