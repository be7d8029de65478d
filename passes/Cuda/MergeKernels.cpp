// cuda-merge-kernels: gpu-kernel-outlining makes a module a launch; one module holds them all afterwards, so that one
// text of PTX and one call of its assembler do. Equal kernels become one.
#include "passes/Cuda/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "llvm/ADT/StringSet.h"

namespace burin::cuda {
#define GEN_PASS_DEF_MERGEKERNELS
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;

namespace {
struct MergeKernelsPass : burin::cuda::impl::MergeKernelsBase<MergeKernelsPass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<gpu::GPUModuleOp> modules(module.getOps<gpu::GPUModuleOp>());
    if (modules.empty())
      return;
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    gpu::GPUModuleOp all, wide;
    auto moduleOf = [&](gpu::GPUFuncOp kernel) {
      bool isWide = kernel.walk([](NVVM::WgmmaMmaAsyncOp) { return WalkResult::interrupt(); }).wasInterrupted();
      gpu::GPUModuleOp &merged = isWide ? wide : all;
      if (!merged)
        merged = gpu::GPUModuleOp::create(builder, module.getLoc(),
                                          isWide ? burin::cuda::warpgroupKernelsModule : burin::cuda::kernelsModule);
      return merged;
    };
    llvm::StringMap<std::string> byText;        // body -> name
    DenseMap<Attribute, SymbolRefAttr> renamed; // old reference -> new
    names.clear();
    for (gpu::GPUModuleOp old : modules)
      for (auto kernel : llvm::make_early_inc_range(old.getOps<gpu::GPUFuncOp>())) {
        std::string name = kernel.getName().str();
        auto reference = SymbolRefAttr::get(old.getNameAttr(), {FlatSymbolRefAttr::get(kernel.getNameAttr())});
        kernel.setName("kernel");
        // Its element's alignment by default, which is too little for copies of 16 bytes.
        for (unsigned i = 0; i < kernel.getNumWorkgroupAttributions(); ++i)
          kernel.setWorkgroupAttributionAttr(i, LLVM::LLVMDialect::getAlignAttrName(), builder.getI64IntegerAttr(128));
        // Without it ptxas spills in some kernels, to leave registers for more blocks at once.
        kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(), builder.getI32IntegerAttr(1));
        std::string text;
        llvm::raw_string_ostream stream(text);
        kernel.print(stream, OpPrintingFlags().useLocalScope());
        gpu::GPUModuleOp merged = moduleOf(kernel);
        auto [found, isNew] = byText.try_emplace(text, freshName(name));
        if (isNew) {
          names.insert(found->second);
          kernel.setName(found->second);
          kernel->moveBefore(merged.getBody(), merged.getBody()->end());
        }
        renamed[reference] =
            SymbolRefAttr::get(merged.getNameAttr(), {FlatSymbolRefAttr::get(&getContext(), found->second)});
      }
    module.walk([&](gpu::LaunchFuncOp launch) { launch.setKernelAttr(renamed.lookup(launch.getKernel())); });
    for (gpu::GPUModuleOp old : modules)
      old.erase();
  }

  // kernel_conv_3_kernel -> conv_3: what profilers show.
  std::string freshName(StringRef old) {
    old.consume_front("kernel_");
    old.consume_back("_kernel");
    std::string name = old.str();
    for (unsigned i = 1; names.contains(name); ++i)
      name = (old + "_" + Twine(i)).str();
    return name;
  }

  llvm::StringSet<> names;
};
} // namespace
