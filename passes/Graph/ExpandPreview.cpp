// graph-expand-domains, ONNX's preview domains: FlexAttention with its subgraphs in place, and one step of the
// optimizers Adagrad, Adam and Momentum as the arithmetic their specification spells out.
#include "passes/Graph/ExpandDomains.h"

using namespace mlir;

namespace burin::graph {
namespace {

/// [B, H, S, E] -> [B, H * times, S, E], each head `times` times in a row. E must be static.
Value repeatHeads(Expansion &x, Value v, int64_t times) {
  if (times == 1)
    return v;
  Value wide = x.make("Expand", {x.unsqueeze(v, {2}), x.ints({1, 1, times, 1, 1})});
  return x.reshape(wide, {0, x.dim(v, 1) * times, -1, x.dim(v, 3)});
}

// Softmax(score_mod(Q K^T * scale)) -> prob_mod -> times V; the scale is spread over both factors, as ONNX's reference
// does, so that narrow floats round alike. What stands between the products is computed in `softmax_precision`.
void expandFlexAttention(Expansion &x) {
  Value q = x.in(0), k = x.in(1), v = x.in(2);
  int64_t heads = x.dim(q, 1), groups = x.dim(k, 1), size = x.dim(q, 3);
  if (!x.need(x.rank(q) == 4 && x.rank(k) == 4 && x.rank(v) == 4, "expected Q, K and V of rank 4, got other ranks"))
    return;
  if (!x.need(heads > 0 && groups > 0 && heads % groups == 0 && size > 0 && x.dim(v, 3) > 0,
              "expected static numbers of heads, of which K's divides Q's, and static head sizes, got other shapes"))
    return;
  Type element = x.element(q), wide = element.isF64() ? element : Type(x.b.getF32Type());
  if (int64_t number = x.integer("softmax_precision", 0))
    wide = elementOfNumber(x.b.getContext(), number);
  if (!x.need(wide && isa<FloatType>(wide), "expected softmax_precision of a float type, got another"))
    return;
  double scale = x.number("scale", 1.0 / std::sqrt(double(size)));
  if (!x.need(scale >= 0, "a negative scale; scale K before it"))
    return;
  double root = std::sqrt(scale);
  k = x.transpose(x.mul(repeatHeads(x, k, heads / groups), root), {0, 1, 3, 2});
  Value scores = x.cast(x.make("MatMul", {x.mul(q, root), k}), wide);
  auto mod = [&](StringRef name, Value value) {
    Value made = x.inlined(name, value);
    return made ? made : value;
  };
  Value probs = mod("prob_mod", x.make("Softmax", {mod("score_mod", scores)}, {x.at("axis", -1)}));
  x.answer({x.cast(x.make("MatMul", {probs, x.cast(repeatHeads(x, v, heads / groups), wide)}), element)});
}

/// The operands behind R and T come in groups of `count` tensors of a kind; the results likewise, the new state first.
/// `step` gets one tensor of each kind.
void expandOptimizer(Expansion &x, unsigned kinds,
                     llvm::function_ref<SmallVector<Value>(Value r, Value t, ArrayRef<Value>)> step) {
  unsigned given = x.op->getNumOperands();
  if (!x.need(given > 2 && (given - 2) % kinds == 0,
              "expected " + Twine(kinds) + " operands for each tensor, got " + Twine(int(given) - 2)))
    return;
  unsigned count = (given - 2) / kinds;
  SmallVector<Value> results;
  for (unsigned i = 0; i < count; ++i) {
    SmallVector<Value> operands;
    for (unsigned kind = 0; kind < kinds; ++kind)
      operands.push_back(x.in(2 + kind * count + i));
    Type element = x.element(operands[0]);
    if (!x.need(element && isa<FloatType>(element) && llvm::all_of(operands, [](Value v) { return bool(v); }),
                "expected float tensors, got others"))
      return;
    SmallVector<Value> made = step(x.cast(x.in(0), element), x.cast(x.in(1), element), operands);
    if (results.empty())
      results.resize(made.size() * count);
    for (auto [kind, value] : llvm::enumerate(made))
      results[kind * count + i] = value;
  }
  x.answer(results);
}

Value regularized(Expansion &x, Value tensor, Value gradient) {
  double coefficient = x.number("norm_coefficient", 0);
  return coefficient == 0 ? gradient : x.add(x.mul(tensor, coefficient), gradient);
}

void expandAdagrad(Expansion &x) {
  expandOptimizer(x, 3, [&](Value r, Value t, ArrayRef<Value> v) -> SmallVector<Value> {
    Value rate = x.div(r, x.add(x.mul(t, x.number("decay_factor", 0)), 1));
    Value g = regularized(x, v[0], v[1]), h = x.add(v[2], x.mul(g, g));
    Value scale = x.add(x.make("Sqrt", {h}), x.number("epsilon", 1e-6));
    return {x.sub(v[0], x.div(x.mul(rate, g), scale)), h};
  });
}

void expandAdam(Expansion &x) {
  double alpha = x.number("alpha", 0.9), beta = x.number("beta", 0.999), post = x.number("norm_coefficient_post", 0);
  expandOptimizer(x, 4, [&](Value r, Value t, ArrayRef<Value> operands) -> SmallVector<Value> {
    Value g = regularized(x, operands[0], operands[1]);
    Value v = x.add(x.mul(operands[2], alpha), x.mul(g, 1 - alpha));
    Value h = x.add(x.mul(operands[3], beta), x.mul(x.mul(g, g), 1 - beta));
    auto rest = [&](double base) { return x.sub(x.like(t, 1), x.make("Pow", {x.like(t, base), t})); };
    Value adjusted = x.div(x.mul(r, x.make("Sqrt", {rest(beta)})), rest(alpha));
    Value rate = x.make("Where", {x.make("Greater", {t, x.like(t, 0)}), adjusted, r});
    Value scale = x.add(x.make("Sqrt", {h}), x.number("epsilon", 1e-6));
    Value moved = x.sub(operands[0], x.mul(rate, x.div(v, scale)));
    return {post == 0 ? moved : x.mul(moved, 1 - post), v, h};
  });
}

void expandMomentum(Expansion &x) {
  StringRef mode = x.string("mode", "standard");
  if (!x.need(mode == "standard" || mode == "nesterov", "expected mode 'standard' or 'nesterov', got '" + mode + "'"))
    return;
  expandOptimizer(x, 3, [&](Value r, Value t, ArrayRef<Value> operands) -> SmallVector<Value> {
    double alpha = x.number("alpha", 0), beta = x.number("beta", 1);
    Value g = regularized(x, operands[0], operands[1]);
    Value factor = x.make("Where", {x.make("Greater", {t, x.like(t, 0)}), x.like(t, beta), x.like(t, 1)});
    Value v = x.add(x.mul(operands[2], alpha), x.mul(factor, g));
    Value way = mode == "nesterov" ? x.add(g, x.mul(v, alpha)) : v;
    return {x.sub(operands[0], x.mul(r, way)), v};
  });
}

} // namespace

void addPreviewExpanders(Expanders &table) {
  table["ai.onnx.preview:FlexAttention"] = expandFlexAttention;
  table["ai.onnx.preview.training:Adagrad"] = expandAdagrad;
  table["ai.onnx.preview.training:Adam"] = expandAdam;
  table["ai.onnx.preview.training:Momentum"] = expandMomentum;
}

} // namespace burin::graph
