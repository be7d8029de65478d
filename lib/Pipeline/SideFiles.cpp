// See SideFiles.h.
#include "lib/Pipeline/SideFiles.h"
#include "lib/Target/JavaScript.h"
#include "lib/Target/Jni.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace burin;

llvm::Expected<SideFiles> SideFiles::open(const CompileOptions &options) {
  SideFiles side;
  side.kind = *options.emit;
  side.stem = llvm::sys::path::stem(options.output).str();
  std::vector<std::string> names;
  if (side.kind == EmitKind::Js) {
    names = {side.stem + ".wasm", side.stem + ".d.ts", side.stem + ".html"};
  } else if (side.kind == EmitKind::Jni) {
    ModelDescription model;
    model.name = options.name;
    names = {javaClass(model) + ".java", options.name + "_jni.c"};
  }
  if (!options.signingKey.empty()) {
    auto key = Key::loadPrivate(options.signingKey);
    if (!key)
      return key.takeError();
    side.key = std::move(*key);
    names.push_back((llvm::sys::path::filename(options.output) + signatureSuffix).str());
  }
  for (const std::string &name : names) {
    SmallString<128> path(options.output);
    llvm::sys::path::remove_filename(path);
    llvm::sys::path::append(path, name);
    auto file = OutputFile::create(path);
    if (!file)
      return file.takeError();
    side.files.push_back(std::move(*file));
  }
  return side;
}

llvm::Error SideFiles::write(const ModelDescription &model, StringRef output) {
  auto text = [&](StringRef path, llvm::function_ref<void(llvm::raw_ostream &)> print) {
    return writeFile(path, [&](llvm::raw_ostream &out) { return print(out), llvm::Error::success(); });
  };
  if (kind == EmitKind::Js) {
    if (llvm::Error error = text(output, [&](auto &out) { writeJavaScript(model, stem + ".wasm", version(), out); }))
      return error;
    if (llvm::Error error = text(files[1].temporaryPath(), [&](auto &out) { writeTypeScript(model, out); }))
      return error;
    return text(files[2].temporaryPath(), [&](auto &out) { writeDemoPage(model, stem + ".js", out); });
  }
  if (kind == EmitKind::Jni) {
    if (llvm::Error error = text(files[0].temporaryPath(), [&](auto &out) { writeJava(model, version(), out); }))
      return error;
    return text(files[1].temporaryPath(), [&](auto &out) { writeJniShim(model, version(), out); });
  }
  return llvm::Error::success();
}

llvm::Error SideFiles::sign(StringRef output) {
  if (!key)
    return llvm::Error::success();
  auto signature = key->sign(output);
  if (!signature)
    return signature.takeError();
  return writeFile(files.back().temporaryPath(),
                   [&](llvm::raw_ostream &out) { return out << *signature, llvm::Error::success(); });
}

llvm::Error SideFiles::commit() {
  for (OutputFile &file : files)
    if (llvm::Error error = file.commit(false))
      return error;
  return llvm::Error::success();
}

LogicalResult burin::checkFlash(ModuleOp module, const ModelDescription &model, CodeSize code, uint64_t limit) {
  uint64_t total = model.storedBytes() + code.code + code.constants;
  if (limit == 0 || total <= limit)
    return success();
  SmallVector<const WeightDescription *> weights;
  for (const WeightDescription &weight : model.weights)
    weights.push_back(&weight);
  llvm::stable_sort(weights, [](auto *a, auto *b) { return a->bytes > b->bytes; });
  InFlightDiagnostic error = module.emitError() << "weights (" << model.weightsBytes << " bytes), code (" << code.code
                                                << ") and its constants (" << code.constants << ") take " << total
                                                << " bytes of flash, the limit is " << limit;
  for (const WeightDescription *weight : ArrayRef(weights).take_front(3))
    error << (weight == weights.front() ? "; largest weights: '" : ", '") << weight->name << "' (" << weight->bytes
          << " bytes)";
  return failure();
}
