// The Misc family: Det and AffineGrid, and of ai.onnx.ml the operators on numbers: ArrayFeatureExtractor, Binarizer,
// Scaler, Normalizer, Imputer, FeatureVectorizer, LinearRegressor. Strings and maps have no place in a
// compiled model.
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace burin::lower {

// Parts of the family in other files.
void populateTreeLowerings(Registry &registry);
void populateDataDependentLowerings(Registry &registry);

namespace {

/// A determinant is written out up to this extent.
constexpr int64_t maxDeterminant = 12;

LogicalResult lowerDet(Lowering &l, onnx::DetOp op) {
  Dims shape(l.shape(op.getX()));
  int64_t rank = shape.size(), n = rank ? shape.back() : 0;
  if (rank < 2 || shape[rank - 2] != n)
    return l.error(op) << "expected square matrices, got " << op.getX().getType();
  if (n > maxDeterminant)
    return l.unsupported(op, "matrices of " + Twine(n) + " rows; up to " + Twine(maxDeterminant) + " work");
  Value x = l.getIdentity(op.getX()), result = op.getY();
  Type element = l.element(result), wide = isa<FloatType>(element) ? Type(l.b.getF64Type()) : element;
  if (!isa<FloatType>(element))
    return l.unsupported(op, "integers; a Cast to float before it works");
  l.set(result, mapIndexed(l, l.typeIn(result, identityOrder(rank - 2)), {}, {},
                           [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) -> Value {
                             Scalars s(b, false);
                             std::vector<std::vector<Value>> a(n, std::vector<Value>(n));
                             for (int64_t i = 0; i < n; ++i)
                               for (int64_t j = 0; j < n; ++j) {
                                 SmallVector<Value> at(indices);
                                 at.append({constantIndex(b, i), constantIndex(b, j)});
                                 a[i][j] = s.cast(extract(b, x, at), wide);
                               }
                             // Elimination with the greatest pivot of the column; a swap turns the sign.
                             Value det = s.constant(wide, 1), zero = s.constant(wide, 0);
                             for (int64_t k = 0; k < n; ++k) {
                               for (int64_t i = k + 1; i < n; ++i) {
                                 Value swap = s.less(s.abs(a[k][k]), s.abs(a[i][k]));
                                 for (int64_t j = k; j < n; ++j) {
                                   Value upper = a[k][j], lower = a[i][j];
                                   a[k][j] = s.select(swap, lower, upper);
                                   a[i][j] = s.select(swap, upper, lower);
                                 }
                                 det = s.select(swap, s.neg(det), det);
                               }
                               det = s.mul(det, a[k][k]);
                               Value singular = s.equal(a[k][k], zero);
                               for (int64_t i = k + 1; i < n; ++i) {
                                 Value factor = s.select(singular, zero, s.div(a[i][k], a[k][k]));
                                 for (int64_t j = k + 1; j < n; ++j)
                                   a[i][j] = s.sub(a[i][j], s.mul(factor, a[k][j]));
                               }
                             }
                             return s.cast(det, element);
                           }));
  return success();
}

LogicalResult lowerAffineGrid(Lowering &l, onnx::AffineGridOp op) {
  Value result = op.getGrid();
  Dims target(l.shape(result)), theta(l.shape(op.getTheta()));
  int64_t rank = target.size(), spatial = rank - 2;
  if ((spatial != 2 && spatial != 3) || theta != Dims{target[0], spatial, spatial + 1} || target.back() != spatial)
    return l.error(op) << "expected theta of " << target[0] << " x " << spatial << " x " << spatial + 1 << ", got "
                       << op.getTheta().getType();
  Value matrices = l.getIdentity(op.getTheta());
  SmallVector<Value> columns;
  for (int64_t j = 0; j <= spatial; ++j)
    columns.push_back(l.reshape(l.slice(matrices, {0, 0, j}, {target[0], spatial, 1}), {target[0], spatial}));
  SmallVector<AffineMap> maps(columns.size(), selectDims(l, rank, {0, rank - 1}));
  Type element = l.element(result), wide = computeType(element);
  l.set(result, mapIndexed(l, l.typeIn(result, identityOrder(rank)), columns, maps,
                           [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                             Scalars s(b, false);
                             Value sum = s.cast(args[spatial], wide);
                             for (int64_t j = 0; j < spatial; ++j) { // x, y, z: the last dim first
                               int64_t dim = spatial - j, extent = target[dim];
                               int64_t scale = op.getAlignCorners() ? std::max<int64_t>(extent - 1, 1) : extent,
                                       base = op.getAlignCorners() ? scale : extent - 1;
                               Value i = arith::IndexCastOp::create(b, b.getI64Type(), indices[dim]);
                               Value twice = s.sub(s.mul(i, s.like(i, 2)), s.like(i, base));
                               Value at = s.div(arith::SIToFPOp::create(b, wide, twice), s.constant(wide, scale));
                               sum = s.add(sum, s.mul(s.cast(args[j], wide), at));
                             }
                             return s.cast(sum, element);
                           }));
  return success();
}

// --- ai.onnx.ml ------------------------------------------------------------------------------------------------------

/// Numbers of an attribute, one a feature or one for all, as an operand of a map over `rank` dims.
struct Parameter {
  Value tensor;
  AffineMap map;
};
FailureOr<Parameter> parameter(Lowering &l, Operation *op, ArrayRef<float> values, int64_t features, int64_t rank,
                               StringRef name) {
  if (int64_t(values.size()) != features && values.size() != 1) {
    l.error(op) << "expected 1 or " << features << " numbers in '" << name << "', got " << values.size();
    return failure();
  }
  auto type = RankedTensorType::get({int64_t(values.size())}, l.b.getF32Type());
  Value tensor = l.makeTensor(onnx::makeFloats(type, values));
  if (values.size() == 1)
    return Parameter{l.reshape(tensor, {}), selectDims(l, rank, {})};
  return Parameter{tensor, selectDims(l, rank, {rank - 1})};
}

int64_t featureCount(Lowering &l, Value x) { return l.rank(x) ? l.shape(x).back() : 1; }

LogicalResult lowerScaler(Lowering &l, onnx::MlScalerOp op) {
  Value x = op.getX(), y = op.getY();
  int64_t rank = l.rank(x), features = featureCount(l, x);
  ArrayRef<float> none;
  SmallVector<float> zero{0}, one{1};
  ArrayRef<float> offsets = op.getOffset().value_or(none), scales = op.getScale().value_or(none);
  auto offset = parameter(l, op, offsets.empty() ? ArrayRef<float>(zero) : offsets, features, rank, "offset");
  auto scale = parameter(l, op, scales.empty() ? ArrayRef<float>(one) : scales, features, rank, "scale");
  if (failed(offset) || failed(scale))
    return failure();
  bool isUnsigned = l.isUnsigned(x);
  Value operands[] = {l.getIdentity(x), offset->tensor, scale->tensor};
  AffineMap maps[] = {l.b.getMultiDimIdentityMap(rank), offset->map, scale->map};
  Type element = l.element(y);
  l.set(y, l.map(l.typeIn(y, identityOrder(rank)), operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned);
    Value v = s.cast(args[0], b.getF32Type());
    return s.cast(s.mul(s.sub(v, args[1]), args[2]), element);
  }));
  return success();
}

LogicalResult lowerBinarizer(Lowering &l, onnx::MlBinarizerOp op) {
  bool isUnsigned = l.isUnsigned(op.getX());
  l.elementwise(op.getY(), op.getX(), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned);
    Value x = args[0];
    Type to = isa<FloatType>(x.getType()) ? computeType(x.getType()) : Type(b.getF64Type());
    Value above = s.less(s.constant(to, op.getThreshold()), s.cast(x, to));
    return s.select(above, s.like(x, 1), s.like(x, 0));
  });
  return success();
}

LogicalResult lowerNormalizer(Lowering &l, onnx::MlNormalizerOp op) {
  Value x = op.getX(), y = op.getY();
  StringRef norm = op.getNorm();
  if (norm != "MAX" && norm != "L1" && norm != "L2")
    return l.error(op) << "expected norm MAX, L1 or L2, got " << norm;
  int64_t rank = l.rank(x);
  if (rank < 1 || rank > 2)
    return l.error(op) << "expected an input of rank 1 or 2, got rank " << rank;
  Value input = l.getIdentity(x);
  bool isUnsigned = l.isUnsigned(x);
  Type wide = l.b.getF32Type(), element = l.element(y);
  Value size = l.reduce(input, {rank - 1}, l.zero(wide), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned);
    Value v = s.cast(args[0], wide);
    return norm == "MAX"  ? s.max(args[1], s.abs(v))
           : norm == "L1" ? s.add(args[1], s.abs(v))
                          : s.add(args[1], s.square(v));
  });
  Value operands[] = {input, size};
  AffineMap maps[] = {l.b.getMultiDimIdentityMap(rank), selectDims(l, rank, identityOrder(rank - 1))};
  l.set(y, l.map(l.typeIn(y, identityOrder(rank)), operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned);
    Value length = norm == "L2" ? s.sqrt(args[1]) : args[1];
    return s.cast(s.div(s.cast(args[0], wide), s.max(length, s.like(length, 1e-30))), element);
  }));
  return success();
}

LogicalResult lowerImputer(Lowering &l, onnx::MlImputerOp op) {
  Value x = op.getX(), y = op.getY();
  int64_t rank = l.rank(x), features = featureCount(l, x);
  Type element = l.element(x);
  bool isFloat = isa<FloatType>(element);
  SmallVector<float> values;
  if (auto given = op.getImputedValueFloats(); isFloat && given)
    values.assign(given->begin(), given->end());
  else if (auto given = op.getImputedValueInt64s(); !isFloat && given)
    for (int64_t v : *given) {
      if (int64_t(float(v)) != v)
        return l.unsupported(op, "imputed_value_int64s beyond 2^24");
      values.push_back(v);
    }
  auto filler = parameter(l, op, values, features, rank, isFloat ? "imputed_value_floats" : "imputed_value_int64s");
  if (failed(filler))
    return failure();
  Value operands[] = {l.getIdentity(x), filler->tensor};
  AffineMap maps[] = {l.b.getMultiDimIdentityMap(rank), filler->map};
  l.set(y, l.map(l.typeIn(y, identityOrder(rank)), operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    double replaced = isFloat ? double(op.getReplacedValueFloat()) : double(op.getReplacedValueInt64());
    Value missing = replaced != replaced ? s.isNaN(args[0]) : s.equal(args[0], s.like(args[0], replaced));
    return s.select(missing, s.cast(args[1], element), args[0]);
  }));
  return success();
}

/// Rows of all operands side by side, as floats.
LogicalResult lowerFeatureVectorizer(Lowering &l, onnx::MlFeatureVectorizerOp op) {
  Value y = op.getY();
  Type element = l.element(y);
  Dims target(l.shape(y));
  int64_t rows = target[0], at = 0;
  Value result = l.filled(l.typeIn(y, identityOrder(2)), l.zero(element));
  for (auto [i, x] : llvm::enumerate(op.getX())) {
    int64_t columns = product(l.shape(x)) / std::max<int64_t>(rows, 1);
    auto type = RankedTensorType::get({rows, columns}, element);
    bool isUnsigned = l.isUnsigned(x);
    if (columns * rows != product(l.shape(x)) || at + columns > target[1])
      return l.error(op) << "expected operands of " << rows << " rows and " << target[1] << " columns in all, got "
                         << x.getType();
    Value part =
        l.map(type, l.reshape(l.getIdentity(x), {rows, columns}), l.b.getMultiDimIdentityMap(2),
              [&](ImplicitLocOpBuilder &b, ValueRange args) { return Scalars(b, isUnsigned).cast(args[0], element); });
    auto index = [&](int64_t v) -> OpFoldResult { return l.b.getIndexAttr(v); };
    SmallVector<OpFoldResult> offsets{index(0), index(at)}, sizes{index(rows), index(columns)},
        strides{index(1), index(1)};
    result = tensor::InsertSliceOp::create(l.b, part, result, offsets, sizes, strides);
    at += columns;
  }
  l.set(y, result);
  return success();
}

/// The chosen positions of the last axis.
LogicalResult lowerArrayFeatureExtractor(Lowering &l, onnx::MlArrayFeatureExtractorOp op) {
  Value x = op.getX(), result = op.getZ();
  Dims shape(l.shape(x));
  if (shape.empty())
    return l.error(op) << "expected an input of rank 1 or more, got a scalar";
  int64_t features = shape.back(), rows = product(shape) / std::max<int64_t>(features, 1),
          count = product(l.shape(op.getY()));
  if (features == 0 || product(l.shape(result)) != rows * count)
    return l.error(op) << "expected a result of " << rows << " x " << count << " elements, got " << result.getType();
  Value input = l.reshape(l.getIdentity(x), {rows, features}), chosen = l.reshape(l.getIdentity(op.getY()), {count});
  Value taken = mapIndexed(l, RankedTensorType::get({rows, count}, l.element(result)), chosen, selectDims(l, 2, {1}),
                           [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) {
                             return extract(b, input, {indices[0], safeIndex(b, args[0], features)});
                           });
  l.set(result, l.reshape(taken, l.shape(result)));
  return success();
}

LogicalResult lowerLinearRegressor(Lowering &l, onnx::MlLinearRegressorOp op) {
  if (op.getPostTransform() != "NONE")
    return l.unsupported(op, "post_transform " + op.getPostTransform() + "; NONE works");
  Value x = op.getX(), y = op.getY();
  int64_t targets = op.getTargets(), features = featureCount(l, x),
          rows = product(l.shape(x)) / std::max<int64_t>(features, 1);
  ArrayRef<float> none, coefficients = op.getCoefficients().value_or(none),
                        intercepts = op.getIntercepts().value_or(none);
  if (targets < 1 || int64_t(coefficients.size()) != targets * features ||
      (!intercepts.empty() && int64_t(intercepts.size()) != targets) || product(l.shape(y)) != rows * targets)
    return l.error(op) << "expected " << features << " coefficients and at most one intercept for each of " << targets
                       << " targets, got " << coefficients.size() << " and " << intercepts.size();
  Type f32 = l.b.getF32Type();
  bool isUnsigned = l.isUnsigned(x);
  auto tensorOf = [&](ArrayRef<int64_t> shape, ArrayRef<float> values) {
    return l.makeTensor(onnx::makeFloats(RankedTensorType::get(shape, f32), values));
  };
  Value weights = tensorOf({targets, features}, coefficients);
  Value input = l.reshape(l.getIdentity(x), {rows, features});
  if (l.element(x) != f32)
    input = l.map(RankedTensorType::get({rows, features}, f32), input, l.b.getMultiDimIdentityMap(2),
                  [&](ImplicitLocOpBuilder &b, ValueRange args) { return Scalars(b, isUnsigned).cast(args[0], f32); });
  NamedAttribute transposed = l.b.getNamedAttr("transpose_rhs", l.b.getUnitAttr());
  Value score = nn::MatmulOp::create(l.b, ValueRange{input, weights}, l.empty({rows, targets}, f32),
                                     ArrayRef<NamedAttribute>(transposed))
                    ->getResult(0);
  if (!intercepts.empty()) {
    Value operands[] = {score, tensorOf({targets}, intercepts)};
    AffineMap maps[] = {l.b.getMultiDimIdentityMap(2), selectDims(l, 2, {1})};
    score = l.map(
        RankedTensorType::get({rows, targets}, f32), operands, maps,
        [&](ImplicitLocOpBuilder &b, ValueRange args) { return Value(arith::AddFOp::create(b, args[0], args[1])); });
  }
  l.set(y, l.reshape(score, l.shape(y)));
  return success();
}

} // namespace

void populateMiscLowerings(Registry &registry) {
  registry.add(lowerDet);
  registry.add(lowerAffineGrid);
  registry.add(lowerScaler);
  registry.add(lowerBinarizer);
  registry.add(lowerNormalizer);
  registry.add(lowerImputer);
  registry.add(lowerFeatureVectorizer);
  registry.add(lowerArrayFeatureExtractor);
  registry.add(lowerLinearRegressor);
  populateTreeLowerings(registry);
  populateDataDependentLowerings(registry);
}

} // namespace burin::lower
