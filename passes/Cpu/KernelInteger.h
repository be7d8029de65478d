// Dot products of 8-bit integers: four products a 32-bit lane and step, by whatever the machine has for them. What the
// contraction kernel does where its weights are packed for that (nn::DotLayout); holds no schedule.
#ifndef BURIN_PASSES_CPU_KERNELINTEGER_H
#define BURIN_PASSES_CPU_KERNELINTEGER_H

#include "passes/Cpu/KernelSupport.h"

namespace burin::cpu {

struct ByteDots {
  Emitter &e;
  const Machine &machine;
  bool inputUnsigned;

  /// A vector of groups of four bytes as the machine's instruction takes it: itself, or the halves of each group as 16
  /// bits.
  using Parts = llvm::SmallVector<Value, 2>;

  /// Four input bytes at `at`, `valid` of them there and the rest zero, for each of `lanes` sums.
  Parts input(const Flat &flat, Value at, int64_t valid, int64_t lanes);
  /// `count` neighbouring groups of input bytes, and one of them for each of `lanes` sums.
  Value neighbours(const Flat &flat, Value at, int64_t count);
  Parts inputOf(Value neighbours, int64_t lane, int64_t lanes);
  /// Four weights for each of `lanes` sums.
  Parts weights(const Flat &flat, Value at, int64_t lanes);
  /// A vector of bytes, which holds inputs or weights.
  Parts parts(Value bytes, bool isInput);
  /// acc + the products of each group.
  Value multiplyAdd(const Parts &input, const Parts &weights, Value acc);

  /// Are there products of two rows of eight bytes by two columns, which sum squares of results: rows p and p + 1 by
  /// columns 0 and 1, or 2 and 3, of a vector of four?
  bool hasSquares() const { return machine.byteProducts == ByteProducts::NeonMixed; }
  /// Two rows of four sums as two squares; and back.
  std::pair<Value, Value> squares(Value first, Value second);
  /// Words `at` and `at + 1` (zeros where there is one left) of two rows of neighbours.
  Value rowsOf(Value first, Value second, int64_t at);
  /// Two steps' weights of four columns (the second null for zeros), two columns a register.
  std::pair<Value, Value> columnsOf(Value first, Value second);
  Value multiplyAddSquare(Value rows, Value columns, Value acc);

  /// Words of 32 bits in a buffer of bytes, as many as lanes.
  Value words(const Flat &flat, Value at, int64_t lanes);

private:
  Value intrinsic(llvm::StringRef name, Type type, mlir::ValueRange operands);
  Value shifted(Value words);
  Value bitcast(Value vector, int64_t lanes, unsigned bits);
  Parts halves(Value bytes, int64_t lanes, bool isUnsigned);
};

/// `valid` elements from `at` in a vector of `lanes`, whatever in the others; reads nothing beyond them.
Value loadPart(Emitter &e, const Machine &machine, const Flat &flat, Value at, int64_t valid, int64_t lanes);
/// Stores the first `valid` elements.
void storePart(Emitter &e, const Machine &machine, const Flat &flat, Value vector, Value at, int64_t valid);

/// Depthwise convolutions of bytes (KernelDepthwiseDots.cpp), where the machine has products for them; fails where
/// emitDepthwiseConv's other kernel must do.
bool hasDepthwiseDots(const Machine &machine, nn::DepthwiseConvOp op);
mlir::LogicalResult emitDepthwiseDots(Emitter &e, const Machine &machine, nn::DepthwiseConvOp op, std::string &reason);

} // namespace burin::cpu

#endif
