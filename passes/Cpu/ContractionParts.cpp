// What a Contraction is made and cut by; the kernel itself is KernelContraction.cpp.
#include "passes/Cpu/KernelContraction.h"

#include "lib/Support/Packing.h"
#include <functional>

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

Type Contraction::sumType(const Machine &machine) const {
  bool halves = machine.halfArithmetic && lhs.element.isF16() && rhs.element.isF16() && acc.isF32();
  return halves ? lhs.element : acc;
}

void Contraction::setSparse(const nn::SparseLayout &layout) {
  sparse = layout;
  channels = layout.columns;
  block = layout.block;
  blockStride = layout.taps;
}

bool Contraction::windowed(const Parallel &p) const {
  return p.id >= 0 && llvm::any_of(reductions, [&](const Reduction &r) { return r.window == p.id; });
}

const Contraction::Parallel *Contraction::parallelOf(const Reduction &r) const {
  return llvm::find_if(parallels, [&](const Parallel &p) { return p.id == r.window; });
}

bool Contraction::windowIsStatic(const Parallel &p) const {
  return p.extent.isStatic() && llvm::all_of(reductions, [&](const Reduction &r) {
           return r.window != p.id || (r.size.isStatic() && !r.moved);
         });
}

std::pair<int64_t, int64_t> Contraction::interior(const Parallel &p) const {
  int64_t lo = 0, hi = p.extent.value();
  for (const Reduction &r : reductions) {
    if (r.window != p.id)
      continue;
    if (r.base < 0)
      lo = std::max(lo, (int64_t)llvm::divideCeil(-r.base, r.pixelStep));
    int64_t room = r.size.value() - 1 - r.base - r.tapStep * (r.extent.value() - 1);
    hi = std::min(hi, room < 0 ? 0 : room / r.pixelStep + 1);
  }
  lo = std::min(lo, p.extent.value());
  return {lo, std::max(lo, hi)};
}

std::pair<Value, Value> Contraction::interior(Emitter &e, const Parallel &p) const {
  Value extent = e.index(p.extent), lo = e.index(0), hi = extent;
  for (const Reduction &r : reductions) {
    if (r.window != p.id)
      continue;
    if (r.base < 0)
      lo = e.max(lo, e.index(llvm::divideCeil(-r.base, r.pixelStep)));
    Value room = e.add(e.index(r.size), r.pixelStep - 1 - r.base - r.tapStep * (r.extent.value() - 1));
    Value fit = e.max(room, e.index(0));
    if (r.pixelStep != 1)
      fit = e.b.createOrFold<arith::DivUIOp>(e.loc, fit, e.index(r.pixelStep));
    hi = e.min(hi, fit);
  }
  lo = e.min(lo, extent);
  return {lo, e.max(lo, hi)};
}

void Contraction::normalize() {
  for (Reduction &r : reductions)
    if (r.window >= 0) {
      const Parallel *p = parallelOf(r);
      if (p->extent.isStatic() && r.size.isStatic() && !r.moved && r.base >= 0 &&
          r.base + r.pixelStep * (p->extent.value() - 1) + r.tapStep * (r.extent.value() - 1) < r.size.value())
        r.window = -1;
    }
  llvm::erase_if(parallels, [&](const Parallel &p) { return p.extent.is(1) && !windowed(p); });
  llvm::erase_if(reductions, [&](const Reduction &r) {
    return r.extent.is(1) && r.window < 0 && !((dotTail.second || sparse) && &r == &reductions.back());
  });
  for (size_t i = 0; i + 1 < parallels.size();) {
    Parallel &a = parallels[i], &b = parallels[i + 1];
    bool merge = !windowed(a) && !windowed(b) && a.lhs == b.lhs * b.extent && a.rhs == b.rhs * b.extent &&
                 a.out == b.out * b.extent;
    for (auto [x, y] : llvm::zip(a.extras, b.extras))
      merge &= x == y * b.extent;
    if (!merge) {
      ++i;
      continue;
    }
    b.extent = b.extent * a.extent;
    parallels.erase(parallels.begin() + i);
  }
  for (size_t i = 0; i + 1 < reductions.size();) {
    Reduction &a = reductions[i], &b = reductions[i + 1];
    bool odd = i + 2 == reductions.size() && (sparse || (dots && (dotTail.second || dotBytes != 4)));
    if (odd || a.window >= 0 || b.window >= 0 || a.lhs != b.lhs * b.extent || a.rhs != b.rhs * b.extent) {
      ++i;
      continue;
    }
    b.extent = b.extent * a.extent;
    reductions.erase(reductions.begin() + i);
  }
}

void Contraction::setEpilogue(const Epilogue &e) {
  epilogue = &e;
  for (const Epilogue::Extra &extra : e.extras())
    extraBases.push_back(extra.constant);
}

void Contraction::addParallel(const Size &extent, const Size &lhsStep, const Size &rhsStep, const Size &outStep,
                              unsigned resultDim, int64_t resultStep, int id) {
  Parallel p;
  p.extent = extent;
  p.lhs = lhsStep;
  p.rhs = rhsStep;
  p.out = outStep;
  for (const Epilogue::Extra &extra : epilogue->extras())
    p.extras.push_back(extra.coefficients[resultDim] * Size(resultStep));
  p.id = id;
  parallels.push_back(std::move(p));
}

Contraction Contraction::part(int64_t from, int64_t to) const {
  Contraction c = *this;
  Parallel &p = c.parallels.back();
  p.extent = to - from;
  c.lhsBase += from * p.lhs.value();
  c.rhsBase += from * p.rhs.value();
  c.outBase += from * p.out.value();
  for (auto [base, step] : llvm::zip(c.extraBases, p.extras))
    base += from * step.value();
  for (Reduction &r : c.reductions)
    if (r.window == p.id)
      r.base += from * r.pixelStep;
  return c;
}

/// The taps [first, second) of `r` that lie inside the input for pixel `x`.
static std::pair<int64_t, int64_t> tapsAt(const Contraction::Reduction &r, int64_t x) {
  int64_t start = r.base + x * r.pixelStep, extent = r.extent.value();
  int64_t first = start >= 0 ? 0 : llvm::divideCeil(-start, r.tapStep);
  int64_t end = start >= r.size.value() ? 0 : llvm::divideCeil(r.size.value() - start, r.tapStep);
  first = std::min(first, extent);
  return {first, std::max(first, std::min(end, extent))};
}

SmallVector<int64_t> Contraction::cuts() const {
  const Parallel &p = parallels.back();
  SmallVector<int64_t> cuts{0};
  for (int64_t x = 1; x < p.extent.value(); ++x)
    if (llvm::any_of(reductions,
                     [&](const Reduction &r) { return r.window == p.id && tapsAt(r, x) != tapsAt(r, x - 1); }))
      cuts.push_back(x);
  cuts.push_back(p.extent.value());
  return cuts;
}

Contraction Contraction::partOfSameTaps(int64_t from, int64_t to) const {
  Contraction c = part(from, to);
  for (Reduction &r : c.reductions)
    if (r.window == c.parallels.back().id) {
      auto [first, end] = tapsAt(r, 0);
      r.extent = end - first;
      r.base += first * r.tapStep;
      c.lhsBase += first * r.lhs.value();
      c.rhsBase += first * r.rhs.value();
      r.window = -1;
    }
  return c;
}

Contraction Contraction::part(Emitter &e, Value from, Value to, bool inside) const {
  Contraction c = *this;
  Parallel &p = c.parallels.back();
  p.extent = Size(e.sub(to, from));
  auto move = [&](Value &offset, const Size &step) {
    Value distance = e.mul(from, step);
    offset = offset ? e.add(offset, distance) : distance;
  };
  move(c.lhsOffset, p.lhs);
  move(c.rhsOffset, p.rhs);
  move(c.outOffset, p.out);
  c.extraOffsets.resize(p.extras.size());
  for (auto [offset, step] : llvm::zip(c.extraOffsets, p.extras))
    move(offset, step);
  for (Reduction &r : c.reductions)
    if (r.window == p.id) {
      move(r.moved, Size(r.pixelStep));
      if (inside)
        r.window = -1;
    }
  return c;
}

void Contraction::turnAcross(Emitter &e, const Machine &machine) {
  Contraction &c = *this;
  int64_t lanes = machine.lanes(c.acc.getIntOrFloatBitWidth()), pixels = 1, products = 1;
  if (!c.channels.isStatic() || c.rhsOffset || c.dots || c.sparse)
    return;
  int64_t channels = c.channels.value();
  for (const Parallel &p : c.parallels) {
    if (!p.rhs.is(0) || !p.extent.isStatic())
      return;
    pixels *= p.extent.value();
  }
  for (const Reduction &r : c.reductions) {
    if (!r.extent.isStatic() || !r.size.isStatic() || !r.lhs.isStatic() || !r.rhs.isStatic())
      return;
    products *= r.extent.value();
  }
  if (channels > 6 || channels * 2 > lanes * (int64_t)splitChannels(lanes, channels).size() ||
      (c.block && c.block < channels) || products < 2 * lanes || pixels < 64 || products * channels > 4096 ||
      c.reductions.empty() || !c.reductions.back().lhs.is(1) || c.reductions.back().extent.value() < 2)
    return;
  // Contiguous runs of the input, borders aside.
  Contraction inside = c;
  for (Reduction &r : inside.reductions)
    r.window = -1;
  inside.normalize();
  if (inside.reductions.empty() || !inside.reductions.back().lhs.is(1) ||
      inside.reductions.back().extent.value() < lanes)
    return;
  Value panel =
      memref::AllocaOp::create(e.b, e.loc, MemRefType::get({products * channels}, c.acc), e.b.getI64IntegerAttr(64));
  SmallVector<int64_t> dense(c.reductions.size(), 1);
  for (int64_t d = (int64_t)dense.size() - 2; d >= 0; --d)
    dense[d] = dense[d + 1] * c.reductions[d + 1].extent.value();
  std::function<void(unsigned, Value, Value)> copy = [&](unsigned d, Value from, Value to) {
    if (d == dense.size()) {
      Value value = e.convert(c.rhs.load(e, from), c.acc, c.rhsUnsigned);
      if (c.rhsZeroPoint)
        value = arith::SubIOp::create(e.b, e.loc, value, e.constant(c.acc, c.rhsZeroPoint));
      memref::StoreOp::create(e.b, e.loc, value, panel, to);
      return;
    }
    e.loop(0, c.reductions[d].extent, 1,
           [&](Value i) { copy(d + 1, e.add(from, e.mul(i, c.reductions[d].rhs)), e.add(to, e.mul(i, dense[d]))); });
  };
  e.loop(0, channels, 1, [&](Value i) { copy(0, e.add(i, c.rhsBase), e.mul(i, products)); });
  for (auto [r, stride] : llvm::zip(c.reductions, dense))
    r.rhs = stride;
  c.rhs = Flat{panel, {1}, c.acc};
  c.rhsBase = c.block = c.blockStride = c.rhsZeroPoint = 0;
  c.acrossStride = products;
}

// Bytes of a cache that share no set, and how many such the usual L1 holds.
constexpr int64_t cacheWay = 4096, cacheWays = 8;

bool Contraction::pixelsCollide(const Machine &machine, int64_t pixels, const Parallel &columns) const {
  Type sum = sumType(machine);
  // One that lies in a loop has offsets: its room would be taken again and again.
  if (pixels <= cacheWays || dots || sparse || acrossStride || lhsOffset || rhsOffset || outOffset ||
      lhs.element != sum || reductions.size() != 1 ||
      llvm::any_of(parallels, [](const Parallel &p) { return !p.extent.isStatic() || !p.lhs.isStatic(); }))
    return false;
  const Reduction &r = reductions.front();
  if (!r.lhs.is(1) || r.window >= 0 || !r.extent.isStatic())
    return false;
  int64_t bits = sum.getIntOrFloatBitWidth(), lanes = std::max<int64_t>(1, machine.lanes(bits)),
          length = r.extent.value(), apart = columns.lhs.value() * bits / 8;
  return apart != 0 && apart % cacheWay == 0 && length % lanes == 0 && length * bits / 8 >= cacheWay / 2 &&
         pixels * (length + lanes) * bits / 8 <= machine.stackBytes() / 2;
}

Flat Contraction::panel(Emitter &e, int64_t pixels, int64_t lanes) const {
  auto type = MemRefType::get({pixels * (reductions.front().extent.value() + lanes)}, lhs.element);
  return {memref::AllocaOp::create(e.b, e.loc, type, e.b.getI64IntegerAttr(64)), {1}, lhs.element, {}};
}

bool Contraction::pixelsOutside(const Machine &machine, int64_t blocks, int64_t tilePixels) const {
  if (blocks == 1)
    return false;
  int64_t bits = sumType(machine).getIntOrFloatBitWidth();
  double inputs = bits / 8, weights = bits / 8 * (double)channels.estimate(guessedPixels), tiles = 1;
  if (sparse)
    weights *= sparse->share();
  bool unknown = false;
  for (const Parallel &p : parallels) {
    double extent = p.extent.estimate(guessedPixels);
    unknown |= !p.extent.isStatic();
    if (!p.lhs.is(0))
      inputs *= extent;
    if (!p.rhs.is(0))
      weights *= extent;
    tiles *= extent;
  }
  for (const Reduction &r : reductions) {
    double extent = r.extent.estimate(guessedPixels);
    weights *= extent;
    // Taps reread what neighbouring pixels read: only a step of its own adds input.
    if (r.lhs.is(1))
      inputs *= extent;
  }
  tiles /= tilePixels;
  double l2 = machine.l2Bytes;
  // However many pixels there will be, weights that stay in L2 are read from beyond it once.
  if (unknown)
    return weights <= l2 * 0.5;
  double blockOuter = inputs * (inputs > l2 * 0.6 ? blocks : 1) + weights;
  double pixelOuter = inputs + weights * (weights > l2 * 0.5 ? tiles : 1);
  return pixelOuter < blockOuter;
}

bool Contraction::weightsAreSmaller() const {
  double weights = channels.estimate(guessedPixels), inputs = 1, results = weights;
  for (const Parallel &p : parallels) {
    weights *= p.rhs.is(0) ? 1 : p.extent.estimate(guessedPixels);
    inputs *= p.lhs.is(0) ? 1 : p.extent.estimate(guessedPixels);
    results *= p.extent.estimate(guessedPixels);
  }
  for (const Reduction &r : reductions) {
    weights *= r.extent.estimate(guessedPixels);
    inputs *= r.lhs.is(1) ? r.extent.estimate(guessedPixels) : 1;
  }
  return weights < inputs + results;
}
