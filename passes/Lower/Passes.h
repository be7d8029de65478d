// Door of the lower stage: onnx -> nn + linalg + tensor, channels last.
#ifndef BURIN_PASSES_LOWER_PASSES_H
#define BURIN_PASSES_LOWER_PASSES_H

#include "mlir/Pass/Pass.h"

namespace burin {

#define GEN_PASS_DECL
#include "passes/Lower/Passes.h.inc"

/// Contract out: @main takes and returns tensors of the graph's own shapes and orders; unsigned element types have
/// become signless (the ONNX type number stays in the argument and result attribute `burin.dtype`, the name in
/// `onnx.name`); constants are arith.constant tensors; no onnx op remains.
void buildLowerPipeline(mlir::OpPassManager &pm);

void registerLowerPasses();

} // namespace burin

#endif
