// Convolutions and matrix products as contractions: extents and strides only. The schedule is in KernelContraction.cpp.
#include "lib/Support/Packing.h"
#include "passes/Cpu/KernelContraction.h"
#include "passes/Cpu/Kernels.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

// The parts every op shares; false with a reason when buffers or epilogue are out of reach.
static bool prepare(Emitter &e, nn::ComputeOp op, Value lhs, Value rhs, Contraction &c,
                    std::optional<Epilogue> &epilogue, std::string &reason) {
  c.acc = op.getAccumulatorType();
  FailureOr<Flat> l = flatten(e, lhs), r = flatten(e, rhs), o = flatten(e, op.getInitOperand().get());
  if (failed(l) || failed(r) || failed(o)) {
    reason = "a buffer is empty or runs backwards";
    return false;
  }
  c.lhs = *l;
  c.rhs = *r;
  c.out = *o;
  FailureOr<Epilogue> ep = Epilogue::get(e, op);
  if (failed(ep)) {
    reason = "an epilogue operand is not linear in the result's indices";
    return false;
  }
  epilogue = std::move(*ep);
  c.setEpilogue(*epilogue);
  return true;
}

static bool contiguous(const Flat &flat) { return flat.strides.back().is(1) || flat.sizes.back().is(1); }

// What a DotLayout makes of the innermost reduction: words of the run, whole ones and the last.
static Contraction::Reduction wordsOf(Contraction &c, const nn::DotLayout &layout) {
  Contraction::Reduction r;
  int64_t step = nn::DotLayout::group * layout.block;
  c.dots = true;
  c.block = layout.block;
  c.blockStride = layout.blockBytes();
  c.rhsBase += step; // behind the sums' first values
  r.extent = std::max<int64_t>(1, layout.run / nn::DotLayout::group);
  r.lhs = nn::DotLayout::group;
  r.rhs = step;
  c.dotBytes = std::min(layout.run, nn::DotLayout::group);
  if (layout.words() == 2) {
    // Both in one loop: where pixels are apart by what the second word starts earlier, it is the neighbour's first, and
    // in straight code the compiler would keep every pixel's in a register.
    r.extent = 2;
    r.lhs = layout.start(1);
  } else if (layout.run % nn::DotLayout::group && layout.run > nn::DotLayout::group) {
    c.dotTail = {layout.start(layout.words() - 1), (layout.words() - 1) * step};
  }
  return r;
}

// A convolution whose filter is packed for dot products. Its input is padded already.
static LogicalResult emitDotConv(Emitter &e, const Machine &machine, nn::ConvOp op, Contraction c,
                                 std::string &reason) {
  ArrayRef<int64_t> kernel = *op.getKernel();
  nn::DotLayout layout = nn::dotLayout(op, kernel, *op.getPacked());
  bool merged = nn::dotRunHasColumns(op, kernel);
  unsigned spatial = kernel.size();
  int64_t groups = op.getGroups(), inGroup = c.lhs.sizes.back().value() / groups,
          outGroup = c.out.sizes.back().value() / groups;
  if (!c.lhs.strides.back().is(1) || (merged && !c.lhs.strides[spatial].is(inGroup))) {
    reason = "a row of products does not lie side by side in the input";
    return failure();
  }
  if (llvm::any_of(op.getPads(), [](int64_t pad) { return pad != 0; })) {
    reason = "padding is not part of the input";
    return failure();
  }
  c.channels = outGroup;
  c.lhsUnsigned = op.getInputUnsigned();
  Contraction::Reduction words = wordsOf(c, layout);
  c.addParallel(c.out.sizes[0], c.lhs.strides[0], 0, c.out.strides[0], 0);
  if (groups > 1)
    c.addParallel(groups, inGroup, llvm::divideCeil(outGroup, layout.block) * layout.blockBytes(), outGroup,
                  spatial + 1, outGroup);
  int64_t rowStep = layout.words() * nn::DotLayout::group * layout.block;
  for (unsigned s = 0; s < spatial; ++s) {
    c.addParallel(c.out.sizes[s + 1], c.lhs.strides[s + 1] * Size(op.getStrides()[s]), 0, c.out.strides[s + 1], s + 1,
                  1, s);
    if (merged && s + 1 == spatial)
      continue;
    Contraction::Reduction r;
    r.extent = kernel[s];
    r.lhs = c.lhs.strides[s + 1] * Size(op.getDilations()[s]);
    int64_t rows = 1;
    for (unsigned inner = s + 1; inner < spatial - merged; ++inner)
      rows *= kernel[inner];
    r.rhs = rows * rowStep;
    c.reductions.push_back(r);
  }
  c.reductions.push_back(words);
  return emitContraction(e, machine, std::move(c), reason);
}

LogicalResult cpu::emitConv(Emitter &e, const Machine &machine, nn::ConvOp op, std::string &reason) {
  Contraction c;
  std::optional<Epilogue> epilogue;
  if (!prepare(e, op, op.getInput(), op.getFilter(), c, epilogue, reason))
    return failure();
  if (!contiguous(c.out) || !contiguous(c.rhs)) {
    reason = "channels are not contiguous";
    return failure();
  }
  ArrayRef<Size> in = c.lhs.sizes, filter = c.rhs.sizes, out = c.out.sizes;
  unsigned spatial = op.getStrides().size(), first = op.getPacked() ? 1 : 0;
  auto isStatic = [](const Size &size) { return size.isStatic(); };
  if (!llvm::all_of(filter, isStatic) || !llvm::all_of(c.rhs.strides, isStatic) || !out.back().isStatic() ||
      !in.back().isStatic() || !c.lhs.strides.back().isStatic()) {
    reason = "channels or kernel are known at run time only";
    return failure();
  }
  int64_t groups = op.getGroups(), channels = out.back().value() / groups;
  c.channels = channels;
  // Extents of the kernel, then the inputs of a tap, and how rhs steps over each.
  SmallVector<int64_t> extents, steps;
  if (nn::isPackedSparse(op)) {
    c.setSparse(nn::sparseLayout(op));
    llvm::append_range(extents, *op.getKernel());
    extents.push_back(in.back().value());
    steps.assign(spatial, 1);
    for (unsigned s = spatial; s-- > 1;)
      steps[s - 1] = steps[s] * extents[s];
    steps.push_back(c.sparse->weightBytes());
  } else if (!nn::isPackedForDots(op)) {
    for (unsigned s = 0; s <= spatial; ++s) {
      extents.push_back(filter[first + s].value());
      steps.push_back(c.rhs.strides[first + s].value());
    }
  }
  if (nn::isPackedForDots(op))
    return emitDotConv(e, machine, op, std::move(c), reason);
  c.lhsUnsigned = op.getInputUnsigned();
  c.rhsUnsigned = op.getFilterUnsigned();
  c.lhsZeroPoint = op.getInputZeroPoint();
  c.rhsZeroPoint = op.getFilterZeroPoint();
  if (op.getPacked() && !c.sparse) {
    c.block = *op.getPacked();
    c.blockStride = c.rhs.strides[0].value();
  }
  c.addParallel(out[0], c.lhs.strides[0], 0, c.out.strides[0], 0);
  if (groups > 1)
    c.addParallel(groups, c.lhs.strides.back() * Size(in.back().value() / groups), channels, channels, spatial + 1,
                  channels);
  for (unsigned s = 0; s < spatial; ++s) {
    Size step = c.lhs.strides[s + 1];
    int64_t pad = op.getPads()[s];
    c.addParallel(out[s + 1], step * Size(op.getStrides()[s]), 0, c.out.strides[s + 1], s + 1, 1, s);
    Contraction::Reduction r;
    r.extent = extents[s];
    r.lhs = step * Size(op.getDilations()[s]);
    r.rhs = steps[s];
    // Without padding no tap leaves the input, whatever its size.
    bool unknown = !in[s + 1].isStatic() || !out[s + 1].isStatic();
    r.window = unknown && pad == 0 && op.getPads()[spatial + s] == 0 ? -1 : s;
    r.base = -pad;
    r.pixelStep = op.getStrides()[s];
    r.tapStep = op.getDilations()[s];
    r.size = in[s + 1];
    c.reductions.push_back(r);
    if (step.isStatic())
      c.lhsBase -= pad * step.value();
    else if (pad)
      c.lhsOffset = e.add(c.lhsOffset ? c.lhsOffset : e.index(0), e.index(step * Size(-pad)));
  }
  Contraction::Reduction r;
  r.extent = extents[spatial];
  r.lhs = c.lhs.strides.back();
  r.rhs = steps[spatial];
  c.reductions.push_back(r);
  return emitContraction(e, machine, std::move(c), reason);
}

// --- transposed convolution ---

namespace {
/// Results of one spatial dim that see the same taps: outBase + outStep * x for x < count, from input x - taps back.
struct Phase {
  int64_t repeat = 1, repeatRhs = 0, repeatOut = 0; // equal phases, as a loop
  int64_t outBase = 0, outStep = 1, count = 0;
  int64_t base = 0, taps = 0, tapStep = 1; // input position = base + x + t * tapStep, t ascending
  int64_t rhsBase = 0, rhsStep = 0;        // in filter taps
};
} // namespace

static int64_t floorDiv(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// o + pad = stride * q + f; tap k reaches o when k * dilation = f (mod stride), from input q + (f - k * dilation) /
// stride.
static SmallVector<Phase> phasesOf(int64_t stride, int64_t dilation, int64_t pad, int64_t kernel, int64_t out) {
  SmallVector<Phase> phases;
  int64_t step = stride;
  for (int64_t a = dilation, b = stride; b;) // step = stride / gcd
    if (int64_t r = a % b; a = b, b = r, !b)
      step = stride / a;
  for (int64_t f = 0; f < stride; ++f) {
    Phase p;
    int64_t k0 = -1;
    for (int64_t k = 0; k < std::min(step, kernel) && k0 < 0; ++k)
      if ((k * dilation - f) % stride == 0)
        k0 = k;
    p.taps = k0 < 0 ? 0 : (kernel - k0 + step - 1) / step;
    int64_t first = -floorDiv(-(pad - f), stride); // smallest q with o >= 0
    int64_t last = floorDiv(out - 1 + pad - f, stride);
    p.count = last - first + 1;
    if (p.count <= 0)
      continue;
    p.outStep = stride;
    p.outBase = stride * first + f - pad;
    if (p.taps) {
      p.tapStep = step * dilation / stride;
      // The last tap reaches furthest back: ascending input positions are descending taps.
      int64_t kLast = k0 + step * (p.taps - 1);
      p.base = first + (f - kLast * dilation) / stride;
      p.rhsBase = kLast;
      p.rhsStep = -step;
    }
    phases.push_back(p);
  }
  // kernel a multiple of the stride, nothing cropped: every phase has the same taps one filter step apart.
  bool regular = pad == 0 && dilation == 1 && kernel % stride == 0 && out % stride == 0 && stride > 1 &&
                 (int64_t)phases.size() == stride;
  if (regular) {
    phases.resize(1);
    phases[0].repeat = stride;
    phases[0].repeatRhs = 1;
    phases[0].repeatOut = 1;
  }
  return phases;
}

LogicalResult cpu::emitConvTranspose(Emitter &e, const Machine &machine, nn::ConvTransposeOp op, std::string &reason) {
  Contraction base;
  std::optional<Epilogue> epilogue;
  if (!prepare(e, op, op.getInput(), op.getFilter(), base, epilogue, reason))
    return failure();
  if (!contiguous(base.out) || !contiguous(base.rhs)) {
    reason = "channels are not contiguous";
    return failure();
  }
  ArrayRef<Size> in = base.lhs.sizes, filter = base.rhs.sizes, out = base.out.sizes;
  unsigned spatial = op.getStrides().size();
  auto isStatic = [](const Size &size) { return size.isStatic(); };
  auto beyondBatch = [&](ArrayRef<Size> sizes) { return llvm::all_of(sizes.drop_front(), isStatic); };
  if (!beyondBatch(in) || !beyondBatch(out) || !beyondBatch(base.lhs.strides) || !beyondBatch(base.out.strides) ||
      !llvm::all_of(filter, isStatic) || !llvm::all_of(base.rhs.strides, isStatic)) {
    reason = "sizes other than the batch are known at run time only";
    return failure();
  }
  for (const Epilogue::Extra &extra : epilogue->extras())
    if (!beyondBatch(extra.coefficients)) {
      reason = "sizes other than the batch are known at run time only";
      return failure();
    }
  int64_t groups = op.getGroups(), icg = in.back().value() / groups;
  base.channels = filter.back();
  SmallVector<SmallVector<Phase>> phases;
  int64_t bodies = 1;
  for (unsigned s = 0; s < spatial; ++s) {
    phases.push_back(
        phasesOf(op.getStrides()[s], op.getDilations()[s], op.getPads()[s], filter[s].value(), out[s + 1].value()));
    bodies *= phases.back().size();
  }
  if (bodies > 64) {
    reason = llvm::formatv("{0} different phases would be too much code", bodies).str();
    return failure();
  }
  SmallVector<Phase> chosen(spatial);
  std::function<LogicalResult(unsigned)> each = [&](unsigned s) -> LogicalResult {
    if (s < spatial) {
      for (const Phase &p : phases[s]) {
        chosen[s] = p;
        if (failed(each(s + 1)))
          return failure();
      }
      return success();
    }
    Contraction c = base;
    c.addParallel(out[0], c.lhs.strides[0], 0, c.out.strides[0], 0);
    if (groups > 1)
      c.addParallel(groups, c.lhs.strides.back() * Size(icg), c.rhs.strides[spatial] * Size(icg), c.channels,
                    spatial + 1, c.channels.value());
    for (unsigned d = 0; d < spatial; ++d)
      if (chosen[d].repeat > 1)
        c.addParallel(chosen[d].repeat, 0, c.rhs.strides[d] * Size(chosen[d].repeatRhs),
                      c.out.strides[d + 1] * Size(chosen[d].repeatOut), d + 1, chosen[d].repeatOut);
    for (unsigned d = 0; d < spatial; ++d) {
      const Phase &p = chosen[d];
      int64_t step = c.lhs.strides[d + 1].value();
      c.addParallel(p.count, step, 0, c.out.strides[d + 1] * Size(p.outStep), d + 1, p.outStep, d);
      Contraction::Reduction r;
      r.extent = p.taps;
      r.lhs = step * p.tapStep;
      r.rhs = c.rhs.strides[d] * Size(p.rhsStep);
      r.window = d;
      r.base = p.base;
      r.tapStep = p.tapStep;
      r.size = in[d + 1];
      c.reductions.push_back(r);
      c.lhsBase += step * p.base;
      c.rhsBase += c.rhs.strides[d].value() * p.rhsBase;
      c.outBase += c.out.strides[d + 1].value() * p.outBase;
      for (auto [x, extra] : llvm::enumerate(c.epilogue->extras()))
        c.extraBases[x] += extra.coefficients[d + 1].value() * p.outBase;
    }
    Contraction::Reduction r;
    r.extent = icg;
    r.lhs = c.lhs.strides.back();
    r.rhs = c.rhs.strides[spatial];
    c.reductions.push_back(r);
    return emitContraction(e, machine, std::move(c), reason);
  };
  return each(0);
}

// --- matrix product ---

namespace {
struct Matmul {
  Emitter &e;
  const Machine &machine;
  nn::MatmulOp op;
  Contraction &c;
  int64_t rank = cast<MemRefType>(op.getLhs().getType()).getRank();
  Size m = c.out.sizes[rank - 2], n = c.out.sizes[rank - 1], k = c.lhs.sizes[rank - 1];
  Size rhsAlongK = 0, rhsAlongN = 0; // steps in elements; unpacked only
  unsigned bits = c.acc.getIntOrFloatBitWidth();

  /// Elements an operand moves by along batch dim `d`: none where it has one element there.
  Size batchStep(const Flat &flat, int64_t d) {
    const Size &size = flat.sizes[d], &whole = c.out.sizes[d];
    if (size.is(1))
      return 0;
    if (size.isStatic() || size == whole)
      return flat.strides[d];
    Value one = arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::eq, e.index(size), e.index(1));
    return Size(arith::SelectOp::create(e.b, e.loc, one, e.index(0), e.index(flat.strides[d])).getResult());
  }
  SmallVector<Size> lhsSteps, rhsSteps;
  void findBatchSteps() {
    bool batched = !op.getPacked() && (int64_t)c.rhs.sizes.size() == rank;
    for (int64_t d = 0; d < rank - 2; ++d) {
      lhsSteps.push_back(batchStep(c.lhs, d));
      rhsSteps.push_back(batched ? batchStep(c.rhs, d) : Size(0));
    }
  }
  Size lhsBatch(int64_t d) { return lhsSteps[d]; }
  Size rhsBatch(int64_t d) { return rhsSteps[d]; }

  void batchLoops(llvm::function_ref<void(ArrayRef<Value>)> body) {
    SmallVector<Value> at(rank - 2);
    std::function<void(int64_t)> nest = [&](int64_t d) {
      if (d == rank - 2)
        return body(at);
      e.parallel(0, c.out.sizes[d], 1, [&](Value i) {
        at[d] = i;
        nest(d + 1);
      });
    };
    nest(0);
  }
  Value offset(ArrayRef<Value> at, llvm::function_ref<Size(int64_t)> step) {
    Value sum = e.index(0);
    for (auto [d, i] : llvm::enumerate(at))
      sum = e.add(sum, e.mul(i, step(d)));
    return sum;
  }

  /// rhs packed for dot products.
  LogicalResult packedDots(std::string &reason) {
    if (!c.lhs.strides[rank - 1].is(1)) {
      reason = "a row of products does not lie side by side in lhs";
      return failure();
    }
    c.channels = n;
    direct(c, true, 0);
    c.reductions = {wordsOf(c, nn::dotLayout(op, *op.getPacked()))};
    return emitContraction(e, machine, std::move(c), reason);
  }

  void direct(Contraction &target, bool batches, const Size &rowStep) {
    for (int64_t d = 0; batches && d < rank - 2; ++d)
      target.addParallel(c.out.sizes[d], lhsBatch(d), rhsBatch(d), target.out.strides[d], d);
    target.addParallel(m, target.lhs.strides[rank - 2], 0, target.out.strides[rank - 2], rank - 2);
    Contraction::Reduction r;
    r.extent = k;
    r.lhs = target.lhs.strides[rank - 1];
    r.rhs = rowStep;
    target.reductions.push_back(r);
  }

  /// rhs columns are far apart: copies some into a panel with them side by side, then multiplies by that. `unknown`:
  /// widths of panels for a number of columns known at run time only.
  LogicalResult panels(int64_t width, ArrayRef<int64_t> unknown, std::string &reason) {
    auto panelType = MemRefType::get({k.value() * width}, c.rhs.element);
    Value panel = memref::AllocaOp::create(e.b, e.loc, panelType, e.b.getI64IntegerAttr(64));
    LogicalResult result = success();
    auto blocks = [&](llvm::function_ref<void(Value, int64_t)> body) {
      if (!n.isStatic())
        return e.tiles(e.index(n), unknown, body);
      int64_t extent = n.value();
      e.parallel(
          0, llvm::divideCeil(extent, width), 1,
          [&](Value block) {
            Value column = e.mul(block, width);
            body(extent % width ? e.min(column, e.index(extent - width)) : column, width);
          },
          /*overlaps=*/extent % width != 0);
    };
    batchLoops([&](ArrayRef<Value> at) {
      blocks([&](Value column, int64_t width) {
        Value from = e.add(offset(at, [&](int64_t d) { return rhsBatch(d); }), e.mul(column, rhsAlongN));
        pack(panel, from, width);
        Contraction sub = c;
        sub.rhs.buffer = panel;
        sub.rhs.strides = {Size(width), Size(1)};
        sub.channels = width;
        sub.lhsOffset = offset(at, [&](int64_t d) { return lhsBatch(d); });
        sub.outOffset = e.add(offset(at, [&](int64_t d) { return c.out.strides[d]; }), column);
        for (const Epilogue::Extra &extra : c.epilogue->extras())
          sub.extraOffsets.push_back(e.add(offset(at, [&](int64_t d) { return extra.coefficients[d]; }),
                                           e.mul(column, extra.coefficients.back())));
        direct(sub, /*batches=*/false, width);
        // One block and no wider than the registers hold, so nothing is chosen anew.
        sub.block = width;
        if (failed(emitContraction(e, machine, std::move(sub), reason)))
          result = failure();
      });
    });
    return result;
  }

  /// panel[k][width] = rhs columns `from`..., in squares through registers where k allows.
  void pack(Value panel, Value from, int64_t width) {
    Flat to{panel, {1}, c.rhs.element};
    e.loop(0, width, 1, [&](Value j) {
      Value source = e.add(from, e.mul(j, rhsAlongN));
      auto some = [&](int64_t lo, int64_t hi, int64_t step) {
        e.loop(lo, hi, step, [&](Value i) {
          for (int64_t u = 0; u < step; ++u) {
            Value value = c.rhs.load(e, e.advance(e.add(source, e.mul(i, rhsAlongK)), rhsAlongK, u));
            memref::StoreOp::create(e.b, e.loc, value, panel, e.add(e.add(e.mul(i, width), j), u * width));
          }
        });
      };
      some(0, k.value() / 8 * 8, 8);
      some(k.value() / 8 * 8, k.value(), 1);
    });
  }

  /// Both operands contiguous along k: vectors along k, summed across at the end.
  void dots() {
    int64_t lanes = machine.lanes(bits), widest = 1, rows = m.isStatic() ? std::min<int64_t>(m.value(), 4) : 1;
    int64_t wanted = std::max<int64_t>(
        1, std::min<int64_t>(rows == 1 ? 8 : 4, ((int64_t)machine.vectorRegisters - rows - 1) / rows));
    while (widest * 2 <= std::min(n.orElse(wanted), wanted))
      widest *= 2;
    auto tiled = [&](const Size &extent, int64_t step, llvm::function_ref<void(Value, int64_t)> body) {
      if (!extent.isStatic())
        return e.tiles(e.index(extent), step > 1 ? ArrayRef<int64_t>{step, 1} : ArrayRef<int64_t>{1}, body);
      e.parallel(0, extent, step,
                 [&](Value i) { body(extent.value() % step ? e.min(i, e.index(extent.value() - step)) : i, step); });
    };
    batchLoops([&](ArrayRef<Value> at) {
      Value lhs0 = offset(at, [&](int64_t d) { return lhsBatch(d); }),
            rhs0 = offset(at, [&](int64_t d) { return rhsBatch(d); });
      Value out0 = offset(at, [&](int64_t d) { return c.out.strides[d]; });
      tiled(n, widest, [&](Value j, int64_t columns) {
        tiled(m, rows, [&](Value i, int64_t) {
          Value lhs = e.add(lhs0, e.mul(i, c.lhs.strides[rank - 2])), rhs = e.add(rhs0, e.mul(j, rhsAlongN));
          SmallVector<Value> sums(rows * columns);
          // Whole vectors first, then the rest in narrower ones.
          Value done = e.index(0);
          for (int64_t width = lanes; width >= 1; width /= 2) {
            Value end = k.isStatic() ? e.index(k.value() / width * width) : e.wholeOf(e.index(k), width);
            if (k.isStatic() && constantIndex(done) == constantIndex(end))
              continue;
            SmallVector<Value> zeros(rows * columns, e.constant(VectorType::get({width}, c.acc), 0));
            SmallVector<Value> partial = e.loop(done, end, width, zeros, [&](Value kk, ValueRange carried) {
              SmallVector<Value> next(carried.begin(), carried.end()), a;
              auto load = [&](const Flat &flat, Value at, bool isUnsigned, int64_t zeroPoint) {
                Value value = e.convert(flat.load(e, at, width), c.acc, isUnsigned);
                return zeroPoint ? arith::SubIOp::create(e.b, e.loc, value, e.constant(value.getType(), zeroPoint))
                                       .getResult()
                                 : value;
              };
              for (int64_t r = 0; r < rows; ++r)
                a.push_back(
                    load(c.lhs, e.advance(e.add(lhs, kk), c.lhs.strides[rank - 2], r), c.lhsUnsigned, c.lhsZeroPoint));
              for (int64_t q = 0; q < columns; ++q) {
                Value b = load(c.rhs, e.advance(e.add(rhs, kk), rhsAlongN, q), c.rhsUnsigned, c.rhsZeroPoint);
                for (int64_t r = 0; r < rows; ++r)
                  next[r * columns + q] = e.multiplyAdd(machine, a[r], b, next[r * columns + q]);
              }
              return next;
            });
            for (auto [sum, part] : llvm::zip(sums, partial)) {
              Value across = e.sumLanes(part);
              sum = sum ? e.addElements(sum, across) : across;
            }
            done = end;
          }
          for (int64_t r = 0; r < rows; ++r) {
            Value row = e.constant(VectorType::get({columns}, c.acc), 0);
            for (int64_t q = 0; q < columns; ++q)
              row = vector::InsertOp::create(e.b, e.loc, sums[r * columns + q], row, q);
            Value result = c.epilogue->apply(e, row, [&](unsigned x) {
              const Epilogue::Extra &extra = c.epilogue->extras()[x];
              Value from = e.advance(offset(at, [&](int64_t d) { return extra.coefficients[d]; }),
                                     extra.coefficients[rank - 2], r, extra.constant);
              from = e.add(from, e.add(e.mul(i, extra.coefficients[rank - 2]), e.mul(j, extra.coefficients.back())));
              return extra.coefficients.back().is(1) ? extra.flat.load(e, from, columns)
                                                     : e.broadcast(extra.flat.load(e, from), columns);
            });
            c.out.store(
                e, result,
                e.advance(e.add(out0, e.add(e.mul(i, c.out.strides[rank - 2]), j)), c.out.strides[rank - 2], r));
          }
        });
      });
    });
  }

  LogicalResult run(std::string &reason) {
    findBatchSteps();
    if (op.getPacked()) {
      if (!n.isStatic() || !c.rhs.strides[0].isStatic()) {
        reason = "packed columns of a number known at run time only";
        return failure();
      }
      if (nn::isPackedForDots(op))
        return packedDots(reason);
      if (nn::isPackedSparse(op)) {
        c.setSparse(nn::sparseLayout(op));
        direct(c, true, c.sparse->weightBytes());
        return emitContraction(e, machine, std::move(c), reason);
      }
      c.channels = n;
      c.block = *op.getPacked();
      c.blockStride = c.rhs.strides[0].value();
      direct(c, true, c.rhs.strides[1]);
      return emitContraction(e, machine, std::move(c), reason);
    }
    rhsAlongN = c.rhs.strides[c.rhs.strides.size() - (op.getTransposeRhs() ? 2 : 1)];
    rhsAlongK = c.rhs.strides[c.rhs.strides.size() - (op.getTransposeRhs() ? 1 : 2)];
    bool dotsPossible = rhsAlongK.is(1) && c.lhs.strides[rank - 1].is(1);
    if (rhsAlongN.is(1) || n.is(1)) {
      // A single column is better read along k, if it lies so.
      if (!n.is(1) || !dotsPossible || k.orElse(8) < 8) {
        c.channels = n;
        direct(c, true, rhsAlongK);
        return emitContraction(e, machine, std::move(c), reason);
      }
    }
    if (!k.isStatic()) {
      if (!dotsPossible) {
        reason = "a sum of a length known at run time only over elements that are apart";
        return failure();
      }
      dots();
      return success();
    }
    int64_t lanes = machine.lanes(c.sumType(machine).getIntOrFloatBitWidth()),
            limit = std::min<int64_t>(64 * 1024, machine.stackBytes()) / std::max<int64_t>(1, k.value() * (bits / 8));
    int64_t width = packingBlock(machine, k.value(), n.orElse(4096), c.sumType(machine).getIntOrFloatBitWidth());
    if (m.orElse(4) >= 4 && width > limit && limit >= lanes)
      width = lanes;
    if ((m.orElse(4) < 4 || width > limit || n.orElse(4) < 4) && dotsPossible) {
      dots();
      return success();
    }
    if (width > limit) {
      reason = llvm::formatv("a panel of {0} x {1} elements is too large for the stack", k.value(), width).str();
      return failure();
    }
    if (m.isStatic() && n.isStatic())
      return panels(width, {}, reason);
    // A few rows, or too few columns for a vector, are not worth a panel.
    SmallVector<int64_t> widths{width};
    for (int64_t next : {lanes, int64_t(4), int64_t(1)})
      if (next < widths.back() && (next >= lanes || !dotsPossible))
        widths.push_back(next);
    if (!dotsPossible)
      return panels(width, widths, reason);
    auto least = [&](const Size &size, int64_t bound) -> Value {
      return arith::CmpIOp::create(e.b, e.loc, arith::CmpIPredicate::slt, e.index(size), e.index(bound));
    };
    Value few = arith::OrIOp::create(e.b, e.loc, least(m, 4), least(n, widths.back()));
    auto branch = scf::IfOp::create(e.b, e.loc, few, /*withElseRegion=*/true);
    OpBuilder::InsertionGuard guard(e.b);
    e.b.setInsertionPoint(branch.thenYield());
    dots();
    e.b.setInsertionPoint(branch.elseYield());
    return panels(width, widths, reason);
  }
};
} // namespace

LogicalResult cpu::emitMatmul(Emitter &e, const Machine &machine, nn::MatmulOp op, std::string &reason) {
  Contraction c;
  std::optional<Epilogue> epilogue;
  if (!prepare(e, op, op.getLhs(), op.getRhs(), c, epilogue, reason))
    return failure();
  if (!contiguous(c.out)) {
    reason = "the result's columns are not contiguous";
    return failure();
  }
  c.lhsUnsigned = op.getLhsUnsigned();
  c.rhsUnsigned = op.getRhsUnsigned();
  c.lhsZeroPoint = op.getLhsZeroPoint();
  c.rhsZeroPoint = op.getRhsZeroPoint();
  if (c.lhs.sizes.back().is(0)) {
    reason = "an empty sum";
    return failure();
  }
  return Matmul{e, machine, op, c}.run(reason);
}
