// vpu-plan-tasks: tiles that fit a scratchpad, as a straight list of transfers and operations. The op on a tile is the
// op itself with other operands and padding, epilogue included, so whatever runs nn ops runs tiles.
#include "passes/Vpu/Passes.h"
#include "passes/Vpu/TileGeometry.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"

namespace burin::vpu {
#define GEN_PASS_DEF_PLANTASKS
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

// Every place in the scratchpad begins where transfers and vectors of any element type may.
constexpr int64_t alignment = 64;

bool isResident(Value memref) { return cast<MemRefType>(memref.getType()).getMemorySpaceAsInt() == scratchpadSpace; }

int64_t bytesOf(Type element, const Box &box) {
  int64_t bytes = llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
  for (int64_t size : box.sizes)
    bytes *= size;
  return bytes;
}

/// How an op is cut, and where its operands lie meanwhile.
struct Plan {
  SmallVector<Tile> tiles;                 // in running order
  SmallVector<SmallVector<int64_t>> slots; // one or two offsets in the scratchpad an operand; none: it lies there
  int64_t bytes = 0;                       // of scratchpad, all slots together
  int64_t rows = 0, channels = 0;          // of the largest tile
};

FailureOr<Plan> makePlan(nn::ComputeOp op, int64_t rows, int64_t channels, bool doubleBuffer) {
  Plan plan;
  plan.rows = rows;
  plan.channels = channels;
  unsigned dim = rowDim(op), operands = op->getNumOperands(), init = op.getInitOperand().getOperandNumber();
  ArrayRef<int64_t> shape = cast<MemRefType>(op->getOperand(init).getType()).getShape();
  SmallVector<int64_t> bytes(operands, 0);
  SmallVector<bool> alternates(operands, false);
  int64_t batches = 1;
  for (int64_t size : shape.take_front(dim))
    batches *= size;
  // Channels outermost: a filter is the largest thing that can stay, and it stays for all rows and images.
  for (auto [begin, end] : channelBlocks(op, channels)) {
    bool first = true;
    for (int64_t batch = 0; batch < batches; ++batch) {
      for (int64_t row = 0; row < shape[dim]; row += rows) {
        Box box;
        box.offsets.assign(shape.size(), 0);
        box.sizes.assign(shape.begin(), shape.end());
        int64_t rest = batch;
        for (int64_t d = (int64_t)dim - 1; d >= 0; --d) {
          box.offsets[d] = rest % shape[d];
          box.sizes[d] = 1;
          rest /= shape[d];
        }
        box.offsets[dim] = row;
        box.sizes[dim] = std::min(rows, shape[dim] - row);
        box.offsets.back() = begin;
        box.sizes.back() = end - begin;
        FailureOr<Tile> tile = tileOf(op, box);
        if (failed(tile))
          return failure();
        for (unsigned i = 0; i < operands; ++i) {
          if (!isResident(op->getOperand(i)))
            bytes[i] =
                std::max(bytes[i], bytesOf(getElementTypeOrSelf(op->getOperand(i).getType()), tile->operands[i]));
          alternates[i] = alternates[i] || (!first && !(tile->operands[i] == plan.tiles.back().operands[i]));
        }
        first = false;
        plan.tiles.push_back(std::move(*tile));
      }
    }
  }
  for (unsigned i = 0; i < operands; ++i) {
    SmallVector<int64_t> &slots = plan.slots.emplace_back();
    for (unsigned n = isResident(op->getOperand(i)) ? 0 : doubleBuffer && alternates[i] ? 2 : 1; n > 0; --n) {
      slots.push_back(plan.bytes);
      plan.bytes += llvm::alignTo(bytes[i], alignment);
    }
  }
  return plan;
}

/// All channels before fewer, because input rows are loaded again for each block of channels; two places before one;
/// then as many rows as fit.
FailureOr<Plan> choosePlan(nn::ComputeOp op, int64_t available, bool doubleBuffer) {
  int64_t allRows = cast<MemRefType>(op.getInitOperand().get().getType()).getDimSize(rowDim(op));
  SmallVector<bool> ways = {false};
  if (doubleBuffer)
    ways.insert(ways.begin(), true);
  FailureOr<Plan> smallest = failure();
  for (int64_t channels : channelSizes(op)) {
    for (bool twice : ways) {
      auto planOf = [&](int64_t rows) { return makePlan(op, rows, channels, twice); };
      auto fits = [&](const FailureOr<Plan> &plan) { return succeeded(plan) && plan->bytes <= available; };
      // Apart from the search, because one tile needs no second place and may fit where two do not.
      FailureOr<Plan> plan = planOf(allRows);
      if (fits(plan))
        return plan;
      plan = planOf(1);
      if (!fits(plan)) {
        smallest = std::move(plan);
        continue;
      }
      int64_t good = 1, bad = allRows;
      while (good + 1 < bad) {
        int64_t middle = (good + bad) / 2;
        (fits(planOf(middle)) ? good : bad) = middle;
      }
      // As many tiles, but of about one height, unless a halo that the border cut off before no longer fits.
      plan = planOf(llvm::divideCeil(allRows, llvm::divideCeil(allRows, good)));
      return fits(plan) ? plan : planOf(good);
    }
  }
  if (failed(smallest))
    return op.emitOpError(
        "expected every window to reach its input, got rows of the result that lie wholly in the padding behind it");
  return op.emitOpError("expected scratchpad-bytes of at least ")
         << smallest->bytes << " for the smallest tile (" << smallest->rows << " row of " << smallest->channels
         << " channels), got " << available;
}

Value partOf(OpBuilder &b, Location loc, Value memref, const Box &box) {
  ArrayRef<int64_t> shape = cast<MemRefType>(memref.getType()).getShape();
  if (ArrayRef<int64_t>(box.sizes) == shape)
    return memref;
  SmallVector<int64_t> strides(shape.size(), 1);
  return memref::SubViewOp::create(b, loc, memref, box.offsets, box.sizes, strides);
}

//   nn.op ins(%x, %w) outs(%o)    ->    memref.copy rows of %x, %w -> scratchpad;  nn.op on the scratchpad; memref.copy
//   -> rows of %o;  and again
// Returns the bytes moved.
int64_t emit(nn::ComputeOp op, const Plan &plan, Value scratchpad) {
  OpBuilder b(op);
  Location loc = op.getLoc();
  unsigned operands = op->getNumOperands(), init = op.getInitOperand().getOperandNumber();
  auto space = cast<MemRefType>(scratchpad.getType()).getMemorySpace();
  SmallVector<const Box *> loaded(operands, nullptr);
  SmallVector<unsigned> uses(operands, 0);
  int64_t moved = 0;
  for (const Tile &tile : plan.tiles) {
    SmallVector<Value> views;
    for (unsigned i = 0; i < operands; ++i) {
      const Box &box = tile.operands[i];
      if (isResident(op->getOperand(i))) {
        views.push_back(partOf(b, loc, op->getOperand(i), box));
        continue;
      }
      Type element = getElementTypeOrSelf(op->getOperand(i).getType());
      bool load = i != init && !(loaded[i] && *loaded[i] == box);
      uses[i] += load || i == init;
      Value offset = arith::ConstantIndexOp::create(b, loc, plan.slots[i][(uses[i] - 1) % plan.slots[i].size()]);
      auto type = MemRefType::get(box.sizes, element, MemRefLayoutAttrInterface(), space);
      views.push_back(memref::ViewOp::create(b, loc, type, scratchpad, offset, ValueRange()));
      loaded[i] = &box;
      if (load || i == init)
        moved += bytesOf(element, box);
      if (load)
        memref::CopyOp::create(b, loc, partOf(b, loc, op->getOperand(i), box), views.back());
    }
    OperationState state(loc, op->getName(), views, TypeRange(), tile.attributes.getAttrs());
    IRMapping mapping;
    op.getEpilogueRegion().cloneInto(state.addRegion(), mapping);
    b.create(state);
    if (!isResident(op->getOperand(init)))
      memref::CopyOp::create(b, loc, views[init], partOf(b, loc, op->getOperand(init), tile.operands[init]));
  }
  op.erase();
  return moved;
}

struct PlanTasksPass : vpu::impl::PlanTasksBase<PlanTasksPass> {
  using Base::Base;

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (scratchpadBytes < alignment) {
      function.emitError("expected scratchpad-bytes of at least ") << alignment << ", got " << (int64_t)scratchpadBytes;
      return signalPassFailure();
    }
    SmallVector<nn::ComputeOp> ops;
    function.walk([&](nn::ComputeOp op) { ops.push_back(op); });
    Value scratchpad;
    unsigned count = 0;
    for (nn::ComputeOp op : ops) {
      if (StringRef reason = whyNot(op); !reason.empty()) {
        remark::missed(op.getLoc(), remark::RemarkOpts::name("NotPlanned").category("vpu-plan-tasks"))
            << remark::reason("{0}", reason);
        continue;
      }
      FailureOr<Plan> plan = choosePlan(op, scratchpadBytes, doubleBuffer);
      if (failed(plan)) {
        signalPassFailure();
        continue;
      }
      if (!scratchpad) {
        OpBuilder b(&function.getBody().front(), function.getBody().front().begin());
        auto type = MemRefType::get({scratchpadBytes}, b.getI8Type(), MemRefLayoutAttrInterface(),
                                    b.getI64IntegerAttr(scratchpadSpace));
        scratchpad = memref::AllocOp::create(b, function.getLoc(), type, b.getI64IntegerAttr(alignment));
      }
      Location loc = op.getLoc();
      int64_t tiles = plan->tiles.size(), moved = emit(op, *plan, scratchpad);
      remark::passed(loc, remark::RemarkOpts::name("Planned").category("vpu-plan-tasks"))
          << remark::metric("tiles", tiles) << remark::metric("scratchpad", plan->bytes)
          << remark::metric("moved", moved);
      ++count;
    }
    remark::analysis(function.getLoc(), remark::RemarkOpts::name("Plans").category("vpu-plan-tasks"))
        << remark::metric("count", count);
  }

  StringRef whyNot(nn::ComputeOp op) {
    for (Type type : op->getOperandTypes()) {
      auto memref = dyn_cast<MemRefType>(type);
      if (!memref || !memref.hasStaticShape() || memref.getNumElements() == 0)
        return "operands are not static memrefs that hold something";
    }
    return isa<nn::SoftmaxOp>(*op) ? "softmax is not cut into tiles yet" : "";
  }
};
} // namespace
