// What nn.attention holds, its effects, and the code of its region.
#include "dialects/Nn/Attention.h"

#include "mlir/Dialect/Affine/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/OpImplementation.h"

using namespace mlir;
using namespace burin::nn;

#define GET_OP_CLASSES
#include "dialects/Nn/AttentionOps.cpp.inc"

void AttentionOp::getEffects(SmallVectorImpl<MemoryEffects::EffectInstance> &effects) {
  for (OpOperand &operand : getOperation()->getOpOperands())
    if (isa<MemRefType>(operand.get().getType()))
      effects.emplace_back(&operand == &getInitOperand() ? (MemoryEffects::Effect *)MemoryEffects::Write::get()
                                                         : MemoryEffects::Read::get(),
                           &operand);
}

Speculation::Speculatability AttentionOp::getSpeculatability() {
  return getResults().empty() ? Speculation::NotSpeculatable : Speculation::Speculatable;
}

LogicalResult AttentionOp::verify() {
  if (getSizes().size() != 5 || llvm::any_of(getSizes(), [](int64_t size) { return size < 1; }))
    return emitOpError("expected 5 sizes >= 1, got ") << getSizes();
  if (getMaps().size() != 4 || getExtraMaps().size() != getExtras().size())
    return emitOpError("expected 4 maps and one for each of the ")
           << getExtras().size() << " extras, got " << getMaps().size() << " and " << getExtraMaps().size();
  auto fits = [&](Value operand, AffineMap map) {
    auto type = cast<ShapedType>(operand.getType());
    return type.hasStaticShape() && map.getNumDims() == 3 && map.getNumSymbols() == 0 &&
           map.getNumResults() == type.getRank();
  };
  bool isGood = fits(getQuery(), getMap(0)) && fits(getKey(), getMap(1)) && fits(getValue(), getMap(2)) &&
                fits(getInit(), getMap(3));
  for (auto [i, extra] : llvm::enumerate(getExtras()))
    isGood &= fits(extra, getExtraMap(i));
  if (!isGood)
    return emitOpError("expected operands of known shapes and a map of 3 dims to each");
  if (isa<TensorType>(getInit().getType()) != (getResults().size() == 1))
    return emitOpError("expected one result on tensors and none on memrefs, got ") << getResults().size();
  if (getScore().empty())
    return getExtras().empty() ? success() : emitOpError("has extras but no score");
  Block &block = getScore().front();
  bool takesAll = getScore().hasOneBlock() && block.getNumArguments() == 1 + getExtras().size() &&
                  block.getArgument(0).getType().isF32();
  for (unsigned i = 0; takesAll && i < getExtras().size(); ++i)
    takesAll = block.getArgument(1 + i).getType() == getElementTypeOrSelf(getExtras()[i].getType());
  auto yield = block.empty() ? YieldOp() : dyn_cast<YieldOp>(block.back());
  if (!takesAll || !yield || !isa<FloatType>(yield.getValue().getType()))
    return emitOpError("expected a score of an f32 and one element of each extra that ends in nn.yield of a float");
  return success();
}

Value burin::nn::buildScore(OpBuilder &b, Location loc, AttentionOp op, Value sum, ValueRange indices) {
  if (op.getScore().empty())
    return sum;
  Block &block = op.getScore().front();
  IRMapping mapping;
  mapping.map(block.getArgument(0), sum);
  for (auto [i, extra] : llvm::enumerate(op.getExtras())) {
    BlockArgument argument = block.getArgument(1 + i);
    if (argument.use_empty())
      continue;
    SmallVector<Value> position = *affine::expandAffineMap(b, loc, op.getExtraMap(i), indices);
    mapping.map(argument, memref::LoadOp::create(b, loc, extra, position).getResult());
  }
  for (Operation &inner : block.without_terminator())
    b.clone(inner, mapping);
  Value score = mapping.lookupOrDefault(cast<YieldOp>(block.getTerminator()).getValue());
  return convertAccumulator(b, loc, score, b.getF32Type());
}
