// Private: nodes that a C function computes (foreign.call): strings and operators that the user binds.
#ifndef BURIN_PASSES_LOWER_CALLS_H
#define BURIN_PASSES_LOWER_CALLS_H

#include "dialects/Foreign/Foreign.h"
#include "passes/Lower/Lowering.h"

namespace burin::lower {

/// A tensor as a C function gets it: row-major, with its burin_dtype; a null value is an absent input.
struct Argument {
  mlir::Value tensor;
  int32_t dtype = 0;
};

/// The dtype and tensor of an operand of the node.
Argument argument(Lowering &l, mlir::Value operand);
/// The same, broadcast to a shape.
Argument broadcastArgument(Lowering &l, mlir::Value operand, llvm::ArrayRef<int64_t> shape);

/// Computes `results` of `op` by `callee`, and ends the run where that fails. Results whose dims are not known take
/// those that the function tells, in a call before. `ownStatus`: of the function, with which the run ends as well;
/// other failures end it with BURIN_ERROR_CALL.
mlir::LogicalResult callFunction(Lowering &l, mlir::Operation *op, llvm::StringRef callee,
                                 llvm::ArrayRef<Argument> inputs, mlir::ValueRange results,
                                 mlir::DictionaryAttr attributes, int32_t ownStatus = 0);

/// The node's own attributes, as far as a C function can take them.
mlir::DictionaryAttr nodeAttributes(mlir::Operation *op);

/// A constant tensor of strings, placed in `order`.
mlir::Value stringConstant(Lowering &l, mlir::Value v, llvm::ArrayRef<int64_t> order);

bool isString(mlir::Type type);
/// Operators that compute on strings or only move them.
bool takesStrings(mlir::Operation *op);

void populateCallLowerings(Registry &registry);
void populateTextLowerings(Registry &registry);

} // namespace burin::lower

#endif
