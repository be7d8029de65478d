// How constant weights of f32 are stored of which whole blocks are zero: `packed = B` of nn.conv and nn.matmul with a
// run of bytes for f32 inputs. What is not stored is not multiplied either: an infinity it would meet makes no NaN.
#ifndef BURIN_DIALECTS_NN_SPARSE_H
#define BURIN_DIALECTS_NN_SPARSE_H

#include "dialects/Nn/Nn.h"

namespace burin::nn {

/// Columns (output channels) lie in blocks of `block`, the last filled up with zeros. For each block and each of
/// `taps` positions of the kernel, the entries: those of the `channels` rows that are not zero in all of the block's
/// columns. The bytes, all words little endian:
///
///   entries x block   f32   the weights of each entry, in order of block, tap, channel
///   entries           i32   the channel of each entry
///   blocks x taps + 1 i32   the first entry of each block and tap; then their number
struct SparseLayout {
  int64_t block, taps, channels, columns, entries;

  int64_t blocks() const { return (columns + block - 1) / block; }
  int64_t lists() const { return blocks() * taps; }
  int64_t weightBytes() const { return 4 * block; } // of an entry
  int64_t channelsAt() const { return entries * weightBytes(); }
  int64_t startsAt() const { return channelsAt() + 4 * entries; }
  int64_t bytes() const { return startsAt() + 4 * (lists() + 1); }
  /// The part of the weights that is kept.
  double share() const { return lists() && channels ? double(entries) / (lists() * channels) : 1; }
};

/// True if the op's constant operand lies so.
bool isPackedSparse(ConvOp conv);
bool isPackedSparse(MatmulOp matmul);
/// The layout of such an op.
SparseLayout sparseLayout(ConvOp conv);
SparseLayout sparseLayout(MatmulOp matmul);

} // namespace burin::nn

#endif
