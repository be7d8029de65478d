// What a weight is worth: the scores that pruning ranks by. Private to the room.
#ifndef BURIN_PASSES_QUANT_CRITERIA_H
#define BURIN_PASSES_QUANT_CRITERIA_H

#include "passes/Quant/Reconstruct.h"

namespace burin::quant {

enum class Criterion {
  Magnitude, // |w|
  Variance,  // w^2 var(x): how much of the result's variance it carries; a constant part goes into the bias
  Gradient,  // |w| |dL/dw|, first order, the gradient's root mean square
  Fisher     // w^2 E[(dL/dw)^2], second order by the diagonal of the Fisher matrix
};
std::optional<Criterion> parseCriterion(llvm::StringRef text);

/// Of one product. Squared gradients are those of each weight (getFisher) or, where these are not known, its input's
/// second moment times what all results of the product count for on average (getSensitivity). Where nothing was
/// measured of its input, all inputs count alike.
class Scores {
public:
  Scores(mlir::Operation *product, Criterion criterion);
  const Rows &rows() const { return shape; }
  /// Of element j of a row with this weight; scores of elements add up to that of a filter or channel.
  double of(int64_t row, int64_t j, float weight) const;

private:
  Criterion criterion;
  Rows shape;
  llvm::SmallVector<double> input;  // [groups, size]: the factor that the input is
  llvm::SmallVector<float> squares; // [rows, size]: squared gradients of the weights, or empty
};

} // namespace burin::quant

#endif
