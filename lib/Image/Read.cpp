// Image stages as a module says them, checked: they may come from a user's file.
#include "lib/Image/Image.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Diagnostics.h"

using namespace mlir;
using namespace burin;

namespace {
// A frame of more bytes is no frame; sums of sizes then fit.
constexpr int64_t maxSide = 1 << 15;

bool readInts(DictionaryAttr attr, StringRef name, MutableArrayRef<int32_t> to) {
  auto list = attr.getAs<DenseI64ArrayAttr>(name);
  if (!list || list.size() != int64_t(to.size()))
    return false;
  for (auto [value, slot] : llvm::zip(list.asArrayRef(), to)) {
    if (value < -maxSide * 8 || value > maxSide * 8)
      return false;
    slot = int32_t(value);
  }
  return true;
}

bool readWord(DictionaryAttr attr, StringRef name, ArrayRef<StringRef> words, int32_t &to) {
  auto text = attr.getAs<StringAttr>(name);
  auto found = text ? llvm::find(words, text.getValue()) : words.end();
  to = int32_t(found - words.begin());
  return found != words.end();
}

bool readDoubles(DictionaryAttr attr, StringRef name, int count, double *to) {
  auto list = attr.getAs<DenseF64ArrayAttr>(name);
  if (!list || list.size() != count)
    return false;
  llvm::copy(list.asArrayRef(), to);
  return true;
}

// What Resize says; null, or what was expected. Absent axes stay as they are.
const char *readResize(DictionaryAttr attr, burin_image_kernel &kernel, burin_image_axis (&axis)[2]) {
  if (!readWord(attr, "resize", {"nearest", "linear", "cubic", "area"}, kernel.resize))
    return "a resize of nearest, linear, cubic or area";
  kernel.cubic = -0.5;
  double axes[8];
  if (attr.get("axes")) {
    if (!readDoubles(attr, "axes", 8, axes) || !llvm::all_of(axes, [](double v) { return std::abs(v) <= 4 * maxSide; }))
      return "axes [shift, step, origin, cover of x, of y]";
    for (int d = 0; d < 2; ++d)
      axis[d] = {axes[4 * d], axes[4 * d + 1], axes[4 * d + 2], axes[4 * d + 3]};
  }
  if ((attr.get("rounding") &&
       !readWord(attr, "rounding", {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"}, kernel.rounding)) ||
      (attr.get("cubic") && !readDoubles(attr, "cubic", 1, &kernel.cubic)))
    return "a rounding as ONNX's Resize has it and a coefficient of cubic";
  kernel.is_antialiased = bool(attr.get("antialias"));
  kernel.is_exclusive = bool(attr.get("exclude_outside"));
  if (!(axis[0].step >= 0) || !(axis[1].step >= 0) || !(axis[0].cover > 0) || !(axis[1].cover > 0))
    return "axes that run forwards";
  return nullptr;
}
} // namespace

FailureOr<burin_image_stage> burin::readImageStage(DictionaryAttr attr, Location where) {
  burin_image_stage s = {};
  auto refuse = [&](StringRef what) {
    return emitError(where) << "image stage: expected " << what << ", got " << attr, failure();
  };
  int32_t frame[3], output[3];
  if (!readWord(attr, "format", {"NV12", "I420", "YUYV", "RGB", "BGR", "RGBA", "GRAY", "RGGB", "GRBG", "GBRG", "BGGR"},
                s.format) ||
      !readInts(attr, "frame", frame) || !readWord(attr, "matrix", {"601", "709"}, s.is_709) ||
      !readWord(attr, "range", {"limited", "full"}, s.is_full_range))
    return refuse("a format, matrix, range and frame [width, height, stride]");
  s.width = frame[0], s.height = frame[1], s.stride = frame[2];
  if (!readInts(attr, "region", s.region) || !readInts(attr, "resized", s.resized) ||
      !readInts(attr, "offset", s.offset) || !readInts(attr, "output", output))
    return refuse("region, resized, offset and output [channels, height, width]");
  int32_t turn[3] = {0, 0, 0}; // absent: as the frame lies
  if (attr.get("turn") &&
      (!readInts(attr, "turn", turn) || llvm::any_of(turn, [](int32_t t) { return t < 0 || t > 1; })))
    return refuse("a turn [columns become rows, x backwards, y backwards], each 0 or 1");
  s.is_turned = turn[0], s.is_mirrored[0] = turn[1], s.is_mirrored[1] = turn[2];
  s.channels = output[0], s.size[1] = output[1], s.size[0] = output[2];
  if (!readWord(attr, "type", {"f32", "f16", "u8", "i8"}, s.type) ||
      !readWord(attr, "layout", {"NHWC", "NCHW"}, s.is_planar) || !readWord(attr, "order", {"RGB", "BGR"}, s.is_bgr) ||
      (s.channels != 1 && s.channels != 3) || !readDoubles(attr, "mean", s.channels, s.mean) ||
      !readDoubles(attr, "scale", s.channels, s.scale) || !readDoubles(attr, "pad", 1, &s.pad))
    return refuse("type, layout, order, 1 or 3 channels, a mean and scale for each, and a pad");
  int32_t bytes = s.format == BURIN_RGB || s.format == BURIN_BGR ? 3
                  : s.format == BURIN_RGBA                       ? 4
                  : s.format == BURIN_YUYV                       ? 2
                                                                 : 1;
  bool halved = s.format == BURIN_NV12 || s.format == BURIN_I420, isMosaic = s.format >= BURIN_RGGB;
  if (s.width < 1 || s.height < 1 || s.width > maxSide || s.height > maxSide || s.stride < s.width * bytes ||
      ((halved || isMosaic || s.format == BURIN_YUYV) && s.width % 2) || ((halved || isMosaic) && s.height % 2) ||
      (halved && s.stride % 2))
    return refuse("a frame of even sides where pixels share their colours, and a stride that holds a row");
  const int32_t *r = s.region;
  if (r[0] < 0 || r[1] < 0 || r[2] < 1 || r[3] < 1 || r[0] + r[2] > s.width || r[1] + r[3] > s.height)
    return refuse("a region inside the frame");
  for (int d = 0; d < 2; ++d)
    if (s.resized[d] < 1 || s.resized[d] > maxSide || s.size[d] < 1 || s.size[d] > maxSide ||
        s.offset[d] >= s.size[d] || s.offset[d] + s.resized[d] <= 0)
      return refuse("a picture that lies on the output");
  if (attr.get("fit") && !readWord(attr, "fit", {"stretch", "letterbox", "crop"}, s.fit))
    return refuse("a fit of stretch, letterbox or crop of a region that each run says");
  s.is_region_given = bool(attr.get("fit"));
  // Absent: half-pixel centres.
  for (int d = 0; d < 2; ++d) {
    double ratio = double(r[2 + (s.is_turned ? 1 - d : d)]) / s.resized[d];
    s.axis[d] = {0.5, ratio, -0.5, ratio};
  }
  if (const char *expected = readResize(attr, s.kernel, s.axis))
    return refuse(expected);
  if (llvm::is_contained(ArrayRef<double>(s.scale, s.channels), 0.0))
    return refuse("a scale other than 0");
  return s;
}

FailureOr<burin_image_output> burin::readImageOutput(DictionaryAttr attr, Location where) {
  burin_image_output s = {};
  auto refuse = [&](StringRef what) {
    return emitError(where) << "image stage: expected " << what << ", got " << attr, failure();
  };
  int32_t tensor[3], size[2], block[1];
  if (!readInts(attr, "tensor", tensor) || !readWord(attr, "layout", {"NHWC", "NCHW"}, s.is_planar) ||
      !readInts(attr, "block", block) || !readWord(attr, "mode", {"DCR", "CRD"}, s.is_crd) ||
      !readInts(attr, "size", size) || !readWord(attr, "order", {"NCHW", "NHWC"}, s.is_interleaved) ||
      !readWord(attr, "result", {"floats", "picture", "labels", "colors"}, s.result))
    return refuse("a tensor [channels, height, width], layout, block, mode, size, order and result");
  s.channels = tensor[0], s.tensor[1] = tensor[1], s.tensor[0] = tensor[2];
  s.block = block[0], s.size[0] = size[0], s.size[1] = size[1];
  s.is_resized = bool(attr.get("resize"));
  for (int d = 0; d < 2; ++d)
    if (s.tensor[d] < 1 || s.tensor[d] > maxSide || s.size[d] < 1 || s.size[d] > maxSide || s.block < 1 ||
        (!s.is_resized && s.size[d] != int64_t(s.tensor[d]) * s.block))
      return refuse("sizes of 1 or more that belong together");
  if (s.channels < 1 || int64_t(s.channels) * s.tensor[0] * s.tensor[1] > INT32_MAX ||
      s.channels % (int64_t(s.block) * s.block) != 0 || (s.is_resized && s.block != 1))
    return refuse("channels of whole pixels, resized or of phases, not both");
  for (int d = 0; d < 2; ++d)
    s.axis[d] = {0.5, double(s.tensor[d]) / s.size[d], -0.5, double(s.tensor[d]) / s.size[d]};
  if (s.is_resized)
    if (const char *expected = readResize(attr, s.kernel, s.axis))
      return refuse(expected);
  if (auto steps = attr.getAs<ArrayAttr>("steps")) {
    if (steps.size() > BURIN_MOST_STEPS)
      return refuse("at most " + std::to_string(BURIN_MOST_STEPS) + " steps");
    for (Attribute entry : steps) {
      auto step = dyn_cast<DictionaryAttr>(entry);
      double values[2] = {0, 0};
      burin_image_step &made = s.steps[s.num_steps++];
      if (!step || !readWord(step, "op", {"add", "mul", "div", "round", "clamp"}, made.operation) ||
          !readDoubles(step, "by", 2, values))
        return refuse("steps {op = add, mul, div, round or clamp, by = two numbers}");
      made.a = float(values[0]), made.b = float(values[1]);
    }
  }
  if (s.result == BURIN_COLORS) {
    auto colors = attr.getAs<DenseI64ArrayAttr>("colors");
    if (!colors || colors.empty() || colors.size() > BURIN_MOST_COLORS || colors.size() < s.channels)
      return refuse("a colour for each channel, at most " + std::to_string(BURIN_MOST_COLORS));
    for (int64_t color : colors.asArrayRef())
      s.colors[s.num_colors++] = uint32_t(color & 0xffffff);
  }
  int32_t bytes[1] = {0};
  if (s.result == BURIN_LABELS && (!readInts(attr, "label_bytes", bytes) || !llvm::is_contained({1, 4, 8}, bytes[0]) ||
                                   (bytes[0] == 1 && s.channels > 256)))
    return refuse("labels of 1, 4 or 8 bytes that hold the channels' numbers");
  s.label_bytes = bytes[0];
  return s;
}

std::vector<burin_image_plane> burin::imagePlanes(const burin_image_stage &s, int64_t &bytes) {
  int64_t luma = int64_t(s.stride) * s.height;
  switch (s.format) {
  case BURIN_NV12:
    bytes = luma / 2 * 3;
    return {{0, s.height, s.width, s.stride}, {luma, s.height / 2, s.width, s.stride}};
  case BURIN_I420:
    bytes = luma / 2 * 3;
    return {{0, s.height, s.width, s.stride},
            {luma, s.height / 2, s.width / 2, s.stride / 2},
            {luma / 4 * 5, s.height / 2, s.width / 2, s.stride / 2}};
  default:
    bytes = luma;
    int width = s.format >= BURIN_GRAY ? 1 : s.format == BURIN_YUYV ? 2 : s.format == BURIN_RGBA ? 4 : 3;
    return {{0, s.height, s.width * width, s.stride}};
  }
}
