// What a rotary embedding is made of, read from the operators that spell it out: the parts of a head that are turned,
// how they are joined, and caches that hold every angle twice.
#include "passes/Graph/Rotations.h"
#include "passes/Graph/Fold.h"

#include <cstring>

using namespace mlir;

namespace burin::graph {

int64_t lastDim(Value value) {
  RankedTensorType type = rankedType(value);
  return type && type.getRank() ? type.getShape().back() : ShapedType::kDynamic;
}

static bool isLast(int64_t axis, Value value) {
  RankedTensorType type = rankedType(value);
  return type && (axis < 0 ? axis + type.getRank() : axis) == type.getRank() - 1;
}

static bool isScalar(Value value) {
  RankedTensorType type = staticType(value);
  return type && type.getNumElements() == 1 && type.getRank() <= 1 && onnx::getConstantAttr(value);
}

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

Value negated(Value value) {
  if (auto neg = definedBy<onnx::NegOp>(value))
    return neg.getX();
  auto mul = definedBy<onnx::MulOp>(value);
  for (unsigned i = 0; mul && i < 2; ++i)
    if (isScalar(mul->getOperand(i)) && uniform(mul->getOperand(i)) == std::optional<double>(-1))
      return mul->getOperand(1 - i);
  return {};
}

// value = pairs[..., index], where the last dim of pairs is of two: the pairs.
static onnx::ReshapeOp pairsOf(Value value, int64_t index) {
  if (auto gather = definedBy<onnx::GatherOp>(value)) {
    bool fits = onnx::getConstantInt(gather.getIndices()) == index && rankedType(gather.getIndices()).getRank() == 0 &&
                isLast(gather.getAxis(), gather.getData());
    return fits ? definedBy<onnx::ReshapeOp>(gather.getData()) : onnx::ReshapeOp();
  }
  auto squeeze = definedBy<onnx::SqueezeOp>(value);
  auto axes = squeeze && !onnx::isNone(squeeze.getAxes()) ? onnx::getConstantInts(squeeze.getAxes()) : std::nullopt;
  auto range =
      axes && axes->size() == 1 && isLast(axes->front(), squeeze.getData()) ? rangeOf(squeeze.getData()) : std::nullopt;
  bool fits = range && range->begin == index && range->end == index + 1;
  return fits ? definedBy<onnx::ReshapeOp>(range->x) : onnx::ReshapeOp();
}

Value partOf(Value value, bool second, bool interleaved) {
  if (interleaved)
    // An element of Reshape(x, [..., d / 2, 2]).
    if (auto pairs = pairsOf(value, second)) {
      RankedTensorType type = rankedType(pairs.getResult()), x = rankedType(pairs->getOperand(0));
      bool fits = type && x && type.getRank() == x.getRank() + 1 && type.getShape().back() == 2 &&
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

// The dims of `wide`, but for its last, are those of `thin` with some of size 1 put in between: which those are.
static std::optional<SmallVector<int64_t>> insertedOnes(RankedTensorType thin, RankedTensorType wide) {
  SmallVector<int64_t> axes;
  int64_t at = 0;
  for (int64_t i = 0; thin && wide && i + 1 < wide.getRank(); ++i) {
    if (at + 1 < thin.getRank() && sameDim(thin, at, wide, i))
      ++at;
    else if (wide.getDimSize(i) == 1)
      axes.push_back(i);
    else
      return std::nullopt;
  }
  return thin && wide && at + 1 == thin.getRank() ? std::optional(axes) : std::nullopt;
}

std::optional<std::pair<Value, Value>> joined(Value value, bool &interleaved, SmallVectorImpl<Operation *> &parts) {
  Operation *op = value.getDefiningOp();
  bool isStack = isa_and_nonnull<onnx::ReshapeOp>(op);
  interleaved = isStack;
  auto concat = isStack ? definedBy<onnx::ConcatOp>(op->getOperand(0)) : dyn_cast_or_null<onnx::ConcatOp>(op);
  RankedTensorType type = concat ? rankedType(concat.getResult()) : RankedTensorType();
  if (!type || concat->getNumOperands() != 2)
    return std::nullopt;
  int64_t axis = concat.getAxis() < 0 ? concat.getAxis() + type.getRank() : concat.getAxis();
  // Stacked along the last dim they alternate, along the one before it they lie side by side.
  interleaved = isStack && axis == type.getRank() - 1;
  if (axis != type.getRank() - 1 && !(isStack && axis == type.getRank() - 2))
    return std::nullopt;
  parts.push_back(concat);
  if (!isStack)
    return std::make_pair(concat->getOperand(0), concat->getOperand(1));
  parts.push_back(op);
  Value sides[2];
  for (unsigned i : {0, 1}) {
    auto unsqueeze = definedBy<onnx::UnsqueezeOp>(concat->getOperand(i));
    auto axes = unsqueeze ? onnx::getConstantInts(unsqueeze.getAxes()) : std::nullopt;
    if (!axes || axes->size() != 1 || (axes->front() < 0 ? axes->front() + type.getRank() : axes->front()) != axis)
      return std::nullopt;
    parts.push_back(unsqueeze);
    sides[i] = unsqueeze.getData();
  }
  bool back = !ShapedType::isDynamic(lastDim(sides[0])) && lastDim(value) == 2 * lastDim(sides[0]) &&
              insertedOnes(rankedType(sides[0]), rankedType(value));
  return back ? std::optional(std::make_pair(sides[0], sides[1])) : std::nullopt;
}

Value rotated(Value value, bool &interleaved, SmallVectorImpl<Operation *> &parts) {
  auto sides = joined(value, interleaved, parts);
  Value turned = sides ? negated(sides->first) : Value();
  Value x = turned ? partOf(turned, true, interleaved) : Value();
  bool same = x && rankedType(x) && rankedType(x).getRank() == rankedType(value).getRank();
  return same && x == partOf(sides->second, false, interleaved) ? x : Value();
}

// Operators that make each element of the last dim from the same element of their first operand's.
static bool keepsLastDim(Operation *op) {
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
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
    RankedTensorType type = rankedType(transpose.getData());
    return type && type.getRank() && permutation(transpose, type.getRank()).back() == type.getRank() - 1;
  }
  if (isa<onnx::UnsqueezeOp, onnx::SqueezeOp>(op)) {
    Value ranked = isa<onnx::UnsqueezeOp>(op) ? op->getResult(0) : op->getOperand(0);
    auto axes = onnx::isNone(op->getOperand(1)) ? std::nullopt : onnx::getConstantInts(op->getOperand(1));
    return rankedType(ranked) && axes && llvm::none_of(*axes, [&](int64_t axis) { return isLast(axis, ranked); });
  }
  return false;
}

// True if `op` repeats its operand twice along the last dim and not along any other.
static bool repeatsLast(Operation *op) {
  RankedTensorType from = rankedType(op->getOperand(0)), to = rankedType(op->getResult(0));
  if (!from || !to || from.getRank() != to.getRank() || from.getRank() == 0 ||
      to.getShape().back() != 2 * from.getShape().back() || from.isDynamicDim(from.getRank() - 1))
    return false;
  if (auto repeats = isa<onnx::TileOp>(op) ? onnx::getConstantInts(op->getOperand(1)) : std::nullopt)
    return llvm::all_of(ArrayRef(*repeats).drop_back(), [](int64_t n) { return n == 1; });
  for (int64_t i = 0; i + 1 < from.getRank(); ++i)
    if (!sameDim(from, i, to, i))
      return false;
  return true;
}

// True if a Gather takes each of `count` elements of the last dim twice, side by side or one after the other.
static bool gathersTwice(onnx::GatherOp op, bool interleaved) {
  int64_t count = lastDim(op.getData());
  auto places = isLast(op.getAxis(), op.getData()) ? onnx::getConstantInts(op.getIndices()) : std::nullopt;
  if (!places || ShapedType::isDynamic(count) || int64_t(places->size()) != 2 * count)
    return false;
  for (auto [i, place] : llvm::enumerate(*places))
    if (place != (interleaved ? int64_t(i) / 2 : int64_t(i) % count))
      return false;
  return true;
}

// What holds once, in the same order, what a value holds twice; `ones`: dims of size 1 that it lacks.
struct Once {
  Value source;
  SmallVector<int64_t> ones;
};

// value holds every element of a narrower value twice, side by side or (interleaved) one after the other: that value.
static std::optional<Once> doubled(Operation *op, bool interleaved) {
  if (auto gather = dyn_cast<onnx::GatherOp>(op))
    return gathersTwice(gather, interleaved) ? std::optional(Once{gather.getData(), {}}) : std::nullopt;
  if (!interleaved && isa<onnx::TileOp>(op) && repeatsLast(op))
    return Once{op->getOperand(0), {}};
  SmallVector<Operation *> parts;
  bool alternates = false;
  if (auto sides = joined(op->getResult(0), alternates, parts); sides && sides->first == sides->second)
    if (auto ones = insertedOnes(rankedType(sides->first), rankedType(op->getResult(0)));
        ones && alternates == interleaved)
      return Once{sides->first, *ones};
  // Each element of a dim of one repeated, and put back in line.
  Operation *repeat = isa<onnx::ReshapeOp>(op) ? op->getOperand(0).getDefiningOp() : nullptr;
  if (!interleaved || !isa_and_nonnull<onnx::ExpandOp, onnx::TileOp>(repeat) || !repeatsLast(repeat) ||
      lastDim(repeat->getOperand(0)) != 1)
    return std::nullopt;
  Operation *split = repeat->getOperand(0).getDefiningOp();
  if (!isa_and_nonnull<onnx::UnsqueezeOp, onnx::ReshapeOp>(split))
    return std::nullopt;
  Value source = split->getOperand(0);
  auto ones = insertedOnes(rankedType(source), rankedType(op->getResult(0)));
  bool fits = ones && lastDim(op->getResult(0)) == 2 * lastDim(source);
  return fits ? std::optional(Once{source, *ones}) : std::nullopt;
}

bool isTwice(Value value, bool interleaved, unsigned depth) {
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
  if (auto once = doubled(op, interleaved))
    return once->ones.empty()
               ? once->source
               : build<onnx::UnsqueezeOp>(builder, op->getLoc(),
                                          {once->source, onnx::createI64s(builder, op->getLoc(), once->ones)});
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

} // namespace burin::graph
