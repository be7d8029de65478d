// Door of the graph stage: passes on the onnx dialect, each of which leaves a graph that exports as standard ONNX.
#ifndef BURIN_PASSES_GRAPH_PASSES_H
#define BURIN_PASSES_GRAPH_PASSES_H

#include "lib/Support/Evaluator.h"
#include "mlir/Pass/Pass.h"
#include <memory>

namespace burin {

#define GEN_PASS_DECL
#include "passes/Graph/Passes.h.inc"

struct GraphOptions {
  /// `INPUT=1x3x224x224` bindings of whole input shapes and `NAME=N` bindings of symbolic dims.
  llvm::SmallVector<std::string> shapes, dims;
  /// `INPUT=N` lengths of sequences; of an optional `1` or `none`.
  llvm::SmallVector<std::string> lengths;
  /// ONNX names of the operators that later stages lower. Others expand by their ONNX function body. Empty: none
  /// expands.
  llvm::SmallVector<std::string> lowered;
  /// The graph is to be quantized: products stay single operators with outputs of their own, and nothing becomes an
  /// operator newer than the opset that quantized graphs are written at.
  bool isToQuantize = false;
};

/// Imported onnx -> canonical, folded and fused onnx. `evaluator` may be null: then what no folder of the room computes
/// stays.
void buildGraphPipeline(mlir::OpPassManager &pm, const GraphOptions &options, std::shared_ptr<Evaluator> evaluator);

/// Its last part alone, for graphs that were changed after it: expands what nobody lowers, folds, verifies.
void finishGraphPipeline(mlir::OpPassManager &pm, const GraphOptions &options, std::shared_ptr<Evaluator> evaluator);

/// graph-fold-constants with an evaluator, which may be null.
std::unique_ptr<mlir::Pass> createFoldConstants(std::shared_ptr<Evaluator> evaluator);

/// Registers every pass of this room for burin-opt, with `evaluator` injected where folding needs it, and the pipeline
/// `graph` with the options of graph-bind-shapes.
void registerGraphPasses(std::shared_ptr<Evaluator> evaluator);

} // namespace burin

#endif
