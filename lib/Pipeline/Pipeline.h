// The compiler's table of contents: one function a stage, in the order of the road, and the one that runs them.
// The only room that sees all others. Nothing here rewrites IR.
#ifndef BURIN_LIB_PIPELINE_PIPELINE_H
#define BURIN_LIB_PIPELINE_PIPELINE_H

#include "lib/Pipeline/CompileOptions.h"
#include "lib/Pipeline/Explain.h"
#include "lib/Pipeline/Specialize.h"
#include "lib/Support/Machine.h"
#include "lib/Target/Codegen.h"
#include "lib/Target/CudaProgram.h"
#include "lib/Target/Description.h"
#include "lib/Target/WeightCoding.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/MLIRContext.h"
#include "mlir/IR/OwningOpRef.h"
#include <functional>
#include <memory>

namespace burin {

/// A model as the caller has it: a file, or bytes in memory with a name for messages.
struct ModelSource {
  std::string path;
  llvm::StringRef bytes;       // used when `owner` is set
  std::shared_ptr<void> owner; // keeps `bytes` alive as long as a weight refers to them
};

struct CompileReport {
  struct StageTime {
    Stage stage;
    double seconds;
  };
  std::vector<StageTime> stages;
  double seconds = 0;
  uint64_t peakMemory = 0; // of the whole process, bytes
  uint64_t arenaBytes = 0, peakLiveBytes = 0, weightsBytes = 0, storedWeightsBytes = 0, unlockedBytes = 0,
           sourceWeightsBytes = 0, codeBytes = 0, constantBytes = 0, stackBytes = 0,
           artifactBytes = 0; // constants of the code; of stack, at most, 0: unknown
  uint64_t layers = 0, winogradLayers = 0;
  double winogradError = 0;              // to expect of the worst of them
  std::string output, header;            // files written
  std::vector<CodedWeight> codedWeights; // of --compress-weights
  std::string notes;                     // lines for the user that are no errors
};

/// Called when a stage starts.
using Progress = std::function<void(Stage)>;

struct StageOptions;
class SideFiles;

/// One model on its way. Stages run in order; diagnostics go to the context's handlers.
class Compilation {
public:
  explicit Compilation(CompileOptions options, Progress progress = {});
  ~Compilation();

  /// Reads the model: .onnx, or .mlir of any stage (the module attribute `burin.stage` says which it has behind it).
  mlir::LogicalResult import(const ModelSource &source);
  /// Runs all stages up to and including `last` that are not behind the module yet.
  mlir::LogicalResult runTo(Stage last);
  /// Writes the artifact of the options to `output`, a path that may be written freely. `header`, if not empty: where
  /// the C header goes.
  mlir::LogicalResult emit(llvm::StringRef output, llvm::StringRef header, SideFiles &side);
  /// Objects that run in this process instead: their model symbol is description.modelSymbol(), weights are to be
  /// defined by the caller.
  mlir::FailureOr<std::vector<ObjectCode>> emitObjects(ModelDescription &description);

  /// What the tasks of a vision unit cost, told where the options ask for it; fails over budget. After the target
  /// stage.
  mlir::LogicalResult checkBudget();

  /// C functions that the code calls, from the target stage on.
  std::vector<std::string> callees();
  /// Writes what --report asked for; nothing where it did not.
  llvm::Error writeReport(const CompileReport &total);

  mlir::MLIRContext &getContext() { return *context; }
  mlir::ModuleOp getModule() { return *module; }
  CompileReport report;
  std::optional<ModelDescription::SelfTest> selfTest; // for the artifact to hold

private:
  mlir::LogicalResult bindHints();
  mlir::LogicalResult bindFunctions();
  mlir::FailureOr<ModelDescription> describe();
  mlir::LogicalResult emitBlob(llvm::StringRef output);
  mlir::LogicalResult runCudaTarget();
  void noteHostCalls(mlir::ModuleOp device);
  mlir::LogicalResult assembleKernels(llvm::StringRef exact);
  void chooseInputType();

  /// One instruction set: its row, and from the target stage on its code.
  struct Variant {
    const Machine *machine;
    mlir::OwningOpRef<mlir::ModuleOp> code; // null for the first: that is `module`
    std::vector<mlir::OwningOpRef<mlir::ModuleOp>> specialized;
  };
  mlir::LogicalResult chooseVariants(mlir::Location where);
  mlir::LogicalResult runTargetForAll();
  mlir::LogicalResult specializeAll();
  /// `function` on the module and all its specializations.
  mlir::LogicalResult forAll(llvm::function_ref<mlir::LogicalResult(mlir::ModuleOp, const StageOptions &)> function);
  std::string variantPrefix(const Variant &variant) const;

  CompileOptions options;
  Progress progress;
  const Machine *base = nullptr; // the least of them: all of them share its packing
  std::unique_ptr<mlir::MLIRContext> context;
  std::vector<Variant> variants; // best first; after the context, which their code must not outlive
  mlir::OwningOpRef<mlir::ModuleOp> module;
  std::vector<Specialization> specializations; // up to the tensor stage
  std::string sourceName, sourceHash;
  std::shared_ptr<RemarkLog> remarks; // null where nobody asks
  llvm::json::Object page;            // data of --report, as far as it has come
  Stage reached = Stage::Import;
  std::vector<CudaBinary> cudaBinaries; // PTX first; from the target stage on
};

/// The whole road, from file to file. All text for the user goes to `messages`; false after an error. No output file
/// appears then.
bool compile(const ModelSource &source, const CompileOptions &options, const Progress &progress,
             llvm::raw_ostream &messages, CompileReport &report);

/// Prints the modelled rates of a network for 1, 2, ... shaves of the options' unit. False after an error.
bool sweepShaves(const ModelSource &source, const CompileOptions &options, llvm::raw_ostream &out);

/// Kind and names that the options mean for this model: each default filled in.
CompileOptions completeOptions(const CompileOptions &options, llvm::StringRef modelPath);
/// What stages and kinds of complete options do not go together; empty when all is well.
std::string conflictOf(const CompileOptions &options);
/// Kinds whose symbols are an interface: they are named after the file.
bool hasOwnName(EmitKind kind);

/// The stages, also for folding: each takes what the one before leaves (contracts in passes/*/Passes.h) and verifies
/// what it leaves itself.
struct StageOptions {
  const CompileOptions &options;
  const Machine &machine;
};
mlir::LogicalResult runGraph(mlir::ModuleOp module, const StageOptions &stage);
mlir::LogicalResult runLower(mlir::ModuleOp module, const StageOptions &stage);
mlir::LogicalResult runTensor(mlir::ModuleOp module, const StageOptions &stage);
mlir::LogicalResult runTarget(mlir::ModuleOp module, const StageOptions &stage);

/// The target stage for a GPU in parts: kernels out of @main into @device, their PTX, and what stays of @main.
mlir::LogicalResult runCudaSplit(mlir::ModuleOp module, const StageOptions &stage);
mlir::LogicalResult runCudaPtx(mlir::ModuleOp device, llvm::StringRef chip, const StageOptions &stage);
mlir::LogicalResult runCudaEmulation(mlir::ModuleOp device, const StageOptions &stage);
mlir::LogicalResult runCudaHost(mlir::ModuleOp module, const StageOptions &stage);

/// Binds the shapes and dims of the options to an imported graph and infers what follows.
mlir::LogicalResult bindShapes(mlir::ModuleOp module, const CompileOptions &options);
/// Folds what computes shapes and infers again: for graphs whose exporter left sizes open.
mlir::LogicalResult settleShapes(mlir::ModuleOp module, const CompileOptions &options);

/// A context with all dialects at hand.
std::unique_ptr<mlir::MLIRContext> makeContext();

/// A C header of the functions that the model's unknown operators need (--emit=custom-header).
mlir::LogicalResult writeCustomHeader(mlir::ModuleOp module, llvm::StringRef name, llvm::raw_ostream &out);

/// Module attribute: the tensors that each sequence or optional of the signature came down to (see
/// dialects/Onnx/DataType.h).
inline constexpr char lengthsAttr[] = "burin.lengths";

/// Sets the module attribute `burin.signature` from @main's types and `onnx.name`s. Free dims are -1, with their
/// symbols' names.
mlir::LogicalResult captureSignature(mlir::ModuleOp module);
/// Puts into it the sizes of outputs that lowering has found.
void refineSignature(mlir::ModuleOp module);

} // namespace burin

#endif
