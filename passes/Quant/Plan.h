// Which operators of a function compute on integers, and which activations are therefore quantized. Private to the
// room. The rule: products with constant weights do; what lies between two of them does where it can; what no integer
// operator reads stays float, so that a sum before a normalization or an output keeps its precision.
#ifndef BURIN_PASSES_QUANT_PLAN_H
#define BURIN_PASSES_QUANT_PLAN_H

#include "passes/Quant/Passes.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SetVector.h"

namespace burin::quant {

enum class Role {
  None,
  Product,     // Conv, ConvTranspose, Gemm, MatMul with constant weights: i32 sums
  Elementwise, // result has a scale of its own: sums, products, pools, functions
  Concat,      // operands and result may share a scale
  Move         // operand and result do share one: the integers pass through
};

struct Plan {
  llvm::SetVector<mlir::Operation *> integer; // in order
  llvm::SetVector<mlir::Value> quantized;     // activations that integer operators read, in order
  /// Relu, Clip and sums with a constant that are part of the integer operator before them.
  llvm::DenseSet<mlir::Operation *> tails;
};

/// `needsRanges`: an operator stays float where an activation that it reads or that is read of it has no range.
Plan makePlan(mlir::func::FuncOp function, const Selection &selection, bool needsRanges);

Role roleOf(mlir::Operation *op);
/// The operands of an operator with a role that are activations.
llvm::SmallVector<mlir::OpOperand *> activationOperands(mlir::Operation *op);
/// What stands for the result of a planned operator: that of the last of its tails.
mlir::Value resultOf(mlir::Operation *op, const Plan &plan);

} // namespace burin::quant

#endif
