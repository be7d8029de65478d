// Operations become nodes, constants initializers of the graph they stand in. Graph outputs must be made by a node of
// their own graph, so what is returned as it came in (arguments, constants, captured values) passes through an
// Identity.
#include "lib/Export/GraphWriter.h"

#include "lib/Import/Skeleton.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "onnx/defs/schema.h"

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::GraphProto;
using ::onnx::NodeProto;
using ::onnx::OpSchema;
using ::onnx::TensorProto;

namespace burin {

std::string GraphWriter::fresh(StringRef wish) {
  std::string base = wish.empty() ? "v" : wish.str(), name = base;
  while (true) {
    unsigned &count = taken[name];
    if (count++ == 0)
      return name;
    name = base + "_" + std::to_string(taken[base]++);
  }
}

// One node of the file may have become several; a reader refuses two of one name.
std::string GraphWriter::freshNode(StringRef wish) {
  unsigned count = takenNodes[wish]++;
  if (count == 0)
    return wish.str();
  std::string name = (wish + "_" + llvm::Twine(count)).str();
  return takenNodes[name]++ == 0 ? name : freshNode(name);
}

// The name a value had in its file where the location tells it.
static StringRef wishedName(Value value) {
  Location loc = value.getLoc();
  if (auto info = onnx::getNodeInfo(loc))
    return info->name;
  if (auto fused = dyn_cast<FusedLoc>(loc))
    for (Location part : fused.getLocations())
      if (auto name = dyn_cast<NameLoc>(part))
        return name.getName().getValue();
  if (auto name = dyn_cast<NameLoc>(loc))
    return name.getName().getValue();
  return {};
}

std::string GraphWriter::nameOf(Value value) {
  if (onnx::isNone(value))
    return "";
  std::string &name = names[value];
  if (name.empty()) {
    StringRef wish = wishedName(value);
    name = fresh(wish.empty() && value.getDefiningOp() ? onnx::getOpType(value.getDefiningOp()) : wish);
  }
  return name;
}

LogicalResult GraphWriter::writeTensor(ElementsAttr attr, TensorProto &tensor, Location loc) {
  std::optional<uint64_t> size = onnx::getRawSize(attr.getElementType(), attr.getNumElements());
  if (size && *size > weightThreshold && onnx::getDataType(attr.getElementType())) {
    if (!onnx::getRawElements(attr))
      return onnx::emitNodeError(loc)
             << "expected a constant with its data, got one without (elided weights cannot be written)";
    tensor.set_data_type(onnx::getDataType(attr.getElementType()));
    for (int64_t dim : attr.getShapedType().getShape())
      tensor.add_dims(dim);
    tensor.set_raw_data(makeMarker(weights.size()));
    weights.push_back(attr);
    return success();
  }
  if (!onnx::setTensor(attr, tensor))
    return onnx::emitNodeError(loc) << "expected a constant of an ONNX element type, got " << attr.getShapedType();
  return success();
}

LogicalResult GraphWriter::writeInfo(Value value, StringRef name, ::onnx::ValueInfoProto &info, Location loc) {
  info.set_name(name.str());
  if (isa<onnx::AnyType>(value.getType()))
    return success();
  if (!onnx::setType(value.getType(), *info.mutable_type()))
    return onnx::emitNodeError(loc) << "value '" << name << "': expected a type of ONNX, got " << value.getType();
  // A tensor of unknown rank still needs the message to be there.
  return success();
}

LogicalResult GraphWriter::writeAttrs(Operation *op, NodeProto &node) {
  auto add = [&](StringRef name, Attribute value, AttributeProto::AttributeType expected) -> LogicalResult {
    AttributeProto attr;
    attr.set_name(name.str());
    if (auto elements = dyn_cast<ElementsAttr>(value); elements && !isa<DenseI64ArrayAttr, DenseF32ArrayAttr>(value)) {
      attr.set_type(AttributeProto::TENSOR);
      if (failed(writeTensor(elements, *attr.mutable_t(), op->getLoc())))
        return failure();
    } else if (!onnx::setAttribute(value, attr, expected)) {
      return onnx::emitNodeError(op) << "attribute '" << name << "': expected a value ONNX can hold, got " << value;
    }
    *node.add_attribute() = std::move(attr);
    return success();
  };
  if (auto custom = dyn_cast<onnx::CustomOp>(op)) {
    for (NamedAttribute attr : custom.getNodeAttributes())
      if (failed(add(attr.getName(), attr.getValue(), AttributeProto::UNDEFINED)))
        return failure();
    for (auto [i, region] : llvm::enumerate(custom.getBodies())) {
      AttributeProto *attr = node.add_attribute();
      attr->set_name(cast<StringAttr>((*custom.getGraphNames())[i]).getValue().str());
      attr->set_type(AttributeProto::GRAPH);
      if (failed(writeRegion(region, *attr->mutable_g(), attr->name())))
        return failure();
    }
    return success();
  }
  const OpSchema *schema = ::onnx::OpSchemaRegistry::Schema(node.op_type(), node.domain());
  if (!schema)
    return onnx::emitNodeError(op) << "expected an operator of ONNX, got '" << op->getName().getStringRef() << "'";
  SmallVector<std::string> regionNames;
  for (const auto &[name, attr] : schema->attributes())
    if (attr.type == AttributeProto::GRAPH)
      regionNames.push_back(name);
  llvm::sort(regionNames, std::greater<>());
  for (NamedAttribute attr : op->getAttrs()) {
    std::string name = onnx::getOnnxAttrName(attr.getName()).str();
    auto known = schema->attributes().find(name);
    if (known == schema->attributes().end())
      continue; // ours, not ONNX's
    // A default says nothing, and may name an attribute that an older opset does not know.
    AttributeProto value;
    if (!known->second.required && !isa<ElementsAttr>(attr.getValue()) &&
        onnx::setAttribute(attr.getValue(), value, known->second.type)) {
      value.set_name(known->second.default_value.name());
      if (value.SerializeAsString() == known->second.default_value.SerializeAsString())
        continue;
    }
    if (failed(add(name, attr.getValue(), known->second.type)))
      return failure();
  }
  if (regionNames.size() != op->getNumRegions())
    return onnx::emitNodeError(op) << "expected " << regionNames.size() << " graphs, got " << op->getNumRegions();
  for (auto [name, region] : llvm::zip(regionNames, op->getRegions())) {
    AttributeProto *attr = node.add_attribute();
    attr->set_name(name);
    attr->set_type(AttributeProto::GRAPH);
    if (failed(writeRegion(region, *attr->mutable_g(), name)))
      return failure();
  }
  return success();
}

LogicalResult GraphWriter::writeOp(Operation *op, GraphProto &graph) {
  if (isa<onnx::NoValueOp>(op))
    return success();
  if (auto constant = dyn_cast<onnx::ConstantOp>(op)) {
    TensorProto *tensor = graph.add_initializer();
    if (failed(writeTensor(constant.getValueAttr(), *tensor, op->getLoc())))
      return failure();
    tensor->set_name(nameOf(op->getResult(0)));
    return success();
  }
  if (!isa_and_nonnull<onnx::OnnxDialect>(op->getDialect()))
    return onnx::emitNodeError(op->getLoc())
           << "cannot be written as ONNX: expected operations of the onnx dialect, got '"
           << op->getName().getStringRef() << "'";
  NodeProto *node = graph.add_node();
  node->set_op_type(onnx::getOpType(op).str());
  node->set_domain(onnx::getDomain(op).str());
  if (StringRef name = onnx::getNodeName(op); !name.empty())
    node->set_name(freshNode(name));
  if (auto custom = dyn_cast<onnx::CustomOp>(op)) {
    int64_t version = custom.getSinceVersion().value_or(1);
    domains.try_emplace(node->domain(), version);
  } else if (!node->domain().empty()) {
    const OpSchema *schema = ::onnx::OpSchemaRegistry::Schema(node->op_type(), node->domain());
    int64_t &version = domains[node->domain()];
    version = std::max<int64_t>(version, schema ? schema->SinceVersion() : 1);
  }
  if (isa<onnx::QuantizeLinearOp, onnx::DequantizeLinearOp>(op)) {
    hasQuantization = true;
    auto block = op->getAttrOfType<IntegerAttr>("block_size");
    auto isSmall = [](Type type) { return isa<IntegerType>(type) && type.getIntOrFloatBitWidth() < 8; };
    hasBlocks |= (block && block.getInt()) || isSmall(getElementTypeOrSelf(op->getOperand(0).getType())) ||
                 isSmall(getElementTypeOrSelf(op->getResult(0).getType()));
  }
  auto list = [&](ValueRange values, auto *out) {
    unsigned count = values.size();
    while (count && onnx::isNone(values[count - 1]))
      --count;
    for (Value value : values.take_front(count))
      *out->Add() = nameOf(value);
  };
  list(op->getOperands(), node->mutable_input());
  list(op->getResults(), node->mutable_output());
  if (node->output_size() == 0)
    for (Value result : op->getResults())
      node->add_output(fresh(wishedName(result))); // every result unused and absent: ONNX still wants one
  // Inference cannot find again what an opaque node gives.
  if (isa<onnx::CustomOp>(op))
    for (Value result : op->getResults())
      if (!onnx::isNone(result) && !isa<onnx::AnyType>(result.getType()) &&
          failed(writeInfo(result, nameOf(result), *graph.add_value_info(), op->getLoc())))
        return failure();
  return writeAttrs(op, *node);
}

LogicalResult GraphWriter::writeBlock(Block &block, GraphProto &graph, ValueRange outputs,
                                      ArrayRef<std::string> outputNames) {
  // A value that is an output under one name is called that from the start.
  SmallVector<char> direct;
  for (auto [value, name] : llvm::zip(outputs, outputNames)) {
    Operation *op = value.getDefiningOp();
    // A branch may give back an initializer of its own.
    bool held = isa_and_nonnull<onnx::ConstantOp>(op) && isa_and_nonnull<onnx::IfOp>(block.getParentOp());
    bool own =
        op && op->getBlock() == &block && (held || !isa<onnx::ConstantOp, onnx::NoValueOp>(op)) && !names.count(value);
    if (own)
      names[value] = name;
    direct.push_back(own);
  }
  for (Operation &op : block.without_terminator())
    if (failed(writeOp(&op, graph)))
      return failure();
  for (auto [value, name, isDirect] : llvm::zip(outputs, outputNames, direct)) {
    if (onnx::isNone(value))
      return onnx::emitNodeError(block.getTerminator())
             << "expected a value for output '" << name << "', got an absent one";
    if (!isDirect) {
      NodeProto *identity = graph.add_node();
      identity->set_op_type("Identity");
      identity->add_input(nameOf(value));
      identity->add_output(name);
    }
    if (failed(writeInfo(value, name, *graph.add_output(), value.getLoc())))
      return failure();
  }
  return success();
}

LogicalResult GraphWriter::writeRegion(Region &region, GraphProto &graph, StringRef name) {
  if (!region.hasOneBlock() || !isa<onnx::YieldOp>(region.front().getTerminator()))
    return onnx::emitNodeError(region.getLoc()) << "expected a subgraph of one block that ends in onnx.Yield";
  Block &block = region.front();
  graph.set_name(name.str());
  for (Value arg : block.getArguments())
    if (failed(writeInfo(arg, nameOf(arg), *graph.add_input(), region.getLoc())))
      return failure();
  ValueRange outputs = block.getTerminator()->getOperands();
  SmallVector<std::string> outputNames;
  for (Value value : outputs)
    outputNames.push_back(fresh(wishedName(value)));
  return writeBlock(block, graph, outputs, outputNames);
}

LogicalResult GraphWriter::writeMain(Operation *operation, GraphProto &graph) {
  auto function = cast<func::FuncOp>(operation);
  if (!function.getBody().hasOneBlock())
    return onnx::emitNodeError(operation->getLoc()) << "cannot be written as ONNX: expected a function of one block";
  Block &block = function.getBody().front();
  // The interface's names come first: nothing inside may take them.
  for (BlockArgument arg : block.getArguments()) {
    auto name = function.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "onnx.name");
    names[arg] = fresh(name ? name.getValue() : "input");
  }
  SmallVector<std::string> outputNames;
  for (unsigned i = 0; i < function.getNumResults(); ++i) {
    auto name = function.getResultAttrOfType<StringAttr>(i, "onnx.name");
    outputNames.push_back(fresh(name ? name.getValue() : "output"));
  }
  for (BlockArgument arg : block.getArguments())
    if (failed(writeInfo(arg, names[arg], *graph.add_input(), arg.getLoc())))
      return failure();
  return writeBlock(block, graph, block.getTerminator()->getOperands(), outputNames);
}

} // namespace burin
