// What is measured for the passes that rewrite weights by what a layer computes: moments of the patches it reads, and
// how much its result matters to the graph's.
#ifndef BURIN_LIB_CALIBRATE_MOMENTS_H
#define BURIN_LIB_CALIBRATE_MOMENTS_H

#include "lib/Calibrate/Batches.h"
#include "mlir/IR/BuiltinOps.h"

namespace burin {

using MeasureProgress = llvm::function_ref<void(llvm::StringRef what, size_t done, size_t total)>;

/// Gives every product of `module`'s main its moments (quant::setMoments). Of a layer with many patches, evenly chosen
/// ones are looked at, as many as bound the work.
llvm::Error measureMoments(mlir::ModuleOp module, Batches &batches, MeasureProgress progress);

/// Gives every product with moments its sensitivity (quant::setSensitivity): a small seeded change of its weights, and
/// what that does to the outputs.
llvm::Error measureSensitivities(mlir::ModuleOp module, Batches &batches, MeasureProgress progress);

} // namespace burin

#endif
