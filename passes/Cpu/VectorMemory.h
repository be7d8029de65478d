// Private header of the room: reading and writing part of a flat buffer as a vector, on machines with and without
// masks.
#ifndef BURIN_PASSES_CPU_VECTORMEMORY_H
#define BURIN_PASSES_CPU_VECTORMEMORY_H

#include "lib/Support/Machine.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace burin::cpu {

/// Bytes.
constexpr int64_t cacheLine = 64;

class VectorMemory {
public:
  VectorMemory(mlir::ImplicitLocOpBuilder &b, const Machine &machine) : b(b), machine(machine) {}

  /// `memref` as a memref of rank 1; i1 elements become the i8 they are stored in.
  mlir::Value flatten(mlir::Value memref);

  /// offset + constant
  mlir::Value plus(mlir::Value offset, int64_t constant);
  /// vector<width x i1>, the first `active` lanes set
  mlir::Value mask(unsigned width, unsigned active);
  /// The same for the lanes of the vector at `begin` + `shift` that lie before `end`, both known at run time only.
  mlir::Value lanesBefore(mlir::Value end, mlir::Value begin, unsigned width, int64_t shift = 0);
  /// The largest multiple of a power of two up to `extent`.
  mlir::Value wholeOf(mlir::Value extent, int64_t group);
  /// i8 in memory -> i1
  mlir::Value toBool(mlir::Value stored);

  // Lanes from `active` on are not read; what they hold is unspecified but harmless (zero).
  mlir::Value loadScalar(mlir::Value buffer, mlir::Value offset);
  mlir::Value loadStrided(mlir::Value buffer, mlir::Value offset, int64_t step, unsigned width, unsigned active);
  mlir::Value loadLanes(mlir::Value buffer, mlir::Value offsets, unsigned width, unsigned active);

  /// Lanes that are not set are neither read nor written.
  mlir::Value loadMasked(mlir::Value buffer, mlir::Value offset, mlir::Value lanes);
  void storeMasked(mlir::Value vector, mlir::Value buffer, mlir::Value offset, mlir::Value lanes);

  void storeScalar(mlir::Value value, mlir::Value buffer, mlir::Value offset);
  /// Past the caches: the place is a multiple of the vector's size.
  void storePast(mlir::Value vector, mlir::Value buffer, mlir::Value offset);
  /// How many elements of `bytes` bytes lie between `offset` and the next cache line.
  mlir::Value elementsToLine(mlir::Value buffer, mlir::Value offset, int64_t bytes);
  void storeStrided(mlir::Value vector, mlir::Value buffer, mlir::Value offset, int64_t step, unsigned active);

  /// rows[r][c] -> rows[c][r]. There may be fewer rows than the square's `size`; only the first `columns` results are
  /// made.
  void transpose(llvm::SmallVectorImpl<mlir::Value> &rows, unsigned size, unsigned columns);

  /// Lane l of the result is element `column + l * columns` of the vectors laid end to end.
  mlir::Value deinterleave(llvm::ArrayRef<mlir::Value> parts, unsigned column, unsigned columns, unsigned width);
  /// Elements start, start + 1, ... of the columns read one lane of each at a time.
  mlir::Value interleave(llvm::ArrayRef<mlir::Value> columns, unsigned start, unsigned width);

private:
  mlir::Value gather(llvm::ArrayRef<mlir::Value> sources, llvm::ArrayRef<std::pair<int, int>> lanes);
  mlir::Value shuffle(mlir::Value a, mlir::Value c, llvm::ArrayRef<int64_t> lanes);
  mlir::ImplicitLocOpBuilder &b;
  const Machine &machine;
};

} // namespace burin::cpu

#endif
