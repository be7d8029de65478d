// The passes of the CUDA stage, alphabetical. Flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_CUDA_PASSES_TD
#define BURIN_PASSES_CUDA_PASSES_TD

include "mlir/Pass/PassBase.td"

def EmulateKernels : Pass<"cuda-emulate-kernels", "mlir::ModuleOp"> {
  let summary = "turn kernels into functions that a processor runs, one call a thread";
  let description = [{
    For tests without a GPU: what a thread does alone stays, what threads do together (barriers, exchanges in a warp, products of fragments, asynchronous copies)
    becomes calls through the table of an `emu_thread` (test/CudaEmulator/emulator.h). Memory spaces go. Must run on kernels as they are before NVVM; an operation
    of threads that it does not know is an error.
    Example: test/passes/Cuda/emulate-kernels.mlir#add
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::func::FuncDialect", "mlir::LLVM::LLVMDialect", "mlir::memref::MemRefDialect"];
}

def LowerLinalg : Pass<"cuda-lower-linalg", "mlir::func::FuncOp"> {
  let summary = "turn linalg operations on static memrefs into GPU kernels";
  let description = [{
    A thread computes one element of the results: elementwise bodies, data movement, gathers, and reductions as a loop in the thread. A fill of what the next
    operation accumulates onto becomes what its sums begin with. Operations whose results are not one element a point of their parallel loops stay, and so do those
    on dynamic shapes.
    Example: test/passes/Cuda/lower-linalg.mlir#sum_rows
  }];
  let options = [Option<"blockSize", "block-size", "int64_t", "256", "threads a block, 1 to 1024">];
  let dependentDialects = ["mlir::affine::AffineDialect", "mlir::arith::ArithDialect", "mlir::gpu::GPUDialect", "mlir::linalg::LinalgDialect",
                           "mlir::memref::MemRefDialect", "mlir::scf::SCFDialect"];
}

def LowerMath : Pass<"cuda-lower-math", "mlir::gpu::GPUModuleOp"> {
  let summary = "turn roots, rounding and signs into instructions of the GPU";
  let description = [{
    What cpu-approximate-math leaves of the math dialect becomes LLVM intrinsics that the NVPTX back end has instructions for; the conversion to NVVM would call a
    library. Must run before it. Functions without such an instruction stay, for verify-ptx to find.
    Example: test/passes/Cuda/lower-math.mlir#round
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::LLVM::LLVMDialect"];
}

def LowerNn : Pass<"cuda-lower-nn", "mlir::func::FuncOp"> {
  let summary = "turn nn operations on static memrefs into GPU kernels";
  let description = [{
    Convolutions and matrix products of floats become tiles in shared memory, filled by asynchronous copies and multiplied on tensor cores; f32 factors are split
    into two of tf32 each, which keeps 22 bits of their mantissas but makes NaN of what is infinite, rounded to one where `tf32`, or left alone and multiplied on no
    tensor core where `exact`. In functions for sm_90a large products of 16-bit floats are those of warpgroups. Weights stored as integers are widened in the loop of a product of few rows, and to scratch memory before others. Softmax gets a warp a row. Every other operation becomes a `gpu.launch` whose threads each compute one element by its definition (nn::buildElement), epilogue
    included. Neighbouring threads have neighbouring channels, so that accesses to filter and result coalesce: general and simple, what faster kernels are
    tested against. Operations on dynamic shapes stay.
    Example: test/passes/Cuda/lower-nn.mlir#conv_bias_relu_residual
  }];
  let options = [Option<"blockSize", "block-size", "int64_t", "256", "threads a block, 1 to 1024">,
                 Option<"tensorCores", "tensor-cores", "bool", "true", "whether the GPU has those of sm_80">,
                 Option<"exact", "exact", "bool", "false", "whether f32 factors keep all their bits">,
                 Option<"tf32", "tf32", "bool", "false", "whether f32 factors are rounded to tf32, unless exact">,
                 Option<"warpgroups", "warpgroups", "bool", "false", "whether every function is for sm_90a">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::gpu::GPUDialect", "mlir::math::MathDialect", "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect", "mlir::LLVM::LLVMDialect", "mlir::NVVM::NVVMDialect"];
}

def MergeKernels : Pass<"cuda-merge-kernels", "mlir::ModuleOp"> {
  let summary = "put all kernels into one gpu.module, equal ones once";
  let description = [{
    gpu-kernel-outlining makes a module a launch. One module holds them afterwards, each under a short name, and kernels of equal text are one; those that only
    sm_90a has instructions for get a module of their own. Must run before anything is lowered in them.
    Example: test/passes/Cuda/merge-kernels.mlir#twice
  }];
  let dependentDialects = ["mlir::gpu::GPUDialect"];
}

def PassTensorMaps : Pass<"cuda-pass-tensor-maps", "mlir::gpu::GPUModuleOp"> {
  let summary = "take tensor maps by value, and dynamic shared memory from the launch";
  let description = [{
    The conversion to NVVM leaves a pointer where a kernel takes a tensor map, and one byte of static memory where it takes what the launch gives. Maps become
    parameters of 128 bytes that the copy unit reads in place, the memory an external symbol. Must run after the conversion.
    Example: test/passes/Cuda/pass-tensor-maps.mlir#copies
  }];
  let dependentDialects = ["mlir::LLVM::LLVMDialect", "mlir::NVVM::NVVMDialect"];
}

def PlanSteps : Pass<"cuda-plan-steps", "mlir::ModuleOp"> {
  let summary = "turn what the device runs into segments with all copies planned";
  let description = [{
    Calls that cuda-split-device marked become segments: bytes to copy to the device, launches, bytes to copy back, at addresses known at compile time. A walk over
    @main notes on which side each byte was written last and copies only what the other side reads. @main calls one function of the runtime a segment; the
    tables are attributes of @device (see Passes.h). Must run on lowered kernels, while the host's copies of their functions still hold the operations.
    Example: test/passes/Cuda/plan-steps.mlir#main
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::cf::ControlFlowDialect", "mlir::memref::MemRefDialect", "burin::foreign::ForeignDialect"];
}

def SplitDevice : Pass<"cuda-split-device", "mlir::ModuleOp"> {
  let summary = "choose what the GPU runs and copy it into a module of its own";
  let description = [{
    A call of @main whose kernel has a GPU kernel and static operands is marked `burin.on_device`, and its function is copied into the nested module @device. What
    stands inside control flow, has sizes known at run time only, or computes with types or operations that no kernel knows stays on the host; a `missed` remark
    says which and why. With `warpgroups`, functions whose products sm_90a has better kernels for are copied once more. Must run after cpu-outline-kernels.
    Example: test/passes/Cuda/split-device.mlir#main
  }];
  let options = [Option<"warpgroups", "warpgroups", "bool", "false", "whether sm_90a gets kernels of its own">];
}

def VerifyPtx : Pass<"verify-ptx", "mlir::ModuleOp"> {
  let summary = "check that PTX calls nothing outside itself";
  let description = [{
    Fails where the PTX of a `gpu.binary` declares an external function: without a toolkit, exp and its relatives become calls that only the driver would miss,
    on the user's machine. Must run after gpu-module-to-binary{format=isa}.
    Example: test/passes/Cuda/verify-ptx-errors.mlir#library_exp
  }];
  let dependentDialects = ["mlir::gpu::GPUDialect"];
}

#endif
