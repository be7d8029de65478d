// Weights of 8 bits laid out for dot products (nn::DotLayout): what tensor-pack-weights does with integers.
#ifndef BURIN_PASSES_TENSOR_PACKDOTS_H
#define BURIN_PASSES_TENSOR_PACKDOTS_H

#include "dialects/Nn/Nn.h"
#include "lib/Support/Machine.h"

namespace burin {

/// Packs the constant filter of `conv` (right side of `matmul`); the new constant stands at `constants`. A failure
/// leaves the op as it is and says why in `reason`.
mlir::LogicalResult packForDots(const Machine &machine, nn::ConvOp conv, mlir::OpBuilder &constants,
                                std::string &reason);
mlir::LogicalResult packForDots(const Machine &machine, nn::MatmulOp matmul, mlir::OpBuilder &constants,
                                std::string &reason);

} // namespace burin

#endif
