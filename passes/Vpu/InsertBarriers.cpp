// vpu-insert-barriers: a task that touches what another queue's task touched before, one of them writing, waits for it.
// Who waits for whom already is a vector clock: of each queue, how many tasks are known to be finished.
#include "dialects/Vpu/Vpu.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"

#include <array>

namespace burin::vpu {
#define GEN_PASS_DEF_INSERTBARRIERS
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {
constexpr unsigned queues = 3;
using Clock = std::array<int64_t, queues>;

struct Access {
  Value root; // null: CMX or shared main memory, where places are absolute
  bool inCmx, writes;
  int64_t begin, end;
  unsigned queue;
  int64_t number; // of the task in its queue, from 1

  bool conflicts(const Access &other) const {
    return (writes || other.writes) && queue != other.queue && root == other.root && inCmx == other.inCmx &&
           begin < other.end && other.begin < end;
  }
};

struct InsertBarriersPass : vpu::impl::InsertBarriersBase<InsertBarriersPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    std::vector<Access> accesses;
    std::vector<Clock> clocks[queues]; // by queue and task: what was known to be finished when it was
    Clock now[queues] = {}, counts = {};
    int64_t barriers = 0;
    SmallVector<TaskOp> tasks(function.getBody().front().getOps<TaskOp>());
    for (TaskOp task : tasks) {
      unsigned queue = static_cast<unsigned>(task.getQueue());
      SmallVector<Access> own;
      for (Value value : task.getReads())
        if (failed(add(task, value, false, own)))
          return signalPassFailure();
      for (Value value : task.getWrites())
        if (failed(add(task, value, true, own)))
          return signalPassFailure();
      Clock wanted = {};
      for (Access &access : own) {
        access.queue = queue;
        access.number = counts[queue] + 1;
        for (const Access &other : accesses)
          if (access.conflicts(other))
            wanted[other.queue] = std::max(wanted[other.queue], other.number);
      }
      bool waits = false;
      for (unsigned q = 0; q < queues; ++q) {
        if (wanted[q] <= now[queue][q])
          continue;
        waits = true;
        for (unsigned r = 0; r < queues; ++r)
          now[queue][r] = std::max(now[queue][r], clocks[q][wanted[q] - 1][r]);
        now[queue][q] = wanted[q];
      }
      if (waits) {
        OpBuilder builder(task);
        BarrierOp::create(builder, task.getLoc(), task.getQueue(), wanted[0], wanted[1], wanted[2]);
        ++barriers;
      }
      now[queue][queue] = ++counts[queue];
      clocks[queue].push_back(now[queue]);
      llvm::append_range(accesses, own);
      forget(accesses, now);
    }
    remark::analysis(function.getLoc(), remark::RemarkOpts::name("Barriers").category("vpu-insert-barriers"))
        << remark::metric("count", barriers) << remark::metric("tasks", tasks.size());
  }

  static LogicalResult add(TaskOp task, Value value, bool writes, SmallVectorImpl<Access> &own) {
    FailureOr<Place> place = placeOf(value);
    if (failed(place))
      return task->emitOpError("expected operands at static places, got ") << value.getType();
    auto type = cast<MemRefType>(value.getType());
    Access access{place->root,
                  type.getMemorySpaceAsInt() == cmxSpace,
                  writes,
                  place->bytes,
                  place->end(elementBytes(type.getElementType())),
                  0,
                  0};
    if (auto buffer = place->root.getDefiningOp<BufferOp>()) {
      access.root = nullptr;
      access.begin += buffer.getOffset();
      access.end += buffer.getOffset();
    } else if (place->root.getDefiningOp<memref::GetGlobalOp>()) {
      return success(); // nothing writes constants
    }
    own.push_back(access);
    return success();
  }

  /// What every queue knows to be finished conflicts with nothing any more.
  static void forget(std::vector<Access> &accesses, const Clock (&now)[queues]) {
    if (accesses.size() < 512 || accesses.size() % 256)
      return;
    llvm::erase_if(accesses, [&](const Access &access) {
      return llvm::all_of(now, [&](const Clock &clock) { return clock[access.queue] >= access.number; });
    });
  }
};
} // namespace
