// The tables of a blob while it is being made. For the files that write blobs only.
#ifndef BURIN_LIB_TARGET_BLOBTABLES_H
#define BURIN_LIB_TARGET_BLOBTABLES_H

#include "dialects/Vpu/Vpu.h"
#include "runtime/vpu/blob.h"
#include "llvm/ADT/StringMap.h"

namespace burin {

struct BlobTables {
  std::vector<burin_vpu_task> tasks;
  std::vector<burin_vpu_view> views;
  std::vector<burin_vpu_step> steps;
  std::string strings = std::string(1, '\0');
  std::string constants;
  llvm::DenseMap<mlir::Value, std::pair<uint8_t, uint32_t>> arguments; // space and number
  llvm::StringMap<std::pair<uint64_t, bool>> globals;                  // offset; all elements are one
  llvm::StringMap<uint32_t> stringPlaces;

  uint32_t string(llvm::StringRef text);

  /// The view of a memref as it is. Fails with a message where it is not static or of a type that no task takes.
  mlir::FailureOr<burin_vpu_view> view(mlir::Operation *op, mlir::Value memref);
};

/// The steps and views of a shave program, into `tables` and `task`.
mlir::LogicalResult addProgram(vpu::ShaveOp op, BlobTables &tables, burin_vpu_task &task);

} // namespace burin

#endif
