// Scaled dot-product attention spelled out as MatMul, scale, mask, Softmax, MatMul, recognised from the last product.
// Keys and values that an exporter repeats for groups of heads go in unrepeated. A mask stays a mask: nothing here
// guesses that it is causal. Must not run where a broadcast between the operands cannot be excluded.
#include "passes/Graph/AttentionScores.h"
#include "passes/Graph/Passes.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RAISEATTENTION
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "RaiseAttention";

bool refuse(Operation *op, StringRef why) { return missed(op, passName, "Attention", why); }

// value = [b, n * g, t, d] of [b, n, t, d] by an Expand or Tile of one head, or a Gather: that value, or null.
Value unrepeatedAtOnce(Value value, int64_t &groups) {
  Operation *op = value.getDefiningOp();
  if (!isa_and_nonnull<onnx::ExpandOp, onnx::TileOp, onnx::GatherOp>(op))
    return {};
  RankedTensorType merged = rankedType(value), source = rankedType(op->getOperand(0));
  if (!merged || !source || merged.getRank() != 4 || source.getRank() != 4 || merged.isDynamicDim(1) ||
      source.isDynamicDim(1))
    return {};
  for (int64_t i : {0, 2, 3})
    if (!sameDim(source, i, merged, i))
      return {};
  int64_t heads = source.getDimSize(1);
  groups = heads ? merged.getDimSize(1) / heads : 0;
  if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
    auto places =
        gather.getAxis() == 1 || gather.getAxis() == -3 ? onnx::getConstantInts(gather.getIndices()) : std::nullopt;
    if (!places || groups < 2 || int64_t(places->size()) != heads * groups)
      return {};
    for (auto [i, place] : llvm::enumerate(*places))
      if (place != int64_t(i) / groups)
        return {};
    return op->getOperand(0);
  }
  return heads == 1 && groups > 1 ? Value(op->getOperand(0)) : Value();
}

// The same also where the repeats are a dim of their own in between.
Value unrepeated(Value value, int64_t &groups) {
  if (Value source = unrepeatedAtOnce(value, groups))
    return source;
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

// [..., sequence, dim] keys out of [..., dim, sequence]: the Transpose goes, or turns, or is made.
Value untransposed(OpBuilder &builder, Value value) {
  int64_t rank = rankedType(value).getRank();
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  Value source = value;
  Location loc = value.getLoc();
  if (auto transpose = definedBy<onnx::TransposeOp>(value)) {
    perm = permutation(transpose, rank);
    source = transpose.getData();
  }
  std::swap(perm[rank - 2], perm[rank - 1]);
  if (llvm::equal(perm, llvm::seq<int64_t>(0, rank)))
    return source;
  return build<onnx::TransposeOp>(builder, loc, source,
                                  builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(perm)));
}

// The mask with all rows and columns, of rank 2 or 4: the operator takes one of a single row or column as cut short.
Value fullMask(OpBuilder &builder, Value mask, RankedTensorType scores, Value q, Value k) {
  RankedTensorType type = rankedType(mask);
  int64_t rank = type.getRank();
  bool allRows = reaches(mask, 1, scores), allColumns = reaches(mask, 0, scores);
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

// What lies between the softmax and the last product.
struct Weights {
  onnx::SoftmaxOp softmax;
  onnx::CastOp back;      // to the operands' type
  bool isGuarded = false; // rows of NaN, which have no key, are zero
  SmallVector<Operation *> parts;
};
std::optional<Weights> readWeights(Value value) {
  Weights weights;
  for (unsigned i = 0; i < 4; ++i) {
    Operation *op = value.getDefiningOp();
    if (auto softmax = dyn_cast_or_null<onnx::SoftmaxOp>(op)) {
      weights.softmax = softmax;
      return weights;
    }
    if (!isa_and_nonnull<onnx::CastOp, onnx::WhereOp, onnx::ReshapeOp>(op))
      return std::nullopt;
    weights.parts.push_back(op);
    value = op->getOperand(0);
    if (auto cast = dyn_cast<onnx::CastOp>(op)) {
      if (weights.back)
        return std::nullopt;
      weights.back = cast;
    } else if (auto where = dyn_cast<onnx::WhereOp>(op)) {
      value = where.getY();
      auto isNan = definedBy<onnx::IsNaNOp>(where.getCondition());
      if (!isNan || isNan.getX() != value || uniform(where.getX()) != std::optional<double>(0))
        return std::nullopt;
      weights.isGuarded = true;
      weights.parts.push_back(isNan);
    }
  }
  return std::nullopt;
}

// How three operands of [batch * heads, sequence, dim] become [batch, heads, sequence, dim].
struct Splitting {
  enum Kind { None, Source, SequenceFirst, Reshape, Unsqueeze } kind = None;
  int64_t heads = 0;
};

// [batch, heads, sequence, dim] that a Reshape made three dims of, or null.
Value fourSource(Value value) {
  auto reshape = definedBy<onnx::ReshapeOp>(value);
  RankedTensorType from = reshape ? rankedType(reshape.getData()) : RankedTensorType(), to = rankedType(value);
  bool fits =
      from && from.getRank() == 4 && !from.isDynamicDim(1) && sameDim(from, 2, to, 1) && sameDim(from, 3, to, 2);
  return fits ? Value(reshape.getData()) : Value();
}

// The [sequence, batch, heads * dim] value whose heads a Reshape and a Transpose to [batch * heads, sequence, dim]
// split off, or null.
Value sequenceFirst(Value value, int64_t &heads) {
  auto transpose = definedBy<onnx::TransposeOp>(value);
  auto reshape = transpose && permutation(transpose, 3) == SmallVector<int64_t>({1, 0, 2})
                     ? definedBy<onnx::ReshapeOp>(transpose.getData())
                     : onnx::ReshapeOp();
  RankedTensorType from = reshape ? rankedType(reshape.getData()) : RankedTensorType(), to = rankedType(value);
  if (!from || from.getRank() != 3 || from.isDynamicDim(2) || to.isDynamicDim(2) || !sameDim(from, 0, to, 1) ||
      to.getDimSize(2) < 1 || from.getDimSize(2) % to.getDimSize(2))
    return {};
  heads = from.getDimSize(2) / to.getDimSize(2);
  return reshape.getData();
}

Splitting chooseSplitting(ArrayRef<Value> operands, const Scores &scores) {
  Splitting made;
  int64_t wanted = scores.split && !scores.split.isDynamicDim(1) ? scores.split.getDimSize(1) : 0, heads = 0;
  auto agrees = [&](auto headsOf) {
    made.heads = wanted;
    for (Value value : operands) {
      int64_t own = headsOf(value);
      if (own < 1 || (made.heads && made.heads != own))
        return false;
      made.heads = own;
    }
    return true;
  };
  if (agrees([](Value value) {
        Value source = fourSource(value);
        return source ? rankedType(source).getDimSize(1) : 0;
      }))
    made.kind = Splitting::Source;
  else if (agrees([&](Value value) { return sequenceFirst(value, heads) ? heads : 0; }))
    made.kind = Splitting::SequenceFirst;
  else if (wanted)
    made.kind = Splitting::Reshape, made.heads = wanted;
  else if (!scores.split)
    made.kind = Splitting::Unsqueeze;
  return made;
}

Value toFourDims(OpBuilder &builder, Location loc, Value value, Splitting splitting) {
  if (!value || splitting.kind == Splitting::None)
    return value;
  if (splitting.kind == Splitting::Source)
    return fourSource(value);
  if (splitting.kind == Splitting::Reshape)
    return splitHeads(builder, loc, value, splitting.heads);
  if (splitting.kind == Splitting::Unsqueeze)
    return build<onnx::UnsqueezeOp>(builder, loc, {value, onnx::createI64s(builder, loc, 0)});
  int64_t heads = 0, dim = rankedType(value).getDimSize(2);
  Value source = sequenceFirst(value, heads);
  Value split = build<onnx::ReshapeOp>(builder, loc, {source, onnx::createI64s(builder, loc, {0, 0, heads, dim})});
  return split ? build<onnx::TransposeOp>(builder, loc, split,
                                          builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr({1, 2, 0, 3})))
               : split;
}

// Puts `made`, of four dims, in place of `op`, of three: past the Reshape back to four that exporters write, or the
// Transpose and Reshape of sequences that come first; else behind a Reshape of its own.
bool replaceThreeDims(Operation *op, Value made, Splitting splitting) {
  RankedTensorType four = rankedType(made), three = rankedType(op->getResult(0));
  OpBuilder builder(op);
  Location loc = op->getLoc();
  Operation *user = op->hasOneUse() ? *op->getUsers().begin() : nullptr;
  if (isa_and_nonnull<onnx::ReshapeOp>(user)) {
    RankedTensorType to = rankedType(user->getResult(0));
    bool same = to && to.getRank() == 4 && splitting.kind != Splitting::Unsqueeze;
    for (int64_t i = 0; same && i < 4; ++i)
      same = i == 0 || sameDim(to, i, four, i);
    if (same && llvm::none_of(user->getUsers(), [](Operation *o) { return o->hasTrait<OpTrait::IsTerminator>(); })) {
      user->getResult(0).replaceAllUsesWith(made);
      made.setType(narrower(made.getType(), to));
      return true;
    }
  }
  auto transpose = dyn_cast_or_null<onnx::TransposeOp>(user);
  Operation *merge = transpose && transpose->hasOneUse() ? *transpose->getUsers().begin() : nullptr;
  if (splitting.kind == Splitting::SequenceFirst && isa_and_nonnull<onnx::ReshapeOp>(merge) &&
      permutation(transpose, 3) == SmallVector<int64_t>({1, 0, 2})) {
    // A 0 copies the dim of that place, which only the first keeps.
    auto shape = onnx::getConstantInts(merge->getOperand(1));
    if (shape && !llvm::is_contained(ArrayRef(*shape).drop_front(), 0)) {
      builder.setInsertionPoint(merge);
      Value turned = build<onnx::TransposeOp>(builder, loc, made,
                                              builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr({2, 0, 1, 3})));
      if (turned) {
        merge->setOperand(0, turned);
        return true;
      }
    }
  }
  if (splitting.kind == Splitting::Unsqueeze) {
    Value flat = build<onnx::SqueezeOp>(builder, loc, {made, onnx::createI64s(builder, loc, 0)});
    return flat && replace(op, flat);
  }
  Value to;
  if (!three.isDynamicDim(1) && !three.isDynamicDim(2)) {
    to = onnx::createI64s(builder, loc,
                          {three.getDimSize(0) == ShapedType::kDynamic ? -1 : three.getDimSize(0), three.getDimSize(1),
                           three.getDimSize(2)});
  } else {
    Value rest = build<onnx::ShapeOp>(builder, loc, made, builder.getNamedAttr("start", builder.getI64IntegerAttr(2)));
    to = build<onnx::ConcatOp>(builder, loc, {onnx::createI64s(builder, loc, -1), rest},
                               builder.getNamedAttr("axis", builder.getI64IntegerAttr(0)));
  }
  Value flat = build<onnx::ReshapeOp>(builder, loc, {made, to});
  return flat && replace(op, flat);
}

// Why q, k and v cannot be the operands of the operator as they are.
StringRef whyNotTogether(RankedTensorType q, RankedTensorType k, RankedTensorType v, int64_t rank) {
  if (!q || !k || !v || q.getRank() != rank || k.getRank() != rank || v.getRank() != rank)
    return "queries, keys and values are not of the dims of the scores";
  // One head of keys or values serves all queries.
  auto serves = [&](RankedTensorType type) { return rank == 4 && type.getDimSize(1) == 1 && !q.isDynamicDim(1); };
  for (int64_t i = 0; i < rank - 2; ++i)
    if ((!sameDim(q, i, k, i) && !(i == 1 && serves(k))) || (!sameDim(q, i, v, i) && !(i == 1 && serves(v))))
      return "batch and heads of queries, keys and values are not known to be equal";
  if (!sameDim(k, rank - 1, v, rank - 2))
    return "keys and values are not known to be equally many";
  return "";
}

// value with its two last dims swapped.
Value swapped(OpBuilder &builder, Value value) {
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, rankedType(value).getRank()));
  std::swap(perm[perm.size() - 2], perm.back());
  return build<onnx::TransposeOp>(builder, value.getLoc(), value,
                                  builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(perm)));
}

bool swapsLastTwo(onnx::TransposeOp op) {
  RankedTensorType type = rankedType(op.getData());
  if (!type || type.getRank() < 2)
    return false;
  auto perm = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  std::swap(perm[perm.size() - 2], perm.back());
  return permutation(op, type.getRank()) == perm;
}

// MatMul(Softmax(MatMul(%q, Transpose(%k)) * scale [+ %mask]), %v)   ->   Attention(%q, %k, %v [, %mask]) {scale}
// MatMul(%vt, Transpose(Softmax(...)))                                ->   Transpose of it, %v being %vt transposed
//  - of four dims, or three with heads in the batch; batch and heads equal on all sides; the softmax over keys
//  - %k and %v repeated over groups of heads alike: unrepeated
//  - masks do not broadcast the scores; one of a single row is expanded, as the operator does not do that
//  - nothing else uses scores or weights
bool visit(Operation *op) {
  if (auto attention = dyn_cast<onnx::AttentionOp>(op))
    return joinCache(attention);
  if (!isa<onnx::MatMulOp>(op))
    return false;
  auto weights = readWeights(op->getOperand(0));
  auto turned = weights ? onnx::TransposeOp() : definedBy<onnx::TransposeOp>(op->getOperand(1));
  if (turned && swapsLastTwo(turned))
    weights = readWeights(turned.getData());
  if (!weights)
    return false;
  Scores scores;
  if (StringRef why = readScores(weights->softmax.getInput(), scores); !why.empty())
    return refuse(op, why);
  onnx::MatMulOp product = scores.product;
  if (!product)
    return false;
  RankedTensorType type = rankedType(product.getY()), result = rankedType(op->getResult(0));
  RankedTensorType inner = rankedType(weights->softmax.getInput());
  int64_t rank = type ? type.getRank() : 0, axis = weights->softmax.getAxis();
  if (!result || (rank != 4 && (rank != 3 || turned)) || result.getRank() != rank)
    return refuse(op, "the scores are not [batch, heads, queries, keys]");
  if ((axis < 0 ? axis + inner.getRank() : axis) != inner.getRank() - 1)
    return refuse(op, "the softmax is not over the keys");
  Type element = type.getElementType();
  if (!element.isF32() && !element.isF16() && !element.isBF16())
    return refuse(op, "the operator is not defined for the type of the scores");
  if (scores.isWide != bool(weights->back) || result.getElementType() != element)
    return refuse(op, "the softmax is computed in another type than its operand's and f32");
  SmallVector<Operation *> parts(scores.parts);
  parts.append(weights->parts.begin(), weights->parts.end());
  parts.push_back(product);
  if (turned)
    parts.push_back(turned);
  // The guard against rows without keys reads what it guards twice.
  auto isOwn = [&](Operation *user) {
    return user == op || user == weights->softmax || llvm::is_contained(parts, user);
  };
  parts.push_back(weights->softmax);
  for (Operation *part : parts)
    if (weights->isGuarded ? !llvm::all_of(part->getUsers(), isOwn) : !part->hasOneUse())
      return refuse(op, "the scores or weights have several uses");
  OpBuilder builder(op);
  Value q = product.getA(), keys = product.getB(), v = turned ? swapped(builder, op->getOperand(0)) : op->getOperand(1);
  if (StringRef why = whyNotTogether(rankedType(q), rankedType(keys), rankedType(v), rank); !why.empty())
    return refuse(op, why);
  if (StringRef why = whyNoBias(scores, type); !why.empty())
    return refuse(op, why);

  double scale = scores.scale;
  peelScale(q, scale, parts);
  peelScale(keys, scale, parts);
  Value k = untransposed(builder, keys);
  if (!k)
    return false;
  peelScale(k, scale, parts);
  // The operator's own definition takes the root of the scale.
  if (!(scale > 0))
    return refuse(op, "the scale is not positive");
  Location loc = fuse(parts);
  if (scores.gain)
    q = build<onnx::MulOp>(builder, loc, {q, scores.gain});
  Splitting splitting = rank == 3 ? chooseSplitting({scores.gain ? k : q, k, v}, scores) : Splitting();
  if (rank == 3 && (splitting.kind == Splitting::None || (scores.gain && splitting.kind < Splitting::Reshape)))
    return refuse(op, "the heads of queries, keys and values are not split alike");
  RankedTensorType qkType = type;
  if (rank == 3) {
    q = toFourDims(builder, loc, q, splitting);
    k = toFourDims(builder, loc, k, splitting);
    v = toFourDims(builder, loc, v, splitting);
    if (!q || !k || !v)
      return refuse(op, "ONNX infers no shape for the split heads");
    SmallVector<int64_t> sizes = {rankedType(q).getDimSize(0), rankedType(q).getDimSize(1), type.getDimSize(1),
                                  type.getDimSize(2)};
    StringRef names[] = {"", "", onnx::getDimName(type, 1), onnx::getDimName(type, 2)};
    qkType = onnx::getTensorType(sizes, element, names);
    scores.split = splitting.kind == Splitting::Unsqueeze ? RankedTensorType() : qkType;
  }
  int64_t keyGroups = 0, valueGroups = 0;
  Value sharedKeys = unrepeated(k, keyGroups), sharedValues = unrepeated(v, valueGroups);
  // What broadcasts was never repeated.
  int64_t heads = rankedType(q).getDimSize(1);
  for (auto [value, shared, groups] : {std::tuple(k, &sharedKeys, &keyGroups), {v, &sharedValues, &valueGroups}})
    if (!*shared && heads > 1 && rankedType(value).getDimSize(1) == 1)
      *shared = value, *groups = heads;
  if (sharedKeys && sharedValues && keyGroups == valueGroups) {
    k = sharedKeys;
    v = sharedValues;
  } else if (sharedKeys == k || sharedValues == v) {
    return refuse(op, "one head of keys or values serves all queries, and the others do not");
  } else if (sharedKeys || sharedValues) {
    refuse(op, "keys and values are not repeated alike: they stay so");
  }
  parts.push_back(op);
  loc = fuse(parts);
  Value none = noValue(builder, loc), bias = none;
  if (!scores.steps.empty()) {
    bias = buildBias(builder, loc, scores, element, weights->isGuarded);
    bias = bias ? fullMask(builder, bias, qkType, q, k) : bias;
  }
  SmallVector<NamedAttribute> attributes = {builder.getNamedAttr("scale", builder.getF32FloatAttr(float(scale)))};
  if (scores.softcap > 0)
    attributes.push_back(builder.getNamedAttr("softcap", builder.getF32FloatAttr(float(scores.softcap))));
  if (scores.isWide)
    attributes.push_back(builder.getNamedAttr("softmax_precision", builder.getI64IntegerAttr(1)));
  Operation *made = bias ? build(builder, loc, onnx::AttentionOp::getOperationName(), {q, k, v, bias, none, none, none},
                                 attributes, 4, 1)
                         : nullptr;
  if (!made)
    return refuse(op, "ONNX infers no shape for the operator");
  Value answer = turned ? swapped(builder, made->getResult(0)) : made->getResult(0);
  if (rank == 3 ? !replaceThreeDims(op, answer, splitting) : !replace(op, answer)) {
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
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
