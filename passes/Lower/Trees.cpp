// Lowering of ai.onnx.ml's TreeEnsemble. Trees are constant tables that the body walks: as many steps as the deepest
// tree has, since a leaf leads to itself. A result's element visits the trees that can add to it and no others.
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "llvm/ADT/SetVector.h"

#include <cstring>
#include <limits>

using namespace mlir;

namespace burin::lower {

void populateTreeLowerings(Registry &registry);

namespace {

/// Trees as one table: node i goes to `yes[i]` or `no[i]`; a leaf goes to itself.
struct Trees {
  enum Mode { leq, lt, gte, gt, eq, neq, member };
  SmallVector<int64_t> feature, mode, missing, yes, no, target;
  SmallVector<double> split, weight;
  int64_t depth = 0;
  std::vector<SmallVector<int64_t>> rootsOf; // a target: the trees with a leaf of it
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
  llvm::SmallSetVector<int64_t, 4> reached;
  std::function<LogicalResult(int64_t, int64_t)> visit = [&](int64_t i, int64_t depth) -> LogicalResult {
    trees.depth = std::max(trees.depth, depth);
    if (i < 0 || (i < int64_t(nodes) && seen[i]++))
      return wrong("children that are nodes or leaves of one tree, got others");
    if (i >= int64_t(nodes)) {
      reached.insert(trees.target[i]);
      return success();
    }
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
  trees.rootsOf.resize(targets);
  for (int64_t root : op.getTreeRoots()) {
    if (root < 0 || root >= int64_t(nodes))
      return wrong("tree_roots below " + Twine(nodes) + ", got " + Twine(root));
    // A tree of one leaf is a node whose both sides are that leaf.
    reached.clear();
    if (failed(visit(root, 0)))
      return failure();
    for (int64_t target : reached)
      trees.rootsOf[target].push_back(root);
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
        split = floats(trees.split), weight = floats(trees.weight);
  SmallVector<int64_t> listed, starts(1, 0);
  for (const auto &own : trees.rootsOf) {
    llvm::append_range(listed, own);
    starts.push_back(listed.size());
  }
  if (listed.empty())
    listed.push_back(0);
  Value roots = positions(l, listed), first = positions(l, starts);
  Value input = l.getIdentity(x);
  bool mixed = llvm::any_of(trees.mode, [&](int64_t m) { return m != trees.mode[0]; }),
       tracks = llvm::is_contained(trees.missing, 1);
  l.set(y,
        mapIndexed(
            l, l.typeIn(y, identityOrder(2)), {}, {},
            [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) -> Value {
              Scalars s(b, false);
              auto loop = [](ImplicitLocOpBuilder &b, Value begin, Value end, Value init,
                             llvm::function_ref<Value(ImplicitLocOpBuilder &, Value, Value)> body) {
                return scf::ForOp::create(b, begin, end, constantIndex(b, 1), init,
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
              Value begin = safeIndex(b, extract(b, first, indices[1]), listed.size() + 1);
              Value after = arith::AddIOp::create(b, indices[1], constantIndex(b, 1));
              Value end = safeIndex(b, extract(b, first, after), listed.size() + 1);
              Value total = loop(
                  b, begin, end, s.constant(element, start), [&](ImplicitLocOpBuilder &b, Value tree, Value total) {
                    Value root = safeIndex(b, extract(b, roots, tree), size);
                    Value leaf = loop(
                        b, constantIndex(b, 0), constantIndex(b, trees.depth), root,
                        [&](ImplicitLocOpBuilder &b, Value, Value node) -> Value {
                          Scalars s(b, false);
                          Value v = extract(b, input, {indices[0], safeIndex(b, extract(b, feature, node), features)});
                          Value bound = extract(b, split, node), kind = mixed ? extract(b, mode, node) : Value(), holds;
                          const arith::CmpFPredicate predicates[] = {
                              arith::CmpFPredicate::OLE, arith::CmpFPredicate::OLT, arith::CmpFPredicate::OGE,
                              arith::CmpFPredicate::OGT, arith::CmpFPredicate::OEQ, arith::CmpFPredicate::UNE};
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

void populateTreeLowerings(Registry &registry) { registry.add(lowerTreeEnsemble); }

} // namespace burin::lower
