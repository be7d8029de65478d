// Private tools of this room: remarks, constants, operators named after the node they come from.
#ifndef BURIN_PASSES_QUANT_REWRITING_H
#define BURIN_PASSES_QUANT_REWRITING_H

#include "dialects/Onnx/Bridge.h"
#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace burin::quant {

/// On a product: bits of an index and number of codebooks, what ShareWeights made of it.
inline constexpr char sharedAttr[] = "burin.shared";

/// Says that `rewrite` of `pass` fired on `op`, or why it did not.
void passed(mlir::Operation *op, llvm::StringRef pass, llvm::StringRef rewrite, const llvm::Twine &what = "");
void missed(mlir::Operation *op, llvm::StringRef pass, llvm::StringRef rewrite, const llvm::Twine &why);
/// The closing line of a pass: how often it fired.
void counted(mlir::Operation *root, llvm::StringRef pass, unsigned count);

/// The function of the model: `main`, or the only one; null where there is none.
mlir::func::FuncOp mainOf(mlir::ModuleOp module);

/// The node's location with `suffix` behind its name.
mlir::Location named(mlir::Location loc, llvm::StringRef suffix);
mlir::Value constant(mlir::OpBuilder &b, mlir::Location loc, mlir::ElementsAttr value);
mlir::Value noValue(mlir::OpBuilder &b, mlir::Location loc);
/// A scalar constant of a float or integer type.
mlir::Value scalar(mlir::OpBuilder &b, mlir::Location loc, mlir::Type element, double value);
/// An operator of one result of this type.
template <typename OpTy>
mlir::Value make(mlir::OpBuilder &b, mlir::Location loc, mlir::Type type, mlir::ValueRange operands,
                 llvm::ArrayRef<mlir::NamedAttribute> attributes = {}) {
  return OpTy::create(b, loc, mlir::TypeRange(type), operands, attributes)->getResult(0);
}

/// A tensor of f32 of known shape, or null.
mlir::RankedTensorType floatTensor(mlir::Value value);
/// The f32 constant behind a value, or null.
mlir::ElementsAttr floatConstant(mlir::Value value);
bool isConstant(mlir::Value value);
/// Erases constants that nothing reads any more.
void eraseUnused(mlir::func::FuncOp function);

} // namespace burin::quant

#endif
