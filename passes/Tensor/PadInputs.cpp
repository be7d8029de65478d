// tensor-pad-inputs: padding as memory. The padded buffer is written in place by the input's producer (insert_slice
// into it), so only the frame costs anything; kernels then run without bounds.
#include "dialects/Nn/Nn.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"

namespace burin {
#define GEN_PASS_DEF_PADINPUTS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

constexpr int64_t neighbours = 4;  // results side by side that a kernel needs
constexpr double worthFrame = 0.9; // share of products with the input from which on a frame pays

// A tensor with `pads` (begins, then ends, of the spatial dims) around `input`, the frame holding `zeroPoint`.
Value pad(OpBuilder &builder, Location loc, Value input, ArrayRef<int64_t> pads, int64_t zeroPoint) {
  auto type = cast<RankedTensorType>(input.getType());
  int64_t spatial = pads.size() / 2, rank = type.getRank();
  auto number = [&](int64_t value) -> OpFoldResult { return builder.getIndexAttr(value); };
  // a + b, computed at run time where the dim is.
  auto plus = [&](OpFoldResult a, int64_t b) -> OpFoldResult {
    if (std::optional<int64_t> known = getConstantIntValue(a))
      return number(*known + b);
    if (b == 0)
      return a;
    Value amount = arith::ConstantIndexOp::create(builder, loc, b);
    return arith::AddIOp::create(builder, loc, cast<Value>(a), amount).getResult();
  };
  SmallVector<OpFoldResult> inner = tensor::getMixedSizes(builder, loc, input), shape(inner), begin(rank, number(0)),
                            ones(rank, number(1));
  for (int64_t d = 0; d < spatial; ++d) {
    begin[d + 1] = number(pads[d]);
    shape[d + 1] = plus(shape[d + 1], pads[d] + pads[spatial + d]);
  }
  Type element = type.getElementType();
  TypedAttr zero = isa<FloatType>(element) ? TypedAttr(builder.getFloatAttr(element, 0.0))
                                           : builder.getIntegerAttr(element, zeroPoint);
  Value fillValue = arith::ConstantOp::create(builder, loc, zero);
  Value padded = tensor::EmptyOp::create(builder, loc, shape, element);
  // The frame as slabs: those of the first spatial dim span everything inside it, those of the next only what is left
  // between them.
  SmallVector<OpFoldResult> from(rank, number(0)), size(shape);
  for (int64_t d = 1; d <= spatial; ++d) {
    for (bool end : {false, true}) {
      int64_t width = end ? pads[spatial + d - 1] : pads[d - 1];
      if (width == 0)
        continue;
      SmallVector<OpFoldResult> slabFrom(from), slabSize(size);
      slabSize[d] = number(width);
      if (end)
        slabFrom[d] = plus(shape[d], -width);
      // Filled where it lies: equal slabs built apart would be merged, and then copied.
      Value slab = tensor::ExtractSliceOp::create(builder, loc, padded, slabFrom, slabSize, ones);
      slab = linalg::FillOp::create(builder, loc, fillValue, slab).getResult(0);
      padded = tensor::InsertSliceOp::create(builder, loc, slab, padded, slabFrom, slabSize, ones);
    }
    from[d] = begin[d];
    size[d] = inner[d];
  }
  return tensor::InsertSliceOp::create(builder, loc, input, padded, begin, inner, ones);
}

// Would much of the work be products with the frame? Kernels leave those out by themselves where results that meet the
// same taps lie several side by side, as they do between the taps of a large dilation.
bool isMostlyFrame(nn::ConvOp op) {
  auto in = cast<RankedTensorType>(op.getInput().getType()),
       out = cast<RankedTensorType>(op.getInitOperand().get().getType());
  ArrayRef<int64_t> kernel = cast<RankedTensorType>(op.getFilter().getType()).getShape();
  int64_t spatial = op.getStrides().size();
  if (!isa<FloatType>(in.getElementType()) || !in.hasStaticShape() || !out.hasStaticShape() ||
      op.getDilations().back() < neighbours * op.getStrides().back())
    return false;
  double useful = 1;
  for (int64_t d = 0; d < spatial; ++d) {
    int64_t meets = 0, taps = kernel[d], results = out.getDimSize(d + 1);
    for (int64_t o = 0; o < results; ++o)
      for (int64_t t = 0; t < taps; ++t) {
        int64_t at = o * op.getStrides()[d] + t * op.getDilations()[d] - op.getPads()[d];
        meets += at >= 0 && at < in.getDimSize(d + 1);
      }
    useful *= double(meets) / double(std::max<int64_t>(1, results * taps));
  }
  return useful < worthFrame;
}

struct PadInputsPass : burin::impl::PadInputsBase<PadInputsPass> {
  void runOnOperation() override {
    DenseMap<std::pair<Value, Attribute>, Value> done;
    getOperation().walk([&](Operation *op) {
      if (auto conv = dyn_cast<nn::ConvOp>(op)) {
        if (!isMostlyFrame(conv))
          rewrite(conv, done);
      } else if (auto conv = dyn_cast<nn::DepthwiseConvOp>(op)) {
        rewrite(conv, done);
      }
    });
  }

  template <typename Op> void rewrite(Op op, DenseMap<std::pair<Value, Attribute>, Value> &done) {
    auto type = dyn_cast<RankedTensorType>(op.getInput().getType());
    if (!type || llvm::all_of(op.getPads(), [](int64_t p) { return p == 0; }))
      return;
    OpBuilder builder(op);
    int64_t zeroPoint = op.getInputZeroPoint();
    Attribute key = builder.getArrayAttr({op.getPadsAttr(), builder.getI64IntegerAttr(zeroPoint)});
    Value &padded = done[{op.getInput(), key}];
    if (!padded) {
      builder.setInsertionPointAfterValue(op.getInput());
      padded = pad(builder, op.getLoc(), op.getInput(), op.getPads(), zeroPoint);
    }
    op.getInputMutable().assign(padded);
    op.setPads(SmallVector<int64_t>(op.getPads().size(), 0));
    remark::passed(op.getLoc(), remark::RemarkOpts::name("Padded").category("tensor-pad-inputs"));
  }
};
} // namespace
