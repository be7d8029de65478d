// What calibration measured, as attributes: `burin.ranges` of an operator holds [low, high] a result, empty where there
// is none; `burin.range` of an argument is one pair.
#include "passes/Quant/Passes.h"
#include "passes/Quant/Rewriting.h"

using namespace mlir;

namespace burin::quant {

static constexpr char rangesAttr[] = "burin.ranges", rangeAttr[] = "burin.range";

static std::optional<Range> toRange(Attribute attr) {
  auto pair = dyn_cast_or_null<DenseF32ArrayAttr>(attr);
  if (!pair || pair.size() != 2 || !(pair[0] <= pair[1]))
    return std::nullopt;
  return Range{pair[0], pair[1]};
}

void setRange(Value value, Range range) {
  Builder b(value.getContext());
  Attribute pair = b.getDenseF32ArrayAttr({range.low, range.high});
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    if (auto func = dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp()))
      func.setArgAttr(arg.getArgNumber(), rangeAttr, pair);
    return;
  }
  Operation *op = value.getDefiningOp();
  SmallVector<Attribute> all(op->getNumResults(), b.getDenseF32ArrayAttr({}));
  if (auto given = op->getAttrOfType<ArrayAttr>(rangesAttr); given && given.size() == all.size())
    all.assign(given.begin(), given.end());
  all[cast<OpResult>(value).getResultNumber()] = pair;
  op->setAttr(rangesAttr, b.getArrayAttr(all));
}

std::optional<Range> getRange(Value value) {
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    auto func = dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp());
    return func ? toRange(func.getArgAttr(arg.getArgNumber(), rangeAttr)) : std::nullopt;
  }
  auto all = value.getDefiningOp()->getAttrOfType<ArrayAttr>(rangesAttr);
  unsigned index = cast<OpResult>(value).getResultNumber();
  return all && index < all.size() ? toRange(all[index]) : std::nullopt;
}

void clearCalibration(ModuleOp module) {
  module.walk([](Operation *op) {
    op->removeAttr(rangesAttr);
    if (auto func = dyn_cast<func::FuncOp>(op))
      for (unsigned i = 0; i < func.getNumArguments(); ++i)
        func.removeArgAttr(i, rangeAttr);
  });
}

} // namespace burin::quant
