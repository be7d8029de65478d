// Softmax and its logarithm spelled out as Exp, sums and quotients, recognised from the last operator. Only where the
// greatest value is subtracted first: without that a large score overflows, and the operator gives another answer.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISESOFTMAX
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseSoftmax";

// value = OpTy(x) over one axis, kept: that axis.
template <typename OpTy> std::optional<int64_t> reducedAxis(Value value, Value &x) {
  auto op = definedBy<OpTy>(value);
  RankedTensorType type = op ? rankedType(op->getOperand(0)) : RankedTensorType();
  auto axes = !op || onnx::isNone(op.getAxes()) ? std::nullopt : onnx::getConstantInts(op.getAxes());
  if (!type || !axes || axes->size() != 1 || op.getKeepdims() == 0)
    return std::nullopt;
  x = op->getOperand(0);
  int64_t axis = axes->front() < 0 ? axes->front() + type.getRank() : axes->front();
  return axis >= 0 && axis < type.getRank() ? std::optional<int64_t>(axis) : std::nullopt;
}

// value = x - ReduceMax(x): that x and the axis.
std::optional<std::pair<Value, int64_t>> readShifted(Value value) {
  auto sub = definedBy<onnx::SubOp>(value);
  Value x;
  auto axis = sub ? reducedAxis<onnx::ReduceMaxOp>(sub.getB(), x) : std::nullopt;
  return axis && x == sub.getA() ? std::optional(std::make_pair(x, *axis)) : std::nullopt;
}

template <typename OpTy> bool become(Operation *op, Value x, int64_t axis, ArrayRef<Operation *> parts) {
  OpBuilder builder(op);
  SmallVector<Operation *> all(parts);
  all.push_back(op);
  Value made = build<OpTy>(builder, fuse(all), x, builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)));
  return replaceBy(op, made, passName, onnx::getOpType(made.getDefiningOp()));
}

// e = Exp(x - ReduceMax(x)); Div(e, ReduceSum(e)), or times a Reciprocal   ->   Softmax(x)
//  - both reductions over the same one axis, kept
//  - nothing but the quotient and the sum uses e
bool raiseSoftmax(Operation *op) {
  for (unsigned i : {0, 1}) {
    Value above = op->getOperand(i), below = op->getOperand(1 - i);
    if (isa<onnx::MulOp>(op)) {
      auto reciprocal = definedBy<onnx::ReciprocalOp>(below);
      if (!reciprocal)
        continue;
      below = reciprocal.getX();
    } else if (i == 1) {
      return false;
    }
    Value summed;
    auto exp = definedBy<onnx::ExpOp>(above);
    auto axis = exp ? reducedAxis<onnx::ReduceSumOp>(below, summed) : std::nullopt;
    if (!axis || summed != above)
      continue;
    auto shifted = readShifted(exp.getInput());
    if (!shifted)
      return missed(op, passName, "Softmax", "the greatest value is not subtracted: a large one overflows");
    if (shifted->second != *axis)
      return missed(op, passName, "Softmax", "the greatest value and the sum are not over the same axis");
    if (!llvm::all_of(above.getUsers(), [&](Operation *user) { return user == op || user == below.getDefiningOp(); }))
      return missed(op, passName, "Softmax", "the exponentials have other uses");
    return become<onnx::SoftmaxOp>(op, shifted->first, *axis, {exp, below.getDefiningOp()});
  }
  return false;
}

// d = x - ReduceMax(x); Sub(d, Log(ReduceSum(Exp(d))))   ->   LogSoftmax(x)
// Sub(x, ReduceLogSumExp(x))                             ->   LogSoftmax(x)
bool raiseLogSoftmax(onnx::SubOp op) {
  Value x;
  if (auto axis = reducedAxis<onnx::ReduceLogSumExpOp>(op.getB(), x); axis && x == op.getA())
    return become<onnx::LogSoftmaxOp>(op, x, *axis, {op.getB().getDefiningOp()});
  auto log = definedBy<onnx::LogOp>(op.getB());
  Value summed;
  auto axis = log ? reducedAxis<onnx::ReduceSumOp>(log.getInput(), summed) : std::nullopt;
  auto exp = axis ? definedBy<onnx::ExpOp>(summed) : onnx::ExpOp();
  if (!exp || exp.getInput() != op.getA())
    return false;
  auto shifted = readShifted(op.getA());
  if (!shifted || shifted->second != *axis)
    return missed(op, passName, "LogSoftmax",
                  "the greatest value of the axis is not subtracted: a large one overflows");
  return become<onnx::LogSoftmaxOp>(op, shifted->first, *axis, {exp, log});
}

class RaiseSoftmax : public burin::impl::RaiseSoftmaxBase<RaiseSoftmax> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (auto sub = dyn_cast<onnx::SubOp>(op))
        return raiseLogSoftmax(sub);
      return isa<onnx::DivOp, onnx::MulOp>(op) && raiseSoftmax(op);
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
