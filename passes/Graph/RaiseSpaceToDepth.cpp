// DepthToSpace and SpaceToDepth spelled out: over six dims (Reshape, Transpose, Reshape), and as the Focus stem
// (strided Slices of one image, concatenated). Only orders that ONNX's operators have by themselves are raised; the
// Focus order that YOLO exporters write is reached by permuting channels, best inside the next convolution's weights.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/SymbolicShapes.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISESPACETODEPTH
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseSpaceToDepth";

NamedAttribute i64(OpBuilder &builder, StringRef name, int64_t value) {
  return builder.getNamedAttr(name, builder.getI64IntegerAttr(value));
}

bool become(Operation *op, Value value, StringRef rewrite) { return replaceBy(op, value, passName, rewrite); }

// The convolution that alone uses `value`, if its constant weights can take another order of channels.
onnx::ConvOp orderTaker(Value value) {
  auto conv = value.hasOneUse() ? dyn_cast<onnx::ConvOp>(*value.user_begin()) : onnx::ConvOp();
  bool takes = conv && conv.getX() == value && conv.getGroup() == 1 && onnx::getConstantAttr(conv.getW());
  return takes ? conv : onnx::ConvOp();
}

// `conv` reads channels in another order: what was its channel k is now channel channels[k].
bool reorder(onnx::ConvOp conv, ArrayRef<int64_t> channels) {
  // Gather wants the inverse: the weight for channel j is the one that k had where channels[k] = j.
  SmallVector<int64_t> inverse(channels.size());
  for (auto [k, j] : llvm::enumerate(channels))
    inverse[j] = k;
  OpBuilder builder(conv);
  Value weights =
      build<onnx::GatherOp>(builder, conv.getLoc(), {conv.getW(), onnx::createI64s(builder, conv.getLoc(), inverse)},
                            i64(builder, "axis", 1));
  if (weights)
    conv->setOperand(1, foldOrKeep(weights.getDefiningOp()));
  return weights != nullptr;
}

bool isStaticButBatch(RankedTensorType type) {
  return type.getRank() > 0 && !llvm::is_contained(type.getShape().drop_front(), ShapedType::kDynamic) &&
         !llvm::is_contained(type.getShape(), 0);
}

// The type of a value whose batch alone may be dynamic.
RankedTensorType staticButBatch(Value value) {
  RankedTensorType type = rankedType(value);
  return type && isStaticButBatch(type) ? type : RankedTensorType();
}

// True if dim i of a is known to be `factor` times dim j of b.
bool isMultiple(RankedTensorType a, int64_t i, RankedTensorType b, int64_t j, int64_t factor) {
  if (!a.isDynamicDim(i) || !b.isDynamicDim(j))
    return !a.isDynamicDim(i) && !b.isDynamicDim(j) && a.getDimSize(i) == b.getDimSize(j) * factor;
  StringRef name = onnx::getDimName(a, i), of = onnx::getDimName(b, j);
  if (!isDimName(name) || !isDimName(of))
    return false;
  SizeTable table;
  auto product = Size::multiply(table.named(of), Size(factor));
  return product && table.text(*product) == name;
}

// True if element i of a shape that exporters join is `factor` times dim j of b, taken by Shape.
bool isComputedMultiple(Value shape, int64_t i, RankedTensorType b, int64_t j, int64_t factor) {
  auto concat = definedBy<onnx::ConcatOp>(shape);
  if (!concat || int64_t(concat->getNumOperands()) <= i || !b.isDynamicDim(j))
    return false;
  for (Value part : concat->getOperands())
    if (RankedTensorType type = staticType(part); !type || type.getNumElements() != 1)
      return false;
  auto mul = definedBy<onnx::MulOp>(concat->getOperand(i));
  for (unsigned k = 0; mul && k < 2; ++k) {
    auto size = definedBy<onnx::ShapeOp>(mul->getOperand(k));
    RankedTensorType of = size ? rankedType(size.getData()) : RankedTensorType();
    int64_t at = size ? int64_t(size.getStart()) : -1;
    if (of && at >= 0 && at < of.getRank() && onnx::getConstantInt(mul->getOperand(1 - k)) == factor &&
        sameDim(of, at, b, j))
      return true;
  }
  return false;
}

// Dims that were regrouped over six and back, channels first or last.
struct Regrouping {
  StringRef name, mode;
  int64_t block = 0;
  bool fits = false, isLast = false; // channels last
  bool isChannelFirst = false;       // SpaceToDepth with each channel's offsets side by side
};
Regrouping readRegrouping(ArrayRef<int64_t> perm, RankedTensorType in, RankedTensorType six, RankedTensorType out,
                          Value shape) {
  auto is = [&](ArrayRef<int64_t> expected) { return perm == expected; };
  auto at = [&](int64_t i) { return six.isDynamicDim(i) ? -1 : six.getDimSize(i); };
  Regrouping made;
  // The places of height and width in the image, and of the blocks' sides and the channels in the six dims.
  auto grows = [&](StringRef mode, int64_t block, int64_t other, int64_t channels, int64_t h, int64_t w) {
    made.name = "DepthToSpace", made.mode = mode, made.block = at(block);
    int64_t y = made.isLast ? 1 : 2, c = made.isLast ? 3 : 1;
    made.fits = at(other) == made.block && sameDim(six, h, in, y) && sameDim(six, w, in, y + 1) &&
                sameDim(out, c, six, channels);
    for (int64_t d : {y, y + 1})
      made.fits &= isMultiple(out, d, in, d, made.block) || isComputedMultiple(shape, d, in, d, made.block);
  };
  auto shrinks = [&](int64_t block, int64_t other, int64_t channels, int64_t h, int64_t w) {
    made.name = "SpaceToDepth", made.mode = "DCR", made.block = at(block);
    int64_t y = made.isLast ? 1 : 2, c = made.isLast ? 3 : 1;
    made.fits = at(other) == made.block && sameDim(six, channels, in, c) && isMultiple(in, y, six, h, made.block) &&
                isMultiple(in, y + 1, six, w, made.block) && sameDim(out, y, six, h) && sameDim(out, y + 1, six, w) &&
                isMultiple(out, c, in, c, made.block * made.block);
  };
  if (is({0, 3, 4, 1, 5, 2}))
    grows("DCR", 1, 2, 3, 4, 5);
  else if (is({0, 1, 4, 2, 5, 3}) && sameDim(six, 4, in, 2) && sameDim(six, 5, in, 3))
    grows("CRD", 2, 3, 1, 4, 5);
  else if (is({0, 3, 5, 1, 2, 4}) || is({0, 1, 3, 5, 2, 4})) {
    shrinks(3, 5, 1, 2, 4);
    made.isChannelFirst = perm[1] == 1;
  } else if (is({0, 1, 4, 2, 5, 3})) {
    made.isLast = true;
    grows("CRD", 4, 5, 3, 1, 2);
  } else if (is({0, 1, 3, 2, 4, 5})) {
    made.isLast = true;
    if (sameDim(six, 1, in, 1) && sameDim(six, 2, in, 2))
      grows("DCR", 3, 4, 5, 1, 2);
    else
      shrinks(2, 4, 5, 1, 3);
  }
  // With all other sizes known, a Reshape cannot have changed the batch.
  bool isBatchAlone = isStaticButBatch(in) && isStaticButBatch(six) && isStaticButBatch(out);
  made.fits &=
      !made.name.empty() && made.block >= 2 &&
      (isBatchAlone ? in.getDimSize(0) == out.getDimSize(0) : sameDim(six, 0, in, 0) && sameDim(out, 0, in, 0));
  return made;
}

// Reshape([N,C,H,W] -> six dims), Transpose, Reshape(-> [N,C',H',W'])   ->   DepthToSpace or SpaceToDepth
//   [N, b, b, C', H, W] by 0 3 4 1 5 2  -> DepthToSpace, DCR
//   [N, C', b, b, H, W] by 0 1 4 2 5 3  -> DepthToSpace, CRD
//   [N, C, H', b, W', b] by 0 3 5 1 2 4 -> SpaceToDepth (block offsets before channels)
//   the same by 0 1 3 5 2 4             -> SpaceToDepth where one convolution behind takes its channels in that order
// With channels last a Transpose before and one behind: [N, H, W, b, b, C'] by 0 1 3 2 4 5, [N, H, W, C', b, b] by
// 0 1 4 2 5 3, [N, H', b, W', b, C] by 0 1 3 2 4 5.
//  - sizes that change are known, or named after one another; nothing else uses the six-dim values
bool raiseSixDims(onnx::ReshapeOp op) {
  auto transpose = definedBy<onnx::TransposeOp>(op.getData());
  auto first = transpose ? definedBy<onnx::ReshapeOp>(transpose.getData()) : onnx::ReshapeOp();
  RankedTensorType in = first ? rankedType(first.getData()) : RankedTensorType();
  RankedTensorType six = first ? rankedType(first.getResult()) : RankedTensorType(), out = rankedType(op.getResult());
  if (!in || !six || !out || in.getRank() != 4 || six.getRank() != 6 || out.getRank() != 4)
    return false;
  SmallVector<int64_t> perm = permutation(transpose, 6);
  Regrouping read = readRegrouping(perm, in, six, out, op.getShape());
  if (read.name.empty())
    return false;
  if (!read.fits)
    return missed(op, passName, read.name, "the shapes do not split into square blocks, as far as is known");
  if (!transpose.getResult().hasOneUse() || !first.getResult().hasOneUse())
    return missed(op, passName, read.name, "a part has several uses");
  if (read.isChannelFirst) {
    auto conv = orderTaker(op.getResult());
    if (!conv || in.isDynamicDim(1))
      return missed(op, passName, read.name,
                    "its channels lie before the offsets, and no convolution alone behind takes their order");
    // What was channel c * b * b + offset is channel offset * C + c of SpaceToDepth.
    SmallVector<int64_t> channels;
    for (int64_t c = 0; c < in.getDimSize(1); ++c)
      for (int64_t offset = 0; offset < read.block * read.block; ++offset)
        channels.push_back(offset * in.getDimSize(1) + c);
    if (!reorder(conv, channels))
      return false;
  }
  OpBuilder builder(op);
  Location loc = fuse({first, transpose, op});
  auto transposed = [&](Value value, ArrayRef<int64_t> to) {
    return value && read.isLast
               ? build<onnx::TransposeOp>(builder, loc, value,
                                          builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(to)))
               : value;
  };
  Value value = transposed(first.getData(), {0, 3, 1, 2});
  NamedAttribute attributes[] = {i64(builder, "blocksize", read.block),
                                 builder.getNamedAttr("mode", builder.getStringAttr(read.mode))};
  if (value)
    value = read.name == "DepthToSpace" ? build<onnx::DepthToSpaceOp>(builder, loc, value, attributes)
                                        : build<onnx::SpaceToDepthOp>(builder, loc, value, attributes);
  return become(op, transposed(value, {0, 2, 3, 1}), read.name);
}

// Where a chain of Slices starts and how it steps, in each dim of its source.
struct Strided {
  Value source;
  SmallVector<int64_t> start, step;
};

std::optional<Strided> readSlices(Value value) {
  SmallVector<onnx::SliceOp> chain;
  while (auto slice = definedBy<onnx::SliceOp>(value)) {
    chain.push_back(slice);
    value = slice.getData();
  }
  RankedTensorType type = staticButBatch(value);
  if (!type || chain.empty())
    return std::nullopt;
  Strided result{value, SmallVector<int64_t>(type.getRank(), 0), SmallVector<int64_t>(type.getRank(), 1)};
  SmallVector<int64_t> size(type.getShape());
  for (onnx::SliceOp slice : llvm::reverse(chain)) {
    auto starts = onnx::getConstantInts(slice.getStarts());
    if (!starts)
      return std::nullopt;
    SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, starts->size())), steps(starts->size(), 1);
    if (!onnx::isNone(slice.getAxes()))
      axes = onnx::getConstantInts(slice.getAxes()).value_or(SmallVector<int64_t>());
    if (!onnx::isNone(slice.getSteps()))
      steps = onnx::getConstantInts(slice.getSteps()).value_or(SmallVector<int64_t>());
    RankedTensorType out = staticButBatch(slice.getResult());
    if (!out || axes.size() != starts->size() || steps.size() != starts->size())
      return std::nullopt;
    for (auto [start, axis, step] : llvm::zip_equal(*starts, axes, steps)) {
      int64_t d = axis < 0 ? axis + type.getRank() : axis;
      if (d < 0 || d >= type.getRank() || step <= 0 || ShapedType::isDynamic(size[d]))
        return std::nullopt;
      int64_t from = std::clamp<int64_t>(start < 0 ? start + size[d] : start, 0, size[d]);
      result.start[d] += from * result.step[d];
      result.step[d] *= step;
    }
    size.assign(out.getShape().begin(), out.getShape().end());
  }
  return result;
}

// Concat over channels of the b x b strided views of one image   ->   SpaceToDepth [+ a permutation of channels]
//  - the views have one step b in height and width, start at each offset below b once, and cover whole blocks
//  - another order than SpaceToDepth's: one convolution with constant weights and one group follows (its input channels
//    are permuted), else a Gather of channels is appended
bool raiseFocus(onnx::ConcatOp op) {
  RankedTensorType out = staticButBatch(op.getResult());
  int64_t axis = op.getAxis() < 0 && out ? op.getAxis() + out.getRank() : op.getAxis();
  if (!out || out.getRank() != 4 || axis != 1 || op->getNumOperands() < 4)
    return false;
  SmallVector<Strided> views;
  for (Value operand : op->getOperands()) {
    auto view = readSlices(operand);
    if (!view || (!views.empty() && view->source != views[0].source))
      return false;
    views.push_back(std::move(*view));
  }
  int64_t block = views[0].step[2];
  RankedTensorType in = staticButBatch(views[0].source);
  if (block < 2 || int64_t(views.size()) != block * block || in.getRank() != 4)
    return false;
  ArrayRef<int64_t> i = in.getShape(), o = out.getShape();
  SmallVector<int64_t> order;
  for (Strided &view : views) {
    if (view.step[0] != 1 || view.step[1] != 1 || view.step[2] != block || view.step[3] != block || view.start[0] ||
        view.start[1] || view.start[2] >= block || view.start[3] >= block)
      return missed(op, passName, "Focus", "the slices are not the offsets of one block");
    order.push_back(view.start[2] * block + view.start[3]);
  }
  SmallVector<int64_t> sorted(order);
  llvm::sort(sorted);
  if (!llvm::equal(sorted, llvm::seq<int64_t>(0, block * block)) || o[0] != i[0] || o[1] != i[1] * block * block ||
      o[2] * block != i[2] || o[3] * block != i[3])
    return missed(op, passName, "Focus", "the slices do not cover the image in whole blocks");
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value value = build<onnx::SpaceToDepthOp>(builder, loc, views[0].source, i64(builder, "blocksize", block));
  if (!value)
    return false;
  if (order == sorted)
    return become(op, value, "Focus");
  // Channel k of the Concat is channel channels[k] of SpaceToDepth.
  SmallVector<int64_t> channels;
  for (int64_t offset : order)
    for (int64_t c = 0; c < i[1]; ++c)
      channels.push_back(offset * i[1] + c);
  if (auto conv = orderTaker(op.getResult()))
    if (reorder(conv, channels))
      return become(op, value, "Focus");
  value =
      build<onnx::GatherOp>(builder, loc, {value, onnx::createI64s(builder, loc, channels)}, i64(builder, "axis", 1));
  return become(op, value, "Focus");
}

class RaiseSpaceToDepth : public impl::RaiseSpaceToDepthBase<RaiseSpaceToDepth> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (auto reshape = dyn_cast<onnx::ReshapeOp>(op))
        return raiseSixDims(reshape);
      if (auto concat = dyn_cast<onnx::ConcatOp>(op))
        return raiseFocus(concat);
      return false;
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
