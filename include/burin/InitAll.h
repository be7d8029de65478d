// Everything a tool must register to read, change and print Burin's IR: for burin-opt, plugins' hosts and tests.
// A thin door over lib/Pipeline, so that no tool names a room.
#ifndef BURIN_INITALL_H
#define BURIN_INITALL_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/LogicalResult.h"
#include <functional>
#include <string>

namespace mlir {
class DialectRegistry;
class OpPassManager;
} // namespace mlir

namespace burin {

/// The onnx and nn dialects, MLIR's own, and the interface implementations and translations the pipelines need.
void registerAllDialects(mlir::DialectRegistry &registry);

/// Burin's passes by their flags, the named pipelines as `burin-graph`, `burin-lower`, ..., and MLIR's own passes.
void registerAllPasses();

/// A stage as burin-opt names it: `--pipeline=graph`. Machines come as `--pipeline=cpu --target=x86-64-v3`.
struct NamedPipeline {
  llvm::StringRef name;
  llvm::StringRef description;
};

/// In running order; the last is `all`: graph to cpu.
llvm::ArrayRef<NamedPipeline> namedPipelines();

/// Adds the passes of the pipeline called `name` for the machine row `target` ("host" or empty: this CPU). On failure
/// `error` says why, listing what there is. `atPoint` may add passes at `after-graph` and `before-target`, where the
/// pipeline comes by them.
llvm::LogicalResult buildNamedPipeline(
    llvm::StringRef name, llvm::StringRef target, mlir::OpPassManager &pm, std::string &error,
    const std::function<llvm::LogicalResult(llvm::StringRef point, mlir::OpPassManager &pm)> &atPoint = {});

} // namespace burin

#endif
