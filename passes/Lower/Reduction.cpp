// The Reduction family: Reduce*, ArgMax, ArgMin, Hardmax, CumSum, CumProd. Reductions run over the dims as they lie in
// memory, accumulate in f32 (f64 for what integers need roots or logarithms for), and finish with one small elementwise
// step.
#include "passes/Lower/NN.h"

using namespace mlir;

namespace burin::lower {
namespace {

enum class Kind { sum, mean, max, min, prod, l1, l2, logSum, logSumExp, sumSquare };

/// The axes a Reduce* runs over, normalized and sorted; all of them when none is given, unless noop_with_empty_axes.
FailureOr<Dims> getAxes(Lowering &l, Operation *op, Value data, Value axes, bool noop) {
  int64_t rank = l.rank(data);
  Dims result;
  if (!l.isAbsent(axes)) {
    FailureOr<Dims> given = l.requireInts(op, axes, "axes");
    if (failed(given))
      return failure();
    for (int64_t axis : *given) {
      if (axis < -rank || axis >= rank)
        return l.error(op) << "expected axes in [" << -rank << ", " << rank << "), got " << axis;
      result.push_back(normalizeAxis(axis, rank));
    }
  }
  if (result.empty() && !noop)
    result = identityOrder(rank);
  llvm::sort(result);
  result.erase(llvm::unique(result), result.end());
  return result;
}

/// `result` (keepdims or not) from a tensor that has only the dims that stay, in the order they lay.
void setReduced(Lowering &l, Value result, Value tensor, const Order &order, ArrayRef<int64_t> axes, bool keepDims) {
  auto stays = [&](int64_t dim) { return !llvm::is_contained(axes, dim); };
  if (!keepDims)
    return l.set(result, tensor, withoutDims(order, stays));
  l.set(result, l.reshape(tensor, permuted(l.shape(result), order)), order);
}

LogicalResult lowerReduce(Lowering &l, Operation *op, Kind kind, bool keepDims, bool noop) {
  Value data = op->getOperand(0), result = op->getResult(0);
  FailureOr<Dims> axes = getAxes(l, op, data, op->getOperand(1), noop);
  if (failed(axes))
    return failure();
  Placed placed = l.get(data);
  Type element = l.element(data);
  bool isUnsigned = l.isUnsigned(data);
  bool needsFloat = kind == Kind::l2 || kind == Kind::logSum || kind == Kind::logSumExp;
  Type wide = isa<FloatType>(element) ? computeType(element) : needsFloat ? Type(l.b.getF64Type()) : element;
  int64_t count = 1;
  Dims physical;
  for (int64_t axis : *axes) {
    count = l.mul(count, l.shape(data)[axis]);
    physical.push_back(positionOf(placed.order, axis));
  }

  Value divisor;
  if (kind == Kind::mean && isFree(count)) {
    Value number = arith::IndexCastOp::create(l.b, l.b.getI64Type(), l.index(count));
    divisor = Scalars(l.b, /*isUnsigned=*/false).cast(number, wide);
  }

  // The mean of an image a channel is what nn.pool has kernels for.
  int64_t rank = l.rank(data);
  bool allSpatial = rank >= 3 && static_cast<int64_t>(axes->size()) == rank - 2 && axes->front() == 2;
  if (kind == Kind::mean && isa<FloatType>(element) && allSpatial && (isFree(count) || count > 1) &&
      sameMemory(l.shape(data), placed.order, channelsLast(rank)) && !isIdentity(placed.order)) {
    Value image = l.getIn(data, channelsLast(rank));
    Value pooled = globalPool(l, image, nn::PoolKind::average);
    Shaped type = l.typeOf(pooled);
    if (keepDims)
      l.set(result, pooled, channelsLast(rank));
    else
      l.set(result, l.reshape(pooled, {type.getShape().front(), type.getShape().back()}));
    return success();
  }

  auto first = [&](Scalars &s, Value v) {
    switch (kind) {
    case Kind::l1:
      return s.abs(v);
    case Kind::l2:
    case Kind::sumSquare:
      return s.square(v);
    default:
      return v;
    }
  };
  auto last = [&](Scalars &s, Value v) {
    switch (kind) {
    case Kind::mean:
      return s.div(v, divisor ? divisor : s.like(v, count));
    case Kind::l2:
      return s.sqrt(v);
    case Kind::logSum:
      return s.log(v);
    default:
      return v;
    }
  };
  auto reduceWith = [&](Value tensor, TypedAttr init, auto prepare, Value (Scalars::*combine)(Value, Value)) {
    return l.reduce(tensor, physical, init, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Scalars s(b, isUnsigned);
      return (s.*combine)(args[1], prepare(s, s.cast(args[0], wide)));
    });
  };
  auto extreme = [&](bool lowest) -> TypedAttr {
    if (auto type = dyn_cast<FloatType>(wide))
      return l.b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics(), lowest));
    unsigned width = wide.getIntOrFloatBitWidth();
    if (isUnsigned)
      return l.b.getIntegerAttr(wide, lowest ? APInt::getZero(width) : APInt::getMaxValue(width));
    return l.b.getIntegerAttr(wide, lowest ? APInt::getSignedMinValue(width) : APInt::getSignedMaxValue(width));
  };

  Value reduced;
  switch (kind) {
  case Kind::max:
    reduced = reduceWith(placed.value, extreme(true), first, &Scalars::max);
    break;
  case Kind::min:
    reduced = reduceWith(placed.value, extreme(false), first, &Scalars::min);
    break;
  case Kind::prod:
    reduced = reduceWith(placed.value, l.scalarAttr(wide, 1), first, &Scalars::mul);
    break;
  case Kind::logSumExp: {
    // max + log(sum(exp(x - max))), with an infinite maximum taken as 0 so that inf - inf does not appear.
    auto floats = cast<FloatType>(wide);
    Value maximum = reduceWith(placed.value, l.b.getFloatAttr(wide, APFloat::getInf(floats.getFloatSemantics(), true)),
                               first, &Scalars::max);
    Shaped type = l.typeOf(maximum);
    AffineMap same = l.b.getMultiDimIdentityMap(type.getRank());
    Value shift = l.map(type, maximum, same, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Scalars s(b, false);
      Value infinite = s.equal(s.abs(args[0]), s.infinity(wide));
      return s.select(infinite, s.like(args[0], 0), args[0]);
    });
    SmallVector<AffineExpr> kept;
    for (int64_t dim = 0; dim < rank; ++dim)
      if (!llvm::is_contained(physical, dim))
        kept.push_back(l.b.getAffineDimExpr(dim));
    AffineMap maps[] = {l.b.getMultiDimIdentityMap(rank), AffineMap::get(rank, 0, kept, l.b.getContext())};
    Value sums = l.reduce(l.typeOf(placed.value).getShape(), {placed.value, shift}, maps, physical, l.zero(wide),
                          [&](ImplicitLocOpBuilder &b, ValueRange args) {
                            Scalars s(b, isUnsigned);
                            return s.add(args[2], s.exp(s.sub(s.cast(args[0], wide), args[1])));
                          });
    AffineMap both[] = {same, same};
    reduced =
        l.map(Shaped(type.getShape(), element), {sums, shift}, both, [&](ImplicitLocOpBuilder &b, ValueRange args) {
          Scalars s(b, isUnsigned);
          return s.cast(s.add(s.log(args[0]), args[1]), element, isUnsigned);
        });
    break;
  }
  default:
    reduced = reduceWith(placed.value, l.zero(wide), first, &Scalars::add);
    break;
  }
  bool finishes = kind == Kind::mean || kind == Kind::l2 || kind == Kind::logSum || wide != element;
  if (kind != Kind::logSumExp && finishes) {
    auto type = Shaped(l.typeOf(reduced).getShape(), element);
    reduced =
        l.map(type, reduced, l.b.getMultiDimIdentityMap(type.getRank()), [&](ImplicitLocOpBuilder &b, ValueRange args) {
          Scalars s(b, isUnsigned);
          return s.cast(last(s, args[0]), element, isUnsigned);
        });
  }
  setReduced(l, result, reduced, placed.order, *axes, keepDims);
  return success();
}

template <typename OpTy> void addReduce(Registry &registry, Kind kind) {
  registry.add(OpTy::getOperationName(), [kind](Lowering &l, Operation *op) {
    auto node = cast<OpTy>(op);
    return lowerReduce(l, op, kind, node.getKeepdims(), node.getNoopWithEmptyAxes());
  });
}

/// The positions (i64) of the greatest or least elements along a physical axis; the first of equals, or the last. NaN
/// is beyond everything, as numpy has it.
Value argExtreme(Lowering &l, Value tensor, int64_t axis, bool greatest, bool last, bool isUnsigned) {
  Shaped type = l.typeOf(tensor);
  Type element = type.getElementType(), wide = computeType(element);
  int64_t rank = type.getRank();
  SmallVector<AffineExpr> kept;
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators[axis] = utils::IteratorType::reduction;
  Dims shape;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (dim != axis) {
      kept.push_back(l.b.getAffineDimExpr(dim));
      shape.push_back(type.getDimSize(dim));
    }
  Type index = l.b.getI64Type();
  AffineMap out = AffineMap::get(rank, 0, kept, l.b.getContext());
  AffineMap maps[] = {l.b.getMultiDimIdentityMap(rank), out, out};
  TypedAttr init;
  if (auto floats = dyn_cast<FloatType>(wide))
    init = l.b.getFloatAttr(wide, APFloat::getInf(floats.getFloatSemantics(), greatest));
  else if (unsigned width = wide.getIntOrFloatBitWidth(); isUnsigned)
    init = l.b.getIntegerAttr(wide, greatest ? APInt::getZero(width) : APInt::getMaxValue(width));
  else
    init = l.b.getIntegerAttr(wide, greatest ? APInt::getSignedMinValue(width) : APInt::getSignedMaxValue(width));
  auto bestType = Shaped(shape, wide), indexType = Shaped(shape, index);
  Value inits[] = {l.filled(bestType, init), l.filled(indexType, l.b.getI64IntegerAttr(0))};
  Type results[] = {RankedTensorType(bestType), RankedTensorType(indexType)};
  return linalg::GenericOp::create(
             l.b, TypeRange(results), tensor, inits, maps, iterators,
             [&](OpBuilder &builder, Location loc, ValueRange args) {
               ImplicitLocOpBuilder b(loc, builder);
               Scalars s(b, isUnsigned);
               Value x = s.cast(args[0], wide), best = args[1];
               Value a = greatest ? best : x, c = greatest ? x : best;
               Value better = last ? s.lessOrEqual(a, c) : s.less(a, c);
               if (isa<FloatType>(wide)) {
                 Value fresh =
                     last ? s.isNaN(x)
                          : b.createOrFold<arith::AndIOp>(
                                s.isNaN(x), b.createOrFold<arith::CmpFOp>(arith::CmpFPredicate::ORD, best, best));
                 better = b.createOrFold<arith::OrIOp>(better, fresh);
               }
               Value here = arith::IndexCastOp::create(b, index, Value(linalg::IndexOp::create(b, axis)));
               linalg::YieldOp::create(b, ValueRange{s.select(better, x, best), s.select(better, here, args[2])});
             })
      .getResult(1);
}

LogicalResult lowerArg(Lowering &l, Operation *op, int64_t axis, bool greatest, bool keepDims, bool last) {
  Value data = op->getOperand(0);
  if (l.rank(data) == 0) {
    l.set(op->getResult(0), l.makeSplat(Shaped({}, l.b.getI64Type()), l.b.getI64IntegerAttr(0)));
    return success();
  }
  Placed placed = l.get(data);
  axis = normalizeAxis(axis, l.rank(data));
  Value positions = argExtreme(l, placed.value, positionOf(placed.order, axis), greatest, last, l.isUnsigned(data));
  setReduced(l, op->getResult(0), positions, placed.order, {axis}, keepDims);
  return success();
}

LogicalResult lowerArgMax(Lowering &l, onnx::ArgMaxOp op) {
  return lowerArg(l, op, op.getAxis(), true, op.getKeepdims(), op.getSelectLastIndex());
}
LogicalResult lowerArgMin(Lowering &l, onnx::ArgMinOp op) {
  return lowerArg(l, op, op.getAxis(), false, op.getKeepdims(), op.getSelectLastIndex());
}

/// One at the first greatest element, zero elsewhere.
LogicalResult lowerHardmax(Lowering &l, onnx::HardmaxOp op) {
  Placed placed = l.get(op.getInput());
  Shaped type = l.typeOf(placed.value);
  int64_t axis = positionOf(placed.order, normalizeAxis(op.getAxis(), type.getRank()));
  Value positions = argExtreme(l, placed.value, axis, true, false, false);
  SmallVector<AffineExpr> kept;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    if (dim != axis)
      kept.push_back(l.b.getAffineDimExpr(dim));
  AffineMap map = AffineMap::get(type.getRank(), 0, kept, l.b.getContext());
  l.set(op.getOutput(),
        l.map(type, positions, map,
              [&](ImplicitLocOpBuilder &b, ValueRange args) {
                Scalars s(b, false);
                Value here = arith::IndexCastOp::create(b, b.getI64Type(), Value(linalg::IndexOp::create(b, axis)));
                return s.select(s.equal(here, args[0]), s.constant(type.getElementType(), 1),
                                s.constant(type.getElementType(), 0));
              }),
        placed.order);
  return success();
}

/// Cumulative sums and products by doubling: after step k each element holds the last 2^k elements up to it, so n
/// elements take log2(n) whole-tensor steps, each of them parallel.
LogicalResult lowerCumulative(Lowering &l, Operation *op, bool exclusive, bool reverse, bool product) {
  Value x = op->getOperand(0);
  FailureOr<Dims> given = l.requireInts(op, op->getOperand(1), "axis");
  if (failed(given))
    return failure();
  if (given->size() != 1 || given->front() < -l.rank(x) || given->front() >= l.rank(x))
    return l.error(op) << "expected one axis in [" << -l.rank(x) << ", " << l.rank(x) << ")";
  Placed placed = l.get(x);
  Shaped type = l.typeOf(placed.value);
  Type element = type.getElementType(), wide = computeType(element);
  auto wideType = Shaped(type.getShape(), wide);
  int64_t axis = positionOf(placed.order, normalizeAxis(given->front(), l.rank(x))), extent = type.getDimSize(axis);
  if (isFree(extent))
    return l.unsupported(op, "a sum along a free dim");
  TypedAttr neutral = l.scalarAttr(wide, product ? 1 : 0);
  AffineMap same = l.b.getMultiDimIdentityMap(type.getRank());
  auto convert = [&](Value tensor, const Shaped &to) {
    if (getElementTypeOrSelf(tensor.getType()) == to.element)
      return tensor;
    return l.map(to, tensor, same, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      return Scalars(b, false).cast(args[0], to.getElementType());
    });
  };
  auto shifted = [&](Value tensor, int64_t by) {
    Dims low(type.getRank(), 0), high(type.getRank(), 0), offsets(type.getRank(), 0), sizes(type.getShape());
    sizes[axis] = extent - by;
    offsets[axis] = reverse ? by : 0;
    (reverse ? high : low)[axis] = by;
    return l.pad(l.slice(tensor, offsets, sizes), low, high, neutral);
  };
  Value value = convert(placed.value, wideType);
  if (exclusive)
    value = extent > 1 ? shifted(value, 1) : l.filled(wideType, neutral);
  AffineMap maps[] = {same, same};
  for (int64_t by = 1; by < extent; by *= 2)
    value = l.map(wideType, {value, shifted(value, by)}, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Scalars s(b, false);
      return product ? s.mul(args[0], args[1]) : s.add(args[0], args[1]);
    });
  l.set(op->getResult(0), convert(value, type), placed.order);
  return success();
}

LogicalResult lowerCumSum(Lowering &l, onnx::CumSumOp op) {
  return lowerCumulative(l, op, op.getExclusive(), op.getReverse(), false);
}
LogicalResult lowerCumProd(Lowering &l, onnx::CumProdOp op) {
  return lowerCumulative(l, op, op.getExclusive(), op.getReverse(), true);
}

} // namespace

void populateReductionLowerings(Registry &registry) {
  addReduce<onnx::ReduceSumOp>(registry, Kind::sum);
  addReduce<onnx::ReduceMeanOp>(registry, Kind::mean);
  addReduce<onnx::ReduceMaxOp>(registry, Kind::max);
  addReduce<onnx::ReduceMinOp>(registry, Kind::min);
  addReduce<onnx::ReduceProdOp>(registry, Kind::prod);
  addReduce<onnx::ReduceL1Op>(registry, Kind::l1);
  addReduce<onnx::ReduceL2Op>(registry, Kind::l2);
  addReduce<onnx::ReduceLogSumOp>(registry, Kind::logSum);
  addReduce<onnx::ReduceLogSumExpOp>(registry, Kind::logSumExp);
  addReduce<onnx::ReduceSumSquareOp>(registry, Kind::sumSquare);
  registry.add(lowerArgMax);
  registry.add(lowerArgMin);
  registry.add(lowerHardmax);
  registry.add(lowerCumSum);
  registry.add(lowerCumProd);
}

} // namespace burin::lower
