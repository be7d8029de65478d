// Private header of the room: another order of the work, so that less memory is in use at once.
#ifndef BURIN_PASSES_TENSOR_ARENAORDER_H
#define BURIN_PASSES_TENSOR_ARENAORDER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace burin {

/// Puts the operations of @main's block into an order that needs less memory at once, if the search finds one. Results
/// stay the same: who reads a buffer comes behind who wrote it and before who writes it next. True where it moved any.
bool reorderForMemory(mlir::func::FuncOp main);

} // namespace burin

#endif
