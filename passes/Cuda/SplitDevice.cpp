// cuda-split-device: which kernels of @main a GPU runs. Their functions are copied into a module of their own, from which
// the device's code is made; what stays is the host's. Looks at what a function holds only to ask whether a kernel of
// this room computes it.
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/Passes.h"

#include "mlir/IR/Remarks.h"

namespace burin::cuda {
#define GEN_PASS_DEF_SPLITDEVICE
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;
using namespace burin;

namespace {
struct SplitDevicePass : cuda::impl::SplitDeviceBase<SplitDevicePass> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    if (!main || !main.getBody().hasOneBlock() || main.getNumArguments() < 2) {
      module.emitError("expected a function @main(inputs..., outputs..., arena, weights) of one block");
      return signalPassFailure();
    }
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    auto device = ModuleOp::create(builder, module.getLoc(), cuda::deviceModuleName);
    builder.setInsertionPointToEnd(device.getBody());

    // Addresses of a device are constants of the program; where a run decides sizes there are none.
    bool isStatic = llvm::all_of(main.getArgumentTypes(), [](Type type) {
      auto memref = dyn_cast<MemRefType>(type);
      return memref && memref.hasStaticShape();
    });
    std::string common = isStatic ? "" : "sizes are known at run time only; bind them with --shape or --dim";
    if (main.walk([](memref::AllocOp) { return WalkResult::interrupt(); }).wasInterrupted())
      common = "data decides sizes of the model";

    unsigned onDevice = 0;
    SmallVector<Attribute> onHost;
    main.walk([&](func::CallOp call) {
      auto kernel = module.lookupSymbol<func::FuncOp>(call.getCallee());
      std::string why = !common.empty()                  ? common
                        : call->getParentOp() != main     ? "it stands inside control flow"
                        : !kernel || kernel.isExternal() ? "its code is not at hand"
                                                         : cuda::whyNoKernel(kernel);
      if (!why.empty()) {
        auto kind = kernel ? kernel->getAttrOfType<StringAttr>("burin.kind") : StringAttr();
        onHost.push_back(builder.getStringAttr((kind ? kind.getValue() : call.getCallee()) + ": " + why));
        remark::missed(call.getLoc(), remark::RemarkOpts::name("OnHost").category("cuda-split-device"))
            << call.getCallee() << remark::reason("{0}", why);
        return;
      }
      ++onDevice;
      remark::passed(call.getLoc(), remark::RemarkOpts::name("OnDevice").category("cuda-split-device"))
          << call.getCallee();
      call->setAttr(cuda::onDeviceAttr, builder.getUnitAttr());
      if (!device.lookupSymbol(kernel.getSymName()))
        builder.clone(*kernel);
    });
    Builder attributes(&getContext());
    device->setAttr(cuda::hostCallsAttr, attributes.getArrayAttr(onHost));
    device->setAttr(cuda::deviceCallsAttr, attributes.getI64IntegerAttr(onDevice));
    remark::analysis(module.getLoc(), remark::RemarkOpts::name("Split").category("cuda-split-device"))
        << remark::metric("device", onDevice) << remark::metric("host", onHost.size());
  }
};
} // namespace
