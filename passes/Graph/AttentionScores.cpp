// The scores of attention as exporters write them: scales, caps, masks added or put in place, ALiBi, two masks after
// one another, Reshapes between three dims and four, Casts. Every form becomes scale, cap and one bias.
#include "passes/Graph/AttentionScores.h"

using namespace mlir;

namespace burin::graph {

// A constant of one element that scales `other` and does not broadcast it.
static std::optional<double> factorOf(Value value, Value other) {
  RankedTensorType type = staticType(value), whole = rankedType(other);
  bool fits = type && whole && type.getNumElements() == 1 && type.getRank() <= whole.getRank();
  return fits ? uniform(value) : std::nullopt;
}

// value = inner * factor: the inner value.
static Value scaledBy(Operation *op, double &factor) {
  if (!isa_and_nonnull<onnx::MulOp, onnx::DivOp>(op))
    return {};
  bool isDiv = isa<onnx::DivOp>(op);
  if (auto right = factorOf(op->getOperand(1), op->getOperand(0)); right && (!isDiv || *right != 0)) {
    factor = isDiv ? 1 / *right : *right;
    return op->getOperand(0);
  }
  if (auto left = isDiv ? std::nullopt : factorOf(op->getOperand(0), op->getOperand(1))) {
    factor = *left;
    return op->getOperand(1);
  }
  return {};
}

void peelScale(Value &value, double &scale, SmallVectorImpl<Operation *> &parts) {
  double factor = 1;
  while (Operation *op = value.getDefiningOp()) {
    Value inner = op->hasOneUse() ? scaledBy(op, factor) : Value();
    if (!inner)
      return;
    scale *= factor;
    value = inner;
    parts.push_back(op);
  }
}

// One factor a row of scores or less: its two last dims are 1, or the very last alone.
static bool isRowFactor(Value value, Value scores) {
  RankedTensorType type = rankedType(value), whole = rankedType(scores);
  if (!type || !whole || type.getRank() > whole.getRank() || type.getRank() < 1 || type.getShape().back() != 1)
    return false;
  for (int64_t i = 0, skip = whole.getRank() - type.getRank(); i < type.getRank(); ++i)
    if (type.getDimSize(i) != 1 && !sameDim(type, i, whole, i + skip))
      return false;
  return true;
}

// Scores that count as "no key" when a constant replaces them: far enough below any other that adding it is the same.
static bool isFarBelow(double value, Type element) { return value <= (element.isF16() ? -6e4 : -1e8); }

// How many operators lie above the product of matrices that `value` is made of; nothing where there is none near.
static std::optional<unsigned> depthOfProduct(Value value, unsigned limit = 10) {
  Operation *op = value.getDefiningOp();
  if (!op || limit == 0)
    return std::nullopt;
  if (isa<onnx::MatMulOp>(op))
    return 0;
  std::optional<unsigned> least;
  unsigned count = isa<onnx::TanhOp, onnx::CastOp, onnx::ReshapeOp, onnx::UnsqueezeOp, onnx::DivOp>(op) ? 1
                   : isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::MaxOp>(op) ? std::min(2u, op->getNumOperands())
                                                                                 : 0;
  for (unsigned i = 0; i < count; ++i)
    if (auto depth = depthOfProduct(op->getOperand(i), limit - 1))
      least = std::min(least.value_or(limit), *depth + 1);
  if (auto where = dyn_cast<onnx::WhereOp>(op))
    for (Value side : {where.getX(), where.getY()})
      if (auto depth = depthOfProduct(side, limit - 1))
        least = std::min(least.value_or(limit), *depth + 1);
  return least;
}

// A Reshape that splits or joins leading dims and leaves queries and keys as they are.
static bool keepsLastTwo(Operation *op) {
  RankedTensorType from = rankedType(op->getOperand(0)), to = rankedType(op->getResult(0));
  if (!from || !to || from.getRank() < 3 || to.getRank() < 3)
    return false;
  return sameDim(from, from.getRank() - 1, to, to.getRank() - 1) &&
         sameDim(from, from.getRank() - 2, to, to.getRank() - 2);
}

StringRef readScores(Value value, Scores &scores) {
  double total = 1, factor = 1;
  while (Operation *op = value.getDefiningOp()) {
    RankedTensorType type = rankedType(value);
    if (auto product = dyn_cast<onnx::MatMulOp>(op)) {
      scores.product = product;
      scores.scale = total;
      return "";
    }
    if (!type || !isa<FloatType>(type.getElementType()))
      return "";
    scores.parts.push_back(op);
    auto step = [&](ScoreStep::Kind kind, Value operand, double number) {
      scores.steps.push_back({kind, operand, number, type});
    };
    bool isLate = scores.gain || scores.softcap > 0;
    if (Value inner = scaledBy(op, factor)) {
      total *= factor;
      value = inner;
    } else if (auto mul = dyn_cast<onnx::MulOp>(op)) {
      unsigned at = depthOfProduct(mul.getA()) && isRowFactor(mul.getB(), mul.getA()) ? 0 : 1;
      if (!depthOfProduct(mul->getOperand(at)) || !isRowFactor(mul->getOperand(1 - at), mul->getOperand(at)))
        return "";
      if (isLate)
        return "the scores are scaled twice by values";
      scores.gain = mul->getOperand(1 - at);
      value = mul->getOperand(at);
    } else if (isa<onnx::AddOp, onnx::SubOp>(op)) {
      auto a = depthOfProduct(op->getOperand(0)), b = depthOfProduct(op->getOperand(1));
      unsigned at = a && (!b || *a <= *b) ? 0 : 1;
      if ((!a && !b) || (isa<onnx::SubOp>(op) && at == 1))
        return "";
      if (isLate)
        return "the mask is scaled or capped by values too";
      step(ScoreStep::Add, op->getOperand(1 - at), isa<onnx::SubOp>(op) ? -total : total);
      value = op->getOperand(at);
    } else if (auto where = dyn_cast<onnx::WhereOp>(op)) {
      auto above = uniform(where.getX()), below = uniform(where.getY());
      bool keeps = below && isFarBelow(*below * total, type.getElementType());
      if (!keeps && !(above && isFarBelow(*above * total, type.getElementType())))
        return depthOfProduct(value) ? "what takes the place of a score is not far below all others" : "";
      if (isLate)
        return "the mask is scaled or capped by values too";
      step(keeps ? ScoreStep::Keep : ScoreStep::Drop, where.getCondition(), (keeps ? *below : *above) * total);
      value = keeps ? where.getX() : where.getY();
    } else if (auto max = dyn_cast<onnx::MaxOp>(op); max && max->getNumOperands() == 2) {
      // A limit at the lowest number: the bias will not be below it either.
      unsigned at = uniform(max->getOperand(0)) ? 1 : 0;
      auto limit = factorOf(max->getOperand(1 - at), max->getOperand(at));
      if (!limit || *limit * total > -6e4)
        return "";
      value = max->getOperand(at);
    } else if (auto tanh = dyn_cast<onnx::TanhOp>(op)) {
      if (isLate || total <= 0)
        return isLate ? "the scores are capped and scaled by values" : "the cap of the scores is not positive";
      // The operator divides by the cap before, and what is read below does so too.
      scores.softcap = total;
      value = tanh.getInput();
    } else if (auto cast = dyn_cast<onnx::CastOp>(op)) {
      RankedTensorType from = rankedType(cast.getInput());
      if (scores.isWide || !from || !type.getElementType().isF32() ||
          !(from.getElementType().isF16() || from.getElementType().isBF16()))
        return "";
      scores.isWide = true;
      value = cast.getInput();
    } else if (isa<onnx::ReshapeOp, onnx::UnsqueezeOp>(op) && keepsLastTwo(op)) {
      if (RankedTensorType from = rankedType(op->getOperand(0)); type.getRank() == 4 && from.getRank() == 3)
        scores.split = type;
      value = op->getOperand(0);
    } else {
      bool hasProduct = op->getNumOperands() && depthOfProduct(op->getOperand(0));
      return hasProduct ? "an operator between the product and the softmax is neither scale nor mask" : "";
    }
  }
  return "";
}

// True if a value of names, along `i` from the end, is cut to the size that is called `name`.
static bool isCutTo(Value value, int64_t i, StringRef name, unsigned depth = 0) {
  RankedTensorType type = rankedType(value);
  if (!type || name.empty() || depth > 8)
    return false;
  int64_t axis = type.getRank() - 1 - i;
  if (axis < 0 || type.getDimSize(axis) == 1 || (type.isDynamicDim(axis) && onnx::getDimName(type, axis) == name))
    return true;
  Operation *op = value.getDefiningOp();
  auto isNamed = [&](Value size) {
    auto shape = definedBy<onnx::ShapeOp>(size);
    RankedTensorType of = shape ? rankedType(shape.getData()) : RankedTensorType();
    int64_t at = shape ? int64_t(shape.getStart()) : 0;
    return of && at >= 0 && at < of.getRank() && shape.getEnd() == at + 1 && of.isDynamicDim(at) &&
           onnx::getDimName(of, at) == name;
  };
  if (auto slice = dyn_cast_or_null<onnx::SliceOp>(op)) {
    auto axes = onnx::isNone(slice.getAxes()) ? std::nullopt : onnx::getConstantInts(slice.getAxes());
    if (!axes || axes->size() != 1)
      return false;
    if ((axes->front() < 0 ? axes->front() + type.getRank() : axes->front()) != axis)
      return isCutTo(slice.getData(), i, name, depth + 1);
    auto start = onnx::getConstantInts(slice.getStarts());
    if (start && start->size() == 1 && start->front() == 0)
      return isNamed(slice.getEnds());
    // The last ones of a longer table: from end - n to end.
    auto sub = definedBy<onnx::SubOp>(slice.getStarts());
    return sub && sub.getA() == slice.getEnds() && isNamed(sub.getB());
  }
  if (auto unsqueeze = dyn_cast_or_null<onnx::UnsqueezeOp>(op)) {
    auto axes = onnx::getConstantInts(unsqueeze.getAxes());
    int64_t after =
        axes ? llvm::count_if(*axes, [&](int64_t a) { return (a < 0 ? a + type.getRank() : a) > axis; }) : 0;
    return axes && isCutTo(unsqueeze.getData(), i - after, name, depth + 1);
  }
  if (!isa_and_nonnull<onnx::WhereOp, onnx::CastOp, onnx::NotOp, onnx::AndOp, onnx::OrOp, onnx::AddOp, onnx::SubOp,
                       onnx::MulOp>(op))
    return false;
  return llvm::all_of(op->getOperands(), [&](Value operand) { return isCutTo(operand, i, name, depth + 1); });
}

bool reaches(Value mask, int64_t i, RankedTensorType scores) {
  RankedTensorType type = rankedType(mask);
  int64_t axis = type.getRank() - 1 - i, at = scores.getRank() - 1 - i;
  if (axis < 0)
    return false;
  return sameDim(type, axis, scores, at) ||
         (type.getDimSize(axis) != 1 && scores.isDynamicDim(at) && isCutTo(mask, i, onnx::getDimName(scores, at)));
}

StringRef whyNoBias(const Scores &scores, RankedTensorType type) {
  for (const ScoreStep &step : scores.steps) {
    RankedTensorType held = rankedType(step.operand), whole = step.scores;
    if (!held || held.getRank() > whole.getRank())
      return "a mask has more dims than the scores";
    bool isCondition = step.kind != ScoreStep::Add;
    if (isCondition ? !held.getElementType().isInteger(1) : held.getElementType() != whole.getElementType())
      return "a mask is not of the scores' type";
    for (int64_t i = 0, rank = held.getRank(); i < rank; ++i)
      if (held.getDimSize(rank - 1 - i) != 1 && !reaches(step.operand, i, whole))
        return "the mask could be larger than the scores";
    if (whole.getRank() == 5 && (!held.hasStaticShape() || !whole.hasStaticShape()))
      return "a mask over windows is not of known size";
    if (whole.getRank() > 5)
      return "a mask has more than five dims";
  }
  return "";
}

// The lowest finite number, and the one above it.
static double lowestOf(Type element, bool above = false) {
  APFloat lowest = APFloat::getLargest(cast<FloatType>(element).getFloatSemantics(), /*Negative=*/true);
  if (above)
    lowest.next(/*nextDown=*/false);
  return lowest.convertToDouble();
}
static double limitOf(Type element) { return lowestOf(element, /*above=*/true); }

// ONNX adds a mask, whatever it holds; ONNX Runtime takes the lowest finite number as "no key" and answers zero where a
// row has nothing else, instead of the mean that the sum gives. One step above the lowest number of `element`, the type
// that the operator gets it in, both agree.
static Value aboveLowest(OpBuilder &builder, Value mask, Type element) {
  Type own = rankedType(mask).getElementType();
  double lowest = lowestOf(element);
  Location loc = mask.getLoc();
  auto limit = [&] { return scalar(builder, loc, own, limitOf(element)); };
  if (auto where = definedBy<onnx::WhereOp>(mask)) {
    SmallVector<Value> operands(where->getOperands());
    bool known = true, changed = false;
    for (unsigned i : {1, 2}) {
      auto held = uniform(operands[i]);
      known &= held.has_value();
      if (!held || *held > lowest || rankedType(operands[i]).getRank() != 0)
        known &= !held || *held > lowest;
      else
        operands[i] = limit(), changed = true;
    }
    if (known)
      return changed ? build<onnx::WhereOp>(builder, where.getLoc(), operands) : mask;
  }
  return build<onnx::MaxOp>(builder, loc, {mask, limit()});
}

Value splitHeads(OpBuilder &builder, Location loc, Value value, int64_t heads) {
  RankedTensorType type = rankedType(value);
  SmallVector<int64_t> shape = {type.isDynamicDim(0) ? -1 : type.getDimSize(0) / heads, heads};
  shape.append(type.getShape().begin() + 1, type.getShape().end());
  if (!llvm::is_contained(ArrayRef(shape).drop_front(2), ShapedType::kDynamic))
    return build<onnx::ReshapeOp>(builder, loc, {value, onnx::createI64s(builder, loc, shape)});
  Value rest = build<onnx::ShapeOp>(builder, loc, value, builder.getNamedAttr("start", builder.getI64IntegerAttr(1)));
  Value to =
      rest ? build<onnx::ConcatOp>(builder, loc, {onnx::createI64s(builder, loc, ArrayRef<int64_t>({-1, heads})), rest},
                                   builder.getNamedAttr("axis", builder.getI64IntegerAttr(0)))
           : Value();
  Value made = to ? build<onnx::ReshapeOp>(builder, loc, {value, to}) : Value();
  if (!made)
    return made;
  // What the sizes are called, for the next pattern.
  SmallVector<int64_t> sizes = {ShapedType::kDynamic, heads};
  SmallVector<StringRef> names = {"", ""};
  for (int64_t i = 1; i < type.getRank(); ++i) {
    sizes.push_back(type.getDimSize(i));
    names.push_back(onnx::getDimName(type, i));
  }
  made.setType(onnx::getTensorType(sizes, type.getElementType(), names));
  return made;
}

// A mask for scores of three or five dims as one for four.
static Value toFourDims(OpBuilder &builder, Location loc, const ScoreStep &step, RankedTensorType split) {
  RankedTensorType type = rankedType(step.operand), whole = step.scores;
  int64_t rank = whole.getRank();
  if (rank == 4 || type.getRank() < rank)
    return step.operand;
  if (rank == 3)
    return type.getDimSize(0) == 1 || !split ? step.operand
                                             : splitHeads(builder, loc, step.operand, split.getDimSize(1));
  // [images, windows, heads, queries, keys]: windows are a batch of their own.
  SmallVector<int64_t> all(type.getShape()), joined;
  all[0] = whole.getDimSize(0), all[1] = whole.getDimSize(1);
  joined.push_back(all[0] * all[1]);
  joined.append(all.begin() + 2, all.end());
  Value value = step.operand;
  if (ArrayRef(all) != type.getShape())
    value = build<onnx::ExpandOp>(builder, loc, {value, onnx::createI64s(builder, loc, all)});
  return value ? build<onnx::ReshapeOp>(builder, loc, {value, onnx::createI64s(builder, loc, joined)}) : value;
}

Value buildBias(OpBuilder &builder, Location loc, const Scores &scores, Type element, bool keepsInfinity) {
  Value bias;
  for (const ScoreStep &step : llvm::reverse(scores.steps)) {
    Value operand = toFourDims(builder, loc, step, scores.split);
    if (!operand)
      return {};
    Type own = step.scores.getElementType();
    if (step.kind == ScoreStep::Add) {
      if (step.number == -1)
        operand = build<onnx::NegOp>(builder, loc, operand);
      else if (step.number != 1)
        operand = build<onnx::MulOp>(builder, loc, {operand, scalar(builder, loc, own, step.number)});
      operand = operand && !keepsInfinity ? aboveLowest(builder, operand, element) : operand;
      bias = bias && operand ? build<onnx::AddOp>(builder, loc, {bias, operand}) : operand;
    } else {
      bool isKept = step.kind == ScoreStep::Keep;
      Value low = scalar(builder, loc, own, keepsInfinity ? step.number : std::max(step.number, limitOf(element)));
      Value other = bias ? bias : scalar(builder, loc, own, 0);
      bias = build<onnx::WhereOp>(builder, loc, {operand, isKept ? other : low, isKept ? low : other});
    }
    if (!bias)
      return {};
  }
  if (bias && rankedType(bias).getElementType() != element)
    bias = build<onnx::CastOp>(builder, loc, bias,
                               builder.getNamedAttr("to", builder.getI64IntegerAttr(element.isF16() ? 10 : 16)));
  return bias;
}

} // namespace burin::graph
