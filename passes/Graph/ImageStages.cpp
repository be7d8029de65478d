#include "passes/Graph/ImageStages.h"
#include "dialects/Foreign/Foreign.h"
#include "dialects/Onnx/DataType.h"
#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/raw_ostream.h"

#include <cmath>

using namespace mlir;
using namespace burin;

// The node, and what its function computes under a name of its own in the module's attribute.
static Operation *buildNode(OpBuilder &b, Location where, ModuleOp module, ArrayRef<NamedAttribute> parts,
                            ValueRange operands, Type type) {
  auto stages = module->getAttrOfType<DictionaryAttr>(foreign::imageStagesAttr);
  std::string function = "image_stage_" + std::to_string(stages ? stages.size() : 0);
  SmallVector<NamedAttribute> all;
  if (stages)
    llvm::append_range(all, stages);
  all.push_back(b.getNamedAttr(function, b.getDictionaryAttr(parts)));
  module->setAttr(foreign::imageStagesAttr, b.getDictionaryAttr(all));

  NamedAttribute node[] = {b.getNamedAttr("op_type", b.getStringAttr("ImageStage")),
                           b.getNamedAttr("domain", b.getStringAttr("burin")),
                           b.getNamedAttr("node_attributes", b.getDictionaryAttr({})),
                           b.getNamedAttr(onnx::calleeAttr, b.getStringAttr(function))};
  return onnx::CustomOp::create(b, where, TypeRange(type), operands, node);
}

static void addResize(OpBuilder &b, const graph::ResizeKernel &kernel, std::optional<std::array<double, 8>> axes,
                      SmallVectorImpl<NamedAttribute> &parts) {
  auto add = [&](StringRef key, Attribute value) { parts.push_back(b.getNamedAttr(key, value)); };
  add("resize", b.getStringAttr(kernel.mode));
  if (axes)
    add("axes", DenseF64ArrayAttr::get(b.getContext(), *axes));
  if (!kernel.rounding.empty())
    add("rounding", b.getStringAttr(kernel.rounding));
  if (kernel.cubic != -0.5)
    add("cubic", DenseF64ArrayAttr::get(b.getContext(), {kernel.cubic}));
  if (kernel.isAntialiased)
    add("antialias", b.getUnitAttr());
  if (kernel.isExclusive)
    add("exclude_outside", b.getUnitAttr());
}

Operation *graph::buildImageStage(OpBuilder &b, Location where, ModuleOp module, const ImageStage &s,
                                  ValueRange operands, RankedTensorType type) {
  Type element = type.getElementType();
  StringRef kind = element.isF32() ? "f32" : element.isUnsignedInteger(8) ? "u8" : "i8";
  auto entry = [&](StringRef key, Attribute value) { return b.getNamedAttr(key, value); };
  SmallVector<NamedAttribute> parts = {
      entry("format", b.getStringAttr(s.format)),
      entry("frame", b.getDenseI64ArrayAttr({s.frameWidth, s.frameHeight, s.stride})),
      entry("matrix", b.getStringAttr(s.matrix)),
      entry("range", b.getStringAttr(s.range)),
      entry("region", b.getDenseI64ArrayAttr(s.region)),
      entry("turn", b.getDenseI64ArrayAttr({s.isTurned, s.isMirrored[0], s.isMirrored[1]})),
      entry("input", b.getStringAttr(s.input)),
      entry("resized", b.getDenseI64ArrayAttr(s.resized)),
      entry("offset", b.getDenseI64ArrayAttr(s.offset)),
      entry("output", b.getDenseI64ArrayAttr({s.channels, s.size[1], s.size[0]})),
      entry("layout", b.getStringAttr(s.isPlanar ? "NCHW" : "NHWC")),
      entry("order", b.getStringAttr(s.isReversed ? "BGR" : "RGB")),
      entry("type", b.getStringAttr(kind)),
      entry("mean", DenseF64ArrayAttr::get(b.getContext(), s.mean)),
      entry("scale", DenseF64ArrayAttr::get(b.getContext(), s.scale)),
      entry("pad", DenseF64ArrayAttr::get(b.getContext(), {s.pad}))};
  if (!s.fit.empty())
    parts.push_back(entry("fit", b.getStringAttr(s.fit)));
  addResize(b, s.kernel, s.axes, parts);
  return buildNode(b, where, module, parts, operands, type);
}

Operation *graph::buildOutputStage(OpBuilder &b, Location where, ModuleOp module, const OutputStage &s, Value x,
                                   Type type) {
  auto entry = [&](StringRef key, Attribute value) { return b.getNamedAttr(key, value); };
  SmallVector<NamedAttribute> parts = {entry("tensor", b.getDenseI64ArrayAttr(s.tensor)),
                                       entry("layout", b.getStringAttr(s.isPlanar ? "NCHW" : "NHWC")),
                                       entry("block", b.getDenseI64ArrayAttr({s.block})),
                                       entry("mode", b.getStringAttr(s.mode)),
                                       entry("size", b.getDenseI64ArrayAttr(s.size)),
                                       entry("order", b.getStringAttr(s.isInterleaved ? "NHWC" : "NCHW")),
                                       entry("result", b.getStringAttr(s.result))};
  if (s.kernel)
    addResize(b, *s.kernel, s.axes, parts);
  SmallVector<Attribute> steps;
  for (const OutputStage::Step &step : s.steps)
    steps.push_back(b.getDictionaryAttr({entry("op", b.getStringAttr(step.op)),
                                         entry("by", DenseF64ArrayAttr::get(b.getContext(), {step.a, step.b}))}));
  if (!steps.empty())
    parts.push_back(entry("steps", b.getArrayAttr(steps)));
  if (s.labelBytes)
    parts.push_back(entry("label_bytes", b.getDenseI64ArrayAttr({s.labelBytes})));
  if (!s.colors.empty())
    parts.push_back(entry("colors", b.getDenseI64ArrayAttr(s.colors)));
  return buildNode(b, where, module, parts, x, type);
}

std::pair<StringRef, StringRef> graph::splitImageInput(StringRef text) {
  auto [name, rest] = text.split('=');
  bool isNamed = !name.contains(':') && !rest.empty(); // else FORMAT:WxH...
  return isNamed ? std::pair(name, rest) : std::pair(StringRef(), text);
}

static bool readPair(StringRef text, char between, int64_t &a, int64_t &b) {
  auto [left, right] = text.split(between);
  return !left.getAsInteger(10, a) && !right.getAsInteger(10, b);
}

// NV12:1920x1080[:stride=2048][:matrix=709][:range=full][:region=WxH+X+Y|run][:rotate=90][:flip=horizontal]
std::optional<graph::CameraFrame> graph::readFrame(StringRef text, std::string &why) {
  static const StringRef formats[] = {"NV12", "I420", "YUYV", "RGB",  "BGR", "RGBA",
                                      "GRAY", "RGGB", "GRBG", "GBRG", "BGGR"};
  auto refuse = [&](const Twine &what) {
    why = "expected " + what.str();
    return std::nullopt;
  };
  SmallVector<StringRef> words;
  text.split(words, ':');
  CameraFrame frame;
  frame.format = words[0].str();
  if (!llvm::is_contained(formats, words[0]))
    return refuse("a format of " + llvm::join(ArrayRef(formats), ", ") + ", got '" + words[0] + "'");
  // Beyond this no camera goes, and sums of sizes stay small.
  constexpr int64_t most = 1 << 15;
  if (words.size() < 2 || !readPair(words[1], 'x', frame.width, frame.height) || frame.width < 1 || frame.height < 1 ||
      frame.width > most || frame.height > most)
    return refuse("the frame's size such as 1920x1080 (width x height, at most 32768), got '" +
                  (words.size() < 2 ? StringRef() : words[1]) + "'");
  bool isMosaic = llvm::is_contained(ArrayRef(formats).drop_front(7), words[0]);
  StringRef shared = isMosaic ? "colours" : "chroma";
  if ((frame.isHalved() || isMosaic || frame.format == "YUYV") && frame.width % 2)
    return refuse("an even width, as two pixels share their " + shared + " in " + frame.format + ", got " +
                  Twine(frame.width));
  if ((frame.isHalved() || isMosaic) && frame.height % 2)
    return refuse("an even height, as two rows share their " + shared + " in " + frame.format + ", got " +
                  Twine(frame.height));
  int64_t least = frame.width * frame.pixelBytes();
  frame.stride = least;
  frame.region = {0, 0, frame.width, frame.height};
  for (StringRef word : llvm::drop_begin(words, 2)) {
    auto [key, value] = word.split('=');
    if (key == "stride") {
      if (value.getAsInteger(10, frame.stride) || frame.stride < least || frame.stride > 8 * most ||
          (frame.isHalved() && frame.stride % 2))
        return refuse("a stride of " + Twine(least) + " bytes or more" + (frame.isHalved() ? ", even" : "") +
                      ", got '" + value + "'");
    } else if (key == "matrix" && (value == "601" || value == "709")) {
      frame.matrix = value.str();
    } else if (key == "range" && (value == "limited" || value == "full")) {
      frame.range = value.str();
    } else if (key == "rotate" && llvm::is_contained({"90", "180", "270"}, value)) {
      frame.turn(value == "90" ? 1 : value == "180" ? 2 : 3);
    } else if (key == "flip" && (value == "horizontal" || value == "vertical")) {
      frame.mirror((value == "vertical") != frame.isTurned);
    } else if (key == "region" && value == "run") {
      frame.isRegionGiven = true;
    } else if (key == "region") {
      auto [size, corner] = value.split('+');
      auto &r = frame.region;
      bool good = readPair(size, 'x', r[2], r[3]) && readPair(corner, '+', r[0], r[1]);
      if (!good || r[0] < 0 || r[1] < 0 || r[2] < 1 || r[3] < 1 || r[0] > frame.width - r[2] ||
          r[1] > frame.height - r[3])
        return refuse("a region WxH+X+Y inside the frame of " + Twine(frame.width) + "x" + Twine(frame.height) +
                      ", or run (each run says it), got '" + value + "'");
    } else {
      return refuse("stride=N, matrix=601|709, range=limited|full, region=WxH+X+Y|run, rotate=90|180|270 or "
                    "flip=horizontal|vertical, got '" +
                    word + "'");
    }
  }
  if (frame.isRegionGiven && frame.region != std::array<int64_t, 4>{0, 0, frame.width, frame.height})
    return refuse("one region, of the frame or of each run, got both");
  return frame;
}

SmallVector<StringRef> graph::inputNames(func::FuncOp main) {
  SmallVector<StringRef> names;
  for (unsigned i = 0; i < main.getNumArguments(); ++i) {
    auto name = main.getArgAttrOfType<StringAttr>(i, "onnx.name");
    names.push_back(name ? name.getValue() : "");
  }
  return names;
}

BlockArgument graph::findImage(func::FuncOp main, StringRef name) {
  SmallVector<StringRef> names = inputNames(main);
  BlockArgument found;
  auto isCount = [](int64_t n) { return n == 1 || n == 3; };
  for (BlockArgument arg : main.getArguments()) {
    auto type = dyn_cast<RankedTensorType>(arg.getType());
    bool isImage = type && type.getRank() == 4 && (isCount(type.getDimSize(1)) || isCount(type.getDimSize(3)));
    if (name.empty() ? !isImage : names[arg.getArgNumber()] != name)
      continue;
    if (found)
      return {};
    found = arg;
  }
  return found;
}

Value graph::regionInput(func::FuncOp main, StringRef frameInput) {
  std::string name = (frameInput + "_region").str();
  for (auto [i, known] : llvm::enumerate(inputNames(main)))
    if (known == name)
      return main.getArgument(i);
  Builder b(main.getContext());
  Type type = onnx::getTensorType({4}, b.getI32Type(), {""});
  (void)main.insertArgument(main.getNumArguments(), type,
                            b.getDictionaryAttr(b.getNamedAttr("onnx.name", b.getStringAttr(name))), main.getLoc());
  return main.getArguments().back();
}

// The same rounding as graph-insert-preprocessing: half of what is missing or too much on either side.
graph::Placement graph::placeFrame(const CameraFrame &frame, StringRef fit, std::array<int64_t, 2> size) {
  Placement placed{size, {0, 0}};
  if (fit == "stretch")
    return placed;
  std::array<int64_t, 2> taken{frame.region[2 + frame.isTurned], frame.region[3 - frame.isTurned]};
  double across = double(size[0]) / taken[0], down = double(size[1]) / taken[1];
  double factor = fit == "letterbox" ? std::min(across, down) : std::max(across, down);
  for (int d = 0; d < 2; ++d) {
    placed.resized[d] = std::max<int64_t>(1, std::llround(taken[d] * factor));
    int64_t missing = size[d] - placed.resized[d];
    placed.offset[d] = missing >= 0 ? missing / 2 : -(-missing / 2);
  }
  return placed;
}
