// The CUDA stage as a flat list of passes; comments only where the order matters.
#include "dialects/Nn/Nn.h"
#include "passes/Cuda/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/GPU/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Transforms/Passes.h"

namespace burin::cuda {
#define GEN_PASS_REGISTRATION
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;
using namespace burin;

void cuda::buildCudaPipeline(OpPassManager &pm, StringRef chip) {
  pm.addNestedPass<func::FuncOp>(createLowerNn());
  pm.addPass(createGpuKernelOutliningPass());

  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  // Constants that all threads share are folded before their types are converted, while they still are index
  // arithmetic.
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createLowerAffinePass());
  ConvertGpuOpsToNVVMOpsOptions toNvvm;
  toNvvm.useBarePtrCallConv = true;
  kernels.addPass(createConvertGpuOpsToNVVMOps(toNvvm));
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());

  GpuNVVMAttachTargetOptions target;
  target.chip = chip.str();
  target.optLevel = 3;
  pm.addPass(createGpuNVVMAttachTarget(target));
  GpuModuleToBinaryPassOptions binary;
  binary.compilationTarget = "isa";
  pm.addPass(createGpuModuleToBinaryPass(binary));
  pm.addPass(createVerifyPtx());
}

namespace {
struct CudaOptions : PassPipelineOptions<CudaOptions> {
  Option<std::string> chip{*this, "chip", llvm::cl::desc("the GPU that the PTX is for"), llvm::cl::init("sm_80")};
};
} // namespace

void cuda::registerCudaPasses() {
  registerBurinCudaPasses();
  PassPipelineRegistration<CudaOptions> pipeline(
      "cuda", "the CUDA stage: nn on memrefs -> kernels as PTX",
      [](OpPassManager &pm, const CudaOptions &options) { buildCudaPipeline(pm, options.chip); });
}
