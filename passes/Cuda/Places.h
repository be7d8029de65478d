// Where buffers of @main lie.
#ifndef BURIN_PASSES_CUDA_PLACES_H
#define BURIN_PASSES_CUDA_PLACES_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"
#include <optional>

namespace burin::cuda {

int64_t bytesOf(mlir::MemRefType type);

/// Bytes of one of @main's arguments.
struct Place {
  mlir::BlockArgument root;
  int64_t base = 0;           // where the memref's pointer lies
  int64_t begin = 0, end = 0; // what it reaches
  bool isDense = true;
};

/// Of views at constant places and of arguments themselves; nothing of others.
std::optional<Place> resolve(mlir::Value memref);

} // namespace burin::cuda

#endif
