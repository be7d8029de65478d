// Attention in one pass on tensor cores (after FlashAttention-2, Dao 2023): a warp holds 16 queries and the sums of
// their results; keys and values come by in tiles through a ring of two stages in shared memory. Scores of a tile live
// in registers, are made weights against the greatest score so far, and are multiplied with the values at once; where a
// tile brings a greater score, what was summed is scaled down.
//
// Results of one product are laid out as the next product takes its left factor: pairs of 8 columns of scores are 16
// steps of k for numbers of 16 bits. For tf32 the order of keys within 8 is changed instead: sums do not mind.
//
//   stage: keys [tile][depth + 16 bytes], values [tile][columns + 16 bytes]
#include "passes/Cuda/AttentionOperand.h"
#include "passes/Cuda/Families.h"
#include "passes/Cuda/Kernels.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

namespace {
constexpr int64_t warps = 4, rowsOfWarp = 16, rowsOfBlock = warps * rowsOfWarp, threads = warps * warpSize;
constexpr int64_t padding = 16, sharedBytes = 48 * 1024, stages = 2;

struct Attention {
  OpBuilder &b;
  Location loc;
  nn::AttentionOp op;
  Fragments f;
  AttentionOperand query, key, value;
  int64_t batches = op.getSizes()[0], queries = op.getSizes()[1], keys = op.getSizes()[2];
  int64_t depth = llvm::alignTo(op.getSizes()[3], f.stepK()), columns = llvm::alignTo(op.getSizes()[4], 16);
  int64_t keyBytes = depth * f.bytes() + padding, valueBytes = columns * f.bytes() + padding;
  int64_t tile = chooseTile(), stageBytes = tile * (keyBytes + valueBytes), tiles = llvm::divideCeil(keys, tile);
  Value batch, thread, firstRow, group, inGroup, matrixRow, matrix, keyBase, valueBase;

  // As many keys as fit, but no more than there are.
  int64_t chooseTile() {
    int64_t result = 64;
    while (result > 16 && (stages * result * (keyBytes + valueBytes) > sharedBytes || result / 2 >= keys))
      result /= 2;
    return result;
  }

  Value constant(float x) { return arith::ConstantOp::create(b, loc, b.getF32FloatAttr(x)); }
  Value lowest() { return constant(-std::numeric_limits<float>::infinity()); }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, loc, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, loc, x, y); }
  Value maximum(Value x, Value y) { return arith::MaximumFOp::create(b, loc, x, y); }
  Value both(Value x, Value y) { return !x ? y : !y ? x : b.createOrFold<arith::AndIOp>(loc, x, y); }
  Value bits(Value x) { return arith::BitcastOp::create(b, loc, b.getI32Type(), x); }

  // Four lanes hold a row.
  Value reduceRow(Value x, llvm::function_ref<Value(Value, Value)> combine) {
    for (int32_t distance : {1, 2})
      x = combine(x, gpu::ShuffleOp::create(b, loc, x, distance, warpSize, gpu::ShuffleMode::XOR).getShuffleResult());
    return x;
  }

  // A words of all steps of k, straight from memory: they are read once.
  SmallVector<Factors> loadQueries() {
    Value base = query.addressOf(f, batch), zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
    SmallVector<Factors> result;
    for (int64_t k = 0; k < depth; k += f.stepK()) {
      SmallVector<Value> words;
      for (int64_t w = 0; w < 4; ++w) {
        Value row = f.add(firstRow, f.add(group, f.number(w % 2 * 8)));
        Value e = f.add(f.number(k + w / 2 * (f.stepK() / 2)), f.mul(inGroup, 4 / f.bytes()));
        Value valid = queries % rowsOfBlock ? f.below(row, queries) : Value();
        if (depth != query.length)
          valid = both(valid, f.below(e, query.length));
        Value at = f.add(base, f.mul(f.add(f.mul(row, query.rowStride), e), f.bytes()));
        if (valid)
          at = arith::SelectOp::create(b, loc, valid, at, base);
        Value word = f.loadGlobalWord(at);
        words.push_back(valid ? arith::SelectOp::create(b, loc, valid, word, zero).getResult() : word);
      }
      result.push_back(f.prepared(words));
    }
    return result;
  }

  void copyRows(const AttentionOperand &from, Value base, Value first, Value to, int64_t rowBytes) {
    int64_t units = (rowBytes - padding) / (from.grain * f.bytes()), total = tile * units;
    for (int64_t i = 0; i < llvm::divideCeil(total, threads); ++i) {
      OpBuilder::InsertionGuard guard(b);
      Value number = f.add(thread, f.number(i * threads));
      if ((i + 1) * threads > total)
        b.setInsertionPointToStart(scf::IfOp::create(b, loc, f.below(number, total)).thenBlock());
      Value row = f.div(number, units), e = f.mul(f.rem(number, units), from.grain), at = f.add(first, row);
      Value valid = keys % tile ? f.below(at, keys) : Value();
      if (units * from.grain != from.length)
        valid = both(valid, f.below(e, from.length));
      Value source = f.add(base, f.mul(f.add(f.mul(at, from.rowStride), e), f.bytes()));
      if (valid)
        source = arith::SelectOp::create(b, loc, valid, source, base);
      f.copyAsync(f.add(to, f.add(f.mul(row, rowBytes), f.mul(e, f.bytes()))), source, from.grain * f.bytes(), valid);
    }
  }

  void copyTile(Value number, Value stage) {
    Value first = f.mul(number, tile);
    copyRows(key, keyBase, first, stage, keyBytes);
    copyRows(value, valueBase, first, f.add(stage, f.number(tile * keyBytes)), valueBytes);
  }

  // Scores of a tile, as a lane has them: [8 keys][rows group, group + 8][two keys].
  SmallVector<Value> scores(Value number, Value stage, ArrayRef<Factors> q) {
    SmallVector<Value> s(tile / 8 * 4, constant(0));
    for (auto [step, factors] : llvm::enumerate(q))
      for (int64_t j = 0; j < tile / 8; j += 2) {
        Value row = f.add(f.number(j * 8), f.add(f.mul(f.div(matrix, 2), 8), matrixRow));
        Value at = f.add(f.add(stage, f.mul(row, keyBytes)), f.add(f.mul(f.rem(matrix, 2), 16), f.number(step * 32)));
        Factors pair = f.prepared(f.loadMatrices(at, false));
        for (int64_t half = 0; half < 2; ++half)
          f.multiply(factors, pair.slice(half * 2, 2), MutableArrayRef<Value>(s).slice((j + half) * 4, 4));
      }
    // What lies outside reads the last of its extras and counts nothing.
    auto inside = [&](Value at, int64_t size, int64_t multiple) {
      if (size % multiple == 0)
        return at;
      return arith::MinUIOp::create(b, loc, at, f.number(size - 1)).getResult();
    };
    for (int64_t i = 0; i < tile / 8 * 4; ++i) {
      Value row = f.add(firstRow, f.add(group, f.number(i / 2 % 2 * 8)));
      Value at = f.add(f.mul(number, tile), f.add(f.mul(inGroup, 2), f.number(i / 4 * 8 + i % 2)));
      s[i] = nn::buildScore(b, loc, op, s[i], {batch, inside(row, queries, rowsOfBlock), inside(at, keys, tile)});
      if (keys % tile)
        s[i] = arith::SelectOp::create(b, loc, f.below(at, keys), s[i], lowest());
    }
    return s;
  }

  // sums += weights * values.
  void multiplyValues(ArrayRef<Value> weights, Value stage, MutableArrayRef<Value> sums) {
    if (f.isWide()) {
      // Keys 2 t and 2 t + 1 of 8 stand at k = t and t + 4.
      for (int64_t u = 0; u < tile / 8; ++u) {
        Factors a = f.prepared(
            {bits(weights[u * 4]), bits(weights[u * 4 + 2]), bits(weights[u * 4 + 1]), bits(weights[u * 4 + 3])});
        for (int64_t j = 0; j < columns / 8; ++j) {
          SmallVector<Value> words;
          for (int64_t i = 0; i < 2; ++i) {
            Value row = f.add(f.number(u * 8 + i), f.mul(inGroup, 2)), n = f.add(f.number(j * 8), group);
            words.push_back(f.loadWord(f.add(f.add(stage, f.mul(row, valueBytes)), f.mul(n, 4))));
          }
          f.multiply(a, f.prepared(words), sums.slice(j * 4, 4));
        }
      }
      return;
    }
    Type half = cast<MemRefType>(value.memref.getType()).getElementType();
    auto pair = [&](Value low, Value high) {
      Value both = LLVM::PoisonOp::create(b, loc, VectorType::get({2}, half));
      Value halves[] = {low, high};
      for (auto [i, x] : llvm::enumerate(halves))
        both = LLVM::InsertElementOp::create(b, loc, both, arith::TruncFOp::create(b, loc, half, x),
                                             arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(i)).getResult());
      return LLVM::BitcastOp::create(b, loc, b.getI32Type(), both).getResult();
    };
    for (int64_t u = 0; u < tile / 16; ++u) {
      ArrayRef<Value> w = weights.slice(u * 8, 8);
      Factors a = f.prepared({pair(w[0], w[1]), pair(w[2], w[3]), pair(w[4], w[5]), pair(w[6], w[7])});
      for (int64_t j = 0; j < columns / 8; j += 2) {
        Value row = f.add(f.number(u * 16), f.add(f.mul(f.rem(matrix, 2), 8), matrixRow));
        Value at =
            f.add(f.add(stage, f.mul(row, valueBytes)), f.mul(f.add(f.number(j * 8), f.mul(f.div(matrix, 2), 8)), 2));
        Factors words = f.prepared(f.loadMatrices(at, true));
        for (int64_t side = 0; side < 2; ++side)
          f.multiply(a, words.slice(side * 2, 2), sums.slice((j + side) * 4, 4));
      }
    }
  }

  // One tile: `state` is sums, greatest scores and sums of weights of both rows.
  void addTile(Value number, Value stage, ArrayRef<Factors> q, MutableArrayRef<Value> state) {
    size_t count = columns / 8 * 4;
    MutableArrayRef<Value> sums = state.take_front(count), most = state.slice(count, 2),
                           total = state.slice(count + 2, 2);
    SmallVector<Value> s = scores(number, stage, q);
    for (int64_t r = 0; r < 2; ++r) {
      Value row = lowest();
      for (int64_t i = r * 2; i < (int64_t)s.size(); i += 4)
        row = maximum(row, maximum(s[i], s[i + 1]));
      row = maximum(most[r], reduceRow(row, [&](Value x, Value y) { return maximum(x, y); }));
      // While all scores are -infinity nothing is subtracted from them.
      Value isNone = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, row, lowest());
      Value less = arith::SelectOp::create(b, loc, isNone, constant(0), row);
      auto weight = [&](Value x) -> Value {
        return math::ExpOp::create(b, loc, arith::SubFOp::create(b, loc, x, less));
      };
      Value scale = weight(most[r]);
      most[r] = row;
      Value own;
      for (int64_t i = r * 2; i < (int64_t)s.size(); i += 4)
        for (int64_t e = 0; e < 2; ++e) {
          s[i + e] = weight(s[i + e]);
          own = own ? add(own, s[i + e]) : s[i + e];
        }
      total[r] = add(mul(total[r], scale), own);
      for (size_t i = r * 2; i < count; i += 4)
        for (int64_t e = 0; e < 2; ++e)
          sums[i + e] = mul(sums[i + e], scale);
    }
    multiplyValues(s, f.add(stage, f.number(tile * keyBytes)), sums);
  }

  void store(ArrayRef<Value> state) {
    size_t count = columns / 8 * 4;
    Value init = op.getInit();
    Type element = cast<MemRefType>(init.getType()).getElementType();
    for (int64_t r = 0; r < 2; ++r) {
      Value total = reduceRow(state[count + 2 + r], [&](Value x, Value y) { return add(x, y); });
      Value row = f.add(firstRow, f.add(group, f.number(r * 8)));
      OpBuilder::InsertionGuard guard(b);
      if (queries % rowsOfBlock)
        b.setInsertionPointToStart(scf::IfOp::create(b, loc, f.below(row, queries)).thenBlock());
      for (int64_t j = 0; j < columns / 8; ++j)
        for (int64_t e = 0; e < 2; ++e) {
          Value column = f.add(f.number(j * 8 + e), f.mul(inGroup, 2));
          OpBuilder::InsertionGuard inner(b);
          if (columns != value.length)
            b.setInsertionPointToStart(scf::IfOp::create(b, loc, f.below(column, value.length)).thenBlock());
          Value result = arith::DivFOp::create(b, loc, state[j * 4 + r * 2 + e], total);
          SmallVector<Value> at = *affine::expandAffineMap(b, loc, op.getMap(3), {batch, row, column});
          memref::StoreOp::create(b, loc, nn::convertAccumulator(b, loc, result, element), init, at);
        }
    }
  }

  void emit() {
    OpBuilder::InsertionGuard guard(b);
    int64_t across = llvm::divideCeil(queries, rowsOfBlock);
    auto launch = launchBlocks(b, loc, batches * across, threads);
    auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
    Value shared = f.addressOf(launch.addWorkgroupAttribution(
        MemRefType::get({stages * stageBytes}, b.getI8Type(), MemRefLayoutAttrInterface(), space), loc));
    thread = launch.getThreadIds().x;
    Value block = launch.getBlockIds().x, lane = f.rem(thread, warpSize);
    batch = f.div(block, across);
    firstRow = f.add(f.mul(f.rem(block, across), rowsOfBlock), f.mul(f.div(thread, warpSize), rowsOfWarp));
    group = f.div(lane, 4);
    inGroup = f.rem(lane, 4);
    matrixRow = f.rem(lane, 8);
    matrix = f.div(lane, 8);
    keyBase = key.addressOf(f, batch);
    valueBase = value.addressOf(f, batch);
    SmallVector<Factors> q = loadQueries();
    copyTile(f.number(0), shared);
    f.commitCopies();
    SmallVector<Value> state(columns / 8 * 4, constant(0));
    state.append({lowest(), lowest(), constant(0), constant(0), shared, f.add(shared, f.number(stageBytes))});
    auto loop = scf::ForOp::create(b, loc, f.number(0), f.number(tiles), f.number(1), state);
    {
      OpBuilder::InsertionGuard inside(b);
      b.setInsertionPointToStart(loop.getBody());
      state.assign(loop.getRegionIterArgs().begin(), loop.getRegionIterArgs().end());
      Value writes = state.pop_back_val(), reads = state.pop_back_val();
      f.waitCopies(0);
      gpu::BarrierOp::create(b, loc); // the tile is there, and nobody reads the one before any more
      if (tiles > 1) {
        Value next = f.add(loop.getInductionVar(), f.number(1));
        auto more = scf::IfOp::create(b, loc, f.below(next, tiles));
        OpBuilder::InsertionGuard inner(b);
        b.setInsertionPointToStart(more.thenBlock());
        copyTile(next, writes);
      }
      f.commitCopies();
      addTile(loop.getInductionVar(), reads, q, state);
      state.append({writes, reads});
      scf::YieldOp::create(b, loc, state);
    }
    store(SmallVector<Value>(loop.getResults()));
  }
};
} // namespace

LogicalResult cuda::emitAttention(OpBuilder &builder, nn::AttentionOp op, Products wide, std::string &why) {
  Type element = cast<MemRefType>(op.getQuery().getType()).getElementType();
  Products products = element.isF16() ? Products::F16 : element.isBF16() ? Products::BF16 : wide;
  ArrayRef<int64_t> sizes = op.getSizes();
  if (!(element.isF16() || element.isBF16() || element.isF32()) || products == Products::Exact)
    return why = "products on no tensor core", failure();
  // Few queries leave most of a tile empty.
  if (sizes[1] < rowsOfWarp / 2)
    return why = "few queries", failure();
  // What a lane holds: factors of its queries and sums.
  if (std::max(sizes[3], sizes[4]) > (products == Products::Split ? 64 : 128))
    return why = "a query or its result fills too many registers", failure();
  auto query = AttentionOperand::describe(op.getQuery(), op.getMap(0), sizes[3]),
       key = AttentionOperand::describe(op.getKey(), op.getMap(1), sizes[3]),
       value = AttentionOperand::describe(op.getValue(), op.getMap(2), sizes[4]);
  if (!query || !key || !value)
    return why = "elements of a row do not lie side by side", failure();
  for (const AttentionOperand *operand : {&*query, &*key, &*value})
    if (operand->grain * operand->bytes < 4)
      return why = "rows are not multiples of 4 bytes", failure();
  Attention{builder, op.getLoc(), op, {builder, op.getLoc(), products, {}}, *query, *key, *value}.emit();
  return success();
}
