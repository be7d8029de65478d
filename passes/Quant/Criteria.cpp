// Scores from measured gradients and moments. Without gradients of its own a weight has the product of what comes in,
// whose second moment is exact, and the gradient at what goes out, whose mean square is measured once a layer.
#include "passes/Quant/Criteria.h"
#include "llvm/ADT/StringSwitch.h"
#include <cmath>

using namespace mlir;

namespace burin::quant {

std::optional<Criterion> parseCriterion(StringRef text) {
  return llvm::StringSwitch<std::optional<Criterion>>(text)
      .Case("magnitude", Criterion::Magnitude)
      .Case("variance", Criterion::Variance)
      .Case("gradient", Criterion::Gradient)
      .Case("fisher", Criterion::Fisher)
      .Default(std::nullopt);
}

Scores::Scores(Operation *product, Criterion criterion) : criterion(criterion), shape(*rowsOf(product)) {
  input.assign(shape.groups * shape.size, 1.0);
  if (criterion == Criterion::Gradient || criterion == Criterion::Fisher)
    if (auto fisher = getFisher(product); fisher && int64_t(fisher->size()) == shape.count * shape.size)
      squares = *fisher;
  std::optional<Moments> moments = getMoments(product);
  if (criterion == Criterion::Magnitude || !moments || moments->size != shape.size || moments->groups != shape.groups)
    return;
  double sensitivity = getSensitivity(product);
  for (auto [i, factor] : llvm::enumerate(input)) {
    double variance = moments->covariance[i * shape.size + i % shape.size], mean = moments->mean[i];
    factor = criterion == Criterion::Variance ? variance : (variance + mean * mean) * sensitivity;
  }
}

double Scores::of(int64_t row, int64_t j, float weight) const {
  double factor = squares.empty() ? input[shape.groupOf(row) * shape.size + j] : squares[row * shape.size + j];
  switch (criterion) {
  case Criterion::Magnitude:
    return std::abs(weight);
  case Criterion::Gradient:
    return std::abs(weight) * std::sqrt(factor);
  case Criterion::Variance:
  case Criterion::Fisher:
    return double(weight) * weight * factor;
  }
  llvm_unreachable("all criteria are above");
}

} // namespace burin::quant
