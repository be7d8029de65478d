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
  return *std::min_element(std::begin(tiles) + isHeavy, std::end(tiles),
                           [&](const Tile &a, const Tile &b) { return cost(a) < cost(b); });
}

// Enough for two blocks a multiprocessor, but no part shorter than what filling the pipeline is worth.
int64_t burin::cuda::chooseSplits(const Tile &t, int64_t batches, int64_t rows, int64_t columns, int64_t strips) {
  constexpr int64_t shortest = 8;
  int64_t blocks = batches * llvm::divideCeil(rows, t.rows) * llvm::divideCeil(columns, t.columns);
  if (blocks >= multiprocessors)
    return 1;
  return std::max<int64_t>(1, std::min(2 * multiprocessors / blocks, strips / shortest));
}
