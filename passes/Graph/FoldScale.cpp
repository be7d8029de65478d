// A scale or shift by channel moves towards weights that can hold it, past what commutes with it: a positive scale past
// Relu, LeakyRelu, PRelu and pools, a shift past pools. It ends directly behind or in front of a convolution or
// product, where graph-fuse-conv-bn makes it weights.
#include "passes/Graph/Affine.h"
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FOLDSCALE
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FoldScale";
constexpr unsigned maxSteps = 16;

bool hasHome(Operation *op) {
  return op && isa<onnx::ConvOp, onnx::ConvTransposeOp, onnx::GemmOp, onnx::MatMulOp>(op) &&
         onnx::getConstantAttr(op->getOperand(1));
}

// Operators that a scale by channel can pass, at their first operand; the others are constants.
bool isPassable(Operation *op) {
  if (auto pool = dyn_cast_or_null<onnx::MaxPoolOp>(op))
    return onnx::isNone(pool.getIndices()) || pool.getIndices().use_empty();
  return op && isa<onnx::ReluOp, onnx::LeakyReluOp, onnx::PReluOp, onnx::AveragePoolOp, onnx::GlobalAveragePoolOp,
                   onnx::GlobalMaxPoolOp>(op);
}

// Does s * f(x) = f(s * x) hold for all these s?
bool passesScale(Operation *op, ArrayRef<double> scale) {
  return isa<onnx::AveragePoolOp, onnx::GlobalAveragePoolOp>(op) || llvm::all_of(scale, [](double s) { return s > 0; });
}

// Does f(x) + t = f(x + t) hold? A mean that counts padding sees zeros where it should see t.
bool passesShift(Operation *op) {
  if (auto pool = dyn_cast<onnx::AveragePoolOp>(op)) {
    auto pads = explicitPads(pool, pool.getKernelShape().size());
    bool padded = !pads || llvm::any_of(*pads, [](int64_t p) { return p != 0; });
    // With ceil_mode the last window may reach behind all padding.
    return pool.getCeilMode() == 0 && (!padded || pool.getCountIncludePad() == 0);
  }
  return isa<onnx::MaxPoolOp, onnx::GlobalAveragePoolOp, onnx::GlobalMaxPoolOp>(op);
}

bool isAffine(Operation *op) {
  return op && isa<onnx::MulOp, onnx::DivOp, onnx::AddOp, onnx::SubOp, onnx::BatchNormalizationOp>(op);
}

// The operand of an affine operator that is not its constant, and what it does to it.
std::optional<Affine> readAffine(Operation *op, Value &x) {
  if (auto bn = dyn_cast<onnx::BatchNormalizationOp>(op)) {
    for (Value result : op->getResults().drop_front())
      if (!result.use_empty())
        return std::nullopt;
    x = bn.getX();
    return affineOf(bn, -1);
  }
  for (unsigned i = 0; i < 2; ++i) {
    x = op->getOperand(i);
    RankedTensorType type = rankedType(x);
    if (!type || type.getRank() < 2 || !onnx::getConstantAttr(op->getOperand(1 - i)) ||
        !sameType(x.getType(), op->getResult(0).getType()) || type.getDimSize(1) == ShapedType::kDynamic)
      continue;
    if (auto affine = affineOf(op, x, type.getDimSize(1), type.getRank(), 1))
      return affine;
  }
  return std::nullopt;
}

// The operator of `like` on another first operand.
Value again(OpBuilder &builder, Operation *like, Value x) {
  SmallVector<Value> operands(like->getOperands());
  operands[0] = x;
  unsigned present = 0;
  for (Value result : like->getResults())
    present += !onnx::isNone(result);
  Operation *made = build(builder, like->getLoc(), like->getName().getStringRef(), operands,
                          llvm::to_vector(like->getAttrs()), like->getNumResults(), std::min(present, 1u));
  return made ? made->getResult(0) : Value();
}

Value vector(OpBuilder &builder, Location loc, ArrayRef<double> values, RankedTensorType type, StringRef name) {
  SmallVector<int64_t> shape(type.getRank() - 1, 1);
  shape[0] = values.size();
  return constant(builder, loc, toAttr(fromDoubles(RankedTensorType::get(shape, type.getElementType()), values), name));
}

// Mul(MaxPool(Relu(Conv(%x, w))), s)   ->   MaxPool(Relu(Mul(Conv(%x, w), s)))
//  - s is a constant by channel, positive where something on the way is no mean
//  - a shift passes pools alone; a normalization whose shift stays behind becomes Mul and Add
//  - up to a convolution or product with constant weights; nothing else uses what lies between
bool moveUp(Operation *op) {
  Value x;
  auto affine = readAffine(op, x);
  if (!affine || !isPassable(x.getDefiningOp()))
    return false;
  bool shifts = affine->shifts && llvm::any_of(affine->shift, [](double t) { return t != 0; });
  bool scales = affine->scales && llvm::any_of(affine->scale, [](double s) { return s != 1; });
  if (!shifts && !scales)
    return false;
  SmallVector<Operation *> passed;
  Value source = x;
  StringRef name = onnx::getOpType(op);
  while (isPassable(source.getDefiningOp()) && passed.size() < maxSteps) {
    Operation *step = source.getDefiningOp();
    if (step->getBlock() != op->getBlock() || !source.hasOneUse())
      break;
    passed.push_back(step);
    source = step->getOperand(0);
  }
  // Scales and shifts that lie directly behind the weights already are on their way into them.
  Value behind = source;
  Value next;
  while (isAffine(behind.getDefiningOp()) && behind.hasOneUse() && readAffine(behind.getDefiningOp(), next))
    behind = next;
  Operation *home = behind.getDefiningOp();
  if (passed.empty() || !hasHome(home))
    return isPassable(home) && missed(op, passName, name, "a value on the way to the weights has several uses");
  if (!source.hasOneUse() || !behind.hasOneUse() || home->getBlock() != op->getBlock())
    return missed(op, passName, name, "a value on the way to the weights has several uses");
  RankedTensorType type = rankedType(source);
  if (!type || isa<onnx::MatMulOp>(home))
    return false;
  bool shiftMoves = shifts && llvm::all_of(passed, passesShift), scaleMoves = scales;
  for (Operation *step : passed)
    if (scales && !passesScale(step, affine->scale))
      return missed(op, passName, name, "a scale is not positive, and " + onnx::getOpType(step) + " lies before it");
  if (!shiftMoves && !scaleMoves)
    return missed(op, passName, name, "a shift cannot pass what lies before it");
  int64_t count = type.getDimSize(1);
  if (!fits(affine->scale, type.getElementType()) || !fits(affine->shift, type.getElementType()))
    return missed(op, passName, name, "a scale or shift leaves the range of its type");
  auto spread = [&](SmallVector<double> values) {
    if (values.size() == 1 && count > 0)
      values.assign(count, values[0]);
    return values;
  };
  OpBuilder builder(op);
  StringRef blob = onnx::getNodeName(op);
  Value made = source;
  if (scaleMoves)
    made = build<onnx::MulOp>(builder, op->getLoc(),
                              {made, vector(builder, op->getLoc(), spread(affine->scale), type, blob)});
  if (made && shiftMoves)
    made = build<onnx::AddOp>(builder, op->getLoc(),
                              {made, vector(builder, op->getLoc(), spread(affine->shift), type, blob)});
  for (Operation *step : llvm::reverse(passed))
    made = made ? again(builder, step, made) : made;
  if (made && shifts && !shiftMoves)
    made = build<onnx::AddOp>(builder, op->getLoc(),
                              {made, vector(builder, op->getLoc(), spread(affine->shift), rankedType(made), blob)});
  if (!made || !replace(op, SmallVector<Value>(op->getNumResults(), made)))
    return false;
  graph::passed(made.getDefiningOp(), passName, name);
  return true;
}

// Conv(Relu(Mul(%x, s)), w)   ->   Conv(Mul(Relu(%x), s), w)
//  - s is a constant by channel, positive; nothing else uses what lies between
//  - only where the Mul has no home above, which moveUp and graph-fuse-conv-bn prefer
bool moveDown(onnx::ConvOp conv) {
  if (!hasHome(conv))
    return false;
  SmallVector<Operation *> steps;
  Value value = conv.getX();
  while (isPassable(value.getDefiningOp()) && value.hasOneUse() && steps.size() < maxSteps &&
         value.getDefiningOp()->getBlock() == conv->getBlock()) {
    steps.push_back(value.getDefiningOp());
    value = value.getDefiningOp()->getOperand(0);
  }
  Operation *mul = value.getDefiningOp();
  if (steps.empty() || !mul || !isa<onnx::MulOp, onnx::DivOp>(mul) || mul->getBlock() != conv->getBlock())
    return false;
  Value x;
  auto affine = readAffine(mul, x);
  if (!affine || affine->shifts || hasHome(x.getDefiningOp()))
    return false;
  if (!value.hasOneUse())
    return missed(conv, passName, "BeforeConv", "the scaled value has several uses");
  for (Operation *step : steps)
    if (!passesScale(step, affine->scale))
      return missed(conv, passName, "BeforeConv",
                    "a scale is not positive, and " + onnx::getOpType(step) + " lies behind it");
  RankedTensorType type = rankedType(conv.getX());
  if (!type || type.getDimSize(1) == ShapedType::kDynamic || !fits(affine->scale, type.getElementType()))
    return missed(conv, passName, "BeforeConv", "the channels are not known, or a scale leaves the range of its type");
  SmallVector<double> scale(affine->scale);
  if (scale.size() == 1)
    scale.assign(type.getDimSize(1), scale[0]);
  OpBuilder builder(conv);
  Value made = x;
  for (Operation *step : llvm::reverse(steps))
    made = made ? again(builder, step, made) : made;
  Value product = made ? build<onnx::MulOp>(builder, mul->getLoc(),
                                            {made, vector(builder, mul->getLoc(), scale, type, onnx::getNodeName(mul))})
                       : Value();
  if (!product || !sameType(product.getType(), conv.getX().getType())) {
    if (product)
      eraseDead(product.getDefiningOp());
    return false;
  }
  Operation *old = conv.getX().getDefiningOp();
  conv->setOperand(0, product);
  eraseDead(old);
  graph::passed(conv, passName, "BeforeConv");
  return true;
}

class FoldScale : public impl::FoldScaleBase<FoldScale> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (auto conv = dyn_cast<onnx::ConvOp>(op))
        return moveDown(conv);
      return isAffine(op) && moveUp(op);
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
