// tensor-fuse-attention: scores of queries and keys stay in registers. The walk starts at the product with the values
// and goes up through the softmax to the product with the keys, carrying one affine map from (batch, query, key) to
// the place of a score in whatever shape it has there; reshapes, turns and repetitions of operands are folded into maps
// the same way. Must not know which target runs it.
#include "dialects/Nn/Attention.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"

namespace burin {
#define GEN_PASS_DEF_FUSEATTENTION
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

ArrayRef<int64_t> shapeOf(Value value) { return cast<RankedTensorType>(value.getType()).getShape(); }

// `at` as a place in `shape`, row-major.
SmallVector<AffineExpr> split(AffineExpr at, ArrayRef<int64_t> shape) {
  SmallVector<AffineExpr> result(shape.size());
  int64_t below = 1;
  for (int64_t d = shape.size() - 1; d >= 0; --d) {
    AffineExpr part = at.floorDiv(below);
    result[d] = shape[d] == 1 ? getAffineConstantExpr(0, at.getContext()) : d == 0 ? part : part % shape[d];
    below *= shape[d];
  }
  return result;
}

AffineExpr join(ArrayRef<AffineExpr> at, ArrayRef<int64_t> shape, MLIRContext *ctx) {
  AffineExpr result = getAffineConstantExpr(0, ctx);
  for (auto [index, size] : llvm::zip(at, shape))
    result = result * size + index;
  return result;
}

AffineMap mapOf(ArrayRef<AffineExpr> results, MLIRContext *ctx) {
  return simplifyAffineMap(AffineMap::get(3, 0, results, ctx));
}

// The place in `small`, whose dims are groups of `large`'s, of a place in `large`; and the other way round.
AffineMap merged(AffineMap inLarge, ArrayRef<int64_t> large, ArrayRef<ReassociationIndices> groups) {
  SmallVector<AffineExpr> results;
  for (const ReassociationIndices &group : groups) {
    SmallVector<AffineExpr> at;
    SmallVector<int64_t> sizes;
    for (int64_t d : group)
      at.push_back(inLarge.getResult(d)), sizes.push_back(large[d]);
    results.push_back(join(at, sizes, inLarge.getContext()));
  }
  return mapOf(results, inLarge.getContext());
}
AffineMap divided(AffineMap inSmall, ArrayRef<int64_t> large, ArrayRef<ReassociationIndices> groups) {
  SmallVector<AffineExpr> results;
  for (auto [at, group] : llvm::zip(inSmall.getResults(), groups)) {
    SmallVector<int64_t> sizes;
    for (int64_t d : group)
      sizes.push_back(large[d]);
    llvm::append_range(results, split(at, sizes));
  }
  return mapOf(results, inSmall.getContext());
}

// Whether a loop hands on its one input, and the map from its result's place to the input's.
std::optional<AffineMap> movementOf(linalg::LinalgOp op) {
  if (op.getNumDpsInputs() != 1 || op.getNumDpsInits() != 1 || op.getNumReductionLoops())
    return std::nullopt;
  Block &body = op->getRegion(0).front();
  AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
  if (body.getOperations().size() != 1 || body.getTerminator()->getOperand(0) != body.getArgument(0) ||
      !out.isPermutation() || !isa<RankedTensorType>(op.getDpsInputOperand(0)->get().getType()))
    return std::nullopt;
  return op.getMatchingIndexingMap(op.getDpsInputOperand(0)).compose(inversePermutation(out));
}

// One step towards where `value` comes from; false where it is computed.
bool stepUp(Value &value, AffineMap &map) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return false;
  auto goTo = [&](Value source, AffineMap next) {
    auto type = dyn_cast<RankedTensorType>(source.getType());
    if (!type || !type.hasStaticShape())
      return false;
    value = source;
    map = next;
    return true;
  };
  if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
    return goTo(collapse.getSrc(), divided(map, shapeOf(collapse.getSrc()), collapse.getReassociationIndices()));
  if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
    return goTo(expand.getSrc(), merged(map, shapeOf(value), expand.getReassociationIndices()));
  if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
    if (llvm::is_contained(slice.getStaticOffsets(), ShapedType::kDynamic) || !slice.hasUnitStride() ||
        slice.getDroppedDims().any())
      return false;
    SmallVector<AffineExpr> results;
    for (auto [at, offset] : llvm::zip(map.getResults(), slice.getStaticOffsets()))
      results.push_back(at + offset);
    return goTo(slice.getSource(), mapOf(results, map.getContext()));
  }
  if (auto loops = dyn_cast<linalg::LinalgOp>(op))
    if (std::optional<AffineMap> movement = movementOf(loops))
      return goTo(loops.getDpsInputOperand(0)->get(), simplifyAffineMap(movement->compose(map)));
  return false;
}

// Where an operand's elements come from, as far up as the last dim stays its last.
void foldMovement(Value &value, AffineMap &map) {
  AffineExpr last = getAffineDimExpr(2, map.getContext());
  Value from = value;
  AffineMap at = map;
  do {
    if (at.getNumResults() && at.getResults().back() == last) {
      value = from;
      map = at;
    }
  } while (stepUp(from, at));
}

// Batch dims of a product's operand for the product's own; a dim of one element is repeated.
SmallVector<AffineExpr> batchOf(Value operand, ArrayRef<AffineExpr> batch) {
  SmallVector<AffineExpr> result;
  if (shapeOf(operand).size() == batch.size() + 2)
    for (auto [at, size] : llvm::zip(batch, shapeOf(operand)))
      result.push_back(size == 1 ? getAffineConstantExpr(0, at.getContext()) : at);
  return result;
}

bool isPlainFloat(nn::MatmulOp matmul) {
  auto compute = cast<nn::ComputeOp>(matmul.getOperation());
  Type left = getElementTypeOrSelf(matmul.getLhs().getType());
  return !matmul.getPacked() && compute.getAccumulatorType().isF32() && isa<FloatType>(left) &&
         left == getElementTypeOrSelf(matmul.getRhs().getType()) &&
         shapeOf(matmul.getLhs()).size() == shapeOf(matmul.getInit()).size();
}

class Fusion {
public:
  explicit Fusion(nn::MatmulOp last) : last(last), ctx(last.getContext()), b(last) {}

  // Empty, or why not.
  StringRef run() {
    if (!isPlainFloat(last) || !last.getEpilogue().empty())
      return "the product with the values has an epilogue or other numbers than floats";
    ArrayRef<int64_t> out = shapeOf(last.getInit());
    int64_t batches = 1;
    for (int64_t size : out.drop_back(2))
      batches *= size;
    AffineExpr b0 = getAffineDimExpr(0, ctx), row = getAffineDimExpr(1, ctx), element = getAffineDimExpr(2, ctx);
    // A dim of one element has one index, as reshapes leave it.
    int64_t queries = out[out.size() - 2], keys = shapeOf(last.getLhs()).back();
    AffineExpr i = queries == 1 ? getAffineConstantExpr(0, ctx) : row;
    AffineExpr j = keys == 1 ? getAffineConstantExpr(0, ctx) : element;
    SmallVector<AffineExpr> batch = split(b0, out.drop_back(2));
    // Weights of values, whatever shape they have on the way to the softmax.
    SmallVector<AffineExpr> at = batchOf(last.getLhs(), batch);
    at.append({i, j});
    Value value = last.getLhs();
    AffineMap map = mapOf(at, ctx);
    auto softmax = findAlone<nn::SoftmaxOp>(value, map);
    if (!softmax)
      return "no softmax of its own makes the left operand";
    if (!softmax.getEpilogue().empty() || map.getResult(softmax.getDim()) != j ||
        shapeOf(softmax.getInput())[softmax.getDim()] != keys || dependsOn(map, 2) != (keys > 1))
      return "the softmax runs over something else than the keys";
    value = softmax.getInput();
    if (!findScores(value, map))
      return "no product of its own makes the scores";
    nn::MatmulOp first = scores;
    at.assign(map.getResults().begin(), map.getResults().end());
    size_t rank = at.size();
    if (at[rank - 2] != i || at[rank - 1] != j ||
        AffineMap::get(3, 0, ArrayRef(at).drop_back(2), ctx).isFunctionOfDim(1) ||
        AffineMap::get(3, 0, ArrayRef(at).drop_back(2), ctx).isFunctionOfDim(2))
      return "scores are turned before the softmax";

    int64_t columns = out.back(), depth = shapeOf(first.getLhs()).back();
    Value query = first.getLhs(), key = first.getRhs(), values = last.getRhs();
    if (getElementTypeOrSelf(query.getType()) != getElementTypeOrSelf(values.getType()))
      return "keys and values are of different types";
    auto place = [&](Value operand, ArrayRef<AffineExpr> batch, bool isTurned) {
      SmallVector<AffineExpr> at = batchOf(operand, batch);
      at.append({isTurned ? element : row, isTurned ? row : element});
      return mapOf(at, ctx);
    };
    ArrayRef<AffineExpr> scoreBatch = ArrayRef(at).drop_back(2);
    SmallVector<AffineMap> maps = {place(query, scoreBatch, false), place(key, scoreBatch, !first.getTransposeRhs()),
                                   place(values, batch, last.getTransposeRhs())};
    foldMovement(query, maps[0]);
    foldMovement(key, maps[1]);
    foldMovement(values, maps[2]);
    at = batch;
    at.append({i, element});
    maps.push_back(mapOf(at, ctx));
    Operation *end = foldResult(maps.back());

    // Where the result is wanted: all operands are at hand there.
    b.setInsertionPoint(end);
    auto type = cast<RankedTensorType>(end->getResult(0).getType());
    Value init = tensor::EmptyOp::create(b, last.getLoc(), type.getShape(), type.getElementType());
    auto op = nn::AttentionOp::create(b, FusedLoc::get(ctx, {first.getLoc(), softmax.getLoc(), last.getLoc()}),
                                      TypeRange(type), query, key, values, extras, init,
                                      b.getDenseI64ArrayAttr({batches, queries, keys, depth, columns}),
                                      b.getAffineMapArrayAttr(maps), b.getAffineMapArrayAttr(extraMaps));
    makeScore(op);
    remark::passed(op.getLoc(), remark::RemarkOpts::name("Attention").category("tensor-fuse-attention"))
        << remark::metric("queries", queries) << remark::metric("keys", keys);
    end->getResult(0).replaceAllUsesWith(op->getResult(0));
    llvm::append_range(ends, chain);
    for (Operation *dead : ends)
      if (dead->use_empty())
        dead->erase();
    return "";
  }

private:
  nn::MatmulOp last, scores;
  MLIRContext *ctx;
  OpBuilder b;
  SmallVector<Operation *> chain, ends; // of operations that go, consumers first
  SmallVector<linalg::GenericOp> loops; // between scores and softmax, consumers first
  SmallVector<Value> extras;
  SmallVector<AffineMap> extraMaps;
  DenseMap<Value, unsigned> extraOf; // a loop's block argument -> its extra

  static unsigned dependsOn(AffineMap map, unsigned dim) {
    return llvm::count_if(map.getResults(), [&](AffineExpr at) { return at.isFunctionOfDim(dim); });
  }

  // The Op that makes `value`, through reshapes; nobody else reads what lies between.
  template <typename Op> Op findAlone(Value &value, AffineMap &map) {
    for (;;) {
      if (!value.hasOneUse() || !value.getDefiningOp())
        return {};
      chain.push_back(value.getDefiningOp());
      if (auto op = value.getDefiningOp<Op>())
        return op;
      if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(value.getDefiningOp()) || !stepUp(value, map))
        return {};
    }
  }

  bool findScores(Value value, AffineMap &map) {
    for (;;) {
      if (!value.hasOneUse() || !value.getDefiningOp())
        return false;
      Operation *op = value.getDefiningOp();
      chain.push_back(op);
      if ((scores = dyn_cast<nn::MatmulOp>(op))) {
        auto compute = cast<nn::ComputeOp>(op);
        for (auto [extra, attr] : llvm::zip(compute.getEpilogueOperands(), compute.getEpilogueMaps()))
          addExtra(extra, cast<AffineMapAttr>(attr).getValue().compose(map));
        return isPlainFloat(scores);
      }
      if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
        if (!takeLoop(generic, value, map))
          return false;
        continue;
      }
      if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(op) || !stepUp(value, map))
        return false;
    }
  }

  unsigned addExtra(Value extra, AffineMap map) {
    extras.push_back(extra);
    extraMaps.push_back(simplifyAffineMap(map));
    return extras.size() - 1;
  }

  // An elementwise loop on scores: its other operands become extras.
  bool takeLoop(linalg::GenericOp op, Value &value, AffineMap &map) {
    AffineMap out = op.getMatchingIndexingMap(op.getDpsInitOperand(0));
    if (op.getNumDpsInits() != 1 || op.getNumReductionLoops() || !out.isPermutation() ||
        op.payloadUsesValueFromOperand(op.getDpsInitOperand(0)))
      return false;
    for (Operation &inner : op.getBody()->without_terminator())
      if (inner.getNumRegions() || !isMemoryEffectFree(&inner) ||
          !isa<arith::ArithDialect, math::MathDialect>(inner.getDialect()))
        return false;
    AffineMap at = inversePermutation(out).compose(map);
    OpOperand *main = nullptr;
    for (OpOperand *operand : op.getDpsInputOperands())
      if (leadsToProduct(operand->get()))
        main = main ? nullptr : operand;
    if (!main || !op.getMatchingIndexingMap(main).isPermutation())
      return false;
    for (OpOperand *operand : op.getDpsInputOperands())
      if (operand != main) {
        if (!isa<RankedTensorType>(operand->get().getType()))
          return false;
        extraOf[op.getMatchingBlockArgument(operand)] =
            addExtra(operand->get(), op.getMatchingIndexingMap(operand).compose(at));
      }
    loops.push_back(op);
    value = main->get();
    map = simplifyAffineMap(op.getMatchingIndexingMap(main).compose(at));
    mains.push_back(op.getMatchingBlockArgument(main));
    return true;
  }
  SmallVector<BlockArgument> mains; // of each loop, what the score comes in as

  static bool leadsToProduct(Value value) {
    while (Operation *op = value.getDefiningOp()) {
      if (!value.hasOneUse())
        return false;
      if (isa<nn::MatmulOp>(op))
        return true;
      if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, linalg::GenericOp>(op))
        return false;
      if (auto generic = dyn_cast<linalg::GenericOp>(op))
        return llvm::any_of(generic.getDpsInputs(), leadsToProduct);
      value = op->getOperand(0);
    }
    return false;
  }

  // A result that is only split and turned afterwards is written there at once.
  Operation *foldResult(AffineMap &map) {
    Operation *end = last;
    ends.push_back(last);
    AffineMap at = map;
    SmallVector<Operation *> passed;
    for (Value value = last->getResult(0); value.hasOneUse();) {
      Operation *user = *value.user_begin();
      if (auto expand = dyn_cast<tensor::ExpandShapeOp>(user)) {
        if (!expand.getType().hasStaticShape())
          break;
        at = divided(at, expand.getType().getShape(), expand.getReassociationIndices());
      } else if (auto turn = dyn_cast<linalg::TransposeOp>(user)) {
        SmallVector<AffineExpr> results;
        for (int64_t d : turn.getPermutation())
          results.push_back(at.getResult(d));
        at = mapOf(results, ctx);
      } else {
        break;
      }
      passed.push_back(user);
      value = user->getResult(0);
      if (isa<linalg::TransposeOp>(user)) {
        end = user;
        map = at;
        ends.insert(ends.begin(), passed.rbegin(), passed.rend());
        passed.clear();
      }
    }
    return end;
  }

  void makeScore(nn::AttentionOp op) {
    if (extras.empty() && loops.empty() && scores.getEpilogue().empty())
      return;
    Block *block = new Block();
    op.getScore().push_back(block);
    block->addArgument(b.getF32Type(), op.getLoc());
    for (Value extra : extras)
      block->addArgument(getElementTypeOrSelf(extra.getType()), extra.getLoc());
    OpBuilder body = OpBuilder::atBlockBegin(block);
    IRMapping mapping;
    // Extras of the product itself came last.
    unsigned own = scores.getExtras().size(), firstOwn = 1 + extras.size() - own;
    Value score;
    if (Region &epilogue = scores.getEpilogue(); !epilogue.empty()) {
      mapping.map(epilogue.getArgument(0), block->getArgument(0));
      for (unsigned i = 0; i < own; ++i)
        mapping.map(epilogue.getArgument(1 + i), block->getArgument(firstOwn + i));
      for (Operation &inner : epilogue.front().without_terminator())
        body.clone(inner, mapping);
      score = mapping.lookupOrDefault(epilogue.front().getTerminator()->getOperand(0));
    } else {
      score = nn::convertAccumulator(body, op.getLoc(), block->getArgument(0),
                                     getElementTypeOrSelf(scores.getInit().getType()));
    }
    for (size_t n = loops.size(); n-- > 0;) {
      Block *from = loops[n].getBody();
      for (BlockArgument argument : from->getArguments())
        if (auto found = extraOf.find(argument); found != extraOf.end())
          mapping.map(argument, block->getArgument(1 + found->second));
      mapping.map(mains[n], score);
      for (Operation &inner : from->without_terminator())
        body.clone(inner, mapping);
      score = mapping.lookupOrDefault(from->getTerminator()->getOperand(0));
    }
    nn::YieldOp::create(body, op.getLoc(), score);
  }
};

struct FuseAttentionPass : burin::impl::FuseAttentionBase<FuseAttentionPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    // Where a run decides sizes, the host runs it all.
    auto isFree = [](Type type) {
      auto shaped = dyn_cast<ShapedType>(type);
      return shaped && !shaped.hasStaticShape();
    };
    bool anyFree = llvm::any_of(function.getArgumentTypes(), isFree);
    function.walk([&](Operation *op) { anyFree |= llvm::any_of(op->getResultTypes(), isFree); });
    if (anyFree)
      return;
    SmallVector<nn::MatmulOp> products(llvm::make_filter_range(function.getOps<nn::MatmulOp>(), [](nn::MatmulOp op) {
      return op->getNumResults() && leadsToSoftmax(op.getLhs());
    }));
    // What a fusion erases was visited before.
    for (nn::MatmulOp product : products) {
      Location loc = product.getLoc();
      if (StringRef why = Fusion(product).run(); !why.empty())
        remark::missed(loc, remark::RemarkOpts::name("NoAttention").category("tensor-fuse-attention"))
            << remark::reason("{0}", why);
    }
  }

  static bool leadsToSoftmax(Value value) {
    while (value.getDefiningOp() && isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(value.getDefiningOp()))
      value = value.getDefiningOp()->getOperand(0);
    return value.getDefiningOp<nn::SoftmaxOp>();
  }
};
} // namespace
