// RMS normalization spelled out as a square, ReduceMean, Add, a root and a division, recognised from the scale that
// follows (or from the division where that scale was 1). The Casts of half-precision exports around it are the
// operator's own stash type. Must not change which dims are normalized, what epsilon is, or where a result is rounded.
#include "passes/Graph/Norms.h"
#include "passes/Graph/Passes.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISERMSNORM
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseRmsNorm";

// radicand = mean(x^2) + epsilon.
bool readMeanSquare(Value radicand, Value x, NormCore &core, Operation *last) {
  auto add = definedBy<onnx::AddOp>(radicand);
  auto read = readMeanAndEpsilon(add);
  if (!read || squareOf(read->mean.getData()) != x)
    return false;
  auto axis = trailingAxis(read->mean);
  if (!axis)
    return missed(last, passName, "RMSNormalization", "the mean is not over the last dims, kept");
  SmallVector<Operation *> inner = {read->mean.getData().getDefiningOp(), read->mean, add};
  inner.append(core.parts);
  for (Operation *part : inner)
    if (!part->hasOneUse())
      return missed(last, passName, "RMSNormalization", "a part has several uses");
  if (!rankedType(x).getElementType().isF32())
    return missed(last, passName, "RMSNormalization",
                  "computed in another type than f32: the operator would round less");
  core.x = x;
  core.axis = *axis;
  core.epsilon = read->epsilon;
  core.parts = std::move(inner);
  core.parts.push_back(last);
  return true;
}

// value = x / sqrt(mean(x^2) + epsilon), the division also as a product; `scale`: what went into the factor first.
std::optional<NormCore> coreOf(Value value, Value &scale) {
  auto quotient = readRootQuotient(value);
  if (!quotient)
    return std::nullopt;
  NormCore core;
  core.parts.append(quotient->parts.begin(), quotient->parts.end() - 1);
  scale = quotient->scale;
  bool fits = readMeanSquare(quotient->radicand, quotient->numerator, core, quotient->parts.back());
  return fits ? std::optional<NormCore>(core) : std::nullopt;
}

// The shape a scale must have: the normalized dims, static, leading ones aside.
bool spansNormalized(Value value, Value x, int64_t axis) {
  RankedTensorType type = staticType(value), whole = rankedType(x);
  if (!type || !whole)
    return false;
  ArrayRef<int64_t> dims = type.getShape(), want = whole.getShape().drop_front(axis);
  return dims == want;
}

bool normalize(Operation *op, NormCore &core, Value x, Value scale) {
  OpBuilder builder(op);
  Value made = build<onnx::RMSNormalizationOp>(
      builder, fuse(core.parts), {x, scale},
      {builder.getNamedAttr("axis", builder.getI64IntegerAttr(core.axis - rankedType(core.x).getRank())),
       builder.getNamedAttr("epsilon", builder.getF32FloatAttr(float(core.epsilon))),
       builder.getNamedAttr("stash_type", builder.getI64IntegerAttr(1))});
  if (!made)
    return false;
  Operation *node = made.getDefiningOp();
  if (!replace(op, made)) {
    eraseDead(node);
    return missed(op, passName, "RMSNormalization", "an output of the graph keeps its type");
  }
  passed(node, passName, "RMSNormalization");
  return true;
}

// %n = core(%x); %y = Mul(%n, scale)                   ->   %y = RMSNormalization(%x, scale)
// %n = Cast(core(Cast(%x : f16))); %y = Mul(%n, scale) ->   %y = RMSNormalization(%x, scale) {stash_type = 1}
//  - scale has the static shape of the normalized dims and the product's type
//  - nothing else uses %n or the Cast
bool raiseScaled(onnx::MulOp op) {
  for (unsigned i = 0; i < 2; ++i) {
    Value scale = op->getOperand(1 - i), normalized = op->getOperand(i);
    auto back = definedBy<onnx::CastOp>(normalized);
    Value inner;
    auto core = coreOf(back ? Value(back.getInput()) : normalized, inner);
    if (!core || inner)
      continue;
    Value x = back ? narrowSource(back, core->x) : core->x;
    if (!x)
      return missed(op, passName, "RMSNormalization", "the Cast before the scale is not back to the input's type");
    if (!normalized.hasOneUse() || (back && !back.getInput().hasOneUse()))
      return missed(op, passName, "RMSNormalization", "the normalized value has several uses");
    if (!spansNormalized(scale, core->x, core->axis))
      return missed(op, passName, "RMSNormalization", "the scale is not of the normalized dims' shape");
    if (back)
      core->parts.push_back(back);
    core->parts.push_back(op);
    return normalize(op, *core, x, scale);
  }
  return false;
}

// A core whose scale was 1 and went as an identity   ->   RMSNormalization(%x, 1)
//  - no Mul by a scale follows, through a Cast or not: that matches there
//  - the normalized dims are static
// Mul(%x, 1 / sqrt(...) * scale)             ->   RMSNormalization(%x, scale)
bool raiseBare(Operation *op) {
  Value scale;
  auto core = coreOf(op->getResult(0), scale);
  if (!core)
    return false;
  if (scale)
    return spansNormalized(scale, core->x, core->axis)
               ? normalize(op, *core, core->x, scale)
               : missed(op, passName, "RMSNormalization", "the scale is not of the normalized dims' shape");
  SmallVector<Operation *> users(op->getUsers());
  if (users.size() == 1 && isa<onnx::CastOp>(users[0]))
    users.assign(users[0]->getUsers().begin(), users[0]->getUsers().end());
  for (Operation *user : users)
    if (isa<onnx::MulOp>(user) && llvm::any_of(user->getOperands(), [&](Value operand) {
          return operand.getDefiningOp() != op && spansNormalized(operand, core->x, core->axis);
        }))
      return false;
  OpBuilder builder(op);
  Value ones = onesFrom(builder, op->getLoc(), core->x, core->axis);
  if (!ones)
    return missed(op, passName, "RMSNormalization", "the normalized dims are not static");
  return normalize(op, *core, core->x, ones);
}

// %x / (sqrt(mean(x^2)) + epsilon) is no such normalization: says so.
bool explainOutside(onnx::DivOp op) {
  auto add = definedBy<onnx::AddOp>(op.getB());
  for (unsigned i = 0; add && i < 2; ++i) {
    auto root = definedBy<onnx::SqrtOp>(add->getOperand(i));
    auto mean = root ? definedBy<onnx::ReduceMeanOp>(root.getX()) : onnx::ReduceMeanOp();
    if (mean && uniform(add->getOperand(1 - i)) && squareOf(mean.getData()) == op.getA())
      return missed(op, passName, "RMSNormalization", "the epsilon is not under the root");
  }
  return false;
}

class RaiseRmsNorm : public impl::RaiseRmsNormBase<RaiseRmsNorm> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (auto mul = dyn_cast<onnx::MulOp>(op))
        return raiseScaled(mul) || raiseBare(op);
      if (auto div = dyn_cast<onnx::DivOp>(op))
        return raiseBare(op) || explainOutside(div);
      return false;
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
