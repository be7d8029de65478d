// Reading per-channel scales and shifts off the operators exporters write them as. Computed in double; whoever uses
// them rounds once.
#include "passes/Graph/Affine.h"
#include "passes/Graph/Fold.h"
#include "passes/Graph/Rewriting.h"

#include <cmath>

using namespace mlir;

namespace burin::graph {

std::optional<SmallVector<double>> channels(Value value, int64_t count) {
  auto literal = readLiteral(onnx::getConstantAttr(value));
  if (!literal || !isa<FloatType>(literal->type.getElementType()) || literal->count() == 0)
    return std::nullopt;
  if (literal->splat)
    literal = reshaped(*literal, RankedTensorType::get({1}, literal->type.getElementType()));
  else if (count >= 0 && literal->count() != count && literal->count() != 1)
    return std::nullopt;
  return doubles(*literal);
}

std::optional<SmallVector<double>> perChannel(Value value, int64_t count, int64_t rank, int64_t channelDim) {
  ElementsAttr attr = onnx::getConstantAttr(value);
  RankedTensorType type = attr ? dyn_cast<RankedTensorType>(attr.getShapedType()) : RankedTensorType();
  if (!type || type.getRank() > rank || !isa<FloatType>(type.getElementType()))
    return std::nullopt;
  for (int64_t d = 0; d < type.getRank(); ++d) {
    bool isChannel = rank - type.getRank() + d == channelDim;
    if (type.getDimSize(d) != 1 && (!isChannel || type.getDimSize(d) != count))
      return std::nullopt;
  }
  return channels(value, count);
}

std::optional<Affine> affineOf(onnx::BatchNormalizationOp op, int64_t count) {
  auto scale = channels(op.getScale(), count), bias = channels(op.getB(), count);
  auto mean = channels(op.getInputMean(), count), variance = channels(op.getInputVar(), count);
  if (!scale || !bias || !mean || !variance || op.getTrainingMode() != 0)
    return std::nullopt;
  Affine affine;
  size_t n = std::max({scale->size(), bias->size(), mean->size(), variance->size()});
  for (size_t i = 0; i < n; ++i) {
    double s = at(*scale, i) / std::sqrt(at(*variance, i) + double(op.getEpsilon()));
    affine.scale.push_back(s);
    affine.shift.push_back(at(*bias, i) - at(*mean, i) * s);
  }
  return affine;
}

std::optional<Affine> affineOf(Operation *op, Value x, int64_t count, int64_t rank, int64_t channelDim) {
  if (auto bn = dyn_cast<onnx::BatchNormalizationOp>(op))
    return channelDim == 1 ? affineOf(bn, count) : std::nullopt;
  bool first = op->getOperand(0) == x;
  auto held = perChannel(op->getOperand(first ? 1 : 0), count, rank, channelDim);
  if (!held || op->getOperand(0) == op->getOperand(1))
    return std::nullopt;
  Affine affine{{1}, {0}, false, false};
  if (isa<onnx::MulOp>(op)) {
    affine.scale = *held;
    affine.scales = true;
  } else if (isa<onnx::AddOp>(op)) {
    affine.shift = *held;
    affine.shifts = true;
  } else if (isa<onnx::DivOp>(op) && first) {
    if (llvm::is_contained(*held, 0.0))
      return std::nullopt;
    affine.scale.clear();
    for (double value : *held)
      affine.scale.push_back(1 / value);
    affine.scales = true;
  } else if (isa<onnx::SubOp>(op)) {
    affine.shift.clear();
    for (double value : *held)
      affine.shift.push_back(first ? -value : value);
    affine.shifts = true;
    if (!first) {
      affine.scale = {-1};
      affine.scales = true;
    }
  } else {
    return std::nullopt;
  }
  return affine;
}

bool fits(ArrayRef<double> values, Type type) {
  double limit = APFloat::getLargest(cast<FloatType>(type).getFloatSemantics()).convertToDouble();
  return llvm::all_of(values, [&](double v) { return std::isfinite(v) && std::abs(v) <= limit; });
}

} // namespace burin::graph
