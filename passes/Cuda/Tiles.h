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

/// How many blocks share each of `tiles`, every one with a part of its `strips`.
int64_t chooseSplits(int64_t tiles, int64_t strips);

/// Of kernels for warpgroups, whose tiles have 128 rows.
struct WarpgroupTile {
  int64_t columns, stages;
};
WarpgroupTile chooseWarpgroupTile(int64_t rowTiles, int64_t columns);

} // namespace burin::cuda

#endif
