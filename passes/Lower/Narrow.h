// Private: element types that memory holds as one byte of bits each (the 8-bit and 4-bit floats, integers of 2 and 4
// bits) and their conversion to and from types that compute. What only moves elements never looks at them.
#ifndef BURIN_PASSES_LOWER_NARROW_H
#define BURIN_PASSES_LOWER_NARROW_H

#include "passes/Lower/Scalars.h"

namespace burin::lower {

/// True for the ONNX element types above. An element lies in the low bits of its byte; what is above is ignored when
/// read and 0 when written.
bool isNarrow(mlir::Type onnxElement);

/// How values that the type cannot hold are written. Only Float8E8M0FNU asks for the rounding; integers wrap.
enum class Rounding { Up, Down, Nearest };
struct Encoding {
  bool saturate = true; // else infinity or NaN, as the format has them
  Rounding e8m0 = Rounding::Up;
};

/// The number behind a byte: f32 for a float, i8 for an integer (sign or zero extended).
mlir::Value decodeNarrow(mlir::ImplicitLocOpBuilder &b, mlir::Value byte, mlir::Type type);
/// The byte of a number of any type, floats rounded to nearest even; `isUnsigned`: how an integer `v` is read.
mlir::Value encodeNarrow(mlir::ImplicitLocOpBuilder &b, mlir::Value v, mlir::Type type, bool isUnsigned,
                         Encoding encoding);

} // namespace burin::lower

#endif
