// Cross-layer equalization (Nagel and others, 2019): Relu(s x) = s Relu(x) for s > 0, so a channel between two
// convolutions may have any scale.
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
    for (int64_t round = 0; round < rounds; ++round)
      for (Pair &pair : pairs)
        equalize(pair);
    for (Pair &pair : pairs)
      passed(pair.first, passName, "Pair");
    eraseUnused(main);
    counted(getOperation(), passName, pairs.size());
  }

private:
  onnx::ConvOp partnerOf(onnx::ConvOp first);
  void equalize(Pair &pair);
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

void EqualizeLayers::equalize(Pair &pair) {
  SmallVector<float> a = onnx::getFloats(floatConstant(pair.first.getW())),
                     b = onnx::getFloats(floatConstant(pair.second.getW()));
  auto typeA = cast<RankedTensorType>(pair.first.getW().getType()),
       typeB = cast<RankedTensorType>(pair.second.getW().getType());
  int64_t channels = typeA.getDimSize(0), innerA = a.size() / channels;
  // Of the second the channels are dim 1, or dim 0 where it is depthwise.
  bool isDepthwise = pair.second.getGroup() != 1;
  int64_t innerB = isDepthwise ? b.size() / channels : b.size() / (typeB.getDimSize(0) * typeB.getDimSize(1));
  auto channelA = [&](size_t i) { return int64_t(i) / innerA; };
  auto channelB = [&](size_t i) { return int64_t(i) / innerB % channels; };
  SmallVector<float> largestA(channels, 0.0f), largestB(channels, 0.0f);
  for (auto [i, w] : llvm::enumerate(a))
    largestA[channelA(i)] = std::max(largestA[channelA(i)], std::abs(w));
  for (auto [i, w] : llvm::enumerate(b))
    largestB[channelB(i)] = std::max(largestB[channelB(i)], std::abs(w));
  SmallVector<float> s(channels, 1.0f);
  for (int64_t c = 0; c < channels; ++c)
    if (largestA[c] > 0 && largestB[c] > 0)
      s[c] = float(std::clamp(std::sqrt(double(largestA[c]) / largestB[c]), 1 / largestScale, largestScale));
  for (auto [i, w] : llvm::enumerate(a))
    w /= s[channelA(i)];
  for (auto [i, w] : llvm::enumerate(b))
    w *= s[channelB(i)];
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
