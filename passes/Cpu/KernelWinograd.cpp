// Winograd convolution: `winograd = M` of nn.conv.
//
// The idea: for a band of tiles, transform the input to V[position][tile][ic], multiply each position by its weights to
// P[position][tile][oc] with the matrix kernel, transform back, apply the epilogue and store. V and P lie on the stack,
// so that every thread has its own, and are small enough for L2. The last tile of a row or column starts earlier. In a
// column of tiles it then stores only the rows that are new: bands of tile rows may run at once, and two tiles round
// the same result differently.
#include "dialects/Nn/Winograd.h"
#include "lib/Support/Packing.h"
#include "lib/Support/Winograd.h"
#include "passes/Cpu/KernelContraction.h"
#include "passes/Cpu/Kernels.h"
#include "passes/Cpu/ParallelLoops.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

struct WinogradBuilder {
  Emitter &e;
  const Machine &machine;
  const nn::Winograd w;
  Flat in, filter, out;
  const Epilogue &epilogue;
  int64_t block, ic, oc;
  WinogradBand band;
  Value spread, products; // V and P
  int64_t lanes = std::max<int64_t>(1, machine.lanes(32));
  // A vector more a position keeps the positions of one tile out of one another's cache sets.
  int64_t spreadStep = band.tiles() * ic + lanes, productStep = band.tiles() * oc + lanes;

  Value plus(Value x, Value y) { return arith::AddFOp::create(e.b, e.loc, x, y); }
  Value minus(Value x, Value y) { return arith::SubFOp::create(e.b, e.loc, x, y); }
  Value times(Value x, double c) {
    return c == 1 ? x : arith::MulFOp::create(e.b, e.loc, x, e.constant(x.getType(), c)).getResult();
  }
  /// x * c + y
  Value timesPlus(Value x, double c, Value y) {
    return c == 1 ? plus(x, y) : e.multiplyAdd(machine, x, e.constant(x.getType(), c), y);
  }

  /// B^T d, with what rows p and -p share computed once.
  SmallVector<Value> transformIn(ArrayRef<Value> d) {
    if (w.results == 2)
      return {minus(d[0], d[2]), plus(d[1], d[2]), minus(d[2], d[1]), minus(d[1], d[3])};
    double a = w.a, b = w.b, sum = a * a + b * b, product = a * a * b * b;
    Value evenA = timesPlus(d[2], -b * b, d[4]), oddA = timesPlus(d[1], -a * b * b, times(d[3], a));
    Value evenB = timesPlus(d[2], -a * a, d[4]), oddB = timesPlus(d[1], -b * a * a, times(d[3], b));
    return {timesPlus(d[0], product, timesPlus(d[2], -sum, d[4])),
            plus(evenA, oddA),
            minus(evenA, oddA),
            plus(evenB, oddB),
            minus(evenB, oddB),
            timesPlus(d[1], product, timesPlus(d[3], -sum, d[5]))};
  }

  /// A^T m likewise.
  SmallVector<Value> transformOut(ArrayRef<Value> m) {
    if (w.results == 2)
      return {plus(plus(m[0], m[1]), m[2]), minus(minus(m[1], m[2]), m[3])};
    double a = w.a, b = w.b;
    Value sumA = plus(m[1], m[2]), sumB = plus(m[3], m[4]), differenceA = minus(m[1], m[2]),
          differenceB = minus(m[3], m[4]);
    return {plus(plus(m[0], sumA), sumB), timesPlus(differenceB, b, times(differenceA, a)),
            timesPlus(sumB, b * b, times(sumA, a * a)),
            timesPlus(differenceB, b * b * b, timesPlus(differenceA, a * a * a, m[5]))};
  }

  /// All channels by vectors: whole ones in a loop, what they leave one by one.
  void overChannels(int64_t channels, llvm::function_ref<void(Value, int64_t)> body) {
    int64_t whole = channels / lanes * lanes;
    e.loop(0, whole, lanes, [&](Value channel) { body(channel, lanes); });
    for (ChannelVector v : splitChannels(lanes, channels))
      if (v.offset + v.lanes > whole)
        body(e.index(v.offset), v.lanes);
  }

  /// body(place in the band, first row, first column, rows already stored by the tile above).
  using Tile = llvm::function_ref<void(Value, Value, Value, Value)>;
  void overTiles(Value firstRow, Value firstColumn, Tile body) {
    bool overlaps = out.sizes[2].value() % w.results != 0;
    e.parallel(0, band.rows, 1, [&](Value r) {
      auto tile = [&](Value c) {
        auto start = [&](Value tile, const Size &extent) {
          Value begin = e.mul(tile, w.results);
          return extent.value() % w.results ? e.min(begin, e.index(extent.value() - w.results)) : begin;
        };
        Value row = e.add(firstRow, r), y = start(row, out.sizes[1]), x = start(e.add(firstColumn, c), out.sizes[2]);
        body(e.add(e.mul(r, band.columns), c), y, x, e.sub(e.mul(row, w.results), y));
      };
      e.parallel(0, band.columns, 1, tile, overlaps);
    });
  }

  void spreadTile(Value image, Value place, Value y, Value x) {
    Value from =
        e.add(e.mul(image, in.strides[0]), e.add(e.mul(y, in.strides[1].value()), e.mul(x, in.strides[2].value())));
    overChannels(ic, [&](Value channel, int64_t width) {
      Value source = e.add(from, channel), target = e.add(e.mul(place, ic), channel);
      SmallVector<SmallVector<Value>> columns;
      for (int64_t l = 0; l < w.inputs; ++l) {
        SmallVector<Value> column;
        for (int64_t k = 0; k < w.inputs; ++k)
          column.push_back(in.load(e, e.add(source, k * in.strides[1].value() + l * in.strides[2].value()), width));
        columns.push_back(transformIn(column));
      }
      for (int64_t i = 0; i < w.inputs; ++i) {
        SmallVector<Value> row;
        for (int64_t l = 0; l < w.inputs; ++l)
          row.push_back(columns[l][i]);
        for (auto [j, value] : llvm::enumerate(transformIn(row)))
          vector::StoreOp::create(e.b, e.loc, value, spread, e.add(target, (i * w.inputs + j) * spreadStep));
      }
    });
  }

  LogicalResult multiply(std::string &reason) {
    Epilogue none;
    LogicalResult done = success();
    e.parallel(0, w.positions(), 1, [&](Value position) {
      Contraction c;
      c.acc = e.b.getF32Type();
      c.lhs = Flat{spread, {}, c.acc, {}};
      c.rhs = filter;
      c.out = Flat{products, {}, c.acc, {}};
      c.lhsOffset = e.mul(position, spreadStep);
      c.rhsOffset = e.mul(position, filter.strides[block ? 1 : 0]);
      c.outOffset = e.mul(position, productStep);
      c.channels = oc;
      c.block = block;
      c.blockStride = block ? filter.strides[0].value() : 0;
      c.setEpilogue(none);
      c.addParallel(band.tiles(), ic, 0, oc, 0);
      Contraction::Reduction r;
      r.extent = ic;
      r.lhs = 1;
      r.rhs = filter.strides[block ? 2 : 1];
      c.reductions.push_back(r);
      done = emitContraction(e, machine, std::move(c), reason);
    });
    return done;
  }

  void gatherTile(Value image, Value place, Value y, Value x, Value storedRows) {
    Value to =
        e.add(e.mul(image, out.strides[0]), e.add(e.mul(y, out.strides[1].value()), e.mul(x, out.strides[2].value())));
    bool raw = epilogue.isLong() && out.element.isF32();
    overChannels(oc, [&](Value channel, int64_t width) {
      SmallVector<SmallVector<Value>> columns;
      for (int64_t j = 0; j < w.inputs; ++j) {
        SmallVector<Value> column;
        for (int64_t i = 0; i < w.inputs; ++i) {
          Value at = e.add(e.add(e.mul(place, oc), channel), (i * w.inputs + j) * productStep);
          column.push_back(
              vector::LoadOp::create(e.b, e.loc, VectorType::get({width}, e.b.getF32Type()), products, at));
        }
        columns.push_back(transformOut(column));
      }
      auto finish = [&](Value value, Value r, Value c) {
        return epilogue.apply(e, value, [&](unsigned i) {
          const Epilogue::Extra &extra = epilogue.extras()[i];
          Value at = e.add(e.add(e.mul(image, extra.coefficients[0]), e.mul(e.add(y, r), extra.coefficients[1])),
                           e.add(e.mul(e.add(x, c), extra.coefficients[2]), extra.constant));
          if (extra.coefficients[3].is(1))
            return extra.flat.load(e, e.add(at, channel), width);
          return e.broadcast(extra.flat.load(e, at), width);
        });
      };
      auto placeOf = [&](Value r, Value c) {
        return e.add(e.add(to, channel), e.add(e.mul(r, out.strides[1].value()), e.mul(c, out.strides[2].value())));
      };
      for (int64_t r = 0; r < w.results; ++r) {
        SmallVector<Value> row;
        for (int64_t j = 0; j < w.inputs; ++j)
          row.push_back(columns[j][r]);
        SmallVector<Value> results = transformOut(row);
        auto store = [&] {
          for (auto [c, value] : llvm::enumerate(results)) {
            Value at = placeOf(e.index(r), e.index(c));
            out.store(e, raw ? value : finish(value, e.index(r), e.index(c)), at);
          }
        };
        // The last row of a tile is new in any case.
        if (out.sizes[1].value() % w.results == 0 || r + 1 == w.results) {
          store();
          continue;
        }
        Value isNew = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::sle, storedRows, e.index(r));
        auto branch = scf::IfOp::create(e.b, e.loc, isNew, /*withElseRegion=*/false);
        OpBuilder::InsertionGuard guard(e.b);
        e.b.setInsertionPoint(branch.thenYield());
        store();
      }
      // An epilogue too long to repeat for each result, in a loop over them.
      if (raw)
        e.loop(storedRows, e.index(w.results), 1, [&](Value r) {
          e.loop(0, w.results, 1, [&](Value c) {
            Value at = placeOf(r, c);
            out.store(e, finish(out.load(e, at, width), r, c), at);
          });
        });
    });
  }

  LogicalResult run(std::string &reason) {
    auto scratch = [&](int64_t elements) {
      auto buffer = memref::AllocaOp::create(e.b, e.loc, MemRefType::get({elements}, e.b.getF32Type()),
                                             e.b.getI64IntegerAttr(64));
      buffer->setAttr(sharedAttr, e.b.getUnitAttr());
      return buffer;
    };
    spread = scratch(w.positions() * spreadStep);
    products = scratch(w.positions() * productStep);
    LogicalResult done = success();
    auto bands = [&](int64_t all, int64_t step, bool overlaps, llvm::function_ref<void(Value)> body) {
      e.parallel(
          0, all, step, [&](Value i) { body(all % step ? e.min(i, e.index(all - step)) : i); },
          overlaps || all % step != 0);
    };
    int64_t first = e.operation; // one after the other, where they are not inside one band
    e.parallel(0, out.sizes[0], 1, [&](Value image) {
      bands(band.tileRows, band.rows, /*overlaps=*/false, [&](Value row) {
        bands(band.tileColumns, band.columns, out.sizes[2].value() % w.results != 0, [&](Value column) {
          overTiles(row, column, [&](Value place, Value y, Value x, Value) { spreadTile(image, place, y, x); });
          e.operation = first + 1;
          done = multiply(reason);
          e.operation = first + 2;
          overTiles(row, column,
                    [&](Value place, Value y, Value x, Value stored) { gatherTile(image, place, y, x, stored); });
          e.operation = first;
        });
      });
    });
    return done;
  }
};
} // namespace

LogicalResult cpu::emitWinograd(Emitter &e, const Machine &machine, nn::ConvOp op, std::string &reason) {
  FailureOr<Flat> in = flatten(e, op.getInput()), filter = flatten(e, op.getFilter()), out = flatten(e, op.getInit());
  if (failed(in) || failed(filter) || failed(out)) {
    reason = "a buffer is empty or runs backwards";
    return failure();
  }
  FailureOr<Epilogue> epilogue = Epilogue::get(e, op);
  if (failed(epilogue)) {
    reason = "an epilogue operand is not linear in the result's indices";
    return failure();
  }
  auto isStatic = [](const Size &size) { return size.isStatic(); };
  auto beyondBatch = [&](ArrayRef<Size> sizes) { return llvm::all_of(sizes.drop_front(), isStatic); };
  int64_t results = *op.getWinograd();
  if (!beyondBatch(in->sizes) || !beyondBatch(out->sizes) || !beyondBatch(in->strides) || !beyondBatch(out->strides) ||
      !llvm::all_of(filter->sizes, isStatic) || !llvm::all_of(filter->strides, isStatic)) {
    reason = "sizes other than the batch are known at run time only";
    return failure();
  }
  if (llvm::any_of(op.getPads(), [](int64_t pad) { return pad != 0; })) {
    reason = "the input is not padded in memory";
    return failure();
  }
  if (!in->strides[3].is(1) || !out->strides[3].is(1) || !filter->strides.back().is(1)) {
    reason = "channels are not contiguous";
    return failure();
  }
  WinogradShape shape{out->sizes[1].value(), out->sizes[2].value(), in->sizes[3].value(), out->sizes[3].value()};
  if (std::min(shape.rows, shape.columns) < results) {
    reason = "the result is smaller than a tile";
    return failure();
  }
  return WinogradBuilder{e,
                         machine,
                         nn::Winograd::get(results),
                         *in,
                         *filter,
                         *out,
                         *epilogue,
                         (int64_t)op.getPacked().value_or(0),
                         shape.ic,
                         shape.oc,
                         winogradBand(machine, results, shape),
                         nullptr,
                         nullptr}
      .run(reason);
}
