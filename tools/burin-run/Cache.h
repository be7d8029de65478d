// The cache of compiled models: one shared library an entry, keyed by all that decides its bytes, bounded in size, safe
// for several processes at once.
#ifndef BURIN_TOOLS_BURINRUN_CACHE_H
#define BURIN_TOOLS_BURINRUN_CACHE_H

#include "burin/Compiler.h"
#include "llvm/ADT/StringRef.h"
#include <string>

namespace burin {

struct CompiledModel {
  std::string path;     // of the shared library; empty on failure
  std::string messages; // for the user
};

/// Compiles `model` to a shared library or finds it in `folder` (empty: the user's cache folder). Without `useCache`
/// the library lies in a temporary folder that the process removes at its end.
CompiledModel compileCached(burin_options *options, const std::string &model, const std::string &folder, bool useCache);

} // namespace burin

#endif
