// See ContractionResults.h.
#include "passes/Cuda/ContractionResults.h"
#include "dialects/Nn/Element.h"
#include "passes/Cuda/Kernels.h"

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

SmallVector<int64_t> ContractionResults::batchShape() {
  auto shape = cast<MemRefType>(op.getInitOperand().get().getType()).getShape();
  return SmallVector<int64_t>(shape.drop_back(2));
}

Value ContractionResults::batchOffset(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides = stridesOf(memref), shape = batchShape();
  Value offset = f.number(0);
  if (type.getRank() == 2 || shape.empty())
    return offset;
  for (auto [d, at] : llvm::enumerate(positionOf(b, f.loc, batch, shape)))
    if (type.getDimSize(d) != 1)
      offset = f.add(offset, f.mul(at, strides[d]));
  return offset;
}

void ContractionResults::makeScratch(int64_t parts) {
  if (parts > 1)
    scratch = memref::AllocOp::create(b, f.loc, MemRefType::get({parts, p.batches, p.rows, p.columns}, sumType()));
}

void ContractionResults::store(int64_t rowTiles, int64_t columnTiles, llvm::function_ref<ResultRow(int64_t)> rowOf,
                               Value column, bool hasColumnTail,
                               llvm::function_ref<Value(int64_t, int64_t, int64_t)> sumOf) {
  Value init = op.getInitOperand().get();
  for (int64_t i = 0; i < rowTiles * 2; ++i) {
    ResultRow row = rowOf(i);
    OpBuilder::InsertionGuard guard(b);
    if (row.valid)
      b.setInsertionPointToStart(scf::IfOp::create(b, f.loc, row.valid).thenBlock());
    SmallVector<Value> place = resultPlace(row.number);
    for (int64_t j = 0; j < columnTiles; ++j)
      for (int64_t e = 0; e < 2; ++e) {
        Value n = f.add(column, f.number(j * 8 + e));
        OpBuilder::InsertionGuard inner(b);
        if (hasColumnTail)
          b.setInsertionPointToStart(scf::IfOp::create(b, f.loc, f.below(n, p.columns)).thenBlock());
        Value sum = sumOf(i / 2, j, i % 2 * 2 + e);
        if (scratch) {
          memref::StoreOp::create(b, f.loc, sum, scratch, ValueRange{split, batch, row.number, n});
          continue;
        }
        SmallVector<Value> at(place);
        at.push_back(resultColumn(n));
        memref::StoreOp::create(b, f.loc, nn::buildEpilogue(b, f.loc, op, sum, at), init, at);
      }
  }
}

void ContractionResults::addParts(OpBuilder behind, llvm::function_ref<Value(Value, Value, Value)> partsOf) {
  if (!scratch)
    return;
  constexpr int64_t blockSize = 256;
  launchThreads(behind, f.loc, p.batches * p.rows * p.columns, blockSize, [&](OpBuilder &inside, Value linear) {
    OpBuilder::InsertionGuard guard(b);
    b.restoreInsertionPoint(inside.saveInsertionPoint());
    SmallVector<Value> part = positionOf(b, f.loc, linear, {p.batches, p.rows, p.columns});
    batch = part[0];
    Value zero = arith::ConstantOp::create(b, f.loc, b.getZeroAttr(sumType()));
    Value parts =
        partsOf ? partsOf(batch, part[1], part[2]) : f.number(cast<MemRefType>(scratch.getType()).getDimSize(0));
    auto loop = scf::ForOp::create(b, f.loc, f.number(0), parts, f.number(1), zero);
    {
      OpBuilder::InsertionGuard body(b);
      b.setInsertionPointToStart(loop.getBody());
      Value x =
          memref::LoadOp::create(b, f.loc, scratch, ValueRange{loop.getInductionVar(), part[0], part[1], part[2]});
      Value sum = loop.getRegionIterArg(0);
      scf::YieldOp::create(b, f.loc,
                           p.isInteger() ? arith::AddIOp::create(b, f.loc, sum, x).getResult()
                                         : arith::AddFOp::create(b, f.loc, sum, x).getResult());
    }
    SmallVector<Value> at = resultPlace(part[1]);
    at.push_back(resultColumn(part[2]));
    memref::StoreOp::create(b, f.loc, nn::buildEpilogue(b, f.loc, op, loop.getResult(0), at), op.getInitOperand().get(),
                            at);
  });
}

Value ContractionResults::resultColumn(Value n) {
  return p.isConv && p.groups > 1 ? f.add(n, f.mul(batch, p.columns)) : n;
}

SmallVector<Value> ContractionResults::resultPlace(Value m) {
  if (p.isConv) {
    SmallVector<int64_t> shape{p.rows};
    for (int64_t size : p.out)
      shape.front() /= size;
    llvm::append_range(shape, p.out);
    return positionOf(b, f.loc, m, shape);
  }
  SmallVector<Value> at = positionOf(b, f.loc, batch, batchShape());
  at.push_back(m);
  return at;
}
