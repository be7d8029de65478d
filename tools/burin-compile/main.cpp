// burin-compile: a model becomes a program, a library or text. A thin main over the C API; what a flag means stands in
// lib/Pipeline.
#include "burin/Compiler.h"
#include "lib/Pipeline/Plugins.h"
#include "tools/BugReport.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"
#include <memory>
#include <unistd.h>

namespace {
const char usage[] = R"(usage: burin-compile MODEL.{onnx,mlir} [-o FILE] [options]

Compiles an ONNX model to the smallest program, library or object that runs it.

examples:
  burin-compile mobilenet.onnx -o mobilenet               a program for this CPU: ./mobilenet --inputs X.npz --outputs Y.npz
  burin-compile mobilenet.onnx --emit=lib -o libnet.a     a static library and a C header net.h
  burin-compile net.onnx --target=aarch64 --shape input=1x3x224x224 -o net
  burin-compile net.onnx --input-type=u8 --layout=NHWC --mean=123.7,116.3,103.5 --scale=58.4,57.1,57.4 --append=softmax
  burin-compile llm.onnx --lora style.safetensors:0.8     an adapter merged into the weights; several add up
  burin-compile net.onnx --target=myriad --check-fp16=x.npz --fix-fp16 -o net.blob
                                                          is half precision enough on these inputs, layer by layer; what helps is done on request
  burin-compile net.onnx --target=myriad --fallback=cpu [--cut=TENSOR,...] -o net
                                                          one program: the emulated vision unit up to these tensors, this CPU from there on
  burin-compile net.onnx --stop-after=graph -o net.mlir   the optimized graph; with -o net.opt.onnx as ONNX

options:
)";

std::string size(double bytes) {
  if (bytes >= 1048576)
    return llvm::formatv("{0:f1} MiB", bytes / 1048576);
  return bytes >= 1024 ? llvm::formatv("{0:f1} KiB", bytes / 1024).str() : llvm::formatv("{0:f0} bytes", bytes).str();
}

// R of each tensor: bits as they are over bits as they are stored.
void printCodedWeights(const llvm::json::Object &report, llvm::raw_ostream &out) {
  out << llvm::formatv("\n  coded    {0}, R = {1:f2}", size(*report.getNumber("stored_weights_bytes")),
                       *report.getNumber("weights_bytes") / *report.getNumber("stored_weights_bytes"));
  for (const llvm::json::Value &value : *report.getArray("coded_weights")) {
    const llvm::json::Object &weight = *value.getAsObject();
    double raw = *weight.getNumber("raw_bits"), coded = *weight.getNumber("coded_bits");
    out << llvm::formatv("\n    {0,-40} {1,10:f0} / {2,10:f0} bits, R = {3,6:f2}", *weight.getString("name"), raw,
                         coded, raw / coded);
    if (double values = *weight.getNumber("values"))
      out << llvm::formatv(", {0:f0} values", values);
  }
}

void printReport(const char *json) {
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(json);
  if (!parsed) {
    llvm::consumeError(parsed.takeError());
    return;
  }
  const llvm::json::Object &report = *parsed->getAsObject();
  auto number = [&](llvm::StringRef key) { return report.getNumber(key).value_or(0); };
  llvm::raw_ostream &out = llvm::errs();
  for (const llvm::json::Value &entry : *report.getArray("stages")) {
    const llvm::json::Object &stage = *entry.getAsObject();
    out << llvm::formatv("  {0,-8} {1,8:f1} ms\n", *stage.getString("stage"), *stage.getNumber("seconds") * 1000);
  }
  out << llvm::formatv("  {0,-8} {1,8:f1} ms, peak memory {2}\n", "total", number("seconds") * 1000,
                       size(number("peak_memory_bytes")));
  if (number("code_bytes") > 0) {
    out << llvm::formatv("  layers   {0}", number("layers"));
    if (number("winograd_layers") > 0)
      out << llvm::formatv(", {0} of them Winograd convolutions (error to expect: {1:e0} of the largest result)",
                           number("winograd_layers"), number("winograd_error"));
    out << "\n";
    double peak = number("peak_live_bytes");
    out << llvm::formatv("  arena    {0}, largest sum of live tensors {1}", size(number("arena_bytes")), size(peak));
    if (peak > 0)
      out << llvm::formatv(" ({0:f2}x)", number("arena_bytes") / peak);
    double source = number("source_weights_bytes");
    out << llvm::formatv("\n  weights  {0}, before packing {1}", size(number("weights_bytes")), size(source));
    if (source > 0)
      out << llvm::formatv(" ({0:f3}x)", number("weights_bytes") / source);
    if (!report.getArray("coded_weights")->empty())
      printCodedWeights(report, out);
    out << llvm::formatv("\n  code     {0}\n", size(number("code_bytes")));
  }
  out << "  output   " << *report.getString("output");
  if (number("artifact_bytes") > 0)
    out << " (" << size(number("artifact_bytes")) << ")";
  out << "\n";
  if (llvm::StringRef header = *report.getString("header"); !header.empty())
    out << "  header   " << header << "\n";
}

// What a microcontroller must have, without being asked: it decides which one to buy.
void printDeviceMemory(const char *json) {
  llvm::Expected<llvm::json::Value> parsed = llvm::json::parse(json);
  if (!parsed)
    return llvm::consumeError(parsed.takeError());
  auto number = [&](llvm::StringRef key) { return parsed->getAsObject()->getNumber(key).value_or(0); };
  if (number("stack_bytes") == 0)
    return;
  double weights = number("stored_weights_bytes"), code = number("code_bytes") + number("constant_bytes");
  double opened = number("unlocked_bytes");
  std::string ofWeights = opened > 0 ? llvm::formatv(" ({0:f0} of them opened weights)", opened).str() : "";
  llvm::errs() << llvm::formatv(
      "flash {0:f0} bytes (weights {1:f0}, code {2:f0}); RAM: arena {3:f0} bytes{4}, stack {5:f0}\n", weights + code,
      weights, code, number("arena_bytes") + opened, ofWeights, number("stack_bytes"));
}

int fail(const llvm::Twine &text) {
  llvm::errs() << "burin-compile: error: " << text << "\n";
  return 1;
}
} // namespace

int main(int argc, char **argv) {
  burin::reportCrashes();
  // What looks at a network before it becomes a blob, or takes it apart, stands in the Python package.
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef flag = llvm::StringRef(argv[i]).split('=').first;
    if (flag == "--check-fp16" || flag == "--fallback")
      return fail(burin::runPythonModule(flag == "--fallback" ? "burin.fallback" : "burin.fp16",
                                         llvm::ArrayRef<const char *>(argv + 1, argc - 1)));
  }
  std::unique_ptr<burin_options, void (*)(burin_options *)> options(burin_options_create(), burin_options_destroy);
  if (burin_options_parse(options.get(), &argc, argv))
    return fail(burin_options_error(options.get()));
  const char *model = nullptr;
  bool isOver = false;
  for (int i = 1; i < argc; ++i) {
    llvm::StringRef word(argv[i]);
    if (!isOver && (word == "--help" || word == "-h")) {
      llvm::outs() << usage << burin_options_help() << "  --help, --version\n";
      return 0;
    }
    if (!isOver && word == "--version") {
      llvm::outs() << "burin-compile " << burin_compiler_version() << "\n";
      return 0;
    }
    if (!isOver && word == "--") {
      isOver = true;
    } else if (!isOver && word.size() > 1 && word[0] == '-') {
      // Asked of the table once more for its words: "unknown" or "not supported by this version".
      burin_options_set(options.get(), word.ltrim('-').split('=').first.str().c_str(), "");
      return fail(burin_options_error(options.get()));
    } else if (model) {
      return fail(llvm::Twine("expected one model, got '") + model + "' and '" + word + "'");
    } else {
      model = argv[i];
    }
  }
  if (!model)
    return fail("expected a model; see --help");

  bool isTerminal = isatty(STDERR_FILENO), isVerbose = burin_options_has(options.get(), "verbose");
  if (isTerminal)
    burin_options_set_progress(
        options.get(), [](void *, const char *stage) { llvm::errs() << "\r\033[K" << stage << " ..."; }, nullptr);
  std::unique_ptr<burin_compilation, void (*)(burin_compilation *)> result(
      burin_compile_file(options.get(), model, nullptr), burin_compilation_destroy);
  if (isTerminal)
    llvm::errs() << "\r\033[K";
  llvm::errs() << burin_compilation_messages(result.get());
  if (!burin_compilation_ok(result.get()))
    return 1;
  printDeviceMemory(burin_compilation_report(result.get()));
  if (isVerbose)
    printReport(burin_compilation_report(result.get()));
  return 0;
}
