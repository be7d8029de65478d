// --explain-layer: why a layer of the program is as fast as it is. Reads the module of the target stage; changes
// nothing.
#ifndef BURIN_LIB_PIPELINE_EXPLAINLAYER_H
#define BURIN_LIB_PIPELINE_EXPLAINLAYER_H

#include "lib/Pipeline/Explain.h"
#include "lib/Target/Codegen.h"

namespace burin {

/// Of one layer: its work, what the passes said of its kernel (schedule, threads, predicted time) and the assembly of
/// its hottest innermost loop. Fails with a located error where there is no such layer.
mlir::FailureOr<std::string> explainLayer(mlir::ModuleOp code, const Machine &machine, const CodegenOptions &codegen,
                                          const ModelDescription &model, uint64_t layer, const RemarkLog &log);

/// The lines of the innermost loop of `function` (or of its parts for several threads) that multiplies most, as LLVM's
/// assembly has them; empty where there is no loop.
std::string innerLoopOf(llvm::StringRef assembly, llvm::StringRef function);

} // namespace burin

#endif
