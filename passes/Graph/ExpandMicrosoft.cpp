// graph-expand-domains, com.microsoft's layers in floats: fused products, activations with a bias, normalizations with
// a skip connection, and older or renamed forms of standard operators. Meanings: ONNX Runtime's contrib operators.
#include "passes/Graph/ExpandDomains.h"

using namespace mlir;

namespace burin::graph {
namespace {

using Attributes = SmallVector<NamedAttribute>;

Value gelu(Expansion &x, Value v, bool tanh) {
  return x.make("Gelu", {v}, {x.at("approximate", StringRef(tanh ? "tanh" : "none"))});
}

/// An activation by name, with ONNX's defaults where no parameter is given.
Value activated(Expansion &x, Value v, StringRef name, ArrayRef<float> parameters) {
  auto parameter = [&](size_t i, double otherwise) { return i < parameters.size() ? parameters[i] : otherwise; };
  if (name.empty())
    return v;
  if (name == "LeakyRelu" || name == "Elu" || name == "ThresholdedRelu")
    return x.make(name, {v}, {x.at("alpha", double(parameter(0, name == "LeakyRelu" ? 0.01 : 1)))});
  if (name == "HardSigmoid")
    return x.make(name, {v}, {x.at("alpha", double(parameter(0, 0.2))), x.at("beta", double(parameter(1, 0.5)))});
  if (name == "Clip" && parameters.size() == 2)
    return x.make(name, {v, x.like(v, parameters[0]), x.like(v, parameters[1])});
  for (StringRef plain : {"Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "Gelu"})
    if (name == plain)
      return x.make(name, {v});
  x.refuse("expected an activation among Relu, LeakyRelu, Elu, Clip, HardSigmoid, HardSwish, Sigmoid, Softplus, "
           "Softsign, Tanh, got '" +
           name + "'");
  return Value();
}

/// A MatMul operand with its first dim brought behind the other batch dims (`batch`), then the last two swapped.
Value oriented(Expansion &x, Value v, bool batch, bool swap) {
  int64_t rank = x.rank(v);
  if (!batch && !swap)
    return v;
  if (!x.need(rank >= 0, "expected operands of known rank, got another"))
    return Value();
  if (rank < 2)
    return v;
  SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  if (batch)
    std::rotate(order.begin(), order.begin() + 1, order.end() - 1);
  if (swap)
    std::swap(order[rank - 2], order[rank - 1]);
  return x.transpose(v, order);
}

void expandFusedMatMul(Expansion &x) {
  Value a = oriented(x, x.in(0), x.integer("transBatchA", 0), x.integer("transA", 0));
  Value b = oriented(x, x.in(1), x.integer("transBatchB", 0), x.integer("transB", 0));
  Value y = x.make("MatMul", {a, b});
  double alpha = x.number("alpha", 1);
  x.answer({alpha == 1 ? y : x.mul(y, alpha)});
}

void expandFusedGemm(Expansion &x) {
  Attributes attributes;
  x.copy(attributes, {"alpha", "beta", "transA", "transB"});
  SmallVector<float> parameters;
  for (StringRef name : {"activation_alpha", "activation_beta", "activation_gamma"})
    if (x.has(name))
      parameters.push_back(x.number(name, 0));
  x.answer({activated(x, x.make("Gemm", {x.in(0), x.in(1), x.in(2)}, attributes), x.string("activation"), parameters)});
}

void expandFusedConv(Expansion &x) {
  Attributes attributes;
  x.copy(attributes, {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"});
  Value y = x.make("Conv", {x.in(0), x.in(1), x.in(2)}, attributes);
  if (Value z = x.in(3))
    y = x.add(y, z);
  x.answer({activated(x, y, x.string("activation"), x.floats("activation_params"))});
}

void expandConvTransposeWithDynamicPads(Expansion &x) {
  Attributes attributes;
  x.copy(attributes, {"auto_pad", "dilations", "group", "kernel_shape", "output_padding", "strides"});
  if (Value pads = x.in(2)) {
    auto given = onnx::getConstantInts(pads);
    if (!x.need(given.has_value(), "pads that are not constant; constant ones work"))
      return;
    attributes.push_back(x.at("pads", ArrayRef<int64_t>(*given)));
  }
  x.answer({x.make("ConvTranspose", {x.in(0), x.in(1), x.in(3)}, attributes)});
}

void expandBiasGelu(Expansion &x) { x.answer({gelu(x, x.add(x.in(0), x.in(1)), false)}); }

void expandGelu(Expansion &x) { x.answer({gelu(x, x.in(0), false)}); }

void expandFastGelu(Expansion &x) {
  Value v = x.in(0);
  if (Value bias = x.in(1))
    v = x.add(v, bias);
  x.answer({gelu(x, v, true)});
}

void expandGemmFastGelu(Expansion &x) {
  Value v = x.make("MatMul", {x.in(0), x.in(1)});
  if (Value bias = x.in(2))
    v = x.add(v, bias);
  x.answer({gelu(x, v, true)});
}

void expandQuickGelu(Expansion &x) {
  Value v = x.in(0);
  x.answer({x.mul(v, x.make("Sigmoid", {x.mul(v, x.number("alpha", 1.702))}))});
}

void expandBiasAdd(Expansion &x) { x.answer({x.add(x.add(x.in(0), x.in(1)), x.in(2))}); }

void expandBiasSplitGelu(Expansion &x) {
  Value sum = x.add(x.in(0), x.in(1));
  auto halves = x.makeAll("Split", {sum}, {x.at("axis", -1), x.at("num_outputs", 2)}, 2);
  x.answer({x.mul(halves[0], gelu(x, halves[1], false))});
}

/// The normalization that both skip forms end in. Results: y, mean, inverse deviation, the sum before it.
void normalizeSum(Expansion &x, Value sum, Value gamma, Value beta, double epsilon, bool simplified) {
  Attributes attributes = {x.at("axis", -1), x.at("epsilon", epsilon)};
  if (simplified) {
    x.answer({x.make("RMSNormalization", {sum, gamma}, attributes), Value(), Value(), sum});
    return;
  }
  if (!x.wants(1) && !x.wants(2)) {
    x.answer({x.make("LayerNormalization", {sum, gamma, beta}, attributes), Value(), Value(), sum});
    return;
  }
  auto made = x.makeAll("LayerNormalization", {sum, gamma, beta}, attributes, 3);
  x.answer({made[0], made[1], made[2], sum});
}

void expandSkipLayerNormalization(Expansion &x) {
  Value sum = x.add(x.in(0), x.in(1));
  if (Value bias = x.in(4))
    sum = x.add(sum, bias);
  normalizeSum(x, sum, x.in(2), x.in(3), x.number("epsilon", 1e-12), false);
}

void expandSkipSimplifiedLayerNormalization(Expansion &x) {
  Value sum = x.add(x.in(0), x.in(1));
  if (Value bias = x.in(3))
    sum = x.add(sum, bias);
  normalizeSum(x, sum, x.in(2), Value(), x.number("epsilon", 1e-5), true);
}

void expandSimplifiedLayerNormalization(Expansion &x) {
  Attributes attributes;
  x.copy(attributes, {"axis", "epsilon", "stash_type"});
  Value v = x.in(0);
  Value y = x.make("RMSNormalization", {v, x.in(1)}, attributes), deviation;
  if (x.wants(1)) {
    int64_t rank = x.rank(v), axis = x.integer("axis", -1);
    if (!x.need(rank > 0, "expected an operand of known rank, got another"))
      return;
    SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(axis < 0 ? axis + rank : axis, rank));
    Value wide = x.element(v).isF64() ? v : x.cast(v, x.b.getF32Type());
    Value mean = x.make("ReduceMean", {x.mul(wide, wide), x.ints(axes)}, {x.at("keepdims", 1)});
    deviation = x.make("Reciprocal", {x.make("Sqrt", {x.add(mean, x.number("epsilon", 1e-5))})});
  }
  x.answer({y, deviation});
}

void expandEmbedLayerNormalization(Expansion &x) {
  Value ids = x.in(0), segments = x.in(1), mask = x.in(7), places = x.in(8);
  Value sum = x.gather(x.in(2), ids, 0);
  Value length = x.sizes(ids, 1, 2);
  Value place = places ? x.gather(x.in(3), places, 0) : x.make("Slice", {x.in(3), x.ints({0}), length, x.ints({0})});
  sum = x.add(sum, place);
  if (segments) {
    if (!x.need(bool(x.in(4)), "expected a segment_embedding with segment_ids, got none"))
      return;
    sum = x.add(sum, x.gather(x.in(4), segments, 0));
  }
  Value y = x.make("LayerNormalization", {sum, x.in(5), x.in(6)},
                   {x.at("axis", -1), x.at("epsilon", x.number("epsilon", 1e-12))});
  Value index;
  if (x.wants(1)) {
    Type i32 = x.b.getI32Type();
    Value ones = mask ? x.cast(x.make("Equal", {mask, x.like(mask, 1)}), i32) : x.cast(x.mul(ids, x.like(ids, 0)), i32);
    index = x.make("ReduceSum", {ones, x.ints({1})}, {x.at("keepdims", 0)});
  }
  x.answer({y, index, sum});
}

/// Channels-last operands around an operator that takes them behind the batch.
Value channelsFirst(Expansion &x, Value v) {
  int64_t rank = x.rank(v);
  if (!x.need(rank >= 3, "expected images of known rank, got another"))
    return Value();
  SmallVector<int64_t> order = {0, rank - 1};
  for (int64_t i = 1; i + 1 < rank; ++i)
    order.push_back(i);
  return x.transpose(v, order);
}

Value channelsLast(Expansion &x, Value v) {
  int64_t rank = x.rank(v);
  if (!x.need(rank >= 3, "expected images of known rank, got another"))
    return Value();
  SmallVector<int64_t> order = {0};
  for (int64_t i = 2; i < rank; ++i)
    order.push_back(i);
  order.push_back(1);
  return x.transpose(v, order);
}

void expandNhwcMaxPool(Expansion &x) {
  Attributes attributes;
  x.copy(attributes, {"auto_pad", "ceil_mode", "dilations", "kernel_shape", "pads", "strides"});
  x.answer({channelsLast(x, x.make("MaxPool", {channelsFirst(x, x.in(0))}, attributes))});
}

void expandNhwcConv(Expansion &x) {
  Attributes attributes;
  x.copy(attributes, {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"});
  x.answer({channelsLast(x, x.make("Conv", {channelsFirst(x, x.in(0)), x.in(1), x.in(2)}, attributes))});
}

void expandGroupNorm(Expansion &x) {
  bool last = x.integer("channels_last", 1);
  Value v = last ? channelsFirst(x, x.in(0)) : x.in(0);
  Type element = x.element(v);
  Value y = x.make("GroupNormalization", {v, x.cast(x.in(1), element), x.cast(x.in(2), element)},
                   {x.at("num_groups", x.integer("groups", 1)), x.at("epsilon", x.number("epsilon", 1e-5))});
  if (x.integer("activation", 0) == 1)
    y = x.mul(y, x.make("Sigmoid", {y}));
  x.answer({last ? channelsLast(x, y) : y});
}

void expandTrilu(Expansion &x) {
  x.answer({x.make("Trilu", {x.in(0), x.in(1)}, {x.at("upper", x.integer("upper", 1))})});
}

void expandExpandDims(Expansion &x) {
  auto axis = onnx::getConstantInt(x.in(1));
  if (x.need(axis.has_value(), "an axis that is not constant; a constant one works"))
    x.answer({x.unsqueeze(x.in(0), {*axis})});
}

void expandPad(Expansion &x) {
  Attributes attributes;
  x.copy(attributes, {"mode"});
  Value pads = x.in(1);
  if (x.rank(pads) == 2)
    pads = x.reshape(pads, {-1});
  x.answer({x.make("Pad", {x.in(0), pads, x.in(2)}, attributes)});
}

void expandGatherND(Expansion &x) { x.answer({x.make("GatherND", {x.in(0), x.in(1)})}); }

void expandRange(Expansion &x) {
  Value start = x.in(0), step = x.in(2) ? x.in(2) : x.like(start, 1);
  x.answer({x.make("Range", {start, x.in(1), step})});
}

void expandCDist(Expansion &x) {
  StringRef metric = x.string("metric", "sqeuclidean");
  if (!x.need(metric == "sqeuclidean" || metric == "euclidean",
              "expected metric 'sqeuclidean' or 'euclidean', got '" + metric + "'"))
    return;
  Value apart = x.sub(x.unsqueeze(x.in(0), {1}), x.unsqueeze(x.in(1), {0}));
  Value sum = x.make("ReduceSum", {x.mul(apart, apart), x.ints({2})}, {x.at("keepdims", 0)});
  x.answer({metric == "euclidean" ? x.make("Sqrt", {sum}) : sum});
}

void expandGridSample(Expansion &x) {
  StringRef mode = x.string("mode", "bilinear");
  mode = mode == "bilinear" ? "linear" : mode == "bicubic" ? "cubic" : mode;
  Attributes attributes = {x.at("mode", mode)};
  x.copy(attributes, {"align_corners", "padding_mode"});
  x.answer({x.make("GridSample", {x.in(0), x.in(1)}, attributes)});
}

} // namespace

void addMicrosoftExpanders(Expanders &table) {
  auto add = [&](StringRef name, Expander expand) { table[("com.microsoft:" + name).str()] = expand; };
  add("BiasAdd", expandBiasAdd);
  add("BiasGelu", expandBiasGelu);
  add("BiasSplitGelu", expandBiasSplitGelu);
  add("CDist", expandCDist);
  add("ConvTransposeWithDynamicPads", expandConvTransposeWithDynamicPads);
  add("EmbedLayerNormalization", expandEmbedLayerNormalization);
  add("ExpandDims", expandExpandDims);
  add("FastGelu", expandFastGelu);
  add("FusedConv", expandFusedConv);
  add("FusedGemm", expandFusedGemm);
  add("FusedMatMul", expandFusedMatMul);
  add("GatherND", expandGatherND);
  add("Gelu", expandGelu);
  add("GemmFastGelu", expandGemmFastGelu);
  add("GridSample", expandGridSample);
  add("GroupNorm", expandGroupNorm);
  add("NhwcConv", expandNhwcConv);
  add("NhwcMaxPool", expandNhwcMaxPool);
  add("Pad", expandPad);
  add("QuickGelu", expandQuickGelu);
  add("Range", expandRange);
  add("SimplifiedLayerNormalization", expandSimplifiedLayerNormalization);
  add("SkipLayerNormalization", expandSkipLayerNormalization);
  add("SkipSimplifiedLayerNormalization", expandSkipSimplifiedLayerNormalization);
  add("TransposeMatMul", expandFusedMatMul);
  add("Trilu", expandTrilu);
}

} // namespace burin::graph
