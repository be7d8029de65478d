// The report's data as JSON, and the file.
#include "lib/Report/Report.h"

#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Cost/Cost.h"
#include "lib/Report/Page.h"
#include "lib/Target/Description.h"
#include "lib/Target/Files.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/ViewLikeInterface.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

using namespace mlir;
using namespace burin;

static std::string typeText(Type type) {
  std::string text;
  llvm::raw_string_ostream out(text);
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor) {
    out << type;
    return text;
  }
  for (int64_t d : tensor.getShape())
    (ShapedType::isDynamic(d) ? out << "?" : out << d) << "x";
  out << tensor.getElementType();
  return text;
}

llvm::json::Object burin::graphOf(ModuleOp module) {
  llvm::json::Object graph;
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main || main.empty())
    return graph;
  ModelCost cost = analyze(main);
  DenseMap<Operation *, const OperatorCost *> costs;
  for (const OperatorCost &c : cost.operators)
    costs[c.op] = &c;
  llvm::json::Array nodes;
  DenseMap<Value, int64_t> makers;
  auto nameOf = [&](unsigned i, bool isInput) {
    auto name = isInput ? main.getArgAttrOfType<StringAttr>(i, "onnx.name")
                        : main.getResultAttrOfType<StringAttr>(i, "onnx.name");
    return name ? name.getValue().str() : (isInput ? "input" : "output") + std::to_string(i);
  };
  for (BlockArgument argument : main.getArguments()) {
    makers[argument] = nodes.size();
    nodes.push_back(llvm::json::Object{{"op", "Input"},
                                       {"name", nameOf(argument.getArgNumber(), true)},
                                       {"in", llvm::json::Array()},
                                       {"shape", typeText(argument.getType())}});
  }
  auto edges = [&](Operation &op) {
    llvm::json::Array in;
    SmallVector<int64_t> seen;
    op.walk([&](Operation *inner) { // what subgraphs read from outside too
      for (Value operand : inner->getOperands())
        if (auto found = makers.find(operand); found != makers.end() && !llvm::is_contained(seen, found->second)) {
          seen.push_back(found->second);
          in.push_back(found->second);
        }
    });
    return in;
  };
  for (Operation &op : main.front()) {
    if (isa<onnx::ConstantOp, onnx::NoValueOp>(op) || op.hasTrait<OpTrait::IsTerminator>())
      continue;
    llvm::json::Object node{{"op", onnx::getOpType(&op)}, {"name", onnx::getNodeName(&op)}, {"in", edges(op)}};
    if (op.getNumResults())
      node["shape"] = typeText(op.getResult(0).getType());
    if (auto found = costs.find(&op); found != costs.end()) {
      node["macs"] = found->second->macs;
      node["params"] = found->second->params;
      node["bytes"] = found->second->bytes();
    }
    for (Value result : op.getResults())
      makers[result] = nodes.size();
    nodes.push_back(std::move(node));
  }
  for (OpOperand &operand : main.front().getTerminator()->getOpOperands())
    if (auto found = makers.find(operand.get()); found != makers.end())
      nodes.push_back(llvm::json::Object{{"op", "Output"},
                                         {"name", nameOf(operand.getOperandNumber(), false)},
                                         {"in", llvm::json::Array{found->second}},
                                         {"shape", typeText(operand.get().getType())}});
  graph = toJson(cost, /*byOperator=*/false);
  graph["nodes"] = std::move(nodes);
  return graph;
}

llvm::json::Object burin::memoryOf(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto arenaBytes = module->getAttrOfType<IntegerAttr>("burin.arena_bytes");
  if (!main || main.empty() || !arenaBytes)
    return {};
  // Steps are what computes; the rest only says where.
  Block &block = main.front();
  DenseMap<Operation *, int64_t> step;
  int64_t steps = 0;
  for (Operation &op : block) {
    step[&op] = steps;
    steps += op.getNumResults() == 0 && !op.hasTrait<OpTrait::IsTerminator>();
  }
  llvm::json::Array slots;
  for (auto view : block.getOps<memref::ViewOp>()) {
    auto arena = dyn_cast<BlockArgument>(view.getSource());
    auto arenaType = cast<MemRefType>(view.getSource().getType());
    IntegerAttr offset;
    auto type = cast<MemRefType>(view.getType());
    bool isArena = arena && (arenaType.getNumElements() == arenaBytes.getInt() || !arenaType.hasStaticShape());
    if (!isArena || !type.hasStaticShape() || !matchPattern(view.getByteShift(), m_Constant(&offset)))
      continue;
    int64_t first = INT64_MAX, last = -1;
    std::string maker;
    SmallVector<Value> values = {view.getResult()};
    while (!values.empty()) {
      Value value = values.pop_back_val();
      for (Operation *user : value.getUsers()) {
        Operation *at = block.findAncestorOpInBlock(*user);
        if (isa<ViewLikeOpInterface>(user)) {
          llvm::append_range(values, user->getResults());
          continue;
        }
        if (!at)
          continue;
        if (maker.empty() || step[at] < first)
          maker = onnx::getNodeName(at).str();
        first = std::min(first, step[at]);
        last = std::max(last, step[at]);
      }
    }
    if (last < 0)
      continue;
    slots.push_back(
        llvm::json::Object{{"name", maker.empty() ? onnx::getNodeName(view).str() : maker},
                           {"offset", offset.getInt()},
                           {"bytes", int64_t(type.getNumElements() * bytesOfElement(type.getElementType()))},
                           {"first", first},
                           {"last", last}});
  }
  llvm::json::Object memory{{"arena", arenaBytes.getInt()}, {"steps", steps}, {"slots", std::move(slots)}};
  if (auto peak = module->getAttrOfType<IntegerAttr>("burin.peak_live_bytes"))
    memory["peak"] = peak.getInt();
  return memory;
}

llvm::Error burin::writeReport(StringRef folder, const llvm::json::Object &data) {
  if (std::error_code error = llvm::sys::fs::create_directories(folder, true, llvm::sys::fs::all_all))
    return llvm::createStringError("--report: cannot make '" + folder.str() + "': " + error.message());
  std::string json = llvm::formatv("{0}", llvm::json::Value(llvm::json::Object(data)));
  // The text of a script may not end it.
  std::string safe;
  for (size_t i = 0; i < json.size(); ++i) {
    safe += json[i];
    if (json[i] == '<' && i + 1 < json.size() && json[i + 1] == '/')
      safe += '\\';
  }
  StringRef page(pageText), mark("/*DATA*/null");
  auto [before, after] = page.split(mark);
  auto write = [&](StringRef name, llvm::function_ref<void(llvm::raw_ostream &)> body) {
    SmallString<128> path(folder);
    llvm::sys::path::append(path, name);
    auto file = OutputFile::create(path);
    if (!file)
      return file.takeError();
    if (llvm::Error error = writeFile(file->temporaryPath(), [&](llvm::raw_ostream &out) {
          body(out);
          return llvm::Error::success();
        }))
      return error;
    return file->commit(false);
  };
  if (llvm::Error error = write("report.json", [&](llvm::raw_ostream &out) { out << json << "\n"; }))
    return error;
  return write("index.html", [&](llvm::raw_ostream &out) { out << before << safe << after; });
}

llvm::Error burin::addProfile(StringRef folder, StringRef trace) {
  SmallString<128> path(folder);
  llvm::sys::path::append(path, "report.json");
  auto readObject = [](StringRef file) -> llvm::Expected<llvm::json::Object> {
    auto text = llvm::MemoryBuffer::getFile(file);
    if (!text)
      return llvm::createStringError("--report: cannot read '" + file.str() + "': " + text.getError().message());
    auto value = llvm::json::parse((*text)->getBuffer());
    if (!value)
      return value.takeError();
    llvm::json::Object *object = value->getAsObject();
    return object ? llvm::Expected<llvm::json::Object>(std::move(*object))
                  : llvm::createStringError("--report: expected an object in '" + file.str() + "'");
  };
  auto data = readObject(path), measured = readObject(trace);
  if (!data || !measured)
    return llvm::joinErrors(data.takeError(), measured.takeError());
  llvm::json::Object profile;
  if (llvm::json::Object *whole = measured->getObject("profile"))
    profile = std::move(*whole);
  llvm::json::Array layers;
  if (llvm::json::Array *events = measured->getArray("traceEvents"))
    for (llvm::json::Value &event : *events)
      if (llvm::json::Object *object = event.getAsObject())
        if (llvm::json::Object *layer = object->getObject("args"); layer && layer->getInteger("layer"))
          layers.push_back(std::move(*layer));
  profile["layers"] = std::move(layers);
  (*data)["profile"] = std::move(profile);
  return writeReport(folder, *data);
}
