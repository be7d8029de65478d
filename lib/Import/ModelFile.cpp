// Names and locations of nodes, and the tensors behind markers.
#include "lib/Import/ModelFile.h"

using namespace mlir;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::NodeProto;
using ::onnx::TensorProto;

namespace burin {

Location ModelFile::fileLoc() const { return FileLineColLoc::get(context, name, 0, 0); }

static StringRef firstOutput(const NodeProto &node) {
  for (const std::string &output : node.output())
    if (!output.empty())
      return output;
  return {};
}

void ModelFile::nameNode(const NodeProto &node, int64_t) {
  StringRef output = firstOutput(node);
  int64_t opset = 0;
  for (const auto &import : proto.opset_import())
    if (import.domain() == node.domain() || (node.domain().empty() && import.domain() == "ai.onnx") ||
        (import.domain().empty() && node.domain() == "ai.onnx"))
      opset = import.version();
  Known known;
  known.name = node.name().empty() ? output.str() : node.name();
  known.kind = (node.domain().empty() || node.domain() == "ai.onnx" ? "" : node.domain() + ".") + node.op_type() +
               (opset ? ", opset " + std::to_string(opset) : "");
  known.index = nodes.size() + 1;
  nodes.push_back(std::move(known));
  for (const std::string &value : node.output()) {
    if (value.empty())
      continue;
    byOutput.try_emplace(value, nodes.size() - 1);
    byOutputAndName.try_emplace(value + '\0' + node.name(), nodes.size() - 1);
  }
  for (const auto &attr : node.attribute()) {
    if (attr.has_g())
      nameGraph(attr.g());
    for (const GraphProto &graph : attr.graphs())
      nameGraph(graph);
  }
}

void ModelFile::nameGraph(const GraphProto &graph) {
  for (const NodeProto &node : graph.node())
    nameNode(node, 0);
}

void ModelFile::nameNodes() {
  nodes.clear();
  byOutput.clear();
  byOutputAndName.clear();
  nameGraph(proto.graph());
}

void ModelFile::indexGraph(const GraphProto &graph) {
  for (const NodeProto &node : graph.node()) {
    for (const std::string &input : node.input())
      if (!input.empty())
        consumers.try_emplace(input, &node);
    for (const auto &attr : node.attribute())
      if (attr.has_g())
        indexGraph(attr.g());
  }
}

void ModelFile::indexConsumers() {
  consumers.clear();
  indexGraph(proto.graph());
}

Location ModelFile::locate(const NodeProto &node) const {
  const NodeProto *at = &node;
  // A converter puts its nodes right before or after the one it adapts: a few steps find that one.
  for (int step = 0; step < 8 && at; ++step) {
    StringRef output = firstOutput(*at);
    auto exact = byOutputAndName.find(output.str() + '\0' + at->name());
    const Known *known = exact != byOutputAndName.end() ? &nodes[exact->second] : nullptr;
    if (!known)
      if (auto it = byOutput.find(output); it != byOutput.end())
        known = &nodes[it->second];
    if (known)
      return onnx::getNodeLoc(context, {known->name, known->kind, name, known->index});
    auto next = consumers.find(output);
    at = next == consumers.end() ? nullptr : next->second;
  }
  std::string shown = node.name().empty() ? firstOutput(node).str() : node.name();
  return onnx::getNodeLoc(context, {shown, node.op_type(), name, 0});
}

bool ModelFile::checkTensor(const TensorProto &tensor, std::string &error) const {
  std::optional<uint64_t> marker = readMarker(tensor.raw_data());
  if (!marker || *marker >= skeleton.weights.size())
    return onnx::checkTensor(context, tensor, error);
  RankedTensorType type = onnx::getTensorType(context, tensor, error);
  if (!type)
    return false;
  StringRef bytes = skeleton.weights[*marker];
  std::optional<uint64_t> size = onnx::getRawSize(type.getElementType(), type.getNumElements());
  if (size && *size == bytes.size())
    return true;
  llvm::raw_string_ostream(error) << "expected " << (size ? std::to_string(*size) : "no raw") << " bytes for " << type
                                  << ", got " << bytes.size();
  return false;
}

ElementsAttr ModelFile::readTensor(const TensorProto &tensor, std::string &error) const {
  std::optional<uint64_t> marker = readMarker(tensor.raw_data());
  if (!marker || *marker >= skeleton.weights.size())
    return onnx::getTensor(context, tensor, error);
  if (!checkTensor(tensor, error))
    return nullptr;
  StringRef bytes = skeleton.weights[*marker];
  return onnx::makeConstantAttr(onnx::getTensorType(context, tensor, error), ArrayRef<char>(bytes.data(), bytes.size()),
                                tensor.name(), owners[*marker]);
}

static void forEachTensor(GraphProto &graph, llvm::function_ref<void(TensorProto &, const NodeProto *)> body);

static void forEachTensor(NodeProto &node, llvm::function_ref<void(TensorProto &, const NodeProto *)> body) {
  for (auto &attr : *node.mutable_attribute()) {
    if (attr.has_t())
      body(*attr.mutable_t(), &node);
    for (TensorProto &tensor : *attr.mutable_tensors())
      body(tensor, &node);
    if (attr.has_sparse_tensor()) {
      body(*attr.mutable_sparse_tensor()->mutable_values(), &node);
      body(*attr.mutable_sparse_tensor()->mutable_indices(), &node);
    }
    if (attr.has_g())
      forEachTensor(*attr.mutable_g(), body);
    for (GraphProto &graph : *attr.mutable_graphs())
      forEachTensor(graph, body);
  }
}

static void forEachTensor(GraphProto &graph, llvm::function_ref<void(TensorProto &, const NodeProto *)> body) {
  for (TensorProto &tensor : *graph.mutable_initializer())
    body(tensor, nullptr);
  for (auto &sparse : *graph.mutable_sparse_initializer()) {
    body(*sparse.mutable_values(), nullptr);
    body(*sparse.mutable_indices(), nullptr);
  }
  for (NodeProto &node : *graph.mutable_node())
    forEachTensor(node, body);
}

void forEachTensor(ModelProto &model, llvm::function_ref<void(TensorProto &, const NodeProto *)> body) {
  forEachTensor(*model.mutable_graph(), body);
  for (auto &function : *model.mutable_functions())
    for (NodeProto &node : *function.mutable_node())
      forEachTensor(node, body);
}

} // namespace burin
