// The container of the vision unit: vpu tasks as the records of runtime/vpu/blob.h, where the format is drawn.
#ifndef BURIN_LIB_TARGET_BLOB_H
#define BURIN_LIB_TARGET_BLOB_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"
#include <string>

namespace burin {

struct BlobOptions {
  std::string unit, name, manifest;
  uint32_t shaves = 0, slices = 0, threads = 0, megahertz = 0;
  bool halfSums = false;        // the engine's strict mode
  std::vector<uint64_t> cycles; // modelled, of each task of @main in order; may be empty
};

/// Writes @main of a module that the vision unit's stage left. The same module gives the same bytes.
mlir::LogicalResult writeBlob(mlir::ModuleOp module, const BlobOptions &options, llvm::raw_ostream &out);

} // namespace burin

#endif
