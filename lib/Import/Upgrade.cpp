// From what a file may hold to what the dialect holds: local functions inlined, sparse tensors dense (the converter
// knows neither), then ONNX's own version converter up to the working opset. It copies every tensor three times, which
// is why it sees markers in place of weights.
#include "lib/Import/ModelFile.h"

#include "onnx/defs/schema.h"
#include "onnx/inliner/inliner.h"
#include "onnx/version_converter/convert.h"

using namespace mlir;
using ::onnx::GraphProto;
using ::onnx::TensorProto;

namespace burin {

namespace {

// Sparse initializers become dense ones, sparse attributes of Constant dense ones.
LogicalResult densify(ModelFile &model, GraphProto &graph) {
  auto dense = [&](const ::onnx::SparseTensorProto &sparse, TensorProto &out) -> LogicalResult {
    std::string error;
    ElementsAttr attr = onnx::getSparseTensor(model.context, sparse, error);
    if (!attr || !onnx::setTensor(attr, out))
      return emitError(model.fileLoc()) << "initializer '" << sparse.values().name() << "': " << error;
    out.set_name(sparse.values().name());
    return success();
  };
  for (const auto &sparse : graph.sparse_initializer())
    if (failed(dense(sparse, *graph.add_initializer())))
      return failure();
  graph.clear_sparse_initializer();
  for (auto &node : *graph.mutable_node())
    for (auto &attr : *node.mutable_attribute()) {
      if (attr.has_g() && failed(densify(model, *attr.mutable_g())))
        return failure();
      if (attr.type() != ::onnx::AttributeProto::SPARSE_TENSOR)
        continue;
      TensorProto tensor;
      if (failed(dense(attr.sparse_tensor(), tensor)))
        return failure();
      attr.clear_sparse_tensor();
      attr.set_type(::onnx::AttributeProto::TENSOR);
      if (attr.name() == "sparse_value")
        attr.set_name("value");
      attr.mutable_t()->Swap(&tensor);
    }
  return success();
}

// The converter's shape inference invents names (`unk__7`) for dimensions it does not know. Only the file's own names
// count.
template <typename Body> void forEachDim(GraphProto &graph, Body body) {
  std::function<void(::onnx::TypeProto &)> visit = [&](::onnx::TypeProto &type) {
    if (type.has_tensor_type() && type.tensor_type().has_shape())
      for (auto &dim : *type.mutable_tensor_type()->mutable_shape()->mutable_dim())
        body(dim);
    if (type.has_sequence_type())
      visit(*type.mutable_sequence_type()->mutable_elem_type());
    if (type.has_optional_type())
      visit(*type.mutable_optional_type()->mutable_elem_type());
  };
  for (auto *list : {graph.mutable_input(), graph.mutable_output(), graph.mutable_value_info()})
    for (auto &info : *list)
      if (info.has_type())
        visit(*info.mutable_type());
  for (auto &node : *graph.mutable_node())
    for (auto &attr : *node.mutable_attribute())
      if (attr.has_g())
        forEachDim(*attr.mutable_g(), body);
}

} // namespace

LogicalResult upgradeModel(ModelFile &model) {
  if (failed(densify(model, *model.proto.mutable_graph())))
    return failure();
  try {
    if (model.proto.functions_size()) {
      ::onnx::inliner::InlineLocalFunctions(model.proto, /*convert_version=*/true);
      model.proto.clear_functions();
      if (failed(checkModel(model)))
        return failure();
    }
    const int newest = ::onnx::OpSchemaRegistry::DomainToVersionRange::Instance().Map().at("").second;
    int64_t opset = 0;
    for (auto &import : *model.proto.mutable_opset_import())
      if (import.domain().empty() || import.domain() == "ai.onnx") {
        import.set_domain("");
        opset = import.version();
      }
    if (!opset) {
      auto *import = model.proto.add_opset_import();
      import->set_domain("");
      import->set_version(opset = model.proto.ir_version() < 3 ? 1 : newest);
    }
    if (opset != newest) {
      llvm::StringMap<char> names;
      forEachDim(*model.proto.mutable_graph(), [&](auto &dim) {
        if (dim.has_dim_param())
          names[dim.dim_param()];
      });
      if (opset == 8 && failed(splitBatchedScans(model)))
        return failure();
      ::onnx::ModelProto converted = ::onnx::version_conversion::ConvertVersion(model.proto, newest);
      model.proto.Swap(&converted);
      forEachDim(*model.proto.mutable_graph(), [&](auto &dim) {
        if (dim.has_dim_param() && !names.contains(dim.dim_param()))
          dim.clear_dim_param();
      });
      if (opset == 8)
        showBatchedScans(model);
    }
  } catch (const std::exception &e) {
    return emitError(model.fileLoc()) << "cannot upgrade to the working opset: " << onnx::cleanMessage(e.what());
  } catch (...) {
    return emitError(model.fileLoc()) << "cannot upgrade to the working opset";
  }
  model.indexConsumers();
  return success();
}

} // namespace burin
