// burin_compile_*: the C face of burin::compile.
#include "lib/CAPI/Options.h"
#include "llvm/Support/JSON.h"

using namespace burin;

struct burin_compilation {
  bool ok = false;
  std::string messages, json;
};

static std::string toJson(const CompileReport &report) {
  llvm::json::Array stages;
  for (const CompileReport::StageTime &s : report.stages)
    stages.push_back(llvm::json::Object{{"stage", stageName(s.stage)}, {"seconds", s.seconds}});
  llvm::json::Object object{{"output", report.output},
                            {"header", report.header},
                            {"stages", std::move(stages)},
                            {"seconds", report.seconds},
                            {"peak_memory_bytes", report.peakMemory},
                            {"layers", report.layers},
                            {"arena_bytes", report.arenaBytes},
                            {"peak_live_bytes", report.peakLiveBytes},
                            {"weights_bytes", report.weightsBytes},
                            {"source_weights_bytes", report.sourceWeightsBytes},
                            {"code_bytes", report.codeBytes},
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

int burin_compilation_ok(const burin_compilation *compilation) { return compilation->ok; }
const char *burin_compilation_messages(const burin_compilation *compilation) { return compilation->messages.c_str(); }
const char *burin_compilation_report(const burin_compilation *compilation) { return compilation->json.c_str(); }
void burin_compilation_destroy(burin_compilation *compilation) { delete compilation; }
