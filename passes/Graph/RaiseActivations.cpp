// Activations that exporters spell out, recognised as what they are: a product of factors and one constant, in whatever
// order and association, where one factor is x and another a gate made of x. Later stages then see one operator with
// one rounding. Constants must agree within rounding, and nothing else may use the parts.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEACTIVATIONS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseActivations";

// constant * factors[0] * factors[1] * ..., and the operators it was read from.
struct Product {
  double constant = 1;
  SmallVector<Value> factors;
  SmallVector<Operation *> ops;
};

// A constant that broadcasts to nothing: one element, rank no larger than the value's.
std::optional<double> gain(Value constant, Value other) {
  RankedTensorType type = rankedType(constant), whole = rankedType(other);
  if (!type || !whole || !type.hasStaticShape() || type.getNumElements() != 1 || type.getRank() > whole.getRank() ||
      !isa<FloatType>(type.getElementType()))
    return std::nullopt;
  return uniform(constant);
}

// Reads a tree of Neg, Mul and Div by constants. What is used elsewhere too is a factor, not a part.
void readProduct(Value value, Product &product, bool isRoot = false, unsigned depth = 0) {
  Operation *op = value.getDefiningOp();
  if (isa_and_nonnull<onnx::NegOp>(op) && depth < 6 && value.hasOneUse()) {
    product.constant = -product.constant;
    product.ops.push_back(op);
    return readProduct(op->getOperand(0), product, false, depth + 1);
  }
  if (op && depth < 6 && (isRoot || value.hasOneUse()) && isa<onnx::MulOp, onnx::DivOp>(op)) {
    Value a = op->getOperand(0), b = op->getOperand(1);
    auto gainB = gain(b, a), gainA = isa<onnx::MulOp>(op) ? gain(a, b) : std::nullopt;
    if (gainB && (*gainB != 0 || isa<onnx::MulOp>(op))) {
      product.constant = isa<onnx::MulOp>(op) ? product.constant * *gainB : product.constant / *gainB;
      product.ops.push_back(op);
      return readProduct(a, product, false, depth + 1);
    }
    if (gainA) {
      product.constant *= *gainA;
      product.ops.push_back(op);
      return readProduct(b, product, false, depth + 1);
    }
    if (isa<onnx::MulOp>(op) && sameType(a.getType(), b.getType())) {
      product.ops.push_back(op);
      readProduct(a, product, false, depth + 1);
      return readProduct(b, product, false, depth + 1);
    }
  }
  product.factors.push_back(value);
}

bool isNear(double value, double expected, Value typed) {
  RankedTensorType type = rankedType(typed);
  bool narrow = type && type.getElementType().isIntOrFloat() && type.getElementTypeBitWidth() <= 16;
  return std::abs(value - expected) <= (narrow ? 2e-3 : 2e-6) * std::abs(expected);
}

// value = other + constant.
std::optional<std::pair<Value, double>> readSum(Value value) {
  auto add = definedBy<onnx::AddOp>(value);
  if (!add)
    return std::nullopt;
  if (auto held = gain(add.getB(), add.getA()))
    return std::make_pair(Value(add.getA()), *held);
  if (auto held = gain(add.getA(), add.getB()))
    return std::make_pair(Value(add.getB()), *held);
  return std::nullopt;
}

// value = x limited to [low, high], as Clip, as Min of Max or as Max of Min, Relu being a Max: that x.
Value clipped(Value value, double low, double high) {
  auto bound = [](Value v, double x) { return !onnx::isNone(v) && uniform(v) == std::optional<double>(x); };
  if (!value.hasOneUse())
    return {};
  if (auto clip = definedBy<onnx::ClipOp>(value))
    return bound(clip.getMin(), low) && bound(clip.getMax(), high) ? Value(clip.getInput()) : Value();
  auto side = [&](Value v, bool isMin, double limit) -> Value {
    Operation *op = v.getDefiningOp();
    if (auto relu = dyn_cast_or_null<onnx::ReluOp>(op); relu && !isMin && limit == 0)
      return relu.getX();
    if (!op || op->getNumOperands() != 2 || !(isMin ? isa<onnx::MinOp>(op) : isa<onnx::MaxOp>(op)))
      return {};
    for (unsigned i : {0, 1})
      if (gain(op->getOperand(i), op->getOperand(1 - i)) == std::optional<double>(limit))
        return op->getOperand(1 - i);
    return {};
  };
  for (bool minLast : {true, false}) {
    Value inner = side(value, minLast, minLast ? high : low);
    if (Value x = inner && inner.hasOneUse() ? side(inner, !minLast, minLast ? low : high) : Value())
      return x;
  }
  return {};
}

// Clip(x + 3, 0, 6): x, or null.
Value clippedBy3(Value value) {
  Value inner = clipped(value, 0, 6);
  auto sum = inner ? readSum(inner) : std::nullopt;
  return sum && sum->second == 3 && inner.hasOneUse() ? sum->first : Value();
}

// Log(1 + Exp(x)): x, or null.
Value softplusArgument(Value value) {
  auto log = definedBy<onnx::LogOp>(value);
  auto sum = log ? readSum(log.getInput()) : std::nullopt;
  auto exp = sum && sum->second == 1 ? definedBy<onnx::ExpOp>(sum->first) : onnx::ExpOp();
  return exp && exp->hasOneUse() && log.getInput().hasOneUse() ? Value(exp.getInput()) : Value();
}

// constant * x: x, or null.
Value scaledBy(Value value, double constant) {
  // What is negated may be used elsewhere too.
  if (auto neg = definedBy<onnx::NegOp>(value); neg && constant == -1)
    return neg.getX();
  Product inner;
  readProduct(value, inner);
  return inner.factors.size() == 1 && inner.constant == constant ? inner.factors[0] : Value();
}

// 1 + Exp(-x): x, or null.
Value sigmoidArgument(Value value) {
  auto sum = value.hasOneUse() ? readSum(value) : std::nullopt;
  auto exp = sum && sum->second == 1 ? definedBy<onnx::ExpOp>(sum->first) : onnx::ExpOp();
  return exp && exp->hasOneUse() ? scaledBy(exp.getInput(), -1) : Value();
}

NamedAttribute f32(OpBuilder &builder, StringRef name, double value) {
  return builder.getNamedAttr(name, builder.getF32FloatAttr(float(value)));
}

template <typename OpTy>
bool become(Operation *op, Value x, ArrayRef<Operation *> parts, ArrayRef<NamedAttribute> attributes = {}) {
  StringRef name = OpTy::getOperationName().drop_front(StringRef("onnx.").size());
  if (!sameType(x.getType(), op->getResult(0).getType()))
    return missed(op, passName, name, "a constant broadcasts its operand");
  OpBuilder builder(op);
  SmallVector<Operation *> all(parts);
  all.push_back(op);
  Value value = build<OpTy>(builder, fuse(all), x, attributes);
  return replaceBy(op, value, passName, name);
}

// The argument of erf or tanh as c * x ... : true if it is `factor` times x and nothing more.
bool isScaled(Value value, Value x, double factor) {
  Product inner;
  readProduct(value, inner);
  return inner.factors.size() == 1 && inner.factors[0] == x && isNear(inner.constant, factor, x);
}

// value = constant * x^power, with power counted over Mul and Pow: that constant.
std::optional<double> readPower(Value value, Value x, double power) {
  Product inner;
  readProduct(value, inner);
  double count = 0;
  for (Value factor : inner.factors) {
    if (factor == x) {
      count += 1;
      continue;
    }
    if (auto pow = definedBy<onnx::PowOp>(factor); pow && pow.getX() == x && uniform(pow.getY())) {
      count += *uniform(pow.getY());
      continue;
    }
    // x * x with another use (shared by CSE) is still x^2.
    auto mul = definedBy<onnx::MulOp>(factor);
    if (!mul || mul.getA() != x || mul.getB() != x)
      return std::nullopt;
    count += 2;
  }
  return count == power ? std::optional<double>(inner.constant) : std::nullopt;
}

// gain * sqrt(2/pi) * (x + 0.044715 x^3), multiplied out or not, also as x * (1 + 0.044715 x^2).
bool isTanhArgument(Value value, Value x, double gain = 1) {
  Product inner;
  readProduct(value, inner);
  auto fits = [&](double linear, double cubic) {
    return isNear(inner.constant * linear, gain * std::sqrt(2 / M_PI), x) && isNear(cubic, 0.044715 * linear, x);
  };
  if (inner.factors.size() == 1) {
    auto add = definedBy<onnx::AddOp>(inner.factors[0]);
    for (unsigned i = 0; add && i < 2; ++i) {
      auto linear = readPower(add->getOperand(i), x, 1), cubic = readPower(add->getOperand(1 - i), x, 3);
      if (linear && cubic && fits(*linear, *cubic))
        return true;
    }
    return false;
  }
  if (inner.factors.size() != 2)
    return false;
  Value other = inner.factors[0] == x ? inner.factors[1] : inner.factors[1] == x ? inner.factors[0] : Value();
  auto sum = other ? readSum(other) : std::nullopt;
  auto square = sum ? readPower(sum->first, x, 2) : std::nullopt;
  return square && fits(sum->second, *square);
}

// c * x * gate -> one operator, by the gate:
//   Sigmoid(a x), c = 1              -> Swish {alpha = a}
//   Clip(x + 3, 0, 6), c = 1/6       -> HardSwish
//   HardSigmoid(x) of 1/6 and 1/2    -> HardSwish
//   1 + Erf(x / sqrt 2), c = 1/2     -> Gelu
//   1 - Erf(-x / sqrt 2), c = 1/2    -> Gelu
//   1 + Tanh(...), c = 1/2           -> Gelu {approximate = "tanh"}
//   Sigmoid of twice that, c = 1     -> Gelu {approximate = "tanh"}
//   Tanh(Softplus(x)), c = 1         -> Mish
//  - nothing else uses the gate or what leads to it, or it would be computed twice
bool raiseGate(Operation *op, const Product &product, Value x, Value gate) {
  OpBuilder builder(op);
  Operation *maker = gate.getDefiningOp();
  if (!maker)
    return false;
  SmallVector<Operation *> parts{maker};
  parts.append(product.ops.begin(), product.ops.end());
  bool unit = isNear(product.constant, 1, x);
  if (auto sigmoid = dyn_cast<onnx::SigmoidOp>(maker)) {
    Product inner;
    readProduct(sigmoid.getX(), inner);
    if (unit && gate.hasOneUse() && isTanhArgument(sigmoid.getX(), x, 2))
      return become<onnx::GeluOp>(op, x, parts, builder.getNamedAttr("approximate", builder.getStringAttr("tanh")));
    if (inner.factors.size() != 1 || inner.factors[0] != x || !unit)
      return false;
    if (!gate.hasOneUse())
      return missed(op, passName, "Swish", "the Sigmoid has several uses");
    return become<onnx::SwishOp>(op, x, parts, f32(builder, "alpha", inner.constant));
  }
  if (clippedBy3(gate) == x && isNear(product.constant, 1.0 / 6, x))
    return become<onnx::HardSwishOp>(op, x, parts);
  if (auto hard = dyn_cast<onnx::HardSigmoidOp>(maker); hard && hard.getX() == x) {
    if (!unit || !isNear(hard.getAlpha(), 1.0 / 6, x) || !isNear(hard.getBeta(), 0.5, x))
      return missed(op, passName, "HardSwish", "its HardSigmoid is not of 1/6 and 1/2");
    if (!gate.hasOneUse())
      return missed(op, passName, "HardSwish", "the HardSigmoid has several uses");
    return become<onnx::HardSwishOp>(op, x, parts);
  }
  if (auto tanh = dyn_cast<onnx::TanhOp>(maker)) {
    auto softplus = definedBy<onnx::SoftplusOp>(tanh.getInput());
    // Where Exp overflows, the hyperbolic tangent of either is 1.
    bool isMish = softplus ? softplus.getX() == x : softplusArgument(tanh.getInput()) == x;
    return isMish && unit && gate.hasOneUse() && become<onnx::MishOp>(op, x, parts);
  }
  auto sum = readSum(gate);
  double sign = 1;
  if (auto sub = definedBy<onnx::SubOp>(gate); sub && gain(sub.getA(), sub.getB()) == std::optional<double>(1)) {
    sum = std::make_pair(Value(sub.getB()), 1.0);
    sign = -1;
  }
  if (!sum || sum->second != 1)
    return false;
  Operation *curve = sum->first.getDefiningOp();
  if (!curve || !isa<onnx::ErfOp, onnx::TanhOp>(curve))
    return false;
  bool isErf = isa<onnx::ErfOp>(curve);
  if (!(isErf ? isScaled(curve->getOperand(0), x, sign * M_SQRT1_2) : isTanhArgument(curve->getOperand(0), x, sign)))
    return missed(op, passName, "Gelu", "the argument of " + onnx::getOpType(curve).str() + " is not Gelu's");
  if (!isNear(product.constant, 0.5, x))
    return false;
  if (!gate.hasOneUse() || !sum->first.hasOneUse())
    return missed(op, passName, "Gelu", "a part has several uses");
  parts.push_back(curve);
  return become<onnx::GeluOp>(op, x, parts,
                              builder.getNamedAttr("approximate", builder.getStringAttr(isErf ? "none" : "tanh")));
}

// h + h * Erf(x / sqrt 2), or with Gelu's Tanh, h = x / 2   ->   Gelu(x)
//  - nothing else uses the product or the curve
bool raiseSplitGelu(onnx::AddOp op) {
  for (unsigned i : {0, 1}) {
    Value half = op->getOperand(i);
    auto mul = definedBy<onnx::MulOp>(op->getOperand(1 - i));
    if (!mul || !mul->hasOneUse() || (mul.getA() != half && mul.getB() != half))
      continue;
    Value bent = mul.getA() == half ? mul.getB() : mul.getA();
    Operation *curve = bent.getDefiningOp();
    Product scaled;
    readProduct(half, scaled, /*isRoot=*/true);
    if (!isa_and_nonnull<onnx::ErfOp, onnx::TanhOp>(curve) || scaled.factors.size() != 1 || scaled.constant != 0.5)
      continue;
    Value x = scaled.factors[0];
    bool isErf = isa<onnx::ErfOp>(curve);
    if (!(isErf ? isScaled(curve->getOperand(0), x, M_SQRT1_2) : isTanhArgument(curve->getOperand(0), x)))
      return missed(op, passName, "Gelu", "the argument of " + onnx::getOpType(curve).str() + " is not Gelu's");
    if (!bent.hasOneUse())
      return missed(op, passName, "Gelu", "a part has several uses");
    OpBuilder builder(op);
    return become<onnx::GeluOp>(op, x, {curve, mul},
                                builder.getNamedAttr("approximate", builder.getStringAttr(isErf ? "none" : "tanh")));
  }
  return false;
}

// Tanh(x / 2) / 2 + 1/2   ->   Sigmoid(x)
bool raiseShiftedTanh(onnx::AddOp op) {
  auto sum = readSum(op);
  Product outer;
  if (sum && sum->second == 0.5)
    readProduct(sum->first, outer);
  auto tanh =
      outer.factors.size() == 1 && outer.constant == 0.5 ? definedBy<onnx::TanhOp>(outer.factors[0]) : onnx::TanhOp();
  Value x = tanh ? scaledBy(tanh.getInput(), 0.5) : Value();
  if (!x)
    return false;
  if (!tanh->hasOneUse())
    return missed(op, passName, "Sigmoid", "the Tanh has several uses");
  return become<onnx::SigmoidOp>(op, x, {tanh, sum->first.getDefiningOp()});
}

// Relu(x), or Max(x, 0): x, or null.
Value reluArgument(Value value) {
  if (auto relu = definedBy<onnx::ReluOp>(value))
    return relu.getX();
  auto max = definedBy<onnx::MaxOp>(value);
  for (unsigned i = 0; max && max->getNumOperands() == 2 && i < 2; ++i)
    if (gain(max->getOperand(i), max->getOperand(1 - i)) == std::optional<double>(0))
      return max->getOperand(1 - i);
  return {};
}

// Relu(x) + Log(1 + Exp(-Abs(x)))     ->   Softplus(x)
// Relu(x) - a * Relu(-x)              ->   LeakyRelu {a}, or PRelu where a is a constant of several numbers
// Relu(x) + b * Relu(-x)              ->   the same with a = -b
//  - nothing else uses the parts; a broadcasts to x
bool raiseRelus(Operation *op) {
  for (unsigned i = 0; i < (isa<onnx::AddOp>(op) ? 2u : 1u); ++i) {
    Value x = reluArgument(op->getOperand(i)), other = op->getOperand(1 - i);
    if (!x || !op->getOperand(i).hasOneUse() || !other.hasOneUse())
      continue;
    SmallVector<Operation *> parts = {op->getOperand(i).getDefiningOp(), other.getDefiningOp()};
    if (Value argument = isa<onnx::AddOp>(op) ? softplusArgument(other) : Value()) {
      Value inner = scaledBy(argument, -1);
      auto abs = inner ? definedBy<onnx::AbsOp>(inner) : onnx::AbsOp();
      if (abs && abs.getX() == x)
        return become<onnx::SoftplusOp>(op, x, parts);
    }
    auto mul = definedBy<onnx::MulOp>(other);
    for (unsigned j = 0; mul && j < 2; ++j) {
      Value slope = mul->getOperand(j), mirrored = reluArgument(mul->getOperand(1 - j));
      auto neg = mirrored && mul->getOperand(1 - j).hasOneUse() ? definedBy<onnx::NegOp>(mirrored) : onnx::NegOp();
      if (!neg || neg.getX() != x || !onnx::getConstantAttr(slope))
        continue;
      parts.append({neg, mul->getOperand(1 - j).getDefiningOp()});
      OpBuilder builder(op);
      if (auto one = gain(slope, x))
        return become<onnx::LeakyReluOp>(op, x, parts, f32(builder, "alpha", isa<onnx::SubOp>(op) ? *one : -*one));
      if (!sameType(x.getType(), op->getResult(0).getType()))
        return missed(op, passName, "PRelu", "the slope broadcasts its operand");
      if (isa<onnx::AddOp>(op)) {
        slope = build<onnx::NegOp>(builder, slope.getLoc(), slope);
        slope = slope ? foldOrKeep(slope.getDefiningOp()) : slope;
      }
      Value made = slope ? build<onnx::PReluOp>(builder, fuse(parts), {x, slope}) : Value();
      return replaceBy(op, made, passName, "PRelu");
    }
  }
  return false;
}

// Clip(a x + b, 0, 1)   ->   HardSigmoid {a, b}
//  - a and b are constants of one element, a not 0
bool raiseHardSigmoid(Operation *op) {
  Value limited = isa<onnx::ClipOp, onnx::MinOp, onnx::MaxOp>(op) ? clipped(op->getResult(0), 0, 1) : Value();
  auto sum = limited && limited.hasOneUse() ? readSum(limited) : std::nullopt;
  if (!sum)
    return false;
  Product product;
  readProduct(sum->first, product);
  if (product.factors.size() != 1 || product.constant == 0)
    return false;
  OpBuilder builder(op);
  return become<onnx::HardSigmoidOp>(op, product.factors[0], {limited.getDefiningOp()},
                                     {f32(builder, "alpha", product.constant), f32(builder, "beta", sum->second)});
}

// 1 / (1 + Exp(-x))   ->   Sigmoid(x)
// x / (1 + Exp(-x))   ->   Swish(x)
bool raiseQuotient(Operation *op) {
  Value below = isa<onnx::DivOp>(op) ? op->getOperand(1) : isa<onnx::ReciprocalOp>(op) ? op->getOperand(0) : Value();
  Value x = below ? sigmoidArgument(below) : Value();
  if (!x)
    return false;
  OpBuilder builder(op);
  if (isa<onnx::ReciprocalOp>(op) || gain(op->getOperand(0), below) == std::optional<double>(1))
    return become<onnx::SigmoidOp>(op, x, {below.getDefiningOp()});
  return op->getOperand(0) == x && become<onnx::SwishOp>(op, x, {below.getDefiningOp()}, f32(builder, "alpha", 1));
}

// Where(x > 20, x, Log(1 + Exp(x)))   ->   Softplus(x): beyond a limit of at least 15 both are x, rounded
// Log(1 + Exp(x)) alone is not: it overflows where Softplus does not.
bool raiseSoftplus(Operation *op) {
  auto where = dyn_cast<onnx::WhereOp>(op);
  if (!where) {
    if (isa<onnx::LogOp>(op) && softplusArgument(op->getResult(0)) &&
        llvm::none_of(op->getUsers(), [](Operation *user) { return isa<onnx::WhereOp, onnx::TanhOp>(user); }))
      return missed(op, passName, "Softplus", "Log(1 + Exp(x)) overflows where Softplus does not");
    return false;
  }
  Value x = where.getY().hasOneUse() ? softplusArgument(where.getY()) : Value();
  auto above = definedBy<onnx::GreaterOp>(where.getCondition());
  if (!x || where.getX() != x || !above || above.getA() != x)
    return false;
  auto limit = gain(above.getB(), x);
  RankedTensorType type = rankedType(x);
  if (!limit || *limit < 15 || *limit > (type.getElementType().isF16() ? 11 : 80))
    return missed(op, passName, "Softplus", "the limit is not one beyond which both sides are the same");
  return become<onnx::SoftplusOp>(op, x, {above, where.getY().getDefiningOp()});
}

// Max(x, a x), Where(x > 0, x, a x)   ->   LeakyRelu {a}, for the maximum with a from 0 to 1
bool raiseLeakyRelu(Operation *op) {
  auto slope = [&](Value value, Value x) -> std::optional<double> {
    Product product;
    readProduct(value, product);
    bool fits = product.factors.size() == 1 && product.factors[0] == x && !product.ops.empty();
    return fits ? std::optional<double>(product.constant) : std::nullopt;
  };
  OpBuilder builder(op);
  if (isa<onnx::MaxOp>(op) && op->getNumOperands() == 2) {
    for (unsigned i : {0, 1})
      if (auto a = slope(op->getOperand(1 - i), op->getOperand(i)); a && *a >= 0 && *a <= 1)
        return become<onnx::LeakyReluOp>(op, op->getOperand(i), {op->getOperand(1 - i).getDefiningOp()},
                                         f32(builder, "alpha", *a));
    return false;
  }
  auto where = dyn_cast<onnx::WhereOp>(op);
  Operation *above = where ? where.getCondition().getDefiningOp() : nullptr;
  if (!isa_and_nonnull<onnx::GreaterOp, onnx::GreaterOrEqualOp>(above) || above->getOperand(0) != where.getX() ||
      gain(above->getOperand(1), where.getX()) != std::optional<double>(0))
    return false;
  auto a = slope(where.getY(), where.getX());
  return a &&
         become<onnx::LeakyReluOp>(op, where.getX(), {above, where.getY().getDefiningOp()}, f32(builder, "alpha", *a));
}

bool visit(Operation *op) {
  RankedTensorType type = op->getNumResults() == 1 ? rankedType(op->getResult(0)) : RankedTensorType();
  if (!type || !isa<FloatType>(type.getElementType()))
    return false;
  if (raiseHardSigmoid(op) || raiseQuotient(op) || raiseSoftplus(op) || raiseLeakyRelu(op))
    return true;
  if (auto add = dyn_cast<onnx::AddOp>(op); add && (raiseSplitGelu(add) || raiseShiftedTanh(add)))
    return true;
  if (isa<onnx::AddOp, onnx::SubOp>(op))
    return raiseRelus(op);
  if (!isa<onnx::MulOp, onnx::DivOp>(op))
    return false;
  Product product;
  readProduct(op->getResult(0), product, true);
  // Clip(x + 3, 0, 6) / 6 alone: a HardSigmoid, unless x follows as a factor; then HardSwish matches at that product.
  if (product.factors.size() == 1) {
    Value x = clippedBy3(product.factors[0]);
    if (!x || !isNear(product.constant, 1.0 / 6, x))
      return false;
    OpBuilder builder(op);
    return become<onnx::HardSigmoidOp>(op, x, {product.factors[0].getDefiningOp()},
                                       {f32(builder, "alpha", 1.0 / 6), f32(builder, "beta", 0.5)});
  }
  if (product.factors.size() != 2)
    return false;
  return raiseGate(op, product, product.factors[0], product.factors[1]) ||
         raiseGate(op, product, product.factors[1], product.factors[0]);
}

class RaiseActivations : public impl::RaiseActivationsBase<RaiseActivations> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
