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

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_INSERTIMAGESTAGE
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "InsertImageStage";
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
  static std::optional<Quantization> quantizationOf(BlockArgument arg);
  InFlightDiagnostic refuse(func::FuncOp main, StringRef text) {
    return main.emitError() << "--image-input " << text << ": ";
  }
};

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
  auto [name, rest] = splitImageInput(text);
  SmallVector<StringRef> names = inputNames(main);
  BlockArgument arg = findImage(main, name);
  if (!arg)
    return refuse(main, text) << "expected the name of an input (" << llvm::join(names, ", ") << "), got '" << name
                              << "'";
  std::string why;
  std::optional<CameraFrame> frame = readFrame(rest, why);
  if (!frame)
    return refuse(main, text) << why;

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

  Builder b(&getContext());
  ImageStage stage;
  stage.input = names[arg.getArgNumber()].str();
  stage.format = frame->format, stage.matrix = frame->matrix, stage.range = frame->range;
  stage.frameWidth = frame->width, stage.frameHeight = frame->height, stage.stride = frame->stride;
  stage.region = frame->region;
  stage.isTurned = frame->isTurned, stage.isMirrored = frame->isMirrored;
  stage.kernel.mode = resizeMode;
  stage.size = stage.resized = {width, height};
  SmallVector<Value> operands{arg};
  if (frame->isRegionGiven) {
    stage.fit = fit;
    operands.push_back(regionInput(main, stage.input));
  } else {
    Placement placed = placeFrame(*frame, fit, stage.size);
    stage.resized = placed.resized, stage.offset = placed.offset;
  }
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
  Operation *made = buildImageStage(at, arg.getLoc(), getOperation(), stage, operands, result);
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
