// What the kernels of this room share: which operations have one, and loops over threads. Not for other rooms.
#ifndef BURIN_PASSES_CUDA_KERNELS_H
#define BURIN_PASSES_CUDA_KERNELS_H

#include "dialects/Nn/Nn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace burin::cuda {

/// Why no kernel of this room computes `op`, on memrefs; empty when one does. The answer is that of cuda-lower-nn and
/// cuda-lower-linalg, asked before they run.
std::string whyNoKernel(mlir::Operation *op);

/// The same of a whole function, as cpu-outline-kernels makes them.
std::string whyNoKernel(mlir::func::FuncOp function);

/// A launch of `blocks` times `threads` along x; `builder` is left inside it, in front of its terminator.
mlir::gpu::LaunchOp launchBlocks(mlir::OpBuilder &builder, mlir::Location loc, int64_t blocks, int64_t threads);

/// A launch of one thread for each of `elements`; `body` gets the number of its own.
void launchThreads(mlir::OpBuilder &builder, mlir::Location loc, int64_t elements, int64_t blockSize,
                   llvm::function_ref<void(mlir::OpBuilder &, mlir::Value)> body);

/// Row-major position of `linear` in `shape`, the last dim fastest.
llvm::SmallVector<mlir::Value> positionOf(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value linear,
                                          llvm::ArrayRef<int64_t> shape);

/// `value` of each lane of a warp combined by `combine`; every lane gets the result, the same bits in each.
mlir::Value reduceInWarp(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value value,
                         llvm::function_ref<mlir::Value(mlir::Value, mlir::Value)> combine);

inline constexpr int64_t warpSize = 32;

} // namespace burin::cuda

#endif
