// See ArenaOrder.h.
//
// The idea: list scheduling. Of the operations whose inputs are there, the one goes next that leaves the least memory
// in use; since the best next step is not always the best in the end, that is tried many times with some noise, from a
// fixed seed, and the order with the smallest peak is taken. Views, constants and allocations follow who needs them.
#include "passes/Tensor/ArenaOrder.h"
#include "passes/Tensor/ArenaPlan.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/ADT/SetVector.h"
#include <random>

using namespace mlir;
using namespace burin;

static constexpr unsigned attempts = 200, manyOperations = 600; // beyond these, one attempt

namespace {
struct Node {
  Operation *op;
  SmallVector<unsigned> next;              // nodes that must come later
  unsigned before = 0;                     // how many must come earlier
  llvm::SmallSetVector<unsigned, 4> roots; // buffers it touches
};

struct Buffer {
  int64_t bytes = 0;
  unsigned users = 0;
};

class Scheduler {
public:
  explicit Scheduler(Block &block) {
    for (Operation &op : block.without_terminator())
      if (!isa<ViewLikeOpInterface, memref::AllocOp>(op) && !isMemoryEffectFree(&op))
        add(&op);
  }

  // The order of the nodes with the smallest peak found; empty where that is the one given.
  SmallVector<unsigned> search() {
    SmallVector<unsigned> best, given = llvm::to_vector(llvm::seq<unsigned>(0, nodes.size()));
    int64_t least = peakOf(given);
    for (unsigned attempt = 0; attempt < (nodes.size() > manyOperations ? 1 : attempts); ++attempt) {
      std::mt19937 random(attempt);
      int64_t peak;
      SmallVector<unsigned> order = schedule(attempt, random, peak);
      if (peak < least) {
        least = peak;
        best = std::move(order);
      }
    }
    return best;
  }

  SmallVector<Node> nodes;

private:
  // The allocation or argument that a memref is a view of.
  static Value rootOf(Value memref) {
    while (Operation *op = memref.getDefiningOp()) {
      auto view = dyn_cast<ViewLikeOpInterface>(op);
      if (!view)
        break;
      memref = view.getViewSource();
    }
    return memref;
  }

  unsigned bufferOf(Value root) {
    auto [entry, isNew] = ids.try_emplace(root, buffers.size());
    if (isNew) {
      auto alloc = root.getDefiningOp<memref::AllocOp>();
      buffers.push_back({alloc ? bytesOf(alloc.getType()) : 0, 0});
    }
    return entry->second;
  }

  void add(Operation *op) {
    unsigned id = nodes.size();
    nodes.push_back({op, {}, 0, {}});
    auto destinations = dyn_cast<DestinationStyleOpInterface>(op);
    llvm::SmallSetVector<unsigned, 4> reads, writes;
    op->walk([&](Operation *inner) {
      for (OpOperand &operand : inner->getOpOperands()) {
        if (Operation *def = operand.get().getDefiningOp(); def && numbers.count(def))
          order(numbers[def], id);
        if (!isa<BaseMemRefType>(operand.get().getType()))
          continue;
        Value root = rootOf(operand.get());
        if (Operation *def = root.getDefiningOp(); def && op->isProperAncestor(def))
          continue;
        bool onlyReads = inner == op && ((destinations && !destinations.isDpsInit(&operand)) ||
                                         (isa<memref::CopyOp>(op) && operand.getOperandNumber() == 0));
        (onlyReads ? reads : writes).insert(bufferOf(root));
      }
    });
    if (!destinations && !isa<memref::CopyOp>(op)) { // checks, control flow, loads: in their own order
      if (lastOther)
        order(*lastOther, id);
      lastOther = id;
    }
    for (unsigned root : reads)
      if (!writes.contains(root)) {
        if (writer.count(root))
          order(writer[root], id);
        readers[root].push_back(id);
        nodes[id].roots.insert(root);
      }
    for (unsigned root : writes) {
      if (writer.count(root))
        order(writer[root], id);
      for (unsigned reader : readers[root])
        order(reader, id);
      readers[root].clear();
      writer[root] = id;
      nodes[id].roots.insert(root);
    }
    for (unsigned root : nodes[id].roots)
      ++buffers[root].users;
    for (Value result : op->getResults())
      for (Operation *user : result.getUsers())
        if (isa<ViewLikeOpInterface>(user) || isMemoryEffectFree(user))
          fixed = true; // results that others compute with: leave such functions alone
    numbers[op] = id;
  }

  void order(unsigned first, unsigned second) {
    if (first == second || llvm::is_contained(nodes[first].next, second))
      return;
    nodes[first].next.push_back(second);
    ++nodes[second].before;
  }

  // Memory in use while `order` runs, at most.
  int64_t peakOf(ArrayRef<unsigned> order) {
    SmallVector<unsigned> left = users();
    int64_t live = 0, peak = 0;
    for (unsigned node : order) {
      auto [during, after] = step(node, left, live, /*commit=*/true);
      peak = std::max(peak, during);
      live = after;
    }
    return peak;
  }

  SmallVector<unsigned> users() {
    started.assign(buffers.size(), false);
    return llvm::map_to_vector(buffers, [](const Buffer &b) { return b.users; });
  }

  // Memory in use while a node runs, and after it.
  std::pair<int64_t, int64_t> step(unsigned node, SmallVectorImpl<unsigned> &left, int64_t live, bool commit) {
    int64_t during = live, after;
    for (unsigned root : nodes[node].roots)
      if (!started[root])
        during += buffers[root].bytes;
    after = during;
    for (unsigned root : nodes[node].roots) {
      if (left[root] == 1)
        after -= buffers[root].bytes;
      if (commit) {
        started[root] = true;
        --left[root];
      }
    }
    return {during, after};
  }

  SmallVector<unsigned> schedule(unsigned attempt, std::mt19937 &random, int64_t &peak) {
    SmallVector<unsigned> order, left = users(), before, ready;
    for (unsigned i = 0; i < nodes.size(); ++i) {
      before.push_back(nodes[i].before);
      if (!before[i])
        ready.push_back(i);
    }
    int64_t live = 0;
    peak = 0;
    if (fixed)
      return peak = INT64_MAX, order;
    while (!ready.empty()) {
      unsigned chosen = 0;
      double least = INFINITY;
      for (auto [i, node] : llvm::enumerate(ready)) {
        auto [during, after] = step(node, left, live, /*commit=*/false);
        double noise = attempt ? 1 + double(random() % 1024) / 1024 * (attempt % 8) / 8 : 1;
        double cost = noise * (double(after) + (attempt % 2 ? 0.5 : 0.0) * during) + node * 1e-6;
        if (cost < least) {
          least = cost;
          chosen = i;
        }
      }
      unsigned node = ready[chosen];
      ready.erase(ready.begin() + chosen);
      auto [during, after] = step(node, left, live, /*commit=*/true);
      peak = std::max(peak, during);
      live = after;
      order.push_back(node);
      for (unsigned next : nodes[node].next)
        if (--before[next] == 0)
          ready.push_back(next);
    }
    return order;
  }

  SmallVector<Buffer> buffers;
  DenseMap<Value, unsigned> ids;
  DenseMap<Operation *, unsigned> numbers;
  DenseMap<unsigned, unsigned> writer;
  DenseMap<unsigned, SmallVector<unsigned>> readers;
  SmallVector<bool> started;
  std::optional<unsigned> lastOther;
  bool fixed = false;
};
} // namespace

bool burin::reorderForMemory(func::FuncOp main) {
  Block &block = main.getBody().front();
  Scheduler scheduler(block);
  SmallVector<unsigned> order = scheduler.search();
  if (order.empty())
    return false;
  for (unsigned node : order)
    scheduler.nodes[node].op->moveBefore(block.getTerminator());
  // Whatever computes no memory stands before all of that already, but for views of what it does not depend on.
  SmallVector<Operation *> pure;
  for (Operation &op : block.without_terminator())
    if (isa<ViewLikeOpInterface, memref::AllocOp>(op) || isMemoryEffectFree(&op))
      pure.push_back(&op);
  Operation *first = scheduler.nodes[order.front()].op;
  for (Operation *op : pure)
    op->moveBefore(first);
  return true;
}
