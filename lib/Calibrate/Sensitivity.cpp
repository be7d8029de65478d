// The search for layers that stay float, its table and its picture.
#include "lib/Calibrate/Sensitivity.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"
#include <algorithm>
#include <cmath>
#include <numeric>

using namespace burin;

// Giving back is tried for as many layers; beyond that the ranking has to be trusted.
static constexpr size_t mostGivenBack = 16;

llvm::Expected<FloatChoice> burin::chooseFloatLayers(std::vector<Layer> layers, const FloatSearch &search,
                                                     llvm::function_ref<void(size_t, size_t)> progress) {
  size_t count = layers.size();
  FloatChoice choice;
  choice.bound = search.bound;
  auto finish = [&](llvm::ArrayRef<size_t> order, const llvm::BitVector &kept, double score) {
    for (size_t index : order) {
      choice.layers.push_back(layers[index]);
      choice.layers.back().isFloat = kept[index];
    }
    choice.score = score;
    return choice;
  };
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  llvm::BitVector none(count);
  auto all = search.score(none);
  if (!all)
    return all.takeError();
  choice.curve[0] = *all;
  for (size_t i = 0; i < count; ++i) {
    progress(i, count);
    llvm::BitVector others(count, true);
    others.reset(i);
    auto alone = search.alone(others);
    if (!alone)
      return alone.takeError();
    layers[i].alone = *alone;
  }
  llvm::stable_sort(order, [&](size_t a, size_t b) { return layers[a].alone < layers[b].alone; });
  if (*all >= search.bound)
    return finish(order, none, *all);

  auto keep = [&](size_t k) {
    llvm::BitVector kept(count);
    for (size_t i = 0; i < k; ++i)
      kept.set(order[i]);
    return kept;
  };
  auto tried = [&](size_t k) -> llvm::Expected<bool> {
    progress(k, count);
    auto score = search.score(keep(k));
    if (!score)
      return score.takeError();
    choice.curve[k] = *score;
    return k == count || *score >= search.bound;
  };
  // `low` fails, `high` holds.
  size_t low = 0, high = 1;
  while (true) {
    high = std::min(high, count);
    auto holds = tried(high);
    if (!holds)
      return holds.takeError();
    if (*holds)
      break;
    low = high;
    high *= 2;
  }
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    auto holds = tried(middle);
    if (!holds)
      return holds.takeError();
    (*holds ? high : low) = middle;
  }
  llvm::BitVector kept = keep(high);
  double score = choice.curve[high];
  for (size_t i = high; i-- > 0 && high - i <= mostGivenBack;) {
    progress(high - i, high);
    if (kept.count() == 1)
      break;
    llvm::BitVector fewer = kept;
    fewer.reset(order[i]);
    auto without = search.score(fewer);
    if (!without)
      return without.takeError();
    if (*without < search.bound)
      continue;
    kept = fewer;
    score = *without;
    choice.curve[kept.count()] = score;
  }
  return finish(order, kept, score);
}

void burin::printFloatChoice(const FloatChoice &choice, llvm::raw_ostream &out) {
  size_t kept = llvm::count_if(choice.layers, [](const Layer &l) { return l.isFloat; });
  out << llvm::formatv("{0} of {1} layers stay float: score {2:f4}{3}, bound {4:f4}\n", kept, choice.layers.size(),
                       choice.score, choice.unit, choice.bound);
  out << llvm::formatv("  {0,-32} {1,-14} {2,12}\n", "most sensitive layers", "operator", "alone, dB");
  for (const Layer &layer : llvm::ArrayRef(choice.layers).take_front(std::max<size_t>(kept + 4, 8)))
    out << llvm::formatv("  {0,-32} {1,-14} {2,12:f1} {3}\n", layer.name, layer.kind, layer.alone,
                         layer.isFloat ? "float" : "");
}

void burin::drawFloatChoice(const FloatChoice &choice, llvm::raw_ostream &out) {
  constexpr double width = 640, height = 360, margin = 56;
  double least = choice.bound, most = choice.bound;
  size_t last = 1;
  for (auto [k, score] : choice.curve) {
    if (std::isfinite(score)) {
      least = std::min(least, score);
      most = std::max(most, score);
    }
    last = std::max(last, k);
  }
  double span = most > least ? most - least : 1;
  auto x = [&](double k) { return margin + (width - 2 * margin) * k / last; };
  auto y = [&](double s) { return height - margin - (height - 2 * margin) * (std::min(s, most) - least) / span; };
  size_t kept = llvm::count_if(choice.layers, [](const Layer &l) { return l.isFloat; });
  out << llvm::formatv(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" font-family=\"sans-serif\" "
      "font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
      width, height);
  out << llvm::formatv("<line x1=\"{0}\" y1=\"{1}\" x2=\"{2}\" y2=\"{1}\" stroke=\"black\"/>\n", margin,
                       height - margin, width - margin);
  out << llvm::formatv("<line x1=\"{0}\" y1=\"{1}\" x2=\"{0}\" y2=\"{2}\" stroke=\"black\"/>\n", margin, margin,
                       height - margin);
  out << llvm::formatv("<line x1=\"{0:f1}\" y1=\"{1:f1}\" x2=\"{2:f1}\" y2=\"{1:f1}\" stroke=\"firebrick\" "
                       "stroke-dasharray=\"6 4\"/>\n<text x=\"{2:f1}\" y=\"{3:f1}\" text-anchor=\"end\" "
                       "fill=\"firebrick\">bound {4:f3}</text>\n",
                       margin, y(choice.bound), width - margin, y(choice.bound) - 4, choice.bound);
  out << "<polyline fill=\"none\" stroke=\"steelblue\" stroke-width=\"2\" points=\"";
  for (auto [k, score] : choice.curve)
    if (std::isfinite(score))
      out << llvm::formatv("{0:f1},{1:f1} ", x(k), y(score));
  out << "\"/>\n";
  for (auto [k, score] : choice.curve)
    if (std::isfinite(score))
      out << llvm::formatv("<circle cx=\"{0:f1}\" cy=\"{1:f1}\" r=\"{2}\" fill=\"{3}\"><title>{4} float layers: "
                           "{5:f4}</title></circle>\n",
                           x(k), y(score), k == kept ? 6 : 4, k == kept ? "seagreen" : "steelblue", k, score);
  out << llvm::formatv("<text x=\"{0}\" y=\"{1}\" text-anchor=\"middle\">layers in float, of {2}</text>\n", width / 2,
                       height - 16, choice.layers.size());
  out << llvm::formatv("<text x=\"{0}\" y=\"{1}\">score{2}</text>\n", margin, margin - 16, choice.unit);
  for (double k : {0.0, double(last)})
    out << llvm::formatv("<text x=\"{0:f1}\" y=\"{1}\" text-anchor=\"middle\">{2:f0}</text>\n", x(k),
                         height - margin + 16, k);
  for (double s : {least, most})
    out << llvm::formatv("<text x=\"{0}\" y=\"{1:f1}\" text-anchor=\"end\">{2:f3}</text>\n", margin - 6, y(s) + 4, s);
  out << "</svg>\n";
}
