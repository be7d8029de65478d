// Layer normalization spelled out as ReduceMean, Sub, Pow, ReduceMean, Add, Sqrt, Div, recognised from its last
// division; scale and bias join as they are met. Must not change which dims are normalized or what epsilon is.
#include "passes/Graph/Norms.h"
#include "passes/Graph/Passes.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISELAYERNORM
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseLayerNorm";

// value = (x - mean) / sqrt(mean((x - mean)^2) + epsilon), the division also as a product with 1 / sqrt; `scale`: what
// went into that factor first.
std::optional<NormCore> coreOf(Value value, Value &scale) {
  auto quotient = readRootQuotient(value);
  StringRef why;
  auto core = quotient ? readLayerCore(*quotient, why) : std::nullopt;
  if (!why.empty())
    missed(value.getDefiningOp(), passName, "LayerNormalization", why);
  scale = core ? quotient->scale : Value();
  return core;
}

// The shape a scale or bias must have: the normalized dims, static.
bool spansNormalized(Value value, Value x, int64_t axis) {
  RankedTensorType type = staticType(value), whole = rankedType(x);
  return type && whole && onnx::getConstantAttr(value) && type.getShape() == whole.getShape().drop_front(axis) &&
         type.getElementType() == whole.getElementType();
}

// The operator in place of `op`, whose parts `core` names.
bool normalize(Operation *op, NormCore &core, Value scale, Value bias = {}) {
  OpBuilder builder(op);
  Location loc = fuse(core.parts);
  Operation *made =
      build(builder, loc, onnx::LayerNormalizationOp::getOperationName(),
            {core.x, scale, bias ? bias : noValue(builder, loc)},
            {builder.getNamedAttr("axis", builder.getI64IntegerAttr(core.axis - rankedType(core.x).getRank())),
             builder.getNamedAttr("epsilon", builder.getF32FloatAttr(float(core.epsilon)))},
            3, 1);
  if (!made)
    return false;
  if (!replace(op, made->getResult(0))) {
    eraseDead(made);
    return false;
  }
  passed(made, passName, "LayerNormalization");
  return true;
}

// A core whose scale was 1 and went as an identity   ->   LayerNormalization(%x, 1)
//  - no Mul by a constant of the normalized dims follows: that is the scale, and matches there
//  - the normalized dims are static
// Mul(%x - mean, 1 / sqrt(...) * scale)         ->   LayerNormalization(%x, scale)
bool raiseBare(Operation *op) {
  Value scale;
  auto core = coreOf(op->getResult(0), scale);
  RankedTensorType type = core ? rankedType(core->x) : RankedTensorType();
  if (!type)
    return false;
  if (scale)
    return spansNormalized(scale, core->x, core->axis)
               ? normalize(op, *core, scale)
               : missed(op, passName, "LayerNormalization", "the scale is not of the normalized dims' shape");
  SmallVector<Operation *> users(op->getUsers());
  if (users.size() == 1 && isa<onnx::CastOp>(users[0]))
    users.assign(users[0]->getUsers().begin(), users[0]->getUsers().end());
  for (Operation *user : users)
    if (auto mul = dyn_cast<onnx::MulOp>(user))
      for (Value operand : mul->getOperands()) {
        RankedTensorType held = staticType(operand);
        if (held && onnx::getConstantAttr(operand) && held.getShape() == type.getShape().drop_front(core->axis))
          return false;
      }
  OpBuilder builder(op);
  Value ones = onesFrom(builder, op->getLoc(), core->x, core->axis);
  if (!ones)
    return missed(op, passName, "LayerNormalization", "the normalized dims are not static");
  return normalize(op, *core, ones);
}

// %n = core(%x); %y = Mul(%n, scale)                   ->   %y = LayerNormalization(%x, scale)
// %n = Cast(core(Cast(%x : f16))); %y = Mul(%n, scale) ->   %y = LayerNormalization(%x, scale)
//  - scale is a constant of the normalized dims' shape
//  - nothing else uses %n
bool raiseScaled(onnx::MulOp op) {
  for (unsigned i = 0; i < 2; ++i) {
    Value scale = op->getOperand(1 - i), normalized = op->getOperand(i);
    if (!onnx::getConstantAttr(scale))
      continue;
    auto back = definedBy<onnx::CastOp>(normalized);
    Value inner;
    auto core = coreOf(back ? Value(back.getInput()) : normalized, inner);
    if (!core || inner)
      continue;
    if (!normalized.hasOneUse() || (back && !back.getInput().hasOneUse()))
      return missed(op, passName, "LayerNormalization", "the normalized value has several uses");
    if (back) {
      core->x = narrowSource(back, core->x);
      core->parts.push_back(back);
      if (!core->x)
        return missed(op, passName, "LayerNormalization", "the Cast before the scale is not back to the input's type");
    }
    if (!spansNormalized(scale, core->x, core->axis))
      return missed(op, passName, "LayerNormalization", "the scale is not of the normalized dims' shape");
    core->parts.push_back(op);
    return normalize(op, *core, scale);
  }
  return false;
}

// g = 1 / sqrt(mean((%x - m)^2) + epsilon) * scale; %x * g + (bias - m * g)   ->   LayerNormalization(%x, scale, bias)
// TensorFlow's way: the mean is scaled instead of subtracted.
//  - m is the mean of %x over the same last dims; scale and bias are constants of their shape
//  - nothing but the two products uses g
bool raiseFolded(onnx::AddOp op) {
  for (unsigned i = 0; i < 2; ++i) {
    auto straight = definedBy<onnx::MulOp>(op->getOperand(i));
    auto shift = definedBy<onnx::SubOp>(op->getOperand(1 - i));
    auto shifted = shift ? definedBy<onnx::MulOp>(shift.getB()) : onnx::MulOp();
    if (!straight || !shifted)
      continue;
    for (unsigned j = 0; j < 4; ++j) {
      Value x = straight->getOperand(j & 1), gain = straight->getOperand(1 - (j & 1));
      auto mean = definedBy<onnx::ReduceMeanOp>(shifted->getOperand(j >> 1));
      auto scaled = definedBy<onnx::MulOp>(gain);
      if (!mean || mean.getData() != x || !scaled || shifted->getOperand(1 - (j >> 1)) != gain)
        continue;
      bool scaleFirst = onnx::getConstantAttr(scaled.getA()) != nullptr;
      Value scale = scaleFirst ? scaled.getA() : scaled.getB();
      Value root = reciprocated(scaleFirst ? scaled.getB() : scaled.getA());
      auto sqrt = root ? definedBy<onnx::SqrtOp>(root) : onnx::SqrtOp();
      auto add = sqrt ? definedBy<onnx::AddOp>(sqrt.getX()) : onnx::AddOp();
      auto variance = readMeanAndEpsilon(add);
      Value square = variance ? squareOf(variance->mean.getData()) : Value(), other;
      onnx::ReduceMeanOp again = square ? centered(square, other) : onnx::ReduceMeanOp();
      if (!again || other != x)
        continue;
      auto axis = trailingAxis(mean);
      if (!axis || trailingAxis(variance->mean) != axis || trailingAxis(again) != axis)
        return missed(op, passName, "LayerNormalization", "the means are not over the same last dims");
      if (!spansNormalized(scale, x, *axis) || !spansNormalized(shift.getA(), x, *axis))
        return missed(op, passName, "LayerNormalization", "scale or bias is not of the normalized dims' shape");
      if (!llvm::all_of(gain.getUsers(), [&](Operation *user) { return user == straight || user == shifted; }))
        return missed(op, passName, "LayerNormalization", "a part has several uses");
      NormCore core{
          x, *axis, variance->epsilon, {mean, variance->mean, add, sqrt, scaled, straight, shifted, shift, op}};
      return normalize(op, core, scale, shift.getA());
    }
  }
  return false;
}

// %n = LayerNormalization(%x, scale, none); %y = Add(%n, bias)   ->   %y = LayerNormalization(%x, scale, bias)
bool joinBias(onnx::AddOp op) {
  for (unsigned i = 0; i < 2; ++i) {
    auto norm = op->getOperand(i).getDefiningOp<onnx::LayerNormalizationOp>();
    Value bias = op->getOperand(1 - i);
    if (!norm || !onnx::isNone(norm.getB()) || !onnx::getConstantAttr(bias))
      continue;
    int64_t rank = rankedType(norm.getX()) ? rankedType(norm.getX()).getRank() : 0;
    int64_t axis = norm.getAxis() < 0 ? norm.getAxis() + rank : norm.getAxis();
    if (!norm.getY().hasOneUse() || axis < 0 || !spansNormalized(bias, norm.getX(), axis))
      return missed(op, passName, "Bias",
                    "the bias is not of the normalized dims' shape, or the sum is not the only use");
    OpBuilder builder(op);
    Operation *made = builder.clone(*norm);
    made->setOperand(2, bias);
    made->setLoc(fuse({norm, op}));
    if (!replace(op, made->getResult(0))) {
      eraseDead(made);
      return false;
    }
    passed(made, passName, "Bias");
    return true;
  }
  return false;
}

class RaiseLayerNorm : public impl::RaiseLayerNormBase<RaiseLayerNorm> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (auto mul = dyn_cast<onnx::MulOp>(op))
        return raiseScaled(mul) || raiseBare(op);
      if (isa<onnx::DivOp>(op))
        return raiseBare(op);
      if (auto add = dyn_cast<onnx::AddOp>(op))
        return joinBias(add) || raiseFolded(add);
      return false;
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
