// Scan of opset 8 runs over the second dim of its inputs, once for every entry of the first (the batch). Since opset 9
// it runs over any one dim and knows no batch, and ONNX's version converter leaves the node as it is. Here it becomes a
// Scan over the batch around a Scan over the sequence.
#include "lib/Import/ModelFile.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;

namespace burin {
namespace {
constexpr char hiddenDomain[] = "burin.import";

AttributeProto *addAttribute(NodeProto &node, StringRef name, AttributeProto::AttributeType type) {
  AttributeProto *attribute = node.add_attribute();
  attribute->set_name(name.str());
  attribute->set_type(type);
  return attribute;
}

// A value of the outer body: of the element type that `like` has, of any shape.
void declare(::onnx::ValueInfoProto &value, const ::onnx::ValueInfoProto &like, const std::string &name) {
  value.set_name(name);
  if (like.type().has_tensor_type())
    value.mutable_type()->mutable_tensor_type()->set_elem_type(like.type().tensor_type().elem_type());
}

LogicalResult splitScan(ModelFile &model, NodeProto &node) {
  AttributeProto *body = nullptr;
  int64_t scanned = 0;
  AttributeProto directions;
  for (AttributeProto &attribute : *node.mutable_attribute())
    if (attribute.name() == "body")
      body = &attribute;
    else if (attribute.name() == "num_scan_inputs")
      scanned = attribute.i();
    else if (attribute.name() == "directions")
      directions = attribute;
  auto refuse = [&](const Twine &what) {
    return emitError(model.fileLoc()) << "node '" << (node.output_size() ? node.output(0) : node.name())
                                      << "' (Scan, opset 8): " << what;
  };
  if (!body || node.input_size() < 1 || node.output_size() < 1 || body->g().input_size() != node.input_size() - 1 ||
      body->g().output_size() != node.output_size())
    return refuse("expected a body with an input for each input after sequence_lens and an output for each output");
  if (!node.input(0).empty())
    return refuse("sequence_lens is not supported; pad the sequences or export with opset 9 or later");

  NodeProto outer;
  outer.set_name(node.name());
  outer.set_op_type("Scan");
  outer.set_domain(hiddenDomain);
  GraphProto *over = addAttribute(outer, "body", AttributeProto::GRAPH)->mutable_g();
  over->set_name(body->g().name() + "_batch");
  addAttribute(outer, "num_scan_inputs", AttributeProto::INT)->set_i(node.input_size() - 1);
  NodeProto *inner = over->add_node();
  inner->set_op_type("Scan");
  inner->set_domain(hiddenDomain);
  const std::string prefix = node.output(0) + "_batch_";
  for (int i = 1; i < node.input_size(); ++i) {
    outer.add_input(node.input(i));
    inner->add_input(prefix + "in" + std::to_string(i - 1));
    declare(*over->add_input(), body->g().input(i - 1), inner->input(i - 1));
  }
  for (int i = 0; i < node.output_size(); ++i) {
    outer.add_output(node.output(i));
    inner->add_output(prefix + "out" + std::to_string(i));
    declare(*over->add_output(), body->g().output(i), inner->output(i));
  }
  addAttribute(*inner, "num_scan_inputs", AttributeProto::INT)->set_i(scanned);
  if (directions.ints_size()) {
    directions.set_name("scan_input_directions");
    *inner->add_attribute() = std::move(directions);
  }
  GraphProto *within = addAttribute(*inner, "body", AttributeProto::GRAPH)->mutable_g();
  within->Swap(body->mutable_g());
  node.Swap(&outer);
  return success();
}

} // namespace

static LogicalResult splitScans(ModelFile &model, GraphProto &graph) {
  for (NodeProto &node : *graph.mutable_node()) {
    for (AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g() && failed(splitScans(model, *attribute.mutable_g())))
        return failure();
    if (node.op_type() == "Scan" && node.domain().empty() && failed(splitScan(model, node)))
      return failure();
  }
  return success();
}

LogicalResult splitBatchedScans(ModelFile &model) {
  auto *import = model.proto.add_opset_import();
  import->set_domain(hiddenDomain);
  import->set_version(1);
  return splitScans(model, *model.proto.mutable_graph());
}

static void showScans(GraphProto &graph) {
  for (NodeProto &node : *graph.mutable_node()) {
    for (AttributeProto &attribute : *node.mutable_attribute())
      if (attribute.has_g())
        showScans(*attribute.mutable_g());
    if (node.domain() == hiddenDomain)
      node.clear_domain();
  }
}

void showBatchedScans(ModelFile &model) {
  auto &imports = *model.proto.mutable_opset_import();
  for (int i = imports.size() - 1; i >= 0; --i)
    if (imports[i].domain() == hiddenDomain)
      imports.DeleteSubrange(i, 1);
  showScans(*model.proto.mutable_graph());
}

} // namespace burin
