// Scalar arithmetic for bodies (see Scalars.h). Everything folds as it is built, so constant operands leave no guards
// behind.
#include "passes/Lower/Scalars.h"

#include "mlir/IR/Matchers.h"

using namespace mlir;
namespace ar = mlir::arith;

namespace burin::lower {

Type computeType(Type element) {
  return isa<FloatType>(element) && element.getIntOrFloatBitWidth() < 32 ? Float32Type::get(element.getContext())
                                                                         : element;
}

static bool isFloat(Value v) { return isa<FloatType>(v.getType()); }

/// b.createOrFold of an op of one result.
template <typename OpTy, typename... Args> static Value build(ImplicitLocOpBuilder &b, Args &&...args) {
  return b.createOrFold<OpTy>(std::forward<Args>(args)...);
}

Value Scalars::constant(Type type, double value) {
  if (auto floatType = dyn_cast<FloatType>(type)) {
    APFloat number(value);
    bool lost;
    number.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    return ar::ConstantOp::create(b, FloatAttr::get(type, number));
  }
  unsigned width = type.getIntOrFloatBitWidth();
  return ar::ConstantOp::create(b, IntegerAttr::get(type, APInt(128, static_cast<int64_t>(value), true).trunc(width)));
}

Value Scalars::infinity(Type type, bool negative) {
  return ar::ConstantOp::create(
      b, FloatAttr::get(type, APFloat::getInf(llvm::cast<FloatType>(type).getFloatSemantics(), negative)));
}

Value Scalars::lowest(Type type) {
  if (isa<FloatType>(type))
    return infinity(type, true);
  unsigned width = type.getIntOrFloatBitWidth();
  return ar::ConstantOp::create(
      b, IntegerAttr::get(type, isUnsigned ? APInt::getZero(width) : APInt::getSignedMinValue(width)));
}

Value Scalars::highest(Type type) {
  if (isa<FloatType>(type))
    return infinity(type);
  unsigned width = type.getIntOrFloatBitWidth();
  return ar::ConstantOp::create(
      b, IntegerAttr::get(type, isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width)));
}

Value Scalars::add(Value x, Value y) { return isFloat(x) ? build<ar::AddFOp>(b, x, y) : build<ar::AddIOp>(b, x, y); }
Value Scalars::sub(Value x, Value y) { return isFloat(x) ? build<ar::SubFOp>(b, x, y) : build<ar::SubIOp>(b, x, y); }
Value Scalars::mul(Value x, Value y) { return isFloat(x) ? build<ar::MulFOp>(b, x, y) : build<ar::MulIOp>(b, x, y); }
Value Scalars::neg(Value x) { return isFloat(x) ? build<ar::NegFOp>(b, x) : build<ar::SubIOp>(b, like(x, 0), x); }

Value Scalars::div(Value x, Value y) {
  if (isFloat(x))
    return build<ar::DivFOp>(b, x, y);
  // Both x / 0 and lowest / -1 stop an x86 program; a divisor of 1 in their place cannot.
  Value isZero = equal(y, like(y, 0));
  if (isUnsigned)
    return build<ar::DivUIOp>(b, x, select(isZero, like(y, 1), y));
  Value isMinusOne = equal(y, like(y, -1));
  Value safe = select(build<ar::OrIOp>(b, isZero, isMinusOne), like(y, 1), y);
  return select(isMinusOne, neg(x), build<ar::DivSIOp>(b, x, safe));
}

/// C's fmod without libm: in f64 one fma gives x - q*y exactly; q may be one off after rounding. Exact while |x/y| <
/// 2^53.
static Value floatRemainder(Scalars &s, Value x, Value y) {
  ImplicitLocOpBuilder &b = s.b;
  Type type = x.getType();
  Type wide = b.getF64Type();
  auto widen = [&](Value v) { return v.getType() == wide ? v : build<ar::ExtFOp>(b, wide, v); };
  Value a = widen(x), d = math::AbsFOp::create(b, widen(y));
  Value m = math::AbsFOp::create(b, a);
  Value q = math::TruncOp::create(b, Value(build<ar::DivFOp>(b, m, d)));
  Value r = math::FmaOp::create(b, Value(build<ar::NegFOp>(b, q)), d, m);
  r = s.select(s.less(r, s.like(r, 0)), s.add(r, d), r);
  r = s.select(s.lessOrEqual(d, r), s.sub(r, d), r);
  // fmod(x, inf) = x for finite x; the product 0 * inf made it NaN.
  Value infinite = s.equal(d, s.infinity(wide));
  Value finite = s.less(m, s.infinity(wide));
  r = s.select(build<ar::AndIOp>(b, infinite, finite), m, r);
  r = math::CopySignOp::create(b, r, a);
  return type == wide ? r : build<ar::TruncFOp>(b, type, r);
}

Value Scalars::remainder(Value x, Value y) {
  if (isFloat(x))
    return floatRemainder(*this, x, y);
  Value isZero = equal(y, like(y, 0));
  if (isUnsigned)
    return build<ar::RemUIOp>(b, x, select(isZero, like(y, 1), y));
  Value isMinusOne = equal(y, like(y, -1));
  return build<ar::RemSIOp>(b, x, select(build<ar::OrIOp>(b, isZero, isMinusOne), like(y, 1), y));
}

Value Scalars::modulo(Value x, Value y) {
  Value r = remainder(x, y);
  if (isFloat(x)) {
    Value zero = like(x, 0);
    Value signs = build<ar::XOrIOp>(b, less(r, zero), less(y, zero));
    Value moved = select(signs, add(r, y), r);
    return select(equal(r, zero), math::CopySignOp::create(b, zero, y), moved);
  }
  if (isUnsigned)
    return r;
  Value zero = like(x, 0);
  Value differ = less(build<ar::XOrIOp>(b, r, y), zero);
  Value nonZero = build<ar::CmpIOp>(b, ar::CmpIPredicate::ne, r, zero);
  return select(build<ar::AndIOp>(b, differ, nonZero), add(r, y), r);
}

Value Scalars::max(Value x, Value y) {
  if (isFloat(x))
    return build<ar::MaximumFOp>(b, x, y);
  return isUnsigned ? build<ar::MaxUIOp>(b, x, y) : build<ar::MaxSIOp>(b, x, y);
}

Value Scalars::min(Value x, Value y) {
  if (isFloat(x))
    return build<ar::MinimumFOp>(b, x, y);
  return isUnsigned ? build<ar::MinUIOp>(b, x, y) : build<ar::MinSIOp>(b, x, y);
}

Value Scalars::abs(Value x) {
  if (isFloat(x))
    return math::AbsFOp::create(b, x);
  return isUnsigned ? x : Value(math::AbsIOp::create(b, x));
}

/// x^y by squaring over the bits of y, all of them: a body has no loops. A negative y gives what 1/x^-y truncates to.
Value Scalars::intPow(Value x, Value y) {
  Value result = like(x, 1), base = x;
  for (unsigned bit = 0, width = y.getType().getIntOrFloatBitWidth(); bit < width; ++bit) {
    Value mask = ar::ConstantOp::create(b, IntegerAttr::get(y.getType(), APInt::getOneBitSet(width, bit)));
    Value taken = build<ar::AndIOp>(b, y, mask);
    result = select(equal(taken, constant(y.getType(), 0)), result, mul(result, base));
    base = square(base);
  }
  if (isUnsigned)
    return result;
  Value one = like(x, 1), minusOne = like(x, -1);
  Value odd = equal(build<ar::AndIOp>(b, y, constant(y.getType(), 1)), constant(y.getType(), 1));
  Value inverse = select(equal(x, one), one, select(equal(x, minusOne), select(odd, minusOne, one), like(x, 0)));
  return select(less(y, constant(y.getType(), 0)), inverse, result);
}

Value Scalars::pow(Value x, Value y) {
  if (!isFloat(x))
    return intPow(x, y);
  FloatAttr exponent;
  if (matchPattern(y, m_Constant(&exponent))) {
    double e = exponent.getValueAsDouble();
    if (e == 0.5)
      return sqrt(x);
    if (e == -0.5)
      return div(like(x, 1), sqrt(x));
    if (e == -1)
      return div(like(x, 1), x);
    if (e == 0)
      return like(x, 1);
    if (e == 1)
      return x;
    if (e == 2)
      return square(x);
    if (e == 3)
      return mul(square(x), x);
    if (e == 4)
      return square(square(x));
  }
  return math::PowFOp::create(b, x, y);
}

Value Scalars::less(Value x, Value y) {
  if (isFloat(x))
    return build<ar::CmpFOp>(b, ar::CmpFPredicate::OLT, x, y);
  return build<ar::CmpIOp>(b, isUnsigned ? ar::CmpIPredicate::ult : ar::CmpIPredicate::slt, x, y);
}

Value Scalars::lessOrEqual(Value x, Value y) {
  if (isFloat(x))
    return build<ar::CmpFOp>(b, ar::CmpFPredicate::OLE, x, y);
  return build<ar::CmpIOp>(b, isUnsigned ? ar::CmpIPredicate::ule : ar::CmpIPredicate::sle, x, y);
}

Value Scalars::equal(Value x, Value y) {
  return isFloat(x) ? build<ar::CmpFOp>(b, ar::CmpFPredicate::OEQ, x, y)
                    : build<ar::CmpIOp>(b, ar::CmpIPredicate::eq, x, y);
}

Value Scalars::select(Value condition, Value x, Value y) { return build<ar::SelectOp>(b, condition, x, y); }

Value Scalars::isNaN(Value x) { return build<ar::CmpFOp>(b, ar::CmpFPredicate::UNO, x, x); }

Value Scalars::exp(Value x) { return math::ExpOp::create(b, x); }
Value Scalars::log(Value x) { return math::LogOp::create(b, x); }
Value Scalars::sqrt(Value x) { return math::SqrtOp::create(b, x); }
Value Scalars::tanh(Value x) { return math::TanhOp::create(b, x); }

Value Scalars::sigmoid(Value x) {
  Value one = like(x, 1);
  return div(one, add(one, exp(neg(x))));
}

Value Scalars::softplus(Value x) {
  Value tail = math::Log1pOp::create(b, exp(neg(abs(x))));
  return add(max(x, like(x, 0)), tail);
}

// What f32 cannot hold becomes its last bit, so that the second rounding sees it and the two round as one would.
Value Scalars::narrowOnce(Value v) {
  Type i64 = b.getI64Type();
  auto bit = [&](int64_t value) { return ar::ConstantOp::create(b, b.getI64IntegerAttr(value)); };
  Value bits = build<ar::BitcastOp>(b, i64, v);
  Value lost = build<ar::AndIOp>(b, bits, bit((int64_t(1) << 30) - 1));
  Value kept = build<ar::XOrIOp>(b, bits, lost);
  Value sticky = select(equal(lost, bit(0)), bit(0), bit(int64_t(1) << 29));
  Value exact = build<ar::BitcastOp>(b, v.getType(), build<ar::OrIOp>(b, kept, sticky));
  return build<ar::TruncFOp>(b, b.getF32Type(), exact);
}

Value Scalars::cast(Value v, Type to, bool toUnsigned) {
  Type from = v.getType();
  if (from == to)
    return v;
  Type f32 = b.getF32Type();
  unsigned fromWidth = from.getIntOrFloatBitWidth(), toWidth = to.getIntOrFloatBitWidth();
  if (isFloat(v)) {
    if (to.isInteger(1))
      return build<ar::CmpFOp>(b, ar::CmpFPredicate::UNE, v, like(v, 0));
    if (isa<FloatType>(to)) {
      if (fromWidth == toWidth || (fromWidth < 16 && toWidth < 16)) // f16 <-> bf16 and the 8 bit formats meet in f32
        v = build<ar::ExtFOp>(b, f32, v);
      if (fromWidth == 64 && toWidth < 32)
        v = narrowOnce(v);
      fromWidth = v.getType().getIntOrFloatBitWidth();
      return fromWidth < toWidth ? build<ar::ExtFOp>(b, to, v) : build<ar::TruncFOp>(b, to, v);
    }
    if (fromWidth < 32)
      v = build<ar::ExtFOp>(b, f32, v);
    if (toWidth == 64)
      return toUnsigned ? build<ar::FPToUIOp>(b, to, v) : build<ar::FPToSIOp>(b, to, v);
    Type middle = b.getIntegerType(toUnsigned && toWidth == 32 ? 64 : 32);
    v = build<ar::FPToSIOp>(b, middle, v);
    return middle == to ? v : build<ar::TruncIOp>(b, to, v);
  }
  bool readUnsigned = isUnsigned || from.isInteger(1);
  if (isa<FloatType>(to)) {
    Type middle = computeType(to);
    v = readUnsigned ? build<ar::UIToFPOp>(b, middle, v) : build<ar::SIToFPOp>(b, middle, v);
    return middle == to ? v : build<ar::TruncFOp>(b, to, v);
  }
  if (to.isInteger(1))
    return build<ar::CmpIOp>(b, ar::CmpIPredicate::ne, v, like(v, 0));
  if (toWidth < fromWidth)
    return build<ar::TruncIOp>(b, to, v);
  return readUnsigned ? build<ar::ExtUIOp>(b, to, v) : build<ar::ExtSIOp>(b, to, v);
}

} // namespace burin::lower
