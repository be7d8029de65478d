// tensor-plan-arena: an offset for each buffer by its lifetime. Knows memrefs only.
#include "passes/Tensor/ArenaOrder.h"
#include "passes/Tensor/ArenaPlan.h"
#include "passes/Tensor/Passes.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace burin {
#define GEN_PASS_DEF_PLANARENA
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {
struct PlanArenaPass : burin::impl::PlanArenaBase<PlanArenaPass> {
  using PlanArenaBase::PlanArenaBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || !main.getBody().hasOneBlock()) {
      getOperation().emitError("expected a function @main of one block");
      return signalPassFailure();
    }
    if (limit > 0 && arenaOf(main) > limit)
      reorderForMemory(main);
    plan(main);
  }

  // What the arena would take in the order the operations stand in; 0 where that depends on a run.
  static int64_t arenaOf(func::FuncOp main) {
    SmallVector<ArenaBuffer> buffers, sizedByData;
    SmallVector<Operation *> order;
    DimArithmetic arithmetic(main);
    if (failed(findLifetimes(main, arithmetic, buffers, sizedByData, order)) || isPlannedAtRunTime(main))
      return 0;
    return placeBuffers(buffers);
  }

  static bool isPlannedAtRunTime(func::FuncOp main) {
    return main->hasAttr("burin.num_inputs") || main.getNumResults() != 0;
  }

  void plan(func::FuncOp main) {
    Block &block = main.getBody().front();
    resolveOutputDims(main);
    DimArithmetic arithmetic(main);
    SmallVector<ArenaBuffer> buffers, sizedByData;
    SmallVector<Operation *> order;
    if (failed(findLifetimes(main, arithmetic, buffers, sizedByData, order)))
      return signalPassFailure();
    int64_t positions = order.size();
    main.walk([](memref::DeallocOp dealloc) { dealloc.erase(); });
    for (ArenaBuffer &buffer : sizedByData)
      allocate(buffer.alloc);
    bool hasOwnOutputs = false;
    main.walk([&](memref::AllocOp alloc) { hasOwnOutputs |= alloc->hasAttr("burin.output"); });
    if (hasOwnOutputs || !sizedByData.empty())
      getOperation()->setAttr("burin.needs_allocator", UnitAttr::get(&getContext()));
    if (isPlannedAtRunTime(main)) { // tensor-make-destinations says so where dims are free
      if (limit > 0)
        main.emitWarning("the arena's size is known at run time only: no limit is checked");
      return planAtRunTime(main, arithmetic, buffers, positions);
    }

    int64_t arena = placeBuffers(buffers), peak = peakLiveBytes(buffers, positions);
    if (limit > 0 && arena > limit)
      return refuse(buffers, arena, peak);
    OpBuilder builder(&getContext());
    unsigned at = main.getNumArguments();
    auto arenaType = MemRefType::get({arena}, builder.getI8Type());
    if (failed(main.insertArgument(at, arenaType, {}, main.getLoc())))
      return signalPassFailure();
    builder.setInsertionPointToStart(&block);
    llvm::MapVector<int64_t, Value> offsets;
    for (ArenaBuffer &buffer : buffers) {
      if (!offsets.count(buffer.offset))
        offsets[buffer.offset] = arith::ConstantIndexOp::create(builder, main.getLoc(), buffer.offset);
    }
    for (ArenaBuffer &buffer : buffers) {
      builder.setInsertionPoint(buffer.alloc);
      auto type = MemRefType::get(buffer.alloc.getType().getShape(), buffer.alloc.getType().getElementType());
      Value view = memref::ViewOp::create(builder, buffer.alloc.getLoc(), type, main.getArgument(at),
                                          offsets[buffer.offset], ValueRange());
      buffer.alloc.replaceAllUsesWith(view);
    }
    for (ArenaBuffer &buffer : buffers)
      buffer.alloc.erase();
    setSizes(arena, peak);
  }

  // Names what lives where most does, largest first.
  void refuse(ArrayRef<ArenaBuffer> buffers, int64_t arena, int64_t peak) {
    int64_t where = 0, most = -1;
    for (const ArenaBuffer &at : buffers) {
      int64_t live = 0;
      for (const ArenaBuffer &other : buffers)
        live += other.first <= at.first && at.first <= other.last ? other.bytes : 0;
      if (live > most) {
        most = live;
        where = at.first;
      }
    }
    SmallVector<const ArenaBuffer *> live;
    for (const ArenaBuffer &buffer : buffers)
      if (buffer.first <= where && where <= buffer.last)
        live.push_back(&buffer);
    llvm::stable_sort(live, [](const ArenaBuffer *a, const ArenaBuffer *b) { return a->bytes > b->bytes; });
    InFlightDiagnostic error = getOperation().emitError()
                               << "the arena takes " << arena << " bytes, the limit is " << int64_t(limit)
                               << "; of them " << peak << " are in use at once, most by";
    for (const ArenaBuffer *buffer : ArrayRef(live).take_front(4)) {
      memref::AllocOp alloc = buffer->alloc;
      error << (buffer == live.front() ? " " : ", ") << alloc.getType() << " (" << buffer->bytes << " bytes)";
      error.attachNote(alloc.getLoc()) << "this makes one of " << buffer->bytes << " bytes";
    }
    signalPassFailure();
  }

  void setSizes(int64_t arena, int64_t peak) {
    Builder builder(&getContext());
    getOperation()->setAttr("burin.arena_bytes", builder.getI64IntegerAttr(arena));
    getOperation()->setAttr("burin.peak_live_bytes", builder.getI64IntegerAttr(peak));
  }

  // What @main asks of its outputs' dims, by what it returns of them.
  static void resolveOutputDims(func::FuncOp main) {
    auto inputs = main->getAttrOfType<IntegerAttr>("burin.num_inputs");
    auto ret = cast<func::ReturnOp>(main.getBody().front().getTerminator());
    if (!inputs || ret.getNumOperands() == 0)
      return;
    DimArithmetic arithmetic(main);
    unsigned first = 0;
    for (unsigned i = inputs.getInt(); i < main.getNumArguments(); ++i) {
      auto type = cast<MemRefType>(main.getArgumentTypes()[i]);
      for (Operation *user : llvm::make_early_inc_range(main.getArgument(i).getUsers()))
        if (auto dim = argumentDim(user)) {
          Value size = ret.getOperand(first + dim->second);
          if (size == user->getResult(0))
            continue;
          arithmetic.hoist(size, &main.getBody().front().front());
          user->getResult(0).replaceAllUsesWith(size);
        }
      first += type.getRank();
    }
  }

  // Memory of its own for a buffer whose size depends on data: from where it is made to its last use in the same block.
  static void allocate(memref::AllocOp alloc) {
    OpBuilder builder(alloc);
    Location loc = alloc.getLoc();
    MemRefType type = alloc.getType();
    Value bytes = arith::ConstantIndexOp::create(builder, loc, bytesOf(type));
    for (Value size : alloc.getDynamicSizes())
      bytes = arith::MulIOp::create(builder, loc, bytes, size);
    auto memory = memref::AllocOp::create(builder, loc, MemRefType::get({ShapedType::kDynamic}, builder.getI8Type()),
                                          ValueRange(bytes));
    Value zero = arith::ConstantIndexOp::create(builder, loc, 0);
    Value view = memref::ViewOp::create(builder, loc, MemRefType::get(type.getShape(), type.getElementType()), memory,
                                        zero, alloc.getDynamicSizes());
    Operation *last = view.getDefiningOp();
    SmallVector<Value> pending{alloc.getResult()};
    DenseSet<Value> seen;
    while (!pending.empty()) {
      Value value = pending.pop_back_val();
      if (!seen.insert(value).second)
        continue;
      for (Operation *user : value.getUsers()) {
        if (Operation *here = alloc->getBlock()->findAncestorOpInBlock(*user); here && last->isBeforeInBlock(here))
          last = here;
        if (isa<ViewLikeOpInterface>(user) || user->getNumRegions())
          for (Value result : user->getResults())
            if (isa<BaseMemRefType>(result.getType()))
              pending.push_back(result);
      }
    }
    builder.setInsertionPointAfter(last);
    memref::DeallocOp::create(builder, loc, memory);
    alloc.replaceAllUsesWith(view);
    alloc.erase();
  }

  // Sizes and offsets become arithmetic at the top of @main, and @plan tells the caller before the run.
  void planAtRunTime(func::FuncOp main, DimArithmetic &arithmetic, SmallVectorImpl<ArenaBuffer> &buffers,
                     int64_t positions) {
    Block &block = main.getBody().front();
    Location loc = main.getLoc();
    OpBuilder builder(&getContext());
    builder.setInsertionPointToStart(&block);
    Operation *anchor = arith::ConstantIndexOp::create(builder, loc, 0);
    auto ret = cast<func::ReturnOp>(block.getTerminator());
    SmallVector<Value> outputDims(ret.getOperands());
    for (Value dim : outputDims) {
      if (!arithmetic.holds(dim)) {
        main.emitError(
            "expected the dims of outputs to be arithmetic on dims of inputs, as tensor-make-destinations leaves them");
        return signalPassFailure();
      }
      arithmetic.hoist(dim, anchor);
    }
    for (ArenaBuffer &buffer : buffers)
      for (Value size : buffer.alloc.getDynamicSizes())
        arithmetic.hoist(size, anchor);
    SmallVector<std::pair<Value, StringAttr>> checks;
    for (auto check : llvm::make_early_inc_range(block.getOps<cf::AssertOp>())) {
      if (!arithmetic.holds(check.getArg()))
        continue;
      checks.push_back({check.getArg(), check.getMsgAttr()});
      check.erase(); // burin_run asks @plan first
    }

    SymbolicPlan symbolic(main, buffers, positions);
    builder.setInsertionPoint(anchor);
    Value bytes;
    SmallVector<Value> offsets = symbolic.build(builder, loc, bytes);
    auto inputs = main->getAttrOfType<IntegerAttr>("burin.num_inputs");
    makePlanFunction(main, indexBits, inputs ? inputs.getInt() : main.getNumArguments(), bytes, outputDims, buffers,
                     checks);

    unsigned at = main.getNumArguments();
    auto arenaType = MemRefType::get({ShapedType::kDynamic}, builder.getI8Type());
    if (failed(main.insertArgument(at, arenaType, {}, loc)))
      return signalPassFailure();
    for (auto [buffer, offset] : llvm::zip(buffers, offsets)) {
      builder.setInsertionPoint(buffer.alloc);
      MemRefType type = buffer.alloc.getType();
      Value view = memref::ViewOp::create(builder, buffer.alloc.getLoc(),
                                          MemRefType::get(type.getShape(), type.getElementType()), main.getArgument(at),
                                          offset, buffer.alloc.getDynamicSizes());
      buffer.alloc.replaceAllUsesWith(view);
      buffer.alloc.erase();
    }
    ret->setOperands({});
    main.setType(builder.getFunctionType(main.getArgumentTypes(), {}));
    anchor->erase();
    setSizes(symbolic.arenaAtOne, symbolic.peakAtOne);
  }
};
} // namespace
