// NodeProtos to operations. Everything a schema promises about a node (attributes, their types, arity) is checked
// before the operation exists, so that no accessor reads what is not there.
#include "dialects/Onnx/GraphBuilder.h"

#include "onnx/defs/schema.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/ScopeExit.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::OpSchema;

namespace burin::onnx {

GraphBuilder::GraphBuilder(OpBuilder &builder, llvm::StringMap<int64_t> opsets, Hooks hooks)
    : builder(builder), opsets(std::move(opsets)), hooks(std::move(hooks)) {
  if (!this->hooks.tensor)
    this->hooks.tensor = [context = builder.getContext()](const ::onnx::TensorProto &proto, std::string &error) {
      return getTensor(context, proto, error);
    };
  scopes.push_back(std::make_unique<Scope>());
}

void GraphBuilder::define(StringRef name, Value value) { scopes.back()->values[name] = value; }

Value GraphBuilder::lookup(StringRef name) const {
  for (const auto &scope : llvm::reverse(scopes))
    if (auto it = scope->values.find(name); it != scope->values.end())
      return it->second;
  return nullptr;
}

LogicalResult GraphBuilder::declare(const GraphProto &graph, Location loc) {
  for (const auto *list : {&graph.value_info(), &graph.output()})
    for (const auto &info : *list) {
      std::string error;
      Type type = getType(builder.getContext(), info.type(), &error);
      if (!type)
        return emitNodeError(loc) << "value '" << info.name() << "': " << error;
      scopes.back()->declared[info.name()] = type;
    }
  return success();
}

LogicalResult GraphBuilder::addInitializers(const GraphProto &graph, Location loc) {
  auto add = [&](const std::string &name, ElementsAttr value, const std::string &error) -> LogicalResult {
    if (!value)
      return emitNodeError(loc) << "initializer '" << name << "': " << error;
    define(name, ConstantOp::create(builder, NameLoc::get(builder.getStringAttr(name), loc), value));
    return success();
  };
  for (const auto &tensor : graph.initializer()) {
    std::string error;
    ElementsAttr value = hooks.tensor(tensor, error);
    if (failed(add(tensor.name(), value, error)))
      return failure();
  }
  for (const auto &sparse : graph.sparse_initializer()) {
    std::string error;
    ElementsAttr value = getSparseTensor(builder.getContext(), sparse, error);
    if (failed(add(sparse.values().name(), value, error)))
      return failure();
  }
  return success();
}

// One absent value a block, at its start, serves all its nodes.
Value GraphBuilder::noValue(Location loc) {
  Block *block = builder.getInsertionBlock();
  Value &value = noValues[block];
  if (!value) {
    OpBuilder::InsertionGuard guard(builder);
    if (builder.getInsertionPoint() == block->end())
      builder.setInsertionPointToStart(block);
    value = NoValueOp::create(builder, builder.getUnknownLoc());
  }
  return value;
}

Value GraphBuilder::getInput(const std::string &name, Location loc) {
  if (name.empty())
    return noValue(loc);
  Value value = lookup(name);
  if (!value)
    emitNodeError(loc)
        << "expected input '" << name
        << "' to be a graph input, an initializer or an earlier node's output, got a name that nothing defines";
  return value;
}

Type GraphBuilder::resultType(const std::string &name) {
  if (name.empty())
    return builder.getNoneType();
  auto it = scopes.back()->declared.find(name);
  return it == scopes.back()->declared.end() ? AnyType::get(builder.getContext()) : it->second;
}

LogicalResult GraphBuilder::finish(Operation *op, const NodeProto &node) {
  // Inside a region the enclosing operator's inference comes later and covers everything.
  if (inferTypes && scopes.size() == 1) {
    SmallVector<Type> types;
    if (failed(inferReturnTypes(op, types, values)))
      return failure();
    for (auto [result, type] : llvm::zip(op->getResults(), types))
      result.setType(type);
  }
  for (int i = 0; i < node.output_size(); ++i)
    if (!node.output(i).empty())
      define(node.output(i), op->getResult(i));
  return success();
}

LogicalResult GraphBuilder::addSubgraph(const GraphProto &graph, Region &region, Location loc) {
  if (scopes.size() > maxNesting)
    return emitNodeError(loc) << "expected at most " << maxNesting << " nested graphs, got more";
  OpBuilder::InsertionGuard guard(builder);
  scopes.push_back(std::make_unique<Scope>());
  auto pop = llvm::make_scope_exit([&] { scopes.pop_back(); });
  Block *block = builder.createBlock(&region);
  if (failed(declare(graph, loc)))
    return failure();
  for (const auto &input : graph.input()) {
    std::string error;
    Type type = getType(builder.getContext(), input.type(), &error);
    if (!type)
      return emitNodeError(loc) << "subgraph input '" << input.name() << "': " << error;
    define(input.name(), block->addArgument(type, NameLoc::get(builder.getStringAttr(input.name()))));
  }
  if (failed(addInitializers(graph, loc)))
    return failure();
  for (const auto &node : graph.node())
    if (failed(addNode(node)))
      return failure();
  SmallVector<Value> outputs;
  for (const auto &output : graph.output()) {
    Value value = lookup(output.name());
    if (!value)
      return emitNodeError(loc) << "expected subgraph output '" << output.name()
                                << "' to be defined, got a name that nothing defines";
    outputs.push_back(value);
  }
  YieldOp::create(builder, loc, outputs);
  return success();
}

LogicalResult GraphBuilder::addConstant(const NodeProto &node, Location loc) {
  if (node.attribute_size() != 1 || node.output_size() != 1 || node.output(0).empty())
    return emitNodeError(loc) << "expected one value and one output of a constant, got " << node.attribute_size()
                              << " and " << node.output_size();
  const AttributeProto *resolved = &node.attribute(0);
  // In a function body the value may be an attribute of the node the body stands for.
  if (!resolved->ref_attr_name().empty())
    resolved = hooks.functionAttr ? hooks.functionAttr(resolved->ref_attr_name()) : nullptr;
  if (!resolved)
    return emitNodeError(loc) << "expected attribute '" << node.attribute(0).ref_attr_name()
                              << "' for a constant of a function body, got none";
  const AttributeProto &attr = *resolved;
  Type f32 = builder.getF32Type(), i64 = builder.getI64Type(), string = StringType::get(builder.getContext());
  std::string error;
  ElementsAttr value;
  switch (attr.type()) {
  case AttributeProto::TENSOR:
    value = hooks.tensor(attr.t(), error);
    break;
  case AttributeProto::SPARSE_TENSOR:
    value = getSparseTensor(builder.getContext(), attr.sparse_tensor(), error);
    break;
  case AttributeProto::FLOAT:
    value = makeFloats(RankedTensorType::get({}, f32), attr.f());
    break;
  case AttributeProto::INT:
    value = makeInts(RankedTensorType::get({}, i64), attr.i());
    break;
  case AttributeProto::STRING:
    value = DenseElementsAttr::get(RankedTensorType::get({}, string), ArrayRef<StringRef>(StringRef(attr.s())));
    break;
  case AttributeProto::FLOATS:
    value = makeFloats(RankedTensorType::get(attr.floats_size(), f32),
                       SmallVector<float>(attr.floats().begin(), attr.floats().end()));
    break;
  case AttributeProto::INTS:
    value = makeInts(RankedTensorType::get(attr.ints_size(), i64),
                     SmallVector<int64_t>(attr.ints().begin(), attr.ints().end()));
    break;
  case AttributeProto::STRINGS: {
    auto strings = llvm::map_to_vector(attr.strings(), [](const std::string &s) { return StringRef(s); });
    value = DenseElementsAttr::get(RankedTensorType::get(attr.strings_size(), string), ArrayRef<StringRef>(strings));
    break;
  }
  default:
    error = "expected a value of a constant's form, got attribute '" + attr.name() + "'";
  }
  if (!value)
    return emitNodeError(loc) << error;
  define(node.output(0), ConstantOp::create(builder, loc, value));
  return success();
}

LogicalResult GraphBuilder::addCustom(const NodeProto &node, Location loc) {
  SmallVector<NamedAttribute> attrs;
  SmallVector<const GraphProto *> graphs;
  SmallVector<StringRef> graphNames;
  NamedAttrList nodeAttrs;
  for (const AttributeProto &proto : node.attribute()) {
    if (proto.type() == AttributeProto::GRAPH) {
      graphs.push_back(&proto.g());
      graphNames.push_back(proto.name());
      continue;
    }
    std::string error;
    Attribute attr = getAttribute(builder.getContext(), proto, hooks.tensor, error);
    if (!attr)
      return emitNodeError(loc) << "attribute '" << proto.name() << "': " << error;
    nodeAttrs.set(proto.name(), attr);
  }
  attrs.push_back(builder.getNamedAttr("op_type", builder.getStringAttr(node.op_type())));
  attrs.push_back(builder.getNamedAttr("domain", builder.getStringAttr(node.domain())));
  attrs.push_back(builder.getNamedAttr("node_attributes", nodeAttrs.getDictionary(builder.getContext())));
  if (auto it = opsets.find(node.domain()); it != opsets.end())
    attrs.push_back(builder.getNamedAttr("since_version", builder.getI64IntegerAttr(it->second)));
  if (!graphs.empty())
    attrs.push_back(builder.getNamedAttr("graph_names", builder.getStrArrayAttr(graphNames)));
  SmallVector<Value> operands;
  for (const std::string &name : node.input()) {
    operands.push_back(getInput(name, loc));
    if (!operands.back())
      return failure();
  }
  SmallVector<Type> types;
  for (const std::string &name : node.output())
    types.push_back(resultType(name));
  auto op = CustomOp::create(builder, loc, types, operands, attrs, graphs.size());
  for (auto [graph, region] : llvm::zip(graphs, op.getBodies()))
    if (failed(addSubgraph(*graph, region, loc)))
      return failure();
  return finish(op, node);
}

LogicalResult GraphBuilder::addNode(const NodeProto &node) {
  Location loc = hooks.location ? hooks.location(node) : builder.getUnknownLoc();
  std::string domain = node.domain() == "ai.onnx" ? "" : node.domain();
  bool standard = domain.empty() || domain == "ai.onnx.ml";
  int64_t version = 0;
  if (auto it = opsets.find(domain); it != opsets.end())
    version = it->second;
  const OpSchema *schema = standard ? ::onnx::OpSchemaRegistry::Schema(node.op_type(), int(version), domain) : nullptr;
  if (domain.empty() && node.op_type() == "Constant")
    return addConstant(node, loc);
  // The dialect holds each operator's newest form. ONNX converts its own domain to it; ai.onnx.ml has no converter, so
  // an older form there stays opaque.
  const OpSchema *newest = standard ? ::onnx::OpSchemaRegistry::Schema(node.op_type(), domain) : nullptr;
  if (!schema || schema->Deprecated() || schema != newest) {
    if (domain.empty())
      return emitNodeError(loc) << "unsupported operator '" << node.op_type()
                                << "': expected an operator of ONNX opset " << version;
    return addCustom(node, loc);
  }

  std::string opName = std::string("onnx.") + (domain.empty() ? "" : "ml.") + node.op_type();
  OperationState state(loc, opName);
  SmallVector<std::string> regionNames;
  for (const auto &[name, attr] : schema->attributes()) {
    if (attr.type == AttributeProto::GRAPH)
      regionNames.push_back(name);
    else if (attr.required && llvm::none_of(node.attribute(), [&, &wanted = name](const AttributeProto &a) {
               return a.name() == wanted;
             }))
      return emitNodeError(loc) << "expected attribute '" << name << "', got none";
  }
  llvm::sort(regionNames, std::greater<>());
  SmallVector<const GraphProto *> graphs(regionNames.size(), nullptr);

  for (const AttributeProto &given : node.attribute()) {
    const AttributeProto *proto = &given;
    if (!given.ref_attr_name().empty()) {
      proto = hooks.functionAttr ? hooks.functionAttr(given.ref_attr_name()) : nullptr;
      if (!proto)
        continue;
    }
    auto known = schema->attributes().find(given.name());
    if (known == schema->attributes().end())
      return emitNodeError(loc) << "expected an attribute of " << node.op_type() << ", got '" << given.name() << "'";
    if (known->second.type != proto->type())
      return emitNodeError(loc) << "expected attribute '" << given.name() << "' of type "
                                << AttributeProto::AttributeType_Name(known->second.type) << ", got "
                                << AttributeProto::AttributeType_Name(proto->type());
    if (proto->type() == AttributeProto::GRAPH) {
      graphs[llvm::find(regionNames, given.name()) - regionNames.begin()] = &proto->g();
      continue;
    }
    std::string error;
    Attribute attr = getAttribute(builder.getContext(), *proto, hooks.tensor, error);
    if (!attr)
      return emitNodeError(loc) << "attribute '" << given.name() << "': " << error;
    state.attributes.set(getAttrName(given.name()), attr);
  }

  const auto &inputs = schema->inputs();
  bool variadicInput = !inputs.empty() && inputs.back().GetOption() == OpSchema::Variadic;
  int fixedInputs = int(inputs.size()) - variadicInput;
  if (!variadicInput && node.input_size() > fixedInputs)
    return emitNodeError(loc) << "expected at most " << fixedInputs << " inputs, got " << node.input_size();
  for (int i = 0; i < std::max(node.input_size(), fixedInputs); ++i) {
    std::string name = i < node.input_size() ? node.input(i) : std::string();
    if (name.empty() && i < fixedInputs && inputs[i].GetOption() == OpSchema::Single)
      return emitNodeError(loc) << "expected input '" << inputs[i].GetName() << "', got none";
    Value operand = getInput(name, loc);
    if (!operand)
      return failure();
    state.operands.push_back(operand);
  }
  const auto &outputs = schema->outputs();
  bool variadicOutput = !outputs.empty() && outputs.back().GetOption() == OpSchema::Variadic;
  int fixedOutputs = int(outputs.size()) - variadicOutput;
  if (!variadicOutput && node.output_size() > fixedOutputs)
    return emitNodeError(loc) << "expected at most " << fixedOutputs << " outputs, got " << node.output_size();
  for (int i = 0; i < std::max(node.output_size(), fixedOutputs); ++i)
    state.types.push_back(resultType(i < node.output_size() ? node.output(i) : std::string()));

  for (size_t i = 0; i < graphs.size(); ++i) {
    if (!graphs[i])
      return emitNodeError(loc) << "expected graph '" << regionNames[i] << "', got none";
    state.addRegion();
  }
  Operation *op = builder.create(state);
  for (auto [graph, region] : llvm::zip(graphs, op->getRegions()))
    if (failed(addSubgraph(*graph, region, loc)))
      return failure();
  return finish(op, node);
}

} // namespace burin::onnx
