// The road of quantizing, from top to bottom: import, graph, calibrate, passes, choice of float layers, check, export.
#include "lib/Calibrate/Quantize.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Calibrate/Batches.h"
#include "lib/Calibrate/Compression.h"
#include "lib/Calibrate/Sensitivity.h"
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
#include "llvm/ADT/MapVector.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include <cmath>

using namespace mlir;
using namespace burin;
using llvm::createStringError;

namespace {

// What a diagnostic has said already.
llvm::Error reported() { return llvm::make_error<llvm::StringError>("", llvm::inconvertibleErrorCode()); }

func::FuncOp mainOf(ModuleOp module) {
  if (auto main = module.lookupSymbol<func::FuncOp>("main"))
    return main;
  return *module.getOps<func::FuncOp>().begin();
}

// Least, largest and summed value of each index of a dim.
struct ChannelStatistics {
  std::vector<float> low, high;
  std::vector<double> sum;
  double count = 0; // values a channel

  void measure(const burin_tensor &tensor, unsigned dim) {
    ArrayRef<float> values = floatsOf(tensor);
    if (unsigned(tensor.rank) <= dim || values.empty())
      return;
    int64_t channels = tensor.dims[dim], inner = 1;
    for (int32_t d = dim + 1; d < tensor.rank; ++d)
      inner *= tensor.dims[d];
    low.resize(channels, INFINITY);
    high.resize(channels, -INFINITY);
    sum.resize(channels, 0);
    count += double(values.size()) / channels;
    for (auto [i, v] : llvm::enumerate(values)) {
      int64_t c = int64_t(i) / inner % channels;
      low[c] = std::min(low[c], v);
      high[c] = std::max(high[c], v);
      sum[c] += v;
    }
  }
};

class Quantizer {
public:
  Quantizer(const QuantizeOptions &options, const QuantizeHooks &hooks, llvm::raw_ostream &messages,
            llvm::json::Object &report)
      : options(options), hooks(hooks), messages(messages), report(report), context(makeContext()),
        handler(context.get(), messages) {
    context->disableMultithreading();
  }

  llvm::Error run();

private:
  llvm::Error prepare();
  llvm::Error calibrate();
  void warnOfConstantChannels(ArrayRef<ChannelStatistics> inputs);
  llvm::Error roundWeights();
  llvm::Error chooseChannels();
  llvm::Error chooseLayers();
  llvm::Expected<OwningOpRef<ModuleOp>> quantized(const llvm::BitVector *isFloat = nullptr);
  llvm::Expected<std::vector<double>> noiseOf(ModuleOp candidate, StringRef what);
  llvm::Expected<double> evaluate(ModuleOp candidate);
  llvm::Error summarize(ModuleOp result);

  llvm::Error runPasses(ModuleOp on, llvm::function_ref<void(OpPassManager &)> build) {
    PassManager passes(context.get());
    build(passes);
    return succeeded(passes.run(on)) ? llvm::Error::success() : reported();
  }
  llvm::Error forEach(StringRef what, llvm::function_ref<llvm::Error(Sample)> use) {
    return batches->forEach(use, [&](size_t file, size_t files) {
      if (!what.empty())
        hooks.progress(what, file, files);
    });
  }
  void warn(const Twine &text) { messages << "warning: " << options.model << ": " << text << "\n"; }
  func::FuncOp main() { return mainOf(*module); }
  bool isStatic() const { return !options.dynamic && options.weightsOnly.empty() && !options.floats; }

  const QuantizeOptions &options;
  const QuantizeHooks &hooks;
  llvm::raw_ostream &messages;
  llvm::json::Object &report;
  std::unique_ptr<MLIRContext> context;
  burin::ScopedDiagnosticHandler handler;
  OwningOpRef<ModuleOp> module, original; // with what calibration measured; as it came
  OwningOpRef<ModuleOp> rounded;          // `module` with optimized rounding, or null
  OwningOpRef<ModuleOp> uneven;           // `module` without even channels, where that could be the better one
  std::unique_ptr<Runner> exact;          // of the original
  std::unique_ptr<Batches> batches;
  quant::Selection selection;
  size_t samples = 0;
  std::optional<llvm::BitVector> choiceOfFloat; // of the layers, what chooseLayers left float
  std::string details;                          // of the summary
};

// The graph as the optimizer leaves it: what was fused needs no range of its own.
llvm::Error Quantizer::prepare() {
  hooks.progress("reading the model", 0, 1);
  module = importModel(options.model, *context);
  if (!module)
    return reported();
  if (module->getOps<func::FuncOp>().empty())
    return createStringError(options.model + ": has no graph");
  GraphOptions graph;
  graph.isToQuantize = true;
  graph.shapes.assign(options.compile.shapes.begin(), options.compile.shapes.end());
  graph.dims.assign(options.compile.dims.begin(), options.compile.dims.end());
  if (llvm::Error error =
          runPasses(*module, [&](OpPassManager &pm) { buildGraphPipeline(pm, graph, createEvaluator()); }))
    return error;
  selection.keep.assign(options.keep.begin(), options.keep.end());
  selection.only.assign(options.only.begin(), options.only.end());
  selection.outputs = options.integerOnly;
  for (const std::string &name : llvm::concat<const std::string>(options.keep, options.only)) {
    bool isThere = false;
    main().walk([&](Operation *op) { isThere |= onnx::getNodeName(op) == name || onnx::getOpType(op) == name; });
    if (!isThere)
      warn("no node or operator is named '" + name + "' after optimization");
  }
  original = cast<ModuleOp>(module->clone());
  exact = std::make_unique<Runner>(*original);
  if (!options.calibrate.empty()) {
    auto opened = Batches::create(options.calibrate, main(), options.compile.edits);
    if (!opened)
      return opened.takeError();
    batches = std::move(*opened);
  }
  if (!options.prune.empty() || options.pruneChannels > 0 || options.share)
    if (llvm::Error error = compress(*module, options, batches.get(), hooks.progress, details, report))
      return error;
  if (options.equalize)
    return runPasses(*module, [](OpPassManager &pm) { pm.addPass(quant::createEqualizeLayers()); });
  return llvm::Error::success();
}

llvm::Error Quantizer::calibrate() {
  SmallVector<Value> values = quant::getActivations(main(), selection);
  std::vector<Statistics> statistics(values.size());
  // Channels of what products read, where a pass asks for them.
  llvm::MapVector<Operation *, std::pair<size_t, ChannelStatistics>> products;
  if (!options.keepBiases || options.smooth > 0)
    for (Operation *op : quant::getProducts(main(), selection))
      products[op].first = llvm::find(values, op->getOperand(0)) - values.begin();
  std::vector<ChannelStatistics> inputs(main().getNumArguments());
  Runner runner(*module, values);
  size_t outputs = main().getNumResults();
  auto look = [&](Sample sample, llvm::function_ref<void(ArrayRef<burin_tensor>)> use) -> llvm::Error {
    auto seen = runner.run(sample);
    if (!seen)
      return seen.takeError();
    use(seen->drop_front(outputs));
    return llvm::Error::success();
  };
  if (llvm::Error error = forEach("measuring", [&](Sample sample) {
        ++samples;
        for (auto [tensor, known] : llvm::zip(sample, inputs))
          known.measure(tensor, 1);
        return look(sample, [&](ArrayRef<burin_tensor> seen) {
          for (auto [tensor, known] : llvm::zip(seen, statistics))
            known.measure(floatsOf(tensor));
          for (auto &[op, entry] : products)
            entry.second.measure(seen[entry.first], quant::channelDim(op));
        });
      }))
    return error;
  warnOfConstantChannels(inputs);
  if (Statistics::needsCounts(options.method))
    if (llvm::Error error = forEach("counting", [&](Sample sample) {
          return look(sample, [&](ArrayRef<burin_tensor> seen) {
            for (auto [tensor, known] : llvm::zip(seen, statistics))
              known.count(floatsOf(tensor));
          });
        }))
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
  for (auto &[op, entry] : products) {
    if (!statistics[entry.first].isFinite() || entry.second.count == 0)
      continue;
    quant::Channels channels;
    channels.low.assign(entry.second.low.begin(), entry.second.low.end());
    channels.high.assign(entry.second.high.begin(), entry.second.high.end());
    for (double sum : entry.second.sum)
      channels.mean.push_back(float(sum / entry.second.count));
    quant::setChannels(op, channels);
  }
  if (options.smooth > 0) {
    quant::SmoothProductsOptions smooth;
    smooth.strength = options.smooth;
    if (llvm::Error error =
            runPasses(*module, [&](OpPassManager &pm) { pm.addPass(quant::createSmoothProducts(smooth)); }))
      return error;
  }
  if (options.evenChannels == "never" || options.perTensor)
    return llvm::Error::success();
  if (options.evenChannels == "auto")
    uneven = cast<ModuleOp>(module->clone());
  quant::EqualizeLayersOptions even;
  even.measured = true;
  if (llvm::Error error = runPasses(*module, [&](OpPassManager &pm) { pm.addPass(quant::createEqualizeLayers(even)); }))
    return error;
  if (uneven && OperationEquivalence::isEquivalentTo(*module, *uneven, OperationEquivalence::IgnoreLocations))
    uneven = nullptr;
  return llvm::Error::success();
}

// Even channels give the weak ones finer steps and what they are summed with other errors: which of the two tells in
// the end, only the whole net shows. So both forms are quantized, and that whose outputs are nearer to float is taken:
// by the mean over all outputs of their signal to noise in dB, so that no output counts by its size.
llvm::Error Quantizer::chooseChannels() {
  constexpr double exactly = 200; // dB
  auto measure = [&](double &score) -> llvm::Error {
    if (llvm::Error error = roundWeights())
      return error;
    auto candidate = quantized();
    if (!candidate)
      return candidate.takeError();
    auto ratios = noiseOf(**candidate, "comparing channels");
    if (!ratios)
      return ratios.takeError();
    for (double ratio : *ratios)
      score += std::min(ratio, exactly) / ratios->size();
    return llvm::Error::success();
  };
  double even = 0, asTheyAre = 0;
  if (llvm::Error error = measure(even))
    return error;
  OwningOpRef<ModuleOp> roundedEven = std::move(rounded);
  std::swap(module, uneven);
  if (llvm::Error error = measure(asTheyAre))
    return error;
  if (even > asTheyAre) {
    std::swap(module, uneven);
    rounded = std::move(roundedEven);
  }
  llvm::raw_string_ostream(details) << llvm::formatv(
      "channels in front of depthwise layers: {0} (even {1:f1} dB, as they are {2:f1} dB)\n",
      even > asTheyAre ? "even" : "as they are", even, asTheyAre);
  return llvm::Error::success();
}

// Most often a mistake of whoever made the data; what is measured of it is still sane.
void Quantizer::warnOfConstantChannels(ArrayRef<ChannelStatistics> inputs) {
  for (auto [i, known] : llvm::enumerate(inputs)) {
    if (known.low.size() < 2 || known.count < 2)
      continue;
    auto name = main().getArgAttrOfType<StringAttr>(i, "onnx.name");
    SmallVector<size_t> dead;
    for (size_t c = 0; c < known.low.size(); ++c)
      if (known.low[c] == known.high[c])
        dead.push_back(c);
    if (!dead.empty())
      warn(llvm::formatv("channel {0} of input '{1}' is {2:f6} in all samples", dead.front(),
                         name ? name.getValue() : "", known.low[dead.front()]) +
           (dead.size() > 1 ? llvm::formatv(", {0} more do not change either", dead.size() - 1).str() : ""));
  }
}

// --rounding=optimized, once for all candidates: weights are multiples of their scales afterwards.
llvm::Error Quantizer::roundWeights() {
  rounded = nullptr;
  if (options.rounding != "optimized")
    return llvm::Error::success();
  SmallVector<Operation *> chosen = quant::getProducts(main(), selection);
  for (Operation *op : quant::getWeighted(main()))
    if (!llvm::is_contained(chosen, op))
      op->setAttr(quant::keepFloatAttr, UnitAttr::get(context.get()));
  rounded = cast<ModuleOp>(module->clone());
  if (llvm::Error error = measureMoments(*rounded, *batches, hooks.progress))
    return error;
  hooks.progress("rounding", 0, 1);
  quant::OptimizeRoundingOptions round;
  round.perChannel = !options.perTensor;
  round.powerOfTwo = options.powerOfTwo;
  round.reduceRange = options.reduceRange;
  round.keepBiases = options.keepBiases;
  if (llvm::Error error =
          runPasses(*rounded, [&](OpPassManager &pm) { pm.addPass(quant::createOptimizeRounding(round)); }))
    return error;
  for (Operation *op : quant::getWeighted(mainOf(*rounded)))
    quant::clearMoments(op);
  return llvm::Error::success();
}

// A layer that stays float has the weights and bias that it had.
static void keepWeights(Operation *op, Operation *from) {
  OpBuilder b(op);
  for (unsigned i = 1; i < op->getNumOperands(); ++i)
    if (ElementsAttr value = onnx::getConstantAttr(from->getOperand(i)))
      op->setOperand(i, onnx::ConstantOp::create(b, from->getOperand(i).getLoc(), value));
    else if (onnx::isNone(from->getOperand(i)) && !onnx::isNone(op->getOperand(i)))
      op->setOperand(i, onnx::NoValueOp::create(b, op->getLoc()));
}

// A quantized copy; of the layers in order, those of `isFloat` stay.
llvm::Expected<OwningOpRef<ModuleOp>> Quantizer::quantized(const llvm::BitVector *isFloat) {
  OwningOpRef<ModuleOp> copy(cast<ModuleOp>((rounded ? *rounded : *module)->clone()));
  if (isFloat)
    for (auto [i, op, from] :
         llvm::enumerate(quant::getProducts(mainOf(*copy), selection), quant::getProducts(main(), selection)))
      if ((*isFloat)[i]) {
        op->setAttr(quant::keepFloatAttr, UnitAttr::get(context.get()));
        keepWeights(op, from);
      }
  if (options.floats)
    return copy;
  auto build = [&](OpPassManager &pm) {
    if (options.dynamic) {
      quant::QuantizeDynamicOptions dynamic;
      dynamic.perChannel = !options.perTensor;
      dynamic.reduceRange = options.reduceRange;
      dynamic.keep.assign(options.keep.begin(), options.keep.end());
      dynamic.only.assign(options.only.begin(), options.only.end());
      pm.addPass(quant::createQuantizeDynamic(dynamic));
      return;
    }
    if (options.weightsOnly == "f16" || options.weightsOnly == "bf16") {
      quant::RoundWeightsOptions round;
      round.type = options.weightsOnly;
      pm.addPass(quant::createRoundWeights(round));
      return;
    }
    if (!options.weightsOnly.empty()) {
      quant::QuantizeWeightsOptions weights;
      weights.bits = options.weightsOnly == "int4" ? 4 : 8;
      // Four bits for a whole channel are too few, and MatMulNBits has no such form.
      weights.block = options.block ? options.block : weights.bits == 4 || options.matmulNBits ? 32 : 0;
      weights.asymmetric = options.asymmetric;
      weights.matmulNBits = options.matmulNBits;
      weights.keep.assign(options.keep.begin(), options.keep.end());
      pm.addPass(quant::createQuantizeWeights(weights));
      return;
    }
    if (!rounded && !options.keepBiases) {
      quant::CorrectBiasesOptions correct;
      correct.perChannel = !options.perTensor;
      correct.powerOfTwo = options.powerOfTwo;
      correct.reduceRange = options.reduceRange;
      pm.addPass(quant::createCorrectBiases(correct));
    }
    quant::InsertQdqOptions insert;
    insert.activations = options.activations;
    insert.weights = options.weights;
    insert.symmetric = options.symmetric;
    insert.perChannel = !options.perTensor;
    insert.powerOfTwo = options.powerOfTwo;
    insert.reduceRange = options.reduceRange;
    insert.outputs = options.integerOnly;
    insert.keep.assign(options.keep.begin(), options.keep.end());
    insert.only.assign(options.only.begin(), options.only.end());
    pm.addPass(quant::createInsertQdq(insert));
  };
  if (llvm::Error error = runPasses(*copy, build))
    return std::move(error);
  return copy;
}

// Signal to noise in dB of each float output, over all samples; infinite where nothing differs.
llvm::Expected<std::vector<double>> Quantizer::noiseOf(ModuleOp candidate, StringRef what) {
  Runner runner(candidate);
  size_t outputs = main().getNumResults();
  std::vector<double> signal(outputs), noise(outputs), ratios;
  if (llvm::Error error = forEach(what, [&](Sample sample) -> llvm::Error {
        auto want = exact->run(sample);
        if (!want)
          return want.takeError();
        auto got = runner.run(sample);
        if (!got)
          return got.takeError();
        for (size_t i = 0; i < outputs; ++i)
          for (auto [a, b] : llvm::zip(floatsOf((*want)[i]), floatsOf((*got)[i]))) {
            signal[i] += double(a) * a;
            noise[i] += (double(a) - b) * (double(a) - b);
          }
        return llvm::Error::success();
      }))
    return std::move(error);
  for (auto [s, n] : llvm::zip(signal, noise))
    ratios.push_back(n == 0 ? INFINITY : 10 * std::log10(s / n));
  return ratios;
}

llvm::Expected<double> Quantizer::evaluate(ModuleOp candidate) {
  auto folder = ScratchFolder::create();
  if (!folder)
    return folder.takeError();
  std::string path = folder->file("candidate.onnx");
  if (failed(exportModel(candidate, path)))
    return reported();
  double score = hooks.evaluate(path);
  if (std::isnan(score))
    return createStringError("--evaluate: expected a number from the script, got none");
  return score;
}

// --max-drop and --min-sqnr: marks the layers that stay float.
llvm::Error Quantizer::chooseLayers() {
  std::vector<Layer> layers;
  for (Operation *op : quant::getProducts(main(), selection))
    layers.push_back({onnx::getNodeName(op).str(), onnx::getOpType(op).str(), layers.size()});
  auto worst = [&](ModuleOp candidate) -> llvm::Expected<double> {
    auto ratios = noiseOf(candidate, "");
    if (!ratios)
      return ratios.takeError();
    return ratios->empty() ? INFINITY : *std::min_element(ratios->begin(), ratios->end());
  };
  auto on = [&](auto judge) {
    return [this, judge](const llvm::BitVector &isFloat) -> llvm::Expected<double> {
      auto candidate = quantized(&isFloat);
      if (!candidate)
        return candidate.takeError();
      return judge(**candidate);
    };
  };
  FloatSearch search{on(worst), on(worst), options.minSqnr.value_or(0)};
  std::string unit = " dB";
  if (options.maxDrop) {
    if (!hooks.evaluate)
      return createStringError("--max-drop needs --evaluate=SCRIPT.py; --min-sqnr=DB works without a script");
    auto whole = evaluate(*original);
    if (!whole)
      return whole.takeError();
    search.score = on([&](ModuleOp candidate) { return evaluate(candidate); });
    search.bound = *whole - *options.maxDrop;
    unit = "";
  }
  auto choice = chooseFloatLayers(layers, search,
                                  [&](size_t done, size_t total) { hooks.progress("ranking layers", done, total); });
  if (!choice)
    return choice.takeError();
  choice->unit = unit;
  llvm::raw_string_ostream out(details);
  printFloatChoice(*choice, out);
  std::string curve = options.curve;
  if (curve.empty()) {
    SmallString<128> path(options.output);
    llvm::sys::path::replace_extension(path, "svg");
    curve = std::string(path);
  }
  if (llvm::Error error = writeFile(curve, [&](llvm::raw_ostream &file) {
        drawFloatChoice(*choice, file);
        return llvm::Error::success();
      }))
    return error;
  out << "  trade-off drawn in " << curve << "\n";
  llvm::json::Array list;
  llvm::BitVector kept(layers.size());
  for (const Layer &layer : choice->layers) {
    list.push_back(
        llvm::json::Object{{"name", layer.name},
                           {"operator", layer.kind},
                           {"sqnr_alone_db", std::isfinite(layer.alone) ? llvm::json::Value(layer.alone) : nullptr},
                           {"float", layer.isFloat}});
    if (layer.isFloat)
      kept.set(layer.index);
  }
  report["ranking"] = std::move(list);
  choiceOfFloat = kept;
  return llvm::Error::success();
}

llvm::Error Quantizer::summarize(ModuleOp result) {
  std::string summary;
  llvm::raw_string_ostream out(summary);
  size_t layers = options.floats ? 0 : quant::getProducts(main(), selection).size();
  if (choiceOfFloat)
    layers -= choiceOfFloat->count();
  if (!options.floats)
    out << llvm::formatv("{0} of {1} layers with weights quantized; {2} samples\n", layers,
                         quant::getProducts(mainOf(*original), {}).size(), samples);
  out << details;
  report["layers"] = int64_t(layers);
  report["samples"] = int64_t(samples);
  if (batches && !options.integerOnly) {
    auto ratios = noiseOf(result, "comparing");
    if (!ratios)
      return ratios.takeError();
    llvm::json::Array list;
    for (auto [i, ratio] : llvm::enumerate(*ratios)) {
      auto name = main().getResultAttrOfType<StringAttr>(i, "onnx.name");
      out << llvm::formatv("  {0,-24} SQNR {1:f1} dB\n", name ? name.getValue() : "", ratio);
      list.push_back(llvm::json::Object{{"name", name ? name.getValue() : ""},
                                        {"sqnr_db", std::isfinite(ratio) ? llvm::json::Value(ratio) : nullptr}});
    }
    report["outputs"] = std::move(list);
  }
  report["summary"] = summary;
  return llvm::Error::success();
}

llvm::Error Quantizer::run() {
  auto output = OutputFile::create(options.output);
  if (!output)
    return output.takeError();
  if (llvm::Error error = prepare())
    return error;
  if (isStatic())
    if (llvm::Error error = calibrate())
      return error;
  if (isStatic())
    if (llvm::Error error = uneven ? chooseChannels() : roundWeights())
      return error;
  if (options.maxDrop || options.minSqnr)
    if (llvm::Error error = chooseLayers())
      return error;
  hooks.progress("quantizing", 0, 1);
  auto result = quantized(choiceOfFloat ? &*choiceOfFloat : nullptr);
  if (!result)
    return result.takeError();
  if (options.integerOnly)
    if (llvm::Error error = runPasses(**result, [](OpPassManager &pm) { pm.addPass(quant::createRequireIntegers()); }))
      return error;
  if (failed(exportModel(**result, output->temporaryPath())))
    return reported();
  if (llvm::Error error = summarize(**result))
    return error;
  return output->commit(/*executable=*/false);
}

} // namespace

bool burin::quantize(const QuantizeOptions &options, const QuantizeHooks &hooks, llvm::raw_ostream &messages,
                     llvm::json::Object &report) {
  if (!llvm::sys::fs::exists(options.model)) {
    messages << "error: " << options.model << ": no such file\n";
    return false;
  }
  if (llvm::Error error = Quantizer(options, hooks, messages, report).run()) {
    std::string text = llvm::toString(std::move(error));
    if (!text.empty()) // a diagnostic said it
      messages << "error: " << text << "\n";
    return false;
  }
  return true;
}
