// Door of the vision unit's stage: nn on static memrefs -> a straight list of transfers and operations on a scratchpad.
// In a namespace of its own, as every target's passes are.
#ifndef BURIN_PASSES_VPU_PASSES_H
#define BURIN_PASSES_VPU_PASSES_H

#include "mlir/Pass/Pass.h"

namespace burin::vpu {

#define GEN_PASS_DECL
#include "passes/Vpu/Passes.h.inc"

/// The memory space of the scratchpad; the default space is the memory behind it.
inline constexpr int64_t scratchpadSpace = 1;

void registerVpuPasses();

} // namespace burin::vpu

#endif
