// Private header of the room: operations on some rows of their result alone.
#ifndef BURIN_PASSES_TENSOR_ROWS_H
#define BURIN_PASSES_TENSOR_ROWS_H

#include "mlir/IR/Builders.h"

#include <optional>

namespace burin {

/// Rows [from, to) along one dim of a tensor.
struct Rows {
  int64_t from = 0, to = 0;
  int64_t count() const { return to - from; }
};

/// Rows that an operation reads of an operand, along `dim` of it.
struct ReadRows {
  mlir::OpOperand *operand;
  int64_t dim;
  Rows rows;
};

/// What `op` reads to compute `rows` along `dim` of its only result; operands that are not listed are read whole. None
/// where these rows cannot be computed alone: sizes are free, or a row depends on all others.
std::optional<llvm::SmallVector<ReadRows>> readRows(mlir::Operation *op, int64_t dim, Rows rows);

/// `op` on `rows` of its result. `take` gives the rows of an operand that readRows lists, no more and no less.
mlir::Value computeRows(mlir::OpBuilder &builder, mlir::Operation *op, int64_t dim, Rows rows,
                        llvm::function_ref<mlir::Value(const ReadRows &)> take);

/// A tensor's rows as a slice; of an empty tensor an empty one.
mlir::Value sliceRows(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensor, int64_t dim, Rows rows);

/// `part` as `rows` of `whole`.
mlir::Value insertRows(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value part, mlir::Value whole, int64_t dim,
                       Rows rows);

} // namespace burin

#endif
