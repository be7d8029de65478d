// cuda-split-device: which kernels of @main a GPU runs. Their functions are copied into a module of their own, from
// which the device's code is made; what stays is the host's. Looks at what a function holds only to ask whether a
// kernel of this room computes it.
#include "passes/Cuda/Kernels.h"
#include "passes/Cuda/Passes.h"
#include "passes/Cuda/Places.h"
#include "passes/Cuda/WarpgroupProblem.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/Remarks.h"
#include <numeric>

namespace burin::cuda {
#define GEN_PASS_DEF_SPLITDEVICE
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;
using namespace burin;

namespace {
struct SplitDevicePass : cuda::impl::SplitDeviceBase<SplitDevicePass> {
  using Base::Base;

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

    bool allocates = main.walk([](memref::AllocOp) { return WalkResult::interrupt(); }).wasInterrupted();
    auto arena = dyn_cast<MemRefType>(main.getArgumentTypes()[main.getNumArguments() - 2]);
    bool hasPlaces = arena && arena.hasStaticShape();

    unsigned onDevice = 0;
    SmallVector<Attribute> onHost;
    main.walk([&](func::CallOp call) {
      auto kernel = module.lookupSymbol<func::FuncOp>(call.getCallee());
      // Addresses of a device are constants of the program; where a run decides sizes there are none.
      bool isPlaced = hasPlaces && llvm::all_of(call.getOperands(), [](Value operand) {
                        return !isa<BaseMemRefType>(operand.getType()) || cuda::resolve(operand);
                      });
      std::string why = call->getParentOp() != main ? "it stands inside control flow"
                        : !isPlaced && allocates    ? "data decides its sizes"
                        : !isPlaced ? "sizes are known at run time only; bind them with --shape or --dim"
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
      auto copy = device.lookupSymbol<func::FuncOp>(kernel.getSymName());
      bool isNew = !copy;
      if (isNew)
        copy = cast<func::FuncOp>(builder.clone(*kernel));
      align(copy, call, isNew);
    });
    if (warpgroups)
      copyForWarpgroups(device);
    Builder attributes(&getContext());
    device->setAttr(cuda::hostCallsAttr, attributes.getArrayAttr(onHost));
    device->setAttr(cuda::deviceCallsAttr, attributes.getI64IntegerAttr(onDevice));
    remark::analysis(module.getLoc(), remark::RemarkOpts::name("Split").category("cuda-split-device"))
        << remark::metric("device", onDevice) << remark::metric("host", onHost.size());
  }

  // Functions with a product that warpgroups compute better stand there a second time, for sm_90a.
  static void copyForWarpgroups(ModuleOp device) {
    for (auto kernel : llvm::make_early_inc_range(device.getOps<func::FuncOp>())) {
      auto found = kernel.walk([](nn::ComputeOp op) {
        std::string why;
        bool fits = isa<nn::ConvOp, nn::MatmulOp>(*op) && cuda::describeWarpgroups(op, why);
        return fits ? WalkResult::interrupt() : WalkResult::advance();
      });
      if (!found.wasInterrupted())
        continue;
      func::FuncOp copy = kernel.clone();
      copy.setName((kernel.getName() + cuda::warpgroupsSuffix).str());
      copy->setAttr(cuda::warpgroupsAttr, UnitAttr::get(copy.getContext()));
      device.getBody()->getOperations().insert(Block::iterator(kernel), copy);
    }
  }

  // What is true of all calls: tensors of the caller begin at multiples of 64 in the device's memory, as parts of the
  // arena do, whatever the caller's own pointers are.
  static void align(func::FuncOp kernel, func::CallOp call, bool isFirst) {
    StringRef name = LLVM::LLVMDialect::getAlignAttrName();
    for (auto [i, operand] : llvm::enumerate(call.getOperands())) {
      std::optional<cuda::Place> place = cuda::resolve(operand);
      auto before = kernel.getArgAttrOfType<IntegerAttr>(i, name);
      int64_t least = isFirst || !before ? 64 : before.getInt();
      int64_t value = place ? std::gcd(place->base, least) : 1;
      kernel.setArgAttr(i, name, Builder(kernel).getI64IntegerAttr(value));
    }
  }
};
} // namespace
