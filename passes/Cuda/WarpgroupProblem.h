// A convolution or matrix product as warpgroups see it: boxes of tensors instead of rows found one by one.
#ifndef BURIN_PASSES_CUDA_WARPGROUPPROBLEM_H
#define BURIN_PASSES_CUDA_WARPGROUPPROBLEM_H

#include "passes/Cuda/ContractionProblem.h"
#include "passes/Cuda/Tiles.h"
#include "passes/Cuda/Warpgroups.h"

namespace burin::cuda {

/// A dim that rows of results count along: images and their pixels, or the rows of a matrix.
struct RowDim {
  int64_t out, in;
  int64_t stride; // bytes of the input from one to the next
  int64_t step = 1, pad = 0, dilation = 1, taps = 1;
  int64_t box = 1; // of a tile: its share of the tile's rows
};

struct WarpgroupProblem {
  Problem p;
  WarpgroupTile tile;
  llvm::SmallVector<RowDim> dims; // outermost first; the product of their boxes is `tileRows`
  TensorMap lhs, rhs;
  llvm::SmallVector<unsigned> lhsBatches, rhsBatches; // dims of the batch that the maps end in
  int64_t chunks, taps;                               // of k: 64 channels each, and what a window has of them

  static constexpr int64_t tileRows = 128, chunk = 64;
  int64_t rowTiles() const;
};

/// Nothing, with a reason, where the kernel does not fit.
std::optional<WarpgroupProblem> describeWarpgroups(nn::ComputeOp op, std::string &why);

/// KernelWarpgroups.cpp: the kernel, for sm_90a alone. Fails with a reason.
mlir::LogicalResult emitWarpgroups(mlir::OpBuilder &builder, nn::ComputeOp op, std::string &why);

} // namespace burin::cuda

#endif
