// Private header of the room: where buffers lie in the arena when their sizes follow from the dims of @main's inputs.
#ifndef BURIN_PASSES_TENSOR_ARENAPLAN_H
#define BURIN_PASSES_TENSOR_ARENAPLAN_H

#include "passes/Tensor/Sizes.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace burin {

/// A buffer and the positions between which it is used, both included.
struct ArenaBuffer {
  mlir::memref::AllocOp alloc;
  int64_t bytes, first, last, offset = -1;
};

/// Bytes of a static buffer; of others, those of the static dims alone.
int64_t bytesOf(mlir::MemRefType type);

/// When the buffers of @main are used; those whose size is not arithmetic on dims of its arguments stand apart. `order`
/// becomes the operations by position. Fails, with an error, where a loop hands a buffer to its next iteration.
llvm::LogicalResult findLifetimes(mlir::func::FuncOp main, DimArithmetic &arithmetic,
                                  llvm::SmallVectorImpl<ArenaBuffer> &buffers,
                                  llvm::SmallVectorImpl<ArenaBuffer> &sizedByData,
                                  llvm::SmallVectorImpl<mlir::Operation *> &order);

/// Offsets for buffers whose `bytes` are known, greedily by size; returns the arena's size.
int64_t placeBuffers(llvm::SmallVectorImpl<ArenaBuffer> &buffers);

/// The largest sum of `bytes` used at one of `positions`.
int64_t peakLiveBytes(llvm::ArrayRef<ArenaBuffer> buffers, int64_t positions);

/// Which buffer lies below which, so that offsets are sums and maxima of sizes: valid for any sizes, and chosen so that
/// the arena is small at typical ones.
class SymbolicPlan {
public:
  SymbolicPlan(mlir::func::FuncOp main, llvm::SmallVectorImpl<ArenaBuffer> &buffers, int64_t positions);

  /// Builds one offset a buffer, and the arena's size, at `builder`; the sizes' operands must be known there.
  llvm::SmallVector<mlir::Value> build(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value &arena) const;

  /// Arena and peak when every free dim is 1.
  int64_t arenaAtOne = 0, peakAtOne = 0;

private:
  using Order = llvm::SmallVector<unsigned>; // buffers, lowest first
  int64_t arenaOf(const Order &order, llvm::ArrayRef<int64_t> sizes) const;

  llvm::SmallVectorImpl<ArenaBuffer> &buffers;
  llvm::SmallVector<llvm::SmallVector<unsigned>> conflicts; // of each buffer, ascending
  Order best;
};

/// Makes `@plan(inputs...) -> (arena bytes, output dims...)` beside @main, from values of @main that are arithmetic on
/// dims of its inputs. `checks` hold for every run; sizes must fit `indexBits`.
void makePlanFunction(mlir::func::FuncOp main, unsigned indexBits, unsigned inputs, mlir::Value arena,
                      mlir::ValueRange outputDims, llvm::ArrayRef<ArenaBuffer> buffers,
                      llvm::ArrayRef<std::pair<mlir::Value, mlir::StringAttr>> checks);

} // namespace burin

#endif
