// The road from a model to an artifact: one compilation from file to file. What a stage is: Stages.cpp.
#include "lib/Pipeline/Pipeline.h"

#include "burin/InitAll.h"
#include "burin/runtime.h"
#include "dialects/Foreign/Foreign.h"
#include "dialects/Nn/Nn.h"
#include "dialects/Onnx/DataType.h"
#include "dialects/Onnx/Onnx.h"
#include "lib/Export/Export.h"
#include "lib/Image/Image.h"
#include "lib/Import/Import.h"
#include "lib/Pipeline/Evaluator.h"
#include "lib/Pipeline/ExplainLayer.h"
#include "lib/Pipeline/SelfTest.h"
#include "lib/Pipeline/SideFiles.h"
#include "lib/Pipeline/Tune.h"
#include "lib/Report/Report.h"
#include "lib/Support/Diagnostics.h"
#include "lib/Support/Winograd.h"
#include "lib/Target/Artifact.h"
#include "lib/Target/Files.h"
#include "lib/Target/Header.h"
#include "passes/Cpu/Passes.h"
#include "passes/Graph/Passes.h"
#include "passes/Lower/Passes.h"
#include "passes/Tensor/Passes.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Bytecode/BytecodeWriter.h"
#include "mlir/IR/Verifier.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/BLAKE3.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include <chrono>
#include <sys/resource.h>

using namespace mlir;
using namespace burin;

namespace {
constexpr char stageAttr[] = "burin.stage";
} // namespace

//===--------------------------------------------- one compilation ---------------------------------------------===//

Compilation::Compilation(CompileOptions given, Progress progress)
    : options(std::move(given)), progress(std::move(progress)), context(makeContext()) {
  if (!options.explain.empty() || options.explainLayer >= 0 || !options.reportFolder.empty())
    remarks = collectRemarks(*context);
}

Compilation::~Compilation() {
  if (remarks && !options.explain.empty())
    printExplanation(*remarks, options.explain, llvm::errs());
}

namespace {
// Adds the time since its construction to the report.
class Clock {
public:
  Clock(CompileReport &report, const Progress &progress, Stage stage) : report(report), stage(stage) {
    if (progress)
      progress(stage);
  }
  ~Clock() {
    std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    report.stages.push_back({stage, seconds.count()});
    report.seconds += seconds.count();
    rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0)
      report.peakMemory = uint64_t(usage.ru_maxrss) * 1024;
  }

private:
  CompileReport &report;
  Stage stage;
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

std::string hashOf(StringRef bytes) {
  llvm::BLAKE3 hash;
  hash.update(bytes);
  auto result = hash.final();
  return llvm::toHex(result, /*LowerCase=*/true);
}

// Known stages of `burin.stage`; import for a module that has none.
Stage stageOf(ModuleOp module) {
  if (auto name = module->getAttrOfType<StringAttr>(stageAttr))
    for (Stage stage : {Stage::Import, Stage::Graph, Stage::Lower, Stage::Tensor, Stage::Target})
      if (stageName(stage) == name.getValue())
        return stage;
  return Stage::Import;
}
} // namespace

LogicalResult Compilation::import(const ModelSource &source) {
  Clock clock(report, progress, Stage::Import);
  Location nowhere = FileLineColLoc::get(context.get(), source.path, 0, 0);
  if (failed(chooseVariants(nowhere)))
    return failure();
  sourceName = llvm::sys::path::filename(source.path).str();

  std::unique_ptr<llvm::MemoryBuffer> file;
  StringRef bytes = source.bytes;
  if (!source.owner) {
    auto opened = llvm::MemoryBuffer::getFile(source.path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
    if (!opened)
      return emitError(nowhere) << "cannot read the file: " << opened.getError().message();
    file = std::move(*opened);
    bytes = file->getBuffer();
  }
  sourceHash = hashOf(bytes);
  bool isMlir = llvm::sys::path::extension(source.path) == ".mlir" || bytes.starts_with("ML\xefR");
  file.reset();
  if (isMlir) {
    ParserConfig config(context.get());
    module = source.owner ? parseSourceString<ModuleOp>(source.bytes, config, source.path)
                          : parseSourceFile<ModuleOp>(source.path, config);
  } else {
    ImportOptions importOptions; // bytes with the name of a file: what lies beside it belongs to them
    importOptions.externalFolder = llvm::sys::path::parent_path(source.path).str();
    importOptions.tensorNames = tensorNames(options.edits);
    module = source.owner ? importModel(source.bytes, source.path, source.owner, *context, importOptions)
                          : importModel(source.path, *context, importOptions);
  }
  if (!module || failed(mlir::verify(*module)))
    return failure();
  reached = stageOf(*module);
  if (reached < Stage::Graph && failed(loadModelEdits(*module, options.edits)))
    return failure();
  chooseInputType();
  return success(succeeded(bindFunctions()) && succeeded(bindHints()));
}

// Custom operators learn the names of the functions that compute them.
LogicalResult Compilation::bindFunctions() {
  for (const CompileOptions::CustomOp &op : options.customOps) {
    bool found = reached >= Stage::Lower; // they are calls by then
    module->walk([&](onnx::CustomOp custom) {
      if (custom.getOpType() != op.name || custom.getDomain() != op.domain)
        return;
      custom->setAttr(onnx::calleeAttr, StringAttr::get(context.get(), op.function));
      found = true;
    });
    if (!found)
      return module->emitError() << "--custom-op=" << op.domain << (op.domain.empty() ? "" : ".") << op.name
                                 << ": the model has no such operator, or it is one that Burin knows";
  }
  return success();
}

// Shapes of data at hand bind what the model leaves open; where they disagree with it the run will say so, not the
// compiler.
LogicalResult Compilation::bindHints() {
  auto main = module->lookupSymbol<FunctionOpInterface>("main");
  if (!main || reached >= Stage::Graph || options.isDynamic)
    return success();
  auto isGiven = [](ArrayRef<std::string> bindings, StringRef name) {
    return llvm::any_of(bindings, [&](StringRef s) { return s.rsplit('=').first == name; });
  };
  for (auto [i, type] : llvm::enumerate(main.getArgumentTypes())) {
    auto name = main.getArgAttrOfType<StringAttr>(i, "onnx.name");
    if (!name)
      continue;
    auto optional = dyn_cast<onnx::OptType>(type);
    auto sequence = dyn_cast<onnx::SeqType>(optional ? optional.getElementType() : type);
    auto tensor = dyn_cast<TensorType>(sequence   ? sequence.getElementType()
                                       : optional ? optional.getElementType()
                                                  : type);
    if (!tensor)
      continue;
    // A sequence's tensors are named x[0], x[1], ...
    int64_t length = 0;
    for (const auto &[hinted, dims] : options.inputHints) {
      StringRef index = hinted;
      uint64_t position;
      bool isOwn = sequence ? index.consume_front(name.getValue()) && index.consume_front("[") &&
                                  index.consume_back("]") && !index.getAsInteger(10, position)
                            : index == name.getValue();
      if (!isOwn)
        continue;
      ++length;
      auto fits = [&, &dims = dims] {
        if (!tensor.hasRank())
          return true;
        if (tensor.getRank() != (int64_t)dims.size())
          return false;
        for (auto [have, want] : llvm::zip(dims, tensor.getShape()))
          if (!ShapedType::isDynamic(want) && have != want)
            return false;
        return true;
      };
      if ((tensor.hasRank() && tensor.hasStaticShape()) || isGiven(options.shapes, hinted) || !fits())
        continue;
      std::string shape = hinted + "=";
      for (auto [d, dim] : llvm::enumerate(dims))
        shape += (d ? "x" : "") + std::to_string(dim);
      options.shapes.push_back(shape);
    }
    if ((sequence || optional) && length && !isGiven(options.lengths, name.getValue()))
      options.lengths.push_back(name.str() + "=" + std::to_string(length));
  }
  return success();
}

// Best first, as the run-time picks the first that the CPU runs; the machine table is in that order.
LogicalResult Compilation::chooseVariants(Location where) {
  std::vector<std::string> names = options.targets;
  if (names.empty())
    names = {"host"};
  for (const std::string &name : names) {
    const Machine *machine = findMachine(name);
    if (!machine)
      return emitError(where) << "unknown target '" << name << "', expected one of " << machineNames();
    if (!variants.empty() && variants.front().machine->triple != machine->triple)
      return emitError(where) << "targets '" << variants.front().machine->name << "' and '" << machine->name
                              << "' are of different architectures, expected one in an artifact";
    if (llvm::none_of(variants, [&](const Variant &v) { return v.machine == machine; }))
      variants.push_back({machine, nullptr});
  }
  llvm::sort(variants, [](const Variant &a, const Variant &b) { return a.machine < b.machine; });
  base = variants.back().machine;
  return success();
}

std::string Compilation::variantPrefix(const Variant &variant) const {
  return variants.size() == 1 ? options.name : options.name + "_" + toIdentifier(variant.machine->name);
}

LogicalResult Compilation::runTargetForAll() {
  if (options.unit.unit)
    return runTarget(*module, {options, *base});
  if (options.cuda)
    return runCudaTarget();
  for (Variant &variant : variants) {
    if (&variant != &variants.front())
      variant.code = module->clone();
    for (Specialization &s : specializations)
      variant.specialized.push_back(s.module->clone());
  }
  for (Variant &variant : variants) {
    ModuleOp code = variant.code ? *variant.code : *module;
    if (failed(runTarget(code, {options, *variant.machine})))
      return failure();
    prefixImageStages(code, variantPrefix(variant));
    // Layers are numbered on from those of the code before.
    SmallVector<Attribute> layers(code->getAttrOfType<ArrayAttr>(layersAttr).getValue());
    for (auto [s, specialized] : llvm::zip(specializations, variant.specialized)) {
      (*specialized)->setAttr(firstLayerAttr, IntegerAttr::get(IntegerType::get(context.get(), 64), layers.size()));
      if (failed(runTarget(*specialized, {options, *variant.machine})))
        return failure();
      prefixImageStages(*specialized, variantPrefix(variant));
      if (failed(addDispatch(code, *specialized, s, variantPrefix(variant) + "_" + s.suffix())))
        return failure();
      llvm::append_range(layers, (*specialized)->getAttrOfType<ArrayAttr>(layersAttr));
      if ((*specialized)->hasAttr(allocatorAttr))
        code->setAttr(allocatorAttr, UnitAttr::get(context.get()));
    }
    code->setAttr(layersAttr, ArrayAttr::get(context.get(), layers));
    if (variant.code && code->getAttr(layersAttr) != (*module)->getAttr(layersAttr))
      return module->emitError() << "internal error: '" << variant.machine->name << "' and '"
                                 << variants.front().machine->name << "' make different layers";
  }
  return success();
}

LogicalResult Compilation::specializeAll() {
  if (options.specialize.empty() || reached >= Stage::Graph)
    return success();
  auto made = makeSpecializations(*module, options);
  if (failed(made))
    return failure();
  specializations = std::move(*made);
  return success();
}

LogicalResult Compilation::forAll(llvm::function_ref<LogicalResult(ModuleOp, const StageOptions &)> function) {
  if (failed(function(*module, {options, *base})))
    return failure();
  for (Specialization &s : specializations) {
    CompileOptions bound = options;
    for (const auto &[name, value] : s.dims)
      bound.dims.push_back(name + "=" + std::to_string(value));
    if (failed(function(*s.module, {bound, *base})))
      return failure();
  }
  return success();
}

LogicalResult Compilation::runTo(Stage last) {
  auto run = [&](Stage next, llvm::function_ref<LogicalResult()> function) {
    if (next <= reached || next > last)
      return success();
    Clock clock(report, progress, next);
    if (failed(function()))
      return failure();
    reached = next;
    (*module)->setAttr(stageAttr, StringAttr::get(context.get(), stageName(next)));
    return success();
  };
  auto lower = [](ModuleOp m, const StageOptions &stage) {
    if (failed(captureSignature(m)) || failed(runLower(m, stage)))
      return failure();
    refineSignature(m);
    return success();
  };
  bool isReported = !options.reportFolder.empty();
  if (isReported && reached == Stage::Import)
    page["before"] = graphOf(*module);
  auto graph = [&] {
    LogicalResult result = forAll(runGraph);
    if (isReported && succeeded(result))
      page["after"] = graphOf(*module);
    return result;
  };
  auto tensor = [&] {
    bool good =
        succeeded(forAll(runTensor)) && (specializations.empty() || succeeded(shareWeights(*module, specializations)));
    (*module)->walk([&](nn::ConvOp conv) {
      if (!conv.getWinograd())
        return;
      ++report.winogradLayers;
      report.winogradError = std::max(report.winogradError, winogradError(*conv.getWinograd()));
    });
    if (isReported && good)
      page["memory"] = memoryOf(*module);
    return success(good);
  };
  return success(succeeded(specializeAll()) && succeeded(run(Stage::Graph, graph)) &&
                 succeeded(run(Stage::Lower, [&] { return forAll(lower); })) && succeeded(run(Stage::Tensor, tensor)) &&
                 succeeded(run(Stage::Target, [&] { return runTargetForAll(); })));
}

FailureOr<ModelDescription> Compilation::describe() {
  FailureOr<ModelDescription> model = describeModel(*module);
  if (failed(model))
    return failure();
  model->name = options.name;
  if (variants.size() > 1 && !variants.back().code)
    return module->emitError("a module of the target stage is made for one target; give one --target"), failure();
  if (options.flushDenormals)
    model->flags |= BURIN_FLUSH_DENORMALS;
  std::string targets;
  for (const Variant &v : variants) {
    model->variants.push_back({v.machine->name.str(), v.machine->runtimeFeatures, entrySymbol(variantPrefix(v))});
    targets += (targets.empty() ? "" : ",") + v.machine->name.str();
  }
  if (options.cuda)
    targets = options.cuda.text + "," + targets;
  // Not a kernel of any instruction set: the least of them runs everywhere.
  ModuleOp least = variants.back().code ? *variants.back().code : *module;
  if (least.lookupSymbol("plan"))
    model->plan = variantPrefix(variants.back()) + "_plan";
  llvm::json::Array shapes(options.shapes), dims(options.dims);
  llvm::json::Object manifest{{"compiler", ("burin " + version()).str()},
                              {"abi", BURIN_ABI_VERSION},
                              {"name", options.name},
                              {"target", targets},
                              {"optimization", options.optLevel},
                              {"source", llvm::json::Object{{"file", sourceName}, {"blake3", sourceHash}}},
                              {"shapes", std::move(shapes)},
                              {"dims", std::move(dims)}};
  if (std::vector<std::string> flags = processingFlags(options.edits); !flags.empty())
    manifest["processing"] = llvm::json::Array(flags);
  // Who calls the model puts its sequences together from this: x = 3 is x[0], x[1], x[2]; null an empty optional.
  if (auto held = (*module)->getAttrOfType<DictionaryAttr>(lengthsAttr)) {
    llvm::json::Object lengths;
    for (NamedAttribute entry : held) {
      auto length = dyn_cast<IntegerAttr>(entry.getValue());
      lengths[entry.getName().getValue()] = length ? llvm::json::Value(length.getInt()) : llvm::json::Value(nullptr);
    }
    manifest["lengths"] = std::move(lengths);
  }
  llvm::raw_string_ostream(model->manifest) << llvm::json::Value(std::move(manifest));
  report.arenaBytes = model->arenaBytes;
  report.peakLiveBytes = model->peakLiveBytes;
  report.weightsBytes = model->weightsBytes;
  for (const WeightDescription &w : model->weights)
    report.sourceWeightsBytes += w.sourceBytes;
  report.layers = model->layers.size();
  if (!options.reportFolder.empty()) {
    llvm::json::Array layers;
    for (const LayerDescription &layer : model->layers)
      layers.push_back(llvm::json::Object{
          {"name", layer.name}, {"kind", layer.kind}, {"flops", layer.flops}, {"bytes", layer.bytes}});
    page["layers"] = std::move(layers);
    page["target"] = targets;
  }
  return model;
}

std::vector<std::string> Compilation::callees() {
  std::vector<std::string> names;
  if (auto list = (*module)->getAttrOfType<ArrayAttr>(foreign::calleesAttr))
    for (auto name : list.getAsRange<StringAttr>())
      names.push_back(name.str());
  return names;
}

llvm::Error Compilation::writeReport(const CompileReport &total) {
  if (options.reportFolder.empty())
    return llvm::Error::success();
  llvm::json::Array stages;
  for (const CompileReport::StageTime &s : total.stages)
    stages.push_back(llvm::json::Object{{"stage", stageName(s.stage)}, {"seconds", s.seconds}});
  page["stages"] = std::move(stages);
  page["model"] = sourceName;
  page["compiler"] = ("Burin " + version()).str();
  page["passes"] = toJson(*remarks);
  page["arena_bytes"] = total.arenaBytes;
  page["weights_bytes"] = total.weightsBytes;
  page["code_bytes"] = total.codeBytes;
  page["artifact_bytes"] = total.artifactBytes;
  return burin::writeReport(options.reportFolder, page);
}

FailureOr<std::vector<ObjectCode>> Compilation::emitObjects(ModelDescription &description) {
  Clock clock(report, progress, Stage::Emit);
  FailureOr<ModelDescription> model = describe();
  if (failed(model))
    return failure();
  description = std::move(*model);
  description.variants.resize(1); // the best that was asked for
  auto images = compileImageStages(*module, *variants.front().machine, variantPrefix(variants.front()));
  if (failed(images))
    return failure();
  auto objects =
      compileToObjects(*module, *variants.front().machine, {variantPrefix(variants.front()), options.optLevel});
  if (failed(objects))
    return failure();
  llvm::move(*images, std::back_inserter(*objects));
  for (auto [s, code] : llvm::zip(specializations, variants.front().specialized)) {
    auto more = compileToObjects(*code, *variants.front().machine,
                                 {variantPrefix(variants.front()) + "_" + s.suffix(), options.optLevel});
    if (failed(more))
      return failure();
    llvm::move(*more, std::back_inserter(*objects));
  }
  auto own = describeToObject(*module, *base, description);
  if (failed(own))
    return failure();
  objects->push_back(std::move(*own));
  return objects;
}

LogicalResult Compilation::emit(StringRef output, StringRef header, SideFiles &side) {
  Clock clock(report, progress, Stage::Emit);
  auto write = [&](llvm::function_ref<LogicalResult(llvm::raw_ostream &)> body, StringRef path) -> LogicalResult {
    LogicalResult wrote = success();
    llvm::Error error = writeFile(path, [&](llvm::raw_ostream &out) {
      wrote = body(out);
      return llvm::Error::success();
    });
    if (error)
      return module->emitError() << llvm::toString(std::move(error));
    return wrote;
  };
  EmitKind kind = *options.emit;
  if (kind == EmitKind::CustomHeader)
    return write([&](llvm::raw_ostream &out) { return writeCustomHeader(*module, options.name, out); }, output);
  if (kind == EmitKind::Onnx)
    return exportModel(*module, output, ExportOptions{options.opset});
  if (kind == EmitKind::MLIR)
    return write(
        [&](llvm::raw_ostream &out) {
          if (StringRef(options.output).ends_with(".mlirbc"))
            return writeBytecodeToFile(*module, out);
          module->print(out, OpPrintingFlags().enableDebugInfo(/*enable=*/true, /*prettyForm=*/false));
          return success();
        },
        output);

  if (kind == EmitKind::Blob)
    return emitBlob(output);
  if (kind == EmitKind::Ptx || kind == EmitKind::Cubin) {
    if (cudaBinaries.size() < (kind == EmitKind::Ptx ? 1 : 2))
      return module->emitError() << "no kernels for a GPU are at hand as " << emitName(kind);
    const CudaBinary &binary = kind == EmitKind::Ptx ? cudaBinaries.front() : cudaBinaries[1];
    return write([&](llvm::raw_ostream &out) { return out << binary.bytes, success(); }, output);
  }

  FailureOr<ModelDescription> model = describe();
  if (failed(model))
    return failure();
  model->isProgram = kind == EmitKind::Exe || kind == EmitKind::Shared;
  if (const Board *board = options.targets.empty() ? nullptr : findBoard(options.targets.front()))
    model->threads = board->cores;
  model->arenaSection = options.arenaSection;
  model->selfTest = selfTest;
  model->isDirect = (base->isBareMetal() || base->isWebAssembly()) && variants.size() == 1 && !base->runtimeFeatures;
  model->sharesMemory = base->isWebAssembly() && base->features.contains("+atomics") && side.needsModule();
  if (options.compressWeights) {
    model->codedWeights = codeWeights(*model, report.codedWeights);
    model->flags |= BURIN_CODED_WEIGHTS;
  }
  if (!options.encrypt.empty() && model->weightsBytes) {
    auto closed = lockWeights(*model, options.encrypt);
    if (!closed)
      return module->emitError() << llvm::toString(closed.takeError());
    model->codedWeights = std::move(*closed);
    model->flags |= BURIN_LOCKED_WEIGHTS;
    report.unlockedBytes = model->unlockedBytes();
    if (options.arenaLimit && model->plan.empty() && model->lentBytes() > options.arenaLimit)
      return module->emitError() << "with the opened weights in it the arena takes " << model->lentBytes()
                                 << " bytes, the limit is " << options.arenaLimit << "; weights take "
                                 << model->weightsBytes << " of them";
  }
  report.storedWeightsBytes = model->storedBytes();
  bool isFree = !model->plan.empty() || (model->flags & BURIN_NEEDS_ALLOCATOR);
  if (isFree && (side.needsStatic() || !options.arenaSection.empty()))
    return module->emitError() << "--" << (side.needsStatic() ? "emit=" + emitName(kind) : "arena-section").str()
                               << " takes models of given sizes; bind the free dims with --shape or --dim";
  if (kind == EmitKind::LLVM || kind == EmitKind::Asm) {
    CodegenOptions codegen{options.name, options.optLevel};
    auto text =
        compileToText(*module, *base, codegen, *model, kind == EmitKind::LLVM ? TextKind::LLVM : TextKind::Assembly);
    if (failed(text))
      return failure();
    return write([&](llvm::raw_ostream &out) { return out << *text, success(); }, output);
  }
  if (options.explainLayer >= 0) {
    auto text = explainLayer(*module, *variants.front().machine, {variantPrefix(variants.front()), options.optLevel},
                             *model, options.explainLayer, *remarks);
    if (failed(text))
      return failure();
    report.notes += *text;
  }
  StringRef fileName = llvm::sys::path::filename(options.output);
  ArtifactOptions artifact;
  artifact.kind = kind == EmitKind::Exe      ? ArtifactKind::Program
                  : kind == EmitKind::Lib    ? ArtifactKind::StaticLibrary
                  : kind == EmitKind::Shared ? ArtifactKind::SharedLibrary
                  : kind == EmitKind::Jni    ? ArtifactKind::StaticLibrary
                  : side.needsModule()       ? ArtifactKind::Module
                                             : ArtifactKind::Object;
  artifact.isStatic = options.isStatic;
  artifact.runtimeFolder = options.runtimeFolder;
  artifact.soname = fileName.str();
  for (const CompileOptions::CustomOp &op : options.customOps)
    if (!op.file.empty() && !llvm::is_contained(artifact.files, op.file))
      artifact.files.push_back(op.file);
  std::vector<VariantCode> all;
  for (Variant &v : variants) {
    auto images = compileImageStages(v.code ? *v.code : *module, *v.machine, variantPrefix(v));
    if (failed(images))
      return failure();
    llvm::move(*images, std::back_inserter(artifact.objects));
    all.push_back({v.code ? *v.code : *module, v.machine, {variantPrefix(v), options.optLevel}});
    for (auto [s, code] : llvm::zip(specializations, v.specialized))
      all.push_back({*code, v.machine, {variantPrefix(v) + "_" + s.suffix(), options.optLevel}});
  }
  FailureOr<CodeSize> code =
      writeArtifact(all, *base, *model, std::move(artifact), kind == EmitKind::Js ? side.module() : output);
  if (failed(code) || failed(checkFlash(*module, *model, *code, options.maxFlash)))
    return failure();
  model->codeBytes = code->code + code->constants;
  report.codeBytes = code->code;
  report.constantBytes = code->constants;
  report.stackBytes = model->stackBytes = code->stack;
  if (llvm::Error error = side.write(*model, output))
    return module->emitError() << llvm::toString(std::move(error));
  uint64_t size = 0;
  if (!llvm::sys::fs::file_size(output, size))
    report.artifactBytes = size;
  if (header.empty())
    return success();
  return write([&](llvm::raw_ostream &out) { return writeHeader(*model, fileName, version(), out), success(); },
               header);
}

//===--------------------------------------------- file to file ---------------------------------------------===//

// Keeps the first error with its notes: what follows it is a consequence.
static void copyMessages(StringRef text, llvm::raw_ostream &out) {
  bool sawError = false;
  while (!text.empty()) {
    auto [line, rest] = text.split('\n');
    if (line.starts_with("error: ") && std::exchange(sawError, true))
      return;
    out << line << "\n";
    text = rest;
  }
}

bool burin::compile(const ModelSource &source, const CompileOptions &given, const Progress &progress,
                    llvm::raw_ostream &messages, CompileReport &report) {
  CompileOptions options = completeOptions(given, source.path);
  auto refuse = [&](const Twine &why) {
    messages << "error: " << why << "\n";
    return false;
  };
  if (std::string why = conflictOf(options); !why.empty())
    return refuse(why);
  if (!source.owner && !llvm::sys::fs::exists(source.path))
    return refuse(source.path + ": no such file");
  if (!source.owner && llvm::sys::fs::is_directory(source.path))
    return refuse(source.path + ": is a folder, expected a model");

  if ((options.sweepShaves || !options.budget.empty()) && !options.unit.unit)
    return refuse("--budget and --sweep-shaves are of a vision unit: give --target=myriad");
  if (options.sweepShaves && !sweepShaves(source, options, messages))
    return false;

  std::optional<ModelDescription::SelfTest> selfTest;
  if (options.selfTest && !(selfTest = makeSelfTest(source, options, messages)))
    return false;

  // Opened before the work, so that a place that cannot be written is told at once.
  std::string place = options.output;
  std::optional<ScratchFolder> scratch;
  if (place == "-") {
    auto folder = ScratchFolder::create();
    if (!folder)
      return refuse(llvm::toString(folder.takeError()));
    scratch.emplace(std::move(*folder));
    place = scratch->file("out");
  }
  auto output = OutputFile::create(place);
  if (!output)
    return refuse(llvm::toString(output.takeError()));
  auto side = SideFiles::open(options);
  if (!side)
    return refuse(llvm::toString(side.takeError()));
  bool hasHeader = hasOwnName(*options.emit) && !side->needsModule();
  std::optional<OutputFile> header;
  if (hasHeader && options.header != "none") {
    SmallString<128> path(options.header);
    if (path.empty()) {
      path = options.output;
      llvm::sys::path::remove_filename(path);
      llvm::sys::path::append(path, options.name + ".h");
    }
    auto file = OutputFile::create(path);
    if (!file)
      return refuse(llvm::toString(file.takeError()));
    header.emplace(std::move(*file));
    report.header = std::string(path);
  }

  bool good;
  std::string text, tuning;
  if (options.optLevel >= 3 && !options.isTuned && *options.emit != EmitKind::Onnx &&
      (!options.stopAfter || *options.stopAfter > Stage::Lower))
    if (llvm::Error error = tune(source, options, tuning))
      return refuse(llvm::toString(std::move(error)));
  {
    Compilation compilation(options, progress);
    compilation.selfTest = std::move(selfTest);
    llvm::raw_string_ostream stream(text);
    burin::ScopedDiagnosticHandler handler(&compilation.getContext(), stream);
    Stage last = options.stopAfter ? std::min(*options.stopAfter, Stage::Target)
                 : *options.emit == EmitKind::Onnx || *options.emit == EmitKind::CustomHeader ? Stage::Graph
                                                                                              : Stage::Target;
    good = succeeded(compilation.import(source)) && succeeded(compilation.runTo(last)) &&
           succeeded(compilation.checkBudget()) &&
           succeeded(compilation.emit(output->temporaryPath(), header ? header->temporaryPath() : "", *side));
    // Beside the program, and only when there is one.
    if (good && options.edits.loraMode == "switch") {
      StringRef stem(options.output);
      std::string why =
          writeAdapterValues(compilation.getModule(), stem.drop_back(llvm::sys::path::extension(stem).size()));
      if (!why.empty())
        return refuse(why);
    }
    std::string headerPath = report.header;
    report = compilation.report;
    report.header = headerPath;
    if (good)
      if (llvm::Error error = compilation.writeReport(report))
        return refuse(llvm::toString(std::move(error)));
  }
  if (!good && !StringRef(text).contains("error: "))
    text += "error: " + source.path + ": internal error: a stage failed without a message\n";
  copyMessages(text, messages);
  messages << tuning << report.notes;
  if (!good)
    return false;
  report.output = options.output;
  if (llvm::Error error = side->sign(output->temporaryPath()))
    return refuse(llvm::toString(std::move(error)));
  if (llvm::Error error = output->commit(*options.emit == EmitKind::Exe || *options.emit == EmitKind::Shared))
    return refuse(llvm::toString(std::move(error)));
  if (header)
    if (llvm::Error error = header->commit(false))
      return refuse(llvm::toString(std::move(error)));
  if (llvm::Error error = side->commit())
    return refuse(llvm::toString(std::move(error)));
  if (scratch) {
    auto buffer = llvm::MemoryBuffer::getFile(place);
    if (!buffer)
      return refuse("cannot read back the output");
    llvm::outs() << (*buffer)->getBuffer();
    llvm::outs().flush();
  }
  return true;
}
