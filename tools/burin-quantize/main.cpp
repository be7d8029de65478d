// burin-quantize: a float model becomes an integer one. A thin main over the C API; what a flag means stands in
// lib/Calibrate.
#include "burin/Compiler.h"
#include "lib/Pipeline/Plugins.h"
#include "tools/BugReport.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <unistd.h>

namespace {
const char usage[] = R"(usage: burin-quantize MODEL.onnx --calibrate X.npz|FOLDER... -o OUT.onnx [options]

Quantizes a float model to integers with what it measures on sample inputs, and writes standard ONNX (QuantizeLinear and
DequantizeLinear) that Burin and other runtimes run.

examples:
  burin-quantize net.onnx --calibrate a.npz,b.npz -o net.int8.onnx
  burin-quantize net.onnx --calibrate pictures/ --mean=123.7,116.3,103.5 --scale=58.4,57.1,57.4 --method=mse -o net.int8.onnx
  burin-quantize net.onnx --calibrate x.npz --keep-float=Softmax,head_conv -o net.int8.onnx
  burin-quantize net.onnx --calibrate x.npz --max-drop=0.01 --evaluate=score.py -o net.int8.onnx
  burin-quantize llm.onnx --weights-only=int4 --block=32 -o llm.int4.onnx
  burin-quantize net.onnx --dynamic -o net.int8.onnx
  burin-quantize net.onnx --calibrate x.npz --prune=0.3 --share=4 -o net.small.onnx     then: burin-compile net.small.onnx --compress-weights
  burin-quantize net.onnx --calibrate x.npz --prune-channels=0.2 --float -o net.narrow.onnx

options:
)";

// One line that is written over.
void showProgress(void *, const char *what, size_t done, size_t total) {
  constexpr size_t width = 24;
  size_t filled = total ? width * done / total : 0;
  llvm::errs() << "\r\033[K" << what << " [" << std::string(filled, '#') << std::string(width - filled, '.') << "] "
               << done << "/" << total;
}
// A script of the user's is Python: the package does the same with it at hand.
int runInPython(int argc, char **argv) {
  static char code[] = "import importlib, sys; sys.exit(importlib.import_module('burin.quantize').main(sys.argv[1:]))";
  static char env[] = "env", dashC[] = "-c";
  const char *given = std::getenv("BURIN_PYTHON");
  std::string python = given ? given : "python3", path = "PYTHONPATH=" + burin::pythonPath();
  llvm::SmallVector<char *> words = {env, path.data(), python.data(), dashC, code};
  words.append(argv + 1, argv + argc);
  words.push_back(nullptr);
  execv("/usr/bin/env", words.data());
  llvm::errs() << "error: cannot run '" << python << "': " << std::strerror(errno) << "\n";
  return 1;
}
} // namespace

int main(int argc, char **argv) {
  burin::reportCrashes();
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef word(argv[i]);
    if (word == "--help" || word == "-h") {
      llvm::outs() << usage << burin_quantize_help() << "  --help, --version\n\n"
                   << "and of burin-compile's: --shape, --dim; of pictures --mean, --scale, --reverse-channels, --fit, "
                      "--resize-mode, --pad-value, --preprocess-input\n";
      return 0;
    }
    if (word == "--version") {
      llvm::outs() << "burin-quantize " << burin_compiler_version() << "\n";
      return 0;
    }
  }
  for (int i = 1; i < argc; ++i)
    if (llvm::StringRef(argv[i]).split('=').first == "--evaluate")
      return runInPython(argc, argv);
  bool isTerminal = isatty(STDERR_FILENO);
  burin_quantize_hooks hooks{};
  if (isTerminal)
    hooks.progress = showProgress;
  std::unique_ptr<burin_compilation, void (*)(burin_compilation *)> result(burin_quantize(argv + 1, argc - 1, &hooks),
                                                                           burin_compilation_destroy);
  if (isTerminal)
    llvm::errs() << "\r\033[K";
  llvm::errs() << burin_compilation_messages(result.get());
  if (!burin_compilation_ok(result.get()))
    return 1;
  if (auto report = llvm::json::parse(burin_compilation_report(result.get())))
    llvm::outs() << report->getAsObject()->getString("summary").value_or("");
  return 0;
}
