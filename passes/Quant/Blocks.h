// Weights as integers with a scale for each block of the summed dim. Private to the room.
#ifndef BURIN_PASSES_QUANT_BLOCKS_H
#define BURIN_PASSES_QUANT_BLOCKS_H

#include "llvm/ADT/ArrayRef.h"
#include <cstdint>
#include <vector>

namespace burin::quant {

struct BlockOptions {
  int64_t bits, block; // block 0: all of a column
  bool asymmetric;
};

/// A matrix [k, n] in blocks of k: integers as unsigned numbers 0 .. 2^bits - 1, column by column. One stands for
/// (integer - zero) * scale.
struct Blocks {
  int64_t k, n, block, count;    // count blocks a column
  std::vector<uint8_t> integers; // [n][k]
  std::vector<float> scales;     // [n][count]
  std::vector<int64_t> zeros;    // the same; 2^(bits - 1) unless asymmetric
};

/// The range of each block is the part of its values' range that leaves the least squared error. Scales are f16 numbers
/// where f16 is precise enough, so that they can be stored as such. `isTransposed`: the weight lies as [n, k].
Blocks makeBlocks(llvm::ArrayRef<float> weight, int64_t k, int64_t n, bool isTransposed, const BlockOptions &options);

} // namespace burin::quant

#endif
