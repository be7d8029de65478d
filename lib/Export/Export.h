// onnx IR becomes an ONNX file again, at any point of the graph stage, so that every graph pass can be checked in
// another runtime. Weights are streamed from their resources, never held twice; the file appears whole or not at all.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"
#include "llvm/Support/raw_ostream.h"

#include <cstdint>

namespace burin {

struct ExportOptions {
  /// The opset to write. -1: the newest at which ONNX Runtime 1.31 loads the graph with its optimizations off and on
  /// (26; 20 for QDQ graphs, 21 for those with blocks). 0 keeps the working opset.
  int64_t opset = -1;
  /// Weights in FILE.data beside the model: always beyond 2 GB, which protobuf cannot hold.
  bool externalData = false;
};

/// Writes `module` to `path`. Emits one located error and leaves no file where an operation is not ONNX's.
llvm::LogicalResult exportModel(mlir::ModuleOp module, llvm::StringRef path, const ExportOptions &options = {});

/// Writes to a stream; fails where the weights need a side file.
llvm::LogicalResult exportModel(mlir::ModuleOp module, llvm::raw_ostream &out, const ExportOptions &options = {});

} // namespace burin
