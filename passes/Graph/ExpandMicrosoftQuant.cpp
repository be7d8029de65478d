// graph-expand-domains, com.microsoft's quantized operators. Products of integers become MatMulInteger and QLinearConv;
// what is elementwise, a pool or a softmax becomes DequantizeLinear, the float operator, QuantizeLinear, which the
// lower stage fuses. Block-quantized weights keep their bits: only their type and shape are written anew.
#include "passes/Graph/ExpandDomains.h"

using namespace mlir;

namespace burin::graph {
namespace {

using Attributes = SmallVector<NamedAttribute>;

/// One number in the form of a scalar; a vector stays.
Value scalarized(Expansion &x, Value v) { return v && x.rank(v) == 1 && x.dim(v, 0) == 1 ? x.reshape(v, {}) : v; }

Value dequantized(Expansion &x, Value v, Value scale, Value zero, int64_t axis = 1) {
  return x.make("DequantizeLinear", {v, scalarized(x, scale), scalarized(x, zero)}, {x.at("axis", axis)});
}

Value quantized(Expansion &x, Value v, Value scale, Value zero, Type element, int64_t axis = 1) {
  Attributes attributes = {x.at("axis", axis)};
  if (!zero && element)
    attributes.push_back(x.at("output_dtype", elementNumber(element)));
  return x.make("QuantizeLinear", {v, scalarized(x, scale), scalarized(x, zero)}, attributes);
}

Value channelsMoved(Expansion &x, Value v, bool last) {
  int64_t rank = x.rank(v);
  if (!x.need(rank >= 3, "expected images of known rank, got another"))
    return Value();
  SmallVector<int64_t> order = {0};
  if (!last)
    order.push_back(rank - 1);
  for (int64_t i = last ? 2 : 1; i < rank - !last; ++i)
    order.push_back(i);
  if (last)
    order.push_back(1);
  return x.transpose(v, order);
}

// --- Elementwise, pools, softmax -------------------------------------------------------------------------------------

void expandBinary(Expansion &x, StringRef type) {
  Value a = dequantized(x, x.in(0), x.in(1), x.in(2)), b = dequantized(x, x.in(3), x.in(4), x.in(5));
  x.answer({quantized(x, x.make(type, {a, b}), x.in(6), x.in(7), x.element(x.in(0)))});
}
void expandQLinearAdd(Expansion &x) { expandBinary(x, "Add"); }
void expandQLinearMul(Expansion &x) { expandBinary(x, "Mul"); }

void expandUnary(Expansion &x, llvm::function_ref<Value(Value)> compute) {
  Value v = dequantized(x, x.in(0), x.in(1), x.in(2));
  x.answer({quantized(x, compute(v), x.in(3), x.in(4), x.element(x.in(0)))});
}
void expandQLinearSigmoid(Expansion &x) {
  expandUnary(x, [&](Value v) { return x.make("Sigmoid", {v}); });
}
void expandQLinearLeakyRelu(Expansion &x) {
  expandUnary(x, [&](Value v) { return x.make("LeakyRelu", {v}, {x.at("alpha", x.number("alpha", 0.01))}); });
}
void expandQLinearSoftmax(Expansion &x) {
  expandUnary(x, [&](Value v) {
    int64_t axis = x.integer("axis", -1), rank = x.rank(v);
    if (x.integer("opset", 13) >= 13 || axis == -1 || axis == rank - 1)
      return x.make("Softmax", {v}, {x.at("axis", axis)});
    // Before opset 13 the softmax ran over everything from the axis on.
    Value flat = x.make("Softmax", {x.make("Flatten", {v}, {x.at("axis", axis)})}, {x.at("axis", -1)});
    return x.make("Reshape", {flat, x.make("Shape", {v})});
  });
}
void expandQLinearReduceMean(Expansion &x) {
  expandUnary(x, [&](Value v) {
    ArrayRef<int64_t> axes = x.integers("axes");
    return x.make("ReduceMean", {v, axes.empty() ? Value() : x.ints(axes)},
                  {x.at("keepdims", x.integer("keepdims", 1))});
  });
}

void expandPool(Expansion &x, StringRef type, ArrayRef<StringRef> names) {
  bool last = x.integer("channels_last", 0);
  expandUnary(x, [&](Value v) {
    Attributes attributes;
    x.copy(attributes, names);
    Value y = x.make(type, {last ? channelsMoved(x, v, false) : v}, attributes);
    return last ? channelsMoved(x, y, true) : y;
  });
}
void expandQLinearGlobalAveragePool(Expansion &x) { expandPool(x, "GlobalAveragePool", {}); }
void expandQLinearAveragePool(Expansion &x) {
  expandPool(x, "AveragePool", {"auto_pad", "ceil_mode", "count_include_pad", "kernel_shape", "pads", "strides"});
}

void expandQLinearConcat(Expansion &x) {
  unsigned given = x.op->getNumOperands();
  if (!x.need(given >= 5 && (given - 2) % 3 == 0,
              "expected a scale and a zero point with each tensor, got " + Twine(given) + " operands"))
    return;
  SmallVector<Value> parts;
  for (unsigned i = 2; i < given; i += 3)
    parts.push_back(dequantized(x, x.in(i), x.in(i + 1), x.in(i + 2)));
  x.answer({quantized(x, x.concat(parts, x.integer("axis", 0)), x.in(0), x.in(1), x.element(x.in(2)))});
}

void expandQLinearWhere(Expansion &x) {
  Value a = dequantized(x, x.in(1), x.in(2), x.in(3)), b = dequantized(x, x.in(4), x.in(5), x.in(6));
  x.answer({quantized(x, x.make("Where", {x.in(0), a, b}), x.in(7), x.in(8), x.element(x.in(1)))});
}

void expandQuantizeLinear(Expansion &x) {
  Type u8 = x.b.getIntegerType(8, false);
  x.answer({quantized(x, x.in(0), x.in(1), x.in(2), u8, x.integer("axis", 1))});
}

void expandDequantizeLinear(Expansion &x) {
  x.answer({dequantized(x, x.in(0), x.in(1), x.in(2), x.integer("axis", 1))});
}

// --- Products --------------------------------------------------------------------------------------------------------

/// (A - a) (B - b) as i32, then scaled: the scales are scalars, or that of B one a column.
Value scaledProduct(Expansion &x, Value a, Value b, Value zeroA, Value zeroB, Value scale, Value quantizedBias) {
  Value product = x.make("MatMulInteger", {a, b, scalarized(x, zeroA), scalarized(x, zeroB)});
  if (quantizedBias)
    product = x.add(product, quantizedBias);
  return x.mul(x.cast(product, x.element(scale)), scale);
}

void expandMatMulIntegerToFloat(Expansion &x) {
  Value scale = x.mul(scalarized(x, x.in(2)), scalarized(x, x.in(3)));
  Value y = scaledProduct(x, x.in(0), x.in(1), x.in(4), x.in(5), scale, Value());
  x.answer({x.in(6) ? x.add(y, x.in(6)) : y});
}

void expandDynamicQuantizeMatMul(Expansion &x) {
  auto made = x.makeAll("DynamicQuantizeLinear", {x.in(0)}, {}, 3);
  Value scale = x.mul(made[1], scalarized(x, x.in(2)));
  Value y = scaledProduct(x, made[0], x.in(1), made[2], x.in(3), scale, Value());
  x.answer({x.in(4) ? x.add(y, x.in(4)) : y});
}

void expandQGemm(Expansion &x) {
  Value a = x.in(0), b = x.in(3);
  if (x.integer("transA", 0))
    a = x.transpose(a, {1, 0});
  if (x.integer("transB", 0))
    b = x.transpose(b, {1, 0});
  Value scale = x.mul(scalarized(x, x.in(1)), scalarized(x, x.in(4)));
  double alpha = x.number("alpha", 1);
  if (alpha != 1)
    scale = x.mul(scale, alpha);
  Value y = scaledProduct(x, a, b, x.in(2), x.in(5), scale, x.in(6));
  x.answer({x.in(7) ? quantized(x, y, x.in(7), x.in(8), x.element(x.in(0))) : y});
}

void expandQLinearConv(Expansion &x) {
  bool last = x.integer("channels_last", 0);
  Attributes attributes;
  x.copy(attributes, {"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"});
  SmallVector<Value> operands;
  for (unsigned i = 0; i < 9; ++i)
    operands.push_back(i == 0 && last               ? channelsMoved(x, x.in(0), false)
                       : i == 0 || i == 3 || i == 8 ? x.in(i)
                                                    : scalarized(x, x.in(i)));
  Value y = x.make("QLinearConv", operands, attributes);
  x.answer({last ? channelsMoved(x, y, true) : y});
}

void expandMatMulInteger16(Expansion &x) {
  Type i32 = x.b.getI32Type();
  x.answer({x.make("MatMul", {x.cast(x.in(0), i32), x.cast(x.in(1), i32)})});
}

void expandReduceSumInteger(Expansion &x) {
  bool isUnsigned = x.element(x.in(0)) && x.element(x.in(0)).isUnsignedInteger();
  Value wide = x.cast(x.in(0), isUnsigned ? x.b.getIntegerType(32, false) : Type(x.b.getI32Type()));
  x.answer({x.make("ReduceSum", {wide, x.ints(x.integers("axes"))}, {x.at("keepdims", x.integer("keepdims", 1))})});
}

// --- Weights in blocks -----------------------------------------------------------------------------------------------

/// Bytes in which fields of `bits` lie low bits first, rows of `columns` beginning at a byte, as a constant of that
/// many bits: the first `kept` columns of each row.
Value unpacked(Expansion &x, Value packed, int64_t rows, int64_t columns, int64_t bits, int64_t kept) {
  ElementsAttr attr = onnx::getConstantAttr(packed);
  auto raw = attr ? onnx::getRawElements(attr) : std::nullopt;
  if (!x.need(raw.has_value(), "weights that are not constant; constant ones work"))
    return Value();
  int64_t stride = (columns * bits + 7) / 8;
  if (!x.need(attr.getNumElements() == rows * stride && attr.getElementType().getIntOrFloatBitWidth() == 8,
              "expected " + Twine(rows * stride) + " bytes of packed weights, got " + Twine(attr.getNumElements()) +
                  " elements"))
    return Value();
  auto type = RankedTensorType::get({rows, kept}, x.b.getIntegerType(bits, false));
  SmallVector<char, 0> all;
  ArrayRef<char> bytes = raw->bytes;
  if (raw->splat) {
    all.assign(rows * stride, bytes[0]);
    bytes = all;
  }
  if (kept == columns && (columns * bits % 8 == 0 || rows == 1))
    return x.constant(onnx::makeConstantAttr(type, bytes, "w"));
  // ONNX packs the next row right behind.
  SmallVector<char, 0> tight((rows * kept * bits + 7) / 8, 0);
  for (int64_t i = 0; i < rows * kept; ++i) {
    int64_t from = (i / kept) * stride * 8 + (i % kept) * bits, to = i * bits;
    unsigned field = (uint8_t(bytes[from / 8]) >> (from % 8)) & ((1u << bits) - 1);
    tight[to / 8] = char(uint8_t(tight[to / 8]) | (field << (to % 8)));
  }
  return x.constant(onnx::makeConstantAttr(type, tight, "w"));
}

Value unpacked(Expansion &x, Value packed, int64_t rows, int64_t columns, int64_t bits) {
  return unpacked(x, packed, rows, columns, bits, columns);
}

void expandMatMulNBits(Expansion &x) {
  int64_t k = x.integer("K", 0), n = x.integer("N", 0), bits = x.integer("bits", 4), block = x.integer("block_size", 0);
  if (!x.need(k > 0 && n > 0 && block > 0, "expected K, N and block_size, got less") ||
      !x.need(bits == 2 || bits == 4 || bits == 8, "weights of " + Twine(bits) + " bits; 2, 4 and 8 work"))
    return;
  int64_t blocks = (k + block - 1) / block;
  Type element = x.b.getIntegerType(bits, false);
  if (Value order = x.in(4)) {
    auto given = onnx::getConstantInts(order);
    bool plain = given.has_value();
    for (int64_t i = 0; plain && i < int64_t(given->size()); ++i)
      plain = (*given)[i] == i / block;
    if (!x.need(plain, "a g_idx that reorders; weights whose blocks lie in order work"))
      return;
  }
  Value scales = x.reshape(x.in(2), {n, blocks});
  Value zero = x.in(3), w;
  bool floatZeros = zero && x.element(zero) == x.element(scales);
  Value weights = unpacked(x, x.in(1), n, blocks * block, bits, floatZeros ? blocks * block : k);
  if (floatZeros) {
    // Zero points that are floats are taken off after scaling.
    Value none = x.intsOf(element, SmallVector<int64_t>(n * blocks, 0), {n, blocks});
    w = x.make("DequantizeLinear", {weights, scales, none}, {x.at("axis", 1), x.at("block_size", block)});
    Value off = x.unsqueeze(x.mul(scales, x.reshape(zero, {n, blocks})), {2});
    w = x.slice(x.reshape(x.sub(x.reshape(w, {n, blocks, block}), off), {n, blocks * block}), 1, 0, k);
  } else {
    zero = zero ? unpacked(x, zero, n, blocks, bits)
                : x.constant(
                      onnx::makeConstantAttr(RankedTensorType::get({n, blocks}, element),
                                             SmallVector<char>((n * blocks * bits + 7) / 8, char(bits == 8   ? 0x80
                                                                                                 : bits == 4 ? 0x88
                                                                                                             : 0xaa)),
                                             "z"));
    w = x.make("DequantizeLinear", {weights, scales, zero}, {x.at("axis", 1), x.at("block_size", block)});
  }
  Value y = x.make("MatMul", {x.in(0), x.transpose(w, {1, 0})});
  x.answer({x.in(5) ? x.add(y, x.in(5)) : y});
}

void expandGatherBlockQuantized(Expansion &x) {
  Value data = x.in(0), indices = x.in(1), scales = x.in(2), zero = x.in(3);
  int64_t rank = x.rank(data), bits = x.integer("bits", 4), block = x.integer("block_size", 128);
  int64_t from = x.integer("gather_axis", 0), along = x.integer("quantize_axis", 1);
  if (!x.need(rank > 0 && x.rank(indices) >= 0, "expected operands of known rank, got others"))
    return;
  from += from < 0 ? rank : 0, along += along < 0 ? rank : 0;
  if (!x.need(from == 0 && along > 0, "other axes than gather_axis 0 with a later quantize_axis; those work"))
    return;
  bool packed = x.element(data).isUnsignedInteger(8) && bits < 8;
  if (packed) {
    if (!x.need(rank == 2 && !ShapedType::isDynamic(x.dim(data, 0)) && !ShapedType::isDynamic(x.dim(data, 1)),
                "packed data of rank " + Twine(rank) + "; rank 2 works"))
      return;
    int64_t rows = x.dim(data, 0), columns = x.dim(data, 1) * 8 / bits;
    data = unpacked(x, data, rows, columns, bits);
    zero = zero ? unpacked(x, zero, rows, (columns + block - 1) / block, bits)
                : x.constant(onnx::makeConstantAttr(
                      RankedTensorType::get({rows, (columns + block - 1) / block}, x.b.getIntegerType(bits, false)),
                      SmallVector<char>((rows * ((columns + block - 1) / block) * bits + 7) / 8,
                                        char(bits == 4 ? 0x88 : 0xaa)),
                      "z"));
  }
  if (rank != 2 || !onnx::getConstantAttr(data)) {
    Value taken = x.gather(data, indices, 0), scale = x.gather(scales, indices, 0);
    return x.answer({x.make("DequantizeLinear", {taken, scale, zero ? x.gather(zero, indices, 0) : Value()},
                            {x.at("axis", along + x.rank(indices) - 1), x.at("block_size", block)})});
  }
  // The whole table, of which later stages dequantize the rows that are read.
  Value real = x.make("DequantizeLinear", {data, scales, zero}, {x.at("axis", along), x.at("block_size", block)});
  x.answer({x.gather(real, indices, 0)});
}

// --- Recurrent -------------------------------------------------------------------------------------------------------

// The weights are what is quantized. The other runtime rounds inputs and states to 8 bits too, step by step, to
// multiply integers; here they stay floats.
void expandDynamicQuantizeLstm(Expansion &x) {
  // [directions, inputs, 4 * hidden], with a scale a direction or a column.
  auto weights = [&](unsigned at, unsigned scaleAt) {
    auto spread = [&](Value v) { return x.rank(v) == 2 ? x.unsqueeze(v, {1}) : x.reshape(v, {-1, 1, 1}); };
    Type f32 = x.b.getF32Type();
    Value real = x.cast(x.in(at), f32);
    if (Value zero = x.in(scaleAt + 1))
      real = x.sub(real, spread(x.cast(zero, f32)));
    return x.transpose(x.mul(real, spread(x.in(scaleAt))), {0, 2, 1});
  };
  if (!x.need(x.rank(x.in(8)) > 0 && x.rank(x.in(10)) > 0, "expected scales of known rank, got others"))
    return;
  Attributes attributes;
  x.copy(attributes,
         {"activation_alpha", "activation_beta", "activations", "clip", "direction", "hidden_size", "input_forget"});
  x.answer(x.makeAll("LSTM", {x.in(0), weights(1, 8), weights(2, 10), x.in(3), x.in(4), x.in(5), x.in(6), x.in(7)},
                     attributes, 3));
}

} // namespace

void addMicrosoftQuantExpanders(Expanders &table) {
  auto add = [&](StringRef name, Expander expand) { table[("com.microsoft:" + name).str()] = expand; };
  add("DequantizeLinear", expandDequantizeLinear);
  add("DynamicQuantizeLSTM", expandDynamicQuantizeLstm);
  add("DynamicQuantizeMatMul", expandDynamicQuantizeMatMul);
  add("GatherBlockQuantized", expandGatherBlockQuantized);
  add("MatMulInteger16", expandMatMulInteger16);
  add("MatMulIntegerToFloat", expandMatMulIntegerToFloat);
  add("MatMulNBits", expandMatMulNBits);
  add("QGemm", expandQGemm);
  add("QLinearAdd", expandQLinearAdd);
  add("QLinearAveragePool", expandQLinearAveragePool);
  add("QLinearConcat", expandQLinearConcat);
  add("QLinearConv", expandQLinearConv);
  add("QLinearGlobalAveragePool", expandQLinearGlobalAveragePool);
  add("QLinearLeakyRelu", expandQLinearLeakyRelu);
  add("QLinearMul", expandQLinearMul);
  add("QLinearReduceMean", expandQLinearReduceMean);
  add("QLinearSigmoid", expandQLinearSigmoid);
  add("QLinearSoftmax", expandQLinearSoftmax);
  add("QLinearWhere", expandQLinearWhere);
  add("QuantizeLinear", expandQuantizeLinear);
  add("ReduceSumInteger", expandReduceSumInteger);
}

} // namespace burin::graph
