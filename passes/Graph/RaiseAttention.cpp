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

bool sameDim(RankedTensorType a, int64_t i, RankedTensorType b, int64_t j) {
  if (a.getDimSize(i) != b.getDimSize(j))
    return false;
  return !a.isDynamicDim(i) || (!onnx::getDimName(a, i).empty() && onnx::getDimName(a, i) == onnx::getDimName(b, j));
}

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
  auto expand = merge ? definedBy<onnx::ExpandOp>(merge->getOperand(0)) : onnx::ExpandOp();
  Operation *split = expand ? expand->getOperand(0).getDefiningOp() : nullptr;
  if (!isa_and_nonnull<onnx::UnsqueezeOp, onnx::ReshapeOp>(split))
    return {};
  RankedTensorType merged = staticType(value), wide = staticType(expand->getResult(0)),
                   thin = staticType(split->getResult(0)), source = staticType(split->getOperand(0));
  if (!merged || !wide || !thin || !source || merged.getRank() != 4 || wide.getRank() != 5 || thin.getRank() != 5 ||
      source.getRank() != 4)
    return {};
  ArrayRef<int64_t> s = source.getShape();
  groups = wide.getDimSize(2);
  bool fits = thin.getShape() == ArrayRef<int64_t>({s[0], s[1], 1, s[2], s[3]}) &&
              wide.getShape() == ArrayRef<int64_t>({s[0], s[1], groups, s[2], s[3]}) &&
              merged.getShape() == ArrayRef<int64_t>({s[0], s[1] * groups, s[2], s[3]});
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
StringRef whyNoMask(Value mask, RankedTensorType scores) {
  RankedTensorType type = rankedType(mask);
  if (!type || type.getRank() > 4 || type.getElementType() != scores.getElementType())
    return "the mask is not of the scores' type, or of more than four dims";
  for (int64_t i = 0, rank = type.getRank(); i < rank; ++i) {
    int64_t j = i + 4 - rank;
    if (type.getDimSize(i) != 1 && !sameDim(type, i, scores, j))
      return "the mask could be larger than the scores";
    // The operator takes a mask of one row or column as cut short, not as broadcast.
    if (j >= 2 && !sameDim(type, i, scores, j) && scores.isDynamicDim(j))
      return "the mask is broadcast over a sequence of unknown length";
  }
  if ((type.getRank() < 2 && scores.isDynamicDim(2)) || (type.getRank() < 1 && scores.isDynamicDim(3)))
    return "the mask is broadcast over a sequence of unknown length";
  return "";
}

double lowestOf(Type element) {
  return APFloat::getLargest(cast<FloatType>(element).getFloatSemantics(), /*Negative=*/true).convertToDouble();
}

// ONNX adds a mask, whatever it holds; ONNX Runtime takes the lowest finite number as "no key" and answers zero where a
// row has nothing else, instead of the mean that the sum gives. One step above the lowest number, both agree.
Value aboveLowest(OpBuilder &builder, Value mask) {
  Type element = rankedType(mask).getElementType();
  double lowest = lowestOf(element);
  APFloat next = APFloat::getLargest(cast<FloatType>(element).getFloatSemantics(), /*Negative=*/true);
  next.next(/*nextDown=*/false);
  Location loc = mask.getLoc();
  auto limit = [&] { return scalar(builder, loc, element, next.convertToDouble()); };
  if (auto where = definedBy<onnx::WhereOp>(mask)) {
    SmallVector<Value> operands(where->getOperands());
    bool known = true, changed = false;
    for (unsigned i : {1, 2}) {
      auto held = uniform(operands[i]);
      known &= held.has_value();
      if (!held || *held != lowest || rankedType(operands[i]).getRank() != 0)
        known &= !held || *held != lowest;
      else
        operands[i] = limit(), changed = true;
    }
    if (known)
      return changed ? build<onnx::WhereOp>(builder, where.getLoc(), operands) : mask;
  }
  return build<onnx::MaxOp>(builder, loc, {mask, limit()});
}

// The mask with all rows and columns, of rank 2 or 4.
Value fullMask(OpBuilder &builder, Value mask, RankedTensorType scores) {
  RankedTensorType type = rankedType(mask);
  int64_t rank = type.getRank(), rows = scores.getDimSize(2), columns = scores.getDimSize(3);
  bool allRows = rank >= 2 && sameDim(type, rank - 2, scores, 2);
  bool allColumns = rank >= 1 && sameDim(type, rank - 1, scores, 3);
  if (allRows && allColumns && rank != 3)
    return mask;
  // Expand by ones leaves what it meets: only rows and columns grow, and rank 3 becomes 4.
  SmallVector<int64_t> shape = {1, 1, allRows ? 1 : rows, allColumns ? 1 : columns};
  if (rank < 3)
    shape.erase(shape.begin(), shape.begin() + 2);
  auto to = onnx::makeInts(RankedTensorType::get({int64_t(shape.size())}, builder.getI64Type()), shape);
  return build<onnx::ExpandOp>(builder, mask.getLoc(), {mask, constant(builder, mask.getLoc(), to)});
}

// MatMul(Softmax(MatMul(%q, Transpose(%k)) * scale [+ %mask]), %v)   ->   Attention(%q, %k, %v [, %mask]) {scale}
//  - all of four dims, batch and heads equal on all sides; the softmax over keys
//  - %k and %v repeated over groups of heads alike: unrepeated
//  - the mask does not broadcast the scores; one of a single row is expanded, as the operator does not do that
//  - nothing else uses scores or weights
bool visit(Operation *op) {
  auto softmax = isa<onnx::MatMulOp>(op) ? op->getOperand(0).getDefiningOp<onnx::SoftmaxOp>() : onnx::SoftmaxOp();
  if (!softmax)
    return false;
  SmallVector<Operation *> parts;
  double scale = 1;
  Value scores = softmax.getInput(), mask;
  peelScale(scores, scale, parts);
  // A scale after the mask scales the mask too.
  bool isScaledLate = !parts.empty();
  if (auto add = definedBy<onnx::AddOp>(scores)) {
    for (unsigned i = 0; i < 2 && !mask; ++i) {
      Value candidate = add->getOperand(i);
      double inner = scale;
      SmallVector<Operation *> path;
      peelScale(candidate, inner, path);
      if (!definedBy<onnx::MatMulOp>(candidate))
        continue;
      scores = candidate;
      mask = add->getOperand(1 - i);
      scale = inner;
      parts.push_back(add);
      parts.append(path);
    }
  }
  auto product = definedBy<onnx::MatMulOp>(scores);
  if (!product)
    return false;
  if (mask && isScaledLate)
    return refuse(op, "the mask is scaled too");
  RankedTensorType type = rankedType(product.getY());
  int64_t axis = softmax.getAxis();
  if (!type || type.getRank() != 4)
    return refuse(op, "the scores are not [batch, heads, queries, keys]");
  if ((axis < 0 ? axis + 4 : axis) != 3)
    return refuse(op, "the softmax is not over the keys");
  if (!type.getElementType().isF32() && !type.getElementType().isF16() && !type.getElementType().isBF16())
    return refuse(op, "the operator is not defined for the type of the scores");
  parts.append({softmax, product});
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
  if (StringRef why = mask ? whyNoMask(mask, type) : ""; !why.empty())
    return refuse(op, why);

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
  mask = mask ? aboveLowest(builder, mask) : mask;
  Value bias = mask ? fullMask(builder, mask, type) : noValue(builder, loc);
  Value none = noValue(builder, loc);
  Operation *made = bias ? build(builder, loc, onnx::AttentionOp::getOperationName(), {q, k, v, bias, none, none, none},
                                 builder.getNamedAttr("scale", builder.getF32FloatAttr(float(scale))), 4, 1)
                         : nullptr;
  if (!made)
    return refuse(op, "ONNX infers no shape for the operator");
  if (!replace(op, made->getResult(0))) {
    eraseDead(made);
    return refuse(op, "an output of the graph keeps its type");
  }
  passed(made, passName, "Attention");
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
