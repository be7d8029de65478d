// Private header of the room: sizes and strides that may be known at run time only.
//
// The idea: every one of them is a constant times some values (the strides of a dense buffer are products of its
// sizes), so whether two are equal, or one divides another, is decided on factors. Static ones behave as the integers
// they are.
#ifndef BURIN_PASSES_CPU_SIZES_H
#define BURIN_PASSES_CPU_SIZES_H

#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/Value.h"

namespace burin::cpu {

class Size {
public:
  Size(int64_t value = 0) : scale(value) {}
  /// Looks through constants and multiplications.
  explicit Size(mlir::Value index);
  explicit Size(mlir::OpFoldResult sizeOrStride);

  bool isStatic() const { return factors.empty(); }
  /// Of a static one only.
  int64_t value() const {
    assert(isStatic() && "expected a size that is known");
    return scale;
  }
  bool is(int64_t known) const { return isStatic() && scale == known; }
  /// What a plan takes for it: `guess` for each factor that is not known.
  int64_t estimate(int64_t guess) const;
  int64_t orElse(int64_t guess) const { return isStatic() ? scale : guess; }

  Size operator*(const Size &other) const;
  bool operator==(const Size &other) const;
  bool operator!=(const Size &other) const { return !(*this == other); }
  /// Nothing when it is not known to be a multiple.
  std::optional<Size> dividedBy(const Size &divisor) const;
  /// The largest constant that is known to divide it.
  int64_t constantFactor() const { return scale; }

  /// As an index, at the builder's place.
  mlir::Value emit(mlir::OpBuilder &b, mlir::Location loc) const;
  /// The same product of other values.
  Size map(llvm::function_ref<Size(mlir::Value)> replace) const;
  /// Nothing when the sum is not a constant times the same values.
  std::optional<Size> plus(const Size &other) const;
  llvm::ArrayRef<mlir::Value> values() const { return factors; }

private:
  int64_t scale;
  llvm::SmallVector<mlir::Value, 2> factors;
};

/// A buffer in a kernel: sizes and strides in elements, one a dim.
struct Layout {
  llvm::SmallVector<Size> sizes, strides;
};

/// From the type where it says so, else from the operation that made the view, else asked of the memref at the
/// builder's place. Fails for what has no strides, and for negative ones.
mlir::FailureOr<Layout> layoutOf(mlir::OpBuilder &b, mlir::Location loc, mlir::Value memref);

/// `memref` as one run of elements, as a memref of rank 1 with its first element first (or at the static offset of its
/// type). What the view of a kernel's argument was made from is used again.
mlir::Value flatBuffer(mlir::OpBuilder &b, mlir::Location loc, mlir::Value memref, const Layout &layout);

} // namespace burin::cpu

#endif
