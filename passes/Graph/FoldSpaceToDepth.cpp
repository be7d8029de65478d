// SpaceToDepth is a convolution of one-hot weights, so the convolution behind it can read the image itself, with a
// larger kernel and stride and as many multiplications. What it saves is the image's way through memory; what it costs
// is that few input channels fill vectors badly, so it pays for images, not for features.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/Stencil.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FOLDSPACETODEPTH
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FoldSpaceToDepth";

Stencil asStencil(int64_t channels, int64_t block) {
  Stencil stencil;
  stencil.inputs = channels;
  stencil.outputs = channels * block * block;
  stencil.kernel = stencil.strides = {block, block};
  stencil.begins = stencil.ends = {0, 0};
  stencil.dilations = {1, 1};
  stencil.bias.assign(stencil.outputs, 0);
  stencil.weights.assign(stencil.macs(), 0);
  // Offsets within the block are outside, channels inside.
  for (int64_t offset = 0; offset < block * block; ++offset)
    for (int64_t c = 0; c < channels; ++c)
      stencil.weights[((offset * channels + c) * channels + c) * block * block + offset] = 1;
  return stencil;
}

// Conv(SpaceToDepth(%x) by b, %w) of kernel k   ->   Conv(%x, %v) of kernel k * b and stride b
//  - constant weights, one group, no dilation; nothing else uses the SpaceToDepth
//  - at most `maxChannels` channels of the image
bool fold(onnx::ConvOp conv, int64_t maxChannels) {
  auto deep = definedBy<onnx::SpaceToDepthOp>(conv.getX());
  RankedTensorType in = deep ? staticType(deep.getInput()) : RankedTensorType(), out = rankedType(conv.getResult());
  if (!deep || !out)
    return false;
  if (!in)
    return missed(conv, passName, "SpaceToDepth", "the sizes are not known");
  StringRef why;
  auto second = stencilShape(conv, why);
  if (!second)
    return missed(conv, passName, "SpaceToDepth", why);
  if (!deep.getResult().hasOneUse())
    return missed(conv, passName, "SpaceToDepth", "the SpaceToDepth has several uses");
  if (deep->getAttrOfType<StringAttr>("mode") && deep->getAttrOfType<StringAttr>("mode").getValue() == "CRD")
    return missed(conv, passName, "SpaceToDepth", "its channels lie outside of the offsets");
  if (second->group != 1 || llvm::any_of(second->dilations, [](int64_t d) { return d != 1; }))
    return missed(conv, passName, "SpaceToDepth", "the convolution has groups or dilations");
  if (in.getDimSize(1) > maxChannels)
    return missed(conv, passName, "SpaceToDepth", "the image has more channels than max-channels");
  if (!readWeights(conv, *second))
    return missed(conv, passName, "SpaceToDepth", "a weight cannot be read");
  Stencil whole = composed(asStencil(in.getDimSize(1), deep.getBlocksize()), *second);
  OpBuilder builder(conv);
  Value value =
      buildConv(builder, fuse({deep, conv}), deep.getInput(), whole, out.getElementType(), onnx::getNodeName(conv));
  return value && replaceBy(conv, value, passName, "SpaceToDepth");
}

class FoldSpaceToDepth : public impl::FoldSpaceToDepthBase<FoldSpaceToDepth> {
public:
  using FoldSpaceToDepthBase::FoldSpaceToDepthBase;
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [this](Operation *op) {
      auto conv = dyn_cast<onnx::ConvOp>(op);
      return conv && fold(conv, maxChannels);
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
