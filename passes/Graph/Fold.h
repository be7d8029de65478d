// Private: constant folding of one operator, in host memory, with ONNX's semantics. Two families: elementwise
// arithmetic (FoldElementwise.cpp) and everything that only moves elements or computes shapes (FoldMovement.cpp).
// Values travel as raw bytes in ONNX's layout; a splat travels as one element, so its size never matters.
#ifndef BURIN_PASSES_GRAPH_FOLD_H
#define BURIN_PASSES_GRAPH_FOLD_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"

#include <memory>
#include <optional>
#include <vector>

namespace burin::graph {

struct Literal {
  mlir::RankedTensorType type;
  bool splat = false;
  /// One element where `splat`, else all; any alignment.
  llvm::ArrayRef<char> bytes;
  std::shared_ptr<void> owner;
  /// Where the literal is an attribute already: kept, so that reinterpretation shares its blob.
  mlir::ElementsAttr attr;

  int64_t count() const { return type.getNumElements(); }
};

/// Nothing where the element type is narrower than a byte, a string, or the blob is missing.
std::optional<Literal> readLiteral(mlir::ElementsAttr attr);
/// Fresh memory for `type`, uninitialized; `data` points at it.
Literal makeLiteral(mlir::RankedTensorType type, bool splat, char *&data);
mlir::ElementsAttr toAttr(const Literal &literal, llvm::StringRef name);
/// The same elements in another shape; shares bytes.
Literal reshaped(const Literal &literal, mlir::RankedTensorType type);
/// The elements as integers (booleans as 0 and 1); nothing for float types.
std::optional<llvm::SmallVector<int64_t>> integers(const Literal &literal);
/// The elements as doubles, any numeric type.
std::optional<llvm::SmallVector<double>> doubles(const Literal &literal);
/// f16, bf16, f32, f64 from doubles (rounded once); a splat where all are equal.
Literal fromDoubles(mlir::RankedTensorType type, llvm::ArrayRef<double> values);
Literal fromIntegers(mlir::RankedTensorType type, llvm::ArrayRef<int64_t> values);

/// Folds an elementwise operator with numpy broadcasting, any size. Nothing where the operator is none of the family or
/// its result is not defined (division by zero of integers).
std::optional<Literal> foldElementwise(mlir::Operation *op, llvm::ArrayRef<std::optional<Literal>> operands,
                                       mlir::RankedTensorType result);
/// The same for two literals and one of Add, Sub, Mul, Div by its class's name.
std::optional<Literal> foldBinary(llvm::StringRef op, const Literal &a, const Literal &b,
                                  mlir::RankedTensorType result);

/// Folds an operator that moves, selects or counts elements. One literal a result.
std::optional<llvm::SmallVector<Literal>> foldMovement(mlir::Operation *op,
                                                       llvm::ArrayRef<std::optional<Literal>> operands,
                                                       llvm::ArrayRef<mlir::RankedTensorType> results);

/// Either family. Operands that are absent are nothing; results must be static.
std::optional<llvm::SmallVector<Literal>> fold(mlir::Operation *op, llvm::ArrayRef<std::optional<Literal>> operands,
                                               llvm::ArrayRef<mlir::RankedTensorType> results);

/// Folds `op` if all its operands are constants, in place: constants take its place and it is erased. The way for a
/// rewrite to build constant arithmetic that leaves no trace.
mlir::Value foldOrKeep(mlir::Operation *op);

} // namespace burin::graph

#endif
