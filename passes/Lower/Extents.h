// Sizes that are not known when code is made: polynomials of symbols, each symbol an index value of the program.
//
// The idea: an extent stays an int64_t everywhere. At or above 0 it is the number itself; far below it is a handle of a
// polynomial in this table. Polynomials are kept once, in normal form, so two extents are provably equal exactly when
// their integers are, and shapes can be compared, permuted and stored like static ones. Only arithmetic goes through
// the table.
#ifndef BURIN_PASSES_LOWER_EXTENTS_H
#define BURIN_PASSES_LOWER_EXTENTS_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <map>
#include <optional>
#include <vector>

namespace burin::lower {

/// True for a handle, false for a number.
inline bool isFree(int64_t extent) { return extent < std::numeric_limits<int64_t>::min() / 4; }
inline bool anyFree(llvm::ArrayRef<int64_t> extents) { return llvm::any_of(extents, isFree); }

class Extents {
public:
  /// A new symbol that stands for `value` (index type). `isSize`: never negative. `most`: never exceeds this extent.
  int64_t symbol(mlir::Value value, bool isSize = true, std::optional<int64_t> most = std::nullopt);

  int64_t add(int64_t a, int64_t b);
  int64_t sub(int64_t a, int64_t b) { return add(a, mul(b, -1)); }
  int64_t mul(int64_t a, int64_t b);
  /// a / b where b divides a as a polynomial.
  std::optional<int64_t> divideExactly(int64_t a, int64_t b);
  /// Of two runs of dims that are to have one product, the one that still lacks dims: true for that of product a.
  bool growsFirst(int64_t a, int64_t b);
  /// Rounded towards minus infinity; a divisor of 0 counts as 1. New arithmetic is built at `b`.
  int64_t floorDiv(mlir::ImplicitLocOpBuilder &b, int64_t x, int64_t y);
  int64_t min(mlir::ImplicitLocOpBuilder &b, int64_t x, int64_t y);
  int64_t max(mlir::ImplicitLocOpBuilder &b, int64_t x, int64_t y);
  /// 1 where the comparison holds, else 0.
  int64_t compare(mlir::ImplicitLocOpBuilder &b, mlir::arith::CmpIPredicate predicate, int64_t x, int64_t y);
  /// condition != 0 ? x : y.
  int64_t select(mlir::ImplicitLocOpBuilder &b, int64_t condition, int64_t x, int64_t y);

  /// The least and greatest value `extent` is known to have.
  std::optional<int64_t> lowest(int64_t extent);
  std::optional<int64_t> highest(int64_t extent);

  /// Remembers that the program has checked x == y; false where it has before.
  bool learnEqual(int64_t x, int64_t y) { return known.try_emplace({checked, x, y, 0}, 0).second; }
  /// An extent known where `region` stands that `extent` never exceeds.
  std::optional<int64_t> mostAt(int64_t extent, mlir::Region *region);
  /// True if every symbol of the extent is known where `region` stands.
  bool isVisible(int64_t extent, mlir::Region *region) const;
  /// The extent as an index value, built at `b`.
  mlir::Value materialize(mlir::ImplicitLocOpBuilder &b, int64_t extent);

  /// Set when a number far below 0 came by that is no handle: MLIR's mark of a dynamic dim, or arithmetic on a handle
  /// by an operator that takes no free dims.
  mutable bool metUnknown = false;

  /// What was built inside a branch or body must not be used after it: a mark to come back to.
  using Memory = std::map<std::tuple<int, int64_t, int64_t, int64_t>, int64_t>;
  Memory memory() const { return known; }
  void restore(Memory memory) { known = std::move(memory); }

private:
  enum Operation { divides, least, greatest, selects, compares, checked };
  using Monomial = std::vector<unsigned>; // symbols, ascending, with repetition
  using Polynomial = std::map<Monomial, int64_t>;
  struct Symbol {
    mlir::Value value;
    bool isSize;
    std::optional<int64_t> most; // never exceeds this extent
  };

  std::vector<Symbol> symbols;
  std::vector<Polynomial> polynomials;
  std::map<Polynomial, int64_t> handles;
  Memory known; // operation and operands -> extent

  Polynomial get(int64_t extent) const;
  int64_t intern(Polynomial polynomial);
  int64_t remember(int operation, int64_t x, int64_t y, int64_t z, llvm::function_ref<mlir::Value()> build, bool isSize,
                   std::optional<int64_t> most);
};

} // namespace burin::lower

#endif
