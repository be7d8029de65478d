// How output channels become vectors and how weights are blocked for them. Pure functions of a machine row and the
// extents, because two rooms must agree: the tensor stage packs weights by `packingBlock`, the cpu stage builds
// register tiles over the same blocks.
#ifndef BURIN_LIB_SUPPORT_PACKING_H
#define BURIN_LIB_SUPPORT_PACKING_H

#include "lib/Support/Machine.h"
#include "llvm/ADT/SmallVector.h"

namespace burin {

/// Channels [offset, offset + lanes) held by one register. `lanes` is a power of two.
struct ChannelVector {
  int64_t offset, lanes;
};

/// Covers `width` channels exactly, by registers of at most `maxLanes`. The last two may overlap: both then compute the
/// same values, which costs less than a masked or scalar tail and never touches memory outside the width.
llvm::SmallVector<ChannelVector> splitChannels(int64_t maxLanes, int64_t width);

/// The shape of one register tile: rows x columns of pixels, each with all vectors of a channel block.
struct PixelTile {
  int64_t rows = 1, columns = 1;
  int64_t pixels() const { return rows * columns; }
};

/// Estimated cycles that one step of the reduction takes for all of rows x columns pixels with this tile, overlapped
/// last tiles included.
double tileCycles(const Machine &machine, unsigned elementBits, llvm::ArrayRef<ChannelVector> vectors, PixelTile tile,
                  int64_t rows, int64_t columns);

/// Whether sums of so many pixels, weights and an input stay in registers.
bool tileFits(const Machine &machine, int64_t pixels, llvm::ArrayRef<ChannelVector> vectors);

/// The tile with the fewest estimated cycles that fits the registers. rows = 1 forbids tiles of several rows. A tile
/// that was `measured` to be faster is taken where it fits.
PixelTile choosePixelTile(const Machine &machine, unsigned elementBits, llvm::ArrayRef<ChannelVector> vectors,
                          int64_t rows, int64_t columns, PixelTile measured = {0, 0});

/// Channels a block of packed weights holds, for `n` output channels and a reduction of length `k`: the block that
/// needs the fewest estimated cycles over all channels. At most `n`, at least 1.
int64_t packingBlock(const Machine &machine, int64_t k, int64_t n, unsigned elementBits = 32);

/// How many bytes ahead of their use a kernel asks for packed weights; 0: it leaves that to the hardware.
int64_t weightPrefetch(const Machine &machine);

/// Channels a block of 8-bit weights packed for dot products holds (nn::DotLayout): whole registers. 0 where the
/// machine has no such products.
int64_t dotBlock(const Machine &machine, int64_t n);

/// The same for depthwise convolutions (nn::DepthwiseLayout): the bytes of a register, or fewer where that leaves less
/// to be computed twice.
int64_t depthwiseDotBlock(const Machine &machine, int64_t channels);

/// Columns a block of weights that stay integers holds (nn::StoredLayout): as many registers as hide a multiplication's
/// latency.
int64_t storedBlock(const Machine &machine, int64_t n);

/// Output channels of a block that weights with zeros are left out by (nn::SparseLayout), and the share of zero blocks
/// from which on that is faster than computing with all: see test/Bench/kernels/sparse.py.
constexpr int64_t sparseBlock = 16;
constexpr double sparseThreshold = 0.35;
/// The same where the weights could be a Winograd filter, which takes 2.25 to 4 times fewer products.
constexpr double sparseOverWinograd = 0.7;
/// Whether the machine's registers hold such a block's sums of a few pixels.
bool canSparse(const Machine &machine);

/// What the machine's byte products need added to each input element, so that it has the sign they take. The products
/// of this constant are taken back at compile time, in the sums' first values.
int64_t dotShift(const Machine &machine, bool inputUnsigned);

/// Whether byte products take a group of inputs from a lane.
bool dotsByLane(const Machine &machine);

/// Registers of a block of `width` channels packed for dot products: whole ones, then one of at least four lanes whose
/// last lanes may be more than the width.
llvm::SmallVector<ChannelVector> dotVectors(int64_t maxLanes, int64_t width);

} // namespace burin

#endif
