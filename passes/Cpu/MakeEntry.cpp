// cpu-make-entry: @main becomes burin_entry (include/burin/runtime.h): pointers come from arrays, kernels are called in
// order, and the profile hook of the context hears of each. Must not touch the kernels.
#include "dialects/Foreign/Foreign.h"
#include "passes/Cpu/Passes.h"
#include "passes/Cpu/Views.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/IRMapping.h"
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
    Type i32 = builder.getI32Type();
    auto entry =
        func::FuncOp::create(builder, loc, "entry", builder.getFunctionType(SmallVector<Type>(5, pointer), i32));
    Block *block = entry.addEntryBlock();
    builder.setInsertionPointToStart(block);

    // The tensors' pointers, in the order of @main's arguments: the first member of each burin_tensor.
    static_assert(offsetof(burin_tensor, data) == 0 && offsetof(burin_tensor, dims) == 16 &&
                      sizeof(burin_tensor) == 152,
                  "the struct type below must follow runtime.h");
    Type i64 = builder.getI64Type(), dims = LLVM::LLVMArrayType::get(i64, BURIN_MAX_RANK);
    Type tensorType = LLVM::LLVMStructType::getLiteral(&getContext(), {pointer, i32, i32, dims, dims, i64});
    unsigned inputs = numInputs.getInt(), tensors = main.getNumArguments() - 2;
    SmallVector<Value> roots;
    for (unsigned i = 0; i < tensors; ++i) {
      bool isInput = i < inputs;
      LLVM::GEPArg index = int32_t(isInput ? i : i - inputs);
      Value slot = LLVM::GEPOp::create(builder, loc, pointer, tensorType, block->getArgument(isInput ? 0 : 1),
                                       ArrayRef<LLVM::GEPArg>{index, 0});
      roots.push_back(LLVM::LoadOp::create(builder, loc, pointer, slot));
    }
    roots.append({block->getArgument(2), block->getArgument(3)});

    context = block->getArgument(4);
    layer = 0;
    status = nullptr;
    IRMapping scalars;
    if (failed(emitBlock(builder, main.front(), roots, scalars)))
      return signalPassFailure();
    Value result = status ? Value(LLVM::LoadOp::create(builder, loc, i32, status))
                          : LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(BURIN_OK));
    func::ReturnOp::create(builder, loc, result);
    main.erase();
    if (layer > 0)
      makeHook(module);
  }

  Value context, status; // status: where a check failed, else null
  int32_t layer;

  // The pointer to the first byte of what `memref` names, and its view.
  FailureOr<Value> pointerOf(OpBuilder &builder, Operation *user, Value memref, ArrayRef<Value> roots,
                             IRMapping &scalars, View &view) {
    FailureOr<View> resolved = resolveView(memref);
    auto root = succeeded(resolved) ? dyn_cast<BlockArgument>(resolved->root) : BlockArgument();
    if (!root || !isa<func::FuncOp>(root.getOwner()->getParentOp()))
      return user->emitError() << "expected views of the function's arguments, got " << memref.getType();
    view = *resolved;
    Location loc = memref.getLoc();
    Value base = roots[root.getArgNumber()];
    if (view.baseBytes != 0)
      base = shifted(builder, loc, base,
                     LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(view.baseBytes)));
    for (auto [value, bytes] : view.dynamic)
      base = shifted(builder, loc, base, scaled(builder, loc, scalars.lookup(value), bytes));
    return base;
  }

  static Value scaled(OpBuilder &builder, Location loc, Value index, int64_t bytes) {
    Value wide = arith::IndexCastOp::create(builder, loc, builder.getI64Type(), index);
    Value scale = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(bytes));
    return bytes == 1 ? wide : Value(LLVM::MulOp::create(builder, loc, wide, scale));
  }

  static Value shifted(OpBuilder &builder, Location loc, Value base, Value bytes) {
    return LLVM::GEPOp::create(builder, loc, LLVM::LLVMPointerType::get(builder.getContext()), builder.getI8Type(),
                               base, LLVM::GEPArg(bytes), LLVM::GEPNoWrapFlags::inbounds);
  }

  // A scalar that control flow depends on.
  LogicalResult emitLoad(OpBuilder &builder, memref::LoadOp load, ArrayRef<Value> roots, IRMapping &scalars) {
    View view;
    FailureOr<Value> pointer = pointerOf(builder, load, load.getMemref(), roots, scalars, view);
    if (failed(pointer))
      return failure();
    Location loc = load.getLoc();
    int64_t bytes = storageBytes(view.element);
    Value address = *pointer;
    if (view.offset != 0)
      address = shifted(builder, loc, address,
                        LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(view.offset * bytes)));
    for (auto [index, stride] : llvm::zip(load.getIndices(), view.strides))
      address = shifted(builder, loc, address, scaled(builder, loc, scalars.lookup(index), stride * bytes));
    bool isBool = view.element.isInteger(1); // a byte in memory
    Value value = LLVM::LoadOp::create(builder, loc, isBool ? Type(builder.getI8Type()) : view.element, address,
                                       storageBytes(view.element));
    if (isBool)
      value = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::ne, value,
                                   LLVM::ConstantOp::create(builder, loc, builder.getI8IntegerAttr(0)));
    scalars.map(load.getResult(), value);
    return success();
  }

  // Kernels are called, control flow and scalars are copied, views become pointers where they are used.
  LogicalResult emitBlock(OpBuilder &builder, Block &block, ArrayRef<Value> roots, IRMapping &scalars) {
    for (Operation &op : block.without_terminator()) {
      if (auto call = dyn_cast<func::CallOp>(op)) {
        if (failed(emitCall(builder, call, roots, scalars)))
          return failure();
      } else if (auto load = dyn_cast<memref::LoadOp>(op)) {
        if (failed(emitLoad(builder, load, roots, scalars)))
          return failure();
      } else if (isa<scf::IfOp, scf::ForOp, scf::WhileOp>(op)) {
        if (failed(emitControlFlow(builder, op, roots, scalars)))
          return failure();
      } else if (auto check = dyn_cast<cf::AssertOp>(op)) {
        emitCheck(builder, check, scalars);
      } else if (isa<foreign::ContextOp>(op)) {
        scalars.map(op.getResult(0), LLVM::PtrToIntOp::create(builder, op.getLoc(), builder.getI64Type(), context));
      } else if (!isMemoryEffectFree(&op)) {
        return op.emitError() << "expected only views, scalars, control flow and calls of kernels in @main, got "
                              << op.getName();
      } else if (!llvm::any_of(op.getResultTypes(), llvm::IsaPred<BaseMemRefType>)) {
        builder.clone(op, scalars);
      }
    }
    return success();
  }

  // A failed check decides what the program returns; it runs on, for all memory it touches is its own.
  // An attribute may name another status than that of shapes.
  void emitCheck(OpBuilder &builder, cf::AssertOp check, IRMapping &scalars) {
    Location loc = check.getLoc();
    Value holds = scalars.lookup(check.getArg());
    auto code = check->getAttrOfType<IntegerAttr>("burin.status");
    Type i32 = builder.getI32Type();
    if (!status) {
      OpBuilder start = OpBuilder::atBlockBegin(cast<BlockArgument>(context).getOwner());
      Value one = LLVM::ConstantOp::create(start, loc, start.getI64IntegerAttr(1));
      status = LLVM::AllocaOp::create(start, loc, context.getType(), i32, one);
      LLVM::StoreOp::create(start, loc, LLVM::ConstantOp::create(start, loc, start.getI32IntegerAttr(BURIN_OK)),
                            status);
    }
    Value wrong =
        LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(code ? code.getInt() : BURIN_ERROR_SHAPE));
    Value now = LLVM::LoadOp::create(builder, loc, i32, status);
    LLVM::StoreOp::create(builder, loc, arith::SelectOp::create(builder, loc, holds, now, wrong), status);
  }

  LogicalResult emitControlFlow(OpBuilder &builder, Operation &op, ArrayRef<Value> roots, IRMapping &scalars) {
    if (llvm::any_of(op.getOperandTypes(), llvm::IsaPred<BaseMemRefType>))
      return op.emitError() << "expected control flow to carry scalars only; a buffer is updated in place";
    Operation *copy = op.cloneWithoutRegions(scalars);
    builder.insert(copy);
    for (auto [from, to] : llvm::zip(op.getRegions(), copy->getRegions())) {
      for (Block &block : from) {
        Block *target = new Block();
        to.push_back(target);
        for (BlockArgument argument : block.getArguments())
          scalars.map(argument, target->addArgument(argument.getType(), argument.getLoc()));
        OpBuilder inner = OpBuilder::atBlockEnd(target);
        if (failed(emitBlock(inner, block, roots, scalars)))
          return failure();
        inner.clone(*block.getTerminator(), scalars);
      }
    }
    scalars.map(op.getResults(), copy->getResults());
    return success();
  }

  LogicalResult emitCall(OpBuilder &builder, func::CallOp call, ArrayRef<Value> roots, IRMapping &scalars) {
    SmallVector<Value> operands;
    for (Value operand : call.getOperands()) {
      if (!isa<BaseMemRefType>(operand.getType())) {
        operands.push_back(scalars.lookup(operand));
        continue;
      }
      View view;
      FailureOr<Value> base = pointerOf(builder, call, operand, roots, scalars, view);
      if (failed(base))
        return failure();
      operands.push_back(
          UnrealizedConversionCastOp::create(builder, call.getLoc(), operand.getType(), *base).getResult(0));
    }
    callHook(builder, call.getLoc(), context, layer, 0);
    func::CallOp::create(builder, call.getLoc(), call.getCallee(), TypeRange(), operands);
    callHook(builder, call.getLoc(), context, layer++, 1);
    return success();
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
