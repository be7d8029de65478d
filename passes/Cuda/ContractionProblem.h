// A convolution or matrix product as what its kernel sees: D[m, n] = epilogue(sum over k of A[m, k] B[k, n]).
#ifndef BURIN_PASSES_CUDA_CONTRACTIONPROBLEM_H
#define BURIN_PASSES_CUDA_CONTRACTIONPROBLEM_H

#include "dialects/Nn/Nn.h"
#include "passes/Cuda/Fragments.h"
#include <optional>

namespace burin::cuda {

/// Where factors come from: strides in elements; batches are independent products (batches, groups).
struct Problem {
  mlir::Value lhs, rhs;
  bool isConv = false, transposed = false; // rhs as [n][k]
  int64_t batches = 1, rows = 0, columns = 0, depth = 0;
  int64_t rhsRow = 0; // stride of k, or of n when transposed
  int64_t channels = 0, groups = 1;
  llvm::SmallVector<int64_t> kernel, out, in, pixelStrides; // spatial, of a convolution; pixelStrides in the input
  llvm::SmallVector<int64_t> strides, dilations, pads;
  int64_t imageStride = 0, lhsRow = 0;
  bool hasPadding = false;
  int64_t lhsGrain = 1, rhsGrain = 1; // elements that one copy takes
  Products products = Products::Exact;
  Signs signs;                                // of integers
  int64_t lhsZeroPoint = 0, rhsZeroPoint = 0; // subtracted from each factor

  bool isInteger() const { return products == Products::Int8; }
};

/// Nothing, with a reason, where the kernel does not fit. `wide`: how factors of f32 are multiplied.
std::optional<Problem> describeContraction(nn::ComputeOp op, Products wide, std::string &why);

/// Where the memref itself begins: alignment of the function's argument, as cpu-outline-kernels found it.
int64_t alignmentOf(mlir::Value memref);

llvm::SmallVector<int64_t> stridesOf(mlir::Value memref);

} // namespace burin::cuda

#endif
