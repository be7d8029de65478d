// A camera's frame for an image input: what the camera gives (format, size, stride) and what the network takes decide
// one image stage, which a C function computes that the compiler makes for it (lib/Image). The stage has no form in
// ONNX's operators, so this runs at the end of the graph stage and says what the function is to do in a module
// attribute:
//   burin.image_stages = {image_stage_0 = {format = "NV12", frame = [1920, 1080, 1920], ...}}
#include "dialects/Foreign/Foreign.h"
#include "dialects/Onnx/DataType.h"
#include "passes/Graph/ImageStages.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_INSERTIMAGESTAGE
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "InsertImageStage";
const StringRef formats[] = {"NV12", "I420", "YUYV", "RGB", "BGR", "RGBA", "GRAY"};

struct Frame {
  std::string format, matrix = "601", range = "limited";
  int64_t width = 0, height = 0, stride = 0;
  std::array<int64_t, 4> region{0, 0, 0, 0};
  bool isTurned = false;                        // columns of the frame become rows
  std::array<bool, 2> isMirrored{false, false}; // its x and y run backwards

  // Clockwise, in quarters. Words apply in their order, each to what those before it made.
  void turn(int64_t quarters) {
    for (; quarters > 0; --quarters) {
      mirror(isTurned ? 0 : 1);
      isTurned = !isTurned;
    }
  }
  void mirror(int axis) { isMirrored[axis] = !isMirrored[axis]; }

  int64_t pixelBytes() const {
    return format == "RGB" || format == "BGR" ? 3 : format == "RGBA" ? 4 : format == "YUYV" ? 2 : 1;
  }
  bool isHalved() const { return format == "NV12" || format == "I420"; }
};

// What a network does first with its float input: y = x / step + zero, rounded and clamped.
struct Quantization {
  double step, zero;
  RankedTensorType type;
  SmallVector<Operation *> ops;
};

class InsertImageStage : public impl::InsertImageStageBase<InsertImageStage> {
public:
  using InsertImageStageBase::InsertImageStageBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (inputs.empty() || !main)
      return;
    for (const std::string &text : inputs)
      if (failed(insert(main, text)))
        return signalPassFailure();
    main.setType(FunctionType::get(&getContext(), main.front().getArgumentTypes(),
                                   main.front().getTerminator()->getOperandTypes()));
    counted(getOperation(), passName, inputs.size());
  }

private:
  LogicalResult insert(func::FuncOp main, StringRef text);
  FailureOr<Frame> parse(func::FuncOp main, StringRef text);
  static std::optional<Quantization> quantizationOf(BlockArgument arg);
  void place(const Frame &frame, std::array<int64_t, 2> size, std::array<int64_t, 2> &resized,
             std::array<int64_t, 2> &offset);
  InFlightDiagnostic refuse(func::FuncOp main, StringRef text) {
    return main.emitError() << "--image-input " << text << ": ";
  }
};

bool readPair(StringRef text, char between, int64_t &a, int64_t &b) {
  auto [left, right] = text.split(between);
  return !left.getAsInteger(10, a) && !right.getAsInteger(10, b);
}

// NV12:1920x1080[:stride=2048][:matrix=709][:range=full][:region=WxH+X+Y][:rotate=90][:flip=horizontal]
FailureOr<Frame> InsertImageStage::parse(func::FuncOp main, StringRef text) {
  SmallVector<StringRef> words;
  text.split(words, ':');
  Frame frame;
  frame.format = words[0].str();
  if (!llvm::is_contained(formats, words[0]))
    return refuse(main, text) << "expected a format of " << llvm::join(ArrayRef<StringRef>(formats), ", ") << ", got '"
                              << words[0] << "'",
           failure();
  // Beyond this no camera goes, and sums of sizes stay small.
  constexpr int64_t most = 1 << 15;
  if (words.size() < 2 || !readPair(words[1], 'x', frame.width, frame.height) || frame.width < 1 || frame.height < 1 ||
      frame.width > most || frame.height > most)
    return refuse(main, text) << "expected the frame's size such as 1920x1080 (width x height, at most 32768), got '"
                              << (words.size() < 2 ? "" : words[1]) << "'",
           failure();
  if ((frame.isHalved() || frame.format == "YUYV") && frame.width % 2)
    return refuse(main, text) << "expected an even width, as two pixels share their chroma in " << frame.format
                              << ", got " << frame.width,
           failure();
  if (frame.isHalved() && frame.height % 2)
    return refuse(main, text) << "expected an even height, as two rows share their chroma in " << frame.format
                              << ", got " << frame.height,
           failure();
  int64_t least = frame.width * frame.pixelBytes();
  frame.stride = least;
  frame.region = {0, 0, frame.width, frame.height};
  for (StringRef word : llvm::drop_begin(words, 2)) {
    auto [key, value] = word.split('=');
    if (key == "stride") {
      if (value.getAsInteger(10, frame.stride) || frame.stride < least || frame.stride > 8 * most ||
          (frame.isHalved() && frame.stride % 2))
        return refuse(main, text) << "expected a stride of " << least << " bytes or more"
                                  << (frame.isHalved() ? ", even" : "") << ", got '" << value << "'",
               failure();
    } else if (key == "matrix" && (value == "601" || value == "709")) {
      frame.matrix = value.str();
    } else if (key == "range" && (value == "limited" || value == "full")) {
      frame.range = value.str();
    } else if (key == "rotate" && llvm::is_contained({"90", "180", "270"}, value)) {
      frame.turn(value == "90" ? 1 : value == "180" ? 2 : 3);
    } else if (key == "flip" && (value == "horizontal" || value == "vertical")) {
      frame.mirror((value == "vertical") != frame.isTurned);
    } else if (key == "region") {
      auto [size, corner] = value.split('+');
      auto &r = frame.region;
      bool good = readPair(size, 'x', r[2], r[3]) && readPair(corner, '+', r[0], r[1]);
      if (!good || r[0] < 0 || r[1] < 0 || r[2] < 1 || r[3] < 1 || r[0] > frame.width - r[2] ||
          r[1] > frame.height - r[3])
        return refuse(main, text) << "expected a region WxH+X+Y inside the frame of " << frame.width << "x"
                                  << frame.height << ", got '" << value << "'",
               failure();
    } else {
      return refuse(main, text) << "expected stride=N, matrix=601|709, range=limited|full, region=WxH+X+Y, "
                                   "rotate=90|180|270 or flip=horizontal|vertical, got '"
                                << word << "'",
             failure();
    }
  }
  return frame;
}

// The same rounding as graph-insert-preprocessing: half of what is missing or too much on either side.
void InsertImageStage::place(const Frame &frame, std::array<int64_t, 2> size, std::array<int64_t, 2> &resized,
                             std::array<int64_t, 2> &offset) {
  resized = size;
  offset = {0, 0};
  if (fit == "stretch")
    return;
  std::array<int64_t, 2> taken{frame.region[2 + frame.isTurned], frame.region[3 - frame.isTurned]};
  double across = double(size[0]) / taken[0], down = double(size[1]) / taken[1];
  double factor = fit == "letterbox" ? std::min(across, down) : std::max(across, down);
  for (int d = 0; d < 2; ++d) {
    resized[d] = std::max<int64_t>(1, std::llround(taken[d] * factor));
    int64_t missing = size[d] - resized[d];
    offset[d] = missing >= 0 ? missing / 2 : -(-missing / 2);
  }
}

// Every reader quantizes it, all of them alike, with one scale.
std::optional<Quantization> InsertImageStage::quantizationOf(BlockArgument arg) {
  Quantization found{0, 0, {}, {}};
  for (Operation *user : arg.getUsers()) {
    auto op = dyn_cast<onnx::QuantizeLinearOp>(user);
    RankedTensorType type = op ? staticType(op.getResult()) : RankedTensorType();
    if (!type || op->getOperand(0) != arg || !type.getElementType().isInteger(8))
      return std::nullopt;
    std::optional<double> step = uniform(op->getOperand(1)), zero = 0.0;
    if (op->getNumOperands() > 2 && !isa<NoneType>(op->getOperand(2).getType()))
      zero = uniform(op->getOperand(2));
    if (!step || !zero || (found.type && (found.type != type || found.step != *step || found.zero != *zero)))
      return std::nullopt;
    found.step = *step, found.zero = *zero, found.type = type;
    found.ops.push_back(op);
  }
  return found.type ? std::optional(found) : std::nullopt;
}

LogicalResult InsertImageStage::insert(func::FuncOp main, StringRef text) {
  auto [name, rest] = text.split('=');
  BlockArgument arg;
  SmallVector<StringRef> names;
  for (BlockArgument candidate : main.getArguments()) {
    auto known = main.getArgAttrOfType<StringAttr>(candidate.getArgNumber(), "onnx.name");
    names.push_back(known ? known.getValue() : "");
    if (known && known.getValue() == name)
      arg = candidate;
  }
  if (!arg)
    return refuse(main, text) << "expected the name of an input (" << llvm::join(names, ", ") << "), got '" << name
                              << "'";
  FailureOr<Frame> frame = parse(main, rest);
  if (failed(frame))
    return failure();

  RankedTensorType type = rankedType(arg);
  auto isChannels = [](int64_t n) { return n == 1 || n == 3; };
  if (!type || type.getRank() != 4 || !type.hasStaticShape() || type.getDimSize(0) != 1)
    return refuse(main, text) << "expected an input of one image of known size, got " << arg.getType()
                              << "; --shape and --batch bind sizes";
  bool isPlanar = layout.empty() ? isChannels(type.getDimSize(1)) : layout == "NCHW";
  int64_t channels = type.getDimSize(isPlanar ? 1 : 3), height = type.getDimSize(isPlanar ? 2 : 1),
          width = type.getDimSize(isPlanar ? 3 : 2);
  std::optional<Quantization> quantization = quantizationOf(arg);
  if (quantization)
    type = quantization->type;
  Type element = type.getElementType();
  // Half floats are a cast behind the stage: calls of C functions keep them as f32.
  bool isHalf = element.isF16();
  if (!isChannels(channels) || !(element.isF32() || isHalf || element.isInteger(8)) || width < 1 || height < 1)
    return refuse(main, text) << "expected an input of 1 or 3 channels of float, float16, uint8 or int8, got " << type;
  if (!llvm::is_contained({"stretch", "letterbox", "crop"}, StringRef(fit)))
    return refuse(main, text) << "expected fit stretch, letterbox or crop, got '" << fit << "'";
  if (!llvm::is_contained({"nearest", "linear", "cubic", "area"}, StringRef(resizeMode)))
    return refuse(main, text) << "expected resize mode nearest, linear, cubic or area, got '" << resizeMode << "'";
  auto perChannel = [&](ArrayRef<double> values, double otherwise) -> std::optional<SmallVector<double>> {
    if (values.size() > 1 && int64_t(values.size()) != channels)
      return std::nullopt;
    if (values.size() > 1)
      return SmallVector<double>(values);
    return SmallVector<double>(channels, values.empty() ? otherwise : values[0]);
  };
  auto means = perChannel(mean, 0), scales = perChannel(scale, 1);
  if (!means || !scales || llvm::is_contained(*scales, 0.0))
    return refuse(main, text) << "expected 1 value or one a channel (" << channels
                              << ") of mean and scale, no scale of 0";

  // (x - mean) / scale / step + zero
  if (quantization)
    for (auto [m, s] : llvm::zip(*means, *scales)) {
      m -= quantization->zero * quantization->step * s;
      s *= quantization->step;
    }

  std::array<int64_t, 2> resized, offset;
  place(*frame, {width, height}, resized, offset);
  Builder b(&getContext());
  ImageStage stage;
  stage.input = name.str();
  stage.format = frame->format, stage.matrix = frame->matrix, stage.range = frame->range;
  stage.frameWidth = frame->width, stage.frameHeight = frame->height, stage.stride = frame->stride;
  stage.region = frame->region;
  stage.isTurned = frame->isTurned, stage.isMirrored = frame->isMirrored;
  stage.resize = resizeMode;
  stage.resized = resized, stage.offset = offset, stage.size = {width, height};
  stage.channels = channels, stage.isPlanar = isPlanar, stage.isReversed = reverseChannels;
  stage.mean = *means, stage.scale = *scales, stage.pad = padValue;

  // The frame as the camera has it: rows of bytes where they are padded, else rows of pixels.
  SmallVector<int64_t> shape{frame->isHalved() ? frame->height / 2 * 3 : frame->height, frame->stride};
  int64_t bytes = frame->pixelBytes();
  if (bytes > 1 && frame->stride == frame->width * bytes)
    shape = {shape[0], frame->width, bytes};
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : arg.getUses())
    uses.push_back(&use);
  SmallVector<Operation *> quantizers = quantization ? quantization->ops : SmallVector<Operation *>();
  arg.setType(onnx::getTensorType(shape, b.getIntegerType(8, false), SmallVector<StringRef>(shape.size())));
  OpBuilder at = OpBuilder::atBlockBegin(&main.front());
  auto result = isHalf ? RankedTensorType::get(type.getShape(), b.getF32Type()) : type;
  Operation *made = buildImageStage(at, arg.getLoc(), getOperation(), stage, arg, result);
  Value value = made->getResult(0);
  if (isHalf)
    value = build<onnx::CastOp>(at, arg.getLoc(), {value}, b.getNamedAttr("to", b.getI64IntegerAttr(10)));
  if (quantizers.empty())
    for (OpOperand *use : uses)
      use->set(value);
  for (Operation *op : quantizers) {
    op->getResult(0).replaceAllUsesWith(value);
    op->erase();
  }
  passed(made, passName, frame->format);
  return success();
}

} // namespace
} // namespace burin
