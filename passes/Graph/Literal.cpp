// Literals: constants as host bytes, in and out of attributes. Every read tolerates any alignment, because weights lie
// in the mapped model file wherever protobuf put them.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Numbers.h"
#include "passes/Graph/Rewriting.h"

#include <cstring>

using namespace mlir;

namespace burin::graph {

std::optional<Literal> readLiteral(ElementsAttr attr) {
  auto type = attr ? dyn_cast<RankedTensorType>(attr.getShapedType()) : RankedTensorType();
  if (!type || !byteWidth(type.getElementType()))
    return std::nullopt;
  auto raw = onnx::getRawElements(attr);
  if (!raw)
    return std::nullopt;
  Literal literal;
  literal.type = RankedTensorType::get(type.getShape(), type.getElementType());
  literal.splat = raw->splat;
  literal.bytes = raw->bytes;
  literal.owner = raw->owned;
  literal.attr = attr;
  return literal;
}

Literal makeLiteral(RankedTensorType type, bool splat, char *&data) {
  Literal literal;
  literal.type = RankedTensorType::get(type.getShape(), type.getElementType());
  literal.splat = splat && type.getNumElements() > 0;
  size_t size = byteWidth(type.getElementType()) * (literal.splat ? 1 : type.getNumElements());
  // 64 bytes: vector loads of whoever reads the constant next.
  void *memory = llvm::allocate_buffer(std::max<size_t>(size, 1), 64);
  literal.owner =
      std::shared_ptr<void>(memory, [size](void *p) { llvm::deallocate_buffer(p, std::max<size_t>(size, 1), 64); });
  data = static_cast<char *>(memory);
  literal.bytes = ArrayRef<char>(data, size);
  return literal;
}

ElementsAttr toAttr(const Literal &literal, StringRef name) {
  if (literal.attr && literal.attr.getShapedType() == literal.type)
    return literal.attr;
  if (literal.splat) {
    Type element = literal.type.getElementType();
    if (element.isInteger(1))
      return DenseElementsAttr::get(literal.type, literal.bytes[0] != 0);
    return DenseElementsAttr::getFromRawBuffer(literal.type, literal.bytes);
  }
  return onnx::makeConstantAttr(literal.type, literal.bytes, name, literal.owner);
}

Literal reshaped(const Literal &literal, RankedTensorType type) {
  Literal result = literal;
  result.type = RankedTensorType::get(type.getShape(), literal.type.getElementType());
  result.attr = nullptr;
  if (auto resource = dyn_cast_or_null<DenseResourceElementsAttr>(literal.attr))
    result.attr = DenseResourceElementsAttr::get(result.type, resource.getRawHandle());
  return result;
}

std::optional<SmallVector<int64_t>> integers(const Literal &literal) {
  Number number = numberOf(literal.type.getElementType());
  if (number == Number::None || isFloat(number))
    return std::nullopt;
  SmallVector<int64_t> values(literal.count());
  load(number, literal.bytes.data(), literal.splat, values.data(), values.size());
  return values;
}

std::optional<SmallVector<double>> doubles(const Literal &literal) {
  Number number = numberOf(literal.type.getElementType());
  if (number == Number::None)
    return std::nullopt;
  SmallVector<double> values(literal.count());
  load(number, literal.bytes.data(), literal.splat, values.data(), values.size());
  return values;
}

template <typename T> static Literal fromValues(RankedTensorType type, ArrayRef<T> values) {
  bool splat = !values.empty() && llvm::all_equal(values);
  // Zeros of both signs compare equal and are not the same constant.
  if (splat && values.front() == T(0))
    for (T value : values)
      splat &= std::memcmp(&value, &values.front(), sizeof(T)) == 0;
  char *data;
  Literal literal = makeLiteral(type, splat, data);
  store(numberOf(type.getElementType()), values.data(), data, splat ? 1 : values.size());
  return literal;
}

Literal fromDoubles(RankedTensorType type, ArrayRef<double> values) { return fromValues(type, values); }
Literal fromIntegers(RankedTensorType type, ArrayRef<int64_t> values) { return fromValues(type, values); }

std::optional<SmallVector<Literal>> fold(Operation *op, ArrayRef<std::optional<Literal>> operands,
                                         ArrayRef<RankedTensorType> results) {
  if (results.size() == 1)
    if (auto literal = foldElementwise(op, operands, results[0]))
      return SmallVector<Literal>{*literal};
  return foldMovement(op, operands, results);
}

Value foldOrKeep(Operation *op) {
  if (!op)
    return {};
  SmallVector<std::optional<Literal>> operands;
  for (Value operand : op->getOperands()) {
    std::optional<Literal> literal;
    if (!onnx::isNone(operand)) {
      literal = readLiteral(onnx::getConstantAttr(operand));
      if (!literal)
        return op->getResult(0);
    }
    operands.push_back(literal);
  }
  RankedTensorType type = staticType(op->getResult(0));
  if (!type)
    return op->getResult(0);
  auto folded = fold(op, operands, type);
  if (!folded)
    return op->getResult(0);
  OpBuilder builder(op);
  Value value = constant(builder, op->getLoc(), toAttr(folded->front(), onnx::getNodeName(op)));
  op->getResult(0).replaceAllUsesWith(value);
  eraseDead(op);
  return value;
}

} // namespace burin::graph
