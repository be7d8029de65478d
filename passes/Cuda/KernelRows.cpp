// Products with few rows (a token, a vector): the right factor is read once, from memory, and nothing is reused, so no
// tensor core would help. A warp reads 32 columns side by side and steps through every 8th, 16th, ... row of them;
// warps of a block share the columns and meet in shared memory. With the right factor transposed a warp has a column,
// its lanes side by side along k, and meets by exchanges. Factors may be integers or floats of any width, each as the
// definition reads it. Weights stored as integers (nn::StoredLayout) are read as words, side by side, and become floats
// in registers; the scale of a run is applied once to its sum.
#include "dialects/Nn/Element.h"
#include "dialects/Nn/Stored.h"
#include "passes/Cuda/ContractionProblem.h"
#include "passes/Cuda/Families.h"
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/StoredWords.h"
#include <numeric>

using namespace mlir;
using namespace burin;

namespace {
constexpr int64_t mostRows = 4, mostStoredRows = 8; // stored weights are a quarter of the bytes or less

struct Rows {
  OpBuilder &b;
  Location loc;
  nn::MatmulOp op;
  nn::ComputeOp compute = cast<nn::ComputeOp>(op.getOperation());
  MemRefType init = cast<MemRefType>(op.getInit().getType());
  int64_t rank = init.getRank(), rows = init.getDimSize(rank - 2), columns = init.getDimSize(rank - 1);
  int64_t batches = init.getNumElements() / (rows * columns);
  int64_t depth = cast<MemRefType>(op.getLhs().getType()).getShape().back();
  Type acc = compute.getAccumulatorType();
  SmallVector<Value> batch;

  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }
  Value add(Value x, Value y) { return b.createOrFold<arith::AddIOp>(loc, x, y); }
  Value mul(Value x, int64_t y) { return b.createOrFold<arith::MulIOp>(loc, x, index(y)); }
  Value plus(Value x, Value y) {
    return isa<FloatType>(acc) ? arith::AddFOp::create(b, loc, x, y).getResult()
                               : arith::AddIOp::create(b, loc, x, y).getResult();
  }

  // An element as the accumulator's type.
  Value load(Value memref, ValueRange at, bool isUnsigned, int64_t zeroPoint) {
    Value x = memref::LoadOp::create(b, loc, memref, at);
    if (x.getType() == acc)
      return x;
    if (isa<FloatType>(acc))
      return arith::ExtFOp::create(b, loc, acc, x);
    x = isUnsigned ? arith::ExtUIOp::create(b, loc, acc, x).getResult() : arith::ExtSIOp::create(b, loc, acc, x);
    return zeroPoint == 0
               ? x
               : arith::SubIOp::create(b, loc, x, arith::ConstantOp::create(b, loc, b.getIntegerAttr(acc, zeroPoint)));
  }

  SmallVector<Value> place(Value memref, Value row, Value column) {
    auto type = cast<MemRefType>(memref.getType());
    SmallVector<Value> at;
    if (type.getRank() == rank)
      for (int64_t d = 0; d < rank - 2; ++d)
        at.push_back(type.getDimSize(d) == 1 ? index(0) : batch[d]);
    at.append({row, column});
    return at;
  }

  // x[m][k], x[m][k + 1], ... of every row, as many as a word of weights has: neighbours by one load where they are
  // aligned.
  SmallVector<SmallVector<Value>> loadLeft(cuda::Fragments &f, Value k, int64_t count) {
    Value lhs = op.getLhs();
    Type element = cast<MemRefType>(lhs.getType()).getElementType();
    int64_t bytes = element.getIntOrFloatBitWidth() / 8, row = cuda::stridesOf(lhs).front();
    int64_t together =
        std::gcd(std::gcd(row, count), std::max<int64_t>(1, std::gcd(16, cuda::alignmentOf(lhs)) / bytes));
    SmallVector<SmallVector<Value>> all(rows);
    for (int64_t m = 0; m < rows; ++m)
      for (int64_t i = 0; i < count; i += together) {
        Value at = f.add(f.addressOf(lhs), f.mul(f.add(k, f.number(m * row + i)), bytes));
        Value values = f.loadGlobal(at, VectorType::get({together}, element));
        for (int64_t j = 0; j < together; ++j) {
          Value number = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(j));
          Value x = LLVM::ExtractElementOp::create(b, loc, values, number);
          all[m].push_back(element == acc ? x : arith::ExtFOp::create(b, loc, acc, x).getResult());
        }
      }
    return all;
  }

  // The same sums with stored weights: warps share runs of rows, or the words of each where runs are few.
  SmallVector<Value> storedSums(Value column, Value slice, int64_t slices) {
    cuda::Fragments f{b, loc, cuda::Products::Exact, {}};
    cuda::StoredWords words{f, nn::storedLayout(op), op.getStoredAttr().getScale(), op.getRhs()};
    const nn::StoredLayout &layout = words.layout;
    auto flags = arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::contract);
    auto accumulate = [&](Value x, Value y, Value sum) -> Value {
      return arith::AddFOp::create(b, loc, sum, arith::MulFOp::create(b, loc, x, y, flags), flags);
    };
    bool byRuns = layout.groups() >= slices;
    SmallVector<Value> zeros(rows, arith::ConstantOp::create(b, loc, b.getZeroAttr(acc)));
    auto runs = scf::ForOp::create(b, loc, byRuns ? slice : index(0), index(layout.groups()),
                                   index(byRuns ? slices : 1), zeros);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(runs.getBody());
    cuda::StoredWords::Run run = words.open(runs.getInductionVar(), column);
    auto loop = scf::ForOp::create(b, loc, byRuns ? index(0) : slice, run.words, index(byRuns ? 1 : slices), zeros);
    {
      OpBuilder::InsertionGuard inside(b);
      b.setInsertionPointToStart(loop.getBody());
      Value word = loop.getInductionVar();
      SmallVector<SmallVector<Value>> left = loadLeft(f, words.rowOf(run, word), layout.perWord());
      SmallVector<Value> results(loop.getRegionIterArgs());
      for (auto [i, y] : llvm::enumerate(words.load(run, word)))
        for (int64_t m = 0; m < rows; ++m)
          results[m] = accumulate(left[m][i], y, results[m]);
      scf::YieldOp::create(b, loc, results);
    }
    SmallVector<Value> results;
    for (int64_t m = 0; m < rows; ++m)
      results.push_back(accumulate(run.scale, loop.getResult(m), runs.getRegionIterArg(m)));
    scf::YieldOp::create(b, loc, results);
    return SmallVector<Value>(runs.getResults());
  }

  // Sums over k = first, first + step, ... of every row at one column.
  SmallVector<Value> sums(Value column, Value first, Value step) {
    SmallVector<Value> zeros(rows, arith::ConstantOp::create(b, loc, b.getZeroAttr(acc)));
    auto loop = scf::ForOp::create(b, loc, first, index(depth), step, zeros);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value k = loop.getInductionVar();
    bool transposed = op.getTransposeRhs();
    Value y = load(op.getRhs(), place(op.getRhs(), transposed ? column : k, transposed ? k : column),
                   op.getRhsUnsigned(), op.getRhsZeroPoint());
    SmallVector<Value> results;
    auto flags = arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::contract);
    for (int64_t m = 0; m < rows; ++m) {
      Value x = load(op.getLhs(), place(op.getLhs(), index(m), k), op.getLhsUnsigned(), op.getLhsZeroPoint());
      Value sum = loop.getRegionIterArg(m);
      if (isa<FloatType>(acc))
        sum = arith::AddFOp::create(b, loc, sum, arith::MulFOp::create(b, loc, x, y, flags), flags);
      else
        sum = arith::AddIOp::create(b, loc, sum, arith::MulIOp::create(b, loc, x, y));
      results.push_back(sum);
    }
    scf::YieldOp::create(b, loc, results);
    return SmallVector<Value>(loop.getResults());
  }

  void store(int64_t row, Value column, Value sum) {
    SmallVector<Value> at(batch);
    at.append({index(row), column});
    memref::StoreOp::create(b, loc, nn::buildEpilogue(b, loc, compute, sum, at), op.getInit(), at);
  }

  void inside(Value value, int64_t limit, int64_t multiple, llvm::function_ref<void()> body) {
    OpBuilder::InsertionGuard guard(b);
    if (limit % multiple) {
      Value test = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, value, index(limit));
      b.setInsertionPointToStart(scf::IfOp::create(b, loc, test).thenBlock());
    }
    body();
  }

  void placeBatch(Value number) { batch = cuda::positionOf(b, loc, number, init.getShape().drop_back(2)); }

  void emitColumnsByWarps() {
    constexpr int64_t warps = 8;
    int64_t groups = llvm::divideCeil(columns, warps);
    auto launch = cuda::launchBlocks(b, loc, groups * batches, warps * cuda::warpSize);
    Value thread = launch.getThreadIds().x, block = launch.getBlockIds().x;
    Value lane = arith::RemUIOp::create(b, loc, thread, index(cuda::warpSize));
    placeBatch(arith::DivUIOp::create(b, loc, block, index(groups)));
    Value column = add(mul(arith::RemUIOp::create(b, loc, block, index(groups)), warps),
                       arith::DivUIOp::create(b, loc, thread, index(cuda::warpSize)));
    inside(column, columns, warps, [&] {
      SmallVector<Value> parts = sums(column, lane, index(cuda::warpSize));
      for (Value &part : parts)
        part = cuda::reduceInWarp(b, loc, part, [&](Value x, Value y) { return plus(x, y); });
      Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane, index(0));
      b.setInsertionPointToStart(scf::IfOp::create(b, loc, isFirst).thenBlock());
      for (int64_t m = 0; m < rows; ++m)
        store(m, column, parts[m]);
    });
  }

  void emitColumnsByLanes() {
    int64_t groups = llvm::divideCeil(columns, cuda::warpSize);
    // Few columns: more warps a block, or most of the GPU would wait.
    int64_t slices = groups * batches >= 128 ? 8 : groups * batches >= 64 ? 16 : 32;
    int64_t steps = depth;
    if (op.getStored())
      steps = nn::storedLayout(op).groups() * nn::storedLayout(op).wordsOf(0);
    while (slices > 1 && slices * 2 > steps)
      slices /= 2;
    auto launch = cuda::launchBlocks(b, loc, groups * batches, slices * cuda::warpSize);
    auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
    auto partType = MemRefType::get({slices, rows, cuda::warpSize}, acc, MemRefLayoutAttrInterface(), space);
    Value parts = launch.addWorkgroupAttribution(partType, loc);
    Value thread = launch.getThreadIds().x, block = launch.getBlockIds().x;
    Value lane = arith::RemUIOp::create(b, loc, thread, index(cuda::warpSize));
    Value slice = arith::DivUIOp::create(b, loc, thread, index(cuda::warpSize));
    placeBatch(arith::DivUIOp::create(b, loc, block, index(groups)));
    Value column = add(mul(arith::RemUIOp::create(b, loc, block, index(groups)), cuda::warpSize), lane);
    inside(column, columns, cuda::warpSize, [&] {
      SmallVector<Value> own = op.getStored() ? storedSums(column, slice, slices) : sums(column, slice, index(slices));
      for (auto [m, sum] : llvm::enumerate(own))
        memref::StoreOp::create(b, loc, sum, parts, ValueRange{slice, index(m), lane});
    });
    gpu::BarrierOp::create(b, loc);
    Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, slice, index(0));
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, isFirst).thenBlock());
    inside(column, columns, cuda::warpSize, [&] {
      for (int64_t m = 0; m < rows; ++m) {
        Value sum;
        for (int64_t s = 0; s < slices; ++s) {
          Value part = memref::LoadOp::create(b, loc, parts, ValueRange{index(s), index(m), lane});
          sum = sum ? plus(sum, part) : part;
        }
        store(m, column, sum);
      }
    });
  }
};
} // namespace

LogicalResult cuda::emitFewRows(OpBuilder &builder, nn::MatmulOp op, std::string &why) {
  auto init = cast<MemRefType>(op.getInit().getType());
  int64_t rows = init.getDimSize(init.getRank() - 2);
  Type acc = cast<nn::ComputeOp>(op.getOperation()).getAccumulatorType();
  Type left = cast<MemRefType>(op.getLhs().getType()).getElementType(),
       right = cast<MemRefType>(op.getRhs().getType()).getElementType();
  auto converts = [&](Type type) {
    return isa<FloatType>(type) == isa<FloatType>(acc) && type.getIntOrFloatBitWidth() <= acc.getIntOrFloatBitWidth();
  };
  bool ranksFit = cast<MemRefType>(op.getLhs().getType()).getRank() == init.getRank();
  if (op.getStored()) {
    if (rows > mostStoredRows || cuda::stridesOf(op.getLhs()).back() != 1) {
      why = "more rows than a vector product has";
      return failure();
    }
    if (!cuda::StoredWords::fit(op, why))
      return failure();
    OpBuilder::InsertionGuard guard(builder);
    Rows{builder, op.getLoc(), op}.emitColumnsByLanes();
    return success();
  }
  if (op.getPacked() || rows > mostRows || acc.getIntOrFloatBitWidth() != 32 || !converts(left) || !converts(right) ||
      !ranksFit || cast<MemRefType>(op.getLhs().getType()).getShape().back() == 0) {
    why = "more rows than a vector product has";
    return failure();
  }
  OpBuilder::InsertionGuard guard(builder);
  Rows product{builder, op.getLoc(), op};
  op.getTransposeRhs() ? product.emitColumnsByWarps() : product.emitColumnsByLanes();
  return success();
}
