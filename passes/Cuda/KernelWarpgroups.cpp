// Convolutions and matrix products of 16-bit floats for warpgroups (sm_90a): D[m, n] = epilogue(sum A[m, k] B[k, n]),
// as in KernelContraction.cpp, but nothing goes through registers on its way to the tensor cores.
//
// Of a block's nine warps the last copies: one thread starts a copy of a box of A and of B a strip of k, 64 elements,
// into the next stage of a ring in shared memory. The copy unit finds the bytes of a box in the image, takes every
// second pixel, fills in zeros outside and swizzles. The other warps are two warpgroups of 64 rows each; they multiply
// a stage as soon as its bytes are there, and hand back the one before when its products are done. Two barriers a stage
// tell the sides of each other, and no barrier stops the block.
//
// Rows of a tile are a box of pixels: so an image is read in place, whatever strides, padding and dilation.
//
//   shared: stages of [A 128 rows][128 bytes], [B columns of 64][64 k][128 bytes] or, transposed, [columns][128 bytes];
//           barriers "full" and "empty" of each stage
#include "passes/Cuda/ContractionResults.h"
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/WarpgroupProblem.h"

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

namespace {
constexpr int64_t warpgroups = 2, consumers = warpgroups * Warpgroups::threads, barrierBytes = 8;
constexpr int64_t lhsBytes = WarpgroupProblem::tileRows * Warpgroups::rowBytes;

class WarpgroupContraction {
public:
  WarpgroupContraction(OpBuilder &b, nn::ComputeOp op, WarpgroupProblem problem)
      : b(b), loc(op.getLoc()), w(std::move(problem)), p(w.p), f{b, loc, p.products, p.signs}, g{f, p.transposed},
        results(b, op, p, f) {
    columns = w.tile.columns;
    strips = w.taps * w.chunks;
    columnTiles = llvm::divideCeil(p.columns, columns);
    stripsOfBlock = chooseWarpgroupShares(w.rowTiles() * columnTiles * p.batches, strips).strips;
    splits = llvm::divideCeil(strips, stripsOfBlock);
    stages = std::min(w.tile.stages, stripsOfBlock);
    stageBytes = lhsBytes + columns * Warpgroups::rowBytes;
  }

  void emit() {
    OpBuilder::InsertionGuard guard(b);
    results.makeScratch(splits);
    Value lhsMap = w.lhs.of(b, loc, p.lhs), rhsMap = w.rhs.of(b, loc, p.rhs);
    OpBuilder behind = b;
    int64_t bytes = Warpgroups::swizzledBytes + stages * (stageBytes + 2 * barrierBytes);
    Value sharedBytes = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(bytes));
    auto launch = launchBlocks(b, loc, w.rowTiles() * columnTiles * p.batches * splits, consumers + warpSize);
    launch.getDynamicSharedMemorySizeMutable().assign(sharedBytes);
    thread = launch.getThreadIds().x;
    placeBlock(launch.getBlockIds().x);
    placeShared();
    makeBarriers();
    {
      OpBuilder::InsertionGuard inside(b);
      Value copies = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, thread, f.number(consumers));
      b.setInsertionPointToStart(scf::IfOp::create(b, loc, copies).thenBlock());
      copyStrips(lhsMap, rhsMap);
    }
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, f.below(thread, consumers)).thenBlock());
    warp = f.div(thread, warpSize);
    lane = f.rem(thread, warpSize);
    store(multiplyStrips());
    results.addParts(behind);
  }

private:
  OpBuilder &b;
  Location loc;
  WarpgroupProblem w;
  const Problem &p;
  Fragments f;
  Warpgroups g;
  ContractionResults results;
  int64_t columns, strips, columnTiles, splits, stripsOfBlock, stages, stageBytes;
  Value thread, warp, lane, shared, fullBarriers, emptyBarriers;
  Value tileColumn, firstStrip, stripCount;
  SmallVector<Value> boxes; // of the tile along each dim of rows

  void placeBlock(Value block) {
    SmallVector<int64_t> shape{splits, p.batches, columnTiles};
    for (const RowDim &dim : w.dims)
      shape.push_back(llvm::divideCeil(dim.out, dim.box));
    // Neighbouring blocks share the columns of B, which the cache then holds.
    SmallVector<Value> at = positionOf(b, loc, block, shape);
    results.split = at[0];
    results.batch = at[1];
    tileColumn = f.mul(at[2], columns);
    boxes.assign(at.begin() + 3, at.end());
    firstStrip = f.mul(at[0], stripsOfBlock);
    stripCount = f.number(stripsOfBlock);
    if (strips % stripsOfBlock) {
      Value left = b.createOrFold<arith::SubIOp>(loc, f.number(strips), firstStrip);
      stripCount = arith::MinUIOp::create(b, loc, stripCount, left);
    }
  }

  // Swizzling goes by addresses, so stages begin where its pattern does.
  void placeShared() {
    auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
    auto type = MemRefType::get({ShapedType::kDynamic}, b.getI8Type(), MemRefLayoutAttrInterface(), space);
    Value begin = f.addressOf(gpu::DynamicSharedMemoryOp::create(b, loc, type));
    Value last = f.add(begin, f.number(Warpgroups::swizzledBytes - 1));
    shared = arith::AndIOp::create(b, loc, last, f.number(-Warpgroups::swizzledBytes));
    fullBarriers = f.add(shared, f.number(stages * stageBytes));
    emptyBarriers = f.add(fullBarriers, f.number(stages * barrierBytes));
  }

  void makeBarriers() {
    {
      OpBuilder::InsertionGuard inside(b);
      Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, thread, f.number(0));
      b.setInsertionPointToStart(scf::IfOp::create(b, loc, isFirst).thenBlock());
      for (int64_t s = 0; s < stages; ++s) {
        g.makeBarrier(f.add(fullBarriers, f.number(s * barrierBytes)), 1);
        g.makeBarrier(f.add(emptyBarriers, f.number(s * barrierBytes)), consumers / warpSize);
      }
      g.showBarriersToCopies();
    }
    gpu::BarrierOp::create(b, loc);
  }

  /// Loops over strips; `body` gets the strip, its stage and the parity of the ring's round, and carries `more`.
  Value forStrips(int64_t firstParity, Value more, llvm::function_ref<Value(Value, Value, Value, Value)> body) {
    Value parity = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(firstParity));
    SmallVector<Value> carried{f.number(0), parity};
    if (more)
      carried.push_back(more);
    auto loop = scf::ForOp::create(b, loc, f.number(0), stripCount, f.number(1), carried);
    OpBuilder::InsertionGuard inside(b);
    b.setInsertionPointToStart(loop.getBody());
    Value stage = loop.getRegionIterArg(0);
    parity = loop.getRegionIterArg(1);
    Value made = body(loop.getInductionVar(), stage, parity, more ? loop.getRegionIterArg(2) : Value());
    Value next = f.add(stage, f.number(1));
    Value wraps = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, next, f.number(stages));
    Value one = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(1));
    Value turned = arith::XOrIOp::create(b, loc, parity, one);
    SmallVector<Value> yields{arith::SelectOp::create(b, loc, wraps, f.number(0), next),
                              arith::SelectOp::create(b, loc, wraps, turned, parity)};
    if (more)
      yields.push_back(made);
    scf::YieldOp::create(b, loc, yields);
    return more ? loop.getResult(2) : Value();
  }

  Value stageAt(Value stage) { return f.add(shared, f.mul(stage, stageBytes)); }
  Value barrierAt(Value barriers, Value stage) { return f.add(barriers, f.mul(stage, barrierBytes)); }

  void copyStrips(Value lhsMap, Value rhsMap) {
    SmallVector<Value> batch = positionOf(
        b, loc, results.batch, p.isConv ? ArrayRef<int64_t>{p.batches} : ArrayRef<int64_t>(results.batchShape()));
    // Stages begin empty: the phase before the first counts as ended.
    forStrips(/*firstParity=*/1, Value(), [&](Value strip, Value stage, Value parity, Value) {
      SmallVector<int64_t> shape;
      for (const RowDim &dim : w.dims)
        shape.push_back(dim.taps);
      shape.push_back(w.chunks);
      Value number = f.add(firstStrip, strip);
      SmallVector<Value> at = positionOf(b, loc, number, shape);
      Value k = f.mul(at.back(), WarpgroupProblem::chunk);
      Value full = barrierAt(fullBarriers, stage), to = stageAt(stage);
      g.wait(barrierAt(emptyBarriers, stage), parity);
      g.arriveExpecting(full, stageBytes);

      Value channel = p.groups > 1 ? f.add(k, f.mul(results.batch, p.channels)) : k;
      SmallVector<Value> lhs{channel};
      for (unsigned d = w.dims.size(); d-- > 0;) {
        const RowDim &dim = w.dims[d];
        Value first = f.add(f.mul(boxes[d], dim.box * dim.step), f.mul(at[d], dim.dilation));
        lhs.push_back(b.createOrFold<arith::SubIOp>(loc, first, f.number(dim.pad)));
      }
      for (unsigned d : w.lhsBatches)
        lhs.push_back(batch[d]);
      g.copyBox(to, lhsMap, lhs, full);

      Value column = p.groups > 1 ? f.add(tileColumn, f.mul(results.batch, p.columns)) : tileColumn;
      SmallVector<Value> more;
      if (w.taps > 1)
        more.push_back(f.div(number, w.chunks));
      for (unsigned d : w.rhsBatches)
        more.push_back(batch[d]);
      int64_t width = p.transposed ? columns : WarpgroupProblem::chunk;
      for (int64_t n = 0; n < columns; n += width) {
        SmallVector<Value> rhs{f.add(column, f.number(n)), k};
        if (p.transposed)
          std::swap(rhs[0], rhs[1]);
        rhs.append(more);
        g.copyBox(f.add(to, f.number(lhsBytes + n * Warpgroups::rowBytes)), rhsMap, rhs, full);
      }
      return Value();
    });
  }

  Value multiplyStrips() {
    Value group = f.div(warp, Warpgroups::threads / warpSize);
    Value sums = forStrips(0, g.noSums(columns), [&](Value strip, Value stage, Value parity, Value before) {
      g.wait(barrierAt(fullBarriers, stage), parity);
      Value at = stageAt(stage), lhs = f.add(at, f.mul(group, Warpgroups::rows * Warpgroups::rowBytes));
      Value after =
          g.multiply(lhs, f.add(at, f.number(lhsBytes)), before, columns, WarpgroupProblem::chunk / Warpgroups::stepK);
      // The products of the strip before are done; these keep the tensor cores busy meanwhile.
      g.waitProducts(1);
      Value hasBefore = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ne, strip, f.number(0));
      Value isLeader = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, lane, f.number(0));
      Value arrives = arith::AndIOp::create(b, loc, hasBefore, isLeader);
      OpBuilder::InsertionGuard inside(b);
      b.setInsertionPointToStart(scf::IfOp::create(b, loc, arrives).thenBlock());
      Value wraps = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, stage, f.number(0));
      Value down = arith::SubIOp::create(b, loc, stage, f.number(1));
      g.arrive(barrierAt(emptyBarriers, arith::SelectOp::create(b, loc, wraps, f.number(stages - 1), down)));
      return after;
    });
    g.waitProducts(0);
    return sums;
  }

  // A warp holds 16 rows of the tile, all its columns.
  void store(Value sums) {
    Value group = f.div(lane, 4), inGroup = f.rem(lane, 4);
    SmallVector<int64_t> shape = llvm::map_to_vector(w.dims, [](const RowDim &dim) { return dim.box; });
    auto rowOf = [&](int64_t i) {
      Value row = f.add(f.add(f.mul(warp, 16), f.number(i * 8)), group);
      ResultRow result{f.number(0), Value()};
      for (auto [at, box, dim] : llvm::zip(positionOf(b, loc, row, shape), boxes, w.dims)) {
        Value position = f.add(f.mul(box, dim.box), at);
        result.number = f.add(f.mul(result.number, dim.out), position);
        if (dim.out % dim.box == 0)
          continue;
        Value inside = f.below(position, dim.out);
        result.valid = result.valid ? arith::AndIOp::create(b, loc, result.valid, inside).getResult() : inside;
      }
      return result;
    };
    results.store(
        1, columns / 8, rowOf, f.add(tileColumn, f.mul(inGroup, 2)), p.columns % columns,
        [&](int64_t, int64_t j, int64_t e) -> Value { return LLVM::ExtractValueOp::create(b, loc, sums, j * 4 + e); });
  }
};
} // namespace

LogicalResult cuda::emitWarpgroups(OpBuilder &builder, nn::ComputeOp op, std::string &why) {
  std::optional<WarpgroupProblem> problem = describeWarpgroups(op, why);
  if (!problem)
    return failure();
  WarpgroupContraction(builder, op, std::move(*problem)).emit();
  return success();
}
