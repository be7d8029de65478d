// The emit stage for machine code: LLVM dialect module + description -> one file.
#ifndef BURIN_LIB_TARGET_ARTIFACT_H
#define BURIN_LIB_TARGET_ARTIFACT_H

#include "lib/Target/Codegen.h"

namespace burin {

enum class ArtifactKind { Object, StaticLibrary, SharedLibrary, Program };

struct ArtifactOptions {
  ArtifactKind kind = ArtifactKind::Program;
  bool isStatic = false;     // programs: libc inside
  std::string runtimeFolder; // see LinkInput
  std::string soname;        // shared libraries
};

/// Compiles, links and writes `path` (a temporary name: the caller moves it). Consumes the module's functions. Returns
/// the bytes of machine code, without the runtime's. Each failure is one error at the module's location.
mlir::FailureOr<uint64_t> writeArtifact(mlir::ModuleOp module, const Machine &machine, const CodegenOptions &codegen,
                                        const ModelDescription &model, const ArtifactOptions &options,
                                        llvm::StringRef path);

} // namespace burin

#endif
