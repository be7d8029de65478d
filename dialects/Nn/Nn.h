// The nn dialect: see Nn.td for the conventions all its operations share, and README.md for what is deliberately
// absent.
#ifndef BURIN_DIALECTS_NN_NN_H
#define BURIN_DIALECTS_NN_NN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Nn/NnDialect.h.inc"
#include "dialects/Nn/NnEnums.h.inc"
#include "dialects/Nn/NnInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Nn/NnAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Nn/NnOps.h.inc"

namespace burin::nn {

/// The accumulator an element type has unless an op's `acc` names another: f32 for f16, bf16 and f32, f64 for f64, i32
/// for integers.
mlir::Type defaultAccumulator(mlir::Type element);

/// Gives `op` an epilogue block with its arguments (accumulator, one element of each extra operand) and no terminator.
/// The op must have none yet.
mlir::Block *addEpilogueBlock(ComputeOp op);

/// Adds `operand` to the op's extras, read through `map` (from result indices), and returns the new block argument that
/// stands for one element of it. The op must have an epilogue block. Returns the existing argument when the same
/// operand is read through the same map.
mlir::BlockArgument addEpilogueOperand(ComputeOp op, mlir::Value operand, mlir::AffineMap map);

/// The accumulator value `acc` as an element of type `element`: what an empty epilogue stores. Floats round to nearest
/// even; integers narrow by dropping high bits (saturation is a requantizing epilogue's work).
mlir::Value convertAccumulator(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value acc, mlir::Type element);

/// A constant filter of 8-bit integers packed for dot products of four. A block of `block` output channels is: a word
/// of 32 bits a channel, where its sum begins (zero points folded in); then, for each of `rows` taps, `words` times
/// four bytes a channel. The taps of a row are `run` input elements that lie side by side. Where 4 does not divide
/// `run`, the last word begins earlier instead of being filled up, so that its four inputs lie within the row as well;
/// what the word before holds is zero there. The last block is filled up with zeros.
struct DotLayout {
  int64_t block, run, rows;

  static constexpr int64_t group = 4;
  int64_t words() const { return (run + group - 1) / group; }
  int64_t blockBytes() const { return group * block * (1 + rows * words()); }
  /// The first input element of a word of a row.
  int64_t start(int64_t word) const { return word + 1 < words() ? word * group : std::max<int64_t>(0, run - group); }
  /// The word that holds input element i of a row.
  int64_t wordOf(int64_t i) const { return i / group; }
  /// Where weight i of tap `row` and channel `lane` lies in its block.
  int64_t byteOf(int64_t row, int64_t i, int64_t lane) const {
    return ((1 + row * words() + wordOf(i)) * block + lane) * group + i - start(wordOf(i));
  }
};

/// True if the last spatial dim of a filter lies in the run: its taps and the channels are side by side in the input,
/// and that fills words better.
bool dotRunHasColumns(ConvOp conv, mlir::ArrayRef<int64_t> kernel);
/// The layout of `conv`'s filter for blocks of `block` channels; `kernel` are its spatial extents.
DotLayout dotLayout(ConvOp conv, mlir::ArrayRef<int64_t> kernel, int64_t block);
DotLayout dotLayout(MatmulOp matmul, int64_t block);
/// True if the op's constant operand is packed in a DotLayout.
bool isPackedForDots(ConvOp conv);
bool isPackedForDots(MatmulOp matmul);

/// Registers how nn ops become memref ops (for one-shot bufferization).
void registerBufferizableOpInterface(mlir::DialectRegistry &registry);

} // namespace burin::nn

#endif
