// Door of the quantize stage: passes on the onnx dialect that make a float graph a quantized one, in ONNX's own
// operators. What calibration has measured comes as attributes; nothing here runs a model or opens a file.
#ifndef BURIN_PASSES_QUANT_PASSES_H
#define BURIN_PASSES_QUANT_PASSES_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/Pass.h"
#include <optional>

namespace burin::quant {

#define GEN_PASS_DECL
#include "passes/Quant/Passes.h.inc"

/// Which operators may be quantized: names of nodes or operators. `only` empty: all that can be.
struct Selection {
  llvm::SmallVector<std::string> keep, only;
};

/// The activations whose ranges quant-insert-qdq will ask for: operands and results of operators that it would
/// quantize, in order.
llvm::SmallVector<mlir::Value> getActivations(mlir::func::FuncOp function, const Selection &selection);
/// The operators with weights that it would quantize, in order: what is ranked by sensitivity.
llvm::SmallVector<mlir::Operation *> getProducts(mlir::func::FuncOp function, const Selection &selection);

/// What calibration found out about a value, as an attribute of its operator or argument.
struct Range {
  float low, high;
};
void setRange(mlir::Value value, Range range);
std::optional<Range> getRange(mlir::Value value);
/// Takes all that calibration wrote off the module.
void clearCalibration(mlir::ModuleOp module);

void registerQuantPasses();

} // namespace burin::quant

#endif
