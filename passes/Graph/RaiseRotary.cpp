// Rotary embeddings spelled out as x * cos + rotate_half(x) * sin, recognised from their sum. The operator wants each
// angle once, exporters write them twice side by side: the caches are rebuilt at half width through what made them.
// Must not run where the two halves of a cache are not provably equal.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include <cstring>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEROTARY
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseRotary";

int64_t lastDim(Value value) {
  RankedTensorType type = rankedType(value);
  return type && type.getRank() ? type.getShape().back() : ShapedType::kDynamic;
}

bool isScalar(Value value) {
  RankedTensorType type = staticType(value);
  return type && type.getNumElements() == 1 && type.getRank() <= 1 && onnx::getConstantAttr(value);
}

// Value of the last dim's first or second half of x.
Value halfOf(Value value, bool second) {
  if (auto split = definedBy<onnx::SplitOp>(value)) {
    RankedTensorType type = rankedType(split->getOperand(0));
    int64_t axis = split.getAxis();
    bool isHalf = type && (axis < 0 ? axis + type.getRank() : axis) == type.getRank() - 1 &&
                  split->getNumResults() == 2 && lastDim(split->getResult(0)) * 2 == type.getShape().back() &&
                  !ShapedType::isDynamic(type.getShape().back());
    return isHalf && value == split->getResult(second) ? Value(split->getOperand(0)) : Value();
  }
  auto slice = definedBy<onnx::SliceOp>(value);
  RankedTensorType type = slice ? rankedType(slice->getOperand(0)) : RankedTensorType();
  if (!type || type.getRank() == 0)
    return {};
  int64_t size = type.getShape().back();
  auto starts = onnx::getConstantInts(slice.getStarts()), ends = onnx::getConstantInts(slice.getEnds());
  auto axes = onnx::isNone(slice.getAxes()) ? std::nullopt : onnx::getConstantInts(slice.getAxes());
  auto steps = onnx::isNone(slice.getSteps()) ? std::nullopt : onnx::getConstantInts(slice.getSteps());
  if (ShapedType::isDynamic(size) || size % 2 || !starts || !ends || !axes || starts->size() != 1 ||
      axes->size() != 1 || (!steps && !onnx::isNone(slice.getSteps())) || (steps && steps->front() != 1))
    return {};
  int64_t axis = axes->front() < 0 ? axes->front() + type.getRank() : axes->front();
  int64_t from = starts->front(), to = ends->front();
  from = from < 0 ? from + size : from;
  to = to < 0 ? to + size : std::min(to, size);
  bool fits = second ? from == size / 2 && to == size : from == 0 && to == size / 2;
  return axis == type.getRank() - 1 && fits ? Value(slice->getOperand(0)) : Value();
}

// value = Concat(-second half of x, first half of x): that x.
Value rotated(Value value) {
  auto concat = definedBy<onnx::ConcatOp>(value);
  RankedTensorType type = rankedType(value);
  if (!concat || !type || concat->getNumOperands() != 2)
    return {};
  int64_t axis = concat.getAxis();
  auto neg = definedBy<onnx::NegOp>(concat->getOperand(0));
  if (!neg || (axis < 0 ? axis + type.getRank() : axis) != type.getRank() - 1)
    return {};
  Value x = halfOf(neg.getX(), true);
  return x && x == halfOf(concat->getOperand(1), false) ? x : Value();
}

// Operators that make each element of the last dim from the same element of their first operand's.
bool keepsLastDim(Operation *op) {
  if (isa<onnx::CosOp, onnx::SinOp, onnx::CastOp, onnx::NegOp>(op))
    return true;
  if (isa<onnx::MulOp, onnx::DivOp>(op))
    return isScalar(op->getOperand(1));
  if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
    RankedTensorType type = rankedType(op->getOperand(0));
    return type && type.getRank() > 1 && gather.getAxis() == 0;
  }
  if (isa<onnx::UnsqueezeOp>(op)) {
    RankedTensorType type = rankedType(op->getResult(0));
    auto axes = onnx::getConstantInts(op->getOperand(1));
    return type && axes && llvm::all_of(*axes, [&](int64_t axis) {
             return (axis < 0 ? axis + type.getRank() : axis) < type.getRank() - 1;
           });
  }
  return false;
}

// True if the two halves of value's last dim hold the same, provably.
bool isTwice(Value value, unsigned depth = 0) {
  int64_t size = lastDim(value);
  if (ShapedType::isDynamic(size) || size % 2 || depth > 8)
    return false;
  if (ElementsAttr attr = onnx::getConstantAttr(value)) {
    auto literal = readLiteral(attr);
    if (!literal || literal->splat)
      return literal.has_value();
    size_t half = literal->bytes.size() / literal->count() * size / 2;
    for (const char *row = literal->bytes.begin(); row != literal->bytes.end(); row += 2 * half)
      if (std::memcmp(row, row + half, half) != 0)
        return false;
    return true;
  }
  Operation *op = value.getDefiningOp();
  if (auto concat = dyn_cast_or_null<onnx::ConcatOp>(op)) {
    int64_t rank = rankedType(value).getRank(), axis = concat.getAxis();
    return op->getNumOperands() == 2 && op->getOperand(0) == op->getOperand(1) &&
           (axis < 0 ? axis + rank : axis) == rank - 1;
  }
  return op && keepsLastDim(op) && isTwice(op->getOperand(0), depth + 1);
}

// The first half of a value for which isTwice holds.
Value halve(OpBuilder &builder, Value value) {
  Operation *op = value.getDefiningOp();
  if (onnx::getConstantAttr(value)) {
    Location loc = value.getLoc();
    auto ints = [&](int64_t x) {
      return constant(builder, loc, onnx::makeInts(RankedTensorType::get({1}, builder.getI64Type()), {x}));
    };
    Value half =
        build<onnx::SliceOp>(builder, loc, {value, ints(0), ints(lastDim(value) / 2), ints(-1), noValue(builder, loc)});
    return half ? foldOrKeep(half.getDefiningOp()) : Value();
  }
  if (isa<onnx::ConcatOp>(op))
    return op->getOperand(0);
  SmallVector<Value> operands(op->getOperands());
  operands[0] = halve(builder, operands[0]);
  Operation *made = operands[0] ? build(builder, op->getLoc(), op->getName().getStringRef(), operands,
                                        op->getAttrDictionary().getValue())
                                : nullptr;
  return made ? made->getResult(0) : Value();
}

// The [batch, sequence, dim] value that `value`, [batch, 1, sequence, dim], was unsqueezed from, through Casts.
Value withoutHeads(Value value) {
  for (unsigned depth = 0; depth < 4; ++depth) {
    Operation *op = value.getDefiningOp();
    if (isa_and_nonnull<onnx::UnsqueezeOp>(op)) {
      auto axes = onnx::getConstantInts(op->getOperand(1));
      RankedTensorType type = rankedType(value);
      bool isHeads =
          axes && axes->size() == 1 && type && type.getRank() == 4 && (axes->front() == 1 || axes->front() == -3);
      return isHeads ? Value(op->getOperand(0)) : Value();
    }
    if (!isa_and_nonnull<onnx::CastOp>(op))
      return {};
    value = op->getOperand(0);
  }
  return {};
}

// Why `value` cannot be a cache for x; empty if it can.
StringRef whyNoCache(Value value, RankedTensorType x) {
  RankedTensorType type = rankedType(value);
  Value plain = withoutHeads(value);
  bool isConstant = bool(onnx::getConstantAttr(value));
  if (!type || type.getRank() != 4 || type.getDimSize(1) != 1 || (!plain && !isConstant))
    return "cos and sin are not [batch, sequence, dim], unsqueezed over the heads";
  if (!sameDim(type, 0, x, 0) || !sameDim(type, 2, x, 2) || !sameDim(type, 3, x, 3))
    return "cos and sin do not have the batch, sequence and dim of the operand, as far as is known";
  return isTwice(value) ? "" : "the two halves of cos or sin are not provably the same";
}

// The half-width [batch, sequence, dim / 2] cache; Casts after the Unsqueeze move in front of it.
Value makeCache(OpBuilder &builder, Value value) {
  if (onnx::getConstantAttr(value)) {
    Value half = halve(builder, value);
    auto axes = onnx::makeInts(RankedTensorType::get({1}, builder.getI64Type()), {1});
    Value flat = half ? build<onnx::SqueezeOp>(builder, value.getLoc(), {half, constant(builder, value.getLoc(), axes)})
                      : Value();
    return flat ? foldOrKeep(flat.getDefiningOp()) : Value();
  }
  Value half = halve(builder, withoutHeads(value));
  RankedTensorType type = rankedType(half);
  if (!type || type.getElementType() == rankedType(value).getElementType())
    return half;
  SmallVector<Operation *> casts;
  for (Operation *op = value.getDefiningOp(); isa<onnx::CastOp>(op); op = op->getOperand(0).getDefiningOp())
    casts.push_back(op);
  for (Operation *cast : llvm::reverse(casts)) {
    Operation *made = half ? build(builder, cast->getLoc(), onnx::CastOp::getOperationName(), half,
                                   cast->getAttrDictionary().getValue())
                           : nullptr;
    half = made ? made->getResult(0) : Value();
  }
  return half;
}

// Add(Mul(%x, cos), Mul(Concat(Neg(second half), first half), sin))   ->   RotaryEmbedding(%x, cos', sin')
//  - %x is [batch, heads, sequence, dim], dim static and even
//  - cos and sin are [batch, 1, sequence, dim] whose halves are the same; cos', sin' are one half of them
//  - nothing else uses the products or the Concat
bool visit(Operation *op) {
  if (!isa<onnx::AddOp>(op))
    return false;
  for (unsigned i = 0; i < 2; ++i) {
    auto straight = definedBy<onnx::MulOp>(op->getOperand(i)), turned = definedBy<onnx::MulOp>(op->getOperand(1 - i));
    if (!straight || !turned)
      return false;
    for (unsigned j = 0; j < 2; ++j) {
      Value x = rotated(turned->getOperand(j)), sin = turned->getOperand(1 - j);
      if (!x || (straight.getA() != x && straight.getB() != x))
        continue;
      Value cos = straight.getA() == x ? straight.getB() : straight.getA();
      Operation *concat = turned->getOperand(j).getDefiningOp();
      RankedTensorType type = rankedType(x);
      if (type.getRank() != 4)
        return missed(op, passName, "RotaryEmbedding", "the operand is not [batch, heads, sequence, dim]");
      if (!straight->hasOneUse() || !turned->hasOneUse() || !concat->hasOneUse())
        return missed(op, passName, "RotaryEmbedding", "a part has several uses");
      for (Value cache : {cos, sin})
        if (StringRef why = whyNoCache(cache, type); !why.empty())
          return missed(op, passName, "RotaryEmbedding", why);
      OpBuilder builder(op);
      Location loc = fuse({concat, straight, turned, op});
      Value halfCos = makeCache(builder, cos), halfSin = makeCache(builder, sin);
      Value made = halfCos && halfSin
                       ? build<onnx::RotaryEmbeddingOp>(builder, loc, {x, halfCos, halfSin, noValue(builder, loc)})
                       : Value();
      if (!made)
        return missed(op, passName, "RotaryEmbedding", "the caches cannot be rebuilt at half width");
      Operation *node = made.getDefiningOp();
      if (!replace(op, made)) {
        eraseDead(node);
        return missed(op, passName, "RotaryEmbedding", "an output of the graph keeps its type");
      }
      passed(node, passName, "RotaryEmbedding");
      return true;
    }
  }
  return false;
}

class RaiseRotary : public impl::RaiseRotaryBase<RaiseRotary> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
