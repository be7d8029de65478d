// Forms that other tools write, put into ONNX's own: ONNX Runtime keeps some of its operators in ONNX's domain, and its
// optimizer writes them there.
#include "lib/Import/ModelFile.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;

namespace burin {
namespace {

template <typename Visit> void forEachNode(GraphProto &graph, Visit visit) {
  for (NodeProto &node : *graph.mutable_node()) {
    for (AttributeProto &attr : *node.mutable_attribute()) {
      if (attr.has_g())
        forEachNode(*attr.mutable_g(), visit);
      for (GraphProto &inner : *attr.mutable_graphs())
        forEachNode(inner, visit);
    }
    visit(node);
  }
}

} // namespace

void claimRuntimeOperators(ModelFile &model) {
  for (const auto &function : model.proto.functions())
    if (function.name() == "SimplifiedLayerNormalization")
      return;
  bool any = false;
  forEachNode(*model.proto.mutable_graph(), [&](NodeProto &node) {
    if (node.op_type() == "SimplifiedLayerNormalization" && (node.domain().empty() || node.domain() == "ai.onnx")) {
      node.set_domain("com.microsoft");
      any = true;
    }
  });
  for (const auto &import : model.proto.opset_import())
    any &= import.domain() != "com.microsoft";
  if (any) {
    auto *import = model.proto.add_opset_import();
    import->set_domain("com.microsoft");
    import->set_version(1);
  }
}

} // namespace burin
