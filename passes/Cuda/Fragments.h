// Words for kernels on tensor cores: addresses in shared and global memory as numbers, asynchronous copies, fragments
// and their products, as NVVM operations that cuda-emulate-kernels knows too.
#ifndef BURIN_PASSES_CUDA_FRAGMENTS_H
#define BURIN_PASSES_CUDA_FRAGMENTS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace burin::cuda {

/// How factors are multiplied; floats are summed in f32.
enum class Products {
  Exact, // f32 by fused multiply-add, on no tensor core
  Split, // f32 as the sum of two tf32: three products on tensor cores, nearly all bits
  Tf32,  // f32 rounded to 10 bits of mantissa
  F16,
  BF16,
  Int8 // bytes, summed in i32
};

/// How bytes are read.
struct Signs {
  bool lhsUnsigned = false, rhsUnsigned = false;
};

/// Words as a product takes them.
struct Factors {
  llvm::SmallVector<mlir::Value, 4> words; // rounded
  llvm::SmallVector<mlir::Value, 4> rest;  // of Split: what rounding took away

  Factors slice(size_t first, size_t count) const {
    auto part = [&](llvm::ArrayRef<mlir::Value> all) {
      return llvm::SmallVector<mlir::Value, 4>(all.empty() ? all : all.slice(first, count));
    };
    return {part(words), part(rest)};
  }
};

struct Fragments {
  mlir::OpBuilder &b;
  mlir::Location loc;
  Products products;
  Signs signs;

  bool isWide() const {
    return products == Products::Exact || products == Products::Split || products == Products::Tf32;
  }
  /// Bytes of a factor, and how many of them one step multiplies: 32 bytes' worth.
  int64_t bytes() const { return isWide() ? 4 : products == Products::Int8 ? 1 : 2; }
  int64_t stepK() const { return 32 / bytes(); }

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

  /// Four words a lane: of each of four matrices of 8 rows of 16 bytes, row lane / 4, word lane % 4; `row` is where the
  /// row begins whose number is the lane's. `transposed` reads columns of 16-bit elements instead.
  llvm::SmallVector<mlir::Value, 4> loadMatrices(mlir::Value row, bool transposed);
  mlir::Value loadWord(mlir::Value address);
  void storeWord(mlir::Value address, mlir::Value word);
  /// Of a scalar or a vector; the address is a multiple of its size.
  mlir::Value loadGlobal(mlir::Value address, mlir::Type type);
  mlir::Value loadGlobalWord(mlir::Value address) { return loadGlobal(address, b.getI32Type()); }

  /// Four words of four bytes turned: byte j of word i becomes byte i of word j.
  llvm::SmallVector<mlir::Value, 4> turned(llvm::ArrayRef<mlir::Value> words);

  /// Words of factors as they lie in memory, made ready for `multiply`.
  Factors prepared(llvm::ArrayRef<mlir::Value> words);

  /// c += a b for 16 x 8 results: a has 4 words, b 2, c 4 sums. Not for Exact.
  void multiply(const Factors &a, const Factors &b2, llvm::MutableArrayRef<mlir::Value> c);

private:
  mlir::Value rounded(mlir::Value number);
  void multiplyWords(llvm::ArrayRef<mlir::Value> a, llvm::ArrayRef<mlir::Value> b2,
                     llvm::MutableArrayRef<mlir::Value> c);
};

} // namespace burin::cuda

#endif
