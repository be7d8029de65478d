// See ResizeSampling.h.
#include "passes/Graph/ResizeSampling.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;
using namespace burin;
using namespace burin::graph;

std::optional<std::array<Sampling, 2>> graph::resizeSamplings(onnx::ResizeOp op, std::array<int64_t, 2> dims) {
  RankedTensorType from = staticType(op.getX()), to = staticType(op.getResult());
  size_t rank = from.getRank();
  StringRef mode = op.getCoordinateTransformationMode();
  SmallVector<int64_t> along(llvm::to_vector(llvm::seq<int64_t>(0, rank)));
  if (op.getAxes()) {
    along.assign(op.getAxes()->begin(), op.getAxes()->end());
    for (int64_t &d : along)
      d += d < 0 ? rank : 0;
  }
  auto numbers = [&](Value v, size_t count) -> std::optional<SmallVector<float>> {
    ElementsAttr attr = isa<NoneType>(v.getType()) ? ElementsAttr() : onnx::getConstantAttr(v);
    if (!attr || attr.getNumElements() != int64_t(count))
      return std::nullopt;
    return onnx::getFloats(attr);
  };
  bool hasScales =
      !isa<NoneType>(op.getScales().getType()) && cast<RankedTensorType>(op.getScales().getType()).getNumElements() > 0;
  auto scales = numbers(op.getScales(), along.size()), roi = numbers(op.getRoi(), 2 * along.size());
  if ((hasScales && !scales) || (mode == "tf_crop_and_resize" && !roi))
    return std::nullopt;
  // One scale for all axes.
  double common = 0;
  if (StringRef policy = op.getKeepAspectRatioPolicy(); !hasScales && policy != "stretch") {
    auto sizes = onnx::getConstantInts(op.getSizes());
    if (!sizes || sizes->size() != along.size())
      return std::nullopt;
    for (auto [size, d] : llvm::zip(*sizes, along)) {
      double own = double(size) / from.getDimSize(d);
      common = common == 0 ? own : policy == "not_larger" ? std::min(common, own) : std::max(common, own);
    }
  }
  std::array<Sampling, 2> made;
  for (int axis = 0; axis < 2; ++axis) {
    int64_t d = dims[axis];
    double in = from.getDimSize(d), out = to.getDimSize(d);
    auto listed = llvm::find(along, d);
    size_t at = listed - along.begin();
    // Scales are floats: one that is meant to be the quotient of the sizes is it.
    double scale = out / in, wanted = out, cover = in / out;
    if (listed != along.end() && scales && std::abs((*scales)[at] * in - out) > 1e-4)
      scale = (*scales)[at];
    if (listed != along.end() && common > 0)
      scale = common;
    if (scale != out / in)
      wanted = scale * in, cover = 1 / scale;
    Sampling &s = made[axis];
    s = {0.5, cover, -0.5};
    if (mode == "asymmetric")
      s = {0, cover, 0};
    else if (mode == "pytorch_half_pixel" && wanted == 1)
      s = {0, 0, -0.5};
    else if (mode == "align_corners")
      s = {0, wanted == 1 ? 0 : (in - 1) / (wanted - 1), 0};
    else if (mode == "half_pixel_symmetric")
      s.origin += in / 2 * (1 - out / wanted);
    else if (mode == "tf_crop_and_resize") {
      double begin = listed == along.end() ? 0 : (*roi)[at],
             end = listed == along.end() ? 1 : (*roi)[at + along.size()];
      s = wanted == 1 ? Sampling{0, 0, 0.5 * (begin + end) * (in - 1)}
                      : Sampling{0, (end - begin) * (in - 1) / (wanted - 1), begin * (in - 1)};
      s.isBounded = true;
    }
    s.cover = cover;
    if (!(s.step >= 0))
      return std::nullopt;
  }
  return made;
}

graph::ResizeKernel graph::resizeKernel(onnx::ResizeOp op) {
  ResizeKernel kernel;
  kernel.mode = op.getMode().str();
  kernel.rounding = op.getNearestMode() == "round_prefer_floor" ? "" : op.getNearestMode().str();
  kernel.cubic = op.getMode() == "cubic" ? double(op.getCubicCoeffA()) : -0.5;
  kernel.isAntialiased = op.getAntialias() != 0;
  kernel.isExclusive = op.getExcludeOutside() != 0;
  return kernel;
}
