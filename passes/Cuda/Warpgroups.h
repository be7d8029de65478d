// Words of kernels for warpgroups, which sm_90a has: barriers in shared memory that count bytes, copies of boxes of
// tensors, products of factors that lie in shared memory. cuda-emulate-kernels knows all of them.
#ifndef BURIN_PASSES_CUDA_WARPGROUPS_H
#define BURIN_PASSES_CUDA_WARPGROUPS_H

#include "passes/Cuda/Fragments.h"

namespace burin::cuda {

/// On a cast from a memref to the pointer that a kernel takes: what the pointer's tensor map says, as of TensorMap.
inline constexpr char tensorMapAttr[] = "burin.tensor_map";

/// What the driver encodes of a tensor of 16-bit floats: boxes of it are copied, rows of 128 bytes swizzled, and what
/// lies outside is zero. Dims from the innermost on, whose elements lie side by side.
struct TensorMap {
  llvm::SmallVector<int64_t> dims;
  llvm::SmallVector<int64_t> strides; // bytes, from the second dim on: multiples of 16
  llvm::SmallVector<int64_t> box;     // elements that a copy brings
  llvm::SmallVector<int64_t> steps;   // from one of them to the next

  /// The pointer for kernels; cuda-plan-steps makes the map an argument of its own kind.
  mlir::Value of(mlir::OpBuilder &b, mlir::Location loc, mlir::Value memref) const;
};

struct Warpgroups {
  Fragments &f;
  bool rhsByRows; // the right factor stands in shared memory as [n][k], else as [k][n] in columns of 64

  static constexpr int64_t threads = 128, rows = 64, stepK = 16;
  static constexpr int64_t rowBytes = 128; // of factors in shared memory: 64 elements
  static constexpr int64_t swizzledBytes = 8 * rowBytes;

  /// Barriers are 8 bytes of shared memory; their phases have parities 0, 1, 0, ...
  void makeBarrier(mlir::Value barrier, int64_t arrivals);
  void showBarriersToCopies();
  void arrive(mlir::Value barrier);
  void arriveExpecting(mlir::Value barrier, int64_t bytes);
  /// Until the phase of this parity has ended; the one before the first counts as ended.
  void wait(mlir::Value barrier, mlir::Value parity);

  /// Starts the copy of the box at `at`; its bytes count at the barrier.
  void copyBox(mlir::Value to, mlir::Value map, llvm::ArrayRef<mlir::Value> at, mlir::Value barrier);

  mlir::Value noSums(int64_t columns);
  /// sums += A B of 64 rows, `columns` columns and `steps` times 16 of k.
  mlir::Value multiply(mlir::Value lhs, mlir::Value rhs, mlir::Value sums, int64_t columns, int64_t steps);
  /// Until all but the last `pending` products are done: what they read may be overwritten.
  void waitProducts(int64_t pending);

private:
  mlir::Value pointerTo(mlir::Value address);
  mlir::Value descriptor(mlir::Value address, int64_t leadingBytes);
};

} // namespace burin::cuda

#endif
