// The way from a picture's bytes to a network's tensor, as models hold it in ONNX's operators, computed as one image
// stage (lib/Image) instead of operator by operator: only the samples that count are converted, and no resized picture
// of another size ever exists. Matched forward from the input, as far as each operator is a part of a stage.
#include "dialects/Onnx/OnnxUtils.h"
#include "passes/Graph/Affine.h"
#include "passes/Graph/ImageStages.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/ResizeSampling.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEIMAGESTAGE
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseImageStage";

// What the operators so far make of the picture: y = (x - mean) / scale at each place of a window over it.
class Chain {
public:
  Chain(RankedTensorType type, int64_t leastShrink)
      : leastShrink(leastShrink), axes(type.getRank() == 4 ? "NHWC" : "HWC") {
    for (int d = 0; d < 2; ++d)
      stage.region[2 + d] = stage.size[d] = stage.resized[d] = type.getDimSize(place(d));
    stage.channels = type.getDimSize(axes.find('C'));
    stage.frameWidth = stage.size[0], stage.frameHeight = stage.size[1];
    stage.stride = stage.frameWidth * stage.channels;
    stage.format = stage.channels == 1 ? "GRAY" : "RGB";
    gain.assign(stage.channels, 1);
    shift.assign(stage.channels, 0);
  }

  /// Takes `op`, which reads `x`, in; null, or why it is no part of a stage.
  const char *take(Operation *op, Value x);
  /// The stage of a result of this layout; null where it is none.
  std::optional<ImageStage> finish() const;
  bool hasResize = false, isFloat = false;

private:
  int place(int axis) const { return axes.find(axis ? 'H' : 'W'); }
  const char *resize(onnx::ResizeOp op);
  const char *slice(onnx::SliceOp op, Value x);
  const char *pad(onnx::PadOp op);
  const char *border(double value);
  const char *affine(Operation *op, Value x);
  const char *reverse();

  // Samples of the region for each of the result, from which on a stage was faster than the code of any tensor
  // (test/EndToEnd/image_chains.py --bench): at 4 by a half, at 2.8 and below slower.
  int64_t leastShrink;
  ImageStage stage;
  std::string axes;                // of the tensor, outermost first
  SmallVector<double> gain, shift; // y = gain * x + shift, in the order of the tensor's channels
  bool hasPad = false;
};

const char *Chain::reverse() {
  stage.isReversed = !stage.isReversed;
  std::reverse(gain.begin(), gain.end());
  std::reverse(shift.begin(), shift.end());
  return nullptr;
}

const char *Chain::resize(onnx::ResizeOp op) {
  RankedTensorType from = staticType(op.getX()), to = staticType(op.getResult());
  if (hasResize || hasPad || !isFloat)
    return "it is resized twice, padded before, or in whole numbers";
  for (size_t d = 0; d < axes.size(); ++d)
    if (axes[d] != 'H' && axes[d] != 'W' && from.getDimSize(d) != to.getDimSize(d))
      return "more than height and width are resized";
  std::optional<std::array<Sampling, 2>> sampled = resizeSamplings(op, {place(0), place(1)});
  if (!sampled)
    return "its scales or region are no constants, or run backwards";
  for (int d = 0; d < 2; ++d) {
    // What was cut away before is not sampled.
    stage.region[d] = -stage.offset[d];
    stage.region[2 + d] = stage.size[d];
    stage.offset[d] = 0;
    stage.size[d] = stage.resized[d] = to.getDimSize(place(d));
  }
  if (stage.region[2] * stage.region[3] < leastShrink * stage.resized[0] * stage.resized[1])
    return "it hardly shrinks";
  stage.kernel = resizeKernel(op);
  bool isUsual = op.getCoordinateTransformationMode() == "half_pixel";
  stage.axes.emplace();
  for (int d = 0; d < 2; ++d) {
    const Sampling &a = (*sampled)[d];
    // What lies outside the region is a border beside a smaller picture.
    if (a.isBounded) {
      int64_t first = 0, end = stage.resized[d];
      auto isOutside = [&](int64_t i) {
        double at = (i + a.shift) * a.step + a.origin;
        return at < 0 || at > stage.region[2 + d] - 1;
      };
      while (first < end && isOutside(first))
        ++first;
      while (first < end && isOutside(end - 1))
        --end;
      if (first == end)
        return "all of it lies outside the picture";
      if (first > 0 || end < stage.resized[d]) {
        if (const char *why = border(op.getExtrapolationValue()))
          return why;
      }
      stage.offset[d] = first;
      stage.resized[d] = end - first;
    }
    const double place[] = {a.shift + stage.offset[d], a.step, a.origin, a.cover};
    llvm::copy(place, stage.axes->begin() + 4 * d);
  }
  for (int d = 0; d < 2; ++d)
    isUsual &= (*stage.axes)[4 * d + 1] == double(stage.region[2 + d]) / stage.resized[d];
  if (isUsual)
    stage.axes.reset(); // what a stage does without
  hasResize = true;
  return nullptr;
}

const char *Chain::slice(onnx::SliceOp op, Value x) {
  auto starts = onnx::getConstantInts(op.getStarts());
  RankedTensorType from = staticType(x), to = staticType(op.getResult());
  std::optional<SmallVector<int64_t>> along, steps;
  if (!isa<NoneType>(op.getAxes().getType()))
    along = onnx::getConstantInts(op.getAxes());
  if (!isa<NoneType>(op.getSteps().getType()))
    steps = onnx::getConstantInts(op.getSteps());
  if (!starts || (!along && !isa<NoneType>(op.getAxes().getType())) ||
      (!steps && !isa<NoneType>(op.getSteps().getType())))
    return "it is cut at places that are no constants";
  for (auto [i, start] : llvm::enumerate(*starts)) {
    int64_t d = along ? (*along)[i] : i, step = steps ? (*steps)[i] : 1;
    d += d < 0 ? axes.size() : 0;
    int64_t dim = from.getDimSize(d);
    int64_t begin = std::clamp<int64_t>(start < 0 ? start + dim : start, 0, dim);
    if (axes[d] == 'C' && step == -1 && to.getDimSize(d) == dim) {
      reverse();
      continue;
    }
    if (step != 1 || (axes[d] == 'C' && to.getDimSize(d) != dim))
      return "every so many samples or some channels are taken";
    if (axes[d] != 'H' && axes[d] != 'W')
      continue;
    int axis = axes[d] == 'H';
    stage.offset[axis] -= begin;
    stage.size[axis] = to.getDimSize(d);
  }
  return nullptr;
}

const char *Chain::pad(onnx::PadOp op) {
  auto pads = onnx::getConstantInts(op.getPads());
  std::optional<double> value = 0.0;
  if (!isa<NoneType>(op.getConstantValue().getType()))
    value = uniform(op.getConstantValue());
  SmallVector<int64_t> along(llvm::to_vector(llvm::seq<int64_t>(0, axes.size())));
  bool isKnown = true;
  if (!isa<NoneType>(op.getAxes().getType())) {
    auto given = onnx::getConstantInts(op.getAxes());
    isKnown = given.has_value();
    along = given.value_or(along);
  }
  if (op.getMode() != "constant" || !isKnown || !pads || !value || !hasResize || pads->size() != 2 * along.size())
    return "it is padded before it is resized, or by no constant";
  for (size_t i = 0; i < along.size(); ++i) {
    int64_t d = along[i] + (along[i] < 0 ? axes.size() : 0), begin = (*pads)[i], end = (*pads)[i + along.size()];
    if (begin < 0 || end < 0 || ((begin || end) && axes[d] != 'H' && axes[d] != 'W'))
      return "more than height and width are padded";
    int axis = axes[d] == 'H';
    if (axes[d] == 'H' || axes[d] == 'W')
      stage.offset[axis] += begin, stage.size[axis] += begin + end;
  }
  return border(*value);
}

// What surrounds the picture, in units of the frame, where it must be one number for all channels.
const char *Chain::border(double value) {
  double before = (value - shift[0]) / gain[0];
  for (int64_t c = 0; c < stage.channels; ++c)
    if (std::abs((value - shift[c]) / gain[c] - before) > 1e-6 * (1 + std::abs(before)) ||
        (hasPad && std::abs(before - stage.pad) > 1e-6 * (1 + std::abs(before))))
      return "channels are padded with different numbers";
  stage.pad = before;
  hasPad = true;
  return nullptr;
}

const char *Chain::affine(Operation *op, Value x) {
  std::optional<Affine> made;
  if (isFloat && isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::BatchNormalizationOp>(op))
    made = affineOf(op, x, stage.channels, axes.size(), axes.find('C'));
  if (!made)
    return "it is no operator of a stage";
  for (int64_t c = 0; c < stage.channels; ++c) {
    double by = made->scales ? at(made->scale, c) : 1, plus = made->shifts ? at(made->shift, c) : 0;
    if (by == 0 || !std::isfinite(by) || !std::isfinite(plus))
      return "it is scaled by 0 or no number";
    gain[c] *= by;
    shift[c] = shift[c] * by + plus;
  }
  return nullptr;
}

const char *Chain::take(Operation *op, Value x) {
  RankedTensorType type = op->getNumResults() ? staticType(op->getResult(0)) : RankedTensorType();
  if (!type)
    return "its size is not known";
  if (auto cast = dyn_cast<onnx::CastOp>(op)) {
    if (!type.getElementType().isF32())
      return "it becomes another type than float";
    isFloat = true;
    return nullptr;
  }
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
    std::string moved;
    for (int64_t d : permutation(transpose, axes.size()))
      moved += axes[d];
    axes = moved;
    return nullptr;
  }
  if (isa<onnx::UnsqueezeOp, onnx::ReshapeOp>(op)) {
    RankedTensorType from = staticType(x);
    // A transposition of one channel is a Reshape.
    for (const char *form : {"NCHW", "NHWC"}) {
      SmallVector<int64_t> dims;
      for (const char *a = form; *a; ++a)
        dims.push_back(*a == 'H' || *a == 'W' ? from.getDimSize(axes.find(*a)) : 1);
      if (stage.channels == 1 && type.getShape() == ArrayRef<int64_t>(dims)) {
        axes = form;
        return nullptr;
      }
    }
    bool isBatch = axes.size() == 3 && type.getRank() == 4 && type.getDimSize(0) == 1 &&
                   type.getShape().drop_front() == from.getShape();
    if (!isBatch)
      return "its dims become others";
    axes = "N" + axes;
    return nullptr;
  }
  if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
    auto picked = onnx::getConstantInts(gather.getIndices());
    int64_t axis = gather.getAxis() + (gather.getAxis() < 0 ? axes.size() : 0);
    bool isReverse = picked && axes[axis] == 'C' && int64_t(picked->size()) == stage.channels;
    for (int64_t c = 0; isReverse && c < stage.channels; ++c)
      isReverse = ((*picked)[c] + stage.channels) % stage.channels == stage.channels - 1 - c;
    return isReverse ? reverse() : "it picks anything but all channels in reverse";
  }
  if (auto resized = dyn_cast<onnx::ResizeOp>(op))
    return resize(resized);
  if (auto sliced = dyn_cast<onnx::SliceOp>(op))
    return slice(sliced, x);
  if (auto padded = dyn_cast<onnx::PadOp>(op))
    return pad(padded);
  return affine(op, x);
}

std::optional<ImageStage> Chain::finish() const {
  if (axes != "NHWC" && axes != "NCHW")
    return std::nullopt;
  ImageStage done = stage;
  done.isPlanar = axes == "NCHW";
  for (int64_t c = 0; c < stage.channels; ++c) {
    done.mean.push_back(-shift[c] / gain[c]);
    done.scale.push_back(1 / gain[c]);
  }
  for (int d = 0; d < 2; ++d)
    if (done.offset[d] >= done.size[d] || done.offset[d] + done.resized[d] <= 0)
      return std::nullopt;
  return done;
}

class RaiseImageStage : public impl::RaiseImageStageBase<RaiseImageStage> {
public:
  using RaiseImageStageBase::RaiseImageStageBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    unsigned count = 0;
    for (BlockArgument arg : main.getArguments())
      count += raise(arg);
    counted(getOperation(), passName, count);
  }

private:
  bool raise(BlockArgument arg);
};

// %y = ...(Resize(...(Cast(%bytes))))   ->   %y = burin.ImageStage(%bytes)
//  - the input is one picture of bytes, NHWC or HWC, of 1 or 3 channels; every part has one reader
//  - a Resize is among the parts: all else joins what reads it at no cost
bool RaiseImageStage::raise(BlockArgument arg) {
  RankedTensorType type = staticType(arg);
  bool isPicture = type && type.getElementType().isUnsignedInteger(8) && type.getNumElements() > 0 &&
                   (type.getRank() == 3 || (type.getRank() == 4 && type.getDimSize(0) == 1));
  if (!isPicture || !llvm::is_contained({1, 3}, type.getShape().back()))
    return false;
  Chain chain(type, leastShrink);
  std::optional<ImageStage> stage;
  Value x = arg, end;
  const char *why = "more than one operator reads it";
  while (x.hasOneUse()) {
    Operation *user = *x.user_begin();
    if (isa<func::ReturnOp>(user) || user->getBlock() != arg.getOwner()) {
      why = "it is an output";
      break;
    }
    if ((why = chain.take(user, x)))
      break;
    x = user->getResult(0);
    if (std::optional<ImageStage> made = chain.finish(); made && chain.hasResize && chain.isFloat)
      stage = made, end = x;
    why = "more than one operator reads it";
  }
  Operation *last = x.getDefiningOp() ? x.getDefiningOp() : &arg.getOwner()->front();
  if (!stage)
    return missed(last, passName, "picture", chain.hasResize ? why : "nothing is resized up to here: " + Twine(why));
  if (auto name = cast<func::FuncOp>(arg.getOwner()->getParentOp())
                      .getArgAttrOfType<StringAttr>(arg.getArgNumber(), "onnx.name"))
    stage->input = name.str();
  OpBuilder b(end.getDefiningOp());
  Operation *made =
      buildImageStage(b, end.getLoc(), getOperation(), *stage, arg, cast<RankedTensorType>(end.getType()));
  passed(made, passName, "picture");
  Operation *old = end.getDefiningOp();
  end.replaceAllUsesWith(made->getResult(0));
  eraseDead(old);
  return true;
}

} // namespace
} // namespace burin
