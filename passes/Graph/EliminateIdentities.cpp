// Operators that change nothing, or nothing that a neighbour could not do: removed, or merged into one. Each rewrite is
// exact for every input; what would change a rounding or drop a NaN is not here. It matches at the later of two
// operators, so a chain collapses in one walk.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_ELIMINATEIDENTITIES
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "EliminateIdentities";

bool forward(Operation *op, Value value, StringRef rewrite) {
  Operation *at = value.getDefiningOp() ? value.getDefiningOp() : op->getParentOp();
  // An output of the graph keeps its own operator where it would otherwise be an input or another output: ONNX names
  // every output once.
  bool isOutput = llvm::any_of(op->getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); });
  if (isOutput) {
    if (!isa<OpResult>(value) || at->hasTrait<OpTrait::ConstantLike>() || at->getBlock() != op->getBlock())
      return false;
    for (Operation *user : value.getUsers())
      if (user->hasTrait<OpTrait::IsTerminator>())
        return false;
  }
  std::string what = onnx::getOpType(op).str();
  SmallVector<Value> values(op->getNumResults(), value);
  for (Value result : op->getResults().drop_front())
    if (!result.use_empty())
      return false;
  if (!replace(op, values))
    return false;
  passed(at, passName, rewrite, what);
  return true;
}

// Replaces `op` by another one built in front of it.
bool become(Operation *op, Value value, StringRef rewrite) { return replaceBy(op, value, passName, rewrite); }

// %y = Op(%x) with the type of %x, and no element moved.
bool sameStaticType(Value a, Value b) { return staticType(a) && staticType(b) && sameType(a.getType(), b.getType()); }

//===--- shapes ---===//

bool isReshapeLike(Operation *op) {
  return op && isa<onnx::ReshapeOp, onnx::FlattenOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(op);
}

// The -1 form of a shape with at most one unknown dim.
std::optional<SmallVector<int64_t>> reshapeTarget(Value result) {
  RankedTensorType type = rankedType(result);
  if (!type || llvm::is_contained(type.getShape(), 0) || llvm::count(type.getShape(), ShapedType::kDynamic) > 1)
    return std::nullopt;
  SmallVector<int64_t> shape(type.getShape());
  llvm::replace(shape, ShapedType::kDynamic, int64_t(-1));
  return shape;
}

// Operators that give each element its own result, whatever the shape: all operands but the first are one element.
bool isPointwise(Operation *op) {
  if (isa<onnx::ReluOp, onnx::SigmoidOp, onnx::TanhOp, onnx::ErfOp, onnx::GeluOp, onnx::SwishOp, onnx::HardSwishOp,
          onnx::HardSigmoidOp, onnx::MishOp, onnx::SoftplusOp, onnx::LeakyReluOp, onnx::EluOp, onnx::ExpOp, onnx::LogOp,
          onnx::SqrtOp, onnx::AbsOp, onnx::NegOp, onnx::ReciprocalOp, onnx::FloorOp, onnx::CeilOp, onnx::RoundOp,
          onnx::NotOp, onnx::CastOp, onnx::ClipOp>(op))
    return true;
  if (!isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::PowOp>(op))
    return false;
  RankedTensorType type = staticType(op->getOperand(1));
  return type && type.getNumElements() == 1 && type.getRank() <= 1 && onnx::getConstantAttr(op->getOperand(1));
}

// Op(Pointwise(Op'(x))) -> Pointwise(x), where Op takes back what Op' did.
//  - nothing else uses what is between
bool skipMoves(Operation *op, Operation *pointwise, Value x, StringRef rewrite) {
  OpBuilder builder(op);
  SmallVector<Value> operands(pointwise->getOperands());
  Operation *move = operands[0].getDefiningOp();
  operands[0] = x;
  Operation *made = graph::build(builder, fuse({move, pointwise, op}), pointwise->getName().getStringRef(), operands,
                                 pointwise->getAttrDictionary().getValue());
  return made && become(op, made->getResult(0), rewrite);
}

// The operator between two moves that nothing else uses, or null.
Operation *between(Operation *op) {
  Operation *inner = op->getOperand(0).getDefiningOp();
  if (!inner || inner->getNumResults() != 1 || !inner->hasOneUse() || inner->getNumOperands() == 0)
    return nullptr;
  Operation *move = inner->getOperand(0).getDefiningOp();
  return move && move->getName() != inner->getName() && move->hasOneUse() ? inner : nullptr;
}

// Reshape(Softmax(Reshape(x)), the shape of x) -> Softmax(x): old opsets flatten to two dims first.
//  - of the dims the softmax goes over, one alone is not 1
bool skipFlatten(Operation *op, onnx::SoftmaxOp softmax, Value x) {
  RankedTensorType whole = staticType(x), flat = staticType(softmax.getInput());
  if (!whole || !flat || flat.getRank() == 0 || whole.getNumElements() == 0)
    return false;
  int64_t axis = softmax.getAxis() < 0 ? softmax.getAxis() + flat.getRank() : softmax.getAxis();
  int64_t at = whole.getRank() - 1;
  while (at > 0 && whole.getDimSize(at) == 1)
    --at;
  if (axis != flat.getRank() - 1 || whole.getRank() == 0 || whole.getDimSize(at) != flat.getShape().back())
    return false;
  OpBuilder builder(op);
  return become(op,
                build<onnx::SoftmaxOp>(builder, fuse({softmax, op}), x,
                                       builder.getNamedAttr("axis", builder.getI64IntegerAttr(at))),
                "FlatSoftmax");
}

// Reshape(Reshape(x)) -> Reshape(x), for Flatten, Squeeze and Unsqueeze too.
//  - the last shape has at most one unknown dim and no 0
bool visitReshape(Operation *op) {
  Value x = op->getOperand(0);
  if (sameStaticType(x, op->getResult(0)) && forward(op, x, "IdentityReshape"))
    return true;
  Operation *inner = x.getDefiningOp();
  if (Operation *middle = between(op); middle && isReshapeLike(middle->getOperand(0).getDefiningOp())) {
    Value source = middle->getOperand(0).getDefiningOp()->getOperand(0);
    RankedTensorType from = staticType(source), to = staticType(op->getResult(0));
    bool back = from && to && from.getShape() == to.getShape();
    if (back && isPointwise(middle) && skipMoves(op, middle, source, "SkipReshapes"))
      return true;
    if (auto softmax = dyn_cast<onnx::SoftmaxOp>(middle); back && softmax && skipFlatten(op, softmax, source))
      return true;
  }
  if (!isReshapeLike(inner))
    return false;
  auto shape = reshapeTarget(op->getResult(0));
  if (!shape)
    return missed(op, passName, "MergeReshapes", "the last shape has several unknown dims");
  OpBuilder builder(op);
  Location loc = fuse({inner, op});
  return become(op,
                build<onnx::ReshapeOp>(builder, loc, {inner->getOperand(0), onnx::createI64s(builder, loc, *shape)}),
                "MergeReshapes");
}

// Transpose by the identity -> x; Transpose(Transpose(x)) -> one; a Transpose that only moves dims of size 1 ->
// Reshape.
bool visitTranspose(onnx::TransposeOp op) {
  RankedTensorType type = rankedType(op.getData());
  if (!type)
    return false;
  SmallVector<int64_t> perm = permutation(op, type.getRank());
  if (llvm::equal(perm, llvm::seq<int64_t>(0, type.getRank())) && forward(op, op.getData(), "IdentityTranspose"))
    return true;
  OpBuilder builder(op);
  if (auto inner = definedBy<onnx::TransposeOp>(op.getData())) {
    SmallVector<int64_t> first = permutation(inner, type.getRank()), both;
    for (int64_t d : perm)
      both.push_back(first[d]);
    if (llvm::equal(both, llvm::seq<int64_t>(0, type.getRank())) && forward(op, inner.getData(), "CancelTransposes"))
      return true;
    Location loc = fuse({inner, op});
    return become(op,
                  build<onnx::TransposeOp>(builder, loc, inner.getData(),
                                           builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(both))),
                  "MergeTransposes");
  }
  if (Operation *middle = between(op); middle && isPointwise(middle))
    if (auto first = definedBy<onnx::TransposeOp>(middle->getOperand(0))) {
      SmallVector<int64_t> there = permutation(first, type.getRank());
      bool back = llvm::all_of(llvm::enumerate(perm), [&](auto d) { return there[d.value()] == int64_t(d.index()); });
      if (back && skipMoves(op, middle, first.getData(), "SkipTransposes"))
        return true;
    }
  if (!staticType(op.getData()) || type.getNumElements() == 0)
    return false;
  int64_t last = -1;
  for (int64_t d : perm)
    if (type.getDimSize(d) != 1) {
      if (d < last)
        return false;
      last = d;
    }
  SmallVector<int64_t> shape;
  for (int64_t d : perm)
    shape.push_back(type.getDimSize(d));
  return become(
      op, build<onnx::ReshapeOp>(builder, op.getLoc(), {op.getData(), onnx::createI64s(builder, op.getLoc(), shape)}),
      "TransposeToReshape");
}

bool visitPad(onnx::PadOp op) {
  auto pads = onnx::getConstantInts(op.getPads());
  return pads && llvm::all_of(*pads, [](int64_t p) { return p == 0; }) && forward(op, op.getData(), "IdentityPad");
}

bool visitSlice(onnx::SliceOp op) {
  if (!sameStaticType(op.getData(), op.getResult()))
    return false;
  // Same shape: every element in its place unless a step runs backwards.
  if (!onnx::isNone(op.getSteps())) {
    auto steps = onnx::getConstantInts(op.getSteps());
    if (!steps || llvm::any_of(*steps, [](int64_t s) { return s < 0; }))
      return false;
  }
  return forward(op, op.getData(), "IdentitySlice");
}

// Concat of one, and Concat without its empty operands.
bool visitConcat(onnx::ConcatOp op) {
  if (op->getNumOperands() == 1)
    return forward(op, op->getOperand(0), "IdentityConcat");
  auto isEmpty = [&](Value v) {
    RankedTensorType type = rankedType(v);
    if (!type)
      return false;
    int64_t axis = op.getAxis() < 0 ? op.getAxis() + type.getRank() : op.getAxis();
    return axis >= 0 && axis < type.getRank() && type.getDimSize(axis) == 0;
  };
  SmallVector<Value> kept;
  for (Value v : op->getOperands())
    if (!isEmpty(v))
      kept.push_back(v);
  if (kept.size() == op->getNumOperands() || kept.empty())
    return false;
  if (kept.size() == 1)
    return forward(op, kept[0], "EmptyConcat");
  op->setOperands(kept);
  passed(op, passName, "EmptyConcat");
  return true;
}

//===--- types ---===//

// True if every value of `from` is exactly a value of `to`.
bool isLossless(Type from, Type to) {
  if (from == to)
    return true;
  if (from.isInteger(1))
    return to.isIntOrFloat();
  if (auto a = dyn_cast<FloatType>(from)) {
    auto b = dyn_cast<FloatType>(to);
    if (!b || a.getWidth() < 16)
      return false;
    return a.getWidth() < b.getWidth();
  }
  auto a = dyn_cast<IntegerType>(from);
  if (!a)
    return false;
  if (auto b = dyn_cast<IntegerType>(to))
    return a.isUnsigned() ? b.getWidth() > a.getWidth() || (b.isUnsigned() && b.getWidth() == a.getWidth())
                          : !b.isUnsigned() && b.getWidth() >= a.getWidth();
  if (auto b = dyn_cast<FloatType>(to))
    return a.getWidth() < b.getFPMantissaWidth();
  return false;
}

// Cast to the same type -> x; Cast(Cast(x: A -> B) -> C) -> Cast(x: A -> C).
//  - A -> B loses nothing, so that C is reached by the same one rounding
bool visitCast(onnx::CastOp op) {
  RankedTensorType from = rankedType(op.getInput()), to = rankedType(op.getResult());
  if (!from || !to)
    return false;
  if (from.getElementType() == to.getElementType())
    return forward(op, op.getInput(), "IdentityCast");
  auto inner = definedBy<onnx::CastOp>(op.getInput());
  RankedTensorType first = inner ? rankedType(inner.getInput()) : RankedTensorType();
  if (!first)
    return false;
  if (!isLossless(first.getElementType(), from.getElementType()))
    return missed(op, passName, "MergeCasts", "the first Cast rounds");
  if (first.getElementType() == to.getElementType())
    return forward(op, inner.getInput(), "CancelCasts");
  op->setOperand(0, inner.getInput());
  op->setLoc(fuse({inner, op}));
  eraseDead(inner);
  passed(op, passName, "MergeCasts");
  return true;
}

//===--- arithmetic ---===//

// Op(x, c) -> x where c is the neutral element.
//  - x already has the result's shape, for c may broadcast it
bool visitNeutral(Operation *op, double neutral, bool commutes) {
  for (unsigned i = 0; i < (commutes ? 2u : 1u); ++i) {
    Value x = op->getOperand(i), c = op->getOperand(1 - i);
    std::optional<double> held = uniform(c);
    if (!held || *held != neutral || onnx::getConstantAttr(x))
      continue;
    RankedTensorType type = rankedType(c), whole = rankedType(x);
    if (type && whole &&
        (sameStaticType(x, op->getResult(0)) || (type.getRank() <= whole.getRank() && type.getNumElements() == 1)))
      return forward(op, x, "NeutralElement");
  }
  return false;
}

// Neg(Neg(x)), Not(Not(x)), Reciprocal stays: it rounds.
bool visitInvolution(Operation *op) {
  Operation *inner = op->getOperand(0).getDefiningOp();
  return inner && inner->getName() == op->getName() && forward(op, inner->getOperand(0), "DoubleNegation");
}

// Relu(Relu(x)) -> Relu(x).
bool visitRelu(onnx::ReluOp op) {
  return op.getX().getDefiningOp<onnx::ReluOp>() && forward(op, op.getX(), "DoubleRelu");
}

// Clip without bounds -> x; Clip(Relu(x), a, b) -> Clip(x, a, b) with a >= 0.
bool visitClip(onnx::ClipOp op) {
  if (onnx::isNone(op.getMin()) && onnx::isNone(op.getMax()))
    return forward(op, op.getInput(), "IdentityClip");
  auto relu = definedBy<onnx::ReluOp>(op.getInput());
  std::optional<double> low = relu && !onnx::isNone(op.getMin()) ? uniform(op.getMin()) : std::nullopt;
  if (!low || *low < 0)
    return false;
  op->setOperand(0, relu.getX());
  op->setLoc(fuse({relu, op}));
  eraseDead(relu);
  passed(op, passName, "ReluClip");
  return true;
}

bool visitWhere(onnx::WhereOp op) {
  std::optional<double> condition = uniform(op.getCondition());
  if (!condition)
    return false;
  Value chosen = *condition != 0 ? op.getX() : op.getY();
  return sameStaticType(chosen, op.getResult()) && forward(op, chosen, "KnownCondition");
}

// Sum of one -> it; Sum of two -> Add, which every later pattern knows.
bool visitSum(onnx::SumOp op) {
  if (op->getNumOperands() == 1)
    return forward(op, op->getOperand(0), "OneOperand");
  if (op->getNumOperands() != 2)
    return false;
  OpBuilder builder(op);
  return become(op, build<onnx::AddOp>(builder, op.getLoc(), {op->getOperand(0), op->getOperand(1)}), "SumOfTwo");
}

//===--- whole operators ---===//

bool visitDropout(onnx::DropoutOp op) {
  if (!onnx::isNone(op.getTrainingMode()) && uniform(op.getTrainingMode()) != std::optional<double>(0))
    return missed(op, passName, "Dropout", "training_mode is not known to be false");
  return forward(op, op.getData(), "Dropout");
}

bool visitResize(onnx::ResizeOp op) {
  if (op.getCoordinateTransformationMode() == "tf_crop_and_resize" || !sameStaticType(op.getX(), op.getResult()))
    return false;
  if (!onnx::isNone(op.getScales()))
    if (auto scales = onnx::getConstantFloats(op.getScales());
        !scales || llvm::any_of(*scales, [](float s) { return s != 1; }))
      return false;
  return forward(op, op.getX(), "IdentityResize");
}

bool visitSplit(onnx::SplitOp op) {
  return op->getNumResults() == 1 && sameStaticType(op.getInput(), op->getResult(0)) &&
         forward(op, op.getInput(), "IdentitySplit");
}

// If(constant) -> the branch that is taken.
bool visitIf(onnx::IfOp op) {
  ElementsAttr attr = onnx::getConstantAttr(op.getCond());
  if (!attr || attr.getNumElements() != 1)
    return false;
  Region &taken = *uniform(op.getCond()) != 0 ? op.getThenBranch() : op.getElseBranch();
  Block &block = taken.front();
  Operation *terminator = block.getTerminator();
  SmallVector<Value> values(terminator->getOperands());
  for (auto [result, value] : llvm::zip_equal(op.getResults(), values)) {
    // Outside the branch the value is what the branch gives: its type is the more exact one.
    bool escapes =
        llvm::any_of(result.getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); });
    if (escapes && result.getType() != value.getType())
      return missed(op, passName, "KnownBranch", "the branch gives another type than the output of the graph");
  }
  op->getBlock()->getOperations().splice(op->getIterator(), block.getOperations(), block.begin(),
                                         terminator->getIterator());
  terminator->erase();
  for (auto [result, value] : llvm::zip_equal(op.getResults(), values))
    result.replaceAllUsesWith(value);
  passed(op, passName, "KnownBranch");
  // The branch not taken holds the last uses of values that eraseDead must see.
  eraseDead(op);
  return true;
}

class EliminateIdentities : public impl::EliminateIdentitiesBase<EliminateIdentities> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }

private:
  static bool visit(Operation *op) {
    return llvm::TypeSwitch<Operation *, bool>(op)
        .Case([](onnx::IdentityOp o) { return forward(o, o.getInput(), "Identity"); })
        .Case<onnx::ReshapeOp, onnx::FlattenOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(
            [](auto o) { return visitReshape(o); })
        .Case([](onnx::TransposeOp o) { return visitTranspose(o); })
        .Case([](onnx::ExpandOp o) {
          return sameStaticType(o.getInput(), o.getResult()) && forward(o, o.getInput(), "IdentityExpand");
        })
        .Case([](onnx::TileOp o) {
          return sameStaticType(o.getInput(), o.getResult()) && forward(o, o.getInput(), "IdentityTile");
        })
        .Case([](onnx::PadOp o) { return visitPad(o); })
        .Case([](onnx::SliceOp o) { return visitSlice(o); })
        .Case([](onnx::ConcatOp o) { return visitConcat(o); })
        .Case([](onnx::CastOp o) { return visitCast(o); })
        .Case([](onnx::AddOp o) { return visitNeutral(o, 0, true); })
        .Case([](onnx::SubOp o) { return visitNeutral(o, 0, false); })
        .Case([](onnx::MulOp o) { return visitNeutral(o, 1, true); })
        .Case([](onnx::DivOp o) { return visitNeutral(o, 1, false); })
        .Case([](onnx::PowOp o) { return visitNeutral(o, 1, false); })
        .Case<onnx::NegOp, onnx::NotOp>([](auto o) { return visitInvolution(o); })
        .Case([](onnx::ReluOp o) { return visitRelu(o); })
        .Case([](onnx::ClipOp o) { return visitClip(o); })
        .Case([](onnx::WhereOp o) { return visitWhere(o); })
        .Case([](onnx::SumOp o) { return visitSum(o); })
        .Case<onnx::MaxOp, onnx::MinOp, onnx::MeanOp>(
            [](auto o) { return o->getNumOperands() == 1 && forward(o, o->getOperand(0), "OneOperand"); })
        .Case([](onnx::DropoutOp o) { return visitDropout(o); })
        .Case([](onnx::ResizeOp o) { return visitResize(o); })
        .Case([](onnx::SplitOp o) { return visitSplit(o); })
        .Case([](onnx::IfOp o) { return visitIf(o); })
        .Default([](Operation *) { return false; });
  }
};

} // namespace
} // namespace burin
