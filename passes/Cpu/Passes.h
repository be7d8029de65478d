// Door of the CPU stage: nn and linalg on memrefs -> micro-kernels and loops over vectors -> the LLVM dialect.
#ifndef BURIN_PASSES_CPU_PASSES_H
#define BURIN_PASSES_CPU_PASSES_H

#include "lib/Support/Machine.h"
#include "mlir/Pass/Pass.h"

namespace burin {

#define GEN_PASS_DECL
#include "passes/Cpu/Passes.h.inc"

/// Contract in: what the tensor stage leaves (passes/Tensor/Passes.h). Contract out: LLVM dialect only; one exported
/// function
/// `@entry(ptr inputs, ptr outputs, ptr arena, ptr weights, ptr context) -> i32` (burin_entry in
/// include/burin/runtime.h) which calls private kernels, identical kernels once; module attribute `burin.layers`: an
/// array of {name, kind, flops, bytes, symbol of the kernel, weight_bytes where there are any, operand_type where
/// that is i8} in running order.
void buildCpuPipeline(mlir::OpPassManager &pm, const Machine &machine);

/// All of it behind cpu-outline-kernels: for targets that take some kernels out in between.
void finishCpuPipeline(mlir::OpPassManager &pm, const Machine &machine);

void registerCpuPasses();

} // namespace burin

#endif
