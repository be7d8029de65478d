// cpu-make-entry: @main becomes burin_entry (include/burin/runtime.h): pointers come from arrays, kernels are called in
// order, and the profile hook of the context hears of each. Must not touch the kernels.
#include "passes/Cpu/Passes.h"
#include "passes/Cpu/Views.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include <cstddef>

namespace burin {
#define GEN_PASS_DEF_MAKEENTRY
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

constexpr char hookName[] = "burin_layer_hook";

struct MakeEntry : burin::impl::MakeEntryBase<MakeEntry> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto main = module.lookupSymbol<func::FuncOp>("main");
    auto numInputs = main ? main->getAttrOfType<IntegerAttr>("burin.num_inputs") : IntegerAttr();
    if (!numInputs || main.getNumArguments() < 2 || numInputs.getInt() + 2 > main.getNumArguments()) {
      module.emitError(
          "expected @main with arena and weights and the attribute burin.num_inputs, as cpu-outline-kernels leaves it");
      return signalPassFailure();
    }
    OpBuilder builder(main);
    Location loc = main.getLoc();
    Type pointer = LLVM::LLVMPointerType::get(&getContext());
    Type i8 = builder.getI8Type(), i32 = builder.getI32Type();
    auto entry =
        func::FuncOp::create(builder, loc, "entry", builder.getFunctionType(SmallVector<Type>(5, pointer), i32));
    Block *block = entry.addEntryBlock();
    builder.setInsertionPointToStart(block);

    // The tensors' pointers, in the order of @main's arguments.
    unsigned inputs = numInputs.getInt(), tensors = main.getNumArguments() - 2;
    SmallVector<Value> roots;
    for (unsigned i = 0; i < tensors; ++i) {
      bool isInput = i < inputs;
      LLVM::GEPArg index = int32_t(isInput ? i : i - inputs);
      Value slot = LLVM::GEPOp::create(builder, loc, pointer, pointer, block->getArgument(isInput ? 0 : 1), index);
      roots.push_back(LLVM::LoadOp::create(builder, loc, pointer, slot));
    }
    roots.append({block->getArgument(2), block->getArgument(3)});

    int32_t layer = 0;
    for (Operation &op : main.front().without_terminator()) {
      auto call = dyn_cast<func::CallOp>(op);
      if (!call) {
        if (isMemoryEffectFree(&op))
          continue;
        op.emitError() << "expected only views and calls of kernels in @main, got " << op.getName();
        return signalPassFailure();
      }
      SmallVector<Value> operands;
      for (Value operand : call.getOperands()) {
        FailureOr<View> view = resolveView(operand);
        auto root = succeeded(view) ? dyn_cast<BlockArgument>(view->root) : BlockArgument();
        if (!root || root.getOwner() != &main.front()) {
          call.emitError() << "expected static views of the function's arguments, got " << operand.getType();
          return signalPassFailure();
        }
        Value base = roots[root.getArgNumber()];
        if (view->baseBytes != 0) {
          Value bytes = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(view->baseBytes));
          base =
              LLVM::GEPOp::create(builder, loc, pointer, i8, base, LLVM::GEPArg(bytes), LLVM::GEPNoWrapFlags::inbounds);
        }
        operands.push_back(UnrealizedConversionCastOp::create(builder, loc, operand.getType(), base).getResult(0));
      }
      callHook(builder, call.getLoc(), block->getArgument(4), layer, 0);
      func::CallOp::create(builder, call.getLoc(), call.getCallee(), TypeRange(), operands);
      callHook(builder, call.getLoc(), block->getArgument(4), layer++, 1);
    }
    Value ok = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(BURIN_OK));
    func::ReturnOp::create(builder, loc, ok);
    main.erase();
    if (layer > 0)
      makeHook(module);
  }

  void callHook(OpBuilder &builder, Location loc, Value context, int32_t layer, int32_t end) {
    Value layerValue = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(layer));
    Value endValue = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(end));
    LLVM::CallOp::create(builder, loc, TypeRange(), hookName, ValueRange{context, layerValue, endValue});
  }

  // void hook(context, layer, end) { if (context && context->profile) context->profile->layer(context->profile->user,
  // layer, end); } One function, never inlined: a call site costs a few bytes, and a run without a profile a few cycles
  // a layer.
  void makeHook(ModuleOp module) {
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    Location loc = builder.getUnknownLoc();
    MLIRContext *ctx = builder.getContext();
    Type pointer = LLVM::LLVMPointerType::get(ctx), i32 = builder.getI32Type(), i64 = builder.getI64Type();
    // The members of burin_context and burin_profile, so that LLVM knows their places on every target.
    static_assert(offsetof(burin_context, profile) == 40 && offsetof(burin_profile, user) == 8,
                  "the struct types below must follow runtime.h");
    Type contextType = LLVM::LLVMStructType::getLiteral(ctx, {i32, i32, pointer, i64, pointer, pointer, pointer});
    Type profileType = LLVM::LLVMStructType::getLiteral(ctx, {pointer, pointer});
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(ctx), {pointer, i32, i32});
    auto hook = LLVM::LLVMFuncOp::create(builder, loc, hookName, type, LLVM::Linkage::Internal);
    hook.setNoInline(true);
    Block *start = hook.addEntryBlock(builder), *look = builder.createBlock(&hook.getBody()),
          *tell = builder.createBlock(&hook.getBody()), *done = builder.createBlock(&hook.getBody());
    builder.setInsertionPointToEnd(start);
    Value null = LLVM::ZeroOp::create(builder, loc, pointer);
    Value hasContext = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, start->getArgument(0), null);
    LLVM::CondBrOp::create(builder, loc, hasContext, look, done);
    builder.setInsertionPointToEnd(look);
    Value slot =
        LLVM::GEPOp::create(builder, loc, pointer, contextType, start->getArgument(0), ArrayRef<LLVM::GEPArg>{0, 6});
    Value profile = LLVM::LoadOp::create(builder, loc, pointer, slot);
    Value hasProfile = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, profile, null);
    LLVM::CondBrOp::create(builder, loc, hasProfile, tell, done);
    builder.setInsertionPointToEnd(tell);
    Value function = LLVM::LoadOp::create(builder, loc, pointer, profile);
    Value userSlot = LLVM::GEPOp::create(builder, loc, pointer, profileType, profile, ArrayRef<LLVM::GEPArg>{0, 1});
    Value user = LLVM::LoadOp::create(builder, loc, pointer, userSlot);
    LLVM::CallOp::create(builder, loc, type, ValueRange{function, user, start->getArgument(1), start->getArgument(2)});
    LLVM::BrOp::create(builder, loc, done);
    builder.setInsertionPointToEnd(done);
    LLVM::ReturnOp::create(builder, loc, ValueRange());
  }
};

} // namespace
