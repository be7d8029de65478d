// cuda-emulate-kernels: the kernels as functions that a processor runs, one call a thread. What a thread does alone
// stays as it is; what threads do together becomes calls through a table that the emulator of the driver hands in
// (test/CudaEmulator/emulator.h). Addresses, masks and orders are thus those that the GPU gets. The list of operations
// is closed: what has no case here is an error, so that no kernel escapes its test.
#include "passes/Cuda/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "llvm/ADT/TypeSwitch.h"

namespace burin::cuda {
#define GEN_PASS_DEF_EMULATEKERNELS
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;

namespace {

// Members of emu_thread in 8-byte words; see emulator.h.
enum Member { ThreadId = 0, BlockId = 3, BlockDim = 6, GridDim = 9, Shared = 12, Calls = 13 };
enum Call {
  Barrier,
  Shuffle,
  LoadMatrix,
  Multiply,
  CopyAsync,
  CommitCopies,
  WaitCopies,
  MakeBarrier,
  ArriveAt,
  WaitFor,
  CopyBox,
  MultiplyGroup,
  FenceProducts,
  CommitProducts,
  WaitProducts
};

class Emulation {
public:
  explicit Emulation(gpu::GPUFuncOp kernel) : kernel(kernel), ctx(kernel.getContext()), b(ctx) {}

  LogicalResult run(ModuleOp module) {
    loc = kernel.getLoc();
    pointer = LLVM::LLVMPointerType::get(ctx);
    b.setInsertionPointToEnd(module.getBody());
    SmallVector<BlockArgument> shared(kernel.getWorkgroupAttributions());
    unsigned arguments = kernel.getNumArguments();
    if (kernel.getNumPrivateAttributions())
      return kernel.emitError("expected no private memory in a kernel");

    // Body: arguments, shared buffers, thread.
    SmallVector<Type> types(kernel.getBody().getArgumentTypes());
    types.push_back(pointer);
    auto body = func::FuncOp::create(b, loc, (kernel.getName() + "_body").str(), b.getFunctionType(types, {}));
    body.setPrivate();
    body.getBody().takeBody(kernel.getBody());
    body.getBody().front().addArgument(pointer, loc);
    for (unsigned i = 0; i < arguments + shared.size(); ++i)
      body.setArgAttr(i, LLVM::LLVMDialect::getAlignAttrName(), b.getI64IntegerAttr(1));
    thread = body.getArguments().back();
    if (failed(replaceOps(body)))
      return failure();
    dropMemorySpaces(body);
    return makeEntry(module, body, arguments, shared.size());
  }

private:
  gpu::GPUFuncOp kernel;
  MLIRContext *ctx;
  OpBuilder b;
  Location loc = UnknownLoc::get(b.getContext());
  Type pointer;
  Value thread;
  bool meets = false; // threads wait for one another

  Value member(unsigned word, Type type) {
    Value at = LLVM::GEPOp::create(b, loc, pointer, b.getI64Type(), thread, ArrayRef<LLVM::GEPArg>{int32_t(word)});
    return LLVM::LoadOp::create(b, loc, type, at);
  }
  Value small(int64_t value) { return LLVM::ConstantOp::create(b, loc, b.getI32IntegerAttr(value)); }

  Value call(Call which, Type result, ArrayRef<Value> operands) {
    SmallVector<Value> all{member(Calls + which, pointer), thread};
    llvm::append_range(all, operands);
    SmallVector<Type> types = llvm::map_to_vector(ArrayRef(all).drop_front(), [](Value v) { return v.getType(); });
    auto type = LLVM::LLVMFunctionType::get(result ? result : LLVM::LLVMVoidType::get(ctx), types);
    auto op = LLVM::CallOp::create(b, loc, type, all);
    return result ? op.getResult() : Value();
  }

  Value coordinate(Member member0, gpu::Dimension dim) {
    Value word = member(member0 + unsigned(dim), b.getI64Type());
    return arith::IndexCastOp::create(b, loc, b.getIndexType(), word);
  }

  // Words on the stack of a thread, made once: enough for the largest exchange.
  Value slot;
  Value words(func::FuncOp body) {
    if (!slot) {
      OpBuilder start = OpBuilder::atBlockBegin(&body.getBody().front());
      Value count = LLVM::ConstantOp::create(start, loc, start.getI64IntegerAttr(128));
      slot = LLVM::AllocaOp::create(start, loc, pointer, start.getI32Type(), count);
    }
    return slot;
  }
  Value wordAt(Value base, int32_t i) {
    return LLVM::GEPOp::create(b, loc, pointer, b.getI32Type(), base, ArrayRef<LLVM::GEPArg>{i});
  }
  Value plain(Value address) {
    return isa<LLVM::LLVMPointerType>(address.getType()) &&
                   cast<LLVM::LLVMPointerType>(address.getType()).getAddressSpace()
               ? LLVM::AddrSpaceCastOp::create(b, loc, pointer, address)
               : address;
  }

  void replaceResults(Operation *op, func::FuncOp body, unsigned first) {
    auto type = dyn_cast<LLVM::LLVMStructType>(op->getResult(0).getType());
    if (!type) {
      op->getResult(0).replaceAllUsesWith(
          LLVM::LoadOp::create(b, loc, op->getResult(0).getType(), wordAt(words(body), first)));
      return;
    }
    Value result = LLVM::UndefOp::create(b, loc, type);
    for (auto [i, element] : llvm::enumerate(type.getBody()))
      result = LLVM::InsertValueOp::create(b, loc, result,
                                           LLVM::LoadOp::create(b, loc, element, wordAt(words(body), first + i)), i);
    op->getResult(0).replaceAllUsesWith(result);
  }

  // D = A B + C on fragments: the words of A, B and C, then those of D.
  LogicalResult multiply(NVVM::MmaOp op, func::FuncOp body) {
    auto a = op.getMultiplicandAPtxType(), bType = op.getMultiplicandBPtxType();
    if (!a || !bType)
      return op.emitError("expected the types of both factors");
    Value base = words(body);
    for (auto [i, operand] : llvm::enumerate(op->getOperands()))
      LLVM::StoreOp::create(b, loc, operand, wordAt(base, i));
    call(Multiply, {}, {base, small(int64_t(*a)), small(int64_t(*bType)), small(op.getShape().getK())});
    replaceResults(op, body, 6);
    return success();
  }

  LogicalResult replaceOps(func::FuncOp body) {
    SmallVector<Operation *> ops;
    body.walk([&](Operation *op) {
      if (op->getDialect() && isa<gpu::GPUDialect, NVVM::NVVMDialect>(op->getDialect()))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      b.setInsertionPoint(op);
      loc = op->getLoc();
      LogicalResult done =
          llvm::TypeSwitch<Operation *, LogicalResult>(op)
              .Case([&](gpu::ThreadIdOp o) { return replace(o, coordinate(ThreadId, o.getDimension())); })
              .Case([&](gpu::BlockIdOp o) { return replace(o, coordinate(BlockId, o.getDimension())); })
              .Case([&](gpu::BlockDimOp o) { return replace(o, coordinate(BlockDim, o.getDimension())); })
              .Case([&](gpu::GridDimOp o) { return replace(o, coordinate(GridDim, o.getDimension())); })
              .Case([&](gpu::BarrierOp) { return meets = true, call(Barrier, {}, {}), success(); })
              .Case([&](gpu::ShuffleOp o) { return shuffle(o); })
              .Case([&](gpu::ReturnOp) { return func::ReturnOp::create(b, loc), success(); })
              .Case([&](NVVM::MmaOp o) { return meets = true, multiply(o, body); })
              .Case([&](NVVM::LdMatrixOp o) {
                meets = true;
                call(LoadMatrix, {},
                     {plain(o.getPtr()), small(o.getNum()), small(o.getLayout() == NVVM::MMALayout::col), words(body)});
                return replaceResults(o, body, 0), success();
              })
              .Case([&](NVVM::ConvertFloatToTF32Op o) { return round(o); })
              .Case([&](NVVM::CpAsyncOp o) {
                Value bytes = small(o.getSize());
                call(CopyAsync, {},
                     {plain(o.getDst()), plain(o.getSrc()), bytes, o.getCpSize() ? o.getCpSize() : bytes});
                return success();
              })
              .Case([&](NVVM::CpAsyncCommitGroupOp) { return call(CommitCopies, {}, {}), success(); })
              .Case([&](gpu::DynamicSharedMemoryOp o) { return shareMemory(o); })
              .Case([&](NVVM::MBarrierInitOp o) {
                return meets = true, call(MakeBarrier, {}, {plain(o.getAddr()), o.getCount()}), success();
              })
              .Case([&](NVVM::FenceProxyOp) { return success(); })
              .Case([&](NVVM::MBarrierArriveOp o) -> LogicalResult {
                if (!o.getRes().use_empty() || o.getCount())
                  return o.emitError("the emulator of kernels arrives once, and does not say at what");
                return call(ArriveAt, {}, {plain(o.getAddr()), small(0)}), success();
              })
              .Case([&](NVVM::MBarrierArriveExpectTxOp o) {
                return call(ArriveAt, {}, {plain(o.getAddr()), o.getTxcount()}), success();
              })
              .Case([&](NVVM::MBarrierTryWaitParityOp o) {
                return call(WaitFor, {}, {plain(o.getAddr()), o.getPhase()}), success();
              })
              .Case([&](NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp o) { return copyBox(o, body); })
              .Case([&](NVVM::WgmmaFenceAlignedOp) { return call(FenceProducts, {}, {}), success(); })
              .Case([&](NVVM::WgmmaMmaAsyncOp o) { return multiplyGroup(o, body); })
              .Case([&](NVVM::WgmmaGroupSyncAlignedOp) { return call(CommitProducts, {}, {}), success(); })
              .Case([&](NVVM::WgmmaWaitGroupSyncOp o) {
                return call(WaitProducts, {}, {small(o.getGroup())}), success();
              })
              .Case([&](NVVM::CpAsyncWaitGroupOp o) { return call(WaitCopies, {}, {small(o.getN())}), success(); })
              .Default(
                  [](Operation *other) { return other->emitError("the emulator of kernels has no such operation"); });
      if (failed(done))
        return failure();
      op->erase();
    }
    return success();
  }

  // The launch's memory; kernels use its address alone.
  LogicalResult shareMemory(gpu::DynamicSharedMemoryOp op) {
    Value bytes = LLVM::PtrToIntOp::create(b, loc, b.getI64Type(), member(Shared, pointer));
    Value address = arith::IndexCastOp::create(b, loc, b.getIndexType(), bytes);
    for (Operation *user : llvm::make_early_inc_range(op->getUsers())) {
      if (!isa<memref::ExtractAlignedPointerAsIndexOp>(user))
        return user->emitError("the emulator of kernels gives dynamic shared memory as an address alone");
      user->getResult(0).replaceAllUsesWith(address);
      user->erase();
    }
    return success();
  }

  LogicalResult copyBox(NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp op, func::FuncOp body) {
    if (!op.getIm2colOffsets().empty() || op.getMulticastMask() || op.getPredicate())
      return op.emitError("the emulator of kernels copies plain boxes alone");
    Value base = words(body);
    for (auto [i, at] : llvm::enumerate(op.getCoordinates()))
      LLVM::StoreOp::create(b, loc, at, wordAt(base, i));
    call(CopyBox, {},
         {plain(op.getDstMem()), op.getTmaDescriptor(), base, small(op.getCoordinates().size()), plain(op.getMbar())});
    return success();
  }

  // 64 x n results of a warpgroup, of which each warp holds 16 rows: the sums in, the sums out.
  LogicalResult multiplyGroup(NVVM::WgmmaMmaAsyncOp op, func::FuncOp body) {
    meets = true;
    if (op.getTypeA() != op.getTypeB() || op.getTypeD() != NVVM::WGMMATypes::f32 ||
        op.getScaleD() != NVVM::WGMMAScaleOut::one || op.getScaleA() != NVVM::WGMMAScaleIn::one ||
        op.getScaleB() != NVVM::WGMMAScaleIn::one || op.getLayoutA() != NVVM::MMALayout::row)
      return op.emitError("the emulator of kernels has no such product of warpgroups");
    Value base = words(body);
    auto type = cast<LLVM::LLVMStructType>(op.getInouts().getType());
    for (unsigned i = 0; i < type.getBody().size(); ++i)
      LLVM::StoreOp::create(b, loc, LLVM::ExtractValueOp::create(b, loc, op.getInouts(), i), wordAt(base, i));
    call(MultiplyGroup, {},
         {base, op.getDescriptorA(), op.getDescriptorB(), small(op.getShape().getN()), small(int64_t(op.getTypeA())),
          small(op.getLayoutB() == NVVM::MMALayout::col)});
    return replaceResults(op, body, 0), success();
  }

  static LogicalResult replace(Operation *op, Value value) {
    op->getResult(0).replaceAllUsesWith(value);
    return success();
  }

  // To the nearest of 10 bits, ties away from zero: half of what is cut off is added, but to NaN.
  LogicalResult round(NVVM::ConvertFloatToTF32Op op) {
    if (op.getRnd() != NVVM::FPRoundingMode::RNA || op.getRelu())
      return op.emitError("the emulator of kernels rounds to tf32 by rna alone");
    auto constant = [&](int32_t value) { return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value)); };
    Value bits = arith::BitcastOp::create(b, loc, b.getI32Type(), op.getSrc());
    Value isNaN = arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, op.getSrc(), op.getSrc());
    Value nearest =
        arith::AndIOp::create(b, loc, arith::AddIOp::create(b, loc, bits, constant(0x1000)), constant(~0x1fff));
    return replace(op, arith::SelectOp::create(b, loc, isNaN, constant(0x7fffe000), nearest));
  }

  LogicalResult shuffle(gpu::ShuffleOp op) {
    meets = true;
    Type type = op.getValue().getType();
    bool isIndex = op.getMode() == gpu::ShuffleMode::IDX;
    if ((op.getMode() != gpu::ShuffleMode::XOR && !isIndex) || type.getIntOrFloatBitWidth() != 32 ||
        !op.getValid().use_empty())
      return op.emitError("the emulator of kernels exchanges words of 32 bits by xor or number alone");
    Value distance = op.getOffset();
    if (isIndex) // lane ^ (lane ^ number)
      distance = arith::XOrIOp::create(
          b, loc, distance, arith::TruncIOp::create(b, loc, b.getI32Type(), member(ThreadId, b.getI64Type())));
    Value bits = op.getValue();
    if (!type.isInteger())
      bits = arith::BitcastOp::create(b, loc, b.getI32Type(), bits);
    Value result = call(Shuffle, b.getI32Type(), {bits, distance});
    if (!type.isInteger())
      result = arith::BitcastOp::create(b, loc, type, result);
    op.getShuffleResult().replaceAllUsesWith(result);
    return success();
  }

  void dropMemorySpaces(func::FuncOp body) {
    AttrTypeReplacer replacer;
    replacer.addReplacement([](MemRefType type) -> std::optional<Type> {
      return MemRefType::get(type.getShape(), type.getElementType(), type.getLayout());
    });
    replacer.addReplacement([](LLVM::LLVMPointerType type) -> std::optional<Type> {
      return LLVM::LLVMPointerType::get(type.getContext());
    });
    replacer.recursivelyReplaceElementsIn(body, /*replaceAttrs=*/true, /*replaceLocs=*/false, /*replaceTypes=*/true);
    body.walk([](LLVM::AddrSpaceCastOp op) {
      op.getResult().replaceAllUsesWith(op.getOperand());
      op.erase();
    });
  }

  // @NAME(arguments, thread): what a launch calls. @NAME_info: arguments, bytes of shared memory, whether threads meet,
  // a bit an argument that is a tensor map.
  LogicalResult makeEntry(ModuleOp module, func::FuncOp body, unsigned arguments, unsigned shared) {
    b.setInsertionPointToEnd(module.getBody());
    loc = body.getLoc();
    auto entry = func::FuncOp::create(b, loc, kernel.getName(), b.getFunctionType({pointer, pointer}, {}));
    Block *block = entry.addEntryBlock();
    b.setInsertionPointToStart(block);
    thread = block->getArgument(1);
    SmallVector<Value> operands;
    int64_t sharedBytes = 0;
    auto push = [&](Value address) {
      Type type = body.getArgumentTypes()[operands.size()];
      operands.push_back(UnrealizedConversionCastOp::create(b, loc, type, address).getResult(0));
    };
    for (unsigned i = 0; i < arguments; ++i) {
      Type type = body.getArgumentTypes()[i];
      if (!isa<MemRefType, LLVM::LLVMPointerType>(type))
        return body.emitError("expected kernels that take memrefs and tensor maps alone");
      Value at =
          LLVM::GEPOp::create(b, loc, pointer, pointer, block->getArgument(0), ArrayRef<LLVM::GEPArg>{int32_t(i)});
      Value parameter = LLVM::LoadOp::create(b, loc, pointer, at);
      if (isa<MemRefType>(type))
        push(LLVM::LoadOp::create(b, loc, pointer, parameter));
      else
        operands.push_back(parameter); // a tensor map lies in the parameters themselves
    }
    for (unsigned i = 0; i < shared; ++i) {
      auto type = cast<MemRefType>(body.getArgumentTypes()[arguments + i]);
      push(LLVM::GEPOp::create(b, loc, pointer, b.getI8Type(), member(Shared, pointer),
                               ArrayRef<LLVM::GEPArg>{int32_t(sharedBytes)}));
      sharedBytes =
          llvm::alignTo(sharedBytes + type.getNumElements() * std::max(1u, type.getElementTypeBitWidth() / 8), 128);
    }
    operands.push_back(thread);
    func::CallOp::create(b, loc, body, operands);
    func::ReturnOp::create(b, loc);
    b.setInsertionPointToEnd(module.getBody());
    int64_t maps = 0;
    for (unsigned i = 0; i < arguments; ++i)
      if (isa<LLVM::LLVMPointerType>(body.getArgumentTypes()[i]))
        maps |= int64_t(1) << i;
    auto words = RankedTensorType::get({4}, b.getI64Type());
    LLVM::GlobalOp::create(b, loc, LLVM::LLVMArrayType::get(b.getI64Type(), 4), /*isConstant=*/true,
                           LLVM::Linkage::External, (kernel.getName() + "_info").str(),
                           DenseIntElementsAttr::get(words, ArrayRef<int64_t>{arguments, sharedBytes, meets, maps}));
    return success();
  }
};

struct EmulateKernelsPass : burin::cuda::impl::EmulateKernelsBase<EmulateKernelsPass> {
  void runOnOperation() override {
    for (gpu::GPUModuleOp kernels : llvm::make_early_inc_range(getOperation().getOps<gpu::GPUModuleOp>())) {
      for (auto kernel : llvm::make_early_inc_range(kernels.getOps<gpu::GPUFuncOp>()))
        if (failed(Emulation(kernel).run(getOperation())))
          return signalPassFailure();
      kernels.erase();
    }
  }
};
} // namespace
