// What kernels of products do with their sums: the epilogue, or a part of a split sum that a second launch adds up.
#ifndef BURIN_PASSES_CUDA_CONTRACTIONRESULTS_H
#define BURIN_PASSES_CUDA_CONTRACTIONRESULTS_H

#include "passes/Cuda/ContractionProblem.h"

namespace burin::cuda {

/// A row of results by its number; `valid`, if not null: whether there is one.
struct ResultRow {
  mlir::Value number, valid;
};

class ContractionResults {
public:
  ContractionResults(mlir::OpBuilder &b, nn::ComputeOp op, const Problem &p, Fragments &f) : b(b), op(op), p(p), f(f) {}

  mlir::Value batch, split; // of the block; split: which part of the sums it has

  mlir::Type sumType() { return p.isInteger() ? mlir::Type(b.getI32Type()) : b.getF32Type(); }
  llvm::SmallVector<int64_t> batchShape();
  /// Elements to where the block's batch begins; dims of 1 repeat.
  mlir::Value batchOffset(mlir::Value memref);

  /// Memory for the parts of shared sums, in front of the launch; none where `parts` is 1.
  void makeScratch(int64_t parts);

  /// The sums of a lane as tensor cores leave them, rowTiles x columnTiles of 16 x 8: `rowOf(i)` are its rows, two of
  /// each 16; its columns are `column` and the next of each 8.
  void store(int64_t rowTiles, int64_t columnTiles, llvm::function_ref<ResultRow(int64_t i)> rowOf, mlir::Value column,
             bool hasColumnTail, llvm::function_ref<mlir::Value(int64_t i, int64_t j, int64_t e)> sumOf);

  /// The second launch, at `behind`: a thread a result adds its parts in their order, whatever blocks ran first; all,
  /// or as many as `partsOf` says. Nothing without scratch memory.
  void addParts(mlir::OpBuilder behind,
                llvm::function_ref<mlir::Value(mlir::Value batch, mlir::Value m, mlir::Value n)> partsOf = nullptr);

private:
  mlir::OpBuilder &b;
  nn::ComputeOp op;
  const Problem &p;
  Fragments &f;
  mlir::Value scratch;

  mlir::Value resultColumn(mlir::Value n);
  llvm::SmallVector<mlir::Value> resultPlace(mlir::Value m);
};

} // namespace burin::cuda

#endif
