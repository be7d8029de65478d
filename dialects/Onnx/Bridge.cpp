// ONNX's own inference, verification and function bodies, one operation at a time. An InferenceContext is a view of an
// operation: attributes and operand types become messages on the fly (about a microsecond a node), constants of up to
// 1024 elements are given as data, regions are inferred in place through a GraphInferencer. Whatever the library
// throws ends here as one located error.
#include "dialects/Onnx/Bridge.h"

#include "dialects/Onnx/GraphBuilder.h"
#include "dialects/Onnx/Proto.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "onnx/checker.h"
#include "onnx/defs/schema.h"
#include "onnx/shape_inference/implementation.h"
#include <unordered_map>

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::OpSchema;
using ::onnx::TensorProto;
using ::onnx::TensorShapeProto;
using ::onnx::TypeProto;

namespace burin::onnx {

struct ShapeValues::Impl {
  // Nodes that stay where they are: ONNX's functions hold pointers to some while they ask for others.
  struct Hash {
    size_t operator()(Value value) const { return hash_value(value); }
  };
  std::unordered_map<Value, TensorShapeProto, Hash> known;
};

ShapeValues::ShapeValues() : impl(std::make_unique<Impl>()) {}
ShapeValues::~ShapeValues() = default;

std::optional<SmallVector<int64_t>> ShapeValues::get(Value value) const {
  auto it = impl->known.find(value);
  if (it == impl->known.end())
    return getConstantInts(value);
  return llvm::map_to_vector(
      it->second.dim(), [](const auto &dim) { return dim.has_dim_value() ? dim.dim_value() : ShapedType::kDynamic; });
}

namespace {

constexpr int64_t maxData = 1024;

// The dialect holds the newest form of each operator, whatever opsets the module names.
const OpSchema *getSchema(Operation *op) {
  if (isa<CustomOp, NoValueOp, YieldOp>(op) || !isa_and_nonnull<OnnxDialect>(op->getDialect()))
    return nullptr;
  return ::onnx::OpSchemaRegistry::Schema(getOpType(op).str(), getDomain(op).str());
}

unsigned presentCount(TypeRange types) {
  unsigned count = types.size();
  while (count && isa<NoneType>(types[count - 1]))
    --count;
  return count;
}

// Region names in region order, by the rule the schema generator follows.
SmallVector<std::string> getRegionNames(const OpSchema &schema) {
  SmallVector<std::string> names;
  for (const auto &[name, attr] : schema.attributes())
    if (attr.type == AttributeProto::GRAPH)
      names.push_back(name);
  llvm::sort(names, std::greater<>());
  return names;
}

struct RegionFailure {}; // thrown after a located error inside a region

// What inference and data propagation both read.
struct NodeView {
  Operation *op;
  ShapeValues &values;
  std::map<std::string, AttributeProto> attributes;
  std::vector<TypeProto> inputTypes;
  std::vector<char> inputKnown; // 0 where absent
  std::vector<std::unique_ptr<TensorProto>> data;

  NodeView(Operation *op, ShapeValues &values) : op(op), values(values) {
    for (NamedAttribute attr : op->getAttrs()) {
      AttributeProto proto;
      std::string name = getOnnxAttrName(attr.getName()).str();
      // A constant's data is large and its type says all; Constant is not inferred through here.
      if (setAttribute(attr.getValue(), proto)) {
        proto.set_name(name);
        attributes.emplace(std::move(name), std::move(proto));
      }
    }
    unsigned count = presentCount(op->getOperandTypes());
    inputTypes.resize(count);
    inputKnown.resize(count);
    data.resize(count);
    for (unsigned i = 0; i < count; ++i)
      inputKnown[i] = setType(op->getOperand(i).getType(), inputTypes[i]);
  }

  const AttributeProto *attribute(const std::string &name) const {
    auto it = attributes.find(name);
    return it == attributes.end() ? nullptr : &it->second;
  }

  const TensorProto *constant(size_t i) {
    if (i >= data.size())
      return nullptr;
    if (!data[i]) {
      ElementsAttr attr = getConstantAttr(op->getOperand(i));
      if (!attr || attr.getNumElements() > maxData)
        return nullptr;
      data[i] = std::make_unique<TensorProto>();
      if (!setTensor(attr, *data[i]))
        data[i]->Clear();
      // ONNX's own bodies give Range vectors of one number, which its inference refuses where it can see them.
      else if (isa<RangeOp>(op) && attr.getNumElements() == 1)
        data[i]->clear_dims();
    }
    return data[i]->data_type() == TensorProto::UNDEFINED ? nullptr : data[i].get();
  }

  // The value as a shape: from propagation, or a constant of at most one dimension.
  const TensorShapeProto *shapeValue(size_t i) {
    if (i >= data.size())
      return nullptr;
    Value value = op->getOperand(i);
    auto it = values.impl->known.find(value);
    auto type = dyn_cast<RankedTensorType>(value.getType());
    if (it != values.impl->known.end()) {
      // ONNX propagates an empty list where it knows nothing of an operand: that is no value of this type.
      bool fits = !type || !type.hasStaticShape() || type.getNumElements() == it->second.dim_size();
      return fits ? &it->second : nullptr;
    }
    if (!type || type.getRank() > 1 || !(type.getElementType().isInteger(64) || type.getElementType().isInteger(32)))
      return nullptr;
    ElementsAttr attr = getConstantAttr(value);
    if (!attr || attr.getNumElements() > maxData)
      return nullptr;
    auto ints = readInts(attr);
    if (!ints)
      return nullptr;
    TensorShapeProto shape;
    for (int64_t v : *ints)
      shape.add_dim()->set_dim_value(v);
    return &(values.impl->known[value] = std::move(shape));
  }
};

struct Inferencer : ::onnx::GraphInferencer {
  Inferencer(Operation *op, Region &region, ShapeValues &values) : op(op), region(region), values(values) {}

  std::vector<const TypeProto *> doInferencing(const std::vector<const TypeProto *> &inputTypes,
                                               const std::vector<const TensorProto *> &) override {
    Block &block = region.front();
    if (inputTypes.size() != block.getNumArguments())
      throw ::onnx::InferenceError("expected " + std::to_string(block.getNumArguments()) +
                                   " values for the graph's inputs, got " + std::to_string(inputTypes.size()));
    for (auto [arg, proto] : llvm::zip(block.getArguments(), inputTypes)) {
      Type type = proto ? getType(op->getContext(), *proto) : Type();
      if (!type)
        continue;
      // What the graph declares refines what comes in, as far as it does not contradict it.
      Type merged = mergeTypes(type, arg.getType());
      arg.setType(merged ? merged : type);
    }
    if (isa<IfOp>(op)) {
      // A branch that contradicts the shapes at hand may be the one they never take: exporters decide on shapes at run
      // time.
      ScopedDiagnosticHandler silence(op->getContext(), [](Diagnostic &) { return success(); });
      (void)inferBlock(block, values);
    } else if (failed(inferBlock(block, values))) {
      throw RegionFailure();
    }
    Operation *yield = block.getTerminator();
    outputs.assign(yield->getNumOperands(), TypeProto());
    std::vector<const TypeProto *> pointers;
    for (auto [value, proto] : llvm::zip(yield->getOperands(), outputs)) {
      setType(value.getType(), proto);
      pointers.push_back(&proto);
    }
    return pointers;
  }

  Operation *op;
  Region &region;
  ShapeValues &values;
  std::vector<TypeProto> outputs;
};

struct Context : ::onnx::InferenceContext {
  explicit Context(NodeView &view, const OpSchema &schema)
      : view(view), schema(schema), outputs(presentCount(view.op->getResultTypes())) {}

  const AttributeProto *getAttribute(const std::string &name) const override { return view.attribute(name); }
  size_t getNumInputs() const override { return view.inputTypes.size(); }
  const TypeProto *getInputType(size_t i) const override {
    return i < view.inputTypes.size() && view.inputKnown[i] ? &view.inputTypes[i] : nullptr;
  }
  bool hasInput(size_t i) const override { return i < view.inputTypes.size() && !isNone(view.op->getOperand(i)); }
  const TensorProto *getInputData(size_t i) const override { return view.constant(i); }
  size_t getNumOutputs() const override { return outputs.size(); }
  TypeProto *getOutputType(size_t i) override {
    if (i >= outputs.size())
      throw ::onnx::InferenceError("output " + std::to_string(i) + " is out of bounds");
    return &outputs[i];
  }
  bool hasOutput(size_t i) override { return i < outputs.size() && !isNone(view.op->getResult(i)); }
  ::onnx::GraphInferencer *getGraphAttributeInferencer(const std::string &name) override {
    auto names = getRegionNames(schema);
    auto at = llvm::find(names, name);
    if (at == names.end() || size_t(at - names.begin()) >= view.op->getNumRegions())
      throw ::onnx::InferenceError("attribute '" + name + "' is not a graph");
    auto &inferencer = inferencers[name];
    if (!inferencer)
      inferencer = std::make_unique<Inferencer>(view.op, view.op->getRegion(at - names.begin()), view.values);
    return inferencer.get();
  }
  const ::onnx::SparseTensorProto *getInputSparseData(size_t) const override { return nullptr; }
  const TensorShapeProto *getSymbolicInput(size_t i) const override { return view.shapeValue(i); }
  std::string getDisplayName() const override { return ""; }

  NodeView &view;
  const OpSchema &schema;
  std::vector<TypeProto> outputs;
  std::map<std::string, std::unique_ptr<Inferencer>> inferencers;
};

struct Propagation : ::onnx::DataPropagationContext {
  Propagation(NodeView &view, const std::vector<TypeProto> &outputs) : view(view), outputs(outputs) {}

  const AttributeProto *getAttribute(const std::string &name) const override { return view.attribute(name); }
  size_t getNumInputs() const override { return view.inputTypes.size(); }
  const TypeProto *getInputType(size_t i) const override {
    return i < view.inputTypes.size() && view.inputKnown[i] ? &view.inputTypes[i] : nullptr;
  }
  size_t getNumOutputs() const override { return outputs.size(); }
  const TypeProto *getOutputType(size_t i) const override { return i < outputs.size() ? &outputs[i] : nullptr; }
  const TensorShapeProto *getInputData(size_t i) override {
    if (const TensorShapeProto *known = view.shapeValue(i))
      return known;
    // A vector of known length is that many unknown values.
    auto type =
        i < view.inputTypes.size() ? dyn_cast<RankedTensorType>(view.op->getOperand(i).getType()) : RankedTensorType();
    if (!type || type.getRank() != 1 || type.isDynamicDim(0) || type.getDimSize(0) > maxData)
      return nullptr;
    unknown.push_back(std::make_unique<TensorShapeProto>());
    for (int64_t n = type.getDimSize(0); n > 0; --n)
      unknown.back()->add_dim();
    return unknown.back().get();
  }
  void addOutputData(size_t i, TensorShapeProto &&shape) override {
    if (i < view.op->getNumResults())
      view.values.impl->known[view.op->getResult(i)] = std::move(shape);
  }

  NodeView &view;
  const std::vector<TypeProto> &outputs;
  std::vector<std::unique_ptr<TensorShapeProto>> unknown;
};

// ONNX propagates sizes of shape arithmetic only where the shape is small integers.
bool mayPropagate(Operation *op) {
  if (op->getNumResults() == 0)
    return false;
  auto type = dyn_cast<RankedTensorType>(op->getResult(0).getType());
  return !type || (type.getRank() <= 1 && (type.getElementType().isInteger(64) || type.getElementType().isInteger(32)));
}

// Calls `body`, turning what the library throws into one error at `op`.
template <typename Body> LogicalResult guarded(Operation *op, Body body) {
  try {
    return body();
  } catch (const RegionFailure &) {
    return failure();
  } catch (const std::exception &e) {
    InFlightDiagnostic diagnostic = emitNodeError(op) << cleanMessage(e.what()) << ", got (";
    llvm::interleaveComma(TypeRange(op->getOperandTypes()).take_front(presentCount(op->getOperandTypes())), diagnostic,
                          [&](Type type) { diagnostic << type; });
    return diagnostic << ")";
  } catch (...) {
    return emitNodeError(op) << "expected a valid node, got one that ONNX refuses";
  }
}

} // namespace

LogicalResult inferReturnTypes(Operation *op, SmallVectorImpl<Type> &types, ShapeValues &values) {
  types.assign(op->result_type_begin(), op->result_type_end());
  if (auto constant = dyn_cast<ConstantOp>(op)) {
    types[0] = constant.getValueAttr().getShapedType();
    return success();
  }
  const OpSchema *schema = getSchema(op);
  if (!schema || !schema->has_type_and_shape_inference_function()) {
    // Opaque nodes keep what the file declares; their regions are inferred all the same.
    for (Region &region : op->getRegions())
      for (Block &block : region)
        if (failed(inferBlock(block, values)))
          return failure();
    return success();
  }
  bool unknownInput = llvm::any_of(op->getOperandTypes(), [](Type type) { return isa<AnyType>(type); });
  if (unknownInput && op->getNumRegions() == 0)
    return success();
  return guarded(op, [&]() -> LogicalResult {
    NodeView view(op, values);
    Context context(view, *schema);
    schema->GetTypeAndShapeInferenceFunction()(context);
    for (auto [i, proto] : llvm::enumerate(context.outputs)) {
      if (isa<NoneType>(types[i]))
        continue;
      std::string error;
      Type inferred = getType(op->getContext(), proto, &error);
      if (!inferred)
        return emitNodeError(op) << error;
      Type merged = mergeTypes(inferred, types[i]);
      // Declared shapes go stale when a model is edited; what inference finds then wins. Element types never may
      // differ.
      if (!merged) {
        auto a = dyn_cast<TensorType>(inferred), b = dyn_cast<TensorType>(types[i]);
        if (!a || !b || a.getElementType() != b.getElementType())
          return emitNodeError(op) << "expected result " << i << " of type " << types[i] << ", got " << inferred;
        merged = inferred;
      }
      types[i] = merged;
    }
    if (schema->has_data_propagation_function() && mayPropagate(op)) {
      Propagation propagation(view, context.outputs);
      schema->GetDataPropagationFunction()(propagation);
    }
    return success();
  });
}

LogicalResult inferBlock(Block &block, ShapeValues &values) {
  SmallVector<Type> types;
  for (Operation &op : block) {
    if (!isa_and_nonnull<OnnxDialect>(op.getDialect()))
      continue;
    if (failed(inferReturnTypes(&op, types, values)))
      return failure();
    for (auto [result, type] : llvm::zip(op.getResults(), types))
      result.setType(type);
  }
  return success();
}

LogicalResult inferFunction(Operation *operation) {
  auto function = cast<func::FuncOp>(operation);
  if (function.isExternal())
    return success();
  ShapeValues values;
  for (Block &block : function.getBody())
    if (failed(inferBlock(block, values)))
      return failure();
  Operation *terminator = function.getBody().back().getTerminator();
  function.setFunctionType(
      FunctionType::get(function.getContext(), function.getBody().getArgumentTypes(), terminator->getOperandTypes()));
  return success();
}

LogicalResult verifyNode(Operation *op) {
  const OpSchema *schema = getSchema(op);
  if (!schema || isa<ConstantOp>(op))
    return success();
  return guarded(op, [&]() -> LogicalResult {
    unsigned inputs = presentCount(op->getOperandTypes()), outputs = presentCount(op->getResultTypes());
    if (int(inputs) < schema->min_input() || int(inputs) > schema->max_input())
      return emitNodeError(op) << "expected " << schema->min_input() << " to " << schema->max_input() << " inputs, got "
                               << inputs;
    if (int(outputs) < schema->min_output() || int(outputs) > schema->max_output())
      return emitNodeError(op) << "expected " << schema->min_output() << " to " << schema->max_output()
                               << " outputs, got " << outputs;
    for (auto [i, formal] : llvm::enumerate(schema->inputs())) {
      if (formal.GetOption() == OpSchema::Single && (i >= inputs || isNone(op->getOperand(i))))
        return emitNodeError(op) << "expected input '" << formal.GetName() << "', got none";
    }
    // Operand types against the schema's constraint of the parameter each belongs to.
    for (unsigned i = 0; i < inputs && !schema->inputs().empty(); ++i) {
      TypeProto proto;
      Type type = op->getOperand(i).getType();
      const auto &formal = schema->inputs()[std::min<size_t>(i, schema->inputs().size() - 1)];
      if (isa<NoneType, AnyType>(type) || formal.GetTypes().empty())
        continue;
      if (!setType(type, proto) || !formal.GetTypes().count(::onnx::Utils::DataTypeUtils::ToType(proto)))
        return emitNodeError(op) << "expected input '" << formal.GetName() << "' of a type of " << formal.GetTypeStr()
                                 << ", got " << type;
    }
    return success();
  });
}

bool hasFunctionBody(Operation *op) {
  const OpSchema *schema = getSchema(op);
  return schema && op->getNumRegions() == 0 && (schema->HasFunction() || schema->HasContextDependentFunction());
}

LogicalResult expandFunctionBody(Operation *op) {
  if (!hasFunctionBody(op))
    return failure();
  const OpSchema *schema = getSchema(op);
  int opset = int(getOpset(op));
  try {
    ::onnx::NodeProto node;
    node.set_op_type(schema->Name());
    node.set_domain(schema->domain());
    node.set_name(getNodeName(op).str());
    ShapeValues values;
    NodeView view(op, values);
    for (auto &[name, attr] : view.attributes)
      *node.add_attribute() = attr;
    for (unsigned i = 0; i < view.inputTypes.size(); ++i)
      node.add_input(isNone(op->getOperand(i)) ? "" : "in" + std::to_string(i));
    for (unsigned i = 0, n = presentCount(op->getResultTypes()); i < n; ++i)
      node.add_output(isNone(op->getResult(i)) ? "" : "out" + std::to_string(i));

    ::onnx::FunctionProto built;
    const ::onnx::FunctionProto *function = nullptr;
    if (schema->HasContextDependentFunction()) {
      ::onnx::FunctionBodyBuildContextImpl context(node, view.inputTypes);
      if (schema->BuildContextDependentFunction(context, built, opset))
        function = &built;
    }
    if (!function)
      function = schema->GetFunction(opset);
    if (!function)
      return failure();

    OpBuilder builder(op);
    llvm::StringMap<int64_t> opsets;
    opsets[""] = opset;
    if (schema->domain() == "ai.onnx.ml")
      opsets["ai.onnx.ml"] = schema->SinceVersion();
    GraphBuilder::Hooks hooks;
    hooks.location = [&](const ::onnx::NodeProto &) { return op->getLoc(); };
    hooks.functionAttr = [&](StringRef name) -> const AttributeProto * {
      if (const AttributeProto *given = view.attribute(name.str()))
        return given;
      auto known = schema->attributes().find(name.str());
      if (known == schema->attributes().end() || known->second.default_value.type() == AttributeProto::UNDEFINED)
        return nullptr;
      return &known->second.default_value;
    };
    GraphBuilder graph(builder, opsets, hooks);
    Value none;
    for (int i = 0; i < function->input_size(); ++i) {
      Value value = unsigned(i) < op->getNumOperands() ? op->getOperand(i) : Value();
      if (isNone(value)) {
        if (!none)
          none = NoValueOp::create(builder, op->getLoc());
        value = none;
      }
      graph.define(function->input(i), value);
    }
    Operation *before = op->getPrevNode();
    auto undo = [&] {
      while (op->getPrevNode() != before)
        op->getPrevNode()->erase();
      return failure();
    };
    for (const auto &child : function->node())
      if (failed(graph.addNode(child)))
        return undo();
    SmallVector<Value> results;
    for (unsigned i = 0; i < op->getNumResults(); ++i) {
      Value value = int(i) < function->output_size() ? graph.lookup(function->output(i)) : Value();
      if (!isNone(op->getResult(i)) && !value)
        return undo();
      results.push_back(value);
    }
    for (auto [result, value] : llvm::zip(op->getResults(), results))
      if (!isNone(result))
        result.replaceAllUsesWith(value);
    for (Value result : op->getResults())
      if (isNone(result) && !result.use_empty()) {
        OpBuilder::InsertionGuard guard(builder);
        builder.setInsertionPoint(op);
        result.replaceAllUsesWith(NoValueOp::create(builder, op->getLoc()));
      }
    op->erase();
    return success();
  } catch (const std::exception &e) {
    return emitNodeError(op) << "function body: " << cleanMessage(e.what());
  }
}

} // namespace burin::onnx
