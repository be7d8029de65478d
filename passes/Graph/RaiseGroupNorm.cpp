// Normalizations by channel that exporters spell out: groups as an InstanceNormalization between two Reshapes, and
// instances as means, a root and a quotient over the spatial dims. Scale and bias join as constants by channel. Must
// not change which elements share a mean, nor what epsilon is.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Norms.h"
#include "passes/Graph/Passes.h"

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

// An InstanceNormalization without scale and bias of its own, also as the LayerNormalization over all dims from the
// third on that it is where those are known.
struct Instances {
  Operation *op = nullptr;
  Value x;
  FloatAttr epsilon;
};
Instances readInstances(Value value) {
  if (auto norm = definedBy<onnx::InstanceNormalizationOp>(value)) {
    bool isBare =
        uniform(norm.getScale()) == std::optional<double>(1) && uniform(norm.getB()) == std::optional<double>(0);
    return isBare ? Instances{norm, norm.getInput(), norm.getEpsilonAttr()} : Instances();
  }
  auto norm = definedBy<onnx::LayerNormalizationOp>(value);
  RankedTensorType type = norm ? rankedType(norm.getX()) : RankedTensorType();
  bool isBare = type && type.getRank() >= 3 && (norm.getAxis() == 2 || norm.getAxis() == 2 - type.getRank()) &&
                onnx::isNone(norm.getB()) && uniform(norm.getScale()) == std::optional<double>(1);
  return isBare ? Instances{norm, norm.getX(), norm.getEpsilonAttr()} : Instances();
}

// Reshape(InstanceNormalization(Reshape(%x, [n, g, -1]), 1, 0), the shape of %x)   ->   GroupNormalization(%x, 1, 0)
// {g}
//  - channels static and whole groups of them, the inner shape exactly the groups of %x
//  - nothing else uses what is between
bool raiseGroups(onnx::ReshapeOp op) {
  auto norm = op->getOperand(0).getDefiningOp();
  bool isNorm = isa_and_nonnull<onnx::InstanceNormalizationOp, onnx::LayerNormalizationOp>(norm);
  auto split = isNorm ? definedBy<onnx::ReshapeOp>(norm->getOperand(0)) : onnx::ReshapeOp();
  if (!split)
    return false;
  Value x = split->getOperand(0);
  RankedTensorType whole = rankedType(x), grouped = rankedType(split.getResult()), result = rankedType(op.getResult());
  if (!whole || !grouped || !result || whole.getRank() < 3 || grouped.getRank() < 3 || whole.isDynamicDim(1) ||
      grouped.isDynamicDim(1) || result.getRank() != whole.getRank())
    return false;
  auto miss = [&](StringRef why) { return missed(op, passName, "GroupNormalization", why); };
  Instances instances = readInstances(op->getOperand(0));
  if (!instances.op)
    return isa<onnx::InstanceNormalizationOp>(norm) && miss("the groups have a scale or bias of their own");
  int64_t groups = grouped.getDimSize(1);
  for (int64_t i = 0; i < whole.getRank(); ++i)
    if (!sameDim(whole, i, result, i))
      return miss("the last shape is not known to be the first");
  if (!sameDim(whole, 0, grouped, 0) || groups < 1 || whole.getDimSize(1) % groups)
    return miss("the shape between is not [batch, groups, rest]");
  if (!split->hasOneUse() || !norm->hasOneUse())
    return miss("a part has several uses");
  OpBuilder builder(op);
  Location loc = fuse({split, norm, op});
  Value made = build<onnx::GroupNormalizationOp>(
      builder, loc, {x, filled(builder, loc, whole, 1), filled(builder, loc, whole, 0)},
      {builder.getNamedAttr("epsilon", instances.epsilon),
       builder.getNamedAttr("num_groups", builder.getI64IntegerAttr(groups))});
  return replaceBy(op, made, passName, "GroupNormalization");
}

// (%x - mean) / sqrt(mean((%x - mean)^2) + epsilon)   ->   InstanceNormalization(%x, 1, 0)
//  - both means over all spatial dims, kept; channels static
//  - nothing but the next part uses the root and what it is of
bool raiseInstances(Operation *op) {
  auto quotient = readRootQuotient(op->getResult(0));
  StringRef why;
  auto core = quotient && !quotient->scale ? readLayerCore(*quotient, why) : std::nullopt;
  RankedTensorType type = core ? rankedType(core->x) : RankedTensorType();
  if (!type || type.getRank() < 3 || core->axis != 2)
    return false;
  auto miss = [&](StringRef why) { return missed(op, passName, "InstanceNormalization", why); };
  if (type.isDynamicDim(1))
    return miss("the number of channels is not known");
  for (Operation *part : ArrayRef(core->parts).drop_front(2).drop_back())
    if (!part->hasOneUse())
      return miss("a part has several uses");
  OpBuilder builder(op);
  Location loc = fuse(core->parts);
  Value made = build<onnx::InstanceNormalizationOp>(
      builder, loc, {core->x, filled(builder, loc, type, 1), filled(builder, loc, type, 0)},
      builder.getNamedAttr("epsilon", builder.getF32FloatAttr(float(core->epsilon))));
  return replaceBy(op, made, passName, "InstanceNormalization");
}

// Mul or Add(LayerNormalization(%x, 1) over all dims from the third on, c)   ->   InstanceNormalization with that scale
//  - c is a constant of one number a channel, of several, that reaches into no other dim
bool raiseScaledInstances(Operation *op) {
  for (unsigned i : {0, 1}) {
    Instances instances = readInstances(op->getOperand(i));
    RankedTensorType type = instances.op ? rankedType(instances.x) : RankedTensorType();
    RankedTensorType held = staticType(op->getOperand(1 - i));
    if (!type || !isa<onnx::LayerNormalizationOp>(instances.op) || type.isDynamicDim(1) || !held ||
        held.getNumElements() != type.getDimSize(1) || held.getNumElements() == 1)
      continue;
    OpBuilder builder(op);
    Value constant = byChannel(builder, op->getOperand(1 - i), type);
    if (!constant)
      continue;
    if (!instances.op->hasOneUse())
      return missed(op, passName, "InstanceNormalization", "the normalized value has several uses");
    bool isMul = isa<onnx::MulOp>(op);
    Location loc = fuse({instances.op, op});
    Value other = filled(builder, loc, type, isMul ? 0 : 1);
    Value made = build<onnx::InstanceNormalizationOp>(builder, loc,
                                                      {instances.x, isMul ? constant : other, isMul ? other : constant},
                                                      builder.getNamedAttr("epsilon", instances.epsilon));
    return replaceBy(op, made, passName, "InstanceNormalization");
  }
  return false;
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
      if (isa<onnx::DivOp>(op))
        return raiseInstances(op);
      if (isa<onnx::MulOp>(op) && raiseInstances(op))
        return true;
      return isa<onnx::MulOp, onnx::AddOp>(op) && (raiseScaledInstances(op) || joinAffine(op));
    });
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
