// The matrices behind `winograd = M` of nn.conv: part of that op's contract, since a transformed filter means nothing
// without them. Computes no cost and chooses nothing.
#ifndef BURIN_DIALECTS_NN_WINOGRAD_H
#define BURIN_DIALECTS_NN_WINOGRAD_H

#include "llvm/ADT/SmallVector.h"
#include <cstdint>

namespace burin::nn {

/// F(M x M, 3 x 3): M x M results from (M + 2) x (M + 2) inputs d by out = A^T [(G g G^T) * (B^T d B)] A (Lavin and
/// Gray, "Fast Algorithms for Convolutional Neural Networks", 2015). Points 0, 1, -1, infinity for M = 2; 0, +-5/8,
/// +-3/2, infinity for M = 4, whose powers f32 holds exactly and which lose fewer digits than 0, +-1, +-2. Matrices are
/// row-major.
struct Winograd {
  int64_t results, inputs;           // M and M + 2, one dim
  double a, b;                       // the points of M = 4
  llvm::SmallVector<double, 36> in;  // B^T: inputs x inputs
  llvm::SmallVector<double, 18> tap; // G: inputs x 3
  llvm::SmallVector<double, 24> out; // A^T: results x inputs

  static bool isKnown(int64_t results) { return results == 2 || results == 4; }
  /// Of known `results`.
  static Winograd get(int64_t results);
  int64_t positions() const { return inputs * inputs; }
};

} // namespace burin::nn

#endif
