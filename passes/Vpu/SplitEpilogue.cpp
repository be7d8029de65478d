// See the header. The region is followed from the accumulator as long as each value has one use that the engine knows.
#include "passes/Vpu/SplitEpilogue.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

std::optional<float> constantOf(Value value) {
  FloatAttr attr;
  if (!matchPattern(value, m_Constant(&attr)))
    return std::nullopt;
  return attr.getValueAsDouble();
}

class Splitter {
public:
  explicit Splitter(nn::ComputeOp op) : op(op) {}

  Epilogue split() {
    Epilogue result;
    if (op.getEpilogueRegion().empty())
      return result;
    Block &block = op.getEpilogueRegion().front();
    Value value = block.getArgument(0);
    bool takesOperands = isa<nn::ConvOp, nn::DepthwiseConvOp, nn::ConvTransposeOp, nn::MatmulOp>(*op);
    bool any = !isa<nn::SoftmaxOp>(*op);
    enum { Scale, Bias, Slope, Low, High, Done } next = any ? Scale : Done; // in this order only
    while (next != Done) {
      if (Operation *user = onlyUser(value)) {
        if (isa<arith::TruncFOp, arith::ExtFOp>(user)) {
          value = user->getResult(0);
          continue;
        }
        Value other = user->getNumOperands() == 2 ? user->getOperand(user->getOperand(0) == value ? 1 : 0) : Value();
        Value operand = takesOperands && other ? channelOperand(other) : Value();
        std::optional<float> number = other ? constantOf(other) : std::nullopt;
        if (isa<arith::MulFOp>(user) && operand && next <= Scale) {
          result.scale = operand;
          next = Bias;
        } else if (isa<arith::AddFOp>(user) && operand && next <= Bias) {
          result.bias = operand;
          next = Slope;
        } else if (isa<arith::MaximumFOp, arith::MaxNumFOp>(user) && number && next <= Low) {
          result.low = number;
          next = High;
        } else if (isa<arith::MinimumFOp, arith::MinNumFOp>(user) && number && next <= High) {
          result.high = number;
          next = Done;
        } else {
          break;
        }
        value = user->getResult(0);
        continue;
      }
      Value leaky = next <= Slope && takesOperands ? matchLeaky(value, result) : Value();
      if (!leaky)
        break;
      value = leaky;
      next = Low;
    }
    while (Operation *user = onlyUser(value)) {
      if (!isa<arith::TruncFOp, arith::ExtFOp>(user))
        break;
      value = user->getResult(0);
    }
    result.taken = value;
    result.rest = block.getTerminator()->getOperand(0) != value;
    if (result.rest)
      findExtras(block, result);
    return result;
  }

private:
  static Operation *onlyUser(Value value) {
    if (!value.hasOneUse())
      return nullptr;
    Operation *user = *value.getUsers().begin();
    return user->hasTrait<OpTrait::IsTerminator>() ? nullptr : user;
  }

  /// The memref behind an extra that holds one element a channel.
  Value channelOperand(Value value) {
    if (auto wide = value.getDefiningOp<arith::ExtFOp>())
      value = wide.getIn();
    auto argument = dyn_cast<BlockArgument>(value);
    if (!argument || argument.getOwner() != &op.getEpilogueRegion().front() || argument.getArgNumber() == 0)
      return nullptr;
    unsigned i = argument.getArgNumber() - 1;
    Value memref = op.getEpilogueOperands()[i];
    AffineMap map = cast<AffineMapAttr>(op.getEpilogueMaps()[i]).getValue();
    auto type = cast<MemRefType>(memref.getType());
    unsigned last = map.getNumDims() - 1;
    bool perChannel = map.getNumResults() == 1 && map.getResult(0) == getAffineDimExpr(last, op.getContext()) &&
                      isa<Float16Type, Float32Type>(type.getElementType());
    return perChannel ? memref : Value();
  }

  //   %n = cmpf ogt|oge|olt|ole %v, 0;  %m = mulf %v, %slope;  select %n, %v, %m (or the other way)
  Value matchLeaky(Value value, Epilogue &result) {
    arith::CmpFOp compare;
    arith::MulFOp multiply;
    arith::SelectOp select;
    for (Operation *user : value.getUsers()) {
      if (auto op = dyn_cast<arith::CmpFOp>(user))
        compare = op;
      else if (auto op = dyn_cast<arith::MulFOp>(user))
        multiply = op;
      else if (auto op = dyn_cast<arith::SelectOp>(user))
        select = op;
    }
    if (!compare || !multiply || !select || llvm::range_size(value.getUses()) != 3 || !compare->hasOneUse() ||
        !multiply->hasOneUse() || select.getCondition() != compare.getResult() || compare.getLhs() != value ||
        constantOf(compare.getRhs()) != 0.0f)
      return nullptr;
    using P = arith::CmpFPredicate;
    P p = compare.getPredicate();
    bool above = llvm::is_contained({P::OGT, P::OGE, P::UGT, P::UGE}, p),
         below = llvm::is_contained({P::OLT, P::OLE, P::ULT, P::ULE}, p);
    Value kept = above ? select.getTrueValue() : select.getFalseValue(),
          scaled = above ? select.getFalseValue() : select.getTrueValue();
    if ((!above && !below) || kept != value || scaled != multiply.getResult())
      return nullptr;
    Value slope = multiply.getLhs() == value ? multiply.getRhs() : multiply.getLhs();
    result.leak = constantOf(slope);
    if (!result.leak)
      result.slope = channelOperand(slope);
    return result.leak || result.slope ? select.getResult() : Value();
  }

  /// Extras that code behind `taken` reads.
  void findExtras(Block &block, Epilogue &result) {
    SmallVector<Value> worklist = {block.getTerminator()->getOperand(0)};
    DenseSet<Value> seen;
    while (!worklist.empty()) {
      Value value = worklist.pop_back_val();
      if (value == result.taken || !seen.insert(value).second)
        continue;
      if (auto argument = dyn_cast<BlockArgument>(value)) {
        if (argument.getOwner() == &block && argument.getArgNumber() > 0)
          result.restExtras.push_back(argument.getArgNumber() - 1);
      } else {
        llvm::append_range(worklist, value.getDefiningOp()->getOperands());
      }
    }
    llvm::sort(result.restExtras);
  }

  nn::ComputeOp op;
};
} // namespace

Epilogue vpu::splitEpilogue(nn::ComputeOp op) { return Splitter(op).split(); }

Value vpu::cloneRest(OpBuilder &builder, nn::ComputeOp op, const Epilogue &epilogue, ValueRange elements) {
  Block &block = op.getEpilogueRegion().front();
  Type f32 = builder.getF32Type();
  Location loc = op.getLoc();
  IRMapping mapping;
  Value made = elements.back();
  mapping.map(epilogue.taken, made.getType() == epilogue.taken.getType() ? made
                              : epilogue.taken.getType() == f32
                                  ? arith::ExtFOp::create(builder, loc, f32, made).getResult()
                                  : arith::TruncFOp::create(builder, loc, epilogue.taken.getType(), made).getResult());
  for (auto [i, element] : llvm::zip(epilogue.restExtras, elements))
    mapping.map(block.getArgument(i + 1), element);
  for (Operation &inner : block.without_terminator()) {
    if (inner.getNumResults() != 1 || mapping.contains(inner.getResult(0)))
      continue;
    // Code that leads to `taken` alone was the engine's.
    bool known =
        llvm::all_of(inner.getOperands(), [&](Value v) { return mapping.contains(v) || v.getParentBlock() != &block; });
    if (known)
      builder.clone(inner, mapping);
  }
  return mapping.lookupOrDefault(block.getTerminator()->getOperand(0));
}
