// tensor-fuse-epilogue: what an elementwise consumer computes moves into the region that the nn op runs on each result
// while it is still in registers. One pattern serves every nn op through nn::ComputeOp; it must not know which op it
// is.
#include "dialects/Nn/Nn.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace burin {
#define GEN_PASS_DEF_FUSEEPILOGUE
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

// Only arithmetic that has a vector form may run on accumulators.
bool isPlainArithmetic(Operation &op) {
  return op.getNumRegions() == 0 && isMemoryEffectFree(&op) &&
         isa<arith::ArithDialect, math::MathDialect>(op.getDialect());
}

// Kernels hold runs of results along the last dim, and read an operand of the epilogue beside them: as one value or as
// a run of its own, from places that are linear in the result's indices. Others would cost the whole op its vectors.
bool isReadInRuns(AffineMap map, ArrayRef<int64_t> shape, ArrayRef<int64_t> resultShape) {
  if (resultShape.empty())
    return true;
  unsigned last = map.getNumDims() - 1;
  AffineExpr lane = getAffineDimExpr(last, map.getContext());
  for (auto [i, expr] : llvm::enumerate(map.getResults())) {
    bool isLinear = true;
    expr.walk([&](AffineExpr part) {
      isLinear &= part.getKind() != AffineExprKind::FloorDiv && part.getKind() != AffineExprKind::CeilDiv &&
                  part.getKind() != AffineExprKind::Mod;
    });
    if (!isLinear)
      return false;
    if (!expr.isFunctionOfDim(last) || resultShape.back() == 1)
      continue;
    bool isInnermost = llvm::all_of(shape.drop_front(i + 1), [](int64_t size) { return size == 1; });
    if (!isInnermost || simplifyAffineExpr(expr - lane, map.getNumDims(), 0).isFunctionOfDim(last))
      return false;
  }
  return true;
}

//   %r = nn.conv ... -> T                            %r = nn.conv ... extras(%b) epilogue {
//   %y = linalg.generic ins(%r, %b) outs(%e) {body}    ^(%acc, %b): acc -> T's element, then body, nn.yield }
// Legal when: the generic is the only user of %r; all its loops are parallel; it has one result of %r's shape, read and
// written through one permutation; its body is plain arithmetic and does not read the old destination; what else it
// reads lies in runs.
struct FuseConsumer : OpInterfaceRewritePattern<nn::ComputeOp> {
  using OpInterfaceRewritePattern::OpInterfaceRewritePattern;

  LogicalResult matchAndRewrite(nn::ComputeOp producer, PatternRewriter &rewriter) const override {
    if (producer->getNumResults() != 1 || producer->use_empty())
      return failure();
    Value value = producer->getResult(0);
    auto consumer = dyn_cast<linalg::GenericOp>(*value.user_begin());
    if (!consumer)
      return rewriter.notifyMatchFailure(producer, "user is not elementwise");
    auto missed = [&](StringRef reason) {
      remark::missed(producer.getLoc(), remark::RemarkOpts::name("NoEpilogue").category("tensor-fuse-epilogue"))
          << remark::reason("{0}", reason);
      return rewriter.notifyMatchFailure(producer, reason);
    };
    if (llvm::any_of(value.getUsers(), [&](Operation *user) { return user != consumer; }))
      return missed("the result has several users");
    if (consumer.getNumDpsInits() != 1 || consumer.getNumReductionLoops() != 0 || consumer->getNumResults() != 1)
      return missed("the user is not one elementwise loop");
    AffineMap out = consumer.getMatchingIndexingMap(consumer.getDpsInitOperand(0));
    if (!out.isPermutation() ||
        cast<ShapedType>(consumer.getResult(0).getType()).getShape() != cast<ShapedType>(value.getType()).getShape())
      return missed("the user changes the shape or order");
    for (OpOperand *operand : consumer.getDpsInputOperands())
      if (operand->get() == value && consumer.getMatchingIndexingMap(operand) != out)
        return missed("the user reads the result in another order");
    if (consumer.payloadUsesValueFromOperand(consumer.getDpsInitOperand(0)))
      return missed("the user reads its old destination");
    if (!llvm::all_of(consumer.getBody()->without_terminator(), isPlainArithmetic))
      return missed("the user's body is not plain arithmetic");
    for (OpOperand *operand : consumer.getDpsInputOperands())
      if (operand->get() != value && !isa<ShapedType>(operand->get().getType()))
        return missed("the user takes a scalar operand");
    AffineMap fromResult = inversePermutation(out);
    auto readMap = [&](OpOperand *operand) { return consumer.getMatchingIndexingMap(operand).compose(fromResult); };
    auto result = cast<ShapedType>(value.getType());
    for (OpOperand *operand : consumer.getDpsInputOperands())
      if (operand->get() != value &&
          !isReadInRuns(readMap(operand), cast<ShapedType>(operand->get().getType()).getShape(), result.getShape()))
        return missed("the user reads another operand out of order");

    // The fused op stands where the consumer stood: all operands of both are defined there.
    rewriter.setInsertionPoint(consumer);
    SmallVector<Value> operands(producer->getOperands());
    auto resultType = cast<RankedTensorType>(consumer.getResult(0).getType());
    Value init = producer.getInitOperand().get();
    if (init.getType() != resultType) // nobody reads what the consumer's holds
      init = consumer.getDpsInits()[0];
    operands[producer.getInitOperand().getOperandNumber()] = init;
    OperationState state(FusedLoc::get(rewriter.getContext(), {producer.getLoc(), consumer.getLoc()}),
                         producer->getName(), operands, resultType, producer->getAttrs());
    state.addRegion();
    auto fused = cast<nn::ComputeOp>(rewriter.create(state));

    // The accumulator first becomes what the producer would have stored, rounding included.
    Block *block = nn::addEpilogueBlock(fused);
    OpBuilder body = OpBuilder::atBlockBegin(block);
    IRMapping map;
    Value stored;
    if (Region &old = producer.getEpilogueRegion(); !old.empty()) {
      map.map(old.getArguments(), block->getArguments());
      for (Operation &op : old.front().without_terminator())
        body.clone(op, map);
      stored = map.lookupOrDefault(old.front().getTerminator()->getOperand(0));
    } else {
      stored =
          nn::convertAccumulator(body, producer.getLoc(), block->getArgument(0), getElementTypeOrSelf(value.getType()));
    }

    for (OpOperand *operand : consumer.getDpsInputOperands()) {
      BlockArgument argument = consumer.getMatchingBlockArgument(operand);
      if (operand->get() == value)
        map.map(argument, stored);
      else
        map.map(argument, nn::addEpilogueOperand(fused, operand->get(), readMap(operand)));
    }
    body.setInsertionPointToEnd(block);
    for (Operation &op : consumer.getBody()->without_terminator())
      body.clone(op, map);
    nn::YieldOp::create(body, consumer.getLoc(),
                        map.lookupOrDefault(consumer.getBody()->getTerminator()->getOperand(0)));

    remark::passed(fused.getLoc(), remark::RemarkOpts::name("Epilogue").category("tensor-fuse-epilogue"))
        << remark::metric("operations", consumer.getBody()->getOperations().size() - 1);
    rewriter.replaceOp(consumer, fused->getResult(0));
    rewriter.eraseOp(producer);
    return success();
  }
};

struct FuseEpiloguePass : burin::impl::FuseEpilogueBase<FuseEpiloguePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<FuseConsumer>(&getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
