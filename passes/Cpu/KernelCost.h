// Private header of the room: about how long loops over vectors take, for decisions that bear a factor of two.
#ifndef BURIN_PASSES_CPU_KERNELCOST_H
#define BURIN_PASSES_CPU_KERNELCOST_H

#include "lib/Support/Machine.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace burin::cpu {

/// How often a loop runs; nothing, or a guess, where that is known at run time only.
std::optional<int64_t> tripsOf(mlir::scf::ForOp loop);
int64_t guessedTrips(mlir::scf::ForOp loop);

/// Counts instructions: every operation on registers takes its share of a cycle, memory is taken to be in the L2 cache.
class KernelCost {
public:
  explicit KernelCost(const Machine &machine) : machine(machine) {}
  /// Nanoseconds on one core, everything inside included.
  double of(mlir::Operation *op) const;
  /// Of a loop whose body is empty.
  double ofIteration() const;
  /// Bytes that loads and stores move in all.
  double bytesOf(mlir::Operation *op) const;
  /// What it takes beside that when this many bytes come from beyond the core's own caches.
  double ofDistantBytes(double bytes) const;

private:
  double ofOne(mlir::Operation *op) const; // without regions

  const Machine &machine;
};

} // namespace burin::cpu

#endif
