// How a constant matrix of floats is stored as integers with scales (the `stored` attribute of nn.matmul): one run of
// bytes that a kernel reads from its begin to its end.
#ifndef BURIN_DIALECTS_NN_STORED_H
#define BURIN_DIALECTS_NN_STORED_H

#include "dialects/Nn/Nn.h"

namespace burin::nn {

/// Columns lie in blocks of `block`, the last one as wide as what is left. A block is its groups of `run` rows, one
/// after another, the last as long as what is left. A group of a block of w columns is: w scales; w zero points, bytes,
/// where there are any; then words of 32 bits, w beside each other, each with the integers of 32 / bits rows of a
/// column, low bits first. Bits behind the last row are zero. Bytes are little endian; the whole is as long for every
/// width of blocks.
struct StoredLayout {
  int64_t bits, run, k, n, block, scaleBytes;
  bool zeros;

  int64_t perWord() const { return 32 / bits; }
  int64_t mask() const { return (int64_t(1) << bits) - 1; }
  /// The zero point where none is stored.
  int64_t middle() const { return int64_t(1) << (bits - 1); }
  int64_t groups() const { return (k + run - 1) / run; }
  int64_t rowsOf(int64_t group) const { return std::min(run, k - group * run); }
  int64_t wordsOf(int64_t group) const { return (rowsOf(group) + perWord() - 1) / perWord(); }
  /// Bytes of one column: what lies before the words of a group, a group but for a shorter last one, all groups.
  int64_t headBytes() const { return scaleBytes + zeros; }
  int64_t groupBytes() const { return headBytes() + 4 * wordsOf(0); }
  int64_t columnBytes() const { return (groups() - 1) * groupBytes() + headBytes() + 4 * wordsOf(groups() - 1); }
  int64_t bytes() const { return n * columnBytes(); }
  int64_t blocks() const { return (n + block - 1) / block; }
  int64_t widthOf(int64_t b) const { return std::min(block, n - b * block); }
  /// Where a group of block b begins.
  int64_t start(int64_t b, int64_t group) const {
    return b * block * columnBytes() + group * groupBytes() * widthOf(b);
  }
  /// Where word `word` of a group's column `lane` lies from there, for a block of `width` columns.
  int64_t wordAt(int64_t word, int64_t lane, int64_t width) const {
    return headBytes() * width + 4 * (word * width + lane);
  }
};

/// The layout of a product with `stored`; its sizes must be known.
StoredLayout storedLayout(MatmulOp matmul);

} // namespace burin::nn

#endif
