// Files that appear whole or not at all, and a folder for what linkers read. Every failure is text for the user.
#ifndef BURIN_LIB_TARGET_FILES_H
#define BURIN_LIB_TARGET_FILES_H

#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"

namespace burin {

/// A folder of this process, removed with everything in it when it goes.
class ScratchFolder {
public:
  static llvm::Expected<ScratchFolder> create();
  ScratchFolder(ScratchFolder &&other) : path(std::move(other.path)) { other.path.clear(); }
  ~ScratchFolder();
  std::string file(const llvm::Twine &name) const;

private:
  ScratchFolder() = default;
  llvm::SmallString<128> path;
};

/// Somewhere beside `path` to write to first. Opening it at once tells, before long work, that the place cannot be
/// written.
class OutputFile {
public:
  static llvm::Expected<OutputFile> create(llvm::StringRef path);
  OutputFile(OutputFile &&other) : path(std::move(other.path)), temporary(std::move(other.temporary)) {
    other.temporary.clear();
  }
  ~OutputFile();

  /// Where to write until commit().
  const std::string &temporaryPath() const { return temporary; }
  /// Moves the finished file to its place.
  llvm::Error commit(bool executable);

private:
  OutputFile() = default;
  std::string path, temporary;
};

/// Writes a file through `write`.
llvm::Error writeFile(llvm::StringRef path, llvm::function_ref<llvm::Error(llvm::raw_ostream &)> write);

} // namespace burin

#endif
