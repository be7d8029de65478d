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

static void addKernels(OpPassManager &pm, const cuda::DeviceOptions &options, bool everywhere,
                       cuda::AddFunctionPasses math) {
  OpPassManager &functions = pm.nest<func::FuncOp>();
  cuda::LowerNnOptions nn;
  nn.tensorCores = options.arch >= 80;
  nn.exact = options.exact;
  nn.tf32 = options.tf32;
  nn.warpgroups = everywhere;
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
  SplitDeviceOptions split;
  split.warpgroups = options.warpgroups;
  pm.addPass(createSplitDevice(split));
  OpPassManager &device = pm.nest<ModuleOp>();
  addKernels(device, options, /*everywhere=*/false, math);
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
  kernels.addPass(createPassTensorMaps());
  // Instructions that LLVM has no intrinsic for.
  kernels.addPass(createConvertNVVMToLLVMPass());
  kernels.addPass(createCanonicalizerPass());
  kernels.addPass(createCSEPass());
  kernels.addPass(createReconcileUnrealizedCastsPass());

  GpuNVVMAttachTargetOptions wide;
  wide.moduleMatcher = warpgroupKernelsModule;
  wide.chip = "sm_90a";
  wide.optLevel = 3;
  pm.addPass(createGpuNVVMAttachTarget(wide));
  GpuNVVMAttachTargetOptions target;
  target.moduleMatcher = "(kernels|kernel|kernel_[0-9]+)$"; // merged, or as they are outlined
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
  bool isExact = chip.ends_with("a"); // an architecture without successors
  if (chip.drop_front(3).drop_back(isExact).getAsInteger(10, options.arch))
    options.arch = 0;
  addKernels(pm, options, isExact && options.arch == 90, [](OpPassManager &) {});
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
