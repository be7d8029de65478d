// Names, locations and types: what an onnx operation says about the node it came from.
#include "dialects/Onnx/OnnxUtils.h"

using namespace mlir;

namespace burin::onnx {

int64_t getOpset(Operation *op) {
  while (op && !isa<ModuleOp>(op))
    op = op->getParentOp();
  if (op)
    if (auto opset = op->getAttrOfType<IntegerAttr>("onnx.opset"))
      return opset.getInt();
  return 28;
}

bool isNone(Value value) { return !value || isa<NoneType>(value.getType()); }

StringRef getDimName(Type type, unsigned dim) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  auto dims = tensor ? dyn_cast_or_null<DimsAttr>(tensor.getEncoding()) : DimsAttr();
  if (!dims || dim >= dims.getNames().size())
    return {};
  return cast<StringAttr>(dims.getNames()[dim]).getValue();
}

RankedTensorType getTensorType(ArrayRef<int64_t> shape, Type elementType, ArrayRef<StringRef> names) {
  MLIRContext *context = elementType.getContext();
  SmallVector<Attribute> attrs;
  bool named = false;
  for (auto [i, size] : llvm::enumerate(shape)) {
    StringRef name = ShapedType::isDynamic(size) && i < names.size() ? names[i] : StringRef();
    named |= !name.empty();
    attrs.push_back(StringAttr::get(context, name));
  }
  return RankedTensorType::get(shape, elementType,
                               named ? DimsAttr::get(context, ArrayAttr::get(context, attrs)) : Attribute());
}

StringRef getOpType(Operation *op) {
  if (auto custom = dyn_cast<CustomOp>(op))
    return custom.getOpType();
  StringRef name = op->getName().stripDialect();
  name.consume_front("ml.");
  return name;
}

StringRef getDomain(Operation *op) {
  if (auto custom = dyn_cast<CustomOp>(op))
    return custom.getDomain();
  return op->getName().stripDialect().starts_with("ml.") ? "ai.onnx.ml" : "";
}

std::optional<NodeInfo> getNodeInfo(Location loc) {
  if (auto fused = dyn_cast<FusedLoc>(loc)) {
    for (Location part : fused.getLocations())
      if (auto info = getNodeInfo(part))
        return info;
    return std::nullopt;
  }
  if (auto call = dyn_cast<CallSiteLoc>(loc))
    return getNodeInfo(call.getCallee());
  auto name = dyn_cast<NameLoc>(loc);
  if (!name)
    return std::nullopt;
  auto kind = dyn_cast<NameLoc>(name.getChildLoc());
  auto file = kind ? dyn_cast<FileLineColLoc>(kind.getChildLoc()) : FileLineColLoc();
  if (!file)
    return getNodeInfo(name.getChildLoc());
  return NodeInfo{name.getName().getValue(), kind.getName().getValue(), file.getFilename().getValue(), file.getLine()};
}

Location getNodeLoc(MLIRContext *context, const NodeInfo &info) {
  Location file = FileLineColLoc::get(context, info.file, info.index, 0);
  return NameLoc::get(StringAttr::get(context, info.name), NameLoc::get(StringAttr::get(context, info.kind), file));
}

StringRef getNodeName(Operation *op) {
  auto info = getNodeInfo(op->getLoc());
  return info ? info->name : StringRef();
}

InFlightDiagnostic emitNodeError(Operation *op) {
  // A node of a .mlir file has a position but no name: the operator's own name says more than nothing.
  if (!getNodeInfo(op->getLoc()))
    return emitError(op->getLoc()) << getOpType(op) << ": ";
  return emitError(op->getLoc());
}

InFlightDiagnostic emitNodeError(Location loc) { return emitError(loc); }

} // namespace burin::onnx
