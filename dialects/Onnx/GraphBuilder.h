// Builds onnx operations from NodeProtos and GraphProtos: the importer's last step, and how a function body is put in
// place of its node. Names are scoped as ONNX scopes them; subgraphs capture outer values as plain SSA uses. Attributes
// and arity are checked against the schema here, because generated accessors trust them.
#pragma once

#include "dialects/Onnx/Bridge.h"
#include "dialects/Onnx/Proto.h"

#include "llvm/ADT/StringMap.h"

namespace burin::onnx {

class GraphBuilder {
public:
  struct Hooks {
    /// Reads a tensor message; by default getTensor.
    TensorReader tensor;
    /// Where a node comes from.
    std::function<mlir::Location(const ::onnx::NodeProto &)> location;
    /// For attributes that refer to a function's own (`ref_attr_name`); null where the caller does not set it.
    std::function<const ::onnx::AttributeProto *(llvm::StringRef)> functionAttr;
  };

  /// `opsets`: the version of each domain in use ("" for ONNX's own).
  GraphBuilder(mlir::OpBuilder &builder, llvm::StringMap<int64_t> opsets, Hooks hooks);

  /// Whether types are inferred node by node (outermost nodes only; regions are inferred with their operator).
  bool inferTypes = true;
  /// Subgraphs deeper than this are refused.
  unsigned maxNesting = 64;

  void define(llvm::StringRef name, mlir::Value value);
  /// Null where nothing of that name is in scope.
  mlir::Value lookup(llvm::StringRef name) const;
  /// Types declared for the values of the current scope.
  mlir::LogicalResult declare(const ::onnx::GraphProto &graph, mlir::Location loc);

  mlir::LogicalResult addInitializers(const ::onnx::GraphProto &graph, mlir::Location loc);
  mlir::LogicalResult addNode(const ::onnx::NodeProto &node);
  ShapeValues &getShapeValues() { return values; }

private:
  struct Scope {
    llvm::StringMap<mlir::Value> values;
    llvm::StringMap<mlir::Type> declared;
  };
  mlir::LogicalResult addConstant(const ::onnx::NodeProto &node, mlir::Location loc);
  mlir::LogicalResult addCustom(const ::onnx::NodeProto &node, mlir::Location loc);
  mlir::LogicalResult addSubgraph(const ::onnx::GraphProto &graph, mlir::Region &region, mlir::Location loc);
  mlir::Value getInput(const std::string &name, mlir::Location loc);
  mlir::Value noValue(mlir::Location loc);
  mlir::Type resultType(const std::string &name);
  mlir::LogicalResult finish(mlir::Operation *op, const ::onnx::NodeProto &node);

  mlir::OpBuilder &builder;
  llvm::StringMap<int64_t> opsets;
  Hooks hooks;
  llvm::SmallVector<std::unique_ptr<Scope>> scopes;
  ShapeValues values;
  llvm::DenseMap<mlir::Block *, mlir::Value> noValues;
};

} // namespace burin::onnx
