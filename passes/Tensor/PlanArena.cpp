// tensor-plan-arena: lifetimes of buffers, operations numbered depth first, and an offset for each. Knows memrefs only.
#include "passes/Tensor/Passes.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include <functional>

namespace burin {
#define GEN_PASS_DEF_PLANARENA
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {
struct Buffer {
  memref::AllocOp alloc;
  int64_t bytes, first, last, offset = -1;
};

int64_t bytesOf(MemRefType type) {
  int64_t bits = type.getElementType().isIndex() ? 64 : type.getElementTypeBitWidth();
  return type.getNumElements() * std::max<int64_t>(1, (bits + 7) / 8);
}

int64_t aligned(int64_t bytes) { return llvm::alignTo(bytes, BURIN_ALIGNMENT); }

struct PlanArenaPass : burin::impl::PlanArenaBase<PlanArenaPass> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || !main.getBody().hasOneBlock()) {
      getOperation().emitError("expected a function @main of one block");
      return signalPassFailure();
    }
    Block &block = main.getBody().front();
    // Depth first, so that a buffer made inside a branch or a loop lives there only. One made outside and used inside
    // lives from the start of the branching operation to its end: a loop comes back to every use.
    DenseMap<Operation *, std::pair<int64_t, int64_t>> position;
    int64_t positions = 0;
    std::function<void(Operation *)> number = [&](Operation *op) {
      int64_t first = positions++;
      for (Region &region : op->getRegions())
        if (!isa<linalg::LinalgOp>(op))
          for (Operation &inner : region.getOps())
            number(&inner);
      position[op] = {first, positions - 1};
    };
    for (Operation &op : block)
      number(&op);

    SmallVector<Buffer> buffers;
    WalkResult walked = main.walk([&](memref::AllocOp alloc) {
      if (!alloc.getType().hasStaticShape()) {
        alloc.emitError("expected a buffer of static size, got ")
            << alloc.getType() << "; bind the free dims with --dim or --shape";
        return WalkResult::interrupt();
      }
      Buffer buffer{alloc, bytesOf(alloc.getType()), INT64_MAX, -1};
      // Views keep their source alive, as do memrefs that an operation with regions passes on.
      SmallVector<Value> pending{alloc.getResult()};
      DenseSet<Value> seen;
      while (!pending.empty()) {
        Value value = pending.pop_back_val();
        if (!seen.insert(value).second)
          continue;
        for (Operation *user : value.getUsers()) {
          if (isa<memref::DeallocOp>(user))
            continue;
          if (isa<ViewLikeOpInterface>(user) || (user->getNumRegions() && user->getNumResults())) {
            for (Value result : user->getResults())
              if (isa<BaseMemRefType>(result.getType()))
                pending.push_back(result);
            if (isa<ViewLikeOpInterface>(user))
              continue;
          }
          Operation *inBlock = alloc->getBlock()->findAncestorOpInBlock(*user);
          bool leaves =
              !inBlock || (user->hasTrait<OpTrait::IsTerminator>() && isa<LoopLikeOpInterface>(user->getParentOp()) &&
                           user->getParentOp()->isAncestor(alloc));
          if (leaves) {
            alloc.emitError("expected a buffer made inside a loop to be used in one iteration only");
            return WalkResult::interrupt();
          }
          auto [first, last] = position.lookup(inBlock);
          buffer.first = std::min(buffer.first, first);
          buffer.last = std::max(buffer.last, last);
        }
      }
      if (buffer.last < 0)
        buffer.first = buffer.last = position.lookup(alloc).first;
      buffers.push_back(buffer);
      return WalkResult::advance();
    });
    if (walked.wasInterrupted())
      return signalPassFailure();

    int64_t arena = place(buffers), peak = peakLive(buffers, positions);
    OpBuilder builder(&getContext());
    unsigned at = main.getNumArguments();
    auto arenaType = MemRefType::get({arena}, builder.getI8Type());
    if (failed(main.insertArgument(at, arenaType, {}, main.getLoc())))
      return signalPassFailure();
    builder.setInsertionPointToStart(&block);
    llvm::MapVector<int64_t, Value> offsets;
    for (Buffer &buffer : buffers) {
      if (!offsets.count(buffer.offset))
        offsets[buffer.offset] = arith::ConstantIndexOp::create(builder, main.getLoc(), buffer.offset);
    }
    for (Buffer &buffer : buffers) {
      builder.setInsertionPoint(buffer.alloc);
      auto type = MemRefType::get(buffer.alloc.getType().getShape(), buffer.alloc.getType().getElementType());
      Value view = memref::ViewOp::create(builder, buffer.alloc.getLoc(), type, main.getArgument(at),
                                          offsets[buffer.offset], ValueRange());
      buffer.alloc.replaceAllUsesWith(view);
    }
    main.walk([](memref::DeallocOp dealloc) { dealloc.erase(); });
    for (Buffer &buffer : buffers)
      buffer.alloc.erase();
    getOperation()->setAttr("burin.arena_bytes", builder.getI64IntegerAttr(arena));
    getOperation()->setAttr("burin.peak_live_bytes", builder.getI64IntegerAttr(peak));
  }

  // Offsets for all buffers; returns the arena's size.
  static int64_t place(SmallVectorImpl<Buffer> &buffers) {
    SmallVector<Buffer *> order;
    for (Buffer &buffer : buffers)
      order.push_back(&buffer);
    llvm::stable_sort(order, [](Buffer *a, Buffer *b) { return a->bytes > b->bytes; });
    int64_t arena = 0;
    SmallVector<Buffer *> placed; // by offset
    for (Buffer *buffer : order) {
      int64_t size = aligned(buffer->bytes), end = 0, best = -1, bestGap = INT64_MAX;
      for (Buffer *other : placed) {
        if (other->last < buffer->first || buffer->last < other->first)
          continue;
        int64_t gap = other->offset - end;
        if (gap >= size && gap < bestGap) {
          best = end;
          bestGap = gap;
        }
        end = std::max(end, other->offset + aligned(other->bytes));
      }
      buffer->offset = best >= 0 ? best : end;
      arena = std::max(arena, buffer->offset + size);
      placed.insert(llvm::upper_bound(placed, buffer, [](Buffer *a, Buffer *b) { return a->offset < b->offset; }),
                    buffer);
    }
    return arena;
  }

  static int64_t peakLive(ArrayRef<Buffer> buffers, int64_t positions) {
    SmallVector<int64_t> change(positions + 2, 0);
    for (const Buffer &buffer : buffers) {
      change[buffer.first] += buffer.bytes;
      change[buffer.last + 1] -= buffer.bytes;
    }
    int64_t live = 0, peak = 0;
    for (int64_t delta : change)
      peak = std::max(peak, live += delta);
    return peak;
  }
};
} // namespace
