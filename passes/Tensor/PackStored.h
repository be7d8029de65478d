// Weights that stay integers (nn::StoredLayout) in blocks as wide as a kernel takes: what tensor-pack-weights does with
// products whose operand is `stored`.
#ifndef BURIN_PASSES_TENSOR_PACKSTORED_H
#define BURIN_PASSES_TENSOR_PACKSTORED_H

#include "dialects/Nn/Nn.h"
#include "lib/Support/Machine.h"

namespace burin {

/// Moves the bytes of `matmul`'s weights into blocks for `machine`; the new constant stands at `constants`. A failure
/// leaves the op as it is and says why in `reason`.
mlir::LogicalResult packStored(const Machine &machine, nn::MatmulOp matmul, mlir::OpBuilder &constants,
                               std::string &reason);

} // namespace burin

#endif
