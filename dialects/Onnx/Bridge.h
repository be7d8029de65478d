// The bridge from onnx operators to the ONNX library's own functions: type and shape inference with data propagation,
// node verification, function bodies. This header shows none of ONNX's; no exception leaves the functions.
#pragma once

#include "dialects/Onnx/Onnx.h"

#include <memory>
#include <optional>

namespace burin::onnx {

/// What data propagation knows of the values of shape-like tensors (Shape -> Gather -> Concat -> Reshape), by Value.
/// One object serves one walk over a function; forget it when the IR changes.
class ShapeValues {
public:
  ShapeValues();
  ~ShapeValues();
  ShapeValues(const ShapeValues &) = delete;
  /// The elements of `value`, kDynamic where one is unknown; nothing where nothing is known.
  std::optional<llvm::SmallVector<int64_t>> get(mlir::Value value) const;
  struct Impl;
  std::unique_ptr<Impl> impl;
};

/// The result types of `op` by ONNX's inference, one a result (`none` for absent ones, `!onnx.any` where nothing is
/// known), merged with what the present types know already. Constants up to 1024 elements are given to it. An operator
/// with regions infers them first, in place (block arguments and results inside get their types). Emits one located
/// error where shapes or types conflict.
mlir::LogicalResult inferReturnTypes(mlir::Operation *op, llvm::SmallVectorImpl<mlir::Type> &types,
                                     ShapeValues &values);

/// Infers and sets the result types of every operator of a block in order, regions included. The caller updates the
/// function type from the terminator's operands.
mlir::LogicalResult inferBlock(mlir::Block &block, ShapeValues &values);

/// Infers the whole function and updates its result types. Argument types are taken as given.
mlir::LogicalResult inferFunction(mlir::Operation *func);

/// Checks one node against its schema: arity, attributes, operand types. Emits one located error.
mlir::LogicalResult verifyNode(mlir::Operation *op);

/// True if ONNX defines `op` by a body of other operators.
bool hasFunctionBody(mlir::Operation *op);

/// Replaces `op` by the nodes of its ONNX function body (context dependent or static), types inferred, locations fused
/// with the op's own. Fails without a diagnostic and without a change where there is none.
mlir::LogicalResult expandFunctionBody(mlir::Operation *op);

} // namespace burin::onnx
