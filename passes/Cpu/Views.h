// Private header of the room: which bytes of which argument of @main a memref names: known statically, but for places
// that depend on the counters of loops in @main, and for sizes and strides that are known at run time only.
#ifndef BURIN_PASSES_CPU_VIEWS_H
#define BURIN_PASSES_CPU_VIEWS_H

#include "passes/Cpu/Sizes.h"

namespace burin::cpu {

/// A memref whose place is known: its base pointer lies `baseBytes` behind the one of `root` (an argument of @main, or
/// what an operation that is no view has made), and element (i, j, ...) lies `offset + i * strides[0] + ...` elements
/// behind that. `dynamic` adds value * bytes for each of its pairs, and `products` what they say, in bytes; both stay
/// inside the bytes `within`. Sizes and strides known at run time only are ShapedType::kDynamic in `shape` and
/// `strides`, and what they are in `layout`, which only such views have.
struct View {
  mlir::Value root;
  int64_t baseBytes = 0;
  int64_t offset = 0;
  llvm::SmallVector<int64_t> shape, strides;
  mlir::Type element;
  llvm::SmallVector<std::pair<mlir::Value, int64_t>> dynamic;
  llvm::SmallVector<Size> products;
  std::pair<int64_t, int64_t> within = {INT64_MIN, INT64_MAX};
  mlir::Value slot; // the first byte of the arena's part it lies in, where that is not a constant
  std::optional<Layout> layout;

  /// Places, sizes or strides that are known at run time only.
  bool isDynamic() const { return layout || !dynamic.empty() || !products.empty(); }
  /// Adds `amount` bytes to where it begins.
  void shift(const Size &amount);

  /// Elements from the first one named to behind the last; 1 where sizes are not known.
  int64_t span() const;
  /// First byte behind the root's pointer, and the byte behind the last.
  int64_t beginBytes() const;
  int64_t endBytes() const;
  /// The bytes it may ever touch.
  std::pair<int64_t, int64_t> reach() const { return isDynamic() ? within : std::make_pair(beginBytes(), endBytes()); }
  /// Whether the two may share a byte, as far as the tensor stage's promise goes: parts of the arena that begin at
  /// different values are different.
  bool mayOverlap(const View &other) const;
};

/// Bytes one element takes in memory (i1: 1).
int64_t storageBytes(mlir::Type element);

/// Follows views up to an argument. Sizes that nothing else names become operations at the builder's place, which must
/// dominate the uses of the result; without a builder, dynamic sizes and strides fail. No diagnostic.
mlir::FailureOr<View> resolveView(mlir::Value memref, mlir::OpBuilder *builder = nullptr);

} // namespace burin::cpu

#endif
