// Tiles of products: which there are, and which suits a product on a GPU. The one place to tune.
#ifndef BURIN_PASSES_CUDA_TILES_H
#define BURIN_PASSES_CUDA_TILES_H

#include <cstdint>

namespace burin::cuda {

/// One block's share of the results and how its warps divide it.
struct Tile {
  int64_t rows, columns;         // of the block
  int64_t warpRows, warpColumns; // of one warp: multiples of 16 and 16
  int64_t stages;                // of the pipeline from global to shared memory

  int64_t warps() const { return rows / warpRows * (columns / warpColumns); }
  int64_t threads() const { return warps() * 32; }
};

/// The tile for `batches` products of rows x columns results. `isHeavy`: a lane holds more than sums and factors, which
/// leaves no registers for large tiles.
Tile chooseTile(int64_t batches, int64_t rows, int64_t columns, bool isHeavy);

/// How blocks share the strips of tiles.
struct Shares {
  int64_t blocks, strips; // and how many strips each has at most
  bool isStream = false; // stretches of strips counted through all tiles; else every tile has the same number of blocks

  /// The most blocks that a tile of `all` strips meets.
  int64_t parts(int64_t all) const { return isStream ? (all - 1) / strips + 2 : (all + strips - 1) / strips; }
};
Shares chooseShares(int64_t tiles, int64_t strips);

/// Of kernels for warpgroups, whose tiles have 128 rows.
struct WarpgroupTile {
  int64_t columns, stages;
};
WarpgroupTile chooseWarpgroupTile(int64_t rowTiles, int64_t columns);
/// Never stretches.
Shares chooseWarpgroupShares(int64_t tiles, int64_t strips);

} // namespace burin::cuda

#endif
