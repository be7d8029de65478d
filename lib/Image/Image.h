// Image stages of a model: what the graph stage says of them (a module attribute) -> objects that define the C
// functions the model calls. Halide makes their code, in a library of its own that is opened here and nowhere else.
#ifndef BURIN_LIB_IMAGE_IMAGE_H
#define BURIN_LIB_IMAGE_IMAGE_H

#include "lib/Image/Stage.h"
#include "lib/Target/Codegen.h"
#include "mlir/IR/BuiltinOps.h"
#include <vector>

namespace burin {

/// Reads one stage of the module attribute foreign::imageStagesAttr (its form: passes/Graph/ImageStages.cpp).
/// Checked, as it may come from a user's file: one error at `where`.
mlir::FailureOr<burin_image_stage> readImageStage(mlir::DictionaryAttr attr, mlir::Location where);

/// The same of one that ends a model (its form: passes/Graph/ImageStages.cpp).
mlir::FailureOr<burin_image_output> readImageOutput(mlir::DictionaryAttr attr, mlir::Location where);

/// Whether stages can be made for it: an architecture that Halide's code is compiled for here, and the library, which
/// this opens, with Halide itself.
bool hasImageStages(const Machine &machine);

/// The planes of a stage's frame, and the bytes of all of it.
std::vector<burin_image_plane> imagePlanes(const burin_image_stage &stage, int64_t &bytes);

/// Gives the functions that `code` (of the target stage) calls for its image stages the prefix of the model, under
/// which compileImageStages defines them, and takes them off the list of functions that others define.
void prefixImageStages(mlir::ModuleOp code, llvm::StringRef prefix);

/// The objects of those functions for one machine; none where the model has no stages. Nothing in them is called from
/// outside but memset, memcpy and memmove.
mlir::FailureOr<std::vector<ObjectCode>> compileImageStages(mlir::ModuleOp code, const Machine &machine,
                                                            llvm::StringRef prefix);

} // namespace burin

#endif
