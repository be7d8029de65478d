// The data to calibrate with: npz files with a tensor for each input, and folders of pictures that go through the
// preprocessing of the command line. Files are read when their turn comes, always in the same order.
#ifndef BURIN_LIB_CALIBRATE_BATCHES_H
#define BURIN_LIB_CALIBRATE_BATCHES_H

#include "lib/Calibrate/Runner.h"
#include "lib/Pipeline/ModelEdits.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace burin {

class Batches {
public:
  /// `main` says which inputs there are. Folders are listed here; the error names what was expected.
  static llvm::Expected<std::unique_ptr<Batches>> create(llvm::ArrayRef<std::string> places, mlir::func::FuncOp main,
                                                         const ModelEdits &preprocessing);
  ~Batches();

  /// Calls `use` for each sample. A file whose tensors hold several times the model's batch gives as many samples.
  /// `progress` is told which file of how many it is.
  llvm::Error forEach(llvm::function_ref<llvm::Error(Sample)> use,
                      llvm::function_ref<void(size_t file, size_t files)> progress);

private:
  struct Pictures;
  Batches();
  llvm::Error forFile(const std::string &path, llvm::function_ref<llvm::Error(Sample)> use);

  std::vector<std::string> files;
  std::vector<burin_tensor> inputs; // names below; dims -1 where free, data null
  std::vector<std::string> names;
  std::unique_ptr<Pictures> pictures;
};

} // namespace burin

#endif
