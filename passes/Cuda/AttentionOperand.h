// Rows of queries, keys and values in memory, through the maps of nn.attention.
#ifndef BURIN_PASSES_CUDA_ATTENTIONOPERAND_H
#define BURIN_PASSES_CUDA_ATTENTIONOPERAND_H

#include "dialects/Nn/Attention.h"
#include "passes/Cuda/Fragments.h"

namespace burin::cuda {

/// An operand whose rows are `length` elements side by side, one row a constant distance behind the other.
struct AttentionOperand {
  mlir::Value memref;
  int64_t length = 0, bytes = 0; // of a row, in elements; of an element
  int64_t rowStride = 0;         // in elements
  int64_t grain = 0;             // elements of the longest aligned run, at most 16 bytes; rows are whole runs
  mlir::AffineMap base;          // batch -> indices of the first row

  /// Nothing where rows do not lie so.
  static std::optional<AttentionOperand> describe(mlir::Value memref, mlir::AffineMap map, int64_t length);

  /// Where a batch's first row begins.
  mlir::Value addressOf(Fragments &f, mlir::Value batch) const;
};

} // namespace burin::cuda

#endif
