// graph-expand-domains, TfIdfVectorizer: a standard operator, but one that nobody wants to lower for what other
// operators say as well. Windows of the input are compared with every n-gram of the pool and counted.
#include "passes/Graph/ExpandDomains.h"

using namespace mlir;

namespace burin::graph {
namespace {

// For each length n and skip s: Gather windows [W, n], Equal to the pool [K, n], all n agree, sum over the windows.
// The counts [N, K] of all lengths side by side then go to their columns of the result.
void expandTfIdf(Expansion &x) {
  Value v = x.in(0);
  int64_t rank = x.rank(v), least = x.integer("min_gram_length", 1), most = x.integer("max_gram_length", 1),
          skips = x.integer("max_skip_count", 0);
  ArrayRef<int64_t> starts = x.integers("ngram_counts"), columns = x.integers("ngram_indexes"),
                    numbers = x.integers("pool_int64s");
  auto texts = dyn_cast_or_null<ArrayAttr>(x.attribute("pool_strings"));
  ArrayRef<float> weights = x.floats("weights");
  StringRef mode = x.string("mode");
  int64_t poolSize = texts ? int64_t(texts.size()) : int64_t(numbers.size());
  if (!x.need(rank == 1 || rank == 2, "expected an input of rank 1 or 2, got another") ||
      !x.need(least >= 1 && most >= least && most <= int64_t(starts.size()) && skips >= 0 && !columns.empty(),
              "expected 1 <= min_gram_length <= max_gram_length <= entries of ngram_counts, got others") ||
      !x.need(mode == "TF" || mode == "IDF" || mode == "TFIDF", "expected mode TF, IDF or TFIDF, got '" + mode + "'"))
    return;
  Type f32 = x.b.getF32Type(), i64 = x.b.getI64Type();
  Value rows = rank == 1 ? x.unsqueeze(v, {0}) : v;
  if (!texts)
    rows = x.cast(rows, i64);
  Value length = x.sizes(v, rank - 1, rank);
  SmallVector<Value> parts;
  SmallVector<int64_t> columnOf;
  int64_t ngram = 0;
  for (int64_t n = 1; n <= int64_t(starts.size()); ++n) {
    int64_t begin = starts[n - 1], end = n < int64_t(starts.size()) ? starts[n] : poolSize, count = (end - begin) / n;
    if (!x.need(begin >= 0 && begin <= end && end <= poolSize && (end - begin) % n == 0 &&
                    ngram + count <= int64_t(columns.size()),
                "expected ngram_counts and ngram_indexes that fit the pool, got others"))
      return;
    ngram += count;
    if (n < least || n > most || count == 0)
      continue;
    Value pool;
    if (texts) {
      SmallVector<StringRef> words;
      for (int64_t i = begin; i < end; ++i)
        words.push_back(cast<StringAttr>(texts[i]).getValue());
      auto type = RankedTensorType::get({count, n}, onnx::StringType::get(x.b.getContext()));
      pool = x.constant(DenseStringElementsAttr::get(type, words));
    } else {
      pool = x.intsOf(i64, numbers.slice(begin, end - begin), {count, n});
    }
    Value total;
    for (int64_t step = 1; step <= (n == 1 ? 1 : skips + 1); ++step) {
      // Windows begin at 0, 1, ... while their last element is inside; none where the input is too short.
      SmallVector<int64_t> offsets;
      for (int64_t i = 0; i < n; ++i)
        offsets.push_back(i * step);
      Value last = x.make("Max", {x.sub(length, x.ints({(n - 1) * step})), x.ints({0})});
      Value from = x.make("Range", {x.scalar(i64, 0), x.squeeze(last, {0}), x.scalar(i64, 1)});
      Value places = x.add(x.unsqueeze(from, {1}), x.unsqueeze(x.ints(offsets), {0}));
      Value windows = x.unsqueeze(x.gather(rows, places, 1), {2}); // [N, W, 1, n]
      Value equal = x.cast(x.make("Equal", {windows, pool}), f32);
      Value all = x.make("ReduceMin", {equal, x.ints({3})}, {x.at("keepdims", 0)});
      Value found = x.make("ReduceSum", {all, x.ints({1})}, {x.at("keepdims", 0)}); // [N, K]
      total = total ? x.add(total, found) : found;
    }
    if (mode == "IDF")
      total = x.make("Min", {total, x.like(total, 1)});
    SmallVector<float> scale;
    for (int64_t i = ngram - count; i < ngram; ++i) {
      columnOf.push_back(columns[i]);
      scale.push_back(i < int64_t(weights.size()) ? weights[i] : 1);
    }
    if (mode != "TF" && !weights.empty())
      total = x.mul(total, x.floatsOf(f32, scale, {1, count}));
    parts.push_back(total);
  }
  // Column c of the result is the sum of the n-grams that go there: a Gather where each has its own, else a product.
  int64_t width = *llvm::max_element(columns) + 1, given = columnOf.size();
  if (!x.need(width >= 1 && llvm::all_of(columns, [](int64_t c) { return c >= 0; }),
              "expected ngram_indexes of 0 and above, got others"))
    return;
  Value counts = parts.empty() ? Value() : parts.size() == 1 ? parts[0] : x.concat(parts, 1);
  if (!counts) {
    x.refuse("expected n-grams of the lengths asked for in the pool, got none");
    return;
  }
  SmallVector<int64_t> source(width, given);
  bool single = true;
  for (auto [i, column] : llvm::enumerate(columnOf)) {
    single &= source[column] == given;
    source[column] = i;
  }
  Value y;
  if (single) {
    if (llvm::is_contained(source, given)) // what no n-gram of these lengths goes to is 0
      counts = x.concat({counts, x.mul(x.slice(counts, 1, 0, 1), 0)}, 1);
    y = x.gather(counts, x.ints(source), 1);
  } else {
    SmallVector<float> table(given * width, 0);
    for (auto [i, column] : llvm::enumerate(columnOf))
      table[i * width + column] = 1;
    y = x.make("MatMul", {counts, x.floatsOf(f32, table, {given, width})});
  }
  x.answer({rank == 1 ? x.squeeze(y, {0}) : y});
}

} // namespace

void addTextExpanders(Expanders &table) { table[":TfIdfVectorizer"] = expandTfIdf; }

} // namespace burin::graph
