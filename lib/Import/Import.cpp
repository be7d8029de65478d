// The importer's road: map the file, walk it into a skeleton, check, upgrade, build. Nothing of the weights is touched
// but the pages a splat test reads.
#include "lib/Import/Import.h"

#include "dialects/Onnx/GraphBuilder.h"
#include "lib/Import/ModelFile.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Verifier.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

using namespace mlir;

namespace burin {

namespace {

struct Declared {
  std::vector<std::pair<std::string, Type>> inputs, outputs;
};

// The interface as the file states it: the converter may rewrite what it says of types.
Declared readInterface(ModelFile &model) {
  Declared declared;
  for (const auto &info : model.proto.graph().input())
    declared.inputs.emplace_back(info.name(), onnx::getType(model.context, info.type()));
  for (const auto &info : model.proto.graph().output())
    declared.outputs.emplace_back(info.name(), onnx::getType(model.context, info.type()));
  return declared;
}

void setModuleAttrs(ModuleOp module, const ModelFile &model, const ::onnx::ModelProto &head) {
  Builder b(module.getContext());
  NamedAttrList opsets;
  for (const auto &import : model.proto.opset_import()) {
    if (import.domain().empty())
      module->setAttr("onnx.opset", b.getI64IntegerAttr(import.version()));
    else
      opsets.set(import.domain(), b.getI64IntegerAttr(import.version()));
  }
  module->setAttr("onnx.opsets", opsets.getDictionary(module.getContext()));
  module->setAttr("onnx.ir_version", b.getI64IntegerAttr(head.ir_version()));
  auto text = [&](StringRef name, const std::string &value) {
    if (!value.empty())
      module->setAttr(name, b.getStringAttr(value));
  };
  text("onnx.producer_name", head.producer_name());
  text("onnx.producer_version", head.producer_version());
  text("onnx.domain", head.domain());
  text("onnx.doc", head.doc_string());
  text("onnx.graph_name", head.graph().name());
  if (head.model_version())
    module->setAttr("onnx.model_version", b.getI64IntegerAttr(head.model_version()));
  NamedAttrList metadata;
  for (const auto &entry : head.metadata_props())
    if (!entry.key().empty())
      metadata.set(entry.key(), b.getStringAttr(entry.value()));
  if (!metadata.empty())
    module->setAttr("onnx.metadata", metadata.getDictionary(module.getContext()));
}

OwningOpRef<ModuleOp> build(ModelFile &model, const Declared &declared, const ::onnx::ModelProto &head,
                            const ImportOptions &options) {
  MLIRContext *context = model.context;
  OwningOpRef<ModuleOp> module = ModuleOp::create(model.fileLoc());
  setModuleAttrs(*module, model, head);
  const ::onnx::GraphProto &graph = model.proto.graph();

  OpBuilder builder(context);
  builder.setInsertionPointToStart(module->getBody());
  auto function = func::FuncOp::create(builder, model.fileLoc(), "main", builder.getFunctionType({}, {}));
  Block *block = function.addEntryBlock();
  builder.setInsertionPointToStart(block);

  llvm::StringMap<int64_t> opsets;
  for (const auto &import : model.proto.opset_import())
    opsets[import.domain()] = import.version();
  onnx::GraphBuilder::Hooks hooks;
  hooks.tensor = [&](const ::onnx::TensorProto &tensor, std::string &error) { return model.readTensor(tensor, error); };
  hooks.location = [&](const ::onnx::NodeProto &node) { return model.locate(node); };
  onnx::GraphBuilder nodes(builder, std::move(opsets), std::move(hooks));
  nodes.inferTypes = options.inferShapes;

  llvm::StringMap<char> initializers;
  for (const auto &tensor : graph.initializer())
    initializers[tensor.name()];
  SmallVector<Attribute> initializerInputs;
  SmallVector<DictionaryAttr> argAttrs;
  for (const auto &[name, type] : declared.inputs) {
    // Old exporters list every weight as an input with a default; a caller who does not feed them means the default.
    if (initializers.contains(name)) {
      initializerInputs.push_back(builder.getStringAttr(name));
      continue;
    }
    Location loc = NameLoc::get(builder.getStringAttr(name), model.fileLoc());
    nodes.define(name, block->addArgument(type, loc));
    argAttrs.push_back(builder.getDictionaryAttr(builder.getNamedAttr("onnx.name", builder.getStringAttr(name))));
  }
  if (!initializerInputs.empty())
    (*module)->setAttr("onnx.initializer_inputs", builder.getArrayAttr(initializerInputs));

  if (failed(nodes.declare(graph, model.fileLoc())) || failed(nodes.addInitializers(graph, model.fileLoc())))
    return nullptr;
  for (const auto &node : graph.node())
    if (failed(nodes.addNode(node)))
      return nullptr;

  for (const std::string &name : options.tensorNames) {
    auto result = dyn_cast_or_null<OpResult>(nodes.lookup(name));
    if (!result)
      continue;
    Operation *op = result.getOwner();
    SmallVector<StringRef> names(op->getNumResults());
    if (auto held = op->getAttrOfType<ArrayAttr>("onnx.result_names"))
      names = llvm::map_to_vector(held, [](Attribute a) { return cast<StringAttr>(a).getValue(); });
    names[result.getResultNumber()] = name;
    op->setAttr("onnx.result_names", builder.getStrArrayAttr(names));
  }

  SmallVector<Value> results;
  SmallVector<DictionaryAttr> resultAttrs;
  for (const auto &[name, type] : declared.outputs) {
    Value value = nodes.lookup(name);
    if (!value) {
      emitError(model.fileLoc()) << "expected graph output '" << name
                                 << "' to be defined, got a name that nothing defines";
      return nullptr;
    }
    Location where = value.getDefiningOp() ? value.getLoc() : model.fileLoc();
    Type merged = onnx::mergeTypes(value.getType(), type);
    auto got = dyn_cast<ShapedType>(value.getType()), wanted = dyn_cast<ShapedType>(type);
    if (!merged && got && wanted && got.getElementType() == wanted.getElementType()) {
      // Exporters that trace one sample get shapes of outputs wrong; what the graph computes is what counts.
      emitWarning(where) << "output '" << name << "': declared as " << type << ", but the graph computes "
                         << value.getType() << "; the declaration is ignored";
      merged = value.getType();
    }
    if (!merged) {
      emitError(where) << "output '" << name << "': expected " << type << " as declared, got " << value.getType();
      return nullptr;
    }
    if (value.getDefiningOp() && !isa<onnx::ConstantOp>(value.getDefiningOp()))
      value.setType(merged);
    results.push_back(value);
    resultAttrs.push_back(builder.getDictionaryAttr(builder.getNamedAttr("onnx.name", builder.getStringAttr(name))));
  }
  func::ReturnOp::create(builder, model.fileLoc(), results);
  function.setFunctionType(builder.getFunctionType(block->getArgumentTypes(), ValueRange(results).getTypes()));
  function.setAllArgAttrs(argAttrs);
  function.setAllResultAttrs(resultAttrs);
  // Constants nothing reads, as old exporters leave them, cost every later stage.
  for (Operation &op : llvm::make_early_inc_range(*block))
    if (isa<onnx::ConstantOp>(op) && op.use_empty())
      op.erase();
  if (failed(verify(*module)))
    return nullptr;
  return module;
}

} // namespace

OwningOpRef<ModuleOp> importModel(StringRef bytes, StringRef name, std::shared_ptr<void> owner, MLIRContext &context,
                                  const ImportOptions &options) {
  context.loadDialect<onnx::OnnxDialect, func::FuncDialect>();
  ModelFile model(&context, name);
  try {
    std::string error;
    if (!makeSkeleton(bytes, options.resourceThreshold, model.skeleton, error)) {
      emitError(model.fileLoc()) << error;
      return nullptr;
    }
    if (model.skeleton.bytes.size() > (uint64_t(1) << 31) - 1) {
      emitError(model.fileLoc()) << "expected at most 2 GB of graph, got " << model.skeleton.bytes.size()
                                 << " bytes without weights";
      return nullptr;
    }
    model.owners.assign(model.skeleton.weights.size(), owner);
    google::protobuf::io::ArrayInputStream array(model.skeleton.bytes.data(), int(model.skeleton.bytes.size()));
    google::protobuf::io::CodedInputStream stream(&array);
    stream.SetRecursionLimit(4 * 64 + 64);
    // Protobuf's own words go to stderr; ours follow as the one error.
    google::protobuf::LogSilencer silence;
    if (!model.proto.ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage()) {
      emitError(model.fileLoc()) << "expected an ONNX model (protobuf), got bytes that do not parse as one";
      return nullptr;
    }
    model.skeleton.bytes.clear();
    model.skeleton.bytes.shrink_to_fit();
    model.nameNodes();
    claimRuntimeOperators(model);
    if (failed(resolveExternalData(model, options.externalFolder)) || failed(checkModel(model)))
      return nullptr;
    Declared declared = readInterface(model);
    ::onnx::ModelProto head = model.proto;
    head.mutable_graph()->clear_node();
    head.mutable_graph()->clear_initializer();
    if (failed(upgradeModel(model)))
      return nullptr;
    return build(model, declared, head, options);
  } catch (const std::exception &e) {
    emitError(model.fileLoc()) << "cannot be imported: " << onnx::cleanMessage(e.what());
  } catch (...) {
    emitError(model.fileLoc()) << "cannot be imported";
  }
  return nullptr;
}

OwningOpRef<ModuleOp> importModel(StringRef path, MLIRContext &context, const ImportOptions &options) {
  auto buffer = llvm::MemoryBuffer::getFile(path, /*IsText=*/false, /*RequiresNullTerminator=*/false);
  if (!buffer) {
    std::string reason = buffer.getError().message();
    reason[0] = char(tolower(reason[0]));
    emitError(FileLineColLoc::get(&context, path, 0, 0)) << "cannot read the model: " << reason;
    return nullptr;
  }
  ImportOptions local = options;
  if (local.externalFolder.empty()) {
    SmallString<256> folder(llvm::sys::path::parent_path(path));
    local.externalFolder = folder.empty() ? "." : folder.str().str();
  }
  std::shared_ptr<llvm::MemoryBuffer> owner = std::move(*buffer);
  // Messages show the file as a person would name it in its folder.
  return importModel(owner->getBuffer(), llvm::sys::path::filename(path), owner, context, local);
}

} // namespace burin
