// Compiles the parts of an artifact side by side and hands them to the linker.
#include "lib/Target/Artifact.h"
#include "burin/runtime.h"
#include "dialects/Foreign/Foreign.h"
#include "lib/Target/Files.h"
#include "lib/Target/Link.h"
#include "lib/Target/WeightSection.h"

using namespace mlir;

// Beyond this the small code model cannot reach across the section.
constexpr uint64_t maxWeightBytes = uint64_t(2000) << 20;

FailureOr<burin::CodeSize> burin::writeArtifact(llvm::ArrayRef<VariantCode> variants, const Machine &base,
                                                const ModelDescription &model, ArtifactOptions options,
                                                StringRef path) {
  ModuleOp module = variants.front().module;
  if (model.weightsBytes > maxWeightBytes)
    return module.emitError() << "the weights take " << model.weightsBytes << " bytes, and at most " << maxWeightBytes
                              << " fit into one artifact",
           failure();
  auto folder = ScratchFolder::create();
  if (!folder)
    return module.emitError() << llvm::toString(folder.takeError()), failure();

  std::vector<ObjectCode> objects = std::move(options.objects);
  CodeMeter meter;
  for (const VariantCode &variant : variants) {
    FailureOr<std::vector<ObjectCode>> compiled = compileToObjects(variant.module, *variant.machine, variant.codegen);
    if (failed(compiled))
      return failure();
    for (ObjectCode &object : *compiled) {
      meter.addCode(object);
      objects.push_back(std::move(object));
    }
  }
  FailureOr<ObjectCode> description = describeToObject(module, base, model);
  if (failed(description))
    return failure();
  meter.addCaller(*description);
  objects.push_back(std::move(*description));

  auto link = [&]() -> llvm::Error {
    LinkInput input;
    input.triple = base.triple.str();
    input.runtimeFolder = options.runtimeFolder;
    input.files = options.files;
    if (auto callees = module->getAttrOfType<ArrayAttr>(foreign::calleesAttr))
      for (StringAttr name : callees.getAsRange<StringAttr>())
        if (name.getValue().starts_with("burin_"))
          input.runtimeCalls.push_back(name.str());
    for (ObjectCode &object : objects) {
      std::string file = folder->file(object.name);
      if (llvm::Error error = writeFile(file, [&](llvm::raw_ostream &out) {
            out.write(object.bytes.data(), object.bytes.size());
            return llvm::Error::success();
          }))
        return error;
      object.bytes = {};
      input.objects.push_back(file);
    }
    if (model.weightsBytes) {
      std::string file = folder->file(model.name + ".weights.o");
      if (llvm::Error error =
              writeFile(file, [&](llvm::raw_ostream &out) { return writeWeightObject(model, base.triple, out); }))
        return error;
      input.objects.push_back(file);
    }
    switch (options.kind) {
    case ArtifactKind::Object:
      return linkObject(input, path);
    case ArtifactKind::StaticLibrary:
      return linkArchive(input, path);
    case ArtifactKind::SharedLibrary: {
      std::vector<std::string> exports = {model.modelSymbol()};
      if (!(model.flags & BURIN_NEEDS_ALLOCATOR))
        exports.push_back(model.runSymbol());
      if (model.unlockedBytes() && !(model.flags & BURIN_NEEDS_ALLOCATOR))
        exports.push_back(model.unlockSymbol());
      if (!model.plan.empty())
        exports.push_back(model.sizesSymbol());
      if (model.selfTest)
        exports.push_back(model.selfTestSymbol());
      if (model.isProgram)
        exports.push_back("burin_program_model");
      return linkShared(input, options.soname, exports, path);
    }
    case ArtifactKind::Module: {
      std::vector<std::string> exports = {model.runSymbol()};
      if (model.unlockedBytes())
        exports.push_back(model.unlockSymbol());
      return linkModule(input, exports, model.sharesMemory ? model.sharedBytes() : 0, path);
    }
    case ArtifactKind::Program:
      return linkProgram(input, options.isStatic, path);
    }
    llvm_unreachable("all kinds are above");
  };
  if (llvm::Error error = link())
    return module.emitError() << llvm::toString(std::move(error)), failure();
  return meter.size();
}
