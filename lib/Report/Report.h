// What --report shows: the graph at two points, the arena over time, and the page that draws both.
#ifndef BURIN_LIB_REPORT_REPORT_H
#define BURIN_LIB_REPORT_REPORT_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/JSON.h"

namespace burin {

/// {nodes: [{op, name, in: [numbers of nodes], shape, params, macs, bytes}], macs, params, ...}: the main function of
/// the onnx dialect, inputs first, without constants. `table` adds the costs of every operator.
llvm::json::Object graphOf(mlir::ModuleOp module);

/// {arena, peak, steps, slots: [{name, offset, bytes, first, last}]}: the buffers of the arena and the steps of @main
/// between which they are in use, after the tensor stage. Buffers whose place is not constant are left out.
llvm::json::Object memoryOf(mlir::ModuleOp module);

/// Adds to the report in the folder what a run has measured: `trace` as the runtime's --profile=FILE writes it.
llvm::Error addProfile(llvm::StringRef folder, llvm::StringRef trace);

/// Writes DIR/index.html and DIR/report.json; makes the folder.
llvm::Error writeReport(llvm::StringRef folder, const llvm::json::Object &data);

} // namespace burin

#endif
