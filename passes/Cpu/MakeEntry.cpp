// cpu-make-entry: @main becomes burin_entry (include/burin/runtime.h): pointers come from arrays, kernels are called in
// order, and the profile hook of the context hears of each. Must not touch the kernels.
//
// In a model with free dims a run can end early: a check of data fails, or the allocator has no memory. What follows
// such an operation stands in a branch that runs only while all is well; the other branch releases what is held.
#include "dialects/Foreign/Foreign.h"
#include "passes/Cpu/EntryFunctions.h"
#include "passes/Cpu/Passes.h"
#include "passes/Cpu/Views.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"

namespace burin {
#define GEN_PASS_DEF_MAKEENTRY
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

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
    inputs = numInputs.getInt();
    unsigned tensors = main.getNumArguments() - 2;
    SmallVector<int64_t> outputRanks;
    for (unsigned i = 0; i < tensors; ++i) {
      bool isInput = i < inputs;
      BlockArgument argument = main.getArgument(i);
      if (!isInput)
        outputRanks.push_back(cast<MemRefType>(argument.getType()).getRank());
      Value slot = memberOfTensor(builder, loc, block->getArgument(isInput ? 0 : 1), isInput ? i : i - inputs, 0);
      roots[argument] = LLVM::LoadOp::create(builder, loc, pointer, slot);
    }
    roots[main.getArgument(tensors)] = block->getArgument(2);
    roots[main.getArgument(tensors + 1)] = block->getArgument(3);

    entryBlock = block;
    context = block->getArgument(4);
    auto firstLayer = module->getAttrOfType<IntegerAttr>("burin.first_layer");
    layer = firstLayer ? firstLayer.getInt() : 0;
    int32_t layersBefore = layer;
    status = nullptr;
    hasMemory = false;
    auto plan = module.lookupSymbol<func::FuncOp>("plan");
    stopsEarly = plan || main.walk([](memref::AllocOp) { return WalkResult::interrupt(); }).wasInterrupted();
    IRMapping scalars;
    SmallVector<Value> results;
    if (failed(emitBlock(builder, main.front(), scalars, false, results)))
      return signalPassFailure();
    Value result = status ? Value(LLVM::LoadOp::create(builder, loc, i32, status))
                          : LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(BURIN_OK));
    func::ReturnOp::create(builder, loc, result);
    main.erase();
    roots.clear();
    if (plan)
      makePlanner(plan, outputRanks);
    if (layer > layersBefore)
      makeHook(module);
    if (hasMemory)
      makeMemoryFunctions(module);
  }

  Block *entryBlock;
  Value context, status; // status: where a check failed, else null
  int32_t layer;
  unsigned inputs;
  bool stopsEarly, hasMemory;
  DenseMap<Value, Value> roots; // arguments of @main and allocations: their pointers

  // A buffer of dynamic sizes: only where it begins is asked for, which the views between it and its root add up.
  FailureOr<Value> placeOf(OpBuilder &builder, Value memref, IRMapping &scalars) {
    Location loc = memref.getLoc();
    if (auto found = roots.find(memref); found != roots.end())
      return found->second;
    Operation *op = memref.getDefiningOp();
    if (!op || !isa<memref::ViewOp, memref::CastOp, memref::ReinterpretCastOp, memref::CollapseShapeOp,
                    memref::ExpandShapeOp, UnrealizedConversionCastOp>(op))
      return failure();
    if (auto cast = dyn_cast<memref::ReinterpretCastOp>(op);
        cast && !isConstantIntValue(cast.getMixedOffsets().front(), 0))
      return failure();
    FailureOr<Value> base = placeOf(builder, op->getOperand(0), scalars);
    auto view = dyn_cast<memref::ViewOp>(op);
    if (failed(base) || !view || isConstantIntValue(OpFoldResult(view.getByteShift()), 0))
      return base;
    return shifted(builder, loc, *base, scaled(builder, loc, scalars.lookup(view.getByteShift()), 1));
  }

  // The pointer to the first byte of what `memref` names, and its view.
  FailureOr<Value> pointerOf(OpBuilder &builder, Operation *user, Value memref, IRMapping &scalars, View &view) {
    auto refuse = [&] {
      return user->emitError() << "expected views of the function's arguments, got " << memref.getType();
    };
    if (!cast<MemRefType>(memref.getType()).hasStaticShape()) {
      FailureOr<Value> place = placeOf(builder, memref, scalars);
      return failed(place) ? FailureOr<Value>(refuse()) : place;
    }
    FailureOr<View> resolved = resolveView(memref);
    if (failed(resolved) || !roots.count(resolved->root))
      return refuse();
    view = *resolved;
    Location loc = memref.getLoc();
    Value base = roots[resolved->root];
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
  LogicalResult emitLoad(OpBuilder &builder, memref::LoadOp load, IRMapping &scalars) {
    View view;
    FailureOr<Value> pointer = pointerOf(builder, load, load.getMemref(), scalars, view);
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

  // Kernels are called, control flow and scalars are copied, views become pointers where they are used. `results`: the
  // operands of the block's terminator. `guarded`: nothing of it may run when something has gone wrong before.
  LogicalResult emitBlock(OpBuilder &builder, Block &block, IRMapping &scalars, bool guarded,
                          SmallVectorImpl<Value> &results) {
    return emitFrom(builder, block, block.begin(), scalars, {}, guarded, results);
  }

  // `held`: memory that this block has to release.
  LogicalResult emitFrom(OpBuilder &builder, Block &block, Block::iterator at, IRMapping &scalars,
                         SmallVector<Value> held, bool guarded, SmallVectorImpl<Value> &results) {
    Operation *terminator = block.getTerminator();
    for (; &*at != terminator; ++at) {
      Operation &op = *at;
      if (guarded)
        return emitGuarded(builder, block, at, scalars, held, results);
      if (auto call = dyn_cast<func::CallOp>(op)) {
        if (failed(emitCall(builder, call, scalars)))
          return failure();
      } else if (auto load = dyn_cast<memref::LoadOp>(op)) {
        if (failed(emitLoad(builder, load, scalars)))
          return failure();
      } else if (isa<scf::IfOp, scf::ForOp, scf::WhileOp>(op)) {
        if (failed(emitControlFlow(builder, op, scalars)))
          return failure();
        guarded = canStop(&op);
      } else if (auto check = dyn_cast<cf::AssertOp>(op)) {
        auto code = check->getAttrOfType<IntegerAttr>("burin.status");
        emitCheck(builder, check.getLoc(), scalars.lookup(check.getArg()), code ? code.getInt() : BURIN_ERROR_SHAPE);
        guarded = stopsEarly;
      } else if (auto alloc = dyn_cast<memref::AllocOp>(op)) {
        emitAlloc(builder, alloc, scalars);
        if (!alloc->hasAttr("burin.output"))
          held.push_back(roots[alloc]);
        guarded = true;
      } else if (auto dealloc = dyn_cast<memref::DeallocOp>(op)) {
        Value memory = roots.lookup(dealloc.getMemref());
        if (!memory)
          return op.emitError("expected to release what @main has allocated");
        release(builder, op.getLoc(), memory);
        llvm::erase(held, memory);
      } else if (auto dim = dyn_cast<memref::DimOp>(op); dim && isa<BlockArgument>(dim.getSource())) {
        unsigned argument = cast<BlockArgument>(dim.getSource()).getArgNumber();
        bool isInput = argument < inputs;
        scalars.map(dim.getResult(),
                    loadDim(builder, op.getLoc(), entryBlock->getArgument(isInput ? 0 : 1),
                            isInput ? argument : argument - inputs, dim.getConstantIndex().value_or(0)));
      } else if (isa<foreign::ContextOp>(op)) {
        scalars.map(op.getResult(0), LLVM::PtrToIntOp::create(builder, op.getLoc(), builder.getI64Type(), context));
      } else if (!isMemoryEffectFree(&op)) {
        return op.emitError() << "expected only views, scalars, control flow and calls of kernels in @main, got "
                              << op.getName();
      } else if (!llvm::any_of(op.getResultTypes(), llvm::IsaPred<BaseMemRefType>)) {
        builder.clone(op, scalars);
      }
    }
    for (Value operand : terminator->getOperands())
      results.push_back(scalars.lookupOrDefault(operand));
    return success();
  }

  // Whether a run may end inside this operation.
  bool canStop(Operation *op) {
    return stopsEarly && op->walk([](Operation *inner) {
                             return isa<cf::AssertOp, memref::AllocOp>(inner) ? WalkResult::interrupt()
                                                                              : WalkResult::advance();
                           }).wasInterrupted();
  }

  // if (status == OK) { the rest of the block } else { release what is held; give zeros }
  LogicalResult emitGuarded(OpBuilder &builder, Block &block, Block::iterator at, IRMapping &scalars,
                            ArrayRef<Value> held, SmallVectorImpl<Value> &results) {
    Location loc = at->getLoc();
    Value now = LLVM::LoadOp::create(builder, loc, builder.getI32Type(), statusSlot());
    Value ok = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(BURIN_OK));
    Value isWell = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::eq, now, ok);
    auto branch = scf::IfOp::create(builder, loc, block.getTerminator()->getOperandTypes(), isWell, true, true);
    OpBuilder good = OpBuilder::atBlockBegin(branch.thenBlock()), bad = OpBuilder::atBlockBegin(branch.elseBlock());
    SmallVector<Value> inner, zeros;
    if (failed(emitFrom(good, block, at, scalars, SmallVector<Value>(held), false, inner)))
      return failure();
    scf::YieldOp::create(good, loc, inner);
    for (Value memory : held)
      release(bad, loc, memory);
    for (Type type : branch.getResultTypes())
      zeros.push_back(arith::ConstantOp::create(bad, loc, bad.getZeroAttr(type)));
    scf::YieldOp::create(bad, loc, zeros);
    results.append(branch.getResults().begin(), branch.getResults().end());
    return success();
  }

  void emitAlloc(OpBuilder &builder, memref::AllocOp alloc, IRMapping &scalars) {
    hasMemory = true;
    Location loc = alloc.getLoc();
    MemRefType type = alloc.getType();
    Type i64 = builder.getI64Type();
    int64_t fixed = storageBytes(type.getElementType());
    for (int64_t size : type.getShape())
      fixed *= ShapedType::isDynamic(size) ? 1 : size;
    Value bytes = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(fixed));
    SmallVector<Value> sizes;
    for (Value size : alloc.getDynamicSizes()) {
      sizes.push_back(arith::IndexCastOp::create(builder, loc, i64, scalars.lookup(size)));
      bytes = LLVM::MulOp::create(builder, loc, bytes, sizes.back());
    }
    SmallVector<Value> operands{context, bytes, statusSlot()};
    auto output = alloc->getAttrOfType<IntegerAttr>("burin.output");
    if (output) {
      Value tensors = entryBlock->getArgument(1);
      unsigned next = 0;
      for (auto [d, size] : llvm::enumerate(type.getShape())) {
        Value dim = ShapedType::isDynamic(size)
                        ? sizes[next++]
                        : Value(LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(size)));
        LLVM::StoreOp::create(builder, loc, dim, memberOfTensor(builder, loc, tensors, output.getInt(), 3, d));
      }
      operands.insert(operands.begin() + 1, memberOfTensor(builder, loc, tensors, output.getInt(), 0));
    }
    roots[alloc] =
        LLVM::CallOp::create(builder, loc, context.getType(), output ? "burin_output" : "burin_allocate", operands)
            .getResult();
  }

  void release(OpBuilder &builder, Location loc, Value memory) {
    LLVM::CallOp::create(builder, loc, TypeRange(), "burin_release", ValueRange{context, memory});
  }

  // Where the run's result lies; made on first use.
  Value statusSlot() {
    if (!status) {
      OpBuilder start = OpBuilder::atBlockBegin(entryBlock);
      Location loc = context.getLoc();
      Value one = LLVM::ConstantOp::create(start, loc, start.getI64IntegerAttr(1));
      status = LLVM::AllocaOp::create(start, loc, context.getType(), start.getI32Type(), one);
      LLVM::StoreOp::create(start, loc, LLVM::ConstantOp::create(start, loc, start.getI32IntegerAttr(BURIN_OK)),
                            status);
    }
    return status;
  }

  // A failed check decides what the program returns. A static model runs on, for all memory it touches is its own.
  void emitCheck(OpBuilder &builder, Location loc, Value holds, int32_t code) {
    Value slot = statusSlot();
    Value wrong = LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(code));
    Value now = LLVM::LoadOp::create(builder, loc, builder.getI32Type(), slot);
    LLVM::StoreOp::create(builder, loc, arith::SelectOp::create(builder, loc, holds, now, wrong), slot);
  }

  LogicalResult emitControlFlow(OpBuilder &builder, Operation &op, IRMapping &scalars) {
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
        SmallVector<Value> results;
        bool guarded = !isa<scf::IfOp>(op) && canStop(&op);
        if (failed(emitBlock(inner, block, scalars, guarded, results)))
          return failure();
        inner.clone(*block.getTerminator(), scalars)->setOperands(results);
      }
    }
    scalars.map(op.getResults(), copy->getResults());
    return success();
  }

  LogicalResult emitCall(OpBuilder &builder, func::CallOp call, IRMapping &scalars) {
    SmallVector<Value> operands;
    for (Value operand : call.getOperands()) {
      if (!isa<BaseMemRefType>(operand.getType())) {
        operands.push_back(scalars.lookup(operand));
        continue;
      }
      View view;
      FailureOr<Value> base = pointerOf(builder, call, operand, scalars, view);
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
};

} // namespace
