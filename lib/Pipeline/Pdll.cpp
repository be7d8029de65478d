// Runs MLIR's PDLL tool over the user's file. Its parser is no library one could link, but the tool comes with MLIR.
#include "lib/Pipeline/Pdll.h"
#include "lib/Pipeline/Plugins.h"
#include "lib/Target/Files.h"
#include "mlir/Support/LLVM.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"

using namespace burin;
using llvm::createStringError;
using llvm::StringRef;

static std::string findTool() {
  for (StringRef name : {"mlir-pdll-22", "mlir-pdll"})
    if (auto found = llvm::sys::findProgramByName(name, {BURIN_LLVM_TOOLS}))
      return *found;
  for (StringRef name : {"mlir-pdll-22", "mlir-pdll"})
    if (auto found = llvm::sys::findProgramByName(name))
      return *found;
  return "";
}

llvm::Expected<std::string> burin::readPatterns(StringRef path) {
  auto file = llvm::MemoryBuffer::getFile(path, /*IsText=*/true);
  if (!file)
    return createStringError("--patterns: cannot read '" + path.str() + "': " + file.getError().message());
  if (path.ends_with(".mlir"))
    return (*file)->getBuffer().str();
  std::string tool = findTool();
  if (tool.empty())
    return createStringError("--patterns: PDLL files need MLIR's mlir-pdll; install mlir-22-tools");
  std::string root = installFolder(), headers = root;
  for (StringRef folder : {"/include", ""})
    if (llvm::sys::fs::exists(root + folder + "/dialects/Onnx/OnnxPatterns.td"))
      headers = (root + folder).str(), folder = "";
  llvm::SmallString<256> absolute(path);
  llvm::sys::fs::make_absolute(absolute);

  auto scratch = ScratchFolder::create();
  if (!scratch)
    return scratch.takeError();
  std::string in = scratch->file("in.pdll"), out = scratch->file("out.mlir"), log = scratch->file("log");
  if (llvm::Error error = writeFile(in, [&](llvm::raw_ostream &stream) {
        // A file may include them itself: an editor's language server sees no other.
        for (StringRef header : {"dialects/Onnx/OnnxPatterns.td", "dialects/Onnx/Patterns.pdll"})
          if (!(*file)->getBuffer().contains(("#include \"" + header + "\"").str()))
            stream << "#include \"" << header << "\"\n";
        stream << "#include \"" << absolute << "\"\n";
        return llvm::Error::success();
      }))
    return std::move(error);
  std::vector<StringRef> arguments = {tool, in, "-x=mlir", "-I", headers, "-I", BURIN_MLIR_HEADERS, "-o", out};
  std::string why;
  int status = llvm::sys::ExecuteAndWait(tool, arguments, std::nullopt, {std::nullopt, StringRef(log), StringRef(log)},
                                         0, 0, &why);
  auto said = llvm::MemoryBuffer::getFile(log);
  if (status) {
    // FILE:LINE:COLUMN: error: TEXT, then the line and a caret.
    StringRef text = said ? (*said)->getBuffer() : StringRef(why);
    llvm::SmallVector<StringRef> lines;
    text.split(lines, '\n');
    for (StringRef line : lines)
      if (line.contains("error: ")) {
        auto [where, message] = line.split("error: ");
        where = where.rtrim(": ");
        where.consume_front(llvm::sys::path::parent_path(absolute));
        return createStringError("--patterns: " + (where.starts_with("/") ? where.drop_front() : where).str() + ": " +
                                 message.str());
      }
    return createStringError("--patterns: " + path.str() + ": " + text.split('\n').first.str());
  }
  auto result = llvm::MemoryBuffer::getFile(out);
  if (!result)
    return createStringError("--patterns: " + path.str() + ": mlir-pdll wrote nothing");
  return (*result)->getBuffer().str();
}
