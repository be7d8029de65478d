// The register-tiled implicit-GEMM kernel.
//
// The idea: rows x columns pixels times all vectors of one channel block stay in registers as values carried through a
// rolled reduction loop (weights loaded as vectors, inputs broadcast). No remainder code: the last tile starts earlier
// and computes some results twice, which is safe because the destination is never an operand; the last vector of a
// block reaches back likewise. Two bodies at most a layer (a last, narrower channel block), plus single-pixel ones for
// borders whose windows leave the input.
#include "passes/Cpu/KernelContraction.h"

#include "lib/Support/Packing.h"
#include "passes/Cpu/KernelBytes.h"
#include "passes/Cpu/KernelInteger.h"
#include "llvm/Support/FormatVariadic.h"
#include <numeric>

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

using Parallel = Contraction::Parallel;
using Reduction = Contraction::Reduction;

constexpr int64_t manyPixels = 360360; // a multiple of every tile's width
constexpr int64_t cacheLine = 64;      // bytes
constexpr int64_t bodyFmas = 96;       // one unrolled reduction step: keeps a tile's code near 1 KB
constexpr int64_t widePart = 4;        // pixels side by side that are worth a body of their own,
constexpr size_t maxCuts = 8;          // of which there are less than this
constexpr int64_t halfRun = 32;        // products summed in f16 before they join a sum of f32

/// A channel block: where it starts in rhs, out and extras, and its registers.
struct Channels {
  Value rhs, channel;
  ArrayRef<ChannelVector> vectors;
  int64_t width = 0; // channels in all where the last vector may be wider; 0 where it is not
  int64_t valid(const ChannelVector &v) const { return width ? std::min(v.lanes, width - v.offset) : v.lanes; }
};

struct ContractionBuilder {
  Emitter &e;
  const Machine &machine;
  Contraction &c;
  Type sum = c.sumType(machine);
  unsigned bits = sum.getIntOrFloatBitWidth();
  int64_t lanes = std::max<int64_t>(1, machine.lanes(bits));
  ByteDots dots{e, machine, c.lhsUnsigned};
  bool noProducts = false;  // a sum over nothing: zero
  int64_t wholeVectors = 0; // registers a pixel takes in a whole block of channels
  int64_t panelStep = 0;    // lhs is a panel of the tile's pixels, so far apart; 0: it is the input

  // --- the tile ---

  /// One element, or `width` neighbours.
  Value loadLhs(Value at, int64_t width) {
    Value value = e.convert(width ? c.lhs.load(e, at, width) : c.lhs.load(e, at), sum, c.lhsUnsigned);
    if (c.lhsZeroPoint)
      value = arith::SubIOp::create(e.b, e.loc, value, e.constant(value.getType(), c.lhsZeroPoint));
    return value;
  }
  /// `width` elements of a row along the reduction as a full vector, zeros behind them.
  Value loadAlong(const Flat &flat, Value at, int64_t width, bool isUnsigned, int64_t zeroPoint) {
    Value value = e.convert(flat.load(e, at, width), sum, isUnsigned);
    if (zeroPoint)
      value = arith::SubIOp::create(e.b, e.loc, value, e.constant(value.getType(), zeroPoint));
    if (width == lanes)
      return value;
    SmallVector<int64_t> mask(lanes, width);
    std::iota(mask.begin(), mask.begin() + width, 0);
    return vector::ShuffleOp::create(e.b, e.loc, value, e.constant(value.getType(), 0), mask);
  }
  Value loadRhs(Value at, int64_t width) {
    if (c.sparse)
      return vector::BitCastOp::create(e.b, e.loc, VectorType::get({width}, sum), c.rhs.load(e, at, 4 * width));
    Value value = e.convert(c.rhs.load(e, at, width), sum, c.rhsUnsigned);
    if (c.rhsZeroPoint)
      value = arith::SubIOp::create(e.b, e.loc, value, e.constant(value.getType(), c.rhsZeroPoint));
    return value;
  }

  /// A word of a sparse rhs: the `number`th from byte `from` on.
  Value sparseWord(int64_t from, Value number) {
    Value word = dots.words(c.rhs, e.add(e.mul(number, 4), from), 1);
    return arith::IndexCastOp::create(e.b, e.loc, e.b.getIndexType(),
                                      vector::ExtractOp::create(e.b, e.loc, word, int64_t(0)));
  }

  /// Do products take inputs from lanes of registers, which hold neighbours along the innermost reduction?
  bool byLane() const {
    if (!machine.laneOperand || c.acrossStride || c.sparse || c.reductions.empty() ||
        (c.dots && (!dotsByLane(machine) || c.dotBytes != 4)))
      return false;
    const Reduction &inner = c.reductions.back();
    return inner.lhs.is(c.dots ? 4 : 1) && inner.window < 0;
  }

  /// Are products of bytes summed in squares of two pixels by two channels?
  bool squared(int64_t pixels, ArrayRef<ChannelVector> vectors) const {
    return c.dots && byLane() && dots.hasSquares() && pixels > 1 &&
           llvm::all_of(vectors, [&](const ChannelVector &v) { return v.lanes == lanes; });
  }

  /// Of `left` steps those whose inputs one register holds.
  int64_t together(int64_t left) const {
    return byLane() ? std::min<int64_t>(lanes, llvm::bit_floor(uint64_t(left))) : 1;
  }

  /// Steps of the innermost reduction whose products are summed in f16: of a length that is known, runs as equal as
  /// whole bodies allow.
  int64_t runLength(int64_t factor) const {
    const Size &extent = c.reductions.back().extent;
    int64_t length = halfRun;
    if (extent.isStatic())
      length = llvm::divideCeil(extent.value(), llvm::divideCeil(extent.value(), halfRun));
    return llvm::alignTo(std::max<int64_t>(1, length), factor);
  }

  /// Asks early for the weights that lie `weightPrefetch` behind those of step `u` from w on: every tile reads a block
  /// in order, often from beyond L2, and what the hardware asks for by itself ends with the page.
  void prefetchWeights(Value w, int64_t u) {
    const Size &step = c.reductions.back().rhs;
    int64_t ahead = weightPrefetch(machine), bytes = c.rhs.element.getIntOrFloatBitWidth() / 8;
    if (!ahead || !c.block || !step.isStatic())
      return;
    int64_t from = u * step.value() * bytes, to = from + step.value() * bytes;
    for (int64_t line = llvm::alignTo(from, cacheLine); line < to; line += cacheLine)
      memref::PrefetchOp::create(e.b, e.loc, c.rhs.buffer, ValueRange{e.add(w, (line + ahead) / bytes)},
                                 /*isWrite=*/false, /*localityHint=*/3, /*isDataCache=*/true);
  }

  /// Steps of the innermost reduction loop made at once.
  int64_t unroll(int64_t registers, const Parallel *columns) {
    const Reduction &inner = c.reductions.back();
    if (inner.window >= 0)
      return 1;
    // JavaScript engines do all loads of a body first, so that inputs of a second step go through the stack.
    bool isAlone = registers >= 20 || (registers >= 4 && machine.isWebAssembly());
    int64_t least = byLane() ? std::min(lanes, inner.extent.orElse(lanes)) : 1,
            most = std::max<int64_t>(least, std::min<int64_t>(isAlone          ? 1
                                                              : registers >= 8 ? 4
                                                                               : 16,
                                                              bodyFmas / registers));
    // Taps shared by neighbouring pixels must not meet in one body: the compiler would keep every one of them in a
    // register.
    if (columns && columns->lhs.isStatic() && inner.lhs.isStatic() && columns->lhs.value() > 0 && inner.lhs.value() > 0)
      most = std::min(most, std::max<int64_t>(least, columns->lhs.value() / inner.lhs.value()));
    if (!inner.extent.isStatic())
      return llvm::bit_floor(uint64_t(most));
    int64_t extent = inner.extent.value();
    most = std::min(most, extent) / least * least;
    for (int64_t u = most; u > 1; u -= least)
      if (extent % u == 0 && u * 2 > most)
        return u;
    return most; // a second loop takes the rest
  }

  /// Where the input of pixel `at` lies.
  Value inputAt(ArrayRef<Value> at) {
    Value lhs = e.index(c.lhsBase);
    if (c.lhsOffset)
      lhs = e.add(lhs, c.lhsOffset);
    for (auto [p, i] : llvm::zip(c.parallels, at))
      lhs = e.add(lhs, e.mul(i, p.lhs));
    return lhs;
  }

  /// The inputs of a tile's pixels as lhs, while `body` runs.
  void withPanel(const Flat &panel, ArrayRef<Value> at, PixelTile shape, const Parallel &columns,
                 llvm::function_ref<void()> body) {
    Flat input = c.lhs;
    int64_t length = c.reductions.front().extent.value();
    Value from = inputAt(at);
    e.loop(0, shape.columns, 1, [&](Value p) {
      Value source = e.add(from, e.mul(p, columns.lhs)), target = e.mul(p, length + lanes);
      e.loop(0, length, lanes,
             [&](Value i) { panel.store(e, input.load(e, e.add(source, i), lanes), e.add(target, i)); });
    });
    c.lhs = panel;
    panelStep = length + lanes;
    body();
    panelStep = 0;
    c.lhs = input;
  }

  /// `at`: one index a parallel dim. `clamp`: windows of columns may leave the input here, so this is a tile of one
  /// column.
  void tile(ArrayRef<Value> at, PixelTile shape, const Parallel *rows, const Parallel *columns, bool clamp,
            const Channels &channels) {
    Value lhs = panelStep ? e.index(0) : inputAt(at), rhs = e.add(channels.rhs, c.rhsBase),
          out = e.add(channels.channel, c.outBase);
    if (c.rhsOffset)
      rhs = e.add(rhs, c.rhsOffset);
    if (c.outOffset)
      out = e.add(out, c.outOffset);
    for (auto [p, i] : llvm::zip(c.parallels, at)) {
      rhs = e.add(rhs, e.mul(i, p.rhs));
      out = e.add(out, e.mul(i, p.out));
    }
    bool across = c.acrossStride != 0;
    int64_t pixels = shape.pixels(), count = across ? c.channels.value() : channels.vectors.size(),
            registers = pixels * count;
    // How far the input of pixel p lies behind that of the first: what is known at run time only, once a tile.
    auto apart = [](const Parallel *p) { return p && !p->lhs.isStatic() ? p->lhs : Size(0); };
    SmallVector<Value> farther(pixels);
    for (int64_t p = 0; p < pixels; ++p)
      for (auto [along, by] : {std::pair(rows, p / shape.columns), std::pair(columns, p % shape.columns)})
        if (by && !apart(along).is(0))
          farther[p] = e.add(farther[p] ? farther[p] : e.index(0), e.index(along->lhs * Size(by)));
    // x + `more` + where the input of pixel p lies.
    auto inputOf = [&](Value x, int64_t p, const Size &step, int64_t times) {
      if (panelStep)
        return e.advance(x, step, times, panelStep * p);
      int64_t known = (rows ? rows->lhs.orElse(0) * (p / shape.columns) : 0) +
                      (columns ? columns->lhs.orElse(0) * (p % shape.columns) : 0);
      Value at = e.advance(x, step, times, known);
      return farther[p] ? e.add(at, farther[p]) : at;
    };

    // Few registers would wait for one another's latency: several sets of them, summed at the end.
    // As many for a narrower last block as for whole ones, so that equal channels give equal bits wherever they lie.
    int64_t wholeRegisters = std::max(registers, pixels * wholeVectors);
    int64_t factor = c.reductions.empty() ? 1 : unroll(wholeRegisters, columns), sets = 1;
    while (!across && sets * wholeRegisters < 8 && factor % (sets * 2) == 0)
      sets *= 2;
    auto zeros = [&](int64_t of, Type type) {
      SmallVector<Value> none;
      for (int64_t i = 0; i < of * pixels; ++i)
        for (int64_t j = 0; j < count; ++j)
          none.push_back(e.constant(VectorType::get({across ? lanes : channels.vectors[j].lanes}, type), 0));
      return none;
    };
    bool inRuns = sum != c.acc;
    SmallVector<Value> sums = zeros(inRuns ? 1 : sets, c.acc);
    for (int64_t i = 0; c.dots && i < registers; ++i) {
      ChannelVector v = channels.vectors[i % count];
      sums[i] = dots.words(c.rhs, e.add(rhs, 4 * (v.offset - c.block)), v.lanes);
    }
    auto along = [&](Value x, Value w, int64_t width, ValueRange carried) {
      SmallVector<Value> next(carried.begin(), carried.end()), weights;
      for (int64_t j = 0; j < count; ++j)
        weights.push_back(loadAlong(c.rhs, e.add(w, j * c.acrossStride), width, false, 0));
      for (int64_t p = 0; p < pixels; ++p) {
        Value input = loadAlong(c.lhs, inputOf(x, p, 0, 0), width, c.lhsUnsigned, c.lhsZeroPoint);
        for (int64_t j = 0; j < count; ++j)
          next[p * count + j] = e.multiplyAdd(machine, input, weights[j], next[p * count + j]);
      }
      return next;
    };
    auto dotBody = [&](Value x, Value w, int64_t steps, ValueRange carried) {
      SmallVector<Value> next(carried.begin(), carried.end()), neighbours(pixels);
      for (int64_t u = 0, first = 0, held = 0; u < steps; ++u) {
        SmallVector<ByteDots::Parts> weights;
        if (u == first + held) {
          first = u;
          held = together(steps - u);
          for (int64_t p = 0; held > 1 && p < pixels; ++p)
            neighbours[p] = dots.neighbours(c.lhs, inputOf(x, p, 4, u), held);
        }
        for (ChannelVector v : channels.vectors)
          weights.push_back(dots.weights(c.rhs, e.advance(w, c.reductions.back().rhs, u, 4 * v.offset), v.lanes));
        for (int64_t p = 0; p < pixels; ++p) {
          Value at = inputOf(x, p, c.reductions.back().lhs, u);
          llvm::SmallDenseMap<int64_t, ByteDots::Parts> inputs;
          for (int64_t j = 0; j < count; ++j) {
            int64_t width = channels.vectors[j].lanes;
            ByteDots::Parts &input = inputs[width];
            if (input.empty())
              input =
                  held > 1 ? dots.inputOf(neighbours[p], u - first, width) : dots.input(c.lhs, at, c.dotBytes, width);
            Value &sum = next[((u % sets) * pixels + p) * count + j];
            sum = dots.multiplyAdd(input, weights[j], sum);
          }
        }
      }
      return next;
    };
    // Two pixels' sums of four channels are two squares while products are added; the last of an odd number is as
    // above.
    auto squareBody = [&](Value x, Value w, int64_t steps, ValueRange carried) {
      SmallVector<Value> next(carried.begin(), carried.end()), neighbours(pixels);
      for (int64_t first = 0, held; first < steps; first += held) {
        held = together(steps - first);
        for (int64_t p = 0; p < pixels; ++p)
          neighbours[p] = dots.neighbours(c.lhs, inputOf(x, p, 4, first), held);
        for (int64_t u = 0; u < held; u += 2)
          for (int64_t j = 0; j < count; ++j) {
            SmallVector<Value, 2> weights(2);
            for (int64_t v = 0; v < std::min<int64_t>(2, held - u); ++v)
              weights[v] = dots.weights(
                  c.rhs, e.advance(w, c.reductions.back().rhs, first + u + v, 4 * channels.vectors[j].offset),
                  lanes)[0];
            auto [low, high] = dots.columnsOf(weights[0], weights[1]);
            for (int64_t p = 0; p + 1 < pixels; p += 2) {
              Value rows = dots.rowsOf(neighbours[p], neighbours[p + 1], u), &a = next[p * count + j],
                    &b = next[(p + 1) * count + j];
              a = dots.multiplyAddSquare(rows, low, a);
              b = dots.multiplyAddSquare(rows, high, b);
            }
            Value &sum = next[(pixels - 1) * count + j];
            for (int64_t v = 0; pixels % 2 && v < 2 && weights[v]; ++v)
              sum = dots.multiplyAdd(dots.inputOf(neighbours[pixels - 1], u + v, lanes), {weights[v]}, sum);
          }
      }
      return next;
    };
    bool inSquares = squared(pixels, channels.vectors) && sets == 1;
    auto turnSquares = [&](SmallVector<Value> &values) {
      for (int64_t p = 0; inSquares && p + 1 < pixels; p += 2)
        for (int64_t i = p * count; i < (p + 1) * count; ++i)
          std::tie(values[i], values[i + count]) = dots.squares(values[i], values[i + count]);
    };
    auto body = [&](Value x, Value w, int64_t steps, ValueRange carried) {
      if (c.dots)
        return inSquares ? squareBody(x, w, steps, carried) : dotBody(x, w, steps, carried);
      SmallVector<Value> next(carried.begin(), carried.end()), neighbours(pixels);
      for (int64_t u = 0, first = 0, held = 0; u < steps; ++u) {
        Value x0 = x, w0 = w;
        int64_t ahead = u;
        if (c.sparse) {
          Value entry = e.add(w, u);
          x0 = e.add(x, e.mul(sparseWord(c.sparse->channelsAt(), entry), c.reductions.back().lhs));
          w0 = e.mul(entry, c.sparse->weightBytes());
          ahead = 0;
        }
        if (registers >= 8 && !across)
          prefetchWeights(w0, ahead);
        SmallVector<Value> weights;
        if (u == first + held) {
          first = u;
          held = together(steps - u);
          for (int64_t p = 0; held > 1 && p < pixels; ++p)
            neighbours[p] = loadLhs(inputOf(x, p, 1, u), held);
        }
        for (ChannelVector v : channels.vectors)
          weights.push_back(
              loadRhs(e.advance(w0, c.reductions.back().rhs, ahead, v.offset * (c.sparse ? 4 : 1)), v.lanes));
        for (int64_t p = 0; p < pixels; ++p) {
          Value scalar = held > 1 ? Value() : loadLhs(inputOf(x0, p, c.reductions.back().lhs, ahead), 0);
          llvm::SmallDenseMap<int64_t, Value> broadcasts;
          for (int64_t j = 0; j < count; ++j) {
            int64_t width = channels.vectors[j].lanes;
            Value &factor = broadcasts[width];
            if (!factor)
              factor = held > 1 ? e.broadcastLane(neighbours[p], u - first, width) : e.broadcast(scalar, width);
            Value &sum = next[((u % sets) * pixels + p) * count + j];
            sum = e.multiplyAdd(machine, factor, weights[j], sum);
          }
        }
      }
      return next;
    };
    // The sets as one, in the accumulator's type.
    auto folded = [&](SmallVector<Value> values) {
      for (int64_t s = 1; s < sets; ++s)
        for (int64_t i = 0; i < registers; ++i)
          values[i] = e.addElements(values[i], values[s * registers + i]);
      values.truncate(registers);
      for (Value &value : values)
        value = e.convert(value, c.acc, false);
      return values;
    };
    std::function<SmallVector<Value>(unsigned, Value, Value, ValueRange)> nest =
        [&](unsigned d, Value x, Value w, ValueRange carried) -> SmallVector<Value> {
      const Reduction &r = c.reductions[d];
      Value lo = e.index(0), hi = e.index(r.extent);
      if (r.window >= 0) {
        const Parallel *p = c.parallelOf(r);
        if (clamp || p != columns) {
          Value start = e.add(e.mul(at[p - c.parallels.begin()], r.pixelStep), r.base), zero = e.index(0);
          if (r.moved)
            start = e.add(start, r.moved);
          lo = e.divUp(e.max(zero, e.sub(zero, start)), r.tapStep);
          hi = e.min(hi, e.divUp(e.max(zero, e.sub(e.index(r.size), start)), r.tapStep));
        }
      }
      bool innermost = d + 1 == c.reductions.size(), overEntries = innermost && c.sparse;
      if (overEntries) { // of list w
        lo = sparseWord(c.sparse->startsAt(), w);
        hi = sparseWord(c.sparse->startsAt() + 4, w);
        w = e.index(0);
      }
      Size stepLhs = overEntries ? Size(0) : r.lhs, stepRhs = overEntries ? Size(1) : r.rhs;
      auto run = [&](Value x, Value w, Value lo, Value hi, int64_t step, ValueRange carried) {
        return e.loop(lo, hi, step, carried, [&](Value i, ValueRange values) {
          Value x2 = e.add(x, e.mul(i, stepLhs)), w2 = e.add(w, e.mul(i, stepRhs));
          return innermost ? body(x2, w2, step, values) : nest(d + 1, x2, w2, values);
        });
      };
      // Steps [lo, hi) of the innermost loop.
      auto steps = [&](Value x, Value w, Value lo, Value hi, ValueRange carried) {
        std::optional<int64_t> first = constantIndex(lo), end = constantIndex(hi);
        bool known = first && end;
        Value whole = factor == 1 ? hi
                      : known     ? e.index(*first + (*end - *first) / factor * factor)
                                  : e.add(lo, e.wholeOf(e.sub(hi, lo), factor));
        SmallVector<Value> result = run(x, w, lo, whole, factor, carried);
        if (factor == 1 || (known && (*end - *first) % factor == 0))
          return result;
        // What is left, where lanes hold its inputs, at once.
        int64_t left = known ? (*end - *first) % factor : 1;
        return run(x, w, whole, hi, byLane() && left * wholeRegisters <= bodyFmas ? left : 1, result);
      };
      if (innermost && inRuns) {
        int64_t length = runLength(factor);
        return e.loop(lo, hi, length, carried, [&](Value from, ValueRange totals) {
          bool whole = r.extent.isStatic() && r.extent.value() % length == 0 && r.window < 0;
          Value taken = whole ? e.index(length) : e.min(e.index(length), e.sub(hi, from));
          SmallVector<Value> part = folded(
              steps(e.add(x, e.mul(from, r.lhs)), e.add(w, e.mul(from, r.rhs)), e.index(0), taken, zeros(sets, sum)));
          for (auto [value, total] : llvm::zip(part, totals))
            value = e.addElements(total, value);
          return part;
        });
      }
      if (innermost && across) {
        // Whole vectors, then the rest in ever narrower ones.
        SmallVector<Value> result = llvm::to_vector(carried);
        int64_t done = 0;
        for (int64_t width = lanes; width >= 1; width /= 2) {
          int64_t end = done + (r.extent.value() - done) / width * width;
          result = e.loop(e.index(done), e.index(end), width, result,
                          [&](Value i, ValueRange values) { return along(e.add(x, i), e.add(w, i), width, values); });
          done = end;
        }
        return result;
      }
      auto tail = [&](SmallVector<Value> values) {
        return innermost && c.dotTail.second ? body(e.add(x, c.dotTail.first), e.add(w, c.dotTail.second), 1, values)
                                             : values;
      };
      return innermost ? tail(steps(x, w, lo, hi, carried)) : run(x, w, lo, hi, 1, carried);
    };
    turnSquares(sums);
    if (!c.reductions.empty()) {
      sums = nest(0, lhs, rhs, sums);
    } else if (!noProducts) {
      c.reductions.push_back(Reduction());
      sums = body(lhs, rhs, 1, inRuns ? zeros(sets, sum) : sums);
      c.reductions.pop_back();
    }
    turnSquares(sums);
    if (!inRuns || c.reductions.empty())
      sums = folded(sums);

    Channels stored = channels;
    ChannelVector all{0, c.channels.orElse(0)};
    if (across) {
      // Whose channels may lie in two neighbouring vectors.
      SmallVector<Value> lined = e.sumEach(sums), ordered;
      for (int64_t p = 0; p < pixels; ++p) {
        int64_t at = p * count, v = at / lanes, next = std::min<int64_t>(v + 1, lined.size() - 1);
        ordered.push_back(vector::ShuffleOp::create(
            e.b, e.loc, lined[v], lined[next], llvm::to_vector(llvm::seq(at - v * lanes, at - v * lanes + count))));
      }
      sums = ordered;
      stored.vectors = all;
    }

    SmallVector<Value> extras;
    for (auto [x, extra] : llvm::enumerate(c.epilogue->extras())) {
      Value base = e.index(c.extraBases[x]);
      if (!c.extraOffsets.empty())
        base = e.add(base, c.extraOffsets[x]);
      if (extra.coefficients.back().is(1))
        base = e.add(base, channels.channel);
      for (auto [p, i] : llvm::zip(c.parallels, at))
        base = e.add(base, e.mul(i, p.extras[x]));
      extras.push_back(base);
    }
    finish(out, extras, shape, rows, columns, stored, sums);
  }

  Value loadExtra(unsigned x, llvm::function_ref<Value(int64_t)> at, ChannelVector v, int64_t valid) {
    const Epilogue::Extra &extra = c.epilogue->extras()[x];
    if (extra.coefficients.back().is(1))
      return loadPart(e, machine, extra.flat, at(v.offset), valid, v.lanes);
    return e.broadcast(extra.flat.load(e, at(0)), v.lanes);
  }

  /// Does vector j of a block start where the one before it ends?
  static bool followsIn(const Channels &channels, int64_t j) {
    const ChannelVector &before = channels.vectors[j - 1];
    return channels.vectors[j].offset == before.offset + before.lanes;
  }

  /// Epilogue and stores: in registers when short, else in a loop over the tile's pixels, stored raw first.
  void finish(Value out, ArrayRef<Value> extras, PixelTile shape, const Parallel *rows, const Parallel *columns,
              const Channels &channels, ArrayRef<Value> sums) {
    int64_t count = channels.vectors.size();
    auto rowStep = [&](auto get) { return rows ? get(*rows) : Size(0); };
    auto columnStep = [&](auto get) { return columns ? get(*columns) : Size(0); };
    // base + more + where pixel (row, column) lies
    auto placeOf = [&](Value base, auto get, int64_t row, int64_t column, int64_t more) {
      Size down = rowStep(get), right = columnStep(get);
      if (!down.isStatic() && row)
        base = e.add(base, e.index(down * Size(row)));
      if (!right.isStatic() && column)
        base = e.add(base, e.index(right * Size(column)));
      return e.add(base, down.orElse(0) * row + right.orElse(0) * column + more);
    };
    auto outOf = [](const Parallel &p) { return p.out; };
    bool apart = c.epilogue->isLong() && shape.pixels() > 1 && c.out.element == c.acc;
    Value yielded = c.epilogue->yielded();
    std::optional<Saturation> saturation = yielded ? matchSaturation(machine, yielded) : std::nullopt;
    std::optional<ByteStores> bytes;
    if (saturation)
      bytes.emplace(e, machine, c.out, *saturation);
    for (int64_t p = 0; p < shape.pixels(); ++p) {
      int64_t row = p / shape.columns, column = p % shape.columns;
      for (int64_t j = 0; j < count; ++j) {
        ChannelVector v = channels.vectors[j];
        bool narrows = bytes && ByteStores::takes(machine, v.lanes);
        Value result = sums[p * count + j], place = placeOf(out, outOf, row, column, v.offset);
        if (!apart)
          result = c.epilogue->apply(
              e, result,
              [&](unsigned x) {
                auto extraOf = [&](const Parallel &q) { return q.extras[x]; };
                return loadExtra(
                    x, [&](int64_t more) { return placeOf(extras[x], extraOf, row, column, more); }, v,
                    channels.valid(v));
              },
              narrows ? saturation->input : Value());
        if (narrows)
          bytes->add(result, place, channels.valid(v), /*follows=*/j > 0 && followsIn(channels, j));
        else
          storePart(e, machine, c.out, result, place, channels.valid(v));
      }
    }
    if (bytes)
      bytes->flush();
    if (!apart)
      return;
    e.loop(0, shape.rows, 1, [&](Value row) {
      e.loop(0, shape.columns, 1, [&](Value column) {
        auto at = [&](Value base, auto get) {
          return e.add(e.add(base, e.mul(row, rowStep(get))), e.mul(column, columnStep(get)));
        };
        Value to = at(out, outOf);
        // All loads before the first store: the vectors of a block may overlap.
        SmallVector<Value> raw;
        for (ChannelVector v : channels.vectors)
          raw.push_back(loadPart(e, machine, c.out, e.add(to, v.offset), channels.valid(v), v.lanes));
        for (auto [value, v] : llvm::zip(raw, channels.vectors)) {
          Value result = c.epilogue->apply(e, value, [&, v = v](unsigned x) {
            Value place = at(extras[x], [&](const Parallel &q) { return q.extras[x]; });
            return loadExtra(x, [&](int64_t more) { return e.add(place, more); }, v, channels.valid(v));
          });
          storePart(e, machine, c.out, result, e.add(to, v.offset), channels.valid(v));
        }
      });
    });
  }

  // --- the loops around it ---

  using Pixel = llvm::function_ref<void(ArrayRef<Value>, PixelTile, bool clamp)>;

  /// Loops over all pixels in tiles of `shape`; rows and columns are the last two parallel dims, where tiles may lie.
  void overPixels(PixelTile shape, const Parallel *rows, const Parallel *columns, Pixel body) {
    SmallVector<Value> at(c.parallels.size());
    auto tiled = [&](Value &index, int64_t lo, int64_t hi, int64_t step, llvm::function_ref<void()> inner) {
      e.parallel(e.index(lo), e.index(hi), step, [&](Value i) {
        index = (hi - lo) % step ? e.min(i, e.index(hi - step)) : i;
        inner();
      });
    };
    std::function<void(unsigned)> nest = [&](unsigned d) {
      if (d == c.parallels.size())
        return body(at, shape, false);
      const Parallel &p = c.parallels[d];
      auto single = [&](llvm::function_ref<void()> inner) {
        e.parallel(0, p.extent, 1, [&](Value i) {
          at[d] = i;
          inner();
        });
      };
      if (&p != rows && &p != columns)
        return single([&] { nest(d + 1); });
      if (!p.extent.isStatic() || (c.windowed(p) && !c.windowIsStatic(p))) {
        assert(&p == columns && "expected rows of a known number");
        if (c.windowed(p))
          return single([&] { body(at, PixelTile{1, 1}, true); });
        return e.tiles(e.index(p.extent), descending(shape.columns), [&](Value i, int64_t width) {
          at[d] = i;
          body(at, PixelTile{1, width}, false);
        });
      }
      int64_t extent = p.extent.value();
      if (&p == rows)
        return tiled(at[d], 0, extent, shape.rows, [&] { nest(d + 1); });
      if (!c.windowed(p))
        return tiled(at[d], 0, extent, shape.columns, [&] { nest(d + 1); });
      auto [lo, hi] = c.interior(p);
      auto border = [&](int64_t from, int64_t to) {
        tiled(at[d], from, to, 1, [&] { body(at, PixelTile{shape.rows, 1}, true); });
      };
      border(0, lo);
      tiled(at[d], lo, hi, shape.columns, [&] { nest(d + 1); });
      border(hi, extent);
    };
    nest(0);
  }

  /// Widths of tiles for a number of pixels known at run time only: few bodies, and little done twice. Two of them make
  /// up about the one before, so that a handful of pixels never takes many narrow tiles, which wait for their sums.
  static SmallVector<int64_t> descending(int64_t widest) {
    SmallVector<int64_t> widths{widest};
    while (widths.back() > 1)
      widths.push_back((3 * widths.back() + 2) / 5);
    return widths;
  }

  PixelTile chooseTile(ArrayRef<ChannelVector> vectors, const Parallel *rows, const Parallel *columns) {
    int64_t width = 1;
    if (columns && (!columns->extent.isStatic() || (c.windowed(*columns) && !c.windowIsStatic(*columns)))) {
      width = manyPixels;
    } else if (columns) {
      auto [lo, hi] = c.interior(*columns);
      width = std::max<int64_t>(1, c.windowed(*columns) ? hi - lo : columns->extent.value());
    }
    // Inputs are no memory operands of byte products, and LLVM loads some of them early. Halves of words are two
    // registers each.
    Machine room = machine;
    room.laneOperand = byLane();
    if (c.dots)
      room.vectorRegisters -= machine.byteProducts == ByteProducts::WordPairs ? vectors.size() + 2
                              : room.laneOperand                              ? dotShift(machine, c.lhsUnsigned) != 0
                                                                              : 4;
    PixelTile tile = choosePixelTile(room, bits, vectors, rows ? rows->extent.value() : 1, width, e.tile);
    if (tile.pixels() % 2 && tile.columns > 1 && squared(tile.pixels(), vectors))
      --tile.columns; // the last pixel would take twice the products
    return tile;
  }

  LogicalResult run(std::string &reason) {
    if (llvm::any_of(c.reductions, [](const Reduction &r) { return r.extent.is(0); })) {
      noProducts = true;
      c.reductions.clear();
    }
    c.normalize();
    const Parallel *columns = nullptr, *rows = nullptr;
    size_t dims = c.parallels.size();
    if (dims && c.parallels[dims - 1].rhs.is(0))
      columns = &c.parallels[dims - 1];
    if (columns && dims > 1 && c.parallels[dims - 2].rhs.is(0) && !c.windowed(c.parallels[dims - 2]) &&
        c.parallels[dims - 2].extent.isStatic() && columns->extent.isStatic() &&
        (!c.windowed(*columns) || c.windowIsStatic(*columns)))
      rows = &c.parallels[dims - 2];
    if (!c.channels.isStatic())
      return runUnknownChannels(columns, reason);

    int64_t width = c.block, whole, rest, allChannels = c.channels.value();
    if (c.block) {
      whole = allChannels / c.block;
      rest = allChannels % c.block;
    } else {
      // Rows of all channels: the last block starts earlier instead of being narrower.
      width = std::min(packingBlock(machine, 0, allChannels, bits), allChannels);
      whole = llvm::divideCeil(allChannels, width);
      rest = 0;
    }
    if ((int64_t)splitChannels(lanes, width).size() * 2 + 1 > (int64_t)machine.vectorRegisters) {
      reason = llvm::formatv("blocks of {0} channels do not fit {1} registers", width, machine.vectorRegisters).str();
      return failure();
    }
    SmallVector<ChannelVector> vectors = c.dots ? dotVectors(lanes, width) : splitChannels(lanes, width),
                               last = c.dots ? dotVectors(lanes, rest) : splitChannels(lanes, rest);
    if (c.acrossStride) {
      whole = 1;
      rest = 0;
      // As many registers a pixel as there are channels.
      vectors.assign(allChannels, ChannelVector{0, lanes});
    }
    wholeVectors = whole > 0 ? vectors.size() : last.size();
    PixelTile shape = chooseTile(vectors, rows, columns);
    auto overWhole = [&](llvm::function_ref<void(const Channels &)> body) {
      if (whole > 0)
        e.parallel(
            0, whole, 1,
            [&](Value i) {
              Channels channels{nullptr, nullptr, vectors};
              if (c.block) {
                channels.rhs = e.mul(i, c.blockStride);
                channels.channel = e.mul(i, c.block);
              } else {
                channels.channel = e.mul(i, width);
                if (allChannels % width)
                  channels.channel = e.min(channels.channel, e.index(allChannels - width));
                channels.rhs = channels.channel;
              }
              body(channels);
            },
            /*overlaps=*/!c.block && allChannels % width != 0, /*sharesInput=*/c.weightsAreSmaller());
    };
    auto overRest = [&](llvm::function_ref<void(const Channels &)> body) {
      if (rest > 0)
        body({e.index(whole * c.blockStride), e.index(whole * c.block), last, c.dots ? rest : 0});
    };
    int64_t blocks = whole + (rest ? 1 : 0);
    bool collide = columns && shape.rows == 1 && blocks > 1 && c.pixelsCollide(machine, shape.columns, *columns);
    if (collide || c.pixelsOutside(machine, blocks, shape.pixels())) {
      if (whole == 0)
        shape = chooseTile(last, rows, columns);
      Flat panel = collide ? c.panel(e, shape.columns, lanes) : c.lhs;
      overPixels(shape, rows, columns, [&](ArrayRef<Value> at, PixelTile tileShape, bool clamp) {
        auto body = [&](const Channels &channels) { tile(at, tileShape, rows, columns, clamp, channels); };
        auto all = [&] {
          overWhole(body);
          overRest(body);
        };
        if (collide)
          return withPanel(panel, at, tileShape, *columns, all);
        all();
      });
      return success();
    }
    auto blockOuter = [&](const Channels &channels) {
      overPixels(chooseTile(channels.vectors, rows, columns), rows, columns,
                 [&](ArrayRef<Value> at, PixelTile tileShape, bool clamp) {
                   tile(at, tileShape, rows, columns, clamp, channels);
                 });
    };
    overWhole(blockOuter);
    overRest(blockOuter);
    return success();
  }

  /// Channels known at run time only, side by side in rhs: blocks of whole registers, then ever narrower ones.
  LogicalResult runUnknownChannels(const Parallel *columns, std::string &reason) {
    int64_t widest = packingBlock(machine, 0, Contraction::guessedPixels, bits);
    SmallVector<int64_t> widths{widest};
    for (int64_t next : {lanes, int64_t(4), int64_t(1)})
      if (next < widths.back())
        widths.push_back(next);
    if ((int64_t)splitChannels(lanes, widest).size() * 2 + 1 > (int64_t)machine.vectorRegisters) {
      reason = llvm::formatv("blocks of {0} channels do not fit {1} registers", widest, machine.vectorRegisters).str();
      return failure();
    }
    e.tiles(e.index(c.channels), widths, [&](Value channel, int64_t width) {
      SmallVector<ChannelVector> vectors = splitChannels(lanes, width);
      wholeVectors = vectors.size();
      PixelTile shape = width < lanes ? PixelTile{1, 4} : chooseTile(vectors, nullptr, columns);
      if (columns && columns->extent.isStatic() && !c.windowed(*columns))
        shape.columns = std::min(shape.columns, columns->extent.value());
      overPixels(shape, nullptr, columns, [&](ArrayRef<Value> at, PixelTile tileShape, bool clamp) {
        tile(at, tileShape, nullptr, columns, clamp, Channels{channel, channel, vectors});
      });
    });
    return success();
  }
};

} // namespace

LogicalResult cpu::emitContraction(Emitter &e, const Machine &machine, Contraction contraction, std::string &reason) {
  contraction.turnAcross(e, machine);
  contraction.normalize();
  ContractionBuilder whole{e, machine, contraction};
  if (contraction.parallels.empty() || !contraction.windowed(contraction.parallels.back()))
    return whole.run(reason);
  // Inside the borders no window is left on the columns, so that their taps and the input channels are one long loop.
  const Parallel &p = contraction.parallels.back();
  bool stepsKnown = p.lhs.isStatic() && p.rhs.isStatic() && p.out.isStatic() &&
                    llvm::all_of(p.extras, [](const Size &step) { return step.isStatic(); });
  if (!contraction.windowIsStatic(p) || !stepsKnown) {
    auto [lo, hi] = contraction.interior(e, p);
    Value end = e.index(p.extent), zero = e.index(0);
    for (auto [from, to, inside] :
         {std::tuple(lo, hi, true), std::tuple(zero, lo, false), std::tuple(hi, end, false)}) {
      Contraction columns = contraction.part(e, from, to, inside);
      if (failed(ContractionBuilder{e, machine, columns}.run(reason)))
        return failure();
    }
    return success();
  }
  int64_t extent = p.extent.value();
  // Wide borders, as large dilations have: each part with the taps its windows meet.
  SmallVector<int64_t> cuts = contraction.cuts();
  bool isWide = cuts.size() > 2 && cuts.size() <= maxCuts;
  for (size_t i = 1; i < cuts.size(); ++i)
    isWide &= cuts[i] - cuts[i - 1] >= widePart;
  if (isWide) {
    for (size_t i = 1; i < cuts.size(); ++i) {
      Contraction columns = contraction.partOfSameTaps(cuts[i - 1], cuts[i]);
      if (failed(ContractionBuilder{e, machine, columns}.run(reason)))
        return failure();
    }
    return success();
  }
  auto [lo, hi] = contraction.interior(p);
  for (auto [from, to] : {std::pair(lo, hi), std::pair(int64_t(0), lo), std::pair(hi, extent)})
    if (from < to) {
      Contraction columns = contraction.part(from, to);
      if (failed(ContractionBuilder{e, machine, columns}.run(reason)))
        return failure();
    }
  return success();
}
