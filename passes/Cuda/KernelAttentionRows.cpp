// Attention of few queries, and of whatever the kernel on tensor cores does not take: a block a query. Its warps share
// the keys, 32 at a time, one a lane: scores meet by exchanges, then the lanes turn to columns of the values and take
// one key's weight after the other. Every warp has a greatest score and sums of its own, which meet in shared memory.
//
// Where queries are too few for the GPU and keys are many (decoding with a long cache), several blocks share a query:
// each leaves its greatest score and sums in scratch memory, and a second launch combines them in order.
#include "passes/Cuda/AttentionOperand.h"
#include "passes/Cuda/Families.h"
#include "passes/Cuda/Kernels.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

namespace {
constexpr int64_t warps = 8, mostColumns = 256, wantedBlocks = 216; // two for each multiprocessor of sm_80

struct AttentionRows {
  OpBuilder &b;
  Location loc;
  nn::AttentionOp op;
  Fragments f{b, loc, Products::Exact, {}};
  int64_t batches = op.getSizes()[0], queries = op.getSizes()[1], keys = op.getSizes()[2], depth = op.getSizes()[3],
          columns = op.getSizes()[4];
  int64_t rows = batches * queries, columnTiles = llvm::divideCeil(columns, mostColumns);
  int64_t perLane = llvm::divideCeil(std::min(columns, mostColumns), warpSize), width = perLane * warpSize;
  int64_t chunks = llvm::divideCeil(keys, warpSize);
  int64_t splits = std::max<int64_t>(1, std::min(wantedBlocks / (rows * columnTiles), chunks / (2 * warps)));
  int64_t chunksOfSplit = llvm::divideCeil(chunks, splits);
  Value batch, row, lane, firstColumn;

  Value constant(float x) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(x)); }
  Value lowest() { return constant(-std::numeric_limits<float>::infinity()); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value maximum(Value x, Value y) { return arith::MaximumFOp::create(b, loc, x, y); }
  Value exp(Value x, Value less) { return math::ExpOp::create(b, loc, arith::SubFOp::create(b, loc, x, less)); }
  Value fused(Value x, Value y, Value sum) {
    auto flags = arith::FastMathFlagsAttr::get(b.getContext(), arith::FastMathFlags::contract);
    return arith::AddFOp::create(b, loc, sum, arith::MulFOp::create(b, loc, x, y, flags), flags);
  }
  Value least(Value x, int64_t most) { return arith::MinUIOp::create(b, loc, x, f.number(most)); }

  // What to subtract from scores: the greatest, but nothing while all are -infinity.
  Value finite(Value most) {
    Value isNone = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, most, lowest());
    return arith::SelectOp::create(b, loc, isNone, constant(0), most);
  }

  Value wide(Value x) { return x.getType().isF32() ? x : arith::ExtFOp::create(b, loc, b.getF32Type(), x).getResult(); }
  Value load(Value memref, unsigned map, Value at, Value element) {
    SmallVector<Value> place = *affine::expandAffineMap(b, loc, op.getMap(map), {batch, at, element});
    return wide(memref::LoadOp::create(b, loc, memref, place));
  }

  // Sum over e of q k, by vectors where both lie so.
  Value product(Value key) {
    auto left = AttentionOperand::describe(op.getQuery(), op.getMap(0), depth),
         right = AttentionOperand::describe(op.getKey(), op.getMap(1), depth);
    int64_t together = left && right ? std::min(left->grain, right->grain) : 1;
    Value q, k;
    if (together > 1) {
      q = f.add(left->addressOf(f, batch), f.mul(row, left->rowStride * left->bytes));
      k = f.add(right->addressOf(f, batch), f.mul(key, right->rowStride * right->bytes));
    }
    auto loop = scf::ForOp::create(b, loc, f.number(0), f.number(depth), f.number(together), constant(0));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value e = loop.getInductionVar(), sum = loop.getRegionIterArg(0);
    if (together == 1) {
      sum = fused(load(op.getQuery(), 0, row, e), load(op.getKey(), 1, key, e), sum);
    } else {
      auto loadRun = [&](Value from, const AttentionOperand &operand) {
        Type element = cast<MemRefType>(operand.memref.getType()).getElementType();
        return f.loadGlobal(f.add(from, f.mul(e, operand.bytes)), VectorType::get({together}, element));
      };
      Value x = loadRun(q, *left), y = loadRun(k, *right);
      for (int64_t i = 0; i < together; ++i) {
        Value number = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(i));
        sum = fused(wide(LLVM::ExtractElementOp::create(b, loc, x, number)),
                    wide(LLVM::ExtractElementOp::create(b, loc, y, number)), sum);
      }
    }
    scf::YieldOp::create(b, loc, sum);
    return loop.getResult(0);
  }

  // 32 keys from `first` on: `state` is the greatest score, a lane's sum of weights, sums of its columns.
  void addChunk(Value first, SmallVector<Value> &state) {
    Value key = f.add(first, lane), inside = least(key, keys - 1);
    Value score = nn::buildScore(b, loc, op, product(inside), {batch, row, inside});
    if (keys % warpSize || chunks % splits)
      score = arith::SelectOp::create(b, loc, f.below(key, keys), score, lowest());
    Value most = maximum(state[0], reduceInWarp(b, loc, score, [&](Value x, Value y) { return maximum(x, y); }));
    Value less = finite(most), scale = exp(state[0], less), weight = exp(score, less);
    state[0] = most;
    state[1] = add(mul(state[1], scale), weight);
    for (int64_t c = 0; c < perLane; ++c)
      state[2 + c] = mul(state[2 + c], scale);
    auto loop = scf::ForOp::create(b, loc, f.number(0), f.number(warpSize), f.number(1), ArrayRef(state).drop_front(2));
    {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      Value number = loop.getInductionVar(), source = arith::IndexCastOp::create(b, loc, b.getI32Type(), number);
      Value lanes = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(warpSize));
      Value one = gpu::ShuffleOp::create(b, loc, weight, source, lanes, gpu::ShuffleMode::IDX).getShuffleResult();
      Value from = least(f.add(first, number), keys - 1);
      SmallVector<Value> sums;
      for (int64_t c = 0; c < perLane; ++c)
        sums.push_back(
            fused(one, load(op.getValue(), 2, from, least(columnOf(c), columns - 1)), loop.getRegionIterArg(c)));
      scf::YieldOp::create(b, loc, sums);
    }
    for (int64_t c = 0; c < perLane; ++c)
      state[2 + c] = loop.getResult(c);
  }

  Value columnOf(int64_t c) { return f.add(f.add(firstColumn, f.number(c * warpSize)), lane); }

  // Greatest score, sum of weights and, at one column, sum of results of parts found by `load`.
  SmallVector<Value> combine(Value parts, llvm::function_ref<Value(Value, unsigned)> load) {
    auto over = [&](ValueRange begin, llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
      auto loop = scf::ForOp::create(b, loc, f.number(0), parts, f.number(1), begin);
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(loop.getBody());
      scf::YieldOp::create(b, loc, body(loop.getInductionVar(), loop.getRegionIterArgs()));
      return SmallVector<Value>(loop.getResults());
    };
    Value most = over(lowest(), [&](Value part, ValueRange carried) -> SmallVector<Value> {
      return {maximum(carried[0], load(part, 0))};
    })[0];
    Value less = finite(most);
    SmallVector<Value> sums =
        over({constant(0), constant(0)}, [&](Value part, ValueRange carried) -> SmallVector<Value> {
          Value scale = exp(load(part, 0), less);
          return {fused(load(part, 1), scale, carried[0]), fused(load(part, 2), scale, carried[1])};
        });
    return {most, sums[0], sums[1]};
  }

  void store(Value sum, Value weights, Value column) {
    Type element = cast<MemRefType>(op.getInit().getType()).getElementType();
    Value result = arith::DivFOp::create(b, loc, sum, weights);
    SmallVector<Value> at = *affine::expandAffineMap(b, loc, op.getMap(3), {batch, row, column});
    memref::StoreOp::create(b, loc, nn::convertAccumulator(b, loc, result, element), op.getInit(), at);
  }

  void emit() {
    OpBuilder::InsertionGuard guard(b);
    Type f32 = b.getF32Type();
    Value scratch;
    if (splits > 1)
      scratch = memref::AllocOp::create(b, loc, MemRefType::get({splits, rows, columns + 2}, f32));
    OpBuilder behind = b;
    auto launch = launchBlocks(b, loc, rows * columnTiles * splits, warps * warpSize);
    auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
    Value shared = launch.addWorkgroupAttribution(
        MemRefType::get({warps, width + 2}, f32, MemRefLayoutAttrInterface(), space), loc);
    Value thread = launch.getThreadIds().x, block = launch.getBlockIds().x, warp = f.div(thread, warpSize);
    lane = f.rem(thread, warpSize);
    Value number = f.rem(block, rows), rest = f.div(block, rows), split = f.div(rest, columnTiles);
    batch = f.div(number, queries);
    row = f.rem(number, queries);
    firstColumn = f.mul(f.rem(rest, columnTiles), mostColumns);

    SmallVector<Value> state(2 + perLane, constant(0));
    state[0] = lowest();
    auto loop = scf::ForOp::create(b, loc, warp, f.number(chunksOfSplit), f.number(warps), state);
    {
      OpBuilder::InsertionGuard inside(b);
      b.setInsertionPointToStart(loop.getBody());
      state.assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
      addChunk(f.mul(f.add(f.mul(split, chunksOfSplit), loop.getInductionVar()), warpSize), state);
      scf::YieldOp::create(b, loc, state);
    }
    state.assign(loop.getResults().begin(), loop.getResults().end());
    auto keep = [&](Value x, Value at) { memref::StoreOp::create(b, loc, x, shared, ValueRange{warp, at}); };
    keep(state[0], f.number(0));
    keep(reduceInWarp(b, loc, state[1], [&](Value x, Value y) { return add(x, y); }), f.number(1));
    for (int64_t c = 0; c < perLane; ++c)
      keep(state[2 + c], f.add(lane, f.number(2 + c * warpSize)));
    gpu::BarrierOp::create(b, loc);
    Value column = f.add(firstColumn, thread);
    Value isOne = arith::AndIOp::create(b, loc, f.below(thread, width), f.below(column, columns));
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, isOne).thenBlock());
    SmallVector<Value> all = combine(f.number(warps), [&](Value part, unsigned which) -> Value {
      Value at = which == 2 ? f.add(thread, f.number(2)) : f.number(which);
      return memref::LoadOp::create(b, loc, shared, ValueRange{part, at});
    });
    if (!scratch)
      return store(all[2], all[1], column);
    auto leave = [&](Value x, Value at) { memref::StoreOp::create(b, loc, x, scratch, ValueRange{split, number, at}); };
    leave(all[2], f.add(column, f.number(2)));
    Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, column, f.number(0));
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, isFirst).thenBlock());
    leave(all[0], f.number(0));
    leave(all[1], f.number(1));
    combineSplits(behind, scratch);
  }

  // A thread a result.
  void combineSplits(OpBuilder &behind, Value scratch) {
    launchThreads(behind, loc, rows * columns, 256, [&](OpBuilder &inside, Value linear) {
      OpBuilder::InsertionGuard guard(b);
      b.restoreInsertionPoint(inside.saveInsertionPoint());
      SmallVector<Value> at = positionOf(b, loc, linear, {batches, queries, columns});
      batch = at[0];
      row = at[1];
      Value number = f.add(f.mul(batch, queries), row), column = at[2];
      SmallVector<Value> all = combine(f.number(splits), [&](Value part, unsigned which) -> Value {
        Value place = which == 2 ? f.add(column, f.number(2)) : f.number(which);
        return memref::LoadOp::create(b, loc, scratch, ValueRange{part, number, place});
      });
      store(all[2], all[1], column);
    });
  }
};
} // namespace

void cuda::emitAttentionRows(OpBuilder &builder, nn::AttentionOp op) { AttentionRows{builder, op.getLoc(), op}.emit(); }
