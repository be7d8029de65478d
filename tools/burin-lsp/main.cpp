// The language server of an editor: Burin's dialects in .mlir files; with --pdll, or under the name burin-pdll-lsp,
// patterns over them in .pdll files, for which MLIR's own server is run with the operators' definitions at hand.
#include "burin/InitAll.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/Tools/mlir-lsp-server/MlirLspServerMain.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"
#include <unistd.h>

static int fail(const llvm::Twine &text) {
  llvm::errs() << "burin-lsp: error: " << text << "\n";
  return 1;
}

// The folder that holds dialects/: the source tree of a build, or an installation's include.
static std::string headersFolder(const char *program) {
  llvm::SmallString<256> folder(llvm::sys::fs::getMainExecutable(program, reinterpret_cast<void *>(&headersFolder)));
  for (int up = 0; up < 4; ++up) {
    llvm::sys::path::remove_filename(folder);
    for (llvm::StringRef below : {"", "/include"})
      if (llvm::sys::fs::exists(folder.str() + below + "/dialects/Onnx/OnnxPatterns.td"))
        return (folder.str() + below).str();
  }
  return "";
}

static int runPdllServer(const char *program, llvm::ArrayRef<char *> given) {
  auto tool = llvm::sys::findProgramByName("mlir-pdll-lsp-server", {BURIN_LLVM_TOOLS});
  if (!tool)
    tool = llvm::sys::findProgramByName("mlir-pdll-lsp-server-22");
  if (!tool)
    return fail("--pdll needs MLIR's mlir-pdll-lsp-server; install mlir-22-tools");
  std::string own = "--pdll-extra-dir=" + headersFolder(program), mlir = "--pdll-extra-dir=" BURIN_MLIR_HEADERS;
  std::vector<char *> arguments = {tool->data(), own.data(), mlir.data()};
  arguments.insert(arguments.end(), given.begin(), given.end());
  arguments.push_back(nullptr);
  execv(tool->c_str(), arguments.data());
  return fail("cannot run '" + *tool + "'");
}

int main(int argc, char **argv) {
  llvm::ArrayRef<char *> given(argv + 1, argc - 1);
  // Editors start servers without arguments.
  if (llvm::sys::path::filename(argv[0]) == "burin-pdll-lsp")
    return runPdllServer(argv[0], given);
  if (!given.empty() && llvm::StringRef(given.front()) == "--pdll")
    return runPdllServer(argv[0], given.drop_front());
  mlir::DialectRegistry registry;
  burin::registerAllDialects(registry);
  return failed(mlir::MlirLspServerMain(argc, argv, registry));
}
