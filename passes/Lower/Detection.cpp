// The Detection family: RoiAlign, MaxRoiPool, DeformConv, MaxUnpool and the positions a MaxPool found. Places to read
// are computed where the image is read, inside the body; sampling grids whose size depends on a region are loops there.
// A deformed convolution samples its columns once and is then one product.
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"
#include "passes/Lower/Window.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace burin::lower {
namespace {

Value toIndex(ImplicitLocOpBuilder &b, Value floating) {
  return arith::IndexCastOp::create(b, b.getIndexType(), arith::FPToSIOp::create(b, b.getI64Type(), floating));
}

Value toFloat(ImplicitLocOpBuilder &b, Value index, Type type) {
  return arith::SIToFPOp::create(b, type, arith::IndexCastOp::create(b, b.getI64Type(), index));
}

/// Between `low` and `high` also where x is NaN, so that it may become an integer.
Value bounded(Scalars &s, Value x, double low, double high) {
  return arith::MinNumFOp::create(s.b, arith::MaxNumFOp::create(s.b, x, s.like(x, low)), s.like(x, high));
}

Value both(ImplicitLocOpBuilder &b, Value x, Value y) {
  return !x ? y : !y ? x : Value(arith::AndIOp::create(b, x, y));
}

/// carried = body(i, carried) for i in [from, to), inside a body.
Value loopOver(ImplicitLocOpBuilder &b, Value from, Value to, Value init,
               llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> body) {
  auto loop = scf::ForOp::create(b, from, to, constantIndex(b, 1), init,
                                 [&](OpBuilder &builder, Location loc, Value index, ValueRange carried) {
                                   ImplicitLocOpBuilder inner(loc, builder);
                                   scf::YieldOp::create(inner, body(inner, index, carried[0]));
                                 });
  return loop.getResult(0);
}

/// A sample between two positions of an axis: where they are and what the upper one weighs.
struct Between {
  Value low, high, weight, inside;
};

/// RoiAlign's: outside [-1, extent] nothing is read, at the borders the border.
Between roiSample(Scalars &s, Value x, int64_t extent) {
  ImplicitLocOpBuilder &b = s.b;
  Between r;
  r.inside = both(b, arith::CmpFOp::create(b, arith::CmpFPredicate::OGE, x, s.like(x, -1)),
                  arith::CmpFOp::create(b, arith::CmpFPredicate::OLE, x, s.like(x, extent)));
  x = bounded(s, x, 0, extent - 1);
  Value floor = math::FloorOp::create(b, x);
  r.low = toIndex(b, floor);
  r.high =
      arith::MinSIOp::create(b, arith::AddIOp::create(b, r.low, constantIndex(b, 1)), constantIndex(b, extent - 1));
  r.weight = s.sub(x, floor);
  return r;
}

/// Component `column` of a region, as the type sums are computed in.
Value regionAt(Scalars &s, Value rois, Value roi, int64_t column, Type wide) {
  return s.cast(extract(s.b, rois, {roi, constantIndex(s.b, column)}), wide);
}

LogicalResult lowerRoiAlign(Lowering &l, onnx::RoiAlignOp op) {
  Value result = op.getY();
  if (setEmpty(l, op))
    return success();
  bool average = op.getMode().equals_insensitive("avg"),
       shifted = op.getCoordinateTransformationMode().equals_insensitive("half_pixel");
  if (!average && !op.getMode().equals_insensitive("max"))
    return l.error(op) << "expected mode avg or max, got " << op.getMode();
  if (l.rank(op.getX()) != 4 || l.rank(op.getRois()) != 2 || l.shape(op.getRois())[1] != 4 ||
      product(l.shape(op.getX())) == 0)
    return l.error(op) << "expected an image of rank 4 and regions of 4 numbers, got " << op.getX().getType() << " and "
                       << op.getRois().getType();
  Placed x = l.get(op.getX());
  Dims shape(l.shape(op.getX()));
  if (anyFree(shape))
    return l.unsupported(op, "an image with free dims; bind them with --dim or --shape");
  Value rois = l.getIdentity(op.getRois()), batches = l.getIdentity(op.getBatchIndices());
  Type element = l.element(result), wide = computeType(element);
  int64_t ratio = op.getSamplingRatio();
  double scale = op.getSpatialScale();
  l.set(result,
        mapIndexed(l, l.typeIn(result, x.order), {}, {},
                   [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) -> Value {
                     Scalars s(b, false);
                     auto number = [&](double v) { return s.constant(wide, v); };
                     Value roi = indices[positionOf(x.order, 0)];
                     SmallVector<Value> from(indices);
                     from[positionOf(x.order, 0)] = safeIndex(b, extract(b, batches, roi), shape[0]);
                     Value start[2], bin[2], grid[2];
                     for (int64_t d = 0; d < 2; ++d) { // height, width
                       auto edge = [&](int64_t column) {
                         Value v = s.mul(regionAt(s, rois, roi, column, wide), number(scale));
                         return shifted ? s.sub(v, number(0.5)) : v;
                       };
                       start[d] = edge(1 - d);
                       Value length = s.sub(edge(3 - d), start[d]);
                       if (!shifted)
                         length = s.max(length, number(1));
                       int64_t bins = d ? op.getOutputWidth() : op.getOutputHeight();
                       bin[d] = s.div(length, number(bins));
                       grid[d] = ratio > 0 ? constantIndex(b, ratio)
                                           : toIndex(b, bounded(s, math::CeilOp::create(b, bin[d]), 0, 1 << 15));
                       start[d] = s.add(start[d], s.mul(toFloat(b, indices[positionOf(x.order, d + 2)], wide), bin[d]));
                     }
                     auto sampleAt = [&](Scalars &s, int64_t d, Value i) {
                       Value half = s.add(toFloat(s.b, i, wide), s.constant(wide, 0.5));
                       Value at = s.add(start[d], s.div(s.mul(half, bin[d]), toFloat(s.b, grid[d], wide)));
                       return roiSample(s, at, shape[d + 2]);
                     };
                     Value zero = constantIndex(b, 0);
                     Value init = average ? number(0) : s.infinity(wide, true);
                     Value sum = loopOver(b, zero, grid[0], init, [&](ImplicitLocOpBuilder &b, Value iy, Value rows) {
                       Scalars s(b, false);
                       Between y = sampleAt(s, 0, iy);
                       return loopOver(b, zero, grid[1], rows, [&](ImplicitLocOpBuilder &b, Value ix, Value sum) {
                         Scalars s(b, false);
                         Between c = sampleAt(s, 1, ix);
                         Value inside = both(b, y.inside, c.inside), one = s.constant(wide, 1), total;
                         for (bool lower : {false, true})
                           for (bool right : {false, true}) {
                             SmallVector<Value> at(from);
                             at[positionOf(x.order, 2)] = lower ? y.high : y.low;
                             at[positionOf(x.order, 3)] = right ? c.high : c.low;
                             Value weight = s.mul(lower ? y.weight : s.sub(one, y.weight),
                                                  right ? c.weight : s.sub(one, c.weight));
                             Value term = s.mul(weight, s.cast(extract(b, x.value, at), wide));
                             total = !total ? term : average ? s.add(total, term) : s.max(total, term);
                           }
                         total = s.select(inside, total, s.constant(wide, 0));
                         return average ? s.add(sum, total) : s.max(sum, total);
                       });
                     });
                     Value count = arith::MulIOp::create(b, grid[0], grid[1]);
                     if (average)
                       sum = s.div(sum, toFloat(b, arith::MaxSIOp::create(b, count, constantIndex(b, 1)), wide));
                     else if (ratio <= 0)
                       sum = s.select(arith::CmpIOp::create(b, arith::CmpIPredicate::eq, count, zero), number(0), sum);
                     return s.cast(sum, element);
                   }),
        x.order);
  return success();
}

LogicalResult lowerMaxRoiPool(Lowering &l, onnx::MaxRoiPoolOp op) {
  Value result = op.getY();
  if (setEmpty(l, op))
    return success();
  if (l.rank(op.getX()) != 4 || l.rank(op.getRois()) != 2 || l.shape(op.getRois())[1] != 5 ||
      product(l.shape(op.getX())) == 0 || op.getPooledShape().size() != 2)
    return l.error(op) << "expected an image of rank 4 and regions of 5 numbers, got " << op.getX().getType() << " and "
                       << op.getRois().getType();
  Placed x = l.get(op.getX());
  Dims shape(l.shape(op.getX()));
  if (anyFree(shape))
    return l.unsupported(op, "an image with free dims; bind them with --dim or --shape");
  Value rois = l.getIdentity(op.getRois());
  Type element = l.element(result), wide = computeType(element);
  l.set(result,
        mapIndexed(l, l.typeIn(result, x.order), {}, {},
                   [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) -> Value {
                     Scalars s(b, false);
                     auto number = [&](double v) { return s.constant(wide, v); };
                     Value roi = indices[positionOf(x.order, 0)];
                     SmallVector<Value> from(indices);
                     from[positionOf(x.order, 0)] = safeIndex(
                         b, toIndex(b, bounded(s, regionAt(s, rois, roi, 0, wide), 0, shape[0] - 1)), shape[0]);
                     auto edge = [&](int64_t column) { // half away from zero
                       Value v = s.mul(regionAt(s, rois, roi, column, wide), number(op.getSpatialScale()));
                       v = bounded(s, v, -(1 << 24), 1 << 24);
                       Value size = math::FloorOp::create(b, s.add(s.abs(v), number(0.5)));
                       return s.select(s.less(v, number(0)), s.neg(size), size);
                     };
                     Value low[2], high[2], full;
                     for (int64_t d = 0; d < 2; ++d) {
                       Value start = edge(2 - d), stop = edge(4 - d);
                       Value length = s.max(s.add(s.sub(stop, start), number(1)), number(1));
                       Value bin = s.div(length, number(op.getPooledShape()[d]));
                       Value at = toFloat(b, indices[positionOf(x.order, d + 2)], wide);
                       auto clipped = [&](Value v) { return toIndex(b, bounded(s, s.add(v, start), 0, shape[d + 2])); };
                       low[d] = clipped(math::FloorOp::create(b, s.mul(at, bin)));
                       high[d] = clipped(math::CeilOp::create(b, s.mul(s.add(at, number(1)), bin)));
                       full = both(b, full, arith::CmpIOp::create(b, arith::CmpIPredicate::slt, low[d], high[d]));
                     }
                     Value found = loopOver(
                         b, low[0], high[0], s.infinity(wide, true), [&](ImplicitLocOpBuilder &b, Value y, Value rows) {
                           return loopOver(b, low[1], high[1], rows, [&](ImplicitLocOpBuilder &b, Value c, Value best) {
                             Scalars s(b, false);
                             SmallVector<Value> at(from);
                             at[positionOf(x.order, 2)] = y;
                             at[positionOf(x.order, 3)] = c;
                             return s.max(best, s.cast(extract(b, x.value, at), wide));
                           });
                         });
                     return s.cast(s.select(full, found, number(0)), element);
                   }),
        x.order);
  return success();
}

LogicalResult lowerDeformConv(Lowering &l, onnx::DeformConvOp op) {
  Value result = op.getY();
  if (setEmpty(l, op))
    return success();
  Dims shape(l.shape(op.getX())), target(l.shape(result)), filter(l.shape(op.getW()));
  int64_t rank = shape.size(), spatial = rank - 2, groups = op.getGroup(), offsets = op.getOffsetGroup();
  Dims kernel(ArrayRef<int64_t>(filter).drop_front(2)), out(ArrayRef<int64_t>(target).drop_front(2));
  int64_t taps = product(kernel), channels = filter[1], outputs = filter[0] / std::max<int64_t>(groups, 1);
  auto orElse = [&](std::optional<ArrayRef<int64_t>> given, int64_t count, int64_t value) {
    return given && !given->empty() ? Dims(*given) : Dims(count, value);
  };
  Dims strides = orElse(op.getStrides(), spatial, 1), dilations = orElse(op.getDilations(), spatial, 1),
       pads = orElse(op.getPads(), 2 * spatial, 0);
  if (groups < 1 || offsets < 1 || channels * groups != shape[1] || filter[0] % groups || shape[1] % offsets ||
      l.rank(op.getOffset()) != rank || l.shape(op.getOffset())[1] != offsets * taps * spatial || product(shape) == 0)
    return l.error(op) << "expected W, offset, group and offset_group that fit an input of " << shape[1]
                       << " channels, got " << op.getW().getType() << ", " << op.getOffset().getType() << ", " << groups
                       << " and " << offsets;
  Type element = l.element(result), wide = computeType(element);
  Placed x = l.get(op.getX());
  // [n, offset group, tap, axis, out...] and [n, offset group, tap, out...].
  Dims offsetShape = {shape[0], offsets, taps, spatial}, maskShape = {shape[0], offsets, taps};
  offsetShape.append(out);
  maskShape.append(out);
  Value offset = l.reshape(l.getIdentity(op.getOffset()), offsetShape), mask;
  if (!l.isAbsent(op.getMask()))
    mask = l.reshape(l.getIdentity(op.getMask()), maskShape);

  // Columns [group, n, out..., tap, channel].
  Dims columns = {groups, shape[0]};
  columns.append(out);
  columns.append({taps, channels});
  Value sampled = mapIndexed(
      l, RankedTensorType::get(columns, wide), {}, {},
      [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) -> Value {
        Scalars s(b, false);
        Value tap = indices[rank], channel = indices[rank + 1], batch = indices[1];
        if (groups > 1)
          channel = arith::AddIOp::create(b, arith::MulIOp::create(b, indices[0], constantIndex(b, channels)), channel);
        Value offsetGroup = offsets == 1
                                ? constantIndex(b, 0)
                                : Value(arith::DivSIOp::create(b, channel, constantIndex(b, shape[1] / offsets)));
        SmallVector<Between> axes(spatial);
        Value rest = tap;
        SmallVector<Value> tapAt(spatial);
        for (int64_t d = spatial - 1; d >= 0; --d) {
          tapAt[d] = d ? Value(arith::RemSIOp::create(b, rest, constantIndex(b, kernel[d]))) : rest;
          rest = arith::DivSIOp::create(b, rest, constantIndex(b, kernel[d]));
        }
        for (int64_t d = 0; d < spatial; ++d) {
          SmallVector<Value> at = {batch, offsetGroup, tap, constantIndex(b, d)};
          at.append(indices.begin() + 2, indices.begin() + rank);
          Value base = arith::AddIOp::create(
              b,
              arith::SubIOp::create(b, arith::MulIOp::create(b, indices[d + 2], constantIndex(b, strides[d])),
                                    constantIndex(b, pads[d])),
              arith::MulIOp::create(b, tapAt[d], constantIndex(b, dilations[d])));
          Value place = s.add(toFloat(b, base, wide), s.cast(extract(b, offset, at), wide));
          place = bounded(s, place, -2, shape[d + 2] + 1);
          Value floor = math::FloorOp::create(b, place);
          axes[d].low = toIndex(b, floor);
          axes[d].high = arith::AddIOp::create(b, axes[d].low, constantIndex(b, 1));
          axes[d].weight = s.sub(place, floor);
        }
        SmallVector<Value> from(rank);
        from[positionOf(x.order, 0)] = batch;
        from[positionOf(x.order, 1)] = channel;
        Value sum;
        for (int64_t corner = 0; corner < (int64_t(1) << spatial); ++corner) {
          Value inside, weight;
          for (int64_t d = 0; d < spatial; ++d) {
            bool high = corner >> d & 1;
            Value i = high ? axes[d].high : axes[d].low, zero = constantIndex(b, 0),
                  last = constantIndex(b, shape[d + 2] - 1);
            inside = both(b, inside, arith::CmpIOp::create(b, arith::CmpIPredicate::sge, i, zero));
            inside = both(b, inside, arith::CmpIOp::create(b, arith::CmpIPredicate::sle, i, last));
            from[positionOf(x.order, d + 2)] = arith::MinSIOp::create(b, arith::MaxSIOp::create(b, i, zero), last);
            Value w = high ? axes[d].weight : s.sub(s.constant(wide, 1), axes[d].weight);
            weight = weight ? s.mul(weight, w) : w;
          }
          Value term = s.mul(weight, s.cast(extract(b, x.value, from), wide));
          term = s.select(inside, term, s.constant(wide, 0));
          sum = sum ? s.add(sum, term) : term;
        }
        if (mask) {
          SmallVector<Value> at = {batch, offsetGroup, tap};
          at.append(indices.begin() + 2, indices.begin() + rank);
          sum = s.mul(sum, s.cast(extract(b, mask, at), wide));
        }
        return sum;
      });

  // W as [group, tap, channel, output of the group].
  int64_t pixels = shape[0] * product(out);
  Value weights = l.reshape(l.getIdentity(op.getW()), {groups, outputs, channels, taps});
  weights = l.reshape(l.transpose(weights, {0, 3, 2, 1}), {groups, taps * channels, outputs});
  if (wide != element)
    weights =
        l.map(RankedTensorType::get({groups, taps * channels, outputs}, wide), weights, l.b.getMultiDimIdentityMap(3),
              [&](ImplicitLocOpBuilder &b, ValueRange args) { return Scalars(b, false).cast(args[0], wide); });
  Value product = nn::MatmulOp::create(l.b, ValueRange{l.reshape(sampled, {groups, pixels, taps * channels}), weights},
                                       l.empty({groups, pixels, outputs}, wide), ArrayRef<NamedAttribute>())
                      ->getResult(0);
  product = l.transpose(product, {1, 0, 2});
  Order last = channelsLast(rank);
  product = l.reshape(product, permuted(target, last));
  SmallVector<Value> operands{product};
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(rank)};
  if (!l.isAbsent(op.getB())) {
    operands.push_back(l.getIdentity(op.getB()));
    maps.push_back(selectDims(l, rank, {rank - 1}));
  }
  if (operands.size() > 1 || wide != element)
    product = l.map(l.typeIn(result, last), operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Scalars s(b, false);
      return s.cast(args.size() > 1 ? s.add(args[0], s.cast(args[1], wide)) : args[0], element);
    });
  l.set(result, product, last);
  return success();
}

/// Values go to the flat places their indices name, zeros elsewhere.
LogicalResult lowerMaxUnpool(Lowering &l, onnx::MaxUnpoolOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Dims shape(l.shape(op.getX())), target(l.shape(result)), kernel(op.getKernelShape());
  int64_t rank = shape.size(), spatial = rank - 2;
  Dims strides(spatial, 1), pads(2 * spatial, 0);
  if (op.getStrides() && !op.getStrides()->empty())
    strides.assign(op.getStrides()->begin(), op.getStrides()->end());
  if (op.getPads() && !op.getPads()->empty())
    pads.assign(op.getPads()->begin(), op.getPads()->end());
  if (int64_t(kernel.size()) != spatial || int64_t(strides.size()) != spatial || int64_t(pads.size()) != 2 * spatial ||
      Dims(l.shape(op.getI())) != shape)
    return l.error(op) << "expected indices of the input's shape and " << spatial
                       << " entries in kernel_shape and strides, got " << op.getI().getType() << ", " << kernel.size()
                       << " and " << strides.size();
  // Indices count in the shape that the pool's own input has; output_shape adds to it at the end of each dim.
  Dims full = {shape[0], shape[1]};
  for (int64_t d = 0; d < spatial; ++d) {
    full.push_back((shape[d + 2] - 1) * strides[d] - pads[d] - pads[spatial + d] + kernel[d]);
    if (full.back() < 1 || full.back() > target[d + 2])
      return l.error(op) << "expected an output_shape of " << full.back() << " or more in dim " << d + 2 << ", got "
                         << target[d + 2];
  }
  int64_t count = product(shape), total = product(full);
  Type element = l.element(result);
  Value values = l.reshape(l.getIdentity(op.getX()), {count}), places = l.reshape(l.getIdentity(op.getI()), {count});
  Value flat = l.filled(RankedTensorType::get({total}, element), l.zero(element));
  flat = loopOver(l.b, constantIndex(l.b, 0), constantIndex(l.b, count), flat,
                  [&](ImplicitLocOpBuilder &b, Value i, Value current) -> Value {
                    Value at = safeIndex(b, extract(b, places, i), total);
                    return tensor::InsertOp::create(b, extract(b, values, i), current, at);
                  });
  Dims low(rank, 0), high(rank, 0);
  for (int64_t d = 0; d < rank; ++d)
    high[d] = target[d] - full[d];
  Value y = l.reshape(flat, full);
  l.set(result, full == target ? y : l.pad(y, low, high, l.zero(element)));
  return success();
}

} // namespace

void setMaxPoolIndices(Lowering &l, onnx::MaxPoolOp op, const Window &w) {
  Value x = op.getX(), result = op.getIndices();
  Dims shape(l.shape(x)), loops(l.shape(result)), axes;
  int64_t rank = shape.size(), spatial = rank - 2;
  Placed image = l.get(x);
  Type element = l.element(x), wide = computeType(element), i64 = l.b.getI64Type();
  bool isUnsigned = l.isUnsigned(x);
  SmallVector<Value> taps;
  SmallVector<AffineMap> maps;
  for (int64_t d = 0; d < spatial; ++d) {
    axes.push_back(loops.size());
    loops.push_back(w.kernel[d]);
    taps.push_back(positions(l, identityOrder(w.kernel[d])));
    maps.push_back(selectDims(l, rank + spatial, axes.back()));
  }
  SmallVector<utils::IteratorType> iterators(rank, utils::IteratorType::parallel);
  iterators.append(spatial, utils::IteratorType::reduction);
  AffineMap out = selectDims(l, rank + spatial, identityOrder(rank));
  maps.append({out, out});
  auto bestType = RankedTensorType::get(l.shape(result), wide), indexType = RankedTensorType::get(l.shape(result), i64);
  Value inits[] = {l.filled(bestType, l.zero(wide)), l.filled(indexType, l.b.getI64IntegerAttr(-1))};
  auto generic = linalg::GenericOp::create(
      l.b, TypeRange{bestType, indexType}, taps, inits, maps, iterators,
      [&](OpBuilder &builder, Location loc, ValueRange args) {
        ImplicitLocOpBuilder b(loc, builder);
        Scalars s(b, isUnsigned);
        SmallVector<Value> at(rank), logical(rank);
        for (int64_t d = 0; d < rank; ++d)
          logical[d] = linalg::IndexOp::create(b, d);
        Value inside, zero = constantIndex(b, 0);
        for (int64_t d = 0; d < spatial; ++d) {
          Value tap = arith::IndexCastOp::create(b, b.getIndexType(), args[d]);
          Value i = arith::AddIOp::create(
              b,
              arith::SubIOp::create(b, arith::MulIOp::create(b, logical[d + 2], constantIndex(b, w.strides[d])),
                                    constantIndex(b, w.begin[d])),
              arith::MulIOp::create(b, tap, constantIndex(b, w.dilations[d])));
          Value last = constantIndex(b, shape[d + 2] - 1);
          inside = both(b, inside, arith::CmpIOp::create(b, arith::CmpIPredicate::sge, i, zero));
          inside = both(b, inside, arith::CmpIOp::create(b, arith::CmpIPredicate::sle, i, last));
          logical[d + 2] = arith::MinSIOp::create(b, arith::MaxSIOp::create(b, i, zero), last);
        }
        for (int64_t d = 0; d < rank; ++d)
          at[positionOf(image.order, d)] = logical[d];
        Value best = args[spatial], index = args[spatial + 1];
        Value value = s.cast(extract(b, image.value, at), wide);
        Value fresh = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, index,
                                            arith::ConstantOp::create(b, b.getI64IntegerAttr(0)));
        Value better = both(b, inside, arith::OrIOp::create(b, fresh, s.less(best, value)));
        // Rows of spatial dims, or columns (storage_order), inside an image of batch and channel.
        Value flat =
            arith::AddIOp::create(b, arith::MulIOp::create(b, logical[0], constantIndex(b, shape[1])), logical[1]);
        Dims order;
        for (int64_t d = 0; d < spatial; ++d)
          order.push_back(op.getStorageOrder() ? spatial - 1 - d : d);
        for (int64_t d : order)
          flat =
              arith::AddIOp::create(b, arith::MulIOp::create(b, flat, constantIndex(b, shape[d + 2])), logical[d + 2]);
        Value here = arith::IndexCastOp::create(b, i64, flat);
        linalg::YieldOp::create(b, ValueRange{s.select(better, value, best), s.select(better, here, index)});
      });
  l.set(result, generic.getResult(1));
}

void populateDetectionLowerings(Registry &registry) {
  registry.add(lowerRoiAlign);
  registry.add(lowerMaxRoiPool);
  registry.add(lowerDeformConv);
  registry.add(lowerMaxUnpool);
}

} // namespace burin::lower
