// Reductions that exporters spell out: a mean as a sum divided by how many it summed, and an axis dropped only to be
// put back. Means and kept axes are what normalizations and softmax are recognised by.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEREDUCTIONS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseReductions";

bool isReduction(Operation *op) {
  return isa_and_nonnull<onnx::ReduceSumOp, onnx::ReduceMeanOp, onnx::ReduceMaxOp, onnx::ReduceMinOp>(op);
}

// The axes of a reduction, not negative, in order; nothing where they are not known or there are none.
std::optional<SmallVector<int64_t>> axesOf(Operation *op) {
  RankedTensorType type = rankedType(op->getOperand(0));
  auto axes = onnx::isNone(op->getOperand(1)) ? std::nullopt : onnx::getConstantInts(op->getOperand(1));
  if (!type || !axes || axes->empty())
    return std::nullopt;
  for (int64_t &axis : *axes)
    axis = axis < 0 ? axis + type.getRank() : axis;
  llvm::sort(*axes);
  return SmallVector<int64_t>(*axes);
}

bool keepsDims(Operation *op) {
  auto keep = op->getAttrOfType<IntegerAttr>("keepdims");
  return !keep || !keep.getValue().isZero();
}

// Unsqueeze(Reduce(%x, axes), axes), or a Reshape to that shape   ->   Reduce(%x, axes) with its dims kept
//  - the axes that come back are those that went
bool keepDims(Operation *op) {
  Operation *reduce = op->getOperand(0).getDefiningOp();
  if (!isReduction(reduce) || keepsDims(reduce))
    return false;
  auto axes = axesOf(reduce);
  RankedTensorType from = rankedType(reduce->getOperand(0)), to = rankedType(op->getResult(0));
  if (!axes || !from || !to || from.getRank() != to.getRank())
    return false;
  for (int64_t i = 0; i < from.getRank(); ++i)
    if (llvm::is_contained(*axes, i) ? to.getDimSize(i) != 1 : !sameDim(from, i, to, i))
      return missed(op, passName, "KeptDims", "the dims that come back are not those that went");
  OpBuilder builder(op);
  NamedAttrList attributes(reduce->getAttrs());
  attributes.set("keepdims", builder.getI64IntegerAttr(1));
  Operation *made =
      build(builder, fuse({reduce, op}), reduce->getName().getStringRef(), reduce->getOperands(), attributes);
  return made && replaceBy(op, made->getResult(0), passName, "KeptDims");
}

// ReduceSum(%x) / n, or times 1 / n   ->   ReduceMean(%x)
//  - n is how many elements each sum has, as far as the type can tell numbers apart; nothing else uses the sum
bool raiseMean(Operation *op) {
  for (unsigned i : {0, 1}) {
    auto sum = definedBy<onnx::ReduceSumOp>(op->getOperand(i));
    auto factor = sum ? uniform(op->getOperand(1 - i)) : std::nullopt;
    RankedTensorType type = sum ? rankedType(sum.getData()) : RankedTensorType();
    auto axes = type && factor ? axesOf(sum) : std::nullopt;
    RankedTensorType held = rankedType(op->getOperand(1 - i));
    if (!axes || (isa<onnx::DivOp>(op) && i == 1) || !isa<FloatType>(type.getElementType()) ||
        held.getNumElements() != 1 || held.getRank() > rankedType(sum.getResult()).getRank())
      continue;
    double count = 1;
    for (int64_t axis : *axes) {
      if (type.isDynamicDim(axis))
        return missed(op, passName, "Mean", "how many elements are summed is not known");
      count *= double(type.getDimSize(axis));
    }
    double gain = isa<onnx::DivOp>(op) ? 1 / *factor : *factor;
    if (std::abs(gain * count - 1) > (type.getElementTypeBitWidth() <= 16 ? 1e-3 : 1e-6))
      continue;
    if (!sum->hasOneUse())
      return missed(op, passName, "Mean", "the sum has several uses");
    OpBuilder builder(op);
    Operation *made = build(builder, fuse({sum, op}), onnx::ReduceMeanOp::getOperationName(), sum->getOperands(),
                            sum->getAttrDictionary().getValue());
    return made && replaceBy(op, made->getResult(0), passName, "Mean");
  }
  return false;
}

class RaiseReductions : public burin::impl::RaiseReductionsBase<RaiseReductions> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (isa<onnx::UnsqueezeOp, onnx::ReshapeOp>(op))
        return keepDims(op);
      return isa<onnx::MulOp, onnx::DivOp>(op) && raiseMean(op);
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
