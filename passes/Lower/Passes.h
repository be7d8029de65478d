// Door of the lower stage: onnx -> nn + linalg + tensor, channels last.
#ifndef BURIN_PASSES_LOWER_PASSES_H
#define BURIN_PASSES_LOWER_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"

#include <string>
#include <vector>

namespace burin {

#define GEN_PASS_DECL
#include "passes/Lower/Passes.h.inc"

/// Contract out: @main takes and returns tensors of the graph's own shapes and orders; unsigned element types have
/// become signless (the ONNX type number stays in the argument and result attribute `burin.dtype`, the name in
/// `onnx.name`); constants are arith.constant tensors; no onnx op remains. `storesWeights`: the
/// target multiplies by weights that stay integers (`stored` of nn.matmul). `fixedShapes`: it cannot run free dims, so
/// inputs that have some are an error.
void buildLowerPipeline(mlir::OpPassManager &pm, bool storesWeights = true, bool fixedShapes = false);

/// ONNX's names of the operators this stage lowers itself, sorted; the graph stage expands the others where ONNX
/// defines them by a body, and folds what the bodies compute from shapes.
std::vector<std::string> getLoweredOperators();

/// Where one branch of an If can never run with the shapes at hand, its results are what the other branch gives; a Loop
/// that runs a known number of times gives stacks of that length. To be called on the graph before its signature is
/// taken; changes types only.
void refineBranches(mlir::ModuleOp module);

void registerLowerPasses();

} // namespace burin

#endif
