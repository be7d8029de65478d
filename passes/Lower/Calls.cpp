// Nodes that a C function computes. The status it returns is one more result, checked where the program goes on: a
// failure ends the run (BURIN_ERROR_CALL). Nothing here knows what a function does.
#include "passes/Lower/Calls.h"

#include "burin/runtime.h"
#include "dialects/Onnx/DataType.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "llvm/ADT/StringSet.h"

using namespace mlir;

namespace burin::lower {

bool isString(Type type) { return isa<onnx::StringType>(getElementTypeOrSelf(type)); }

Argument argument(Lowering &l, Value operand) {
  if (l.isAbsent(operand))
    return {};
  return {l.getIdentity(operand), onnx::getDataType(getElementTypeOrSelf(operand.getType()))};
}

Argument broadcastArgument(Lowering &l, Value operand, ArrayRef<int64_t> shape) {
  Argument plain = argument(l, operand);
  if (l.shape(operand) == shape)
    return plain;
  auto [tensor, map] = l.broadcast(operand, shape, identityOrder(shape.size()));
  plain.tensor = l.map(Shaped(shape, l.element(operand)), tensor, map,
                       [](ImplicitLocOpBuilder &, ValueRange args) { return args[0]; });
  return plain;
}

DictionaryAttr nodeAttributes(Operation *op) {
  SmallVector<NamedAttribute> attributes;
  DictionaryAttr all = op->getAttrDictionary();
  if (auto custom = dyn_cast<onnx::CustomOp>(op))
    all = custom.getNodeAttributes();
  for (NamedAttribute attribute : all)
    if (!isa<TypeAttr>(attribute.getValue()))
      attributes.push_back(attribute);
  return DictionaryAttr::get(op->getContext(), attributes);
}

/// `own`: a status that ends the run as it is, or BURIN_OK.
static void checkStatus(Lowering &l, Value status, StringRef callee, int32_t own) {
  Value code = tensor::ExtractOp::create(l.b, status, ValueRange());
  auto check = [&](arith::CmpIPredicate predicate, int32_t with, int32_t ends) {
    Value ok = arith::CmpIOp::create(l.b, predicate, code, arith::ConstantOp::create(l.b, l.b.getI32IntegerAttr(with)));
    auto assertion = cf::AssertOp::create(l.b, ok, ("the function " + callee + " fails").str());
    assertion->setAttr("burin.status", l.b.getI32IntegerAttr(ends));
  };
  // Of several checks that fail the last one tells the status.
  check(arith::CmpIPredicate::eq, BURIN_OK, BURIN_ERROR_CALL);
  if (own != BURIN_OK)
    check(arith::CmpIPredicate::ne, own, own);
}

/// The call itself; what it gives, without the status.
static SmallVector<Value> makeCall(Lowering &l, StringRef callee, ArrayRef<Argument> inputs, ArrayRef<Value> inits,
                                   ArrayRef<int32_t> outputTypes, DenseI32ArrayAttr ranks, DictionaryAttr attributes,
                                   int32_t ownStatus) {
  SmallVector<Value> tensors, all(inits);
  SmallVector<int32_t> dtypes;
  for (const Argument &input : inputs) {
    tensors.push_back(input.tensor ? input.tensor : l.empty(RankedTensorType::get({0}, l.b.getI8Type())));
    dtypes.push_back(input.tensor ? input.dtype : BURIN_UNDEFINED);
  }
  dtypes.append(outputTypes.begin(), outputTypes.end());
  all.push_back(l.empty(RankedTensorType::get({}, l.b.getI32Type())));
  Value context = foreign::ContextOp::create(l.b, l.b.getI64Type());
  auto call = foreign::CallOp::create(l.b, ValueRange(all).getTypes(), context, tensors, all, callee, dtypes, ranks,
                                      attributes);
  checkStatus(l, call.getResults().back(), callee, ownStatus);
  return SmallVector<Value>(call.getResults().drop_back());
}

/// Dims that only the function knows: it is asked for them in a call of their own, before that for the data.
static void askDims(Lowering &l, StringRef callee, ArrayRef<Argument> inputs, ArrayRef<Value> results,
                    ArrayRef<int32_t> dtypes, DictionaryAttr attributes) {
  SmallVector<int32_t> ranks;
  int64_t total = 0;
  for (Value result : results) {
    ranks.push_back(cast<RankedTensorType>(result.getType()).getRank());
    total += ranks.back();
  }
  Value init = l.empty(RankedTensorType::get({total}, l.b.getI64Type()));
  Value told = makeCall(l, callee, inputs, init, dtypes, l.b.getDenseI32ArrayAttr(ranks), attributes, BURIN_OK).front();
  int64_t next = 0;
  for (auto [result, rank] : llvm::zip_equal(results, ranks)) {
    Dims shape(l.shape(result));
    for (int32_t d = 0; d < rank; ++d, ++next) {
      if (!ShapedType::isDynamic(shape[d]))
        continue;
      Value at = arith::ConstantIndexOp::create(l.b, next);
      Value size = tensor::ExtractOp::create(l.b, told, at);
      shape[d] = l.extents.symbol(arith::IndexCastOp::create(l.b, l.b.getIndexType(), size));
    }
    l.setShape(result, shape);
  }
}

LogicalResult callFunction(Lowering &l, Operation *op, StringRef callee, ArrayRef<Argument> inputs, ValueRange results,
                           DictionaryAttr attributes, int32_t ownStatus) {
  SmallVector<Value> present, inits;
  SmallVector<int32_t> dtypes;
  for (Value result : results) {
    if (l.isAbsent(result))
      continue;
    auto type = dyn_cast<RankedTensorType>(result.getType());
    if (!type)
      return l.unsupported(op, "a result of unknown rank; declare its shape in the model (value_info)");
    present.push_back(result);
    dtypes.push_back(onnx::getDataType(type.getElementType()));
  }
  if (llvm::any_of(present, [&](Value v) { return ShapedType::isDynamicShape(l.shape(v)); }))
    askDims(l, callee, inputs, present, dtypes, attributes);
  for (Value result : present)
    inits.push_back(l.empty(l.typeIn(result, identityOrder(l.rank(result)))));
  for (auto [result, value] :
       llvm::zip_equal(present, makeCall(l, callee, inputs, inits, dtypes, {}, attributes, ownStatus)))
    l.set(result, value);
  return success();
}

Value stringConstant(Lowering &l, Value v, ArrayRef<int64_t> order) {
  auto attr = dyn_cast<DenseStringElementsAttr>(l.constant(v));
  Dims shape(l.shape(v));
  SmallVector<StringRef> texts;
  if (attr)
    texts.assign(attr.getValues<StringRef>().begin(), attr.getValues<StringRef>().end());
  Value init = l.empty(shape, l.element(v));
  auto attributes = l.b.getDictionaryAttr(l.b.getNamedAttr("value", l.b.getStrArrayAttr(texts)));
  Value whole = makeCall(l, "burin_string_constant", {}, init, {BURIN_STRING}, {}, attributes, BURIN_OK).front();
  return l.transpose(whole, order);
}

bool takesStrings(Operation *op) {
  static const llvm::StringSet<> names = {"Cast",           "CastLike",
                                          "CategoryMapper", "Concat",
                                          "Custom",         "DepthToSpace",
                                          "Equal",          "Expand",
                                          "Flatten",        "Gather",
                                          "GatherElements", "GatherND",
                                          "Identity",       "If",
                                          "LabelEncoder",   "Loop",
                                          "OneHotEncoder",  "RegexFullMatch",
                                          "Reshape",        "ScatterElements",
                                          "ScatterND",      "Shape",
                                          "Size",           "Slice",
                                          "Split",          "Squeeze",
                                          "StringConcat",   "StringNormalizer",
                                          "StringSplit",    "TfIdfVectorizer",
                                          "Tile",           "Transpose",
                                          "Unsqueeze",      "Where"};
  return names.contains(isa<onnx::CustomOp>(op) ? StringRef("Custom") : onnx::getOpType(op));
}

//===--- operators that the user binds ---===//

/// A bound operator carries the name of its function.
static LogicalResult lowerCustom(Lowering &l, Operation *op) {
  auto custom = cast<onnx::CustomOp>(op);
  auto callee = op->getAttrOfType<StringAttr>(onnx::calleeAttr);
  if (!callee)
    return l.error(op) << "operator of domain '" << custom.getDomain()
                       << "' is not known; bind it to a C function with --custom-op=" << custom.getDomain()
                       << (custom.getDomain().empty() ? "" : ".") << custom.getOpType()
                       << "=FUNCTION, or give it a function body in the model";
  if (!custom.getBodies().empty())
    return l.unsupported(op, "graphs as attributes of an operator that a C function computes");
  SmallVector<Argument> inputs;
  for (Value operand : op->getOperands())
    inputs.push_back(argument(l, operand));
  // What the compiler makes itself says more of what is wrong.
  bool takesRegion = custom.getDomain() == "burin" && custom.getOpType() == "ImageStage" && inputs.size() == 2;
  return callFunction(l, op, callee, inputs, op->getResults(), nodeAttributes(op),
                      takesRegion ? BURIN_ERROR_REGION : BURIN_OK);
}

/// An image file: bytes in, pixels out.
static LogicalResult lowerImageDecoder(Lowering &l, Operation *op) {
  return callFunction(l, op, "burin_decode_image", argument(l, op->getOperand(0)), op->getResults(),
                      nodeAttributes(op));
}

void populateCallLowerings(Registry &registry) {
  registry.add("onnx.Custom", lowerCustom);
  registry.add("onnx.ImageDecoder", lowerImageDecoder);
}

} // namespace burin::lower
