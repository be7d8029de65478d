// Words for kernels on tensor cores: addresses in shared and global memory as numbers, asynchronous copies, fragments and
// their products, as NVVM operations that cuda-emulate-kernels knows too.
#ifndef BURIN_PASSES_CUDA_FRAGMENTS_H
#define BURIN_PASSES_CUDA_FRAGMENTS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace burin::cuda {

/// How factors are multiplied; sums are f32 in all.
enum class Products {
  Exact, // f32 by fused multiply-add, on no tensor core
  Tf32,  // f32 rounded to 10 bits of mantissa
  F16,
  BF16
};

struct Fragments {
  mlir::OpBuilder &b;
  mlir::Location loc;
  Products products;

  bool isWide() const { return products == Products::Exact || products == Products::Tf32; }
  /// Bytes of a factor, and how many of them one step multiplies: 32 bytes' worth.
  int64_t bytes() const { return isWide() ? 4 : 2; }
  int64_t stepK() const { return isWide() ? 8 : 16; }

  mlir::Value number(int64_t value);
  mlir::Value add(mlir::Value x, mlir::Value y) { return b.createOrFold<mlir::arith::AddIOp>(loc, x, y); }
  mlir::Value mul(mlir::Value x, int64_t y) { return b.createOrFold<mlir::arith::MulIOp>(loc, x, number(y)); }
  mlir::Value div(mlir::Value x, int64_t y) { return b.createOrFold<mlir::arith::DivUIOp>(loc, x, number(y)); }
  mlir::Value rem(mlir::Value x, int64_t y) { return b.createOrFold<mlir::arith::RemUIOp>(loc, x, number(y)); }
  mlir::Value below(mlir::Value x, int64_t limit);

  /// Where a memref's first byte lies, its layout's offset included.
  mlir::Value addressOf(mlir::Value memref);

  /// Copies `size` bytes (4, 8 or 16) to shared memory where `valid`, else zeros.
  void copyAsync(mlir::Value to, mlir::Value from, int64_t size, mlir::Value valid);
  void commitCopies();
  void waitCopies(int64_t pending);

  /// Four words a lane: of each of four matrices of 8 rows of 16 bytes, row lane / 4, word lane % 4; `row` is where the row
  /// begins whose number is the lane's. `transposed` reads columns of 16-bit elements instead.
  llvm::SmallVector<mlir::Value, 4> loadMatrices(mlir::Value row, bool transposed);
  mlir::Value loadWord(mlir::Value address);

  /// Rounds a word of factors as the product takes it.
  mlir::Value rounded(mlir::Value word);

  /// c += a b for 16 x 8 results: a has 4 words, b 2, c 4 floats. Not for Exact.
  void multiply(llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b2, llvm::MutableArrayRef<mlir::Value> c);
};

} // namespace burin::cuda

#endif
