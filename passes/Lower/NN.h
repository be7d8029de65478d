// Private to the NN family: its three parts, and the epilogue they share.
#ifndef BURIN_PASSES_LOWER_NN_H
#define BURIN_PASSES_LOWER_NN_H

#include "passes/Lower/Lowering.h"
#include "passes/Lower/Scalars.h"

namespace burin::lower {

/// Adds to `op` the epilogue result = cast(alpha * acc + beta * bias); `bias` (may be null) is read through `map` from
/// the result's indices. Adds nothing where that is the accumulator itself.
void addBiasEpilogue(Lowering &l, nn::ComputeOp op, mlir::Value bias, mlir::AffineMap map, double alpha = 1,
                     double beta = 1);

/// A pool over all spatial dims of an image [n, d..., c], as [n, 1..., c].
mlir::Value globalPool(Lowering &l, mlir::Value image, nn::PoolKind kind, bool isUnsigned = false);

void populateNNConvLowerings(Registry &registry);
void populateNNMatmulLowerings(Registry &registry);
void populateNNNormalizationLowerings(Registry &registry);

} // namespace burin::lower

#endif
