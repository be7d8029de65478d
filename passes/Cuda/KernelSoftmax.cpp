// Softmax: a warp a row, its lanes side by side. The row is read three times, from cache but for the first: maximum,
// sum of exponentials, results. Partial results meet by exchanges of registers, so no shared memory and no barrier.
#include "dialects/Nn/Element.h"
#include "passes/Cuda/Families.h"
#include "passes/Cuda/Kernels.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace burin;

namespace {
constexpr int64_t warpsOfBlock = 4;
}

void cuda::emitSoftmax(OpBuilder &builder, nn::SoftmaxOp op) {
  OpBuilder::InsertionGuard guard(builder);
  OpBuilder &b = builder;
  Location loc = op.getLoc();
  Value input = op.getInput(), init = op.getInitOperand().get();
  auto type = cast<MemRefType>(init.getType());
  auto compute = cast<nn::ComputeOp>(op.getOperation());
  Type acc = compute.getAccumulatorType();
  int64_t dim = op.getDim(), length = type.getDimSize(dim), rows = type.getNumElements() / length;
  SmallVector<int64_t> outer(type.getShape());
  outer[dim] = 1;

  auto launch = cuda::launchBlocks(b, loc, llvm::divideCeil(rows, warpsOfBlock), warpsOfBlock * warpSize);
  auto constant = [&](int64_t value) { return arith::ConstantIndexOp::create(b, loc, value).getResult(); };
  Value thread = launch.getThreadIds().x, lanes = constant(warpSize);
  Value lane = arith::RemUIOp::create(b, loc, thread, lanes);
  Value row =
      arith::AddIOp::create(b, loc, arith::MulIOp::create(b, loc, launch.getBlockIds().x, constant(warpsOfBlock)),
                            arith::DivUIOp::create(b, loc, thread, lanes));
  // All lanes of a warp take the same branch.
  if (rows % warpsOfBlock) {
    Value inside = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, row, constant(rows));
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, inside).thenBlock());
  }
  SmallVector<Value> at = positionOf(b, loc, row, outer);
  Value end = constant(length);

  auto load = [&](Value column) -> Value {
    at[dim] = column;
    Value x = memref::LoadOp::create(b, loc, input, at);
    if (x.getType() == acc)
      return x;
    if (!x.getType().isInteger())
      return arith::ExtFOp::create(b, loc, acc, x);
    return op.getInputUnsigned() ? arith::UIToFPOp::create(b, loc, acc, x).getResult()
                                 : arith::SIToFPOp::create(b, loc, acc, x).getResult();
  };
  auto reduce = [&](Value neutral, llvm::function_ref<Value(Value, Value)> combine,
                    llvm::function_ref<Value(Value)> term) {
    auto loop = scf::ForOp::create(b, loc, lane, end, lanes, neutral);
    {
      OpBuilder::InsertionGuard inside(b);
      b.setInsertionPointToStart(loop.getBody());
      scf::YieldOp::create(b, loc, combine(loop.getRegionIterArg(0), term(loop.getInductionVar())));
    }
    return reduceInWarp(b, loc, loop.getResult(0), combine);
  };
  auto semantics = cast<FloatType>(acc);
  Value lowest = arith::ConstantOp::create(
      b, loc, b.getFloatAttr(acc, APFloat::getInf(semantics.getFloatSemantics(), /*Negative=*/true)));
  Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(acc));
  Value maximum =
      reduce(lowest, [&](Value x, Value y) -> Value { return arith::MaximumFOp::create(b, loc, x, y); }, load);
  auto exponential = [&](Value column) -> Value {
    Value below = arith::SubFOp::create(b, loc, load(column), maximum);
    if (op.getScale()) {
      Value step = arith::ConstantOp::create(b, loc, b.getFloatAttr(acc, op.getScale()->convertToDouble()));
      below = arith::MulFOp::create(b, loc, below, step);
    }
    return math::ExpOp::create(b, loc, below);
  };
  Value sum = reduce(zero, [&](Value x, Value y) -> Value { return arith::AddFOp::create(b, loc, x, y); }, exponential);

  auto loop = scf::ForOp::create(b, loc, lane, end, lanes);
  b.setInsertionPointToStart(loop.getBody());
  Value result = arith::DivFOp::create(b, loc, exponential(loop.getInductionVar()), sum);
  memref::StoreOp::create(b, loc, nn::buildEpilogue(b, loc, compute, result, at), init, at);
}
