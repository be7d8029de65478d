// Cross-layer equalization (Nagel and others, 2019): Relu(s x) = s Relu(x) for s > 0, so a channel between two
// convolutions may have any scale. In front of a depthwise one, whose weights have a scale a channel as the first's do,
// any scale is free: there the channels themselves are made alike, where they were measured.
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"
#include <cmath>

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_EQUALIZELAYERS
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "EqualizeLayers";

// Scales beyond this would only trade one bad channel for another.
constexpr double largestScale = 64;

struct Pair {
  onnx::ConvOp first, second;
};

class EqualizeLayers : public impl::EqualizeLayersBase<EqualizeLayers> {
public:
  using EqualizeLayersBase::EqualizeLayersBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    SmallVector<Pair> pairs;
    for (Operation &op : main.front())
      if (auto first = dyn_cast<onnx::ConvOp>(op); first && roleOf(first) == Role::Product)
        if (onnx::ConvOp second = partnerOf(first))
          pairs.push_back({first, second});
    if (measured)
      llvm::erase_if(pairs, [](Pair &pair) { return !isDepthwise(pair) || !getChannels(pair.second); });
    for (int64_t round = 0; round < (measured ? 1 : rounds); ++round)
      for (Pair &pair : pairs)
        scale(pair, measured ? evenChannels(pair) : scalesOfWeights(pair));
    for (Pair &pair : pairs)
      passed(pair.first, passName, measured ? "Channels" : "Pair");
    eraseUnused(main);
    counted(getOperation(), passName, pairs.size());
  }

private:
  static bool isDepthwise(Pair &pair) { return pair.second.getGroup() != 1; }
  onnx::ConvOp partnerOf(onnx::ConvOp first);
  SmallVector<float> scalesOfWeights(Pair &pair);
  SmallVector<float> evenChannels(Pair &pair);
  void scale(Pair &pair, ArrayRef<float> s);
};

// How the weights of a pair lie by the channel between the two.
struct Weights {
  SmallVector<float> a, b;
  int64_t channels, innerA, innerB;

  explicit Weights(Pair &pair)
      : a(onnx::getFloats(floatConstant(pair.first.getW()))), b(onnx::getFloats(floatConstant(pair.second.getW()))) {
    auto second = cast<RankedTensorType>(pair.second.getW().getType());
    channels = cast<RankedTensorType>(pair.first.getW().getType()).getDimSize(0);
    innerA = a.size() / channels;
    // Of the second the channels are dim 1, or dim 0 where it is depthwise.
    innerB =
        pair.second.getGroup() != 1 ? b.size() / channels : b.size() / (second.getDimSize(0) * second.getDimSize(1));
  }
  int64_t channelA(size_t i) const { return int64_t(i) / innerA; }
  int64_t channelB(size_t i) const { return int64_t(i) / innerB % channels; }
};

// The convolution that alone reads the channels of `first`, or null.
onnx::ConvOp EqualizeLayers::partnerOf(onnx::ConvOp first) {
  if (!onnx::isNone(first.getB()) && !floatConstant(first.getB()))
    return {};
  Value v = first.getY();
  auto only = [&]() -> Operation * { return v.hasOneUse() ? *v.getUsers().begin() : nullptr; };
  while (isa_and_nonnull<onnx::ReluOp, onnx::LeakyReluOp>(only()))
    v = only()->getResult(0);
  Operation *user = only();
  auto second = dyn_cast_or_null<onnx::ConvOp>(user);
  if (!second) {
    if (isa_and_nonnull<onnx::ClipOp>(user))
      missed(first, passName, "Pair", "a Clip limits what lies between");
    return {};
  }
  if (roleOf(second) != Role::Product || second.getX() != v)
    return {};
  int64_t channels = cast<RankedTensorType>(first.getW().getType()).getDimSize(0);
  auto type = cast<RankedTensorType>(second.getW().getType());
  bool isDepthwise = second.getGroup() == channels && type.getDimSize(0) == channels;
  if (second.getGroup() != 1 && !isDepthwise) {
    missed(first, passName, "Pair", "the convolution behind it has groups of several channels");
    return {};
  }
  return second;
}

SmallVector<float> EqualizeLayers::scalesOfWeights(Pair &pair) {
  Weights w(pair);
  SmallVector<float> largestA(w.channels, 0.0f), largestB(w.channels, 0.0f), s(w.channels, 1.0f);
  for (auto [i, weight] : llvm::enumerate(w.a))
    largestA[w.channelA(i)] = std::max(largestA[w.channelA(i)], std::abs(weight));
  for (auto [i, weight] : llvm::enumerate(w.b))
    largestB[w.channelB(i)] = std::max(largestB[w.channelB(i)], std::abs(weight));
  for (int64_t c = 0; c < w.channels; ++c)
    if (largestA[c] > 0 && largestB[c] > 0)
      s[c] = float(std::clamp(std::sqrt(double(largestA[c]) / largestB[c]), 1 / largestScale, largestScale));
  return s;
}

// What each channel is divided by to reach as far as the widest; what was measured of it changes with it.
SmallVector<float> EqualizeLayers::evenChannels(Pair &pair) {
  Channels channels = *getChannels(pair.second);
  SmallVector<float> s;
  auto reach = [&](size_t c) { return std::max(std::abs(channels.low[c]), std::abs(channels.high[c])); };
  float widest = 0;
  for (size_t c = 0; c < channels.low.size(); ++c)
    widest = std::max(widest, reach(c));
  Range range{0, 0};
  for (size_t c = 0; c < channels.low.size(); ++c) {
    s.push_back(reach(c) > 0 ? std::max(reach(c) / widest, float(1 / largestScale)) : 1.0f);
    for (float *value : {&channels.low[c], &channels.high[c], &channels.mean[c]})
      *value /= s.back();
    range = {std::min(range.low, channels.low[c]), std::max(range.high, channels.high[c])};
  }
  setChannels(pair.second, channels);
  if (getRange(pair.second.getX()))
    setRange(pair.second.getX(), range);
  return s;
}

void EqualizeLayers::scale(Pair &pair, ArrayRef<float> s) {
  Weights weights(pair);
  auto typeA = cast<RankedTensorType>(pair.first.getW().getType()),
       typeB = cast<RankedTensorType>(pair.second.getW().getType());
  SmallVector<float> &a = weights.a, &b = weights.b;
  for (auto [i, w] : llvm::enumerate(a))
    w /= s[weights.channelA(i)];
  for (auto [i, w] : llvm::enumerate(b))
    w *= s[weights.channelB(i)];
  OpBuilder builder(pair.first);
  if (ElementsAttr given = floatConstant(pair.first.getB())) {
    SmallVector<float> bias = onnx::getFloats(given);
    for (auto [c, value] : llvm::enumerate(bias))
      value /= s[c];
    pair.first->setOperand(2, constant(builder, pair.first.getB().getLoc(),
                                       onnx::makeFloats(cast<RankedTensorType>(given.getType()), bias)));
  }
  pair.first->setOperand(1, constant(builder, pair.first.getW().getLoc(), onnx::makeFloats(typeA, a)));
  builder.setInsertionPoint(pair.second);
  pair.second->setOperand(1, constant(builder, pair.second.getW().getLoc(), onnx::makeFloats(typeB, b)));
}

} // namespace
} // namespace burin::quant
