// Pruning and sharing weights before (or without) quantization: the passes of passes/Quant in their order, with what
// they want measured.
#ifndef BURIN_LIB_CALIBRATE_COMPRESSION_H
#define BURIN_LIB_CALIBRATE_COMPRESSION_H

#include "lib/Calibrate/Moments.h"
#include "lib/Calibrate/Options.h"
#include "llvm/Support/JSON.h"

namespace burin {

/// Rewrites `module` as --prune-channels, --prune and --share say; without data (null) nothing makes up for what is
/// lost. `summary` gets a table for people, `report` the same as `compression`. An empty error: a diagnostic said it.
llvm::Error compress(mlir::ModuleOp module, const QuantizeOptions &options, Batches *batches, MeasureProgress progress,
                     std::string &summary, llvm::json::Object &report);

} // namespace burin

#endif
