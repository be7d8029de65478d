// What users add to the road without rebuilding the compiler: plugins, PDLL patterns, textual pipelines, Python files
// and functions. Each becomes a step: passes at a named point. Files are read here, so that no pass opens one.
//
//   --load-pass-plugin=X.so   --patterns=[POINT:]X.pdll   --passes=[POINT:]PIPELINE   --passes=[POINT:]X.py
//   POINT: after-import, after-graph (default), before-target, or before-FLAG and after-FLAG of a graph pass, the first
//   time it runs
#ifndef BURIN_LIB_PIPELINE_PLUGINS_H
#define BURIN_LIB_PIPELINE_PLUGINS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
class Pass;
} // namespace mlir

namespace burin {

struct UserStep {
  std::string point;
  std::string origin; // as given, for messages and the cache key
  std::string stamp;  // what the cache key must know of the file behind it
  /// Fails with a text in `why`.
  std::function<llvm::LogicalResult(mlir::OpPassManager &pm, std::string &why)> add;
};

using UserSteps = std::vector<UserStep>;

/// Loads the library, registers its passes and appends a step for each hook. The error says what is wrong with it.
llvm::Error addPlugin(UserSteps &steps, llvm::StringRef path);
/// Compiles `[POINT:]FILE.pdll` (or takes `FILE.mlir`, PDL as MLIR) and appends a step.
llvm::Error addPatterns(UserSteps &steps, llvm::StringRef value);
/// `[POINT:]PIPELINE` or `[POINT:]FILE.py`.
llvm::Error addPasses(UserSteps &steps, llvm::StringRef value);

/// A function over the model as an ONNX file in memory, from outside this library.
using ModelRewriter = std::function<llvm::Expected<std::string>(llvm::StringRef onnx)>;
llvm::Error addRewriter(UserSteps &steps, llvm::StringRef point, llvm::StringRef name, ModelRewriter rewriter);

/// The steps at `point`, as passes. One located error where a step does not fit.
llvm::LogicalResult addStepsAt(llvm::StringRef point, const UserSteps &steps, mlir::OpPassManager &pm,
                               mlir::Location where);
/// True if there is a step at the point, or at any before-FLAG or after-FLAG where `point` is empty.
bool hasStepsAt(llvm::StringRef point, const UserSteps &steps);

/// Steps between passes, and a limit on how many passes run: held while a pipeline runs over a module. Passes nested in
/// others, as in the evaluator's, do not count.
class PassWatch {
public:
  /// `limit`: of passes to run, the rest is skipped; negative: all.
  PassWatch(mlir::MLIRContext &context, UserSteps steps, int64_t limit);
  ~PassWatch();
  /// A step failed, or names a pass that never ran; then an error has been reported. Tells the pass at the limit.
  llvm::LogicalResult finish(mlir::Location where);

private:
  struct State;
  std::shared_ptr<State> state;
  mlir::MLIRContext &context;
};

/// The folder above this library's: of `include`, `python`, `lib/burin` in an installation, or the build folder.
std::string installFolder();

/// PYTHONPATH for a Python that finds the package of this installation or build.
std::string pythonPath();

/// Becomes a Python that runs a module of the package with these words. Returns, with the reason, only where it cannot.
std::string runPythonModule(llvm::StringRef module, llvm::ArrayRef<const char *> words);

} // namespace burin

#endif
