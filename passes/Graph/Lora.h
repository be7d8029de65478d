// Private: what graph-merge-lora knows of weights and adapters, shared by its two ways: merging them, and keeping the
// adapters as inputs.
#ifndef BURIN_PASSES_GRAPH_LORA_H
#define BURIN_PASSES_GRAPH_LORA_H

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace burin::graph::lora {

/// A weight that an adapter may change, as one operator sees it.
struct Target {
  mlir::Operation *user;
  unsigned operand;
  onnx::ConstantOp constant;
  llvm::SmallVector<mlir::Operation *, 2> chain; // Casts, Transposes and Identities between, from the constant on
  bool inputsFirst;                              // the constant is [in, out...], not [out, in...]
  bool isQuantized = false;
  int64_t outputs = 0, inputs = 0; // inputs: all that one output sees, the kernel included
  double gain = 1;                 // what the operator multiplies the product by
  llvm::SmallVector<std::string, 2> names;
};

/// Rows [from, from + rows) of an adapter's product, which become rows [to, to + rows) of a weight.
struct Assignment {
  llvm::SmallVector<unsigned> targets; // one constant, perhaps several users
  int64_t from = 0, rows = 0, to = 0;
  bool isPart = false; // of a fused weight
};

struct Factors {
  int64_t outputs = 0, rank = 0, inputs = 0, kernel = 1;
  llvm::SmallVector<float> up, down; // [outputs, rank], [rank, inputs]
};

/// One adapter's share of one weight, for a program that takes adapters as inputs.
struct Share {
  unsigned adapter;
  std::string name; // of the module, as the file has it
  Assignment assignment;
  Factors factors;
  double scale; // of the product
};

/// Adds the inputs `NAME.lora_A`, `NAME.lora_B` of each weight that a share changes, of the largest rank among the
/// shares, and `lora_scale`; and the operators that add scale * B A x. The values that make each of `files` of them go
/// to the module attribute `burin.lora_values`, with one of zeros. One located error where an operator cannot take a
/// second path.
mlir::LogicalResult addSwitches(mlir::ModuleOp module, mlir::func::FuncOp main, llvm::ArrayRef<Target> targets,
                                llvm::ArrayRef<Share> shares, llvm::ArrayRef<std::string> files);

} // namespace burin::graph::lora

#endif
