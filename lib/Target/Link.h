// Objects -> artifacts: relocatable object, static library, shared library, program. lld runs in this process; only a
// program, which needs the system's C library and start files, goes through the system's C compiler driver.
#ifndef BURIN_LIB_TARGET_LINK_H
#define BURIN_LIB_TARGET_LINK_H

#include "lib/Support/Machine.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace burin {

/// What all kinds of links take. Paths of files.
struct LinkInput {
  std::vector<std::string> objects;
  std::vector<std::string> files;        // of C functions that the model calls: objects go into every kind of artifact,
                                         // archives and shared libraries into programs and shared libraries
  std::vector<std::string> runtimeCalls; // those of these functions that are the hosted runtime's
  std::string triple;
  std::string
      runtimeFolder; // holds <triple>/libburin_runtime.a and libburin_hosted.a; empty: found beside this library
};

/// The folder of the runtime libraries for `triple`, below `folder` or, when that is empty, below this library's own.
llvm::Expected<std::string> findRuntime(llvm::StringRef folder, llvm::StringRef triple);

/// One relocatable object without the runtime.
llvm::Error linkObject(const LinkInput &input, llvm::StringRef output);

/// A static library with the freestanding runtime in it.
llvm::Error linkArchive(const LinkInput &input, llvm::StringRef output);

/// A shared library of the model and the freestanding runtime that shows `exports` and nothing else.
llvm::Error linkShared(const LinkInput &input, llvm::StringRef soname, llvm::ArrayRef<std::string> exports,
                       llvm::StringRef output);

/// A WebAssembly module that shows `exports`, its memory and where the free part of it begins, and asks for nothing.
/// `sharedBytes`: of a memory that the module is given and workers share; 0: it has its own.
llvm::Error linkModule(const LinkInput &input, llvm::ArrayRef<std::string> exports, uint64_t sharedBytes,
                       llvm::StringRef output);

/// A program. `isStatic` takes libc in as well.
llvm::Error linkProgram(const LinkInput &input, bool isStatic, llvm::StringRef output);

} // namespace burin

#endif
