// Which part of each operand a part of an nn op's result depends on, and the op that computes just that part. Pure
// geometry: no memory, no machine.
#ifndef BURIN_PASSES_VPU_TILEGEOMETRY_H
#define BURIN_PASSES_VPU_TILEGEOMETRY_H

#include "dialects/Nn/Nn.h"

namespace burin::vpu {

struct Box {
  llvm::SmallVector<int64_t, 6> offsets, sizes;
  bool operator==(const Box &other) const { return offsets == other.offsets && sizes == other.sizes; }
};

struct Tile {
  llvm::SmallVector<Box> operands; // one an operand of the op, the destination's included
  mlir::NamedAttrList attributes; // those of the op on the tile: pads, groups and extra_maps differ from the whole op's
};

/// The result dim that tiles cut into rows: the first spatial dim of images, the rows of matrices. Dims before it are
/// batches.
unsigned rowDim(nn::ComputeOp op);

/// Cuts the channels (the last dim) into blocks of at most `size`, [begin, end) each. Blocks are whole groups or lie
/// within one, and begin at a block of a packed filter.
llvm::SmallVector<std::pair<int64_t, int64_t>> channelBlocks(nn::ComputeOp op, int64_t size);

/// Sizes worth trying for channelBlocks: all channels first, then about halves of the size before, down to the smallest
/// block.
llvm::SmallVector<int64_t> channelSizes(nn::ComputeOp op);

/// The tile that computes `result`, a box of `op`'s destination which spans all spatial dims after the first and whose
/// channels are one of channelBlocks. Operands must be static memrefs. Fails for softmax, and for windows that lie
/// wholly behind the input.
mlir::FailureOr<Tile> tileOf(nn::ComputeOp op, const Box &result);

} // namespace burin::vpu

#endif
