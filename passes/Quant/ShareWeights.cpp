// Weight sharing (Han and others, "Deep Compression", 2016): few values a layer, chosen by k-means in one dim, so that
// an index and a codebook can stand for the weights.
#include "passes/Quant/Plan.h"
#include "passes/Quant/Reconstruct.h"
#include "passes/Quant/Rewriting.h"
#include "llvm/Support/FormatVariadic.h"
#include <cmath>

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_SHAREWEIGHTS
#include "passes/Quant/Passes.h.inc"

double sharingRatio(int64_t weights, int64_t bits, int64_t codebooks, int64_t entries) {
  return 32.0 * weights / (double(weights) * bits + 32.0 * codebooks * entries);
}

std::optional<std::pair<int64_t, int64_t>> getSharing(Operation *product) {
  auto pair = product->getAttrOfType<DenseI64ArrayAttr>(sharedAttr);
  if (!pair || pair.size() != 2)
    return std::nullopt;
  return std::make_pair(pair[0], pair[1]);
}

namespace {
constexpr StringLiteral passName = "ShareWeights";

// Depthwise layers, mostly: each of their weights counts, and they are a small part of a model.
constexpr int64_t fewWeights = 16;

struct Point {
  float value;
  double weight;
};

// Sums over ranges of sorted points.
class Sums {
public:
  explicit Sums(ArrayRef<Point> points) : weight(1, 0.0), moment(1, 0.0), square(1, 0.0) {
    for (const Point &p : points) {
      weight.push_back(weight.back() + p.weight);
      moment.push_back(moment.back() + p.weight * p.value);
      square.push_back(square.back() + p.weight * p.value * p.value);
    }
  }
  double mean(size_t from, size_t to) const {
    return weight[to] > weight[from] ? (moment[to] - moment[from]) / (weight[to] - weight[from]) : 0;
  }
  // Squared distances to the mean.
  double error(size_t from, size_t to) const {
    double m = moment[to] - moment[from];
    return std::max(0.0, square[to] - square[from] - mean(from, to) * m);
  }

private:
  std::vector<double> weight, moment, square;
};

// k-means in one dim has an exact answer, since clusters are ranges of sorted points: the best k ranges up to point i
// are the best k - 1 up to some j and the rest, and j grows with i (Wang and Song, "Ckmeans.1d.dp", 2011; divide and
// conquer).
SmallVector<float> exactCentres(ArrayRef<Point> points, size_t count) {
  size_t n = points.size();
  Sums sums(points);
  std::vector<double> best(n + 1, INFINITY), next(n + 1);
  std::vector<std::vector<uint32_t>> cut(count, std::vector<uint32_t>(n + 1, 0));
  best[0] = 0;
  for (size_t k = 0; k < count; ++k) {
    struct Part {
      size_t from, to, low, high;
    };
    next.assign(n + 1, INFINITY);
    SmallVector<Part> parts{{1, n, 0, n - 1}};
    while (!parts.empty()) {
      Part part = parts.pop_back_val();
      if (part.from > part.to)
        continue;
      size_t middle = (part.from + part.to) / 2, at = part.low;
      for (size_t j = part.low; j <= std::min(middle - 1, part.high); ++j)
        if (double error = best[j] + sums.error(j, middle); error < next[middle]) {
          next[middle] = error;
          at = j;
        }
      cut[k][middle] = at;
      parts.push_back({part.from, middle - 1, part.low, at});
      parts.push_back({middle + 1, part.to, at, part.high});
    }
    best = next;
  }
  SmallVector<float> centres;
  for (size_t k = count, to = n; k-- > 0 && to > 0; to = cut[k][to])
    centres.push_back(float(sums.mean(cut[k][to], to)));
  return centres;
}

// The exact answer for points next to one another put together, then Lloyd's iteration over all.
SmallVector<float> centresOf(std::vector<Point> points, size_t count) {
  constexpr size_t mostPoints = 2048;
  constexpr int mostRounds = 30;
  llvm::stable_sort(points, [](const Point &a, const Point &b) { return a.value < b.value; });
  Sums sums(points);
  std::vector<Point> together;
  size_t parts = std::min(mostPoints, points.size());
  for (size_t i = 0; i < parts; ++i) {
    size_t from = points.size() * i / parts, to = points.size() * (i + 1) / parts;
    double weight = 0;
    for (const Point &p : ArrayRef(points).slice(from, to - from))
      weight += p.weight;
    together.push_back({float(sums.mean(from, to)), weight});
  }
  SmallVector<float> centres = exactCentres(together, std::min(count, parts));
  for (int round = 0; round < mostRounds; ++round) {
    llvm::sort(centres);
    centres.erase(llvm::unique(centres), centres.end());
    SmallVector<float> next;
    size_t from = 0;
    for (size_t c = 0; c < centres.size(); ++c) {
      size_t to = points.size();
      if (c + 1 < centres.size()) {
        double border = (double(centres[c]) + centres[c + 1]) / 2;
        to = llvm::partition_point(points, [&](const Point &p) { return p.value < border; }) - points.begin();
      }
      next.push_back(to > from ? float(sums.mean(from, to)) : centres[c]);
      from = std::max(from, to);
    }
    if (next == centres)
      break;
    centres = std::move(next);
  }
  return centres;
}

float nearest(ArrayRef<float> sorted, float value) {
  const float *above = std::lower_bound(sorted.begin(), sorted.end(), value);
  if (above == sorted.begin())
    return sorted.front();
  if (above == sorted.end())
    return sorted.back();
  return value - above[-1] <= *above - value ? above[-1] : *above;
}

class ShareWeights : public impl::ShareWeightsBase<ShareWeights> {
public:
  using ShareWeightsBase::ShareWeightsBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    if (bits < 2 || bits > 8 || group < 0) {
      main.emitError() << "expected 2 to 8 bits and groups of 0 or more channels, got " << int64_t(bits) << " and "
                       << int64_t(group);
      return signalPassFailure();
    }
    unsigned count = 0;
    for (Operation *op : getWeighted(main)) {
      if (op->hasAttr(keepFloatAttr) || !rowsOf(op))
        continue;
      if (cast<RankedTensorType>(op->getOperand(1).getType()).getNumElements() < least) {
        missed(op, passName, "Weights", "its codebook would be as large as its weights");
        continue;
      }
      share(op);
      ++count;
    }
    eraseUnused(main);
    counted(getOperation(), passName, count);
  }

private:
  void share(Operation *op) {
    SmallVector<float> weight = onnx::getFloats(floatConstant(op->getOperand(1)));
    Reconstruction reconstruction(op);
    const Rows &rows = reconstruction.rows();
    int64_t perBook = group == 0 ? rows.count : std::min<int64_t>(group, rows.count);
    int64_t own = rows.size < fewWeights ? std::min<int64_t>(8, bits + extra) : bits, entries = int64_t(1) << own;
    SmallVector<SmallVector<float>> books;
    for (int64_t first = 0; first < rows.count; first += perBook) {
      std::vector<Point> points;
      bool hasZeros = false;
      for (int64_t row = first; row < std::min(rows.count, first + perBook); ++row)
        for (int64_t j = 0; j < rows.size; ++j) {
          float w = weight[rows.at(row, j)];
          hasZeros |= w == 0;
          if (w != 0)
            points.push_back({w, reconstruction.weightOf(row, j)});
        }
      // What was pruned stays so: 0 has an entry of its own.
      books.push_back(points.empty() ? SmallVector<float>{} : centresOf(std::move(points), entries - hasZeros));
      if (hasZeros || books.back().empty())
        books.back().push_back(0);
      llvm::sort(books.back());
    }
    SmallVector<float> shared(weight.size());
    auto choose = [&](int64_t row, int64_t j, float target) {
      return weight[rows.at(row, j)] == 0 ? 0.0f : nearest(books[row / perBook], target);
    };
    for (int64_t row = 0; row < rows.count; ++row)
      for (int64_t j = 0; j < rows.size; ++j)
        shared[rows.at(row, j)] = choose(row, j, weight[rows.at(row, j)]);
    reconstruction.walk(weight, shared, choose, walks);
    reconstruction.replace(weight, shared);
    op->setAttr(sharedAttr, DenseI64ArrayAttr::get(&getContext(), {own, int64_t(books.size())}));
    passed(op, passName, "Weights",
           llvm::formatv("R = {0:f2}", sharingRatio(weight.size(), own, books.size(), entries)).str());
  }
};

} // namespace
} // namespace burin::quant
