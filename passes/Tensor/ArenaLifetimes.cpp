// When each buffer of @main is in use: from the first to the last operation that touches it, numbered depth first.
#include "passes/Tensor/ArenaPlan.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Interfaces/LoopLikeInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include <functional>

using namespace mlir;
using namespace burin;

// The positions between which a buffer is used; failure where one iteration hands it to the next. Views keep their
// source alive, as do memrefs that an operation with regions passes on.
static LogicalResult findUses(ArenaBuffer &buffer, const DenseMap<Operation *, std::pair<int64_t, int64_t>> &position) {
  memref::AllocOp alloc = buffer.alloc;
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
      if (leaves)
        return alloc.emitError("expected a buffer made inside a loop to be used in one iteration only");
      auto [first, last] = position.lookup(inBlock);
      buffer.first = std::min(buffer.first, first);
      buffer.last = std::max(buffer.last, last);
    }
  }
  if (buffer.last < 0)
    buffer.first = buffer.last = position.lookup(alloc).first;
  return success();
}

LogicalResult burin::findLifetimes(func::FuncOp main, DimArithmetic &arithmetic, SmallVectorImpl<ArenaBuffer> &buffers,
                                   SmallVectorImpl<ArenaBuffer> &sizedByData, SmallVectorImpl<Operation *> &order) {
  // Depth first, so that a buffer made inside a branch or a loop lives there only. One made outside and used inside
  // lives from the start of the branching operation to its end: a loop comes back to every use.
  DenseMap<Operation *, std::pair<int64_t, int64_t>> position;
  std::function<void(Operation *)> number = [&](Operation *op) {
    int64_t first = order.size();
    order.push_back(op);
    for (Region &region : op->getRegions())
      if (!isa<linalg::LinalgOp>(op))
        for (Operation &inner : region.getOps())
          number(&inner);
    position[op] = {first, int64_t(order.size()) - 1};
  };
  for (Operation &op : main.getBody().front())
    number(&op);

  return success(!main.walk([&](memref::AllocOp alloc) {
                        if (alloc->hasAttr("burin.output"))
                          return WalkResult::advance();
                        ArenaBuffer buffer{alloc, bytesOf(alloc.getType()), INT64_MAX, -1};
                        if (failed(findUses(buffer, position)))
                          return WalkResult::interrupt();
                        bool isPlanned =
                            llvm::all_of(alloc.getDynamicSizes(), [&](Value size) { return arithmetic.holds(size); });
                        (isPlanned ? buffers : sizedByData).push_back(buffer);
                        return WalkResult::advance();
                      })
                      .wasInterrupted());
}
