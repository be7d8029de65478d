// cuda-lower-nn: the reference kernels. A launch is as many threads as the result has elements, and a thread runs the
// operation's definition; nothing is known here about any single op, tile or tensor core.
#include "dialects/Nn/Element.h"
#include "passes/Cuda/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/Remarks.h"

namespace burin::cuda {
#define GEN_PASS_DEF_LOWERNN
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;
using namespace burin;

namespace {

/// Row-major position `linear` in `shape`, channels fastest.
SmallVector<Value> positionOf(OpBuilder &b, Location loc, Value linear, ArrayRef<int64_t> shape) {
  SmallVector<Value> result(shape.size());
  for (int64_t d = shape.size() - 1; d > 0; --d) {
    Value size = arith::ConstantIndexOp::create(b, loc, shape[d]);
    result[d] = b.createOrFold<arith::RemUIOp>(loc, linear, size);
    linear = b.createOrFold<arith::DivUIOp>(loc, linear, size);
  }
  if (!shape.empty())
    result[0] = linear;
  return result;
}

//   nn.op ins(...) outs(%o)    ->    gpu.launch blocks(ceil(elements / size)) threads(size) {
//                                      if (block * size + thread < elements) %o[position] = element(position) }
void launch(nn::ComputeOp op, int64_t blockSize) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  Value init = op.getInitOperand().get();
  auto type = cast<MemRefType>(init.getType());
  int64_t elements = type.getNumElements();
  auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
  Value one = constant(1), grid = constant(llvm::divideCeil(elements, blockSize)), block = constant(blockSize);
  auto launch = gpu::LaunchOp::create(b, loc, grid, one, one, block, one, one);
  b.setInsertionPointToStart(&launch.getBody().front());
  Value first = arith::MulIOp::create(b, loc, launch.getBlockIds().x, constant(blockSize));
  Value linear = arith::AddIOp::create(b, loc, first, launch.getThreadIds().x);
  gpu::TerminatorOp::create(b, loc);
  b.setInsertionPointAfterValue(linear);
  if (elements % blockSize != 0) {
    Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, linear, constant(elements));
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, inside).thenBlock());
  }
  SmallVector<Value> at = positionOf(b, loc, linear, type.getShape());
  memref::StoreOp::create(b, loc, nn::buildElement(b, loc, op, at), init, at);
  op.erase();
}

struct LowerNnPass : cuda::impl::LowerNnBase<LowerNnPass> {
  using Base::Base;

  void runOnOperation() override {
    if (blockSize < 1 || blockSize > 1024) {
      getOperation().emitError("expected block-size from 1 to 1024, got ") << (int64_t)blockSize;
      return signalPassFailure();
    }
    SmallVector<nn::ComputeOp> ops;
    getOperation().walk([&](nn::ComputeOp op) { ops.push_back(op); });
    unsigned count = 0;
    for (nn::ComputeOp op : ops) {
      auto missed = [&](StringRef reason) {
        remark::missed(op.getLoc(), remark::RemarkOpts::name("NoKernel").category("cuda-lower-nn"))
            << remark::reason("{0}", reason);
      };
      bool onMemrefs = llvm::all_of(op->getOperandTypes(), [](Type type) {
        auto memref = dyn_cast<MemRefType>(type);
        return memref && memref.hasStaticShape();
      });
      if (!onMemrefs) {
        missed("operands are not static memrefs");
        continue;
      }
      if (isa<nn::SoftmaxOp>(op)) {
        missed("softmax shares a row between its elements");
        continue;
      }
      if (cast<MemRefType>(op.getInitOperand().get().getType()).getNumElements() == 0) {
        op.erase();
        continue;
      }
      remark::passed(op.getLoc(), remark::RemarkOpts::name("Kernel").category("cuda-lower-nn"))
          << op->getName().getStringRef();
      launch(op, blockSize);
      ++count;
    }
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("Kernels").category("cuda-lower-nn"))
        << remark::metric("count", count);
  }
};
} // namespace
