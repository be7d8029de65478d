// Convolutions and matrix products: D[m, n] = epilogue(sum over k of A[m, k] B[k, n]). For a convolution m counts
// pixels of the result, k taps and channels, and A is never made: each copy finds its bytes in the image.
//
// A block computes a tile. A ring of stages in shared memory holds the next strips of A and B, 64 bytes of k each;
// asynchronous copies fill the stage that was multiplied last while warps multiply the oldest. One barrier a strip serves
// both sides of the ring. Rows of a strip lie 16 bytes further apart than they are long: eight of them, which ldmatrix
// reads at once, then fall into different banks. What lies outside is copied as zeros, so that no product has a bound.
//
//   shared stage: A strip [rows][64 + 16 bytes], B strip [k][columns + 16 bytes] or, transposed, as A's
#include "dialects/Nn/Element.h"
#include "passes/Cuda/Families.h"
#include "passes/Cuda/Fragments.h"
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/Tiles.h"

using namespace mlir;
using namespace burin;
using namespace burin::cuda;

namespace {
constexpr int64_t stripBytes = 64, padding = 16;

/// Where factors come from: strides in elements; batches are independent products (batches, groups).
struct Problem {
  Value lhs, rhs;
  bool isConv = false, transposed = false; // rhs as [n][k]
  int64_t batches = 1, rows = 0, columns = 0, depth = 0;
  int64_t rhsRow = 0; // stride of k, or of n when transposed
  int64_t channels = 0, groups = 1;
  SmallVector<int64_t> kernel, out, in, pixelStrides; // spatial, of a convolution; pixelStrides in the input
  SmallVector<int64_t> strides, dilations, pads;
  int64_t imageStride = 0, lhsRow = 0;
  bool hasPadding = false;
  int64_t lhsGrain = 1, rhsGrain = 1; // elements that one copy takes
};

SmallVector<int64_t> stridesOf(Value memref) {
  SmallVector<int64_t> strides;
  int64_t offset;
  (void)cast<MemRefType>(memref.getType()).getStridesAndOffset(strides, offset);
  return strides;
}

// The most elements that one copy of at most 16 bytes takes: what all places are multiples of. 0: not even 4 bytes.
int64_t grainOf(Value memref, int64_t run, ArrayRef<int64_t> strides, int64_t bytes) {
  SmallVector<int64_t> ignored;
  int64_t offset;
  (void)cast<MemRefType>(memref.getType()).getStridesAndOffset(ignored, offset);
  for (int64_t grain = 16 / bytes; grain * bytes >= 4; grain /= 2)
    if (run % grain == 0 && offset % grain == 0 && llvm::all_of(strides, [&](int64_t s) { return s % grain == 0; }))
      return grain;
  return 0;
}

// Where the memref itself begins: alignment of the function's argument, as cpu-outline-kernels found it.
int64_t alignmentOf(Value memref) {
  auto argument = dyn_cast<BlockArgument>(memref);
  auto function = argument ? dyn_cast<func::FuncOp>(argument.getOwner()->getParentOp()) : func::FuncOp();
  auto align = function ? function.getArgAttrOfType<IntegerAttr>(argument.getArgNumber(), "llvm.align") : IntegerAttr();
  return align ? align.getInt() : 16;
}

class Contraction {
public:
  Contraction(OpBuilder &b, nn::ComputeOp op, Problem problem, Products products)
      : b(b), loc(op.getLoc()), op(op), p(std::move(problem)), f{b, loc, products},
        tile(chooseTile(p.batches, p.rows, p.columns)) {
    stripK = stripBytes / f.bytes();
    strips = llvm::divideCeil(p.depth, stripK);
    tile.stages = std::max<int64_t>(2, std::min(tile.stages, strips + 1));
    rowBytes = stripBytes + padding;
    columnBytes = p.transposed ? rowBytes : tile.columns * f.bytes() + padding;
    lhsBytes = tile.rows * rowBytes;
    rhsBytes = p.transposed ? tile.columns * rowBytes : stripK * columnBytes;
    stageBytes = lhsBytes + rhsBytes;
  }

  void emit() {
    OpBuilder::InsertionGuard guard(b);
    int64_t tilesM = llvm::divideCeil(p.rows, tile.rows), tilesN = llvm::divideCeil(p.columns, tile.columns);
    auto launch = launchBlocks(b, loc, tilesM * tilesN * p.batches, tile.threads());
    auto space = gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
    Value buffer = launch.addWorkgroupAttribution(
        MemRefType::get({tile.stages * stageBytes}, b.getI8Type(), MemRefLayoutAttrInterface(), space), loc);
    thread = launch.getThreadIds().x;
    Value block = launch.getBlockIds().x;
    // Neighbouring blocks share the columns of B, which the cache then holds.
    tileRow = f.mul(f.rem(block, tilesM), tile.rows);
    Value rest = f.div(block, tilesM);
    tileColumn = f.mul(f.rem(rest, tilesN), tile.columns);
    batch = f.div(rest, tilesN);
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
    prepareCopies();
    SmallVector<Value> sums = emitStrips();
    store(sums);
  }

private:
  OpBuilder &b;
  Location loc;
  nn::ComputeOp op;
  Problem p;
  Fragments f;
  Tile tile;
  int64_t stripK, strips, rowBytes, columnBytes, lhsBytes, rhsBytes, stageBytes;
  Value thread, tileRow, tileColumn, batch, shared, lhsBase, rhsBase, warpRow, warpColumn;
  Value group, inGroup, matrixRow, matrix; // of a lane: in fragments of results; in loads of matrices

  /// One copy a thread makes of each strip: what of it does not depend on the strip.
  struct Copy {
    Value to;     // in a stage
    Value base;   // address of its row's first element (B not transposed: of its column)
    Value valid;  // its row is inside; null: always
    Value k;      // its element of the strip
    SmallVector<Value> origin; // of a convolution: the window's first position along each spatial dim
  };
  SmallVector<Copy> lhsCopies, rhsCopies;

  int64_t rowTiles() { return tile.warpRows / 16; }
  int64_t columnTiles() { return tile.warpColumns / 8; }

  Value both(Value x, Value y) { return !x ? y : !y ? x : b.createOrFold<arith::AndIOp>(loc, x, y); }

  /// Calls `body(row, unit)` for this thread's units of a strip of `rows` rows of `units`; a unit beyond the strip is not
  /// valid.
  void forUnits(int64_t rows, int64_t units, llvm::function_ref<void(Value row, Value unit, Value inside)> body) {
    int64_t total = rows * units, rounds = llvm::divideCeil(total, tile.threads());
    for (int64_t i = 0; i < rounds; ++i) {
      Value number = f.add(thread, f.number(i * tile.threads()));
      Value inside = (i + 1) * tile.threads() > total ? f.below(number, total) : Value();
      body(f.div(number, units), f.rem(number, units), inside);
    }
  }

  void prepareCopies() {
    int64_t units = stripK / p.lhsGrain;
    forUnits(tile.rows, units, [&](Value row, Value unit, Value inside) {
      Copy copy;
      copy.k = f.mul(unit, p.lhsGrain);
      copy.to = f.add(f.mul(row, rowBytes), f.mul(copy.k, f.bytes()));
      Value m = f.add(tileRow, row);
      copy.valid = p.rows % tile.rows ? f.below(m, p.rows) : Value();
      stopBeyond(copy, inside);
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
        stopBeyond(copy, inside);
        copy.base = f.add(rhsBase, f.mul(f.add(rhsBatchOffset(), f.mul(n, p.rhsRow)), f.bytes()));
        rhsCopies.push_back(copy);
      });
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
      stopBeyond(copy, inside);
      copy.base = f.add(rhsBase, f.mul(f.add(rhsBatchOffset(), column), f.bytes()));
      rhsCopies.push_back(copy);
    });
  }

  // A unit beyond the strip must not land in the next buffer: such threads copy nothing.
  SmallVector<Value> skips;
  void stopBeyond(Copy &copy, Value inside) { skipOf[copy.to] = inside; }
  llvm::DenseMap<Value, Value> skipOf;

  SmallVector<int64_t> batchShape() {
    auto shape = cast<MemRefType>(op.getInitOperand().get().getType()).getShape();
    return SmallVector<int64_t>(shape.drop_back(2));
  }

  Value batchOffset(Value memref) {
    auto type = cast<MemRefType>(memref.getType());
    SmallVector<int64_t> strides = stridesOf(memref), shape = batchShape();
    if (type.getRank() == 2 || shape.empty())
      return f.number(0);
    Value offset = f.number(0);
    for (auto [d, at] : llvm::enumerate(positionOf(b, loc, batch, shape)))
      if (type.getDimSize(d) != 1)
        offset = f.add(offset, f.mul(at, strides[d]));
    return offset;
  }

  Value rhsBatchOffset() { return p.isConv ? f.mul(batch, p.columns) : batchOffset(p.rhs); }

  // Offset of row m of A, for a convolution that of its window's first element.
  Value lhsRowOffset(Value m, SmallVector<Value> &origin) {
    if (!p.isConv)
      return f.add(batchOffset(p.lhs), f.mul(m, p.lhsRow));
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
      Value k = f.add(f.mul(strip, stripK), copy.k), valid = copy.valid;
      if (p.depth % stripK)
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
      if (Value inside = skipOf.lookup(copy.to))
        b.setInsertionPointToStart(scf::IfOp::create(b, loc, inside).thenBlock());
      f.copyAsync(f.add(stage, copy.to), from, grain * f.bytes(), valid);
    }
  }

  Value convOffset(Value k, const Copy &copy, Value &valid) {
    int64_t taps = 1;
    for (int64_t size : p.kernel)
      taps *= size;
    if (taps == 1 && !p.hasPadding)
      return k;
    Value channel = f.rem(k, p.channels), tap = f.div(k, p.channels), offset = channel;
    SmallVector<Value> at = positionOf(b, loc, tap, p.kernel);
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
    copyStrip(rhsCopies, strip, stage, false);
  }

  SmallVector<Value> emitStrips() {
    int64_t ahead = tile.stages - 1;
    for (int64_t s = 0; s < ahead; ++s) {
      if (s < strips)
        copyStage(f.number(s), f.add(shared, f.number(s * stageBytes)));
      f.commitCopies();
    }
    Value zero = arith::ConstantOp::create(b, loc, b.getZeroAttr(b.getF32Type()));
    SmallVector<Value> carried(rowTiles() * columnTiles() * 4, zero);
    carried.push_back(shared);                                        // where warps read
    carried.push_back(f.add(shared, f.number(ahead * stageBytes)));   // where copies go
    auto loop = scf::ForOp::create(b, loc, f.number(0), f.number(strips), f.number(1), carried);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> sums(loop.getRegionIterArgs());
    Value writes = sums.pop_back_val(), reads = sums.pop_back_val();
    f.waitCopies(ahead - 1);
    gpu::BarrierOp::create(b, loc);
    if (ahead < strips) {
      Value next = f.add(loop.getInductionVar(), f.number(ahead));
      auto more = scf::IfOp::create(b, loc, f.below(next, strips));
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
    SmallVector<Value> results(loop.getResults());
    results.resize(results.size() - 2);
    return results;
  }

  void multiplyStrip(Value stage, MutableArrayRef<Value> sums) {
    Value rhs = f.add(stage, f.number(lhsBytes));
    for (int64_t k = 0; k < stripK; k += f.stepK())
      f.products == Products::Exact ? multiplyExact(stage, rhs, k, sums) : multiplyFragments(stage, rhs, k, sums);
  }

  void multiplyFragments(Value lhs, Value rhs, int64_t k, MutableArrayRef<Value> sums) {
    // A: matrices are (rows 0-7, 8-15) x (first, second 16 bytes of k).
    SmallVector<SmallVector<Value, 4>> a;
    for (int64_t i = 0; i < rowTiles(); ++i) {
      Value row = f.add(f.add(warpRow, f.number(i * 16)), f.add(f.mul(f.rem(matrix, 2), 8), matrixRow));
      Value at = f.add(f.add(lhs, f.mul(row, rowBytes)), f.add(f.mul(f.div(matrix, 2), 16), f.number(k * f.bytes())));
      a.push_back(f.loadMatrices(at, false));
      for (Value &word : a.back())
        word = f.rounded(word);
    }
    for (int64_t j = 0; j < columnTiles(); j += 2) {
      SmallVector<Value, 4> pair = loadRhs(rhs, k, j);
      for (int64_t half = 0; half < 2; ++half)
        for (int64_t i = 0; i < rowTiles(); ++i)
          f.multiply(a[i], ArrayRef(pair).slice(half * 2, 2), sums.slice((i * columnTiles() + j + half) * 4, 4));
    }
  }

  // The words of B for 16 columns from 8 j on: two for each 8.
  SmallVector<Value, 4> loadRhs(Value rhs, int64_t k, int64_t j) {
    Value column = f.add(warpColumn, f.number(j * 8));
    SmallVector<Value, 4> words;
    if (p.transposed) {
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
    for (Value &word : words)
      word = f.rounded(word);
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
        Value at = p.transposed ? f.add(f.mul(n, rowBytes), f.number(k * 4))
                                : f.add(f.number(k * columnBytes), f.mul(n, 4));
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

  // Sums of a lane: rows group and group + 8, columns 2 inGroup and the next, of each 16 x 8.
  void store(ArrayRef<Value> sums) {
    Value init = op.getInitOperand().get();
    for (int64_t i = 0; i < rowTiles() * 2; ++i) {
      Value m = f.add(f.add(tileRow, warpRow), f.add(f.number(i * 8), group));
      OpBuilder::InsertionGuard guard(b);
      if (p.rows % tile.rows)
        b.setInsertionPointToStart(scf::IfOp::create(b, loc, f.below(m, p.rows)).thenBlock());
      SmallVector<Value> place = resultPlace(m);
      for (int64_t j = 0; j < columnTiles(); ++j)
        for (int64_t e = 0; e < 2; ++e) {
          Value n = f.add(f.add(tileColumn, warpColumn), f.add(f.number(j * 8 + e), f.mul(inGroup, 2)));
          OpBuilder::InsertionGuard inner(b);
          if (p.columns % tile.columns)
            b.setInsertionPointToStart(scf::IfOp::create(b, loc, f.below(n, p.columns)).thenBlock());
          SmallVector<Value> at(place);
          at.push_back(p.isConv && p.groups > 1 ? f.add(n, f.mul(batch, p.columns)) : n);
          Value sum = sums[(i / 2 * columnTiles() + j) * 4 + i % 2 * 2 + e];
          memref::StoreOp::create(b, loc, nn::buildEpilogue(b, loc, op, sum, at), init, at);
        }
    }
  }

  SmallVector<Value> resultPlace(Value m) {
    if (p.isConv) {
      SmallVector<int64_t> shape{p.rows};
      for (int64_t size : p.out)
        shape.front() /= size;
      llvm::append_range(shape, p.out);
      return positionOf(b, loc, m, shape);
    }
    SmallVector<Value> at = positionOf(b, loc, batch, batchShape());
    at.push_back(m);
    return at;
  }
};

bool describeConv(nn::ConvOp conv, Problem &p, std::string &why) {
  auto input = cast<MemRefType>(conv.getInput().getType()), filter = cast<MemRefType>(conv.getFilter().getType());
  auto init = cast<MemRefType>(conv.getInit().getType());
  if (conv.getPacked() || conv.getWinograd() || !filter.getLayout().isIdentity())
    return why = "its filter is packed", false;
  unsigned spatial = conv.getStrides().size();
  SmallVector<int64_t> strides = stridesOf(conv.getInput());
  if (strides.back() != 1)
    return why = "channels do not lie side by side", false;
  p.isConv = true;
  p.lhs = conv.getInput();
  p.rhs = conv.getFilter();
  p.groups = p.batches = conv.getGroups();
  p.channels = filter.getDimSize(spatial);
  p.columns = filter.getDimSize(spatial + 1) / p.groups;
  p.rows = init.getNumElements() / init.getShape().back();
  p.depth = p.channels;
  p.imageStride = strides[0];
  p.rhsRow = filter.getDimSize(spatial + 1);
  p.strides.assign(conv.getStrides().begin(), conv.getStrides().end());
  p.dilations.assign(conv.getDilations().begin(), conv.getDilations().end());
  p.pads.assign(conv.getPads().begin(), conv.getPads().end());
  for (unsigned s = 0; s < spatial; ++s) {
    p.kernel.push_back(filter.getDimSize(s));
    p.out.push_back(init.getDimSize(s + 1));
    p.in.push_back(input.getDimSize(s + 1));
    p.pixelStrides.push_back(strides[s + 1]);
    p.depth *= p.kernel.back();
    int64_t last = (p.out[s] - 1) * p.strides[s] - p.pads[s] + (p.kernel[s] - 1) * p.dilations[s];
    p.hasPadding |= p.pads[s] > 0 || last >= p.in[s];
  }
  // One tap: what lies between pixels is all that an address adds to k.
  SmallVector<int64_t> steps(ArrayRef(strides).drop_back());
  p.lhsGrain = p.channels;
  return true;
}

bool describeMatmul(nn::MatmulOp matmul, Problem &p, std::string &why) {
  auto init = cast<MemRefType>(matmul.getInit().getType());
  int64_t rank = init.getRank();
  SmallVector<int64_t> left = stridesOf(matmul.getLhs()), right = stridesOf(matmul.getRhs());
  if (matmul.getPacked())
    return why = "its weights are packed", false;
  if (left.back() != 1 || right.back() != 1)
    return why = "elements of a row do not lie side by side", false;
  if ((int64_t)left.size() != rank || ((int64_t)right.size() != rank && right.size() != 2))
    return why = "ranks differ", false;
  p.lhs = matmul.getLhs();
  p.rhs = matmul.getRhs();
  p.transposed = matmul.getTransposeRhs();
  p.rows = init.getDimSize(rank - 2);
  p.columns = init.getDimSize(rank - 1);
  p.batches = init.getNumElements() / (p.rows * p.columns);
  p.depth = cast<MemRefType>(matmul.getLhs().getType()).getShape().back();
  p.lhsRow = left[rank - 2];
  p.rhsRow = right[right.size() - 2];
  return true;
}

} // namespace

LogicalResult cuda::emitContraction(OpBuilder &builder, ComputeOp op, bool exact, std::string &why) {
  Problem p;
  auto conv = dyn_cast<nn::ConvOp>(*op);
  if (conv ? !describeConv(conv, p, why) : !describeMatmul(cast<nn::MatmulOp>(*op), p, why))
    return failure();
  Type left = cast<MemRefType>(p.lhs.getType()).getElementType(), right = cast<MemRefType>(p.rhs.getType()).getElementType();
  if (left != right || !(left.isF32() || left.isF16() || left.isBF16()) || !op.getAccumulatorType().isF32()) {
    why = "factors are not floats of one type summed in f32";
    return failure();
  }
  Products products = left.isF16()    ? Products::F16
                      : left.isBF16() ? Products::BF16
                      : exact         ? Products::Exact
                                      : Products::Tf32;
  int64_t bytes = left.getIntOrFloatBitWidth() / 8;
  auto grain = [&](Value memref, int64_t run, ArrayRef<int64_t> strides) {
    return std::min(grainOf(memref, run, strides, bytes), alignmentOf(memref) / bytes);
  };
  SmallVector<int64_t> leftSteps = stridesOf(p.lhs), rightSteps = stridesOf(p.rhs);
  leftSteps.pop_back();
  rightSteps.pop_back();
  p.lhsGrain = grain(p.lhs, conv ? p.channels : p.depth, leftSteps);
  p.rhsGrain = grain(p.rhs, p.transposed ? p.depth : p.columns, rightSteps);
  if (p.lhsGrain * bytes < 4 || p.rhsGrain * bytes < 4) {
    why = "rows are not multiples of 4 bytes";
    return failure();
  }
  if (p.depth == 0 || p.rows == 0 || p.columns == 0) {
    why = "it is empty";
    return failure();
  }
  Contraction(builder, op, p, products).emit();
  return success();
}
