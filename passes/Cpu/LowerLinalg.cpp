// cpu-lower-linalg
#include "passes/Cpu/Passes.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
namespace burin {
#define GEN_PASS_DEF_LOWERLINALG
#include "passes/Cpu/Passes.h.inc"
} // namespace burin
using namespace mlir;
namespace {
struct LowerLinalg : burin::impl::LowerLinalgBase<LowerLinalg> {
  using LowerLinalgBase::LowerLinalgBase;
  void runOnOperation() override {
    SmallVector<linalg::LinalgOp> ops;
    SmallVector<memref::CopyOp> copies;
    getOperation().walk([&](memref::CopyOp op) { copies.push_back(op); });
    for (auto c : copies) {
      OpBuilder b(c);
      auto t = cast<MemRefType>(c.getSource().getType());
      auto map = b.getMultiDimIdentityMap(t.getRank());
      linalg::GenericOp::create(b, c.getLoc(), TypeRange(), c.getSource(), c.getTarget(), ArrayRef<AffineMap>{map, map}, SmallVector<utils::IteratorType>(t.getRank(), utils::IteratorType::parallel), [](OpBuilder &b, Location l, ValueRange v) { linalg::YieldOp::create(b, l, v[0]); });
      c.erase();
    }
    getOperation().walk([&](linalg::LinalgOp op) { ops.push_back(op); });
    IRRewriter r(&getContext());
    for (auto op : ops) {
      r.setInsertionPoint(op);
      if (failed(linalg::linalgOpToLoops(r, op))) return signalPassFailure();
      r.eraseOp(op);
    }
  }
};
} // namespace
