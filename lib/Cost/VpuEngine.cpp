// Cycles of the convolution engine. A descriptor computes m output channels of one row after another; each pixel costs
// the coefficients of a block of input channels and the mode's overhead. What does not fit a block's memories is cut in
// width and in channels.
#include "lib/Cost/Vpu.h"

#include "llvm/Support/MathExtras.h"
#include <limits>

using namespace burin;
using namespace burin::vpu;

// Rows are computed in whole steps.
static int64_t paddedWidth(const Unit &unit, int64_t width) {
  return width <= unit.engineNarrow ? unit.engineNarrow : llvm::alignTo(width, unit.engineWidth);
}

double burin::convCycles(const Unit &unit, const EngineShape &s) {
  constexpr int64_t maxTiles = 15;
  double best = std::numeric_limits<double>::infinity();
  for (const EngineMode &mode : unit.modes) {
    for (int64_t parts = 1; parts <= maxTiles; ++parts) {
      int64_t channels = llvm::alignTo(llvm::divideCeil(s.channels, parts), mode.inputs),
              perBlock = channels / mode.inputs;
      if (perBlock * s.kh * s.kw > unit.engineCoefficients || channels > unit.engineChannels)
        continue;
      bool fits = false;
      for (int64_t tiles = 1; tiles <= maxTiles && !fits; ++tiles) {
        int64_t width = llvm::divideCeil(s.outW, tiles), inWidth = std::min(s.inW, width * s.stride + s.kw);
        int64_t lines = std::min(s.kh + s.stride + 2 + (inWidth <= 8), s.inH);
        if (lines * (int64_t)llvm::alignTo(inWidth, 8) * 2 * perBlock > unit.engineBytes / mode.inputs)
          continue;
        double pixel =
            double(parts) * llvm::divideCeil(s.outputs, mode.outputs) * (perBlock * s.kh * s.kw + mode.overhead);
        // Partial sums of channel blocks are added outside, four channels a cycle.
        double sums = (parts - 1) * double(s.outW * s.outH * s.outputs) / 4;
        best = std::min(best, paddedWidth(unit, width) * tiles * s.outH * pixel + sums);
        fits = true;
      }
      if (fits)
        break;
    }
  }
  return std::isinf(best) ? 0 : best;
}

double burin::depthwiseCycles(const Unit &unit, const EngineShape &s) {
  double best = std::numeric_limits<double>::infinity();
  for (const EngineMode &mode : unit.modes)
    for (int64_t group = 8; group <= 256; group *= 2) {
      int64_t perBlock = llvm::divideCeil(group, mode.inputs);
      if (perBlock * s.kh * s.kw > unit.engineCoefficients)
        continue;
      double pixel = double(llvm::divideCeil(s.channels, group)) * llvm::divideCeil(group, mode.outputs) *
                     (perBlock * s.kh * s.kw + mode.overhead);
      best = std::min(best, paddedWidth(unit, s.outW) * s.outH * pixel);
    }
  return std::isinf(best) ? double(s.channels * s.kh * s.kw) * s.outW * s.outH : best;
}

double burin::poolCycles(const Unit &unit, const EngineShape &s) {
  return double(llvm::divideCeil(s.channels, 16)) * s.kh * paddedWidth(unit, s.outW) * s.outH;
}
