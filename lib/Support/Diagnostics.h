// How a tool speaks to its user: every MLIR diagnostic printed as one line a person can act on, nodes by name.
//   error: model.onnx: node 'conv1' (Conv, opset 13): expected 3 channels, got 4
//   note: model.onnx: node 'relu0' (Relu, opset 13): defined here
// It never prints a stack, an operation dump or MLIR's internal file positions.
#pragma once

#include "mlir/IR/Diagnostics.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace burin {

/// "model.onnx: node 'conv1' (Conv, opset 13)", "file.mlir:3:7", "model.onnx", or empty for an unknown location.
std::string describeLocation(mlir::Location loc);

class ScopedDiagnosticHandler : public mlir::ScopedDiagnosticHandler {
public:
  explicit ScopedDiagnosticHandler(mlir::MLIRContext *context, llvm::raw_ostream &out = llvm::errs());
  /// Whether an error was reported while this handler was in force.
  bool sawError() const { return errors > 0; }
  unsigned errorCount() const { return errors; }

private:
  unsigned errors = 0;
};

/// A message of a tool that has no MLIR context yet: prints "error: <text>" and returns exit code 1.
int fail(const llvm::Twine &text);

} // namespace burin
