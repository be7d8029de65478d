// cpu-lower-linalg: each linalg operation on memrefs becomes loops over vectors; see LoopNest.h for the idea. What has
// no such form (maps that are not linear, bodies with regions) becomes scalar loops. Must not touch nn operations.
#include "passes/Cpu/LoopNest.h"
#include "passes/Cpu/ParallelLoops.h"
#include "passes/Cpu/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"

namespace burin {
#define GEN_PASS_DEF_LOWERLINALG
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

// memref.copy as the elementwise operation it is.
void generalizeCopy(memref::CopyOp copy) {
  OpBuilder builder(copy);
  unsigned rank = cast<MemRefType>(copy.getSource().getType()).getRank();
  SmallVector<AffineMap> maps(2, builder.getMultiDimIdentityMap(rank));
  linalg::GenericOp::create(
      builder, copy.getLoc(), TypeRange(), copy.getSource(), copy.getTarget(), maps,
      SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
      [](OpBuilder &b, Location loc, ValueRange values) { linalg::YieldOp::create(b, loc, values[0]); });
  copy.erase();
}

void expandAffineApply(affine::AffineApplyOp op) {
  OpBuilder builder(op);
  if (auto values = affine::expandAffineMap(builder, op.getLoc(), op.getAffineMap(), op.getMapOperands())) {
    op.getResult().replaceAllUsesWith((*values)[0]);
    op.erase();
  }
}

// Scalar loops, one a dim: those over results up to the first that is not. A body that writes memory itself may do so
// in an order that counts.
void markLoops(linalg::LinalgOp op, ArrayRef<Operation *> loops, int64_t operation) {
  bool writes = op->getRegion(0)
                    .walk([](MemoryEffectOpInterface inner) {
                      return inner.hasEffect<MemoryEffects::Write>() ? WalkResult::interrupt() : WalkResult::advance();
                    })
                    .wasInterrupted();
  for (auto [loop, kind] : llvm::zip(loops, op.getIteratorTypesArray())) {
    if (writes || kind != utils::IteratorType::parallel)
      return;
    bool inAllResults = llvm::all_of(op.getDpsInitsMutable(), [&, loop = loop](OpOperand &init) {
      unsigned dim = llvm::find(loops, loop) - loops.begin();
      return op.getMatchingIndexingMap(&init).isFunctionOfDim(dim);
    });
    if (!inAllResults)
      return;
    markParallel(cast<scf::ForOp>(loop), operation, /*overlaps=*/false);
  }
}

struct LowerLinalg : burin::impl::LowerLinalgBase<LowerLinalg> {
  using LowerLinalgBase::LowerLinalgBase;

  void runOnOperation() override {
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      getOperation().emitError() << "unknown machine '" << machineName << "', expected one of: " << machineNames();
      return signalPassFailure();
    }
    getOperation().walk([](memref::CopyOp copy) {
      if (isa<MemRefType>(copy.getSource().getType()))
        generalizeCopy(copy);
    });
    SmallVector<linalg::LinalgOp> ops;
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    int64_t operation = nextOperation(getOperation());
    for (linalg::LinalgOp op : ops) {
      op->walk([](affine::AffineApplyOp apply) { expandAffineApply(apply); });
      IRRewriter rewriter(op);
      auto options =
          remark::RemarkOpts::name("LowerLinalg").category("cpu-lower-linalg").function(getOperation().getSymName());
      FailureOr<LoopNest> nest =
          op.hasPureBufferSemantics() ? makeLoopNest(rewriter, op) : FailureOr<LoopNest>(failure());
      if (succeeded(nest)) {
        LoopPlan plan = planLoops(*nest, *machine, streamedBytes < 0 ? machine->streamedBytes() : streamedBytes);
        emitLoops(rewriter, *nest, plan, *machine, operation++);
        remark::passed(op.getLoc(), options)
            << remark::metric("width", plan.width) << remark::metric("unroll", plan.unroll)
            << remark::metric("transposed", plan.tileDim >= 0) << remark::metric("streamed", plan.streamed);
      } else {
        FailureOr<linalg::LinalgLoops> loops = linalg::linalgOpToLoops(rewriter, op);
        if (failed(loops)) {
          op.emitError() << "expected an operation on buffers with linear layouts";
          return signalPassFailure();
        }
        markLoops(op, *loops, operation++);
        remark::missed(op.getLoc(), options) << remark::reason("layout or body has no vector form; scalar loops");
      }
      rewriter.eraseOp(op);
    }
  }
};

} // namespace
