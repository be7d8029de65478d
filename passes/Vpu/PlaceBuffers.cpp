// vpu-place-buffers: every buffer gets a place, by lifetime. Those that live shortly and are small lie in CMX behind
// the scratchpad that tiles pass through, as many as fit; the others share main memory.
#include "dialects/Nn/Nn.h"
#include "dialects/Vpu/Vpu.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace burin::vpu {
#define GEN_PASS_DEF_PLACEBUFFERS
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {
constexpr int64_t alignment = 64;

struct Buffer {
  memref::AllocOp op;
  int64_t bytes, first, last; // numbers of the ops that touch it
  int64_t offset = -1;
  bool inCmx = false;

  bool meets(const Buffer &other) const { return first <= other.last && other.first <= last; }
};

/// The lowest place in [from, to) where no buffer of `placed` lies that lives at the same time; -1 where there is none.
int64_t lowestPlace(const Buffer &buffer, ArrayRef<Buffer *> placed, int64_t from, int64_t to) {
  SmallVector<Buffer *> near;
  for (Buffer *other : placed)
    if (other->meets(buffer))
      near.push_back(other);
  llvm::sort(near, [](Buffer *a, Buffer *b) { return a->offset < b->offset; });
  int64_t at = from;
  for (Buffer *other : near) {
    if (at + buffer.bytes <= other->offset)
      break;
    at = std::max<int64_t>(at, llvm::alignTo(other->offset + other->bytes, alignment));
  }
  return at + buffer.bytes <= to ? at : -1;
}

struct PlaceBuffersPass : vpu::impl::PlaceBuffersBase<PlaceBuffersPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal())
      return;
    std::vector<Buffer> buffers;
    if (failed(collect(function, buffers)))
      return signalPassFailure();

    // What costs the least CMX for the transfers it saves comes first: all that matters is how much for how long.
    SmallVector<Buffer *> order, inCmx, shared;
    for (Buffer &buffer : buffers)
      order.push_back(&buffer);
    llvm::stable_sort(order, [](Buffer *a, Buffer *b) {
      return a->bytes * (a->last - a->first + 1) < b->bytes * (b->last - b->first + 1);
    });
    int64_t used = 0;
    for (Buffer *buffer : order) {
      int64_t at = lowestPlace(*buffer, inCmx, scratchpadBytes, cmxBytes);
      if (at < 0) {
        shared.push_back(buffer);
        continue;
      }
      buffer->offset = at;
      buffer->inCmx = true;
      inCmx.push_back(buffer);
      used = std::max(used, at + buffer->bytes);
    }
    // Greedy by size, as passes/Tensor places its arena.
    llvm::stable_sort(shared, [](Buffer *a, Buffer *b) { return a->bytes > b->bytes; });
    SmallVector<Buffer *> placed;
    int64_t ddr = 0;
    for (Buffer *buffer : shared) {
      buffer->offset = lowestPlace(*buffer, placed, 0, std::numeric_limits<int64_t>::max() / 2);
      placed.push_back(buffer);
      ddr = std::max(ddr, buffer->offset + buffer->bytes);
    }
    for (Buffer &buffer : buffers)
      replace(buffer);
    MLIRContext *context = &getContext();
    auto number = [&](int64_t n) { return IntegerAttr::get(IntegerType::get(context, 64), n); };
    function->setAttr(ddrBytesAttr, number(llvm::alignTo(ddr, alignment)));
    function->setAttr(cmxBytesAttr, number(cmxBytes));
    remark::passed(function.getLoc(), remark::RemarkOpts::name("Placed").category("vpu-place-buffers"))
        << remark::metric("cmx", inCmx.size()) << remark::metric("main memory", shared.size())
        << remark::metric("cmx_bytes", used) << remark::metric("ddr_bytes", ddr);
  }

  LogicalResult collect(func::FuncOp function, std::vector<Buffer> &buffers) {
    DenseMap<Operation *, int64_t> numbers;
    int64_t count = 0;
    for (Operation &op : function.getBody().front())
      numbers[&op] = count++;
    for (auto alloc : function.getOps<memref::AllocOp>()) {
      MemRefType type = alloc.getType();
      if (!type.hasStaticShape() || !type.getLayout().isIdentity())
        return alloc.emitError("expected a buffer of static shape on the vision unit, got ")
               << type << "; bind free dims with --shape or --dim";
      if (type.getMemorySpaceAsInt() != 0)
        continue;
      Buffer buffer{alloc, std::max<int64_t>(type.getNumElements() * elementBytes(type.getElementType()), 1), count, 0};
      SmallVector<Value> views = {alloc.getResult()};
      while (!views.empty())
        for (Operation *user : views.pop_back_val().getUsers()) {
          Operation *top = function.getBody().front().findAncestorOpInBlock(*user);
          if (isa<memref::DeallocOp>(user))
            continue;
          if (isa<ViewLikeOpInterface>(user)) {
            views.push_back(user->getResult(0));
            continue;
          }
          buffer.first = std::min(buffer.first, numbers[top]);
          buffer.last = std::max(buffer.last, numbers[top]);
        }
      buffer.first = std::min(buffer.first, buffer.last);
      buffers.push_back(buffer);
    }
    return success();
  }

  static void replace(Buffer &buffer) {
    OpBuilder builder(buffer.op);
    MemRefType type = buffer.op.getType();
    Attribute space = buffer.inCmx ? builder.getI64IntegerAttr(cmxSpace) : Attribute();
    auto placed = MemRefType::get(type.getShape(), type.getElementType(), type.getLayout(), space);
    Value result = BufferOp::create(builder, buffer.op.getLoc(), placed, buffer.offset);
    buffer.op.replaceAllUsesWith(result);
    buffer.op.erase();
    if (!buffer.inCmx)
      return;
    // Views of it lie where it lies.
    SmallVector<Value> views = {result};
    while (!views.empty())
      for (Operation *user : views.pop_back_val().getUsers())
        if (isa<ViewLikeOpInterface>(user)) {
          Value view = user->getResult(0);
          auto old = cast<MemRefType>(view.getType());
          view.setType(MemRefType::get(old.getShape(), old.getElementType(), old.getLayout(), space));
          views.push_back(view);
        }
  }
};
} // namespace
