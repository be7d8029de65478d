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

// The radicand where value = radicand ^ power, by Sqrt or Pow.
static Value underRoot(Value value, double power) {
  if (auto pow = definedBy<onnx::PowOp>(value))
    return uniform(pow.getY()) == std::optional<double>(power) ? Value(pow.getX()) : Value();
  auto sqrt = power == 0.5 ? definedBy<onnx::SqrtOp>(value) : onnx::SqrtOp();
  return sqrt ? Value(sqrt.getX()) : Value();
}

Value underInverseRoot(Value value, SmallVectorImpl<Operation *> &parts) {
  Value root = reciprocated(value);
  Value radicand = root ? underRoot(root, 0.5) : underRoot(value, -0.5);
  if (radicand && root)
    parts.push_back(root.getDefiningOp());
  if (radicand)
    parts.push_back(value.getDefiningOp());
  return radicand;
}

std::optional<RootQuotient> readRootQuotient(Value value) {
  RootQuotient made;
  if (auto div = definedBy<onnx::DivOp>(value)) {
    made.numerator = div.getA();
    made.radicand = underRoot(div.getB(), 0.5);
    if (made.radicand)
      made.parts = {div.getB().getDefiningOp(), div};
    return made.radicand ? std::optional(made) : std::nullopt;
  }
  auto mul = definedBy<onnx::MulOp>(value);
  for (unsigned i = 0; mul && i < 2; ++i) {
    made.numerator = mul->getOperand(1 - i);
    made.radicand = underInverseRoot(mul->getOperand(i), made.parts);
    auto scaled = made.radicand ? onnx::MulOp() : definedBy<onnx::MulOp>(mul->getOperand(i));
    for (unsigned j = 0; scaled && scaled->hasOneUse() && !made.radicand && j < 2; ++j)
      if (onnx::getConstantAttr(scaled->getOperand(j))) {
        made.scale = scaled->getOperand(j);
        made.radicand = underInverseRoot(scaled->getOperand(1 - j), made.parts);
      }
    if (!made.radicand)
      continue;
    if (made.scale)
      made.parts.push_back(scaled);
    made.parts.push_back(mul);
    return made;
  }
  return std::nullopt;
}

onnx::ReduceMeanOp centered(Value value, Value &x) {
  auto sub = definedBy<onnx::SubOp>(value);
  auto mean = sub ? definedBy<onnx::ReduceMeanOp>(sub.getB()) : onnx::ReduceMeanOp();
  if (!mean || mean.getData() != sub.getA())
    return {};
  x = sub.getA();
  return mean;
}

// The mean whose root is taken, if `value` is the variance of x, whose mean is `mean`: of (x - mean)^2, or of x^2 with
// mean^2 taken off, which may be limited to 0.
static onnx::ReduceMeanOp readVariance(Value value, Value x, onnx::ReduceMeanOp &mean) {
  if (auto max = definedBy<onnx::MaxOp>(value); max && max->getNumOperands() == 2)
    for (unsigned i : {0, 1})
      if (uniform(max->getOperand(i)) == std::optional<double>(0))
        value = max->getOperand(1 - i);
  if (auto relu = definedBy<onnx::ReluOp>(value))
    value = relu.getX();
  auto difference = definedBy<onnx::SubOp>(value);
  auto squares = definedBy<onnx::ReduceMeanOp>(difference ? Value(difference.getA()) : value);
  Value square = squares ? squareOf(squares.getData()) : Value(), other;
  if (!square)
    return {};
  if (difference)
    return square == x && squareOf(difference.getB()) == mean.getResult() ? squares : onnx::ReduceMeanOp();
  // Exporters write x - mean once or twice.
  onnx::ReduceMeanOp again = centered(square, other);
  if (!again || other != x)
    return {};
  mean = again;
  return squares;
}

std::optional<NormCore> readLayerCore(const RootQuotient &quotient, StringRef &why) {
  NormCore core;
  onnx::ReduceMeanOp mean = centered(quotient.numerator, core.x), again = mean;
  auto add = mean ? definedBy<onnx::AddOp>(quotient.radicand) : onnx::AddOp();
  std::optional<double> epsilon;
  onnx::ReduceMeanOp variance;
  for (unsigned i = 0; add && i < 2 && !variance; ++i)
    if (epsilon = uniform(add->getOperand(i)); epsilon)
      variance = readVariance(add->getOperand(1 - i), core.x, again);
  if (!variance)
    return std::nullopt;
  auto axis = trailingAxis(mean);
  if (!axis || axis != trailingAxis(variance) || axis != trailingAxis(again)) {
    why = "the means are not over the same last dims";
    return std::nullopt;
  }
  core.axis = *axis;
  core.epsilon = *epsilon;
  core.parts = {mean, quotient.numerator.getDefiningOp(), variance, add};
  core.parts.append(quotient.parts);
  return core;
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
