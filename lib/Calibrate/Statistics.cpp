// Ranges from histograms. Every method only narrows what was seen; 0 is always inside, so each side is searched alone.
#include "lib/Calibrate/Statistics.h"
#include <algorithm>
#include <cmath>

using namespace burin;
using llvm::ArrayRef;

static constexpr size_t binCount = 2048;
// A side shrinks in these steps, down to a hundredth.
static constexpr int sideSteps = 48;
static constexpr double sideFactor = 0.909;

void Statistics::measure(ArrayRef<float> values) {
  if (values.empty())
    return;
  float least = values.front(), largest = values.front();
  for (float v : values) {
    least = std::min(least, v);
    largest = std::max(largest, v);
    finite &= std::isfinite(v);
  }
  if (!finite)
    return;
  bool first = isEmpty();
  averageLow = first ? least : 0.9f * averageLow + 0.1f * least;
  averageHigh = first ? largest : 0.9f * averageHigh + 0.1f * largest;
  low = first ? least : std::min(low, least);
  high = first ? largest : std::max(high, largest);
}

void Statistics::count(ArrayRef<float> values) {
  bins.resize(binCount);
  if (low == high || isEmpty())
    return;
  double scale = binCount / (double(high) - low);
  for (float v : values) {
    if (v == 0)
      zeros += 1;
    else
      bins[std::clamp<int64_t>(int64_t((v - double(low)) * scale), 0, binCount - 1)] += 1;
  }
}

std::pair<float, float> Statistics::range(const RangeMethod &method) const {
  if (isEmpty() || low == high || (needsCounts(method.name) && bins.empty()))
    return {low, high};
  if (method.name == "average")
    return {averageLow, averageHigh};
  if (method.name == "percentile")
    return percentileRange(method.percentile);
  if (method.name == "mse")
    return leastError(method);
  if (method.name == "entropy")
    return leastDivergence(method);
  return {low, high};
}

std::pair<float, float> Statistics::percentileRange(double percentile) const {
  double total = zeros, width = (double(high) - low) / bins.size();
  for (double n : bins)
    total += n;
  double left = total * (1 - percentile / 100) / 2, right = left;
  size_t from = 0, to = bins.size();
  while (from < to && bins[from] <= left)
    left -= bins[from++];
  while (to > from && bins[to - 1] <= right)
    right -= bins[--to];
  return {float(std::min(0.0, low + from * width)), float(std::max(0.0, low + to * width))};
}

// The least sum of squared errors: step^2 / 12 a value inside, the distance to the limit outside.
std::pair<float, float> Statistics::leastError(const RangeMethod &method) const {
  // Errors of cutting one side, by step of the search.
  auto cuts = [&](double limit) {
    std::vector<std::pair<double, double>> all; // limit, sum of squared distances beyond it
    for (int i = 0; i < sideSteps; ++i, limit *= sideFactor) {
      double sum = 0;
      for (size_t b = 0; limit != 0 && b < bins.size(); ++b) {
        double beyond = limit > 0 ? middle(b) - limit : limit - middle(b);
        if (beyond > 0)
          sum += bins[b] * beyond * beyond;
      }
      all.push_back({limit, sum});
      if (limit == 0)
        break;
    }
    return all;
  };
  double total = 0;
  for (double n : bins)
    total += n;
  auto lows = cuts(std::min(low, 0.0f)), highs = cuts(std::max(high, 0.0f));
  double best = INFINITY;
  std::pair<float, float> answer{low, high};
  for (const auto &[from, lost] : lows)
    for (const auto &[to, cut] : highs) {
      double width = method.symmetric ? 2 * std::max(-from, to) : to - from;
      double step = width / (method.levels - 1), error = lost + cut + total * step * step / 12;
      if (error < best) {
        best = error;
        answer = {float(from), float(to)};
      }
    }
  return answer;
}

// The least divergence of what the integers can tell from what was seen (Kullback and Leibler): what lies outside is
// counted at the limits, and all values of one integer count as equally frequent.
std::pair<float, float> Statistics::leastDivergence(const RangeMethod &method) const {
  double best = INFINITY;
  std::pair<float, float> answer{low, high};
  double factor = 1;
  for (int i = 0; i < sideSteps; ++i, factor *= sideFactor) {
    double from = std::min(0.0f, low) * factor, to = std::max(0.0f, high) * factor;
    if (method.symmetric)
      from = -(to = std::max(-from, to));
    double width = (double(high) - low) / bins.size();
    auto first = size_t(std::clamp((from - low) / width, 0.0, double(bins.size() - 1)));
    auto last = size_t(std::clamp((to - low) / width, first + 1.0, double(bins.size())));
    if (int64_t(last - first) < method.levels)
      break;
    std::vector<double> seen(bins.begin() + first, bins.begin() + last);
    std::vector<double> told(seen.size());
    double total = 0;
    for (double n : bins)
      total += n;
    for (size_t b = 0; b < first; ++b)
      seen.front() += bins[b];
    for (size_t b = last; b < bins.size(); ++b)
      seen.back() += bins[b];
    double inside = 0;
    for (int64_t level = 0; level < method.levels; ++level) {
      size_t a = seen.size() * level / method.levels, z = seen.size() * (level + 1) / method.levels;
      double sum = 0, filled = 0;
      for (size_t b = a; b < z; ++b) {
        sum += bins[first + b];
        filled += seen[b] > 0;
      }
      for (size_t b = a; b < z; ++b)
        if (seen[b] > 0)
          told[b] = sum / filled;
      inside += sum;
    }
    if (inside == 0)
      break;
    double divergence = 0;
    for (size_t b = 0; b < seen.size(); ++b)
      if (seen[b] > 0) {
        double p = seen[b] / total, q = std::max(told[b] / inside, 1e-9);
        divergence += p * std::log(p / q);
      }
    if (divergence < best) {
      best = divergence;
      answer = {float(from), float(to)};
    }
  }
  return answer;
}
