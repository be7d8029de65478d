// Depthwise convolution and pooling: each channel on its own over a window, vectors along channels.
//
// The idea: a tile of rows x columns pixels by one vector of channels; where every tap lies inside and there are few of
// them, all are unrolled and each input vector is loaded once for all the pixels that use it, row by row so that only
// two rows of weights are alive; or few weights stay in registers while tiles go by. Elsewhere (borders, huge windows)
// taps are loops around several vectors of channels. The last vector starts earlier instead of being masked.
#include "lib/Support/Packing.h"
#include "passes/Cpu/KernelInteger.h"
#include "passes/Cpu/Kernels.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/TargetParser/Triple.h"
#include <numeric>

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

constexpr int64_t guessedPixels = 64; // along a dim whose size is known at run time only
constexpr int64_t mostHalves = 32;    // products summed in f16
constexpr int64_t mostHeld = 12;      // weights in registers while tiles go by

struct Spatial {
  Size out, in;
  int64_t kernel, stride, dilation, padBegin, padEnd;
  Size inStep, outStep; // elements
  int64_t filterStep;
  bool isStatic() const { return out.isStatic() && in.isStatic(); }
  // Results whose taps all lie inside.
  int64_t lo() const { return std::min(out.value(), (padBegin + stride - 1) / stride); }
  int64_t hi() const {
    int64_t room = in.value() - 1 + padBegin - dilation * (kernel - 1);
    return std::max(lo(), std::min(out.value(), room < 0 ? 0 : room / stride + 1));
  }
  bool inside() const { return isStatic() && lo() == 0 && hi() == out.value(); }
  /// How many, as far as is known.
  int64_t interior() const { return isStatic() ? hi() - lo() : guessedPixels; }
  /// The same as indices.
  std::pair<Value, Value> bounds(Emitter &e) const {
    if (isStatic())
      return {e.index(lo()), e.index(hi())};
    Value end = e.index(out), first = e.min(end, e.index((padBegin + stride - 1) / stride));
    Value room = e.max(e.index(0), e.add(e.index(in), stride - 1 + padBegin - dilation * (kernel - 1)));
    Value fit = stride == 1 ? room : e.b.createOrFold<arith::DivUIOp>(e.loc, room, e.index(stride));
    return {first, e.max(first, e.min(end, fit))};
  }
};

struct Window {
  Emitter &e;
  const Machine &machine;
  nn::ComputeOp op;
  enum Kind { Multiply, Max, Sum } kind;
  Flat input, filter, output;
  std::optional<Epilogue> epilogue;
  std::optional<unsigned> addend; // the extra that sums begin with
  bool inputUnsigned = false, filterUnsigned = false, divide = false, countPadding = false;
  int64_t inputZeroPoint = 0, filterZeroPoint = 0;
  SmallVector<Spatial> dims;
  Type acc = op.getAccumulatorType(), sum = acc;
  Size batch;
  int64_t channels = 0, taps = 1;

  bool prepare(Value in, Value weights, ArrayRef<int64_t> kernel, ArrayRef<int64_t> strides,
               ArrayRef<int64_t> dilations, ArrayRef<int64_t> pads, std::string &reason) {
    Value init = op.getInitOperand().get();
    FailureOr<Flat> i = flatten(e, in), o = flatten(e, init);
    if (failed(i) || failed(o))
      return reason = "a buffer is empty or runs backwards", false;
    input = *i;
    output = *o;
    if (weights) {
      FailureOr<Flat> w = flatten(e, weights);
      if (failed(w))
        return reason = "a buffer is empty or runs backwards", false;
      filter = *w;
    }
    FailureOr<Epilogue> ep = Epilogue::get(e, op);
    if (failed(ep))
      return reason = "an epilogue operand is not linear in the result's indices", false;
    epilogue = std::move(*ep);
    batch = output.sizes[0];
    bool known = output.sizes.back().isStatic() &&
                 llvm::all_of(filter.strides, [](const Size &stride) { return stride.isStatic(); });
    if (!known)
      return reason = "channels or kernel are known at run time only", false;
    channels = output.sizes.back().value();
    if (channels > 1 &&
        (!input.strides.back().is(1) || !output.strides.back().is(1) || (weights && !filter.strides.back().is(1))))
      return reason = "channels are not contiguous", false;
    for (unsigned s = 0; s < strides.size(); ++s) {
      dims.push_back({output.sizes[s + 1], input.sizes[s + 1], kernel[s], strides[s], dilations[s], pads[s],
                      pads[strides.size() + s], input.strides[s + 1], output.strides[s + 1],
                      weights ? filter.strides[s].value() : 0});
      taps *= kernel[s];
    }
    return true;
  }

  /// Where the machine computes in f16, maxima are the same in it, and so few products are summed in it.
  void sumInHalves() {
    bool halves = machine.halfArithmetic && input.element.isF16() && acc.isF32();
    if (halves && (kind == Max || (kind == Multiply && filter.element.isF16() && taps <= mostHalves)))
      sum = input.element;
  }

  Value loadInput(Value at, int64_t lanes) {
    Value value = e.convert(input.load(e, at, lanes), sum, inputUnsigned);
    return inputZeroPoint
               ? arith::SubIOp::create(e.b, e.loc, value, e.constant(value.getType(), inputZeroPoint)).getResult()
               : value;
  }
  Value loadFilter(Value at, int64_t lanes) {
    Value value = e.convert(filter.load(e, at, lanes), sum, filterUnsigned);
    return filterZeroPoint
               ? arith::SubIOp::create(e.b, e.loc, value, e.constant(value.getType(), filterZeroPoint)).getResult()
               : value;
  }
  /// What sums of the `lanes` channels from `channel` on begin with.
  Value start(Value channel, int64_t lanes) {
    auto type = VectorType::get({lanes}, sum);
    if (addend) {
      const Epilogue::Extra &extra = epilogue->extras()[*addend];
      if (!extra.coefficients.back().is(1))
        return e.broadcast(extra.flat.load(e, e.index(extra.constant)), lanes);
      return extra.flat.load(e, e.add(channel, extra.constant), lanes);
    }
    if (kind != Max)
      return e.constant(type, 0);
    Attribute least;
    if (auto f = dyn_cast<FloatType>(sum))
      least = FloatAttr::get(f, APFloat::getInf(f.getFloatSemantics(), true));
    else
      least = IntegerAttr::get(acc, APInt::getSignedMinValue(acc.getIntOrFloatBitWidth()));
    return arith::ConstantOp::create(e.b, e.loc, DenseElementsAttr::get(type, least));
  }
  Value combine(Value sum, Value x, llvm::function_ref<Value()> weight) {
    if (kind == Multiply)
      return e.multiplyAdd(machine, x, weight(), sum);
    if (kind == Sum)
      return e.addElements(sum, x);
    if (isa<FloatType>(acc))
      return arith::MaximumFOp::create(e.b, e.loc, x, sum);
    return arith::MaxSIOp::create(e.b, e.loc, x, sum);
  }

  // --- finishing one pixel ---

  /// Divisor of an average, an index; null when it is not one.
  Value tapCount(ArrayRef<Value> at) {
    if (!divide)
      return nullptr;
    Value count = e.index(1), zero = e.index(0);
    for (auto [s, d] : llvm::enumerate(dims)) {
      Value first = e.add(e.mul(at[s + 1], d.stride), -d.padBegin);
      Value lo = countPadding ? zero : e.divUp(e.max(zero, e.sub(zero, first)), d.dilation);
      Value end = e.add(e.index(d.in), countPadding ? d.padEnd : 0);
      Value hi = e.min(e.index(d.kernel), e.divUp(e.max(zero, e.sub(end, first)), d.dilation));
      bool always = d.inside() || (countPadding && d.isStatic() &&
                                   (d.out.value() - 1) * d.stride - d.padBegin + (d.kernel - 1) * d.dilation <
                                       d.in.value() + d.padEnd);
      count = e.mul(count, always ? e.index(d.kernel) : e.sub(hi, lo));
    }
    return count;
  }

  /// `at`: batch, spatial... ; offsets of this pixel are constants beside them.
  void store(ArrayRef<Value> at, ArrayRef<int64_t> shift, Value channel, int64_t lanes, Value sum, Value count) {
    sum = e.convert(sum, acc, false);
    if (count) {
      Value divisor = e.convert(arith::IndexCastOp::create(e.b, e.loc, e.b.getI32Type(), count), acc, false);
      divisor = e.broadcast(divisor, lanes);
      sum = isa<FloatType>(acc) ? arith::DivFOp::create(e.b, e.loc, sum, divisor).getResult()
                                : arith::DivSIOp::create(e.b, e.loc, sum, divisor).getResult();
    }
    Value result = epilogue->apply(e, sum, [&](unsigned x) -> Value {
      const Epilogue::Extra &extra = epilogue->extras()[x];
      Value from = e.index(extra.constant);
      int64_t constant = 0;
      for (unsigned d = 0; d < at.size(); ++d) {
        from = e.add(from, e.mul(at[d], extra.coefficients[d]));
        constant += shift[d] * extra.coefficients[d].orElse(0);
        if (!extra.coefficients[d].isStatic())
          from = e.advance(from, extra.coefficients[d], shift[d]);
      }
      if (!extra.coefficients.back().is(1))
        return e.broadcast(extra.flat.load(e, e.add(from, constant)), lanes);
      return extra.flat.load(e, e.add(e.add(from, channel), constant), lanes);
    });
    Value to = channel;
    int64_t constant = 0;
    for (unsigned d = 0; d < at.size(); ++d) {
      to = e.add(to, e.mul(at[d], output.strides[d]));
      constant += shift[d] * output.strides[d].orElse(0);
      if (!output.strides[d].isStatic())
        to = e.advance(to, output.strides[d], shift[d]);
    }
    output.store(e, result, e.add(to, constant));
  }

  // --- tiles ---

  Value inputBase(ArrayRef<Value> at, Value channel) {
    Value from = e.add(channel, e.mul(at[0], input.strides[0]));
    for (auto [s, d] : llvm::enumerate(dims))
      from = e.add(from, e.mul(e.add(e.mul(at[s + 1], d.stride), -d.padBegin), d.inStep));
    return from;
  }

  /// base + rows * down + columns * right
  Value placeOf(Value base, const Size &down, int64_t rows, const Size &right, int64_t columns) {
    if (!down.isStatic())
      base = e.advance(base, down, rows);
    if (!right.isStatic())
      base = e.advance(base, right, columns);
    return e.add(base, down.orElse(0) * rows + right.orElse(0) * columns);
  }

  /// The weights of one vector of channels, and what its sums begin with, where they stay in registers.
  struct Held {
    SmallVector<Value> weights;
    Value start;
  };
  Held hold(Value channel, int64_t lanes) {
    Held held{{}, start(channel, lanes)};
    const Spatial &column = dims.back();
    for (int64_t tap = 0; tap < taps; ++tap)
      held.weights.push_back(loadFilter(
          e.add(channel, tap / column.kernel * dims.front().filterStep + tap % column.kernel * column.filterStep),
          lanes));
    return held;
  }

  /// All taps inside and unrolled over the last two dims; a first of three dims stays a loop.
  void unrolledTile(ArrayRef<Value> at, PixelTile shape, Value channel, int64_t lanes, const Held *held = nullptr) {
    unsigned last = dims.size() - 1;
    const Spatial &column = dims[last];
    const Spatial *row = last > 0 ? &dims[last - 1] : nullptr;
    int64_t rowTaps = row ? row->kernel : 1;
    struct Use {
      int64_t y, x, pixel, tap;
    };
    SmallVector<Use> uses;
    for (int64_t p = 0; p < shape.pixels(); ++p)
      for (int64_t ky = 0; ky < rowTaps; ++ky)
        for (int64_t kx = 0; kx < column.kernel; ++kx)
          uses.push_back({row ? p / shape.columns * row->stride + ky * row->dilation : 0,
                          p % shape.columns * column.stride + kx * column.dilation, p, ky * column.kernel + kx});
    llvm::stable_sort(uses, [](const Use &a, const Use &b) { return std::tie(a.y, a.x) < std::tie(b.y, b.x); });
    auto taps2d = [&](Value from, Value weights, ValueRange sums) {
      SmallVector<Value> next(sums.begin(), sums.end()), loaded(rowTaps * column.kernel);
      if (held)
        loaded = held->weights;
      Value x;
      int64_t y0 = -1, x0 = -1;
      for (const Use &use : uses) {
        if (use.y != y0 || use.x != x0)
          x = loadInput(placeOf(from, row ? row->inStep : Size(0), use.y, column.inStep, use.x), lanes);
        y0 = use.y;
        x0 = use.x;
        next[use.pixel] = combine(next[use.pixel], x, [&] {
          Value &w = loaded[use.tap];
          if (!w)
            w = loadFilter(e.add(weights, use.tap / column.kernel * (row ? row->filterStep : 0) +
                                              use.tap % column.kernel * column.filterStep),
                           lanes);
          return w;
        });
      }
      return next;
    };
    SmallVector<Value> sums(shape.pixels(), held ? held->start : start(channel, lanes));
    Value from = inputBase(at, channel);
    if (dims.size() < 3) {
      sums = taps2d(from, channel, sums);
    } else {
      const Spatial &deep = dims[0];
      sums = e.loop(e.index(0), e.index(deep.kernel), 1, sums, [&](Value k, ValueRange carried) {
        return taps2d(e.add(from, e.mul(k, deep.inStep * Size(deep.dilation))),
                      e.add(channel, e.mul(k, deep.filterStep)), carried);
      });
    }
    SmallVector<int64_t> shift(at.size(), 0);
    // A long epilogue is not repeated for every pixel: raw sums first, then a loop over the tile.
    bool apart = epilogue->isLong() && shape.pixels() > 1 && output.element == acc && sum == acc && !divide;
    if (apart) {
      Value to = channel;
      for (unsigned d = 0; d < at.size(); ++d)
        to = e.add(to, e.mul(at[d], output.strides[d]));
      for (int64_t p = 0; p < shape.pixels(); ++p)
        output.store(e, sums[p],
                     placeOf(to, row ? row->outStep : Size(0), p / shape.columns, column.outStep, p % shape.columns));
      e.loop(0, shape.rows, 1, [&](Value r) {
        e.loop(0, shape.columns, 1, [&](Value q) {
          SmallVector<Value> moved(at.begin(), at.end());
          moved[last + 1] = e.add(at[last + 1], q);
          if (row)
            moved[last] = e.add(at[last], r);
          Value from = e.add(to, e.mul(q, column.outStep));
          if (row)
            from = e.add(from, e.mul(r, row->outStep));
          store(moved, shift, channel, lanes, output.load(e, from, lanes), nullptr);
        });
      });
      return;
    }
    for (int64_t p = 0; p < shape.pixels(); ++p) {
      shift[last + 1] = p % shape.columns;
      if (row)
        shift[last] = p / shape.columns;
      SmallVector<Value> moved(at.begin(), at.end());
      for (unsigned d = 0; divide && d < at.size(); ++d)
        moved[d] = e.add(at[d], shift[d]);
      store(at, shift, channel, lanes, sums[p], tapCount(moved));
    }
  }

  /// One pixel, taps as loops within the input, `count` vectors of channels.
  void rolledPixel(ArrayRef<Value> at, Value channel, int64_t lanes, int64_t count) {
    SmallVector<Value> sums;
    for (int64_t j = 0; j < count; ++j)
      sums.push_back(start(e.add(channel, j * lanes), lanes));
    std::function<SmallVector<Value>(unsigned, Value, Value, ValueRange)> nest =
        [&](unsigned s, Value from, Value weights, ValueRange carried) -> SmallVector<Value> {
      if (s == dims.size()) {
        SmallVector<Value> next(carried.begin(), carried.end());
        for (int64_t j = 0; j < count; ++j)
          next[j] = combine(next[j], loadInput(e.add(from, j * lanes), lanes),
                            [&] { return loadFilter(e.add(weights, j * lanes), lanes); });
        return next;
      }
      const Spatial &d = dims[s];
      Value lo = e.index(0), hi = e.index(d.kernel), zero = lo;
      if (!d.inside()) {
        Value first = e.add(e.mul(at[s + 1], d.stride), -d.padBegin);
        lo = e.divUp(e.max(zero, e.sub(zero, first)), d.dilation);
        hi = e.min(hi, e.divUp(e.max(zero, e.sub(e.index(d.in), first)), d.dilation));
      }
      return e.loop(lo, hi, 1, carried, [&](Value k, ValueRange values) {
        return nest(s + 1, e.add(from, e.mul(k, d.inStep * Size(d.dilation))), e.add(weights, e.mul(k, d.filterStep)),
                    values);
      });
    };
    sums = nest(0, inputBase(at, channel), channel, sums);
    SmallVector<int64_t> shift(at.size(), 0);
    Value divisor = tapCount(at);
    for (int64_t j = 0; j < count; ++j)
      store(at, shift, e.add(channel, j * lanes), lanes, sums[j], divisor);
  }

  bool productsReadMemory() const { return llvm::Triple(machine.triple).isX86(); }

  /// Where products take their factors from registers alone, the weights of a vector of channels stay there over many
  /// tiles, if they fit beside the sums.
  bool holdsWeights(int64_t unrolledTaps) const {
    return kind == Multiply && machine.vectorRegisters >= 32 && !productsReadMemory() && unrolledTaps <= mostHeld &&
           dims.size() < 3 && llvm::all_of(dims, [](const Spatial &d) { return d.isStatic(); });
  }

  /// Tiles that are computed for one vector of channels after another: as many as leave the lines they touch in the
  /// nearest cache, since a line holds several vectors. Lines a power of two apart share few places of a cache (taken
  /// to have four ways).
  PixelTile patchOf(PixelTile tile, int64_t height, int64_t width) {
    constexpr int64_t line = 64, ways = 4;
    int64_t bytes = channels * input.element.getIntOrFloatBitWidth() / 8, sets = machine.l1Bytes / line / ways;
    int64_t apart = std::gcd(llvm::divideCeil(bytes, line), sets), room = sets / apart * ways * 3 / 4;
    auto lines = [&](int64_t rows, int64_t columns) {
      int64_t read = (columns - 1) * dims.back().stride + (dims.back().kernel - 1) * dims.back().dilation + 1;
      if (dims.size() > 1)
        read *= (rows - 1) * dims[0].stride + (dims[0].kernel - 1) * dims[0].dilation + 1;
      return read + rows * columns;
    };
    // Patches of about the same size, whole rows of tiles before a second one.
    auto grown = [&](int64_t extent, int64_t step, llvm::function_ref<int64_t(int64_t)> linesOf) {
      int64_t tiles = llvm::divideCeil(extent, step), most = 1;
      while (most < tiles && linesOf(std::min(extent, (most + 1) * step)) <= room)
        ++most;
      return std::min<int64_t>(extent, llvm::divideCeil(tiles, llvm::divideCeil(tiles, most)) * step);
    };
    PixelTile patch = tile;
    patch.columns = grown(width, tile.columns, [&](int64_t columns) { return lines(tile.rows, columns); });
    if (patch.columns == width)
      patch.rows = grown(height, tile.rows, [&](int64_t rows) { return lines(rows, width); });
    return patch;
  }

  /// The results whose taps all lie inside, tiles of `shape` in patches.
  void overPatches(SmallVectorImpl<Value> &at, PixelTile shape, int64_t lanes) {
    const Spatial &column = dims.back();
    int64_t height = dims.size() > 1 ? dims[0].interior() : 1;
    PixelTile patch = patchOf(shape, height, column.interior());
    auto steps = [&](int64_t extent, int64_t step, bool parallel, llvm::function_ref<void(Value)> body) {
      auto placed = [&](Value i) { body(extent % step ? e.min(i, e.index(extent - step)) : i); };
      parallel ? e.parallel(0, extent, step, placed) : e.loop(0, extent, step, placed);
    };
    steps(height, patch.rows, true, [&](Value row) {
      steps(column.interior(), patch.columns, true, [&](Value first) {
        overChannels(lanes, [&](Value channel) {
          Held held = hold(channel, lanes);
          steps(patch.rows, shape.rows, false, [&](Value y) {
            steps(patch.columns, shape.columns, false, [&](Value x) {
              if (dims.size() > 1)
                at[1] = e.add(e.add(row, y), dims[0].lo());
              at[dims.size()] = e.add(e.add(first, x), column.lo());
              unrolledTile(at, shape, channel, lanes, &held);
            });
          });
        });
      });
    });
  }

  void overChannels(int64_t step, llvm::function_ref<void(Value)> body) {
    e.parallel(0, channels, step, [&](Value i) { body(channels % step ? e.min(i, e.index(channels - step)) : i); });
  }

  void emit() {
    sumInHalves();
    if (kind == Multiply && sum == acc)
      addend = epilogue->takeFirstAddend();
    unsigned bits = sum.getIntOrFloatBitWidth();
    int64_t lanes = std::max<int64_t>(1, machine.lanes(bits));
    // Narrower vectors where the last full one would mostly compute again what the one before has.
    while (lanes > channels ||
           (lanes > 1 && llvm::divideCeil(channels, lanes) * 3 > llvm::divideCeil(channels, lanes / 2) * 2 &&
            channels % lanes != 0))
      lanes /= 2;
    unsigned last = dims.size() - 1;
    int64_t unrolledTaps = dims[last].kernel * (last > 0 ? dims[last - 1].kernel : 1);
    // Tiles of two rows reuse input rows; only where nothing leaves the input.
    bool unroll = unrolledTaps <= 25 && dims[last].interior() > 0 && (dims.size() < 3 || dims[0].inside());
    PixelTile shape;
    bool holds = holdsWeights(unrolledTaps);
    if (unroll) {
      const Spatial &column = dims[last];
      int64_t width = column.interior(), height = last > 0 ? dims[last - 1].interior() : 1;
      bool many = machine.vectorRegisters >= 32;
      // Where no product reads memory, LLVM loads strided rows of a larger tile before it has registers for them.
      bool isStrided = llvm::any_of(dims, [](const Spatial &d) { return d.stride > 1; });
      int64_t most = !many ? 4 : holds ? 9 : isStrided && machine.laneOperand ? 6 : 8, tallest = holds ? 3 : 2;
      int64_t code = many ? 200 : 100, weights = holds ? 0 : unrolledTaps;
      int64_t budget = std::min<int64_t>(most, std::max<int64_t>(1, code / unrolledTaps)), bestCost = INT64_MAX;
      for (int64_t r = 1; r <= std::min<int64_t>(tallest, height); ++r)
        for (int64_t w = 1; w <= std::min<int64_t>(8, width) && r * w <= budget; ++w) {
          int64_t inputs = 1, tiles = llvm::divideCeil(width, w) * llvm::divideCeil(height, r);
          inputs = ((w - 1) * column.stride + (column.kernel - 1) * column.dilation + 1);
          if (last > 0)
            inputs *= (r - 1) * dims[last - 1].stride + (dims[last - 1].kernel - 1) * dims[last - 1].dilation + 1;
          int64_t loads = inputs + weights, cost = tiles * (2 * std::max(r * w * unrolledTaps, loads) + loads + r * w);
          if (cost < bestCost) {
            bestCost = cost;
            shape = {r, w};
          }
        }
      unroll = height > 0;
    }
    int64_t vectors = std::max<int64_t>(1, std::min<int64_t>(kind == Multiply ? 4 : 8, channels / lanes));
    SmallVector<Value> at(dims.size() + 1);
    auto rolled = [&] {
      overChannels(lanes * vectors, [&](Value channel) { rolledPixel(at, channel, lanes, vectors); });
    };
    auto each = [&](unsigned s, Value lo, Value hi, llvm::function_ref<void()> inner) {
      e.parallel(lo, hi, 1, [&](Value i) {
        at[s + 1] = i;
        inner();
      });
    };
    PixelTile now = shape; // the tile around the place the nest is at
    auto tiled = [&](unsigned s, Value lo, Value hi, int64_t PixelTile::*side, llvm::function_ref<void()> inner) {
      int64_t step = shape.*side;
      auto first = constantIndex(lo), last = constantIndex(hi);
      if (first && last) {
        now.*side = step;
        e.parallel(lo, hi, step, [&](Value i) {
          at[s + 1] = (*last - *first) % step ? e.min(i, e.index(*last - step)) : i;
          inner();
        });
        return;
      }
      SmallVector<int64_t> widths{step};
      if (step > 1)
        widths.push_back(1);
      e.tiles(e.sub(hi, lo), widths, [&](Value i, int64_t width) {
        now.*side = width;
        at[s + 1] = e.add(lo, i);
        inner();
      });
    };
    std::function<void(unsigned, bool)> nest = [&](unsigned s, bool inside) {
      if (s == dims.size()) {
        if (!inside)
          return rolled();
        return overChannels(lanes, [&](Value channel) { unrolledTile(at, now, channel, lanes); });
      }
      const Spatial &d = dims[s];
      if (!unroll || !inside || (dims.size() == 3 && s == 0))
        return each(s, e.index(0), e.index(d.out), [&] { nest(s + 1, inside && unroll); });
      // The columns left and right of a tile of several rows: each of its rows.
      auto border = [&](Value lo, Value hi) {
        each(s, lo, hi, [&] {
          if (s != last || s == 0)
            return nest(s + 1, false);
          Value row = at[s];
          e.parallel(0, now.rows, 1, [&](Value r) {
            at[s] = e.add(row, r);
            nest(s + 1, false);
          });
          at[s] = row;
        });
      };
      auto [lo, hi] = d.bounds(e);
      border(e.index(0), lo);
      tiled(s, lo, hi, s == last ? &PixelTile::columns : &PixelTile::rows, [&] { nest(s + 1, true); });
      border(hi, e.index(d.out));
    };
    e.parallel(0, batch, 1, [&](Value n) {
      at[0] = n;
      if (unroll && holds) {
        // Around the patches, and the columns left and right of them.
        auto frame = [&](unsigned s, llvm::function_ref<void()> inner) {
          auto [lo, hi] = dims[s].bounds(e);
          each(s, e.index(0), lo, inner);
          each(s, hi, e.index(dims[s].out), inner);
        };
        frame(0, [&] { dims.size() > 1 ? each(last, e.index(0), e.index(dims[last].out), rolled) : rolled(); });
        if (dims.size() > 1)
          each(0, dims[0].bounds(e).first, dims[0].bounds(e).second, [&] { frame(last, rolled); });
        return overPatches(at, shape, lanes);
      }
      nest(0, true);
    });
  }
};

} // namespace

LogicalResult cpu::emitDepthwiseConv(Emitter &e, const Machine &machine, nn::DepthwiseConvOp op, std::string &reason) {
  if (hasDepthwiseDots(machine, op) && succeeded(emitDepthwiseDots(e, machine, op, reason)))
    return success();
  Window window{e, machine, op, Window::Multiply};
  auto filter = cast<MemRefType>(op.getFilter().getType());
  if (!filter.hasStaticShape()) {
    reason = "channels or kernel are known at run time only";
    return failure();
  }
  if (!window.prepare(op.getInput(), op.getFilter(), filter.getShape().drop_back(), op.getStrides(), op.getDilations(),
                      op.getPads(), reason))
    return failure();
  window.inputUnsigned = op.getInputUnsigned();
  window.filterUnsigned = op.getFilterUnsigned();
  window.inputZeroPoint = op.getInputZeroPoint();
  window.filterZeroPoint = op.getFilterZeroPoint();
  window.emit();
  return success();
}

LogicalResult cpu::emitPool(Emitter &e, const Machine &machine, nn::PoolOp op, std::string &reason) {
  Window window{e, machine, op, op.getKind() == nn::PoolKind::max ? Window::Max : Window::Sum};
  if (!window.prepare(op.getInput(), nullptr, op.getKernel(), op.getStrides(), op.getDilations(), op.getPads(), reason))
    return failure();
  window.inputUnsigned = op.getInputUnsigned();
  window.divide = op.getKind() == nn::PoolKind::average;
  window.countPadding = op.getCountPadding();
  window.emit();
  return success();
}
