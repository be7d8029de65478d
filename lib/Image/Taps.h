// Which samples of a row make a sample of the resized row, and with what weights: every coordinate and rounding mode of
// ONNX's Resize. Computed in float64.
#ifndef BURIN_LIB_IMAGE_TAPS_H
#define BURIN_LIB_IMAGE_TAPS_H

#include "lib/Image/Stage.h"
#include <vector>

namespace burin::image {

struct Taps {
  int count = 0;             // of each output sample
  std::vector<int> index;    // [output * count + tap], within the input
  std::vector<float> weight; // the same order, of sum 1
  int step = 0;              // where every output's first tap is step * output + start and weights are those of the
  int start = 0;             // first output; 0 where it is not so
};

/// Of `from` samples those resized ones, placed as `axis` says, that begin with `first`, `wanted` of them.
Taps makeTaps(const burin_image_kernel &kernel, const burin_image_axis &axis, int from, int first, int wanted);

} // namespace burin::image

#endif
