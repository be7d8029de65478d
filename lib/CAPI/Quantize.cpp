// burin_quantize: the C face of lib/Calibrate.
#include "lib/Calibrate/Quantize.h"
#include "lib/CAPI/Compilation.h"

using namespace burin;

const char *burin_quantize_help(void) {
  static const std::string text = quantizeHelp();
  return text.c_str();
}

burin_compilation *burin_quantize(const char *const *words, size_t count, const burin_quantize_hooks *given) {
  auto *result = new burin_compilation;
  llvm::raw_string_ostream messages(result->messages);
  llvm::SmallVector<llvm::StringRef> texts(words, words + count);
  llvm::Expected<QuantizeOptions> options = parseQuantizeOptions(texts);
  if (!options) {
    messages << "error: " << llvm::toString(options.takeError()) << "\n";
    return result;
  }
  QuantizeHooks hooks;
  if (given && given->progress)
    hooks.progress = [given](llvm::StringRef what, size_t done, size_t total) {
      given->progress(given->user, what.str().c_str(), done, total);
    };
  llvm::json::Object report;
  result->ok = quantize(*options, hooks, messages, report);
  llvm::raw_string_ostream(result->json) << llvm::json::Value(std::move(report));
  return result;
}
