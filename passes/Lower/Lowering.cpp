// Orders, constants and the building blocks that all lowering families share (see Lowering.h for the idea).
// Nothing here knows an operator.
#include "passes/Lower/Lowering.h"
#include "passes/Lower/Calls.h"
#include "passes/Lower/Narrow.h"
#include "passes/Lower/Tensor.h"

#include "mlir/Dialect/Bufferization/IR/Bufferization.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"

#include <cstring>

using namespace mlir;

namespace burin::lower {

// Elements of an integer tensor beyond which it is data and not a shape.
static constexpr int64_t maxScalars = 64;

// --- Orders ---------------------------------------------------------------------------------------------------------

Order identityOrder(int64_t rank) { return llvm::to_vector<4>(llvm::seq<int64_t>(0, rank)); }

Order channelsLast(int64_t rank) {
  Order order = identityOrder(rank);
  if (rank >= 3)
    std::rotate(order.begin() + 1, order.begin() + 2, order.end());
  return order;
}

bool isIdentity(ArrayRef<int64_t> order) {
  for (auto [i, dim] : llvm::enumerate(order))
    if (dim != static_cast<int64_t>(i))
      return false;
  return true;
}

int64_t positionOf(ArrayRef<int64_t> order, int64_t dim) { return llvm::find(order, dim) - order.begin(); }

Dims permuted(ArrayRef<int64_t> shape, ArrayRef<int64_t> order) {
  Dims result;
  for (int64_t dim : order)
    result.push_back(shape[dim]);
  return result;
}

static Dims withoutUnits(ArrayRef<int64_t> shape, ArrayRef<int64_t> order) {
  Dims result;
  for (int64_t dim : order)
    if (shape[dim] != 1)
      result.push_back(dim);
  return result;
}

bool sameMemory(ArrayRef<int64_t> shape, ArrayRef<int64_t> a, ArrayRef<int64_t> b) {
  return withoutUnits(shape, a) == withoutUnits(shape, b);
}

Order withoutDims(ArrayRef<int64_t> order, llvm::function_ref<bool(int64_t)> keep) {
  Dims renumbered(order.size(), -1);
  int64_t next = 0;
  for (int64_t dim = 0; dim < static_cast<int64_t>(order.size()); ++dim)
    if (keep(dim))
      renumbered[dim] = next++;
  Order result;
  for (int64_t dim : order)
    if (renumbered[dim] >= 0)
      result.push_back(renumbered[dim]);
  return result;
}

int64_t normalizeAxis(int64_t axis, int64_t rank) { return axis < 0 ? axis + rank : axis; }

int64_t product(ArrayRef<int64_t> dims) {
  int64_t result = 1;
  if (llvm::is_contained(dims, 0))
    return 0;
  if (anyFree(dims))
    return -1;
  for (int64_t dim : dims)
    result *= dim;
  return result;
}

Shaped::operator RankedTensorType() const {
  Dims dims = shape;
  for (int64_t &dim : dims)
    if (isFree(dim))
      dim = ShapedType::kDynamic;
  return RankedTensorType::get(dims, element);
}

Type storageType(Type element) {
  if (isNarrow(element))
    return IntegerType::get(element.getContext(), 8);
  if (isString(element)) // a pointer
    return IntegerType::get(element.getContext(), 64);
  if (auto type = dyn_cast<IntegerType>(element); type && !type.isSignless())
    return IntegerType::get(type.getContext(), type.getWidth());
  return element;
}

// --- What a value is ------------------------------------------------------------------------------------------------

ArrayRef<int64_t> Lowering::shape(Value v) {
  auto it = shapes.find(v);
  return it != shapes.end() ? ArrayRef<int64_t>(it->second) : cast<RankedTensorType>(v.getType()).getShape();
}

Type Lowering::element(Value v) { return storageType(getElementTypeOrSelf(v.getType())); }

bool Lowering::isUnsigned(Value v) {
  Type type = getElementTypeOrSelf(v.getType());
  return type.isUnsignedInteger() || type.isInteger(1);
}

Shaped Lowering::typeIn(Value v, ArrayRef<int64_t> order) { return {permuted(shape(v), order), element(v)}; }

// --- Extents --------------------------------------------------------------------------------------------------------

int64_t Lowering::product(ArrayRef<int64_t> dims) {
  int64_t result = 1;
  for (int64_t dim : dims)
    result = mul(result, dim);
  return result;
}

OpFoldResult Lowering::fold(int64_t extent) {
  return isFree(extent) ? OpFoldResult(index(extent)) : OpFoldResult(b.getIndexAttr(extent));
}

SmallVector<OpFoldResult> Lowering::fold(ArrayRef<int64_t> extents) {
  SmallVector<OpFoldResult> result;
  for (int64_t extent : extents)
    result.push_back(fold(extent));
  return result;
}

Value Lowering::built(Value physical, ArrayRef<int64_t> shape) {
  if (anyFree(shape))
    builtShapes[physical] = Dims(shape);
  return physical;
}

Dims Lowering::extentsOf(Value physical) {
  auto it = builtShapes.find(physical);
  if (it != builtShapes.end())
    return it->second;
  Dims shape(cast<RankedTensorType>(physical.getType()).getShape());
  for (auto [dim, extent] : llvm::enumerate(shape))
    if (ShapedType::isDynamic(extent))
      extent = extents.symbol(tensor::DimOp::create(b, physical, dim));
  if (anyFree(shape))
    builtShapes[physical] = shape;
  return shape;
}

Shaped Lowering::typeOf(Value physical) {
  return {extentsOf(physical), cast<RankedTensorType>(physical.getType()).getElementType()};
}

bool Lowering::isVisible(ArrayRef<int64_t> shape) {
  Region *region = b.getInsertionBlock()->getParent();
  return llvm::all_of(shape, [&](int64_t extent) { return extents.isVisible(extent, region); });
}

int64_t Lowering::agree(int64_t x, int64_t y) {
  if (x == y)
    return x;
  if (extents.learnEqual(std::min(x, y), std::max(x, y))) {
    Value same = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, index(x), index(y));
    cf::AssertOp::create(b, same, "expected dims that are equal");
  }
  return isFree(x) ? y : x;
}

int64_t Lowering::broadcastExtent(int64_t x, int64_t y) { return x == 1 ? y : y == 1 ? x : agree(x, y); }

std::optional<Dims> Lowering::getScalars(Value v) {
  if (auto it = scalars.find(v); it != scalars.end())
    return it->second;
  if (isAbsent(v) || !isa<IntegerType>(getElementTypeOrSelf(v.getType())))
    return std::nullopt;
  ElementsAttr attr = constant(v);
  if (!attr || attr.getNumElements() > maxScalars)
    return std::nullopt;
  auto ints = onnx::readInts(attr);
  if (!ints)
    return std::nullopt;
  Dims elements(ints->begin(), ints->end());
  for (int64_t &element : elements) // what exporters write for "to the end" is no handle
    element = std::max(element, std::numeric_limits<int64_t>::min() / 4);
  return elements;
}

std::optional<Dims> Lowering::readScalars(Value v, bool isSize) {
  if (auto known = getScalars(v))
    return known;
  int64_t count = burin::lower::product(shape(v));
  if (rank(v) > 1 || count < 0 || count > maxScalars)
    return std::nullopt;
  Value tensor = getIdentity(v);
  Dims result;
  for (int64_t i = 0; i < count; ++i) {
    SmallVector<Value> at;
    if (rank(v))
      at.push_back(arith::ConstantIndexOp::create(b, i));
    Value element = tensor::ExtractOp::create(b, tensor, at);
    bool bit = element.getType().isInteger(1);
    Value value = bit || isUnsigned(v) ? Value(arith::IndexCastUIOp::create(b, b.getIndexType(), element))
                                       : Value(arith::IndexCastOp::create(b, b.getIndexType(), element));
    result.push_back(extents.symbol(value, isSize || bit || isUnsigned(v)));
  }
  scalars[v] = result;
  return result;
}

// --- Constants ------------------------------------------------------------------------------------------------------

ElementsAttr Lowering::constant(Value v) {
  if (isAbsent(v))
    return {};
  if (ElementsAttr attr = onnx::getConstantAttr(v))
    return attr;
  if (auto it = scalars.find(v); it != scalars.end()) {
    if (anyFree(it->second) || anyFree(shape(v)))
      return {};
    return onnx::makeInts(RankedTensorType::get(shape(v), getElementTypeOrSelf(v.getType())), it->second);
  }
  // What a lowering answered with a constant (a Shape) is one to those that follow.
  auto it = placed.find(v);
  auto made = it == placed.end() ? arith::ConstantOp() : it->second.value.getDefiningOp<arith::ConstantOp>();
  return made && isIdentity(it->second.order) ? dyn_cast<ElementsAttr>(made.getValue()) : ElementsAttr();
}

/// The scalar that the low bits of `bytes` hold.
static TypedAttr readScalar(Type type, ArrayRef<char> bytes) {
  unsigned width = type.getIntOrFloatBitWidth();
  uint64_t words[2] = {0, 0};
  std::memcpy(words, bytes.data(), std::min<size_t>(bytes.size(), sizeof(words)));
  APInt bits = APInt(128, ArrayRef<uint64_t>(words, 2)).trunc(width);
  if (auto floatType = dyn_cast<FloatType>(type))
    return FloatAttr::get(type, APFloat(floatType.getFloatSemantics(), bits));
  return IntegerAttr::get(type, bits);
}

TypedAttr Lowering::splat(Value v) {
  ElementsAttr attr = constant(v);
  if (!attr || !(attr.isSplat() || attr.getNumElements() == 1) || !element(v).isIntOrFloat())
    return {};
  auto raw = onnx::getRawElements(attr);
  if (!raw || raw->bytes.empty())
    return {};
  if (Type own = attr.getElementType(); isNarrow(own)) { // what shares its byte in a blob is no part of it
    char low = raw->bytes[0] & ((1 << own.getIntOrFloatBitWidth()) - 1);
    return readScalar(element(v), low);
  }
  return readScalar(element(v), raw->bytes);
}

FailureOr<Dims> Lowering::requireInts(Operation *op, Value v, StringRef name) {
  ElementsAttr attr = constant(v);
  auto ints = attr ? onnx::readInts(attr) : std::nullopt;
  if (!ints) {
    error(op) << "expected operand '" << name << "' to be a constant, got "
              << (isAbsent(v) ? "none" : "a value computed at run time");
    return failure();
  }
  return Dims(ints->begin(), ints->end());
}

Value Lowering::makeTensor(ElementsAttr attr) { return arith::ConstantOp::create(b, cast<TypedAttr>(attr)); }

Value Lowering::makeTensor(RankedTensorType type, ArrayRef<char> raw) {
  return makeTensor(
      onnx::makeConstantAttr(type, raw, onnx::getNodeInfo(b.getLoc()) ? onnx::getNodeInfo(b.getLoc())->name : "w"));
}

Value Lowering::makeSplat(const Shaped &type, TypedAttr scalar) {
  if (anyFree(type.shape))
    return filled(type, scalar);
  return arith::ConstantOp::create(b, DenseElementsAttr::get(RankedTensorType(type), Attribute(scalar)));
}

Value Lowering::makeScalar(TypedAttr scalar) { return arith::ConstantOp::create(b, scalar); }

TypedAttr Lowering::scalarAttr(Type type, double value) {
  if (auto floatType = dyn_cast<FloatType>(type)) {
    APFloat number(value);
    bool lost;
    number.convert(floatType.getFloatSemantics(), APFloat::rmNearestTiesToEven, &lost);
    return FloatAttr::get(type, number);
  }
  if (type.isInteger(1))
    return b.getIntegerAttr(type, value != 0);
  return IntegerAttr::get(
      type, APInt(128, static_cast<int64_t>(value), /*isSigned=*/true).trunc(type.getIntOrFloatBitWidth()));
}

/// Copies elements of `size` bytes so that dim i of the result is dim order[i] of the source.
static std::vector<char> permuteBytes(ArrayRef<char> source, ArrayRef<int64_t> shape, ArrayRef<int64_t> order,
                                      size_t size) {
  std::vector<char> result(source.size());
  int64_t rank = order.size();
  Dims sourceStrides(rank, size);
  for (int64_t i = rank - 2; i >= 0; --i)
    sourceStrides[i] = sourceStrides[i + 1] * shape[i + 1];
  Dims counter(rank, 0), extents = permuted(shape, order), strides = permuted(sourceStrides, order);
  char *out = result.data();
  const char *in = source.data(), *end = out + result.size();
  auto copyRow = [&](auto width) {
    for (int64_t i = 0; i < extents[rank - 1]; ++i, out += size)
      std::memcpy(out, in + i * strides[rank - 1], width ? width : size);
  };
  while (out != end) {
    switch (size) {
    case 1:
      copyRow(std::integral_constant<size_t, 1>());
      break;
    case 2:
      copyRow(std::integral_constant<size_t, 2>());
      break;
    case 4:
      copyRow(std::integral_constant<size_t, 4>());
      break;
    case 8:
      copyRow(std::integral_constant<size_t, 8>());
      break;
    default:
      copyRow(std::integral_constant<size_t, 0>());
      break;
    }
    for (int64_t dim = rank - 2; dim >= 0; --dim) {
      in += strides[dim];
      if (++counter[dim] < extents[dim])
        break;
      in -= strides[dim] * extents[dim];
      counter[dim] = 0;
    }
  }
  return result;
}

/// One element a byte from elements packed in bytes, low bits first.
static std::vector<char> unpack(ArrayRef<char> packed, int64_t count, unsigned bits) {
  std::vector<char> result(count);
  for (int64_t i = 0; i < count; ++i)
    result[i] = (packed[i * bits / 8] >> (i * bits % 8)) & ((1 << bits) - 1);
  return result;
}

/// A tensor of integers that are known as extents.
Value Lowering::materializeScalars(Value v) {
  Shaped type = typeIn(v, identityOrder(rank(v)));
  Value whole = empty(type);
  for (auto [i, extent] : llvm::enumerate(scalars[v])) {
    Value element = index(extent);
    if (type.element.isInteger(1))
      element = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, element, arith::ConstantIndexOp::create(b, 0));
    else
      element = arith::IndexCastOp::create(b, type.element, element);
    if (type.shape.empty())
      return linalg::FillOp::create(b, ValueRange(element), ValueRange(whole)).getResult(0);
    Dims one(type.getRank(), 1), at(type.getRank(), 0);
    for (int64_t dim = type.getRank() - 1, rest = i; dim >= 0; rest /= type.shape[dim--])
      at[dim] = rest % type.shape[dim];
    Value piece = linalg::FillOp::create(b, ValueRange(element), ValueRange(empty(one, type.element))).getResult(0);
    whole = insert(piece, whole, at);
  }
  return whole;
}

Value Lowering::materialize(Value v, ArrayRef<int64_t> order) {
  if (!burin::lower::product(shape(v)))
    return empty(typeIn(v, order));
  if (isString(v.getType()))
    return stringConstant(*this, v, order);
  ElementsAttr attr = constant(v);
  RankedTensorType type = typeIn(v, order);
  if (TypedAttr scalar = splat(v))
    return makeSplat(type, scalar);
  bool inPlace = sameMemory(shape(v), order, identityOrder(rank(v)));
  if (inPlace && attr.getShapedType() == type)
    return makeTensor(attr);
  auto raw = onnx::getRawElements(attr);
  int64_t count = attr.getNumElements();
  ArrayRef<char> bytes = raw->bytes;
  std::vector<char> unpacked;
  if (Type own = attr.getElementType(); isNarrow(own) && own.getIntOrFloatBitWidth() < 8)
    bytes = unpacked = unpack(bytes, count, own.getIntOrFloatBitWidth());
  if (inPlace)
    return makeTensor(onnx::makeConstantAttr(type, bytes));
  return makeTensor(type, permuteBytes(bytes, shape(v), order, bytes.size() / count));
}

// --- Operands -------------------------------------------------------------------------------------------------------

Placed Lowering::get(Value v) {
  auto it = placed.find(v);
  if (it == placed.end() && scalars.contains(v) && !constant(v)) {
    set(v, materializeScalars(v));
    it = placed.find(v);
  }
  if (it != placed.end())
    return it->second;
  return {getIn(v, identityOrder(rank(v))), identityOrder(rank(v))};
}

Value Lowering::getIn(Value v, ArrayRef<int64_t> order) {
  auto it = placed.find(v);
  if (it == placed.end() && scalars.contains(v) && !constant(v)) {
    set(v, materializeScalars(v));
    it = placed.find(v);
  }
  if (it != placed.end() && ArrayRef<int64_t>(it->second.order) == order)
    return it->second.value;
  Value &cached = moved[{v, b.getDenseI64ArrayAttr(order)}];
  if (cached)
    return cached;
  Value result;
  if (it == placed.end()) {
    result = materialize(v, order);
  } else if (const Placed &from = it->second; sameMemory(shape(v), from.order, order)) {
    result = reshape(from.value, permuted(shape(v), order));
  } else {
    Dims permutation;
    for (int64_t dim : order)
      permutation.push_back(positionOf(from.order, dim));
    result = transpose(from.value, permutation);
  }
  return moved[{v, b.getDenseI64ArrayAttr(order)}] = result;
}

void Lowering::set(Value result, Value physical, ArrayRef<int64_t> order) { placed[result] = {physical, Order(order)}; }

// --- Tensors --------------------------------------------------------------------------------------------------------

Value Lowering::empty(const Shaped &type) {
  SmallVector<Value> sizes;
  for (int64_t extent : type.shape)
    if (isFree(extent))
      sizes.push_back(index(extent));
  RankedTensorType built = type;
  return this->built(tensor::EmptyOp::create(b, built.getShape(), type.element, sizes), type.shape);
}

Value Lowering::filled(const Shaped &type, TypedAttr scalar) {
  return built(linalg::FillOp::create(b, ValueRange(makeScalar(scalar)), ValueRange(empty(type))).getResult(0),
               type.shape);
}

/// The finest grouping of two shapes of one product into runs of dims with equal products.
struct Groups {
  SmallVector<ReassociationIndices> from, to;
};
static Groups groupDims(Lowering &l, ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  Groups groups;
  size_t i = 0, j = 0;
  while (i < from.size() && j < to.size()) {
    ReassociationIndices a, c;
    int64_t left = from[i], right = to[j];
    a.push_back(i++);
    c.push_back(j++);
    while (left != right) {
      bool grows = l.extents.growsFirst(left, right);
      if ((grows || j == to.size()) && i < from.size()) {
        left = l.mul(left, from[i]);
        a.push_back(i++);
      } else if (j < to.size()) {
        right = l.mul(right, to[j]);
        c.push_back(j++);
      } else {
        break;
      }
    }
    groups.from.push_back(a);
    groups.to.push_back(c);
  }
  if (!groups.from.empty()) { // what is left are dims of 1
    for (; i < from.size(); ++i)
      groups.from.back().push_back(i);
    for (; j < to.size(); ++j)
      groups.to.back().push_back(j);
  }
  return groups;
}

Value Lowering::reshape(Value tensor, ArrayRef<int64_t> shape) {
  // A reshape of a reshape is one of what it was made from.
  while (isa_and_nonnull<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(tensor.getDefiningOp()))
    tensor = tensor.getDefiningOp()->getOperand(0);
  Shaped type = typeOf(tensor);
  if (type.getShape() == shape)
    return tensor;
  Shaped target(shape, type.element);
  if (burin::lower::product(shape) == 0)
    return empty(target);
  Groups groups = groupDims(*this, type.shape, shape);
  // Between the two: one dim a group. Products that cannot be proved equal are checked by the program.
  Dims before, after;
  for (auto [from, to] : llvm::zip(groups.from, groups.to)) {
    int64_t left = 1, right = 1;
    for (int64_t dim : from)
      left = mul(left, type.shape[dim]);
    for (int64_t dim : to)
      right = mul(right, shape[dim]);
    if (left != right)
      agree(left, right);
    before.push_back(left);
    after.push_back(right);
  }
  if (static_cast<int64_t>(before.size()) != type.getRank())
    tensor =
        built(tensor::CollapseShapeOp::create(b, RankedTensorType(Shaped(before, type.element)), tensor, groups.from),
              before);
  RankedTensorType middle = Shaped(after, type.element);
  if (tensor.getType() != middle)
    tensor = tensor::CastOp::create(b, middle, tensor);
  built(tensor, after);
  if (static_cast<int64_t>(after.size()) != target.getRank())
    tensor = built(tensor::ExpandShapeOp::create(b, RankedTensorType(target), tensor, groups.to, fold(shape)), shape);
  return tensor;
}

/// Each of `rank` dims a group of its own, but for `count` from `dim` on, which are one.
static SmallVector<ReassociationIndices> oneGroup(int64_t rank, int64_t dim, int64_t count) {
  SmallVector<ReassociationIndices> groups;
  for (int64_t d = 0; d < rank; ++d)
    if (d > dim && d < dim + count)
      groups.back().push_back(d);
    else
      groups.push_back({d});
  return groups;
}

Value Lowering::split(Value tensor, int64_t dim, ArrayRef<int64_t> parts) {
  Shaped type = typeOf(tensor), middle = type;
  int64_t whole = product(parts);
  agree(type.shape[dim], whole);
  middle.shape[dim] = whole;
  if (RankedTensorType cast = middle; cast != tensor.getType())
    tensor = built(tensor::CastOp::create(b, cast, tensor), middle.shape);
  Dims shape(type.shape);
  shape.erase(shape.begin() + dim);
  shape.insert(shape.begin() + dim, parts.begin(), parts.end());
  return built(tensor::ExpandShapeOp::create(b, RankedTensorType(Shaped(shape, type.element)), tensor,
                                             oneGroup(shape.size(), dim, parts.size()), fold(shape)),
               shape);
}

Value Lowering::merge(Value tensor, int64_t dim, int64_t count, int64_t extent) {
  Shaped type = typeOf(tensor);
  Dims shape(type.shape);
  int64_t whole = product(ArrayRef(shape).slice(dim, count));
  agree(whole, extent);
  shape.erase(shape.begin() + dim, shape.begin() + dim + count);
  shape.insert(shape.begin() + dim, whole);
  tensor = built(tensor::CollapseShapeOp::create(b, RankedTensorType(Shaped(shape, type.element)), tensor,
                                                 oneGroup(type.getRank(), dim, count)),
                 shape);
  shape[dim] = extent;
  if (RankedTensorType cast = Shaped(shape, type.element); cast != tensor.getType())
    tensor = tensor::CastOp::create(b, cast, tensor);
  return built(tensor, shape);
}

Value Lowering::transpose(Value tensor, ArrayRef<int64_t> permutation) {
  if (isIdentity(permutation))
    return tensor;
  Shaped type = typeOf(tensor);
  Dims shape = permuted(type.shape, permutation);
  if (sameMemory(type.shape, permutation, identityOrder(permutation.size())) || burin::lower::product(shape) == 0)
    return reshape(tensor, shape);
  return built(linalg::TransposeOp::create(b, tensor, empty(shape, type.element), permutation)->getResult(0), shape);
}

Value Lowering::map(const Shaped &result, ValueRange operands, ArrayRef<AffineMap> maps, Body body) {
  SmallVector<AffineMap> all(maps);
  all.push_back(b.getMultiDimIdentityMap(result.getRank()));
  SmallVector<utils::IteratorType> iterators(result.getRank(), utils::IteratorType::parallel);
  return built(linalg::GenericOp::create(b, TypeRange(RankedTensorType(result)), operands, ValueRange(empty(result)),
                                         all, iterators,
                                         [&](OpBuilder &builder, Location loc, ValueRange args) {
                                           ImplicitLocOpBuilder inner(loc, builder);
                                           Value value = body(inner, args.drop_back());
                                           linalg::YieldOp::create(inner, value);
                                         })
                   .getResult(0),
               result.shape);
}

Value Lowering::reduce(Value tensor, ArrayRef<int64_t> axes, TypedAttr init, Body body) {
  Dims loops = extentsOf(tensor);
  return reduce(loops, tensor, b.getMultiDimIdentityMap(loops.size()), axes, init, body);
}

Value Lowering::reduce(ArrayRef<int64_t> loops, ValueRange operands, ArrayRef<AffineMap> maps, ArrayRef<int64_t> axes,
                       TypedAttr init, Body body) {
  SmallVector<AffineExpr> kept;
  SmallVector<utils::IteratorType> iterators;
  Dims shape;
  for (auto [dim, extent] : llvm::enumerate(loops)) {
    bool reduced = llvm::is_contained(axes, static_cast<int64_t>(dim));
    iterators.push_back(reduced ? utils::IteratorType::reduction : utils::IteratorType::parallel);
    if (reduced)
      continue;
    kept.push_back(b.getAffineDimExpr(dim));
    shape.push_back(extent);
  }
  Shaped result(shape, init.getType());
  SmallVector<AffineMap> all(maps);
  all.push_back(AffineMap::get(loops.size(), 0, kept, b.getContext()));
  return built(linalg::GenericOp::create(b, TypeRange(RankedTensorType(result)), operands,
                                         ValueRange(filled(result, init)), all, iterators,
                                         [&](OpBuilder &builder, Location loc, ValueRange args) {
                                           ImplicitLocOpBuilder inner(loc, builder);
                                           Value value = body(inner, args);
                                           linalg::YieldOp::create(inner, value);
                                         })
                   .getResult(0),
               shape);
}

Value Lowering::insert(Value tensor, Value whole, ArrayRef<int64_t> offsets) {
  Dims ones(offsets.size(), 1);
  return built(tensor::InsertSliceOp::create(b, tensor, whole, fold(offsets), fold(extentsOf(tensor)), fold(ones)),
               extentsOf(whole));
}

Value Lowering::pad(Value tensor, ArrayRef<int64_t> low, ArrayRef<int64_t> high, TypedAttr scalar) {
  Shaped type = typeOf(tensor);
  Dims shape;
  for (int64_t dim = 0; dim < type.getRank(); ++dim)
    shape.push_back(add(add(low[dim], type.shape[dim]), high[dim]));
  if (shape == type.shape)
    return tensor;
  Value target = filled({shape, type.element}, scalar);
  if (burin::lower::product(type.shape) == 0)
    return target;
  return insert(tensor, target, low);
}

Value Lowering::slice(Value tensor, ArrayRef<int64_t> offsets, ArrayRef<int64_t> sizes, ArrayRef<int64_t> strides) {
  Shaped type = typeOf(tensor);
  bool steps = llvm::any_of(strides, [](int64_t stride) { return stride != 1; });
  if (sizes == type.getShape() && !steps && llvm::all_of(offsets, [](int64_t offset) { return offset == 0; }))
    return tensor;
  Dims ones(type.getRank(), 1);
  return built(tensor::ExtractSliceOp::create(b, RankedTensorType(Shaped(sizes, type.element)), tensor, fold(offsets),
                                              fold(sizes), fold(strides.empty() ? ArrayRef<int64_t>(ones) : strides)),
               sizes);
}

Value Lowering::fresh(const Shaped &type) {
  SmallVector<Value> sizes;
  for (int64_t extent : type.shape)
    if (isFree(extent))
      sizes.push_back(index(extent));
  return built(bufferization::AllocTensorOp::create(b, RankedTensorType(type), sizes), type.shape);
}

Value Lowering::own(Value tensor) { return moveInto(tensor, fresh(typeOf(tensor))); }

Value Lowering::moveInto(Value tensor, Value target) {
  Dims shape = extentsOf(target);
  return built(bufferization::MaterializeInDestinationOp::create(b, target.getType(), tensor, target).getResult(),
               shape);
}

LogicalResult Lowering::lowerBody(Block &body) {
  Location outside = b.getLoc();
  for (Operation &op : body.without_terminator())
    if (!needsNoLowering(&op) && failed(lowerOp(&op)))
      return failure();
  b.setLoc(outside);
  return success();
}

// --- Whole steps ----------------------------------------------------------------------------------------------------

Order Lowering::preferredOrder(ValueRange operands, int64_t rank) {
  Order best = identityOrder(rank);
  int64_t bestSize = -1;
  for (Value v : operands) {
    if (isAbsent(v) || isConstant(v))
      continue;
    Order order = identityOrder(rank - this->rank(v));
    for (int64_t dim : get(v).order)
      order.push_back(dim + rank - this->rank(v));
    int64_t size = 1; // a free extent counts as a long one
    for (int64_t extent : shape(v))
      size *= isFree(extent) ? 64 : extent;
    if (size > bestSize || (size == bestSize && isIdentity(best))) {
      best = order;
      bestSize = size;
    }
  }
  return best;
}

std::pair<Value, AffineMap> Lowering::broadcast(Value v, ArrayRef<int64_t> shape, ArrayRef<int64_t> order) {
  int64_t offset = shape.size() - rank(v);
  Order own;
  Dims kept;
  SmallVector<AffineExpr> exprs;
  for (auto [position, dim] : llvm::enumerate(order)) {
    if (dim < offset)
      continue;
    own.push_back(dim - offset);
    int64_t extent = this->shape(v)[dim - offset];
    if (extent == 1 && shape[dim] != 1)
      continue;
    agree(extent, shape[dim]); // read outside otherwise
    kept.push_back(extent);
    exprs.push_back(b.getAffineDimExpr(position));
  }
  return {reshape(getIn(v, own), kept), AffineMap::get(shape.size(), 0, exprs, b.getContext())};
}

void Lowering::elementwise(Value result, ValueRange operands, Body body) {
  int64_t rank = this->rank(result);
  ArrayRef<int64_t> resultShape = shape(result);
  Order order = preferredOrder(operands, rank);
  SmallVector<Value> tensors;
  SmallVector<AffineMap> maps;
  SmallVector<TypedAttr> scalars; // one an operand; null where the operand is a tensor
  for (Value v : operands) {
    scalars.push_back(splat(v));
    if (scalars.back())
      continue;
    auto [tensor, map] = broadcast(v, resultShape, order);
    tensors.push_back(tensor);
    maps.push_back(map);
  }
  Value value = map(typeIn(result, order), tensors, maps, [&](ImplicitLocOpBuilder &inner, ValueRange args) {
    SmallVector<Value> all;
    size_t next = 0;
    for (TypedAttr scalar : scalars)
      all.push_back(scalar ? Value(arith::ConstantOp::create(inner, scalar)) : args[next++]);
    return body(inner, all);
  });
  set(result, value, order);
}

Placed Lowering::reshaped(Value v, ArrayRef<int64_t> shape) { return regrouped(*this, get(v), shape, v); }

LogicalResult Lowering::unsupported(Operation *op, const Twine &what) {
  return error(op) << "operator is not supported by the CPU target yet: " << what;
}

} // namespace burin::lower
