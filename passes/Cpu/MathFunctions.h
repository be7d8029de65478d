// Private header of the room: mathematical functions of f32 and f64, scalar or vector, built from additions,
// multiplications, divisions, square roots, comparisons and operations on bits. README.md states their errors.
#ifndef BURIN_PASSES_CPU_MATHFUNCTIONS_H
#define BURIN_PASSES_CPU_MATHFUNCTIONS_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace burin::cpu {

struct MathTraits {
  bool fma;           // a fused multiplication-addition is an instruction
  bool round;         // and so is rounding to an integer
  bool loose = false; // fewer operations, larger errors: exp, tanh, erf, sin, cos and pow of f32
};

/// All values that one MathFunctions meets have the shape it was made for; integer values have the floats' width.
class MathFunctions {
public:
  MathFunctions(mlir::ImplicitLocOpBuilder &b, mlir::Type type, MathTraits traits);

  using V = mlir::Value;
  V exp(V x), exp2(V x), expm1(V x), log(V x), log2(V x), log10(V x), log1p(V x);
  V pow(V x, V y), cbrt(V x), rsqrt(V x), sqrt(V x);
  V sin(V x), cos(V x), tan(V x), asin(V x), acos(V x), atan(V x), atan2(V y, V x);
  V sinh(V x), cosh(V x), tanh(V x), asinh(V x), acosh(V x), atanh(V x), erf(V x), erfc(V x);
  V erfOfSum(V x);     // f32: for sums with what is as large as 1, an absolute error of 3e-7
  V expOfDivisor(V x); // f32: for x / (1 + this), 2.3 units in the last place
  V floor(V x), ceil(V x), trunc(V x), round(V x), roundEven(V x);
  V remainder(V x, V y); // the sign of x, as C's fmod
  /// x to a constant power, or nothing when it is not one of the few that products and square roots give exactly
  /// enough.
  V powConstant(V x, double y);

  V fma(V x, V y, V z); // fused only where that is an instruction

private:
  struct Parts {
    V exponent, log;
  }; // log(x) = exponent * ln 2 + log
  struct Angle {
    V rest, quadrant;
  };

  V c(double value), bits(int64_t value);
  V add(V x, V y), sub(V x, V y), mul(V x, V y), div(V x, V y), neg(V x), abs(V x), copySign(V x, V y);
  V less(V x, V y), greater(V x, V y), atLeast(V x, V y), equal(V x, V y), isNan(V x), select(V condition, V x, V y);
  V asBits(V x), asFloat(V x);
  V polynomial(V x, llvm::ArrayRef<double> coefficients); // highest power first
  V productError(V x, V y, V product);
  V clamp(V x, double low, double high); // NaN stays
  V scale(V x, V exponentBits);          // x * 2^n, n an integer in bits, also into denormals
  V expRest(V r);                        // (e^r - 1 - r) / r^2
  V splitExponent(V x, V &rest);         // n = round(x / ln 2) as bits; rest = x - n ln 2
  V powerOfTwo(V exponentBits);
  Parts splitLog(V x);
  V finishLog(V x, V result);
  Angle reduceAngle(V x);
  V sinRest(V r), cosRest(V r), atanRest(V x), erfcxPolynomial(V x), erfInside(V x), asinRest(V z);
  /// Computes in f64 what is not worth polynomials of its own.
  template <typename F> V wide(F function, llvm::ArrayRef<V> operands);
  bool isLoose() const { return traits.loose && !isDouble; }
  V expOfNormal(V x);
  V looseExp(V x), looseTanh(V x), looseErf(V x), looseSine(V x, int64_t shift);

  mlir::ImplicitLocOpBuilder &b;
  mlir::Type type, element, integer;
  bool isDouble;
  MathTraits traits;
};

} // namespace burin::cpu

#endif
