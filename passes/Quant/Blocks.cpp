// Scales by search: of 4 bits, values at the ends of the range are few, and a step a little smaller than theirs pays
// for all others. A column is independent of others, so columns are shared among threads.
#include "passes/Quant/Blocks.h"

#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/Parallel.h"
#include <cmath>

using namespace llvm;
using namespace burin::quant;

namespace {

constexpr double step = 1.0 / 32, narrowest = 0.7; // parts of the whole range that are tried

// As an f16 number, unless that is where f16 has fewer digits or none.
float rounded(float scale) {
  float size = std::fabs(scale);
  if (!(size >= 0x1p-14f && size < 65504.f))
    return scale;
  bool lost;
  APFloat value(scale);
  value.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &lost);
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &lost);
  return value.convertToFloat();
}

struct Choice {
  float scale;
  int64_t zero;
};

int64_t integerOf(float value, const Choice &choice, int64_t highest) {
  float number = std::rint(value / choice.scale) + float(choice.zero);
  return int64_t(std::min(std::max(number, 0.f), float(highest)));
}

double errorOf(ArrayRef<float> values, const Choice &choice, int64_t highest) {
  double sum = 0;
  for (float value : values) {
    float lost = float(integerOf(value, choice, highest) - choice.zero) * choice.scale - value;
    sum += double(lost) * lost;
  }
  return sum;
}

Choice choose(ArrayRef<float> values, const BlockOptions &options) {
  int64_t highest = (int64_t(1) << options.bits) - 1, middle = (highest + 1) / 2;
  float low = 0, high = 0;
  for (float value : values) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  if (low == high)
    return {1, middle};
  Choice best{1, middle};
  double least = INFINITY;
  auto consider = [&](double scale, int64_t zero) {
    Choice choice{rounded(float(scale)), zero};
    if (choice.scale == 0)
      return;
    if (double error = errorOf(values, choice, highest); error < least) {
      least = error;
      best = choice;
    }
  };
  for (double part = 1; part >= narrowest; part -= step) {
    if (options.asymmetric) {
      double scale = rounded(float(part * (double(high) - low) / highest));
      consider(scale, scale == 0 ? middle : std::clamp<int64_t>(std::llrint(-part * low / scale), 0, highest));
    } else {
      // Either side may take the integer that only one of them has: -8 of [-8, 7].
      double most = std::max(-low, high);
      consider(part * most / middle, middle);
      consider(-part * most / middle, middle);
      if (middle > 1) // both ends as they are: where both are far out, that loses less than cutting one
        consider(part * most / (middle - 1), middle);
    }
    if (options.bits == 8) // the ends are one value in 256: nothing to gain
      break;
  }
  return best;
}

} // namespace

Blocks burin::quant::makeBlocks(ArrayRef<float> weight, int64_t k, int64_t n, bool isTransposed,
                                const BlockOptions &options) {
  Blocks out{k, n, options.block ? options.block : k, 0, std::vector<uint8_t>(k * n), {}, {}};
  out.count = llvm::divideCeil(k, out.block);
  out.scales.resize(n * out.count);
  out.zeros.resize(n * out.count);
  int64_t highest = (int64_t(1) << options.bits) - 1;
  parallelFor(0, n, [&](size_t column) {
    SmallVector<float> values;
    for (int64_t group = 0; group < out.count; ++group) {
      int64_t start = group * out.block, end = std::min(k, start + out.block);
      values.clear();
      for (int64_t i = start; i < end; ++i)
        values.push_back(weight[isTransposed ? column * k + i : i * n + column]);
      Choice choice = choose(values, options);
      for (int64_t i = start; i < end; ++i)
        out.integers[column * k + i] = uint8_t(integerOf(values[i - start], choice, highest));
      out.scales[column * out.count + group] = choice.scale;
      out.zeros[column * out.count + group] = choice.zero;
    }
  });
  return out;
}
