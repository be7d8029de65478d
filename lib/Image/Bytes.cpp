// Bytes to bytes in 16-bit fixed point. See Builder.h.
#include "lib/Image/Builder.h"

#include <cmath>

using namespace Halide;
using namespace burin::image;

// Weights below 0 could leave 16 bits.
bool Builder::staysBytes(const Taps &across, const Taps &down) const {
  bool isInterleaved = s.format == BURIN_RGB || s.format == BURIN_BGR || s.format == BURIN_RGBA;
  return isInterleaved && (s.type == BURIN_IMAGE_U8 || s.type == BURIN_IMAGE_I8) && s.channels == 3 &&
         s.kernel.resize != BURIN_CUBIC && !s.is_turned && !s.is_region_given && across.count <= mostUnrolled &&
         down.count <= mostUnrolled;
}

// Samples are held as 1/256 in 16 bits and multiplied by weights of 1/65536, rows first; products round down, which
// sums to less than a fiftieth of a step before the last rounding.
Module Builder::bytesPicture(const Taps &across, const Taps &down) {
  constexpr int group = 4; // lanes that a pixel takes: one load, the fourth unused but for RGBA
  const int step = s.format == BURIN_RGBA ? 4 : 3, bytes = s.region[2] * step;
  int width = end[0] - begin[0], height = end[1] - begin[1];
  auto fixed = [](float weight) { return uint16_t(std::min(65535L, std::lround(double(weight) * 65536))); };
  Buffer<int> downIndex(down.count, height), acrossIndex(width, across.count);
  Buffer<uint16_t> downWeight(down.count, height), acrossWeight(group * width, across.count);
  for (int i = 0; i < height; ++i)
    for (int k = 0; k < down.count; ++k) {
      downIndex(k, i) = down.index[i * down.count + k] + s.region[1];
      downWeight(k, i) = fixed(down.weight[i * down.count + k]);
    }
  for (int i = 0; i < width; ++i)
    for (int k = 0; k < across.count; ++k) {
      acrossIndex(i, k) = across.index[i * across.count + k] * step;
      for (int lane = 0; lane < group; ++lane)
        acrossWeight(i * group + lane, k) = fixed(across.weight[i * across.count + k]);
    }

  Var at("at"), lane("lane"), block("block");
  Func row(name + "_row"), done(name + "_done"), out(name + "_out");
  Expr combined;
  for (int k = 0; k < down.count; ++k) {
    Expr from = unsafe_promise_clamped(downIndex(k, y), s.region[1], s.region[1] + s.region[3] - 1);
    Expr sample = cast<uint16_t>(planes[0](at + s.region[0] * step, from)) << 8;
    if (down.count > 1)
      sample = mul_shift_right(sample, downWeight(k, y), 16);
    combined = k ? combined + sample : sample;
  }
  row(at, y) = combined;
  std::vector<Func> taps;
  for (int k = 0; k < across.count; ++k) {
    Func tap(name + "_tap" + std::to_string(k));
    // The unused lane of the last pixel lies behind the row, on the stack.
    tap(at, y) = row(unsafe_promise_clamped(acrossIndex(at / group, k) + at % group, 0, bytes - 1), y);
    Expr sample = tap(at, y);
    if (across.count > 1)
      sample = mul_shift_right(sample, acrossWeight(at, k), 16);
    combined = k ? combined + sample : sample;
    taps.push_back(tap);
  }
  // Finished in groups too. Lane l holds colour k, which is channel o of the output.
  int channelOf[3], laneOf[3];
  bool isShifted = true; // by whole numbers: what is left of (x - mean) / scale
  for (int l = 0; l < 3; ++l) {
    int k = s.format == BURIN_BGR ? 2 - l : l;
    channelOf[l] = s.is_bgr ? 2 - k : k;
    laneOf[channelOf[l]] = l;
    isShifted &= s.scale[l] == 1 && s.mean[l] == std::floor(s.mean[l]) && std::abs(s.mean[l]) < 1024;
  }
  auto perLane = [&](const double *values, auto make) -> Expr {
    if (values[0] == values[1] && values[0] == values[2])
      return make(values[0]);
    std::vector<Expr> lanes;
    for (int l = 0; l < group; ++l)
      lanes.push_back(make(values[channelOf[l % 3]]));
    return mux(at % group, lanes);
  };
  if (isShifted) {
    Expr mean = perLane(s.mean, [](double m) { return cast<int16_t>(Expr(int(m))); });
    done(at, y) = saturating_cast(type(), cast<int16_t>((combined + cast<uint16_t>(128)) >> 8) - mean);
  } else {
    Expr value = cast<float>(combined) * (1.f / 256);
    value = (value - perLane(s.mean, [](double m) { return Expr(float(m)); })) /
            perLane(s.scale, [](double m) { return Expr(float(m)); });
    done(at, y) = saturating_cast(type(), round(value));
  }
  std::vector<Expr> channels;
  for (int lane : laneOf)
    channels.push_back(done(group * x + lane, y));
  out(x, y, c) = mux(c, channels);

  out.output_buffer().set_host_alignment(1);
  shape(out.output_buffer(), true);
  // Loads of single pixels fill vectors of 32 bytes in fewer steps than two of them at once; rows are read in wider
  // ones.
  int natural = target.natural_vector_size<int16_t>(), wide = std::min(16, natural), pixels = wide / group;
  out.bound(c, 0, 3).reorder(c, x, y).unroll(c);
  row.compute_at(out, y).store_in(MemoryType::Register).bound_storage(at, (bytes + group + 63) / 64 * 64);
  row.bound(at, 0, bytes);
  if (bytes >= 2 * natural)
    row.vectorize(at, 2 * natural, TailStrategy::ShiftInwards);
  // Rows of groups, not blocks: a wide load right behind the stores that it spans would wait for them.
  done.compute_at(out, y).store_in(MemoryType::Register).bound(at, 0, group * width).align_storage(at, 64);
  if (width >= 2 * pixels) {
    done.split(at, block, at, 2 * wide, TailStrategy::ShiftInwards).split(at, at, lane, wide);
    done.vectorize(lane).unroll(at);
    for (Func &tap : taps) { // whole vectors of constant places, so that they stay in registers
      tap.compute_at(done, block).store_in(MemoryType::Register).align_bounds(at, group);
      tap.split(at, at, lane, group).vectorize(lane).unroll(at);
    }
    out.vectorize(x, 2 * pixels, TailStrategy::ShiftInwards);
  }
  return compile(out, arguments(), "_picture");
}
