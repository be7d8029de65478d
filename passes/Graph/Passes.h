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
};

/// Imported onnx -> canonical, folded and fused onnx. `evaluator` may be null: then only small integer constants fold.
void buildGraphPipeline(mlir::OpPassManager &pm, const GraphOptions &options, std::shared_ptr<Evaluator> evaluator);

/// Registers every pass of this room for burin-opt, with `evaluator` injected where folding needs it.
void registerGraphPasses(std::shared_ptr<Evaluator> evaluator);

} // namespace burin

#endif
