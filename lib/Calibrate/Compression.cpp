// The order: channels first, since they take the most along, then elements, then values. Each step sees what the one
// before left, so moments are measured anew.
#include "lib/Calibrate/Compression.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Calibrate/Fisher.h"
#include "lib/Calibrate/Graph.h"
#include "mlir/Pass/PassManager.h"
#include "passes/Quant/Passes.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir;
using namespace burin;

namespace {
int64_t countWeights(ModuleOp module) {
  int64_t count = 0;
  for (Operation *op : quant::getWeighted(mainOf(module)))
    count += cast<RankedTensorType>(op->getOperand(1).getType()).getNumElements();
  return count;
}

// R of each layer as Han and others count it: n weights of b bits over n indices and k values of b bits a codebook.
void tell(ModuleOp module, int64_t before, llvm::raw_ostream &out, llvm::json::Object &report) {
  llvm::json::Array layers;
  double raw = 0, compressed = 0;
  std::string table;
  llvm::raw_string_ostream lines(table);
  for (Operation *op : quant::getWeighted(mainOf(module))) {
    SmallVector<float> weight = onnx::getFloats(onnx::getConstantAttr(op->getOperand(1)));
    int64_t zeros = llvm::count(weight, 0.0f), n = weight.size();
    auto sharing = quant::getSharing(op);
    double ratio = sharing ? quant::sharingRatio(n, sharing->first, sharing->second, int64_t(1) << sharing->first) : 1;
    raw += 32.0 * n;
    compressed += 32.0 * n / ratio;
    lines << llvm::formatv("  {0,-32} {1,9} weights, {2,5:f1}% zero, R = {3:f2}\n", onnx::getNodeName(op), n,
                           100.0 * zeros / std::max<int64_t>(n, 1), ratio);
    layers.push_back(
        llvm::json::Object{{"name", onnx::getNodeName(op)}, {"weights", n}, {"zeros", zeros}, {"ratio", ratio}});
  }
  double ratio = compressed > 0 ? raw / compressed : 1;
  out << llvm::formatv("{0:f0} of {1} weights left after channels; R = raw bits / (indices + codebooks) = {2:f2}\n",
                       raw / 32, before, ratio)
      << table;
  report["compression"] = llvm::json::Object{
      {"weights_before", before}, {"weights", raw / 32}, {"ratio", ratio}, {"layers", std::move(layers)}};
}
} // namespace

llvm::Error burin::compress(ModuleOp module, const QuantizeOptions &options, Batches *batches, MeasureProgress progress,
                            std::string &summary, llvm::json::Object &report) {
  int64_t before = countWeights(module);
  bool needsSensitivity = options.pruneBy == "fisher" || options.pruneBy == "gradient";
  auto mark = [&] {
    for (Operation *op : quant::getWeighted(mainOf(module)))
      for (StringRef name : options.keep)
        if (name == onnx::getNodeName(op) || name == onnx::getOpType(op))
          op->setAttr(quant::keepFloatAttr, UnitAttr::get(module.getContext()));
  };
  auto step = [&](bool isPruning, std::unique_ptr<Pass> pass) -> llvm::Error {
    quant::clearCalibration(module);
    mark();
    if (batches) {
      if (llvm::Error error = measureMoments(module, *batches, progress))
        return error;
      if (isPruning && needsSensitivity) {
        size_t left = 0, all = quant::getWeighted(mainOf(module)).size();
        if (llvm::Error error = measureFisher(module, *batches, progress, left))
          return error;
        llvm::raw_string_ostream(summary)
            << llvm::formatv("gradients of each weight in {0} of {1} layers{2}\n", all - left, all,
                             left ? "; of the others one a layer, by what a small change of all its weights does" : "");
        if (left)
          if (llvm::Error error = measureSensitivities(module, *batches, progress))
            return error;
      }
    }
    progress("compressing", 0, 1);
    PassManager passes(module.getContext());
    passes.addPass(std::move(pass));
    if (failed(passes.run(module)))
      return llvm::make_error<llvm::StringError>("", llvm::inconvertibleErrorCode());
    return llvm::Error::success();
  };
  if (options.pruneChannels > 0) {
    quant::PruneChannelsOptions channels;
    channels.share = options.pruneChannels;
    channels.criterion = options.pruneBy;
    channels.global = options.pruneScope == "global";
    if (llvm::Error error = step(true, quant::createPruneChannels(channels)))
      return error;
  }
  if (!options.prune.empty()) {
    quant::PruneWeightsOptions weights;
    if (StringRef(options.prune).contains(':'))
      weights.pattern = options.prune;
    else
      (void)StringRef(options.prune).getAsDouble(weights.sparsity);
    weights.unit = options.pruneUnit;
    weights.criterion = options.pruneBy;
    weights.global = options.pruneScope == "global";
    if (llvm::Error error = step(true, quant::createPruneWeights(weights)))
      return error;
  }
  if (options.share) {
    quant::ShareWeightsOptions share;
    share.bits = options.share;
    share.group = options.shareGroup;
    if (llvm::Error error = step(false, quant::createShareWeights(share)))
      return error;
  }
  llvm::raw_string_ostream out(summary);
  tell(module, before, out, report);
  quant::clearCalibration(module);
  return llvm::Error::success();
}
