// Private header of the room: how emitters tell cpu-parallelize-kernels which loops may run on several threads.
//
// The idea: who emits a loop over results knows that its iterations are independent, and it would be hard to find out
// again. Such a loop carries the number of the operation it belongs to; loops of one operation are independent of each
// other, too, where they stand beside one another. Where the last iteration does again what the one before it has done,
// one thread must do both: results may pass through memory on their way.
#ifndef BURIN_PASSES_CPU_PARALLELLOOPS_H
#define BURIN_PASSES_CPU_PARALLELLOOPS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace burin::cpu {

/// An i64: the operation's number in its function.
inline constexpr char parallelAttr[] = "burin.parallel";

/// Present where the last two iterations overlap.
inline constexpr char overlapsAttr[] = "burin.overlaps";

inline void markParallel(mlir::scf::ForOp loop, int64_t operation, bool overlaps) {
  loop->setAttr(parallelAttr, mlir::IntegerAttr::get(mlir::IntegerType::get(loop.getContext(), 64), operation));
  if (overlaps)
    loop->setAttr(overlapsAttr, mlir::UnitAttr::get(loop.getContext()));
}

/// A number that no loop of the function has.
inline int64_t nextOperation(mlir::func::FuncOp function) {
  int64_t next = 0;
  function.walk([&](mlir::scf::ForOp loop) {
    if (auto mark = loop->getAttrOfType<mlir::IntegerAttr>(parallelAttr))
      next = std::max(next, mark.getInt() + 1);
  });
  return next;
}

} // namespace burin::cpu

#endif
