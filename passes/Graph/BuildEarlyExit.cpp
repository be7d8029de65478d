// A network with extra heads stops at the first head that is sure enough: what only later heads need moves into the
// else branch of an If on the head's confidence, and so on inwards. Nothing is computed anew but the confidence, so
// each exit gives what its head gave. Multiplications up to each exit go into the model's metadata, for reports.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_BUILDEARLYEXIT
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "BuildEarlyExit";

// Elements of a tensor; what is not known counts as one.
int64_t elements(Value value) {
  int64_t count = 1;
  if (RankedTensorType type = rankedType(value))
    for (int64_t dim : type.getShape())
      count *= dim == ShapedType::kDynamic ? 1 : dim;
  return count;
}

int64_t dimOf(Value value, int64_t fromEnd) {
  RankedTensorType type = rankedType(value);
  if (!type || type.getRank() < fromEnd || type.isDynamicDim(type.getRank() - fromEnd))
    return 1;
  return type.getDimSize(type.getRank() - fromEnd);
}

// Multiplications of convolutions and products, which are nearly all of a network's.
int64_t macsOf(Operation *op) {
  if (isa<onnx::ConvOp, onnx::ConvTransposeOp>(op)) {
    RankedTensorType weights = rankedType(op->getOperand(1));
    int64_t channels = weights && weights.getRank() && !weights.isDynamicDim(0) ? weights.getDimSize(0) : 1;
    Value counted = isa<onnx::ConvOp>(op) ? op->getResult(0) : op->getOperand(0);
    return elements(counted) * (elements(op->getOperand(1)) / std::max<int64_t>(channels, 1));
  }
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return elements(op->getResult(0)) * dimOf(gemm.getA(), gemm.getTransA() ? 2 : 1);
  if (isa<onnx::MatMulOp>(op))
    return elements(op->getResult(0)) * dimOf(op->getOperand(0), 1);
  return 0;
}

struct Exit {
  std::string name;
  std::optional<double> threshold; // nothing: an input
  Value scores;
  SmallVector<Operation *> stage; // what this exit needs beyond the earlier ones, in order
  int64_t macs = 0;               // of the stage
};

class BuildEarlyExit : public impl::BuildEarlyExitBase<BuildEarlyExit> {
public:
  using BuildEarlyExitBase::BuildEarlyExitBase;

  void runOnOperation() override {
    auto functions = getOperation().getOps<func::FuncOp>();
    if (exits.empty() || functions.empty())
      return;
    func::FuncOp main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (failed(transform(main ? main : *functions.begin())))
      return signalPassFailure();
    counted(getOperation(), passName, exits.size());
  }

private:
  LogicalResult transform(func::FuncOp main);
  LogicalResult collect(func::FuncOp main);
  void partition(Block &block);
  Value isSure(OpBuilder &b, const Exit &exit, Value threshold);
  SmallVector<Value, 2> nest(OpBuilder &b, size_t level, ArrayRef<Value> thresholds);
  void report();

  SmallVector<Exit> all; // the last is the network's own output
};

// Heads by the names of outputs, in the order in which they become known.
LogicalResult BuildEarlyExit::collect(func::FuncOp main) {
  Operation *terminator = main.front().getTerminator();
  SmallVector<std::string> names;
  for (unsigned i = 0; i < terminator->getNumOperands(); ++i) {
    auto name = main.getResultAttrOfType<StringAttr>(i, "onnx.name");
    names.push_back(name ? name.getValue().str() : "");
  }
  SmallVector<bool> isHead(names.size(), false);
  for (const std::string &text : exits) {
    auto [name, number] = StringRef(text).split(":threshold=");
    Exit exit{name.str(), std::nullopt, {}, {}};
    double threshold;
    if (!number.empty() && number != "input") {
      if (number.getAsDouble(threshold))
        return main.emitError() << "--early-exit: expected HEAD:threshold=NUMBER or HEAD:threshold=input, got '" << text
                                << "'";
      exit.threshold = threshold;
    }
    auto *at = llvm::find(names, name.str());
    if (at == names.end())
      return main.emitError() << "--early-exit: expected the name of an output (" << llvm::join(names, ", ")
                              << "), got '" << name << "'";
    if (std::exchange(isHead[at - names.begin()], true))
      return main.emitError() << "--early-exit: expected each head once, got '" << name << "' twice";
    exit.scores = terminator->getOperand(at - names.begin());
    all.push_back(exit);
  }
  auto position = [](Value value) { return value.getDefiningOp(); };
  llvm::stable_sort(all, [&](const Exit &a, const Exit &b) {
    return position(a.scores) && position(b.scores) && position(a.scores)->isBeforeInBlock(position(b.scores));
  });
  if (llvm::count(isHead, false) != 1)
    return main.emitError() << "--early-exit: expected one output beside the heads, the network's own, got "
                            << llvm::count(isHead, false);
  size_t last = llvm::find(isHead, false) - isHead.begin();
  all.push_back({names[last], std::nullopt, terminator->getOperand(last), {}});
  for (const Exit &exit : all) {
    RankedTensorType type = rankedType(exit.scores), own = rankedType(all.back().scores);
    if (!exit.scores.getDefiningOp() || !type || type.getRank() < 1 || !isa<FloatType>(type.getElementType()))
      return main.emitError() << "--early-exit: expected scores of classes in the last dim, got '" << exit.name
                              << "' of type " << exit.scores.getType();
    if (!own || type.getElementType() != own.getElementType() || type.getRank() != own.getRank())
      return main.emitError() << "--early-exit: expected heads like the network's own output " << own << ", got '"
                              << exit.name << "' of type " << type;
  }
  return success();
}

// Each operator belongs to the first exit that needs it.
void BuildEarlyExit::partition(Block &block) {
  DenseSet<Operation *> taken;
  for (Exit &exit : all) {
    llvm::SmallSetVector<Operation *, 32> needed;
    SmallVector<Operation *> worklist{exit.scores.getDefiningOp()};
    while (!worklist.empty()) {
      Operation *op = worklist.pop_back_val();
      if (!op || taken.contains(op) || !needed.insert(op))
        continue;
      op->walk([&](Operation *inner) {
        for (Value operand : inner->getOperands())
          if (Operation *producer = operand.getDefiningOp(); producer && producer->getBlock() == &block)
            worklist.push_back(producer);
      });
    }
    exit.stage = needed.takeVector();
    llvm::sort(exit.stage, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
    for (Operation *op : exit.stage) {
      taken.insert(op);
      op->walk([&](Operation *inner) { exit.macs += macsOf(inner); });
    }
  }
}

bool isProbability(Value scores) {
  auto softmax = scores.getDefiningOp<onnx::SoftmaxOp>();
  return softmax && (softmax.getAxis() == -1 || softmax.getAxis() == rankedType(scores).getRank() - 1);
}

// The least sure of a batch decides for it: max over classes, min over the rest.
Value BuildEarlyExit::isSure(OpBuilder &b, const Exit &exit, Value threshold) {
  Location loc = exit.scores.getLoc();
  Value scores = exit.scores;
  auto last = b.getNamedAttr("axis", b.getI64IntegerAttr(-1));
  auto flat = b.getNamedAttr("keepdims", b.getI64IntegerAttr(0));
  if (!isProbability(scores))
    scores = build<onnx::SoftmaxOp>(b, loc, {scores}, last);
  Value confidence = build<onnx::ReduceMaxOp>(b, loc, {scores, onnx::createI64s(b, loc, {-1})}, flat);
  confidence = build<onnx::ReduceMinOp>(b, loc, {confidence, noValue(b, loc)}, flat);
  return build<onnx::GreaterOrEqualOp>(b, loc, {confidence, threshold});
}

// Builds from exit `level` on at b's position: its scores and its number, or those of a later exit.
SmallVector<Value, 2> BuildEarlyExit::nest(OpBuilder &b, size_t level, ArrayRef<Value> thresholds) {
  Exit &exit = all[level];
  Block *here = b.getInsertionBlock();
  for (Operation *op : exit.stage)
    if (op->getBlock() != here)
      op->moveBefore(here, b.getInsertionPoint());
  Location loc = exit.scores.getLoc();
  auto index = [&](OpBuilder &at) { return scalar(at, loc, at.getI64Type(), double(level)); };
  if (level + 1 == all.size())
    return {exit.scores, index(b)};
  Value threshold =
      exit.threshold ? scalar(b, loc, rankedType(exit.scores).getElementType(), *exit.threshold) : thresholds[level];
  Value sure = isSure(b, exit, threshold);
  if (!sure)
    return {};
  OperationState state(loc, onnx::IfOp::getOperationName());
  state.addOperands(sure);
  state.addTypes({all.back().scores.getType(), RankedTensorType::get({}, b.getI64Type())});
  state.addRegion();
  state.addRegion();
  // The If exists before its branches fill, so that operators move into blocks that have a place.
  Operation *branch = b.create(state);
  for (unsigned i = 0; i < 2; ++i) {
    OpBuilder inner = OpBuilder::atBlockBegin(&branch->getRegion(i).emplaceBlock());
    SmallVector<Value, 2> values =
        i == 0 ? SmallVector<Value, 2>{exit.scores, index(inner)} : nest(inner, level + 1, thresholds);
    onnx::YieldOp::create(inner, loc, values);
    if (values.empty())
      return {};
  }
  return branch->getResults();
}

void BuildEarlyExit::report() {
  llvm::json::Array rows;
  int64_t sum = 0;
  for (Exit &exit : all)
    rows.push_back(llvm::json::Object{
        {"exit", exit.name}, {"macs", sum += exit.macs}, {"probabilities", isProbability(exit.scores)}});
  std::string text;
  llvm::raw_string_ostream(text) << llvm::json::Value(std::move(rows));
  Builder b(&getContext());
  NamedAttrList metadata(getOperation()->getAttrOfType<DictionaryAttr>("onnx.metadata"));
  metadata.set("burin.early_exit", b.getStringAttr(text));
  getOperation()->setAttr("onnx.metadata", metadata.getDictionary(&getContext()));
}

LogicalResult BuildEarlyExit::transform(func::FuncOp main) {
  if (failed(collect(main)))
    return failure();
  Block &block = main.front();
  partition(block);
  report();
  Operation *terminator = block.getTerminator();
  Builder types(&getContext());
  SmallVector<Value> thresholds;
  auto named = [&](const Twine &name) {
    return types.getDictionaryAttr(types.getNamedAttr("onnx.name", types.getStringAttr(name)));
  };
  SmallVector<DictionaryAttr> argAttrs;
  for (unsigned i = 0; i < block.getNumArguments(); ++i)
    argAttrs.push_back(main.getArgAttrDict(i));
  for (const Exit &exit : all) {
    Value input;
    if (!exit.threshold && exit.name != all.back().name) {
      input = block.addArgument(RankedTensorType::get({}, rankedType(exit.scores).getElementType()), main.getLoc());
      argAttrs.push_back(named(exit.name + "_threshold"));
    }
    thresholds.push_back(input);
  }
  // What no exit needs goes with the outputs that go.
  OpBuilder b(terminator);
  SmallVector<Value, 2> results = nest(b, 0, thresholds);
  if (results.empty())
    return main.emitError() << "--early-exit: expected scores that Softmax takes";
  terminator->setOperands(results);
  main.setType(FunctionType::get(&getContext(), block.getArgumentTypes(), terminator->getOperandTypes()));
  main.setAllArgAttrs(argAttrs);
  main.setAllResultAttrs(ArrayRef<DictionaryAttr>{named(all.back().name), named("exit_index")});
  eraseAllDead(getOperation());
  for (const Exit &exit : llvm::drop_end(all))
    passed(main, passName, "Exit", exit.name);
  return success();
}

} // namespace
} // namespace burin
