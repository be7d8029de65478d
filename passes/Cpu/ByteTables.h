// Functions of one byte as tables of 256 bytes. In bodies of operations a lookup is scalar and plain,
// `vector.extract %table[index_castui %byte]` of a constant vector<256xi8>; kernels write it for vectors by
// `emitLookup`, and what stays scalar becomes a load from a constant at the end (`placeTables`).
#ifndef BURIN_PASSES_CPU_BYTETABLES_H
#define BURIN_PASSES_CPU_BYTETABLES_H

#include "lib/Support/Machine.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"

namespace burin::cpu {

struct ByteTable {
  mlir::Value input;              // a byte
  mlir::DenseElementsAttr values; // vector<256xi8>, by the byte as unsigned
};

/// `byte` as a function of one other byte, where it is worth a table; `weight` is about how many instructions it takes
/// now.
std::optional<ByteTable> tabulate(mlir::Value byte, double &weight);

/// The lookup that `value` is, if it is one.
std::optional<ByteTable> matchLookup(mlir::Value value);
/// A scalar lookup.
mlir::Value createLookup(mlir::OpBuilder &b, mlir::Location loc, const ByteTable &table);

/// Instructions that a lookup takes for a whole register of bytes; 0 where the machine has none that help.
double lookupWeight(const Machine &machine);
/// The entries for each of `bytes`, a vector or one.
mlir::Value emitLookup(mlir::OpBuilder &b, mlir::Location loc, const Machine &machine, mlir::DenseElementsAttr table,
                       mlir::Value bytes);

/// Scalar lookups in LLVM functions become loads from constants of the module, equal tables one.
void placeTables(mlir::ModuleOp module);

} // namespace burin::cpu

#endif
