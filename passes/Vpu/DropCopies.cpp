// vpu-drop-copies: bufferization in place leaves copies that move nothing: onto themselves, and of memory that nothing
// has written yet (the room that a concatenation within a concatenation will fill). Transfers cost time, and a unit
// that reads unwritten memory is a fault that loading a blob refuses.
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

namespace burin::vpu {
#define GEN_PASS_DEF_DROPCOPIES
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;

namespace {

/// A part of an allocated buffer: offsets and sizes in its dims, or all of it where views are no plain boxes.
struct Part {
  Value root;
  std::optional<std::pair<SmallVector<int64_t>, SmallVector<int64_t>>> box;

  bool meets(const Part &other) const {
    if (root != other.root)
      return false;
    if (!box || !other.box)
      return true;
    for (auto [a, n, b, m] : llvm::zip_equal(box->first, box->second, other.box->first, other.box->second))
      if (a + n <= b || b + m <= a)
        return false;
    return true;
  }
};

Part partOf(Value memref) {
  Part part{memref, std::nullopt};
  SmallVector<int64_t> sizes(cast<MemRefType>(memref.getType()).getShape()), offsets(sizes.size(), 0);
  bool isBox = true;
  while (auto view = part.root.getDefiningOp<ViewLikeOpInterface>()) {
    auto subview = dyn_cast<memref::SubViewOp>(*view);
    isBox &= subview && subview.getType().getRank() == subview.getSourceType().getRank() &&
             llvm::all_of(subview.getStaticStrides(), [](int64_t s) { return s == 1; }) &&
             llvm::none_of(subview.getStaticOffsets(), ShapedType::isDynamic) &&
             llvm::none_of(subview.getStaticSizes(), ShapedType::isDynamic);
    if (isBox)
      for (auto [offset, more] : llvm::zip_equal(offsets, subview.getStaticOffsets()))
        offset += more;
    part.root = view.getViewSource();
  }
  if (isBox)
    part.box = {offsets, sizes};
  return part;
}

struct DropCopiesPass : vpu::impl::DropCopiesBase<DropCopiesPass> {
  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || !function.getBody().hasOneBlock())
      return;
    DenseMap<Value, SmallVector<Part>> written; // by root
    unsigned count = 0;
    for (Operation &op : llvm::make_early_inc_range(function.getBody().front())) {
      if (isa<ViewLikeOpInterface>(op))
        continue;
      auto copy = dyn_cast<memref::CopyOp>(op);
      if (copy && movesNothing(copy, written)) {
        remark::passed(copy.getLoc(), remark::RemarkOpts::name("Dropped").category("vpu-drop-copies"));
        copy.erase();
        ++count;
        continue;
      }
      for (OpOperand &operand : op.getOpOperands()) {
        if (!isa<MemRefType>(operand.get().getType()) || isOnlyRead(operand))
          continue;
        Part part = partOf(operand.get());
        written[part.root].push_back(part);
      }
    }
    remark::analysis(function.getLoc(), remark::RemarkOpts::name("Dropped copies").category("vpu-drop-copies"))
        << remark::metric("count", count);
  }

  static bool movesNothing(memref::CopyOp copy, DenseMap<Value, SmallVector<Part>> &written) {
    if (copy.getSource() == copy.getTarget())
      return true;
    Part source = partOf(copy.getSource());
    return source.root.getDefiningOp<memref::AllocOp>() &&
           llvm::none_of(written[source.root], [&](const Part &part) { return part.meets(source); });
  }

  static bool isOnlyRead(OpOperand &operand) {
    if (isa<memref::CopyOp>(operand.getOwner()))
      return operand.getOperandNumber() == 0;
    auto writer = dyn_cast<DestinationStyleOpInterface>(operand.getOwner());
    return writer && !writer.isDpsInit(&operand);
  }
};
} // namespace
