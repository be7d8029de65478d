// See AttentionOperand.h.
#include "passes/Cuda/AttentionOperand.h"
#include "passes/Cuda/ContractionProblem.h"

#include "mlir/Dialect/Affine/Utils.h"
#include <numeric>

using namespace mlir;
using namespace burin::cuda;

std::optional<AttentionOperand> AttentionOperand::describe(Value memref, AffineMap map, int64_t length) {
  MLIRContext *ctx = map.getContext();
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (failed(type.getStridesAndOffset(strides, offset)) || strides.empty() || strides.back() != 1 ||
      map.getResults().back() != getAffineDimExpr(2, ctx))
    return std::nullopt;
  AttentionOperand result;
  result.memref = memref;
  result.length = length;
  result.bytes = type.getElementTypeBitWidth() / 8;
  AffineExpr batch = getAffineDimExpr(0, ctx), row = getAffineDimExpr(1, ctx), zero = getAffineConstantExpr(0, ctx);
  int64_t grain = std::gcd(std::gcd(length, offset), std::gcd(16, alignmentOf(memref)) / result.bytes);
  SmallVector<AffineExpr> base;
  for (auto [d, at] : llvm::enumerate(map.getResults().drop_back())) {
    if (at.isFunctionOfDim(2))
      return std::nullopt;
    auto step = dyn_cast<AffineConstantExpr>(
        simplifyAffineExpr(at.replaceDimsAndSymbols({batch, row + 1, zero}, {}) - at, 3, 0));
    if (!step)
      return std::nullopt;
    result.rowStride += strides[d] * step.getValue();
    base.push_back(at.replaceDimsAndSymbols({batch, zero, zero}, {}));
    if (type.getDimSize(d) != 1)
      grain = std::gcd(grain, strides[d]);
  }
  base.push_back(zero);
  result.base = AffineMap::get(1, 0, base, ctx);
  result.grain = grain;
  return result;
}

Value AttentionOperand::addressOf(Fragments &f, Value batch) const {
  SmallVector<Value> at = *affine::expandAffineMap(f.b, f.loc, base, batch);
  Value offset = f.number(0);
  for (auto [index, stride] : llvm::zip(at, stridesOf(memref)))
    offset = f.add(offset, f.mul(index, stride));
  return f.add(f.addressOf(memref), f.mul(offset, bytes));
}
