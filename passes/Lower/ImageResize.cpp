// Lowering of Resize. Every coordinate is known when the code is made, so an axis becomes a small table: which
// positions each result position reads (clamped into the input) and with which weights. Up to eight reads an element
// are one pass over the result, more are one pass an axis. Coordinates follow ONNX's reference implementation, in
// double.
#include "passes/Lower/Qdq.h"
#include "passes/Lower/Tensor.h"

#include <cmath>

using namespace mlir;

namespace burin::lower {
namespace {

struct Axis {
  int64_t position; // in memory
  int64_t from, to;
  double scale;
  double start = 0, end = 1; // region of interest
  // `count` reads a result position.
  int64_t count = 0;
  Dims index;
  SmallVector<float> weight;
  SmallVector<bool> outside; // tf_crop_and_resize: takes the extrapolation value
};

double sourceOf(StringRef mode, const Axis &axis, double x) {
  double width = axis.scale * axis.from;
  if (mode == "align_corners")
    return width == 1 ? 0 : x * (axis.from - 1) / (width - 1);
  if (mode == "asymmetric")
    return x / axis.scale;
  if (mode == "tf_crop_and_resize") {
    double extent = axis.from - 1, span = axis.end - axis.start;
    return axis.start * extent + (width == 1 ? span * extent / 2 : x * span * extent / (width - 1));
  }
  if (mode == "pytorch_half_pixel" && width == 1)
    return -0.5;
  double source = (x + 0.5) / axis.scale - 0.5;
  if (mode == "half_pixel_symmetric")
    source += axis.from / 2.0 * (1 - axis.to / width);
  return source;
}

double cubic(double x, double a) {
  x = std::fabs(x);
  if (x <= 1)
    return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

// Weights of the reads around a position that lies `ratio` in (0, 1] past the read before it. The first of them is
// `first` places from that one.
SmallVector<double> weightsOf(onnx::ResizeOp op, double ratio, double scale) {
  StringRef mode = op.getMode();
  SmallVector<double> weights;
  if (mode == "nearest") {
    StringRef nearest = op.getNearestMode();
    bool next = ratio == 1 || nearest == "ceil" || (nearest == "round_prefer_ceil" && ratio >= 0.5) ||
                (nearest == "round_prefer_floor" && ratio > 0.5);
    return {next ? 0.0 : 1.0, next ? 1.0 : 0.0};
  }
  double reach = mode == "cubic" ? 2 : 1;
  double stretch = op.getAntialias() ? std::min(scale, 1.0) : 1;
  int64_t first = static_cast<int64_t>(std::floor(-reach / stretch)) + 1, last = 2 - first;
  double sum = 0;
  for (int64_t i = first; i < last; ++i) {
    double x = stretch * (i - ratio);
    weights.push_back(mode == "cubic" ? cubic(x, op.getCubicCoeffA()) : std::max(0.0, 1 - std::fabs(x)));
    sum += weights.back();
  }
  if (op.getAntialias())
    for (double &weight : weights)
      weight /= sum;
  return weights;
}

void fillTable(onnx::ResizeOp op, Axis &axis) {
  for (int64_t x = 0; x < axis.to; ++x) {
    double source = sourceOf(op.getCoordinateTransformationMode(), axis, x), below = std::floor(source);
    // An integer position counts as the end of the step before it.
    SmallVector<double> weights = weightsOf(op, source == below ? 1 : source - below, axis.scale);
    axis.count = weights.size();
    // The nearest `count` positions, of two as near the lower.
    double fraction = source - below;
    int64_t half = axis.count / 2, first = below;
    if (axis.count % 2 == 0)
      first += fraction == 0 ? -half : 1 - half;
    else
      first += fraction <= 0.5 ? -half : 1 - half;
    if (op.getExcludeOutside()) {
      double sum = 0;
      for (int64_t i = 0; i < axis.count; ++i) {
        if (first + i < 0 || first + i >= axis.from)
          weights[i] = 0;
        sum += weights[i];
      }
      for (double &weight : weights)
        weight /= sum == 0 ? 1 : sum;
    }
    for (int64_t i = 0; i < axis.count; ++i) {
      axis.index.push_back(std::clamp<int64_t>(first + i, 0, axis.from - 1));
      axis.weight.push_back(weights[i]);
    }
    axis.outside.push_back(op.getCoordinateTransformationMode() == "tf_crop_and_resize" &&
                           (source < 0 || source > axis.from - 1));
  }
}

// The axes that change, in memory order, with their tables.
FailureOr<SmallVector<Axis>> readAxes(Lowering &l, onnx::ResizeOp op, const Placed &x) {
  Dims from = logicalShape(l, x), to(l.shape(op.getY()));
  int64_t rank = from.size();
  Dims axes = identityOrder(rank);
  if (op.getAxes()) {
    axes.assign(op.getAxes()->begin(), op.getAxes()->end());
    for (int64_t &axis : axes)
      axis = normalizeAxis(axis, rank);
  }
  size_t count = axes.size();
  StringRef mode = op.getCoordinateTransformationMode();
  bool crop = mode == "tf_crop_and_resize";
  if (!llvm::is_contained({"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric",
                           "tf_crop_and_resize"},
                          mode))
    return l.error(op) << "expected a coordinate_transformation_mode that ONNX names, got " << mode;

  SmallVector<double> scales;
  bool hasScales = !l.isAbsent(op.getScales()) && product(l.shape(op.getScales())) != 0;
  if (hasScales) {
    std::optional<SmallVector<float>> known = onnx::getConstantFloats(op.getScales());
    if (!known)
      return l.unsupported(op, "scales computed at run time; a constant operand 'scales' works");
    if (known->size() != count)
      return l.error(op) << "expected " << count << " scales, got " << known->size();
    scales.assign(known->begin(), known->end());
  } else {
    StringRef policy = op.getKeepAspectRatioPolicy();
    if (policy == "stretch") {
      for (int64_t axis : axes)
        scales.push_back(double(to[axis]) / from[axis]);
    } else {
      FailureOr<Dims> sizes = l.requireInts(op, op.getSizes(), "sizes");
      if (failed(sizes))
        return failure();
      if (sizes->size() != count)
        return l.error(op) << "expected " << count << " sizes, got " << sizes->size();
      double scale = 0;
      for (auto [i, axis] : llvm::enumerate(axes)) {
        double own = double((*sizes)[i]) / from[axis];
        scale = i == 0 ? own : policy == "not_larger" ? std::min(scale, own) : std::max(scale, own);
      }
      scales.assign(count, scale);
    }
  }
  SmallVector<float> roi;
  if (crop) {
    std::optional<SmallVector<float>> known =
        l.isAbsent(op.getRoi()) ? std::nullopt : onnx::getConstantFloats(op.getRoi());
    if (!known)
      return l.unsupported(op, "a region of interest computed at run time; a constant operand 'roi' works");
    if (known->size() != 2 * count)
      return l.error(op) << "expected " << 2 * count << " elements in operand 'roi', got " << known->size();
    roi = *known;
  }

  SmallVector<Axis> changing;
  for (auto [i, dim] : llvm::enumerate(axes)) {
    Axis axis{positionOf(x.order, dim), from[dim], to[dim], scales[i]};
    if (crop) {
      axis.start = roi[i];
      axis.end = roi[i + count];
    }
    if (!(axis.scale > 0))
      return l.error(op) << "expected scales above 0, got " << axis.scale;
    bool close = std::fabs(axis.scale - 1) <= 1e-9;
    if (close && axis.from == axis.to && axis.start == 0 && axis.end == 1)
      continue;
    fillTable(op, axis);
    changing.push_back(std::move(axis));
  }
  llvm::sort(changing, [](const Axis &a, const Axis &b) { return a.position < b.position; });
  return changing;
}

// The table's column for read `i`, one entry a result position.
Value indexColumn(Lowering &l, const Axis &axis, int64_t i) {
  Dims column;
  for (int64_t x = 0; x < axis.to; ++x)
    column.push_back(axis.index[x * axis.count + i]);
  return positions(l, column);
}
Value floats(Lowering &l, ArrayRef<int64_t> shape, ArrayRef<float> values, Type type) {
  return l.makeTensor(onnx::makeFloats(RankedTensorType::get(shape, type), values));
}
Value weightColumn(Lowering &l, const Axis &axis, int64_t i, Type type) {
  SmallVector<float> column;
  for (int64_t x = 0; x < axis.to; ++x)
    column.push_back(axis.weight[x * axis.count + i]);
  return floats(l, axis.to, column, type);
}

Value widen(ImplicitLocOpBuilder &b, Value x, Type compute, bool isUnsigned) {
  if (x.getType() == compute)
    return x;
  if (isa<FloatType>(x.getType()))
    return arith::ExtFOp::create(b, compute, x);
  return isUnsigned ? Value(arith::UIToFPOp::create(b, compute, x)) : Value(arith::SIToFPOp::create(b, compute, x));
}

// To the element type: integers round half to even and saturate.
Value narrow(Lowering &l, ImplicitLocOpBuilder &b, Value x, Type element, bool isUnsigned) {
  if (x.getType() == element)
    return x;
  if (isa<FloatType>(element))
    return arith::TruncFOp::create(b, element, x);
  unsigned bits = element.getIntOrFloatBitWidth();
  double low = isUnsigned ? 0 : -std::ldexp(1.0, bits - 1), high = std::ldexp(1.0, isUnsigned ? bits : bits - 1) - 1;
  if (bits == 64) // the largest double that converts back
    high = std::nextafter(high, 0.0);
  x = math::RoundEvenOp::create(b, x);
  x = arith::MaximumFOp::create(b, x, arith::ConstantOp::create(b, l.scalarAttr(x.getType(), low)));
  x = arith::MinimumFOp::create(b, x, arith::ConstantOp::create(b, l.scalarAttr(x.getType(), high)));
  return isUnsigned ? Value(arith::FPToUIOp::create(b, element, x)) : Value(arith::FPToSIOp::create(b, element, x));
}

// All axes at once: the weighted sum over every combination of reads, innermost axis first.
Value blendTogether(Lowering &l, Value x, ArrayRef<Axis> axes, Type compute, Type element, bool isUnsigned) {
  auto type = cast<RankedTensorType>(x.getType());
  Dims shape(type.getShape());
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  for (const Axis &axis : axes) {
    shape[axis.position] = axis.to;
    for (int64_t i = 0; i < axis.count; ++i) {
      operands.push_back(indexColumn(l, axis, i));
      operands.push_back(weightColumn(l, axis, i, compute));
      maps.append(2, selectDims(l, type.getRank(), axis.position));
    }
  }
  return mapIndexed(l, RankedTensorType::get(shape, element), operands, maps,
                    [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) {
                      SmallVector<Value> from(indices);
                      std::function<Value(size_t, size_t)> blend = [&](size_t a, size_t next) -> Value {
                        if (a == axes.size())
                          return widen(b, extract(b, x, from), compute, isUnsigned);
                        Value sum;
                        for (int64_t i = 0; i < axes[a].count; ++i) {
                          from[axes[a].position] = arith::IndexCastOp::create(b, b.getIndexType(), args[next + 2 * i]);
                          Value term =
                              arith::MulFOp::create(b, blend(a + 1, next + 2 * axes[a].count), args[next + 2 * i + 1]);
                          sum = sum ? Value(arith::AddFOp::create(b, sum, term)) : term;
                        }
                        return sum;
                      };
                      return narrow(l, b, blend(0, 0), element, isUnsigned);
                    });
}

// One axis with any number of reads, as a reduction. The reads' loop stays outside the innermost dim where that is not
// the axis itself, so that it runs over contiguous elements.
Value blendAlong(Lowering &l, Value x, const Axis &axis, Type compute, bool isUnsigned) {
  auto type = cast<RankedTensorType>(x.getType());
  int64_t rank = type.getRank(), reads = axis.position == rank - 1 ? rank : rank - 1;
  Dims loops(type.getShape()), dims;
  loops[axis.position] = axis.to;
  loops.insert(loops.begin() + reads, axis.count);
  for (int64_t loop = 0; loop <= rank; ++loop)
    if (loop != reads)
      dims.push_back(loop);
  AffineMap table = selectDims(l, rank + 1, {axis.position, reads});
  Value index =
      l.makeTensor(onnx::makeInts(RankedTensorType::get({axis.to, axis.count}, l.b.getI32Type()), axis.index));
  Value weight = floats(l, {axis.to, axis.count}, axis.weight, compute);
  return reduceIndexed(l, loops, {index, weight}, {table, table}, reads, l.zero(compute),
                       [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                         SmallVector<Value> from;
                         for (int64_t dim : dims)
                           from.push_back(indices[dim]);
                         from[axis.position] = arith::IndexCastOp::create(b, b.getIndexType(), args[0]);
                         Value term =
                             arith::MulFOp::create(b, widen(b, extract(b, x, from), compute, isUnsigned), args[1]);
                         return arith::AddFOp::create(b, args[2], term);
                       });
}

Value blend(Lowering &l, Value x, MutableArrayRef<Axis> axes, Type element, bool isUnsigned) {
  // Integers of 32 bits and more do not fit f32.
  Type compute = element.isF64() || (isa<IntegerType>(element) && element.getIntOrFloatBitWidth() > 16)
                     ? Type(l.b.getF64Type())
                     : l.b.getF32Type();
  int64_t reads = 1;
  for (const Axis &axis : axes)
    reads *= axis.count;
  if (reads <= 8)
    return blendTogether(l, x, axes, compute, element, isUnsigned);
  // What shrinks most goes first.
  llvm::stable_sort(axes, [](const Axis &a, const Axis &b) { return a.to * b.from < b.to * a.from; });
  for (const Axis &axis : axes) {
    if (axis.count <= 8)
      x = blendTogether(l, x, axis, compute, compute, isUnsigned);
    else
      x = blendAlong(l, x, axis, compute, isUnsigned);
  }
  if (element == compute)
    return x;
  auto type = RankedTensorType::get(cast<RankedTensorType>(x.getType()).getShape(), element);
  return l.map(type, x, l.b.getMultiDimIdentityMap(type.getRank()),
               [&](ImplicitLocOpBuilder &b, ValueRange args) { return narrow(l, b, args[0], element, isUnsigned); });
}

// Where any axis reads outside the image (tf_crop_and_resize), the extrapolation value.
Value extrapolate(Lowering &l, Value x, ArrayRef<Axis> axes, TypedAttr value) {
  auto type = cast<RankedTensorType>(x.getType());
  SmallVector<Value> operands{x};
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(type.getRank())};
  for (const Axis &axis : axes) {
    if (!llvm::is_contained(axis.outside, true))
      continue;
    SmallVector<bool> outside(axis.outside);
    operands.push_back(l.makeTensor(DenseElementsAttr::get(RankedTensorType::get(axis.to, l.b.getI1Type()), outside)));
    maps.push_back(selectDims(l, type.getRank(), axis.position));
  }
  if (operands.size() == 1)
    return x;
  return l.map(type, operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
    Value any = args[1];
    for (Value mask : args.drop_front(2))
      any = arith::OrIOp::create(b, any, mask);
    return arith::SelectOp::create(b, any, arith::ConstantOp::create(b, value), args[0]);
  });
}

// Of a dequantized operand the bytes are blended, and the result is what those stand for: weights add up to 1.
bool blendBytes(Lowering &l, onnx::ResizeOp op) {
  Dequantized from = dequantized(op.getX());
  if (!from || !from.q.isScalar() || op.getMode() == "nearest" || op.getExcludeOutside() ||
      op.getCoordinateTransformationMode() == "tf_crop_and_resize" || anyFree(l.shape(op.getX())) ||
      anyFree(l.shape(op.getY())))
    return false;
  Placed x = l.get(from.op.getX());
  FailureOr<SmallVector<Axis>> axes = readAxes(l, op, x);
  if (failed(axes) || axes->empty())
    return false;
  Value blended = blend(l, x.value, *axes, l.b.getF32Type(), from.q.isUnsigned());
  auto type = cast<RankedTensorType>(blended.getType());
  auto constant = [&](ImplicitLocOpBuilder &b, double value) {
    return arith::ConstantOp::create(b, l.scalarAttr(b.getF32Type(), value));
  };
  l.set(op.getY(),
        l.map(type, blended, l.b.getMultiDimIdentityMap(type.getRank()),
              [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
                Value less = arith::SubFOp::create(b, args[0], constant(b, double(from.q.zero)));
                return arith::MulFOp::create(b, less, constant(b, from.q.scale[0]));
              }),
        x.order);
  return true;
}

LogicalResult lowerResize(Lowering &l, onnx::ResizeOp op) {
  Value result = op.getY();
  if (setEmpty(l, op))
    return success();
  StringRef mode = op.getMode();
  if (mode != "nearest" && mode != "linear" && mode != "cubic")
    return l.error(op) << "expected mode nearest, linear or cubic, got " << mode;
  if (blendBytes(l, op))
    return success();
  Placed x = l.get(op.getX());
  if (anyFree(l.shape(op.getX())) || anyFree(l.shape(result)))
    return lowerFreeResize(l, op, x);
  if (x.type().getNumElements() == 0)
    return l.error(op) << "expected an operand with elements to resize, got none";
  FailureOr<SmallVector<Axis>> axes = readAxes(l, op, x);
  if (failed(axes))
    return failure();
  if (axes->empty()) {
    l.set(result, x);
    return success();
  }
  Value resized = x.value;
  if (mode == "nearest") {
    SmallVector<AxisTable> tables;
    for (const Axis &axis : *axes) {
      AxisTable table{axis.position, {}};
      for (int64_t i = 0; i < axis.to; ++i)
        table.source.push_back(axis.index[2 * i + (axis.weight[2 * i] == 0)]);
      tables.push_back(table);
    }
    resized = remapAxes(l, resized, tables);
  } else {
    resized = blend(l, resized, *axes, l.element(result), l.isUnsigned(op.getX()));
  }
  l.set(result, extrapolate(l, resized, *axes, l.scalarAttr(l.element(result), op.getExtrapolationValue())), x.order);
  return success();
}

} // namespace

void populateImageResizeLowerings(Registry &registry) { registry.add(lowerResize); }

} // namespace burin::lower
