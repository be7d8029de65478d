// See the header.
#include "passes/Vpu/LinearLoops.h"

#include "mlir/Dialect/Arith/IR/Arith.h"

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {
// Divisors of loops in floordiv and mod; fails where they divide something else.
LogicalResult findDivisors(AffineExpr expr, SmallVectorImpl<int64_t> &divisors) {
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return success();
  if (binary.getKind() == AffineExprKind::Add || binary.getKind() == AffineExprKind::Mul)
    return success(succeeded(findDivisors(binary.getLHS(), divisors)) &&
                   succeeded(findDivisors(binary.getRHS(), divisors)));
  auto dim = dyn_cast<AffineDimExpr>(binary.getLHS());
  auto by = dyn_cast<AffineConstantExpr>(binary.getRHS());
  if (!dim || !by || by.getValue() < 1 || binary.getKind() == AffineExprKind::CeilDiv)
    return failure();
  int64_t &divisor = divisors[dim.getPosition()];
  if (divisor != 1 && divisor != by.getValue())
    return failure();
  divisor = by.getValue();
  return success();
}

AffineExpr rewrite(AffineExpr expr, const LinearLoops &loops) {
  MLIRContext *context = expr.getContext();
  auto part = [&](unsigned loop) { return getAffineDimExpr(loop, context); };
  if (auto dim = dyn_cast<AffineDimExpr>(expr)) {
    const LinearLoops::Split &s = loops.splits[dim.getPosition()];
    return s.by == 1 ? part(s.outer) : part(s.outer) * s.by + part(s.inner);
  }
  auto binary = dyn_cast<AffineBinaryOpExpr>(expr);
  if (!binary)
    return expr;
  if (binary.getKind() == AffineExprKind::Add)
    return rewrite(binary.getLHS(), loops) + rewrite(binary.getRHS(), loops);
  if (binary.getKind() == AffineExprKind::Mul)
    return rewrite(binary.getLHS(), loops) * rewrite(binary.getRHS(), loops);
  const LinearLoops::Split &s = loops.splits[cast<AffineDimExpr>(binary.getLHS()).getPosition()];
  return part(binary.getKind() == AffineExprKind::FloorDiv ? s.outer : s.inner);
}
} // namespace

Value LinearLoops::index(OpBuilder &builder, Location loc, unsigned loop, ValueRange indices) const {
  const Split &s = splits[loop];
  if (s.by == 1)
    return indices[s.outer];
  Value by = arith::ConstantIndexOp::create(builder, loc, s.by);
  return arith::AddIOp::create(builder, loc, arith::MulIOp::create(builder, loc, indices[s.outer], by),
                               indices[s.inner]);
}

FailureOr<LinearLoops> vpu::linearLoops(linalg::GenericOp op) {
  LinearLoops loops;
  SmallVector<int64_t> ranges = op.getStaticLoopRanges(), divisors(ranges.size(), 1);
  for (AffineMap map : op.getIndexingMapsArray())
    for (AffineExpr expr : map.getResults())
      if (failed(findDivisors(expr, divisors)))
        return failure();
  for (auto [range, by] : llvm::zip(ranges, divisors)) {
    if (ShapedType::isDynamic(range) || range % by)
      return failure();
    unsigned at = loops.extents.size();
    loops.splits.push_back({at, at + 1, by});
    loops.extents.push_back(range / by);
    if (by != 1)
      loops.extents.push_back(by);
  }
  if (loops.extents.empty())
    loops.extents.push_back(1); // a scalar is a nest of one point
  for (AffineMap map : op.getIndexingMapsArray()) {
    SmallVector<AffineExpr> exprs;
    for (AffineExpr expr : map.getResults())
      exprs.push_back(rewrite(expr, loops));
    loops.maps.push_back(AffineMap::get(loops.extents.size(), 0, exprs, op.getContext()));
  }
  return loops;
}
