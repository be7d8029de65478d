// What a designer could change: rewrites that keep the shapes of a network and change its numbers, so that it has to be
// trained again. None is done; each comes with what it would save.
#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Cost/Cost.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace burin;

namespace {
struct Window {
  uint64_t positions, in, out, taps; // taps: kernel height x width
  uint64_t macs() const { return positions * in * out * taps; }
};

// A dense convolution over two dims with a kernel beyond 1x1. Free dims count as 1, as in the costs.
std::optional<Window> denseWindow(Operation *op) {
  auto conv = dyn_cast<onnx::ConvOp>(op);
  if (!conv || conv.getGroup() != 1)
    return std::nullopt;
  auto w = dyn_cast<RankedTensorType>(conv.getW().getType()), y = dyn_cast<RankedTensorType>(conv.getY().getType());
  if (!w || !y || !w.hasStaticShape() || w.getRank() != 4 || y.getRank() != 4)
    return std::nullopt;
  uint64_t taps = w.getDimSize(2) * w.getDimSize(3), out = w.getDimSize(0), positions = 1;
  if (taps == 1 || out == 0)
    return std::nullopt;
  for (int64_t d : {0, 2, 3})
    positions *= y.isDynamicDim(d) ? 1 : y.getDimSize(d);
  return Window{positions, uint64_t(w.getDimSize(1)), out, taps};
}
} // namespace

void burin::printAdvice(func::FuncOp function, const ModelCost &cost, llvm::raw_ostream &out) {
  uint64_t total = cost.total.macs;
  out << "These change results, so none is done; the network has to be trained with them. Of " << total
      << " multiply-accumulates each saves, if applied everywhere it fits:\n";
  if (cost.unknown)
    out << "  (" << cost.unknown
        << " operators have sizes that are not known: free dims count as 1 here; bind them first, as with "
           "--graph-bind-shapes=shapes=INPUT=1x3x224x224)\n";
  auto line = [&](StringRef name, unsigned layers, double saved, StringRef what) {
    if (layers && saved > 0 && total)
      out << llvm::formatv("  {0,-28} {1,5:f1}%  {2,3} layers  {3}\n", name, 100.0 * saved / total, layers, what);
  };
  unsigned dense = 0, ghost = 0, stems = 0;
  double ghostSaved = 0, partialSaved = 0, separableSaved = 0, stemSaved = 0, spatial = 0, widthSaved = 0;
  unsigned products = 0, convs = 0;
  bool isFirst = true;
  for (const OperatorCost &c : cost.operators) {
    std::optional<Window> w = denseWindow(c.op);
    if (c.macs) {
      // Inputs and outputs both narrow; where each channel has its own kernel, they are one.
      auto conv = dyn_cast<onnx::ConvOp>(c.op);
      bool isDepthwise = conv && conv.getGroup() > 1;
      widthSaved += c.macs * (isDepthwise ? 0.25 : 1 - 0.75 * 0.75);
      ++products;
      spatial += conv ? c.macs : 0;
      convs += conv ? 1 : 0;
    }
    if (!w)
      continue;
    bool isStem = std::exchange(isFirst, false) && w->in <= 4;
    if (isStem) {
      // 2x2 blocks become channels: a quarter of the positions, four times the inputs, a kernel of half the width.
      auto stride = cast<onnx::ConvOp>(c.op).getStrides();
      bool isStrided = stride && llvm::all_of(*stride, [](int64_t s) { return s == 2; });
      uint64_t taps = std::max<uint64_t>(w->taps / 4, 1);
      double after = double(w->positions) / (isStrided ? 1 : 4) * w->in * 4 * w->out * taps;
      if (after < w->macs())
        ++stems, stemSaved += w->macs() - after;
      continue;
    }
    ++dense;
    double full = w->macs(), positions = w->positions;
    separableSaved += std::max(0.0, full - positions * (w->in * w->taps + w->in * w->out));
    // A quarter of the channels is convolved, then a 1x1 mixes all.
    partialSaved += std::max(0.0, full - positions * (w->in / 4 * (w->in / 4) * w->taps + w->in * w->out));
    if (w->out % 2 == 0) {
      ++ghost;
      ghostSaved += std::max(0.0, full - positions * (w->in * (w->out / 2) * w->taps + w->out / 2 * 25.0));
    }
  }
  line("separable convolution", dense, separableSaved, "depthwise k x k, then 1x1");
  line("partial convolution", dense, partialSaved, "k x k on a quarter of the channels, then 1x1 on all");
  line("Ghost modules", ghost, ghostSaved, "half the channels by the layer, half by depthwise 5x5 of those");
  line("space-to-depth stem", stems, stemSaved, "2x2 blocks as channels, the first convolution at half the resolution");
  line("width x 0.75", products, widthSaved, "three quarters of the channels everywhere");
  line("resolution x 0.75", convs, spatial * (1 - 0.75 * 0.75), "inputs of three quarters the height and width");
  // Where a head after half the work would leave: what the inputs that take it save.
  uint64_t sum = 0;
  for (const OperatorCost &c : cost.operators) {
    sum += c.macs;
    if (c.macs && 2 * sum >= total && sum < total) {
      out << llvm::formatv("  {0,-28} {1,5:f1}%  of each input that leaves behind '{2}' ({3})\n", "early exit",
                           100.0 * (total - sum) / std::max<uint64_t>(total, 1), c.name, c.kind);
      break;
    }
  }
}
