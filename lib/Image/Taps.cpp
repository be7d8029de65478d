// See Taps.h.
#include "lib/Image/Taps.h"

#include <algorithm>
#include <cmath>

namespace {
// Keys' kernel.
double cubic(double t, double a) {
  t = std::abs(t);
  if (t < 1)
    return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

double rounded(int32_t rounding, double at) {
  switch (rounding) {
  case BURIN_ROUND_PREFER_FLOOR:
    return std::ceil(at - 0.5);
  case BURIN_ROUND_PREFER_CEIL:
    return std::floor(at + 0.5);
  case BURIN_FLOOR:
    return std::floor(at);
  default:
    return std::ceil(at);
  }
}
} // namespace

burin::image::Taps burin::image::makeTaps(const burin_image_kernel &kernel, const burin_image_axis &axis, int from,
                                          int first, int wanted) {
  Taps taps;
  int32_t mode = kernel.resize;
  if (mode == BURIN_AREA && axis.cover <= 1)
    mode = BURIN_LINEAR; // nothing to average
  double wide = kernel.is_antialiased ? std::max(1.0, axis.cover) : 1;
  double reach = (mode == BURIN_CUBIC ? 2 : 1) * wide; // of the kernel, to either side
  taps.count = mode == BURIN_NEAREST ? 1
               : mode == BURIN_AREA  ? int(std::ceil(axis.cover)) + (axis.cover != std::floor(axis.cover))
                                     : int(std::ceil(2 * reach));
  for (int i = first; i < first + wanted; ++i) {
    double center = (i + axis.shift) * axis.step + axis.origin;
    int begin = mode == BURIN_NEAREST ? int(rounded(kernel.rounding, center))
                : mode == BURIN_AREA  ? int(std::floor(i * axis.cover))
                                      : int(std::floor(center - reach)) + 1;
    std::vector<double> weights(taps.count);
    double sum = 0;
    for (int k = 0; k < taps.count; ++k) {
      double at = begin + k, low = i * axis.cover;
      weights[k] = mode == BURIN_NEAREST  ? 1
                   : mode == BURIN_LINEAR ? std::max(0.0, 1 - std::abs(at - center) / wide)
                   : mode == BURIN_CUBIC  ? cubic((at - center) / wide, kernel.cubic)
                                          : std::max(0.0, std::min(at + 1, low + axis.cover) - std::max(at, low));
      if (kernel.is_exclusive && mode != BURIN_NEAREST && (at < 0 || at >= from))
        weights[k] = 0;
      sum += weights[k];
    }
    for (int k = 0; k < taps.count; ++k) {
      taps.index.push_back(std::clamp(begin + k, 0, from - 1));
      taps.weight.push_back(sum == 0 ? 0 : float(weights[k] / sum));
    }
  }
  if (axis.step >= 1 && axis.step == std::floor(axis.step)) {
    taps.step = int(axis.step);
    taps.start = taps.index[0];
    for (size_t i = 0; i < taps.index.size(); ++i)
      if (taps.index[i] != taps.start + taps.step * int(i / taps.count) + int(i % taps.count) ||
          taps.weight[i] != taps.weight[i % taps.count])
        taps.step = 0;
  }
  return taps;
}
