// Polynomials over named sizes. Short by construction: a sum of more than eight terms or a product of more than four
// symbols is given up, since no shape computation of an exporter needs it and comparing must stay cheap.
#include "passes/Graph/Sizes.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

using namespace mlir;

namespace burin::graph {

constexpr size_t maxTerms = 8, maxDegree = 4;
constexpr int64_t maxValue = int64_t(1) << 40;

Size::Size(int64_t value) {
  if (value != 0)
    terms.push_back({Product(), value});
}

Size Size::symbol(unsigned id) {
  Size size;
  size.terms.push_back({Product{id}, 1});
  return size;
}

std::optional<int64_t> Size::constant() const {
  if (terms.empty())
    return 0;
  return terms.size() == 1 && terms[0].first.empty() ? std::optional<int64_t>(terms[0].second) : std::nullopt;
}

std::optional<unsigned> Size::asSymbol() const {
  bool single = terms.size() == 1 && terms[0].first.size() == 1 && terms[0].second == 1;
  return single ? std::optional<unsigned>(terms[0].first[0]) : std::nullopt;
}

std::optional<int64_t> Size::least() const {
  int64_t value = 0;
  for (const auto &[product, factor] : terms) {
    if (product.empty())
      value = factor;
    else if (factor < 0)
      return std::nullopt;
  }
  return value;
}

bool Size::contains(unsigned symbol) const {
  return llvm::any_of(terms, [&](const auto &term) { return llvm::is_contained(term.first, symbol); });
}

std::optional<Size> Size::add(const Size &a, const Size &b, int64_t factor) {
  Size sum;
  auto left = a.terms.begin(), right = b.terms.begin();
  while (left != a.terms.end() || right != b.terms.end()) {
    bool takeLeft = right == b.terms.end() || (left != a.terms.end() && left->first <= right->first);
    bool takeRight = left == a.terms.end() || (right != b.terms.end() && right->first <= left->first);
    const Product &product = takeLeft ? left->first : right->first;
    int64_t value = (takeLeft ? left->second : 0) + (takeRight ? factor * right->second : 0);
    if (std::abs(value) > maxValue)
      return std::nullopt;
    if (value != 0)
      sum.terms.push_back({product, value});
    left += takeLeft;
    right += takeRight;
  }
  return sum.terms.size() <= maxTerms ? std::optional<Size>(sum) : std::nullopt;
}

std::optional<Size> Size::multiply(const Size &a, const Size &b) {
  Size sum;
  for (const auto &[left, x] : a.terms)
    for (const auto &[right, y] : b.terms) {
      if (left.size() + right.size() > maxDegree || std::abs(x) > maxValue / std::max<int64_t>(std::abs(y), 1))
        return std::nullopt;
      Size term;
      Product product(left);
      product.append(right.begin(), right.end());
      llvm::sort(product);
      term.terms.push_back({product, x * y});
      auto next = add(sum, term);
      if (!next)
        return std::nullopt;
      sum = *next;
    }
  return sum;
}

std::optional<Size> Size::divide(const Size &a, const Size &b) {
  if (b.terms.empty())
    return std::nullopt;
  // A polynomial divides itself; anything else only by a single term.
  if (a == b)
    return Size(1);
  if (b.terms.size() != 1)
    return std::nullopt;
  const auto &[divisor, factor] = b.terms[0];
  Size result;
  for (const auto &[product, value] : a.terms) {
    if (value % factor != 0)
      return std::nullopt;
    Product rest(product);
    for (unsigned symbol : divisor) {
      auto *it = llvm::find(rest, symbol);
      if (it == rest.end())
        return std::nullopt;
      rest.erase(it);
    }
    result.terms.push_back({rest, value / factor});
  }
  llvm::sort(result.terms);
  return result;
}

unsigned SizeTable::symbolOf(StringRef name) {
  auto [it, isNew] = ids.try_emplace(name, names.size());
  if (isNew) {
    names.push_back(name.str());
    freshness.push_back(false);
  }
  return it->second;
}

Size SizeTable::named(StringRef name) {
  auto it = meanings.find(name);
  return it != meanings.end() ? it->second : Size::symbol(symbolOf(name));
}

Size SizeTable::fresh() {
  std::string name;
  do
    name = "d" + std::to_string(counter++);
  while (ids.contains(name));
  unsigned id = symbolOf(name);
  freshness[id] = true;
  return Size::symbol(id);
}

bool SizeTable::isFresh(const Size &size) const {
  auto symbol = size.asSymbol();
  return symbol && freshness[*symbol];
}

bool SizeTable::learn(StringRef name, const Size &size) {
  unsigned id = symbolOf(name);
  if (meanings.contains(name) || size.contains(id) || size.constant())
    return false;
  for (const auto &[product, factor] : size.getTerms())
    for (unsigned symbol : product)
      if (meanings.contains(names[symbol]))
        return false;
  // What was learned before in terms of this name would say it the old way.
  for (const auto &known : meanings)
    if (known.second.contains(id))
      return false;
  std::string sum = text(size);
  meanings.try_emplace(name, size);
  shortNames.try_emplace(sum, name.str());
  return true;
}

std::string SizeTable::text(const Size &size) const {
  if (auto value = size.constant())
    return std::to_string(*value);
  std::string out;
  for (const auto &[product, factor] : llvm::reverse(size.getTerms())) {
    out += out.empty() ? (factor < 0 ? "-" : "") : factor < 0 ? " - " : " + ";
    if (std::abs(factor) != 1 || product.empty())
      out += std::to_string(std::abs(factor)) + (product.empty() ? "" : "*");
    llvm::interleave(product, [&](unsigned symbol) { out += names[symbol]; }, [&] { out += "*"; });
  }
  auto known = shortNames.find(out);
  return known == shortNames.end() ? out : known->second;
}

Size SizeTable::quotient(const Size &a, int64_t b) {
  if (auto value = a.constant())
    return llvm::divideFloorSigned(*value, b);
  if (auto exact = Size::divide(a, b))
    return *exact;
  return named("(" + text(a) + ")//" + std::to_string(b));
}

Size SizeTable::minimum(const Size &a, const Size &b) {
  if (a == b)
    return a;
  if (auto rest = Size::add(a, b, -1)) {
    if (rest->least().value_or(-1) >= 0)
      return b;
    if (auto other = Size::add(b, a, -1); other && other->least().value_or(-1) >= 0)
      return a;
  }
  std::string x = text(a), y = text(b);
  std::string name = "min(" + std::min(x, y) + ", " + std::max(x, y) + ")";
  if (a.constant().value_or(0) >= 1 || b.constant().value_or(0) >= 1)
    minimumOf.try_emplace(name, a.constant() ? b : a);
  return named(name);
}

Size SizeTable::clamped(const Size &a) {
  if (a.least().value_or(-1) >= 0)
    return a;
  if (a.constant())
    return 0;
  return named("max(" + text(a) + ", 0)");
}

bool SizeTable::isMinimumOf(const Size &size, const Size &other) const {
  auto symbol = size.asSymbol();
  auto it = symbol ? minimumOf.find(names[*symbol]) : minimumOf.end();
  return it != minimumOf.end() && it->second == other;
}

} // namespace burin::graph
