// A graph in this process: compiled for the shapes of the data it gets, once for each, and run. What calibration sees a
// model through; sessions of the C API do the work.
#ifndef BURIN_LIB_CALIBRATE_RUNNER_H
#define BURIN_LIB_CALIBRATE_RUNNER_H

#include "burin/Compiler.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace burin {

/// One sample: a tensor for each input of the model, in its order. Memory belongs to whoever made it.
using Sample = llvm::ArrayRef<burin_tensor>;

class Runner {
public:
  /// `module`: onnx IR with a function main, which is copied. `values`: of that function, which become outputs after
  /// its own.
  Runner(mlir::ModuleOp module, llvm::ArrayRef<mlir::Value> values = {});
  Runner(const Runner &) = delete;
  ~Runner();

  /// Outputs of the model, then the values; valid until the next call.
  llvm::Expected<llvm::ArrayRef<burin_tensor>> run(Sample inputs);

private:
  struct Session;
  llvm::Expected<Session *> find(Sample inputs);

  std::string bytecode;
  std::vector<std::string> inputNames;
  std::map<std::string, std::unique_ptr<Session>> sessions; // by the inputs' shapes
};

/// The elements of a float tensor.
llvm::ArrayRef<float> floatsOf(const burin_tensor &tensor);
int64_t countOf(const burin_tensor &tensor);

} // namespace burin

#endif
