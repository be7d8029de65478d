// ONNX files become onnx IR. The file is mapped, never copied: protobuf sees a skeleton without weights, weights become
// resources over the mapping. Older models are upgraded to the working opset by ONNX's own converter. Each refusal is
// one located error; no exception leaves, and nothing of the model is trusted.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/StringRef.h"

#include <memory>
#include <string>
#include <vector>

namespace burin {

struct ImportOptions {
  /// Tensors with more raw bytes than this stay in the file as resources.
  uint64_t resourceThreshold = 1024;
  /// Where external data may lie; empty: the folder of the model. Ignored names: absolute ones, `..`, links leading
  /// out.
  std::string externalFolder;
  /// Tensors whose names are kept, as `onnx.result_names` of the operators that make them; others keep only their
  /// node's.
  std::vector<std::string> tensorNames;
  /// Infer types and shapes while building.
  bool inferShapes = true;
};

/// Reads an ONNX file. Null after one error on the context's diagnostic engine. The dialects are loaded on demand.
mlir::OwningOpRef<mlir::ModuleOp> importModel(llvm::StringRef path, mlir::MLIRContext &context,
                                              const ImportOptions &options = {});

/// The same from bytes; `owner` keeps them alive as long as a weight refers to them. `name` stands for the file in
/// messages.
mlir::OwningOpRef<mlir::ModuleOp> importModel(llvm::StringRef bytes, llvm::StringRef name, std::shared_ptr<void> owner,
                                              mlir::MLIRContext &context, const ImportOptions &options = {});

} // namespace burin
