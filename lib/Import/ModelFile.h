// What the importer works on: the parsed skeleton, the weights its markers stand for, and who each node is. Private to
// lib/Import; sees ONNX's headers.
#pragma once

#include "dialects/Onnx/Proto.h"
#include "lib/Import/Skeleton.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

#include <memory>

namespace burin {

struct ModelFile {
  mlir::MLIRContext *context;
  std::string name; // as messages show it
  ::onnx::ModelProto proto;
  Skeleton skeleton;
  /// Keeps the mapped files alive; parallel to skeleton.weights.
  std::vector<std::shared_ptr<void>> owners;

  ModelFile(mlir::MLIRContext *context, llvm::StringRef name) : context(context), name(name.str()) {}

  mlir::Location fileLoc() const;

  /// Numbers the nodes and remembers name, operator and opset of each as the file has them; before any conversion.
  void nameNodes();
  /// The location of a node, also of one that a conversion made (it then bears its consumer's).
  mlir::Location locate(const ::onnx::NodeProto &node) const;
  /// Prepares `locate` for nodes that conversions made.
  void indexConsumers();

  /// Whether the bytes of a tensor, or of the weight it stands for, fit its shape.
  bool checkTensor(const ::onnx::TensorProto &tensor, std::string &error) const;
  /// A tensor with its weight; null with `error` set where bytes and shape do not fit.
  mlir::ElementsAttr readTensor(const ::onnx::TensorProto &tensor, std::string &error) const;

private:
  struct Known {
    std::string name, kind;
    unsigned index;
  };
  void nameGraph(const ::onnx::GraphProto &graph);
  void nameNode(const ::onnx::NodeProto &node, int64_t defaultOpset);
  void indexGraph(const ::onnx::GraphProto &graph);
  std::vector<Known> nodes;
  llvm::StringMap<unsigned> byOutput;                   // value -> node
  llvm::StringMap<unsigned> byOutputAndName;            // value and node name -> node: branches may reuse names
  llvm::StringMap<const ::onnx::NodeProto *> consumers; // value -> its first reader
};

/// Refuses what ONNX's own functions must not see: names that nothing defines or that are defined twice, cycles,
/// unknown operators, wrong attributes, tensors whose data does not fit. Sorts unsorted graphs. One located error.
mlir::LogicalResult checkModel(ModelFile &model);

/// Points tensors stored in other files at those files' bytes. Paths stay inside `folder`.
mlir::LogicalResult resolveExternalData(ModelFile &model, llvm::StringRef folder);

/// Calls `body` on each tensor of the model, subgraphs and functions included, with the node that holds it (or null).
void forEachTensor(::onnx::ModelProto &model,
                   llvm::function_ref<void(::onnx::TensorProto &, const ::onnx::NodeProto *)> body);

/// Operators that ONNX Runtime keeps in ONNX's domain go to its own; before checkModel.
void claimRuntimeOperators(ModelFile &model);

/// Local functions inlined, sparse tensors dense, the working opset reached.
mlir::LogicalResult upgradeModel(ModelFile &model);
/// Scans of opset 8 in the form that later opsets know, hidden from ONNX's version converter until they are shown
/// again.
mlir::LogicalResult splitBatchedScans(ModelFile &model);
void showBatchedScans(ModelFile &model);

} // namespace burin
