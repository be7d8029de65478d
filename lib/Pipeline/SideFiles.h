// What some kinds of artifacts come with beside their main file: a module's loader, a library's Java class. Opened
// before the work, so that a place that cannot be written is told at once; they appear all or none.
#ifndef BURIN_LIB_PIPELINE_SIDEFILES_H
#define BURIN_LIB_PIPELINE_SIDEFILES_H

#include "lib/Pipeline/CompileOptions.h"
#include "lib/Target/Files.h"
#include "lib/Target/Measure.h"
#include "lib/Target/Sign.h"
#include <optional>

namespace burin {

class SideFiles {
public:
  /// Of complete options. Kinds without side files give an empty set.
  static llvm::Expected<SideFiles> open(const CompileOptions &options);

  /// Whether they fit models of given sizes alone, and whether the artifact is a WebAssembly module.
  bool needsStatic() const { return needsModule() || kind == EmitKind::Jni; }
  bool needsModule() const { return kind == EmitKind::Wasm || kind == EmitKind::Js; }

  /// Where --emit=js puts its module for now.
  llvm::StringRef module() const { return files.front().temporaryPath(); }

  /// Writes them; `output` is the main file's place for now, which for --emit=js is text as well.
  llvm::Error write(const ModelDescription &model, llvm::StringRef output);
  /// Of the finished main file, where the options ask for it.
  llvm::Error sign(llvm::StringRef output);
  llvm::Error commit();

private:
  EmitKind kind = EmitKind::Exe;
  std::string stem; // of the output's name
  std::vector<OutputFile> files;
  std::optional<Key> key; // its signature is the last of the files
};

/// Fails, and names the largest weights, where `limit` is not 0 and weights, code and constants take more.
mlir::LogicalResult checkFlash(mlir::ModuleOp module, const ModelDescription &model, CodeSize code, uint64_t limit);

} // namespace burin

#endif
