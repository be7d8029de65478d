// Attention and RotaryEmbedding take [batch, sequence, heads * dim] too and split the heads themselves: the Reshapes
// and Transposes around them then go. All or nothing for one Attention, since its operands have one layout.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FOLDHEADS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FoldHeads";

// value = [batch, heads, sequence, dim] and flat = [batch, sequence, heads * dim], heads and dim static, the rest
// equal.
bool isSplitOf(RankedTensorType value, RankedTensorType flat) {
  return value && flat && value.getRank() == 4 && flat.getRank() == 3 && !value.isDynamicDim(1) &&
         !value.isDynamicDim(3) && sameDim(value, 0, flat, 0) && sameDim(value, 2, flat, 1) &&
         flat.getDimSize(2) == value.getDimSize(1) * value.getDimSize(3);
}

bool swapsHeads(onnx::TransposeOp op) { return permutation(op, 4) == SmallVector<int64_t>({0, 2, 1, 3}); }

// The [batch, sequence, heads * dim] value that `value` is split from, by Reshape and Transpose, or by a Reshape alone
// where the sequence is of one element; null if it is not, or if what lies between has other uses.
Value flatSource(Value value) {
  RankedTensorType type = rankedType(value);
  Operation *op = value.getDefiningOp();
  if (!type || !op || type.getRank() != 4 || !value.hasOneUse())
    return {};
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op); transpose && swapsHeads(transpose)) {
    op = transpose.getData().getDefiningOp();
    if (!op || !op->hasOneUse())
      return {};
  } else if (type.getDimSize(2) != 1) {
    return {};
  }
  if (!isa<onnx::ReshapeOp>(op))
    return {};
  Value source = op->getOperand(0);
  RankedTensorType between = rankedType(op->getResult(0)), flat = rankedType(source);
  // The Reshape splits the last dim and nothing else.
  bool splits = op->getResult(0) == value ||
                (flat && flat.getRank() == 3 && sameDim(between, 0, flat, 0) && sameDim(between, 1, flat, 1));
  return splits && isSplitOf(type, flat) ? source : Value();
}

// The [sequence, batch, heads * dim] value that `value` is split from by Reshape and Transpose; null if it is not.
Value sequenceFirstSource(Value value) {
  auto transpose = value.hasOneUse() ? definedBy<onnx::TransposeOp>(value) : onnx::TransposeOp();
  auto split = transpose && permutation(transpose, 4) == SmallVector<int64_t>({1, 2, 0, 3})
                   ? definedBy<onnx::ReshapeOp>(transpose.getData())
                   : onnx::ReshapeOp();
  RankedTensorType type = rankedType(value), flat = split ? rankedType(split->getOperand(0)) : RankedTensorType();
  bool fits = flat && flat.getRank() == 3 && split->hasOneUse() && !type.isDynamicDim(1) && !type.isDynamicDim(3) &&
              flat.getDimSize(2) == type.getDimSize(1) * type.getDimSize(3) && sameDim(type, 2, flat, 0);
  return fits ? Value(split->getOperand(0)) : Value();
}

// What Attention is to read instead of value: what value is split from, rotated where it was.
Value flatten(OpBuilder &builder, Value value, bool dry, bool isSequenceFirst) {
  if (isSequenceFirst) {
    Value source = sequenceFirstSource(value);
    if (dry || !source)
      return source;
    return build<onnx::TransposeOp>(builder, value.getLoc(), source,
                                    builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr({1, 0, 2})));
  }
  auto rotary = definedBy<onnx::RotaryEmbeddingOp>(value);
  if (!rotary)
    return flatSource(value);
  RankedTensorType type = rankedType(value);
  Value source = value.hasOneUse() && type && type.getRank() == 4 ? flatSource(rotary.getX()) : Value();
  if (dry || !source)
    return source;
  NamedAttrList attributes(rotary->getAttrs());
  attributes.set("num_heads", builder.getI64IntegerAttr(type.getDimSize(1)));
  SmallVector<Value> operands(rotary->getOperands());
  operands[0] = source;
  Operation *made = build(builder, rotary.getLoc(), rotary->getName().getStringRef(), operands, attributes);
  if (made)
    made->getResult(0).setType(source.getType());
  return made ? made->getResult(0) : Value();
}

// Reshape(Transpose(Attention(split %q, split %k, split %v)))   ->   Attention(%q, %k, %v) {q_num_heads, kv_num_heads}
//  - split is a Reshape of the last dim and a Transpose, or RotaryEmbedding of that; the result is merged likewise
//  - where sequences come before the batch, on all sides, a Transpose of three dims is left of it
//  - nothing else uses what lies between
bool visit(Operation *op) {
  auto attention = dyn_cast<onnx::AttentionOp>(op);
  RankedTensorType q = attention ? rankedType(attention.getQ()) : RankedTensorType();
  if (!q || q.getRank() != 4 || !rankedType(attention.getK()))
    return false;
  auto miss = [&](StringRef why) { return missed(op, passName, "Heads", why); };
  Value y = attention.getY();
  RankedTensorType type = rankedType(y);
  if (!type || !y.hasOneUse() || !onnx::isNone(attention.getQkMatmulOutput()))
    return miss("the result has several uses");
  Operation *merge = *y.getUsers().begin();
  bool isSequenceFirst = false;
  if (auto transpose = dyn_cast<onnx::TransposeOp>(merge); transpose && transpose->hasOneUse()) {
    isSequenceFirst = permutation(transpose, 4) == SmallVector<int64_t>({2, 0, 1, 3});
    merge = swapsHeads(transpose) || isSequenceFirst ? *transpose->getUsers().begin() : merge;
  } else if (type.getDimSize(2) != 1) {
    return miss("the heads of the result are not merged by a Transpose and a Reshape");
  }
  if (!isa<onnx::ReshapeOp>(merge) || (!isSequenceFirst && !isSplitOf(type, rankedType(merge->getResult(0)))))
    return miss("the heads of the result are not merged by a Transpose and a Reshape");
  // The Reshape may stay behind three dims: a 0 in it that copied a size of four would copy another.
  auto shape = isSequenceFirst ? onnx::getConstantInts(merge->getOperand(1)) : std::nullopt;
  if (isSequenceFirst &&
      (!shape || llvm::is_contained(ArrayRef(*shape).drop_front(std::min<size_t>(2, shape->size())), 0)))
    return miss("the shape of the merged result is not known, or copies a size");
  OpBuilder builder(op);
  SmallVector<Value> operands(op->getOperands());
  for (unsigned i : {0, 1, 2})
    if (!flatten(builder, operands[i], /*dry=*/true, isSequenceFirst))
      return miss("queries, keys or values are not split by a Reshape and a Transpose of their own");
  int64_t heads = q.getDimSize(1), shared = rankedType(attention.getK()).getDimSize(1);
  for (unsigned i : {0, 1, 2})
    if (operands[i] = flatten(builder, operands[i], /*dry=*/false, isSequenceFirst); !operands[i])
      return false;
  NamedAttrList attributes(op->getAttrs());
  attributes.set("q_num_heads", builder.getI64IntegerAttr(heads));
  attributes.set("kv_num_heads", builder.getI64IntegerAttr(shared));
  unsigned present = onnx::isNone(attention.getPresentKey()) ? 1 : 3;
  Operation *made = build(builder, fuse({op, merge}), op->getName().getStringRef(), operands, attributes, 4, present);
  if (!made)
    return false;
  Value merged = made->getResult(0);
  if (isSequenceFirst) {
    // [sequence, batch, ...]; a Reshape that joins both stays.
    builder.setInsertionPoint(merge);
    merged = build<onnx::TransposeOp>(builder, merge->getLoc(), merged,
                                      builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr({1, 0, 2})));
    RankedTensorType to = rankedType(merge->getResult(0)), from = rankedType(operands[0]);
    if (!to || to.getRank() != 3 || !sameDim(to, 0, from, 1) || !sameDim(to, 1, from, 0))
      merged = build<onnx::ReshapeOp>(builder, merge->getLoc(), {merged, merge->getOperand(1)});
  }
  if (!merged)
    return false;
  merged.setType(merge->getResult(0).getType());
  for (unsigned i = 1; i < present; ++i) {
    made->getResult(i).setType(op->getResult(i).getType());
    op->getResult(i).replaceAllUsesWith(made->getResult(i));
  }
  merge->getResult(0).replaceAllUsesWith(merged);
  passed(made, passName, "Heads");
  return true;
}

class FoldHeads : public burin::impl::FoldHeadsBase<FoldHeads> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
