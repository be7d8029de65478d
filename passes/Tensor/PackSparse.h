// Constant weights of f32 without their blocks of zeros (nn::SparseLayout): what tensor-pack-weights does where so many
// blocks are zero that a kernel which skips them is faster.
#ifndef BURIN_PASSES_TENSOR_PACKSPARSE_H
#define BURIN_PASSES_TENSOR_PACKSPARSE_H

#include "lib/Support/Machine.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace burin {

/// Of constant f32 weights, output channels last: the share of blocks of `sparseBlock` output channels of one input
/// that are zero. 0 where their bytes are not at hand.
double zeroBlocks(mlir::ElementsAttr weights);

/// Whether a machine's kernels gain by leaving out the zero blocks of such weights, whose last dim but one is channels
/// and whose dims before it are taps.
bool gainsBySparse(const Machine &machine, mlir::ElementsAttr weights);

/// The weights as such bytes.
mlir::Value packSparse(mlir::ElementsAttr weights, mlir::OpBuilder &constants, mlir::Location loc);

} // namespace burin

#endif
