// A network's floats to pictures, masks and colours of classes. Resizing goes rows first, each source row once for a
// tile of the result; the vertical sums then are dense, and no resized tensor ever exists. Arithmetic as in
// Picture.cpp: f32, one rounding a step.
#include "lib/Image/Builder.h"

using namespace Halide;
using namespace burin::image;

namespace {

// A tile of the result, in pixels, and what its rows take of the stack at most.
constexpr int tileWidth = 64, tileHeight = 32, tileBytes = 64 << 10;

class Output {
public:
  Output(const burin_image_output &output, const std::string &name, const Target &target)
      : s(output), name(name), target(target), in(Float(32), 3, name + "_tensor") {
    const int strides[2] = {s.is_planar ? 1 : s.channels, s.is_planar ? s.tensor[0] : s.tensor[0] * s.channels};
    for (int d = 0; d < 2; ++d)
      in.dim(d).set_bounds(0, s.tensor[d]).set_stride(strides[d]);
    in.dim(2).set_bounds(0, s.channels).set_stride(s.is_planar ? s.tensor[0] * s.tensor[1] : 1);
    in.set_host_alignment(1);
    if (s.is_resized)
      stageRows();
  }

  Module build();

private:
  void stageRows();
  Expr value(Expr channel);
  Expr stepped(Expr v) const;
  void schedulePixels(Func out, int lanes);
  void scheduleTiles(Func out, int lanes);
  Func largest();
  int lanes() const { return target.natural_vector_size<float>(); }
  TailStrategy tail(int extent, int factor) const {
    return extent >= factor ? TailStrategy::ShiftInwards : TailStrategy::GuardWithIf;
  }

  const burin_image_output &s;
  std::string name;
  Target target;
  ImageParam in;
  Var x{"x"}, y{"y"}, c{"c"}, row{"row"}, tile{"tile"}, strip{"strip"};
  Func rows; // of the tensor that a tile takes, as wide as the result
  int rowsOfTile = 0, width = tileWidth, height = tileHeight;
  std::function<Expr(Expr channel)> resized;
};

void Output::stageRows() {
  Taps across = makeTaps(s.kernel, s.axis[0], s.tensor[0], 0, s.size[0]),
       down = makeTaps(s.kernel, s.axis[1], s.tensor[1], 0, s.size[1]);
  width = std::min(width, s.size[0]), height = std::min(height, s.size[1]);
  // All channels of a tile where the largest is looked for.
  double channels = s.result == BURIN_LABELS || s.result == BURIN_COLORS ? s.channels : 1;
  auto bytes = [&] { return channels * width * (height * s.axis[1].step + down.count) * sizeof(float); };
  while (bytes() > tileBytes && width > lanes())
    width /= 2;
  while (bytes() > tileBytes && height > 1)
    height /= 2;
  int tiles = (s.size[1] + height - 1) / height;
  Buffer<int> first(tiles), below(down.count, s.size[1]), index(s.size[0], across.count);
  Buffer<float> weight(down.count, s.size[1]), weights(s.size[0], across.count);
  for (int t = 0; t < tiles; ++t) {
    int end = std::min(s.size[1], (t + 1) * height) * down.count;
    auto [low, high] = std::minmax_element(down.index.begin() + t * height * down.count, down.index.begin() + end);
    first(t) = *low;
    rowsOfTile = std::max(rowsOfTile, *high - *low + 1);
  }
  // All tiles take as many rows, the last ones as well.
  for (int t = 0; t < tiles; ++t)
    first(t) = std::min(first(t), s.tensor[1] - rowsOfTile);
  for (int i = 0; i < s.size[1]; ++i)
    for (int k = 0; k < down.count; ++k) {
      below(k, i) = down.index[i * down.count + k] - first(i / height);
      weight(k, i) = down.weight[i * down.count + k];
    }
  for (int i = 0; i < s.size[0]; ++i)
    for (int k = 0; k < across.count; ++k) {
      index(i, k) = across.index[i * across.count + k];
      weights(i, k) = across.weight[i * across.count + k];
    }
  rows = Func(name + "_rows");
  Expr sum, from = unsafe_promise_clamped(first(tile) + row, 0, s.tensor[1] - 1);
  for (int k = 0; k < across.count; ++k) {
    Expr v = in(unsafe_promise_clamped(index(x, k), 0, s.tensor[0] - 1), from, c);
    if (across.count > 1)
      v = v * weights(x, k);
    sum = k ? sum + v : v;
  }
  rows(x, row, c, tile) = sum;
  resized = [=](Expr channel) {
    Expr sum;
    for (int k = 0; k < down.count; ++k) {
      Expr v = rows(x, unsafe_promise_clamped(below(k, y), 0, rowsOfTile - 1), channel, y / height);
      if (down.count > 1)
        v = v * weight(k, y);
      sum = k ? sum + v : v;
    }
    return sum;
  };
}

// Of the pixel x, y.
Expr Output::value(Expr channel) {
  if (s.is_resized)
    return resized(channel);
  if (s.block == 1)
    return in(x, y, channel);
  int count = s.channels / (s.block * s.block);
  Expr phase = y % s.block * s.block + x % s.block;
  return in(x / s.block, y / s.block, s.is_crd ? channel * (s.block * s.block) + phase : phase * count + channel);
}

Expr Output::stepped(Expr v) const {
  for (int i = 0; i < s.num_steps; ++i) {
    const burin_image_step &step = s.steps[i];
    switch (step.operation) {
    case BURIN_ADD:
      v = v + step.a;
      break;
    case BURIN_MUL:
      v = v * step.a;
      break;
    case BURIN_DIV:
      v = v / step.a;
      break;
    case BURIN_ROUND:
      v = round(v);
      break;
    default:
      v = clamp(v, step.a, step.b);
    }
  }
  return v;
}

// The number of the largest channel, the first of several; NaN is larger than all numbers.
Func Output::largest() {
  Func best(name + "_best");
  RDom r(0, s.channels);
  best(x, y) = Tuple(Float(32).min(), cast<int>(0));
  Expr v = value(r), old = best(x, y)[0];
  Expr better = v > old || (is_nan(v) && !is_nan(old));
  best(x, y) = Tuple(select(better, v, old), select(better, r, best(x, y)[1]));
  return best;
}

void Output::scheduleTiles(Func out, int lanes) {
  out.split(y, tile, y, height, TailStrategy::GuardWithIf).split(x, strip, x, width, tail(s.size[0], width));
  out.vectorize(x, lanes, tail(width, lanes));
  if (!s.is_resized)
    return;
  rows.compute_at(out, strip).store_in(MemoryType::Register).bound_extent(row, rowsOfTile);
  rows.vectorize(x, this->lanes(), TailStrategy::GuardWithIf);
}

// One pixel after the other: floats and bytes.
void Output::schedulePixels(Func out, int lanes) {
  if (s.is_resized) {
    scheduleTiles(out, lanes);
    out.reorder(x, y, strip, tile, c);
    return;
  }
  Var phase("phase"), below("below");
  int width = s.size[0] / s.block;
  if (s.block > 1) {
    out.split(x, x, phase, s.block, TailStrategy::GuardWithIf).split(y, y, below, s.block, TailStrategy::GuardWithIf);
    s.is_interleaved ? out.reorder(c, phase, x, below, y).unroll(c) : out.reorder(phase, x, below, y, c);
    out.unroll(phase);
  } else if (s.is_interleaved) {
    out.reorder(c, x, y).unroll(c);
  }
  out.vectorize(x, lanes, tail(width, lanes));
}

Module Output::build() {
  Func out(name + "_out");
  int channels = s.result == BURIN_COLORS ? 3 : s.result == BURIN_LABELS ? 1 : s.channels / (s.block * s.block);
  if (s.result == BURIN_FLOATS || s.result == BURIN_PICTURE) {
    Expr v = stepped(value(c));
    out(x, y, c) = s.result == BURIN_FLOATS ? v : cast<uint8_t>(saturating_cast<int16_t>(cast<int32_t>(v)));
    out.bound(x, 0, s.size[0]).bound(y, 0, s.size[1]).bound(c, 0, channels);
    schedulePixels(out, s.result == BURIN_FLOATS ? lanes() : 2 * lanes());
  } else {
    Func best = largest(), chosen(name + "_chosen");
    Expr label = best(x, y)[1];
    if (s.result == BURIN_COLORS) {
      Buffer<uint32_t> colors(s.num_colors);
      std::copy_n(s.colors, s.num_colors, colors.begin());
      chosen(x, y) = colors(unsafe_promise_clamped(label, 0, s.num_colors - 1));
      out(x, y, c) = cast<uint8_t>(chosen(x, y) >> cast<uint32_t>(8 * c));
    } else {
      chosen(x, y) = label;
      out(x, y, c) = cast(s.label_bytes == 1 ? UInt(8) : Int(8 * s.label_bytes), chosen(x, y));
    }
    out.bound(x, 0, s.size[0]).bound(y, 0, s.size[1]).bound(c, 0, channels);
    // As many pixels as their largest channels so far fit in registers.
    int wide = std::min(width, 4 * lanes());
    scheduleTiles(out, wide);
    out.reorder(c, x, y, strip, tile).unroll(c);
    chosen.compute_at(out, x).vectorize(x);
    best.compute_at(out, x).vectorize(x, lanes(), TailStrategy::GuardWithIf).unroll(x);
    best.update().reorder(x, y, best.rvars(0)[0]).vectorize(x, lanes(), TailStrategy::GuardWithIf).unroll(x);
  }
  out.output_buffer().set_host_alignment(1);
  const int strides[2] = {s.is_interleaved ? channels : 1, s.is_interleaved ? s.size[0] * channels : s.size[0]};
  for (int d = 0; d < 2; ++d)
    out.output_buffer().dim(d).set_bounds(0, s.size[d]).set_stride(strides[d]);
  out.output_buffer().dim(2).set_bounds(0, channels).set_stride(s.is_interleaved ? 1 : s.size[0] * s.size[1]);
  return Pipeline(out).compile_to_module({in}, name + "_picture", target, LinkageType::External);
}

} // namespace

Module burin::image::buildOutput(const burin_image_output &output, const std::string &name, const Target &target) {
  return Output(output, name, target).build();
}
