// Structural re-parameterization: a sum of branches over one input, each of them linear (convolutions of any size,
// groups and padding, mean pools, the input itself, scales and shifts by channel around any of these), is one
// convolution. The sum is walked from its last operator; weights are added in double and rounded once.
#include "passes/Graph/Affine.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/Stencil.h"

#include <numeric>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_MERGEBRANCHES
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "MergeBranches";
// Bounds the walk, which is done again for each operator of a sum.
constexpr unsigned maxBranches = 64, maxParts = 96, maxChain = 4;

// scale * f(root): `chain` are the operators of f from the root on (none: the root itself).
struct Branch {
  Value root;
  SmallVector<Operation *, 2> chain;
  SmallVector<double> scale;
  Stencil shape;
};

struct Sum {
  SmallVector<Branch, 4> branches;
  SmallVector<double> shift;
  SmallVector<Operation *> parts;
  StringRef why;
};

bool isSumPart(Operation *op) { return isa<onnx::AddOp, onnx::SubOp, onnx::SumOp, onnx::MulOp, onnx::DivOp>(op); }

std::optional<Stencil> shapeOf(Operation *op, StringRef &why) {
  if (auto conv = dyn_cast<onnx::ConvOp>(op))
    return stencilShape(conv, why);
  return stencilShape(cast<onnx::AveragePoolOp>(op), why);
}

bool read(Operation *op, Stencil &stencil) {
  if (auto conv = dyn_cast<onnx::ConvOp>(op))
    return readWeights(conv, stencil);
  return readWeights(cast<onnx::AveragePoolOp>(op), stencil);
}

// Padding between two windows holds zero, not what the first makes of zero: only a first one that has no taps and no
// shift makes zero of it.
bool composes(Operation *first, const Stencil &a, const Stencil &b) {
  if (!b.isPadded())
    return true;
  auto conv = dyn_cast<onnx::ConvOp>(first);
  return conv && a.isPointwise() && !a.isPadded() && onnx::isNone(conv.getB());
}

// What is below `value` as branches times `scale`. False, with the reason, where something does not fit.
bool collect(Value value, bool isTop, ArrayRef<double> scale, int64_t count, Sum &sum) {
  RankedTensorType type = rankedType(value);
  Operation *op = value.getDefiningOp();
  if (!type || type.getRank() < 3 || type.getDimSize(1) != count) {
    sum.why = "a branch has other channels";
    return false;
  }
  if (sum.parts.size() > maxParts) {
    sum.why = "the sum is longer than it looks at";
    return false;
  }
  bool inside = isTop || (op && value.hasOneUse() && op->getBlock() == sum.parts.front()->getBlock());
  auto times = [&](ArrayRef<double> factor, double sign) {
    SmallVector<double> result;
    for (int64_t c = 0; c < int64_t(std::max(scale.size(), factor.size())); ++c)
      result.push_back(sign * at(scale, c) * at(factor, c));
    return result;
  };
  if (auto bn = inside ? dyn_cast_or_null<onnx::BatchNormalizationOp>(op) : onnx::BatchNormalizationOp()) {
    auto affine = affineOf(bn, count);
    if (!affine) {
      sum.why = "a normalization's parameters are not constants of inference";
      return false;
    }
    for (int64_t c = 0; c < count; ++c)
      sum.shift[c] += at(scale, c) * at(affine->shift, c);
    sum.parts.push_back(op);
    return collect(bn.getX(), false, times(affine->scale, 1), count, sum);
  }
  if (inside && op && isSumPart(op)) {
    if (!isTop)
      sum.parts.push_back(op);
    // A constant operand scales or shifts by channel.
    if (op->getNumOperands() == 2)
      for (unsigned i = 0; i < 2; ++i) {
        Value x = op->getOperand(i);
        if (!onnx::getConstantAttr(op->getOperand(1 - i)) || rankedType(x) == nullptr ||
            rankedType(x).getRank() != type.getRank())
          continue;
        auto affine = affineOf(op, x, count, type.getRank(), 1);
        if (!affine)
          continue;
        for (int64_t c = 0; c < count; ++c)
          sum.shift[c] += at(scale, c) * at(affine->shift, c);
        return collect(x, false, times(affine->scale, 1), count, sum);
      }
    if (isa<onnx::AddOp, onnx::SubOp, onnx::SumOp>(op)) {
      for (auto [i, operand] : llvm::enumerate(op->getOperands()))
        if (!collect(operand, false, times({1}, isa<onnx::SubOp>(op) && i == 1 ? -1 : 1), count, sum))
          return false;
      return true;
    }
    // A product of two values: a branch of its own root.
    if (isTop) {
      sum.why = "a product of two values is not linear";
      return false;
    }
    sum.parts.pop_back();
  }
  if (sum.branches.size() >= maxBranches) {
    sum.why = "there are more branches than it looks at";
    return false;
  }
  Branch branch{value, {}, SmallVector<double>(scale), Stencil()};
  while (branch.chain.size() < maxChain && inside && op && isa<onnx::ConvOp, onnx::AveragePoolOp>(op)) {
    auto shape = shapeOf(op, sum.why);
    if (!shape || (!branch.chain.empty() && !composes(op, *shape, branch.shape)))
      break;
    branch.shape = branch.chain.empty() ? *shape : composed(*shape, branch.shape);
    branch.chain.insert(branch.chain.begin(), op);
    branch.root = op->getOperand(0);
    op = branch.root.getDefiningOp();
    inside = op && branch.root.hasOneUse() && op->getBlock() == sum.parts.front()->getBlock();
  }
  if (branch.chain.empty()) {
    branch.shape = identityStencil(count, type.getRank() - 2);
    branch.shape.weights.clear();
  }
  sum.branches.push_back(std::move(branch));
  return true;
}

// The window that holds those of all branches, its groups as many as all can have. False where positions or sizes
// differ.
bool unite(Sum &sum, RankedTensorType in, RankedTensorType out, Stencil &window) {
  const Stencil &first = sum.branches.front().shape;
  window = first;
  for (Branch &branch : sum.branches) {
    if (branch.shape.inputs != first.inputs || branch.shape.outputs != first.outputs ||
        branch.shape.strides != first.strides) {
      sum.why = "the branches differ in strides or channels";
      return false;
    }
    window.group = std::gcd(window.group, branch.shape.group);
  }
  for (int64_t d = 0; d < first.rank(); ++d) {
    int64_t begin = 0, lattice = 0, reach = 0, end = 0;
    bool sameSize = true;
    auto surplus = [&](const Stencil &s) { return s.begins[d] + s.ends[d] - s.extent(d); };
    for (Branch &branch : sum.branches)
      begin = std::max(begin, branch.shape.begins[d]);
    for (auto [i, branch] : llvm::enumerate(sum.branches)) {
      const Stencil &s = branch.shape;
      lattice = std::gcd(lattice, s.kernel[d] > 1 ? s.dilations[d] : 0);
      lattice = std::gcd(lattice, begin - s.begins[d]);
      // The branch that reaches farthest decides how far the input is padded.
      if (i == 0 || s.extent(d) - s.begins[d] > reach) {
        reach = s.extent(d) - s.begins[d];
        end = s.ends[d];
      }
      sameSize &= surplus(s) == surplus(first);
    }
    int64_t size = in.getDimSize(2 + d), result = out.getDimSize(2 + d);
    if (!sameSize)
      for (Branch &branch : sum.branches)
        if (size == ShapedType::kDynamic || (size + surplus(branch.shape)) / first.strides[d] + 1 != result) {
          sum.why = "the branches differ in size";
          return false;
        }
    window.dilations[d] = lattice ? lattice : 1;
    window.kernel[d] = (begin + reach - 1) / window.dilations[d] + 1;
    window.begins[d] = begin;
    window.ends[d] = end;
  }
  return true;
}

// A sum of values, under a few scales and shifts at most: looked at before anything is computed, so that long chains of
// arithmetic cost nothing.
bool hasSum(Operation *op) {
  for (unsigned steps = 0; steps < 8 && op && isSumPart(op); ++steps) {
    Value x;
    unsigned values = 0;
    for (Value operand : op->getOperands())
      if (!onnx::getConstantAttr(operand)) {
        x = operand;
        ++values;
      }
    if (values != 1)
      return values > 1;
    op = x.getDefiningOp();
  }
  return false;
}

// Is `op` the last of a sum that can be one convolution? Fills `sum` and `window`; the weights are not read yet.
//  - at least two branches, one of them a convolution, all over one value; nothing else uses what lies between
//  - equal strides and channels, and output sizes that are equal for every input
//  - merged it takes no more multiplications than apart, the passes over memory that go away counted in
bool matches(Operation *op, Sum &sum, Stencil &window) {
  RankedTensorType type = op->getNumResults() == 1 ? rankedType(op->getResult(0)) : RankedTensorType();
  if (!type || type.getRank() < 3 || type.getDimSize(1) == ShapedType::kDynamic ||
      !isa<FloatType>(type.getElementType()) || !hasSum(op))
    return false;
  int64_t count = type.getDimSize(1);
  sum.parts.push_back(op);
  sum.shift.assign(count, 0);
  if (!collect(op->getResult(0), true, {1.0}, count, sum) || sum.branches.size() < 2)
    return false;
  Value root = sum.branches.front().root;
  bool anyConv = false;
  for (Branch &branch : sum.branches) {
    if (branch.root != root) {
      sum.why = "";
      return false;
    }
    anyConv |= llvm::any_of(branch.chain, [](Operation *part) { return isa<onnx::ConvOp>(part); });
  }
  if (!anyConv) {
    sum.why = "";
    return false;
  }
  if (!unite(sum, rankedType(root), type, window))
    return false;
  int64_t apart = 0;
  for (Branch &branch : sum.branches) {
    StringRef why;
    // An intermediate of a chain counts as if it were as large as the result.
    for (Operation *part : branch.chain) {
      auto shape = shapeOf(part, why);
      apart += shape->macs() + elementCost * shape->outputs;
    }
    apart += branch.chain.empty() ? elementCost * count : 0;
  }
  if (window.macs() + elementCost * count > apart) {
    sum.why = "one convolution would take more multiplications";
    return false;
  }
  return true;
}

// Add(Conv3x3(%x), Conv1x1(%x), Mul(%x, s), ...)   ->   Conv(%x, sum of the weights in their places, sum of the biases)
bool visit(Operation *op) {
  if (!isSumPart(op))
    return false;
  Sum sum;
  Stencil window;
  if (!matches(op, sum, window))
    return !sum.why.empty() && sum.branches.size() > 1 && missed(op, passName, "Branches", sum.why);
  // The sum may go on behind: its last operator takes all of it.
  if (op->getResult(0).hasOneUse() && isSumPart(*op->user_begin()) &&
      (*op->user_begin())->getBlock() == op->getBlock()) {
    Sum larger;
    Stencil ignored;
    if (matches(*op->user_begin(), larger, ignored))
      return false;
  }
  window.weights.assign(window.macs(), 0);
  window.bias.assign(sum.shift.begin(), sum.shift.end());
  int64_t taps = window.taps(), in = window.inputs / window.group;
  SmallVector<Operation *> parts(sum.parts);
  Type element = rankedType(op->getResult(0)).getElementType();
  for (Branch &branch : sum.branches) {
    Stencil stencil = identityStencil(window.outputs, window.rank());
    for (auto [i, part] : llvm::enumerate(branch.chain)) {
      StringRef why;
      Stencil next = *shapeOf(part, why);
      if (!read(part, next))
        return missed(op, passName, "Branches", "a weight cannot be read");
      stencil = i == 0 ? next : composed(stencil, next);
      parts.push_back(part);
    }
    stencil = regrouped(stencil, window.group);
    int64_t own = stencil.taps();
    SmallVector<int64_t> landing;
    for (int64_t t = 0; t < own; ++t) {
      int64_t place = 0, scale = 1, rest = t;
      for (int64_t d = window.rank() - 1; d >= 0; --d) {
        int64_t at = rest % stencil.kernel[d] * stencil.dilations[d] + window.begins[d] - stencil.begins[d];
        rest /= stencil.kernel[d];
        place += at / window.dilations[d] * scale;
        scale *= window.kernel[d];
      }
      landing.push_back(place);
    }
    for (int64_t o = 0; o < window.outputs; ++o) {
      double scale = at(branch.scale, o);
      window.bias[o] += scale * stencil.bias[o];
      for (int64_t i = 0; i < in; ++i)
        for (int64_t t = 0; t < own; ++t)
          window.weights[(o * in + i) * taps + landing[t]] += scale * stencil.weights[(o * in + i) * own + t];
    }
  }
  StringRef name = onnx::getNodeName(op);
  for (Branch &branch : sum.branches)
    if (!branch.chain.empty())
      name = onnx::getNodeName(branch.chain.back());
  OpBuilder builder(op);
  Value merged = buildConv(builder, fuse(parts), sum.branches.front().root, window, element, name);
  if (!merged)
    return missed(op, passName, "Branches", "the summed weights leave the range of their type");
  return replaceBy(op, merged, passName, "Branches");
}

class MergeBranches : public impl::MergeBranchesBase<MergeBranches> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
