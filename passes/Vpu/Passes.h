// Door of the vision unit's stage: nn on static memrefs -> a straight list of tasks of the vpu dialect.
// In a namespace of its own, as every target's passes are.
#ifndef BURIN_PASSES_VPU_PASSES_H
#define BURIN_PASSES_VPU_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace burin::vpu {

#define GEN_PASS_DECL
#include "passes/Vpu/Passes.h.inc"

/// The memory space of the scratchpad; the default space is the memory behind it.
inline constexpr int64_t scratchpadSpace = 1;

/// Attributes of the function after vpu-place-buffers: bytes of CMX and of shared main memory (i64).
inline constexpr char cmxBytesAttr[] = "vpu.cmx_bytes";
inline constexpr char ddrBytesAttr[] = "vpu.ddr_bytes";

/// Before the tensor stage's fusion, on tensors.
void buildVpuTensorPipeline(mlir::OpPassManager &pm);
/// From what the tensor stage leaves (buffers not placed, weights not packed) to vpu tasks in `cmxBytes` of CMX.
void buildVpuPipeline(mlir::OpPassManager &pm, int64_t cmxBytes);

void registerVpuPasses();

} // namespace burin::vpu

#endif
