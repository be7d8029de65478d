// libFuzzer target: any bytes as a shared library that is about to be loaded. Reading stays within them, and a file
// that was sealed and then changed is refused. Corpus: make_artifact_corpus.py.
#include "lib/Target/SharedFile.h"

#include <cstdlib>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  std::string bytes(reinterpret_cast<const char *>(data), size); // an exact copy, so that a read past the end is seen
  if (llvm::Error error = burin::checkSharedBytes(bytes)) {
    if (llvm::toString(std::move(error)).empty())
      abort();
    return 0;
  }
  bool isSealed = size > 16 && llvm::StringRef(bytes).drop_back(8).ends_with("BURINSUM");
  if (!isSealed)
    return 0;
  bytes[size / 2 < size - 17 ? size / 2 : 0] ^= 1;
  if (!burin::checkSharedBytes(bytes))
    abort();
  return 0;
}
