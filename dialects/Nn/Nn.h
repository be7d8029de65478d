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

/// Registers how nn ops become memref ops (for one-shot bufferization).
void registerBufferizableOpInterface(mlir::DialectRegistry &registry);

} // namespace burin::nn

#endif
