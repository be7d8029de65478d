// Weights that a model keeps as integers with scales (DequantizeLinear of constants) and that stay so in the program:
// products and gathers of rows read them where they lie.
#ifndef BURIN_PASSES_LOWER_STOREDWEIGHTS_H
#define BURIN_PASSES_LOWER_STOREDWEIGHTS_H

#include "passes/Lower/Lowering.h"

namespace burin::lower {

/// A constant matrix [rows, columns] of floats as integers: u stands for (u - zero) * scale.
struct StoredMatrix {
  onnx::DequantizeLinearOp op;
  bool isTransposed; // rows lie along the last dim of the operator
  int64_t rows, columns, bits;
  int64_t run;  // rows that share a scale
  bool isWhole; // one scale for all columns

  /// Where the scale and zero point of column c in a group lie in their constants.
  int64_t parameterOf(int64_t group, int64_t c) const {
    int64_t groups = (rows + run - 1) / run;
    return isWhole ? 0 : isTransposed ? c * groups + group : group * columns + c;
  }
};

/// `v`, or what it is the transpose of, as such a matrix; `isTransposed`: the other way round. Nothing where it is
/// none, or where scales belong to rows.
std::optional<StoredMatrix> getStoredMatrix(mlir::Value v, bool isTransposed);

/// True if `op` makes a matrix that every user reads as integers: nothing is left to lower.
bool isStoredWeight(mlir::Operation *op);

/// The same where the program keeps it so: no user of it wants floats.
std::optional<StoredMatrix> getStoredWeight(Lowering &l, mlir::Value v, bool isTransposed);

/// lhs [m, k] times the matrix, into [m, n].
nn::MatmulOp createStoredMatmul(Lowering &l, mlir::Value lhs, const StoredMatrix &matrix, const Shaped &type);

/// The columns of the matrix that a list of indices names, into [indices, rows] of floats: rows of a table, a column
/// being a row of it.
mlir::Value gatherStored(Lowering &l, mlir::Value indices, const StoredMatrix &matrix, const Shaped &type);

} // namespace burin::lower

#endif
