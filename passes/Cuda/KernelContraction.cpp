// Convolutions and matrix products: D[m, n] = epilogue(sum over k of A[m, k] B[k, n]). For a convolution m counts
// pixels of the result, k taps and channels, and A is never made: each copy finds its bytes in the image.
//
// A block computes a tile. A ring of stages in shared memory holds the next strips of A and B, 64 bytes of k each;
// asynchronous copies fill the stage that was multiplied last while warps multiply the oldest. One barrier a strip
// serves both sides of the ring. Rows of a strip lie 16 bytes further apart than they are long: eight of them, which
// ldmatrix reads at once, then fall into different banks. What lies outside is copied as zeros, so that no product has
// a bound.
//
// Where tiles do not fill the GPU evenly and sums are long, blocks share tiles: the same number of them each tile
// (split-K), or each block an equal stretch of all strips of all tiles, which ends one tile and begins the next
// (stream-K). Each writes its parts of the sums to scratch memory, and a second launch adds them in order and runs the
// epilogue. Who computes what is fixed here, so that results are the same bits every time.
//
//   shared stage: A strip [rows][64 + 16 bytes], B strip [k][columns + 16 bytes] or, transposed, as A's
#include "passes/Cuda/ContractionProblem.h"
#include "passes/Cuda/ContractionResults.h"
#include "passes/Cuda/Families.h"
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/Tiles.h"

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

namespace {
constexpr int64_t stripBytes = 64, padding = 16;

class Contraction {
public:
  Contraction(OpBuilder &b, nn::ComputeOp op, Problem problem)
      : b(b), loc(op.getLoc()), op(op), p(std::move(problem)), f{b, loc, p.products, p.signs},
        tile(chooseTile(p.batches, p.rows, p.columns,
                        p.isInteger() && (p.lhsZeroPoint || p.rhsZeroPoint || p.lhsGrain < 8))),
        results(b, op, p, f) {
    stripK = stripBytes / f.bytes();
    strips = llvm::divideCeil(p.depth, stripK);
    tilesM = llvm::divideCeil(p.rows, tile.rows);
    tilesN = llvm::divideCeil(p.columns, tile.columns);
    shares = chooseShares(tilesM * tilesN * p.batches, strips);
    stripsOfBlock = shares.strips;
    tile.stages = std::max<int64_t>(2, std::min(tile.stages, stripsOfBlock + 1));
    rowBytes = stripBytes + padding;
    byRows = p.transposed || p.isInteger();
    columnBytes = byRows ? rowBytes : tile.columns * f.bytes() + padding;
    lhsBytes = tile.rows * rowBytes;
    rhsBytes = byRows ? tile.columns * rowBytes : stripK * columnBytes;
    stageBytes = lhsBytes + rhsBytes;
  }

  void emit() {
    OpBuilder::InsertionGuard guard(b);
    results.makeScratch(shares.parts(strips));
    OpBuilder behind = b;
    auto launch = launchBlocks(b, loc, shares.blocks, tile.threads());
    auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
    Value buffer = launch.addWorkgroupAttribution(
        MemRefType::get({tile.stages * stageBytes}, b.getI8Type(), MemRefLayoutAttrInterface(), space), loc);
    thread = launch.getThreadIds().x;
    Value block = launch.getBlockIds().x;
    shared = f.addressOf(buffer);
    lhsBase = f.addressOf(p.lhs);
    rhsBase = f.addressOf(p.rhs);
    Value lane = f.rem(thread, warpSize), warp = f.div(thread, warpSize);
    int64_t warpsAcross = tile.columns / tile.warpColumns;
    warpRow = f.mul(f.div(warp, warpsAcross), tile.warpRows);
    warpColumn = f.mul(f.rem(warp, warpsAcross), tile.warpColumns);
    group = f.div(lane, 4);
    inGroup = f.rem(lane, 4);
    matrixRow = f.rem(lane, 8);
    matrix = f.div(lane, 8);
    if (shares.isStream) {
      emitStretch(block);
      results.addParts(behind, [&](Value batch, Value m, Value n) { return partsOf(batch, m, n); });
      return;
    }
    int64_t tiles = tilesM * tilesN * p.batches;
    split = f.div(block, tiles);
    firstStrip = f.mul(split, stripsOfBlock);
    emitTile(f.rem(block, tiles));
    results.addParts(behind);
  }

private:
  OpBuilder &b;
  Location loc;
  nn::ComputeOp op;
  Problem p;
  Fragments f;
  Tile tile;
  bool byRows; // B stands in shared memory as [n][k], as A does
  int64_t tilesM, tilesN;
  Shares shares;
  int64_t stripK, strips, stripsOfBlock, rowBytes, columnBytes, lhsBytes, rhsBytes, stageBytes;
  ContractionResults results;
  Value split, firstStrip; // of the tile: which part of its sums, from where on
  Value stripCount;        // of a stretch in this tile; null: stripsOfBlock
  Value thread, tileRow, tileColumn, batch, shared, lhsBase, rhsBase, warpRow, warpColumn;
  Value group, inGroup, matrixRow, matrix; // of a lane: in fragments of results; in loads of matrices

  /// One copy a thread makes of each strip: what of it does not depend on the strip.
  struct Copy {
    Value to;                  // in a stage
    Value base;                // address of its row's first element (B not transposed: of its column)
    Value valid;               // its row is inside; null: always
    Value k;                   // its element of the strip
    Value inside;              // whether the strip has this unit, which must not land in the next buffer; null: yes
    SmallVector<Value> origin; // of a convolution: the window's first position along each spatial dim
  };
  SmallVector<Copy> lhsCopies, rhsCopies;

  void emitTile(Value number) {
    // Neighbouring blocks share the columns of B, which the cache then holds.
    tileRow = f.mul(f.rem(number, tilesM), tile.rows);
    Value rest = f.div(number, tilesM);
    tileColumn = f.mul(f.rem(rest, tilesN), tile.columns);
    batch = results.batch = f.div(rest, tilesN);
    results.split = split;
    prepareCopies();
    store(emitStrips());
  }

  // Strips are counted through all tiles; the stretch of a block is no longer than a tile, so that it has two at most.
  void emitStretch(Value block) {
    Value begin = f.mul(block, stripsOfBlock);
    Value end = arith::MinUIOp::create(b, loc, f.add(begin, f.number(stripsOfBlock)),
                                       f.number(tilesM * tilesN * p.batches * strips));
    auto loop = scf::ForOp::create(b, loc, f.number(0), f.number(2), f.number(1));
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value number = f.add(f.div(begin, strips), loop.getInductionVar());
    Value first = f.mul(number, strips);
    Value from = arith::MaxUIOp::create(b, loc, begin, first);
    Value to = arith::MinUIOp::create(b, loc, end, f.add(first, f.number(strips)));
    Value some = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, from, to);
    b.setInsertionPointToStart(scf::IfOp::create(b, loc, some).thenBlock());
    // The tile before may still be multiplied from shared memory.
    f.waitCopies(0);
    gpu::BarrierOp::create(b, loc);
    stripCount = arith::SubIOp::create(b, loc, to, from);
    firstStrip = arith::SubIOp::create(b, loc, from, first);
    split = arith::SubIOp::create(b, loc, block, f.div(first, stripsOfBlock));
    emitTile(number);
  }

  // How many blocks have a part of the tile that holds this result.
  Value partsOf(Value batch, Value m, Value n) {
    Value number = f.add(f.mul(batch, tilesN), f.div(n, tile.columns));
    number = f.add(f.mul(number, tilesM), f.div(m, tile.rows));
    Value first = f.div(f.mul(number, strips), stripsOfBlock);
    Value last = f.div(f.add(f.mul(number, strips), f.number(strips - 1)), stripsOfBlock);
    return f.add(arith::SubIOp::create(b, loc, last, first), f.number(1));
  }

  /// Whether copies of a strip may lie behind the last of k.
  bool hasDepthTail() { return p.depth % (shares.isStream ? stripK : stripK * stripsOfBlock); }

  Value isStrip(Value number) {
    return stripCount ? arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, number, stripCount).getResult()
                      : f.below(number, stripsOfBlock);
  }

  // Sums of factors alone, by which zero points are taken out: of columns of B, then of rows of A, in fragments like
  // those of results.
  int64_t correctionTiles() { return columnSumTiles() + rowSumTiles(); }
  int64_t columnSumTiles() { return p.lhsZeroPoint ? columnTiles() : 0; }
  int64_t rowSumTiles() { return p.rhsZeroPoint ? rowTiles() : 0; }

  int64_t rowTiles() { return tile.warpRows / 16; }
  int64_t columnTiles() { return tile.warpColumns / 8; }

  Value both(Value x, Value y) { return !x ? y : !y ? x : b.createOrFold<arith::AndIOp>(loc, x, y); }

  /// Calls `body(row, unit)` for this thread's units of a strip of `rows` rows of `units`; a unit beyond the strip is
  /// not valid.
  void forUnits(int64_t rows, int64_t units, llvm::function_ref<void(Value row, Value unit, Value inside)> body) {
    int64_t total = rows * units, rounds = llvm::divideCeil(total, tile.threads());
    for (int64_t i = 0; i < rounds; ++i) {
      Value number = f.add(thread, f.number(i * tile.threads()));
      Value inside = (i + 1) * tile.threads() > total ? f.below(number, total) : Value();
      body(f.div(number, units), f.rem(number, units), inside);
    }
  }

  void prepareCopies() {
    lhsCopies.clear();
    rhsCopies.clear();
    int64_t units = stripK / p.lhsGrain;
    forUnits(tile.rows, units, [&](Value row, Value unit, Value inside) {
      Copy copy;
      copy.k = f.mul(unit, p.lhsGrain);
      copy.to = f.add(f.mul(row, rowBytes), f.mul(copy.k, f.bytes()));
      Value m = f.add(tileRow, row);
      copy.valid = p.rows % tile.rows ? f.below(m, p.rows) : Value();
      copy.inside = inside;
      copy.base = f.add(lhsBase, f.mul(lhsRowOffset(m, copy.origin), f.bytes()));
      lhsCopies.push_back(copy);
    });
    if (p.transposed) {
      units = stripK / p.rhsGrain;
      forUnits(tile.columns, units, [&](Value row, Value unit, Value inside) {
        Copy copy;
        copy.k = f.mul(unit, p.rhsGrain);
        copy.to = f.add(f.number(lhsBytes), f.add(f.mul(row, rowBytes), f.mul(copy.k, f.bytes())));
        Value n = f.add(tileColumn, row);
        copy.valid = p.columns % tile.columns ? f.below(n, p.columns) : Value();
        copy.inside = inside;
        copy.base = f.add(rhsBase, f.mul(f.add(rhsBatchOffset(), f.mul(n, p.rhsRow)), f.bytes()));
        rhsCopies.push_back(copy);
      });
      return;
    }
    if (p.isInteger()) {
      prepareTurns();
      return;
    }
    units = tile.columns / p.rhsGrain;
    forUnits(stripK, units, [&](Value row, Value unit, Value inside) {
      Copy copy;
      Value n = f.mul(unit, p.rhsGrain);
      copy.k = row;
      copy.to = f.add(f.number(lhsBytes), f.add(f.mul(row, columnBytes), f.mul(n, f.bytes())));
      Value column = f.add(tileColumn, n);
      copy.valid = p.columns % tile.columns ? f.below(column, p.columns) : Value();
      copy.inside = inside;
      copy.base = f.add(rhsBase, f.mul(f.add(rhsBatchOffset(), column), f.bytes()));
      rhsCopies.push_back(copy);
    });
  }

  // Bytes come as [k][n] and are multiplied as [n][k]: a thread turns squares of 4 x 4.
  void prepareTurns() {
    int64_t units = tile.columns / 4;
    forUnits(stripK / 4, units, [&](Value row, Value unit, Value inside) {
      Copy copy;
      Value n = f.mul(unit, 4), column = f.add(tileColumn, n);
      copy.k = f.mul(row, 4);
      copy.to = f.add(f.number(lhsBytes), f.add(f.mul(n, rowBytes), copy.k));
      copy.valid = p.columns % tile.columns ? f.below(column, p.columns) : Value();
      copy.inside = inside;
      copy.base = f.add(rhsBase, f.add(rhsBatchOffset(), column));
      rhsCopies.push_back(copy);
    });
  }

  // No asynchronous copy turns bytes: these go through registers, at the place in the ring where copies start.
  void turnStrip(Value strip, Value stage) {
    for (const Copy &copy : rhsCopies) {
      OpBuilder::InsertionGuard guard(b);
      if (copy.inside)
        b.setInsertionPointToStart(scf::IfOp::create(b, loc, copy.inside).thenBlock());
      Value first = f.add(f.mul(f.add(firstStrip, strip), stripK), copy.k);
      SmallVector<Value, 4> words;
      for (int64_t i = 0; i < 4; ++i) {
        Value k = f.add(first, f.number(i)), valid = copy.valid;
        if (hasDepthTail())
          valid = both(valid, f.below(k, p.depth));
        Value from = f.add(copy.base, f.mul(k, p.rhsRow));
        if (valid)
          from = b.createOrFold<arith::SelectOp>(loc, valid, from, rhsBase);
        Value word = f.loadGlobalWord(from);
        Value zero = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
        words.push_back(valid ? arith::SelectOp::create(b, loc, valid, word, zero).getResult() : word);
      }
      for (auto [i, word] : llvm::enumerate(f.turned(words)))
        f.storeWord(f.add(f.add(stage, copy.to), f.number(i * rowBytes)), word);
    }
  }

  Value rhsBatchOffset() { return p.isConv ? f.mul(batch, p.columns) : results.batchOffset(p.rhs); }

  // Offset of row m of A, for a convolution that of its window's first element.
  Value lhsRowOffset(Value m, SmallVector<Value> &origin) {
    if (!p.isConv)
      return f.add(results.batchOffset(p.lhs), f.mul(m, p.lhsRow));
    SmallVector<int64_t> shape{p.rows};
    for (int64_t size : p.out)
      shape.front() /= size;
    llvm::append_range(shape, p.out);
    SmallVector<Value> at = positionOf(b, loc, m, shape);
    Value offset = f.add(f.mul(at[0], p.imageStride), f.mul(batch, p.channels));
    for (unsigned s = 0; s < p.out.size(); ++s) {
      Value first = b.createOrFold<arith::SubIOp>(loc, f.mul(at[s + 1], p.strides[s]), f.number(p.pads[s]));
      origin.push_back(first);
      offset = f.add(offset, f.mul(first, p.pixelStrides[s]));
    }
    return offset;
  }

  void copyStrip(ArrayRef<Copy> copies, Value strip, Value stage, bool isLhs) {
    int64_t grain = isLhs ? p.lhsGrain : p.rhsGrain;
    for (const Copy &copy : copies) {
      Value k = f.add(f.mul(f.add(firstStrip, strip), stripK), copy.k), valid = copy.valid;
      // The last block of a tile may have fewer strips; what is missing adds zeros.
      if (hasDepthTail())
        valid = both(valid, f.below(k, p.depth));
      Value offset;
      if (isLhs && p.isConv)
        offset = convOffset(k, copy, valid);
      else if (!isLhs && !p.transposed)
        offset = f.mul(k, p.rhsRow);
      else
        offset = k;
      Value from = f.add(copy.base, f.mul(offset, f.bytes()));
      if (valid) // what is not read may lie anywhere, but not outside all memory
        from = b.createOrFold<arith::SelectOp>(loc, valid, from, isLhs ? lhsBase : rhsBase);
      OpBuilder::InsertionGuard guard(b);
      if (copy.inside)
        b.setInsertionPointToStart(scf::IfOp::create(b, loc, copy.inside).thenBlock());
      f.copyAsync(f.add(stage, copy.to), from, grain * f.bytes(), valid);
    }
  }

  Value convOffset(Value k, const Copy &copy, Value &valid) {
    int64_t taps = 1;
    for (int64_t size : p.kernel)
      taps *= size;
    if (taps == 1 && !p.hasPadding)
      return k;
    SmallVector<int64_t> shape(p.kernel);
    shape.push_back(p.channels);
    SmallVector<Value> at = positionOf(b, loc, k, shape);
    Value offset = at.back();
    for (unsigned s = 0; s < p.kernel.size(); ++s) {
      Value step = f.mul(at[s], p.dilations[s]);
      offset = f.add(offset, f.mul(step, p.pixelStrides[s]));
      // Positions before the image are huge numbers without a sign.
      if (p.hasPadding)
        valid = both(valid, f.below(f.add(copy.origin[s], step), p.in[s]));
    }
    return offset;
  }

  void copyStage(Value strip, Value stage) {
    copyStrip(lhsCopies, strip, stage, true);
    if (p.isInteger() && !p.transposed)
      turnStrip(strip, stage);
    else
      copyStrip(rhsCopies, strip, stage, false);
  }

  SmallVector<Value> emitStrips() {
    int64_t ahead = tile.stages - 1;
    for (int64_t s = 0; s < ahead; ++s) {
      if (s < stripsOfBlock) {
        OpBuilder::InsertionGuard guard(b);
        if (stripCount)
          b.setInsertionPointToStart(scf::IfOp::create(b, loc, isStrip(f.number(s))).thenBlock());
        copyStage(f.number(s), f.add(shared, f.number(s * stageBytes)));
      }
      f.commitCopies();
    }
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(results.sumType()));
    SmallVector<Value> carried((rowTiles() * columnTiles() + correctionTiles()) * 4, zero);
    carried.push_back(shared);                                      // where warps read
    carried.push_back(f.add(shared, f.number(ahead * stageBytes))); // where copies go
    Value count = stripCount ? stripCount : f.number(stripsOfBlock);
    auto loop = scf::ForOp::create(b, loc, f.number(0), count, f.number(1), carried);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> sums(loop.getRegionIterArgs());
    Value writes = sums.pop_back_val(), reads = sums.pop_back_val();
    f.waitCopies(ahead - 1);
    gpu::BarrierOp::create(b, loc);
    if (ahead < stripsOfBlock) {
      Value next = f.add(loop.getInductionVar(), f.number(ahead));
      auto more = scf::IfOp::create(b, loc, isStrip(next));
      OpBuilder::InsertionGuard inside(b);
      b.setInsertionPointToStart(more.thenBlock());
      copyStage(next, writes);
    }
    f.commitCopies();
    multiplyStrip(reads, sums);
    auto advance = [&](Value stage) {
      Value next = f.add(stage, f.number(stageBytes)), end = f.add(shared, f.number(tile.stages * stageBytes));
      Value wraps = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, next, end);
      return arith::SelectOp::create(b, loc, wraps, shared, next).getResult();
    };
    sums.push_back(advance(reads));
    sums.push_back(advance(writes));
    scf::YieldOp::create(b, loc, sums);
    SmallVector<Value> found(loop.getResults());
    found.resize(found.size() - 2);
    return found;
  }

  void multiplyStrip(Value stage, MutableArrayRef<Value> sums) {
    Value rhs = f.add(stage, f.number(lhsBytes));
    for (int64_t k = 0; k < stripK; k += f.stepK())
      f.products == Products::Exact ? multiplyExact(stage, rhs, k, sums) : multiplyFragments(stage, rhs, k, sums);
  }

  void multiplyFragments(Value lhs, Value rhs, int64_t k, MutableArrayRef<Value> sums) {
    // A: matrices are (rows 0-7, 8-15) x (first, second 16 bytes of k).
    SmallVector<Factors> a;
    for (int64_t i = 0; i < rowTiles(); ++i) {
      Value row = f.add(f.add(warpRow, f.number(i * 16)), f.add(f.mul(f.rem(matrix, 2), 8), matrixRow));
      Value at = f.add(f.add(lhs, f.mul(row, rowBytes)), f.add(f.mul(f.div(matrix, 2), 16), f.number(k * f.bytes())));
      a.push_back(f.prepared(f.loadMatrices(at, false)));
    }
    for (int64_t j = 0; j < columnTiles(); j += 2) {
      Factors pair = f.prepared(loadRhs(rhs, k, j));
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t i = 0; i < rowTiles(); ++i)
          f.multiply(a[i], pair.slice(half * 2, 2), sums.slice((i * columnTiles() + j + half) * 4, 4));
      for (int64_t half = 0; half < 2 && p.lhsZeroPoint; ++half)
        f.multiply(ones(4), pair.slice(half * 2, 2), sums.slice((rowTiles() * columnTiles() + j + half) * 4, 4));
    }
    for (int64_t i = 0; i < rowSumTiles(); ++i)
      f.multiply(a[i], ones(2), sums.slice((rowTiles() * columnTiles() + columnSumTiles() + i) * 4, 4));
  }

  Factors ones(unsigned words) {
    Value word = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0x01010101));
    return {SmallVector<Value, 4>(words, word), {}};
  }

  // sum (a - za) (b - zb) = sum a b - za sum b - zb sum a + k za zb.
  Value corrected(ArrayRef<Value> sums, int64_t i, int64_t j, int64_t e) {
    Value sum = sums[(i * columnTiles() + j) * 4 + e];
    auto take = [&](Value other, int64_t factor) {
      Value scale = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(int32_t(factor)));
      sum = arith::SubIOp::create(b, loc, sum, arith::MulIOp::create(b, loc, other, scale));
    };
    if (p.lhsZeroPoint)
      take(sums[(rowTiles() * columnTiles() + j) * 4 + e], p.lhsZeroPoint);
    if (p.rhsZeroPoint)
      take(sums[(rowTiles() * columnTiles() + columnSumTiles() + i) * 4 + e], p.rhsZeroPoint);
    if (p.lhsZeroPoint && p.rhsZeroPoint) {
      Value isFirst = arith::CmpIOp::create(b, loc, arith::CmpIPredicate::eq, split, f.number(0));
      Value one = arith::ExtUIOp::create(b, loc, b.getI32Type(), isFirst); // once, of a split sum
      take(one, -p.depth * p.lhsZeroPoint * p.rhsZeroPoint);
    }
    return sum;
  }

  // The words of B for 16 columns from 8 j on: two for each 8.
  SmallVector<Value, 4> loadRhs(Value rhs, int64_t k, int64_t j) {
    Value column = f.add(warpColumn, f.number(j * 8));
    SmallVector<Value, 4> words;
    if (byRows) {
      // Matrices: (columns 0-7, first 16 bytes of k), (0-7, second), (8-15, first), (8-15, second).
      Value row = f.add(column, f.add(f.mul(f.div(matrix, 2), 8), matrixRow));
      Value at = f.add(f.add(rhs, f.mul(row, rowBytes)), f.add(f.mul(f.rem(matrix, 2), 16), f.number(k * f.bytes())));
      words = f.loadMatrices(at, false);
    } else if (!f.isWide()) {
      // Matrices: (k 0-7, columns 0-7), (8-15, 0-7), (0-7, 8-15), (8-15, 8-15), each read by columns.
      Value row = f.add(f.number(k), f.add(f.mul(f.rem(matrix, 2), 8), matrixRow));
      Value at = f.add(f.add(rhs, f.mul(row, columnBytes)), f.mul(f.add(column, f.mul(f.div(matrix, 2), 8)), 2));
      words = f.loadMatrices(at, true);
    } else {
      // ldmatrix turns elements of 16 bits alone; these words come one by one.
      for (int64_t i = 0; i < 4; ++i) {
        Value row = f.add(f.number(k + i % 2 * 4), inGroup), n = f.add(column, f.add(f.number(i / 2 * 8), group));
        words.push_back(f.loadWord(f.add(f.add(rhs, f.mul(row, columnBytes)), f.mul(n, 4))));
      }
    }
    return words;
  }

  // Each lane multiplies what its sums need, in the order of k.
  void multiplyExact(Value lhs, Value rhs, int64_t first, MutableArrayRef<Value> sums) {
    auto number = [&](Value at) { return LLVM::BitcastOp::create(b, loc, b.getF32Type(), f.loadWord(at)).getResult(); };
    for (int64_t k = first; k < first + f.stepK(); ++k) {
      SmallVector<Value> left, right;
      for (int64_t i = 0; i < rowTiles() * 2; ++i) {
        Value row = f.add(f.add(warpRow, f.number(i * 8)), group);
        left.push_back(number(f.add(f.add(lhs, f.mul(row, rowBytes)), f.number(k * 4))));
      }
      for (int64_t j = 0; j < columnTiles() * 2; ++j) {
        Value n = f.add(f.add(warpColumn, f.number(j / 2 * 8 + j % 2)), f.mul(inGroup, 2));
        Value at =
            p.transposed ? f.add(f.mul(n, rowBytes), f.number(k * 4)) : f.add(f.number(k * columnBytes), f.mul(n, 4));
        right.push_back(number(f.add(rhs, at)));
      }
      for (int64_t i = 0; i < rowTiles(); ++i)
        for (int64_t j = 0; j < columnTiles(); ++j)
          for (int64_t e = 0; e < 4; ++e) {
            Value &sum = sums[(i * columnTiles() + j) * 4 + e];
            sum = LLVM::FMAOp::create(b, loc, left[i * 2 + e / 2], right[j * 2 + e % 2], sum);
          }
    }
  }

  void store(ArrayRef<Value> sums) {
    auto rowOf = [&](int64_t i) {
      Value m = f.add(f.add(tileRow, warpRow), f.add(f.number(i * 8), group));
      return ResultRow{m, p.rows % tile.rows ? f.below(m, p.rows) : Value()};
    };
    Value column = f.add(f.add(tileColumn, warpColumn), f.mul(inGroup, 2));
    results.store(rowTiles(), columnTiles(), rowOf, column, p.columns % tile.columns,
                  [&](int64_t i, int64_t j, int64_t e) { return corrected(sums, i, j, e); });
  }
};
} // namespace

LogicalResult cuda::emitContraction(OpBuilder &builder, ComputeOp op, Products wide, std::string &why) {
  std::optional<Problem> problem = describeContraction(op, wide, why);
  if (!problem)
    return failure();
  Contraction(builder, op, *problem).emit();
  return success();
}
