// Private: what is known of every tensor's dims, and of the elements of shape-like tensors, as Sizes. One forward walk
// over a function, regions included, without a change to the IR but the narrowing of types.
#ifndef BURIN_PASSES_GRAPH_SYMBOLICSHAPES_H
#define BURIN_PASSES_GRAPH_SYMBOLICSHAPES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Graph/Sizes.h"
#include "llvm/ADT/DenseMap.h"

#include <memory>

namespace burin::graph {

using Dims = llvm::SmallVector<Size>;
/// Elements of an integer or boolean tensor, in order; nothing for one that is not known.
using Elements = llvm::SmallVector<std::optional<Size>>;

class SymbolicShapes {
public:
  explicit SymbolicShapes(mlir::func::FuncOp func);

  /// The dims of a ranked tensor; null where the rank is unknown.
  const Dims *dims(mlir::Value value);
  /// The elements of a shape-like tensor; null where nothing is known.
  const Elements *elements(mlir::Value value);
  /// The dims `op` would have with these for its operands; nothing where it has no rule here.
  std::optional<llvm::SmallVector<Dims>> infer(mlir::Operation *op, llvm::ArrayRef<const Dims *> operands);

  SizeTable table;

private:
  void visitBlock(mlir::Block &block);
  void visit(mlir::Operation *op);
  void record(mlir::Value value, const Dims *computed);
  std::optional<Elements> compute(mlir::Operation *op);
  std::optional<Dims> window(mlir::Operation *op, const Dims &x, const Dims *weights);
  std::optional<Dims> reshape(mlir::Operation *op, const Dims &x);
  std::optional<Dims> slice(mlir::Operation *op, const Dims &x);
  std::optional<Dims> broadcast(llvm::ArrayRef<const Dims *> shapes);
  std::optional<Size> broadcast(const Size &a, const Size &b);
  Size sum(const Size &a, const Size &b, int64_t factor = 1);
  Size product(const Size &a, const Size &b);

  // By pointer: what `dims` and `elements` gave out stays where it is while more is found.
  llvm::DenseMap<mlir::Value, std::unique_ptr<Dims>> shapes;
  llvm::DenseMap<mlir::Value, std::unique_ptr<Elements>> contents;
  bool learned = false;
};

/// A name that tells a dim from others; "?" and "-1" are exporters' words for "unknown".
bool isDimName(llvm::StringRef name);

} // namespace burin::graph

#endif
