// A convolution of stride s as one of stride 1 over SpaceToDepth of its image: for targets whose arithmetic wants many
// channels and no strides (systolic arrays, vision units). Exact: taps only change places, gaps are zeros. Off by
// default: a target chooses it. graph-fold-space-to-depth is its inverse.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/Stencil.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_LOWERSTRIDEDCONV
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "LowerStridedConv";

int64_t floorDiv(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// Conv(%x, %w) {strides = [s, s]}   ->   Conv(SpaceToDepth(%x padded to whole blocks), %v)
//  - two spatial dims, one stride above 1 for both, one group, constant weights, sizes known
//  - at most `maxChannels` input channels: more fill vectors by themselves
//  - the last window reaches into the last block (else a stride-1 convolution would give more positions)
bool lower(onnx::ConvOp op, int64_t maxChannels) {
  StringRef why;
  auto read = stencilShape(op, why);
  if (!read || read->rank() != 2 || read->strides[0] < 2)
    return false;
  if (read->strides[0] != read->strides[1])
    return missed(op, passName, "StridedConv", "the strides differ");
  if (read->group != 1)
    return missed(op, passName, "StridedConv", "it has several groups");
  if (read->inputs > maxChannels)
    return missed(op, passName, "StridedConv", "its input has more channels than max-channels");
  RankedTensorType in = staticType(op.getX()), out = staticType(op.getResult());
  if (!in || !out || in.getNumElements() == 0 || out.getNumElements() == 0)
    return missed(op, passName, "StridedConv", "the sizes are not known");
  int64_t s = read->strides[0];
  Stencil conv;
  conv.inputs = read->inputs * s * s;
  conv.outputs = read->outputs;
  conv.strides = conv.dilations = {1, 1};
  SmallVector<int64_t> low, padding(8, 0);
  for (int64_t d = 0; d < 2; ++d) {
    int64_t first = floorDiv(-read->begins[d], s), last = floorDiv(read->extent(d) - 1 - read->begins[d], s);
    int64_t blocks = (in.getDimSize(2 + d) + s - 1) / s;
    low.push_back(first);
    conv.kernel.push_back(last - first + 1);
    conv.begins.push_back(-first);
    conv.ends.push_back(out.getDimSize(2 + d) - blocks + first + conv.kernel[d] - 1);
    padding[6 + d] = blocks * s - in.getDimSize(2 + d);
    if (conv.ends[d] < 0)
      return missed(op, passName, "StridedConv", "the last block is in no window");
  }
  if (!readWeights(op, *read))
    return missed(op, passName, "StridedConv", "a weight cannot be read");
  conv.bias = read->bias;
  conv.weights.assign(conv.macs(), 0);
  for (int64_t o = 0; o < read->outputs; ++o)
    for (int64_t c = 0; c < read->inputs; ++c)
      for (int64_t y = 0; y < read->kernel[0]; ++y)
        for (int64_t x = 0; x < read->kernel[1]; ++x) {
          int64_t row = y * read->dilations[0] - read->begins[0], column = x * read->dilations[1] - read->begins[1];
          int64_t v = floorDiv(row, s), u = floorDiv(column, s);
          int64_t channel = ((row - v * s) * s + column - u * s) * read->inputs + c;
          conv.weights[((o * conv.inputs + channel) * conv.kernel[0] + v - low[0]) * conv.kernel[1] + u - low[1]] =
              read->weights[((o * read->inputs + c) * read->kernel[0] + y) * read->kernel[1] + x];
        }
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Value x = op.getX();
  if (padding[6] || padding[7])
    x = build<onnx::PadOp>(builder, loc,
                           {x, onnx::createI64s(builder, loc, padding), noValue(builder, loc), noValue(builder, loc)});
  if (x)
    x = build<onnx::SpaceToDepthOp>(builder, loc, x, builder.getNamedAttr("blocksize", builder.getI64IntegerAttr(s)));
  Value value = x ? buildConv(builder, loc, x, conv, out.getElementType(), onnx::getNodeName(op)) : Value();
  return value && replaceBy(op, value, passName, "StridedConv");
}

class LowerStridedConv : public impl::LowerStridedConvBase<LowerStridedConv> {
public:
  using LowerStridedConvBase::LowerStridedConvBase;
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [this](Operation *op) {
      auto conv = dyn_cast<onnx::ConvOp>(op);
      return conv && lower(conv, maxChannels);
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
