// onnx operations to NodeProtos: the inverse of the dialect's GraphBuilder. Private to lib/Export.
#pragma once

#include "dialects/Onnx/Proto.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/StringMap.h"

namespace burin {

class GraphWriter {
public:
  /// Weights larger than this become markers; `weights` lists what they stand for.
  static constexpr uint64_t weightThreshold = 1024;
  std::vector<mlir::ElementsAttr> weights;
  /// Domains in use beside ONNX's own, with their versions.
  std::map<std::string, int64_t> domains;
  bool hasQuantization = false;
  bool hasBlocks = false; // of values that share a scale, or integers below a byte: what opset 21 brought

  mlir::LogicalResult writeMain(mlir::Operation *function, ::onnx::GraphProto &graph);

private:
  mlir::LogicalResult writeBlock(mlir::Block &block, ::onnx::GraphProto &graph, mlir::ValueRange outputs,
                                 llvm::ArrayRef<std::string> outputNames);
  mlir::LogicalResult writeOp(mlir::Operation *op, ::onnx::GraphProto &graph);
  mlir::LogicalResult writeAttrs(mlir::Operation *op, ::onnx::NodeProto &node);
  mlir::LogicalResult writeTensor(mlir::ElementsAttr attr, ::onnx::TensorProto &tensor, mlir::Location loc);
  mlir::LogicalResult writeInfo(mlir::Value value, llvm::StringRef name, ::onnx::ValueInfoProto &info,
                                mlir::Location loc);
  /// The graph of a region: block arguments in, the terminator's operands out.
  mlir::LogicalResult writeRegion(mlir::Region &region, ::onnx::GraphProto &graph, llvm::StringRef name);
  std::string fresh(llvm::StringRef wish);
  std::string freshNode(llvm::StringRef wish);
  std::string nameOf(mlir::Value value);

  llvm::DenseMap<mlir::Value, std::string> names;
  llvm::StringMap<unsigned> taken, takenNodes;
};

} // namespace burin
