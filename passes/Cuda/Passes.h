// Door of the CUDA stage: nn and linalg on static memrefs -> gpu kernels -> PTX text inside the module. Needs no GPU,
// no driver and no toolkit. In a namespace of its own, because targets have passes of the same name (LowerNn).
#ifndef BURIN_PASSES_CUDA_PASSES_H
#define BURIN_PASSES_CUDA_PASSES_H

#include "mlir/Pass/Pass.h"

namespace burin::cuda {

#define GEN_PASS_DECL
#include "passes/Cuda/Passes.h.inc"

/// The nested module that holds the device's part, and its attributes.
inline constexpr char deviceModuleName[] = "device";
inline constexpr char hostCallsAttr[] = "burin.host_calls";     // ["conv: why"]: kernels of @main that the host runs
inline constexpr char deviceCallsAttr[] = "burin.device_calls"; // i64: those that the device runs
/// On a call in @main: the device runs it.
inline constexpr char onDeviceAttr[] = "burin.on_device";
/// On a function of the device module: it is what sm_90a runs in place of the function of the name without the suffix.
inline constexpr char warpgroupsAttr[] = "burin.warpgroups";
inline constexpr char warpgroupsSuffix[] = "_sm_90a";
/// The modules of kernels: those that all devices run, and those that sm_90a alone has instructions for.
inline constexpr char kernelsModule[] = "kernels", warpgroupKernelsModule[] = "kernels_sm_90a";
/// Of the device module, what runs, one entry a stretch without host work in between:
/// {in, out = array of [tensor, offset, place, bytes], steps = [{kernel, grid, block, shared, arguments = array of
/// [space, offset]}]}. `tensor`: argument of the segment's call; `place`: offset in the device's memory; space 0 is
/// that memory, 1 the weights, 2 the tensor maps, of which it is the number. Where sm_90a has kernels of its own,
/// `steps_sm_90a` stands beside `steps`; steps whose kernel is one of those have the unit attribute `sm_90a`.
inline constexpr char segmentsAttr[] = "burin.segments";
/// Array of {space, offset, box, dims, steps, strides}; see Warpgroups.h.
inline constexpr char tensorMapsAttr[] = "burin.tensor_maps";
inline constexpr char memoryBytesAttr[] = "burin.memory_bytes";         // i64: of the device's memory
inline constexpr char arenaPictureAttr[] = "burin.arena_picture_bytes"; // i64: how much of it, from 0 on, is the arena
inline constexpr char tensorsAttr[] =
    "burin.tensors"; // array of [place, bytes, whether the host uses it], of the caller
/// What the calls of segments name, and the attribute that holds the program for them (see runtime/cuda/program.h).
inline constexpr char runFunction[] = "burin_cuda_run";
inline constexpr char programAttr[] = "program";

/// Adds passes for one function to a pipeline.
using AddFunctionPasses = llvm::function_ref<void(mlir::OpPassManager &)>;

struct DeviceOptions {
  unsigned arch = 80; // the least that the kernels must run on: 80 is sm_80
  // Products of f32: factors are split into two of tf32, which keeps nearly all bits; or
  bool exact = false;      // they are multiplied on no tensor core
  bool tf32 = false;       // they are rounded to tf32
  bool warpgroups = false; // kernels for sm_90a too
};

/// Contract in: what cpu-outline-kernels leaves. Contract out: the nested module @device, holding one `gpu.module` of
/// all kernels and the attributes above; in @main, calls of segments in place of what the device runs. `math` replaces
/// math functions by arithmetic.
void buildDevicePipeline(mlir::OpPassManager &pm, const DeviceOptions &options, AddFunctionPasses math);

/// From `gpu.module` to PTX for `chip`, or sm_90a for kernels that need it, in a `gpu.binary` each that calls nothing
/// outside itself; on the module that holds them.
void buildPtxPipeline(mlir::OpPassManager &pm, llvm::StringRef chip);

/// nn and linalg functions -> PTX and launches, without a host side: for tests of kernels.
void buildCudaPipeline(mlir::OpPassManager &pm, llvm::StringRef chip);

void registerCudaPasses();

} // namespace burin::cuda

#endif
