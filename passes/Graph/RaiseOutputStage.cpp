// The way from a network's floats to what an application shows, as models and --append hold it in ONNX's operators,
// computed as one image stage (lib/Image): no resized tensor of all classes, and no tensor of phases as bytes, ever
// exists. Matched backward from each output. README.md of lib/Image has the measurements behind what is refused.
#include "dialects/Onnx/OnnxUtils.h"
#include "passes/Graph/ImageStages.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/ResizeSampling.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEOUTPUTSTAGE
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseOutputStage";
constexpr size_t mostSteps = 8;
constexpr int64_t mostColors = 256, mostTaps = 16;

// What a match replaces (`result`) and what it reads then.
struct Match {
  OutputStage stage;
  Value result, from;
  int64_t channelDim = 1; // of `from`
};

// Nobody else reads it.
Operation *makerOf(Value v) { return v.hasOneUse() ? v.getDefiningOp() : nullptr; }

// Whether the lower stage holds `v` with its channels innermost: what convolutions and pools leave, through arithmetic.
bool liesChannelsLast(Value v) {
  while (Operation *op = v.getDefiningOp()) {
    if (isa<onnx::ConvOp, onnx::ConvTransposeOp, onnx::MaxPoolOp, onnx::AveragePoolOp, onnx::ResizeOp,
            onnx::QLinearConvOp, onnx::DepthToSpaceOp, onnx::InstanceNormalizationOp>(op))
      return true;
    RankedTensorType type = op->getNumOperands() ? rankedType(op->getOperand(0)) : RankedTensorType();
    if (!type || !sameType(type, op->getResult(0).getType()))
      return false;
    v = op->getOperand(0);
  }
  return false;
}

// y = x op constant, one for all elements; the operand x, or null.
Value stepOf(Operation *op, SmallVectorImpl<OutputStage::Step> &steps) {
  auto bound = [](Value v, double otherwise) -> std::optional<double> {
    return isa<NoneType>(v.getType()) ? otherwise : uniform(v);
  };
  constexpr double infinity = std::numeric_limits<float>::max();
  Value x = op->getOperand(0);
  if (isa<onnx::RoundOp>(op)) {
    steps.push_back({"round"});
  } else if (isa<onnx::ReluOp>(op)) {
    steps.push_back({"clamp", 0, infinity});
  } else if (auto clip = dyn_cast<onnx::ClipOp>(op)) {
    auto low = bound(clip.getMin(), -infinity), high = bound(clip.getMax(), infinity);
    if (!low || !high || !(*low <= *high))
      return {};
    steps.push_back({"clamp", *low, *high});
  } else if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp>(op)) {
    bool isFirst = isa<onnx::AddOp, onnx::MulOp>(op) && uniform(x).has_value();
    std::optional<double> by = uniform(op->getOperand(isFirst ? 0 : 1));
    x = op->getOperand(isFirst ? 1 : 0);
    if (!by || !sameType(x.getType(), op->getResult(0).getType()))
      return {};
    StringRef name = isa<onnx::MulOp>(op) ? "mul" : isa<onnx::DivOp>(op) ? "div" : "add";
    steps.push_back({name.str(), isa<onnx::SubOp>(op) ? -*by : *by});
  } else {
    return {};
  }
  return x;
}

// Whether what `steps` leave of any number is one of a byte.
bool endsInBytes(ArrayRef<OutputStage::Step> steps) {
  double low = -INFINITY, high = INFINITY;
  for (const OutputStage::Step &step : steps) {
    if (step.op == "clamp") {
      low = std::clamp(low, step.a, step.b), high = std::clamp(high, step.a, step.b);
    } else if (step.op == "add") {
      low += step.a, high += step.a;
    } else if (step.op != "round") {
      double by = step.op == "mul" ? step.a : 1 / step.a;
      low *= by, high *= by;
      if (!(low <= high))
        std::swap(low, high);
    }
  }
  return low > -1 && high < 256;
}

// A Resize of one tensor of floats, its channels not among what is resized; null, or why not.
const char *takeResize(onnx::ResizeOp op, Match &match) {
  RankedTensorType from = staticType(op.getX()), to = staticType(op.getResult());
  if (!from || !to || from.getRank() != 4 || from.getDimSize(0) != 1 || !from.getElementType().isF32())
    return "it is not one tensor of floats of known size";
  int64_t c = match.channelDim, h = c == 1 ? 2 : 1, w = h + 1;
  if (from.getDimSize(c) != to.getDimSize(c) || to.getDimSize(0) != 1)
    return "more than height and width are resized";
  auto sampled = resizeSamplings(op, {w, h});
  if (!sampled || (*sampled)[0].isBounded || (*sampled)[1].isBounded)
    return "its scales or region are no constants, or leave some of the result open";
  OutputStage &stage = match.stage;
  stage.kernel = resizeKernel(op);
  stage.axes.emplace();
  for (int d = 0; d < 2; ++d) {
    const Sampling &a = (*sampled)[d];
    const double place[] = {a.shift, a.step, a.origin, a.cover};
    llvm::copy(place, stage.axes->begin() + 4 * d);
    double reach = stage.kernel->isAntialiased ? std::max(1.0, a.cover) : 1;
    if (2 * (stage.kernel->mode == "cubic" ? 2 : 1) * reach > mostTaps)
      return "each sample is made of many";
  }
  stage.tensor = {from.getDimSize(c), from.getDimSize(h), from.getDimSize(w)};
  stage.size = {to.getDimSize(w), to.getDimSize(h)};
  match.from = op.getX();
  return nullptr;
}

// %y = Transpose(Cast(Clip(Round(... DepthToSpace(%x) or Resize(%x) ...))))   ->   %y = burin.ImageStage(%x)
//  - one picture of bytes; arithmetic with one number for all elements, in any order with what moves the elements
//  - what is cast is a number of a byte
//  - what gives the phases of pixels leaves them channels first: behind a convolution bytes are stored and moved
const char *matchPicture(Value result, Match &match) {
  OutputStage &stage = match.stage;
  stage.result = "picture";
  match.result = result;
  SmallVector<int64_t> dims{0, 1, 2, 3}; // of the value so far, in the order of the result
  auto permute = [&](ArrayRef<int64_t> perm) {
    for (int64_t &d : dims)
      d = perm[d];
  };
  bool isCast = false, isShuffled = false;
  Value x = result;
  std::optional<SmallVector<int64_t>> order; // of the result, of the dims N, C, H, W
  while (Operation *op = makerOf(x)) {
    RankedTensorType type = staticType(op->getResult(0)),
                     from = op->getNumOperands() ? staticType(op->getOperand(0)) : RankedTensorType();
    if (!type || !from || type.getRank() != 4 || from.getRank() != 4 || from.getDimSize(0) != 1)
      break;
    if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
      permute(permutation(transpose, 4));
    } else if (isa<onnx::ReshapeOp>(op)) {
      // Of one channel the same as a transposition.
      ArrayRef<int64_t> a = from.getShape(), b = type.getShape();
      if (a[1] == 1 && b == ArrayRef<int64_t>({1, a[2], a[3], 1}))
        permute({0, 2, 3, 1});
      else if (a[3] == 1 && b == ArrayRef<int64_t>({1, 1, a[1], a[2]}))
        permute({0, 3, 1, 2});
      else
        break;
    } else if (isa<onnx::CastOp>(op) && !isCast && type.getElementType().isUnsignedInteger(8) &&
               from.getElementType().isF32()) {
      isCast = true;
    } else if (auto shuffle = dyn_cast<onnx::DepthToSpaceOp>(op); shuffle && !order) {
      order = dims;
      isShuffled = true;
      stage.block = shuffle.getBlocksize();
      stage.mode = shuffle.getMode().str();
      stage.tensor = {from.getDimSize(1), from.getDimSize(2), from.getDimSize(3)};
      stage.size = {type.getDimSize(3), type.getDimSize(2)};
    } else if (auto resize = dyn_cast<onnx::ResizeOp>(op); resize && !order && isCast) {
      order = dims;
      if (const char *why = takeResize(resize, match))
        return why;
      x = resize.getX();
      break; // what is done to its samples cannot wait until they are mixed
    } else {
      Value next = type.getElementType().isF32() ? stepOf(op, stage.steps) : Value();
      if (!next)
        break;
      x = next;
      continue;
    }
    x = op->getOperand(0);
  }
  if (!order || !isCast)
    return "nothing is resized and no phases become pixels up to here, or no bytes are made";
  std::reverse(stage.steps.begin(), stage.steps.end());
  int64_t channels = stage.tensor[0] / (stage.block * stage.block);
  stage.isInterleaved = *order == SmallVector<int64_t>{0, 2, 3, 1};
  // Transpositions before what makes the pixels are none of a stage.
  SmallVector<int64_t> before = dims;
  if (before != *order || (!stage.isInterleaved && *order != SmallVector<int64_t>{0, 1, 2, 3}))
    return "its dims lie in an order that no picture has";
  if (channels > 4 || stage.steps.size() > mostSteps || !endsInBytes(stage.steps))
    return "it has more than four channels, many steps, or numbers of no byte";
  if (isShuffled && liesChannelsLast(x))
    return "what makes the phases stores them as bytes";
  match.from = x;
  return nullptr;
}

// %y = Gather(%colors, ArgMax(Resize(%x)))   ->   %y = burin.ImageStage(%x)
//  - also the numbers themselves, and cast; the largest is that of channels, of several the first
const char *matchLabels(Value result, Match &match) {
  OutputStage &stage = match.stage;
  stage.result = "labels";
  match.result = result;
  Value x = result;
  if (auto gather = definedBy<onnx::GatherOp>(x)) {
    RankedTensorType table = staticType(gather.getData());
    ElementsAttr colors = onnx::getConstantAttr(gather.getData());
    if (!colors || gather.getAxis() != 0 || !table || table.getRank() != 2 || table.getDimSize(1) != 3 ||
        !table.getElementType().isUnsignedInteger(8) || table.getDimSize(0) > mostColors)
      return "what is gathered from is no table of colours";
    SmallVector<int64_t> bytes;
    for (APInt value : colors.getValues<APInt>())
      bytes.push_back(value.getZExtValue());
    for (int64_t i = 0; i < table.getDimSize(0); ++i)
      stage.colors.push_back(bytes[3 * i] | bytes[3 * i + 1] << 8 | bytes[3 * i + 2] << 16);
    stage.result = "colors";
    stage.isInterleaved = true;
    x = gather.getIndices();
  }
  onnx::ArgMaxOp largest;
  while (Operation *op = makerOf(x)) {
    if ((largest = dyn_cast<onnx::ArgMaxOp>(op)))
      break;
    auto type = staticType(op->getResult(0));
    if (!isa<onnx::CastOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ReshapeOp>(op) || !type ||
        !type.getElementType().isInteger())
      break;
    x = op->getOperand(0);
  }
  RankedTensorType type = largest ? staticType(largest.getData()) : RankedTensorType();
  if (!type || type.getRank() != 4 || type.getDimSize(0) != 1 || largest.getSelectLastIndex())
    return "no ArgMax of one tensor of known size leads here";
  Value scores = largest.getData();
  match.channelDim = largest.getAxis() + (largest.getAxis() < 0 ? 4 : 0);
  if (auto transpose = definedBy<onnx::TransposeOp>(scores);
      transpose && scores.hasOneUse() && match.channelDim == 3 &&
      permutation(transpose, 4) == SmallVector<int64_t>{0, 2, 3, 1}) {
    scores = transpose.getOperand();
    match.channelDim = 1;
  }
  auto resize = dyn_cast_or_null<onnx::ResizeOp>(makerOf(scores));
  if (!resize || !llvm::is_contained({1, 3}, match.channelDim))
    return "nothing is resized before the largest channel is looked for";
  if (const char *why = takeResize(resize, match))
    return why;
  stage.isPlanar = match.channelDim == 1;
  int64_t classes = stage.tensor[0];
  Type element = getElementTypeOrSelf(result.getType());
  if (stage.result == "colors" ? int64_t(stage.colors.size()) < classes
                               : !element.isInteger(64) && !element.isInteger(32) &&
                                     !(element.isUnsignedInteger(8) && classes <= mostColors))
    return "there are more classes than colours, or numbers of another type";
  if (stage.result == "labels")
    stage.labelBytes = element.getIntOrFloatBitWidth() / 8;
  return nullptr;
}

// %y = Sigmoid(Resize(%x))   ->   %y = Sigmoid(burin.ImageStage(%x))
//  - up to the output there is nothing but arithmetic, which joins other operators as well
const char *matchFloats(Value result, Match &match) {
  onnx::ResizeOp resize;
  Value x = result;
  while (Operation *op = makerOf(x)) {
    if ((resize = dyn_cast<onnx::ResizeOp>(op)))
      break;
    if (!isa<onnx::SigmoidOp, onnx::ReluOp, onnx::ClipOp, onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp,
             onnx::GreaterOp, onnx::LessOp, onnx::CastOp, onnx::SqueezeOp, onnx::SoftmaxOp>(op))
      break;
    x = op->getOperand(0);
  }
  if (!resize)
    return "nothing is resized up to here";
  match.stage.result = "floats";
  match.result = resize.getResult();
  if (const char *why = takeResize(resize, match))
    return why;
  const OutputStage &s = match.stage;
  return s.size[0] * s.size[1] < 2 * s.tensor[1] * s.tensor[2] ? "it hardly grows" : nullptr;
}

class RaiseOutputStage : public impl::RaiseOutputStageBase<RaiseOutputStage> {
public:
  using RaiseOutputStageBase::RaiseOutputStageBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main)
      return;
    unsigned count = 0;
    Operation *end = main.front().getTerminator();
    for (unsigned i = 0; i < end->getNumOperands(); ++i)
      count += raise(end->getOperand(i));
    counted(getOperation(), passName, count);
  }

private:
  bool raise(Value result);
};

bool RaiseOutputStage::raise(Value result) {
  Operation *last = result.getDefiningOp();
  RankedTensorType type = staticType(result);
  if (!last || !type || !result.hasOneUse())
    return false;
  bool isFloat = type.getElementType().isF32(), isBytes = type.getElementType().isUnsignedInteger(8);
  if (!isFloat && !type.getElementType().isInteger())
    return false;
  Match match;
  const char *why = isFloat ? matchFloats(result, match) : matchLabels(result, match);
  if (why && isBytes && type.getRank() == 4) {
    match = {};
    why = matchPicture(result, match);
  }
  if (why)
    return missed(last, passName, "output", why);
  OpBuilder b(match.result.getDefiningOp());
  Location where = match.result.getLoc();
  Value from = match.from;
  OutputStage &stage = match.stage;
  // Read as it lies.
  if (stage.isPlanar && liesChannelsLast(from)) {
    from = build<onnx::TransposeOp>(b, where, {from}, b.getNamedAttr("perm", b.getDenseI64ArrayAttr({0, 2, 3, 1})));
    stage.isPlanar = false;
  }
  Operation *made = buildOutputStage(b, where, getOperation(), stage, from, match.result.getType());
  passed(made, passName, stage.result);
  Operation *old = match.result.getDefiningOp();
  match.result.replaceAllUsesWith(made->getResult(0));
  eraseDead(old);
  return true;
}

} // namespace
} // namespace burin
