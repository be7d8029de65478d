// Which operations share a kernel: see the header.
#include "passes/Cpu/KernelGroups.h"
#include "dialects/Nn/Nn.h"
#include "passes/Cpu/Views.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

constexpr unsigned maxFills = 8; // in one kernel

// An operation that reserves memory while @main runs.
static bool isAllocation(Operation *op) { return isa<memref::AllocOp, memref::DeallocOp>(op); }

// What subviews are taken of.
static Value wholeOf(Value buffer) {
  while (auto view = buffer.getDefiningOp<memref::SubViewOp>())
    buffer = view.getSource();
  return buffer;
}

// Do the fills, which stand before `op`, make the frame around what it writes, and does it touch nothing else there?
// Threads then share both alike, in one go.
static bool isFrameAround(ArrayRef<Operation *> fills, Operation *op) {
  if (!isa<linalg::LinalgOp, nn::ComputeOp, memref::CopyOp>(op) || isa<linalg::FillOp>(op) || op->getNumOperands() == 0)
    return false;
  Value frame = cast<linalg::FillOp>(fills.front()).getDpsInits()[0], whole = wholeOf(frame);
  SmallVector<Value> touched;
  for (Operation *fill : fills)
    touched.push_back(cast<linalg::FillOp>(fill).getDpsInits()[0]);
  SetVector<Value> used(op->operand_begin(), op->operand_end());
  getUsedValuesDefinedAbove(op->getRegions(), used);
  for (Value value : used)
    if (isa<MemRefType>(value.getType()) && wholeOf(value) == whole)
      touched.push_back(value);
  if (touched.size() != fills.size() + 1)
    return false;
  SmallVector<View, 0> views;
  for (Value value : touched) {
    FailureOr<View> view = resolveView(value);
    if (failed(view) || wholeOf(value) != whole ||
        llvm::any_of(views, [&](const View &other) { return view->mayOverlap(other); }))
      return false;
    views.push_back(*view);
  }
  return true;
}

SmallVector<SmallVector<Operation *>> cpu::formKernelGroups(Block &block) {
  SmallVector<Operation *> ops;
  for (Operation &op : block.without_terminator())
    if (!isa<ViewLikeOpInterface>(op) && !isMemoryEffectFree(&op) && !isa<memref::LoadOp, cf::AssertOp>(op) &&
        !isAllocation(&op))
      ops.push_back(&op);
  auto accumulatesOnto = [](Operation *op, linalg::FillOp fill) {
    auto destination = dyn_cast<linalg::LinalgOp>(op);
    return destination && !isa<linalg::FillOp>(op) &&
           llvm::is_contained(destination.getDpsInits(), fill.getDpsInits()[0]);
  };
  SmallVector<SmallVector<Operation *>> groups;
  bool fillsOpen = false;
  for (unsigned i = 0; i < ops.size(); ++i) {
    auto fill = dyn_cast<linalg::FillOp>(ops[i]);
    if (fill && i + 1 < ops.size() && accumulatesOnto(ops[i + 1], fill)) {
      groups.push_back({ops[i], ops[i + 1]});
      fillsOpen = false;
      ++i;
      continue;
    }
    bool mayJoin = fillsOpen && groups.back().size() < maxFills;
    if (mayJoin && (fill || isFrameAround(groups.back(), ops[i])))
      groups.back().push_back(ops[i]);
    else
      groups.push_back({ops[i]});
    fillsOpen = bool(fill);
  }
  return groups;
}
