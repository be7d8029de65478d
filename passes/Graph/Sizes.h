// Private: arithmetic on tensor sizes that have names instead of numbers. A Size is a polynomial over symbols in a
// canonical form, so that two computations of one size are recognised as the same by comparing them. A symbol is a
// size: never negative. What no polynomial says (a quotient, a minimum) is a symbol of its own, named by its text.
#ifndef BURIN_PASSES_GRAPH_SIZES_H
#define BURIN_PASSES_GRAPH_SIZES_H

#include "mlir/Support/LLVM.h"
#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSet.h"

#include <cstdint>
#include <optional>
#include <string>

namespace burin::graph {

/// Sum of coefficient * product of symbols, ordered, no term zero. Symbols are numbers of a SizeTable.
class Size {
public:
  using Product = llvm::SmallVector<unsigned, 2>;
  Size(int64_t value = 0);
  static Size symbol(unsigned id);

  std::optional<int64_t> constant() const;
  /// The one symbol this is, nothing where it is more or less.
  std::optional<unsigned> asSymbol() const;
  /// The least value it can have, for every symbol is at least 0; nothing where a term is subtracted.
  std::optional<int64_t> least() const;
  bool contains(unsigned symbol) const;
  bool operator==(const Size &other) const { return terms == other.terms; }
  bool operator!=(const Size &other) const { return terms != other.terms; }

  llvm::ArrayRef<std::pair<Product, int64_t>> getTerms() const { return terms; }
  /// Nothing where the result would be unreasonably long, or a number out of the range of sizes.
  static std::optional<Size> add(const Size &a, const Size &b, int64_t factor = 1);
  static std::optional<Size> multiply(const Size &a, const Size &b);
  /// a / b where that leaves nothing over, whatever the symbols are.
  static std::optional<Size> divide(const Size &a, const Size &b);

private:
  llvm::SmallVector<std::pair<Product, int64_t>, 2> terms;
};

/// Names of symbols, and what is known to be equal.
class SizeTable {
public:
  /// The size of that name; a name learned to be a sum is that sum.
  Size named(llvm::StringRef name);
  /// A symbol that is equal to nothing else. Its name is one that `reserve` never saw.
  Size fresh();
  bool isFresh(const Size &size) const;
  /// Keeps `fresh` from giving this name.
  void reserve(llvm::StringRef name) { symbolOf(name); }
  /// From now on `name` is `size`. False where that says nothing new or contradicts.
  bool learn(llvm::StringRef name, const Size &size);
  std::string text(const Size &size) const;

  /// The quotient rounded down, of a size known not to be negative.
  Size quotient(const Size &a, int64_t b);
  Size minimum(const Size &a, const Size &b);
  /// max(a, 0).
  Size clamped(const Size &a);
  /// True if the size is min(other, a constant from 1).
  bool isMinimumOf(const Size &size, const Size &other) const;

private:
  unsigned symbolOf(llvm::StringRef name);
  llvm::StringMap<unsigned> ids;
  llvm::SmallVector<std::string> names;
  llvm::SmallVector<bool> freshness;
  llvm::StringMap<Size> meanings;
  llvm::StringMap<std::string> shortNames; // text of a sum -> the name that means it
  llvm::StringMap<Size> minimumOf;         // name of a minimum with a constant -> the other side
  unsigned counter = 0;
};

} // namespace burin::graph

#endif
