// tensor-collapse-elementwise: elementwise loops over the dims their producer has. A matrix product over merged batch
// dims leaves its result through tensor.expand_shape; an addition of a bias behind that could not become its epilogue,
// nor could what is elementwise on the way to the other operand join it.
#include "dialects/Nn/Nn.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace burin {
#define GEN_PASS_DEF_COLLAPSEELEMENTWISE
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

static bool isElementwise(Operation *op) {
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  return generic && generic.getNumReductionLoops() == 0 && generic.getNumDpsInits() == 1;
}

// What only views lie behind, and before it nothing that it could join.
static bool leads(OpOperand *folded) {
  Operation *producer = folded->get().getDefiningOp();
  if (!isa<tensor::CollapseShapeOp>(folded->getOwner()) || !isElementwise(producer) || !producer->hasOneUse() ||
      llvm::none_of(folded->getOwner()->getUsers(), isElementwise))
    return false;
  return llvm::none_of(cast<linalg::GenericOp>(producer).getDpsInputs(), [](Value input) {
    Operation *before = input.getDefiningOp();
    return isa_and_nonnull<nn::ComputeOp>(before) || (isElementwise(before) && before->hasOneUse());
  });
}

// The same number of elements in the same order: nothing is broadcast or turned on the way from the product.
static bool follows(OpOperand *folded) {
  if (leads(folded))
    return true;
  auto expand = folded->get().getDefiningOp<tensor::ExpandShapeOp>();
  Operation *consumer = folded->getOwner();
  if (!expand || !isElementwise(consumer))
    return false;
  Operation *source = expand.getSrc().getDefiningOp();
  if (!isa_and_nonnull<nn::ComputeOp>(source) && !isElementwise(source))
    return false;
  auto generic = cast<linalg::GenericOp>(consumer);
  AffineMap out = generic.getMatchingIndexingMap(generic.getDpsInitOperand(0));
  if (!out.isPermutation() || generic.getMatchingIndexingMap(folded) != out)
    return false;
  remark::passed(consumer->getLoc(), remark::RemarkOpts::name("Collapsed").category("tensor-collapse-elementwise"));
  return true;
}

namespace {
struct CollapseElementwisePass : burin::impl::CollapseElementwiseBase<CollapseElementwisePass> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    linalg::populateFoldReshapeOpsByCollapsingPatterns(patterns, follows);
    // A view of a view of the old shape is no view.
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};
} // namespace
