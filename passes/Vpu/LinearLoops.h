// Loop nests whose operands are read at linear functions of the loops' indices: what a strided view can follow.
#ifndef BURIN_PASSES_VPU_LINEARLOOPS_H
#define BURIN_PASSES_VPU_LINEARLOOPS_H

#include "mlir/Dialect/Linalg/IR/Linalg.h"

namespace burin::vpu {

struct LinearLoops {
  llvm::SmallVector<int64_t> extents;
  llvm::SmallVector<mlir::AffineMap> maps; // one an operand of the loop nest, from the new loops
  /// By loop of the nest: the new loop, or the outer and inner one and the inner one's extent.
  struct Split {
    unsigned outer, inner;
    int64_t by = 1; // 1: `outer` alone
  };
  llvm::SmallVector<Split> splits;

  /// The index of a loop of the nest, from those of the new loops.
  mlir::Value index(mlir::OpBuilder &builder, mlir::Location loc, unsigned loop, mlir::ValueRange indices) const;
};

/// `d floordiv k` and `d mod k` become loops of their own where k divides the extent; fails for other orders.
mlir::FailureOr<LinearLoops> linearLoops(mlir::linalg::GenericOp op);

} // namespace burin::vpu

#endif
