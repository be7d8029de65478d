// What the command line does to a model before it is optimized: adapters, pre- and postprocessing, types, parts of it.
// The options stand here, in one table with the passes they mean, so that the pipeline and the other tools share them.
#ifndef BURIN_LIB_PIPELINE_MODELEDITS_H
#define BURIN_LIB_PIPELINE_MODELEDITS_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace mlir {
class OpPassManager;
}

namespace burin {

struct ModelEdits {
  std::vector<std::string> loras; // FILE.safetensors[:scale]
  std::string loraMode = "merge"; // or switch
  std::vector<std::string> extractInputs, extractOutputs;
  int64_t batch = 0; // of inputs that leave their first dim open; 0: as they are

  // Preprocessing of one input, empty where nothing is said.
  std::string preprocessInput, inputType, layout, sourceSize, fit = "stretch", resizeMode = "linear";
  std::vector<double> mean, scale;
  double padValue = 0;
  bool reverseChannels = false;
  std::vector<std::string> imageInputs; // NAME=NV12:1920x1080...: the above then describes what the network takes

  std::vector<std::string> earlyExits; // HEAD[:threshold=T]
  std::vector<std::string> append;     // postprocessing

  std::string precision; // f16 and bf16 convert; f32 and tf32 say how a GPU multiplies; empty: as the model has it
  std::vector<std::string> keepF32;
  bool convertIo = false;   // inputs and outputs too
  bool plainImages = false; // pictures are resized by the code of any tensor
};

/// Sets the option `name`; false where it is none of these.
llvm::Expected<bool> setModelEdit(ModelEdits &edits, llvm::StringRef name, llvm::StringRef value);
/// The same for switches; null where it is none of these.
bool *modelEditSwitch(ModelEdits &edits, llvm::StringRef name);

/// The tensors that the edits name, for the importer to keep those names.
std::vector<std::string> tensorNames(const ModelEdits &edits);

/// Lines for the cache key: the options, and size and time of the files they name.
void printModelEdits(const ModelEdits &edits, llvm::raw_ostream &out);

/// Flags of what happens to inputs and outputs inside the artifact, for its manifest: whoever calls it must not do that
/// again.
std::vector<std::string> processingFlags(const ModelEdits &edits);

/// Reads the files that the edits name into attributes of the module.
mlir::LogicalResult loadModelEdits(mlir::ModuleOp module, const ModelEdits &edits);

/// The passes of the edits, to run before the graph stage.
void addModelEdits(mlir::OpPassManager &pm, const ModelEdits &edits, bool verbose);
/// What ends the graph stage of a model that is compiled: image stages, which ONNX cannot hold; with `raise`, those
/// that the model says in ONNX's operators too.
void addImageStages(mlir::OpPassManager &pm, const ModelEdits &edits, bool raise);
/// What runs after it: the precision, as fusion computes in f32.
void addPrecision(mlir::OpPassManager &pm, const ModelEdits &edits);

/// Takes the values of switched adapters off the module and writes each as STEM.ADAPTER.npz. An error text, empty for
/// none.
std::string writeAdapterValues(mlir::ModuleOp module, llvm::StringRef stem);

/// Adds to `shapes` and `dims` what --batch means for the inputs of `module`. One located error where a batch is fixed.
mlir::LogicalResult bindBatch(mlir::ModuleOp module, const ModelEdits &edits,
                              llvm::SmallVectorImpl<std::string> &shapes, llvm::SmallVectorImpl<std::string> &dims);

} // namespace burin

#endif
