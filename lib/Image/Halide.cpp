// Image stages as Halide pipelines: the only file that sees Halide, and the whole of libBurinImage.so with Taps.cpp.
// Every target gives the same bits: all is computed in f32 with strict_float, or in integers. Three schedules:
//   bytes     bytes to bytes, interleaved: 16-bit fixed point all the way, a pixel's taps loaded at once
//   even      the width shrinks by a whole number: only the samples that count are decoded, from dense loads
//   staged    rows are decoded and combined vertically into one row on the stack, of which wide gathers take the taps
#include "lib/Image/Stage.h"
#include "lib/Image/Taps.h"

#include <Halide.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <unistd.h>

using namespace Halide;
using burin::image::Taps;

namespace {

// Halide's own reporter prints and aborts; a warning here means reads outside a frame.
struct Reporter : CompileTimeErrorReporter {
  void warning(const char *text) override { throw std::runtime_error(text); }
  void error(const char *text) override { throw std::runtime_error(text); }
};

class Builder {
public:
  Builder(const burin_image_stage &stage, const burin_image_plane *given, int count, const std::string &name,
          const Target &target)
      : s(stage), name(name), target(target) {
    for (int i = 0; i < count; ++i) {
      planes.emplace_back(UInt(8), 2, name + "_plane" + std::to_string(i));
      planes[i].dim(0).set_bounds(0, given[i].bytes).set_stride(1);
      planes[i].dim(1).set_bounds(0, given[i].rows).set_stride(given[i].stride);
    }
    for (int d = 0; d < 2; ++d) {
      begin[d] = std::max(0, s.offset[d]);
      end[d] = std::min(s.size[d], s.offset[d] + s.resized[d]);
    }
  }

  Module picture();
  Module bars();
  bool hasBars() const { return end[0] - begin[0] < s.size[0] || end[1] - begin[1] < s.size[1]; }

private:
  bool staysBytes() const;
  Module bytesPicture(const Taps &across, const Taps &down);
  std::vector<Expr> decode(Expr px, Expr py);
  std::vector<Expr> fromLuma(Expr y, Expr u, Expr v);
  Expr finish(const std::vector<Expr> &values);
  void shape(OutputImageParam buffer, bool isPart);
  Module compile(Func f, const std::vector<Argument> &arguments, const std::string &suffix) {
    return Pipeline(f).compile_to_module(arguments, name + suffix, target, LinkageType::External);
  }
  Type type() const {
    return s.type == BURIN_IMAGE_F32   ? Float(32)
           : s.type == BURIN_IMAGE_F16 ? Float(16)
           : s.type == BURIN_IMAGE_U8  ? UInt(8)
                                       : Int(8);
  }
  bool hasChroma() const { return s.format == BURIN_NV12 || s.format == BURIN_I420 || s.format == BURIN_YUYV; }
  // The axis of the output along which the frame's axis `a` lies.
  int along(int a) const { return s.is_turned ? 1 - a : a; }
  Taps taps(int a) const;
  int lanes() const { return target.natural_vector_size<float>(); }

  const burin_image_stage &s;
  std::string name;
  Target target;
  std::vector<ImageParam> planes;
  int begin[2], end[2]; // of the picture within the output
  Var x{"x"}, y{"y"}, c{"c"};
};

// ITU-R BT.601 or BT.709.
std::vector<Expr> Builder::fromLuma(Expr luma, Expr u, Expr v) {
  double kr = s.is_709 ? 0.2126 : 0.299, kb = s.is_709 ? 0.0722 : 0.114, kg = 1 - kr - kb;
  double high = s.is_full_range ? 1 : 255.0 / 219, wide = s.is_full_range ? 1 : 255.0 / 224,
         low = s.is_full_range ? 0 : 16;
  Expr l = (cast<float>(luma) - float(low)) * float(high);
  if (s.channels == 1)
    return {clamp(l, 0.f, 255.f)};
  Expr cb = cast<float>(u) - 128.f, cr = cast<float>(v) - 128.f;
  Expr r = l + cr * float(2 * (1 - kr) * wide), b = l + cb * float(2 * (1 - kb) * wide);
  Expr g = l - (cr * float(2 * (1 - kr) * kr / kg * wide) + cb * float(2 * (1 - kb) * kb / kg * wide));
  return {clamp(r, 0.f, 255.f), clamp(g, 0.f, 255.f), clamp(b, 0.f, 255.f)};
}

// Red, green and blue, or grey, of a pixel of the frame.
std::vector<Expr> Builder::decode(Expr px, Expr py) {
  auto at = [&](int plane, Expr column, Expr row) { return planes[plane](column, row); };
  if (s.format == BURIN_NV12)
    return fromLuma(at(0, px, py), at(1, px / 2 * 2, py / 2), at(1, px / 2 * 2 + 1, py / 2));
  if (s.format == BURIN_I420)
    return fromLuma(at(0, px, py), at(1, px / 2, py / 2), at(2, px / 2, py / 2));
  if (s.format == BURIN_YUYV)
    return fromLuma(at(0, 2 * px, py), at(0, px / 2 * 4 + 1, py), at(0, px / 2 * 4 + 3, py));
  if (s.format == BURIN_GRAY) {
    Expr grey = cast<float>(at(0, px, py));
    return std::vector<Expr>(s.channels, grey);
  }
  int step = s.format == BURIN_RGBA ? 4 : 3;
  std::vector<Expr> all;
  for (int k = 0; k < 3; ++k)
    all.push_back(cast<float>(at(0, step * px + (s.format == BURIN_BGR ? 2 - k : k), py)));
  if (s.channels == 1)
    return {all[0] * 0.299f + all[1] * 0.587f + all[2] * 0.114f};
  return all;
}

Expr Builder::finish(const std::vector<Expr> &values) {
  std::vector<Expr> done;
  for (int k = 0; k < s.channels; ++k) {
    Expr v = values[s.is_bgr ? s.channels - 1 - k : k];
    if (s.mean[k] != 0)
      v = v - float(s.mean[k]);
    if (s.scale[k] != 1)
      v = v / float(s.scale[k]);
    if (s.type == BURIN_IMAGE_U8)
      v = clamp(round(v), 0.f, 255.f);
    if (s.type == BURIN_IMAGE_I8)
      v = clamp(round(v), -128.f, 127.f);
    done.push_back(cast(type(), v));
  }
  return done.size() == 1 ? done[0] : mux(c, done);
}

// The samples of the frame's axis `a` for each output position along it that the picture fills.
Taps Builder::taps(int a) const {
  int o = along(a);
  Taps taps = burin::image::makeTaps(burin_image_resize(s.resize), s.region[2 + a], s.resized[o],
                                     begin[o] - s.offset[o], end[o] - begin[o]);
  if (s.is_mirrored[a]) {
    taps.step = 0;
    for (int &index : taps.index)
      index = s.region[2 + a] - 1 - index;
  }
  return taps;
}

// The output as the caller has it, or the part that the picture fills, whose dims are the frame's.
void Builder::shape(OutputImageParam buffer, bool isPart) {
  int width = s.size[0], height = s.size[1];
  const int strides[2] = {s.is_planar ? 1 : s.channels, s.is_planar ? width : width * s.channels};
  for (int d = 0; d < 2; ++d) {
    int o = isPart ? along(d) : d;
    buffer.dim(d).set_bounds(0, isPart ? end[o] - begin[o] : s.size[o]).set_stride(strides[o]);
  }
  buffer.dim(2).set_bounds(0, s.channels).set_stride(s.is_planar ? width * height : 1);
}

Module Builder::picture() {
  int width = end[along(0)] - begin[along(0)], height = end[along(1)] - begin[along(1)];
  Taps across = taps(0), down = taps(1);
  if (staysBytes())
    return bytesPicture(across, down);
  Buffer<int> downIndex(down.count, height), acrossIndex(width, across.count);
  Buffer<float> downWeight(down.count, height), acrossWeight(width, across.count);
  for (int i = 0; i < height; ++i)
    for (int k = 0; k < down.count; ++k) {
      downIndex(k, i) = down.index[i * down.count + k] + s.region[1];
      downWeight(k, i) = down.weight[i * down.count + k];
    }
  for (int i = 0; i < width; ++i)
    for (int k = 0; k < across.count; ++k) {
      acrossIndex(i, k) = across.index[i * across.count + k];
      acrossWeight(i, k) = across.weight[i * across.count + k];
    }

  // A pixel of the frame's column `px`, combined over the rows that make row y.
  auto vertical = [&](Expr px) {
    std::vector<Expr> sums;
    for (int k = 0; k < down.count; ++k) {
      Expr row = unsafe_promise_clamped(downIndex(k, y), s.region[1], s.region[1] + s.region[3] - 1);
      std::vector<Expr> values = decode(px, row);
      for (size_t i = 0; i < values.size(); ++i) {
        Expr v = down.count == 1 ? values[i] : values[i] * downWeight(k, y);
        k ? void(sums[i] = sums[i] + v) : sums.push_back(v);
      }
    }
    return sums;
  };

  Func out(name + "_out");
  std::vector<Expr> sums(s.channels);
  bool isEven = across.step > 1;
  Func row(name + "_row");
  if (!isEven) {
    std::vector<Expr> values = vertical(x + s.region[0]);
    row(x, c, y) = values.size() == 1 ? values[0] : mux(c, values);
  }
  for (int k = 0; k < across.count; ++k) {
    std::vector<Expr> values(s.channels);
    if (isEven) {
      values = vertical(x * across.step + (across.start + k + s.region[0]));
    } else {
      Expr at = unsafe_promise_clamped(acrossIndex(x, k), 0, s.region[2] - 1);
      for (int i = 0; i < s.channels; ++i)
        values[i] = row(at, i, y);
    }
    for (int i = 0; i < s.channels; ++i) {
      Expr v = across.count == 1 ? values[i] : values[i] * (isEven ? Expr(across.weight[k]) : acrossWeight(x, k));
      sums[i] = k ? sums[i] + v : v;
    }
  }
  out(x, y, c) = finish(sums);

  out.output_buffer().set_host_alignment(1);
  shape(out.output_buffer(), true);
  auto tail = [](int extent, int factor) {
    return extent >= factor ? TailStrategy::ShiftInwards : TailStrategy::GuardWithIf;
  };
  out.bound(c, 0, s.channels).reorder(c, x, y).unroll(c).vectorize(x, lanes(), tail(width, lanes()));
  if (!isEven) {
    int step = hasChroma() ? 2 : 1; // pixels that share their chroma are unrolled, so that its loads stay dense
    row.compute_at(out, y).store_in(MemoryType::Register).bound_storage(x, (s.region[2] + 63) / 64 * 64);
    row.bound(c, 0, s.channels).reorder(c, x, y).unroll(c);
    row.bound(x, 0, s.region[2]);
    Var inner("inner");
    if (step == 2 && s.region[2] >= 2 * lanes())
      row.align_bounds(x, 1).split(x, x, inner, 2, TailStrategy::ShiftInwards).unroll(inner).reorder(inner, c, x, y);
    int groups = s.region[2] >= 2 * lanes() && step == 2 ? (s.region[2] + 1) / 2 : s.region[2];
    row.vectorize(x, lanes(), tail(groups, lanes()));
  }
  std::vector<Argument> arguments(planes.begin(), planes.end());
  return compile(out, arguments, "_picture");
}

// Weights below 0 could leave 16 bits.
bool Builder::staysBytes() const {
  bool isInterleaved = s.format == BURIN_RGB || s.format == BURIN_BGR || s.format == BURIN_RGBA;
  return isInterleaved && (s.type == BURIN_IMAGE_U8 || s.type == BURIN_IMAGE_I8) && s.channels == 3 &&
         s.resize != BURIN_CUBIC && !s.is_turned;
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
  int wide = target.natural_vector_size<int16_t>(), pixels = wide / group;
  out.bound(c, 0, 3).reorder(c, x, y).unroll(c);
  row.compute_at(out, y).store_in(MemoryType::Register).bound_storage(at, (bytes + group + 63) / 64 * 64);
  row.bound(at, 0, bytes);
  if (bytes >= 2 * wide)
    row.vectorize(at, 2 * wide, TailStrategy::ShiftInwards);
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
  std::vector<Argument> arguments(planes.begin(), planes.end());
  return compile(out, arguments, "_picture");
}

Module Builder::bars() {
  Func out(name + "_bars");
  std::vector<Expr> pads(s.channels, Expr(float(s.pad)));
  Expr pad = finish(pads);
  out(x, y, c) = undef(type());
  const int rectangles[4][4] = {{0, 0, s.size[0], begin[1]},
                                {0, end[1], s.size[0], s.size[1] - end[1]},
                                {0, begin[1], begin[0], end[1] - begin[1]},
                                {end[0], begin[1], s.size[0] - end[0], end[1] - begin[1]}};
  for (auto &r : rectangles) {
    if (r[2] <= 0 || r[3] <= 0)
      continue;
    RDom inside(r[0], r[2], r[1], r[3]);
    out(inside.x, inside.y, c) = pad;
    int stage = out.num_update_definitions() - 1;
    Stage update = out.update(stage);
    update.unroll(c);
    s.is_planar ? update.reorder(inside.x, inside.y, c) : update.reorder(c, inside.x, inside.y);
    if (r[2] >= lanes())
      update.vectorize(inside.x, lanes(), TailStrategy::GuardWithIf);
  }
  out.bound(c, 0, s.channels);
  shape(out.output_buffer(), false);
  return compile(out, {}, "_bars");
}

// Halide writes files by name only.
void hand(Module module, void (*write)(void *, const char *, size_t), void *to) {
  std::string name = std::filesystem::temp_directory_path() / "burin-image-XXXXXX";
  char *path = name.data();
  int file = mkstemp(path);
  if (file < 0)
    throw std::runtime_error("cannot make a temporary file");
  close(file);
  try {
    module.compile({{OutputFileType::bitcode, path}});
  } catch (...) {
    unlink(path);
    throw;
  }
  std::ifstream in(path, std::ios::binary);
  std::stringstream bytes;
  bytes << in.rdbuf();
  unlink(path);
  write(to, bytes.str().data(), bytes.str().size());
}

} // namespace

extern "C" __attribute__((visibility("default"))) int
burin_image_build_2(const burin_image_stage *stage, const burin_image_plane *planes, int num_planes, const char *name,
                    const char *target, void (*write)(void *, const char *, size_t), void *to, char *error,
                    size_t room) {
  static Reporter reporter;
  set_custom_compile_time_error_reporter(&reporter);
  try {
    Builder builder(*stage, planes, num_planes, name, Target(target));
    hand(builder.picture(), write, to);
    if (builder.hasBars())
      hand(builder.bars(), write, to);
    return 0;
  } catch (const Halide::Error &e) {
    snprintf(error, room, "%s", e.what());
  } catch (const std::exception &e) {
    snprintf(error, room, "%s", e.what());
  }
  return 1;
}
