// Parameters, multiply-accumulates, bytes, intensity and energy of a model, by operator; see README.md for what counts.
#ifndef BURIN_LIB_COST_COST_H
#define BURIN_LIB_COST_COST_H

#include "lib/Support/Machine.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

namespace burin {

enum class Accounting { Macs, Edge };

struct CostOptions {
  Accounting accounting = Accounting::Macs;
  const Machine *machine = nullptr; // for the estimate; null: none
};

struct OperatorCost {
  mlir::Operation *op = nullptr;
  std::string name, kind, shape;                             // of the node; "Conv"; of its first result, "1x64x56x56"
  uint64_t params = 0, macs = 0, operations = 0;             // operations: elementwise ones, one a result element
  uint64_t weightBytes = 0, readBytes = 0, writtenBytes = 0; // read: activations
  double cycles = 0, arithmeticPicojoules = 0;
  bool isKnown = true;

  uint64_t bytes() const { return weightBytes + readBytes + writtenBytes; }
  double intensity() const { return bytes() ? double(2 * macs + operations) / bytes() : 0; } // operations a byte
  double sramPicojoules() const { return bytes() / 4.0 * 5; }
  double dramPicojoules() const { return bytes() / 4.0 * 640; }
};

struct ModelCost {
  std::vector<OperatorCost> operators; // in order; those that cost nothing are left out
  OperatorCost total;
  uint64_t peakActivationBytes = 0; // largest sum of values alive at once, none in place
  unsigned unknown = 0;             // operators whose sizes are not known
};

ModelCost analyze(mlir::func::FuncOp function, const CostOptions &options = {});

void printCost(const ModelCost &cost, llvm::raw_ostream &out);
llvm::json::Object toJson(const ModelCost &cost, bool byOperator = true);

/// Rewrites that would change results and are therefore not done, with what each would save.
void printAdvice(mlir::func::FuncOp function, const ModelCost &cost, llvm::raw_ostream &out);

} // namespace burin

#endif
