// Private: shapes where the graph does not know them, operator by operator, in the extents of Lowering.
#ifndef BURIN_PASSES_LOWER_SIZES_H
#define BURIN_PASSES_LOWER_SIZES_H

#include "passes/Lower/Lowering.h"

namespace burin::lower {

/// The elements of every result, where all are small integer tensors whose elements are known as extents. True where
/// all are: nothing is left to compute then.
bool inferScalars(Lowering &l, mlir::Operation *op);
/// The extents of all results; silent failure where the operator's shapes cannot be told before it runs.
mlir::LogicalResult inferShapes(Lowering &l, mlir::Operation *op);
/// Has the program check the sizes that operands must share and types do not prove.
void checkOperandSizes(Lowering &l, mlir::Operation *op);
/// start, start + step, ... up to `end` of an axis of `extent`, as ONNX's Slice counts: where it begins and how many.
struct SliceRange {
  int64_t start, count;
};
SliceRange sliceRange(Lowering &l, int64_t start, int64_t end, int64_t step, int64_t extent);

} // namespace burin::lower

#endif
