// Adapters of the attribute `burin.adapters` go into the weights they were trained on: W + scale * alpha / rank * B A,
// summed in f32 over all adapters and rounded once. Names decide where: those of initializers, where the exporter kept
// them, else the scopes in node names. What is not sure is an error: an adapter that silently does nothing is worse
// than none. The names are taken apart in LoraNames.cpp.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Lora.h"
#include "passes/Graph/LoraNames.h"
#include "passes/Graph/Numbers.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Regex.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_MERGELORA
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "MergeLora";
constexpr char adaptersName[] = "burin.adapters";

using lora::Assignment, lora::Factors, lora::Target;

bool isSwap(onnx::TransposeOp op) {
  RankedTensorType type = rankedType(op.getData());
  return type && type.getRank() == 2 && permutation(op, 2)[0] == 1;
}

std::optional<Target> targetOf(Operation *op, unsigned operand) {
  Target target{op, operand, nullptr, {}, false};
  Value value = op->getOperand(operand);
  bool swapped = false;
  while (!(target.constant = definedBy<onnx::ConstantOp>(value))) {
    Operation *made = value.getDefiningOp();
    auto transpose = dyn_cast_or_null<onnx::TransposeOp>(made);
    if (isa_and_nonnull<onnx::DequantizeLinearOp>(made))
      target.isQuantized = true;
    else if (!isa_and_nonnull<onnx::CastOp, onnx::IdentityOp>(made) && !(transpose && isSwap(transpose)))
      return std::nullopt;
    swapped ^= bool(transpose);
    target.chain.insert(target.chain.begin(), made);
    value = made->getOperand(0);
  }
  RankedTensorType type = staticType(target.constant.getResult());
  if (!type || type.getRank() < 2 || (!target.isQuantized && !isa<FloatType>(type.getElementType())))
    return std::nullopt;
  bool inputsFirst;
  if (auto gemm = dyn_cast<onnx::GemmOp>(op)) {
    inputsFirst = operand == 1 ? gemm.getTransB() == 0 : gemm.getTransA() != 0;
    target.gain = gemm.getAlpha();
  } else if (isa<onnx::MatMulOp>(op)) {
    inputsFirst = operand == 1;
  } else {
    inputsFirst = isa<onnx::GatherOp>(op); // [vocabulary, width]; a convolution is [out, in, kernel]
  }
  if (!isa<onnx::ConvOp>(op) && type.getRank() != 2)
    return std::nullopt;
  target.inputsFirst = inputsFirst != swapped;
  target.outputs = type.getDimSize(target.inputsFirst ? 1 : 0);
  target.inputs = target.outputs ? type.getNumElements() / target.outputs : 0;
  if (auto loc = dyn_cast<NameLoc>(target.constant.getLoc()))
    target.names.push_back(lora::moduleOfWeight(loc.getName()));
  if (std::string scope = lora::moduleOfNode(onnx::getNodeName(op)); !scope.empty())
    target.names.push_back(scope);
  return target;
}

// One adapter's tensors for one module.
struct Module {
  std::string name, component, firstKey;
  SmallVector<std::string> candidates;
  ElementsAttr down, up, mid, alpha;
  unsigned keys = 0;
  bool isEmbedding = false;
};

// What the shapes say; data stays where it is.
std::optional<Factors> shapesOf(const Module &module, std::string &why) {
  if (!module.down || !module.up)
    return why = "expected two factors, got only the " + std::string(module.down ? "first" : "second"), std::nullopt;
  for (ElementsAttr part : {module.down, module.up, module.mid})
    if (part &&
        (!isa<FloatType>(part.getElementType()) || part.getShapedType().getRank() < 2 || part.getNumElements() == 0))
      return why = "expected factors of two or more dims of floats, got others", std::nullopt;
  Factors f;
  f.rank = module.down.getShapedType().getDimSize(0);
  f.outputs = module.up.getShapedType().getDimSize(0);
  f.inputs = module.down.getNumElements() / f.rank;
  if (module.up.getNumElements() != f.outputs * f.rank) {
    why =
        llvm::formatv("expected factors of one rank, got {0} and {1}", f.rank, module.up.getNumElements() / f.outputs);
    return std::nullopt;
  }
  if (module.mid) {
    auto shape = module.mid.getShapedType().getShape();
    if (shape[0] != f.rank || shape[1] != f.rank)
      return why = "expected a core of rank by rank by the kernel, got another shape", std::nullopt;
    f.kernel = module.mid.getNumElements() / (f.rank * f.rank);
    f.inputs *= f.kernel;
  }
  return f;
}

// A Tucker core [rank, rank, kernel...] between two 1x1 factors goes into the first:
//   down'[p, i, k] = sum over q of mid[p, q, k] * down[q, i]
void readFactors(const Module &module, Factors &f) {
  f.up = onnx::getFloats(module.up);
  f.down = onnx::getFloats(module.down);
  if (!module.mid)
    return;
  SmallVector<float> core = onnx::getFloats(module.mid), wide(f.rank * f.inputs, 0.0f);
  int64_t narrow = f.inputs / f.kernel;
  for (int64_t p = 0; p < f.rank; ++p)
    for (int64_t q = 0; q < f.rank; ++q)
      for (int64_t i = 0; i < narrow; ++i)
        for (int64_t k = 0; k < f.kernel; ++k)
          wide[(p * narrow + i) * f.kernel + k] += core[(p * f.rank + q) * f.kernel + k] * f.down[q * narrow + i];
  f.down = std::move(wide);
}

// PEFT's alpha_pattern: a regular expression over the end of a module's name.
std::optional<double> patternAlpha(DictionaryAttr patterns, StringRef module) {
  if (patterns)
    for (NamedAttribute pattern : patterns)
      if (llvm::Regex("^(.*\\.)?(" + pattern.getName().str() + ")$").match(module))
        return cast<FloatAttr>(pattern.getValue()).getValueAsDouble();
  return std::nullopt;
}

double scaleOf(const Module &module, DictionaryAttr adapter, int64_t rank) {
  double alpha = double(rank);
  if (module.alpha && module.alpha.getNumElements() == 1) {
    alpha = onnx::getFloats(module.alpha).front();
  } else if (auto matched = patternAlpha(adapter.getAs<DictionaryAttr>("alpha_pattern"), module.name)) {
    alpha = *matched;
  } else if (auto alphas = adapter.getAs<DictionaryAttr>("alpha")) {
    auto own = module.component.empty() ? FloatAttr() : alphas.getAs<FloatAttr>(module.component);
    if (FloatAttr held = own ? own : alphas.getAs<FloatAttr>("*"))
      alpha = held.getValueAsDouble();
  }
  double scale = adapter.getAs<FloatAttr>("scale").getValueAsDouble();
  return scale * alpha / (adapter.get("rank_scaled") ? std::sqrt(double(rank)) : double(rank));
}

class MergeLora : public impl::MergeLoraBase<MergeLora> {
public:
  using MergeLoraBase::MergeLoraBase;

  void runOnOperation() override {
    ModuleOp root = getOperation();
    auto adapters = root->getAttrOfType<ArrayAttr>(adaptersName);
    if (!adapters)
      return;
    root.walk([&](Operation *op) {
      auto add = [&](unsigned operand) {
        if (auto target = targetOf(op, operand))
          targets.push_back(std::move(*target));
      };
      llvm::TypeSwitch<Operation *>(op)
          .Case<onnx::ConvOp>([&](auto) { add(1); })
          .Case<onnx::GatherOp>([&](auto) { add(0); })
          .Case<onnx::GemmOp, onnx::MatMulOp>([&](auto) { add(1), add(0); });
    });
    if (mode != "merge" && mode != "switch") {
      root.emitError() << "expected mode merge or switch, got '" << mode << "'";
      return signalPassFailure();
    }
    for (Attribute adapter : adapters)
      if (failed(apply(cast<DictionaryAttr>(adapter))))
        return signalPassFailure();
    if (mode == "switch") {
      auto main = root.lookupSymbol<func::FuncOp>("main");
      if (!main || failed(lora::addSwitches(root, main, targets, shares, files)))
        return signalPassFailure();
    }
    unsigned count = 0;
    for (auto &entry : sums) {
      if (failed(write(entry.second)))
        return signalPassFailure();
      ++count;
    }
    root->removeAttr(adaptersName);
    counted(root, passName, count);
  }

private:
  struct Sum {
    SmallVector<float> weights; // as the constant lies in memory
    SmallVector<unsigned> targets;
  };

  LogicalResult apply(DictionaryAttr adapter);
  SmallVector<unsigned> find(const Module &module, StringRef lastInstead, std::string &why) const;
  bool assign(const Module &module, int64_t rows, SmallVectorImpl<Assignment> &assignments, std::string &why) const;
  bool fits(const Module &module, const Factors &factors, ArrayRef<Assignment> assignments, std::string &why) const;
  void add(const Assignment &assignment, const Factors &factors, double scale);
  LogicalResult write(Sum &sum);

  std::vector<Target> targets;
  llvm::MapVector<unsigned, Sum> sums; // by first target
  std::vector<lora::Share> shares;     // what mode switch keeps
  SmallVector<std::string> files;      // of the adapters, in order
};

// The targets of a module's name; all share one constant. `lastInstead`: under another last component.
SmallVector<unsigned> MergeLora::find(const Module &module, StringRef lastInstead, std::string &why) const {
  SmallVector<unsigned> found;
  int best = 0;
  for (StringRef candidate : module.candidates) {
    std::string name = lora::withLast(candidate, lastInstead);
    if (name.empty())
      continue;
    for (auto [i, target] : llvm::enumerate(targets)) {
      if (isa<onnx::GatherOp>(target.user) != module.isEmbedding)
        continue;
      int score = 0;
      for (StringRef own : target.names)
        score = std::max(score, lora::match(name, own));
      if (!score || score < best)
        continue;
      if (score > best)
        found.clear();
      best = score;
      if (!llvm::is_contained(found, i))
        found.push_back(i);
    }
    if (!found.empty())
      break;
  }
  for (unsigned i : found)
    if (targets[i].constant != targets[found.front()].constant) {
      why = llvm::formatv("expected one weight of that name, got '{0}' and '{1}'",
                          onnx::getNodeName(targets[found.front()].user), onnx::getNodeName(targets[i].user));
      return {};
    }
  return found;
}

// Where the rows of a module's product go: its own weight, a part of a fused one, or the parts of one that the graph
// keeps apart.
bool MergeLora::assign(const Module &module, int64_t rows, SmallVectorImpl<Assignment> &assignments,
                       std::string &why) const {
  if (auto own = find(module, "", why); !own.empty()) {
    assignments.push_back({own, 0, rows, 0});
    return true;
  }
  if (!why.empty())
    return false;
  if (auto part = lora::partOfFused(module.candidates.back()))
    for (StringRef fused : part->fused)
      if (auto whole = find(module, fused, why); !whole.empty()) {
        int64_t total = targets[whole.front()].outputs;
        // First, then the last two: widths of keys and values agree, those of queries may differ.
        int64_t to = part->index == 0 ? 0 : total - rows * (part->count - part->index);
        if (to < 0 || (part->index == 0 && (total - rows) % (part->count - 1)) ||
            (part->count == 2 && total != 2 * rows))
          continue;
        assignments.push_back({whole, 0, rows, to, true});
        return true;
      }
  for (ArrayRef<StringRef> parts : lora::partsOf(module.candidates.back())) {
    int64_t from = 0;
    for (StringRef name : parts) {
      auto one = find(module, name, why);
      if (one.empty())
        break;
      int64_t width = targets[one.front()].outputs;
      assignments.push_back({one, from, width, 0});
      from += width;
    }
    if (from == rows && assignments.size() == parts.size())
      return true;
    assignments.clear();
  }
  if (why.empty())
    why = "no weight of the graph bears its name";
  return false;
}

bool MergeLora::fits(const Module &module, const Factors &factors, ArrayRef<Assignment> assignments,
                     std::string &why) const {
  for (const Assignment &a : assignments) {
    const Target &target = targets[a.targets.front()];
    if (target.isQuantized) {
      why =
          llvm::formatv("expected a float weight in node '{0}', got a quantized one; merge into the float model before "
                        "quantizing it",
                        onnx::getNodeName(target.user));
      return false;
    }
    if (target.inputs == factors.inputs && (a.isPart ? a.to + a.rows <= target.outputs : a.rows == target.outputs))
      continue;
    why = llvm::formatv("expected {0} outputs of {1} inputs for node '{2}', got {3} of {4}", target.outputs,
                        target.inputs, onnx::getNodeName(target.user), factors.outputs, factors.inputs);
    return false;
  }
  return true;
}

// Adds scale * up * down to the f32 copy of a weight.
void MergeLora::add(const Assignment &assignment, const Factors &factors, double scale) {
  unsigned first = assignment.targets.front();
  const Target &target = targets[first];
  auto held = llvm::find_if(sums, [&](auto &entry) { return llvm::is_contained(entry.second.targets, first); });
  Sum &sum = held != sums.end() ? held->second : sums[first];
  if (sum.targets.empty()) {
    Literal literal = *readLiteral(onnx::ConstantOp(target.constant).getValue());
    sum.weights.resize(literal.count());
    load(numberOf(literal.type.getElementType()), literal.bytes.data(), literal.splat, sum.weights.data(),
         sum.weights.size());
  }
  for (unsigned i : assignment.targets)
    if (!llvm::is_contained(sum.targets, i))
      sum.targets.push_back(i);
  float factor = float(scale / target.gain);
  int64_t inputs = factors.inputs;
  SmallVector<float> row(inputs);
  for (int64_t o = 0; o < assignment.rows; ++o) {
    std::fill(row.begin(), row.end(), 0.0f);
    for (int64_t p = 0; p < factors.rank; ++p) {
      float u = factors.up[(assignment.from + o) * factors.rank + p];
      const float *down = &factors.down[p * inputs];
      for (int64_t i = 0; i < inputs; ++i)
        row[i] += u * down[i];
    }
    int64_t output = assignment.to + o;
    float *weights = sum.weights.data();
    if (target.inputsFirst)
      for (int64_t i = 0; i < inputs; ++i)
        weights[i * target.outputs + output] += factor * row[i];
    else
      for (int64_t i = 0; i < inputs; ++i)
        weights[output * inputs + i] += factor * row[i];
  }
}

// %y = MatMul(%x, Cast(%w))   ->   %y = MatMul(%x, %merged)       the sum has the type that the operator reads
LogicalResult MergeLora::write(Sum &sum) {
  const Target &first = targets[sum.targets.front()];
  onnx::ConstantOp old = first.constant;
  Type element = cast<RankedTensorType>(first.user->getOperand(first.operand).getType()).getElementType();
  auto type = RankedTensorType::get(cast<RankedTensorType>(old.getType()).getShape(), element);
  double limit = APFloat::getLargest(cast<FloatType>(element).getFloatSemantics()).convertToDouble();
  for (float value : sum.weights)
    if (!(std::abs(value) <= limit))
      return onnx::emitNodeError(first.user) << "expected merged weights within the range of " << element << ", got "
                                             << value << "; a smaller scale helps";
  char *data;
  Literal literal = makeLiteral(type, false, data);
  store(numberOf(element), sum.weights.data(), data, sum.weights.size());
  OpBuilder builder(old);
  builder.setInsertionPointAfter(old);
  auto name = dyn_cast<NameLoc>(old.getLoc());
  Value merged = constant(builder, old.getLoc(), toAttr(literal, name ? name.getName().getValue() : "merged"));
  for (unsigned i : sum.targets) {
    const Target &target = targets[i];
    Value value = merged;
    OpBuilder at(target.user);
    for (Operation *link : target.chain)
      if (isa<onnx::TransposeOp>(link)) {
        Operation *copy = at.clone(*link);
        copy->setOperand(0, value);
        auto linked = cast<RankedTensorType>(link->getResult(0).getType());
        copy->getResult(0).setType(RankedTensorType::get(linked.getShape(), element));
        value = copy->getResult(0);
      }
    Operation *before = target.user->getOperand(target.operand).getDefiningOp();
    target.user->setOperand(target.operand, value);
    eraseDead(before);
  }
  return success();
}

LogicalResult MergeLora::apply(DictionaryAttr adapter) {
  StringRef file = adapter.getAs<StringAttr>("file");
  Location loc = FileLineColLoc::get(&getContext(), file, 0, 0);
  std::string why;
  llvm::MapVector<StringRef, Module> modules;
  for (NamedAttribute tensor : adapter.getAs<DictionaryAttr>("tensors")) {
    auto key = lora::parseKey(tensor.getName(), why);
    if (!key)
      return emitError(loc) << "key '" << tensor.getName().getValue() << "': " << why;
    Module &module = modules[StringAttr::get(&getContext(), key->module).getValue()];
    if (!module.keys++) {
      module.name = key->module;
      module.component = key->component;
      module.candidates = std::move(key->candidates);
      module.firstKey = tensor.getName().str();
    }
    module.isEmbedding |= key->isEmbedding;
    auto value = cast<ElementsAttr>(tensor.getValue());
    ElementsAttr &part = key->role == lora::Role::Down  ? module.down
                         : key->role == lora::Role::Up  ? module.up
                         : key->role == lora::Role::Mid ? module.mid
                                                        : module.alpha;
    if (part)
      return emitError(loc) << "key '" << tensor.getName().getValue()
                            << "': expected one adapter in a file, got a second tensor for '" << module.name
                            << "'; save each adapter to a file of its own and name both";
    part = value;
  }

  // One file may serve several models: what fits this one decides which component it is.
  struct Component {
    unsigned modules = 0, named = 0, fitting = 0, keys = 0;
    const Module *misfit = nullptr;
    std::string why;
  };
  llvm::MapVector<StringRef, Component> components;
  DenseMap<const Module *, SmallVector<Assignment>> places;
  for (auto &[name, module] : modules) {
    Component &component = components[module.component];
    ++component.modules;
    component.keys += module.keys;
    why.clear();
    auto factors = shapesOf(module, why);
    SmallVector<Assignment> assignments;
    bool isNamed = factors && assign(module, factors->outputs, assignments, why);
    component.named += isNamed;
    if (isNamed && fits(module, *factors, assignments, why)) {
      ++component.fitting;
      places[&module] = std::move(assignments);
    } else if (!component.misfit) {
      component.misfit = &module;
      component.why = why;
    }
  }
  StringRef chosen;
  const Component *best = nullptr;
  for (auto &[name, component] : components) {
    bool isWhole = component.fitting == component.modules;
    if (best && isWhole && best->fitting == best->modules && !name.empty() && !chosen.empty())
      return emitError(loc) << "expected keys of one component for this model, got '" << chosen << "' and '" << name
                            << "', which both fit it; keep one of them in the file";
    if (!best || component.fitting * best->modules > best->fitting * component.modules) {
      best = &component;
      chosen = name;
    }
  }
  for (auto &[name, component] : components) {
    bool isSibling = !name.empty() && name != chosen && best->fitting > 0;
    if (!isSibling && component.misfit) {
      InFlightDiagnostic error = emitError(loc);
      error << "key '" << component.misfit->firstKey << "': " << component.why;
      if (component.named == 0 && !targets.empty() && !targets.front().names.empty())
        error.attachNote(loc) << "weights of this graph have names such as '" << targets.front().names.back() << "'";
      return error;
    }
    if (isSibling)
      emitRemark(loc) << "skipped " << component.keys << " keys of " << name << ", which this model is not";
  }

  unsigned merged = 0;
  InFlightDiagnostic summary = emitRemark(loc);
  for (auto &[name, module] : modules) {
    auto place = places.find(&module);
    if (place == places.end() || (!module.component.empty() && module.component != chosen))
      continue;
    std::string ignored;
    Factors factors = *shapesOf(module, ignored);
    readFactors(module, factors);
    double scale = scaleOf(module, adapter, factors.rank);
    for (const Assignment &assignment : place->second) {
      if (mode == "switch")
        shares.push_back({unsigned(files.size()), module.name, assignment, factors, scale});
      else
        add(assignment, factors, scale);
      Operation *user = targets[assignment.targets.front()].user;
      std::string what = llvm::formatv("{0} (rank {1}, scale {2})", name, factors.rank, scale);
      passed(user, passName, "Adapter", what);
      if (list)
        summary.attachNote(user->getLoc()) << "takes " << what;
    }
    ++merged;
  }
  files.push_back(file.str());
  summary << (mode == "switch" ? "prepared " : "merged ") << merged << " adapters, scale "
          << adapter.getAs<FloatAttr>("scale").getValueAsDouble();
  return success();
}

} // namespace
} // namespace burin
