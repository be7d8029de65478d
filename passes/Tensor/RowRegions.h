// Private header of the room: runs of operations that compute their results band of rows by band of rows.
#ifndef BURIN_PASSES_TENSOR_ROWREGIONS_H
#define BURIN_PASSES_TENSOR_ROWREGIONS_H

#include "passes/Tensor/Rows.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace burin {

/// Operations first to last, by their numbers in RowAnalysis, in `bands` bands.
struct RowRegion {
  int64_t first, last, bands;
  bool contains(int64_t op) const { return first <= op && op <= last; }
};

/// Of an operation in a region: the share of its result that a band computes, and the bytes of the framed copy that it
/// needs of rows from outside.
struct RowShare {
  double result = 0, framed = 0;
};

/// An operand that an operation reads by rows: of which operation's result (-1: none of @main's), how many for each of
/// its own, how many more whatever it computes, and its bytes a row where a frame around them is filled.
struct RowReader {
  int64_t from;
  double each, more, framedBytes;
};

/// The operations of @main that compute, numbered in their order, and the dim along which each result's rows lie.
class RowAnalysis {
public:
  explicit RowAnalysis(mlir::func::FuncOp main);

  int64_t size() const { return ops.size(); }
  mlir::Operation *operation(int64_t op) const { return ops[op]; }

  /// True if the operation can compute some rows of its result alone.
  bool isRowwise(int64_t op) const { return rowwise[op]; }

  /// Multiplications and additions, or elements where an operation has none.
  double work(int64_t op) const;

  /// The shares of a region's operations in one band, estimated; false where it cannot run in that many bands.
  bool shares(const RowRegion &region, llvm::SmallVectorImpl<RowShare> &shares) const;

  /// True if every band of the region can be computed.
  bool isPossible(const RowRegion &region) const;

  /// Computes the region in bands, each writing its rows of the results that are used outside. Numbers of operations
  /// stay what they are; those of the region are gone.
  void apply(const RowRegion &region);

private:
  void findDims();
  bool spread(int64_t op);
  bool needs(const RowRegion &region, int64_t band, llvm::SmallVectorImpl<Rows> &needed) const;
  void describe(int64_t op);
  bool isOutside(const RowRegion &region, mlir::Operation *user) const;
  bool isUsedOutside(const RowRegion &region, int64_t op) const;
  int64_t numberOf(mlir::Value value) const;
  int64_t rowsOf(int64_t op) const;

  mlir::Block &block;
  llvm::SmallVector<mlir::Operation *> ops;
  llvm::SmallVector<bool> rowwise;
  llvm::SmallVector<llvm::SmallVector<RowReader, 2>> readers; // of each operation
  llvm::SmallVector<int64_t> lastWhole, lastUser;             // the last that it reads whole, that reads it
  llvm::DenseMap<mlir::Operation *, int64_t> numbers;
  llvm::DenseMap<mlir::Value, int64_t> dims;
};

} // namespace burin

#endif
