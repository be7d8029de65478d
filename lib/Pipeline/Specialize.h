// --specialize NAME=1,8,32: beside the code for all sizes, code for some; which runs is decided at the entry, by the
// inputs' dims. All share one weight section.
#ifndef BURIN_LIB_PIPELINE_SPECIALIZE_H
#define BURIN_LIB_PIPELINE_SPECIALIZE_H

#include "lib/Pipeline/CompileOptions.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

namespace burin {

/// The values of some free dims, and the model with them bound.
struct Specialization {
  std::vector<std::pair<std::string, int64_t>> dims;
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::string suffix() const; // of its symbols: "batch8_length128"
};

/// One for each combination of the values that --specialize lists; names must be free dims of `module`'s inputs.
mlir::FailureOr<std::vector<Specialization>> makeSpecializations(mlir::ModuleOp module, const CompileOptions &options);

/// Gives `module` and its specializations one weight section, after the tensor stage. Equal weights lie there once.
mlir::LogicalResult shareWeights(mlir::ModuleOp module, llvm::MutableArrayRef<Specialization> specializations);

/// After the target stage: makes @entry and @plan of `code` hand over to those of `specialized`, whose symbols will
/// have `prefix`, where the inputs have its dims. Its layers count on from those of `code`.
mlir::LogicalResult addDispatch(mlir::ModuleOp code, mlir::ModuleOp specialized, const Specialization &specialization,
                                llvm::StringRef prefix);

} // namespace burin

#endif
