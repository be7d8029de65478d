// cuda-pass-tensor-maps: what kernels for warpgroups take of their launch, as LLVM functions say it. The copy unit
// reads a map from the kernel's parameters, which need no fence, where one in global memory would.
#include "passes/Cuda/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

namespace burin::cuda {
#define GEN_PASS_DEF_PASSTENSORMAPS
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;

namespace {
constexpr int64_t mapBytes = 128, mapAlignment = 64, sharedSpace = 3;

struct PassTensorMapsPass : burin::cuda::impl::PassTensorMapsBase<PassTensorMapsPass> {
  void runOnOperation() override {
    Builder b(&getContext());
    auto bytes = LLVM::LLVMArrayType::get(b.getI8Type(), mapBytes);
    getOperation().walk([&](NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp copy) {
      auto map = dyn_cast<BlockArgument>(copy.getTmaDescriptor());
      auto kernel = copy->getParentOfType<LLVM::LLVMFuncOp>();
      if (!map || !kernel || map.getOwner() != &kernel.front()) {
        copy.emitError("expected a tensor map that is a parameter of the kernel");
        return signalPassFailure();
      }
      unsigned i = map.getArgNumber();
      kernel.setArgAttr(i, LLVM::LLVMDialect::getByValAttrName(), TypeAttr::get(bytes));
      kernel.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(mapAlignment));
      kernel.setArgAttr(i, NVVM::NVVMDialect::getGridConstantAttrName(), b.getUnitAttr());
    });
    // What has no size is sized by the launch, if its symbol is not the module's own.
    for (auto global : getOperation().getOps<LLVM::GlobalOp>()) {
      auto type = dyn_cast<LLVM::LLVMArrayType>(global.getGlobalType());
      if (global.getAddrSpace() == sharedSpace && type && type.getNumElements() == 0)
        global.setLinkage(LLVM::Linkage::External);
    }
  }
};
} // namespace
