// burin_compile_*: the C face of burin::compile.
#include "lib/CAPI/Compilation.h"
#include "lib/CAPI/Options.h"
#include "lib/Cost/Cost.h"
#include "lib/Import/Import.h"
#include "lib/Support/Diagnostics.h"
#include "llvm/Support/JSON.h"

using namespace burin;

static std::string toJson(const CompileReport &report) {
  llvm::json::Array stages;
  for (const CompileReport::StageTime &s : report.stages)
    stages.push_back(llvm::json::Object{{"stage", stageName(s.stage)}, {"seconds", s.seconds}});
  llvm::json::Array coded;
  for (const CodedWeight &w : report.codedWeights)
    coded.push_back(llvm::json::Object{
        {"name", w.name}, {"values", w.values}, {"raw_bits", 8 * w.rawBytes}, {"coded_bits", 8 * w.codedBytes}});
  llvm::json::Object object{{"output", report.output},
                            {"header", report.header},
                            {"stages", std::move(stages)},
                            {"seconds", report.seconds},
                            {"peak_memory_bytes", report.peakMemory},
                            {"layers", report.layers},
                            {"winograd_layers", report.winogradLayers},
                            {"winograd_error", report.winogradError},
                            {"arena_bytes", report.arenaBytes},
                            {"peak_live_bytes", report.peakLiveBytes},
                            {"weights_bytes", report.weightsBytes},
                            {"stored_weights_bytes", report.storedWeightsBytes},
                            {"unlocked_bytes", report.unlockedBytes},
                            {"coded_weights", std::move(coded)},
                            {"source_weights_bytes", report.sourceWeightsBytes},
                            {"code_bytes", report.codeBytes},
                            {"constant_bytes", report.constantBytes},
                            {"stack_bytes", report.stackBytes},
                            {"artifact_bytes", report.artifactBytes}};
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(object));
  return text;
}

static burin_compilation *run(const burin_options *options, const ModelSource &source, const char *output) {
  auto *result = new burin_compilation;
  CompileOptions compileOptions = options->options;
  if (output)
    compileOptions.output = output;
  CompileReport report;
  llvm::raw_string_ostream messages(result->messages);
  result->ok = compile(source, compileOptions, options->makeProgress(), messages, report);
  result->json = toJson(report);
  return result;
}

burin_compilation *burin_compile_file(const burin_options *options, const char *model, const char *output) {
  return run(options, ModelSource{model, {}, nullptr}, output);
}

burin_compilation *burin_compile_buffer(const burin_options *options, const void *model, size_t bytes, const char *name,
                                        const char *output) {
  auto owner = std::make_shared<std::string>(static_cast<const char *>(model), bytes);
  return run(options, ModelSource{name, *owner, owner}, output);
}

burin_compilation *burin_cost(const burin_options *options, const void *model, size_t bytes, const char *name,
                              const char *accounting) {
  auto *result = new burin_compilation;
  llvm::raw_string_ostream messages(result->messages);
  CostOptions cost;
  const CompileOptions &given = options->options;
  cost.machine = findMachine(given.targets.empty() ? "host" : given.targets.front());
  llvm::StringRef counting(accounting ? accounting : "macs");
  if (counting != "macs" && counting != "edge") {
    messages << "error: unknown accounting '" << counting << "', expected macs or edge\n";
    return result;
  }
  cost.accounting = counting == "edge" ? Accounting::Edge : Accounting::Macs;
  std::unique_ptr<mlir::MLIRContext> context = makeContext();
  context->disableMultithreading();
  burin::ScopedDiagnosticHandler handler(context.get(), messages);
  mlir::OwningOpRef<mlir::ModuleOp> module;
  if (model) {
    auto owner = std::make_shared<std::string>(static_cast<const char *>(model), bytes);
    module = importModel(*owner, name, owner, *context);
  } else {
    module = importModel(name, *context);
  }
  if (!module || failed(bindShapes(*module, given)))
    return result;
  auto main = module->lookupSymbol<mlir::func::FuncOp>("main");
  if (!main) {
    messages << "error: " << name << ": has no main function\n";
    return result;
  }
  ModelCost answer = analyze(main, cost);
  if (answer.unknown) {
    if (failed(settleShapes(*module, given)))
      return result;
    answer = analyze(main, cost);
  }
  llvm::raw_string_ostream(result->json) << llvm::json::Value(toJson(answer));
  result->ok = true;
  return result;
}

int burin_compilation_ok(const burin_compilation *compilation) { return compilation->ok; }
const char *burin_compilation_messages(const burin_compilation *compilation) { return compilation->messages.c_str(); }
const char *burin_compilation_report(const burin_compilation *compilation) { return compilation->json.c_str(); }
void burin_compilation_destroy(burin_compilation *compilation) { delete compilation; }
