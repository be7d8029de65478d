// The families of kernels for nn operations: each emits launches at the builder, or says why it does not fit.
#ifndef BURIN_PASSES_CUDA_FAMILIES_H
#define BURIN_PASSES_CUDA_FAMILIES_H

#include "dialects/Nn/Nn.h"

namespace burin::cuda {

using nn::ComputeOp;

/// KernelContraction.cpp: convolutions and matrix products by tiles in shared memory and, but for exact f32, on tensor
/// cores. `exact`: factors in f32 are not rounded. Fails with a reason.
mlir::LogicalResult emitContraction(mlir::OpBuilder &builder, ComputeOp op, bool exact, std::string &why);

/// KernelSoftmax.cpp: a warp a row. Takes every softmax on static memrefs.
void emitSoftmax(mlir::OpBuilder &builder, nn::SoftmaxOp op);

} // namespace burin::cuda

#endif
