// QuantizeLinear and DequantizeLinear of bytes with constant scales, as what rewrites ask about them. Private to the
// room.
#ifndef BURIN_PASSES_LOWER_QDQ_H
#define BURIN_PASSES_LOWER_QDQ_H

#include "dialects/Onnx/Onnx.h"
#include <optional>

namespace burin::lower {

/// The scale and zero point of a QuantizeLinear or DequantizeLinear, where both are constant: one, or one an index of
/// `axis`.
struct Quantization {
  llvm::SmallVector<float> scale;
  int64_t zero = 0;
  int64_t axis = 0;
  mlir::Type element;

  bool isScalar() const { return scale.size() == 1; }
  bool isUnsigned() const { return element.isUnsignedInteger(); }
  int64_t low() const { return isUnsigned() ? 0 : -128; }
  int64_t high() const { return low() + 255; }
  bool operator==(const Quantization &o) const {
    return isScalar() && scale == o.scale && zero == o.zero && element == o.element;
  }
};

std::optional<Quantization> quantizationOf(onnx::DequantizeLinearOp op);
std::optional<Quantization> quantizationOf(onnx::QuantizeLinearOp op);

bool isByte(mlir::Type element);

/// A value as bytes and what they stand for; null where it is no DequantizeLinear to f32 of such.
struct Dequantized {
  onnx::DequantizeLinearOp op;
  Quantization q;
  explicit operator bool() const { return bool(op); }
};
Dequantized dequantized(mlir::Value v);

/// A constant's floats, dequantized here where it is not yet; empty where it is none.
llvm::SmallVector<float> floatsOf(mlir::Value v);

} // namespace burin::lower

#endif
