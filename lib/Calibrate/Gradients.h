// Gradients of a graph's outputs by its products' results, as more of the same graph: reverse accumulation over the
// operators of image and text networks. What pruning by Fisher information and by gradients measures.
#ifndef BURIN_LIB_CALIBRATE_GRADIENTS_H
#define BURIN_LIB_CALIBRATE_GRADIENTS_H

#include "dialects/Onnx/Onnx.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"

namespace burin {

class Gradients {
public:
  /// Operators are added before the end of `main`, whose tensors need static shapes to be reached.
  explicit Gradients(mlir::func::FuncOp main) : main(main), b(main.front().getTerminator()) {}

  /// The gradient of the number that is differentiated by one of the graph's values. Before `run`.
  void seed(mlir::Value value, mlir::Value gradient) { add(value, gradient); }
  /// Before `run`: what depends on this value has no known gradient.
  void refuse(mlir::Value value) { unknown.insert(value); }
  /// Walks from the end to the begin.
  void run();
  /// The gradient by `value`; null where there is none, or where an operator behind it has no known derivative.
  mlir::Value of(mlir::Value value) const;

private:
  bool visit(mlir::Operation *op, mlir::Value g); // false: no known derivative
  bool visitProduct(mlir::Operation *op, mlir::Value g);
  bool visitMean(mlir::Operation *op, mlir::Value g);
  void visitNormalization(onnx::LayerNormalizationOp op, mlir::Value g);
  bool visitAveragePool(onnx::AveragePoolOp op, mlir::Value g);

  void add(mlir::Value value, mlir::Value gradient);
  mlir::Value make(llvm::StringRef name, mlir::Type type, mlir::ValueRange operands,
                   llvm::ArrayRef<mlir::NamedAttribute> attributes = {});
  mlir::Value splat(double value);
  mlir::Value times(mlir::Value x, mlir::Value y);
  mlir::Value reshape(mlir::Value x, mlir::Type type);
  mlir::Value transposed(mlir::Value matrix);                    // its last two dims
  mlir::Value summed(mlir::Value x, mlir::Type type);            // over the dims that `type` was repeated along
  mlir::Value mean(mlir::Value x, llvm::ArrayRef<int64_t> axes); // these dims become 1

  mlir::func::FuncOp main;
  mlir::OpBuilder b;
  mlir::Location loc = b.getUnknownLoc();
  llvm::DenseMap<mlir::Value, mlir::Value> gradients;
  llvm::DenseSet<mlir::Value> unknown; // some way from here to the outputs has no known derivative
};

} // namespace burin

#endif
