// vpu-shuffle-stores: a pixel shuffle behind a convolution is a matter of where the engine stores. Channels that lie
// together in the shuffled image are one convolution, whose results go to every b-th pixel of every b-th row. So does a
// transposed convolution whose windows do not overlap: each of its taps is a 1x1 convolution.
#include "dialects/Nn/Nn.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"

namespace burin::vpu {
#define GEN_PASS_DEF_SHUFFLESTORES
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

// Descriptors of fewer channels cost the engine more than the shuffle costs the shaves.
constexpr int64_t leastChannels = 32;
// And so do those of fewer products a pixel and tap, beside a transposed convolution on the shaves.
constexpr int64_t leastProducts = 1024;

/// Channels as several dims: how far apart neighbours are among the channels and in the shuffled image.
struct Part {
  int64_t size, channels, elements;
};

struct Shuffle {
  linalg::TransposeOp transpose;
  memref::ExpandShapeOp expanded;
  nn::ConvOp conv;
  memref::AllocOp made;         // what the convolution writes
  SmallVector<int64_t> strides; // of the image in the result: batch, rows, columns
  Part run{1, 1, 1};            // channels that lie together there
  SmallVector<Part> others;     // a convolution for each of their indices
};

bool extrasAreOfChannels(nn::ComputeOp op) {
  return llvm::all_of(op.getEpilogueMaps().getAsValueRange<AffineMapAttr>(), [](AffineMap map) {
    return map.getNumResults() == 0 ||
           (map.getNumResults() == 1 && map.getResult(0) == getAffineDimExpr(map.getNumDims() - 1, map.getContext()));
  });
}

//   nn.conv outs(%a);  %e = expand_shape %a [.., channels] into [.., parts];  linalg.transpose %e -> %o
// Nothing else reads %a, and nothing between the two ops writes.
FailureOr<Shuffle> match(linalg::TransposeOp transpose) {
  Shuffle shuffle;
  shuffle.transpose = transpose;
  shuffle.expanded = transpose.getInput().getDefiningOp<memref::ExpandShapeOp>();
  auto target = cast<MemRefType>(transpose.getInit().getType());
  if (!shuffle.expanded || !target.getLayout().isIdentity() || !transpose.getInit().getDefiningOp<memref::AllocOp>() ||
      !shuffle.expanded->hasOneUse())
    return failure();
  shuffle.made = shuffle.expanded.getSrc().getDefiningOp<memref::AllocOp>();
  if (!shuffle.made || llvm::range_size(shuffle.made->getUses()) != 2)
    return failure();
  for (OpOperand &use : shuffle.made->getUses())
    if (auto conv = dyn_cast<nn::ConvOp>(use.getOwner()); conv && &conv.getInitOperand() == &use)
      shuffle.conv = conv;
  nn::ConvOp conv = shuffle.conv;
  if (!conv || conv.getGroups() != 1 || conv.getPacked() || conv->getBlock() != transpose->getBlock())
    return failure();
  for (Operation *op = conv->getNextNode(); op != transpose; op = op->getNextNode())
    if (!op || !(isMemoryEffectFree(op) || isa<memref::AllocOp>(op)))
      return failure();

  auto from = shuffle.expanded.getResultType();
  int64_t images = cast<MemRefType>(shuffle.made.getType()).getRank() - 1;
  SmallVector<ReassociationIndices> groups = shuffle.expanded.getReassociationIndices();
  auto [strides, offset] = target.getStridesAndOffset();
  SmallVector<int64_t> inTarget(from.getRank());
  for (auto [i, dim] : llvm::enumerate(transpose.getPermutation()))
    inTarget[dim] = strides[i];
  for (int64_t d = 0; d < images; ++d) {
    if (groups[d].size() != 1)
      return failure();
    shuffle.strides.push_back(inTarget[d]);
  }
  SmallVector<Part> parts;
  int64_t channels = 1;
  for (int64_t dim : llvm::reverse(groups[images])) {
    if (from.getDimSize(dim) > 1)
      parts.push_back({from.getDimSize(dim), channels, inTarget[dim]});
    channels *= from.getDimSize(dim);
  }
  llvm::stable_sort(parts, [](const Part &a, const Part &b) { return a.elements < b.elements; });
  for (const Part &part : parts) {
    if (shuffle.others.empty() && shuffle.run.size == 1)
      shuffle.run = part;
    else if (shuffle.others.empty() && part.elements == shuffle.run.size * shuffle.run.elements &&
             part.channels == shuffle.run.size * shuffle.run.channels)
      shuffle.run.size *= part.size;
    else
      shuffle.others.push_back(part);
  }
  if (shuffle.others.empty() || shuffle.run.elements != 1 || shuffle.run.size % leastChannels != 0)
    return failure();
  if (!extrasAreOfChannels(conv))
    return failure();
  return shuffle;
}

/// Every `run.channels`-th channel from `first`, channels being the last dim.
Value channelsOf(OpBuilder &builder, Location loc, Value memref, const Part &run, int64_t first) {
  auto type = cast<MemRefType>(memref.getType());
  if (type.getRank() == 0)
    return memref;
  SmallVector<int64_t> offsets(type.getRank(), 0), sizes(type.getShape()), strides(type.getRank(), 1);
  offsets.back() = first;
  sizes.back() = run.size;
  strides.back() = run.channels;
  return memref::SubViewOp::create(builder, loc, memref, offsets, sizes, strides);
}

void rewrite(Shuffle &shuffle) {
  nn::ConvOp conv = shuffle.conv;
  OpBuilder builder(shuffle.transpose);
  Location loc = conv.getLoc();
  SmallVector<int64_t> sizes(cast<MemRefType>(shuffle.made.getType()).getShape()), strides = shuffle.strides;
  sizes.back() = shuffle.run.size;
  strides.push_back(1);
  int64_t count = 1;
  for (const Part &part : shuffle.others)
    count *= part.size;
  for (int64_t i = 0; i < count; ++i) {
    int64_t channel = 0, element = 0, rest = i;
    for (const Part &part : shuffle.others) {
      channel += rest % part.size * part.channels;
      element += rest % part.size * part.elements;
      rest /= part.size;
    }
    SmallVector<Value> operands = {conv.getInput(), channelsOf(builder, loc, conv.getFilter(), shuffle.run, channel)};
    for (Value extra : conv.getEpilogueOperands())
      operands.push_back(channelsOf(builder, loc, extra, shuffle.run, channel));
    auto type = MemRefType::get(sizes, shuffle.made.getType().getElementType(),
                                StridedLayoutAttr::get(builder.getContext(), element, strides));
    operands.push_back(
        memref::ReinterpretCastOp::create(builder, loc, type, shuffle.transpose.getInit(), element, sizes, strides));
    OperationState state(loc, conv->getName(), operands, TypeRange(), conv->getAttrs());
    IRMapping mapping;
    conv.getEpilogueRegion().cloneInto(state.addRegion(), mapping);
    builder.create(state);
  }
  shuffle.transpose.erase();
  shuffle.expanded.erase();
  conv.erase();
  shuffle.made.erase();
}

bool isSpread(nn::ConvTransposeOp conv) {
  ArrayRef<int64_t> filter = cast<MemRefType>(conv.getFilter().getType()).getShape(),
                    in = cast<MemRefType>(conv.getInput().getType()).getShape();
  auto out = cast<MemRefType>(conv.getInitOperand().get().getType());
  if (filter.size() != 4 || conv.getGroups() != 1 || !extrasAreOfChannels(conv) ||
      filter[2] * filter[3] < leastProducts || llvm::any_of(conv.getPads(), [](int64_t pad) { return pad != 0; }))
    return false;
  for (int64_t d = 0; d < 2; ++d)
    if (filter[d] != conv.getStrides()[d] || conv.getDilations()[d] != 1 ||
        out.getDimSize(d + 1) != in[d + 1] * filter[d])
      return false;
  return true;
}

//   nn.conv_transpose ins(%x, %w) outs(%o)    ->    for each tap:  nn.conv ins(%x, %w[tap]) outs(%o[tap of each
//   window])
void spread(nn::ConvTransposeOp conv) {
  OpBuilder builder(conv);
  Location loc = conv.getLoc();
  Value result = conv.getInitOperand().get();
  ArrayRef<int64_t> filter = cast<MemRefType>(conv.getFilter().getType()).getShape(),
                    in = cast<MemRefType>(conv.getInput().getType()).getShape();
  SmallVector<int64_t> ones(4, 1);
  for (int64_t y = 0; y < filter[0]; ++y)
    for (int64_t x = 0; x < filter[1]; ++x) {
      SmallVector<Value> operands = {conv.getInput()};
      operands.push_back(memref::SubViewOp::create(builder, loc, conv.getFilter(), ArrayRef<int64_t>{y, x, 0, 0},
                                                   ArrayRef<int64_t>{1, 1, filter[2], filter[3]}, ones));
      llvm::append_range(operands, conv.getEpilogueOperands());
      operands.push_back(memref::SubViewOp::create(builder, loc, result, ArrayRef<int64_t>{0, y, x, 0},
                                                   ArrayRef<int64_t>{in[0], in[1], in[2], filter[3]},
                                                   ArrayRef<int64_t>{1, filter[0], filter[1], 1}));
      NamedAttrList attributes(conv->getAttrs());
      attributes.set("strides", builder.getDenseI64ArrayAttr({1, 1}));
      OperationState state(loc, nn::ConvOp::getOperationName(), operands, TypeRange(), attributes);
      IRMapping mapping;
      conv.getEpilogueRegion().cloneInto(state.addRegion(), mapping);
      builder.create(state);
    }
  conv.erase();
}

struct ShuffleStoresPass : vpu::impl::ShuffleStoresBase<ShuffleStoresPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    unsigned count = 0;
    SmallVector<linalg::TransposeOp> transposes;
    function.walk([&](linalg::TransposeOp op) { transposes.push_back(op); });
    for (linalg::TransposeOp op : transposes) {
      FailureOr<Shuffle> shuffle = match(op);
      if (failed(shuffle))
        continue;
      remark::passed(shuffle->conv.getLoc(), remark::RemarkOpts::name("Stored").category("vpu-shuffle-stores"));
      rewrite(*shuffle);
      ++count;
    }
    SmallVector<nn::ConvTransposeOp> transposed;
    function.walk([&](nn::ConvTransposeOp op) { transposed.push_back(op); });
    for (nn::ConvTransposeOp op : transposed) {
      if (!isSpread(op))
        continue;
      remark::passed(op.getLoc(), remark::RemarkOpts::name("Stored").category("vpu-shuffle-stores"));
      spread(op);
      ++count;
    }
    remark::analysis(function.getLoc(), remark::RemarkOpts::name("Stores").category("vpu-shuffle-stores"))
        << remark::metric("count", count);
  }
};
} // namespace
