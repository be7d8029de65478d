// Private: y = x * scale + shift by channel, as BatchNormalization and Mul, Div, Add, Sub by constants write it. One
// form for the passes that move such numbers into weights.
#ifndef BURIN_PASSES_GRAPH_AFFINE_H
#define BURIN_PASSES_GRAPH_AFFINE_H

#include "dialects/Onnx/Onnx.h"

#include <optional>

namespace burin::graph {

/// y = x * scale + shift along the channels; one entry where all channels agree. `scales` is false for a pure shift,
/// `shifts` for a pure scale.
struct Affine {
  llvm::SmallVector<double> scale, shift;
  bool scales = true, shifts = true;
};

inline double at(llvm::ArrayRef<double> values, int64_t i) { return values.size() == 1 ? values[0] : values[i]; }

/// A float constant of `count` channels (one entry where it is a splat); any number of them where `count` is negative.
std::optional<llvm::SmallVector<double>> channels(mlir::Value value, int64_t count);

/// A constant operand that differs by channel only: all dims 1 but `channelDim` of `rank`, its dims counted from the
/// back.
std::optional<llvm::SmallVector<double>> perChannel(mlir::Value value, int64_t count, int64_t rank, int64_t channelDim);

/// What a BatchNormalization at inference does; nothing where a parameter is no constant.
std::optional<Affine> affineOf(onnx::BatchNormalizationOp op, int64_t count);

/// What `op` (the above, or a binary operator) does to the channels of its operand `x`, if that is all it does.
std::optional<Affine> affineOf(mlir::Operation *op, mlir::Value x, int64_t count, int64_t rank, int64_t channelDim);

/// False where rounding an entry to `type` would make an infinity of a number.
bool fits(llvm::ArrayRef<double> values, mlir::Type type);

} // namespace burin::graph

#endif
