// The emit stage for machine code: LLVM dialect module + description -> one file.
#ifndef BURIN_LIB_TARGET_ARTIFACT_H
#define BURIN_LIB_TARGET_ARTIFACT_H

#include "lib/Target/Codegen.h"
#include "lib/Target/Measure.h"

namespace burin {

enum class ArtifactKind { Object, StaticLibrary, SharedLibrary, Program, Module };

struct ArtifactOptions {
  ArtifactKind kind = ArtifactKind::Program;
  bool isStatic = false;           // programs: libc inside
  std::string runtimeFolder;       // see LinkInput
  std::string soname;              // shared libraries
  std::vector<std::string> files;  // see LinkInput
  std::vector<ObjectCode> objects; // made already
};

/// The code of one instruction set. All variants of an artifact read the same weights, arena layout and layers.
struct VariantCode {
  mlir::ModuleOp module;
  const Machine *machine;
  CodegenOptions codegen; // the prefix tells the variants apart
};

/// Compiles, links and writes `path` (a temporary name: the caller moves it). Consumes the modules' functions. `base`:
/// the machine that everything outside the variants is compiled for. Returns the size of the code, without the
/// runtime's. Each failure is one error at the first module's location.
mlir::FailureOr<CodeSize> writeArtifact(llvm::ArrayRef<VariantCode> variants, const Machine &base,
                                        const ModelDescription &model, ArtifactOptions options, llvm::StringRef path);

} // namespace burin

#endif
