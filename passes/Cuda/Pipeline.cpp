// The CUDA stage as flat lists of passes; comments only where the order matters.
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

static void addKernels(OpPassManager &pm, const cuda::DeviceOptions &options, cuda::AddFunctionPasses math) {
  OpPassManager &functions = pm.nest<func::FuncOp>();
  cuda::LowerNnOptions nn;
  nn.tensorCores = options.arch >= 80;
  nn.exact = options.exact;
  nn.tf32 = options.tf32;
  functions.addPass(cuda::createLowerNn(nn));
  functions.addPass(cuda::createLowerLinalg());
  math(functions);
  functions.addPass(createCanonicalizerPass());
  functions.addPass(createCSEPass());
  // Constants come back into the launches that share them: kernels take buffers alone.
  pm.addPass(createGpuLaunchSinkIndexComputationsPass());
  pm.addPass(createGpuKernelOutliningPass());
}

void cuda::buildDevicePipeline(OpPassManager &pm, const DeviceOptions &options, AddFunctionPasses math) {
  pm.addPass(createSplitDevice());
  OpPassManager &device = pm.nest<ModuleOp>();
  addKernels(device, options, math);
  device.addPass(createMergeKernels());
  pm.addPass(createPlanSteps());
}

void cuda::buildPtxPipeline(OpPassManager &pm, StringRef chip) {
  OpPassManager &kernels = pm.nest<gpu::GPUModuleOp>();
  // Constants that all threads share are folded before their types are converted, while they still are index
  // arithmetic.
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createSCFToControlFlowPass());
  kernels.addPass(memref::createExpandStridedMetadataPass());
  kernels.addPass(createLowerAffinePass());
  // Before the conversion to NVVM, which knows rounding and roots only as calls of a library.
  kernels.addPass(createLowerMath());
  ConvertGpuOpsToNVVMOpsOptions toNvvm;
  toNvvm.useBarePtrCallConv = true;
  kernels.addPass(createConvertGpuOpsToNVVMOps(toNvvm));
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());

  GpuNVVMAttachTargetOptions target;
  target.chip = chip.str();
  target.optLevel = 3;
  // Exchanges in a warp are older than the version of PTX that goes with the oldest chips.
  unsigned arch = 0;
  if (!chip.drop_front(3).getAsInteger(10, arch) && arch < 75)
    target.features = "+ptx64";
  pm.addPass(createGpuNVVMAttachTarget(target));
  GpuModuleToBinaryPassOptions binary;
  binary.compilationTarget = "isa";
  pm.addPass(createGpuModuleToBinaryPass(binary));
  pm.addPass(createVerifyPtx());
}

void cuda::buildCudaPipeline(OpPassManager &pm, StringRef chip) {
  DeviceOptions options;
  if (StringRef(chip).drop_front(3).getAsInteger(10, options.arch))
    options.arch = 0;
  addKernels(pm, options, [](OpPassManager &) {});
  buildPtxPipeline(pm, chip);
}

namespace {
struct CudaOptions : PassPipelineOptions<CudaOptions> {
  Option<std::string> chip{*this, "chip", llvm::cl::desc("the GPU that the PTX is for"), llvm::cl::init("sm_80")};
};
} // namespace

void cuda::registerCudaPasses() {
  registerBurinCudaPasses();
  PassPipelineRegistration<CudaOptions> pipeline(
      "cuda", "the CUDA stage: nn and linalg on memrefs -> kernels as PTX",
      [](OpPassManager &pm, const CudaOptions &options) { buildCudaPipeline(pm, options.chip); });
}
