// The NN family, normalizations and softmax: statistics by reductions over physical dims, in whatever order the operand
// lies, then one elementwise step. Statistics are f32 for the narrow floats (ONNX's stash_type 1), in two passes: the
// mean first, then the squares of what differs from it.
#include "passes/Lower/NN.h"
#include "passes/Lower/Qdq.h"

#include <cmath>

using namespace mlir;

namespace burin::lower {
namespace {

/// From all dims of `rank` to those not in `axes`.
AffineMap keptDims(Lowering &l, int64_t rank, ArrayRef<int64_t> axes) {
  SmallVector<AffineExpr> kept;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (!llvm::is_contained(axes, dim))
      kept.push_back(l.b.getAffineDimExpr(dim));
  return AffineMap::get(rank, 0, kept, l.b.getContext());
}

/// One over the number of elements along the axes, as a scalar of type `wide`.
Value inverseCount(Lowering &l, Value tensor, ArrayRef<int64_t> axes, Type wide) {
  int64_t count = 1;
  for (int64_t axis : axes)
    count = l.mul(count, l.typeOf(tensor).getDimSize(axis));
  if (!isFree(count))
    return l.makeScalar(l.scalarAttr(wide, 1.0 / count));
  Value number = arith::IndexCastOp::create(l.b, l.b.getI64Type(), l.index(count));
  return arith::DivFOp::create(l.b, l.makeScalar(l.scalarAttr(wide, 1)), arith::SIToFPOp::create(l.b, wide, number));
}

using Step = llvm::function_ref<Value(Scalars &s, ValueRange args)>;

/// Each element of `tensor` computed anew; arguments come in their compute type, the answer becomes `to`.
Value each(Lowering &l, Value tensor, Type to, Step step) {
  auto type = Shaped(l.typeOf(tensor).getShape(), to);
  return l.map(type, tensor, l.b.getMultiDimIdentityMap(type.getRank()), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    return s.cast(step(s, s.cast(args[0], computeType(args[0].getType()))), to);
  });
}

/// Sums step(element, statistics...) over physical `axes` of `tensor`; statistics have the dims that stay.
Value sumOver(Lowering &l, Value tensor, ArrayRef<int64_t> axes, ValueRange statistics, Step step) {
  Type wide = computeType(l.typeOf(tensor).getElementType());
  int64_t rank = l.typeOf(tensor).getRank();
  SmallVector<Value> operands = {tensor};
  SmallVector<AffineMap> maps = {l.b.getMultiDimIdentityMap(rank)};
  for (Value v : statistics) {
    operands.push_back(v);
    maps.push_back(keptDims(l, rank, axes));
  }
  return l.reduce(l.typeOf(tensor).getShape(), operands, maps, axes, l.zero(wide),
                  [&](ImplicitLocOpBuilder &b, ValueRange args) {
                    Scalars s(b, false);
                    SmallVector<Value> all;
                    for (Value v : args)
                      all.push_back(s.cast(v, wide));
                    return s.add(all.back(), step(s, ValueRange(all).drop_back()));
                  });
}

struct Statistics {
  Value mean, inverse; // of the compute type, with the dims that stay; no mean for root mean squares
};

/// inverse = 1 / sqrt(variance + epsilon).
Statistics getStatistics(Lowering &l, Value tensor, ArrayRef<int64_t> axes, double epsilon, bool centered) {
  Type wide = computeType(l.typeOf(tensor).getElementType());
  Value scale = inverseCount(l, tensor, axes, wide);
  Statistics result;
  Value squares;
  if (centered) {
    Value sum = sumOver(l, tensor, axes, {}, [](Scalars &, ValueRange args) { return args[0]; });
    result.mean = each(l, sum, wide, [&](Scalars &s, ValueRange args) { return s.mul(args[0], scale); });
    squares = sumOver(l, tensor, axes, result.mean,
                      [](Scalars &s, ValueRange args) { return s.square(s.sub(args[0], args[1])); });
  } else {
    squares = sumOver(l, tensor, axes, {}, [](Scalars &s, ValueRange args) { return s.square(args[0]); });
  }
  result.inverse = each(l, squares, wide, [&](Scalars &s, ValueRange args) {
    Value variance = s.add(s.mul(args[0], scale), s.like(args[0], epsilon));
    return s.div(s.like(variance, 1), s.sqrt(variance));
  });
  return result;
}

/// An operand of the last step and how it is read.
struct Read {
  Value tensor;
  AffineMap map;
};

/// (x - mean) * inverse, rounded to x's type as ONNX does between its two stages, then * scale + bias.
Value applyNormalization(Lowering &l, Value tensor, ArrayRef<int64_t> axes, const Statistics &statistics,
                         std::optional<Read> scale, std::optional<Read> bias) {
  Shaped type = l.typeOf(tensor);
  Type element = type.getElementType(), wide = computeType(element);
  SmallVector<Value> operands = {tensor};
  SmallVector<AffineMap> maps = {l.b.getMultiDimIdentityMap(type.getRank())};
  auto add = [&](Value v, AffineMap map) {
    operands.push_back(v);
    maps.push_back(map);
  };
  if (statistics.mean)
    add(statistics.mean, keptDims(l, type.getRank(), axes));
  add(statistics.inverse, keptDims(l, type.getRank(), axes));
  if (scale)
    add(scale->tensor, scale->map);
  if (bias)
    add(bias->tensor, bias->map);
  return l.map(type, operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    size_t next = 0;
    auto take = [&] { return s.cast(args[next++], wide); };
    auto rounded = [&](Value v) { return s.cast(s.cast(v, element), wide); };
    Value x = take();
    if (statistics.mean)
      x = s.sub(x, take());
    x = rounded(s.mul(x, take()));
    if (scale)
      x = rounded(s.mul(x, take()));
    if (bias)
      x = s.add(x, take());
    return s.cast(x, element);
  });
}

/// Statistics as the result that ONNX may ask for: normalized dims of 1 at the end.
void setStatistics(Lowering &l, Value result, Value statistics, const Order &order, int64_t axis) {
  if (l.isAbsent(result) || result.use_empty())
    return;
  Order kept = withoutDims(order, [&](int64_t dim) { return dim < axis; });
  for (int64_t dim = axis; dim < static_cast<int64_t>(order.size()); ++dim)
    kept.push_back(dim);
  Value tensor = l.reshape(statistics, permuted(l.shape(result), kept));
  if (l.typeOf(tensor).getElementType() != l.element(result))
    tensor = each(l, tensor, l.element(result), [](Scalars &, ValueRange args) { return args[0]; });
  l.set(result, tensor, kept);
}

Dims physicalAxes(const Order &order, llvm::function_ref<bool(int64_t)> reduced) {
  Dims axes;
  for (auto [position, dim] : llvm::enumerate(order))
    if (reduced(dim))
      axes.push_back(position);
  return axes;
}

LogicalResult lowerLayerNorm(Lowering &l, Operation *op, int64_t axis, double epsilon, bool centered, int64_t stash) {
  Value x = op->getOperand(0);
  if (stash != 1 && stash != 11)
    return l.unsupported(op, "stash_type " + Twine(stash) + ", 1 (float) is");
  axis = normalizeAxis(axis, l.rank(x));
  Placed placed = l.get(x);
  Dims axes = physicalAxes(placed.order, [&](int64_t dim) { return dim >= axis; });
  auto read = [&](Value v) -> std::optional<Read> {
    if (l.isAbsent(v))
      return std::nullopt;
    auto [tensor, map] = l.broadcast(v, l.shape(x), placed.order);
    return Read{tensor, map};
  };
  Statistics statistics = getStatistics(l, placed.value, axes, epsilon, centered);
  auto scale = read(op->getOperand(1)), bias = op->getNumOperands() > 2 ? read(op->getOperand(2)) : std::nullopt;
  l.set(op->getResult(0), applyNormalization(l, placed.value, axes, statistics, scale, bias), placed.order);
  if (op->getNumResults() > 1) {
    setStatistics(l, op->getResult(1), statistics.mean, placed.order, axis);
    setStatistics(l, op->getResult(2), statistics.inverse, placed.order, axis);
  }
  return success();
}

LogicalResult lowerLayerNormalization(Lowering &l, onnx::LayerNormalizationOp op) {
  return lowerLayerNorm(l, op, op.getAxis(), op.getEpsilon(), /*centered=*/true, op.getStashType());
}

LogicalResult lowerRMSNormalization(Lowering &l, onnx::RMSNormalizationOp op) {
  return lowerLayerNorm(l, op, op.getAxis(), op.getEpsilon(), /*centered=*/false, op.getStashType());
}

/// Instance and group normalization: the channel dim is split in memory into groups and what is in a group; statistics
/// run over all but batch and group.
LogicalResult lowerGroups(Lowering &l, Operation *op, int64_t groups, double epsilon) {
  Value x = op->getOperand(0);
  Placed placed = l.get(x);
  int64_t channels = l.shape(x)[1], at = positionOf(placed.order, 1);
  if (groups != channels && groups < 1)
    return l.error(op) << "expected num_groups of 1 or more, got " << groups;
  if (groups != channels && !isFree(channels) && channels % groups)
    return l.error(op) << "expected num_groups to divide the " << channels << " channels, got " << groups;
  Dims parts = {groups, groups == channels ? 1 : l.floorDiv(channels, groups)};
  Value split = l.split(placed.value, at, parts);
  Dims axes;
  for (auto [position, dim] : llvm::enumerate(placed.order))
    if (dim > 1)
      axes.push_back(static_cast<int64_t>(position) > at ? position + 1 : position);
  axes.push_back(at + 1);
  AffineMap map = AffineMap::get(placed.order.size() + 1, 0, {l.b.getAffineDimExpr(at), l.b.getAffineDimExpr(at + 1)},
                                 l.b.getContext());
  auto read = [&](Value v) { return Read{l.split(l.getIdentity(v), 0, parts), map}; };
  Statistics statistics = getStatistics(l, split, axes, epsilon, /*centered=*/true);
  Value result = applyNormalization(l, split, axes, statistics, read(op->getOperand(1)), read(op->getOperand(2)));
  l.set(op->getResult(0), l.merge(result, at, 2, channels), placed.order);
  return success();
}

LogicalResult lowerInstanceNormalization(Lowering &l, onnx::InstanceNormalizationOp op) {
  return lowerGroups(l, op, l.shape(op.getInput())[1], op.getEpsilon());
}

LogicalResult lowerGroupNormalization(Lowering &l, onnx::GroupNormalizationOp op) {
  return lowerGroups(l, op, op.getNumGroups(), op.getEpsilon());
}

/// Statistics of the batch itself, in two passes, and the running ones moved towards them.
LogicalResult lowerTrainingNormalization(Lowering &l, onnx::BatchNormalizationOp op) {
  Placed placed = l.get(op.getX());
  Shaped type = l.typeOf(placed.value);
  Type element = type.getElementType(), wide = computeType(element);
  int64_t rank = type.getRank();
  if (rank < 2 || product(type.getShape()) == 0)
    return l.unsupported(op, "training_mode without channels or elements");
  int64_t axis = positionOf(placed.order, 1), channels = type.getDimSize(axis);
  if (anyFree(type.shape))
    return l.unsupported(op, "training_mode over free dims");
  double count = double(product(type.getShape()) / channels), momentum = op.getMomentum(), epsilon = op.getEpsilon();
  Dims others;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (dim != axis)
      others.push_back(dim);
  AffineMap all = l.b.getMultiDimIdentityMap(rank),
            channel = AffineMap::get(rank, 0, {l.b.getAffineDimExpr(axis)}, l.b.getContext()),
            same = l.b.getMultiDimIdentityMap(1);
  auto vectorType = Shaped({channels}, wide);
  auto mean = [&](Value sum) {
    return l.map(vectorType, sum, same, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Scalars s(b, false);
      return s.div(args[0], s.like(args[0], count));
    });
  };
  Value average = mean(l.reduce(placed.value, others, l.zero(wide), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    return s.add(args[1], s.cast(args[0], wide));
  }));
  AffineMap pair[] = {all, channel};
  Value variance = mean(l.reduce(type.getShape(), {placed.value, average}, pair, others, l.zero(wide),
                                 [&](ImplicitLocOpBuilder &b, ValueRange args) {
                                   Scalars s(b, false);
                                   return s.add(args[2], s.square(s.sub(s.cast(args[0], wide), args[1])));
                                 }));
  Value operands[] = {placed.value, l.getIdentity(op.getScale()), l.getIdentity(op.getB()), average, variance};
  AffineMap maps[] = {all, channel, channel, channel, channel};
  Value y = l.map(type, operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    SmallVector<Value> v;
    for (Value arg : args)
      v.push_back(s.cast(arg, wide));
    Value deviation = s.sqrt(s.add(v[4], s.like(v[4], epsilon)));
    return s.cast(s.add(s.mul(s.div(s.sub(v[0], v[3]), deviation), v[1]), v[2]), element);
  });
  l.set(op.getY(), y, placed.order);
  auto running = [&](Value result, Value old, Value now) {
    if (l.isAbsent(result))
      return;
    Value both[] = {l.getIdentity(old), now};
    AffineMap maps[] = {same, same};
    l.set(result, l.map(l.typeIn(result, identityOrder(1)), both, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Scalars s(b, false);
      Value kept = s.cast(args[0], wide);
      return s.cast(s.add(s.mul(kept, s.like(kept, momentum)), s.mul(args[1], s.like(args[1], 1 - momentum))),
                    l.element(result));
    }));
  };
  running(op.getRunningMean(), op.getInputMean(), average);
  running(op.getRunningVar(), op.getInputVar(), variance);
  return success();
}

/// Inference: y = x * factor + offset a channel; both folded here when the parameters are constants.
LogicalResult lowerBatchNormalization(Lowering &l, onnx::BatchNormalizationOp op) {
  if (op.getTrainingMode())
    return lowerTrainingNormalization(l, op);
  Value x = op.getX();
  Placed placed = l.get(x);
  Shaped type = l.typeOf(placed.value);
  Type element = type.getElementType(), wide = computeType(element);
  int64_t rank = type.getRank();
  AffineMap channel = AffineMap::get(rank, 0,
                                     rank > 1 ? ArrayRef<AffineExpr>{l.b.getAffineDimExpr(positionOf(placed.order, 1))}
                                              : ArrayRef<AffineExpr>{},
                                     l.b.getContext());
  double epsilon = op.getEpsilon();
  Value parameters[] = {op.getScale(), op.getB(), op.getInputMean(), op.getInputVar()};
  SmallVector<Value> operands = {placed.value};
  SmallVector<llvm::SmallVector<float>> values;
  for (Value v : parameters)
    if (auto floats = onnx::getConstantFloats(v); floats && l.element(v).isF32())
      values.push_back(std::move(*floats));
  bool isConstant = values.size() == 4 && wide.isF32();
  if (isConstant) {
    llvm::SmallVector<float> factors, offsets;
    for (size_t c = 0; c < values[0].size(); ++c) {
      double factor = values[0][c] / std::sqrt(values[3][c] + epsilon);
      factors.push_back(factor);
      offsets.push_back(values[1][c] - values[2][c] * factor);
    }
    auto parameter = Shaped({static_cast<int64_t>(factors.size())}, wide);
    operands.push_back(l.makeTensor(onnx::makeFloats(parameter, factors)));
    operands.push_back(l.makeTensor(onnx::makeFloats(parameter, offsets)));
  } else {
    for (Value v : parameters)
      operands.push_back(l.getIdentity(v));
  }
  if (rank == 1) // one channel
    for (Value &v : MutableArrayRef<Value>(operands).drop_front())
      v = l.reshape(v, {});
  SmallVector<AffineMap> maps(operands.size(), channel);
  maps[0] = l.b.getMultiDimIdentityMap(rank);
  Value result = l.map(type, operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    SmallVector<Value> v;
    for (Value arg : args)
      v.push_back(s.cast(arg, wide));
    if (isConstant)
      return s.cast(s.add(s.mul(v[0], v[1]), v[2]), element);
    Value deviation = s.sqrt(s.add(v[4], s.like(v[4], epsilon)));
    return s.cast(s.add(s.mul(s.div(s.sub(v[0], v[3]), deviation), v[1]), v[2]), element);
  });
  l.set(op.getY(), result, placed.order);
  return success();
}

/// `tensor` and statistics of what lies along `axes`, combined elementwise.
Value combine(Lowering &l, Value tensor, Value statistics, ArrayRef<int64_t> axes, Type to, Step step) {
  Shaped type = l.typeOf(tensor);
  Type wide = computeType(type.getElementType());
  AffineMap maps[] = {l.b.getMultiDimIdentityMap(type.getRank()), keptDims(l, type.getRank(), axes)};
  return l.map(Shaped(type.getShape(), to), {tensor, statistics}, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    SmallVector<Value> all = {s.cast(args[0], wide), s.cast(args[1], wide)};
    return s.cast(step(s, all), to);
  });
}

LogicalResult lowerLpNormalization(Lowering &l, onnx::LpNormalizationOp op) {
  Placed placed = l.get(op.getInput());
  Type element = l.typeOf(placed.value).getElementType();
  Dims axes = {positionOf(placed.order, normalizeAxis(op.getAxis(), l.rank(op.getInput())))};
  int64_t p = op.getP();
  Value sums = sumOver(l, placed.value, axes, {},
                       [&](Scalars &s, ValueRange args) { return p == 1 ? s.abs(args[0]) : s.square(args[0]); });
  Value result = combine(l, placed.value, sums, axes, element, [&](Scalars &s, ValueRange args) {
    Value norm = p == 1 ? args[1] : s.sqrt(args[1]), zero = s.like(norm, 0);
    return s.select(s.equal(norm, zero), zero, s.div(args[0], norm));
  });
  l.set(op.getOutput(), result, placed.order);
  return success();
}

// Of a dequantized operand the kernel reads the bytes: zero points cancel in differences to the maximum.
LogicalResult lowerSoftmax(Lowering &l, onnx::SoftmaxOp op) {
  Dequantized from = l.storesWeights ? dequantized(op.getInput()) : Dequantized();
  bool onBytes = from && from.q.isScalar();
  Placed placed = l.get(onBytes ? from.op.getX() : op.getInput());
  if (l.rank(op.getInput()) == 0) {
    l.set(op.getOutput(),
          l.makeSplat(l.typeOf(placed.value), l.scalarAttr(l.typeOf(placed.value).getElementType(), 1)));
    return success();
  }
  int64_t dim = positionOf(placed.order, normalizeAxis(op.getAxis(), l.rank(op.getInput())));
  Shaped type = l.typeOf(placed.value);
  SmallVector<NamedAttribute> attributes{l.b.getNamedAttr("dim", l.b.getI64IntegerAttr(dim))};
  if (onBytes) {
    type = Shaped(type.shape, l.b.getF32Type());
    attributes.push_back(l.b.getNamedAttr("acc", TypeAttr::get(l.b.getF32Type())));
    attributes.push_back(l.b.getNamedAttr("scale", l.b.getF32FloatAttr(from.q.scale[0])));
    if (from.q.isUnsigned())
      attributes.push_back(l.b.getNamedAttr("input_unsigned", l.b.getUnitAttr()));
  }
  Value result = l.built(nn::SoftmaxOp::create(l.b, placed.value, l.empty(type), attributes)->getResult(0), type.shape);
  l.set(op.getOutput(), result, placed.order);
  return success();
}

Value maxOver(Lowering &l, Value tensor, ArrayRef<int64_t> axes) {
  auto element = cast<FloatType>(l.typeOf(tensor).getElementType());
  auto lowest = l.b.getFloatAttr(element, APFloat::getInf(element.getFloatSemantics(), /*Negative=*/true));
  return l.reduce(tensor, axes, lowest,
                  [](ImplicitLocOpBuilder &b, ValueRange args) { return Scalars(b, false).max(args[0], args[1]); });
}

LogicalResult lowerLogSoftmax(Lowering &l, onnx::LogSoftmaxOp op) {
  Placed placed = l.get(op.getInput());
  Type element = l.typeOf(placed.value).getElementType(), wide = computeType(element);
  Dims axes;
  if (l.rank(op.getInput()))
    axes.push_back(positionOf(placed.order, normalizeAxis(op.getAxis(), l.rank(op.getInput()))));
  // x - (max + log(sum(exp(x - max)))) would lose what max is large by; the shifted value stays in f32.
  Value maximum = maxOver(l, placed.value, axes);
  Value shifted = combine(l, placed.value, maximum, axes, wide,
                          [](Scalars &s, ValueRange args) { return s.sub(args[0], args[1]); });
  Value sums = sumOver(l, shifted, axes, {}, [](Scalars &s, ValueRange args) { return s.exp(args[0]); });
  Value logs = each(l, sums, wide, [](Scalars &s, ValueRange args) { return s.log(args[0]); });
  l.set(op.getOutput(),
        combine(l, shifted, logs, axes, element, [](Scalars &s, ValueRange args) { return s.sub(args[0], args[1]); }),
        placed.order);
  return success();
}

/// Sums of squares over neighbouring channels are a one dimensional sum pool over them.
LogicalResult lowerLRN(Lowering &l, onnx::LRNOp op) {
  Value x = op.getX();
  Order order = channelsLast(l.rank(x));
  Value tensor = l.getIn(x, order);
  Shaped type = l.typeOf(tensor);
  Type element = type.getElementType(), wide = computeType(element);
  int64_t channels = type.getShape().back(), size = op.getSize(), before = (size - 1) / 2;
  Value squares = each(l, tensor, wide, [](Scalars &s, ValueRange args) { return s.square(args[0]); });
  Dims line = {l.floorDiv(l.product(type.shape), channels), channels, 1};
  NamedAttribute attributes[] = {
      l.b.getNamedAttr("kind", nn::PoolKindAttr::get(l.b.getContext(), nn::PoolKind::sum)),
      l.b.getNamedAttr("kernel", l.b.getDenseI64ArrayAttr({size})),
      l.b.getNamedAttr("strides", l.b.getDenseI64ArrayAttr({1})),
      l.b.getNamedAttr("dilations", l.b.getDenseI64ArrayAttr({1})),
      l.b.getNamedAttr("pads", l.b.getDenseI64ArrayAttr({before, size - 1 - before})),
  };
  Value sums = nn::PoolOp::create(l.b, l.reshape(squares, line), l.empty(line, wide), attributes)->getResult(0);
  double alpha = op.getAlpha() / size, beta = op.getBeta(), bias = op.getBias();
  l.set(op.getY(),
        combine(l, tensor, l.reshape(sums, type.getShape()), {}, element,
                [&](Scalars &s, ValueRange args) {
                  Value base = s.add(s.like(args[1], bias), s.mul(s.like(args[1], alpha), args[1]));
                  if (beta == 0.75) // x^(3/4) = sqrt(x) * sqrt(sqrt(x))
                    return s.div(args[0], s.mul(s.sqrt(base), s.sqrt(s.sqrt(base))));
                  return s.div(args[0], s.pow(base, s.like(base, beta)));
                }),
        order);
  return success();
}

} // namespace

void populateNNNormalizationLowerings(Registry &registry) {
  registry.add(lowerLayerNormalization);
  registry.add(lowerRMSNormalization);
  registry.add(lowerInstanceNormalization);
  registry.add(lowerGroupNormalization);
  registry.add(lowerBatchNormalization);
  registry.add(lowerLpNormalization);
  registry.add(lowerSoftmax);
  registry.add(lowerLogSoftmax);
  registry.add(lowerLRN);
}

} // namespace burin::lower
