// Padding that the next operator can do itself: a constant Pad becomes pads of the convolution, pool or Pad behind it.
// Zero is a convolution's own padding; a pool's is "nothing there", so each pool has its own condition.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FUSEPAD
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FusePad";

// The pads of all dims, begins then ends; nothing where they are unknown.
std::optional<SmallVector<int64_t>> padsOf(onnx::PadOp pad, int64_t rank) {
  auto given = onnx::getConstantInts(pad.getPads());
  if (!given)
    return std::nullopt;
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (!onnx::isNone(pad.getAxes())) {
    auto held = onnx::getConstantInts(pad.getAxes());
    if (!held)
      return std::nullopt;
    axes = *held;
  }
  if (given->size() != 2 * axes.size())
    return std::nullopt;
  SmallVector<int64_t> pads(2 * rank, 0);
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t d = axis < 0 ? axis + rank : axis;
    if (d < 0 || d >= rank)
      return std::nullopt;
    pads[d] = (*given)[i];
    pads[rank + d] = (*given)[i + axes.size()];
  }
  return pads;
}

// The pads of an operator over `spatial` dims, those of SAME worked out where the sizes are known: SAME means the
// padded input's size, so it cannot stay once the padding is the operator's own.
template <typename OpTy> std::optional<SmallVector<int64_t>> knownPads(OpTy op, ArrayRef<int64_t> kernel) {
  int64_t spatial = kernel.size();
  if (auto pads = explicitPads(op, spatial))
    return pads;
  RankedTensorType in = staticType(op.getX());
  if (!in || in.getRank() != spatial + 2)
    return std::nullopt;
  SmallVector<int64_t> pads(2 * spatial, 0);
  for (int64_t d = 0; d < spatial; ++d) {
    int64_t size = in.getDimSize(2 + d);
    int64_t stride = op.getStrides() && !op.getStrides()->empty() ? (*op.getStrides())[d] : 1;
    int64_t dilation = op.getDilations() && !op.getDilations()->empty() ? (*op.getDilations())[d] : 1;
    int64_t out = (size + stride - 1) / stride;
    int64_t total = std::max<int64_t>(0, (out - 1) * stride + (kernel[d] - 1) * dilation + 1 - size);
    pads[d] = op.getAutoPad() == "SAME_UPPER" ? total / 2 : total - total / 2;
    pads[spatial + d] = total - pads[d];
  }
  return pads;
}

template <typename OpTy> SmallVector<int64_t> kernelOf(OpTy op, int64_t spatial) {
  if constexpr (std::is_same_v<OpTy, onnx::ConvOp>) {
    RankedTensorType weights = staticType(op.getW());
    return weights && weights.getRank() == spatial + 2 ? SmallVector<int64_t>(weights.getShape().drop_front(2))
                                                       : SmallVector<int64_t>();
  } else {
    return SmallVector<int64_t>(op.getKernelShape());
  }
}

// No element of `value` is negative: its producer says so.
bool isNonNegative(Value value) {
  Operation *op = value.getDefiningOp();
  if (auto clip = dyn_cast_or_null<onnx::ClipOp>(op))
    return !onnx::isNone(clip.getMin()) && uniform(clip.getMin()).value_or(-1) >= 0;
  return op && isa<onnx::ReluOp, onnx::SigmoidOp, onnx::HardSigmoidOp, onnx::AbsOp, onnx::ExpOp, onnx::SoftmaxOp>(op);
}

// %p = Pad(%x, pads); %y = Conv(%p, ...) {pads}   ->   %y = Conv(%x, ...) {pads + pads}
//  - constant mode, no negative pad, nothing along batch and channels
//  - the consumer's own pads are explicit, or SAME of a known size
//  - Conv: the value is 0
//  - AveragePool: the value is 0 and padding counts in the mean (count_include_pad, or no pads of its own)
//  - MaxPool: the value can never win: -inf, or 0 where no element is negative
//  - pools: pads stay smaller than the kernel, no ceil_mode (a window may not lie in padding alone)
template <typename OpTy> bool fusePad(OpTy op) {
  auto pad = definedBy<onnx::PadOp>(op.getX());
  if (!pad)
    return false;
  StringRef name = onnx::getOpType(op);
  RankedTensorType type = rankedType(pad.getData());
  if (!type || type.getRank() < 3)
    return missed(op, passName, name, "the rank is unknown");
  int64_t rank = type.getRank(), spatial = rank - 2;
  if (pad.getMode() != "constant")
    return missed(op, passName, name, "the Pad's mode is '" + pad.getMode().str() + "', not constant");
  auto added = padsOf(pad, rank);
  if (!added)
    return missed(op, passName, name, "the pads are not constant");
  if (llvm::any_of(*added, [](int64_t p) { return p < 0; }))
    return missed(op, passName, name, "a pad is negative");
  if ((*added)[0] || (*added)[1] || (*added)[rank] || (*added)[rank + 1])
    return missed(op, passName, name, "batch or channels are padded");
  double value = 0;
  if (!onnx::isNone(pad.getConstantValue())) {
    auto held = uniform(pad.getConstantValue());
    if (!held)
      return missed(op, passName, name, "the padding value is not constant");
    value = *held;
  }
  SmallVector<int64_t> kernelShape = kernelOf(op, spatial);
  auto pads = int64_t(kernelShape.size()) == spatial ? knownPads(op, kernelShape) : explicitPads(op, spatial);
  if (!pads)
    return missed(op, passName, name, "auto_pad depends on the padded shape, which is not known");
  bool own = llvm::any_of(*pads, [](int64_t p) { return p != 0; });
  for (int64_t d = 0; d < spatial; ++d) {
    (*pads)[d] += (*added)[2 + d];
    (*pads)[spatial + d] += (*added)[rank + 2 + d];
  }
  if constexpr (!std::is_same_v<OpTy, onnx::ConvOp>) {
    if (op.getCeilMode() != 0)
      return missed(op, passName, name, "ceil_mode is set");
    ArrayRef<int64_t> kernel = op.getKernelShape();
    for (int64_t d = 0; d < spatial && int64_t(kernel.size()) == spatial; ++d)
      if ((*pads)[d] >= kernel[d] || (*pads)[spatial + d] >= kernel[d])
        return missed(op, passName, name, "a pad would reach the kernel's size");
  }
  if constexpr (std::is_same_v<OpTy, onnx::MaxPoolOp>) {
    if (!onnx::isNone(op.getIndices()) && !op.getIndices().use_empty())
      return missed(op, passName, name, "the indices are used");
    bool least = std::isinf(value) && value < 0;
    if (!least && !(value == 0 && isNonNegative(pad.getData())))
      return missed(op, passName, name, "the padding value could be a window's maximum");
  } else if (value != 0) {
    return missed(op, passName, name, "the padding value is not 0");
  }
  if constexpr (std::is_same_v<OpTy, onnx::AveragePoolOp>) {
    if (own && op.getCountIncludePad() == 0)
      return missed(op, passName, name, "the pool's own padding does not count in its mean");
    op.setCountIncludePad(1);
  }
  op.setPads(*pads);
  op.setAutoPad("NOTSET");
  op->setOperand(0, pad.getData());
  op->setLoc(fuse({pad, op}));
  eraseDead(pad);
  passed(op, passName, name);
  return true;
}

// Pad(Pad(%x, p), q)   ->   Pad(%x, p + q)
//  - both in constant mode, with one value and no negative pad; nothing else uses the first
bool mergePads(onnx::PadOp op) {
  auto first = definedBy<onnx::PadOp>(op.getData());
  RankedTensorType type = first ? rankedType(first.getData()) : RankedTensorType();
  if (!type || op.getMode() != "constant" || first.getMode() != "constant")
    return false;
  auto inner = padsOf(first, type.getRank()), outer = padsOf(op, type.getRank());
  auto value = [](onnx::PadOp pad) {
    return onnx::isNone(pad.getConstantValue()) ? std::optional<double>(0) : uniform(pad.getConstantValue());
  };
  if (!inner || !outer)
    return missed(op, passName, "Pad", "the pads are not constant");
  if (!value(first) || value(first) != value(op))
    return missed(op, passName, "Pad", "the padding values differ");
  if (!first.getResult().hasOneUse())
    return missed(op, passName, "Pad", "the first Pad has several uses");
  for (auto [a, b] : llvm::zip_equal(*inner, *outer)) {
    if (a < 0 || b < 0)
      return missed(op, passName, "Pad", "a pad is negative");
    b += a;
  }
  OpBuilder builder(op);
  Location loc = fuse({first, op});
  Value both = build<onnx::PadOp>(
      builder, loc,
      {first.getData(), onnx::createI64s(builder, loc, *outer), op.getConstantValue(), noValue(builder, loc)});
  return both && replaceBy(op, both, passName, "Pad");
}

class FusePad : public impl::FusePadBase<FusePad> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      return llvm::TypeSwitch<Operation *, bool>(op)
          .Case<onnx::ConvOp, onnx::AveragePoolOp, onnx::MaxPoolOp>([](auto o) { return fusePad(o); })
          .Case([](onnx::PadOp o) { return mergePads(o); })
          .Default([](Operation *) { return false; });
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
