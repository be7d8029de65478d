// Private header of the room: which operations of @main share a kernel.
#ifndef BURIN_PASSES_CPU_KERNELGROUPS_H
#define BURIN_PASSES_CPU_KERNELGROUPS_H

#include "mlir/IR/Block.h"
#include "mlir/IR/Operation.h"
#include "llvm/ADT/SmallVector.h"

namespace burin::cpu {

/// The block's computations in order, views and allocations left out. A fill goes into the kernel of the operation that
/// accumulates onto it right afterwards, and the sides of a frame into that of the operation that writes what they
/// surround; other fills in a row share one. The last operation of a group is what it is there for.
llvm::SmallVector<llvm::SmallVector<mlir::Operation *>> formKernelGroups(mlir::Block &block);

} // namespace burin::cpu

#endif
