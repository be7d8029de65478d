// Unstructured pruning, pruning of N in M, of the blocks that sparse kernels leave out, and of whole filters; what
// stays makes up for what goes.
#include "lib/Support/Packing.h"
#include "passes/Quant/Criteria.h"
#include "passes/Quant/Plan.h"
#include "passes/Quant/Reconstruct.h"
#include "passes/Quant/Rewriting.h"
#include "llvm/ADT/BitVector.h"
#include "llvm/Support/FormatVariadic.h"
#include <numeric>

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_PRUNEWEIGHTS
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "PruneWeights";

struct Layer {
  Operation *op;
  SmallVector<float> weight;
  SmallVector<double> score; // of each unit: element, block or filter
  llvm::BitVector goes;      // units
};

class PruneWeights : public impl::PruneWeightsBase<PruneWeights> {
public:
  using PruneWeightsBase::PruneWeightsBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    std::optional<Criterion> measure = parseCriterion(criterion);
    unsigned kept = 0, of = 0;
    bool isPattern = !pattern.empty(), isGood = measure && (unit == "element" || unit == "block" || unit == "filter");
    if (isPattern) {
      auto [n, m] = StringRef(pattern).split(':');
      isGood &= !n.getAsInteger(10, kept) && !m.getAsInteger(10, of) && kept > 0 && kept < of && unit == "element";
    }
    if (!isGood || !(sparsity >= 0 && sparsity < 1)) {
      main.emitError()
          << "expected a criterion of magnitude, variance, gradient, fisher, a unit of element, block, filter, a "
             "sparsity from 0 to below 1 and a pattern N:M of elements, got '"
          << criterion << "', '" << unit << "', " << sparsity << ", '" << pattern << "'";
      return signalPassFailure();
    }
    std::vector<Layer> layers;
    for (Operation *op : getWeighted(main)) {
      std::optional<Rows> rows = rowsOf(op);
      if (!rows || op->hasAttr(keepFloatAttr))
        continue;
      if (rows->size < least || (unit == "filter" && rows->count < 2)) {
        missed(op, passName, "Weights", "its output channels have few weights each, all of which count");
        continue;
      }
      if (unit == "block" && rows->groups > 1) {
        missed(op, passName, "Weights", "kernels that leave blocks out are those of one group");
        continue;
      }
      layers.push_back({op, onnx::getFloats(floatConstant(op->getOperand(1))), {}, {}});
      score(layers.back(), *measure);
    }
    if (isPattern)
      for (Layer &layer : layers)
        takePattern(layer, kept, of);
    else if (global)
      takeLeast(layers);
    else
      for (Layer &layer : layers)
        takeLeast(llvm::MutableArrayRef(layer));
    for (Layer &layer : layers)
      prune(layer);
    eraseUnused(main);
    counted(getOperation(), passName, layers.size());
  }

private:
  bool isFilter() const { return unit == "filter"; }
  /// The unit that element j of a row belongs to. A block is one input of so many output channels.
  int64_t unitOf(const Rows &rows, int64_t row, int64_t j) const {
    return isFilter() ? row : unit == "block" ? row / sparseBlock * rows.size + j : rows.at(row, j);
  }
  int64_t units(const Rows &rows) const {
    return isFilter()        ? rows.count
           : unit == "block" ? llvm::divideCeil(rows.count, sparseBlock) * rows.size
                             : rows.count * rows.size;
  }

  void score(Layer &layer, Criterion measure) {
    Scores scores(layer.op, measure);
    const Rows &rows = scores.rows();
    layer.score.assign(units(rows), 0.0);
    layer.goes.resize(layer.score.size());
    for (int64_t row = 0; row < rows.count; ++row)
      for (int64_t j = 0; j < rows.size; ++j)
        layer.score[unitOf(rows, row, j)] += scores.of(row, j, layer.weight[rows.at(row, j)]);
  }

  // The least important units of all these layers together; never all filters of one.
  void takeLeast(MutableArrayRef<Layer> layers) {
    std::vector<std::pair<double, std::pair<size_t, size_t>>> all; // score, layer, unit
    for (auto [l, layer] : llvm::enumerate(layers))
      for (auto [u, s] : llvm::enumerate(layer.score))
        all.push_back({isFilter() && layers.size() > 1 ? s * layer.score.size() / total(layer) : s, {l, u}});
    size_t count = size_t(sparsity * all.size());
    llvm::sort(all);
    for (const auto &[s, place] : llvm::ArrayRef(all).take_front(count)) {
      llvm::BitVector &goes = layers[place.first].goes;
      if (!isFilter() || goes.count() + 1 < goes.size())
        goes.set(place.second);
    }
  }
  static double total(const Layer &layer) {
    return std::max(1e-30, std::accumulate(layer.score.begin(), layer.score.end(), 0.0));
  }

  // Of every `of` neighbours along the input channels `kept` stay: what sparse tensor units read. The rest of a row
  // that is no multiple stays.
  void takePattern(Layer &layer, unsigned kept, unsigned of) {
    Rows rows = *rowsOf(layer.op);
    int64_t taps = 1;
    auto type = cast<RankedTensorType>(layer.op->getOperand(1).getType());
    if (isa<onnx::ConvOp>(layer.op))
      for (int64_t d = 2; d < type.getRank(); ++d)
        taps *= type.getDimSize(d);
    int64_t channels = rows.size / taps;
    for (int64_t row = 0; row < rows.count; ++row)
      for (int64_t tap = 0; tap < taps; ++tap)
        for (int64_t c = 0; c + of <= channels; c += of) {
          SmallVector<int64_t> block;
          for (unsigned k = 0; k < of; ++k)
            block.push_back(rows.at(row, (c + k) * taps + tap));
          llvm::stable_sort(block, [&](int64_t a, int64_t b) { return layer.score[a] < layer.score[b]; });
          for (int64_t i : ArrayRef(block).drop_back(kept))
            layer.goes.set(i);
        }
  }

  void prune(Layer &layer) {
    if (layer.goes.none())
      return;
    Reconstruction reconstruction(layer.op);
    const Rows &rows = reconstruction.rows();
    SmallVector<float> left(layer.weight);
    auto isGone = [&](int64_t row, int64_t j) { return layer.goes[unitOf(rows, row, j)]; };
    for (int64_t row = 0; row < rows.count; ++row)
      for (int64_t j = 0; j < rows.size; ++j)
        if (isGone(row, j))
          left[rows.at(row, j)] = 0;
    if (!isFilter())
      reconstruction.walk(
          layer.weight, left, [&](int64_t row, int64_t j, float target) { return isGone(row, j) ? 0.0f : target; },
          walks);
    reconstruction.replace(layer.weight, left);
    passed(layer.op, passName, "Weights",
           llvm::formatv("{0} of {1} {2}s are zero", layer.goes.count(), layer.goes.size(), unit.getValue()).str());
  }
};

} // namespace
} // namespace burin::quant
