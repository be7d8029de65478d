// Scalar arithmetic inside a body, spelled once for floats and for signed and unsigned integers: what the elementwise,
// reducing and normalizing families build their elements with. Values keep the type they have; mixing types is the
// caller's error.
#ifndef BURIN_PASSES_LOWER_SCALARS_H
#define BURIN_PASSES_LOWER_SCALARS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace burin::lower {

/// The type an element is computed in: f32 for the narrower floats (ONNX rounds once an operator), else its own.
mlir::Type computeType(mlir::Type element);

class Scalars {
public:
  Scalars(mlir::ImplicitLocOpBuilder &b, bool isUnsigned) : b(b), isUnsigned(isUnsigned) {}
  mlir::ImplicitLocOpBuilder &b;
  bool isUnsigned; // how integers are read

  mlir::Value constant(mlir::Type type, double value);
  mlir::Value like(mlir::Value v, double value) { return constant(v.getType(), value); }
  mlir::Value infinity(mlir::Type type, bool negative = false);
  /// The least (greatest) value of a type: -inf for floats.
  mlir::Value lowest(mlir::Type type);
  mlir::Value highest(mlir::Type type);

  mlir::Value add(mlir::Value x, mlir::Value y);
  mlir::Value sub(mlir::Value x, mlir::Value y);
  mlir::Value mul(mlir::Value x, mlir::Value y);
  /// Integers: towards zero; x / 0 is x and nothing traps.
  mlir::Value div(mlir::Value x, mlir::Value y);
  /// C's remainder: the sign of x. x % 0 is 0 for integers.
  mlir::Value remainder(mlir::Value x, mlir::Value y);
  /// x - floor(x / y) * y: the sign of y.
  mlir::Value modulo(mlir::Value x, mlir::Value y);
  mlir::Value max(mlir::Value x, mlir::Value y); // NaN wins
  mlir::Value min(mlir::Value x, mlir::Value y);
  mlir::Value neg(mlir::Value x);
  mlir::Value abs(mlir::Value x);
  mlir::Value pow(mlir::Value x, mlir::Value y);
  mlir::Value square(mlir::Value x) { return mul(x, x); }

  mlir::Value less(mlir::Value x, mlir::Value y);
  mlir::Value lessOrEqual(mlir::Value x, mlir::Value y);
  mlir::Value equal(mlir::Value x, mlir::Value y);
  mlir::Value select(mlir::Value condition, mlir::Value x, mlir::Value y);
  mlir::Value isNaN(mlir::Value x);

  mlir::Value exp(mlir::Value x);
  mlir::Value log(mlir::Value x);
  mlir::Value sqrt(mlir::Value x);
  mlir::Value tanh(mlir::Value x);
  mlir::Value sigmoid(mlir::Value x);
  mlir::Value softplus(mlir::Value x);

  /// ONNX's Cast. `isUnsigned` says how the source is read. Floats become integers by dropping the fraction (what does
  /// not fit wraps as far as 32 or 64 bits hold it) and bool by `!= 0`.
  mlir::Value cast(mlir::Value v, mlir::Type to, bool toUnsigned = false);
  /// f64 -> f32 on the way to a narrower float, which then rounds as if once.
  mlir::Value narrowOnce(mlir::Value v);

private:
  mlir::Value intPow(mlir::Value x, mlir::Value y);
};

} // namespace burin::lower

#endif
