// vpu-flatten-branches: the unit has no control flow, but both branches of an scf.if can run and their results be
// chosen between, element by element. What a branch would have saved is lost; that is said in a remark.
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"

namespace burin::vpu {
#define GEN_PASS_DEF_FLATTENBRANCHES
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;

namespace {

/// The tensor that a condition is read from and the place in it, where that is known.
std::optional<std::pair<Value, SmallVector<int64_t>>> conditionOf(scf::IfOp op) {
  auto extract = op.getCondition().getDefiningOp<tensor::ExtractOp>();
  if (!extract)
    return std::nullopt;
  SmallVector<int64_t> place;
  for (Value index : extract.getIndices()) {
    APInt number;
    if (!matchPattern(index, m_ConstantInt(&number)))
      return std::nullopt;
    place.push_back(number.getSExtValue());
  }
  return std::pair(extract.getTensor(), place);
}

//   %r = scf.if %c { A; yield %a } else { B; yield %b }    ->    A; B; %r = linalg.generic { select %c, %a, %b }
// Legal where
//  - %c is an element of a tensor at a constant place
//  - results are tensors of static shape
//  - A and B touch nothing but values, so that to run one for nothing is harmless
StringRef whyNot(scf::IfOp op) {
  if (op.getElseRegion().empty() || op.getNumResults() == 0)
    return "it has no results";
  if (!conditionOf(op))
    return "its condition is no element of a tensor";
  for (Type type : op.getResultTypes())
    if (auto tensor = dyn_cast<RankedTensorType>(type); !tensor || !tensor.hasStaticShape())
      return "its results have no static shapes";
  for (Region &region : op->getRegions())
    for (Operation &inner : region.front().without_terminator())
      if (!isMemoryEffectFree(&inner) &&
          !isa<bufferization::AllocTensorOp, bufferization::MaterializeInDestinationOp>(inner))
        return "a branch does more than compute values";
  return "";
}

/// What a branch gives, without the copy to the place that both branches share.
Value withoutPlace(Value value) {
  auto copy = value.getDefiningOp<bufferization::MaterializeInDestinationOp>();
  if (!copy || copy.getNumResults() == 0)
    return value;
  Value source = copy.getSource();
  value.replaceAllUsesWith(source);
  copy.erase();
  return source;
}

void flatten(scf::IfOp op) {
  auto [condition, place] = *conditionOf(op);
  OpBuilder builder(op);
  SmallVector<Value> yielded[2];
  for (auto [values, region] : llvm::zip(yielded, op->getRegions())) {
    Block &block = region.front();
    for (unsigned i = 0; i < op.getNumResults(); ++i)
      values.push_back(withoutPlace(block.getTerminator()->getOperand(i)));
    block.getTerminator()->erase();
    op->getBlock()->getOperations().splice(op->getIterator(), block.getOperations());
  }
  for (auto [result, yes, no] : llvm::zip(op.getResults(), yielded[0], yielded[1])) {
    auto type = cast<RankedTensorType>(result.getType());
    SmallVector<AffineExpr> constants;
    for (int64_t at : place)
      constants.push_back(builder.getAffineConstantExpr(at));
    AffineMap each = builder.getMultiDimIdentityMap(type.getRank());
    SmallVector<AffineMap> maps(4, each);
    maps[0] = AffineMap::get(type.getRank(), 0, constants, builder.getContext());
    SmallVector<utils::IteratorType> loops(type.getRank(), utils::IteratorType::parallel);
    Value out = tensor::EmptyOp::create(builder, op.getLoc(), type.getShape(), type.getElementType());
    auto select = linalg::GenericOp::create(builder, op.getLoc(), type, ValueRange{condition, yes, no}, out, maps,
                                            loops, [](OpBuilder &body, Location loc, ValueRange in) {
                                              Value chosen = arith::SelectOp::create(body, loc, in[0], in[1], in[2]);
                                              linalg::YieldOp::create(body, loc, chosen);
                                            });
    result.replaceAllUsesWith(select.getResult(0));
  }
  op.erase();
}

struct FlattenBranchesPass : vpu::impl::FlattenBranchesBase<FlattenBranchesPass> {
  void runOnOperation() override {
    SmallVector<scf::IfOp> ops; // inner ones first
    getOperation().walk([&](scf::IfOp op) { ops.push_back(op); });
    unsigned count = 0;
    for (scf::IfOp op : ops) {
      if (StringRef reason = whyNot(op); !reason.empty()) {
        remark::missed(op.getLoc(), remark::RemarkOpts::name("NotFlattened").category("vpu-flatten-branches"))
            << remark::reason("{0}", reason);
        continue;
      }
      remark::passed(op.getLoc(), remark::RemarkOpts::name("Flattened").category("vpu-flatten-branches"))
          << "both branches always run";
      flatten(op);
      ++count;
    }
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("Branches").category("vpu-flatten-branches"))
        << remark::metric("count", count);
  }
};
} // namespace
