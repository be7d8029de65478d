// What the command line does to a model before it is optimized: adapters, pre- and postprocessing, types, parts of it.
// The options stand here, in one table with the passes they mean, so that the pipeline and the other tools share them.
#ifndef BURIN_LIB_PIPELINE_MODELEDITS_H
#define BURIN_LIB_PIPELINE_MODELEDITS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
}

namespace burin {

struct ModelEdits {
  std::vector<std::string> loras; // FILE.safetensors[:scale]
};

/// Sets the option `name`; false where it is none of these.
llvm::Expected<bool> setModelEdit(ModelEdits &edits, llvm::StringRef name, llvm::StringRef value);

/// Lines for the cache key: the options, and size and time of the files they name.
void printModelEdits(const ModelEdits &edits, llvm::raw_ostream &out);

/// Reads the files that the edits name into attributes of the module.
mlir::LogicalResult loadModelEdits(mlir::ModuleOp module, const ModelEdits &edits);

/// The passes of the edits, to run before the graph stage.
void addModelEdits(mlir::OpPassManager &pm, const ModelEdits &edits, bool verbose);

} // namespace burin

#endif
