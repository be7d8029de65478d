// The cpu stage as a flat list of passes; comments only where the order matters.
#include "passes/Cpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassOptions.h"
#include "mlir/Transforms/Passes.h"

namespace burin {
#define GEN_PASS_REGISTRATION
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

static void lowerOutlined(OpPassManager &pm, const Machine &machine, const ParallelizeKernelsOptions &parallel,
                          bool looseMath, int64_t streamedBytes = LowerLinalgOptions().streamedBytes) {
  std::string name = machine.name.str();
  pm.addPass(createMakeEntry());
  pm.addPass(createLowerCalls());

  // One function at a time, on all threads.
  OpPassManager &loops = pm.nest<func::FuncOp>();
  loops.addPass(createTabulateBytes({name}));
  loops.addPass(createLowerNn({name}));
  loops.addPass(createLowerLinalg({name, streamedBytes}));
  loops.addPass(createDescribeKernels({name}));

  // All loops are there, and their cost still shows. Nobody has threads on bare metal, nor in a module without shared
  // memory.
  if (!machine.isBareMetal() && (!machine.isWebAssembly() || machine.features.contains("+atomics")))
    pm.addPass(createParallelizeKernels(parallel));

  OpPassManager &kernels = pm.nest<func::FuncOp>();
  // Before CSE, which shares the polynomials' constants.
  kernels.addPass(createApproximateMath({name, looseMath}));
  kernels.addPass(createCSEPass());
  kernels.addPass(createLowerToLLVM({name}));

  pm.addPass(createConvertFunctions({name}));
}

void burin::buildCpuPipeline(OpPassManager &pm, const Machine &machine, bool looseMath) {
  pm.addPass(createOutlineKernels());
  finishCpuPipeline(pm, machine, looseMath);
}

void burin::finishCpuPipeline(OpPassManager &pm, const Machine &machine, bool looseMath) {
  ParallelizeKernelsOptions parallel;
  parallel.machineName = machine.name.str();
  lowerOutlined(pm, machine, parallel, looseMath);
}

namespace {
struct CpuPipelineOptions : PassPipelineOptions<CpuPipelineOptions> {
  Option<std::string> machine{*this, "machine", llvm::cl::desc("row of the machine table: a --target name"),
                              llvm::cl::init("host")};
  Option<int64_t> minimalPart{*this, "minimal-part", llvm::cl::desc("of cpu-parallelize-kernels"),
                              llvm::cl::init(ParallelizeKernelsOptions().minimalPart)};
  Option<int64_t> streamedBytes{*this, "streamed-bytes", llvm::cl::desc("of cpu-lower-linalg"),
                                llvm::cl::init(LowerLinalgOptions().streamedBytes)};
  Option<bool> looseMath{*this, "loose-math", llvm::cl::desc("`loose` of cpu-approximate-math"), llvm::cl::init(false)};
};
} // namespace

void burin::registerCpuPasses() {
  registerBurinCpuPasses();
  PassPipelineRegistration<CpuPipelineOptions>(
      "cpu", "from nn and linalg on memrefs to the LLVM dialect",
      [](OpPassManager &pm, const CpuPipelineOptions &options) {
        if (const Machine *machine = findMachine(options.machine)) {
          pm.addPass(createOutlineKernels());
          lowerOutlined(pm, *machine, {machine->name.str(), options.minimalPart}, options.looseMath,
                        options.streamedBytes);
        } else
          llvm::errs() << "unknown machine '" << options.machine << "', expected one of: " << machineNames() << "\n";
      });
}
