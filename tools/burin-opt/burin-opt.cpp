// burin-opt: reads ONNX or MLIR, runs passes, writes ONNX or MLIR. MLIR's own opt machinery does the work; an ONNX
// input is a first pass that fills an empty module, an ONNX output a last pass that writes it, so every option of
// mlir-opt (timing, remarks, printing between passes, reproducers) holds for both.
#include "burin/InitAll.h"
#include "dialects/Onnx/Onnx.h"
#include "lib/Cost/Cost.h"
#include "lib/Cost/Vpu.h"
#include "lib/Export/Export.h"
#include "lib/Import/Adapter.h"
#include "lib/Import/Import.h"
#include "lib/Pipeline/Explain.h"
#include "lib/Pipeline/Plugins.h"
#include "lib/Support/Diagnostics.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Pass/PassRegistry.h"
#include "mlir/Support/FileUtilities.h"
#include "mlir/Tools/mlir-opt/MlirOptMain.h"
#include "llvm/Support/CommandLine.h"
#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/raw_ostream.h"

using namespace mlir;
namespace cl = llvm::cl;

#ifndef BURIN_VERSION
#define BURIN_VERSION "0.1.0"
#endif

namespace {

// Shown by --help above MLIR's options.
const char *const overview = R"(burin-opt: reads ONNX or MLIR, runs passes, writes ONNX or MLIR

usage: burin-opt IN.{onnx,mlir} [--PASS | --pass-pipeline=... | --pipeline=NAME] [-o OUT.{onnx,mlir}]

  burin-opt model.onnx -o model.mlir                     read a model
  burin-opt model.onnx --pipeline=graph -o model.opt.onnx  optimize it, write standard ONNX again
  burin-opt model.onnx --pipeline=graph --elide-weights  look at it
)";

cl::OptionCategory category("Burin options");
cl::opt<std::string>
    pipelineName("pipeline", cl::desc("Run a stage's named pipeline (see --list-pipelines), after any other passes"),
                 cl::value_desc("name"), cl::cat(category));
cl::opt<std::string> targetName("target", cl::desc("Machine the named pipeline is for (default: this one)"),
                                cl::value_desc("machine"), cl::cat(category));
cl::list<std::string> loras("lora", cl::desc("Merge a LoRA adapter into the weights, before any pass; may be repeated"),
                            cl::value_desc("FILE.safetensors[:scale]"), cl::cat(category));
cl::list<std::string>
    tensorNames("tensor-names", cl::CommaSeparated,
                cl::desc("Keep the names of these tensors of an ONNX file, for --graph-extract-subgraph"),
                cl::value_desc("name,..."), cl::cat(category));
cl::opt<bool>
    listPipelines("list-pipelines",
                  cl::desc("List the named pipelines (or the one of --pipeline), what runs in them and why, and exit"),
                  cl::cat(category));
cl::list<std::string> passList(
    "passes",
    cl::desc("Passes to run at a point: a textual pipeline or a Python file; POINT is after-import, after-graph "
             "(default), before-target, before-FLAG or after-FLAG"),
    cl::value_desc("[POINT:]P"), cl::cat(category));
cl::list<std::string> patternList("patterns", cl::desc("Rewrites in PDLL to apply at a point"),
                                  cl::value_desc("[POINT:]F.pdll"), cl::cat(category));
cl::list<std::string> explain("explain", cl::desc("Tell where a pass fired and why it did not elsewhere"),
                              cl::value_desc("PASS"), cl::cat(category));
cl::opt<std::string>
    unitRates("unit-rates",
              cl::desc("Print modelled and published rates of the networks in this file (layer lists as "
                       "test/lib/Cost/Inputs/vpu-networks.json) and exit"),
              cl::value_desc("FILE.json"), cl::cat(category));
cl::opt<std::string>
    showCost("cost",
             cl::desc("Print parameters, multiply-accumulates, bytes and energy by operator instead of "
                      "the module"),
             cl::value_desc("text|json"), cl::ValueOptional, cl::cat(category));
cl::opt<std::string> accounting("accounting",
                                cl::desc("How --cost counts: macs (default), or edge as papers on small "
                                         "networks do"),
                                cl::init("macs"), cl::cat(category));
cl::opt<bool> advise("advise", cl::desc("Print what rewrites that change results would save instead of the module"),
                     cl::cat(category));
cl::opt<int64_t> passLimit("pass-limit", cl::desc("Run only the first N passes"), cl::init(-1), cl::cat(category));
cl::opt<bool> elideWeights("elide-weights",
                           cl::desc("Leave out the data of large constants when printing: to read, not to read back"),
                           cl::cat(category));
cl::opt<int> onnxOpset("onnx-opset", cl::desc("Opset of an ONNX output (default: the newest that ONNX Runtime loads)"),
                       cl::init(-1), cl::cat(category));
cl::opt<bool> externalData("external-data", cl::desc("Write the weights of an ONNX output to FILE.data beside it"),
                           cl::cat(category));

// Held by a pass, because passes end before the context and the configuration ends after it.
using Handler = std::shared_ptr<burin::ScopedDiagnosticHandler>;

struct ImportOnnx : PassWrapper<ImportOnnx, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ImportOnnx)
  ImportOnnx(std::string path, Handler handler) : path(std::move(path)), handler(std::move(handler)) {}
  ImportOnnx(const ImportOnnx &other) : PassWrapper(other), path(other.path), handler(other.handler) {}
  StringRef getArgument() const final { return "burin-import"; }
  StringRef getDescription() const final { return "fill the module from an ONNX file"; }
  void getDependentDialects(DialectRegistry &registry) const final {
    registry.insert<burin::onnx::OnnxDialect, func::FuncDialect>();
  }
  void runOnOperation() final {
    ModuleOp module = getOperation();
    burin::ImportOptions options;
    options.tensorNames.assign(tensorNames.begin(), tensorNames.end());
    OwningOpRef<ModuleOp> imported = burin::importModel(path, getContext(), options);
    if (!imported)
      return signalPassFailure();
    module->setAttrs((*imported)->getAttrDictionary());
    module->setLoc(imported->getLoc());
    module.getBody()->getOperations().splice(module.getBody()->end(), imported->getBody()->getOperations());
  }
  std::string path;
  Handler handler;
};

// Adapters lie in files, which passes do not open.
struct LoadAdapters : PassWrapper<LoadAdapters, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(LoadAdapters)
  StringRef getArgument() const final { return "burin-load-adapters"; }
  StringRef getDescription() const final { return "read the adapters of the command line"; }
  void getDependentDialects(DialectRegistry &registry) const final { registry.insert<burin::onnx::OnnxDialect>(); }
  void runOnOperation() final {
    for (const std::string &spec : loras)
      if (failed(burin::addAdapter(getOperation(), spec)))
        return signalPassFailure();
  }
};

struct ExportOnnx : PassWrapper<ExportOnnx, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(ExportOnnx)
  ExportOnnx(std::string path, Handler handler) : path(std::move(path)), handler(std::move(handler)) {}
  ExportOnnx(const ExportOnnx &other) : PassWrapper(other), path(other.path), handler(other.handler) {}
  StringRef getArgument() const final { return "burin-export"; }
  StringRef getDescription() const final { return "write the module as an ONNX file"; }
  void runOnOperation() final {
    burin::ExportOptions options;
    options.opset = onnxOpset;
    options.externalData = externalData;
    if (failed(burin::exportModel(getOperation(), path, options)))
      return signalPassFailure();
    // Nothing is printed after this; an empty module keeps the printer from encoding the weights.
    getOperation().getBody()->clear();
  }
  std::string path;
  Handler handler;
};

// The user's passes as one: MLIR replaces whatever a pass manager holds when it parses --pass-pipeline, the import
// before it too.
struct RunPasses : PassWrapper<RunPasses, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RunPasses)
  explicit RunPasses(OpPassManager passes) : passes(std::move(passes)) {}
  RunPasses(const RunPasses &other) : PassWrapper(other), passes(other.passes) {}
  StringRef getArgument() const final { return "burin-run-passes"; }
  StringRef getDescription() const final { return "run the passes of the command line"; }
  void getDependentDialects(DialectRegistry &registry) const final { passes.getDependentDialects(registry); }
  void runOnOperation() final {
    if (failed(runPipeline(passes, getOperation())))
      signalPassFailure();
  }
  OpPassManager passes;
};

// The analysis in the place of the module.
struct PrintCost : PassWrapper<PrintCost, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PrintCost)
  StringRef getArgument() const final { return "burin-print-cost"; }
  StringRef getDescription() const final { return "print what the model takes"; }
  void runOnOperation() final {
    burin::CostOptions options;
    options.accounting = accounting == "edge" ? burin::Accounting::Edge : burin::Accounting::Macs;
    options.machine = burin::findMachine(targetName);
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      burin::ModelCost cost = burin::analyze(function, options);
      if (advise)
        burin::printAdvice(function, cost, llvm::outs());
      else if (showCost == "json")
        llvm::outs() << llvm::formatv("{0:2}\n", llvm::json::Value(burin::toJson(cost)));
      else
        burin::printCost(cost, llvm::outs());
    }
  }
};

// Tells at the end what passes said.
struct PrintExplanation : PassWrapper<PrintExplanation, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(PrintExplanation)
  explicit PrintExplanation(std::shared_ptr<burin::RemarkLog> log) : log(std::move(log)) {}
  PrintExplanation(const PrintExplanation &other) : PassWrapper(other), log(other.log) {}
  StringRef getArgument() const final { return "burin-print-explanation"; }
  StringRef getDescription() const final { return "tell what the passes said"; }
  void runOnOperation() final {
    burin::printExplanation(*log, std::vector<std::string>(explain.begin(), explain.end()), llvm::errs());
  }
  std::shared_ptr<burin::RemarkLog> log;
};

// Ends with the passes and before the context, and says whether every step of the user ran.
struct FinishSteps : PassWrapper<FinishSteps, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(FinishSteps)
  explicit FinishSteps(std::shared_ptr<burin::PassWatch> watch) : watch(std::move(watch)) {}
  FinishSteps(const FinishSteps &other) : PassWrapper(other), watch(other.watch) {}
  StringRef getArgument() const final { return "burin-finish-steps"; }
  StringRef getDescription() const final { return "check that every step of the command line ran"; }
  void runOnOperation() final {
    if (failed(watch->finish(getOperation().getLoc())))
      signalPassFailure();
  }
  std::shared_ptr<burin::PassWatch> watch;
};

// MLIR ignores a plugin that does not load, and knows a plugin's --PASS flags only if it loads before the flags are
// read. Takes the flag out of the command line.
bool loadPlugins(std::vector<char *> &args, burin::UserSteps &steps) {
  std::vector<char *> kept;
  for (size_t i = 0; i < args.size(); ++i) {
    StringRef arg(args[i]);
    bool isFlag = i > 0 && (arg.consume_front("--load-pass-plugin") || arg.consume_front("-load-pass-plugin")) &&
                  (arg.empty() || arg.consume_front("="));
    if (!isFlag) {
      kept.push_back(args[i]);
      continue;
    }
    if (arg.empty() && i + 1 < args.size())
      arg = args[++i];
    if (llvm::Error error = burin::addPlugin(steps, arg)) {
      burin::fail(llvm::toString(std::move(error)));
      return false;
    }
  }
  args = std::move(kept);
  return true;
}

int run(int argc, char **argv) {
  DialectRegistry registry;
  burin::registerAllDialects(registry);
  burin::registerAllPasses();
  burin::UserSteps steps;
  std::vector<char *> args(argv, argv + argc);
  if (!loadPlugins(args, steps))
    return 1;

  // Weights are left out by the options MLIR's printer has; a limit above 0 would encode them first and then drop them.
  for (int i = 1; i < argc; ++i)
    if (StringRef(argv[i]).ltrim('-') == "elide-weights") {
      args.push_back(const_cast<char *>("--mlir-elide-resource-strings-if-larger=0"));
      args.push_back(const_cast<char *>("--mlir-elide-elementsattrs-if-larger=64"));
      break;
    }
  cl::SetVersionPrinter(
      [](raw_ostream &out) { out << "burin-opt " BURIN_VERSION " (LLVM " LLVM_VERSION_STRING ")\n"; });
  registerCLIOptions("burin-opt", registry);
  auto files = parseCLIOptions(int(args.size()), args.data(), overview);
  std::string input = files.first, output = files.second;
  MlirOptMainConfig config = MlirOptMainConfig::createFromCLOptions();

  if (listPipelines) {
    for (const burin::NamedPipeline &pipeline : burin::namedPipelines())
      if (pipelineName.empty() || pipelineName == pipeline.name) {
        llvm::outs() << llvm::formatv("{0,-10} {1}\n", pipeline.name, pipeline.description);
        OpPassManager pm(ModuleOp::getOperationName());
        std::string error;
        if (pipeline.name != "all" && succeeded(burin::buildNamedPipeline(pipeline.name, targetName, pm, error)))
          burin::printPasses(pm, llvm::outs());
      }
    return 0;
  }
  if (!unitRates.empty()) {
    auto file = llvm::MemoryBuffer::getFile(unitRates);
    if (!file)
      return burin::fail(unitRates + ": " + file.getError().message());
    if (llvm::Error error = burin::printPublished((*file)->getBuffer(), llvm::outs()))
      return burin::fail(unitRates + ": " + llvm::toString(std::move(error)));
    return 0;
  }
  if (config.shouldShowDialects()) {
    llvm::outs() << "Available dialects:\n";
    llvm::interleave(registry.getDialectNames(), llvm::outs(), "\n");
    llvm::outs() << "\n";
    return 0;
  }
  if (config.shouldListPasses()) {
    printRegisteredPasses();
    return 0;
  }

  for (const std::string &value : patternList)
    if (llvm::Error error = burin::addPatterns(steps, value))
      return burin::fail(llvm::toString(std::move(error)));
  for (const std::string &value : passList)
    if (llvm::Error error = burin::addPasses(steps, value))
      return burin::fail(llvm::toString(std::move(error)));

  bool fromOnnx = StringRef(input).ends_with(".onnx"), toOnnx = StringRef(output).ends_with(".onnx");
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  if (fromOnnx) {
    buffer = llvm::MemoryBuffer::getMemBuffer("module {}", input);
  } else {
    std::string error;
    buffer = openInputFile(input, &error);
    if (!buffer)
      return burin::fail(error);
  }

  MlirOptMainConfig base = config;
  config.setPassPipelineSetupFn([&, base](PassManager &pm) -> LogicalResult {
    Handler handler = fromOnnx || toOnnx ? std::make_shared<burin::ScopedDiagnosticHandler>(pm.getContext()) : nullptr;
    if (failed(base.setupPassPipeline(pm)))
      return failure();
    bool hasSteps = passLimit >= 0 || llvm::any_of(steps, [](const burin::UserStep &s) { return bool(s.add); });
    Location where = FileLineColLoc::get(pm.getContext(), input, 0, 0);
    auto atPoint = [&](StringRef point, OpPassManager &pm) { return burin::addStepsAt(point, steps, pm, where); };
    if (fromOnnx || hasSteps || !loras.empty()) {
      OpPassManager chosen(static_cast<OpPassManager &>(pm));
      pm.clear();
      if (fromOnnx)
        pm.addPass(std::make_unique<ImportOnnx>(input, handler));
      if (!loras.empty()) {
        pm.addPass(std::make_unique<LoadAdapters>());
        if (failed(parsePassPipeline("graph-merge-lora", pm)))
          return failure();
      }
      if (failed(atPoint("after-import", pm)))
        return failure();
      if (!chosen.empty())
        pm.addPass(std::make_unique<RunPasses>(std::move(chosen)));
    }
    std::string error;
    if (!pipelineName.empty() && failed(burin::buildNamedPipeline(pipelineName, targetName, pm, error, atPoint)))
      return error.empty() ? failure() : emitError(UnknownLoc::get(pm.getContext())) << error;
    // Without a pipeline that has the point, the end is it.
    if (pipelineName != "graph" && pipelineName != "all" && failed(atPoint("after-graph", pm)))
      return failure();
    if (!explain.empty())
      pm.addPass(std::make_unique<PrintExplanation>(burin::collectRemarks(*pm.getContext())));
    if (advise || showCost.getNumOccurrences())
      pm.addPass(std::make_unique<PrintCost>());
    if (hasSteps)
      pm.addPass(std::make_unique<FinishSteps>(std::make_shared<burin::PassWatch>(*pm.getContext(), steps, passLimit)));
    if (toOnnx)
      pm.addPass(std::make_unique<ExportOnnx>(output, handler));
    return success();
  });

  bool failedToRun = false;
  auto process = [&](raw_ostream &out) -> llvm::Error {
    failedToRun = failed(MlirOptMain(out, std::move(buffer), registry, config));
    if (failedToRun)
      return llvm::createStringError("");
    return llvm::Error::success();
  };
  if (toOnnx || advise || showCost.getNumOccurrences()) {
    llvm::raw_null_ostream null;
    llvm::consumeError(process(null));
  } else if (output == "-") {
    llvm::consumeError(process(llvm::outs()));
  } else if (llvm::Error error = llvm::writeToOutput(output, process)) {
    // Written beside its place and renamed: the file is whole or not there.
    std::string text = llvm::toString(std::move(error));
    if (!failedToRun)
      return burin::fail("cannot write '" + output + "': " + StringRef(text).lower());
  }
  return failedToRun ? 1 : 0;
}

} // namespace

int main(int argc, char **argv) {
  llvm::InitLLVM init(argc, argv);
  return run(argc, argv);
}
