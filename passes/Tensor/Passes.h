// Door of the tensor stage: fusion into epilogues, packing, bufferization, one static arena, one weight section.
#ifndef BURIN_PASSES_TENSOR_PASSES_H
#define BURIN_PASSES_TENSOR_PASSES_H

#include "lib/Support/Machine.h"
#include "mlir/Pass/Pass.h"

namespace burin {

#define GEN_PASS_DECL
#include "passes/Tensor/Passes.h.inc"

struct TensorOptions {
  std::string winograd = "auto"; // mode and largest error of tensor-choose-winograd
  double winogradError = 1e-4;
  uint64_t arenaLimit = 0; // bytes that the arena must not exceed; 0: any
  bool isTuned = false;    // with `choices` of tensor-apply-tuning, and shapes as `key` in burin.layers
  std::vector<std::string> choices;
  /// The kernels are not of the machine: weights stay as the lower stage left them, narrow floats stay narrow.
  bool forDevice = false;
};

/// Contract out: `func @main(inputs..., outputs..., %arena: memref<Axi8>, %weights: memref<Wxi8>)` without results,
/// straight-line at its top level; nn and linalg ops on static memrefs that are arguments, or views of arena and
/// weights (memref.view, subview, collapse, expand); no allocation. Module attributes: `burin.arena_bytes`,
/// `burin.peak_live_bytes` (i64) and `burin.weights`, an array of {name, offset, source_bytes, encoding ("raw" or
/// "packed"), data (elements)} in the order they lie in the section.
void buildTensorPipeline(mlir::OpPassManager &pm, const Machine &machine, const TensorOptions &options = {});

/// For targets that place memory themselves: fusion and bufferization alone. Contract out: @main(inputs..., outputs...)
/// on memrefs, buffers as memref.alloc, constants as globals, weights as the lower stage left them.
void buildBufferPipeline(mlir::OpPassManager &pm);

/// The part of the stage that gives tensors their memory: from packed weights to buffers, each a memref.alloc.
void addBufferPlacement(mlir::OpPassManager &pm, const Machine &machine);

void registerTensorPasses();

} // namespace burin

#endif
