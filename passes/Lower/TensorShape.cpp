// Lowering of the Tensor family, first part: ops that only see their operand otherwise (Reshape and its kin, Transpose)
// and ops that make a tensor from nothing or repeat one (Expand, Tile, Range, EyeLike). Shapes come from the result
// types, which shape inference has made static; the shape operands themselves are never read.
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

using namespace mlir;

namespace burin::lower {

Dims logicalShape(Lowering &l, const Placed &placed) {
  Dims shape(placed.order.size()), lies = l.extentsOf(placed.value);
  for (auto [position, dim] : llvm::enumerate(placed.order))
    shape[dim] = lies[position];
  return shape;
}

Placed transposed(const Placed &placed, ArrayRef<int64_t> permutation) {
  Dims inverse(permutation.size());
  for (auto [to, from] : llvm::enumerate(permutation))
    inverse[from] = to;
  Placed result = placed;
  for (int64_t &dim : result.order)
    dim = inverse[dim];
  return result;
}

Value inOrder(Lowering &l, const Placed &placed, ArrayRef<int64_t> order) {
  Dims permutation;
  for (int64_t dim : order)
    permutation.push_back(positionOf(placed.order, dim));
  return l.transpose(placed.value, permutation);
}

namespace {

// Dims of `from` that together hold the elements of dims of `to`; dims of 1 belong to no group.
struct Group {
  Dims from, to;
};

SmallVector<Group> findGroups(Lowering &l, ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  SmallVector<Group> groups;
  size_t i = 0, j = 0;
  auto skipOnes = [&] {
    while (i < from.size() && from[i] == 1)
      ++i;
    while (j < to.size() && to[j] == 1)
      ++j;
  };
  for (skipOnes(); i < from.size() && j < to.size(); skipOnes()) {
    Group group;
    int64_t a = from[i], b = to[j];
    group.from.push_back(i++);
    group.to.push_back(j++);
    while (a != b && (i < from.size() || j < to.size())) {
      bool grow = (l.extents.growsFirst(a, b) && i < from.size()) || j == to.size();
      size_t &next = grow ? i : j;
      int64_t extent = grow ? from[next] : to[next];
      (grow ? a : b) = l.mul(grow ? a : b, extent);
      if (extent != 1)
        (grow ? group.from : group.to).push_back(next);
      ++next;
    }
    groups.push_back(std::move(group));
  }
  // Dims that are not 1 as far as anyone knows, though their products say so.
  for (; i < from.size() && !groups.empty(); ++i)
    if (from[i] != 1)
      groups.back().from.push_back(i);
  for (; j < to.size() && !groups.empty(); ++j)
    if (to[j] != 1)
      groups.back().to.push_back(j);
  return groups;
}

} // namespace

Placed regrouped(Lowering &l, const Placed &placed, ArrayRef<int64_t> shape, Value v) {
  Dims from = logicalShape(l, placed);
  if (product(from) == 0)
    return {l.empty(shape, l.typeOf(placed.value).getElementType()), identityOrder(shape.size())};

  SmallVector<Group> groups = findGroups(l, from, shape);
  bool isWhole = !groups.empty() || llvm::all_of(from, [](int64_t extent) { return extent == 1; });
  if (!isWhole || (groups.empty() && anyFree(shape))) {
    Order identity = identityOrder(from.size());
    return {l.reshape(v ? l.getIn(v, identity) : inOrder(l, placed, identity), shape), identityOrder(shape.size())};
  }
  SmallVector<size_t> groupOf(from.size());
  for (auto [g, group] : llvm::enumerate(groups))
    for (int64_t dim : group.from)
      groupOf[dim] = g;
  // Groups in the order of their first dim in memory, and whether each lies together and in order already.
  SmallVector<size_t> sequence;
  Dims lies, wanted;
  for (int64_t dim : placed.order)
    if (from[dim] != 1) {
      lies.push_back(dim);
      if (!llvm::is_contained(sequence, groupOf[dim]))
        sequence.push_back(groupOf[dim]);
    }
  for (size_t g : sequence)
    wanted.append(groups[g].from);

  // Dims of 1 go before the dim that follows them logically, so that an identity order stays one; a batch of 1 first of
  // all.
  Order order;
  for (size_t g : sequence)
    order.append(groups[g].to);
  for (int64_t dim = shape.size() - 1; dim >= 0; --dim)
    if (shape[dim] == 1)
      order.insert(dim == 0                          ? order.begin()
                   : dim + 1 < int64_t(shape.size()) ? llvm::find(order, dim + 1)
                                                     : order.end(),
                   dim);

  Value tensor = placed.value;
  if (lies != wanted) {
    // What has to move anyway moves to where its users want it: images channels last, everything else as ONNX has it.
    int64_t rank = shape.size();
    if (rank < 4 || !sameMemory(shape, order, channelsLast(rank))) {
      Order identity = identityOrder(from.size());
      tensor = v ? l.getIn(v, identity) : inOrder(l, placed, identity);
      return {l.reshape(tensor, shape), identityOrder(rank)};
    }
    Order together;
    for (size_t dim = 0; dim < from.size(); ++dim)
      if (from[dim] == 1)
        together.push_back(dim);
    together.append(wanted);
    tensor = v ? l.getIn(v, together) : inOrder(l, placed, together);
  }
  return {l.reshape(tensor, permuted(shape, order)), order};
}

namespace {

// Reshape, Flatten, Squeeze, Unsqueeze: the result type says all.
template <typename OpTy> LogicalResult lowerReshape(Lowering &l, OpTy op) {
  Value from = op->getOperand(0), to = op->getResult(0);
  l.set(to, regrouped(l, l.get(from), l.shape(to), l.isConstant(from) ? Value() : from));
  return success();
}

LogicalResult lowerTranspose(Lowering &l, onnx::TransposeOp op) {
  Placed data = l.get(op.getData());
  Dims permutation;
  if (op.getPerm())
    permutation.assign(op.getPerm()->begin(), op.getPerm()->end());
  else
    for (int64_t dim = data.order.size() - 1; dim >= 0; --dim)
      permutation.push_back(dim);
  l.set(op.getTransposed(), transposed(data, permutation));
  return success();
}

LogicalResult lowerIdentity(Lowering &l, onnx::IdentityOp op) {
  l.set(op.getOutput(), l.get(op.getInput()));
  return success();
}

// The same bits as another type of the same width.
LogicalResult lowerBitCast(Lowering &l, onnx::BitCastOp op) {
  Placed input = l.get(op.getInput());
  Type from = l.element(op.getInput()), to = l.element(op.getOutput());
  // A bool is a byte of 0 or 1 in memory.
  if ((from.isInteger(1) && to.isInteger(8)) || (from.isInteger(8) && to.isInteger(1))) {
    l.elementwise(op.getOutput(), op.getInput(), [&](ImplicitLocOpBuilder &b, ValueRange args) {
      return Scalars(b, /*isUnsigned=*/true).cast(args[0], to);
    });
    return success();
  }
  if (from.getIntOrFloatBitWidth() != to.getIntOrFloatBitWidth())
    return l.unsupported(op, "types of different widths in memory");
  if (from == to) {
    l.set(op.getOutput(), input);
    return success();
  }
  l.elementwise(op.getOutput(), op.getInput(), [&](ImplicitLocOpBuilder &b, ValueRange args) -> Value {
    return arith::BitcastOp::create(b, to, args[0]);
  });
  return success();
}

Value constantInts(Lowering &l, Value result, ArrayRef<int64_t> values) {
  return l.makeTensor(onnx::makeInts(l.typeIn(result, identityOrder(l.rank(result))), values));
}

LogicalResult lowerShape(Lowering &l, onnx::ShapeOp op) { // a free one never comes here: inferScalars has it
  ArrayRef<int64_t> shape = l.shape(op.getData());
  int64_t rank = shape.size();
  auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
  int64_t start = clamped(op.getStart()), end = op.getEnd() ? clamped(*op.getEnd()) : rank;
  l.set(op.getShape(), constantInts(l, op.getShape(), shape.slice(start, std::max<int64_t>(0, end - start))));
  return success();
}

LogicalResult lowerSize(Lowering &l, onnx::SizeOp op) {
  l.set(op.getSize(), constantInts(l, op.getSize(), product(l.shape(op.getData()))));
  return success();
}

LogicalResult lowerConstantOfShape(Lowering &l, onnx::ConstantOfShapeOp op) {
  Value result = op.getOutput();
  Shaped type = l.typeIn(result, identityOrder(l.rank(result)));
  TypedAttr fill = l.zero(type.getElementType());
  if (op.getValue()) {
    std::optional<onnx::RawElements> raw = onnx::getRawElements(*op.getValue());
    if (!raw || raw->bytes.empty())
      return l.error(op) << "expected one element in the attribute value, got " << op.getValue()->getNumElements();
    // As a splat of one element in storage type: the bytes are the same for both signednesses.
    auto one = RankedTensorType::get({1}, type.getElementType());
    fill = onnx::makeConstantAttr(one, raw->bytes).getSplatValue<TypedAttr>();
  }
  l.set(result, l.makeSplat(type, fill));
  return success();
}

// A dim of the operand that is 1 where the result's is not is dropped, so that the map is a projected permutation.
LogicalResult lowerExpand(Lowering &l, onnx::ExpandOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  ArrayRef<int64_t> to = l.shape(result);
  Placed input = l.get(op.getInput());
  int64_t missing = to.size() - input.order.size();
  // The operand's dims keep their places; new leading dims go in front.
  Order order = identityOrder(missing);
  for (int64_t dim : input.order)
    order.push_back(dim + missing);
  Dims kept, loops;
  bool repeats = false;
  Dims lies = l.extentsOf(input.value);
  for (auto [loop, dim] : llvm::enumerate(order)) {
    int64_t extent = int64_t(loop) < missing ? 1 : lies[loop - missing];
    if (extent == to[dim] || extent != 1) {
      kept.push_back(extent);
      loops.push_back(loop);
    } else {
      repeats = true;
    }
  }
  Value data = l.reshape(input.value, kept);
  if (repeats)
    data = l.map(l.typeIn(result, order), data, selectDims(l, to.size(), loops),
                 [](ImplicitLocOpBuilder &, ValueRange args) { return args[0]; });
  l.set(result, data, order);
  return success();
}

// Each repeated dim d of extent n becomes (repeats, n), read through a map that ignores the repeats; merging is a view.
LogicalResult lowerTile(Lowering &l, onnx::TileOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Placed input = l.get(op.getInput());
  ArrayRef<int64_t> to = l.shape(result);
  Dims loops, lies = l.extentsOf(input.value);
  SmallVector<int64_t> at; // loop of each physical dim
  for (auto [position, dim] : llvm::enumerate(input.order)) {
    int64_t extent = lies[position], repeats = l.floorDiv(to[dim], extent);
    if (repeats != 1)
      loops.push_back(repeats);
    at.push_back(loops.size());
    loops.push_back(extent);
  }
  if (loops.size() == at.size()) {
    l.set(result, input);
    return success();
  }
  Value tiled = l.map(Shaped(loops, l.element(result)), input.value, selectDims(l, loops.size(), at),
                      [](ImplicitLocOpBuilder &, ValueRange args) { return args[0]; });
  l.set(result, l.reshape(tiled, permuted(to, input.order)), input.order);
  return success();
}

// An integer index as an element of any numeric type.
Value indexAs(ImplicitLocOpBuilder &b, Value index, Type type) {
  if (type.isIndex())
    return index;
  if (isa<IntegerType>(type))
    return arith::IndexCastOp::create(b, type, index);
  return arith::SIToFPOp::create(b, type, arith::IndexCastOp::create(b, b.getI64Type(), index));
}

LogicalResult lowerRange(Lowering &l, onnx::RangeOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Type element = l.element(result), compute = element;
  if (element.isF16() || element.isBF16())
    if (op.getStashType() == 1)
      compute = l.b.getF32Type();
  auto start = scalar(l, op.getStart()), delta = scalar(l, op.getDelta());
  l.set(result, mapIndexed(l, l.typeIn(result, {0}), {}, {},
                           [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) -> Value {
                             Value i = indexAs(b, indices[0], compute);
                             if (isa<IntegerType>(element))
                               return arith::AddIOp::create(b, start, arith::MulIOp::create(b, i, delta));
                             auto widen = [&](Value x) -> Value {
                               return compute == element ? x : arith::ExtFOp::create(b, compute, x);
                             };
                             Value sum =
                                 arith::AddFOp::create(b, widen(start), arith::MulFOp::create(b, i, widen(delta)));
                             return compute == element ? sum : arith::TruncFOp::create(b, element, sum);
                           }));
  return success();
}

LogicalResult lowerEyeLike(Lowering &l, onnx::EyeLikeOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Type element = l.element(result);
  int64_t k = op.getK();
  l.set(result, mapIndexed(l, l.typeIn(result, {0, 1}), {}, {},
                           [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) -> Value {
                             Value diagonal = arith::AddIOp::create(b, indices[0], constantIndex(b, k));
                             Value on = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, indices[1], diagonal);
                             Value one = arith::ConstantOp::create(b, l.scalarAttr(element, 1)),
                                   zero = arith::ConstantOp::create(b, l.zero(element));
                             return arith::SelectOp::create(b, on, one, zero);
                           }));
  return success();
}

} // namespace

void populateTensorShapeLowerings(Registry &registry) {
  registry.add(lowerReshape<onnx::ReshapeOp>);
  registry.add(lowerReshape<onnx::FlattenOp>);
  registry.add(lowerReshape<onnx::SqueezeOp>);
  registry.add(lowerReshape<onnx::UnsqueezeOp>);
  registry.add(lowerTranspose);
  registry.add(lowerIdentity);
  registry.add(lowerBitCast);
  registry.add(lowerShape);
  registry.add(lowerSize);
  registry.add(lowerConstantOfShape);
  registry.add(lowerExpand);
  registry.add(lowerTile);
  registry.add(lowerRange);
  registry.add(lowerEyeLike);
}

} // namespace burin::lower
