// Door of the tensor stage: fusion into epilogues, packing, bufferization, one static arena, one weight section.
#ifndef BURIN_PASSES_TENSOR_PASSES_H
#define BURIN_PASSES_TENSOR_PASSES_H

#include "lib/Support/Machine.h"
#include "mlir/Pass/Pass.h"

namespace burin {

#define GEN_PASS_DECL
#include "passes/Tensor/Passes.h.inc"

/// Contract out: `func @main(inputs..., outputs..., %arena: memref<Axi8>, %weights: memref<Wxi8>)` without results,
/// straight-line at its top level; nn and linalg ops on static memrefs that are arguments, or views of arena and
/// weights (memref.view, subview, collapse, expand); no allocation. Module attributes: `burin.arena_bytes`,
/// `burin.peak_live_bytes` (i64) and `burin.weights`, an array of {name, offset, source_bytes, encoding ("raw" or
/// "packed"), data (elements)} in the order they lie in the section.
/// `arenaLimit`: bytes that the arena must not exceed; 0: any.
void buildTensorPipeline(mlir::OpPassManager &pm, const Machine &machine, uint64_t arenaLimit = 0);

void registerTensorPasses();

} // namespace burin

#endif
