// Private header of the room: which bytes of which argument of @main a memref names: known statically, but for places
// that depend on the counters of loops in @main.
#ifndef BURIN_PASSES_CPU_VIEWS_H
#define BURIN_PASSES_CPU_VIEWS_H

#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Value.h"

namespace burin::cpu {

/// A memref whose place is known: its base pointer lies `baseBytes` behind the one of `root` (an argument of @main),
/// and element (i, j, ...) lies `offset + i * strides[0] + ...` elements behind that. `dynamic` adds value * bytes for
/// each of its pairs, which stays inside the bytes `within`.
struct View {
  mlir::Value root;
  int64_t baseBytes = 0;
  int64_t offset = 0;
  llvm::SmallVector<int64_t> shape, strides;
  mlir::Type element;
  llvm::SmallVector<std::pair<mlir::Value, int64_t>> dynamic;
  std::pair<int64_t, int64_t> within;

  /// Elements from the first one named to behind the last.
  int64_t span() const;
  /// First byte behind the root's pointer, and the byte behind the last.
  int64_t beginBytes() const;
  int64_t endBytes() const;
  /// The bytes it may ever touch.
  std::pair<int64_t, int64_t> reach() const {
    return dynamic.empty() ? std::make_pair(beginBytes(), endBytes()) : within;
  }
};

/// Bytes one element takes in memory (i1: 1).
int64_t storageBytes(mlir::Type element);

/// Follows views up to an argument. Fails, without a diagnostic, on dynamic sizes and strides.
mlir::FailureOr<View> resolveView(mlir::Value memref);

} // namespace burin::cpu

#endif
