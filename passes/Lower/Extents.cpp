// Arithmetic on extents: exact on polynomials, by new symbols where a polynomial cannot say it.
#include "passes/Lower/Extents.h"

using namespace mlir;

namespace burin::lower {

// Handles count down from here, far from every number and from MLIR's own mark of a dynamic dim.
static constexpr int64_t firstHandle = std::numeric_limits<int64_t>::min() / 2;
static constexpr size_t longSum = 4; // terms

Extents::Polynomial Extents::get(int64_t extent) const {
  if (!isFree(extent))
    return extent == 0 ? Polynomial() : Polynomial{{{}, extent}};
  size_t id = firstHandle - extent;
  if (id < polynomials.size())
    return polynomials[id];
  metUnknown = true;
  return Polynomial();
}

int64_t Extents::intern(Polynomial polynomial) {
  llvm::SmallVector<Monomial> zeros;
  for (auto &[monomial, coefficient] : polynomial)
    if (coefficient == 0)
      zeros.push_back(monomial);
  for (const Monomial &monomial : zeros)
    polynomial.erase(monomial);
  if (polynomial.empty())
    return 0;
  if (polynomial.size() == 1 && polynomial.begin()->first.empty())
    return polynomial.begin()->second;
  auto [it, isNew] = handles.try_emplace(polynomial, firstHandle - static_cast<int64_t>(polynomials.size()));
  if (isNew)
    polynomials.push_back(std::move(polynomial));
  return it->second;
}

int64_t Extents::symbol(Value value, bool isSize, std::optional<int64_t> most) {
  symbols.push_back({value, isSize, most});
  return intern({{{static_cast<unsigned>(symbols.size() - 1)}, 1}});
}

int64_t Extents::add(int64_t a, int64_t b) {
  if (!isFree(a) && !isFree(b))
    return a + b;
  Polynomial sum = get(a);
  for (const auto &[monomial, coefficient] : get(b))
    sum[monomial] += coefficient;
  return intern(std::move(sum));
}

int64_t Extents::mul(int64_t a, int64_t b) {
  if (!isFree(a) && !isFree(b))
    return a * b;
  Polynomial product;
  for (const auto &[x, m] : get(a))
    for (const auto &[y, n] : get(b)) {
      Monomial both = x;
      both.insert(both.end(), y.begin(), y.end());
      llvm::sort(both);
      product[both] += m * n;
    }
  return intern(std::move(product));
}

/// a / b, if every symbol of b is one of a.
static std::optional<std::vector<unsigned>> divide(const std::vector<unsigned> &a, const std::vector<unsigned> &b) {
  std::vector<unsigned> rest;
  size_t j = 0;
  for (unsigned symbol : a) {
    if (j < b.size() && b[j] == symbol)
      ++j;
    else
      rest.push_back(symbol);
  }
  return j == b.size() ? std::optional(rest) : std::nullopt;
}

std::optional<int64_t> Extents::divideExactly(int64_t a, int64_t b) {
  if (b == 0)
    return std::nullopt;
  Polynomial rest = get(a), divisor = get(b), quotient;
  // Long division by the greatest term; it ends, for every step removes the greatest term of what is left.
  for (int steps = 0; !rest.empty(); ++steps) {
    const auto &[monomial, coefficient] = *rest.rbegin();
    const auto &[leading, factor] = *divisor.rbegin();
    auto term = divide(monomial, leading);
    if (!term || coefficient % factor || steps > 64)
      return std::nullopt;
    int64_t by = coefficient / factor;
    quotient[*term] += by;
    for (const auto &[other, n] : divisor) {
      Monomial product = other;
      product.insert(product.end(), term->begin(), term->end());
      llvm::sort(product);
      if ((rest[product] -= by * n) == 0)
        rest.erase(product);
    }
  }
  return intern(std::move(quotient));
}

bool Extents::growsFirst(int64_t a, int64_t b) {
  if (!isFree(a) && !isFree(b))
    return a < b;
  if (divideExactly(b, a))
    return true;
  return !divideExactly(a, b) && isFree(b);
}

std::optional<int64_t> Extents::lowest(int64_t extent) {
  int64_t bound = 0;
  for (const auto &[monomial, coefficient] : get(extent)) {
    if (monomial.empty())
      bound += coefficient;
    else if (coefficient < 0 || !llvm::all_of(monomial, [&](unsigned s) { return symbols[s].isSize; }))
      return std::nullopt;
  }
  return bound;
}

std::optional<int64_t> Extents::highest(int64_t extent) {
  auto negated = lowest(mul(extent, -1));
  return negated ? std::optional(-*negated) : std::nullopt;
}

int64_t Extents::remember(int operation, int64_t x, int64_t y, int64_t z, llvm::function_ref<Value()> build,
                          bool isSize, std::optional<int64_t> most) {
  auto [it, isNew] = known.try_emplace({operation, x, y, z}, 0);
  if (!isNew)
    return it->second;
  int64_t made = symbol(build(), isSize, most);
  return known[{operation, x, y, z}] = made;
}

int64_t Extents::floorDiv(ImplicitLocOpBuilder &b, int64_t x, int64_t y) {
  if (y == 0)
    return x;
  if (!isFree(x) && !isFree(y))
    return llvm::divideFloorSigned(x, y);
  if (auto exact = divideExactly(x, y))
    return *exact;
  if (!isFree(y)) { // what the number divides leaves the division
    Polynomial whole, rest;
    for (const auto &[monomial, coefficient] : get(x)) {
      bool divisible = coefficient % y == 0;
      (divisible ? whole : rest)[monomial] += divisible ? coefficient / y : coefficient;
    }
    int64_t remaining = intern(std::move(rest)), quotient = intern(std::move(whole));
    if (!isFree(remaining) || quotient != 0)
      return add(quotient, floorDiv(b, remaining, y));
  }
  bool isSize = lowest(x).value_or(-1) >= 0 && lowest(y).value_or(-1) >= 0;
  return remember(
      divides, x, y, 0,
      [&]() -> Value {
        Value divisor = materialize(b, y);
        if (isFree(y))
          divisor = arith::MaxSIOp::create(b, divisor, arith::ConstantIndexOp::create(b, 1));
        if (isSize)
          return arith::DivSIOp::create(b, materialize(b, x), divisor);
        return arith::FloorDivSIOp::create(b, materialize(b, x), divisor);
      },
      isSize, isSize ? std::optional(x) : std::nullopt);
}

int64_t Extents::min(ImplicitLocOpBuilder &b, int64_t x, int64_t y) {
  int64_t difference = sub(x, y);
  if (lowest(difference).value_or(-1) >= 0)
    return y;
  if (highest(difference).value_or(1) <= 0)
    return x;
  if (x > y)
    std::swap(x, y);
  bool isSize = lowest(x).value_or(-1) >= 0 && lowest(y).value_or(-1) >= 0;
  return remember(
      least, x, y, 0, [&] { return arith::MinSIOp::create(b, materialize(b, x), materialize(b, y)); }, isSize,
      isFree(y) ? x : y);
}

int64_t Extents::max(ImplicitLocOpBuilder &b, int64_t x, int64_t y) {
  int64_t difference = sub(x, y);
  if (lowest(difference).value_or(-1) >= 0)
    return x;
  if (highest(difference).value_or(1) <= 0)
    return y;
  if (x > y)
    std::swap(x, y);
  bool xIsSize = lowest(x).value_or(-1) >= 0, yIsSize = lowest(y).value_or(-1) >= 0;
  return remember(
      greatest, x, y, 0, [&] { return arith::MaxSIOp::create(b, materialize(b, x), materialize(b, y)); },
      xIsSize || yIsSize, xIsSize && yIsSize ? std::optional(add(x, y)) : std::nullopt);
}

int64_t Extents::compare(ImplicitLocOpBuilder &b, arith::CmpIPredicate predicate, int64_t x, int64_t y) {
  int64_t difference = sub(x, y);
  if (!isFree(difference))
    return arith::applyCmpPredicate(predicate, llvm::APInt(64, difference, true), llvm::APInt(64, 0));
  auto low = lowest(difference), high = highest(difference);
  bool positive = low && *low > 0, negative = high && *high < 0;
  if (positive || negative) // any number of that sign stands for all
    return arith::applyCmpPredicate(predicate, llvm::APInt(64, positive ? 1 : -1, true), llvm::APInt(64, 0));
  using Predicate = arith::CmpIPredicate;
  if (predicate == Predicate::sge && low && *low >= 0)
    return 1;
  if (predicate == Predicate::slt && low && *low >= 0)
    return 0;
  if (predicate == Predicate::sle && high && *high <= 0)
    return 1;
  if (predicate == Predicate::sgt && high && *high <= 0)
    return 0;
  return remember(
      compares, x, y, static_cast<int64_t>(predicate),
      [&]() -> Value {
        Value holds = arith::CmpIOp::create(b, predicate, materialize(b, x), materialize(b, y));
        return arith::IndexCastUIOp::create(b, b.getIndexType(), holds);
      },
      true, 1);
}

int64_t Extents::select(ImplicitLocOpBuilder &b, int64_t condition, int64_t x, int64_t y) {
  if (!isFree(condition))
    return condition ? x : y;
  if (x == y)
    return x;
  bool isSize = lowest(x).value_or(-1) >= 0 && lowest(y).value_or(-1) >= 0;
  return remember(
      selects, condition, x, y,
      [&]() -> Value {
        Value zero = arith::ConstantIndexOp::create(b, 0);
        Value holds = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, materialize(b, condition), zero);
        return arith::SelectOp::create(b, holds, materialize(b, x), materialize(b, y));
      },
      isSize, isSize ? std::optional(add(x, y)) : std::nullopt);
}

std::optional<int64_t> Extents::mostAt(int64_t extent, Region *region) {
  int64_t sum = 0;
  Polynomial polynomial = get(extent);
  for (const auto &[monomial, coefficient] : polynomial) {
    int64_t most = 1;
    bool isSize = true, isKnown = true;
    for (unsigned symbol : monomial) {
      int64_t factor = intern({{{symbol}, 1}});
      isSize &= symbols[symbol].isSize;
      if (isVisible(factor, region)) {
        most = mul(most, factor);
        continue;
      }
      isKnown = false;
      auto bound = symbols[symbol].most ? mostAt(*symbols[symbol].most, region) : std::nullopt;
      if (!bound && coefficient > 0)
        return std::nullopt;
      most = mul(most, bound.value_or(0));
    }
    if (!isKnown && !isSize)
      return std::nullopt;
    if (isKnown || coefficient > 0) // what is subtracted and not known may be nothing
      sum = add(sum, mul(most, coefficient));
  }
  return sum;
}

bool Extents::isVisible(int64_t extent, Region *region) const {
  for (const auto &[monomial, coefficient] : get(extent))
    for (unsigned symbol : monomial)
      if (Value value = symbols[symbol].value; !value.getParentRegion()->isAncestor(region))
        return false;
  return true;
}

Value Extents::materialize(ImplicitLocOpBuilder &b, int64_t extent) {
  if (!isFree(extent))
    return arith::ConstantIndexOp::create(b, extent);
  Value sum;
  Polynomial polynomial = get(extent);
  if (polynomial.size() > longSum) {
    // Of integers, which MLIR's analyses of sizes do not look into: on sums of many sizes, as a Concat of what many
    // classes found makes, they take minutes. In an order in which such sums begin alike.
    for (const auto &[monomial, coefficient] : polynomial) {
      Value term = materialize(b, intern({{monomial, coefficient}}));
      term = arith::IndexCastOp::create(b, b.getI64Type(), term);
      sum = sum ? Value(arith::AddIOp::create(b, sum, term)) : term;
    }
    return arith::IndexCastOp::create(b, b.getIndexType(), sum);
  }
  for (const auto &[monomial, coefficient] : llvm::reverse(polynomial)) {
    Value product;
    for (unsigned symbol : monomial)
      product = product ? Value(arith::MulIOp::create(b, product, symbols[symbol].value)) : symbols[symbol].value;
    if (!product)
      product = arith::ConstantIndexOp::create(b, coefficient);
    else if (coefficient != 1)
      product = arith::MulIOp::create(b, product, arith::ConstantIndexOp::create(b, coefficient));
    sum = sum ? Value(arith::AddIOp::create(b, sum, product)) : product;
  }
  return sum;
}

} // namespace burin::lower
