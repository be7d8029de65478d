// The one semantics of constant folding: whoever folds hands over a function without arguments and gets its results'
// values. Declared here so that Graph and Quant see only this; lib/Pipeline implements it by compiling and running the
// function.
#ifndef BURIN_LIB_SUPPORT_EVALUATOR_H
#define BURIN_LIB_SUPPORT_EVALUATOR_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace burin {

class Evaluator {
public:
  virtual ~Evaluator() = default;

  /// Computes every result of `function`: a func.func of onnx ops with constants only, no arguments, static result
  /// shapes. Returns one value a result, in its type, splats as splats; large ones as resource blobs that the context
  /// owns. Fails without a diagnostic when something in it cannot run yet: the caller then leaves it unfolded.
  virtual mlir::FailureOr<llvm::SmallVector<mlir::ElementsAttr>> evaluate(mlir::func::FuncOp function) = 0;
};

} // namespace burin

#endif
