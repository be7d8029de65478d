// vpu-verify-memory: what the stage promises of memory, checked on the records alone: places inside their memories, no
// two buffers that live at once on the same bytes, engine operands in CMX.
#include "dialects/Vpu/Vpu.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace burin::vpu {
#define GEN_PASS_DEF_VERIFYMEMORY
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {
struct Life {
  BufferOp op;
  int64_t begin, end, first, last;
  bool inCmx;
};

struct VerifyMemoryPass : vpu::impl::VerifyMemoryBase<VerifyMemoryPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    auto limit = [&](StringRef name) {
      auto attr = function->getAttrOfType<IntegerAttr>(name);
      return attr ? attr.getInt() : 0;
    };
    int64_t cmx = limit(cmxBytesAttr), ddr = limit(ddrBytesAttr);
    DenseMap<Operation *, int64_t> numbers;
    int64_t count = 0;
    for (Operation &op : function.getBody().front())
      numbers[&op] = count++;
    std::vector<Life> lives;
    for (auto buffer : function.getOps<BufferOp>()) {
      MemRefType type = buffer.getType();
      Life life{buffer, (int64_t)buffer.getOffset(), 0, count, 0, type.getMemorySpaceAsInt() == cmxSpace};
      life.end = life.begin + type.getNumElements() * elementBytes(type.getElementType());
      int64_t size = life.inCmx ? cmx : ddr;
      if (life.begin < 0 || life.end > size) {
        buffer.emitOpError("expected a place within ") << size << " bytes of " << (life.inCmx ? "CMX" : "main memory")
                                                       << ", got [" << life.begin << ", " << life.end << ")";
        return signalPassFailure();
      }
      SmallVector<Value> views = {buffer.getResult()};
      while (!views.empty())
        for (Operation *user : views.pop_back_val().getUsers()) {
          if (isa<ViewLikeOpInterface>(user)) {
            views.push_back(user->getResult(0));
            continue;
          }
          int64_t number = numbers[function.getBody().front().findAncestorOpInBlock(*user)];
          life.first = std::min(life.first, number);
          life.last = std::max(life.last, number);
        }
      for (const Life &other : lives)
        if (other.inCmx == life.inCmx && other.begin < life.end && life.begin < other.end && other.first <= life.last &&
            life.first <= other.last) {
          InFlightDiagnostic error = buffer.emitOpError("overlaps a buffer that is in use at the same time");
          error.attachNote(other.op->getLoc()) << "which lies at [" << other.begin << ", " << other.end << ")";
          return signalPassFailure();
        }
      lives.push_back(life);
    }
    for (auto task : function.getBody().front().getOps<TaskOp>()) {
      if (task.getQueue() != Queue::engine)
        continue;
      for (Value operand : task->getOperands())
        if (cast<MemRefType>(operand.getType()).getMemorySpaceAsInt() != cmxSpace) {
          task->emitOpError("expected operands of the engine in CMX, got ") << operand.getType();
          return signalPassFailure();
        }
    }
  }
};
} // namespace
