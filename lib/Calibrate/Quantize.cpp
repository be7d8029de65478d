// The road of quantizing, from top to bottom: import, graph, calibrate, passes, check, export.
#include "lib/Calibrate/Quantize.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Calibrate/Batches.h"
#include "lib/Calibrate/Statistics.h"
#include "lib/Export/Export.h"
#include "lib/Import/Import.h"
#include "lib/Pipeline/Evaluator.h"
#include "lib/Pipeline/Pipeline.h"
#include "lib/Support/Diagnostics.h"
#include "lib/Target/Files.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Graph/Passes.h"
#include "passes/Quant/Passes.h"
#include "llvm/Support/FileSystem.h"
#include <cmath>

using namespace mlir;
using namespace burin;
using llvm::createStringError;

namespace {

// Least and largest value of each index of dim 1.
void measureChannels(const burin_tensor &tensor, std::vector<std::pair<float, float>> &channels) {
  ArrayRef<float> values = floatsOf(tensor);
  if (tensor.rank < 2 || values.empty())
    return;
  int64_t count = tensor.dims[1], inner = values.size() / (tensor.dims[0] * count);
  channels.resize(count, {INFINITY, -INFINITY});
  for (auto [i, v] : llvm::enumerate(values)) {
    auto &[low, high] = channels[int64_t(i) / inner % count];
    low = std::min(low, v);
    high = std::max(high, v);
  }
}

class Quantizer {
public:
  Quantizer(const QuantizeOptions &options, const QuantizeHooks &hooks, llvm::raw_ostream &messages,
            llvm::json::Object &report)
      : options(options), hooks(hooks), messages(messages), report(report), context(makeContext()),
        handler(context.get(), messages) {
    context->disableMultithreading();
  }

  /// An error, or failure where a diagnostic says it.
  llvm::Error run(bool &failed);

private:
  LogicalResult prepare();
  llvm::Error calibrate();
  void warnOfConstantChannels(ArrayRef<std::vector<std::pair<float, float>>> channels);
  LogicalResult insert();
  llvm::Error compare();
  llvm::Error forEach(StringRef what, llvm::function_ref<llvm::Error(Sample)> use) {
    return batches->forEach(use, [&](size_t file, size_t files) { hooks.progress(what, file, files); });
  }
  void warn(const Twine &text) { messages << "warning: " << options.model << ": " << text << "\n"; }
  func::FuncOp main() { return *module->getOps<func::FuncOp>().begin(); }

  const QuantizeOptions &options;
  const QuantizeHooks &hooks;
  llvm::raw_ostream &messages;
  llvm::json::Object &report;
  std::unique_ptr<MLIRContext> context;
  burin::ScopedDiagnosticHandler handler;
  OwningOpRef<ModuleOp> module, original; // the graph, and what it was before quantization
  std::unique_ptr<Batches> batches;
  quant::Selection selection;
  size_t samples = 0, layers = 0;
};

// The graph as the optimizer leaves it: what was fused needs no range of its own.
LogicalResult Quantizer::prepare() {
  hooks.progress("reading the model", 0, 1);
  module = importModel(options.model, *context);
  if (!module)
    return failure();
  auto functions = module->getOps<func::FuncOp>();
  if (functions.empty())
    return module->emitError() << "has no graph";
  GraphOptions graph;
  graph.isToQuantize = true;
  graph.shapes.assign(options.compile.shapes.begin(), options.compile.shapes.end());
  graph.dims.assign(options.compile.dims.begin(), options.compile.dims.end());
  PassManager passes(context.get());
  buildGraphPipeline(passes, graph, createEvaluator());
  if (failed(passes.run(*module)))
    return failure();
  for (const std::string &name : options.keep)
    selection.keep.push_back(name);
  for (const std::string &name : options.only)
    selection.only.push_back(name);
  for (const std::string &name : llvm::concat<const std::string>(options.keep, options.only)) {
    bool isThere = false;
    main().walk([&](Operation *op) { isThere |= onnx::getNodeName(op) == name || onnx::getOpType(op) == name; });
    if (!isThere)
      warn("no node or operator is named '" + name + "' after optimization");
  }
  return success();
}

llvm::Error Quantizer::calibrate() {
  auto opened = Batches::create(options.calibrate, main(), options.compile.edits);
  if (!opened)
    return opened.takeError();
  batches = std::move(*opened);
  SmallVector<Value> values = quant::getActivations(main(), selection);
  std::vector<Statistics> statistics(values.size());
  Runner runner(*module, values);
  size_t outputs = main().getNumResults();
  auto look = [&](auto member) {
    return [&, member](Sample sample) -> llvm::Error {
      auto seen = runner.run(sample);
      if (!seen)
        return seen.takeError();
      for (size_t i = 0; i < values.size(); ++i)
        (statistics[i].*member)(floatsOf((*seen)[outputs + i]));
      return llvm::Error::success();
    };
  };
  auto measure = look(&Statistics::measure);
  std::vector<std::vector<std::pair<float, float>>> channels(main().getNumArguments());
  if (llvm::Error error = forEach("measuring", [&](Sample sample) {
        ++samples;
        for (auto [tensor, known] : llvm::zip(sample, channels))
          measureChannels(tensor, known);
        return measure(sample);
      }))
    return error;
  warnOfConstantChannels(channels);
  if (Statistics::needsCounts(options.method))
    if (llvm::Error error = forEach("counting", look(&Statistics::count)))
      return error;
  RangeMethod method{options.method, options.percentile, StringRef(options.activations).ends_with("16") ? 65536 : 256,
                     options.symmetric};
  for (auto [value, seen] : llvm::zip(values, statistics)) {
    std::string name = value.getDefiningOp() ? onnx::getNodeName(value.getDefiningOp()).str() : "";
    if (!seen.isFinite()) {
      warn("node '" + name + "' gives values that are not finite on the calibration data; it stays float");
      continue;
    }
    if (seen.isEmpty())
      continue;
    auto [low, high] = seen.range(method);
    quant::setRange(value, {low, high});
  }
  return llvm::Error::success();
}

// Most often a mistake of whoever made the data; what is measured of it is still sane.
void Quantizer::warnOfConstantChannels(ArrayRef<std::vector<std::pair<float, float>>> channels) {
  for (auto [i, known] : llvm::enumerate(channels)) {
    auto name = main().getArgAttrOfType<StringAttr>(i, "onnx.name");
    size_t dead = llvm::count_if(known, [](auto range) { return range.first == range.second; });
    for (auto [c, range] : llvm::enumerate(known))
      if (range.first == range.second && known.size() > 1) {
        warn(llvm::formatv("channel {0} of input '{1}' is {2:f6} in all samples", c, name ? name.getValue() : "",
                           range.first) +
             (dead > 1 ? llvm::formatv(", as are {0} more", dead - 1).str() : ""));
        break;
      }
  }
}

LogicalResult Quantizer::insert() {
  hooks.progress("quantizing", 0, 1);
  layers = quant::getProducts(main(), selection).size();
  original = cast<ModuleOp>(module->clone());
  quant::clearCalibration(*original);
  quant::InsertQdqOptions insert;
  insert.activations = options.activations;
  insert.weights = options.weights;
  insert.symmetric = options.symmetric;
  insert.perChannel = !options.perTensor;
  insert.powerOfTwo = options.powerOfTwo;
  insert.reduceRange = options.reduceRange;
  insert.keep.assign(options.keep.begin(), options.keep.end());
  insert.only.assign(options.only.begin(), options.only.end());
  PassManager passes(context.get());
  passes.addPass(quant::createInsertQdq(insert));
  return passes.run(*module);
}

// Signal to noise of each float output, over all samples.
llvm::Error Quantizer::compare() {
  Runner exact(*original), quantized(*module);
  size_t outputs = main().getNumResults();
  std::vector<double> signal(outputs), noise(outputs);
  if (llvm::Error error = forEach("comparing", [&](Sample sample) -> llvm::Error {
        auto want = exact.run(sample);
        if (!want)
          return want.takeError();
        auto got = quantized.run(sample);
        if (!got)
          return got.takeError();
        for (size_t i = 0; i < outputs; ++i)
          for (auto [a, b] : llvm::zip(floatsOf((*want)[i]), floatsOf((*got)[i]))) {
            signal[i] += double(a) * a;
            noise[i] += (double(a) - b) * (double(a) - b);
          }
        return llvm::Error::success();
      }))
    return error;
  llvm::json::Array list;
  std::string summary;
  llvm::raw_string_ostream out(summary);
  out << llvm::formatv("{0} of {1} layers with weights compute on integers; {2} samples\n", layers,
                       quant::getProducts(*original->getOps<func::FuncOp>().begin(), {}).size(), samples);
  for (size_t i = 0; i < outputs; ++i) {
    if (signal[i] == 0 && noise[i] == 0)
      continue;
    auto name = main().getResultAttrOfType<StringAttr>(i, "onnx.name");
    double ratio = noise[i] == 0 ? INFINITY : 10 * std::log10(signal[i] / noise[i]);
    out << llvm::formatv("  {0,-24} SQNR {1:f1} dB\n", name ? name.getValue() : "", ratio);
    list.push_back(llvm::json::Object{{"name", name ? name.getValue() : ""},
                                      {"sqnr_db", std::isfinite(ratio) ? llvm::json::Value(ratio) : nullptr}});
  }
  report["outputs"] = std::move(list);
  report["layers"] = int64_t(layers);
  report["samples"] = int64_t(samples);
  report["summary"] = summary;
  return llvm::Error::success();
}

llvm::Error Quantizer::run(bool &failedWithDiagnostic) {
  auto output = OutputFile::create(options.output);
  if (!output)
    return output.takeError();
  failedWithDiagnostic = true;
  if (failed(prepare()))
    return llvm::Error::success();
  if (llvm::Error error = calibrate())
    return error;
  if (failed(insert()) || failed(exportModel(*module, output->temporaryPath())))
    return llvm::Error::success();
  if (llvm::Error error = compare())
    return error;
  failedWithDiagnostic = false;
  return output->commit(/*executable=*/false);
}

} // namespace

bool burin::quantize(const QuantizeOptions &options, const QuantizeHooks &hooks, llvm::raw_ostream &messages,
                     llvm::json::Object &report) {
  if (!llvm::sys::fs::exists(options.model)) {
    messages << "error: " << options.model << ": no such file\n";
    return false;
  }
  bool failed = false;
  if (llvm::Error error = Quantizer(options, hooks, messages, report).run(failed)) {
    messages << "error: " << llvm::toString(std::move(error)) << "\n";
    return false;
  }
  return !failed;
}
