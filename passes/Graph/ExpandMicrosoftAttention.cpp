// graph-expand-domains, com.microsoft's attention: Attention, MultiHeadAttention, GroupQueryAttention and QAttention
// become ONNX's Attention with projections, rotary embeddings and key-value caches spelled out around it. Masks are
// floats that are added, since ONNX Runtime adds `mask_filter_value` and does not exclude.
#include "passes/Graph/ExpandDomains.h"

using namespace mlir;

namespace burin::graph {
namespace {

using Attributes = SmallVector<NamedAttribute>;

/// [B, S, N * H] -> [B, N, S, H].
Value headsFirst(Expansion &x, Value v, int64_t heads) {
  return x.transpose(x.reshape(v, {0, 0, heads, -1}), {0, 2, 1, 3});
}

/// [B, N, S, H] -> [B, S, N * H].
Value headsLast(Expansion &x, Value v) { return x.reshape(x.transpose(v, {0, 2, 1, 3}), {0, 0, -1}); }

/// 0, 1, ... up to the size that the one element of `count` says.
Value counted(Expansion &x, Value count) {
  Type i64 = x.b.getI64Type();
  return x.make("Range", {x.scalar(i64, 0), x.squeeze(count, {0}), x.scalar(i64, 1)});
}

/// What attention has beside Q, K and V in [B, N, S, H].
struct Around {
  Value mask, pastKey, pastValue, valid; // valid: keys of a cache that count, one number a batch
  bool causal = false;
  double scale = 0, softcap = 0; // 0: ONNX's default
  int64_t window = -1;
  bool present = false;
};

struct Attended {
  Value y, key, value; // y in [B, S, N * H]
};

Attended attend(Expansion &x, Value q, Value k, Value v, const Around &around) {
  Attributes attributes = {x.at("is_causal", int64_t(around.causal))};
  if (around.scale != 0)
    attributes.push_back(x.at("scale", around.scale));
  if (around.softcap != 0)
    attributes.push_back(x.at("softcap", around.softcap));
  if (around.window >= 0)
    attributes.push_back(x.at("left_window_size", around.window));
  auto made = x.makeAll("Attention", {q, k, v, around.mask, around.pastKey, around.pastValue, around.valid}, attributes,
                        around.present ? 3 : 1);
  return {headsLast(x, made[0]), around.present ? made[1] : Value(), around.present ? made[2] : Value()};
}

/// An integer mask of ones and zeros over [B, T], [B, S, T] or, as lengths, [B]; added where it is 0. `keys`: T as one
/// i64.
Value filtered(Expansion &x, Value mask, Value keys, Value batched, Type element) {
  double filter = x.number("mask_filter_value", -10000);
  Type i64 = x.b.getI64Type();
  Value holds;
  switch (x.rank(mask)) {
  case 1: {
    int64_t given = x.dim(mask, 0), batch = x.dim(batched, 0);
    if (!x.need(ShapedType::isDynamic(given) || ShapedType::isDynamic(batch) || given == batch,
                "a mask of " + Twine(given) + " numbers for " + Twine(batch) +
                    " rows; one length a row, or masks of rank 2 or 3 work"))
      return Value();
    holds = x.make("Less", {counted(x, keys), x.unsqueeze(x.cast(mask, i64), {1, 2, 3})});
    break;
  }
  case 2:
  case 3:
    mask = x.unsqueeze(mask, x.rank(mask) == 2 ? ArrayRef<int64_t>{1, 2} : ArrayRef<int64_t>{1});
    holds = x.element(mask) && x.element(mask).isInteger(1) ? mask : x.make("Greater", {mask, x.like(mask, 0)});
    break;
  default:
    x.refuse("a mask of rank " + Twine(x.rank(mask)) + "; ranks 1, 2 and 3 work");
    return Value();
  }
  return x.make("Where", {holds, x.scalar(element, 0), x.scalar(element, filter)});
}

Value sum(Expansion &x, Value a, Value b) { return !a ? b : !b ? a : x.add(a, b); }

/// How many keys there are, with those of the past.
Value keyCount(Expansion &x, Value k, Value past) {
  Value own = x.sizes(k, 2, 3);
  return past ? x.add(own, x.sizes(past, 2, 3)) : own;
}

// --- Attention and QAttention ----------------------------------------------------------------------------------------

/// From the three projections side by side, in floats: [B, S, q + k + v].
void attendPacked(Expansion &x, Value packed, Value mask, Value past, Value bias) {
  int64_t heads = x.integer("num_heads", 0), width = x.dim(packed, 2);
  SmallVector<int64_t> parts(x.integers("qkv_hidden_sizes"));
  if (parts.empty() && !ShapedType::isDynamic(width))
    parts.assign(3, width / 3);
  if (!x.need(heads > 0 && parts.size() == 3 && !ShapedType::isDynamic(width) &&
                  parts[0] + parts[1] + parts[2] == width,
              "expected num_heads and weights whose columns are Q, K and V, got others"))
    return;
  if (!x.need(!x.integer("do_rotary", 0), "do_rotary; a RotaryEmbedding before a MultiHeadAttention works") ||
      !x.need(!x.integer("past_present_share_buffer", 0), "past_present_share_buffer; without it works"))
    return;
  auto split = x.split(packed, 2, parts);
  Value q = headsFirst(x, split[0], heads), k = headsFirst(x, split[1], heads), v = headsFirst(x, split[2], heads);
  Around around;
  if (past) {
    auto halves = x.split(past, 0, {1, 1});
    around.pastKey = x.squeeze(halves[0], {0});
    around.pastValue = x.squeeze(halves[1], {0});
  }
  if (mask)
    around.mask = filtered(x, mask, keyCount(x, k, around.pastKey), packed, x.element(packed));
  around.mask = sum(x, around.mask, bias);
  around.causal = x.integer("unidirectional", 0);
  around.scale = x.number("scale", 0);
  around.present = past && x.wants(1);
  Attended made = attend(x, q, k, v, around);
  Value present;
  if (x.wants(1))
    present = past ? x.concat({x.unsqueeze(made.key, {0}), x.unsqueeze(made.value, {0})}, 0)
                   : x.concat({x.unsqueeze(k, {0}), x.unsqueeze(v, {0})}, 0);
  x.answer({made.y, present});
}

void expandAttention(Expansion &x) {
  Value packed = sum(x, x.make("MatMul", {x.in(0), x.in(1)}), x.in(2));
  attendPacked(x, packed, x.in(3), x.in(4), x.in(5));
}

// Input and weights are integers: their product is one, and the rest of attention is in floats.
void expandQAttention(Expansion &x) {
  Value product = x.make("MatMulInteger", {x.in(0), x.in(1), x.in(6), x.in(7)});
  Value scale = x.mul(x.in(3), x.in(4));
  Value packed = x.add(x.mul(x.cast(product, x.element(scale)), scale), x.in(2));
  attendPacked(x, packed, x.in(5), x.in(8), Value());
}

// --- MultiHeadAttention ----------------------------------------------------------------------------------------------

void expandMultiHeadAttention(Expansion &x) {
  int64_t heads = x.integer("num_heads", 0);
  Value query = x.in(0), key = x.in(1), value = x.in(2), bias = x.in(3);
  if (!x.need(heads > 0, "expected num_heads, got none") ||
      !x.need(!x.wants(3), "the fourth result; the first three work") ||
      !x.need(!x.in(8) && !x.in(9), "past_sequence_length and cache_indirection; past_key and past_value work"))
    return;
  // A packed operand holds its parts next to each other for every head.
  auto unpack = [&](Value packed, unsigned count) {
    SmallVector<Value> parts;
    for (Value part : x.split(packed, 3, SmallVector<int64_t>(count, 1)))
      parts.push_back(x.reshape(x.squeeze(part, {3}), {0, 0, -1}));
    return parts;
  };
  if (x.rank(query) == 5) {
    auto parts = unpack(query, 3);
    query = parts[0], key = parts[1], value = parts[2];
  } else if (x.rank(key) == 5) {
    auto parts = unpack(key, 2);
    key = parts[0], value = parts[1];
  }
  if (!x.need(key && value && x.rank(query) == 3 && (x.rank(key) == 3 || x.rank(key) == 4),
              "expected a query of rank 3 with key and value of rank 3 or 4, or packed ones of rank 5, got others"))
    return;
  if (bias) {
    int64_t size = x.dim(query, 2), rest = x.dim(bias, 0);
    if (!x.need(!ShapedType::isDynamic(size) && !ShapedType::isDynamic(rest) && rest >= size,
                "expected static hidden sizes with a bias, got dynamic ones"))
      return;
    bool cross = x.rank(key) == 4;
    int64_t valueSize = rest - 2 * size;
    query = x.add(query, x.slice(bias, 0, 0, size));
    if (!cross) {
      key = x.add(key, x.slice(bias, 0, size, 2 * size));
      value = x.add(value, x.slice(bias, 0, 2 * size, 2 * size + valueSize));
    }
  }
  Value q = headsFirst(x, query, heads);
  Value k = x.rank(key) == 4 ? key : headsFirst(x, key, heads);
  Value v = x.rank(value) == 4 ? value : headsFirst(x, value, heads);
  Around around;
  around.pastKey = x.in(6);
  around.pastValue = x.in(7);
  if (Value mask = x.in(4))
    around.mask = filtered(x, mask, keyCount(x, k, around.pastKey), query, x.element(query));
  around.mask = sum(x, around.mask, x.in(5));
  around.causal = x.integer("unidirectional", 0);
  around.scale = x.number("scale", 0);
  around.present = around.pastKey && (x.wants(1) || x.wants(2));
  Attended made = attend(x, q, k, v, around);
  x.answer({made.y, around.present ? made.key : k, around.present ? made.value : v});
}

// --- Rotary embeddings -----------------------------------------------------------------------------------------------

Value rotated(Expansion &x, Value v, Value cosine, Value sine, Value places, bool interleaved, int64_t heads) {
  Attributes attributes = {x.at("interleaved", int64_t(interleaved))};
  int64_t turned = 2 * x.dim(cosine, -1),
          size = x.rank(v) == 4 ? x.dim(v, 3) : x.dim(v, 2) / std::max<int64_t>(heads, 1);
  if (!x.need(!ShapedType::isDynamic(x.dim(cosine, -1)), "expected a cos_cache of static width, got a dynamic one"))
    return Value();
  if (turned != size)
    attributes.push_back(x.at("rotary_embedding_dim", turned));
  if (x.rank(v) == 3)
    attributes.push_back(x.at("num_heads", heads));
  Type element = x.element(v);
  return x.make("RotaryEmbedding", {v, x.cast(cosine, element), x.cast(sine, element), places}, attributes);
}

void expandRotaryEmbedding(Expansion &x) {
  Value v = x.in(0), places = x.in(1), cosine = x.in(2), sine = x.in(3);
  int64_t rank = x.rank(v), heads = x.integer("num_heads", 0), width = x.dim(cosine, 1);
  if (!x.need(rank == 3 || rank == 4, "expected an operand of rank 3 or 4, got another") ||
      !x.need(!x.integer("is_packed_batching", 0), "is_packed_batching; rows of one length work") ||
      !x.need(x.number("scale", 1) == 1, "a scale other than 1; a Mul after it works"))
    return;
  if (rank == 3 && heads == 0) {
    int64_t hidden = x.dim(v, 2);
    if (!x.need(!ShapedType::isDynamic(hidden) && !ShapedType::isDynamic(width) && hidden % (2 * width) == 0,
                "expected num_heads, or a static hidden size that the caches' width divides, got neither"))
      return;
    heads = hidden / (2 * width);
  }
  if (x.rank(places) == 1) {
    Value length = x.sizes(v, rank == 3 ? 1 : 2, rank == 3 ? 2 : 3);
    Value row = x.add(counted(x, length), places);
    places = x.make("Expand", {x.unsqueeze(row, {0}), x.concat({x.sizes(v, 0, 1), length}, 0)});
  }
  x.answer({rotated(x, v, cosine, sine, places, x.integer("interleaved", 0), heads)});
}

// --- GroupQueryAttention ---------------------------------------------------------------------------------------------

/// The cache with the new rows written behind the `before` ones that each batch has. It is as long as the cache where
/// the model writes in place, and longer by the new rows where it grows.
Value written(Expansion &x, Value past, Value fresh, Value before, bool grows) {
  if (grows)
    past = x.concat({past, fresh}, 2);
  return x.make("TensorScatter", {past, fresh, before}, {x.at("axis", 2)});
}

void expandGroupQueryAttention(Expansion &x) {
  int64_t heads = x.integer("num_heads", 0), groups = x.integer("kv_num_heads", 0);
  Value query = x.in(0), key = x.in(1), value = x.in(2), pastKey = x.in(3), pastValue = x.in(4), lengths = x.in(5);
  Type i64 = x.b.getI64Type();
  if (!x.need(heads > 0 && groups > 0 && lengths, "expected num_heads, kv_num_heads and seqlens_k, got less") ||
      !x.need(!x.integer("smooth_softmax", 0) && !x.in(11), "smooth_softmax and head_sink; a plain softmax works") ||
      !x.need(!x.wants(3), "the result output_qk; the first three work") ||
      !x.need(!x.in(12) && !x.in(13), "a quantized cache; one of floats works"))
    return;
  if (!key) {
    int64_t width = x.dim(query, 2);
    if (!x.need(!ShapedType::isDynamic(width) && width % (heads + 2 * groups) == 0,
                "expected a packed query whose width is that of all heads, got another"))
      return;
    int64_t size = width / (heads + 2 * groups);
    auto parts = x.split(query, 2, {heads * size, groups * size, groups * size});
    query = parts[0], key = parts[1], value = parts[2];
  }
  Value q = headsFirst(x, query, heads), k = headsFirst(x, key, groups), v = headsFirst(x, value, groups);
  // seqlens_k counts every valid key but one; a padded first prompt has fewer of them than rows.
  Value length = x.sizes(query, 1, 2);
  Value total = x.make("Max", {x.add(x.cast(x.reshape(lengths, {-1}), i64), 1), length});
  Value before = x.sub(total, length);
  if (x.integer("do_rotary", 0)) {
    if (!x.need(x.in(7) && x.in(8), "expected cos_cache and sin_cache with do_rotary, got none"))
      return;
    Value places = x.in(9) ? x.in(9) : x.add(x.unsqueeze(before, {1}), x.unsqueeze(counted(x, length), {0}));
    bool interleaved = x.integer("rotary_interleaved", 0);
    q = rotated(x, q, x.in(7), x.in(8), places, interleaved, heads);
    k = rotated(x, k, x.in(7), x.in(8), places, interleaved, groups);
  }
  Around around;
  around.causal = true;
  around.scale = x.number("scale", 0);
  around.softcap = x.number("softcap", 0);
  around.mask = x.in(10);
  int64_t window = x.integer("local_window_size", -1);
  around.window = window > 0 ? window - 1 : -1;
  if (pastKey && x.dim(pastKey, 2) != 0) {
    // One buffer for past and present, or a present that is longer.
    int64_t held = x.dim(pastKey, 2);
    auto present = x.op->getNumResults() > 1 ? rankedType(x.op->getResult(1)) : RankedTensorType();
    bool grows = true;
    if (auto known = onnx::getConstantInt(x.in(6)); known && !ShapedType::isDynamic(held))
      grows = *known > held;
    else if (present && present.getRank() == 4)
      grows = present.getDimSize(2) != held ||
              (ShapedType::isDynamic(held) && onnx::getDimName(present, 2) != onnx::getDimName(pastKey.getType(), 2));
    k = written(x, pastKey, k, before, grows);
    v = written(x, pastValue, v, before, grows);
    around.valid = total;
  }
  x.answer({attend(x, q, k, v, around).y, k, v});
}

} // namespace

void addMicrosoftAttentionExpanders(Expanders &table) {
  table["com.microsoft:Attention"] = expandAttention;
  table["com.microsoft:GroupQueryAttention"] = expandGroupQueryAttention;
  table["com.microsoft:MultiHeadAttention"] = expandMultiHeadAttention;
  table["com.microsoft:QAttention"] = expandQAttention;
  table["com.microsoft:RotaryEmbedding"] = expandRotaryEmbedding;
}

} // namespace burin::graph
