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

void burin::buildCpuPipeline(OpPassManager &pm, const Machine &machine) {
  std::string name = machine.name.str();
  pm.addPass(createOutlineKernels());
  pm.addPass(createMakeEntry());
  pm.addPass(createLowerCalls());

  // One function at a time from here on, on all threads.
  OpPassManager &kernels = pm.nest<func::FuncOp>();
  kernels.addPass(createLowerNn({name}));
  kernels.addPass(createLowerLinalg({name}));
  // Before CSE, which shares the polynomials' constants.
  kernels.addPass(createApproximateMath({name}));
  kernels.addPass(createCSEPass());
  kernels.addPass(createLowerToLLVM({name}));

  pm.addPass(createConvertFunctions({name}));
}

namespace {
struct CpuPipelineOptions : PassPipelineOptions<CpuPipelineOptions> {
  Option<std::string> machine{*this, "machine", llvm::cl::desc("row of the machine table: a --target name"),
                              llvm::cl::init("host")};
};
} // namespace

void burin::registerCpuPasses() {
  registerBurinCpuPasses();
  PassPipelineRegistration<CpuPipelineOptions>("cpu", "from nn and linalg on memrefs to the LLVM dialect",
                                               [](OpPassManager &pm, const CpuPipelineOptions &options) {
                                                 if (const Machine *machine = findMachine(options.machine))
                                                   buildCpuPipeline(pm, *machine);
                                                 else
                                                   llvm::errs() << "unknown machine '" << options.machine
                                                                << "', expected one of: " << machineNames() << "\n";
                                               });
}
