// Lowering of the Image family beside Resize: DepthToSpace and SpaceToDepth as regrouped dims (one move of rows of
// channels at most), GridSample with its coordinates computed where the image is read.
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

using namespace mlir;

namespace burin::lower {
namespace {

/// Logical dim `dim` as dims `parts`, where it lies.
Placed split(Lowering &l, const Placed &placed, int64_t dim, ArrayRef<int64_t> parts) {
  int64_t at = positionOf(placed.order, dim), more = parts.size() - 1;
  Order order(placed.order);
  for (int64_t &d : order)
    d += d > dim ? more : 0;
  for (int64_t part = 1; part <= more; ++part)
    order.insert(order.begin() + at + part, dim + part);
  return {l.split(placed.value, at, parts), order};
}

LogicalResult lowerDepthToSpace(Lowering &l, onnx::DepthToSpaceOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  int64_t block = op.getBlocksize(), depth = l.floorDiv(l.shape(op.getInput())[1], block * block);
  bool crd = op.getMode() == "CRD";
  Placed input = split(l, l.get(op.getInput()), 1, crd ? Dims{depth, block, block} : Dims{block, block, depth});
  Dims permutation = crd ? Dims{0, 1, 4, 2, 5, 3} : Dims{0, 3, 4, 1, 5, 2};
  l.set(result, regrouped(l, transposed(input, permutation), l.shape(result)));
  return success();
}

LogicalResult lowerSpaceToDepth(Lowering &l, onnx::SpaceToDepthOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Dims shape(l.shape(op.getInput()));
  int64_t block = op.getBlocksize();
  Placed input = split(l, l.get(op.getInput()), 3, {l.floorDiv(shape[3], block), block});
  input = split(l, input, 2, {l.floorDiv(shape[2], block), block});
  Dims permutation = op.getMode() == "CRD" ? Dims{0, 1, 3, 5, 2, 4} : Dims{0, 3, 5, 1, 2, 4};
  l.set(result, regrouped(l, transposed(input, permutation), l.shape(result)));
  return success();
}

// Every image position gathers the columns that cover it: one loop a kernel dim reduces, and a tap whose column would
// lie between strides or outside adds zero.
LogicalResult lowerCol2Im(Lowering &l, onnx::Col2ImOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  FailureOr<Dims> block = l.requireInts(op, op.getBlockShape(), "block_shape");
  if (failed(block))
    return failure();
  Dims image(l.shape(result)), columns;
  int64_t rank = image.size(), spatial = rank - 2;
  auto orElse = [&](std::optional<ArrayRef<int64_t>> given, int64_t count, int64_t value) {
    return given && !given->empty() ? Dims(*given) : Dims(count, value);
  };
  Dims strides = orElse(op.getStrides(), spatial, 1), dilations = orElse(op.getDilations(), spatial, 1),
       pads = orElse(op.getPads(), 2 * spatial, 0);
  if (int64_t(block->size()) != spatial || int64_t(pads.size()) != 2 * spatial)
    return l.error(op) << "expected " << spatial << " entries in block_shape and twice as many pads, got "
                       << block->size() << " and " << pads.size();
  for (int64_t d = 0; d < spatial; ++d)
    columns.push_back((image[d + 2] + pads[d] + pads[spatial + d] - dilations[d] * ((*block)[d] - 1) - 1) / strides[d] +
                      1);
  // [n, c, kernel..., columns...]
  Dims shape = {image[0], image[1]};
  shape.append(*block);
  shape.append(columns);
  Value input = l.reshape(l.getIdentity(op.getInput()), shape);
  // A generic needs an operand a loop: the kernel loops read their own index from a table.
  Dims loops = image, axes;
  SmallVector<Value> taps;
  SmallVector<AffineMap> maps;
  for (int64_t d = 0; d < spatial; ++d) {
    axes.push_back(loops.size());
    loops.push_back((*block)[d]);
    taps.push_back(positions(l, identityOrder((*block)[d])));
    maps.push_back(selectDims(l, rank + spatial, axes.back()));
  }
  Type element = l.element(result);
  Value sum = reduceIndexed(
      l, loops, taps, maps, axes, l.zero(computeType(element)),
      [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
        Scalars s(b, false);
        SmallVector<Value> from(indices.take_front(2)), at;
        Value inside, zero = constantIndex(b, 0);
        auto require = [&](Value condition) {
          inside = inside ? Value(arith::AndIOp::create(b, inside, condition)) : condition;
        };
        for (int64_t d = 0; d < spatial; ++d) {
          Value tap = arith::IndexCastOp::create(b, b.getIndexType(), args[d]);
          from.push_back(tap);
          Value start = arith::SubIOp::create(b, arith::AddIOp::create(b, indices[d + 2], constantIndex(b, pads[d])),
                                              arith::MulIOp::create(b, tap, constantIndex(b, dilations[d])));
          Value column = arith::DivSIOp::create(b, start, constantIndex(b, strides[d])),
                last = constantIndex(b, columns[d] - 1);
          require(arith::CmpIOp::create(b, arith::CmpIPredicate::sge, start, zero));
          require(arith::CmpIOp::create(b, arith::CmpIPredicate::sle, column, last));
          require(arith::CmpIOp::create(b, arith::CmpIPredicate::eq,
                                        arith::MulIOp::create(b, column, constantIndex(b, strides[d])), start));
          at.push_back(arith::MinSIOp::create(b, arith::MaxSIOp::create(b, column, zero), last));
        }
        llvm::append_range(from, at);
        Value term = s.cast(extract(b, input, from), args.back().getType());
        return s.add(args.back(), s.select(inside, term, s.like(term, 0)));
      });
  if (sum.getType() != l.typeIn(result, identityOrder(rank)))
    sum = l.map(l.typeIn(result, identityOrder(rank)), sum, l.b.getMultiDimIdentityMap(rank),
                [&](ImplicitLocOpBuilder &b, ValueRange args) { return Scalars(b, false).cast(args[0], element); });
  l.set(result, sum);
  return success();
}

// One axis of a sampled image, inside the body.
struct Sampling {
  StringRef padding;
  bool alignCorners;
  int64_t extent;
  double low() const { return alignCorners ? 0 : -0.5; }
  double high() const { return alignCorners ? extent - 1.0 : extent - 0.5; }
};

// A position brought back between the borders by reflection at them.
Value reflect(Scalars &s, Value x, const Sampling &axis) {
  double range = axis.high() - axis.low();
  if (range == 0)
    return s.like(x, axis.low());
  ImplicitLocOpBuilder &b = s.b;
  auto fold = [&](Value distance, double near, double far, bool up) {
    Value turns = math::FloorOp::create(b, s.mul(distance, s.like(x, 1 / range)));
    Value rest = s.sub(distance, s.mul(turns, s.like(x, range)));
    Value half = s.mul(turns, s.like(x, 0.5));
    Value even = s.equal(half, math::FloorOp::create(b, half));
    Value fromNear = up ? s.add(s.like(x, near), rest) : s.sub(s.like(x, near), rest);
    Value fromFar = up ? s.sub(s.like(x, far), rest) : s.add(s.like(x, far), rest);
    return s.select(even, fromNear, fromFar);
  };
  Value low = s.like(x, axis.low()), high = s.like(x, axis.high());
  Value below = fold(s.sub(low, x), axis.low(), axis.high(), true),
        above = fold(s.sub(x, high), axis.high(), axis.low(), false);
  return s.select(s.less(x, low), below, s.select(s.less(high, x), above, x));
}

// Where in the image a normalized coordinate lies.
Value denormalize(Scalars &s, Value n, const Sampling &axis, bool nearest) {
  Value one = s.add(n, s.like(n, 1));
  Value x = axis.alignCorners ? s.mul(s.mul(one, s.like(n, 0.5)), s.like(n, axis.extent - 1))
                              : s.mul(s.sub(s.mul(one, s.like(n, axis.extent)), s.like(n, 1)), s.like(n, 0.5));
  if (nearest)
    x = math::RoundEvenOp::create(s.b, x);
  if (axis.padding == "reflection")
    x = reflect(s, x, axis);
  if (axis.padding == "border") {
    Value clamped = s.min(s.max(x, s.like(x, 0)), s.like(x, axis.extent - 1));
    Value outside = arith::OrIOp::create(s.b, s.less(x, s.like(x, axis.low())), s.less(s.like(x, axis.high()), x));
    x = s.select(outside, clamped, x);
  }
  // Far outside is as good as just outside, and fits an integer (so does NaN, after this).
  x = arith::MaxNumFOp::create(s.b, x, s.like(x, -4));
  return arith::MinNumFOp::create(s.b, x, s.like(x, axis.extent + 4));
}

struct Pixel {
  Value index, inside; // `inside` is null where padding brings every position into the image
};

Pixel pixelAt(ImplicitLocOpBuilder &b, Value i, const Sampling &axis) {
  Value zero = constantIndex(b, 0), last = constantIndex(b, axis.extent - 1);
  Pixel pixel;
  if (axis.padding == "zeros")
    pixel.inside = arith::AndIOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::sge, i, zero),
                                         arith::CmpIOp::create(b, arith::CmpIPredicate::sle, i, last));
  if (axis.padding == "reflection") {
    // Positions lie in [-1 - 2, extent + 2]: one or more turns when the image is small.
    int64_t period = std::max<int64_t>(axis.alignCorners ? 2 * (axis.extent - 1) : 2 * axis.extent, 1);
    int64_t lift = (8 / period + 1) * period;
    i = arith::RemSIOp::create(b, arith::AddIOp::create(b, i, constantIndex(b, lift)), constantIndex(b, period));
    Value back = arith::SubIOp::create(b, constantIndex(b, axis.alignCorners ? period : period - 1), i);
    i = arith::SelectOp::create(b, arith::CmpIOp::create(b, arith::CmpIPredicate::sgt, i, last), back, i);
  }
  pixel.index = arith::MinSIOp::create(b, arith::MaxSIOp::create(b, i, zero), last);
  return pixel;
}

SmallVector<Value> cubicWeights(Scalars &s, Value t) {
  const double a = -0.75;
  auto k = [&](double v) { return s.like(t, v); };
  auto outer = [&](Value x) { // ((a x - 5 a) x + 8 a) x - 4 a
    return s.add(s.mul(s.add(s.mul(s.add(s.mul(k(a), x), k(-5 * a)), x), k(8 * a)), x), k(-4 * a));
  };
  auto inner = [&](Value x) { // ((a + 2) x - (a + 3)) x x + 1
    return s.add(s.mul(s.mul(s.add(s.mul(k(a + 2), x), k(-(a + 3))), x), x), k(1));
  };
  Value rest = s.sub(k(1), t);
  return {outer(s.add(t, k(1))), inner(t), inner(rest), outer(s.add(rest, k(1)))};
}

LogicalResult lowerGridSample(Lowering &l, onnx::GridSampleOp op) {
  Value result = op.getY();
  if (setEmpty(l, op))
    return success();
  StringRef mode = op.getMode(), padding = op.getPaddingMode();
  // The names of opset 16.
  if (mode == "bilinear")
    mode = "linear";
  if (mode == "bicubic")
    mode = "cubic";
  if (!llvm::is_contained({"nearest", "linear", "cubic"}, mode) ||
      !llvm::is_contained({"zeros", "border", "reflection"}, padding))
    return l.error(op) << "expected mode nearest, linear or cubic and padding_mode zeros, border or reflection, got "
                       << mode << " and " << padding;
  Type element = l.element(result);
  if (!isa<FloatType>(element) && mode != "nearest")
    return l.unsupported(op, "interpolating integers; mode nearest or a float image works");

  Placed x = l.get(op.getX());
  Dims shape(l.shape(op.getX())), at(l.shape(op.getGrid()));
  int64_t rank = shape.size(), spatial = rank - 2;
  Value grid = l.getIdentity(op.getGrid());
  // One column of the grid a spatial dim, the last component first; read through batch and spatial loops.
  Dims loops;
  for (int64_t dim = 0; dim < rank; ++dim)
    if (dim != 1)
      loops.push_back(positionOf(x.order, dim));
  SmallVector<Value> columns;
  for (int64_t d = 0; d < spatial; ++d) {
    Dims offsets(at.size(), 0), sizes = at;
    offsets.back() = spatial - 1 - d;
    sizes.back() = 1;
    columns.push_back(l.reshape(l.slice(grid, offsets, sizes), ArrayRef<int64_t>(at).drop_back()));
  }
  SmallVector<AffineMap> maps(spatial, selectDims(l, rank, loops));

  l.set(
      result,
      mapIndexed(l, l.typeIn(result, x.order), columns, maps,
                 [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                   Scalars s(b, false);
                   Type compute = computeType(args[0].getType());
                   Type blend = isa<FloatType>(element) ? computeType(element) : element;
                   if (blend.isF64())
                     compute = blend;
                   SmallVector<SmallVector<Pixel>> pixels(spatial);
                   SmallVector<SmallVector<Value>> weights(spatial);
                   for (int64_t d = 0; d < spatial; ++d) {
                     Sampling axis{padding, op.getAlignCorners() != 0, shape[d + 2]};
                     Value position = denormalize(s, s.cast(args[d], compute), axis, mode == "nearest");
                     Value floor = math::FloorOp::create(b, position), t = s.sub(position, floor);
                     Value below = arith::IndexCastOp::create(b, b.getIndexType(),
                                                              arith::FPToSIOp::create(b, b.getI32Type(), floor));
                     int64_t first = mode == "cubic" ? -1 : 0, count = mode == "nearest" ? 1 : mode == "linear" ? 2 : 4;
                     for (int64_t i = first; i < first + count; ++i)
                       pixels[d].push_back(pixelAt(b, arith::AddIOp::create(b, below, constantIndex(b, i)), axis));
                     if (mode == "linear")
                       weights[d] = {s.sub(s.like(t, 1), t), t};
                     else if (mode == "cubic")
                       weights[d] = cubicWeights(s, t);
                     for (Value &weight : weights[d])
                       weight = s.cast(weight, blend);
                   }
                   SmallVector<Value> from(indices);
                   std::function<Value(int64_t, Value)> sample = [&](int64_t d, Value inside) -> Value {
                     if (d == spatial) {
                       Value pixel = s.cast(extract(b, x.value, from), blend);
                       return inside ? s.select(inside, pixel, s.like(pixel, 0)) : pixel;
                     }
                     Value sum;
                     for (auto [i, pixel] : llvm::enumerate(pixels[d])) {
                       from[positionOf(x.order, d + 2)] = pixel.index;
                       Value both = inside && pixel.inside ? Value(arith::AndIOp::create(b, inside, pixel.inside))
                                    : inside               ? inside
                                                           : pixel.inside;
                       Value term = sample(d + 1, both);
                       if (mode != "nearest")
                         term = s.mul(term, weights[d][i]);
                       sum = sum ? s.add(sum, term) : term;
                     }
                     return sum;
                   };
                   return s.cast(sample(0, Value()), element);
                 }),
      x.order);
  return success();
}

} // namespace

void populateImageLowerings(Registry &registry) {
  populateImageResizeLowerings(registry);
  registry.add(lowerDepthToSpace);
  registry.add(lowerSpaceToDepth);
  registry.add(lowerCol2Im);
  registry.add(lowerGridSample);
}

} // namespace burin::lower
