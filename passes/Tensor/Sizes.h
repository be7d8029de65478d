// Private header of the room: sizes that are known when the dims of @main's arguments are.
#ifndef BURIN_PASSES_TENSOR_SIZES_H
#define BURIN_PASSES_TENSOR_SIZES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"

namespace burin {

/// Whether a value is arithmetic on dims of the arguments of one function, and nothing else.
class DimArithmetic {
public:
  explicit DimArithmetic(mlir::func::FuncOp function) : function(function) {}

  bool holds(mlir::Value value);

  /// Moves what computes `value` in front of `anchor`, an operation of the function's entry block. `value` must hold.
  void hoist(mlir::Value value, mlir::Operation *anchor);

private:
  mlir::func::FuncOp function;
  llvm::DenseMap<mlir::Operation *, bool> known;
  llvm::DenseSet<mlir::Operation *> hoisted;
};

/// What such values are when the arguments have certain dims.
class SizeSample {
public:
  using DimOf = llvm::function_ref<int64_t(mlir::BlockArgument, int64_t)>;

  /// Nothing where the arithmetic has no result, such as a division by zero.
  std::optional<int64_t> evaluate(mlir::Value value, DimOf dimOf);

private:
  mlir::Attribute fold(mlir::Value value, DimOf dimOf);
  llvm::DenseMap<mlir::Value, mlir::Attribute> known;
};

/// The argument and dim that a tensor.dim or memref.dim of an argument asks for.
std::optional<std::pair<mlir::BlockArgument, int64_t>> argumentDim(mlir::Operation *op);

} // namespace burin

#endif
