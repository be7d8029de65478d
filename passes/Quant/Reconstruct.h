// What rounding, pruning and sharing have in common: weights may only take some values, and among these are to change
// what the layer computes on the calibration data least. Private to the room.
//
// Of an output channel with weights w, made v, the mean squared change of its result is (w - v)' H (w - v), H the
// second moments of the patches; where a bias takes the change of the mean back, H is their covariance alone.
#ifndef BURIN_PASSES_QUANT_RECONSTRUCT_H
#define BURIN_PASSES_QUANT_RECONSTRUCT_H

#include "passes/Quant/Passes.h"
#include "llvm/ADT/STLFunctionalExtras.h"

namespace burin::quant {

/// The weights of a product as rows, one an output channel, each along a patch.
struct Rows {
  int64_t count = 0, size = 0, groups = 1;
  int64_t rowStride = 0, stride = 0;

  int64_t at(int64_t row, int64_t j) const { return row * rowStride + j * stride; }
  int64_t groupOf(int64_t row) const { return row / (count / groups); }
};
/// Nothing for a ConvTranspose.
std::optional<Rows> rowsOf(mlir::Operation *product);

/// Whether a bias can take a change of the mean: the third operand is a constant or absent.
bool takesBias(mlir::Operation *product);
/// Adds to the bias, of an entry an output channel.
void addToBias(mlir::Operation *product, llvm::ArrayRef<double> shift);

class Reconstruction {
public:
  /// Without measured moments every element of a patch counts alike and by itself. `mayUseBias`: where there can be one
  /// it takes changes of the mean back.
  explicit Reconstruction(mlir::Operation *product, bool mayUseBias = true);

  const Rows &rows() const { return shape; }
  bool hasMoments() const { return !second.empty(); }
  /// What the element counts by itself: its second moment, 1 where nothing was measured.
  double weightOf(int64_t row, int64_t j) const;

  /// The allowed value of element j of a row that is nearest to `target`; also called where nothing was measured.
  using Choose = llvm::function_ref<float(int64_t row, int64_t j, float target)>;
  /// Walks over the elements of each row, giving each in turn the allowed value that is best as the others stand.
  /// `from` holds the weights, `to` where the walk begins and ends. Rows are taken side by side; `choose` must not
  /// mind.
  void walk(llvm::ArrayRef<float> from, llvm::MutableArrayRef<float> to, Choose choose, int walks) const;

  /// Replaces the weights, and where it can the bias so that the means stay.
  void replace(llvm::ArrayRef<float> from, llvm::ArrayRef<float> to) const;

private:
  mlir::Operation *product;
  Rows shape;
  bool usesBias;
  llvm::SmallVector<float> mean, second; // as Moments
};

} // namespace burin::quant

#endif
