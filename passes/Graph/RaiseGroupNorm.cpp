// Normalizations by channel that exporters spell out: groups as an InstanceNormalization between two Reshapes, and
// instances as means, a root and a quotient over the spatial dims. Scale and bias join as constants by channel. Must
// not change which elements share a mean, nor what epsilon is.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEGROUPNORM
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseGroupNorm";

// A constant of one number a channel (dim 1) of x, or of one number for all, as a vector of `channels`; null otherwise.
Value byChannel(OpBuilder &builder, Value value, RankedTensorType x) {
  RankedTensorType type = staticType(value);
  int64_t channels = x.getDimSize(1), skip = type ? x.getRank() - type.getRank() : -1;
  if (!type || skip < 0 || !onnx::getConstantAttr(value) || type.getElementType() != x.getElementType())
    return {};
  for (int64_t i = 0; i < type.getRank(); ++i)
    if (type.getDimSize(i) != 1 && !(i + skip == 1 && type.getDimSize(i) == channels))
      return {};
  auto literal = readLiteral(onnx::getConstantAttr(value));
  if (!literal)
    return {};
  auto vector = RankedTensorType::get({channels}, type.getElementType());
  if (literal->count() == channels)
    return constant(builder, value.getLoc(), toAttr(reshaped(*literal, vector), "scale"));
  auto numbers = doubles(*literal);
  if (!numbers || numbers->empty())
    return {};
  return constant(builder, value.getLoc(),
                  toAttr(fromDoubles(vector, SmallVector<double>(channels, numbers->front())), "scale"));
}

Value filled(OpBuilder &builder, Location loc, RankedTensorType x, double value) {
  auto vector = RankedTensorType::get({x.getDimSize(1)}, x.getElementType());
  return constant(builder, loc, toAttr(fromDoubles(vector, SmallVector<double>(x.getDimSize(1), value)), "scale"));
}

// Reshape(InstanceNormalization(Reshape(%x, [n, g, -1]), 1, 0), the shape of %x)   ->   GroupNormalization(%x, 1, 0)
// {g}
//  - channels static and whole groups of them, the inner shape exactly the groups of %x
//  - nothing else uses what is between
bool raiseGroups(onnx::ReshapeOp op) {
  auto norm = definedBy<onnx::InstanceNormalizationOp>(op->getOperand(0));
  auto split = norm ? definedBy<onnx::ReshapeOp>(norm.getInput()) : onnx::ReshapeOp();
  if (!split)
    return false;
  Value x = split->getOperand(0);
  RankedTensorType whole = rankedType(x), grouped = rankedType(split.getResult()), result = rankedType(op.getResult());
  if (!whole || !grouped || !result || whole.getRank() < 3 || grouped.getRank() < 3 || whole.isDynamicDim(1) ||
      grouped.isDynamicDim(1) || result.getRank() != whole.getRank())
    return false;
  auto miss = [&](StringRef why) { return missed(op, passName, "GroupNormalization", why); };
  int64_t groups = grouped.getDimSize(1);
  for (int64_t i = 0; i < whole.getRank(); ++i)
    if (!sameDim(whole, i, result, i))
      return miss("the last shape is not known to be the first");
  if (!sameDim(whole, 0, grouped, 0) || groups < 1 || whole.getDimSize(1) % groups)
    return miss("the shape between is not [batch, groups, rest]");
  if (!split->hasOneUse() || !norm->hasOneUse())
    return miss("a part has several uses");
  if (uniform(norm.getScale()) != std::optional<double>(1) || uniform(norm.getB()) != std::optional<double>(0))
    return miss("the groups have a scale or bias of their own");
  OpBuilder builder(op);
  Location loc = fuse({split, norm, op});
  Value made = build<onnx::GroupNormalizationOp>(
      builder, loc, {x, filled(builder, loc, whole, 1), filled(builder, loc, whole, 0)},
      {builder.getNamedAttr("epsilon", norm.getEpsilonAttr()),
       builder.getNamedAttr("num_groups", builder.getI64IntegerAttr(groups))});
  return replaceBy(op, made, passName, "GroupNormalization");
}

// The axes of a kept mean, if they are all from `first` on.
bool isMeanFrom(Value value, Value x, int64_t first) {
  auto mean = definedBy<onnx::ReduceMeanOp>(value);
  RankedTensorType type = rankedType(x);
  auto axes = !mean || onnx::isNone(mean.getAxes()) ? std::nullopt : onnx::getConstantInts(mean.getAxes());
  if (!axes || mean.getData() != x || mean.getKeepdims() == 0 || int64_t(axes->size()) != type.getRank() - first)
    return false;
  for (int64_t axis = first; axis < type.getRank(); ++axis)
    if (!llvm::is_contained(*axes, axis) && !llvm::is_contained(*axes, axis - type.getRank()))
      return false;
  return true;
}

// value = x - mean of x over its spatial dims.
Value centered(Value value) {
  auto sub = definedBy<onnx::SubOp>(value);
  return sub && rankedType(sub.getA()) && rankedType(sub.getA()).getRank() >= 3 && isMeanFrom(sub.getB(), sub.getA(), 2)
             ? Value(sub.getA())
             : Value();
}

// d = %x - mean; Div(d, Sqrt(mean(d^2) + epsilon))   ->   InstanceNormalization(%x, 1, 0)
//  - both means over all spatial dims, kept; channels static
//  - nothing but the next part uses a part
bool raiseInstances(onnx::DivOp op) {
  auto root = definedBy<onnx::SqrtOp>(op.getB());
  auto add = root ? definedBy<onnx::AddOp>(root.getX()) : onnx::AddOp();
  Value x = add ? centered(op.getA()) : Value();
  if (!x)
    return false;
  auto epsilon = uniform(add.getB());
  Value variance = epsilon ? add.getA() : add.getB();
  epsilon = epsilon ? epsilon : uniform(add.getA());
  auto mean = definedBy<onnx::ReduceMeanOp>(variance);
  Operation *square = mean ? mean.getData().getDefiningOp() : nullptr;
  bool isSquare = isa_and_nonnull<onnx::MulOp>(square)   ? square->getOperand(0) == square->getOperand(1)
                  : isa_and_nonnull<onnx::PowOp>(square) ? uniform(square->getOperand(1)) == std::optional<double>(2)
                                                         : false;
  if (!epsilon || !isSquare || centered(square->getOperand(0)) != x || !isMeanFrom(mean, mean.getData(), 2))
    return false;
  auto miss = [&](StringRef why) { return missed(op, passName, "InstanceNormalization", why); };
  RankedTensorType type = rankedType(x);
  if (type.isDynamicDim(1))
    return miss("the number of channels is not known");
  for (Operation *part : {root.getOperation(), add.getOperation(), mean.getOperation(), square})
    if (!part->hasOneUse() && !(part == square))
      return miss("a part has several uses");
  OpBuilder builder(op);
  Location loc = fuse({square, mean, add, root, op});
  Value made = build<onnx::InstanceNormalizationOp>(
      builder, loc, {x, filled(builder, loc, type, 1), filled(builder, loc, type, 0)},
      builder.getNamedAttr("epsilon", builder.getF32FloatAttr(float(*epsilon))));
  return replaceBy(op, made, passName, "InstanceNormalization");
}

// Mul(Norm(%x, s, 0), c)   ->   Norm(%x, s * c, 0)
// Add(Norm(%x, s, b), c)   ->   Norm(%x, s, b + c)
//  - c is a constant by channel, and nothing else uses the normalized value
bool joinAffine(Operation *op) {
  for (unsigned i : {0, 1}) {
    Operation *norm = op->getOperand(i).getDefiningOp();
    if (!isa_and_nonnull<onnx::GroupNormalizationOp, onnx::InstanceNormalizationOp>(norm))
      continue;
    RankedTensorType type = rankedType(norm->getOperand(0));
    bool isMul = isa<onnx::MulOp>(op);
    if (!type || type.isDynamicDim(1) || !onnx::getConstantAttr(op->getOperand(1 - i)) ||
        (isMul && uniform(norm->getOperand(2)) != std::optional<double>(0)))
      continue;
    if (!norm->hasOneUse())
      return missed(op, passName, "Affine", "the normalized value has several uses");
    OpBuilder builder(op);
    Value constant = byChannel(builder, op->getOperand(1 - i), type);
    if (!constant || !onnx::getConstantAttr(norm->getOperand(isMul ? 1 : 2)))
      return missed(op, passName, "Affine", "the constant is not one number a channel");
    unsigned at = isMul ? 1 : 2;
    Value joined = isMul ? build<onnx::MulOp>(builder, op->getLoc(), {norm->getOperand(at), constant})
                         : build<onnx::AddOp>(builder, op->getLoc(), {norm->getOperand(at), constant});
    joined = joined ? foldOrKeep(joined.getDefiningOp()) : joined;
    if (!joined)
      return false;
    Operation *made = builder.clone(*norm);
    made->setOperand(at, joined);
    made->setLoc(fuse({norm, op}));
    return replaceBy(op, made->getResult(0), passName, "Affine");
  }
  return false;
}

class RaiseGroupNorm : public burin::impl::RaiseGroupNormBase<RaiseGroupNorm> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (auto reshape = dyn_cast<onnx::ReshapeOp>(op))
        return raiseGroups(reshape);
      if (auto div = dyn_cast<onnx::DivOp>(op))
        return raiseInstances(div);
      return isa<onnx::MulOp, onnx::AddOp>(op) && joinAffine(op);
    });
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
