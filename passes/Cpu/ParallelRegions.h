// Private header of the room: which marked loops of a kernel (ParallelLoops.h) may be split among threads together.
//
// The idea: neighbouring loops that need not wait for one another are one region, which costs one fork. In a nest of
// loops as many are counted through as it takes for parts of equal size. Nothing is changed here.
#ifndef BURIN_PASSES_CPU_PARALLELREGIONS_H
#define BURIN_PASSES_CPU_PARALLELREGIONS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace burin::cpu {

/// Loops nested perfectly, index arithmetic aside, outermost first.
struct ParallelNest {
  llvm::SmallVector<mlir::scf::ForOp> loops;
  unsigned first = 0; // the outermost that is split; those around it every part runs through
};

/// Neighbouring loops that need not wait for one another: one fork.
struct LoopRegion {
  llvm::SmallVector<int64_t> operations;
  llvm::SmallVector<mlir::scf::ForOp> loops;
  llvm::SmallVector<ParallelNest> nests; // the same with what is counted through with them
};

/// The kernel's regions in order; `nests` are left to nestOf.
llvm::SmallVector<LoopRegion> parallelRegions(mlir::func::FuncOp kernel);

/// The loops to count through with `outermost` so that `parts` are possible.
ParallelNest nestOf(mlir::scf::ForOp outermost, int64_t parts);

/// Iterations that can be told apart: the last two of loops where they overlap are one.
int64_t unitsOf(mlir::scf::ForOp loop);

/// Is the number of iterations of a loop, or of one inside, known at run time only?
bool isDynamic(mlir::Operation *op);

/// Are a loop's bounds computed from what is known before `outermost` begins?
bool areBoundsKnownBefore(mlir::scf::ForOp loop, mlir::scf::ForOp outermost);

/// Do the loops write the buffer, or a view of it?
bool writes(llvm::ArrayRef<mlir::Operation *> loops, mlir::Value buffer);

} // namespace burin::cpu

#endif
