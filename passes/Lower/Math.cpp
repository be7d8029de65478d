// The Math family: every elementwise operator as one linalg.generic. A table from operator to the scalar it computes;
// broadcasting, orders, constants and the narrow floats are the same for all and stand once, below the table.
#include "passes/Lower/Lowering.h"
#include "passes/Lower/Narrow.h"
#include "passes/Lower/Scalars.h"

#include <cmath>

using namespace mlir;
namespace ar = mlir::arith;

namespace burin::lower {
namespace {

/// One element: the operands' elements (narrow floats already as f32) and the node they belong to.
struct Element : Scalars {
  Element(ImplicitLocOpBuilder &b, bool isUnsigned, Operation *op, ValueRange args)
      : Scalars(b, isUnsigned), op(op), args(args) {}
  Operation *op;
  ValueRange args;
  Value x() { return args[0]; }
  Value y() { return args[1]; }
  Value c(double value) { return like(args[0], value); }
  template <typename OpTy> OpTy node() { return mlir::cast<OpTy>(op); }
  template <typename OpTy> Value unary() { return OpTy::create(b, x()); }
  template <typename OpTy> Value logic() { return b.createOrFold<OpTy>(x(), y()); }
  Value all(Value (Scalars::*combine)(Value, Value)) {
    Value result = args[0];
    for (Value v : args.drop_front())
      result = (this->*combine)(result, v);
    return result;
  }
  Value clamp(Value v, double low, double high) { return min(max(v, like(v, low)), like(v, high)); }
};

/// Exponent and base may have different types; the result has the base's.
Value lowerPow(Element &e) {
  Value x = e.x(), y = e.y();
  bool xFloat = isa<FloatType>(x.getType()), yFloat = isa<FloatType>(y.getType());
  Scalars exponent(e.b, getElementTypeOrSelf(e.op->getOperand(1).getType()).isUnsignedInteger());
  if (xFloat)
    return e.pow(x, exponent.cast(y, x.getType()));
  if (!yFloat)
    return e.pow(x, y);
  Type wide = e.b.getF64Type();
  return Scalars(e.b, false).cast(e.pow(e.cast(x, wide), exponent.cast(y, wide)), x.getType(), e.isUnsigned);
}

/// An amount outside [0, width) gives what shifting one by one would: sign bits to the right, else zero.
Value lowerBitShift(Element &e) {
  bool left = e.node<onnx::BitShiftOp>().getDirection() == "LEFT";
  unsigned width = e.x().getType().getIntOrFloatBitWidth();
  Value inside = e.b.createOrFold<ar::CmpIOp>(ar::CmpIPredicate::ult, e.y(), e.c(width));
  bool keepsSign = !left && !e.isUnsigned;
  Value amount = e.select(inside, e.y(), e.c(keepsSign ? width - 1 : 0));
  if (keepsSign)
    return e.b.createOrFold<ar::ShRSIOp>(e.x(), amount);
  Value shifted = left ? e.b.createOrFold<ar::ShLIOp>(e.x(), amount) : e.b.createOrFold<ar::ShRUIOp>(e.x(), amount);
  return e.select(inside, shifted, e.c(0));
}

Value lowerIsInf(Element &e) {
  auto node = e.node<onnx::IsInfOp>();
  Value result = e.constant(e.b.getI1Type(), 0);
  if (node.getDetectPositive())
    result = e.b.createOrFold<ar::OrIOp>(e.equal(e.x(), e.infinity(e.x().getType())), result);
  if (node.getDetectNegative())
    result = e.b.createOrFold<ar::OrIOp>(e.equal(e.x(), e.infinity(e.x().getType(), true)), result);
  return result;
}

Value lowerSign(Element &e) {
  if (e.isUnsigned)
    return e.select(e.equal(e.x(), e.c(0)), e.c(0), e.c(1));
  // What is neither above nor below zero is zero or NaN and stays.
  return e.select(e.less(e.c(0), e.x()), e.c(1), e.select(e.less(e.x(), e.c(0)), e.c(-1), e.x()));
}

Value lowerGelu(Element &e) {
  Value x = e.x(), half = e.mul(e.c(0.5), x);
  if (e.node<onnx::GeluOp>().getApproximate() == "tanh") {
    Value cubic = e.add(x, e.mul(e.c(0.044715), e.mul(e.square(x), x)));
    return e.mul(half, e.add(e.c(1), e.tanh(e.mul(e.c(std::sqrt(2 / M_PI)), cubic))));
  }
  Value erf = math::ErfOp::create(e.b, e.mul(x, e.c(M_SQRT1_2)));
  return e.mul(half, e.add(e.c(1), erf));
}

Value lowerCelu(Element &e) {
  double alpha = e.node<onnx::CeluOp>().getAlpha();
  Value tail = e.mul(e.c(alpha), e.sub(e.exp(e.div(e.x(), e.c(alpha))), e.c(1)));
  return e.add(e.max(e.x(), e.c(0)), e.min(tail, e.c(0)));
}

Value lowerShrink(Element &e) {
  auto node = e.node<onnx::ShrinkOp>();
  Value x = e.x(), lambd = e.c(node.getLambd()), bias = e.c(node.getBias());
  return e.select(e.less(x, e.neg(lambd)), e.add(x, bias), e.select(e.less(lambd, x), e.sub(x, bias), e.c(0)));
}

/// What one element of the result is. Comparisons answer i1; the others the compute type of their operands.
struct Entry {
  StringRef name;
  Value (*build)(Element &e);
};

#define ENTRY(name, ...) {#name, [](Element &e) -> Value { return __VA_ARGS__; }}
const Entry table[] = {
    // Arithmetic
    ENTRY(Add, e.add(e.x(), e.y())),
    ENTRY(Sub, e.sub(e.x(), e.y())),
    ENTRY(Mul, e.mul(e.x(), e.y())),
    ENTRY(Div, e.div(e.x(), e.y())),
    ENTRY(Mod, e.node<onnx::ModOp>().getFmod() ? e.remainder(e.x(), e.y()) : e.modulo(e.x(), e.y())),
    ENTRY(Pow, lowerPow(e)),
    ENTRY(Neg, e.neg(e.x())),
    ENTRY(Abs, e.abs(e.x())),
    ENTRY(Sign, lowerSign(e)),
    ENTRY(Reciprocal, e.div(e.c(1), e.x())),
    ENTRY(Max, e.all(&Scalars::max)),
    ENTRY(Min, e.all(&Scalars::min)),
    ENTRY(Sum, e.all(&Scalars::add)),
    ENTRY(Mean, e.div(e.all(&Scalars::add), e.c(e.args.size()))),
    // Rounding
    ENTRY(Floor, e.unary<math::FloorOp>()),
    ENTRY(Ceil, e.unary<math::CeilOp>()),
    ENTRY(Round, e.unary<math::RoundEvenOp>()),
    // Functions
    ENTRY(Sqrt, e.sqrt(e.x())),
    ENTRY(Exp, e.exp(e.x())),
    ENTRY(Log, e.log(e.x())),
    ENTRY(Sin, e.unary<math::SinOp>()),
    ENTRY(Cos, e.unary<math::CosOp>()),
    ENTRY(Tan, e.unary<math::TanOp>()),
    ENTRY(Asin, e.unary<math::AsinOp>()),
    ENTRY(Acos, e.unary<math::AcosOp>()),
    ENTRY(Atan, e.unary<math::AtanOp>()),
    ENTRY(Sinh, e.unary<math::SinhOp>()),
    ENTRY(Cosh, e.unary<math::CoshOp>()),
    ENTRY(Tanh, e.tanh(e.x())),
    ENTRY(Asinh, e.unary<math::AsinhOp>()),
    ENTRY(Acosh, e.unary<math::AcoshOp>()),
    ENTRY(Atanh, e.unary<math::AtanhOp>()),
    ENTRY(Erf, e.unary<math::ErfOp>()),
    // Comparison and logic
    ENTRY(Equal, e.equal(e.x(), e.y())),
    ENTRY(Less, e.less(e.x(), e.y())),
    ENTRY(LessOrEqual, e.lessOrEqual(e.x(), e.y())),
    ENTRY(Greater, e.less(e.y(), e.x())),
    ENTRY(GreaterOrEqual, e.lessOrEqual(e.y(), e.x())),
    ENTRY(And, e.logic<ar::AndIOp>()),
    ENTRY(Or, e.logic<ar::OrIOp>()),
    ENTRY(Xor, e.logic<ar::XOrIOp>()),
    ENTRY(Not, e.b.createOrFold<ar::XOrIOp>(e.x(), e.c(1))),
    ENTRY(BitwiseAnd, e.logic<ar::AndIOp>()),
    ENTRY(BitwiseOr, e.logic<ar::OrIOp>()),
    ENTRY(BitwiseXor, e.logic<ar::XOrIOp>()),
    ENTRY(BitwiseNot, e.b.createOrFold<ar::XOrIOp>(e.x(), e.c(-1))),
    ENTRY(BitShift, lowerBitShift(e)),
    ENTRY(IsNaN, e.isNaN(e.x())),
    ENTRY(IsInf, lowerIsInf(e)),
    ENTRY(Where, e.select(e.args[0], e.args[1], e.args[2])),
    // Activations
    ENTRY(Relu, e.max(e.x(), e.c(0))),
    ENTRY(LeakyRelu, e.select(e.less(e.x(), e.c(0)), e.mul(e.x(), e.c(e.node<onnx::LeakyReluOp>().getAlpha())), e.x())),
    ENTRY(PRelu, e.select(e.less(e.x(), e.c(0)), e.mul(e.x(), e.y()), e.x())),
    ENTRY(Elu, e.select(e.less(e.x(), e.c(0)),
                        e.mul(e.c(e.node<onnx::EluOp>().getAlpha()), e.sub(e.exp(e.x()), e.c(1))), e.x())),
    ENTRY(Selu, e.mul(e.c(e.node<onnx::SeluOp>().getGamma()),
                      e.select(e.less(e.c(0), e.x()), e.x(),
                               e.mul(e.c(e.node<onnx::SeluOp>().getAlpha()), e.sub(e.exp(e.x()), e.c(1)))))),
    ENTRY(Celu, lowerCelu(e)),
    ENTRY(ThresholdedRelu, e.select(e.less(e.c(e.node<onnx::ThresholdedReluOp>().getAlpha()), e.x()), e.x(), e.c(0))),
    ENTRY(Shrink, lowerShrink(e)),
    ENTRY(Sigmoid, e.sigmoid(e.x())),
    ENTRY(HardSigmoid, e.clamp(e.add(e.mul(e.c(e.node<onnx::HardSigmoidOp>().getAlpha()), e.x()),
                                     e.c(e.node<onnx::HardSigmoidOp>().getBeta())),
                               0, 1)),
    ENTRY(HardSwish, e.mul(e.x(), e.clamp(e.add(e.mul(e.x(), e.c(1.0 / 6)), e.c(0.5)), 0, 1))),
    ENTRY(Softplus, e.softplus(e.x())),
    ENTRY(Softsign, e.div(e.x(), e.add(e.c(1), e.abs(e.x())))),
    ENTRY(Mish, e.mul(e.x(), e.tanh(e.softplus(e.x())))),
    ENTRY(Gelu, lowerGelu(e)),
    ENTRY(Swish, e.mul(e.x(), e.sigmoid(e.mul(e.x(), e.c(e.node<onnx::SwishOp>().getAlpha()))))),
};
#undef ENTRY

LogicalResult checkElements(Lowering &l, Operation *op) {
  for (auto [i, v] : llvm::enumerate(op->getOperands()))
    if (!l.isAbsent(v) && !l.element(v).isIntOrFloat())
      return l.unsupported(op, "elements of type " +
                                   std::string(isa<ComplexType>(l.element(v)) ? "complex" : "string") + " in operand " +
                                   Twine(i));
  return success();
}

LogicalResult lowerEntry(Lowering &l, Operation *op, Value (*build)(Element &)) {
  if (failed(checkElements(l, op)))
    return failure();
  Value result = op->getResult(0);
  bool isUnsigned = l.isUnsigned(op->getOperand(0));
  // Where gives the bytes it takes; IsNaN and IsInf look at the numbers.
  bool decodes = !isNarrow(getElementTypeOrSelf(result.getType()));
  l.elementwise(result, op->getOperands(), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars convert(b, isUnsigned);
    SmallVector<Value> wide;
    for (auto [v, operand] : llvm::zip(args, op->getOperands()))
      wide.push_back(decodes && isNarrow(getElementTypeOrSelf(operand.getType()))
                         ? decodeNarrow(b, v, getElementTypeOrSelf(operand.getType()))
                         : convert.cast(v, computeType(v.getType())));
    Element e(b, isUnsigned, op, wide);
    return convert.cast(build(e), l.element(result));
  });
  return success();
}

LogicalResult lowerClip(Lowering &l, onnx::ClipOp op) {
  bool isUnsigned = l.isUnsigned(op.getInput()), hasMin = !l.isAbsent(op.getMin()), hasMax = !l.isAbsent(op.getMax());
  SmallVector<Value> operands = {op.getInput()};
  if (hasMin)
    operands.push_back(op.getMin());
  if (hasMax)
    operands.push_back(op.getMax());
  if (operands.size() == 1) {
    l.set(op.getOutput(), l.get(op.getInput()));
    return success();
  }
  l.elementwise(op.getOutput(), operands, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned);
    SmallVector<Value> wide;
    for (Value v : args)
      wide.push_back(s.cast(v, computeType(v.getType())));
    Value x = wide[0];
    if (hasMin)
      x = s.max(x, wide[1]);
    if (hasMax)
      x = s.min(x, wide.back());
    return s.cast(x, l.element(op.getOutput()));
  });
  return success();
}

/// Cast and CastLike. `saturate` and `rounding` concern the floats of 8 bits only.
LogicalResult lowerCast(Lowering &l, Operation *op, bool saturate, StringRef rounding) {
  Value input = op->getOperand(0), result = op->getResult(0);
  Type to = l.element(result);
  if (!l.element(input).isIntOrFloat())
    return l.unsupported(op, "a cast from strings or complex numbers");
  Type source = getElementTypeOrSelf(input.getType()), target = getElementTypeOrSelf(result.getType());
  bool isSame = isNarrow(source) || isNarrow(target) ? source == target : l.element(input) == to;
  if (isSame) {
    l.set(result, l.get(input));
    return success();
  }
  Encoding encoding{saturate, Rounding::Up};
  if (rounding == "down")
    encoding.e8m0 = Rounding::Down;
  else if (rounding == "nearest")
    encoding.e8m0 = Rounding::Nearest;
  else if (rounding != "up")
    return l.error(op) << "expected attribute 'round_mode' to be up, down or nearest, got '" << rounding << "'";
  l.elementwise(result, input, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, l.isUnsigned(input));
    Value v = isNarrow(source) ? decodeNarrow(b, args[0], source) : args[0];
    if (isNarrow(target))
      return encodeNarrow(b, v, target, s.isUnsigned, encoding);
    return s.cast(v, to, l.isUnsigned(result));
  });
  return success();
}

LogicalResult lowerDropout(Lowering &l, onnx::DropoutOp op) {
  if (!l.isAbsent(op.getTrainingMode())) {
    TypedAttr training = l.splat(op.getTrainingMode());
    // With a ratio of 0 nothing is dropped, whatever the mode.
    auto ratio = dyn_cast_or_null<FloatAttr>(l.isAbsent(op.getRatio()) ? TypedAttr() : l.splat(op.getRatio()));
    bool keepsAll = ratio && ratio.getValue().isZero();
    if (!keepsAll && (!training || !cast<IntegerAttr>(training).getValue().isZero()))
      return l.unsupported(op, "training_mode with a ratio other than 0, only inference is");
  }
  l.set(op.getOutput(), l.get(op.getData()));
  if (!l.isAbsent(op.getMask()) && !op.getMask().use_empty())
    l.set(op.getMask(),
          l.makeSplat(l.typeIn(op.getMask(), identityOrder(l.rank(op.getMask()))), l.b.getBoolAttr(true)));
  return success();
}

LogicalResult lowerIdentity(Lowering &l, onnx::IdentityOp op) {
  l.set(op->getResult(0), l.get(op->getOperand(0)));
  return success();
}

} // namespace

bool isElementwise(StringRef name) {
  return llvm::any_of(table, [&](const Entry &entry) { return entry.name == name; });
}

void populateMathLowerings(Registry &registry) {
  for (const Entry &entry : table)
    registry.add(("onnx." + entry.name).str(),
                 [build = entry.build](Lowering &l, Operation *op) { return lowerEntry(l, op, build); });
  registry.add(lowerClip);
  registry.add(lowerDropout);
  registry.add(lowerIdentity);
  registry.add("onnx.Cast", [](Lowering &l, Operation *op) {
    auto node = cast<onnx::CastOp>(op);
    return lowerCast(l, op, node.getSaturate(), node.getRoundMode());
  });
  registry.add("onnx.CastLike", [](Lowering &l, Operation *op) {
    auto node = cast<onnx::CastLikeOp>(op);
    return lowerCast(l, op, node.getSaturate(), node.getRoundMode());
  });
}

} // namespace burin::lower
