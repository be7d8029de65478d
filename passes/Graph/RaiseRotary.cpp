// Rotary embeddings spelled out as x * cos + turned(x) * sin, recognised from their sum, or from the two parts that are
// joined after it. The operator wants each angle once, exporters write them twice, side by side or one after the other:
// the caches are rebuilt at half width through what made them. Must not run where that is not provable.
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

bool isLast(int64_t axis, Value value) {
  RankedTensorType type = rankedType(value);
  return type && (axis < 0 ? axis + type.getRank() : axis) == type.getRank() - 1;
}

bool isScalar(Value value) {
  RankedTensorType type = staticType(value);
  return type && type.getNumElements() == 1 && type.getRank() <= 1 && onnx::getConstantAttr(value);
}

// value = x[..., begin : end : step] along the last dim alone.
struct Range {
  Value x;
  int64_t begin = 0, end = 0, step = 1;
};
std::optional<Range> rangeOf(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return std::nullopt;
  Value x = op->getNumOperands() ? op->getOperand(0) : Value();
  if (auto split = dyn_cast<onnx::SplitOp>(op)) {
    if (!isLast(split.getAxis(), x))
      return std::nullopt;
    int64_t begin = 0;
    for (Value part : op->getResults()) {
      if (ShapedType::isDynamic(lastDim(part)))
        return std::nullopt;
      if (part == value)
        return Range{x, begin, begin + lastDim(part), 1};
      begin += lastDim(part);
    }
  }
  auto slice = dyn_cast<onnx::SliceOp>(op);
  int64_t size = slice ? lastDim(x) : ShapedType::kDynamic;
  if (ShapedType::isDynamic(size))
    return std::nullopt;
  auto starts = onnx::getConstantInts(slice.getStarts()), ends = onnx::getConstantInts(slice.getEnds());
  auto axes = onnx::isNone(slice.getAxes()) ? std::nullopt : onnx::getConstantInts(slice.getAxes());
  auto steps = onnx::isNone(slice.getSteps()) ? std::nullopt : onnx::getConstantInts(slice.getSteps());
  if (!starts || !ends || !axes || starts->size() != 1 || axes->size() != 1 || !isLast(axes->front(), x) ||
      (!steps && !onnx::isNone(slice.getSteps())) || (steps && steps->front() < 1))
    return std::nullopt;
  auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
  return Range{x, clamp(starts->front()), clamp(ends->front()), steps ? steps->front() : 1};
}

// What of its last dim a rotation turns: the two halves, or the elements of even and odd place.
Value partOf(Value value, bool second, bool interleaved) {
  if (interleaved)
    // Gather(Reshape(x, [..., d / 2, 2]), 0 or 1) along the last dim.
    if (auto gather = definedBy<onnx::GatherOp>(value)) {
      auto index = onnx::getConstantInt(gather.getIndices());
      auto pairs = definedBy<onnx::ReshapeOp>(gather.getData());
      RankedTensorType type = pairs ? rankedType(pairs.getResult()) : RankedTensorType();
      RankedTensorType x = pairs ? rankedType(pairs->getOperand(0)) : RankedTensorType();
      bool fits = type && x && rankedType(gather.getIndices()).getRank() == 0 && isLast(gather.getAxis(), pairs) &&
                  index == int64_t(second) && type.getRank() == x.getRank() + 1 && type.getShape().back() == 2 &&
                  lastDim(pairs->getOperand(0)) == 2 * type.getDimSize(type.getRank() - 2);
      return fits ? Value(pairs->getOperand(0)) : Value();
    }
  auto range = rangeOf(value);
  int64_t size = range ? lastDim(range->x) : 1;
  if (size % 2)
    return {};
  bool fits = interleaved ? range->begin == int64_t(second) && range->step == 2 && range->end >= size - 1 + second
                          : range->begin == (second ? size / 2 : 0) && range->end == (second ? size : size / 2) &&
                                range->step == 1;
  return fits ? range->x : Value();
}

// The two parts that make up value: Concat(a, b), or Reshape(Concat(Unsqueeze(a), Unsqueeze(b))) for interleaved ones.
std::optional<std::pair<Value, Value>> joined(Value value, bool &interleaved, SmallVectorImpl<Operation *> &parts) {
  Operation *op = value.getDefiningOp();
  interleaved = isa_and_nonnull<onnx::ReshapeOp>(op);
  auto concat = interleaved ? definedBy<onnx::ConcatOp>(op->getOperand(0)) : dyn_cast_or_null<onnx::ConcatOp>(op);
  if (!concat || concat->getNumOperands() != 2 || !isLast(concat.getAxis(), concat))
    return std::nullopt;
  parts.push_back(concat);
  if (!interleaved)
    return std::make_pair(concat->getOperand(0), concat->getOperand(1));
  parts.push_back(op);
  Value sides[2];
  for (unsigned i : {0, 1}) {
    auto unsqueeze = definedBy<onnx::UnsqueezeOp>(concat->getOperand(i));
    auto axes = unsqueeze ? onnx::getConstantInts(unsqueeze.getAxes()) : std::nullopt;
    if (!axes || axes->size() != 1 || !isLast(axes->front(), unsqueeze))
      return std::nullopt;
    parts.push_back(unsqueeze);
    sides[i] = unsqueeze.getData();
  }
  bool back = lastDim(value) == 2 * lastDim(sides[0]) && rankedType(sides[0]) &&
              rankedType(value).getRank() == rankedType(sides[0]).getRank();
  return back ? std::optional(std::make_pair(sides[0], sides[1])) : std::nullopt;
}

// value = the parts of x, the second negated, in the other order: that x.
Value rotated(Value value, bool &interleaved, SmallVectorImpl<Operation *> &parts) {
  auto sides = joined(value, interleaved, parts);
  auto neg = sides ? definedBy<onnx::NegOp>(sides->first) : onnx::NegOp();
  Value x = neg ? partOf(neg.getX(), true, interleaved) : Value();
  return x && x == partOf(sides->second, false, interleaved) ? x : Value();
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
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    auto axes = onnx::isNone(slice.getAxes()) ? std::nullopt : onnx::getConstantInts(slice.getAxes());
    return axes && llvm::none_of(*axes, [&](int64_t axis) { return isLast(axis, slice.getData()); });
  }
  if (isa<onnx::UnsqueezeOp, onnx::SqueezeOp>(op)) {
    Value ranked = isa<onnx::UnsqueezeOp>(op) ? op->getResult(0) : op->getOperand(0);
    auto axes = onnx::isNone(op->getOperand(1)) ? std::nullopt : onnx::getConstantInts(op->getOperand(1));
    return rankedType(ranked) && axes && llvm::none_of(*axes, [&](int64_t axis) { return isLast(axis, ranked); });
  }
  return false;
}

// value holds every element of a narrower value twice, side by side or (interleaved) one after the other: that value.
Value doubled(Operation *op, bool interleaved) {
  if (!interleaved) {
    auto concat = dyn_cast<onnx::ConcatOp>(op);
    bool twice = concat && op->getNumOperands() == 2 && op->getOperand(0) == op->getOperand(1) &&
                 isLast(concat.getAxis(), op->getResult(0));
    return twice ? op->getOperand(0) : Value();
  }
  if (!isa<onnx::ReshapeOp>(op))
    return {};
  SmallVector<Operation *> parts;
  bool isPairs = false;
  if (auto sides = joined(op->getResult(0), isPairs, parts); sides && sides->first == sides->second)
    return sides->first;
  Operation *repeat = op->getOperand(0).getDefiningOp();
  auto unsqueeze = isa_and_nonnull<onnx::ExpandOp, onnx::TileOp>(repeat)
                       ? definedBy<onnx::UnsqueezeOp>(repeat->getOperand(0))
                       : onnx::UnsqueezeOp();
  auto axes = unsqueeze ? onnx::getConstantInts(unsqueeze.getAxes()) : std::nullopt;
  RankedTensorType wide = axes ? rankedType(repeat->getResult(0)) : RankedTensorType();
  RankedTensorType thin = wide ? rankedType(unsqueeze.getData()) : RankedTensorType();
  if (!thin || axes->size() != 1 || !isLast(axes->front(), unsqueeze) || wide.getRank() != thin.getRank() + 1 ||
      wide.getShape().back() != 2 || lastDim(op->getResult(0)) != 2 * thin.getShape().back() ||
      rankedType(op->getResult(0)).getRank() != thin.getRank())
    return {};
  for (int64_t i = 0; i < thin.getRank(); ++i)
    if (!sameDim(thin, i, wide, i))
      return {};
  return unsqueeze.getData();
}

// True if value's last dim holds everything twice, provably.
bool isTwice(Value value, bool interleaved, unsigned depth = 0) {
  int64_t size = lastDim(value);
  if (ShapedType::isDynamic(size) || size % 2 || depth > 8)
    return false;
  if (ElementsAttr attr = onnx::getConstantAttr(value)) {
    auto literal = readLiteral(attr);
    if (!literal || literal->splat)
      return literal.has_value();
    size_t width = literal->bytes.size() / literal->count(), run = interleaved ? width : width * size / 2;
    for (const char *row = literal->bytes.begin(); row != literal->bytes.end(); row += 2 * run)
      if (std::memcmp(row, row + run, run) != 0)
        return false;
    return true;
  }
  Operation *op = value.getDefiningOp();
  if (!op || doubled(op, interleaved))
    return op != nullptr;
  return keepsLastDim(op) && isTwice(op->getOperand(0), interleaved, depth + 1);
}

// One of each two elements of a value for which isTwice holds.
Value halve(OpBuilder &builder, Value value, bool interleaved) {
  Operation *op = value.getDefiningOp();
  if (onnx::getConstantAttr(value)) {
    Location loc = value.getLoc();
    auto ints = [&](int64_t x) { return onnx::createI64s(builder, loc, x); };
    int64_t size = lastDim(value);
    Value half = build<onnx::SliceOp>(
        builder, loc,
        {value, ints(0), ints(interleaved ? size : size / 2), ints(-1), interleaved ? ints(2) : noValue(builder, loc)});
    return half ? foldOrKeep(half.getDefiningOp()) : Value();
  }
  if (Value one = doubled(op, interleaved))
    return one;
  SmallVector<Value> operands(op->getOperands());
  operands[0] = halve(builder, operands[0], interleaved);
  Operation *made = operands[0] ? build(builder, op->getLoc(), op->getName().getStringRef(), operands,
                                        op->getAttrDictionary().getValue())
                                : nullptr;
  if (!made)
    return {};
  // Names of dims that inference does not find again.
  RankedTensorType old = rankedType(value), type = rankedType(made->getResult(0));
  if (old && type && old.getRank() == type.getRank() && !type.hasStaticShape()) {
    SmallVector<StringRef> names;
    SmallVector<int64_t> shape(old.getShape());
    shape.back() = type.getShape().back();
    for (int64_t i = 0; i < old.getRank(); ++i)
      names.push_back(onnx::getDimName(old, i));
    made->getResult(0).setType(onnx::getTensorType(shape, type.getElementType(), names));
  }
  return made->getResult(0);
}

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
  auto sub = sides ? definedBy<onnx::SubOp>(sides->first) : onnx::SubOp();
  auto add = sides ? definedBy<onnx::AddOp>(sides->second) : onnx::AddOp();
  auto left = sub ? definedBy<onnx::MulOp>(sub.getA()) : onnx::MulOp();
  auto right = sub ? definedBy<onnx::MulOp>(sub.getB()) : onnx::MulOp();
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
  auto same = [&](int64_t i) { return i >= skip && sameDim(type, i - skip, x, i); };
  if (!same(0) && !isOne(0))
    return std::nullopt;
  for (bool headsFirst : {true, false})
    if (isOne(headsFirst ? 1 : 2) && same(headsFirst ? 2 : 1))
      return Layout{headsFirst, !same(0)};
  return std::nullopt;
}

// The [batch, sequence, dim / 2] cache for the operator.
Value makeCache(OpBuilder &builder, Value value, const Rotation &rotation, Layout layout) {
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
  RankedTensorType x = rankedType(rotation.x);
  if (!half || rankedType(half).getRank() != 3 || !layout.oneBatch || x.getDimSize(0) == 1)
    return half;
  Value to = onnx::createI64s(builder, loc, {x.getDimSize(0), 1, 1});
  if (x.isDynamicDim(0)) {
    Value batch = build<onnx::ShapeOp>(builder, loc, rotation.x,
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
  if (x.getRank() != 4)
    return miss("the operand is not [batch, heads, sequence, dim]");
  for (Operation *part : rotation->parts)
    if (!part->hasOneUse())
      return miss("a part has several uses");
  int64_t width = rotation->isHalf ? x.getShape().back() / 2 : x.getShape().back();
  auto layout = layoutOf(rotation->cos, x, width), other = layoutOf(rotation->sin, x, width);
  if (!layout || !other || layout->headsFirst != other->headsFirst)
    return miss("cos and sin do not have the batch, sequence and dim of the operand, as far as is known");
  if (!rotation->isHalf &&
      (!isTwice(rotation->cos, rotation->interleaved) || !isTwice(rotation->sin, rotation->interleaved)))
    return miss("the two halves of cos or sin are not provably the same");
  if (!layout->headsFirst && x.isDynamicDim(2))
    return miss("the number of heads is not known");
  OpBuilder builder(op);
  SmallVector<Operation *> parts(rotation->parts);
  parts.push_back(op);
  Location loc = fuse(parts);
  Value cos = makeCache(builder, rotation->cos, *rotation, *layout);
  Value sin = makeCache(builder, rotation->sin, *rotation, *other);
  SmallVector<NamedAttribute> attributes;
  if (rotation->interleaved)
    attributes.push_back(builder.getNamedAttr("interleaved", builder.getI64IntegerAttr(1)));
  Value operand = rotation->x;
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
//  - nothing else uses the rotated part
bool visitPartial(Operation *op) {
  auto concat = dyn_cast<onnx::ConcatOp>(op);
  auto rotary = concat && op->getNumOperands() == 2 ? definedBy<onnx::RotaryEmbeddingOp>(op->getOperand(0))
                                                    : onnx::RotaryEmbeddingOp();
  if (!rotary || !isLast(concat.getAxis(), concat) || rotary.getRotaryEmbeddingDim() != 0)
    return false;
  auto turned = rangeOf(rotary.getX()), kept = rangeOf(op->getOperand(1));
  RankedTensorType type = turned ? rankedType(turned->x) : RankedTensorType();
  if (!type || !kept || type.getRank() != 4 || turned->x != kept->x || turned->begin != 0 || turned->step != 1 ||
      kept->step != 1 || kept->begin != turned->end || kept->end != type.getShape().back())
    return false;
  if (!rotary.getY().hasOneUse())
    return missed(op, passName, "Partial", "the rotated part has several uses");
  if (type.isDynamicDim(1))
    return missed(op, passName, "Partial", "the number of heads is not known");
  OpBuilder builder(op);
  NamedAttrList attributes(rotary->getAttrs());
  attributes.set("rotary_embedding_dim", builder.getI64IntegerAttr(turned->end));
  attributes.set("num_heads", builder.getI64IntegerAttr(type.getDimSize(1)));
  SmallVector<Value> operands(rotary->getOperands());
  operands[0] = turned->x;
  Operation *made = build(builder, fuse({rotary, op}), rotary->getName().getStringRef(), operands, attributes);
  return made && replaceBy(op, made->getResult(0), passName, "Partial");
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
