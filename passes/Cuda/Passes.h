// Door of the CUDA stage: nn on static memrefs -> gpu kernels -> PTX text inside the module. Needs no GPU, no driver
// and no toolkit. In a namespace of its own, because targets have passes of the same name (LowerNn).
#ifndef BURIN_PASSES_CUDA_PASSES_H
#define BURIN_PASSES_CUDA_PASSES_H

#include "mlir/Pass/Pass.h"

namespace burin::cuda {

#define GEN_PASS_DECL
#include "passes/Cuda/Passes.h.inc"

/// Contract in: what the tensor stage leaves (passes/Tensor/Passes.h). Contract out: one `gpu.binary` a kernel, holding
/// PTX for `chip` ("sm_80") that calls nothing outside itself, and `gpu.launch_func` where the nn operation stood;
/// operations without a kernel stay as they were.
void buildCudaPipeline(mlir::OpPassManager &pm, llvm::StringRef chip);

void registerCudaPasses();

} // namespace burin::cuda

#endif
