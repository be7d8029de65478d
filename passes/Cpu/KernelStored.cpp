// Products with weights that stay integers in memory (nn::StoredLayout): widened in registers, never written as floats.
//
// The idea: a word holds the integers of several rows of a column. Its field at bit b, or'ed with the bits of 2^(23 -
// b), is the float 2^(23 - b) + u, so that one subtraction leaves u - zero exactly: no shifts, no conversions, the same
// on every machine. With a row or two the sums of a run of rows are scaled at its end, which leaves three instructions
// a weight; more rows scale the weights, since registers are few and each weight serves them all. Where a register
// holds 16 floats it is the table of all levels of up to 4 bits: a shift and a look-up, with a constant instead of 15
// (measured on Zen 4: 32 instead of 27 weights a nanosecond).
#include "dialects/Nn/Stored.h"
#include "lib/Support/Packing.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "passes/Cpu/Kernels.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

constexpr int64_t mantissa = 23;
constexpr int64_t bodyOperations = 400; // of one unrolled step of words: a few KB of code

struct StoredProduct {
  Emitter &e;
  const Machine &machine;
  nn::StoredLayout layout;
  Type scaleType;
  Flat lhs, rhs, out;
  Epilogue epilogue;
  Type f32 = e.b.getF32Type(), i32 = e.b.getI32Type();

  /// Rows and registers a row that are computed together.
  struct Tile {
    int64_t rows, vectors;
    bool scalesSums; // of each run of rows, not each weight
  };
  int64_t registers() const { return machine.vectorRegisters; }
  Tile tileOf(int64_t rows) const {
    for (int64_t vectors : {4, 2, 1})
      if (rows <= 2 && 2 * rows * vectors + 4 <= registers())
        return {rows, vectors, true};
      else if (rows > 2 && (rows + 1) * vectors + 6 <= registers())
        return {rows, vectors, false};
    return {rows, 1, false};
  }
  int64_t mostRows() const { return std::clamp<int64_t>((registers() - 8) / 2, 1, 12); }

  VectorType vectorOf(int64_t lanes, Type element) const { return VectorType::get({lanes}, element); }
  /// `lanes` elements of bytes from `at` on. Fewer bytes than a word one by one: not every back end has such vectors.
  Value load(Value at, int64_t lanes, Type element) {
    int64_t bytes = element.getIntOrFloatBitWidth() / 8;
    if (lanes * bytes >= 4)
      return vector::BitCastOp::create(e.b, e.loc, vectorOf(lanes, element), rhs.load(e, at, lanes * bytes));
    Type whole = e.b.getIntegerType(8 * bytes);
    SmallVector<Value> elements;
    for (int64_t lane = 0; lane < lanes; ++lane) {
      Value number = e.convert(rhs.load(e, e.add(at, lane * bytes)), whole, true);
      for (int64_t i = 1; i < bytes; ++i) {
        Value more = e.convert(rhs.load(e, e.add(at, lane * bytes + i)), whole, true);
        more = arith::ShLIOp::create(e.b, e.loc, more, e.constant(whole, double(8 * i)));
        number = arith::OrIOp::create(e.b, e.loc, number, more);
      }
      elements.push_back(whole == element ? number : arith::BitcastOp::create(e.b, e.loc, element, number).getResult());
    }
    return vector::FromElementsOp::create(e.b, e.loc, vectorOf(lanes, element), elements);
  }
  Value spread(Value scalar, int64_t lanes) { return e.broadcast(scalar, lanes); }

  /// A lane's low 4 bits pick from the table; what lies there above a narrower field picks the same level again.
  bool picksLevels(int64_t lanes) const {
    return layout.bits <= 4 && lanes == 16 && machine.vectorBits == 512 && machine.triple.starts_with("x86_64");
  }
  Value pickLevels(Value words) {
    SmallVector<float> levels;
    for (int64_t i = 0; i < 16; ++i)
      levels.push_back(float((i & layout.mask()) - layout.middle()));
    auto type = vectorOf(16, f32);
    Value table = arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(type, ArrayRef<float>(levels)));
    return LLVM::CallIntrinsicOp::create(e.b, e.loc, type, e.b.getStringAttr("llvm.x86.avx512.permvar.sf.512"),
                                         {table, words})
        .getResult(0);
  }

  /// The integers of one field of each word less the zero point that is not stored.
  Value field(Value words, int64_t number, int64_t lanes) {
    int64_t bit = number * layout.bits;
    if (picksLevels(lanes)) {
      if (bit)
        words = arith::ShRUIOp::create(e.b, e.loc, words, e.constant(words.getType(), double(bit)));
      return pickLevels(words);
    }
    if (bit + layout.bits > mantissa) { // equal shifts of one word are one
      words = arith::ShRUIOp::create(e.b, e.loc, words, e.constant(words.getType(), 16));
      bit -= 16;
    }
    Value value = arith::AndIOp::create(e.b, e.loc, words, e.constant(words.getType(), double(layout.mask() << bit)));
    value = arith::OrIOp::create(e.b, e.loc, value,
                                 e.constant(words.getType(), double((127 + mantissa - bit) << mantissa)));
    value = vector::BitCastOp::create(e.b, e.loc, vectorOf(lanes, f32), value);
    double base = double(int64_t(1) << (mantissa - bit)) + layout.middle();
    return arith::SubFOp::create(e.b, e.loc, value, e.constant(value.getType(), base));
  }

  struct Columns {
    Value block;   // first byte of the block
    int64_t width; // of the block
    Value channel; // column at which `vectors` begin
    Value lane;    // the same in the block
    ArrayRef<ChannelVector> vectors;
  };

  /// What a group's head says: scales, and zero points less the one that fields have lost.
  struct Head {
    SmallVector<Value> scales, zeros;
  };
  Head headOf(Value group, const Columns &columns) {
    Head head;
    Value scales = e.add(group, e.mul(columns.lane, layout.scaleBytes));
    Value zeros = e.add(e.add(group, layout.scaleBytes * columns.width), columns.lane);
    for (ChannelVector v : columns.vectors) {
      head.scales.push_back(
          e.convert(load(e.add(scales, layout.scaleBytes * v.offset), v.lanes, scaleType), f32, false));
      if (!layout.zeros)
        continue;
      Value zero = load(e.add(zeros, v.offset), v.lanes, e.b.getI8Type());
      zero = arith::ExtUIOp::create(e.b, e.loc, vectorOf(v.lanes, i32), zero);
      zero = arith::SIToFPOp::create(e.b, e.loc, vectorOf(v.lanes, f32), zero);
      head.zeros.push_back(arith::SubFOp::create(e.b, e.loc, zero, e.constant(zero.getType(), layout.middle())));
    }
    return head;
  }

  /// Sums of `count` rows of one word: row by row, so that few values live at once. `inputs` are carried sums of lhs.
  void word(Value at, Value from, int64_t count, const Tile &tile, const Columns &columns, const Head &head,
            SmallVectorImpl<Value> &sums, MutableArrayRef<Value> inputs) {
    SmallVector<Value> words;
    for (ChannelVector v : columns.vectors)
      words.push_back(load(e.add(at, 4 * v.offset), v.lanes, i32));
    for (int64_t number = 0; number < count; ++number) {
      SmallVector<Value> x;
      for (int64_t r = 0; r < tile.rows; ++r) {
        Value place = e.advance(e.advance(from, lhs.strides[1], number), lhs.strides[0], r);
        x.push_back(e.convert(lhs.load(e, place), f32, false));
        if (!inputs.empty())
          inputs[r] = e.addElements(inputs[r], x.back());
      }
      for (auto [j, v] : llvm::enumerate(columns.vectors)) {
        Value weight = field(words[j], number, v.lanes);
        if (!tile.scalesSums) {
          Value less = layout.zeros ? e.multiplyAdd(machine, weight, head.scales[j], head.zeros[j]) : Value();
          weight = less ? less : arith::MulFOp::create(e.b, e.loc, weight, head.scales[j]).getResult();
        }
        for (int64_t r = 0; r < tile.rows; ++r) {
          Value &sum = sums[r * columns.vectors.size() + j];
          sum = e.multiplyAdd(machine, spread(x[r], v.lanes), weight, sum);
        }
      }
    }
  }

  /// A group of `rows` rows that begins at byte `group`, for lhs from element `from` on.
  SmallVector<Value> group(Value group, Value from, int64_t rows, const Tile &tile, const Columns &columns,
                           ValueRange carried) {
    Head head = headOf(group, columns);
    size_t count = columns.vectors.size();
    SmallVector<Value> state(carried.begin(), carried.end());
    if (tile.scalesSums) {
      for (int64_t i = 0; i < int64_t(tile.rows * count); ++i)
        state[i] = e.constant(state[i].getType(), 0);
      if (layout.zeros)
        state.append(tile.rows, e.constant(f32, 0));
    } else {
      for (auto [zero, scale] : llvm::zip(head.zeros, head.scales)) // what scaled weights lack
        zero = arith::NegFOp::create(e.b, e.loc, arith::MulFOp::create(e.b, e.loc, zero, scale));
    }
    Value first = e.add(e.add(group, layout.headBytes() * columns.width), e.mul(columns.lane, 4));
    int64_t perWord = layout.perWord(), whole = rows / perWord, rowBytes = 4 * columns.width;
    int64_t unroll = std::clamp<int64_t>(bodyOperations / (perWord * int64_t(count) * (3 + tile.rows)), 1, 8);
    while (whole % unroll)
      --unroll;
    auto words = [&](Value w, int64_t valid, int64_t times, ValueRange carried) {
      SmallVector<Value> all(carried.begin(), carried.end());
      SmallVector<Value> sums(ArrayRef<Value>(all).take_front(tile.rows * count));
      SmallVector<Value> inputs(ArrayRef<Value>(all).drop_front(sums.size()));
      for (int64_t u = 0; u < times; ++u)
        word(e.add(e.add(first, e.mul(w, rowBytes)), u * rowBytes),
             e.advance(e.add(from, e.mul(w, lhs.strides[1] * Size(perWord))), lhs.strides[1], u * perWord), valid, tile,
             columns, head, sums, inputs);
      llvm::append_range(sums, inputs);
      return sums;
    };
    state = e.loop(e.index(0), e.index(whole), unroll, state,
                   [&](Value w, ValueRange carried) { return words(w, perWord, unroll, carried); });
    if (rows % perWord)
      state = words(e.index(whole), rows % perWord, 1, state);
    if (!tile.scalesSums)
      return state;
    SmallVector<Value> next(carried.begin(), carried.end());
    for (int64_t r = 0; r < tile.rows; ++r)
      for (size_t j = 0; j < count; ++j) {
        Value part = state[r * count + j];
        if (layout.zeros) {
          Value input = spread(state[tile.rows * count + r], columns.vectors[j].lanes);
          part = e.multiplyAdd(machine, arith::NegFOp::create(e.b, e.loc, input), head.zeros[j], part);
        }
        next[r * count + j] = e.multiplyAdd(machine, head.scales[j], part, next[r * count + j]);
      }
    return next;
  }

  void tile(Value row, const Tile &shape, const Columns &columns) {
    SmallVector<Value> sums;
    for (int64_t r = 0; r < shape.rows; ++r)
      for (ChannelVector v : columns.vectors)
        sums.push_back(e.constant(vectorOf(v.lanes, f32), 0));
    Value from = e.mul(row, lhs.strides[0]);
    int64_t last = layout.groups() - 1, whole = layout.rowsOf(last) == layout.run ? last + 1 : last;
    Size step = lhs.strides[1] * Size(layout.run);
    sums = e.loop(e.index(0), e.index(whole), 1, sums, [&](Value g, ValueRange carried) {
      return group(e.add(columns.block, e.mul(g, layout.groupBytes() * columns.width)), e.add(from, e.mul(g, step)),
                   layout.run, shape, columns, carried);
    });
    if (whole <= last)
      sums = group(e.add(columns.block, whole * layout.groupBytes() * columns.width),
                   e.add(from, e.index(step * Size(whole))), layout.rowsOf(last), shape, columns, sums);
    finish(row, shape.rows, columns, sums);
  }

  /// Epilogue and stores: in registers when short, else in a loop over rows, stored raw first.
  void finish(Value row, int64_t rows, const Columns &columns, ArrayRef<Value> sums) {
    auto results = [&](Value at, ArrayRef<Value> values) {
      Value to = e.add(e.mul(at, out.strides[0]), columns.channel);
      for (auto [v, value] : llvm::zip(columns.vectors, values)) {
        Value result = epilogue.apply(e, value, [&, v = v](unsigned x) {
          const Epilogue::Extra &extra = epilogue.extras()[x];
          Value place = e.add(e.mul(at, extra.coefficients[0]), extra.constant);
          if (!extra.coefficients[1].is(1))
            return spread(extra.flat.load(e, place), v.lanes);
          return extra.flat.load(e, e.add(e.add(place, columns.channel), v.offset), v.lanes);
        });
        out.store(e, result, e.add(to, v.offset));
      }
    };
    size_t count = columns.vectors.size();
    if (rows == 1 || !epilogue.isLong() || out.element != f32) {
      for (int64_t r = 0; r < rows; ++r)
        results(e.add(row, r), sums.slice(r * count, count));
      return;
    }
    for (int64_t r = 0; r < rows; ++r)
      for (auto [j, v] : llvm::enumerate(columns.vectors))
        out.store(e, sums[r * count + j],
                  e.add(e.add(e.mul(e.add(row, r), out.strides[0]), columns.channel), v.offset));
    e.loop(0, rows, 1, [&](Value r) {
      // All loads before the first store: the vectors of a block may overlap.
      SmallVector<Value> raw;
      Value from = e.add(e.mul(e.add(row, r), out.strides[0]), columns.channel);
      for (ChannelVector v : columns.vectors)
        raw.push_back(out.load(e, e.add(from, v.offset), v.lanes));
      results(e.add(row, r), raw);
    });
  }

  /// All rows of one block of columns.
  void block(Columns columns, const Size &m) {
    auto rows = [&](Value row, int64_t count) {
      Tile shape = tileOf(count);
      ArrayRef<ChannelVector> all = columns.vectors;
      Columns some = columns;
      some.vectors = all.take_front(shape.vectors);
      int64_t chunk = 0; // columns of so many whole registers
      for (ChannelVector v : some.vectors)
        chunk += v.lanes;
      // One body where several such lie beside one another.
      size_t chunks = 0;
      while ((chunks + 1) * some.vectors.size() <= all.size() &&
             llvm::all_of(llvm::enumerate(all.slice(chunks * some.vectors.size(), some.vectors.size())),
                          [&](const auto &v) {
                            return v.value().lanes == all[0].lanes &&
                                   v.value().offset == int64_t(chunks) * chunk + int64_t(v.index()) * all[0].lanes;
                          }))
        ++chunks;
      e.loop(0, int64_t(chunks), 1, [&](Value i) {
        some.lane = e.mul(i, chunk);
        some.channel = e.add(columns.channel, some.lane);
        tile(row, shape, some);
      });
      some = columns;
      for (all = all.drop_front(chunks * std::min<size_t>(all.size(), shape.vectors)); !all.empty();
           all = all.drop_front(some.vectors.size())) {
        some.vectors = all.take_front(shape.vectors);
        tile(row, shape, some);
      }
    };
    int64_t most = mostRows();
    if (!m.isStatic()) {
      SmallVector<int64_t> widths{most};
      for (int64_t next : {int64_t(4), int64_t(1)})
        if (next < widths.back())
          widths.push_back(next);
      return e.tiles(e.index(m), widths, rows);
    }
    int64_t extent = m.value(), step = llvm::divideCeil(extent, llvm::divideCeil(extent, most)); // evenly
    e.parallel(
        0, extent, step, [&](Value i) { rows(extent % step ? e.min(i, e.index(extent - step)) : i, step); },
        /*overlaps=*/extent % step != 0);
  }

  void run(const Size &m) {
    int64_t lanes = std::max<int64_t>(1, machine.lanes(32)), whole = layout.n / layout.block,
            rest = layout.n % layout.block;
    SmallVector<ChannelVector> vectors = splitChannels(lanes, layout.block), last = splitChannels(lanes, rest);
    e.parallel(0, whole, 1, [&](Value b) {
      block({e.mul(b, layout.start(1, 0)), layout.block, e.mul(b, layout.block), e.index(0), vectors}, m);
    });
    if (rest)
      block({e.index(layout.start(whole, 0)), rest, e.index(whole * layout.block), e.index(0), last}, m);
  }
};

} // namespace

LogicalResult cpu::emitStoredMatmul(Emitter &e, const Machine &machine, nn::MatmulOp op, std::string &reason) {
  FailureOr<Flat> lhs = flatten(e, op.getLhs()), rhs = flatten(e, op.getRhs()), out = flatten(e, op.getInit());
  if (failed(lhs) || failed(rhs) || failed(out) || !(out->strides[1].is(1) || out->sizes[1].is(1))) {
    reason = "a buffer is empty or runs backwards, or the result's columns are not contiguous";
    return failure();
  }
  FailureOr<Epilogue> epilogue = Epilogue::get(e, op);
  if (failed(epilogue)) {
    reason = "an epilogue operand is not linear in the result's indices";
    return failure();
  }
  nn::StoredLayout layout = nn::storedLayout(op);
  if (layout.k == 0 || (int64_t)splitChannels(machine.lanes(32), layout.block).size() > 4) {
    reason = "the weights are not packed for this machine";
    return failure();
  }
  StoredProduct{e, machine, layout, op.getStoredAttr().getScale(), *lhs, *rhs, *out, *epilogue}.run(lhs->sizes[0]);
  return success();
}
