// cuda-lower-linalg: elementwise operations, data movement and reductions. A thread has one element of the results; it
// loops over what the element sums up. Long sums of few results are shared by the lanes of a warp.
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/Passes.h"

#include "mlir/Analysis/SliceAnalysis.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"

namespace burin::cuda {
#define GEN_PASS_DEF_LOWERLINALG
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;
using namespace burin;

namespace {

linalg::LinalgOp asLinalg(memref::CopyOp copy) {
  OpBuilder builder(copy);
  unsigned rank = cast<MemRefType>(copy.getSource().getType()).getRank();
  SmallVector<AffineMap> maps(2, builder.getMultiDimIdentityMap(rank));
  auto generic = linalg::GenericOp::create(
      builder, copy.getLoc(), TypeRange(), copy.getSource(), copy.getTarget(), maps,
      SmallVector<utils::IteratorType>(rank, utils::IteratorType::parallel),
      [](OpBuilder &b, Location loc, ValueRange values) { linalg::YieldOp::create(b, loc, values[0]); });
  copy.erase();
  return generic;
}

/// One operation's loops, spread over threads.
struct Loops {
  linalg::LinalgOp op;
  /// What a result begins with, where a fill said so before; null: what its buffer holds.
  SmallVector<Value> begins;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  SmallVector<utils::IteratorType> kinds = op.getIteratorTypesArray();

  bool isParallel(unsigned dim) { return kinds[dim] == utils::IteratorType::parallel; }

  // Parallel dims, those of the first result's last dims last: neighbouring threads then write side by side.
  SmallVector<unsigned> threadDims() {
    SmallVector<unsigned> dims;
    OpOperand &first = *op.getDpsInitsMutable().begin();
    AffineMap map = op.getMatchingIndexingMap(&first);
    for (AffineExpr result : map.getResults())
      if (auto dim = dyn_cast<AffineDimExpr>(result))
        dims.push_back(dim.getPosition());
    return dims;
  }

  SmallVector<Value> place(OpBuilder &b, AffineMap map, ArrayRef<Value> indices) {
    return *affine::expandAffineMap(b, op.getLoc(), map, indices);
  }

  // The body at one point; `carried` stands for the results so far.
  SmallVector<Value> emitBody(OpBuilder &b, ArrayRef<Value> indices, ArrayRef<Value> carried) {
    Location loc = op.getLoc();
    Block &body = op->getRegion(0).front();
    IRMapping mapping;
    for (OpOperand *input : op.getDpsInputOperands()) {
      BlockArgument argument = op.getMatchingBlockArgument(input);
      Value value = input->get();
      if (isa<MemRefType>(value.getType()) && !argument.use_empty())
        value = memref::LoadOp::create(b, loc, value, place(b, op.getMatchingIndexingMap(input), indices));
      mapping.map(argument, value);
    }
    for (auto [init, value] : llvm::zip(op.getDpsInitsMutable(), carried))
      mapping.map(op.getMatchingBlockArgument(&init), value);
    for (Operation &inner : body.without_terminator()) {
      if (auto index = dyn_cast<linalg::IndexOp>(inner)) {
        mapping.map(index.getResult(), indices[index.getDim()]);
        continue;
      }
      Operation *copy = b.clone(inner, mapping);
      copy->walk([&](linalg::IndexOp index) {
        index.replaceAllUsesWith(indices[index.getDim()]);
        index.erase();
      });
    }
    SmallVector<Value> results;
    for (Value value : body.getTerminator()->getOperands())
      results.push_back(mapping.lookupOrDefault(value));
    return results;
  }

  SmallVector<Value> emitReductions(OpBuilder &b, SmallVector<Value> &indices, unsigned dim, SmallVector<Value> carried) {
    while (dim < ranges.size() && isParallel(dim))
      ++dim;
    if (dim == ranges.size())
      return emitBody(b, indices, carried);
    Location loc = op.getLoc();
    auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
    auto loop = scf::ForOp::create(b, loc, constant(0), constant(ranges[dim]), constant(1), carried);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    indices[dim] = loop.getInductionVar();
    scf::YieldOp::create(b, loc, emitReductions(b, indices, dim + 1, SmallVector<Value>(loop.getRegionIterArgs())));
    return SmallVector<Value>(loop.getResults());
  }

  // What the results begin with at this thread's element.
  SmallVector<Value> load(OpBuilder &b, ArrayRef<Value> indices) {
    SmallVector<Value> carried;
    for (auto [i, init] : llvm::enumerate(op.getDpsInitsMutable())) {
      Type element = cast<MemRefType>(init.get().getType()).getElementType();
      bool isRead = !op.getMatchingBlockArgument(&init).use_empty();
      if (begins[i])
        carried.push_back(begins[i]);
      else if (isRead)
        carried.push_back(memref::LoadOp::create(b, op.getLoc(), init.get(),
                                                 place(b, op.getMatchingIndexingMap(&init), indices)));
      else
        carried.push_back(arith::ConstantOp::create(b, op.getLoc(), b.getZeroAttr(element)));
    }
    return carried;
  }

  void store(OpBuilder &b, ArrayRef<Value> indices, ArrayRef<Value> results) {
    for (auto [init, value] : llvm::zip(op.getDpsInitsMutable(), results))
      memref::StoreOp::create(b, op.getLoc(), value, init.get(), place(b, op.getMatchingIndexingMap(&init), indices));
  }

  void launch(int64_t blockSize) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    SmallVector<unsigned> dims = threadDims();
    SmallVector<int64_t> shape;
    int64_t elements = 1;
    for (unsigned dim : dims) {
      shape.push_back(ranges[dim]);
      elements *= ranges[dim];
    }
    if (elements == 0)
      return;
    cuda::launchThreads(builder, loc, elements, blockSize, [&](OpBuilder &b, Value linear) {
      SmallVector<Value> indices(ranges.size());
      for (auto [dim, value] : llvm::zip(dims, cuda::positionOf(b, loc, linear, shape)))
        indices[dim] = value;
      SmallVector<Value> carried = load(b, indices);
      store(b, indices, emitReductions(b, indices, 0, carried));
    });
  }
};

struct LowerLinalgPass : cuda::impl::LowerLinalgBase<LowerLinalgPass> {
  using Base::Base;

  void runOnOperation() override {
    if (blockSize < 1 || blockSize > 1024) {
      getOperation().emitError("expected block-size from 1 to 1024, got ") << (int64_t)blockSize;
      return signalPassFailure();
    }
    SmallVector<Operation *> found;
    getOperation().walk([&](Operation *op) {
      if (isa<linalg::LinalgOp, memref::CopyOp>(op))
        found.push_back(op);
    });
    SmallVector<linalg::LinalgOp> ops;
    for (Operation *op : found) {
      if (std::string why = cuda::whyNoKernel(op); !why.empty()) {
        remark::missed(op->getLoc(), remark::RemarkOpts::name("NoKernel").category("cuda-lower-linalg"))
            << remark::reason("{0}", why);
        continue;
      }
      auto copy = dyn_cast<memref::CopyOp>(op);
      ops.push_back(copy ? asLinalg(copy) : cast<linalg::LinalgOp>(op));
    }
    for (auto [i, op] : llvm::enumerate(ops)) {
      if (auto fill = dyn_cast<linalg::FillOp>(*op); fill && i + 1 < ops.size() && beginsNext(fill, ops[i + 1]))
        continue;
      Loops loops{op, SmallVector<Value>(op.getNumDpsInits())};
      for (auto [begin, init] : llvm::zip(loops.begins, op.getDpsInits()))
        if (i > 0)
          if (auto fill = dyn_cast<linalg::FillOp>(*ops[i - 1]); fill && fill.getDpsInits()[0] == init &&
                                                                 beginsNext(fill, op))
            begin = fill.getInputs()[0];
      loops.launch(blockSize);
      remark::passed(op.getLoc(), remark::RemarkOpts::name("Kernel").category("cuda-lower-linalg"))
          << op->getName().getStringRef();
    }
    for (linalg::LinalgOp op : ops)
      op.erase();
  }

  // A fill of what the next operation accumulates onto is what its sums begin with.
  static bool beginsNext(linalg::FillOp fill, linalg::LinalgOp next) {
    Value target = fill.getDpsInits()[0];
    return !isa<linalg::FillOp>(*next) && next->getBlock() == fill->getBlock() &&
           !isa<MemRefType>(fill.getInputs()[0].getType()) && llvm::is_contained(next.getDpsInits(), target) &&
           !llvm::is_contained(next.getDpsInputs(), target);
  }
};
} // namespace
