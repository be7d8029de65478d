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
    reason = "a buffer is not static";
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

static bool contiguous(const Flat &flat, Value memref) {
  return flat.strides.back() == 1 || cast<MemRefType>(memref.getType()).getShape().back() == 1;
}

LogicalResult cpu::emitConv(Emitter &e, const Machine &machine, nn::ConvOp op, std::string &reason) {
  Contraction c;
  std::optional<Epilogue> epilogue;
  if (!prepare(e, op, op.getInput(), op.getFilter(), c, epilogue, reason))
    return failure();
  if (!contiguous(c.out, op.getInit()) || !contiguous(c.rhs, op.getFilter())) {
    reason = "channels are not contiguous";
    return failure();
  }
  auto in = cast<MemRefType>(op.getInput().getType()), filter = cast<MemRefType>(op.getFilter().getType()),
       out = cast<MemRefType>(op.getInit().getType());
  unsigned spatial = op.getStrides().size(), first = op.getPacked() ? 1 : 0;
  int64_t groups = op.getGroups(), channels = out.getShape().back() / groups;
  c.channels = channels;
  c.lhsUnsigned = op.getInputUnsigned();
  c.rhsUnsigned = op.getFilterUnsigned();
  c.lhsZeroPoint = op.getInputZeroPoint();
  c.rhsZeroPoint = op.getFilterZeroPoint();
  if (op.getPacked()) {
    c.block = *op.getPacked();
    c.blockStride = c.rhs.strides[0];
  }
  c.addParallel(out.getDimSize(0), c.lhs.strides[0], 0, c.out.strides[0], 0);
  if (groups > 1)
    c.addParallel(groups, c.lhs.strides.back() * (in.getShape().back() / groups), channels, channels, spatial + 1,
                  channels);
  for (unsigned s = 0; s < spatial; ++s) {
    int64_t step = c.lhs.strides[s + 1], pad = op.getPads()[s];
    c.addParallel(out.getDimSize(s + 1), step * op.getStrides()[s], 0, c.out.strides[s + 1], s + 1, 1, s);
    Contraction::Reduction r;
    r.extent = filter.getDimSize(first + s);
    r.lhs = step * op.getDilations()[s];
    r.rhs = c.rhs.strides[first + s];
    r.window = s;
    r.base = -pad;
    r.pixelStep = op.getStrides()[s];
    r.tapStep = op.getDilations()[s];
    r.size = in.getDimSize(s + 1);
    c.reductions.push_back(r);
    c.lhsBase -= pad * step;
  }
  Contraction::Reduction r;
  r.extent = filter.getDimSize(first + spatial);
  r.lhs = c.lhs.strides.back();
  r.rhs = c.rhs.strides[first + spatial];
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
  if (!contiguous(base.out, op.getInit()) || !contiguous(base.rhs, op.getFilter())) {
    reason = "channels are not contiguous";
    return failure();
  }
  auto in = cast<MemRefType>(op.getInput().getType()), filter = cast<MemRefType>(op.getFilter().getType()),
       out = cast<MemRefType>(op.getInit().getType());
  unsigned spatial = op.getStrides().size();
  int64_t groups = op.getGroups(), icg = in.getShape().back() / groups;
  base.channels = filter.getShape().back();
  SmallVector<SmallVector<Phase>> phases;
  int64_t bodies = 1;
  for (unsigned s = 0; s < spatial; ++s) {
    phases.push_back(phasesOf(op.getStrides()[s], op.getDilations()[s], op.getPads()[s], filter.getDimSize(s),
                              out.getDimSize(s + 1)));
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
    c.addParallel(out.getDimSize(0), c.lhs.strides[0], 0, c.out.strides[0], 0);
    if (groups > 1)
      c.addParallel(groups, c.lhs.strides.back() * icg, c.rhs.strides[spatial] * icg, c.channels, spatial + 1,
                    c.channels);
    for (unsigned d = 0; d < spatial; ++d)
      if (chosen[d].repeat > 1)
        c.addParallel(chosen[d].repeat, 0, c.rhs.strides[d] * chosen[d].repeatRhs,
                      c.out.strides[d + 1] * chosen[d].repeatOut, d + 1, chosen[d].repeatOut);
    for (unsigned d = 0; d < spatial; ++d) {
      const Phase &p = chosen[d];
      int64_t step = c.lhs.strides[d + 1];
      c.addParallel(p.count, step, 0, c.out.strides[d + 1] * p.outStep, d + 1, p.outStep, d);
      Contraction::Reduction r;
      r.extent = p.taps;
      r.lhs = step * p.tapStep;
      r.rhs = c.rhs.strides[d] * p.rhsStep;
      r.window = d;
      r.base = p.base;
      r.tapStep = p.tapStep;
      r.size = in.getDimSize(d + 1);
      c.reductions.push_back(r);
      c.lhsBase += step * p.base;
      c.rhsBase += c.rhs.strides[d] * p.rhsBase;
      c.outBase += c.out.strides[d + 1] * p.outBase;
      for (auto [x, extra] : llvm::enumerate(c.epilogue->extras()))
        c.extraBases[x] += extra.coefficients[d + 1] * p.outBase;
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
  int64_t m = shape(op.getInit())[rank - 2], n = shape(op.getInit())[rank - 1], k = shape(op.getLhs())[rank - 1];
  int64_t rhsAlongK = 0, rhsAlongN = 0; // steps in elements; unpacked only
  unsigned bits = c.acc.getIntOrFloatBitWidth();

  static ArrayRef<int64_t> shape(Value v) { return cast<MemRefType>(v.getType()).getShape(); }

  int64_t rhsBatch(int64_t d) {
    if (op.getPacked() || (int64_t)shape(op.getRhs()).size() != rank || shape(op.getRhs())[d] == 1)
      return 0;
    return c.rhs.strides[d];
  }
  int64_t lhsBatch(int64_t d) { return shape(op.getLhs())[d] == 1 ? 0 : c.lhs.strides[d]; }

  void batchLoops(llvm::function_ref<void(ArrayRef<Value>)> body) {
    SmallVector<Value> at(rank - 2);
    std::function<void(int64_t)> nest = [&](int64_t d) {
      if (d == rank - 2)
        return body(at);
      e.loop(0, shape(op.getInit())[d], 1, [&](Value i) {
        at[d] = i;
        nest(d + 1);
      });
    };
    nest(0);
  }
  Value offset(ArrayRef<Value> at, llvm::function_ref<int64_t(int64_t)> step) {
    Value sum = e.index(0);
    for (auto [d, i] : llvm::enumerate(at))
      sum = e.add(sum, e.mul(i, step(d)));
    return sum;
  }

  void direct(Contraction &target, bool batches, int64_t rowStep) {
    for (int64_t d = 0; batches && d < rank - 2; ++d)
      target.addParallel(shape(op.getInit())[d], lhsBatch(d), rhsBatch(d), target.out.strides[d], d);
    target.addParallel(m, target.lhs.strides[rank - 2], 0, target.out.strides[rank - 2], rank - 2);
    Contraction::Reduction r;
    r.extent = k;
    r.lhs = target.lhs.strides[rank - 1];
    r.rhs = rowStep;
    target.reductions.push_back(r);
  }

  /// rhs columns are far apart: copies some into a panel with them side by side, then multiplies by that.
  LogicalResult panels(int64_t width, std::string &reason) {
    auto panelType = MemRefType::get({k * width}, c.rhs.element);
    Value panel = memref::AllocaOp::create(e.b, e.loc, panelType, e.b.getI64IntegerAttr(64));
    LogicalResult result = success();
    batchLoops([&](ArrayRef<Value> at) {
      e.loop(0, llvm::divideCeil(n, width), 1, [&](Value block) {
        Value column = e.mul(block, width);
        if (n % width)
          column = e.min(column, e.index(n - width));
        Value from = e.add(offset(at, [&](int64_t d) { return rhsBatch(d); }), e.mul(column, rhsAlongN));
        pack(panel, from, width);
        Contraction sub = c;
        sub.rhs.buffer = panel;
        sub.rhs.strides = {width, 1};
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
            Value value = c.rhs.load(e, e.add(e.add(source, e.mul(i, rhsAlongK)), u * rhsAlongK));
            memref::StoreOp::create(e.b, e.loc, value, panel, e.add(e.add(e.mul(i, width), j), u * width));
          }
        });
      };
      some(0, k / 8 * 8, 8);
      some(k / 8 * 8, k, 1);
    });
  }

  /// Both operands contiguous along k: vectors along k, summed across at the end.
  void dots() {
    int64_t lanes = machine.lanes(bits), columns = 1, rows = std::min<int64_t>(m, 4);
    int64_t wanted = std::max<int64_t>(
        1, std::min<int64_t>(rows == 1 ? 8 : 4, ((int64_t)machine.vectorRegisters - rows - 1) / rows));
    while (columns * 2 <= std::min(n, wanted))
      columns *= 2;
    auto tiled = [&](int64_t extent, int64_t step, llvm::function_ref<void(Value)> body) {
      e.loop(0, extent, step, [&](Value i) { body(extent % step ? e.min(i, e.index(extent - step)) : i); });
    };
    batchLoops([&](ArrayRef<Value> at) {
      Value lhs0 = offset(at, [&](int64_t d) { return lhsBatch(d); }),
            rhs0 = offset(at, [&](int64_t d) { return rhsBatch(d); });
      Value out0 = offset(at, [&](int64_t d) { return c.out.strides[d]; });
      tiled(n, columns, [&](Value j) {
        tiled(m, rows, [&](Value i) {
          Value lhs = e.add(lhs0, e.mul(i, c.lhs.strides[rank - 2])), rhs = e.add(rhs0, e.mul(j, rhsAlongN));
          SmallVector<Value> sums(rows * columns);
          // Whole vectors first, then the rest in narrower ones.
          int64_t done = 0;
          for (int64_t width = lanes; width >= 1; width /= 2) {
            int64_t count = (k - done) / width;
            if (count == 0)
              continue;
            SmallVector<Value> zeros(rows * columns, e.constant(VectorType::get({width}, c.acc), 0));
            SmallVector<Value> partial =
                e.loop(e.index(done), e.index(done + count * width), width, zeros, [&](Value kk, ValueRange carried) {
                  SmallVector<Value> next(carried.begin(), carried.end()), a;
                  auto load = [&](const Flat &flat, Value at, bool isUnsigned, int64_t zeroPoint) {
                    Value value = e.convert(flat.load(e, at, width), c.acc, isUnsigned);
                    return zeroPoint ? arith::SubIOp::create(e.b, e.loc, value, e.constant(value.getType(), zeroPoint))
                                           .getResult()
                                     : value;
                  };
                  for (int64_t r = 0; r < rows; ++r)
                    a.push_back(
                        load(c.lhs, e.add(e.add(lhs, kk), r * c.lhs.strides[rank - 2]), c.lhsUnsigned, c.lhsZeroPoint));
                  for (int64_t q = 0; q < columns; ++q) {
                    Value b = load(c.rhs, e.add(e.add(rhs, kk), q * rhsAlongN), c.rhsUnsigned, c.rhsZeroPoint);
                    for (int64_t r = 0; r < rows; ++r)
                      next[r * columns + q] = e.multiplyAdd(machine, a[r], b, next[r * columns + q]);
                  }
                  return next;
                });
            for (auto [sum, part] : llvm::zip(sums, partial)) {
              Value across = e.sumLanes(part);
              sum = sum ? e.addElements(sum, across) : across;
            }
            done += count * width;
          }
          for (int64_t r = 0; r < rows; ++r) {
            Value row = e.constant(VectorType::get({columns}, c.acc), 0);
            for (int64_t q = 0; q < columns; ++q)
              row = vector::InsertOp::create(e.b, e.loc, sums[r * columns + q], row, q);
            Value result = c.epilogue->apply(e, row, [&](unsigned x) {
              const Epilogue::Extra &extra = c.epilogue->extras()[x];
              Value from = e.add(offset(at, [&](int64_t d) { return extra.coefficients[d]; }),
                                 extra.constant + r * extra.coefficients[rank - 2]);
              from = e.add(from, e.add(e.mul(i, extra.coefficients[rank - 2]), e.mul(j, extra.coefficients.back())));
              return extra.coefficients.back() ? extra.flat.load(e, from, columns)
                                               : e.broadcast(extra.flat.load(e, from), columns);
            });
            c.out.store(e, result,
                        e.add(e.add(out0, e.add(e.mul(i, c.out.strides[rank - 2]), j)), r * c.out.strides[rank - 2]));
          }
        });
      });
    });
  }

  LogicalResult run(std::string &reason) {
    if (op.getPacked()) {
      c.channels = n;
      c.block = *op.getPacked();
      c.blockStride = c.rhs.strides[0];
      direct(c, true, c.rhs.strides[1]);
      return emitContraction(e, machine, std::move(c), reason);
    }
    rhsAlongN = c.rhs.strides[c.rhs.strides.size() - (op.getTransposeRhs() ? 2 : 1)];
    rhsAlongK = c.rhs.strides[c.rhs.strides.size() - (op.getTransposeRhs() ? 1 : 2)];
    if (rhsAlongN == 1 || n == 1) {
      // A single column is better read along k, if it lies so.
      if (n > 1 || rhsAlongK != 1 || c.lhs.strides[rank - 1] != 1 || k < 8) {
        c.channels = n;
        direct(c, true, rhsAlongK);
        return emitContraction(e, machine, std::move(c), reason);
      }
    }
    int64_t width = packingBlock(machine, k, n, bits), limit = 64 * 1024 / std::max<int64_t>(1, k * (bits / 8));
    bool dotsPossible = rhsAlongK == 1 && c.lhs.strides[rank - 1] == 1;
    if (m >= 4 && width > limit && limit >= (int64_t)machine.lanes(bits))
      width = machine.lanes(bits);
    if ((m < 4 || width > limit || n < 4) && dotsPossible) {
      dots();
      return success();
    }
    if (width > limit) {
      reason = llvm::formatv("a panel of {0} x {1} elements is too large for the stack", k, width).str();
      return failure();
    }
    return panels(width, reason);
  }
};
} // namespace

LogicalResult cpu::emitMatmul(Emitter &e, const Machine &machine, nn::MatmulOp op, std::string &reason) {
  Contraction c;
  std::optional<Epilogue> epilogue;
  if (!prepare(e, op, op.getLhs(), op.getRhs(), c, epilogue, reason))
    return failure();
  if (!contiguous(c.out, op.getInit())) {
    reason = "the result's columns are not contiguous";
    return failure();
  }
  c.lhsUnsigned = op.getLhsUnsigned();
  c.rhsUnsigned = op.getRhsUnsigned();
  c.lhsZeroPoint = op.getLhsZeroPoint();
  c.rhsZeroPoint = op.getRhsZeroPoint();
  if (cast<MemRefType>(op.getLhs().getType()).getShape().back() == 0) {
    reason = "an empty sum";
    return failure();
  }
  return Matmul{e, machine, op, c}.run(reason);
}
