// The executable definition of the nn ops: how one element of a result is computed, as scalar loops over the taps it
// depends on. Every target's reference code comes from here, whatever runs the loop over elements: nested loops on a
// CPU, threads on a GPU, a list of tiles on an accelerator. It knows no machine and no schedule; faster kernels are
// tested against it and share nothing with it.
#ifndef BURIN_DIALECTS_NN_ELEMENT_H
#define BURIN_DIALECTS_NN_ELEMENT_H

#include "dialects/Nn/Nn.h"

namespace burin::nn {

/// Emits at `builder` the computation of the element of `op`'s result at `indices` (one index a dim of the destination,
/// inside its bounds) and returns it: scf.for over the taps inside the input, an accumulator, the epilogue. `op` must
/// be on memrefs, of any layout, static or not; it is read and left alone. Taps are added in the order of the filter's
/// dims, channels last. Returns null, having emitted nothing, for softmax: its elements share a row's maximum and sum,
/// which no single element should compute again. Emits arith, math, memref and scf operations only.
mlir::Value buildElement(mlir::OpBuilder &builder, mlir::Location loc, ComputeOp op, mlir::ValueRange indices);

/// The last step of buildElement: the op's epilogue on one accumulator value, its extras read at result indices
/// `indices`.
mlir::Value buildEpilogue(mlir::OpBuilder &builder, mlir::Location loc, ComputeOp op, mlir::Value accumulator,
                          mlir::ValueRange indices);

/// Emits at `builder` nested loops that store every element of `op`'s result; the op stays. Fails, having emitted
/// nothing, for softmax.
mlir::LogicalResult buildLoops(mlir::OpBuilder &builder, ComputeOp op);

} // namespace burin::nn

#endif
