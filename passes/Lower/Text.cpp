// The Text family: operators on strings. An element is a pointer to a string that never changes
// (runtime/hosted/text.h), so that what only moves elements needs nothing here; what makes strings or looks into them
// is a C function.
#include "passes/Lower/Calls.h"

#include "burin/runtime.h"
#include "runtime/hosted/pattern.h"

using namespace mlir;

namespace burin::lower {
namespace {

constexpr char concatName[] = "burin_string_concat", equalName[] = "burin_string_equal",
               splitName[] = "burin_string_split", normalizeName[] = "burin_string_normalize",
               matchName[] = "burin_string_match", tfIdfName[] = "burin_tf_idf";

DictionaryAttr noAttributes(Lowering &l) { return l.b.getDictionaryAttr({}); }

/// The operand as it is, the node's own attributes.
template <const char *callee> LogicalResult lowerPlain(Lowering &l, Operation *op) {
  return callFunction(l, op, callee, argument(l, op->getOperand(0)), op->getResults(), nodeAttributes(op));
}

/// Two operands that broadcast.
template <const char *callee> LogicalResult lowerPair(Lowering &l, Operation *op) {
  Dims shape(l.shape(op->getResult(0)));
  Argument both[] = {broadcastArgument(l, op->getOperand(0), shape), broadcastArgument(l, op->getOperand(1), shape)};
  return callFunction(l, op, callee, both, op->getResults(), noAttributes(l));
}

/// The pattern is read here too, so that a wrong one is an error of compiling.
LogicalResult lowerMatch(Lowering &l, Operation *op) {
  auto text = op->getAttrOfType<StringAttr>("pattern");
  char why[200];
  burin_pattern *pattern = burin_pattern_create(text ? text.data() : "", text ? text.size() : 0, why, sizeof why);
  if (!pattern)
    return l.error(op) << "expected a regular expression in RE2's syntax, got '" << (text ? text.getValue() : "")
                       << "': " << why;
  burin_pattern_destroy(pattern);
  return lowerPlain<matchName>(l, op);
}

/// Cast and CastLike with strings on one side; half floats go through f32.
LogicalResult lowerCast(Lowering &l, Operation *op) {
  Value from = op->getOperand(0), to = op->getResult(0);
  Type a = getElementTypeOrSelf(from.getType()), b = getElementTypeOrSelf(to.getType());
  auto isPlain = [](Type type) { return isString(type) || isa<IntegerType>(type) || type.isF32() || type.isF64(); };
  if (isString(a) && isString(b)) {
    l.set(to, l.get(from));
    return success();
  }
  if (!isPlain(a) || !isPlain(b) || (isa<IntegerType>(a) && a.getIntOrFloatBitWidth() < 8 && !a.isInteger(1)) ||
      (isa<IntegerType>(b) && b.getIntOrFloatBitWidth() < 8))
    return l.unsupported(op, "strings to or from this type; float, double and integers of 8 bits and more work");
  return callFunction(l, op, "burin_string_cast", argument(l, from), to, noAttributes(l));
}

/// The list that an attribute holds in one of its forms: i64, f64 or strings; null where it is none.
Attribute listOf(OpBuilder &b, Attribute attr) {
  if (!attr)
    return {};
  if (auto one = dyn_cast<IntegerAttr>(attr))
    return b.getDenseI64ArrayAttr({one.getInt()});
  if (auto one = dyn_cast<FloatAttr>(attr))
    return b.getDenseF64ArrayAttr({one.getValueAsDouble()});
  if (auto one = dyn_cast<StringAttr>(attr))
    return b.getArrayAttr({one});
  if (auto floats = dyn_cast<DenseF32ArrayAttr>(attr))
    return b.getDenseF64ArrayAttr(llvm::map_to_vector(floats.asArrayRef(), [](float f) { return double(f); }));
  if (auto strings = dyn_cast<DenseStringElementsAttr>(attr))
    return b.getStrArrayAttr(llvm::to_vector(strings.getValues<StringRef>()));
  if (auto elements = dyn_cast<ElementsAttr>(attr)) {
    if (auto ints = onnx::readInts(elements))
      return b.getDenseI64ArrayAttr(*ints);
    if (auto dense = dyn_cast<DenseElementsAttr>(attr); dense && dense.getElementType().isF64())
      return b.getDenseF64ArrayAttr(
          llvm::map_to_vector(dense.getValues<APFloat>(), [](const APFloat &f) { return f.convertToDouble(); }));
    if (auto floats = onnx::readFloats(elements))
      return b.getDenseF64ArrayAttr(llvm::map_to_vector(*floats, [](float f) { return double(f); }));
    return {};
  }
  return attr;
}

/// The first of the named attributes that is there.
Attribute firstList(Lowering &l, Operation *op, ArrayRef<StringRef> names) {
  for (StringRef name : names)
    if (Attribute list = listOf(l.b, op->getAttr(name)))
      return list;
  return {};
}

LogicalResult callLabels(Lowering &l, Operation *op, StringRef callee, Attribute keys, Attribute values,
                         Attribute missing, ArrayRef<NamedAttribute> more = {}) {
  SmallVector<NamedAttribute> attributes(more);
  if (!keys)
    return l.error(op) << "expected a list of keys, got none";
  for (auto [name, list] : {std::pair{"keys", keys}, {"values", values}, {"missing", missing}})
    if (list)
      attributes.push_back(l.b.getNamedAttr(name, list));
  return callFunction(l, op, callee, argument(l, op->getOperand(0)), op->getResults(),
                      l.b.getDictionaryAttr(attributes));
}

LogicalResult lowerLabelEncoder(Lowering &l, Operation *op) {
  Attribute keys = firstList(l, op, {"keys_tensor", "keys_strings", "keys_int64s", "keys_floats"});
  Attribute values = firstList(l, op, {"values_tensor", "values_strings", "values_int64s", "values_floats"});
  Attribute missing = firstList(l, op, {"default_tensor"});
  if (!missing && isa_and_nonnull<ArrayAttr>(values)) {
    missing = firstList(l, op, {"default_string"});
    missing = missing ? missing : l.b.getStrArrayAttr({"_Unused"});
  } else if (!missing && isa_and_nonnull<DenseI64ArrayAttr>(values)) {
    missing = firstList(l, op, {"default_int64"});
    missing = missing ? missing : l.b.getDenseI64ArrayAttr({-1});
  } else if (!missing) {
    missing = firstList(l, op, {"default_float"});
    missing = missing ? missing : l.b.getDenseF64ArrayAttr({-0.0});
  }
  if (!values)
    return l.error(op) << "expected a list of values, got none";
  return callLabels(l, op, "burin_label_encode", keys, values, missing);
}

LogicalResult lowerCategoryMapper(Lowering &l, Operation *op) {
  Attribute ints = firstList(l, op, {"cats_int64s"}), strings = firstList(l, op, {"cats_strings"});
  if (isString(op->getOperand(0).getType())) {
    Attribute missing = firstList(l, op, {"default_int64"});
    return callLabels(l, op, "burin_label_encode", strings, ints,
                      missing ? missing : Attribute(l.b.getDenseI64ArrayAttr({-1})));
  }
  Attribute missing = firstList(l, op, {"default_string"});
  return callLabels(l, op, "burin_label_encode", ints, strings,
                    missing ? missing : Attribute(l.b.getStrArrayAttr({"_Unused"})));
}

LogicalResult lowerOneHotEncoder(Lowering &l, Operation *op) {
  bool isText = isString(op->getOperand(0).getType());
  Attribute keys = firstList(l, op, {isText ? "cats_strings" : "cats_int64s"});
  SmallVector<NamedAttribute> more;
  if (Attribute zeros = op->getAttr("zeros"))
    more.push_back(l.b.getNamedAttr("zeros", zeros));
  return callLabels(l, op, "burin_label_one_hot", keys, {}, {}, more);
}

/// Where an operand or result is a string `lower` computes the node, else what there was before.
void addForStrings(Registry &registry, StringRef name, Registry::Function lower) {
  const Registry::Function *found = registry.find(name);
  Registry::Function before = found ? *found : Registry::Function();
  registry.add(name, [lower, before](Lowering &l, Operation *op) -> LogicalResult {
    bool hasStrings = llvm::any_of(op->getOperandTypes(), isString) || llvm::any_of(op->getResultTypes(), isString);
    if (hasStrings || !before)
      return lower(l, op);
    return before(l, op);
  });
}

} // namespace

void populateTextLowerings(Registry &registry) {
  registry.add("onnx.StringConcat", lowerPair<concatName>);
  registry.add("onnx.StringSplit", lowerPlain<splitName>);
  registry.add("onnx.StringNormalizer", lowerPlain<normalizeName>);
  registry.add("onnx.RegexFullMatch", lowerMatch);
  registry.add("onnx.TfIdfVectorizer", lowerPlain<tfIdfName>);
  addForStrings(registry, "onnx.Equal", lowerPair<equalName>);
  addForStrings(registry, "onnx.Cast", lowerCast);
  addForStrings(registry, "onnx.CastLike", lowerCast);
  addForStrings(registry, "onnx.ml.LabelEncoder", lowerLabelEncoder);
  addForStrings(registry, "onnx.ml.CategoryMapper", lowerCategoryMapper);
  addForStrings(registry, "onnx.ml.OneHotEncoder", lowerOneHotEncoder);
}

} // namespace burin::lower
