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

  SmallVector<Value> emitReductions(OpBuilder &b, SmallVector<Value> &indices, unsigned dim,
                                    SmallVector<Value> carried) {
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
        carried.push_back(
            memref::LoadOp::create(b, op.getLoc(), init.get(), place(b, op.getMatchingIndexingMap(&init), indices)));
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

/// A reduction whose lanes share one result.
struct WarpReduction : Loops {
  Operation *combiner = nullptr;

  // One result of 32 bits by one operation with a neutral element, of runs that lie side by side and fill a warp.
  bool fits() {
    if (op.getNumDpsInits() != 1 || op.getNumDpsInputs() == 0)
      return false;
    OpOperand &init = *op.getDpsInitsMutable().begin();
    Type element = cast<MemRefType>(init.get().getType()).getElementType();
    SmallVector<Operation *, 4> combiners;
    if (element.isIndex() || element.getIntOrFloatBitWidth() != 32 ||
        !matchReduction(op.getRegionOutputArgs(), 0, combiners) || combiners.size() != 1)
      return false;
    combiner = combiners.front();
    AffineMap map = op.getMatchingIndexingMap(op.getDpsInputOperands().front());
    if (map.getNumResults() == 0)
      return false;
    auto last = dyn_cast<AffineDimExpr>(map.getResults().back());
    return arith::getNeutralElement(combiner) && last && !isParallel(last.getPosition()) &&
           ranges[last.getPosition()] >= cuda::warpSize;
  }

  Value combine(OpBuilder &b, Value x, Value y) {
    IRMapping mapping;
    mapping.map(combiner->getOperands(), ValueRange{x, y});
    return b.clone(*combiner, mapping)->getResult(0);
  }

  void launch(int64_t blockSize) {
    OpBuilder b(op);
    Location loc = op.getLoc();
    SmallVector<unsigned> dims = threadDims(), sumDims;
    SmallVector<int64_t> shape, sumShape;
    int64_t rows = 1, length = 1;
    for (unsigned dim : dims)
      shape.push_back(ranges[dim]), rows *= ranges[dim];
    for (unsigned dim = 0; dim < ranges.size(); ++dim)
      if (!isParallel(dim))
        sumDims.push_back(dim), sumShape.push_back(ranges[dim]), length *= ranges[dim];
    if (rows == 0)
      return;
    auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
    int64_t warps = std::max<int64_t>(1, blockSize / cuda::warpSize);
    auto launch = cuda::launchBlocks(b, loc, llvm::divideCeil(rows, warps), warps * cuda::warpSize);
    Value thread = launch.getThreadIds().x, lanes = constant(cuda::warpSize);
    Value lane = arith::RemUIOp::create(b, loc, thread, lanes);
    Value row = arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, launch.getBlockIds().x, constant(warps)),
                                      arith::DivUIOp::create(b, loc, thread, lanes));
    if (rows % warps) {
      Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, row, constant(rows));
      b.setInsertionPointToStart(scf::IfOp::create(b, loc, inside).thenBlock());
    }
    SmallVector<Value> indices(ranges.size());
    for (auto [dim, value] : llvm::zip(dims, cuda::positionOf(b, loc, row, shape)))
      indices[dim] = value;
    Value neutral = arith::ConstantOp::create(b, loc, *arith::getNeutralElement(combiner));
    auto loop = scf::ForOp::create(b, loc, lane, constant(length), lanes, neutral);
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      for (auto [dim, value] : llvm::zip(sumDims, cuda::positionOf(b, loc, loop.getInductionVar(), sumShape)))
        indices[dim] = value;
      scf::YieldOp::create(b, loc, emitBody(b, indices, {loop.getRegionIterArg(0)}));
    }
    Value total = cuda::reduceInWarp(b, loc, loop.getResult(0), [&](Value x, Value y) { return combine(b, x, y); });
    Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane, constant(0));
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, isFirst).thenBlock());
    store(b, indices, {combine(b, load(b, indices).front(), total)});
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
          if (auto fill = dyn_cast<linalg::FillOp>(*ops[i - 1]);
              fill && fill.getDpsInits()[0] == init && beginsNext(fill, op))
            begin = fill.getInputs()[0];
      WarpReduction shared{loops};
      bool isShared = shared.fits();
      isShared ? shared.launch(blockSize) : loops.launch(blockSize);
      remark::passed(op.getLoc(), remark::RemarkOpts::name("Kernel").category("cuda-lower-linalg"))
          << op->getName().getStringRef() << (isShared ? ", a warp a result" : "");
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
