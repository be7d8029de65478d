// Private helpers of the Tensor, Image and Quant families: placed values seen otherwise, and generics whose body
// computes where it reads. Everything here works on physical tensors or on Placed ones; only `scalar` reads an onnx
// value.
#ifndef BURIN_PASSES_LOWER_TENSOR_H
#define BURIN_PASSES_LOWER_TENSOR_H

#include "passes/Lower/Lowering.h"

namespace burin::lower {

// --- Views of placed values (TensorShape.cpp) ------------------------------------------------------------------------

Dims logicalShape(Lowering &l, const Placed &placed);
/// Logical dim i of the answer is logical dim permutation[i] of `placed`; nothing moves.
Placed transposed(const Placed &placed, llvm::ArrayRef<int64_t> permutation);
/// The tensor of `placed` with its dims in `order`.
mlir::Value inOrder(Lowering &l, const Placed &placed, llvm::ArrayRef<int64_t> order);
/// Another logical shape of the same row-major elements. Dims of a merged group are brought together (one
/// transposition) where they do not lie so, in the order of each group's first dim, so that images stay channels last.
/// With `v`, the onnx value `placed` came from, the transposition is shared with other users of it.
Placed regrouped(Lowering &l, const Placed &placed, llvm::ArrayRef<int64_t> shape, mlir::Value v = {});

// --- Reading at computed places (TensorMove.cpp) ---------------------------------------------------------------------

/// Position i along physical `axis` of the result is position source[i] of the operand.
struct AxisTable {
  int64_t axis;
  Dims source;
};
/// Each table as the cheapest thing it is: a slice (arithmetic progression), a repetition (i floordiv k), a constant
/// table.
mlir::Value remapAxes(Lowering &l, mlir::Value tensor, llvm::ArrayRef<AxisTable> tables);

/// As Lowering::map, but the body also gets the loop indices (one a result dim).
using IndexedBody = llvm::function_ref<mlir::Value(mlir::ImplicitLocOpBuilder &b, llvm::ArrayRef<mlir::Value> indices,
                                                   mlir::ValueRange args)>;
mlir::Value mapIndexed(Lowering &l, const Shaped &result, mlir::ValueRange operands,
                       llvm::ArrayRef<mlir::AffineMap> maps, IndexedBody body);

/// As Lowering::reduce over `loops` (extents), but the body also gets the loop indices; its last argument is the
/// accumulator.
mlir::Value reduceIndexed(Lowering &l, llvm::ArrayRef<int64_t> loops, mlir::ValueRange operands,
                          llvm::ArrayRef<mlir::AffineMap> maps, llvm::ArrayRef<int64_t> axes, mlir::TypedAttr init,
                          IndexedBody body);

mlir::Value constantIndex(mlir::ImplicitLocOpBuilder &b, int64_t value);
mlir::Value extract(mlir::ImplicitLocOpBuilder &b, mlir::Value tensor, mlir::ValueRange indices);
/// An ONNX index (any integer type, counted from the end where negative) as `index` in [0, size). What lies outside is
/// clamped: ONNX calls it an error, a generated program must not read outside its memory.
mlir::Value safeIndex(mlir::ImplicitLocOpBuilder &b, mlir::Value index, int64_t size);
mlir::Value safeIndex(mlir::ImplicitLocOpBuilder &b, mlir::Value index, mlir::Value size);
/// A constant tensor<n x i32> of positions.
mlir::Value positions(Lowering &l, llvm::ArrayRef<int64_t> values);
/// Maps from `loops` loops to the chosen ones.
mlir::AffineMap selectDims(Lowering &l, int64_t loops, llvm::ArrayRef<int64_t> dims);

/// The element of an onnx value of one element, as a scalar: a constant where it is one.
mlir::Value scalar(Lowering &l, mlir::Value v);
/// True if every result of `op` has no elements; they are then set.
bool setEmpty(Lowering &l, mlir::Operation *op);

/// Resize of a placed operand where extents are free (ImageResizeFree.cpp).
mlir::LogicalResult lowerFreeResize(Lowering &l, onnx::ResizeOp op, const Placed &x);

// --- Parts of the families -------------------------------------------------------------------------------------------

void populateTensorShapeLowerings(Registry &registry);
void populateTensorMoveLowerings(Registry &registry);
void populateTensorIndexingLowerings(Registry &registry);
void populateTensorScatterLowerings(Registry &registry);
void populateImageResizeLowerings(Registry &registry);

} // namespace burin::lower

#endif
