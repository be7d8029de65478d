// libFuzzer target: any lines as `option=value`. Each is taken or refused with a message that is one line; what was
// taken can be written down again. Corpus: make_options_corpus.py.
#include "lib/Pipeline/CompileOptions.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  burin::CompileOptions options;
  llvm::SmallVector<llvm::StringRef> lines;
  llvm::StringRef(reinterpret_cast<const char *>(data), size).split(lines, '\n');
  for (llvm::StringRef line : lines) {
    auto [name, value] = line.split('=');
    if (!burin::findOption(name))
      continue;
    if (llvm::Error error = burin::setOption(options, name, value)) {
      std::string message = llvm::toString(std::move(error));
      if (message.empty())
        abort();
    }
  }
  static volatile size_t sink;
  sink = burin::optionsText(options).size();
  return 0;
}
