// Scaled dot-product attention spelled out as MatMul, scale, mask, Softmax, MatMul, recognised from the last product.
// Keys and values that an exporter repeats for groups of heads go in unrepeated. A mask stays a mask: nothing here
// guesses that it is causal. Must not run where a broadcast between the operands cannot be excluded.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseAttention";

bool refuse(Operation *op, StringRef why) { return missed(op, passName, "Attention", why); }

// value = inner * scale by constants of one element: moves value to inner. What has other uses stays.
void peelScale(Value &value, double &scale, SmallVectorImpl<Operation *> &parts) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<onnx::MulOp, onnx::DivOp>(op) || !op->hasOneUse())
      return;
    auto gain = [&](unsigned i) -> std::optional<double> {
      RankedTensorType type = staticType(op->getOperand(i)), whole = rankedType(op->getOperand(1 - i));
      bool fits = type && whole && type.getNumElements() == 1 && type.getRank() <= whole.getRank();
      return fits ? uniform(op->getOperand(i)) : std::nullopt;
    };
    bool isDiv = isa<onnx::DivOp>(op);
    if (auto right = gain(1); right && (!isDiv || *right != 0)) {
      scale = isDiv ? scale / *right : scale * *right;
      value = op->getOperand(0);
    } else if (auto left = isDiv ? std::nullopt : gain(0)) {
      scale *= *left;
      value = op->getOperand(1);
    } else {
      return;
    }
    parts.push_back(op);
  }
}

// value = [b, n * g, t, d] of [b, n, t, d] with each head g times in a row: that value, or null.
Value unrepeated(Value value, int64_t &groups) {
  auto merge = definedBy<onnx::ReshapeOp>(value);
  Operation *repeat = merge ? merge->getOperand(0).getDefiningOp() : nullptr;
  if (!isa_and_nonnull<onnx::ExpandOp, onnx::TileOp>(repeat))
    return {};
  Operation *split = repeat->getOperand(0).getDefiningOp();
  if (!isa_and_nonnull<onnx::UnsqueezeOp, onnx::ReshapeOp>(split))
    return {};
  RankedTensorType merged = rankedType(value), wide = rankedType(repeat->getResult(0)),
                   thin = rankedType(split->getResult(0)), source = rankedType(split->getOperand(0));
  if (!merged || !wide || !thin || !source || merged.getRank() != 4 || wide.getRank() != 5 || thin.getRank() != 5 ||
      source.getRank() != 4 || wide.isDynamicDim(2) || source.isDynamicDim(1))
    return {};
  groups = wide.getDimSize(2);
  bool fits = thin.getDimSize(2) == 1 && merged.getDimSize(1) == source.getDimSize(1) * groups;
  for (auto [i, j] : {std::pair(0, 0), std::pair(1, 1), std::pair(2, 3), std::pair(3, 4)})
    fits &= sameDim(source, i, thin, j) && sameDim(source, i, wide, j) && (i == 1 || sameDim(source, i, merged, i));
  return fits ? Value(split->getOperand(0)) : Value();
}

// [batch, heads, sequence, dim] keys out of [batch, heads, dim, sequence]: the Transpose goes, or turns, or is made.
Value untransposed(OpBuilder &builder, Value value) {
  SmallVector<int64_t> perm = {0, 1, 3, 2};
  Value source = value;
  Location loc = value.getLoc();
  if (auto transpose = definedBy<onnx::TransposeOp>(value)) {
    perm = permutation(transpose, 4);
    std::swap(perm[2], perm[3]);
    source = transpose.getData();
  }
  if (perm == SmallVector<int64_t>({0, 1, 2, 3}))
    return source;
  return build<onnx::TransposeOp>(builder, loc, source,
                                  builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(perm)));
}

// Why `mask` cannot be added by the operator to scores of this type; empty if it can.
StringRef whyNoMask(Value mask, RankedTensorType scores, Type element) {
  RankedTensorType type = rankedType(mask);
  if (!type || type.getRank() > 4 || type.getElementType() != element)
    return "the mask is not of the scores' type, or of more than four dims";
  for (int64_t i = 0, rank = type.getRank(); i < rank; ++i)
    if (type.getDimSize(i) != 1 && !sameDim(type, i, scores, i + 4 - rank))
      return "the mask could be larger than the scores";
  return "";
}

// Scores that count as "no key" when a constant replaces them: far enough below any other that adding it is the same.
bool isFarBelow(double value, Type element) { return value <= (element.isF16() ? -6e4 : -1e8); }

// The lowest finite number, and the one above it.
double lowestOf(Type element, bool above = false) {
  APFloat lowest = APFloat::getLargest(cast<FloatType>(element).getFloatSemantics(), /*Negative=*/true);
  if (above)
    lowest.next(/*nextDown=*/false);
  return lowest.convertToDouble();
}
double limitOf(Type element) { return lowestOf(element, /*above=*/true); }

// ONNX adds a mask, whatever it holds; ONNX Runtime takes the lowest finite number as "no key" and answers zero where a
// row has nothing else, instead of the mean that the sum gives. One step above the lowest number, both agree.
Value aboveLowest(OpBuilder &builder, Value mask) {
  Type element = rankedType(mask).getElementType();
  double lowest = lowestOf(element);
  Location loc = mask.getLoc();
  auto limit = [&] { return scalar(builder, loc, element, limitOf(element)); };
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

// The mask with all rows and columns, of rank 2 or 4: the operator takes one of a single row or column as cut short.
Value fullMask(OpBuilder &builder, Value mask, RankedTensorType scores, Value q, Value k) {
  RankedTensorType type = rankedType(mask);
  int64_t rank = type.getRank();
  bool allRows = rank >= 2 && sameDim(type, rank - 2, scores, 2);
  bool allColumns = rank >= 1 && sameDim(type, rank - 1, scores, 3);
  if (allRows && allColumns && rank != 3)
    return mask;
  // Expand by ones leaves what it meets: only rows and columns grow, and rank 3 becomes 4.
  Location loc = mask.getLoc();
  auto ints = [&](ArrayRef<int64_t> values) { return onnx::createI64s(builder, loc, values); };
  SmallVector<Value> parts;
  if (rank >= 3)
    parts.push_back(ints({1, 1}));
  bool isKnown = true;
  SmallVector<int64_t> shape(rank >= 3 ? 2 : 0, 1);
  for (auto [all, dim, of] : {std::tuple(allRows, 2, q), std::tuple(allColumns, 3, k)}) {
    isKnown &= all || !scores.isDynamicDim(dim);
    shape.push_back(all ? 1 : scores.getDimSize(dim));
    if (all || !scores.isDynamicDim(dim))
      parts.push_back(ints({shape.back()}));
    else
      parts.push_back(build<onnx::ShapeOp>(builder, loc, of,
                                           {builder.getNamedAttr("start", builder.getI64IntegerAttr(2)),
                                            builder.getNamedAttr("end", builder.getI64IntegerAttr(3))}));
  }
  Value to =
      isKnown ? ints(shape)
              : build<onnx::ConcatOp>(builder, loc, parts, builder.getNamedAttr("axis", builder.getI64IntegerAttr(0)));
  Value made = build<onnx::ExpandOp>(builder, loc, {mask, to});
  // What the sizes are called, for the next pattern.
  if (made && !isKnown) {
    SmallVector<int64_t> sizes(rankedType(made).getShape());
    SmallVector<StringRef> names;
    for (int64_t i = 0, n = sizes.size(); i < n; ++i) {
      bool grows = i >= n - 2 && !(i == n - 2 ? allRows : allColumns);
      int64_t at = i - (n - rank);
      bool copies = !grows && at >= 0 && type.getDimSize(at) != 1;
      sizes[i] = grows ? scores.getDimSize(i + 4 - n) : copies ? type.getDimSize(at) : 1;
      names.push_back(grows ? onnx::getDimName(scores, i + 4 - n) : copies ? onnx::getDimName(type, at) : "");
    }
    made.setType(onnx::getTensorType(sizes, type.getElementType(), names));
  }
  return made;
}

// What stands between the first product and the softmax, read from the softmax down.
struct Scores {
  onnx::MatMulOp product;
  double scale = 1, softcap = 0;
  Value mask;         // added
  Value keep, drop;   // a condition to keep a score by, or to drop it by
  double dropped = 0; // what takes the place of a dropped score
  SmallVector<Operation *> parts;
};

// False, explained, where it is a near miss; no product where it is none at all.
bool readScores(Operation *op, Value value, Scores &scores) {
  peelScale(value, scores.scale, scores.parts);
  // A scale after the mask scales the mask too.
  bool isScaledLate = !scores.parts.empty();
  if (auto where = definedBy<onnx::WhereOp>(value)) {
    auto above = uniform(where.getX()), below = uniform(where.getY());
    if (below && isFarBelow(*below, rankedType(value).getElementType())) {
      scores.keep = where.getCondition();
      scores.dropped = *below;
      value = where.getX();
    } else if (above && isFarBelow(*above, rankedType(value).getElementType())) {
      scores.drop = where.getCondition();
      scores.dropped = *above;
      value = where.getY();
    } else {
      return true;
    }
    scores.parts.push_back(where);
  } else if (auto add = definedBy<onnx::AddOp>(value)) {
    for (unsigned i = 0; i < 2 && !scores.mask; ++i) {
      Scores inner;
      Value candidate = add->getOperand(i);
      peelScale(candidate, inner.scale, inner.parts);
      if (!isa_and_nonnull<onnx::MatMulOp, onnx::TanhOp>(candidate.getDefiningOp()))
        continue;
      value = add->getOperand(i);
      scores.mask = add->getOperand(1 - i);
      scores.parts.push_back(add);
    }
  }
  if ((scores.mask || scores.keep || scores.drop) && isScaledLate)
    return refuse(op, "the mask is scaled too");
  peelScale(value, scores.scale, scores.parts);
  if (auto tanh = definedBy<onnx::TanhOp>(value)) {
    scores.parts.push_back(tanh);
    scores.softcap = scores.scale;
    value = tanh.getInput();
    peelScale(value, scores.scale, scores.parts);
    if (scores.softcap <= 0)
      return refuse(op, "the cap of the scores is not positive");
  }
  scores.product = definedBy<onnx::MatMulOp>(value);
  return true;
}

// Concat(%past, %new) over the sequence of [batch, heads, sequence, dim].
onnx::ConcatOp cacheOf(Value value) {
  auto concat = definedBy<onnx::ConcatOp>(value);
  bool fits = concat && concat->getNumOperands() == 2 && (concat.getAxis() == 2 || concat.getAxis() == -2) &&
              rankedType(concat->getOperand(0)) && rankedType(concat->getOperand(1));
  return fits ? concat : onnx::ConcatOp();
}

// True if all uses of `value` come after `op`, or are `op`.
bool usedFrom(Operation *op, Value value) {
  return llvm::all_of(value.getUsers(), [&](Operation *user) {
    Operation *here = op->getBlock()->findAncestorOpInBlock(*user);
    return here && (here == op || op->isBeforeInBlock(here));
  });
}

// Attention(%q, Concat(%pastk, %k), Concat(%pastv, %v), mask)   ->   Attention(%q, %k, %v, mask, %pastk, %pastv) with
// the concatenations as its further results
//  - both caches grow by the same, and nothing before the operator reads them
bool joinCache(onnx::AttentionOp op) {
  if (!onnx::isNone(op.getPastKey()))
    return false;
  auto keys = cacheOf(op.getK()), values = cacheOf(op.getV());
  if (!keys || !values || keys == values)
    return false;
  auto miss = [&](StringRef why) { return missed(op, passName, "Cache", why); };
  for (unsigned i : {0, 1})
    if (!sameDim(rankedType(keys->getOperand(i)), 2, rankedType(values->getOperand(i)), 2))
      return miss("the caches of keys and values are not known to be equally long");
  if (!usedFrom(op, keys) || !usedFrom(op, values))
    return miss("a cache is read before the operator");
  OpBuilder builder(op);
  SmallVector<Value> operands(op->getOperands());
  operands[1] = keys->getOperand(1), operands[2] = values->getOperand(1);
  operands[4] = keys->getOperand(0), operands[5] = values->getOperand(0);
  Operation *made = build(builder, fuse({keys, values, op}), op->getName().getStringRef(), operands,
                          op->getAttrDictionary().getValue(), 4, 3);
  if (!made)
    return miss("ONNX infers no shape for the operator");
  for (auto [i, old] : {std::pair<unsigned, Value>(0, op.getY()), {1, keys.getResult()}, {2, values.getResult()}})
    made->getResult(i).setType(old.getType());
  op.getY().replaceAllUsesWith(made->getResult(0));
  op->erase();
  keys.getResult().replaceAllUsesWith(made->getResult(1));
  values.getResult().replaceAllUsesWith(made->getResult(2));
  eraseDead(keys);
  eraseDead(values);
  passed(made, passName, "Cache");
  return true;
}

// MatMul(Softmax(MatMul(%q, Transpose(%k)) * scale [+ %mask]), %v)   ->   Attention(%q, %k, %v [, %mask]) {scale}
//  - all of four dims, batch and heads equal on all sides; the softmax over keys
//  - %k and %v repeated over groups of heads alike: unrepeated
//  - the mask does not broadcast the scores; one of a single row is expanded, as the operator does not do that
//  - nothing else uses scores or weights
bool visit(Operation *op) {
  if (auto attention = dyn_cast<onnx::AttentionOp>(op))
    return joinCache(attention);
  if (!isa<onnx::MatMulOp>(op))
    return false;
  // Casts around the softmax are its precision.
  Scores scores;
  auto back = definedBy<onnx::CastOp>(op->getOperand(0));
  auto softmax = definedBy<onnx::SoftmaxOp>(back ? Value(back.getInput()) : op->getOperand(0));
  if (!softmax)
    return false;
  Value value = softmax.getInput();
  auto wide = back ? definedBy<onnx::CastOp>(value) : onnx::CastOp();
  if (back && (!wide || !rankedType(wide.getInput()) || !rankedType(back.getResult()) ||
               rankedType(wide.getInput()).getElementType() != rankedType(back.getResult()).getElementType() ||
               !rankedType(value).getElementType().isF32()))
    return refuse(op, "the softmax is computed in another type than its operand's and f32");
  if (!readScores(op, wide ? Value(wide.getInput()) : value, scores) || !scores.product)
    return false;
  onnx::MatMulOp product = scores.product;
  RankedTensorType type = rankedType(product.getY());
  int64_t axis = softmax.getAxis();
  if (!type || type.getRank() != 4)
    return refuse(op, "the scores are not [batch, heads, queries, keys]");
  if ((axis < 0 ? axis + 4 : axis) != 3)
    return refuse(op, "the softmax is not over the keys");
  Type element = type.getElementType();
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return refuse(op, "the operator is not defined for the type of the scores");
  SmallVector<Operation *> parts(scores.parts);
  parts.append({softmax, product});
  if (wide)
    parts.append({wide, back});
  for (Operation *part : parts)
    if (!part->hasOneUse())
      return refuse(op, "the scores or weights have several uses");
  Value q = product.getA(), keys = product.getB(), v = op->getOperand(1);
  RankedTensorType qType = rankedType(q), kType = rankedType(keys), vType = rankedType(v);
  if (!qType || !kType || !vType || qType.getRank() != 4 || kType.getRank() != 4 || vType.getRank() != 4)
    return refuse(op, "queries, keys or values are not of four dims");
  for (int64_t i : {0, 1})
    if (!sameDim(qType, i, kType, i) || !sameDim(qType, i, vType, i))
      return refuse(op, "batch and heads of queries, keys and values are not known to be equal");
  if (!sameDim(kType, 3, vType, 2))
    return refuse(op, "keys and values are not known to be equally many");
  Value mask = scores.mask, condition = scores.keep ? scores.keep : scores.drop;
  if (Value given = mask ? mask : condition)
    if (StringRef why = whyNoMask(given, type, mask ? element : IntegerType::get(op->getContext(), 1)); !why.empty())
      return refuse(op, why);

  double scale = scores.scale;
  peelScale(q, scale, parts);
  peelScale(keys, scale, parts);
  OpBuilder builder(op);
  Value k = untransposed(builder, keys);
  if (!k)
    return false;
  peelScale(k, scale, parts);
  int64_t keyGroups = 0, valueGroups = 0;
  Value sharedKeys = unrepeated(k, keyGroups), sharedValues = unrepeated(v, valueGroups);
  if (sharedKeys && sharedValues && keyGroups == valueGroups) {
    k = sharedKeys;
    v = sharedValues;
  } else if (sharedKeys || sharedValues) {
    refuse(op, "keys and values are not repeated alike: they stay so");
  }
  // The operator's own definition takes the root of the scale.
  if (!(scale > 0))
    return refuse(op, "the scale is not positive");
  parts.push_back(op);
  Location loc = fuse(parts);
  if (condition) {
    Value zero = scalar(builder, loc, element, 0);
    Value low = scalar(builder, loc, element, std::max(scores.dropped, limitOf(element)));
    mask = build<onnx::WhereOp>(builder, loc, {condition, scores.keep ? zero : low, scores.keep ? low : zero});
  }
  mask = mask ? aboveLowest(builder, mask) : mask;
  Value bias = mask ? fullMask(builder, mask, type, q, k) : noValue(builder, loc);
  Value none = noValue(builder, loc);
  SmallVector<NamedAttribute> attributes = {builder.getNamedAttr("scale", builder.getF32FloatAttr(float(scale)))};
  if (scores.softcap > 0)
    attributes.push_back(builder.getNamedAttr("softcap", builder.getF32FloatAttr(float(scores.softcap))));
  if (wide)
    attributes.push_back(builder.getNamedAttr("softmax_precision", builder.getI64IntegerAttr(1)));
  Operation *made = bias ? build(builder, loc, onnx::AttentionOp::getOperationName(), {q, k, v, bias, none, none, none},
                                 attributes, 4, 1)
                         : nullptr;
  if (!made)
    return refuse(op, "ONNX infers no shape for the operator");
  if (!replace(op, made->getResult(0))) {
    eraseDead(made);
    return refuse(op, "an output of the graph keeps its type");
  }
  passed(made, passName, "Attention");
  joinCache(cast<onnx::AttentionOp>(made));
  return true;
}

class RaiseAttention : public impl::RaiseAttentionBase<RaiseAttention> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
