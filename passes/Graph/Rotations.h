// Private: what a rotary embedding is made of, however it is spelled out.
#ifndef BURIN_PASSES_GRAPH_ROTATIONS_H
#define BURIN_PASSES_GRAPH_ROTATIONS_H

#include "passes/Graph/Rewriting.h"

namespace burin::graph {

int64_t lastDim(mlir::Value value);

/// value = x[..., begin : end : step] along the last dim alone.
struct Range {
  mlir::Value x;
  int64_t begin = 0, end = 0, step = 1;
};
std::optional<Range> rangeOf(mlir::Value value);

/// value = -x, or x * -1: that x, or null.
mlir::Value negated(mlir::Value value);

/// What of its last dim a rotation turns, `value` being the first or second of it: the two halves, or the elements of
/// even and odd place. The whole, or null.
mlir::Value partOf(mlir::Value value, bool second, bool interleaved);

/// The two parts that make up value: Concat(a, b), or Reshape(Concat(Unsqueeze(a), Unsqueeze(b))), in which they
/// alternate or lie side by side.
std::optional<std::pair<mlir::Value, mlir::Value>> joined(mlir::Value value, bool &interleaved,
                                                          llvm::SmallVectorImpl<mlir::Operation *> &parts);

/// value = the parts of x, the second negated, in the other order: that x.
mlir::Value rotated(mlir::Value value, bool &interleaved, llvm::SmallVectorImpl<mlir::Operation *> &parts);

/// True if value's last dim holds everything twice, provably.
bool isTwice(mlir::Value value, bool interleaved, unsigned depth = 0);
/// One of each two elements of a value for which isTwice holds.
mlir::Value halve(mlir::OpBuilder &builder, mlir::Value value, bool interleaved);

} // namespace burin::graph

#endif
