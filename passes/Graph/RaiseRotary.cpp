// Rotary embeddings spelled out as x * cos + turned(x) * sin, recognised from their sum, or from the two parts that are
// joined after it. The operator wants each angle once, exporters write them twice, side by side or one after the other:
// the caches are rebuilt at half width through what made them. Must not run where that is not provable.
#include "passes/Graph/AttentionScores.h"
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rotations.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEROTARY
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseRotary";

// What stands for x * cos + turned(x) * sin.
struct Rotation {
  Value x, cos, sin;
  bool interleaved = false, isHalf = false; // caches of half the width
  SmallVector<Operation *> parts;
};

// Add(Mul(%x, cos), Mul(turned %x, sin)).
std::optional<Rotation> readSum(Operation *op) {
  if (!isa<onnx::AddOp>(op))
    return std::nullopt;
  for (unsigned i = 0; i < 2; ++i) {
    auto straight = definedBy<onnx::MulOp>(op->getOperand(i)), turned = definedBy<onnx::MulOp>(op->getOperand(1 - i));
    if (!straight || !turned)
      return std::nullopt;
    for (unsigned j = 0; j < 2; ++j) {
      Rotation made;
      made.x = rotated(turned->getOperand(j), made.interleaved, made.parts);
      if (!made.x || (straight.getA() != made.x && straight.getB() != made.x))
        continue;
      made.sin = turned->getOperand(1 - j);
      made.cos = straight.getA() == made.x ? straight.getB() : straight.getA();
      made.parts.append({straight, turned});
      return made;
    }
  }
  return std::nullopt;
}

// value = a * b, with a or b being `part`: the other.
Value factorBeside(Value value, Value part) {
  auto mul = definedBy<onnx::MulOp>(value);
  if (!mul)
    return {};
  return mul.getA() == part ? Value(mul.getB()) : mul.getB() == part ? Value(mul.getA()) : Value();
}

// The parts x1 * cos - x2 * sin and x2 * cos + x1 * sin, joined.
std::optional<Rotation> readParts(Operation *op) {
  Rotation made;
  made.isHalf = true;
  if (!isa<onnx::ConcatOp, onnx::ReshapeOp>(op))
    return std::nullopt;
  auto sides = joined(op->getResult(0), made.interleaved, made.parts);
  // A difference, also as a sum with what is negated.
  Operation *sub = sides ? sides->first.getDefiningOp() : nullptr;
  auto add = sides ? definedBy<onnx::AddOp>(sides->second) : onnx::AddOp();
  onnx::MulOp left, right;
  if (isa_and_nonnull<onnx::SubOp>(sub)) {
    left = definedBy<onnx::MulOp>(sub->getOperand(0)), right = definedBy<onnx::MulOp>(sub->getOperand(1));
  } else if (isa_and_nonnull<onnx::AddOp>(sub)) {
    for (unsigned i : {0, 1})
      if (Value turned = negated(sub->getOperand(i))) {
        left = definedBy<onnx::MulOp>(sub->getOperand(1 - i)), right = definedBy<onnx::MulOp>(turned);
        made.parts.push_back(sub->getOperand(i).getDefiningOp());
      }
  }
  if (!add || !left || !right)
    return std::nullopt;
  for (Value first : left->getOperands())
    for (Value second : right->getOperands()) {
      Value x = partOf(first, false, made.interleaved);
      if (!x || x != partOf(second, true, made.interleaved))
        continue;
      made.x = x;
      made.cos = factorBeside(left, first);
      made.sin = factorBeside(right, second);
      for (unsigned i : {0, 1})
        if (factorBeside(add->getOperand(i), second) == made.cos &&
            factorBeside(add->getOperand(1 - i), first) == made.sin) {
          made.parts.append(
              {sub, add, left, right, add->getOperand(0).getDefiningOp(), add->getOperand(1).getDefiningOp()});
          llvm::erase(made.parts, op);
          return made;
        }
    }
  return std::nullopt;
}

// Where a cache [batch, 1, sequence, dim] or [batch, sequence, 1, dim] meets x, leading ones left out or not.
struct Layout {
  bool headsFirst = true;
  bool oneBatch = false; // the same for the whole batch
};
std::optional<Layout> layoutOf(Value cache, RankedTensorType x, int64_t width) {
  RankedTensorType type = rankedType(cache);
  if (!type || type.getRank() < 2 || type.getRank() > 4 || type.getShape().back() != width)
    return std::nullopt;
  int64_t skip = 4 - type.getRank();
  auto isOne = [&](int64_t i) { return i < skip || type.getDimSize(i - skip) == 1; };
  auto same = [&](int64_t i) { return i >= skip && reaches(cache, 3 - i, x); };
  if (!same(0) && !isOne(0))
    return std::nullopt;
  for (bool headsFirst : {true, false})
    if (isOne(headsFirst ? 1 : 2) && same(headsFirst ? 2 : 1))
      return Layout{headsFirst, !same(0)};
  return std::nullopt;
}

// [sequence, 1, 1, dim] caches for x of [sequence, batch, heads, dim].
bool isSequenceFirst(Value cache, RankedTensorType x) {
  RankedTensorType type = rankedType(cache);
  return type && type.getRank() == 4 && type.getDimSize(0) != 1 && type.getDimSize(1) == 1 && type.getDimSize(2) == 1 &&
         reaches(cache, 3, x);
}

// The [batch, sequence, dim / 2] cache for the operator.
Value makeCache(OpBuilder &builder, Value value, const Rotation &rotation, Layout layout, RankedTensorType x,
                Value of) {
  Location loc = value.getLoc();
  Value half = rotation.isHalf ? value : halve(builder, value, rotation.interleaved);
  // What was unsqueezed over the heads just before needs no Squeeze after; Casts in between move in front.
  SmallVector<Operation *> casts;
  Value plain = half;
  while (plain && isa_and_nonnull<onnx::CastOp>(plain.getDefiningOp())) {
    casts.push_back(plain.getDefiningOp());
    plain = plain.getDefiningOp()->getOperand(0);
  }
  int64_t rank = half ? rankedType(half).getRank() : 0, heads = rank - (layout.headsFirst ? 3 : 2);
  auto unsqueeze = half ? definedBy<onnx::UnsqueezeOp>(plain) : onnx::UnsqueezeOp();
  auto axes = unsqueeze ? onnx::getConstantInts(unsqueeze.getAxes()) : std::nullopt;
  auto one = [&](int64_t axis) { return onnx::createI64s(builder, loc, axis); };
  auto apply = [&](Value made) {
    return made && onnx::getConstantAttr(made.getDefiningOp()->getOperand(0)) ? foldOrKeep(made.getDefiningOp()) : made;
  };
  if (heads >= 0 && axes && axes->size() == 1 && (axes->front() < 0 ? axes->front() + rank : axes->front()) == heads) {
    half = unsqueeze.getData();
    for (Operation *cast : llvm::reverse(casts)) {
      Operation *made = half ? build(builder, cast->getLoc(), onnx::CastOp::getOperationName(), half,
                                     cast->getAttrDictionary().getValue())
                             : nullptr;
      half = made ? made->getResult(0) : Value();
    }
  } else if (half && heads >= 0 && !(rank == 3 && layout.headsFirst)) {
    half = apply(build<onnx::SqueezeOp>(builder, loc, {half, one(heads)}));
  }
  if (half && rankedType(half).getRank() == 2)
    half = apply(build<onnx::UnsqueezeOp>(builder, loc, {half, one(0)}));
  if (!half || rankedType(half).getRank() != 3 || !layout.oneBatch || x.getDimSize(0) == 1)
    return half;
  Value to = onnx::createI64s(builder, loc, {x.getDimSize(0), 1, 1});
  if (x.isDynamicDim(0)) {
    Value batch = build<onnx::ShapeOp>(builder, loc, of,
                                       {builder.getNamedAttr("start", builder.getI64IntegerAttr(0)),
                                        builder.getNamedAttr("end", builder.getI64IntegerAttr(1))});
    to = build<onnx::ConcatOp>(builder, loc, {batch, onnx::createI64s(builder, loc, {1, 1})},
                               builder.getNamedAttr("axis", builder.getI64IntegerAttr(0)));
  }
  return to ? build<onnx::ExpandOp>(builder, loc, {half, to}) : Value();
}

// %x * cos + turned(%x) * sin, in either spelling   ->   RotaryEmbedding(%x, cos', sin')
//  - %x is [batch, heads, sequence, dim], or [batch, sequence, heads, dim] with heads static; dim static and even
//  - cos and sin hold each angle twice, side by side or interleaved as %x is turned; cos', sin' hold it once
//  - nothing else uses the products or what is turned
bool visit(Operation *op) {
  auto rotation = readSum(op);
  if (!rotation)
    rotation = readParts(op);
  if (!rotation)
    return false;
  auto miss = [&](StringRef why) { return missed(op, passName, "RotaryEmbedding", why); };
  RankedTensorType x = rankedType(rotation->x);
  if (x.getRank() != 4 && x.getRank() != 3)
    return miss("the operand is not [batch, heads, sequence, dim]");
  for (Operation *part : rotation->parts)
    if (!part->hasOneUse())
      return miss("a part has several uses");
  OpBuilder builder(op);
  SmallVector<Operation *> parts(rotation->parts);
  parts.push_back(op);
  Location loc = fuse(parts);
  Value operand = rotation->x;
  bool isThin = x.getRank() == 3;
  if (isThin) {
    // Heads within the batch, or no batch: one more dim of size 1.
    operand = build<onnx::UnsqueezeOp>(builder, loc, {operand, onnx::createI64s(builder, loc, 0)});
    SmallVector<int64_t> shape = {1};
    SmallVector<StringRef> names = {""};
    for (int64_t i = 0; i < 3; ++i) {
      shape.push_back(x.getDimSize(i));
      names.push_back(onnx::getDimName(x, i));
    }
    x = onnx::getTensorType(shape, x.getElementType(), names);
    operand.setType(x);
  }
  int64_t width = rotation->isHalf ? x.getShape().back() / 2 : x.getShape().back();
  auto layout = layoutOf(rotation->cos, x, width), other = layoutOf(rotation->sin, x, width);
  bool isTurned = !layout && isSequenceFirst(rotation->cos, x) && isSequenceFirst(rotation->sin, x);
  if (isTurned) {
    auto turned = [&](Value value) {
      return build<onnx::TransposeOp>(builder, loc, value,
                                      builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr({1, 0, 2, 3})));
    };
    operand = turned(operand), rotation->cos = turned(rotation->cos), rotation->sin = turned(rotation->sin);
    x = rankedType(operand);
    layout = layoutOf(rotation->cos, x, width), other = layoutOf(rotation->sin, x, width);
  }
  if (!layout || !other || layout->headsFirst != other->headsFirst)
    return miss("cos and sin do not have the batch, sequence and dim of the operand, as far as is known");
  if (!rotation->isHalf &&
      (!isTwice(rotation->cos, rotation->interleaved) || !isTwice(rotation->sin, rotation->interleaved)))
    return miss("the two halves of cos or sin are not provably the same");
  if (!layout->headsFirst && x.isDynamicDim(2))
    return miss("the number of heads is not known");
  Value cos = makeCache(builder, rotation->cos, *rotation, *layout, x, operand);
  Value sin = makeCache(builder, rotation->sin, *rotation, *other, x, operand);
  SmallVector<NamedAttribute> attributes;
  if (rotation->interleaved)
    attributes.push_back(builder.getNamedAttr("interleaved", builder.getI64IntegerAttr(1)));
  int64_t heads = x.getDimSize(2), dim = x.getDimSize(3);
  if (!layout->headsFirst) {
    operand = build<onnx::ReshapeOp>(builder, loc, {operand, onnx::createI64s(builder, loc, {0, 0, heads * dim})});
    attributes.push_back(builder.getNamedAttr("num_heads", builder.getI64IntegerAttr(heads)));
  }
  Value made =
      cos && sin && operand
          ? build<onnx::RotaryEmbeddingOp>(builder, loc, {operand, cos, sin, noValue(builder, loc)}, attributes)
          : Value();
  if (made && !layout->headsFirst)
    made = build<onnx::ReshapeOp>(builder, loc, {made, onnx::createI64s(builder, loc, {0, 0, heads, dim})});
  if (made && isTurned)
    made = build<onnx::TransposeOp>(builder, loc, made,
                                    builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr({1, 0, 2, 3})));
  if (made && isThin)
    made = build<onnx::SqueezeOp>(builder, loc, {made, onnx::createI64s(builder, loc, 0)});
  if (!made)
    return miss("the caches cannot be rebuilt at half width");
  Operation *node = made.getDefiningOp();
  if (!replace(op, made)) {
    eraseDead(node);
    return miss("an output of the graph keeps its type");
  }
  passed(node, passName, "RotaryEmbedding");
  return true;
}

// Concat(RotaryEmbedding(%x[:r], cos, sin), %x[r:])   ->   RotaryEmbedding(%x, cos, sin) {rotary_embedding_dim = r}
//  - nothing else uses the rotated part; heads after the sequence too, between Reshapes
bool visitPartial(Operation *op) {
  auto concat = dyn_cast<onnx::ConcatOp>(op);
  Value rotated = concat && op->getNumOperands() == 2 ? op->getOperand(0) : Value();
  auto merge = definedBy<onnx::ReshapeOp>(rotated);
  auto rotary = definedBy<onnx::RotaryEmbeddingOp>(merge ? Value(merge.getData()) : rotated);
  auto split = merge && rotary ? definedBy<onnx::ReshapeOp>(rotary.getX()) : onnx::ReshapeOp();
  if (!rotary || (merge && !split) || concat.getAxis() != (concat.getAxis() < 0 ? -1 : 3) ||
      rotary.getRotaryEmbeddingDim() != 0)
    return false;
  auto turned = rangeOf(split ? Value(split.getData()) : Value(rotary.getX())), kept = rangeOf(op->getOperand(1));
  RankedTensorType type = turned ? rankedType(turned->x) : RankedTensorType();
  if (!type || !kept || type.getRank() != 4 || turned->x != kept->x || turned->begin != 0 || turned->step != 1 ||
      kept->step != 1 || kept->begin != turned->end || kept->end != type.getShape().back())
    return false;
  if (!rotary.getY().hasOneUse() || !rotated.hasOneUse())
    return missed(op, passName, "Partial", "the rotated part has several uses");
  int64_t heads = type.getDimSize(split ? 2 : 1), dim = type.getDimSize(3);
  if (ShapedType::isDynamic(heads))
    return missed(op, passName, "Partial", "the number of heads is not known");
  OpBuilder builder(op);
  Location loc = fuse({rotary, op});
  NamedAttrList attributes(rotary->getAttrs());
  attributes.set("rotary_embedding_dim", builder.getI64IntegerAttr(turned->end));
  attributes.set("num_heads", builder.getI64IntegerAttr(heads));
  SmallVector<Value> operands(rotary->getOperands());
  operands[0] = turned->x;
  if (split)
    operands[0] =
        build<onnx::ReshapeOp>(builder, loc, {turned->x, onnx::createI64s(builder, loc, {0, 0, heads * dim})});
  Operation *node = operands[0] ? build(builder, loc, rotary->getName().getStringRef(), operands, attributes) : nullptr;
  Value made = node ? node->getResult(0) : Value();
  if (made && split)
    made = build<onnx::ReshapeOp>(builder, loc, {made, onnx::createI64s(builder, loc, {0, 0, heads, dim})});
  return replaceBy(op, made, passName, "Partial");
}

class RaiseRotary : public impl::RaiseRotaryBase<RaiseRotary> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) { return visit(op) || visitPartial(op); });
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
