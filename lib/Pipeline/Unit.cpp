// The vision unit's part of a compilation: its container, what its tasks cost, budgets and sweeps over shares of it.
#include "lib/Cost/Vpu.h"
#include "lib/Pipeline/Pipeline.h"
#include "lib/Support/Diagnostics.h"
#include "lib/Target/Blob.h"
#include "lib/Target/Files.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include <cmath>

using namespace mlir;
using namespace burin;

LogicalResult Compilation::emitBlob(StringRef output) {
  const vpu::UnitConfig &unit = options.unit;
  BlobOptions blob;
  blob.unit = unit.unit->name.str();
  blob.name = options.name;
  blob.shaves = unit.shaves;
  blob.slices = unit.slices;
  blob.threads = unit.threads;
  blob.halfSums = unit.halfSums;
  blob.megahertz = unit.unit->megahertz;
  UnitCost cost = analyzeTasks((*module).lookupSymbol<func::FuncOp>("main"), unit);
  for (const UnitTask &task : cost.tasks)
    blob.cycles.push_back(std::llround((task.end - task.start) * unit.unit->megahertz * 1e3));
  if (!options.reportFolder.empty())
    page["unit"] = toJson(cost, unit);
  llvm::json::Object manifest{{"compiler", ("burin " + version()).str()},
                              {"name", options.name},
                              {"target", options.unitText},
                              {"source", llvm::json::Object{{"file", sourceName}, {"blake3", sourceHash}}}};
  llvm::raw_string_ostream(blob.manifest) << llvm::json::Value(std::move(manifest));
  LogicalResult wrote = success();
  llvm::Error error = writeFile(output, [&](llvm::raw_ostream &out) {
    wrote = writeBlob(*module, blob, out);
    return llvm::Error::success();
  });
  if (error)
    return module->emitError() << llvm::toString(std::move(error));
  uint64_t size = 0;
  if (!llvm::sys::fs::file_size(output, size))
    report.artifactBytes = size;
  return wrote;
}

// Cameras give bytes: the one image of a network that becomes a blob is taken as such unless the user says otherwise.
void Compilation::chooseInputType() {
  if (!options.unit.unit || options.emit != EmitKind::Blob || !options.edits.inputType.empty() ||
      reached >= Stage::Graph)
    return;
  auto main = module->lookupSymbol<FunctionOpInterface>("main");
  if (!main || main.getNumArguments() != 1)
    return;
  auto type = dyn_cast<RankedTensorType>(main.getArgumentTypes().front());
  auto name = main.getArgAttrOfType<StringAttr>(0, "onnx.name");
  if (!type || !name || type.getRank() != 4 || !type.getElementType().isF32() ||
      (type.getDimSize(1) != 3 && type.getDimSize(1) != 1))
    return;
  options.edits.inputType = "u8";
  report.notes += "note: input '" + name.getValue().str() +
                  "' takes bytes, 0 to 255; --input-type=f32 or f16 leaves it a float input\n";
}

namespace {
struct Budget {
  std::optional<double> fps, milliseconds, megabytes;
  double share = 1; // of the unit that other processes leave
};

// `fps=27,latency=30ms,traffic=40MB,share=0.4`; checked when the option was set.
Budget parse(StringRef text) {
  Budget budget;
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    auto [key, value] = part.split('=');
    value.consume_back(key == "latency" ? "ms" : "MB");
    double number = 0;
    value.getAsDouble(number);
    if (key == "share")
      budget.share = number;
    else
      (key == "fps" ? budget.fps : key == "latency" ? budget.milliseconds : budget.megabytes) = number;
  }
  return budget;
}
} // namespace

// Rewrites of the network that save most; `limit`: milliseconds to stay within, or 0.
static void adviseRewrites(const UnitCost &cost, double limit, llvm::raw_ostream &out) {
  SmallVector<std::pair<double, const UnitLayer *>> gains;
  for (const UnitLayer &layer : cost.layers)
    if (double gain = layer.engine + layer.shave - layer.rewritten; !layer.rewrite.empty() && gain > 0)
      gains.push_back({gain, &layer});
  llvm::stable_sort(gains, [](const auto &a, const auto &b) { return a.first > b.first; });
  double left = cost.milliseconds;
  for (auto [gain, layer] : ArrayRef(gains).take_front(5)) {
    left -= gain;
    out << llvm::formatv("advice: {0}: {1} saves {2:f2} ms\n", layer->name, layer->rewrite, gain);
  }
  if (gains.empty())
    out << "advice: no known rewrite makes these layers faster; a smaller input or fewer channels would\n";
  else if (limit > 0)
    out << llvm::formatv("advice: with these {0:f2} ms a frame, which {1}\n", left,
                         left <= limit ? "fits" : "does not fit either");
}

LogicalResult Compilation::checkBudget() {
  auto main = module->lookupSymbol<func::FuncOp>("main");
  if (!options.unit.unit || reached < Stage::Target || !main || (options.budget.empty() && !options.verbose))
    return success();
  UnitCost cost = analyzeTasks(main, options.unit);
  Budget budget = parse(options.budget);
  double ms = cost.milliseconds / budget.share, fps = cost.framesPerSecond(options.unit) * budget.share,
         mb = cost.traffic * 1e-6;
  llvm::raw_string_ostream out(report.notes);
  out << llvm::formatv("modelled: {0:f2} ms a frame, {1:f1} FPS with {2} threads, {3:f2} MB of traffic a frame, {4:f1} "
                       "mJ; engine {5:f2} ms, "
                       "shaves {6:f2} ms, transfers {7:f2} ms\n",
                       ms, fps, options.unit.threads, mb, cost.millijoules(options.unit), cost.engine, cost.shave,
                       cost.dma);
  if (options.budget.empty())
    return success();
  std::string over;
  auto check = [&](const std::optional<double> &limit, double value, bool atLeast, StringRef what) {
    if (limit && (atLeast ? value < *limit : value > *limit))
      over += llvm::formatv("{0}{1} {2:f2}, expected at {3} {4:f2}", over.empty() ? "" : "; ", what, value,
                            atLeast ? "least" : "most", *limit)
                  .str();
  };
  check(budget.fps, fps, true, "FPS");
  check(budget.milliseconds, ms, false, "latency in ms");
  check(budget.megabytes, mb, false, "traffic in MB");
  if (over.empty()) {
    out << "verdict: within budget\n";
    return success();
  }
  SmallVector<const UnitLayer *> layers;
  for (const UnitLayer &layer : cost.layers)
    layers.push_back(&layer);
  llvm::stable_sort(layers, [](const UnitLayer *a, const UnitLayer *b) {
    return a->engine + a->shave + a->dma > b->engine + b->shave + b->dma;
  });
  for (const UnitLayer *layer : ArrayRef(layers).take_front(5))
    out << llvm::formatv("  {0:f2} ms engine, {1:f2} ms shaves, {2:f2} ms transfers: {3}\n", layer->engine,
                         layer->shave, layer->dma, layer->name);
  adviseRewrites(cost, budget.milliseconds.value_or(0) * budget.share, out);
  return module->emitError() << "over budget: " << over;
}

std::string burin::checkBudgetText(StringRef text) {
  SmallVector<StringRef> parts;
  text.split(parts, ',');
  for (StringRef part : parts) {
    auto [key, value] = part.split('=');
    value.consume_back(key == "latency" ? "ms" : "MB");
    double number;
    if (!llvm::is_contained({"fps", "latency", "traffic", "share"}, key) || value.getAsDouble(number) || number <= 0 ||
        (key == "share" && number > 1))
      return ("--budget: expected fps=N,latency=Nms,traffic=NMB,share=0..1, got '" + part + "'").str();
  }
  return "";
}

bool burin::sweepShaves(const ModelSource &source, const CompileOptions &given, llvm::raw_ostream &out) {
  out << llvm::formatv("{0,6} {1,10} {2,8} {3,12}\n", "shaves", "ms", "FPS", "traffic MB");
  double best = 0, before = 0;
  std::vector<std::pair<unsigned, double>> rows;
  for (unsigned shaves = 1; shaves <= given.unit.unit->maxShaves; ++shaves) {
    if (shaves * given.unit.threads > given.unit.unit->maxShaves ||
        shaves * given.unit.threads > given.unit.unit->maxSlices)
      break;
    CompileOptions options = given;
    options.unit.shaves = options.unit.slices = shaves;
    options.emit = EmitKind::Blob;
    Compilation compilation(options, {});
    burin::ScopedDiagnosticHandler handler(&compilation.getContext(), out);
    if (failed(compilation.import(source)) || failed(compilation.runTo(Stage::Target)))
      return false;
    UnitCost cost = analyzeTasks(compilation.getModule().lookupSymbol<func::FuncOp>("main"), options.unit);
    bool slower = before > 0 && cost.milliseconds > before * 1.0001;
    out << llvm::formatv("{0,6} {1,10:f2} {2,8:f1} {3,12:f2}{4}\n", shaves, cost.milliseconds,
                         cost.framesPerSecond(options.unit), cost.traffic * 1e-6,
                         slower ? "  slower: its CMX made other tiles" : "");
    before = cost.milliseconds;
    best = rows.empty() ? cost.milliseconds : std::min(best, cost.milliseconds);
    rows.push_back({shaves, cost.milliseconds});
  }
  for (auto [shaves, ms] : rows)
    if (ms <= best * 1.05) {
      out << "recommended: shaves=" << shaves << ", the fewest within 5% of the best\n";
      break;
    }
  return true;
}
