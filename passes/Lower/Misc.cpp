// The Misc family: Det and AffineGrid, and of ai.onnx.ml the operators on numbers: ArrayFeatureExtractor, Binarizer,
// Scaler, Normalizer, Imputer, FeatureVectorizer, LinearRegressor and TreeEnsemble. Trees are constant tables that the
// body walks; strings and maps have no place in a compiled model.
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

#include "mlir/Dialect/SCF/IR/SCF.h"

#include <cstring>
#include <limits>

using namespace mlir;

namespace burin::lower {
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

/// Trees as one table: node i goes to `yes[i]` or `no[i]`; a leaf goes to itself.
struct Trees {
  enum Mode { leq, lt, gte, gt, eq, neq, member };
  SmallVector<int64_t> feature, mode, missing, yes, no, target;
  SmallVector<double> split, weight;
  int64_t depth = 0;
  int64_t add(int64_t f, int64_t m, double s, bool missingIsTrue) {
    feature.push_back(f), mode.push_back(m), split.push_back(s), missing.push_back(missingIsTrue);
    yes.push_back(0), no.push_back(0), target.push_back(-1), weight.push_back(0);
    return feature.size() - 1;
  }
};

/// Numbers of an attribute, f64 without rounding.
std::optional<SmallVector<double>> readDoubles(ElementsAttr attr) {
  if (attr.getElementType().isF64()) {
    auto raw = onnx::getRawElements(attr);
    if (!raw)
      return std::nullopt;
    SmallVector<double> values(attr.getNumElements());
    for (auto [i, value] : llvm::enumerate(values))
      std::memcpy(&value, raw->bytes.data() + (raw->splat ? 0 : i * 8), 8);
    return values;
  }
  auto floats = onnx::readFloats(attr);
  if (!floats)
    return std::nullopt;
  return SmallVector<double>(floats->begin(), floats->end());
}

FailureOr<Trees> readTrees(Lowering &l, onnx::MlTreeEnsembleOp op, int64_t features, int64_t targets) {
  auto wrong = [&](const Twine &what) {
    l.error(op) << "expected " << what;
    return failure();
  };
  auto splits = readDoubles(op.getNodesSplits()), weights = readDoubles(op.getLeafWeights());
  auto modes = onnx::readInts(op.getNodesModes());
  if (!splits || !weights || !modes)
    return wrong("numbers in nodes_splits, nodes_modes and leaf_weights, got something else");
  ArrayRef<int64_t> features_ = op.getNodesFeatureids(), yes = op.getNodesTruenodeids(), no = op.getNodesFalsenodeids(),
                    yesLeaf = op.getNodesTrueleafs(), noLeaf = op.getNodesFalseleafs(), leaves = op.getLeafTargetids();
  size_t nodes = splits->size();
  for (size_t size : {modes->size(), features_.size(), yes.size(), no.size(), yesLeaf.size(), noLeaf.size()})
    if (size != nodes)
      return wrong("attributes nodes_* of one length, got " + Twine(nodes) + " and " + Twine(size));
  if (leaves.size() != weights->size())
    return wrong("attributes leaf_* of one length, got " + Twine(leaves.size()) + " and " + Twine(weights->size()));
  SmallVector<double> members;
  if (op.getMembershipValues())
    if (auto given = readDoubles(*op.getMembershipValues()))
      members = std::move(*given);
  ArrayRef<int64_t> missing = op.getNodesMissingValueTracksTrue().value_or(ArrayRef<int64_t>());
  Trees trees;
  for (size_t i = 0; i < nodes; ++i) {
    if (features_[i] < 0 || features_[i] >= features || (*modes)[i] > Trees::member)
      return wrong("features below " + Twine(features) + " and modes below 7, got " + Twine(features_[i]) + " and " +
                   Twine((*modes)[i]));
    trees.add(features_[i], (*modes)[i], (*splits)[i], i < missing.size() && missing[i]);
  }
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (leaves[i] < 0 || leaves[i] >= targets)
      return wrong("leaf_targetids below " + Twine(targets) + ", got " + Twine(leaves[i]));
    int64_t leaf = trees.add(0, Trees::leq, 0, false);
    trees.yes[leaf] = trees.no[leaf] = leaf;
    trees.target[leaf] = leaves[i];
    trees.weight[leaf] = (*weights)[i];
  }
  auto child = [&](int64_t id, bool isLeaf) {
    int64_t limit = isLeaf ? leaves.size() : nodes;
    return id < 0 || id >= limit ? int64_t(-1) : isLeaf ? int64_t(nodes) + id : id;
  };
  // The sets of the membership nodes stand in the order their trees are built in: a node, its true side, its false one.
  size_t next = 0;
  std::vector<char> seen(nodes, 0);
  std::function<LogicalResult(int64_t, int64_t)> visit = [&](int64_t i, int64_t depth) -> LogicalResult {
    trees.depth = std::max(trees.depth, depth);
    if (i < 0 || (i < int64_t(nodes) && seen[i]++))
      return wrong("children that are nodes or leaves of one tree, got others");
    if (i >= int64_t(nodes))
      return success();
    int64_t toYes = child(yes[i], yesLeaf[i]), toNo = child(no[i], noLeaf[i]), longer = 0;
    trees.yes[i] = toYes;
    trees.no[i] = toNo;
    if (trees.mode[i] == Trees::member) { // one comparison a member
      int64_t at = i;
      bool first = true;
      for (; next < members.size() && members[next] == members[next]; ++next) {
        if (!first) {
          int64_t more = trees.add(trees.feature[i], Trees::eq, 0, false);
          trees.no[at] = more;
          at = more;
          ++longer;
        }
        first = false;
        trees.mode[at] = Trees::eq;
        trees.split[at] = members[next];
        trees.yes[at] = toYes;
        trees.no[at] = toNo;
      }
      ++next;
      if (first)
        return wrong("members of every membership node, got none");
    }
    if (failed(visit(toYes, depth + longer + 1)))
      return failure();
    return visit(toNo, depth + longer + 1);
  };
  for (int64_t root : op.getTreeRoots()) {
    if (root < 0 || root >= int64_t(nodes))
      return wrong("tree_roots below " + Twine(nodes) + ", got " + Twine(root));
    // A tree of one leaf is a node whose both sides are that leaf.
    if (failed(visit(root, 0)))
      return failure();
  }
  return trees;
}

LogicalResult lowerTreeEnsemble(Lowering &l, onnx::MlTreeEnsembleOp op) {
  Value x = op.getX(), y = op.getY();
  if (l.rank(x) != 2 || l.rank(y) != 2)
    return l.error(op) << "expected an input of rank 2, got " << x.getType();
  if (op.getPostTransform() != 0)
    return l.unsupported(op, "post_transform " + Twine(op.getPostTransform()) + "; 0 (none) works");
  int64_t features = l.shape(x)[1], targets = l.shape(y)[1], aggregate = op.getAggregateFunction();
  if (aggregate < 0 || aggregate > 3)
    return l.error(op) << "expected aggregate_function 0, 1, 2 or 3, got " << aggregate;
  if (features == 0 || l.element(x) != l.element(y) || !isa<FloatType>(l.element(x)))
    return l.unsupported(op, "inputs that are no floats or have no features");
  if (!l.element(x).isF32() && !l.element(x).isF64())
    return l.unsupported(op, "floats other than f32 and f64; a Cast before it works");
  FailureOr<Trees> read = readTrees(l, op, features, targets);
  if (failed(read))
    return failure();
  Trees &trees = *read;
  int64_t size = trees.feature.size(), count = op.getTreeRoots().size();
  Type element = l.element(y);
  auto floats = [&](ArrayRef<double> values) {
    auto type = RankedTensorType::get({int64_t(values.size())}, element);
    if (element.isF64())
      return l.makeTensor(type, ArrayRef<char>(reinterpret_cast<const char *>(values.data()), values.size() * 8));
    return l.makeTensor(onnx::makeFloats(type, SmallVector<float>(values.begin(), values.end())));
  };
  Value feature = positions(l, trees.feature), mode = positions(l, trees.mode), missing = positions(l, trees.missing),
        yes = positions(l, trees.yes), no = positions(l, trees.no), target = positions(l, trees.target),
        split = floats(trees.split), weight = floats(trees.weight), roots = positions(l, op.getTreeRoots());
  Value input = l.getIdentity(x);
  bool mixed = llvm::any_of(trees.mode, [&](int64_t m) { return m != trees.mode[0]; }),
       tracks = llvm::is_contained(trees.missing, 1);
  l.set(y,
        mapIndexed(
            l, l.typeIn(y, identityOrder(2)), {}, {},
            [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) -> Value {
              Scalars s(b, false);
              auto loop = [](ImplicitLocOpBuilder &b, int64_t end, Value init,
                             llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> body) {
                return scf::ForOp::create(b, constantIndex(b, 0), constantIndex(b, end), constantIndex(b, 1), init,
                                          [&](OpBuilder &builder, Location loc, Value i, ValueRange carried) {
                                            ImplicitLocOpBuilder inner(loc, builder);
                                            scf::YieldOp::create(inner, body(inner, i, carried[0]));
                                          })
                    .getResult(0);
              };
              double start =
                  aggregate == 2
                      ? (element.isF64() ? std::numeric_limits<double>::max() : std::numeric_limits<float>::max())
                  : aggregate == 3
                      ? (element.isF64() ? std::numeric_limits<double>::lowest() : std::numeric_limits<float>::lowest())
                      : 0;
              Value wanted = arith::IndexCastOp::create(b, b.getI32Type(), indices[1]);
              Value total =
                  loop(b, count, s.constant(element, start), [&](ImplicitLocOpBuilder &b, Value tree, Value total) {
                    Value root = safeIndex(b, extract(b, roots, tree), size);
                    Value leaf = loop(b, trees.depth, root, [&](ImplicitLocOpBuilder &b, Value, Value node) -> Value {
                      Scalars s(b, false);
                      Value v = extract(b, input, {indices[0], safeIndex(b, extract(b, feature, node), features)});
                      Value bound = extract(b, split, node), kind = mixed ? extract(b, mode, node) : Value(), holds;
                      const arith::CmpFPredicate predicates[] = {arith::CmpFPredicate::OLE, arith::CmpFPredicate::OLT,
                                                                 arith::CmpFPredicate::OGE, arith::CmpFPredicate::OGT,
                                                                 arith::CmpFPredicate::OEQ, arith::CmpFPredicate::UNE};
                      for (int64_t m = 0; m < 6; ++m) {
                        if (!llvm::is_contained(trees.mode, m))
                          continue;
                        Value here = arith::CmpFOp::create(b, predicates[m], v, bound);
                        holds = holds ? s.select(s.equal(kind, s.like(kind, m)), here, holds) : here;
                      }
                      if (tracks) {
                        Value flag = extract(b, missing, node);
                        Value follows = arith::AndIOp::create(b, s.isNaN(v), s.equal(flag, s.like(flag, 1)));
                        holds = arith::OrIOp::create(b, holds, follows);
                      }
                      return safeIndex(b, s.select(holds, extract(b, yes, node), extract(b, no, node)), size);
                    });
                    Scalars s(b, false);
                    Value w = extract(b, weight, leaf);
                    Value next = aggregate == 2   ? s.min(total, w)
                                 : aggregate == 3 ? s.max(total, w)
                                 : aggregate == 0 ? s.add(total, s.div(w, s.like(w, count)))
                                                  : s.add(total, w);
                    return s.select(s.equal(extract(b, target, leaf), wanted), next, total);
                  });
              return total;
            }));
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
  registry.add(lowerTreeEnsemble);
}

} // namespace burin::lower
