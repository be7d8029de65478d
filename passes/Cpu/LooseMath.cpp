// The looser forms of MathFunctions.h, for f32 alone: shorter polynomials in f32 where the others take f64, one range
// instead of two, denormals as zero; and the error function where small results need no digits of their own. README.md
// states their errors.
//
// Coefficients minimize the largest relative error (Lawson's iteration on weighted least squares). Infinities and NaN
// stay what they are.
#include "passes/Cpu/MathFunctions.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace burin::cpu;
using V = MathFunctions::V;

// 2^n is added to the exponent: e^rest lies within [0.7, 1.42), so that no result in [-87.3, 88.7] leaves the normal
// numbers.
V MathFunctions::expOfNormal(V x) {
  V rest, n = splitExponent(x, rest);
  V p = polynomial(rest, {8.312525227665901e-3, 4.1890114545822144e-2, 1.6667114198207855e-1, 4.99992311000824e-1});
  V value = add(fma(mul(rest, rest), p, rest), c(1));
  return asFloat(arith::AddIOp::create(b, asBits(value), arith::ShLIOp::create(b, n, bits(23))));
}

V MathFunctions::looseExp(V x) {
  V value = select(less(x, c(-87.3)), c(0), expOfNormal(x));
  return select(greater(x, c(88.7)), c(std::numeric_limits<double>::infinity()), value);
}

// Beyond what is cut, 1 + e^x is 1, or so large that a quotient is as good as 0.
V MathFunctions::expOfDivisor(V x) { return expOfNormal(clamp(x, -87, 88)); }

// x P(x^2) / Q(x^2); beyond 8 it is 1.
V MathFunctions::looseTanh(V x) {
  V limited = clamp(x, -8, 8), z = mul(limited, limited);
  V p = polynomial(z, {-6.142313768719987e-9, 7.162509064073674e-6, 2.696410520002246e-3, 1.2712311744689941e-1,
                       9.999997615814209e-1});
  V q = polynomial(z, {1.9674532813951373e-4, 2.285030484199524e-2, 4.604547321796417e-1, 1});
  return div(mul(limited, p), q);
}

// x P(x^2) / Q(x^2); beyond 3.9 it is 1.
V MathFunctions::looseErf(V x) {
  V limited = clamp(x, -3.9, 3.9), z = mul(limited, limited);
  V p = polynomial(z, {-1.5721889212727547e-6, 2.776035980787128e-4, 1.0991123504936695e-2, 7.485349476337433e-2,
                       3.8199272751808167e-1, 1.128379464149475});
  V q = polynomial(z, {2.5891894474625587e-3, 2.971409261226654e-2, 1.9033116102218628e-1, 6.718607544898987e-1, 1});
  return div(mul(limited, p), q);
}

// x P(x^2), the polynomial in x^2 mapped to [-1, 1]; where it stops the product is 1, and beyond it is cut there: 1 - 1
// must be 0 for any x. No division and no exponential: half the operations of erf. A looser one gains nothing.
V MathFunctions::erfOfSum(V x) {
  constexpr double limit = 3.75;
  V square = mul(x, x), z = select(greater(square, c(limit * limit)), c(limit * limit), square);
  V p = polynomial(fma(z, c(2 / (limit * limit)), c(-1)),
                   {1.04335672e-3, -2.29937071e-3, 1.33343413e-3, -2.76562362e-3, 9.85824037e-3, -1.70142613e-2,
                    2.44614948e-2, -3.71567383e-2, 5.37850000e-2, -7.16555491e-2, 9.07142833e-2, -1.11934550e-1,
                    1.39270246e-1, -1.88030213e-1, 3.77056926e-1});
  return clamp(mul(x, p), -1, 1);
}

// The sine of x + shift * pi/2. pi/2 in three parts: right as long as the quadrant is below 2^22.
V MathFunctions::looseSine(V x, int64_t shift) {
  V shifted = fma(x, c(0.636619772367581343), c(12582912.0)), n = sub(shifted, c(12582912.0)), r = x;
  if (traits.fma) {
    for (double part : {1.5707963705062866, -4.371138828673793e-8, -1.7763568394002505e-15})
      r = fma(n, c(-part), r);
  } else {
    // So few bits each that the products are exact up to |x| of about 10,000.
    for (double part : {1.5703125, 4.83512878417968750e-4, 3.1384885775e-7, 6.0770999344e-11})
      r = sub(r, mul(n, c(part)));
  }
  V quadrant = arith::AddIOp::create(b, asBits(shifted), bits(shift)), z = mul(r, r);
  V sine = fma(mul(z, r), polynomial(z, {-1.9510839774738997e-4, 8.332131430506706e-3, -1.6666653752326965e-1}), r);
  V cosine = fma(mul(z, z), polynomial(z, {2.4431205019936897e-5, -1.3887305976822972e-3, 4.166664555668831e-2}),
                 fma(z, c(-0.5), c(1)));
  V odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, quadrant, bits(1)), bits(0));
  // The quadrant's second bit is the sign.
  V sign = arith::ShLIOp::create(b, arith::AndIOp::create(b, quadrant, bits(2)), bits(30));
  return asFloat(arith::XOrIOp::create(b, asBits(select(odd, cosine, sine)), sign));
}
