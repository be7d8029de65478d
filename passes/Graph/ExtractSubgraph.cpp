// A part of a graph as a graph of its own: named tensors become inputs and outputs, what the outputs do not need goes.
// Tensors are named as in the file where the importer was asked to keep those names (`onnx.result_names`), else by the
// node that makes them.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_EXTRACTSUBGRAPH
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "ExtractSubgraph";
constexpr char namesAttr[] = "onnx.result_names";

// Tensors by name, the surest meaning of a name winning.
llvm::StringMap<Value> namedValues(func::FuncOp main) {
  llvm::StringMap<Value> byFile, byNode;
  Block &block = main.front();
  for (BlockArgument arg : block.getArguments())
    if (auto name = main.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "onnx.name"))
      byFile.try_emplace(name.getValue(), arg);
  for (auto [i, value] : llvm::enumerate(block.getTerminator()->getOperands()))
    if (auto name = main.getResultAttrOfType<StringAttr>(i, "onnx.name"))
      byFile.try_emplace(name.getValue(), value);
  for (Operation &op : block) {
    if (auto names = op.getAttrOfType<ArrayAttr>(namesAttr))
      for (auto [result, name] : llvm::zip(op.getResults(), names))
        if (!cast<StringAttr>(name).getValue().empty())
          byFile.try_emplace(cast<StringAttr>(name).getValue(), result);
    StringRef name = onnx::getNodeName(&op);
    if (!name.empty() && op.getNumResults() && !isa<onnx::ConstantOp>(op))
      byNode[name] = op.getResult(0); // of several pieces of one node the last is its result
  }
  for (auto &entry : byNode)
    byFile.try_emplace(entry.first(), entry.second);
  return byFile;
}

class ExtractSubgraph : public impl::ExtractSubgraphBase<ExtractSubgraph> {
public:
  using ExtractSubgraphBase::ExtractSubgraphBase;

  void runOnOperation() override {
    auto functions = getOperation().getOps<func::FuncOp>();
    if (functions.empty() || (inputs.empty() && outputs.empty()))
      return;
    func::FuncOp main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (failed(extract(main ? main : *functions.begin())))
      return signalPassFailure();
    counted(getOperation(), passName, 1);
  }

private:
  LogicalResult extract(func::FuncOp main);
};

LogicalResult ExtractSubgraph::extract(func::FuncOp main) {
  llvm::StringMap<Value> values = namedValues(main);
  Block &block = main.front();
  Operation *terminator = block.getTerminator();
  Builder b(&getContext());
  auto find = [&](StringRef name) {
    Value value = values.lookup(name);
    if (!value)
      main.emitError() << "expected the name of a tensor or of a node to extract, got '" << name << "'";
    return value;
  };
  auto named = [&](StringRef name) { return b.getDictionaryAttr(b.getNamedAttr("onnx.name", b.getStringAttr(name))); };

  if (!outputs.empty()) {
    SmallVector<Value> results;
    SmallVector<DictionaryAttr> attributes;
    for (const std::string &name : outputs) {
      Value value = find(name);
      if (!value)
        return failure();
      results.push_back(value);
      attributes.push_back(named(name));
    }
    terminator->setOperands(results);
    main.setType(FunctionType::get(&getContext(), block.getArgumentTypes(), terminator->getOperandTypes()));
    main.setAllResultAttrs(attributes);
  }
  unsigned old = block.getNumArguments();
  SmallVector<DictionaryAttr> argAttrs;
  for (unsigned i = 0; i < old; ++i)
    argAttrs.push_back(main.getArgAttrDict(i));
  SmallVector<bool> keeps(old, false);
  for (const std::string &name : inputs) {
    Value value = find(name);
    if (!value)
      return failure();
    if (auto arg = dyn_cast<BlockArgument>(value)) {
      keeps[arg.getArgNumber()] = true;
      continue;
    }
    if (!isa<TensorType>(value.getType()))
      return main.emitError() << "expected a tensor of known type to cut at, got '" << name << "' of type "
                              << value.getType();
    BlockArgument arg = block.addArgument(value.getType(), value.getLoc());
    argAttrs.push_back(named(name));
    value.replaceAllUsesWith(arg);
  }
  eraseAllDead(getOperation());
  for (unsigned i = old; i-- > 0;) {
    BlockArgument arg = block.getArgument(i);
    auto name = main.getArgAttrOfType<StringAttr>(i, "onnx.name");
    if (!arg.use_empty() && !inputs.empty() && !keeps[i])
      return main.emitError()
             << "expected inputs that cut the outputs off from the rest, got a graph that still reads '"
             << (name ? name.getValue() : "") << "'";
    if (!arg.use_empty() || keeps[i])
      continue;
    block.eraseArgument(i);
    argAttrs.erase(argAttrs.begin() + i);
  }
  main.setType(FunctionType::get(&getContext(), block.getArgumentTypes(), terminator->getOperandTypes()));
  main.setAllArgAttrs(argAttrs);
  getOperation().walk([](Operation *op) { op->removeAttr(namesAttr); });
  passed(main, passName, "Cut");
  return success();
}

} // namespace
} // namespace burin
