// See Tiles.h. No GPU has measured this table; it holds shapes that keep a warp's sums in registers without spills, and
// a model of how many blocks run at once.
#include "passes/Cuda/Tiles.h"

#include "llvm/Support/MathExtras.h"
#include <algorithm>

using namespace burin::cuda;

namespace {
// Largest first. Stages fill the 48 KB of shared memory that a kernel has without asking.
constexpr Tile tiles[] = {
    {128, 128, 64, 32, 2}, {128, 64, 64, 32, 3}, {64, 128, 32, 64, 3}, {64, 64, 32, 32, 4},
    {32, 64, 16, 32, 4},   {64, 32, 32, 16, 4},  {32, 32, 16, 16, 4},
};
// Multiprocessors of the smallest data centre GPU in mind, sm_80's; larger ones prefer smaller tiles no less.
constexpr int64_t multiprocessors = 108;
} // namespace

// Time is rounds of blocks times what a block takes: its loads grow with rows + columns, its products with rows *
// columns.
Tile burin::cuda::chooseTile(int64_t batches, int64_t rows, int64_t columns, bool isHeavy) {
  auto cost = [&](const Tile &t) {
    int64_t blocks = batches * llvm::divideCeil(rows, t.rows) * llvm::divideCeil(columns, t.columns);
    double rounds = std::max(1.0, double(blocks) / multiprocessors);
    return rounds * (double(t.rows * t.columns) / 64 + double(t.rows + t.columns));
  };
  // With sums for zero points beside its own, or places of many short copies, a warp of 64 x 32 results has more words
  // than registers.
  const Tile *first = std::begin(tiles) + (isHeavy ? 3 : 0);
  return *std::min_element(first, std::end(tiles), [&](const Tile &a, const Tile &b) { return cost(a) < cost(b); });
}

// Two blocks a multiprocessor, but no part shorter than what filling the pipeline is worth. Stretches where whole parts
// of tiles would leave many multiprocessors idle.
Shares burin::cuda::chooseShares(int64_t tiles, int64_t strips) {
  constexpr int64_t shortest = 8, slots = 2 * multiprocessors;
  constexpr double enough = 0.8; // of the slots in use
  int64_t most = std::min(slots, tiles * strips / shortest), splits = std::max<int64_t>(1, most / tiles);
  if (tiles >= enough * slots || most <= tiles)
    return {tiles, strips};
  if (tiles * splits >= enough * double(most)) {
    int64_t part = llvm::divideCeil(strips, splits);
    return {tiles * int64_t(llvm::divideCeil(strips, part)), part}; // no block without work
  }
  int64_t stretch = llvm::divideCeil(tiles * strips, most);
  return {int64_t(llvm::divideCeil(tiles * strips, stretch)), stretch, /*isStream=*/true};
}

Shares burin::cuda::chooseWarpgroupShares(int64_t tiles, int64_t strips) {
  constexpr int64_t shortest = 8, hopper = 132;
  int64_t splits = tiles >= hopper ? 1 : std::max<int64_t>(1, std::min(2 * hopper / tiles, strips / shortest));
  int64_t part = llvm::divideCeil(strips, splits);
  return {tiles * int64_t(llvm::divideCeil(strips, part)), part};
}

// A block of warpgroups has a multiprocessor of sm_90 to itself, or shares it with one other.
WarpgroupTile burin::cuda::chooseWarpgroupTile(int64_t rowTiles, int64_t columns) {
  constexpr WarpgroupTile wide[] = {{256, 4}, {128, 3}, {64, 4}};
  constexpr int64_t hopper = 132;
  auto cost = [&](const WarpgroupTile &t) {
    double rounds = std::max(1.0, double(rowTiles * llvm::divideCeil(columns, t.columns)) / hopper);
    return rounds * double(t.columns + 48);
  };
  return *std::min_element(std::begin(wide), std::end(wide),
                           [&](const WarpgroupTile &a, const WarpgroupTile &b) { return cost(a) < cost(b); });
}
