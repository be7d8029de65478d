// Weights that stay integers in memory (nn::StoredLayout, all columns in one block) as a thread of one column reads
// them: neighbouring threads have neighbouring columns, so that words, scales and zero points of a warp lie side by
// side.
#ifndef BURIN_PASSES_CUDA_STOREDWORDS_H
#define BURIN_PASSES_CUDA_STOREDWORDS_H

#include "dialects/Nn/Stored.h"
#include "passes/Cuda/Fragments.h"

namespace burin::cuda {

struct StoredWords {
  Fragments &f;
  nn::StoredLayout layout;
  mlir::Type scaleType;
  mlir::Value weights;

  /// Whether words are whole and aligned; else a reason.
  static bool fit(nn::MatmulOp op, std::string &why);

  /// One column's part of a group of rows.
  struct Run {
    mlir::Value group, words; // its number; how many words it has
    mlir::Value address;      // of its first word
    mlir::Value scale, zero;  // f32; `zero` is what `load` subtracts
  };
  Run open(mlir::Value group, mlir::Value column);

  /// The first row of a word.
  mlir::Value rowOf(const Run &run, mlir::Value word);

  /// What a word's integers stand for, but for the scale: f32, in the order of rows.
  llvm::SmallVector<mlir::Value> load(const Run &run, mlir::Value word);
};

} // namespace burin::cuda

#endif
