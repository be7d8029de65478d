// Depthwise convolution of bytes by dot products: the factors of a word are taps of one column.
//
// The idea: four rows of one input column, a register of channels each, are interleaved (twice unpacked, within 128
// bits) so that each 32-bit lane holds one channel's four taps; one dot product then adds a column of the filter. An
// interleaved column serves every pixel of the tile that reads it, and both rows of one: the second row's weights are
// the first's moved up by its stride. The filter is interleaved likewise, once a call, into a panel on the stack; there
// the input's zero point becomes what each sum begins with.
#include "lib/Support/Packing.h"
#include "passes/Cpu/KernelBytes.h"
#include "passes/Cpu/KernelInteger.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

constexpr int64_t group = 4; // factors of a word

struct Side {
  int64_t out, kernel, stride, dilation;
  int64_t in, filter; // elements from position to position
};

struct DepthwiseDots {
  Emitter &e;
  const Machine &machine;
  nn::DepthwiseConvOp op;
  Flat input, filter, output;
  Epilogue epilogue;
  Side row, column;
  bool planar;             // two spatial dims
  int64_t channels, block; // block: channels of a register of bytes
  ByteDots dots{e, machine, op.getInputUnsigned()};
  int64_t lanes = block / group;             // of a vector of sums
  int64_t valid = std::min(block, channels); // channels a block has
  int64_t blocks = llvm::divideCeil(channels, block);
  int64_t groups = llvm::divideCeil(row.kernel, group); // words of a column
  // A block of the panel: the sums' first values, then the words of each column.
  int64_t blockBytes = group * block * (1 + column.kernel * groups);
  Flat panel = {};
  std::optional<Saturation> saturation =
      epilogue.yielded() ? matchSaturation(machine, epilogue.yielded()) : std::nullopt;

  VectorType bytes(int64_t n) { return VectorType::get({n}, e.b.getI8Type()); }

  /// x and y taken in turn, `unit` bytes each, from the lower or upper half of every 128 bits.
  Value unpack(Value x, Value y, int64_t unit, bool upper) {
    SmallVector<int64_t> mask;
    for (int64_t lane = 0; lane < block; lane += 16)
      for (int64_t i = upper ? 8 : 0, end = i + 8; i < end; i += unit)
        for (int64_t from : {lane + i, block + lane + i})
          for (int64_t byte = 0; byte < unit; ++byte)
            mask.push_back(from + byte);
    return vector::ShuffleOp::create(e.b, e.loc, x, y, mask);
  }
  /// Four registers of channels as four registers of words, in the layout's order.
  SmallVector<Value> interleave(ArrayRef<Value> x) {
    SmallVector<Value> words;
    for (bool upper : {false, true}) {
      Value ab = unpack(x[0], x[1], 1, upper), cd = unpack(x[2], x[3], 1, upper);
      words.push_back(unpack(ab, cd, 2, false));
      words.push_back(unpack(ab, cd, 2, true));
    }
    return words;
  }
  /// Sums in the layout's order as sums of neighbouring channels.
  SmallVector<Value> inOrder(ArrayRef<Value> sums) {
    int64_t parts = lanes / 4; // of 128 bits
    auto pick = [&](Value x, Value y, ArrayRef<int64_t> from) -> Value {
      SmallVector<int64_t> mask;
      for (int64_t part : from)
        for (int64_t i = 0; i < 4; ++i)
          mask.push_back(part * 4 + i);
      return vector::ShuffleOp::create(e.b, e.loc, x, y, mask);
    };
    if (parts == 1)
      return llvm::to_vector(sums);
    if (parts == 2)
      return {pick(sums[0], sums[1], {0, 2}), pick(sums[2], sums[3], {0, 2}), pick(sums[0], sums[1], {1, 3}),
              pick(sums[2], sums[3], {1, 3})};
    Value low01 = pick(sums[0], sums[1], {0, 1, 4, 5}), low23 = pick(sums[2], sums[3], {0, 1, 4, 5});
    Value high01 = pick(sums[0], sums[1], {2, 3, 6, 7}), high23 = pick(sums[2], sums[3], {2, 3, 6, 7});
    return {pick(low01, low23, {0, 2, 4, 6}), pick(low01, low23, {1, 3, 5, 7}), pick(high01, high23, {0, 2, 4, 6}),
            pick(high01, high23, {1, 3, 5, 7})};
  }

  Value loadInput(Value at) {
    Value x = loadPart(e, machine, input, at, valid, block);
    if (dotShift(machine, op.getInputUnsigned()))
      x = arith::XOrIOp::create(e.b, e.loc, x, e.constant(x.getType(), -128));
    return x;
  }
  Value firstChannel(Value b) {
    Value channel = e.mul(b, block);
    return channels % block ? e.min(channel, e.index(std::max<int64_t>(0, channels - block))) : channel;
  }
  int64_t wordsOf(int64_t tap, int64_t g) { return group * block * (1 + tap * groups + g); }

  /// Fills the panel.
  void interleaveFilter() {
    Type byte = e.b.getI8Type();
    panel = Flat{
        memref::AllocaOp::create(e.b, e.loc, MemRefType::get({blocks * blockBytes}, byte), e.b.getI64IntegerAttr(64)),
        {1},
        byte};
    int64_t zero = op.getInputZeroPoint() + dotShift(machine, op.getInputUnsigned());
    e.loop(0, blocks, 1, [&](Value b) {
      Value from = firstChannel(b), to = e.mul(b, blockBytes);
      SmallVector<Value> sums(group, e.constant(VectorType::get({lanes}, e.b.getI32Type()), 0));
      ByteDots::Parts ones = dots.parts(e.constant(bytes(block), 1), true);
      for (int64_t tap = 0; tap < column.kernel; ++tap)
        for (int64_t g = 0; g < groups; ++g) {
          SmallVector<Value> taps;
          for (int64_t y = g * group; y < (g + 1) * group; ++y) {
            Value w = y < row.kernel ? loadPart(e, machine, filter, e.add(from, y * row.filter + tap * column.filter),
                                                valid, block)
                                     : e.constant(bytes(block), 0);
            if (op.getFilterUnsigned() && y < row.kernel)
              w = arith::XOrIOp::create(e.b, e.loc, w, e.constant(w.getType(), -128));
            taps.push_back(w);
          }
          for (auto [q, words] : llvm::enumerate(interleave(taps))) {
            panel.store(e, words, e.add(to, wordsOf(tap, g) + q * block));
            sums[q] = dots.multiplyAdd(ones, dots.parts(words, false), sums[q]);
          }
        }
      for (auto [q, sum] : llvm::enumerate(sums)) {
        Value first = arith::MulIOp::create(e.b, e.loc, sum, e.constant(sum.getType(), double(-zero)));
        panel.store(e, vector::BitCastOp::create(e.b, e.loc, bytes(block), first), e.add(to, q * block));
      }
    });
  }

  Value loadWeights(Value at, int64_t shift) {
    Value words = dots.words(panel, at, lanes);
    if (shift)
      words = arith::ShLIOp::create(e.b, e.loc, words, e.constant(words.getType(), 8 * shift));
    return vector::BitCastOp::create(e.b, e.loc, bytes(block), words);
  }

  /// rows x columns pixels from (y, x) of image n, the channels of block `block` from `channel` on.
  void tile(Value n, Value y, Value x, int64_t rows, int64_t columns, Value b, Value channel) {
    Value from = e.add(channel, e.mul(n, input.strides[0]));
    from = e.add(from, e.add(e.mul(y, row.in * row.stride), e.mul(x, column.in * column.stride)));
    Value weights = e.mul(b, blockBytes);
    SmallVector<Value> first, sums;
    for (int64_t q = 0; q < group; ++q)
      first.push_back(dots.words(panel, e.add(weights, q * block), lanes));
    for (int64_t p = 0; p < rows * columns; ++p)
      sums.append(first);
    int64_t last = (columns - 1) * column.stride + (column.kernel - 1) * column.dilation;
    for (int64_t at = 0; at <= last; ++at)
      for (int64_t g = 0; g < groups; ++g) {
        SmallVector<Value> words; // of this column, made where a pixel reads it
        for (int64_t p = 0; p < columns; ++p) {
          int64_t tap = at - p * column.stride;
          if (tap < 0 || tap % column.dilation || tap / column.dilation >= column.kernel)
            continue;
          if (words.empty()) {
            int64_t taken = std::min(group, (rows - 1) * row.stride + row.kernel - g * group);
            SmallVector<Value> taps;
            for (int64_t i = 0; i < group; ++i)
              taps.push_back(i < taken
                                 ? loadInput(e.add(from, (g * group + i) * row.dilation * row.in + at * column.in))
                                 : taps.back()); // weights there are zero
            words = interleave(taps);
          }
          for (int64_t r = 0; r < rows; ++r)
            for (int64_t q = 0; q < group; ++q) {
              Value w = loadWeights(e.add(weights, wordsOf(tap / column.dilation, g) + q * block), r * row.stride);
              Value &sum = sums[(r * columns + p) * group + q];
              sum = dots.multiplyAdd(dots.parts(words[q], true), dots.parts(w, false), sum);
            }
        }
      }
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t p = 0; p < columns; ++p) {
        SmallVector<Value> ordered = inOrder(ArrayRef(sums).slice((r * columns + p) * group, group));
        std::optional<ByteStores> narrow; // the pixel's registers together
        if (saturation && ByteStores::takes(machine, lanes))
          narrow.emplace(e, machine, output, *saturation);
        for (int64_t q = 0; q < group && q * lanes < valid; ++q)
          store(n, e.add(y, r), e.add(x, p), e.add(channel, q * lanes), ordered[q], std::min(lanes, valid - q * lanes),
                narrow ? &*narrow : nullptr);
        if (narrow)
          narrow->flush();
      }
  }

  void store(Value n, Value y, Value x, Value channel, Value sum, int64_t count, ByteStores *narrow) {
    auto place = [&](ArrayRef<Size> steps) {
      Value at = e.add(e.mul(n, steps[0]), e.mul(y, steps[1]));
      return planar ? e.add(at, e.mul(x, steps[2])) : at;
    };
    Value result = epilogue.apply(
        e, sum,
        [&](unsigned i) -> Value {
          const Epilogue::Extra &extra = epilogue.extras()[i];
          Value at = e.add(place(extra.coefficients), extra.constant);
          if (!extra.coefficients.back().is(1))
            return e.broadcast(extra.flat.load(e, at), lanes);
          return loadPart(e, machine, extra.flat, e.add(at, channel), count, lanes);
        },
        narrow ? saturation->input : Value());
    Value to = e.add(place(output.strides), channel);
    if (narrow)
      narrow->add(result, to, count, /*follows=*/true);
    else
      storePart(e, machine, output, result, to, count);
  }

  void emit() {
    interleaveFilter();
    // A second row shares the interleaved columns where both fit the word.
    bool together = row.dilation == 1 && row.stride + row.kernel <= group && row.out > 1;
    int64_t rows = together ? 2 : 1, registers = machine.vectorRegisters >= 32 ? 16 : 8;
    int64_t columns = std::min(column.out, std::max<int64_t>(1, registers / (rows * group)));
    if (column.kernel * columns * rows * groups > 48)
      columns = 1;
    auto tiled = [&](int64_t extent, int64_t step, llvm::function_ref<void(Value)> body) {
      e.loop(0, extent, step, [&](Value i) { body(extent % step ? e.min(i, e.index(extent - step)) : i); });
    };
    e.loop(0, output.sizes[0], 1, [&](Value n) {
      tiled(row.out, rows, [&](Value y) {
        tiled(column.out, columns, [&](Value x) {
          e.loop(0, blocks, 1, [&](Value b) { tile(n, y, x, rows, columns, b, firstChannel(b)); });
        });
      });
    });
  }
};

} // namespace

LogicalResult cpu::emitDepthwiseDots(Emitter &e, const Machine &machine, nn::DepthwiseConvOp op, std::string &reason) {
  FailureOr<Flat> input = flatten(e, op.getInput()), filter = flatten(e, op.getFilter()),
                  output = flatten(e, op.getInit());
  if (failed(input) || failed(filter) || failed(output))
    return reason = "a buffer is empty or runs backwards", failure();
  FailureOr<Epilogue> epilogue = Epilogue::get(e, op);
  if (failed(epilogue))
    return reason = "an epilogue operand is not linear in the result's indices", failure();
  auto isStatic = [](const Size &size) { return size.isStatic(); };
  for (const Flat *flat : {&*input, &*output})
    if (!llvm::all_of(ArrayRef(flat->sizes).drop_front(), isStatic) || !llvm::all_of(flat->strides, isStatic) ||
        !flat->strides.back().is(1))
      return reason = "sizes are known at run time only, or channels are apart", failure();
  if (llvm::any_of(op.getPads(), [](int64_t pad) { return pad != 0; }))
    return reason = "padding is not part of the input", failure();
  int64_t spatial = op.getStrides().size(), channels = output->sizes.back().value();
  // Signed, without a zero point.
  bool isSigned = op.getFilterZeroPoint() == (op.getFilterUnsigned() ? 128u : 0u);
  if (spatial > 2 || !isSigned || !llvm::all_of(filter->strides, isStatic) || !filter->strides.back().is(1))
    return reason = "not one or two spatial dims and a filter of signed bytes", failure();
  auto side = [&](int64_t s) -> Side {
    if (s >= spatial)
      return {1, 1, 1, 1, 0, 0};
    return {output->sizes[s + 1].value(), filter->sizes[s].value(),      op.getStrides()[s],
            op.getDilations()[s],         input->strides[s + 1].value(), filter->strides[s].value()};
  };
  DepthwiseDots kernel{e,
                       machine,
                       op,
                       *input,
                       *filter,
                       *output,
                       std::move(*epilogue),
                       side(0),
                       side(1),
                       spatial > 1,
                       channels,
                       depthwiseDotBlock(machine, channels)};
  if (kernel.blocks * kernel.blockBytes > std::min<int64_t>(1 << 17, machine.stackBytes()))
    return reason = "the filter is large", failure();
  kernel.emit();
  return success();
}

bool cpu::hasDepthwiseDots(const Machine &machine, nn::DepthwiseConvOp op) {
  auto isByte = [](Value v) { return cast<MemRefType>(v.getType()).getElementType().isInteger(8); };
  return machine.byteProducts != ByteProducts::None && isByte(op.getInput()) && isByte(op.getFilter());
}
