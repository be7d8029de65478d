// Structured pruning: channels leave the graph for good, so that it is smaller and faster for everyone.
#include "passes/Quant/ChannelGraph.h"
#include "passes/Quant/Criteria.h"
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"
#include "llvm/ADT/MapVector.h"

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_PRUNECHANNELS
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "PruneChannels";

// Of channels that go together across the whole graph, so many stay at least.
constexpr double leastShare = 0.125;

class PruneChannels : public impl::PruneChannelsBase<PruneChannels> {
public:
  using PruneChannelsBase::PruneChannelsBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    std::optional<Criterion> measure = parseCriterion(criterion);
    if (!measure || !(share >= 0 && share < 1) || multiple < 1) {
      main.emitError()
          << "expected a criterion of magnitude, variance, gradient, fisher and a share from 0 to below 1, "
             "got '"
          << criterion << "' and " << share;
      return signalPassFailure();
    }
    ChannelGraph graph(main);
    std::vector<double> score = scoresOf(main, graph, *measure);
    llvm::BitVector goes = global ? chooseGlobally(graph, score) : chooseBySet(graph, score);
    if (goes.any()) {
      for (Operation *op : getWeighted(main))
        makeUp(op, graph, goes);
      graph.remove(goes);
    }
    for (unsigned c : goes.set_bits())
      passed(graph.makersOf(c).front().first, passName, "Channel");
    counted(getOperation(), passName, goes.count());
  }

private:
  // The mean over the layers that make a channel of its share in what the layer's channels score.
  static std::vector<double> scoresOf(func::FuncOp main, const ChannelGraph &graph, Criterion measure) {
    std::vector<double> score(graph.numClasses(), 0.0);
    llvm::DenseMap<Operation *, SmallVector<double>> ofLayer;
    for (Operation *op : getWeighted(main)) {
      if (!rowsOf(op))
        continue;
      Scores scores(op, measure);
      const Rows &rows = scores.rows();
      SmallVector<float> weight = onnx::getFloats(floatConstant(op->getOperand(1)));
      SmallVector<double> &all = ofLayer[op];
      double total = 0;
      for (int64_t row = 0; row < rows.count; ++row) {
        double sum = 0;
        for (int64_t j = 0; j < rows.size; ++j)
          sum += scores.of(row, j, weight[rows.at(row, j)]);
        all.push_back(sum);
        total += sum;
      }
      // Sensitivities tell layers apart already; other scores have no common unit.
      bool isComparable = measure == Criterion::Fisher || measure == Criterion::Gradient;
      for (double &s : all)
        s = isComparable || total == 0 ? s : s * rows.count / total;
    }
    for (unsigned c = 0; c < score.size(); ++c) {
      for (auto [op, channel] : graph.makersOf(c))
        score[c] += ofLayer[op].empty() ? 0 : ofLayer[op][channel];
      if (!graph.makersOf(c).empty())
        score[c] /= graph.makersOf(c).size();
    }
    return score;
  }

  // Sets of channels made by the same layers.
  static llvm::MapVector<std::pair<size_t, Operation *>, SmallVector<unsigned>> setsOf(const ChannelGraph &graph) {
    llvm::MapVector<std::pair<size_t, Operation *>, SmallVector<unsigned>> sets;
    for (unsigned c = 0; c < graph.numClasses(); ++c)
      if (!graph.isFixed(c) && !graph.makersOf(c).empty())
        sets[{graph.makersOf(c).size(), graph.makersOf(c).front().first}].push_back(c);
    return sets;
  }

  // How many of a set of `count` stay where `wanted` would: a multiple, as kernels compute in blocks.
  size_t stay(size_t count, double wanted) const {
    size_t blocks = size_t(std::ceil(wanted / multiple - 1e-9));
    return std::min<size_t>(count, std::max<size_t>(1, blocks) * multiple);
  }

  llvm::BitVector chooseBySet(const ChannelGraph &graph, ArrayRef<double> score) const {
    llvm::BitVector goes(graph.numClasses());
    for (auto &[key, set] : setsOf(graph))
      drop(set, stay(set.size(), (1 - share) * set.size()), score, goes);
    return goes;
  }

  llvm::BitVector chooseGlobally(const ChannelGraph &graph, ArrayRef<double> score) const {
    auto sets = setsOf(graph);
    std::vector<double> all;
    for (auto &[key, set] : sets)
      for (unsigned c : set)
        all.push_back(score[c]);
    llvm::sort(all);
    llvm::BitVector goes(graph.numClasses());
    if (all.empty())
      return goes;
    double border = all[size_t(share * all.size())];
    for (auto &[key, set] : sets) {
      size_t above = llvm::count_if(set, [&](unsigned c) { return score[c] >= border; });
      drop(set, stay(set.size(), std::max(double(above), leastShare * set.size())), score, goes);
    }
    return goes;
  }

  static void drop(SmallVector<unsigned> set, size_t left, ArrayRef<double> score, llvm::BitVector &goes) {
    llvm::stable_sort(set, [&](unsigned a, unsigned b) { return score[a] < score[b]; });
    for (unsigned c : ArrayRef(set).take_front(set.size() - left))
      goes.set(c);
  }

  // What stays of the inputs of a layer makes up for those that go, and the bias for their mean.
  void makeUp(Operation *op, const ChannelGraph &graph, const llvm::BitVector &goes) const {
    ArrayRef<unsigned> inputs = graph.classesOf(op->getOperand(0));
    std::optional<Rows> rows = rowsOf(op);
    if (!rows || rows->groups != 1 || inputs.empty() || rows->size % inputs.size() != 0 ||
        llvm::none_of(inputs, [&](unsigned c) { return goes[c]; }))
      return;
    Reconstruction reconstruction(op);
    if (!reconstruction.hasMoments())
      return;
    int64_t taps = rows->size / inputs.size();
    auto isGone = [&](int64_t j) { return goes[inputs[j / taps]]; };
    SmallVector<float> weight = onnx::getFloats(floatConstant(op->getOperand(1))), left(weight);
    for (int64_t row = 0; row < rows->count; ++row)
      for (int64_t j = 0; j < rows->size; ++j)
        if (isGone(j))
          left[rows->at(row, j)] = 0;
    reconstruction.walk(
        weight, left, [&](int64_t, int64_t j, float target) { return isGone(j) ? 0.0f : target; }, walks);
    reconstruction.replace(weight, left);
  }
};

} // namespace
} // namespace burin::quant
