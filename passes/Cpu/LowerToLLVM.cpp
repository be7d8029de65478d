// cpu-lower-to-llvm: from vector, scf, memref, arith and math to the LLVM dialect, one function's body at a time.
//
// The idea: MLIR's thread pool does many functions at once, so their memref arguments stay until the short
// cpu-convert-functions gives every function its pointer arguments. In between, `unrealized_conversion_cast` of an
// argument to !llvm.ptr stands for its base pointer. Of a dynamic memref only the pointer is
// passed. Must not meet an allocation.
#include "passes/Cpu/Passes.h"

#include "mlir/Conversion/AffineToStandard/AffineToStandard.h"
#include "mlir/Conversion/ArithToLLVM/ArithToLLVM.h"
#include "mlir/Conversion/ControlFlowToLLVM/ControlFlowToLLVM.h"
#include "mlir/Conversion/IndexToLLVM/IndexToLLVM.h"
#include "mlir/Conversion/LLVMCommon/ConversionTarget.h"
#include "mlir/Conversion/LLVMCommon/MemRefBuilder.h"
#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Conversion/MathToLLVM/MathToLLVM.h"
#include "mlir/Conversion/MemRefToLLVM/MemRefToLLVM.h"
#include "mlir/Conversion/SCFToControlFlow/SCFToControlFlow.h"
#include "mlir/Conversion/UBToLLVM/UBToLLVM.h"
#include "mlir/Conversion/VectorToLLVM/ConvertVectorToLLVM.h"
#include "mlir/Conversion/VectorToSCF/VectorToSCF.h"
#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Index/IR/IndexDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/MemRef/Transforms/Transforms.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/UB/IR/UBOps.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/Dialect/Vector/Transforms/LoweringPatterns.h"
#include "mlir/Dialect/Vector/Transforms/VectorRewritePatterns.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/DialectConversion.h"
#include "mlir/Transforms/GreedyPatternRewriteDriver.h"

namespace burin {
#define GEN_PASS_DEF_LOWERTOLLVM
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

// Ops that convert to LLVM one by one; all other vector ops need the (slower) rewriting into these first.
bool isPlainVectorOp(Operation *op) {
  return isa<vector::LoadOp, vector::StoreOp, vector::MaskedLoadOp, vector::MaskedStoreOp, vector::FMAOp,
             vector::ReductionOp, vector::ExtractOp, vector::InsertOp, vector::ShuffleOp, vector::BitCastOp>(op) ||
         (isa<vector::BroadcastOp>(op) && !isa<VectorType>(op->getOperand(0).getType()) &&
          cast<VectorType>(op->getResult(0).getType()).getRank() == 1);
}

LogicalResult expandVectorOps(Operation *root, bool &transfers) {
  bool needed = false;
  transfers = false;
  root->walk([&](Operation *op) {
    if (op->getDialect() && isa<vector::VectorDialect>(op->getDialect()) && !isPlainVectorOp(op))
      needed = true;
    transfers |= isa<vector::TransferReadOp, vector::TransferWriteOp>(op);
  });
  if (!needed)
    return success();
  RewritePatternSet patterns(root->getContext());
  vector::populateVectorMultiReductionLoweringPatterns(patterns, vector::VectorMultiReductionLowering::InnerParallel);
  vector::populateVectorToVectorCanonicalizationPatterns(patterns);
  vector::populateVectorBitCastLoweringPatterns(patterns);
  vector::populateVectorBroadcastLoweringPatterns(patterns);
  vector::populateVectorContractLoweringPatterns(patterns, vector::VectorContractLowering::OuterProduct);
  vector::populateVectorOuterProductLoweringPatterns(patterns);
  vector::populateVectorMaskOpLoweringPatterns(patterns);
  vector::populateVectorShapeCastLoweringPatterns(patterns);
  vector::populateVectorInterleaveLoweringPatterns(patterns);
  vector::populateVectorTransposeLoweringPatterns(patterns, vector::VectorTransposeLowering::Shuffle1D);
  vector::populateVectorTransferLoweringPatterns(patterns, /*maxTransferRank=*/1);
  vector::populateVectorMaskMaterializationPatterns(patterns, /*force32BitVectorIndices=*/false);
  vector::populateVectorInsertExtractStridedSliceTransforms(patterns);
  vector::populateVectorStepLoweringPatterns(patterns);
  vector::populateVectorRankReducingFMAPattern(patterns);
  vector::populateVectorGatherLoweringPatterns(patterns);
  vector::populateVectorFromElementsUnrollPatterns(patterns);
  vector::populateVectorToElementsUnrollPatterns(patterns);
  if (transfers)
    populateVectorToSCFConversionPatterns(patterns, VectorTransferToSCFOptions().enableFullUnroll());
  return applyPatternsGreedily(root, std::move(patterns));
}

// Divisions that round down or up, in terms of those that cut off.
LogicalResult expandDivisions(Operation *root) {
  bool needed = root->walk([](Operation *op) {
                      return isa<arith::FloorDivSIOp, arith::CeilDivSIOp, arith::CeilDivUIOp>(op)
                                 ? WalkResult::interrupt()
                                 : WalkResult::advance();
                    })
                    .wasInterrupted();
  if (!needed)
    return success();
  RewritePatternSet patterns(root->getContext());
  arith::populateCeilFloorDivExpandOpsPatterns(patterns);
  return applyPatternsGreedily(root, std::move(patterns));
}

LogicalResult expandViews(Operation *root) {
  bool needed =
      root->walk([](Operation *op) {
            return isa<ViewLikeOpInterface>(op) && !isa<memref::ReinterpretCastOp, memref::CastOp, memref::ViewOp>(op)
                       ? WalkResult::interrupt()
                       : WalkResult::advance();
          })
          .wasInterrupted();
  if (!needed)
    return success();
  RewritePatternSet patterns(root->getContext());
  memref::populateExpandStridedMetadataPatterns(patterns);
  return applyPatternsGreedily(root, std::move(patterns));
}

// Elements of bf16 are bits to this target: where LLVM takes a masked access apart element by element, it would convert
// them through f32 by calls.
void accessBf16AsBits(Operation *root) {
  auto asBits = [](Type type) -> Type {
    auto vector = dyn_cast<VectorType>(type);
    return vector && vector.getElementType().isBF16() ? vector.clone(IntegerType::get(type.getContext(), 16)) : Type();
  };
  root->walk([&](Operation *op) {
    if (!isa<LLVM::LoadOp, LLVM::StoreOp, LLVM::MaskedLoadOp, LLVM::MaskedStoreOp>(op))
      return;
    OpBuilder b(op);
    for (OpOperand &operand : op->getOpOperands())
      if (Type bits = asBits(operand.get().getType()))
        operand.set(LLVM::BitcastOp::create(b, op->getLoc(), bits, operand.get()));
    if (op->getNumResults() == 0)
      return;
    Value result = op->getResult(0);
    Type type = result.getType(), bits = asBits(type);
    if (!bits)
      return;
    b.setInsertionPointAfter(op);
    result.setType(bits);
    auto back = LLVM::BitcastOp::create(b, op->getLoc(), type, result);
    result.replaceAllUsesExcept(back, back);
  });
}

// Stores past the caches reach memory in any order: whoever is told that the function is done must see them (x86, the
// only one that has them here).
void fenceStreams(func::FuncOp function) {
  bool streams = function
                     .walk([](vector::StoreOp store) {
                       return store.getNontemporal() ? WalkResult::interrupt() : WalkResult::advance();
                     })
                     .wasInterrupted();
  if (!streams)
    return;
  function.walk([](func::ReturnOp end) {
    OpBuilder b(end);
    LLVM::CallIntrinsicOp::create(b, end.getLoc(), b.getStringAttr("llvm.x86.sse.sfence"), ValueRange());
  });
}

struct LowerToLLVM : burin::impl::LowerToLLVMBase<LowerToLLVM> {
  using LowerToLLVMBase::LowerToLLVMBase;
  // Built once and shared by all threads' copies: there are hundreds of patterns.
  std::shared_ptr<LLVMTypeConverter> converter;
  std::shared_ptr<LLVMConversionTarget> target;
  FrozenRewritePatternSet toControlFlow, toLLVM;

  LogicalResult initialize(MLIRContext *ctx) override {
    const Machine *machine = findMachine(machineName);
    if (!machine)
      return emitError(UnknownLoc::get(ctx))
             << "unknown machine '" << machineName << "', expected one of: " << machineNames();
    mlir::LowerToLLVMOptions options(ctx);
    options.overrideIndexBitwidth(machine->indexBits());
    options.useBarePtrCallConv = true;
    options.allocLowering = mlir::LowerToLLVMOptions::AllocLowering::None;
    converter = std::make_shared<LLVMTypeConverter>(ctx, options);
    target = std::make_shared<LLVMConversionTarget>(*ctx);
    target->addIllegalDialect<arith::ArithDialect, cf::ControlFlowDialect, index::IndexDialect, math::MathDialect,
                              memref::MemRefDialect, scf::SCFDialect, ub::UBDialect, vector::VectorDialect>();
    target->addLegalOp<func::FuncOp, func::ReturnOp, func::CallOp, UnrealizedConversionCastOp>();
    RewritePatternSet flow(ctx);
    populateAffineToStdConversionPatterns(flow);
    populateSCFToControlFlowConversionPatterns(flow);
    toControlFlow = std::move(flow);
    RewritePatternSet patterns(ctx);
    vector::populateVectorTransferLoweringPatterns(patterns);
    populateVectorToLLVMConversionPatterns(*converter, patterns, /*reassociateFPReductions=*/true);
    arith::populateArithToLLVMConversionPatterns(*converter, patterns);
    cf::populateControlFlowToLLVMConversionPatterns(*converter, patterns);
    index::populateIndexToLLVMConversionPatterns(*converter, patterns);
    populateMathToLLVMConversionPatterns(*converter, patterns);
    populateFinalizeMemRefToLLVMConversionPatterns(*converter, patterns);
    ub::populateUBToLLVMConversionPatterns(*converter, patterns);
    toLLVM = std::move(patterns);
    return success();
  }

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    fenceStreams(function);
    bool transfers;
    if (failed(expandVectorOps(function, transfers)) || failed(expandViews(function)) ||
        failed(expandDivisions(function)))
      return signalPassFailure();
    ConversionTarget flowTarget(getContext());
    flowTarget.markUnknownOpDynamicallyLegal([](Operation *) { return true; });
    flowTarget.addIllegalDialect<scf::SCFDialect, affine::AffineDialect>();
    if (failed(applyPartialConversion(function, flowTarget, toControlFlow)) ||
        failed(applyPartialConversion(function, *target, toLLVM)))
      return signalPassFailure();
    accessBf16AsBits(function);
    resolveArguments(function);
    removeDead(function);
  }

  // A descriptor without sizes: cpu-outline-kernels passes them beside the pointer, and nobody asks the memref for
  // them.
  Value pointerAlone(OpBuilder &builder, Location loc, MemRefType type, Value pointer) {
    auto descriptor = MemRefDescriptor::poison(builder, loc, converter->convertType(type));
    descriptor.setAllocatedPtr(builder, loc, pointer);
    descriptor.setAlignedPtr(builder, loc, pointer);
    descriptor.setConstantOffset(builder, loc, 0);
    SmallVector<int64_t> strides;
    int64_t offset;
    if (succeeded(type.getStridesAndOffset(strides, offset)))
      for (auto [dim, stride] : llvm::enumerate(strides))
        if (!ShapedType::isDynamic(stride))
          descriptor.setConstantStride(builder, loc, dim, stride);
    return descriptor;
  }

  // Casts of memref arguments to descriptors become descriptors of static constants around a bare pointer.
  void resolveArguments(func::FuncOp function) {
    OpBuilder builder = OpBuilder::atBlockBegin(&function.front());
    for (BlockArgument argument : function.getArguments()) {
      auto type = dyn_cast<MemRefType>(argument.getType());
      if (!type)
        continue;
      Value pointer;
      // A cast between memrefs stands for the same pointer read as another type.
      SmallVector<Operation *> users;
      for (Operation *user : argument.getUsers()) {
        users.push_back(user);
        if (isa<UnrealizedConversionCastOp>(user) && isa<MemRefType>(user->getResult(0).getType()))
          llvm::append_range(users, user->getUsers());
      }
      for (Operation *user : users) {
        auto cast = dyn_cast<UnrealizedConversionCastOp>(user);
        if (!cast || !isa<LLVM::LLVMStructType>(cast.getResult(0).getType()))
          continue;
        type = llvm::cast<MemRefType>(cast.getOperand(0).getType());
        if (!pointer)
          pointer = UnrealizedConversionCastOp::create(builder, argument.getLoc(),
                                                       LLVM::LLVMPointerType::get(&getContext()), argument)
                        .getResult(0);
        Value descriptor =
            type.hasStaticShape()
                ? Value(MemRefDescriptor::fromStaticShape(builder, argument.getLoc(), *converter, type, pointer))
                : pointerAlone(builder, argument.getLoc(), type, pointer);
        cast.getResult(0).replaceAllUsesWith(descriptor);
      }
    }
    SmallVector<Operation *> extracts;
    function.walk([&](LLVM::ExtractValueOp op) { extracts.push_back(op); });
    for (Operation *op : extracts) {
      SmallVector<OpFoldResult> folded;
      if (succeeded(op->fold(folded)) && folded.size() == 1)
        if (auto value = dyn_cast<Value>(folded[0])) {
          op->replaceAllUsesWith(ValueRange(value));
          op->erase();
        }
    }
    // What was index and is i64 now.
    function.walk([&](UnrealizedConversionCastOp cast) {
      if (auto inner =
              cast.getNumOperands() == 1 ? cast.getOperand(0).getDefiningOp<UnrealizedConversionCastOp>() : nullptr)
        if (inner.getNumOperands() == 1 && inner.getOperand(0).getType() == cast.getResult(0).getType())
          cast.getResult(0).replaceAllUsesWith(inner.getOperand(0));
    });
  }

  static void removeDead(func::FuncOp function) {
    bool changed = true; // a second round only where a dead op used a block's value from a later block
    while (changed) {
      changed = false;
      for (Block &block : llvm::reverse(function.getBody()))
        for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block)))
          if (isOpTriviallyDead(&op)) {
            op.erase();
            changed = true;
          }
      if (!changed)
        break;
    }
  }
};

} // namespace
