// What all kernel builders share: index arithmetic that folds as it is made, buffers seen as one run of elements,
// conversions to the accumulator's type, and epilogues cloned over scalars or vectors. Holds no schedule: those are in
// Kernel<Family>.cpp.
#ifndef BURIN_PASSES_CPU_KERNELSUPPORT_H
#define BURIN_PASSES_CPU_KERNELSUPPORT_H

#include "dialects/Nn/Nn.h"
#include "lib/Support/Packing.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Builders.h"
#include "passes/Cpu/Sizes.h"
#include <map>

namespace burin::cpu {

using mlir::Type;
using mlir::Value;

/// Emits at `b`'s insertion point. Index operations on constants vanish.
struct Emitter {
  mlir::OpBuilder &b;
  mlir::Location loc;
  int64_t operation = 0;            // whose loops these are: see ParallelLoops.h
  const Machine *machine = nullptr; // whose vectors; null for scalar code
  PixelTile tile = {0, 0};          // that was measured to be fastest; no rows: none

  Value index(int64_t value) { return mlir::arith::ConstantIndexOp::create(b, loc, value); }
  Value add(Value x, Value y) { return b.createOrFold<mlir::arith::AddIOp>(loc, x, y); }
  Value add(Value x, int64_t y) { return y == 0 ? x : add(x, index(y)); }
  Value sub(Value x, Value y) { return b.createOrFold<mlir::arith::SubIOp>(loc, x, y); }
  Value mul(Value x, Value y) { return b.createOrFold<mlir::arith::MulIOp>(loc, x, y); }
  Value mul(Value x, int64_t y) { return y == 1 ? x : y == 0 ? index(0) : mul(x, index(y)); }
  Value index(const Size &size) { return size.isStatic() ? index(size.value()) : size.emit(b, loc); }
  Value add(Value x, const Size &y) { return y.isStatic() ? add(x, y.value()) : add(x, index(y)); }
  Value mul(Value x, const Size &y) { return y.isStatic() ? mul(x, y.value()) : mul(x, index(y)); }
  /// x + count * step + more, with one addition where that is known.
  Value advance(Value x, const Size &step, int64_t count, int64_t more = 0) {
    if (step.isStatic() || count == 0)
      return add(x, step.orElse(0) * count + more);
    return add(add(x, index(step * Size(count))), more);
  }
  /// The largest multiple of `step` up to x, for x >= 0.
  Value wholeOf(Value x, int64_t step) {
    return step == 1 ? x : mul(b.createOrFold<mlir::arith::DivUIOp>(loc, x, index(step)), step);
  }
  Value min(Value x, Value y) { return b.createOrFold<mlir::arith::MinSIOp>(loc, x, y); }
  Value max(Value x, Value y) { return b.createOrFold<mlir::arith::MaxSIOp>(loc, x, y); }
  /// x / y rounded up, for x >= 0.
  Value divUp(Value x, int64_t y) {
    return y == 1 ? x : b.createOrFold<mlir::arith::DivUIOp>(loc, add(x, y - 1), index(y));
  }

  /// for (i = lo; i < hi; i += step) body(i). One iteration known at compile time becomes straight code, none becomes
  /// nothing.
  void loop(Value lo, Value hi, int64_t step, llvm::function_ref<void(Value)> body);
  void loop(int64_t lo, int64_t hi, int64_t step, llvm::function_ref<void(Value)> body) {
    loop(index(lo), index(hi), step, body);
  }
  void loop(int64_t lo, const Size &hi, int64_t step, llvm::function_ref<void(Value)> body) {
    loop(index(lo), index(hi), step, body);
  }
  /// The same where iterations depend neither on one another nor on those of other such loops, so that they may run on
  /// several threads: loops over results. `overlaps`: the last iteration does again what the one before it has done, as
  /// it does wherever a last step is cut short. `sharesInput`: see ParallelLoops.h.
  void parallel(Value lo, Value hi, int64_t step, llvm::function_ref<void(Value)> body, bool overlaps = false,
                bool sharesInput = false);
  void parallel(int64_t lo, const Size &hi, int64_t step, llvm::function_ref<void(Value)> body, bool overlaps = false,
                bool sharesInput = false) {
    parallel(index(lo), index(hi), step, body, overlaps, sharesInput);
  }
  /// Tiles that cover [0, extent) for an extent known at run time only: body(begin, width) with widths of `widths`,
  /// which descend to 1. Narrower ones take what wider ones leave; where that is little less than a tile, one that
  /// starts earlier takes it, so that some points are done twice. Parallel.
  void tiles(Value extent, llvm::ArrayRef<int64_t> widths, llvm::function_ref<void(Value, int64_t)> body);
  /// The same with values carried from one iteration to the next.
  llvm::SmallVector<Value> loop(Value lo, Value hi, int64_t step, mlir::ValueRange inits,
                                llvm::function_ref<llvm::SmallVector<Value>(Value, mlir::ValueRange)> body);

  Value constant(Type scalarOrVector, double value);
  Value broadcast(Value scalar, int64_t lanes);
  /// Lane `lane` of `vector` in all of `lanes`.
  Value broadcastLane(Value vector, int64_t lane, int64_t lanes);
  /// `value`, a scalar or vector, with elements converted to `element`: floats exactly or rounded once, integers
  /// extended or truncated.
  Value convert(Value value, Type element, bool isUnsigned);
  /// a * b + c as one rounding where the machine has it, in two elsewhere; integers wrap.
  Value multiplyAdd(const Machine &machine, Value a, Value b, Value c);
  Value addElements(Value a, Value b);
  /// The sum of a vector's lanes, added by halves.
  Value sumLanes(Value vector);
  /// The sum of each of these vectors' lanes, in order, as lanes of vectors of the same length: three operations a sum
  /// instead of two a halving.
  llvm::SmallVector<Value> sumEach(llvm::ArrayRef<Value> vectors);
};

std::optional<int64_t> constantIndex(Value value);
bool hasFma(const Machine &machine);

/// A buffer as one run of elements. `strides` are in elements, one a dim of the original, as `sizes` are.
struct Flat {
  Value buffer;
  llvm::SmallVector<Size, 4> strides;
  Type element;
  llvm::SmallVector<Size, 4> sizes;

  Value load(Emitter &e, Value at) const { return mlir::memref::LoadOp::create(e.b, e.loc, buffer, at); }
  Value load(Emitter &e, Value at, int64_t lanes) const {
    return mlir::vector::LoadOp::create(e.b, e.loc, mlir::VectorType::get({lanes}, element), buffer, at);
  }
  void store(Emitter &e, Value vector, Value at) const {
    mlir::vector::StoreOp::create(e.b, e.loc, vector, buffer, at);
  }
};

/// Fails for negative strides, and for buffers known to be empty.
mlir::FailureOr<Flat> flatten(Emitter &e, Value memref);

/// The epilogue of an op with its extra operands as linear functions of the result's indices; without an op, none.
class Epilogue {
public:
  struct Extra {
    Flat flat;
    llvm::SmallVector<Size, 4> coefficients; // elements a step of each result dim
    int64_t constant = 0;
  };

  /// Fails when an extra operand is not linear in the result's indices, or when one steps over channels by other than 0
  /// or 1 elements.
  static mlir::FailureOr<Epilogue> get(Emitter &e, nn::ComputeOp op);

  llvm::ArrayRef<Extra> extras() const { return operands; }
  /// Applied to each vector in registers, or worth a loop of its own?
  bool isLong() const { return longBody; }
  /// Where the first that happens to a sum is the addition of an extra of its type that is the same at all pixels: that
  /// extra, for sums to begin with. `apply` then leaves the addition out.
  std::optional<unsigned> takeFirstAddend();
  /// `accumulator`: scalar or vector. `extra(i)`: the value of extra operand i, scalar or vector likewise. With
  /// `until`, a value of the body, no more than that.
  Value apply(Emitter &e, Value accumulator, llvm::function_ref<Value(unsigned)> extra, Value until = nullptr) const;
  /// What the body yields; null without one.
  Value yielded() const;

private:
  nn::ComputeOp op;
  llvm::SmallVector<Extra, 2> operands;
  bool longBody = false;
  Value added; // of the body: what sums hold already
};

/// The epilogue on one element, its extras read at result indices `at` through their maps; then the store. Works for
/// everything that verifies.
void storeElement(Emitter &e, nn::ComputeOp op, Value accumulator, mlir::ValueRange at);

} // namespace burin::cpu

#endif
