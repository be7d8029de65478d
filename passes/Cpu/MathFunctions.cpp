// The polynomials behind MathFunctions.h: exponentials, logarithms, powers and rounding.
//
// Sources: range reductions as in W. J. Cody and W. Waite, "Software Manual for the Elementary Functions"; the log of
// f64 as in fdlibm; all other polynomials interpolate at Chebyshev nodes (60 digits). Reciprocal exponents and
// quadrants come from adding 1.5 * 2^mantissa, which leaves the rounded integer in the low bits: no conversion whose
// result would be undefined for NaN.
#include "passes/Cpu/MathFunctions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace burin::cpu;
using V = MathFunctions::V;

MathFunctions::MathFunctions(ImplicitLocOpBuilder &b, Type type, MathTraits traits)
    : b(b), type(type), element(getElementTypeOrSelf(type)), isDouble(element.isF64()), traits(traits) {
  Type word = b.getIntegerType(isDouble ? 64 : 32);
  auto vector = dyn_cast<VectorType>(type);
  integer = vector ? Type(VectorType::get(vector.getShape(), word)) : word;
}

// --- Building blocks
// -------------------------------------------------------------------------------------------------------

static Value splat(ImplicitLocOpBuilder &b, Type type, TypedAttr value) {
  if (auto vector = dyn_cast<VectorType>(type))
    return arith::ConstantOp::create(b, SplatElementsAttr::get(vector, value));
  return arith::ConstantOp::create(b, value);
}
V MathFunctions::c(double value) { return splat(b, type, b.getFloatAttr(element, value)); }
V MathFunctions::bits(int64_t value) {
  return splat(b, integer, b.getIntegerAttr(getElementTypeOrSelf(integer), value));
}
V MathFunctions::add(V x, V y) { return arith::AddFOp::create(b, x, y); }
V MathFunctions::sub(V x, V y) { return arith::SubFOp::create(b, x, y); }
V MathFunctions::mul(V x, V y) { return arith::MulFOp::create(b, x, y); }
V MathFunctions::div(V x, V y) { return arith::DivFOp::create(b, x, y); }
V MathFunctions::neg(V x) { return arith::NegFOp::create(b, x); }
V MathFunctions::abs(V x) { return math::AbsFOp::create(b, x); }
V MathFunctions::copySign(V x, V y) { return math::CopySignOp::create(b, x, y); }
V MathFunctions::sqrt(V x) { return math::SqrtOp::create(b, x); }
V MathFunctions::less(V x, V y) { return arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, y); }
V MathFunctions::greater(V x, V y) { return arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, y); }
V MathFunctions::atLeast(V x, V y) { return arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, x, y); }
V MathFunctions::equal(V x, V y) { return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, x, y); }
V MathFunctions::isNan(V x) { return arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, x, x); }
V MathFunctions::select(V condition, V x, V y) { return arith::SelectOp::create(b, condition, x, y); }
V MathFunctions::asBits(V x) { return arith::BitcastOp::create(b, integer, x); }
V MathFunctions::asFloat(V x) { return arith::BitcastOp::create(b, type, x); }

V MathFunctions::fma(V x, V y, V z) {
  if (traits.fma)
    return math::FmaOp::create(b, x, y, z);
  return add(mul(x, y), z);
}

// x * y = product + this, exactly (T. J. Dekker, "A floating-point technique for extending the available precision",
// 1971). f64 only.
V MathFunctions::productError(V x, V y, V product) {
  if (traits.fma)
    return math::FmaOp::create(b, x, y, neg(product));
  auto split = [&](V v, V &low) {
    V big = mul(v, c(134217729.0)), high = sub(big, sub(big, v));
    low = sub(v, high);
    return high;
  };
  V xl, yl, xh = split(x, xl), yh = split(y, yl);
  return add(add(add(sub(mul(xh, yh), product), mul(xh, yl)), mul(xl, yh)), mul(xl, yl));
}

V MathFunctions::polynomial(V x, ArrayRef<double> coefficients) {
  V result = c(coefficients.front());
  for (double coefficient : coefficients.drop_front())
    result = fma(result, x, c(coefficient));
  return result;
}

// The order of the operands makes one min or max instruction that keeps NaN.
V MathFunctions::clamp(V x, double low, double high) {
  x = select(greater(x, c(high)), c(high), x);
  return select(less(x, c(low)), c(low), x);
}

template <typename F> V MathFunctions::wide(F function, ArrayRef<V> operands) {
  auto vector = dyn_cast<VectorType>(type);
  Type doubles = vector ? Type(VectorType::get(vector.getShape(), b.getF64Type())) : b.getF64Type();
  MathFunctions f(b, doubles, traits);
  SmallVector<V> widened;
  for (V operand : operands)
    widened.push_back(arith::ExtFOp::create(b, doubles, operand));
  return arith::TruncFOp::create(b, type, function(f, widened));
}

// --- Rounding
// --------------------------------------------------------------------------------------------------------------

V MathFunctions::roundEven(V x) {
  if (traits.round)
    return math::RoundEvenOp::create(b, x);
  // Adding 2^mantissa leaves no room for a fraction; what is that large has none.
  V large = c(isDouble ? 0x1p52 : 0x1p23), magnitude = abs(x);
  V rounded = sub(add(magnitude, large), large);
  return select(less(magnitude, large), copySign(rounded, x), x);
}
V MathFunctions::floor(V x) {
  if (traits.round)
    return math::FloorOp::create(b, x);
  V rounded = roundEven(x);
  return copySign(select(greater(rounded, x), sub(rounded, c(1)), rounded), x);
}
V MathFunctions::ceil(V x) {
  if (traits.round)
    return math::CeilOp::create(b, x);
  V rounded = roundEven(x);
  return copySign(select(less(rounded, x), add(rounded, c(1)), rounded), x);
}
V MathFunctions::trunc(V x) {
  if (traits.round)
    return math::TruncOp::create(b, x);
  return copySign(floor(abs(x)), x);
}
V MathFunctions::round(V x) { // halves away from zero
  V magnitude = abs(x), whole = trunc(magnitude);
  V up = atLeast(sub(magnitude, whole), c(0.5));
  return copySign(select(up, add(whole, c(1)), whole), x);
}

V MathFunctions::remainder(V x, V y) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.remainder(v[0], v[1]); }, {x, y});
  V ay = abs(y), ax = abs(x);
  V quotient = trunc(div(ax, ay));
  V product = mul(quotient, ay);
  V rest = sub(sub(ax, product), productError(quotient, ay, product));
  rest = select(equal(quotient, c(0)), ax, rest); // and where y is too large for the exact product
  // The quotient may have been rounded up, or down to just below.
  rest = select(less(rest, c(0)), add(rest, ay), rest);
  rest = select(atLeast(rest, ay), sub(rest, ay), rest);
  V infinity = c(std::numeric_limits<double>::infinity());
  rest = select(equal(ay, infinity), select(less(ax, infinity), ax, c(std::nan(""))), rest);
  return copySign(rest, x);
}

// --- Exponentials
// ----------------------------------------------------------------------------------------------------------

static constexpr double ln2 = 0.693147180559945309417, log2e = 1.442695040888963407360,
                        infinite = std::numeric_limits<double>::infinity();

V MathFunctions::splitExponent(V x, V &rest, V *whole) {
  double magic = isDouble ? 6755399441055744.0 : 12582912.0; // 1.5 * 2^52, 1.5 * 2^23
  V shifted = fma(x, c(log2e), c(magic));
  V n = sub(shifted, c(magic));
  if (whole)
    *whole = n;
  // ln 2 in two parts, the first with so few bits that n times it is exact.
  rest = fma(n, c(isDouble ? -6.93147180369123816490e-01 : -0.693359375), x);
  rest = fma(n, c(isDouble ? -1.90821492927058770002e-10 : 2.12194440e-4), rest);
  return arith::SubIOp::create(b, asBits(shifted), asBits(c(magic)));
}

V MathFunctions::powerOfTwo(V exponentBits) {
  V biased = arith::AddIOp::create(b, exponentBits, bits(isDouble ? 1023 : 127));
  return asFloat(arith::ShLIOp::create(b, biased, bits(isDouble ? 52 : 23)));
}

bool MathFunctions::scalesAtOnce() const {
  auto vector = dyn_cast<VectorType>(type);
  int64_t width = vector ? vector.getNumElements() * element.getIntOrFloatBitWidth() : 0;
  return traits.scale && (width == 512 || width == 256 || width == 128);
}

V MathFunctions::scaleAtOnce(V x, V n) {
  int64_t width = cast<VectorType>(type).getNumElements() * element.getIntOrFloatBitWidth();
  // All lanes, and for whole registers the current rounding, which does not count.
  V all = arith::ConstantOp::create(b, b.getIntegerAttr(b.getIntegerType(width == 512 && !isDouble ? 16 : 8), -1));
  SmallVector<V> operands{x, n, x, all};
  if (width == 512)
    operands.push_back(arith::ConstantOp::create(b, b.getI32IntegerAttr(4)));
  std::string name = llvm::formatv("llvm.x86.avx512.mask.scalef.{0}.{1}", isDouble ? "pd" : "ps", width);
  return LLVM::CallIntrinsicOp::create(b, b.getLoc(), type, b.getStringAttr(name), operands).getResult(0);
}

V MathFunctions::scale(V x, V exponentBits) {
  if (scalesAtOnce())
    return scaleAtOnce(x, arith::SIToFPOp::create(b, type, exponentBits));
  V half = arith::ShRSIOp::create(b, exponentBits, bits(1));
  return mul(mul(x, powerOfTwo(half)), powerOfTwo(arith::SubIOp::create(b, exponentBits, half)));
}

V MathFunctions::expRest(V r) {
  if (isDouble)
    return polynomial(r,
                      {2.09154422977801152e-9, 2.51062747335732947e-8, 2.75572718102197996e-7, 2.75572528335169097e-6,
                       2.48015873270071867e-5, 1.98412698768643549e-4, 1.38888888888833267e-3, 8.3333333333255447e-3,
                       4.16666666666666701e-2, 1.66666666666666714e-1, 0.5});
  return polynomial(r, {1.98919813139776902e-4, 1.39345419282702645e-3, 8.33331002422529243e-3, 4.1666456809677876e-2,
                        1.66666666825343561e-1, 0.5});
}

V MathFunctions::exp(V x) {
  if (isLoose())
    return looseExp(x);
  V clamped = isDouble ? clamp(x, -760, 720) : clamp(x, -110, 90), rest, whole;
  V n = splitExponent(clamped, rest, &whole);
  V result = add(fma(mul(rest, rest), expRest(rest), rest), c(1));
  return scalesAtOnce() ? scaleAtOnce(result, whole) : scale(result, n);
}

V MathFunctions::exp2(V x) {
  x = isDouble ? clamp(x, -1100, 1030) : clamp(x, -160, 130);
  double magic = isDouble ? 6755399441055744.0 : 12582912.0;
  V shifted = add(x, c(magic));
  V rest = mul(sub(x, sub(shifted, c(magic))), c(ln2));
  V n = arith::SubIOp::create(b, asBits(shifted), asBits(c(magic)));
  return scale(add(fma(mul(rest, rest), expRest(rest), rest), c(1)), n);
}

V MathFunctions::expm1(V x) {
  V clamped = isDouble ? clamp(x, -50, 710) : clamp(x, -30, 89), rest;
  V n = splitExponent(clamped, rest);
  V part = fma(mul(rest, rest), expRest(rest), rest);
  // 2^n (part + 1) - 1, in halves: 2^n alone may be too large.
  V half = powerOfTwo(arith::SubIOp::create(b, n, bits(1)));
  V result = fma(part, half, sub(half, c(0.5)));
  result = add(result, result);
  return select(equal(x, c(0)), x, result); // keeps the sign of zero
}

// --- Logarithms
// ------------------------------------------------------------------------------------------------------------

MathFunctions::Parts MathFunctions::splitLog(V x) {
  // Denormals first become normal.
  V tiny = less(x, c(isDouble ? 0x1p-1022 : 0x1p-126));
  V scaled = select(tiny, mul(x, c(isDouble ? 0x1p54 : 0x1p23)), x);
  V offset = select(tiny, c(isDouble ? -54 : -23), c(0));
  // x = m * 2^e with m in [2/3, 4/3), or [0.707, 1.414) for f64.
  V word = asBits(scaled), origin = bits(isDouble ? 0x3fe6a09e667f3bcdLL : 0x3f2aaaab);
  V exponent = arith::ShRSIOp::create(b, arith::SubIOp::create(b, word, origin), bits(isDouble ? 52 : 23));
  V m = asFloat(arith::SubIOp::create(b, word, arith::ShLIOp::create(b, exponent, bits(isDouble ? 52 : 23))));
  // The exponent as a float without a conversion: its low bits in the mantissa of 1.5 * 2^mantissa.
  double magic = isDouble ? 6755399441055744.0 : 12582912.0;
  V e = add(sub(asFloat(arith::AddIOp::create(b, exponent, asBits(c(magic)))), c(magic)), offset);
  V f = sub(m, c(1));
  if (isDouble) {
    V s = div(f, add(f, c(2))), z = mul(s, s);
    V r = mul(z, polynomial(z, {1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                                2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                                6.666666666666735130e-01}));
    V half = mul(mul(f, f), c(0.5));
    return {e, sub(f, sub(half, mul(s, add(half, r))))};
  }
  V s = mul(f, f);
  V r = fma(c(-0.130310059), s, c(-0.121483512));
  V t = fma(c(0.140869141), s, c(0.139814854));
  r = fma(r, s, c(-0.166846126));
  t = fma(t, s, c(0.200120345));
  r = fma(r, s, c(-0.249996200));
  r = fma(t, f, r);
  r = fma(r, f, c(0.333331972));
  r = fma(r, f, c(-0.5));
  return {e, fma(r, s, f)};
}

// What is not positive and finite.
V MathFunctions::finishLog(V x, V result) {
  result = select(equal(x, c(0)), c(-infinite), result);
  result = select(equal(x, c(infinite)), x, result);
  V bad = arith::CmpFOp::create(b, arith::CmpFPredicate::ULT, x, c(0));
  return select(bad, c(std::nan("")), result);
}

V MathFunctions::log(V x) {
  Parts parts = splitLog(x);
  V result = isDouble ? fma(parts.exponent, c(6.93147180369123816490e-01),
                            fma(parts.exponent, c(1.90821492927058770002e-10), parts.log))
                      : fma(parts.exponent, c(0.693359375), fma(parts.exponent, c(-2.12194440e-4), parts.log));
  return finishLog(x, result);
}
V MathFunctions::log2(V x) {
  Parts parts = splitLog(x);
  return finishLog(x, fma(parts.log, c(log2e), parts.exponent));
}
V MathFunctions::log10(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.log10(v[0]); }, {x});
  Parts parts = splitLog(x);
  V low = fma(parts.exponent, c(3.69423907715893078616e-13), mul(parts.log, c(4.34294481903251816668e-01)));
  return finishLog(x, fma(parts.exponent, c(3.01029995663611771306e-01), low));
}
// The error of rounding 1 + x is the same in log and in the denominator (HP-15C Advanced Functions Handbook).
V MathFunctions::log1p(V x) {
  V u = add(x, c(1)), d = sub(u, c(1));
  V result = mul(log(u), div(x, select(equal(d, c(0)), c(1), d)));
  result = select(equal(d, c(0)), x, result);
  return select(equal(x, c(infinite)), x, result);
}

// --- Powers
// ----------------------------------------------------------------------------------------------------------------

V MathFunctions::rsqrt(V x) { return div(c(1), sqrt(x)); }

V MathFunctions::powConstant(V x, double y) {
  if (y == 0)
    return c(1);
  if (y == 1)
    return x;
  if (y == 2)
    return mul(x, x);
  if (y == 3)
    return mul(mul(x, x), x);
  if (y == 4)
    return mul(mul(x, x), mul(x, x));
  if (y == -1)
    return div(c(1), x);
  if (y == -2)
    return div(c(1), mul(x, x));
  // sqrt(-0) is -0 and sqrt(-inf) NaN, where the power is 0 and infinity.
  if (y == 0.5 || y == -0.5) {
    V root = select(equal(x, c(-infinite)), c(infinite), add(sqrt(x), c(0)));
    return y > 0 ? root : div(c(1), root);
  }
  return {};
}

V MathFunctions::pow(V x, V y) {
  if (!isDouble && !isLoose())
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.pow(v[0], v[1]); }, {x, y});
  V magnitude = abs(x);
  V result = exp(mul(y, log(magnitude)));
  V isInteger = equal(floor(y), y);
  V half = mul(y, c(0.5));
  V isOdd = arith::AndIOp::create(b, isInteger, arith::CmpFOp::create(b, arith::CmpFPredicate::UNE, floor(half), half));
  V isNegative = less(x, c(0));
  V negativeZero = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, asBits(x), bits(0));
  result = select(arith::AndIOp::create(b, isOdd, negativeZero), neg(result), result);
  V finiteBase = less(magnitude, c(infinite));
  V allOnes = splat(b, isNegative.getType(), b.getBoolAttr(true));
  V undefinedRoot = arith::AndIOp::create(b, arith::AndIOp::create(b, isNegative, finiteBase),
                                          arith::XOrIOp::create(b, isInteger, allOnes));
  result = select(undefinedRoot, c(std::nan("")), result);
  // |x| = 1 stays 1 for an infinite y.
  V infiniteY = equal(abs(y), c(infinite));
  result = select(arith::AndIOp::create(b, infiniteY, equal(magnitude, c(1))), c(1), result);
  return select(arith::OrIOp::create(b, equal(y, c(0)), equal(x, c(1))), c(1), result);
}

V MathFunctions::cbrt(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.cbrt(v[0]); }, {x});
  V a = abs(x);
  V tiny = less(a, c(0x1p-1022)), huge = greater(a, c(0x1p1000));
  a = mul(a, select(tiny, c(0x1p54), select(huge, c(0x1p-54), c(1))));
  // A third of the exponent: the first guess is right to 5 %. Halley's steps triple the digits.
  V guess =
      asFloat(arith::AddIOp::create(b, arith::DivUIOp::create(b, asBits(a), bits(3)), bits(0x2a9f7893782da1ceLL)));
  for (int step = 0; step < 3; ++step) {
    V cube = mul(mul(guess, guess), guess);
    guess = mul(guess, div(add(cube, add(a, a)), add(add(cube, cube), a)));
  }
  // One of Newton's takes the rounding errors out.
  guess = sub(guess, mul(sub(guess, div(a, mul(guess, guess))), c(1.0 / 3)));
  guess = mul(guess, select(tiny, c(0x1p-18), select(huge, c(0x1p18), c(1))));
  V special =
      arith::OrIOp::create(b, equal(x, c(0)), arith::CmpFOp::create(b, arith::CmpFPredicate::UEQ, abs(x), c(infinite)));
  return select(special, x, copySign(guess, x));
}

// --- Hyperbolic functions and the error function
// -------------------------------------------------------------------------------

V MathFunctions::tanh(V x) {
  if (isLoose())
    return looseTanh(x);
  // expm1(2|x|) / (expm1(2|x|) + 2)
  V magnitude = abs(x);
  V limit = c(isDouble ? 22 : 10);
  V small = select(greater(magnitude, limit), limit, magnitude);
  V t = expm1(add(small, small));
  return copySign(div(t, add(t, c(2))), x);
}

V MathFunctions::sinh(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.sinh(v[0]); }, {x});
  V a = abs(x), t = expm1(a);
  V small = mul(c(0.5), add(t, div(t, add(t, c(1)))));
  V root = exp(mul(a, c(0.5)));
  return copySign(select(greater(a, c(20)), mul(mul(root, c(0.5)), root), small), x);
}
V MathFunctions::cosh(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.cosh(v[0]); }, {x});
  V a = abs(x), e = exp(a), root = exp(mul(a, c(0.5)));
  V small = add(mul(e, c(0.5)), div(c(0.5), e));
  return select(greater(a, c(20)), mul(mul(root, c(0.5)), root), small);
}
V MathFunctions::asinh(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.asinh(v[0]); }, {x});
  V a = abs(x), square = mul(a, a);
  V small = log1p(add(a, div(square, add(c(1), sqrt(add(c(1), square))))));
  return copySign(select(greater(a, c(0x1p28)), add(log(a), c(ln2)), small), x);
}
V MathFunctions::acosh(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.acosh(v[0]); }, {x});
  V t = sub(x, c(1));
  V small = log1p(add(t, sqrt(fma(t, t, add(t, t)))));
  return select(less(x, c(1)), c(std::nan("")), select(greater(x, c(0x1p28)), add(log(x), c(ln2)), small));
}
V MathFunctions::atanh(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.atanh(v[0]); }, {x});
  V a = abs(x);
  return copySign(mul(c(0.5), log1p(div(add(a, a), sub(c(1), a)))), x);
}

// erfc(x) exp(x^2) (1 + 2x) for x >= 0, a polynomial of (x - 4) / (x + 4) (Shepherd and Laframboise, 1981).
V MathFunctions::erfcxPolynomial(V x) {
  V t = sub(c(1), div(c(8), add(x, c(4))));
  return polynomial(
      t, {-2.76411445303011555e-10, 9.29763094202195274e-10, 3.23239428934129126e-9,  -1.23387344048499498e-8,
          -2.07257955004907998e-8,  1.06318182802101422e-7,  7.77194233465964095e-8,  -8.21064802233453162e-7,
          2.91734263073761881e-7,   5.70657830645354277e-6,  -1.12211356698212982e-5, -2.43977311468103939e-5,
          1.50621426087837784e-4,   -1.99257152471356798e-4, -7.57773243594545056e-4, 5.03197006910197345e-3,
          -1.61977340629347326e-2,  3.71675155263380409e-2,  -6.63303658118605853e-2, 9.37328349991126368e-2,
          -1.01039066036318116e-1,  6.80970542546683825e-2,  1.53796521026199743e-2,  -1.39621116840562284e-1,
          1.23299511862555251});
}

V MathFunctions::erfc(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.erfc(v[0]); }, {x});
  V a = clamp(abs(x), 0, 30);
  V square = mul(a, a);
  V lost = productError(a, a, square);
  V tail = mul(exp(neg(square)), sub(c(1), lost));
  V value = div(mul(tail, erfcxPolynomial(a)), fma(a, c(2), c(1)));
  value = select(less(x, c(0)), sub(c(2), value), value);
  return select(less(a, c(0.5)), sub(c(1), erfInside(x)), value);
}

// |x| <= 1
V MathFunctions::erfInside(V x) {
  V p = polynomial(mul(x, x),
                   {-4.23094582429533782e-12, 8.70904512905310669e-11, -1.21645600572834501e-9, 1.4792401209404813e-8,
                    -1.63646421581676153e-7, 1.64620454414684189e-6, -1.49256475675193321e-5, 1.20553329028887354e-4,
                    -8.5483270219348296e-4, 5.22397762542329831e-3, -2.68661706451298408e-2, 1.12837916709551202e-1,
                    -3.76126389031837524e-1, 1.28379167095512574e-1});
  return fma(x, p, x);
}

V MathFunctions::erf(V x) {
  if (isLoose())
    return looseErf(x);
  if (isDouble) {
    V a = abs(x);
    V outside = copySign(sub(c(1), erfc(a)), x);
    return select(greater(a, c(1)), outside, erfInside(x));
  }
  // N. Juffa's two ranges: 1 - exp(polynomial) outside, x + x * polynomial(x^2) inside.
  V a = abs(x), s = mul(x, x);
  V r = fma(c(-1.72853470e-5), a, c(3.83197126e-4));
  V u = fma(c(-3.88396438e-3), a, c(2.42546219e-2));
  r = fma(r, s, u);
  for (double coefficient : {-1.06777877e-1, -6.34846687e-1, -1.28717512e-1})
    r = fma(r, a, c(coefficient));
  r = fma(r, a, neg(a));
  V outside = copySign(sub(c(1), exp(r)), x);
  V inside =
      fma(polynomial(s, {-5.96761703e-4, 4.99119423e-3, -2.67681349e-2, 1.12819925e-1, -3.76125336e-1, 1.28379166e-1}),
          x, x);
  return select(greater(a, c(0.927734375)), outside, inside);
}

// --- Angles
// ----------------------------------------------------------------------------------------------------------------

// x = n * pi/2 + rest, |rest| <= pi/4, always in f64. Beyond 2^30 (without fma: 2^20 pi/2) the rest loses digits;
// beyond 2^50 it is 0.
MathFunctions::Angle MathFunctions::reduceAngle(V x) {
  V limited = select(less(abs(x), c(0x1p50)), x, select(less(abs(x), c(infinite)), c(0), sub(x, x)));
  V shifted = fma(limited, c(0.636619772367581343076), c(6755399441055744.0));
  V n = sub(shifted, c(6755399441055744.0));
  V rest = limited;
  if (traits.fma) {
    for (double part : {1.5707963267948966192e+00, 6.1232339957367660359e-17, -1.4973849048591833e-33})
      rest = fma(n, c(-part), rest);
  } else {
    for (double part : {1.57079632673412561417e+00, 6.07710050630396597660e-11, 2.02226624871116645580e-21,
                        8.47842766036889956997e-32})
      rest = sub(rest, mul(n, c(part)));
  }
  return {rest, asBits(shifted)};
}
V MathFunctions::sinRest(V r) {
  V z = mul(r, r);
  V p = polynomial(z, {1.58969099521155010221e-10, -2.50507602534068634195e-08, 2.75573137070700676789e-06,
                       -1.98412698298579493134e-04, 8.33333333332248946124e-03, -1.66666666666666324348e-01});
  return fma(mul(z, r), p, r);
}
V MathFunctions::cosRest(V r) {
  V z = mul(r, r);
  V p = polynomial(z, {-1.13596475577881948265e-11, 2.08757232129817482790e-09, -2.75573143513906633035e-07,
                       2.48015872894767294178e-05, -1.38888888888741095749e-03, 4.16666666666666019037e-02});
  return fma(mul(z, z), p, fma(z, c(-0.5), c(1)));
}
V MathFunctions::sin(V x) {
  if (isLoose())
    return looseSine(x, 0);
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.sin(v[0]); }, {x});
  auto [r, n] = reduceAngle(x);
  auto isSet = [&](V word, int64_t mask) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, word, bits(mask)), bits(0));
  };
  V value = select(isSet(n, 1), cosRest(r), sinRest(r));
  return select(equal(x, c(0)), x, select(isSet(n, 2), neg(value), value));
}
V MathFunctions::cos(V x) {
  if (isLoose())
    return looseSine(x, 1);
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.cos(v[0]); }, {x});
  auto [r, n] = reduceAngle(x);
  auto isSet = [&](V word, int64_t mask) {
    return arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, word, bits(mask)), bits(0));
  };
  V value = select(isSet(n, 1), sinRest(r), cosRest(r));
  V next = arith::AddIOp::create(b, n, bits(1));
  return select(isSet(next, 2), neg(value), value);
}
V MathFunctions::tan(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.tan(v[0]); }, {x});
  auto [r, n] = reduceAngle(x);
  V s = sinRest(r), k = cosRest(r);
  V odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, n, bits(1)), bits(0));
  return select(equal(x, c(0)), x, div(select(odd, neg(k), s), select(odd, s, k)));
}

// atan of |x| <= tan(pi/8)
V MathFunctions::atanRest(V x) {
  V z = mul(x, x);
  V p = polynomial(z, {-1.39053745331132339e-2, 3.06229955537355147e-2, -4.1038875468626872e-2, 4.71925918824209238e-2,
                       -5.25802027265675834e-2, 5.88192305611402256e-2, -6.66664186913118267e-2, 7.6923067291948968e-2,
                       -9.0909090668160809e-2, 1.1111111110751481e-1, -1.42857142857114906e-1, 1.99999999999999914e-1,
                       -3.33333333333333333e-1});
  return fma(mul(z, x), p, x);
}
V MathFunctions::atan(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.atan(v[0]); }, {x});
  constexpr double half = 1.57079632679489661923, quarter = 0.785398163397448309616;
  V a = abs(x);
  V large = greater(a, c(2.414213562373095)), middle = greater(a, c(0.4142135623730950));
  // atan(a) = pi/2 - atan(1/a) = pi/4 + atan((a - 1) / (a + 1))
  V top = select(large, c(-1), select(middle, sub(a, c(1)), a));
  V bottom = select(large, a, select(middle, add(a, c(1)), c(1)));
  V base = select(large, c(half), select(middle, c(quarter), c(0)));
  // The part of pi/2 and pi/4 that f64 has no room for.
  V low = select(large, c(6.12323399573676603587e-17), select(middle, c(3.06161699786838301793e-17), c(0)));
  return copySign(add(base, add(atanRest(div(top, bottom)), low)), x);
}
V MathFunctions::atan2(V y, V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.atan2(v[0], v[1]); }, {y, x});
  constexpr double pi = 3.14159265358979323846;
  V ax = abs(x), ay = abs(y);
  V both = arith::AndIOp::create(b, equal(ax, c(infinite)), equal(ay, c(infinite)));
  V quotient = select(both, c(1), div(ay, ax));
  V zeros = arith::AndIOp::create(b, equal(ax, c(0)), equal(ay, c(0)));
  V angle = atan(select(zeros, c(0), quotient));
  V behind = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, asBits(x), bits(0)); // -0 too
  angle = select(behind, sub(c(pi), sub(angle, c(1.2246467991473532e-16))), angle);
  V nan = arith::OrIOp::create(b, isNan(x), isNan(y));
  return select(nan, add(x, y), copySign(angle, y));
}

// (asin(x) / x - 1) / x^2 of z = x^2 <= 1/4
V MathFunctions::asinRest(V z) {
  return polynomial(z, {2.9727286869498975e-2, -1.94214987633633602e-2, 1.96783674301619978e-2, 2.99531165715632587e-3,
                        9.33232715616566444e-3, 9.6196292036874733e-3, 1.15667223711971303e-2, 1.3963758735074136e-2,
                        1.73528176907410414e-2, 2.23721574037368494e-2, 3.03819444763470464e-2, 4.46428571425432634e-2,
                        7.50000000000012132e-2, 1.66666666666666666e-1});
}
V MathFunctions::asin(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.asin(v[0]); }, {x});
  V a = abs(x);
  V large = greater(a, c(0.5));
  // asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2))
  V z = select(large, mul(sub(c(1), a), c(0.5)), mul(a, a));
  V s = select(large, sqrt(z), a);
  V value = fma(mul(s, z), asinRest(z), s);
  V outer = sub(c(1.57079632679489661923), sub(add(value, value), c(6.12323399573676603587e-17)));
  return copySign(select(large, outer, value), x);
}
V MathFunctions::acos(V x) {
  if (!isDouble)
    return wide([](MathFunctions &f, ArrayRef<V> v) { return f.acos(v[0]); }, {x});
  V a = abs(x);
  V large = greater(a, c(0.5));
  V z = select(large, mul(sub(c(1), a), c(0.5)), mul(a, a));
  V s = select(large, sqrt(z), x);
  V value = fma(mul(s, z), asinRest(z), s);
  V twice = add(value, value);
  V outer = select(less(x, c(0)), sub(c(3.14159265358979323846), sub(twice, c(1.22464679914735317e-16))), twice);
  V inner = sub(c(1.57079632679489661923), sub(value, c(6.12323399573676603587e-17)));
  return select(large, outer, inner);
}
