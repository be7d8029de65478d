// The Signal family: DFT, STFT and MelWeightMatrix. A transform is one product with a constant matrix of cosines and
// sines, which the kernels of nn.matmul run; where that matrix would be large, the length is split into two factors
// (Cooley and Tukey) with a product each. The window functions have function bodies and are expanded.
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

#include <cmath>

using namespace mlir;

namespace burin::lower {
namespace {

/// Matrices beyond this many elements are split where the length has factors.
constexpr int64_t maxMatrix = 1 << 18;
/// What no factor can bring below this is refused: 256 MiB of f32.
constexpr int64_t hardLimit = 1 << 26;

Value makeNumbers(Lowering &l, ArrayRef<int64_t> shape, Type type, ArrayRef<double> values) {
  auto tensor = RankedTensorType::get(shape, l.b.getF64Type());
  if (type.isF64())
    return l.makeTensor(tensor, ArrayRef<char>(reinterpret_cast<const char *>(values.data()), values.size() * 8));
  std::vector<APFloat> floats;
  floats.reserve(values.size());
  const llvm::fltSemantics &semantics = cast<FloatType>(type).getFloatSemantics();
  for (double value : values) {
    APFloat number(value);
    bool lost;
    number.convert(semantics, APFloat::rmNearestTiesToEven, &lost);
    floats.push_back(number);
  }
  return l.makeTensor(DenseElementsAttr::get(RankedTensorType::get(shape, type), floats));
}

/// cos and sin of 2 pi turns / n; exact multiples reduce first, so that long transforms lose nothing.
std::pair<double, double> unit(int64_t turns, int64_t n) {
  double angle = 2 * M_PI * double(turns % n) / double(n);
  return {std::cos(angle), std::sin(angle)};
}

Value matmul(Lowering &l, Value lhs, Value rhs, Type type) {
  int64_t rows = cast<RankedTensorType>(lhs.getType()).getDimSize(0);
  int64_t columns = cast<RankedTensorType>(rhs.getType()).getDimSize(1);
  return nn::MatmulOp::create(l.b, ValueRange{lhs, rhs}, l.empty({rows, columns}, type), ArrayRef<NamedAttribute>())
      ->getResult(0);
}

/// A transform of length `n`, `bins` of whose results are wanted, over x [rows, used, 1 or 2] with used <= n.
struct Transform {
  Lowering &l;
  Type type;
  bool inverse;

  Dims dims(Value x) { return Dims(cast<RankedTensorType>(x.getType()).getShape()); }

  /// [rows, bins, 2], one product.
  Value dense(Value x, int64_t n, int64_t bins, double scale) {
    Dims shape = dims(x);
    int64_t used = shape[1], parts = shape[2];
    std::vector<double> matrix(used * parts * bins * 2);
    for (int64_t i = 0; i < used; ++i)
      for (int64_t k = 0; k < bins; ++k) {
        auto [c, s] = unit(i * k, n);
        if (!inverse)
          s = -s;
        double *row = &matrix[(i * parts * bins + k) * 2];
        row[0] = c * scale;
        row[1] = s * scale;
        if (parts == 2) {
          row[2 * bins] = -s * scale;
          row[2 * bins + 1] = c * scale;
        }
      }
    Value table = makeNumbers(l, {used * parts, bins * 2}, type, matrix);
    return l.reshape(matmul(l, l.reshape(x, {shape[0], used * parts}), table, type), {shape[0], bins, 2});
  }

  /// The real signal of length `n` whose first `used` bins x [rows, used, 2] holds: [rows, n, 1].
  Value realInverse(Value x, int64_t n) {
    Dims shape = dims(x);
    int64_t used = shape[1];
    std::vector<double> matrix(used * 2 * n);
    for (int64_t k = 0; k < used; ++k) {
      double weight = (k == 0 || 2 * k == n ? 1.0 : 2.0) / double(n);
      for (int64_t i = 0; i < n; ++i) {
        auto [c, s] = unit(i * k, n);
        matrix[2 * k * n + i] = c * weight;
        matrix[(2 * k + 1) * n + i] = -s * weight;
      }
    }
    Value table = makeNumbers(l, {used * 2, n}, type, matrix);
    return l.reshape(matmul(l, l.reshape(x, {shape[0], used * 2}), table, type), {shape[0], n, 1});
  }

  static int64_t factor(int64_t n) {
    for (int64_t f = std::llround(std::floor(std::sqrt(double(n)))); f > 1; --f)
      if (n % f == 0)
        return f;
    return 1;
  }

  /// x [rows, n, 2] -> [rows, n, 2]. With n = a b, input i = i1 b + i2 and bin k = k1 + a k2: transforms over i1, a
  /// turn by i2 k1, transforms over i2.
  Value full(Value x, int64_t n, double scale) {
    int64_t a = factor(n), b = n / a, rows = dims(x)[0];
    if (a == 1 || n * n * 4 <= maxMatrix)
      return dense(x, n, n, scale);
    x = l.transpose(l.reshape(x, {rows, a, b, 2}), {0, 2, 1, 3});
    x = l.reshape(full(l.reshape(x, {rows * b, a, 2}), a, 1), {rows, b, a, 2});
    std::vector<double> ofReal(b * a * 2), ofImaginary(b * a * 2);
    for (int64_t i = 0; i < b; ++i)
      for (int64_t k = 0; k < a; ++k) {
        auto [c, s] = unit(i * k, n);
        if (!inverse)
          s = -s;
        int64_t at = (i * a + k) * 2;
        ofReal[at] = c;
        ofReal[at + 1] = s;
        ofImaginary[at] = -s;
        ofImaginary[at + 1] = c;
      }
    auto part = [&](int64_t which) { return l.reshape(l.slice(x, {0, 0, 0, which}, {rows, b, a, 1}), {rows, b, a}); };
    Value operands[] = {part(0), part(1), makeNumbers(l, {b, a, 2}, type, ofReal),
                        makeNumbers(l, {b, a, 2}, type, ofImaginary)};
    AffineMap value = selectDims(l, 4, {0, 1, 2}), table = selectDims(l, 4, {1, 2, 3});
    AffineMap maps[] = {value, value, table, table};
    x = l.map(RankedTensorType::get({rows, b, a, 2}, type), operands, maps,
              [&](ImplicitLocOpBuilder &builder, ValueRange args) {
                Scalars s(builder, false);
                Type wide = computeType(type);
                auto w = [&](int i) { return s.cast(args[i], wide); };
                return s.cast(s.add(s.mul(w(0), w(2)), s.mul(w(1), w(3))), type);
              });
    x = l.reshape(l.transpose(x, {0, 2, 1, 3}), {rows * a, b, 2});
    x = l.reshape(full(x, b, scale), {rows, a, b, 2});
    return l.reshape(l.transpose(x, {0, 2, 1, 3}), {rows, n, 2});
  }

  Value run(Value x, int64_t n, int64_t bins) {
    Dims shape = dims(x);
    double scale = inverse ? 1.0 / double(n) : 1.0;
    if (shape[1] * shape[2] * bins * 2 <= maxMatrix || factor(n) == 1)
      return dense(x, n, bins, scale);
    x = l.pad(x, {0, 0, 0}, {0, n - shape[1], 2 - shape[2]}, l.zero(type));
    return l.slice(full(x, n, scale), {0, 0, 0}, {shape[0], bins, 2});
  }
};

LogicalResult checkLength(Lowering &l, Operation *op, int64_t n, bool splits) {
  if (n < 1)
    return l.error(op) << "expected a transform of length 1 or more, got " << n;
  if ((!splits || Transform::factor(n) == 1) && n > hardLimit / (2 * n))
    return l.unsupported(op, "a transform of length " + Twine(n) +
                                 (splits ? ", a prime; a length with factors works" : " with inverse and onesided"));
  return success();
}

Value widen(Lowering &l, Value tensor, Type to) {
  auto type = cast<RankedTensorType>(tensor.getType());
  if (type.getElementType() == to)
    return tensor;
  return l.map(RankedTensorType::get(type.getShape(), to), tensor, l.b.getMultiDimIdentityMap(type.getRank()),
               [&](ImplicitLocOpBuilder &b, ValueRange args) { return Scalars(b, false).cast(args[0], to); });
}

/// What a transform of length `n` is computed in: sums of alternating terms cancel, and short ones cost nothing in f64.
Type transformType(Lowering &l, Type type, int64_t n) { return n <= 64 ? Type(l.b.getF64Type()) : computeType(type); }

/// The transform along `axis` and the order it lies in.
Placed transformAxis(Lowering &l, onnx::DFTOp op, int64_t axis, int64_t n) {
  Value input = op.getInput(), result = op.getOutput();
  Dims shape(l.shape(input));
  int64_t rank = shape.size(), parts = shape.back();
  Type type = l.element(result), wide = transformType(l, type, n);
  Order order;
  for (int64_t dim = 0; dim + 1 < rank; ++dim)
    if (dim != axis)
      order.push_back(dim);
  order.append({axis, rank - 1});
  Dims physical = permuted(shape, order);
  bool toReal = op.getInverse() && op.getOnesided();
  int64_t rows = product(ArrayRef<int64_t>(physical).drop_back(2)),
          used = std::min(shape[axis], toReal ? n / 2 + 1 : n);
  Value x = l.reshape(widen(l, l.getIn(input, order), wide), {rows, shape[axis], parts});
  x = l.slice(x, {0, 0, 0}, {rows, used, parts});
  Transform transform{l, wide, op.getInverse() != 0};
  if (toReal && parts == 1)
    x = l.pad(x, {0, 0, 0}, {0, 0, 1}, l.zero(wide));
  Value y = toReal ? transform.realInverse(x, n) : transform.run(x, n, l.shape(result)[axis]);
  return {l.reshape(widen(l, y, type), permuted(l.shape(result), order)), order};
}

LogicalResult lowerDFT(Lowering &l, onnx::DFTOp op) {
  Value input = op.getInput(), result = op.getOutput();
  Dims shape(l.shape(input)), target(l.shape(result));
  int64_t rank = shape.size();
  if (rank < 2 || (shape.back() != 1 && shape.back() != 2) || int64_t(target.size()) != rank)
    return l.error(op) << "expected an input of rank 2 or more whose last dim is 1 or 2, got " << input.getType();
  bool onesided = op.getOnesided(), inverse = op.getInverse();
  std::optional<int64_t> given;
  if (!l.isAbsent(op.getDftLength())) {
    FailureOr<Dims> length = l.requireInts(op, op.getDftLength(), "dft_length");
    if (failed(length))
      return failure();
    given = length->front();
  }
  auto lengthOf = [&](int64_t axis) {
    return given ? *given : onesided && inverse ? 2 * (shape[axis] - 1) : shape[axis];
  };
  // An axis known only at run time is one of those that give the result's shape: all are computed, one is taken.
  SmallVector<int64_t> candidates;
  bool known = l.isAbsent(op.getAxis()) || l.isConstant(op.getAxis());
  if (known) {
    int64_t axis = -2;
    if (!l.isAbsent(op.getAxis())) {
      FailureOr<Dims> axes = l.requireInts(op, op.getAxis(), "axis");
      if (failed(axes))
        return failure();
      axis = axes->front();
    }
    if (axis < -rank || axis >= rank || normalizeAxis(axis, rank) == rank - 1)
      return l.error(op) << "expected an axis in [" << -rank << ", -2] or [0, " << rank - 2 << "], got " << axis;
    candidates.push_back(normalizeAxis(axis, rank));
  } else {
    for (int64_t axis = 0; axis + 1 < rank; ++axis) {
      Dims made = shape;
      made[axis] = onesided && !inverse ? lengthOf(axis) / 2 + 1 : lengthOf(axis);
      made.back() = onesided && inverse ? 1 : 2;
      if (made == target)
        candidates.push_back(axis);
    }
    if (candidates.empty())
      return l.error(op) << "expected an axis whose transform has the result's shape, got none";
  }
  for (int64_t axis : candidates)
    if (failed(checkLength(l, op, lengthOf(axis), !(onesided && inverse))))
      return failure();
  if (candidates.size() == 1) {
    l.set(result, transformAxis(l, op, candidates[0], lengthOf(candidates[0])));
    return success();
  }
  SmallVector<Value> results;
  for (int64_t axis : candidates)
    results.push_back(inOrder(l, transformAxis(l, op, axis, lengthOf(axis)), identityOrder(rank)));
  Value axis = safeIndex(l.b, scalar(l, op.getAxis()), rank);
  SmallVector<AffineMap> maps(results.size(), l.b.getMultiDimIdentityMap(rank));
  l.set(result,
        l.map(l.typeIn(result, identityOrder(rank)), results, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
          Value chosen = args[0];
          for (size_t i = 1; i < candidates.size(); ++i)
            chosen = arith::SelectOp::create(
                b, arith::CmpIOp::create(b, arith::CmpIPredicate::eq, axis, constantIndex(b, candidates[i])), args[i],
                chosen);
          return chosen;
        }));
  return success();
}

LogicalResult lowerSTFT(Lowering &l, onnx::STFTOp op) {
  Value signal = op.getSignal(), result = op.getOutput(), window = op.getWindow();
  Dims shape(l.shape(signal)), target(l.shape(result));
  if (shape.size() == 2)
    shape.push_back(1);
  if (shape.size() != 3 || (shape[2] != 1 && shape[2] != 2) || target.size() != 4)
    return l.error(op) << "expected a signal of batch, length and 1 or 2 components, got " << signal.getType();
  int64_t n = l.isAbsent(window) ? shape[1] : l.shape(window)[0];
  if (!l.isAbsent(op.getFrameLength())) {
    FailureOr<Dims> length = l.requireInts(op, op.getFrameLength(), "frame_length");
    if (failed(length))
      return failure();
    if (!l.isAbsent(window) && length->front() != n)
      return l.error(op) << "expected a window of frame_length " << length->front() << ", got " << n;
    n = length->front();
  }
  int64_t frames = target[1], bins = target[2];
  if (n > shape[1] || bins > n)
    return l.error(op) << "expected frames inside the signal of length " << shape[1] << ", got " << frames
                       << " of length " << n << " with " << bins << " bins";
  // The step may be known only at run time: the number of frames is fixed, and none may read outside the signal.
  Value step;
  if (l.isConstant(op.getFrameStep())) {
    FailureOr<Dims> given = l.requireInts(op, op.getFrameStep(), "frame_step");
    if (failed(given))
      return failure();
    if (given->front() < 1 || (frames - 1) * given->front() + n > shape[1])
      return l.error(op) << "expected " << frames << " frames of length " << n << " inside the signal of length "
                         << shape[1] << ", got frame_step " << given->front();
    step = constantIndex(l.b, given->front());
  } else {
    step = safeIndex(l.b, scalar(l, op.getFrameStep()), shape[1] + 1);
  }
  if (failed(checkLength(l, op, n, true)))
    return failure();
  Type type = l.element(result), wide = transformType(l, type, n);
  Value x = l.reshape(l.getIdentity(signal), shape);
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  if (!l.isAbsent(window)) {
    operands.push_back(l.getIdentity(window));
    maps.push_back(selectDims(l, 4, {2}));
  }
  Value windowed = mapIndexed(l, RankedTensorType::get({shape[0], frames, n, shape[2]}, wide), operands, maps,
                              [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                                Scalars s(b, false);
                                Value start = arith::MulIOp::create(b, indices[1], step);
                                if (!l.isConstant(op.getFrameStep()))
                                  start = arith::MinSIOp::create(b, start, constantIndex(b, shape[1] - n));
                                Value at = arith::AddIOp::create(b, start, indices[2]);
                                Value value = s.cast(extract(b, x, {indices[0], at, indices[3]}), wide);
                                return !l.isAbsent(window) ? s.mul(value, s.cast(args[0], wide)) : value;
                              });
  Transform transform{l, wide, false};
  Value y = transform.run(l.reshape(windowed, {shape[0] * frames, n, shape[2]}), n, bins);
  l.set(result, l.reshape(widen(l, y, type), target));
  return success();
}

/// A table of numbers known at compile time.
LogicalResult lowerMelWeightMatrix(Lowering &l, onnx::MelWeightMatrixOp op) {
  double values[5];
  for (unsigned i = 0; i < 5; ++i) {
    TypedAttr value = l.splat(op->getOperand(i));
    if (auto integer = dyn_cast_or_null<IntegerAttr>(value))
      values[i] = integer.getValue().getSExtValue();
    else if (auto number = dyn_cast_or_null<FloatAttr>(value))
      values[i] = number.getValueAsDouble();
    else
      return l.unsupported(op, "operands computed at run time; constants work");
  }
  Value result = op.getOutput();
  Dims target(l.shape(result));
  auto [mels, length, rate, low, high] = std::tie(values[0], values[1], values[2], values[3], values[4]);
  int64_t count = mels, rows = int64_t(length) / 2 + 1;
  if (count < 1 || rate == 0 || target != Dims{rows, count})
    return l.error(op) << "expected a result of " << rows << " x " << count << " and a sample rate other than 0, got "
                       << result.getType();
  auto toMel = [](double hertz) { return 2595 * std::log1p(hertz / 700) / std::log(10.0); };
  double lowMel = toMel(low), step = (toMel(high) - lowMel) / double(count + 2);
  SmallVector<int64_t> bins;
  for (int64_t i = 0; i < count + 2; ++i) {
    double hertz = 700 * std::expm1((i * step + lowMel) / 2595 * std::log(10.0));
    bins.push_back(int64_t(std::floor((length + 1) * hertz / rate)));
  }
  std::vector<double> table(rows * count);
  for (int64_t i = 0; i < count; ++i) {
    int64_t left = bins[i], center = bins[i + 1], right = bins[i + 2];
    if (left < 0 || center >= rows || right > rows || left > center || center > right)
      return l.error(op) << "expected mel bins inside the " << rows << " bins of the spectrum, got " << left << " to "
                         << right;
    if (left == center)
      table[center * count + i] = 1;
    else
      for (int64_t j = left; j <= center; ++j)
        table[j * count + i] = double(j - left) / double(center - left);
    for (int64_t j = center; j < right; ++j)
      table[j * count + i] = double(right - j) / double(right - center);
  }
  Type type = l.element(result);
  if (isa<FloatType>(type))
    l.set(result, makeNumbers(l, target, type, table));
  else
    l.set(result, l.map(l.typeIn(result, identityOrder(2)), makeNumbers(l, target, l.b.getF32Type(), table),
                        l.b.getMultiDimIdentityMap(2), [&](ImplicitLocOpBuilder &b, ValueRange args) {
                          return Scalars(b, false).cast(args[0], type, l.isUnsigned(result));
                        }));
  return success();
}

} // namespace

void populateSignalLowerings(Registry &registry) {
  registry.add(lowerDFT);
  registry.add(lowerSTFT);
  registry.add(lowerMelWeightMatrix);
}

} // namespace burin::lower
