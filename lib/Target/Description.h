// What an artifact says of its model: the burin_model of include/burin/runtime.h as C++ values, read from the module's
// attributes.
#ifndef BURIN_LIB_TARGET_DESCRIPTION_H
#define BURIN_LIB_TARGET_DESCRIPTION_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include <optional>
#include <string>
#include <vector>

namespace llvm {
class LLVMContext;
class Module;
} // namespace llvm

namespace burin {

/// Module attributes between the rooms. Set by lib/Pipeline (signature), passes/Tensor (arena, weights) and passes/Cpu
/// (layers).
inline constexpr char signatureAttr[] =
    "burin.signature"; // {inputs = [{name, dtype, dims, dim_names}], outputs = [...]}
inline constexpr char arenaAttr[] = "burin.arena_bytes";
inline constexpr char allocatorAttr[] = "burin.needs_allocator"; // unit: data decides sizes
inline constexpr char peakAttr[] = "burin.peak_live_bytes";
inline constexpr char weightsAttr[] = "burin.weights";        // [{name, offset, source_bytes, encoding, data}]
inline constexpr char firstLayerAttr[] = "burin.first_layer"; // i64: where the numbers of this code's layers begin
inline constexpr char layersAttr[] = "burin.layers";          // [{name, kind, flops, bytes, symbol, ...}]

struct TensorDescription {
  std::string name;
  int32_t dtype = 0;                 // burin_dtype
  llvm::SmallVector<int64_t> dims;   // -1: free
  std::vector<std::string> dimNames; // one a dim, "" where it has none; or empty
};

struct LayerDescription {
  std::string name, kind;
  uint64_t flops = 0, bytes = 0, weightBytes = 0;
  int32_t dtype = 1;  // burin_dtype of what is multiplied
  std::string symbol; // of its kernel; "" where the module does not say
  std::string key;    // the shapes in it that -O3 measures, joined by +
};

struct WeightDescription {
  std::string name;
  uint64_t offset = 0, bytes = 0, sourceBytes = 0;
  int32_t dtype = 0;
  uint32_t encoding = 0; // burin_encoding
  mlir::ElementsAttr data;
};

struct VariantDescription {
  std::string target;
  uint64_t features = 0;
  std::string entry; // symbol
};

struct ModelDescription {
  std::string name; // symbol prefix
  std::string manifest;
  uint32_t flags = 0;
  std::vector<TensorDescription> inputs, outputs;
  std::vector<LayerDescription> layers;
  std::vector<WeightDescription> weights;
  std::vector<VariantDescription> variants;
  uint64_t weightsBytes = 0, arenaBytes = 0, peakLiveBytes = 0;
  uint64_t codeBytes = 0, stackBytes = 0; // 0: not measured
  std::vector<char> codedWeights;         // the section as --compress-weights or --encrypt stores it; empty: as it is
  std::string arenaSection;               // of an arena inside the artifact; empty: the caller has one
  bool sharesMemory = false;              // a module's, with workers that take part in parallel loops
  bool isDirect = false;                  // NAME_run calls its one entry by symbol and draws nothing else in
  std::string plan;                       // symbol of the burin_planner; empty for static models
  /// Bytes of tensors in the model's order: an input and what the model should make of it. Empty without --self-test.
  struct SelfTest {
    std::vector<std::string> inputs, outputs;
  };
  std::optional<SelfTest> selfTest;
  unsigned threads = 1;   // that a program starts with unless it is told
  bool isProgram = false; // also answer to the one name that programs and loaders look for, burin_program_model

  uint64_t storedBytes() const { return codedWeights.empty() ? weightsBytes : codedWeights.size(); } // of the weights
  /// Bytes in front of the arena into which NAME_unlock opens the weights (runtime/freestanding/lock.c); else 0.
  uint64_t unlockedBytes() const;
  /// What a caller of NAME_run lends.
  uint64_t lentBytes() const { return unlockedBytes() + arenaBytes; }
  std::string modelSymbol() const { return name + "_model"; }
  std::string runSymbol() const { return name + "_run"; }
  std::string unlockSymbol() const { return name + "_unlock"; }
  /// Bytes of the memory that the page hands to a module of shared memory and its workers: room for all there is.
  uint64_t sharedBytes() const;
  std::string arenaSymbol() const { return name + "_arena"; }
  std::string selfTestSymbol() const { return name + "_selftest"; }
  std::string sizesSymbol() const { return name + "_sizes"; }
  std::string weightsSymbol() const { return name + "_weights"; }
};

/// A size that a caller of NAME_run gives: a symbol of the inputs, or a free dim without a name.
struct SizeParameter {
  std::string name;                                           // the symbol's, or INPUT_dimN
  llvm::SmallVector<std::pair<unsigned, unsigned>, 2> places; // input and dim
};

/// Those of a model, in the order its inputs name them.
std::vector<SizeParameter> sizeParameters(const ModelDescription &model);

/// burin_dtype of an element type, read with signedness; 0 when there is none.
int32_t dtypeOf(mlir::Type element);

/// Bytes that one element takes in memory.
uint64_t bytesOfElement(mlir::Type element);

/// Reads the attributes above. An error names the attribute that is missing or malformed.
mlir::FailureOr<ModelDescription> describeModel(mlir::ModuleOp module);

/// The description as an LLVM module of constants for a target with this data layout.
std::unique_ptr<llvm::Module> describeToLLVM(const ModelDescription &model, llvm::LLVMContext &context,
                                             llvm::StringRef triple, llvm::StringRef dataLayout);

} // namespace burin

#endif
