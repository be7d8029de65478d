// The parts of a normalization that RaiseLayerNorm and RaiseRmsNorm read alike.
#include "passes/Graph/Norms.h"

using namespace mlir;

namespace burin::graph {

std::optional<int64_t> trailingAxis(onnx::ReduceMeanOp op) {
  RankedTensorType type = rankedType(op.getData());
  auto axes = onnx::isNone(op.getAxes()) ? std::nullopt : onnx::getConstantInts(op.getAxes());
  if (!type || !axes || axes->empty() || op.getKeepdims() == 0)
    return std::nullopt;
  for (int64_t &axis : *axes)
    axis = axis < 0 ? axis + type.getRank() : axis;
  llvm::sort(*axes);
  for (auto [i, axis] : llvm::enumerate(*axes))
    if (axis != type.getRank() - int64_t(axes->size()) + int64_t(i))
      return std::nullopt;
  return axes->front();
}

std::optional<MeanAndEpsilon> readMeanAndEpsilon(onnx::AddOp sum) {
  for (unsigned i = 0; sum && i < 2; ++i) {
    auto epsilon = uniform(sum->getOperand(i));
    auto mean = definedBy<onnx::ReduceMeanOp>(sum->getOperand(1 - i));
    if (epsilon && mean)
      return MeanAndEpsilon{mean, *epsilon};
  }
  return std::nullopt;
}

Value squareOf(Value value) {
  if (auto pow = definedBy<onnx::PowOp>(value))
    return uniform(pow.getY()) == std::optional<double>(2) ? Value(pow.getX()) : Value();
  auto mul = definedBy<onnx::MulOp>(value);
  return mul && mul.getA() == mul.getB() ? Value(mul.getA()) : Value();
}

Value reciprocated(Value value) {
  if (auto reciprocal = definedBy<onnx::ReciprocalOp>(value))
    return reciprocal.getX();
  auto div = definedBy<onnx::DivOp>(value);
  return div && uniform(div.getA()) == std::optional<double>(1) ? Value(div.getB()) : Value();
}

Value narrowSource(onnx::CastOp back, Value x) {
  auto widen = definedBy<onnx::CastOp>(x);
  RankedTensorType narrow = widen ? rankedType(widen.getInput()) : RankedTensorType();
  RankedTensorType result = rankedType(back.getOutput()), wide = rankedType(x);
  bool fits = narrow && result && wide && wide.getElementType().isF32() &&
              narrow.getElementType() == result.getElementType() &&
              (narrow.getElementType().isF16() || narrow.getElementType().isBF16());
  return fits ? Value(widen.getInput()) : Value();
}

Value onesFrom(OpBuilder &builder, Location loc, Value x, int64_t axis) {
  RankedTensorType type = rankedType(x);
  ArrayRef<int64_t> shape = type.getShape().drop_front(axis);
  if (llvm::is_contained(shape, ShapedType::kDynamic))
    return {};
  Type element = type.getElementType();
  return constant(builder, loc,
                  DenseElementsAttr::get(RankedTensorType::get(shape, element), builder.getFloatAttr(element, 1.0)));
}

} // namespace burin::graph
