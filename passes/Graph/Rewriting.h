// Private tools of the graph room: one forward walk that all rewrites share, replacing with types kept, remarks, and
// the few questions every pattern asks. Patterns match at the LAST operator of what they replace, so one walk in order
// lets a rewrite see the result of the one before it and the room stays linear in nodes.
#ifndef BURIN_PASSES_GRAPH_REWRITING_H
#define BURIN_PASSES_GRAPH_REWRITING_H

#include "dialects/Onnx/Bridge.h"
#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/Remarks.h"

#include <optional>

namespace burin::graph {

/// Says that `rewrite` of `pass` fired on `op`. Lazy: costs a branch where remarks are off.
void passed(mlir::Operation *op, llvm::StringRef pass, llvm::StringRef rewrite, const llvm::Twine &what = "");
/// Says why a near miss did not fire. Always false, so that a pattern ends in `return missed(...)`.
bool missed(mlir::Operation *op, llvm::StringRef pass, llvm::StringRef rewrite, const llvm::Twine &why);
/// The closing line of a pass: how often it fired.
void counted(mlir::Operation *root, llvm::StringRef pass, unsigned count);

/// Visits every onnx operator under `root` once, in order, regions before the operator that holds them. `rewrite` may
/// replace or erase the operator it gets, and dead ones before it; what it builds in front is not visited.
/// Returns how often it answered true.
unsigned rewriteForward(mlir::Operation *root, llvm::function_ref<bool(mlir::Operation *)> rewrite);

/// Replaces the results of `op`, erases it and every producer that this leaves without use. A value takes the narrower
/// of both types where it is no argument. Fails, changing nothing, where a terminator would see another type.
bool replace(mlir::Operation *op, mlir::ValueRange values);
/// Replaces `op` by `value`, built in front of it (null: nothing was), and reports `rewrite` of `pass`. Where the value
/// does not fit, it is erased and the answer is false.
bool replaceBy(mlir::Operation *op, mlir::Value value, llvm::StringRef pass, llvm::StringRef rewrite);
/// Erases `op` if nothing uses it and it has no effect, and so on upwards.
void eraseDead(mlir::Operation *op);
/// Erases all dead operators under `root`; true if there was one.
bool eraseAllDead(mlir::Operation *root);

/// The narrower of two types that describe one value: static dims win, names survive where a dim stays dynamic.
mlir::Type narrower(mlir::Type a, mlir::Type b);
/// Builds an operator with the result types ONNX infers; results from `present` on are absent. Null (nothing built)
/// where inference refuses.
mlir::Operation *build(mlir::OpBuilder &builder, mlir::Location loc, llvm::StringRef name, mlir::ValueRange operands,
                       llvm::ArrayRef<mlir::NamedAttribute> attributes = {}, unsigned results = 1,
                       unsigned present = 1);
/// The same in front of `op`, at `loc`.
template <typename OpTy>
mlir::Value build(mlir::OpBuilder &builder, mlir::Location loc, mlir::ValueRange operands,
                  llvm::ArrayRef<mlir::NamedAttribute> attributes = {}) {
  mlir::Operation *op = build(builder, loc, OpTy::getOperationName(), operands, attributes);
  return op ? op->getResult(0) : mlir::Value();
}
mlir::Value noValue(mlir::OpBuilder &builder, mlir::Location loc);
mlir::Value constant(mlir::OpBuilder &builder, mlir::Location loc, mlir::ElementsAttr value);
/// A scalar constant of a float or integer type.
mlir::Value scalar(mlir::OpBuilder &builder, mlir::Location loc, mlir::Type elementType, double value);

/// Copies the operators of a body to the builder's place; `arguments` become what the body takes. What it yields, as
/// values of the copy.
llvm::SmallVector<mlir::Value> copyBody(mlir::Block &body, mlir::ValueRange arguments, mlir::OpBuilder &builder);

/// One location that names all the operators a rewrite replaced, the first one first.
mlir::Location fuse(llvm::ArrayRef<mlir::Operation *> ops);

/// Static ranked tensor type, or null.
mlir::RankedTensorType staticType(mlir::Value value);
mlir::RankedTensorType rankedType(mlir::Value value);
/// Element types and shapes equal, names of dims aside.
bool sameType(mlir::Type a, mlir::Type b);
/// True if dim `i` of `a` is known to be dim `j` of `b`, by number or by a name that tells dims apart.
bool sameDim(mlir::RankedTensorType a, int64_t i, mlir::RankedTensorType b, int64_t j);
/// The one value all elements of a float or integer constant have.
std::optional<double> uniform(mlir::Value value);
/// True if `value` is a float constant whose elements all are within rounding of `x` (1e-3 for f16 and bf16, else
/// 1e-6).
bool isAbout(mlir::Value value, double x);
/// The defining operator if it is an OpTy.
template <typename OpTy> OpTy definedBy(mlir::Value value) { return value ? value.getDefiningOp<OpTy>() : OpTy(); }
/// A bool attribute-free view of `perm`: the explicit permutation of a Transpose (reversal where none is given).
llvm::SmallVector<int64_t> permutation(onnx::TransposeOp op, int64_t rank);
/// Explicit pads, begins then ends, of an operator over `rank` spatial dims; nothing for SAME_* auto_pad.
template <typename OpTy> std::optional<llvm::SmallVector<int64_t>> explicitPads(OpTy op, int64_t rank) {
  llvm::SmallVector<int64_t> pads(2 * rank, 0);
  if (op.getAutoPad() == "VALID")
    return pads;
  if (op.getAutoPad() != "NOTSET")
    return std::nullopt;
  if (auto given = op.getPads())
    if (int64_t(given->size()) == 2 * rank)
      pads.assign(given->begin(), given->end());
  return pads;
}

} // namespace burin::graph

#endif
