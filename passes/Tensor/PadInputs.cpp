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

// A tensor with `pads` (begins, then ends, of the spatial dims) around `input`, the frame holding `zeroPoint`.
Value pad(OpBuilder &builder, Location loc, Value input, ArrayRef<int64_t> pads, int64_t zeroPoint) {
  auto type = cast<RankedTensorType>(input.getType());
  int64_t spatial = pads.size() / 2;
  SmallVector<int64_t> shape(type.getShape()), begin(type.getRank(), 0);
  for (int64_t d = 0; d < spatial; ++d) {
    begin[d + 1] = pads[d];
    shape[d + 1] += pads[d] + pads[spatial + d];
  }
  Type element = type.getElementType();
  TypedAttr zero = isa<FloatType>(element) ? TypedAttr(builder.getFloatAttr(element, 0.0))
                                           : builder.getIntegerAttr(element, zeroPoint);
  Value fillValue = arith::ConstantOp::create(builder, loc, zero);
  Value padded = tensor::EmptyOp::create(builder, loc, shape, element);
  SmallVector<int64_t> ones(shape.size(), 1);
  auto attributes = [&](ArrayRef<int64_t> values) { return getAsIndexOpFoldResult(builder.getContext(), values); };
  // The frame as slabs: those of the first spatial dim span everything inside it, those of the next only what is left
  // between them.
  SmallVector<int64_t> from(shape.size(), 0), size(shape);
  for (int64_t d = 1; d <= spatial; ++d) {
    for (bool end : {false, true}) {
      int64_t width = end ? pads[spatial + d - 1] : pads[d - 1];
      if (width == 0)
        continue;
      SmallVector<int64_t> slabFrom(from), slabSize(size);
      slabSize[d] = width;
      if (end)
        slabFrom[d] = shape[d] - width;
      // Filled where it lies: equal slabs built apart would be merged, and then copied.
      Value slab = tensor::ExtractSliceOp::create(builder, loc, padded, attributes(slabFrom), attributes(slabSize),
                                                  attributes(ones));
      slab = linalg::FillOp::create(builder, loc, fillValue, slab).getResult(0);
      padded = tensor::InsertSliceOp::create(builder, loc, slab, padded, attributes(slabFrom), attributes(slabSize),
                                             attributes(ones));
    }
    from[d] = begin[d];
    size[d] = type.getDimSize(d);
  }
  return tensor::InsertSliceOp::create(builder, loc, input, padded, attributes(begin), attributes(type.getShape()),
                                       attributes(ones));
}

struct PadInputsPass : burin::impl::PadInputsBase<PadInputsPass> {
  void runOnOperation() override {
    DenseMap<std::pair<Value, Attribute>, Value> done;
    getOperation().walk([&](Operation *op) {
      if (auto conv = dyn_cast<nn::ConvOp>(op))
        rewrite(conv, done);
      else if (auto conv = dyn_cast<nn::DepthwiseConvOp>(op))
        rewrite(conv, done);
    });
  }

  template <typename Op> void rewrite(Op op, DenseMap<std::pair<Value, Attribute>, Value> &done) {
    auto type = dyn_cast<RankedTensorType>(op.getInput().getType());
    if (!type || !type.hasStaticShape() || llvm::all_of(op.getPads(), [](int64_t p) { return p == 0; }))
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
