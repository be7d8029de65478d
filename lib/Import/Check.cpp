// The structural check of an untrusted model: each fault is one error at the node that has it. ONNX's checker finds
// most of them too, but names no node for half of them and stops at data that the skeleton does not hold.
#include "lib/Import/ModelFile.h"

#include "onnx/checker.h"
#include "onnx/defs/schema.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::OpSchemaRegistry;
using ::onnx::TensorProto;

namespace burin {

namespace {

constexpr unsigned maxNesting = 64;

struct Scope {
  const Scope *outer;
  llvm::StringMap<char> names;
  bool has(StringRef name) const {
    for (const Scope *s = this; s; s = s->outer)
      if (s->names.contains(name))
        return true;
    return false;
  }
};

struct Checker {
  ModelFile &model;
  std::unordered_map<std::string, int> opsets;
  llvm::StringMap<char> functions;

  InFlightDiagnostic error(const NodeProto &node) { return onnx::emitNodeError(model.locate(node)); }
  InFlightDiagnostic error() { return emitError(model.fileLoc()); }

  LogicalResult node(const NodeProto &node);
  LogicalResult graph(GraphProto &graph, const Scope *outer, unsigned depth, const NodeProto *owner);
  LogicalResult sort(GraphProto &graph, const llvm::StringMap<int> &producers);
  LogicalResult type(const ::onnx::ValueInfoProto &info, const char *what);
};

// The names a graph reads from outside of itself.
void captures(const GraphProto &graph, llvm::SetVector<StringRef> &out) {
  llvm::StringMap<char> own;
  for (const auto &input : graph.input())
    own[input.name()];
  for (const auto &tensor : graph.initializer())
    own[tensor.name()];
  for (const auto &sparse : graph.sparse_initializer())
    own[sparse.values().name()];
  for (const NodeProto &node : graph.node())
    for (const std::string &output : node.output())
      own[output];
  auto read = [&](StringRef name) {
    if (!name.empty() && !own.contains(name))
      out.insert(name);
  };
  for (const NodeProto &node : graph.node()) {
    for (const std::string &input : node.input())
      read(input);
    for (const auto &attr : node.attribute()) {
      llvm::SetVector<StringRef> inner;
      if (attr.has_g())
        captures(attr.g(), inner);
      for (const GraphProto &g : attr.graphs())
        captures(g, inner);
      for (StringRef name : inner)
        read(name);
    }
  }
  for (const auto &output : graph.output())
    read(output.name());
}

LogicalResult Checker::node(const NodeProto &node) {
  if (node.op_type().empty())
    return error(node) << "expected an operator, got a node without one";
  if (node.output().empty())
    return error(node) << "expected at least one output, got none";
  std::string domain = node.domain() == "ai.onnx" ? "" : node.domain();
  auto version = opsets.find(domain);
  bool local = functions.contains(domain + ":" + node.op_type());
  if (version == opsets.end() && !local)
    return error(node) << "expected the model to import an opset of domain '" << domain << "', got none";
  llvm::StringMap<char> seen;
  for (const auto &attr : node.attribute())
    if (!seen.try_emplace(attr.name()).second)
      return error(node) << "expected attribute '" << attr.name() << "' once, got it twice";
  if (local)
    return success();
  const ::onnx::OpSchema *schema = OpSchemaRegistry::Schema(node.op_type(), version->second, domain);
  bool standard = domain.empty() || domain == "ai.onnx.ml";
  if (!schema) {
    if (!standard)
      return success();
    InFlightDiagnostic diagnostic = error(node)
                                    << "unsupported operator '" << node.op_type() << "': expected an operator of ";
    if (const ::onnx::OpSchema *other = OpSchemaRegistry::Schema(node.op_type(), domain))
      return diagnostic << "opset " << version->second << ", got one that opset " << other->SinceVersion() << " knows";
    return diagnostic << (domain.empty() ? "ONNX" : domain) << " opset " << version->second
                      << "; an operator of another domain must name that domain";
  }
  if (schema->Deprecated())
    return error(node) << "unsupported operator '" << node.op_type() << "': expected an operator of opset "
                       << version->second << ", got one it has withdrawn";
  try {
    schema->Verify(node);
  } catch (const std::exception &e) {
    return error(node) << onnx::cleanMessage(e.what());
  }
  return success();
}

LogicalResult Checker::type(const ::onnx::ValueInfoProto &info, const char *what) {
  std::string text;
  if (!onnx::getType(model.context, info.type(), &text))
    return error() << what << " '" << info.name() << "': " << text;
  return success();
}

// Kahn's algorithm over an index order, so that a sorted graph stays as it is. What is left over holds a cycle.
LogicalResult Checker::sort(GraphProto &graph, const llvm::StringMap<int> &producers) {
  int count = graph.node_size();
  std::vector<SmallVector<int, 2>> readers(count);
  std::vector<int> waiting(count, 0);
  std::vector<llvm::SetVector<int>> needs(count);
  bool sorted = true;
  for (int i = 0; i < count; ++i) {
    const NodeProto &node = graph.node(i);
    auto need = [&](StringRef name) {
      auto it = producers.find(name);
      if (it == producers.end() || !needs[i].insert(it->second))
        return;
      sorted &= it->second < i;
      readers[it->second].push_back(i);
      ++waiting[i];
    };
    for (const std::string &input : node.input())
      need(input);
    for (const auto &attr : node.attribute()) {
      llvm::SetVector<StringRef> names;
      if (attr.has_g())
        captures(attr.g(), names);
      for (const GraphProto &g : attr.graphs())
        captures(g, names);
      for (StringRef name : names)
        need(name);
    }
  }
  if (sorted)
    return success();
  std::vector<int> order, heap;
  for (int i = 0; i < count; ++i)
    if (!waiting[i])
      heap.push_back(i);
  std::make_heap(heap.begin(), heap.end(), std::greater<>());
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), std::greater<>());
    int i = heap.back();
    heap.pop_back();
    order.push_back(i);
    for (int reader : readers[i])
      if (!--waiting[reader]) {
        heap.push_back(reader);
        std::push_heap(heap.begin(), heap.end(), std::greater<>());
      }
  }
  if (int(order.size()) < count) {
    // Walking from any unfinished node to one it waits for must come round.
    int at = int(llvm::find_if(waiting, [](int w) { return w > 0; }) - waiting.begin());
    std::vector<int> path;
    std::vector<char> onPath(count, 0);
    while (!onPath[at]) {
      onPath[at] = 1;
      path.push_back(at);
      for (int other : needs[at])
        if (waiting[other] > 0) {
          at = other;
          break;
        }
    }
    auto start = llvm::find(path, at);
    std::string text;
    for (auto it = path.rbegin(); it != path.rend(); ++it) {
      auto info = onnx::getNodeInfo(model.locate(graph.node(*it)));
      text += "'" + (info ? info->name.str() : std::string()) + "' -> ";
      if (*it == *start)
        break;
    }
    auto info = onnx::getNodeInfo(model.locate(graph.node(path.back())));
    text += "'" + (info ? info->name.str() : std::string()) + "'";
    return error(graph.node(path.back())) << "expected a graph without cycles, got " << text;
  }
  google::protobuf::RepeatedPtrField<NodeProto> nodes;
  for (int i : order)
    nodes.Add()->Swap(graph.mutable_node(i));
  graph.mutable_node()->Swap(&nodes);
  return success();
}

LogicalResult Checker::graph(GraphProto &graph, const Scope *outer, unsigned depth, const NodeProto *owner) {
  if (depth > maxNesting)
    return error() << "expected at most " << maxNesting << " nested graphs, got more";
  auto report = [&]() { return owner ? error(*owner) : error(); };
  Scope scope{outer, {}};
  for (const auto &input : graph.input()) {
    if (input.name().empty())
      return report() << "expected a name for each graph input, got none";
    if (!scope.names.try_emplace(input.name()).second)
      return report() << "expected graph input '" << input.name() << "' once, got it twice";
    if (failed(type(input, "input")))
      return failure();
  }
  for (const auto &info : graph.value_info())
    if (failed(type(info, "value")))
      return failure();
  llvm::StringMap<char> initializers;
  auto initializer = [&](const TensorProto &tensor) -> LogicalResult {
    if (tensor.name().empty())
      return report() << "expected a name for each initializer, got none";
    if (!initializers.try_emplace(tensor.name()).second)
      return report() << "expected initializer '" << tensor.name() << "' once, got it twice";
    scope.names[tensor.name()];
    return success();
  };
  for (const TensorProto &tensor : graph.initializer())
    if (failed(initializer(tensor)))
      return failure();
  for (const auto &sparse : graph.sparse_initializer())
    if (failed(initializer(sparse.values())))
      return failure();
  llvm::StringMap<int> producers;
  for (int i = 0; i < graph.node_size(); ++i)
    for (const std::string &output : graph.node(i).output()) {
      if (output.empty())
        continue;
      auto [it, isNew] = producers.try_emplace(output, i);
      if (!isNew || scope.names.contains(output))
        return error(graph.node(i)) << "expected value '" << output << "' to be defined once, got it twice";
    }
  for (const auto &entry : producers)
    scope.names[entry.getKey()];
  for (const NodeProto &n : graph.node())
    for (const std::string &input : n.input())
      if (!input.empty() && !scope.has(input))
        return error(n)
               << "expected input '" << input
               << "' to be a graph input, an initializer or another node's output, got a name that nothing defines";
  for (const auto &output : graph.output()) {
    if (!scope.has(output.name()))
      return report() << "expected graph output '" << output.name()
                      << "' to be defined, got a name that nothing defines";
    if (failed(type(output, "output")))
      return failure();
  }
  if (failed(sort(graph, producers)))
    return failure();
  for (NodeProto &n : *graph.mutable_node()) {
    if (failed(node(n)))
      return failure();
    for (auto &attr : *n.mutable_attribute()) {
      if (attr.has_g() && failed(this->graph(*attr.mutable_g(), &scope, depth + 1, &n)))
        return failure();
      for (GraphProto &g : *attr.mutable_graphs())
        if (failed(this->graph(g, &scope, depth + 1, &n)))
          return failure();
    }
  }
  return success();
}

// Local functions are inlined later: a recursive one would never end, and a chain of doubling ones nearly never.
LogicalResult checkFunctions(ModelFile &model) {
  constexpr uint64_t maxInlined = 4'000'000;
  struct State {
    const ::onnx::FunctionProto *function;
    uint64_t size = 0;
    int phase = 0; // 0 new, 1 on the stack, 2 done
  };
  llvm::StringMap<State> states;
  for (const auto &function : model.proto.functions())
    states[function.domain() + ":" + function.name()] = State{&function};
  std::function<bool(const NodeProto &, uint64_t &, unsigned)> count;
  auto countAll = [&](const auto &nodes, uint64_t &size, unsigned depth) {
    for (const NodeProto &node : nodes)
      if (!count(node, size, depth))
        return false;
    return true;
  };
  bool recursive = false, large = false, deep = false;
  count = [&](const NodeProto &node, uint64_t &size, unsigned depth) {
    if (depth > 256) {
      deep = true;
      return false;
    }
    auto it = states.find(node.domain() + ":" + node.op_type());
    if (it == states.end()) {
      ++size;
    } else {
      State &state = it->second;
      if (state.phase == 1) {
        recursive = true;
        return false;
      }
      if (state.phase == 0) {
        state.phase = 1;
        if (!countAll(state.function->node(), state.size, depth + 1))
          return false;
        state.phase = 2;
      }
      size += state.size;
    }
    for (const auto &attr : node.attribute())
      if (attr.has_g() && !countAll(attr.g().node(), size, depth + 1))
        return false;
    if (size > maxInlined) {
      large = true;
      return false;
    }
    return true;
  };
  uint64_t size = 0;
  bool fine = countAll(model.proto.graph().node(), size, 0);
  for (auto &entry : states)
    fine = fine && countAll(entry.second.function->node(), size = 0, 0);
  if (fine)
    return success();
  return emitError(model.fileLoc()) << (recursive
                                            ? "expected functions that do not call themselves, got a recursive one"
                                        : deep ? "expected at most 256 nested functions and graphs, got more"
                                               : "expected at most 4000000 nodes with functions inlined, got more");
}

} // namespace

LogicalResult checkModel(ModelFile &model) {
  Checker checker{model, {}, {}};
  if (!model.proto.has_graph())
    return checker.error() << "expected a graph, got a model without one";
  if (model.proto.ir_version() > ::onnx::IR_VERSION)
    return checker.error() << "unsupported IR version: expected at most " << int(::onnx::IR_VERSION) << ", got "
                           << model.proto.ir_version();
  const auto &known = OpSchemaRegistry::DomainToVersionRange::Instance().Map();
  for (const auto &import : model.proto.opset_import()) {
    std::string domain = import.domain() == "ai.onnx" ? "" : import.domain();
    auto range = known.find(domain);
    if (range != known.end() && (import.version() < range->second.first || import.version() > range->second.second))
      return checker.error() << "unsupported opset of domain '" << domain << "': expected " << range->second.first
                             << " to " << range->second.second << ", got " << import.version();
    if (import.version() < 0 || import.version() > INT32_MAX)
      return checker.error() << "unsupported opset of domain '" << domain << "': got " << import.version();
    auto [it, isNew] = checker.opsets.emplace(domain, int(import.version()));
    if (!isNew && it->second != import.version())
      return checker.error() << "expected one opset of domain '" << domain << "', got " << it->second << " and "
                             << import.version();
  }
  // Before IR version 3 a model had no imports and meant opset 1.
  if (model.proto.opset_import().empty() && model.proto.ir_version() < 3)
    checker.opsets.emplace("", 1);
  for (const auto &function : model.proto.functions())
    checker.functions[function.domain() + ":" + function.name()];
  std::string text;
  bool refused = false;
  forEachTensor(model.proto, [&](TensorProto &tensor, const NodeProto *node) {
    if (refused || tensor.data_location() == TensorProto::EXTERNAL)
      return;
    if (model.checkTensor(tensor, text))
      return;
    refused = true;
    if (node)
      checker.error(*node) << text;
    else
      checker.error() << "initializer '" << tensor.name() << "': " << text;
  });
  if (refused || failed(checkFunctions(model)))
    return failure();
  return checker.graph(*model.proto.mutable_graph(), nullptr, 0, nullptr);
}

} // namespace burin
