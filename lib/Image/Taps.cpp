// See Taps.h.
#include "lib/Image/Taps.h"

#include <algorithm>
#include <cmath>

namespace {
// Keys' kernel with a = -0.5.
double cubic(double t) {
  t = std::abs(t);
  if (t < 1)
    return (1.5 * t - 2.5) * t * t + 1;
  return t < 2 ? ((-0.5 * t + 2.5) * t - 4) * t + 2 : 0;
}
} // namespace

burin::image::Taps burin::image::makeTaps(burin_image_resize mode, int from, int to, int first, int wanted) {
  Taps taps;
  double ratio = double(from) / to;
  if (mode == BURIN_AREA && from <= to)
    mode = BURIN_LINEAR; // nothing to average
  taps.count = mode == BURIN_NEAREST  ? 1
               : mode == BURIN_LINEAR ? 2
               : mode == BURIN_CUBIC  ? 4
                                      : int(std::ceil(ratio)) + (from % to ? 1 : 0);
  for (int i = first; i < first + wanted; ++i) {
    double center = (i + 0.5) * ratio - 0.5;
    // Halves go down: the rule that ONNX calls round_prefer_floor.
    int begin = mode == BURIN_NEAREST  ? int(std::ceil(center - 0.5))
                : mode == BURIN_LINEAR ? int(std::floor(center))
                : mode == BURIN_CUBIC  ? int(std::floor(center)) - 1
                                       : int(std::floor(i * ratio));
    std::vector<double> weights(taps.count);
    double sum = 0;
    for (int k = 0; k < taps.count; ++k) {
      double at = begin + k;
      weights[k] = mode == BURIN_NEAREST  ? 1
                   : mode == BURIN_LINEAR ? std::max(0.0, 1 - std::abs(at - center))
                   : mode == BURIN_CUBIC  ? cubic(at - center)
                                          : std::max(0.0, std::min(at + 1, (i + 1) * ratio) - std::max(at, i * ratio));
      sum += weights[k];
    }
    for (int k = 0; k < taps.count; ++k) {
      taps.index.push_back(std::clamp(begin + k, 0, from - 1));
      taps.weight.push_back(float(weights[k] / sum));
    }
  }
  if (from % to == 0) {
    taps.step = from / to;
    taps.start = taps.index[0];
    for (size_t i = 0; i < taps.index.size(); ++i)
      if (taps.index[i] != taps.start + taps.step * int(i / taps.count) + int(i % taps.count) ||
          taps.weight[i] != taps.weight[i % taps.count])
        taps.step = 0;
  }
  return taps;
}
