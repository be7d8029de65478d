// A tap of a convolution that never meets the image: a dilation of 36 over 16 positions leaves one of nine. Exporters
// keep the shape that was trained on larger images.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/Stencil.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_TRIMKERNELS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "TrimKernels";

/// Does tap `t` of dim `d` read one of `in` positions for one of `out` results?
bool isLive(const Stencil &conv, int64_t d, int64_t t, int64_t in, int64_t out) {
  int64_t stride = conv.strides[d], start = t * conv.dilations[d] - conv.begins[d];
  int64_t first = start >= 0 ? 0 : (-start + stride - 1) / stride; // the first result that is not before the image
  return first < out && start + first * stride < in;
}

/// The taps [first, second) of dim `d` that are left, with pads that keep the number of results; all of them where
/// there are none such.
std::pair<int64_t, int64_t> trim(Stencil &conv, int64_t d, int64_t in, int64_t out) {
  std::pair<int64_t, int64_t> all(0, conv.kernel[d]);
  int64_t lo = 0, hi = conv.kernel[d], dilation = conv.dilations[d];
  while (lo < hi && !isLive(conv, d, lo, in, out) && (lo + 1) * dilation <= conv.begins[d])
    ++lo;
  while (hi > lo + 1 && !isLive(conv, d, hi - 1, in, out))
    --hi;
  int64_t begin = conv.begins[d] - lo * dilation, extent = (hi - lo - 1) * dilation + 1;
  int64_t end = std::max<int64_t>(0, (out - 1) * conv.strides[d] + extent - in - begin);
  if ((in + begin + end - extent) / conv.strides[d] + 1 != out)
    return all;
  conv.kernel[d] = hi - lo;
  conv.begins[d] = begin;
  conv.ends[d] = end;
  if (hi - lo == 1)
    conv.dilations[d] = 1;
  return {lo, hi};
}

// Conv(%x, %w)   ->   Conv(%x, the taps of %w that some window has inside %x)
//  - constant weights, of which those that go are finite; sizes known and not zero
bool trimKernel(onnx::ConvOp op) {
  StringRef why;
  std::optional<Stencil> whole = stencilShape(op, why);
  RankedTensorType in = staticType(op.getX()), out = staticType(op.getResult());
  if (!whole || !whole->isPadded() || !in || !out || in.getNumElements() == 0 || out.getNumElements() == 0)
    return false;
  Stencil conv = *whole;
  SmallVector<std::pair<int64_t, int64_t>> kept;
  for (int64_t d = 0; d < conv.rank(); ++d)
    kept.push_back(trim(conv, d, in.getDimSize(2 + d), out.getDimSize(2 + d)));
  if (conv.kernel == whole->kernel)
    return false;
  if (!readWeights(op, *whole))
    return missed(op, passName, "DeadTaps", "a weight cannot be read");
  conv.bias = whole->bias;
  int64_t taps = whole->taps();
  for (auto [i, weight] : llvm::enumerate(whole->weights)) {
    int64_t place = i % taps;
    bool isKept = true;
    for (int64_t d = conv.rank() - 1; d >= 0; place /= whole->kernel[d], --d) {
      int64_t t = place % whole->kernel[d];
      isKept &= kept[d].first <= t && t < kept[d].second;
    }
    if (isKept)
      conv.weights.push_back(weight);
    else if (!std::isfinite(weight))
      return missed(op, passName, "DeadTaps", "a weight is not finite");
  }
  OpBuilder builder(op);
  Value value = buildConv(builder, op.getLoc(), op.getX(), conv, out.getElementType(), onnx::getNodeName(op));
  return value && replaceBy(op, value, passName, "DeadTaps");
}

class TrimKernels : public impl::TrimKernelsBase<TrimKernels> {
public:
  using TrimKernelsBase::TrimKernelsBase;
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      auto conv = dyn_cast<onnx::ConvOp>(op);
      return conv && trimKernel(conv);
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
