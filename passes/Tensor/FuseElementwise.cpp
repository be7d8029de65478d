// tensor-fuse-elementwise: upstream's elementwise fusion under our rule of when it pays: a value used once is never
// stored.
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace burin {
#define GEN_PASS_DEF_FUSEELEMENTWISE
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

// What reads one tensor of bytes and makes wider numbers of them in a few instructions: less work to do again than to
// store and load.
bool widensBytes(linalg::GenericOp op) {
  if (op.getNumDpsInputs() == 0 || op->getNumResults() != 1)
    return false;
  auto bitsOf = [](Value v) { return getElementTypeOrSelf(v.getType()).getIntOrFloatBitWidth(); };
  unsigned operations = 0;
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (isa<arith::ConstantOp>(inner))
      continue;
    if (!isa<arith::ExtSIOp, arith::ExtUIOp, arith::SubIOp, arith::SIToFPOp, arith::UIToFPOp, arith::MulFOp>(inner))
      return false;
    ++operations;
  }
  return bitsOf(op.getDpsInputs()[0]) == 8 && bitsOf(op->getResult(0)) > 8 && operations <= 5;
}

// A producer inside a consumer runs once for each point of the consumer's loops, so the consumer must not be larger
// than it unless it is nearly free.
bool pays(OpOperand *fused) {
  Operation *producer = fused->get().getDefiningOp(), *consumer = fused->getOwner();
  auto from = dyn_cast_or_null<linalg::GenericOp>(producer);
  auto to = dyn_cast<linalg::GenericOp>(consumer);
  if (!from || !to || from.getNumReductionLoops() != 0)
    return false;
  if (!widensBytes(from) && llvm::any_of(producer->getUsers(), [&](Operation *user) { return user != consumer; })) {
    remark::missed(producer->getLoc(), remark::RemarkOpts::name("NoFusion").category("tensor-fuse-elementwise"))
        << remark::reason("the result has several users");
    return false;
  }
  SmallVector<int64_t> fromLoops = from.getStaticLoopRanges(), toLoops = to.getStaticLoopRanges();
  // A dim that is not known yet counts as a long one.
  auto points = [](ArrayRef<int64_t> loops) {
    int64_t n = 1;
    for (int64_t l : loops)
      n *= ShapedType::isDynamic(l) ? 128 : l;
    return n;
  };
  bool cheap = llvm::all_of(from.getBody()->without_terminator(), [](Operation &op) {
    return isa<arith::ConstantOp, arith::ExtFOp, arith::TruncFOp, arith::ExtSIOp, arith::ExtUIOp, linalg::IndexOp>(op);
  });
  if (points(toLoops) > points(fromLoops) && !cheap) {
    remark::missed(producer->getLoc(), remark::RemarkOpts::name("NoFusion").category("tensor-fuse-elementwise"))
        << remark::reason("it would be computed {0} times", points(toLoops) / std::max<int64_t>(1, points(fromLoops)));
    return false;
  }
  return true;
}

struct FuseElementwisePass : burin::impl::FuseElementwiseBase<FuseElementwisePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    linalg::populateElementwiseOpsFusionPatterns(patterns, pays);
    linalg::GenericOp::getCanonicalizationPatterns(patterns, &getContext());
    tensor::EmptyOp::getCanonicalizationPatterns(patterns, &getContext());
    linalg::populateConstantFoldLinalgOperations(patterns, [](OpOperand *) { return false; });
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
