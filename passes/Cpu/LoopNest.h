// Private header of the room: a linalg operation on memrefs as extents and strides, and the plan of its loops.
//
// The idea: after this no map and no shape is left. Every buffer is flat; where a point of the nest lies in it is a dot
// product of the point with the buffer's strides. Transposes, broadcasts, reductions and copies differ only in those
// numbers.
#ifndef BURIN_PASSES_CPU_LOOPNEST_H
#define BURIN_PASSES_CPU_LOOPNEST_H

#include "lib/Support/Machine.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "passes/Cpu/Sizes.h"

#include <optional>

namespace burin::cpu {

struct NestOperand {
  mlir::OpOperand *operand;           // of the linalg op
  mlir::BlockArgument argument;       // its element in the body
  Layout layout;                      // of the buffer
  llvm::SmallVector<Size, 4> strides; // elements, one a dim of the nest; empty for a scalar operand
  int64_t offset = 0;                 // elements, from the map's constants
  llvm::SmallVector<Size, 1> offsets; // more of it, known at run time only
  mlir::Type element;
  bool isScalar = false, isOutput = false;
};

struct LoopNest {
  mutable mlir::linalg::LinalgOp op; // its methods are not const
  llvm::SmallVector<Size, 4> extents;
  llvm::SmallVector<bool> reduction;
  llvm::SmallVector<NestOperand, 4> operands; // inputs, then outputs
  llvm::SmallVector<int> dimOfIndex;          // linalg.index n is dim dimOfIndex[n]; -1: it is always 0

  llvm::DenseMap<mlir::Value, uint64_t> dependences; // of the body's values; nothing: on no dim

  mlir::Block &body() const { return op->getRegion(0).front(); }
  llvm::ArrayRef<NestOperand> inputs() const { return llvm::ArrayRef(operands).drop_back(op.getNumDpsInits()); }
  llvm::ArrayRef<NestOperand> outputs() const { return llvm::ArrayRef(operands).take_back(op.getNumDpsInits()); }

  /// The dims `value` depends on, as bits; `accumulated` when it depends on an old value of an output.
  static constexpr uint64_t accumulated = uint64_t(1) << 63;
  uint64_t depends(mlir::Value value) const { return dependences.lookup(value); }

  /// By how much `value`, of integer or index type, grows when dim `dim` does; nothing when that is not a constant.
  std::optional<int64_t> coefficient(mlir::Value value, unsigned dim) const;
};

/// What a plan takes for an extent or stride that is known at run time only.
constexpr int64_t guessedSize = 1024;

/// Fails when a map is not linear, a layout has negative strides, or the body holds something that has no vector form.
/// Sizes that nothing names are asked for at the builder's place.
mlir::FailureOr<LoopNest> makeLoopNest(mlir::OpBuilder &builder, mlir::linalg::LinalgOp op);

/// How a reduction's result is made: `combiner` takes the accumulator and `term`, which does not depend on any
/// accumulator.
struct Combiner {
  mlir::Operation *op;
  mlir::vector::CombiningKind kind;
  mlir::TypedAttr neutral; // of the accumulator's type
};
/// Nothing when the output is not an associative accumulation. `compute` is the type the accumulation happens in.
std::optional<Combiner> findCombiner(const LoopNest &nest, unsigned output, mlir::Type compute);

/// The type a value of element type `element` is computed in: f32 for f16 and bf16, else itself.
mlir::Type computeType(mlir::Type element);

struct LoopPlan {
  int vectorDim = -1;       // -1: scalar code
  int tileDim = -1;         // a second parallel dim, along which some operand is contiguous: transposed in registers
  bool interleaved = false; // the tile dim is short and written out whole; operands that hold its elements side by side
                            // are (de)interleaved
  unsigned width = 1;       // lanes of a vector
  unsigned unroll = 1;      // vectors a step of the vector loop
  bool streamed = false;    // the output is stored past the caches
  llvm::SmallVector<unsigned> parallelOrder,
      reductionOrder; // outermost first; vectorDim last in its own, tileDim before it
};

/// Elements apart up to which a strided vector is loaded whole and picked from.
constexpr int64_t maxLoadStride = 4;

/// Whether `o` holds the elements of dim `tile` side by side, group after group along `dim`.
bool isInterleaved(const LoopNest &nest, const NestOperand &o, unsigned dim, unsigned tile);

/// A result of at least `streamedBytes` is stored past the caches; 0: none is.
LoopPlan planLoops(const LoopNest &nest, const Machine &machine, int64_t streamedBytes);

/// Whether the points of the parallel dims may be done in any order and at the same time: each writes results of its
/// own.
bool isIndependent(const LoopNest &nest);

/// Writes the loops before the op. The op itself stays. `operation` is its number (ParallelLoops.h).
void emitLoops(mlir::OpBuilder &builder, const LoopNest &nest, const LoopPlan &plan, const Machine &machine,
               int64_t operation = 0);

} // namespace burin::cpu

#endif
