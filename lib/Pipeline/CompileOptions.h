// Everything that decides what the compiler makes, settable by the names of the command line. The tools, the C API and
// Python all set it through setOption, so a flag exists in one place.
#ifndef BURIN_LIB_PIPELINE_COMPILEOPTIONS_H
#define BURIN_LIB_PIPELINE_COMPILEOPTIONS_H

#include "dialects/Vpu/Unit.h"
#include "lib/Pipeline/CudaTarget.h"
#include "lib/Pipeline/ModelEdits.h"
#include "lib/Pipeline/Plugins.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>
#include <vector>

namespace burin {

/// The road, in order. Each is one function of Stages.cpp, one --stop-after name and one line of -v.
enum class Stage { Import, Graph, Lower, Tensor, Target, Emit };

enum class EmitKind { Exe, Lib, Shared, Obj, Asm, LLVM, MLIR, Onnx, CustomHeader, Blob, Wasm, Js, Jni, Ptx, Cubin };

llvm::StringRef stageName(Stage stage);
llvm::StringRef emitName(EmitKind kind);

struct CompileOptions {
  std::string output;           // "-": standard output; empty: named after the model
  std::optional<EmitKind> emit; // else by the output's extension, a program where that says nothing
  std::optional<Stage> stopAfter;
  std::vector<std::string> targets; // rows of the machine table; empty: host
  std::string unitText;             // the vision unit as --target names it, or empty
  vpu::UnitConfig unit;             // what that means
  CudaTarget cuda;                  // a GPU beside the processor that `targets` names
  std::string budget;               // of the unit: fps=N,latency=Nms,traffic=NMB,share=N
  bool sweepShaves = false;
  std::vector<std::string> shapes;  // INPUT=1x3x224x224
  std::vector<std::string> dims;    // NAME=N
  std::vector<std::string> lengths; // INPUT=N or INPUT=none, of sequences and optionals
  /// Operators of unknown domains that a C function computes.
  struct CustomOp {
    std::string domain, name, function;
    std::string file; // an object, archive or shared library that holds it; empty: the linker or process has it
  };
  std::vector<CustomOp> customOps;
  unsigned optLevel = 2;
  std::string winograd = "auto"; // from -O2 on; see tensor-choose-winograd
  double winogradError = 1e-4;
  double tuneSeconds = 30;       // of -O3; 0: only what the cache knows
  std::string tuneCache, tuneOn; // a file; a command that runs programs elsewhere
  bool isTuned = false;          // -O3 has filled in `choices`, as tensor-apply-tuning takes them
  std::vector<std::string> choices;
  ModelEdits edits;                 // adapters, pre- and postprocessing
  std::string name;                 // prefix of every symbol; empty: made from the file's name
  std::string header;               // of libraries and objects; empty: NAME.h beside the output; "none": no header
  UserSteps steps;                  // of plugins, --patterns and --passes
  int64_t passLimit = -1;           // of the graph stage; negative: none
  std::vector<std::string> explain; // flags of passes, or "all"
  int64_t explainLayer = -1;        // of the program; negative: none
  std::string reportFolder;         // of the HTML page; empty: none
  std::string runtimeFolder;        // of the runtime libraries; empty: beside this library
  std::vector<std::pair<std::string, std::vector<int64_t>>> specialize; // a free dim and the sizes that get own code
  uint64_t arenaLimit = 0, maxFlash = 0;                                // bytes; 0: none
  std::string arenaSection; // of an arena in the library; empty: the caller lends one
  bool selfTest = false;
  std::string selfTestData; // an npz of inputs, and of outputs if it has them; empty: inputs are made up
  std::string signingKey;   // a PEM file; empty: no signature
  bool flushDenormals = false, fastMath = false;
  bool isStatic = false;
  bool compressWeights = false; // of programs
  std::string encrypt;          // where the key is (runtime/hosted/key.h); empty: weights lie open
  bool isDynamic = false;       // input hints are ignored
  bool verifyEach = false;
  bool verbose = false;
  int64_t opset = -1; // of --emit=onnx; -1: the newest at which ONNX Runtime loads the graph
  /// Shapes of data at hand, used only for inputs whose dims the model leaves open (burin-run). Not a promise: a name
  /// may be unknown.
  std::vector<std::pair<std::string, std::vector<int64_t>>> inputHints;
};

struct OptionInfo {
  llvm::StringRef name, value, help; // `value` empty: a switch
};

/// In the order of --help.
llvm::ArrayRef<OptionInfo> compileOptions();

/// Null when there is no such option.
const OptionInfo *findOption(llvm::StringRef name);

/// Sets or, for lists, appends. The error names what was expected.
llvm::Error setOption(CompileOptions &options, llvm::StringRef name, llvm::StringRef value);

/// Every option that changes the output, with its value, one a line: part of the cache key.
std::string optionsText(const CompileOptions &options);

/// What is wrong with a --budget; empty when nothing is.
std::string checkBudgetText(llvm::StringRef text);

/// "0.1.0"
llvm::StringRef version();

} // namespace burin

#endif
