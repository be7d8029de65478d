// The families of kernels for nn operations: each emits launches at the builder, or says why it does not fit.
#ifndef BURIN_PASSES_CUDA_FAMILIES_H
#define BURIN_PASSES_CUDA_FAMILIES_H

#include "dialects/Nn/Attention.h"
#include "passes/Cuda/Fragments.h"

namespace burin::cuda {

using nn::ComputeOp;

/// KernelContraction.cpp: convolutions and matrix products by tiles in shared memory and, but for exact f32, on tensor
/// cores. `wide`: how factors of f32 are multiplied. Fails with a reason.
mlir::LogicalResult emitContraction(mlir::OpBuilder &builder, ComputeOp op, Products wide, std::string &why);

/// KernelRows.cpp: products of a few rows, which stream the right factor once. Fails with a reason.
mlir::LogicalResult emitFewRows(mlir::OpBuilder &builder, nn::MatmulOp op, std::string &why);

/// KernelWiden.cpp: writes what stored integers stand for to scratch memory; the product with that, an operation for
/// another family, in front of `op`, which stays. Fails with a reason.
mlir::FailureOr<nn::MatmulOp> emitWidening(mlir::OpBuilder &builder, nn::MatmulOp op, std::string &why);

/// KernelAttention.cpp: attention of many queries on tensor cores, scores in registers. Fails with a reason.
mlir::LogicalResult emitAttention(mlir::OpBuilder &builder, nn::AttentionOp op, Products wide, std::string &why);

/// KernelAttentionRows.cpp: a block a query, or several where keys are many. Takes every attention on static memrefs.
void emitAttentionRows(mlir::OpBuilder &builder, nn::AttentionOp op);

/// KernelSoftmax.cpp: a warp a row. Takes every softmax on static memrefs.
void emitSoftmax(mlir::OpBuilder &builder, nn::SoftmaxOp op);

} // namespace burin::cuda

#endif
