// The onnx dialect itself: registration, types, attributes and the few operators written by hand. The generated
// operators compile in Ops<i>.cpp, in shards, because one file of all of them takes 40 s and 0.8 GB.
#include "dialects/Onnx/Onnx.h"

#include "mlir/IR/TypeUtilities.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

#include "dialects/Onnx/OnnxDialect.cpp.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/Onnx/OnnxTypes.cpp.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Onnx/OnnxAttrs.cpp.inc"

namespace burin::onnx {

void OnnxDialect::initialize() {
  registerOnnxDialectOperations(this);
  addTypes<
#define GET_TYPEDEF_LIST
#include "dialects/Onnx/OnnxTypes.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Onnx/OnnxAttrs.cpp.inc"
      >();
}

Operation *OnnxDialect::materializeConstant(OpBuilder &builder, Attribute value, Type type, Location loc) {
  if (isa<UnitAttr>(value) && isa<NoneType>(type))
    return NoValueOp::create(builder, loc);
  auto elements = dyn_cast<ElementsAttr>(value);
  if (!elements)
    return nullptr;
  return ConstantOp::create(builder, loc, TypeRange(type), ValueRange(), builder.getNamedAttr("value", elements));
}

LogicalResult DimsAttr::verify(function_ref<InFlightDiagnostic()> emitError, ArrayAttr names) {
  for (Attribute name : names)
    if (!isa<StringAttr>(name))
      return emitError() << "expected a string for each dimension, got " << name;
  return success();
}

LogicalResult DimsAttr::verifyEncoding(ArrayRef<int64_t> shape, Type,
                                       function_ref<InFlightDiagnostic()> emitError) const {
  if (getNames().size() != shape.size())
    return emitError() << "expected " << shape.size() << " dimension names, got " << getNames().size();
  for (auto [size, name] : llvm::zip_equal(shape, getNames().getAsRange<StringAttr>()))
    if (!ShapedType::isDynamic(size) && !name.empty())
      return emitError() << "expected no name for a static dimension, got '" << name.getValue() << "'";
  return success();
}

OpFoldResult ConstantOp::fold(FoldAdaptor) { return getValueAttr(); }

OpFoldResult NoValueOp::fold(FoldAdaptor) { return UnitAttr::get(getContext()); }

// `onnx.Constant dense<1> : tensor<2xi64>`; the result's type is spelled once more only where it differs.
void ConstantOp::print(OpAsmPrinter &printer) {
  printer << ' ' << getValueAttr();
  if (getType() != getValueAttr().getShapedType())
    printer << " as " << getType();
  printer.printOptionalAttrDict((*this)->getAttrs(), {"value"});
}

ParseResult ConstantOp::parse(OpAsmParser &parser, OperationState &result) {
  ElementsAttr value;
  Type type;
  if (parser.parseAttribute(value, "value", result.attributes))
    return failure();
  type = value.getShapedType();
  if (succeeded(parser.parseOptionalKeyword("as")) && parser.parseType(type))
    return failure();
  result.addTypes(type);
  return parser.parseOptionalAttrDict(result.attributes);
}

LogicalResult ConstantOp::verify() {
  auto type = dyn_cast<ShapedType>(getType());
  ShapedType held = getValueAttr().getShapedType();
  if (!type || type.getElementType() != held.getElementType() ||
      (type.hasRank() && failed(verifyCompatibleShape(type.getShape(), held.getShape()))))
    return emitOpError() << "expected a result of type " << held << ", got " << getType();
  return success();
}

LogicalResult CustomOp::verify() {
  size_t names = getGraphNames() ? getGraphNames()->size() : 0;
  if (names != getBodies().size())
    return emitOpError() << "expected a name for each of " << getBodies().size() << " graphs, got " << names;
  return success();
}

} // namespace burin::onnx
