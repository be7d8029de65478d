// ONNX's numbers of element types, for those who write a `dtype` attribute and may not see ONNX's headers; and what
// flattened inputs and outputs leave behind.
#pragma once

#include "mlir/IR/Types.h"

namespace burin::onnx {

/// TensorProto.DataType of an element type; 0 where ONNX has none.
int32_t getDataType(mlir::Type elementType);

/// Of a Custom operator: the C function that computes it.
inline constexpr char calleeAttr[] = "burin.callee";

/// Of a function whose sequence and optional inputs and outputs are given tensor by tensor (x[0], x[1], ...): a
/// dictionary from the name of each to its number of tensors, `unit` for an empty optional.
inline constexpr char lengthsAttr[] = "onnx.lengths";

} // namespace burin::onnx
