// graph-expand-domains, ai.onnx.ml's models on numbers: linear models, support vector machines, encoders, and tree
// ensembles in their older forms, which become the newest TreeEnsemble. Scores are standard arithmetic, classes a
// Gather of the labels. What the specification leaves open (two classes from one score) is ONNX Runtime's.
#include "passes/Graph/ExpandDomains.h"

#include "llvm/ADT/MapVector.h"

#include <numeric>

using namespace mlir;

namespace burin::graph {
namespace {

using Attributes = SmallVector<NamedAttribute>;

// --- Scores ----------------------------------------------------------------------------------------------------------

Value logistic(Expansion &x, Value v) { return x.make("Sigmoid", {v}); }

/// sqrt(2) times the inverse error function of 2 v - 1, by the approximation of S. Winitzki (2008).
Value probit(Expansion &x, Value v) {
  Value t = x.add(x.mul(v, 2), -1);
  Value log = x.make("Log", {x.mul(x.sub(x.like(t, 1), t), x.add(t, 1))});
  Value a = x.add(x.mul(log, 0.5), 2 / (3.14159 * 0.147)), b = x.mul(log, 1 / 0.147);
  Value root = x.make("Sqrt", {x.sub(x.make("Sqrt", {x.sub(x.mul(a, a), b)}), a)});
  Value sign = x.make("Where", {x.make("Less", {t, x.like(t, 0)}), x.like(t, -1), x.like(t, 1)});
  return x.mul(x.mul(sign, root), 1.41421356);
}

/// Softmax over what is not 0; zeros stay.
Value softmaxZero(Expansion &x, Value v) {
  Value top = x.make("ReduceMax", {v, x.ints({1})}, {x.at("keepdims", 1)});
  Value counts = x.make("Greater", {x.make("Abs", {v}), x.like(v, 1e-7)});
  Value e = x.make("Where", {counts, x.make("Exp", {x.sub(v, top)}), x.like(v, 0)});
  return x.div(e, x.make("ReduceSum", {e, x.ints({1})}, {x.at("keepdims", 1)}));
}

/// post_transform on scores [N, C].
Value transformed(Expansion &x, Value scores, StringRef transform) {
  if (transform.empty() || transform == "NONE")
    return scores;
  if (transform == "LOGISTIC")
    return logistic(x, scores);
  if (transform == "SOFTMAX")
    return x.make("Softmax", {scores}, {x.at("axis", 1)});
  if (transform == "SOFTMAX_ZERO")
    return softmaxZero(x, scores);
  if (transform == "PROBIT")
    return probit(x, scores);
  x.refuse("expected post_transform NONE, LOGISTIC, SOFTMAX, SOFTMAX_ZERO or PROBIT, got " + transform);
  return Value();
}

/// The labels of a classifier as a constant, whichever attribute holds them; null where there are none.
Value labels(Expansion &x, StringRef ints, StringRef strings) {
  if (auto given = x.integers(ints); !given.empty())
    return x.ints(given);
  auto texts = dyn_cast_or_null<ArrayAttr>(x.attribute(strings));
  if (!texts || texts.empty())
    return Value();
  SmallVector<StringRef> values;
  for (auto text : texts.getAsRange<StringAttr>())
    values.push_back(text.getValue());
  auto type = RankedTensorType::get({int64_t(values.size())}, onnx::StringType::get(x.b.getContext()));
  return x.constant(DenseStringElementsAttr::get(type, values));
}

/// The label of the greatest score.
Value greatest(Expansion &x, Value names, Value scores) {
  return x.gather(names, x.make("ArgMax", {scores}, {x.at("axis", 1), x.at("keepdims", 0)}), 0);
}

/// The second of two labels where the one score [N, 1] is above `bound`.
Value oneOfTwo(Expansion &x, Value names, Value score, double bound) {
  Value above = x.cast(x.make("Greater", {score, x.like(score, bound)}), x.b.getI64Type());
  return x.gather(names, x.reshape(above, {-1}), 0);
}

/// Both classes' scores from the one of the second: probabilities add up to 1, other scores to 0.
Value bothScores(Expansion &x, Value score, StringRef transform, bool probability) {
  if (transform == "PROBIT")
    return probit(x, score);
  if (transform == "LOGISTIC")
    return x.concat({logistic(x, x.make("Neg", {score})), logistic(x, score)}, 1);
  return x.concat({probability ? x.sub(x.like(score, 1), score) : x.make("Neg", {score}), score}, 1);
}

/// [N, F] in f32.
Value features(Expansion &x) {
  Value v = x.in(0);
  if (!x.need(x.rank(v) == 1 || x.rank(v) == 2, "expected an input of rank 1 or 2, got another"))
    return Value();
  v = x.cast(v, x.b.getF32Type());
  return x.rank(v) == 1 ? x.unsqueeze(v, {0}) : v;
}

Value floats(Expansion &x, ArrayRef<float> values, ArrayRef<int64_t> shape) {
  int64_t count = std::accumulate(shape.begin(), shape.end(), int64_t(1), std::multiplies<int64_t>());
  if (!x.need(int64_t(values.size()) == count,
              "expected " + Twine(count) + " numbers of a model, got " + Twine(values.size())))
    return Value();
  return x.floatsOf(x.b.getF32Type(), values, shape);
}

// --- Linear models ---------------------------------------------------------------------------------------------------

Value linearScores(Expansion &x, int64_t classes) {
  ArrayRef<float> coefficients = x.floats("coefficients"), intercepts = x.floats("intercepts");
  if (!x.need(classes > 0 && coefficients.size() % classes == 0, "expected coefficients for every class, got others"))
    return Value();
  Value weights = floats(x, coefficients, {classes, int64_t(coefficients.size()) / classes});
  return x.make(
      "Gemm",
      {features(x), weights, intercepts.empty() ? Value() : floats(x, intercepts, {int64_t(intercepts.size())})},
      {x.at("transB", 1)});
}

void expandLinearRegressor(Expansion &x) {
  StringRef transform = x.string("post_transform", "NONE");
  if (transform == "NONE")
    return x.leave();
  x.answer({transformed(x, linearScores(x, x.integer("targets", 1)), transform)});
}

void expandLinearClassifier(Expansion &x) {
  Value names = labels(x, "classlabels_ints", "classlabels_strings");
  StringRef transform = x.string("post_transform", "NONE");
  int64_t count = x.dim(names, 0), classes = std::max<int64_t>(x.floats("intercepts").size(), 1);
  if (!x.need(bool(names), "expected classlabels_ints or classlabels_strings, got none"))
    return;
  Value scores = linearScores(x, classes);
  if (classes > 1)
    x.answer({greatest(x, names, scores), transformed(x, scores, transform)});
  else if (count == 2)
    x.answer({oneOfTwo(x, names, scores, 0), bothScores(x, scores, transform, true)});
  else
    x.refuse("one score for " + Twine(count) + " labels; two labels work");
}

// --- Support vector machines -----------------------------------------------------------------------------------------

/// The kernel of every row with every vector: [N, V].
Value kernel(Expansion &x, ArrayRef<float> vectors, int64_t count) {
  Value v = features(x);
  if (!x.need(count > 0 && !vectors.empty() && vectors.size() % count == 0,
              "expected vectors of one length, got " + Twine(vectors.size()) + " numbers for " + Twine(count)))
    return Value();
  int64_t width = vectors.size() / count;
  Value table = floats(x, vectors, {count, width});
  ArrayRef<float> given = x.floats("kernel_params");
  double gamma = given.size() > 0 ? given[0] : 0, coef0 = given.size() > 1 ? given[1] : 0,
         degree = given.size() > 2 ? given[2] : 0;
  StringRef kind = x.string("kernel_type", "LINEAR");
  if (kind == "RBF") {
    Value apart = x.sub(x.unsqueeze(v, {1}), x.unsqueeze(table, {0}));
    Value sum = x.make("ReduceSum", {x.mul(apart, apart), x.ints({2})}, {x.at("keepdims", 0)});
    return x.make("Exp", {x.mul(sum, -gamma)});
  }
  Value product = x.make("Gemm", {v, table}, {x.at("transB", 1)});
  if (kind == "LINEAR")
    return product;
  Value affine = x.add(x.mul(product, gamma), coef0);
  if (kind == "POLY")
    return x.make("Pow", {affine, x.like(affine, degree)});
  if (kind == "SIGMOID")
    return x.make("Tanh", {affine});
  x.refuse("expected kernel_type LINEAR, POLY, RBF or SIGMOID, got " + kind);
  return Value();
}

void expandSvmRegressor(Expansion &x) {
  int64_t count = x.integer("n_supports", 0);
  ArrayRef<float> coefficients = x.floats("coefficients"), rho = x.floats("rho");
  Value scores =
      count > 0 ? x.make("MatMul", {kernel(x, x.floats("support_vectors"), count), floats(x, coefficients, {count, 1})})
                : kernel(x, coefficients, 1);
  if (!rho.empty())
    scores = x.add(scores, rho[0]);
  if (x.integer("one_class", 0))
    scores = x.make("Where", {x.make("Greater", {scores, x.like(scores, 0)}), x.like(scores, 1), x.like(scores, -1)});
  x.answer({transformed(x, scores, x.string("post_transform", "NONE"))});
}

/// Platt's probability of the first class of a pair; ONNX Runtime keeps it off 0 and 1.
Value platt(Expansion &x, Value score, float a, float b) {
  Value p = logistic(x, x.make("Neg", {x.add(x.mul(score, a), b)}));
  return x.make("Clip", {p, x.like(p, 1e-7), x.like(p, 1 - 1e-7)});
}

void expandSvmClassifier(Expansion &x) {
  Value names = labels(x, "classlabels_ints", "classlabels_strings");
  ArrayRef<int64_t> sizes = x.integers("vectors_per_class");
  ArrayRef<float> coefficients = x.floats("coefficients"), rho = x.floats("rho"), a = x.floats("prob_a"),
                  b = x.floats("prob_b");
  StringRef transform = x.string("post_transform", "NONE");
  int64_t classes = x.dim(names, 0), vectors = std::accumulate(sizes.begin(), sizes.end(), int64_t(0));
  if (!x.need(bool(names), "expected classlabels_ints or classlabels_strings, got none") ||
      !x.need(!rho.empty(), "expected rho, got none"))
    return;
  if (vectors == 0) { // a linear model, a row of coefficients a class
    Value scores = x.add(kernel(x, coefficients, classes), rho[0]);
    x.answer({greatest(x, names, scores), transformed(x, scores, transform)});
    return;
  }
  int64_t pairs = classes * (classes - 1) / 2;
  if (!x.need(int64_t(sizes.size()) == classes && classes > 1 &&
                  int64_t(coefficients.size()) == vectors * (classes - 1) && int64_t(rho.size()) >= pairs,
              "expected coefficients and rho for every pair of classes, got others"))
    return;
  // One column a pair (i, j): row j - 1 of the coefficients over the vectors of i, row i over those of j.
  SmallVector<float> table(vectors * pairs, 0);
  SmallVector<float> votesFirst(pairs * classes, 0), votesSecond(pairs * classes, 0);
  SmallVector<int64_t> starts(classes, 0);
  for (int64_t i = 1; i < classes; ++i)
    starts[i] = starts[i - 1] + sizes[i - 1];
  for (int64_t i = 0, pair = 0; i < classes; ++i)
    for (int64_t j = i + 1; j < classes; ++j, ++pair) {
      for (int64_t m = starts[i]; m < starts[i] + sizes[i]; ++m)
        table[m * pairs + pair] = coefficients[(j - 1) * vectors + m];
      for (int64_t m = starts[j]; m < starts[j] + sizes[j]; ++m)
        table[m * pairs + pair] = coefficients[i * vectors + m];
      votesFirst[pair * classes + i] = 1;
      votesSecond[pair * classes + j] = 1;
    }
  Value scores =
      x.add(x.make("MatMul", {kernel(x, x.floats("support_vectors"), vectors), floats(x, table, {vectors, pairs})}),
            floats(x, rho.take_front(pairs), {1, pairs}));
  if (!a.empty()) {
    if (!x.need(classes == 2 && a.size() == 1 && b.size() == 1,
                "probabilities of " + Twine(classes) + " classes; those of two work, and scores (probability=False)"))
      return;
    Value p = platt(x, scores, a[0], b[0]);
    Value both = x.concat({p, x.sub(x.like(p, 1), p)}, 1);
    x.answer({greatest(x, names, both), transformed(x, both, transform)});
    return;
  }
  Type f32 = x.b.getF32Type();
  Value won = x.cast(x.make("Greater", {scores, x.like(scores, 0)}), f32);
  Value votes = x.add(x.make("MatMul", {won, floats(x, votesFirst, {pairs, classes})}),
                      x.make("MatMul", {x.sub(x.like(won, 1), won), floats(x, votesSecond, {pairs, classes})}));
  // Two classes: the score of the pair is told as that of the second label, though a positive one votes for the first.
  x.answer({greatest(x, names, votes),
            classes == 2 ? bothScores(x, scores, transform, false) : transformed(x, scores, transform)});
}

// --- Encoders --------------------------------------------------------------------------------------------------------

void expandOneHotEncoder(Expansion &x) {
  ArrayRef<int64_t> categories = x.integers("cats_int64s");
  if (categories.empty())
    return x.leave();
  Value v = x.cast(x.in(0), x.b.getI64Type());
  if (!x.need(x.rank(v) >= 0, "expected an input of known rank, got another"))
    return;
  Value equal = x.make("Equal", {x.unsqueeze(v, {-1}), x.ints(categories)});
  x.answer({x.cast(equal, x.b.getF32Type())});
}

/// Keys or values of a LabelEncoder on numbers; null where they are strings or absent.
Value entries(Expansion &x, const Twine &kind) {
  std::string name = kind.str();
  if (auto tensor = dyn_cast_or_null<ElementsAttr>(x.attribute(name + "_tensor")))
    return isa<IntegerType, FloatType>(tensor.getElementType()) ? x.reshape(x.constant(tensor), {-1}) : Value();
  if (auto given = x.floats(name + "_floats"); !given.empty())
    return floats(x, given, {int64_t(given.size())});
  if (auto given = x.integers(name + "_int64s"); !given.empty())
    return x.ints(given);
  return Value();
}

void expandLabelEncoder(Expansion &x) {
  Value v = x.in(0), keys = entries(x, "keys"), values = entries(x, "values");
  if (!keys || !values)
    return x.leave();
  if (!x.need(x.element(v) == x.element(keys) && x.rank(v) >= 0, "expected an input of the keys' type, got another"))
    return;
  Type element = x.element(values);
  Value otherwise;
  if (auto given = dyn_cast_or_null<ElementsAttr>(x.attribute("default_tensor")))
    otherwise = x.reshape(x.constant(given), {});
  else
    otherwise = isa<FloatType>(element) ? x.scalar(element, x.number("default_float", -0.0))
                                        : x.scalar(element, x.integer("default_int64", -1));
  Value wide = x.unsqueeze(v, {-1}), equal = x.make("Equal", {wide, keys});
  if (isa<FloatType>(x.element(v))) // a NaN is a key like another
    equal = x.make("Or", {equal, x.make("And", {x.make("IsNaN", {wide}), x.make("IsNaN", {keys})})});
  Value hits = x.cast(equal, x.b.getI32Type());
  Value place = x.make("ArgMax", {hits}, {x.at("axis", -1), x.at("keepdims", 0)});
  Value any = x.cast(x.make("ReduceMax", {hits, x.ints({-1})}, {x.at("keepdims", 0)}), x.b.getI1Type());
  x.answer({x.make("Where", {any, x.gather(values, place, 0), otherwise})});
}

void expandZipMap(Expansion &x) {
  x.refuse("a list of maps, which no tensor holds; export with zipmap=False, or take the outputs before this node");
}

// --- Tree ensembles --------------------------------------------------------------------------------------------------

/// Trees as the older operators list them, made into TreeEnsemble's attributes. Each tree answers with the number of
/// its leaf, on a target of its own; `rows` holds what the leaves add to the scores.
struct Forest {
  SmallVector<int64_t> roots, feature, mode, yes, no, yesLeaf, noLeaf, missing, leafTree;
  SmallVector<double> split;
  std::vector<SmallVector<float>> rows; // a leaf: a weight a class
  bool tracks = false;
};

struct Weights {
  ArrayRef<int64_t> trees, nodes, targets;
  SmallVector<float> values;
};

SmallVector<double> numbers(Expansion &x, StringRef name) {
  SmallVector<double> values;
  if (auto tensor = dyn_cast_or_null<ElementsAttr>(x.attribute((name + "_as_tensor").str()))) {
    if (tensor.getElementType().isF64())
      for (const APFloat &v : tensor.getValues<APFloat>())
        values.push_back(v.convertToDouble());
    else if (auto read = onnx::readFloats(tensor))
      values.assign(read->begin(), read->end());
    return values;
  }
  ArrayRef<float> given = x.floats(name);
  values.assign(given.begin(), given.end());
  return values;
}

bool readForest(Expansion &x, StringRef prefix, int64_t classes, Forest &forest) {
  ArrayRef<int64_t> trees = x.integers("nodes_treeids"), nodes = x.integers("nodes_nodeids"),
                    featureOf = x.integers("nodes_featureids"), yes = x.integers("nodes_truenodeids"),
                    no = x.integers("nodes_falsenodeids"), missing = x.integers("nodes_missing_value_tracks_true");
  SmallVector<double> values = numbers(x, "nodes_values");
  auto modes = dyn_cast_or_null<ArrayAttr>(x.attribute("nodes_modes"));
  size_t count = trees.size();
  if (!x.need(count && modes && modes.size() == count && nodes.size() == count && featureOf.size() == count &&
                  yes.size() == count && no.size() == count && values.size() == count,
              "expected attributes nodes_* of one length, got others"))
    return false;
  SmallVector<double> weights = numbers(x, (prefix == "class" ? "class_weights" : "target_weights"));
  ArrayRef<int64_t> ids = x.integers((prefix + "_ids").str()), atTree = x.integers((prefix + "_treeids").str()),
                    atNode = x.integers((prefix + "_nodeids").str());
  if (!x.need(ids.size() == weights.size() && atTree.size() == weights.size() && atNode.size() == weights.size(),
              "expected attributes " + prefix + "_* of one length, got others"))
    return false;
  llvm::DenseMap<std::pair<int64_t, int64_t>, size_t> at;
  for (size_t i = 0; i < count; ++i)
    at[{trees[i], nodes[i]}] = i;
  auto modeOf = [&](size_t i) -> int64_t {
    StringRef names[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"};
    for (auto [number, name] : llvm::enumerate(names))
      if (cast<StringAttr>(modes[i]).getValue() == name)
        return number;
    return -1;
  };
  // First every node its place among the inner ones or the leaves.
  SmallVector<int64_t> place(count), order(count);
  std::vector<char> isLeaf(count, 0), isChild(count, 0);
  int64_t inner = 0, leaves = 0;
  for (size_t i = 0; i < count; ++i) {
    isLeaf[i] = cast<StringAttr>(modes[i]).getValue() == "LEAF";
    if (!x.need(isLeaf[i] || modeOf(i) >= 0, "expected nodes_modes of ONNX, got another"))
      return false;
    place[i] = isLeaf[i] ? leaves++ : inner++;
  }
  llvm::MapVector<int64_t, size_t> rootOf;
  for (size_t i = 0; i < count; ++i)
    if (!isLeaf[i])
      for (int64_t child : {yes[i], no[i]})
        if (auto found = at.find({trees[i], child}); found != at.end())
          isChild[found->second] = 1;
  for (size_t i = 0; i < count; ++i)
    if (!isChild[i])
      rootOf.insert({trees[i], i});
  llvm::DenseMap<int64_t, int64_t> numberOf;
  for (auto [number, root] : llvm::enumerate(rootOf))
    numberOf[root.first] = number;
  forest.rows.assign(leaves, SmallVector<float>(classes, 0));
  forest.leafTree.assign(leaves, 0);
  for (size_t i = 0; i < count; ++i) {
    if (isLeaf[i]) {
      forest.leafTree[place[i]] = numberOf.lookup(trees[i]);
      continue;
    }
    auto toYes = at.find({trees[i], yes[i]}), toNo = at.find({trees[i], no[i]});
    if (!x.need(toYes != at.end() && toNo != at.end(), "expected children that are nodes of the tree, got others"))
      return false;
    forest.feature.push_back(featureOf[i]);
    forest.mode.push_back(modeOf(i));
    forest.split.push_back(values[i]);
    forest.missing.push_back(i < missing.size() && missing[i]);
    forest.tracks |= forest.missing.back() != 0;
    forest.yes.push_back(place[toYes->second]);
    forest.no.push_back(place[toNo->second]);
    forest.yesLeaf.push_back(isLeaf[toYes->second]);
    forest.noLeaf.push_back(isLeaf[toNo->second]);
  }
  for (auto [tree, root] : rootOf) {
    if (!isLeaf[root]) {
      forest.roots.push_back(place[root]);
      continue;
    }
    // A tree of one leaf is a node whose sides are both that leaf.
    forest.roots.push_back(forest.feature.size());
    forest.feature.push_back(0), forest.mode.push_back(0), forest.split.push_back(0), forest.missing.push_back(0);
    forest.yes.push_back(place[root]), forest.no.push_back(place[root]);
    forest.yesLeaf.push_back(1), forest.noLeaf.push_back(1);
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    auto found = at.find({atTree[i], atNode[i]});
    if (!x.need(found != at.end() && ids[i] >= 0 && ids[i] < classes,
                "expected weights of nodes and classes that there are, got others"))
      return false;
    if (isLeaf[found->second])
      forest.rows[place[found->second]][ids[i]] += float(weights[i]);
  }
  return x.need(leaves < (1 << 24), "more than 2^24 leaves; fewer work");
}

/// Every tree's leaf for every row: [N, trees] of i64.
Value leavesOf(Expansion &x, const Forest &forest) {
  Value v = x.in(0);
  if (!x.need(x.rank(v) == 2, "expected an input of rank 2, got another"))
    return Value();
  if (!isa<FloatType>(x.element(v)))
    v = x.cast(v, x.b.getF32Type());
  Type element = x.element(v);
  int64_t leaves = forest.rows.size();
  auto tensorOf = [&](ArrayRef<double> values) -> ElementsAttr {
    auto type = RankedTensorType::get({int64_t(values.size())}, element);
    if (element.isF64())
      return DenseElementsAttr::get(type, values);
    return onnx::makeFloats(type, SmallVector<float>(values.begin(), values.end()));
  };
  SmallVector<double> ids(leaves);
  for (int64_t i = 0; i < leaves; ++i)
    ids[i] = i;
  auto named = [&](StringRef name, Attribute value) { return x.b.getNamedAttr(name, value); };
  Attributes attributes = {x.at("aggregate_function", 1),
                           x.at("n_targets", int64_t(forest.roots.size())),
                           x.at("post_transform", 0),
                           x.at("tree_roots", ArrayRef<int64_t>(forest.roots)),
                           x.at("nodes_featureids", ArrayRef<int64_t>(forest.feature)),
                           x.at("nodes_truenodeids", ArrayRef<int64_t>(forest.yes)),
                           x.at("nodes_falsenodeids", ArrayRef<int64_t>(forest.no)),
                           x.at("nodes_trueleafs", ArrayRef<int64_t>(forest.yesLeaf)),
                           x.at("nodes_falseleafs", ArrayRef<int64_t>(forest.noLeaf)),
                           x.at("leaf_targetids", ArrayRef<int64_t>(forest.leafTree)),
                           named("nodes_modes", onnx::makeInts(RankedTensorType::get({int64_t(forest.mode.size())},
                                                                                     x.b.getIntegerType(8, false)),
                                                               forest.mode)),
                           named("nodes_splits", tensorOf(forest.split)),
                           named("leaf_weights", tensorOf(ids))};
  if (forest.tracks)
    attributes.push_back(x.at("nodes_missing_value_tracks_true", ArrayRef<int64_t>(forest.missing)));
  return x.cast(x.make("ml.TreeEnsemble", {v}, attributes), x.b.getI64Type());
}

/// What the leaves of a row's trees add up to: [N, classes].
Value gathered(Expansion &x, const Forest &forest, int64_t classes, StringRef aggregate) {
  SmallVector<float> table;
  for (const auto &row : forest.rows)
    llvm::append_range(table, row);
  Value rows = x.gather(floats(x, table, {int64_t(forest.rows.size()), classes}), leavesOf(x, forest), 0);
  StringRef reduce = aggregate == "MIN"       ? "ReduceMin"
                     : aggregate == "MAX"     ? "ReduceMax"
                     : aggregate == "AVERAGE" ? "ReduceMean"
                                              : "ReduceSum";
  return x.make(reduce, {rows, x.ints({1})}, {x.at("keepdims", 0)});
}

Value based(Expansion &x, Value scores, ArrayRef<double> base) {
  if (base.empty())
    return scores;
  return x.add(scores, floats(x, SmallVector<float>(base.begin(), base.end()), {1, int64_t(base.size())}));
}

void expandTreeEnsembleRegressor(Expansion &x) {
  int64_t targets = x.integer("n_targets", 1);
  Forest forest;
  if (!readForest(x, "target", targets, forest))
    return;
  Value scores =
      based(x, gathered(x, forest, targets, x.string("aggregate_function", "SUM")), numbers(x, "base_values"));
  x.answer({transformed(x, scores, x.string("post_transform", "NONE"))});
}

void expandTreeEnsembleClassifier(Expansion &x) {
  Value names = labels(x, "classlabels_int64s", "classlabels_strings");
  StringRef transform = x.string("post_transform", "NONE");
  int64_t classes = x.dim(names, 0);
  if (!x.need(bool(names), "expected classlabels_int64s or classlabels_strings, got none"))
    return;
  Forest forest;
  if (!readForest(x, "class", classes, forest))
    return;
  SmallVector<double> base = numbers(x, "base_values"), weights = numbers(x, "class_weights");
  ArrayRef<int64_t> ids = x.integers("class_ids");
  Value scores = gathered(x, forest, classes, "SUM");
  if (classes == 2 && !ids.empty() && llvm::all_equal(ids)) {
    // One score for two classes: the other's follows from it, but where it goes by the second number it does not.
    bool positive = llvm::all_of(weights, [](double w) { return w >= 0; }), first = ids[0] == 0;
    Value score = x.slice(scores, 1, ids[0], ids[0] + 1), told;
    if (!first) {
      scores = based(x, scores, base.size() == 2 ? base : SmallVector<double>());
      score = x.slice(scores, 1, 1, 2);
      told = transformed(x, scores, transform);
    } else if (base.size() == 2) {
      score = x.add(score, base[1]);
      told = transformed(x, x.concat({x.make("Neg", {score}), score}, 1), transform);
    } else {
      score = base.empty() ? score : x.add(score, base[0]);
      told = bothScores(x, score, transform, positive);
    }
    x.answer({oneOfTwo(x, names, score, positive ? 0.5 : 0), told});
    return;
  }
  scores = based(x, scores, base);
  x.answer({greatest(x, names, scores), transformed(x, scores, transform)});
}

void expandTreeEnsemble(Expansion &x) {
  int64_t number = x.integer("post_transform", 0);
  StringRef names[] = {"NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"};
  if (number == 0)
    return x.leave();
  if (!x.need(number > 0 && number < 5, "expected post_transform from 0 to 4, got " + Twine(number)))
    return;
  Attributes attributes;
  for (NamedAttribute attr : x.op->getAttrs())
    attributes.push_back(attr.getName() == "post_transform" ? x.at("post_transform", 0) : attr);
  x.answer({transformed(x, x.make("ml.TreeEnsemble", {x.in(0)}, attributes), names[number])});
}

} // namespace

void addClassicalExpanders(Expanders &table) {
  auto add = [&](StringRef name, Expander expand) { table[("ai.onnx.ml:" + name).str()] = expand; };
  add("LabelEncoder", expandLabelEncoder);
  add("LinearClassifier", expandLinearClassifier);
  add("LinearRegressor", expandLinearRegressor);
  add("OneHotEncoder", expandOneHotEncoder);
  add("SVMClassifier", expandSvmClassifier);
  add("SVMRegressor", expandSvmRegressor);
  add("TreeEnsemble", expandTreeEnsemble);
  add("TreeEnsembleClassifier", expandTreeEnsembleClassifier);
  add("TreeEnsembleRegressor", expandTreeEnsembleRegressor);
  add("ZipMap", expandZipMap);
}

} // namespace burin::graph
