// Lowering of the Tensor family, third part: ops whose indices are data or whose elements are chosen by position
// (Gather and its kin, OneHot, Trilu, TopK). A gather keeps every loop but the indexed one plain, so rows are copied as
// rows.
#include "passes/Lower/StoredWeights.h"
#include "passes/Lower/Tensor.h"

using namespace mlir;

namespace burin::lower {
namespace {

LogicalResult lowerGather(Lowering &l, onnx::GatherOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  if (auto stored = getStoredWeight(l, op.getData(), /*isTransposed=*/true)) {
    int64_t count = l.product(l.shape(op.getIndices()));
    Value indices = l.reshape(l.getIdentity(op.getIndices()), count);
    l.set(result, l.reshape(gatherStored(l, indices, *stored, Shaped({count, stored->rows}, l.element(result))),
                            l.shape(result)));
    return success();
  }
  Placed data = l.get(op.getData());
  Dims shape = logicalShape(l, data);
  int64_t rank = shape.size(), axis = normalizeAxis(op.getAxis(), rank), position = positionOf(data.order, axis),
          extent = shape[axis];
  int64_t count = l.product(l.shape(op.getIndices()));
  Value gathered;
  std::optional<SmallVector<int64_t>> known = onnx::getConstantInts(op.getIndices());
  if (known && isFree(extent) && known->size() == 1) {
    int64_t at = known->front() < 0 ? l.add(extent, known->front()) : known->front();
    Dims offsets(rank, 0), sizes = l.extentsOf(data.value);
    offsets[position] = at;
    sizes[position] = 1;
    // The first or last of none would be read outside.
    if (l.extents.lowest(l.sub(l.sub(extent, at), 1)).value_or(-1) < 0 || l.extents.lowest(at).value_or(-1) < 0) {
      int64_t last = l.max(l.sub(extent, 1), 0);
      offsets[position] = l.max(l.min(at, last), 0);
    }
    gathered = l.slice(data.value, offsets, sizes);
  } else if (known && !isFree(extent)) {
    AxisTable table{position, {}};
    for (int64_t index : *known) {
      if (index < -extent || index >= extent)
        return l.error(op) << "expected indices in [" << -extent << ", " << extent - 1 << "], got " << index;
      table.source.push_back(index < 0 ? index + extent : index);
    }
    gathered = remapAxes(l, data.value, table);
  } else {
    Value indices = l.reshape(l.getIdentity(op.getIndices()), count);
    Dims sizes(l.typeOf(data.value).getShape());
    sizes[position] = count;
    Value last = l.index(extent);
    gathered = mapIndexed(l, Shaped(sizes, l.element(result)), indices, selectDims(l, rank, position),
                          [&](ImplicitLocOpBuilder &b, ArrayRef<Value> loops, ValueRange args) {
                            SmallVector<Value> from(loops);
                            from[position] = safeIndex(b, args[0], last);
                            return extract(b, data.value, from);
                          });
  }
  // The indexed axis holds all indices in a row; the result's shape splits it.
  l.set(result, regrouped(l, {gathered, data.order}, l.shape(result)));
  return success();
}

// Element [i, j, ...] of the result is the operand's with position `axis` replaced by indices[i, j, ...].
Value gatherAlong(Lowering &l, Value data, Value indices, int64_t axis) {
  Shaped from = l.typeOf(data), at = l.typeOf(indices);
  Value extent = l.index(from.getDimSize(axis));
  return mapIndexed(l, Shaped(at.getShape(), from.getElementType()), indices, l.b.getMultiDimIdentityMap(at.getRank()),
                    [&](ImplicitLocOpBuilder &b, ArrayRef<Value> loops, ValueRange args) {
                      SmallVector<Value> source(loops);
                      source[axis] = safeIndex(b, args[0], extent);
                      return extract(b, data, source);
                    });
}

LogicalResult lowerGatherElements(Lowering &l, onnx::GatherElementsOp op) {
  if (setEmpty(l, op))
    return success();
  Placed data = l.get(op.getData());
  int64_t axis = normalizeAxis(op.getAxis(), data.order.size());
  l.set(op.getOutput(), gatherAlong(l, data.value, l.getIn(op.getIndices(), data.order), positionOf(data.order, axis)),
        data.order);
  return success();
}

LogicalResult lowerGatherND(Lowering &l, onnx::GatherNDOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Value data = l.getIdentity(op.getData()), indices = l.getIdentity(op.getIndices());
  Dims shape(l.shape(op.getData())), at(l.shape(op.getIndices()));
  int64_t batch = op.getBatchDims(), outer = at.size() - 1, depth = at.back();
  // One operand a component, read as a column.
  Dims loops = identityOrder(outer);
  SmallVector<Value> columns;
  SmallVector<AffineMap> maps;
  for (int64_t component = 0; component < depth; ++component) {
    Dims offsets(at.size(), 0), sizes = at;
    offsets.back() = component;
    sizes.back() = 1;
    columns.push_back(l.reshape(l.slice(indices, offsets, sizes), ArrayRef<int64_t>(at).drop_back()));
    maps.push_back(selectDims(l, l.rank(result), loops));
  }
  SmallVector<Value> extents;
  for (int64_t component = 0; component < depth; ++component)
    extents.push_back(l.index(shape[batch + component]));
  l.set(result, mapIndexed(l, l.typeIn(result, identityOrder(l.rank(result))), columns, maps,
                           [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) {
                             SmallVector<Value> from(indices.take_front(batch));
                             for (auto [component, arg] : llvm::enumerate(args))
                               from.push_back(safeIndex(b, arg, extents[component]));
                             llvm::append_range(from, indices.drop_front(outer));
                             return extract(b, data, from);
                           }));
  return success();
}

LogicalResult lowerOneHot(Lowering &l, onnx::OneHotOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  int64_t rank = l.rank(result), axis = normalizeAxis(op.getAxis(), rank), depth = l.shape(result)[axis];
  Value indices = l.getIdentity(op.getIndices()), values = l.getIdentity(op.getValues());
  bool isUnsigned = l.isUnsigned(op.getIndices());
  Dims loops;
  for (int64_t loop = 0; loop < rank; ++loop)
    if (loop != axis)
      loops.push_back(loop);
  Value count = arith::IndexCastOp::create(l.b, l.b.getI64Type(), l.index(depth));
  Value off = extract(l.b, values, constantIndex(l.b, 0)), on = extract(l.b, values, constantIndex(l.b, 1));
  l.set(result, mapIndexed(l, l.typeIn(result, identityOrder(rank)), indices, selectDims(l, rank, loops),
                           [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                             Type wide = b.getI64Type();
                             Value index = args[0];
                             if (isa<FloatType>(index.getType()))
                               index = arith::FPToSIOp::create(b, wide, index);
                             else if (index.getType() != wide)
                               index = isUnsigned ? Value(arith::ExtUIOp::create(b, wide, index))
                                                  : Value(arith::ExtSIOp::create(b, wide, index));
                             Value position = arith::IndexCastOp::create(b, wide, indices[axis]);
                             Value fromEnd = arith::SubIOp::create(b, position, count);
                             Value hit = arith::OrIOp::create(
                                 b, arith::CmpIOp::create(b, arith::CmpIPredicate::eq, index, position),
                                 arith::CmpIOp::create(b, arith::CmpIPredicate::eq, index, fromEnd));
                             return arith::SelectOp::create(b, hit, on, off);
                           }));
  return success();
}

LogicalResult lowerTrilu(Lowering &l, onnx::TriluOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Placed input = l.get(op.getInput());
  int64_t rank = input.order.size(), row = positionOf(input.order, rank - 2),
          column = positionOf(input.order, rank - 1);
  Value diagonal;
  if (l.isAbsent(op.getK()))
    diagonal = constantIndex(l.b, 0);
  else if (std::optional<int64_t> k = onnx::getConstantInt(op.getK()))
    diagonal = constantIndex(l.b, *k);
  else
    diagonal = arith::IndexCastOp::create(l.b, l.b.getIndexType(), scalar(l, op.getK()));
  auto predicate = op.getUpper() ? arith::CmpIPredicate::sge : arith::CmpIPredicate::sle;
  l.set(result,
        mapIndexed(l, l.typeOf(input.value), input.value, l.b.getMultiDimIdentityMap(rank),
                   [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                     Value keep = arith::CmpIOp::create(b, predicate, indices[column],
                                                        arith::AddIOp::create(b, indices[row], diagonal));
                     return arith::SelectOp::create(b, keep, args[0],
                                                    arith::ConstantOp::create(b, l.zero(l.element(result))));
                   }),
        input.order);
  return success();
}

// True where `a` stands before `b` in the answer of TopK, their places apart. NaN counts as larger than all numbers.
Value before(ImplicitLocOpBuilder &b, Value a, Value c, bool largest, bool isUnsigned) {
  if (!largest)
    std::swap(a, c);
  if (!isa<FloatType>(a.getType()))
    return arith::CmpIOp::create(b, isUnsigned ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt, a, c);
  Value greater = arith::CmpFOp::create(b, arith::CmpFPredicate::UGT, a, c);
  return arith::AndIOp::create(b, greater, arith::CmpFOp::create(b, arith::CmpFPredicate::ORD, c, c));
}

// No sorting: an element's rank is the number of elements that stand before it, and the element of rank r is the sum
// over all places of (rank == r ? place : 0). Quadratic, but branch-free and vectorizable, and stable by construction.
LogicalResult lowerTopK(Lowering &l, onnx::TopKOp op) {
  if (setEmpty(l, op))
    return success();
  Placed x = l.get(op.getX());
  int64_t rank = x.order.size(), axis = positionOf(x.order, normalizeAxis(op.getAxis(), rank)),
          extent = l.typeOf(x.value).getDimSize(axis);
  Value shaped = l.isAbsent(op.getValues()) ? op.getIndices() : op.getValues();
  int64_t k = permuted(l.shape(shaped), x.order)[axis];
  bool largest = op.getLargest(), isUnsigned = l.isUnsigned(op.getX());
  Type i64 = l.b.getI64Type();

  // Loops: the dims of x, the ranked place at `axis`, then the place it is compared to.
  Dims loops(l.typeOf(x.value).getShape()), all = identityOrder(rank), others = all;
  loops.push_back(extent);
  others[axis] = rank;
  AffineMap self = selectDims(l, rank + 1, all), other = selectDims(l, rank + 1, others);
  Value ranks =
      reduceIndexed(l, loops, {x.value, x.value}, {self, other}, rank, l.zero(i64),
                    [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                      Value ahead = before(b, args[1], args[0], largest, isUnsigned),
                            behind = before(b, args[0], args[1], largest, isUnsigned);
                      Value first = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, indices[rank], indices[axis]);
                      Value notBehind = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, behind,
                                                              arith::ConstantIntOp::create(b, 0, 1));
                      Value counts = arith::OrIOp::create(b, ahead, arith::AndIOp::create(b, notBehind, first));
                      return arith::AddIOp::create(b, args[2], arith::ExtUIOp::create(b, i64, counts));
                    });
  loops[axis] = k;
  Value places =
      reduceIndexed(l, loops, ranks, other, rank, l.zero(i64),
                    [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                      Value hit = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, args[0],
                                                        arith::IndexCastOp::create(b, i64, indices[axis]));
                      Value place = arith::IndexCastOp::create(b, i64, indices[rank]);
                      return arith::AddIOp::create(
                          b, args[1], arith::SelectOp::create(b, hit, place, arith::ConstantIntOp::create(b, 0, 64)));
                    });
  if (!l.isAbsent(op.getValues()))
    l.set(op.getValues(), gatherAlong(l, x.value, places, axis), x.order);
  if (!l.isAbsent(op.getIndices()))
    l.set(op.getIndices(), places, x.order);
  return success();
}

} // namespace

void populateTensorIndexingLowerings(Registry &registry) {
  registry.add(lowerGather);
  registry.add(lowerGatherElements);
  registry.add(lowerGatherND);
  registry.add(lowerOneHot);
  registry.add(lowerTrilu);
  registry.add(lowerTopK);
}

} // namespace burin::lower
