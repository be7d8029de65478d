// What a Contraction is made and cut by; the kernel itself is KernelContraction.cpp.
#include "passes/Cpu/KernelContraction.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

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
