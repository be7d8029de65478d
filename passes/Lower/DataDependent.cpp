// Lowering of operators whose results are as large as the data says: NonZero, Compress, Unique, NonMaxSuppression. Each
// computes into memory of the largest size there can be, and a count of what is valid; `setCounted` alone knows how a
// result gets its size. Loops update their tensors in place, without branches: what is not wanted is written where the
// next wanted one goes. An outermost loop hands on tensors alone, the count too: it becomes a function of its own.
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

#include <limits>

using namespace mlir;

namespace burin::lower {

void populateDataDependentLowerings(Registry &registry);

namespace {

/// A tensor of which the first positions along its first dim are the result; how many, the one element of `count` says.
struct Counted {
  Value tensor, count; // count: tensor<1xi64>
};

/// Answers `result` with the first `count` positions, or, where the graph declares how many there are, with as many,
/// and the program checks that the data agrees. `order` is that of the tensor's dims.
void setCounted(Lowering &l, Value result, const Counted &counted, ArrayRef<int64_t> order) {
  Shaped type = l.typeOf(counted.tensor);
  Value count = extract(l.b, counted.count, constantIndex(l.b, 0));
  auto declared = dyn_cast<RankedTensorType>(result.getType());
  int64_t given = declared ? declared.getDimSize(order[0]) : ShapedType::kDynamic;
  Dims sizes = type.shape;
  if (ShapedType::isDynamic(given)) {
    sizes[0] = l.extents.symbol(arith::IndexCastOp::create(l.b, l.b.getIndexType(), count), /*isSize=*/true, sizes[0]);
  } else {
    Value fits =
        arith::CmpIOp::create(l.b, arith::CmpIPredicate::eq, count, arith::ConstantIntOp::create(l.b, given, 64));
    cf::AssertOp::create(l.b, fits, "a result has another size than the model declares");
    bool never = !isFree(sizes[0]) && given > sizes[0]; // the check above has failed
    sizes[0] = given;
    if (never)
      return l.set(result, l.filled({sizes, type.element}, l.zero(type.element)), order);
  }
  Dims shape(sizes.size());
  for (auto [position, dim] : llvm::enumerate(order))
    shape[dim] = sizes[position];
  l.setShape(result, shape);
  l.set(result, l.slice(counted.tensor, Dims(sizes.size(), 0), sizes), order);
}

/// Operators whose bounds are computed here as numbers.
LogicalResult requireNumbers(Lowering &l, Operation *op) {
  for (Value v : op->getOperands())
    if (!l.isAbsent(v) && anyFree(l.shape(v)))
      return l.unsupported(op, "operands with free dims; bind them with --dim or --shape");
  return success();
}

using LoopBody = llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &b, Value i, ValueRange carried)>;

SmallVector<Value> loop(ImplicitLocOpBuilder &b, Value end, ValueRange init, LoopBody body) {
  auto made = scf::ForOp::create(b, constantIndex(b, 0), end, constantIndex(b, 1), init,
                                 [&](OpBuilder &builder, Location loc, Value i, ValueRange carried) {
                                   ImplicitLocOpBuilder inner(loc, builder);
                                   scf::YieldOp::create(inner, body(inner, i, carried));
                                 });
  return SmallVector<Value>(made.getResults());
}

Value extent(ImplicitLocOpBuilder &b, Value tensor, int64_t dim) { return b.createOrFold<tensor::DimOp>(tensor, dim); }
Value put(ImplicitLocOpBuilder &b, Value value, Value tensor, ValueRange at) {
  return tensor::InsertOp::create(b, value, tensor, at);
}
Value plus(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::AddIOp::create(b, x, y); }
Value minus(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::SubIOp::create(b, x, y); }
Value both(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::AndIOp::create(b, x, y); }
Value either(ImplicitLocOpBuilder &b, Value x, Value y) { return arith::OrIOp::create(b, x, y); }
Value negated(ImplicitLocOpBuilder &b, Value x) {
  return arith::XOrIOp::create(b, x, arith::ConstantIntOp::create(b, 1, 1));
}
Value choose(ImplicitLocOpBuilder &b, Value condition, Value x, Value y) {
  return arith::SelectOp::create(b, condition, x, y);
}
Value less(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::slt, x, y);
}
Value same(ImplicitLocOpBuilder &b, Value x, Value y) {
  return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, y);
}
Value asIndex(ImplicitLocOpBuilder &b, Value v) { return arith::IndexCastOp::create(b, b.getIndexType(), v); }
Value asI64(ImplicitLocOpBuilder &b, Value v) { return arith::IndexCastOp::create(b, b.getI64Type(), v); }
/// 1 where the condition holds, as an index.
Value oneIf(ImplicitLocOpBuilder &b, Value condition) {
  return choose(b, condition, constantIndex(b, 1), constantIndex(b, 0));
}
/// min(i, last) and max(i, 0): inside memory, whatever the data says.
Value atMost(ImplicitLocOpBuilder &b, Value i, Value last) { return arith::MinSIOp::create(b, i, last); }
Value atLeast(ImplicitLocOpBuilder &b, Value i, int64_t least) {
  return arith::MaxSIOp::create(b, i, constantIndex(b, least));
}
Value isNotZero(ImplicitLocOpBuilder &b, Value v) {
  Scalars s(b, false);
  return negated(b, s.equal(v, s.like(v, 0)));
}

Value room(Lowering &l, ArrayRef<int64_t> shape, Type element) { return l.fresh({shape, element}); }

/// A count of 0 in memory of its own.
Value counter(Lowering &l) {
  Value zero = arith::ConstantIntOp::create(l.b, 0, 64);
  return linalg::FillOp::create(l.b, ValueRange(zero), ValueRange(room(l, {1}, l.b.getI64Type()))).getResult(0);
}
Value counted(ImplicitLocOpBuilder &b, Value counter) { return asIndex(b, extract(b, counter, constantIndex(b, 0))); }
Value recounted(ImplicitLocOpBuilder &b, Value counter, Value count) {
  return put(b, asI64(b, count), counter, constantIndex(b, 0));
}

// --- NonZero and Compress --------------------------------------------------------------------------------------------

// Before the k-th element at most k - 1 were found, so the place of the next one is always inside.
LogicalResult lowerNonZero(Lowering &l, onnx::NonZeroOp op) {
  Value result = op.getY(), x = l.getIdentity(op.getX());
  int64_t rank = l.rank(op.getX()), most = l.product(l.shape(op.getX()));
  if (rank == 0)
    return l.unsupported(op, "a scalar; a Reshape to [1] before it works");
  SmallVector<Value> point;
  std::function<SmallVector<Value>(ImplicitLocOpBuilder &, ValueRange)> nest =
      [&](ImplicitLocOpBuilder &b, ValueRange carried) -> SmallVector<Value> {
    if (int64_t(point.size()) == rank) {
      Value out = carried[0], count = counted(b, carried[1]);
      for (auto [dim, i] : llvm::enumerate(point))
        out = put(b, asI64(b, i), out, {count, constantIndex(b, dim)});
      return {out, recounted(b, carried[1], plus(b, count, oneIf(b, isNotZero(b, extract(b, x, point)))))};
    }
    return loop(b, extent(b, x, point.size()), carried, [&](ImplicitLocOpBuilder &b, Value i, ValueRange inner) {
      point.push_back(i);
      SmallVector<Value> next = nest(b, inner);
      point.pop_back();
      return next;
    });
  };
  SmallVector<Value> made = nest(l.b, {room(l, {most, rank}, l.b.getI64Type()), counter(l)});
  // One row a find; ONNX wants one column.
  setCounted(l, result, {l.built(made[0], {most, rank}), made[1]}, {1, 0});
  return success();
}

/// The positions at which a vector of bool holds.
Counted chosen(Lowering &l, Value condition, int64_t most) {
  SmallVector<Value> made =
      loop(l.b, extent(l.b, condition, 0), {room(l, {most}, l.b.getI64Type()), counter(l)},
           [&](ImplicitLocOpBuilder &b, Value i, ValueRange carried) -> SmallVector<Value> {
             Value count = counted(b, carried[1]);
             return {put(b, asI64(b, i), carried[0], count),
                     recounted(b, carried[1], plus(b, count, oneIf(b, isNotZero(b, extract(b, condition, i)))))};
           });
  return {made[0], made[1]};
}

LogicalResult lowerCompress(Lowering &l, onnx::CompressOp op) {
  Value input = op.getInput();
  int64_t rank = l.rank(input), axis = op.getAxis() ? normalizeAxis(*op.getAxis(), rank) : 0;
  Dims shape(l.shape(input)), order = identityOrder(op.getAxis() ? rank : 1);
  Value data;
  if (op.getAxis()) {
    order.erase(order.begin() + axis);
    order.insert(order.begin(), axis);
    data = l.getIn(input, order);
  } else {
    data = l.reshape(l.getIdentity(input), {l.product(shape)});
  }
  int64_t given = l.shape(op.getCondition())[0];
  Counted where = chosen(l, l.getIdentity(op.getCondition()), given);
  Dims all = l.extentsOf(data);
  Value length = l.index(all[0]);
  all[0] = given;
  Value taken = mapIndexed(l, {all, getElementTypeOrSelf(data.getType())}, {}, {},
                           [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) {
                             SmallVector<Value> from(indices);
                             from[0] = safeIndex(b, extract(b, where.tensor, indices[0]), length);
                             return extract(b, data, from);
                           });
  setCounted(l, op.getOutput(), {taken, where.count}, order);
  return success();
}

// --- Unique ----------------------------------------------------------------------------------------------------------

/// Items i and j of [M, K] in lexicographic order; NaN is the greatest number and equal to itself.
Value before(ImplicitLocOpBuilder &b, Value items, Value i, Value j, bool isUnsigned) {
  auto order = [&](ImplicitLocOpBuilder &b, Value x, Value y) -> Value {
    Scalars s(b, isUnsigned);
    Value is = s.less(x, y);
    return isa<FloatType>(x.getType()) ? either(b, is, both(b, s.isNaN(y), negated(b, s.isNaN(x)))) : is;
  };
  // -1, 0 or 1 as the items compare so far.
  Value zero = arith::ConstantIntOp::create(b, 0, 32);
  Value state = loop(
      b, extent(b, items, 1), zero, [&](ImplicitLocOpBuilder &b, Value k, ValueRange carried) -> SmallVector<Value> {
        Value x = extract(b, items, {i, k}), y = extract(b, items, {j, k});
        Value zero = arith::ConstantIntOp::create(b, 0, 32), less = arith::ConstantIntOp::create(b, -1, 32),
              more = arith::ConstantIntOp::create(b, 1, 32);
        Value here = choose(b, order(b, x, y), less, choose(b, order(b, y, x), more, zero));
        return {choose(b, same(b, carried[0], zero), here, carried[0])};
      })[0];
  return less(b, state, zero);
}

/// The positions of the items of [M, K] in ascending order, equal ones as they stand: merges of blocks of 1, 2, 4, ...,
/// where each item finds its place by a binary search in the block beside its own.
Value sortedItems(Lowering &l, Value items, int64_t count, bool isUnsigned) {
  int64_t passes = 0;
  while ((int64_t(1) << passes) < count)
    ++passes;
  Type i64 = l.b.getI64Type();
  Value order = loop(l.b, extent(l.b, items, 0), room(l, {count}, i64),
                     [](ImplicitLocOpBuilder &b, Value i, ValueRange carried) -> SmallVector<Value> {
                       return {put(b, asI64(b, i), carried[0], i)};
                     })[0];
  SmallVector<Value> made = loop(
      l.b, constantIndex(l.b, passes), {order, room(l, {count}, i64)},
      [&](ImplicitLocOpBuilder &b, Value pass, ValueRange carried) -> SmallVector<Value> {
        Value order = carried[0], width = arith::ShLIOp::create(b, constantIndex(b, 1), pass),
              end = extent(b, items, 0);
        Value merged =
            loop(b, end, carried[1], [&](ImplicitLocOpBuilder &b, Value i, ValueRange inner) -> SmallVector<Value> {
              Value one = constantIndex(b, 1), zero = constantIndex(b, 0);
              Value item = safeIndex(b, extract(b, order, i), count);
              Value block = arith::DivUIOp::create(b, i, width);
              Value isRight = same(b, arith::AndIOp::create(b, block, one), one);
              Value beside = arith::XOrIOp::create(b, block, one);
              Value start = atMost(b, arith::MulIOp::create(b, beside, width), end);
              Value stop = atMost(b, plus(b, start, width), end);
              SmallVector<Value> range =
                  loop(b, constantIndex(b, passes + 1), {start, stop},
                       [&](ImplicitLocOpBuilder &b, Value, ValueRange bounds) -> SmallVector<Value> {
                         Value open = less(b, bounds[0], bounds[1]);
                         Value middle = arith::DivUIOp::create(b, plus(b, bounds[0], bounds[1]), constantIndex(b, 2));
                         middle = atMost(b, middle, minus(b, end, constantIndex(b, 1)));
                         Value other = safeIndex(b, extract(b, order, middle), count);
                         // What stands left goes first among equals.
                         Value first = choose(b, isRight, negated(b, before(b, items, item, other, isUnsigned)),
                                              before(b, items, other, item, isUnsigned));
                         Value up = plus(b, middle, constantIndex(b, 1));
                         return {choose(b, both(b, open, first), up, bounds[0]),
                                 choose(b, both(b, open, negated(b, first)), middle, bounds[1])};
                       });
              Value own = minus(b, i, arith::MulIOp::create(b, block, width));
              Value pair = arith::MulIOp::create(b, minus(b, block, choose(b, isRight, one, zero)), width);
              Value place = plus(b, plus(b, pair, own), minus(b, range[0], start));
              return {put(b, asI64(b, item), inner[0], atMost(b, place, minus(b, end, one)))};
            })[0];
        Value back = loop(b, end, order, [&](ImplicitLocOpBuilder &b, Value i, ValueRange inner) -> SmallVector<Value> {
          return {put(b, extract(b, merged, i), inner[0], i)};
        })[0];
        return {back, merged};
      });
  return made[0];
}

LogicalResult lowerUnique(Lowering &l, onnx::UniqueOp op) {
  if (failed(requireNumbers(l, op)))
    return failure();
  Value x = op.getX(), y = op.getY();
  int64_t rank = l.rank(x), axis = op.getAxis() ? normalizeAxis(*op.getAxis(), rank) : 0;
  Dims order = identityOrder(op.getAxis() ? rank : 1);
  Value data;
  if (op.getAxis()) {
    order.erase(order.begin() + axis);
    order.insert(order.begin(), axis);
    data = l.getIn(x, order);
  } else {
    data = l.reshape(l.getIdentity(x), {product(l.shape(x))});
  }
  Dims shape(cast<RankedTensorType>(data.getType()).getShape());
  int64_t count = shape[0], width = product(ArrayRef<int64_t>(shape).drop_front());
  bool isUnsigned = l.isUnsigned(x), sorted = op.getSorted();
  Value items = l.reshape(data, {count, width});
  Type i64 = l.b.getI64Type();
  if (count == 1) { // one item is unique
    Value zero = l.filled(RankedTensorType::get({1}, i64), l.zero(i64));
    Value one = l.filled(RankedTensorType::get({1}, i64), l.b.getI64IntegerAttr(1));
    setCounted(l, y, {data, one}, order);
    for (Value result : {op.getIndices(), op.getInverseIndices()})
      if (!l.isAbsent(result))
        l.set(result, zero);
    if (!l.isAbsent(op.getCounts()))
      l.set(op.getCounts(), one);
    return success();
  }
  Value ascending = sortedItems(l, items, count, isUnsigned);

  // Along the ascending items: a new group where one differs from the one before it. Groups know their first item and
  // their size, items their group.
  Value end = constantIndex(l.b, count);
  SmallVector<Value> groups =
      loop(l.b, end, {room(l, {count}, i64), room(l, {count}, i64), room(l, {count}, i64), counter(l)},
           [&](ImplicitLocOpBuilder &b, Value k, ValueRange carried) -> SmallVector<Value> {
             Value item = safeIndex(b, extract(b, ascending, k), count);
             Value previous =
                 safeIndex(b, extract(b, ascending, atLeast(b, minus(b, k, constantIndex(b, 1)), 0)), count);
             Value isNew = either(b, same(b, k, constantIndex(b, 0)), before(b, items, previous, item, isUnsigned));
             Value next = plus(b, counted(b, carried[3]), oneIf(b, isNew)),
                   group = atLeast(b, minus(b, next, constantIndex(b, 1)), 0);
             Value one = arith::ConstantIntOp::create(b, 1, 64);
             Value first = choose(b, isNew, asI64(b, item), extract(b, carried[0], group));
             Value size = choose(b, isNew, one, plus(b, extract(b, carried[1], group), one));
             return {put(b, first, carried[0], group), put(b, size, carried[1], group),
                     put(b, asI64(b, group), carried[2], item), recounted(b, carried[3], next)};
           });
  Value first = groups[0], size = groups[1], groupOf = groups[2], found = groups[3];

  // The order of the results: groups as they are, or as their first items stand.
  Value listed, numberOf;
  if (!sorted) {
    SmallVector<Value> made = loop(l.b, end, {room(l, {count}, i64), room(l, {count}, i64), counter(l)},
                                   [&](ImplicitLocOpBuilder &b, Value i, ValueRange carried) -> SmallVector<Value> {
                                     Value before = counted(b, carried[2]);
                                     Value group = safeIndex(b, extract(b, groupOf, i), count);
                                     Value isFirst = same(b, extract(b, first, group), asI64(b, i));
                                     Value place = atMost(b, before, constantIndex(b, count - 1));
                                     Value kept = extract(b, carried[1], group);
                                     return {put(b, asI64(b, group), carried[0], place),
                                             put(b, choose(b, isFirst, asI64(b, place), kept), carried[1], group),
                                             recounted(b, carried[2], plus(b, before, oneIf(b, isFirst)))};
                                   });
    listed = made[0];
    numberOf = made[1];
  }
  auto vector = RankedTensorType::get({count}, i64);
  auto perGroup = [&](Value table) {
    return mapIndexed(l, vector, {}, {}, [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) {
      Value group = sorted ? indices[0] : safeIndex(b, extract(b, listed, indices[0]), count);
      return extract(b, table, group);
    });
  };
  Value source = perGroup(first);
  Value taken =
      mapIndexed(l, RankedTensorType::get({count, width}, l.element(x)), {}, {},
                 [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) {
                   return extract(b, items, {safeIndex(b, extract(b, source, indices[0]), count), indices[1]});
                 });
  setCounted(l, y, {l.reshape(taken, shape), found}, order);
  if (!l.isAbsent(op.getIndices()))
    setCounted(l, op.getIndices(), {source, found}, {0});
  if (!l.isAbsent(op.getInverseIndices()))
    l.set(op.getInverseIndices(),
          mapIndexed(l, vector, {}, {}, [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) {
            Value group = extract(b, groupOf, indices[0]);
            return sorted ? group : extract(b, numberOf, safeIndex(b, group, count));
          }));
  if (!l.isAbsent(op.getCounts()))
    setCounted(l, op.getCounts(), {perGroup(size), found}, {0});
  return success();
}

// --- NonMaxSuppression -----------------------------------------------------------------------------------------------

/// Sides of box `i` of batch `batch`, each pair in ascending order: x, x, y, y.
std::array<Value, 4> sides(ImplicitLocOpBuilder &b, Value boxes, Value batch, Value i, bool center) {
  Scalars s(b, false);
  Value at[4];
  for (int64_t k = 0; k < 4; ++k)
    at[k] = extract(b, boxes, {batch, i, constantIndex(b, k)});
  if (center) { // x and y of the middle, width, height
    Value half = s.like(at[0], 0.5), w = s.mul(at[2], half), h = s.mul(at[3], half);
    return {s.sub(at[0], w), s.add(at[0], w), s.sub(at[1], h), s.add(at[1], h)};
  }
  auto low = [&](Value x, Value y) { return s.select(s.less(x, y), x, y); };
  auto high = [&](Value x, Value y) { return s.select(s.less(x, y), y, x); };
  return {low(at[1], at[3]), high(at[1], at[3]), low(at[0], at[2]), high(at[0], at[2])};
}

/// True where the boxes' intersection is more than `threshold` of their union.
Value overlap(ImplicitLocOpBuilder &b, Value boxes, Value batch, Value i, Value j, bool center, Value threshold) {
  Scalars s(b, false);
  auto x = sides(b, boxes, batch, i, center), y = sides(b, boxes, batch, j, center);
  auto low = [&](Value p, Value q) { return s.select(s.less(p, q), p, q); };
  auto high = [&](Value p, Value q) { return s.select(s.less(p, q), q, p); };
  Value w = s.sub(low(x[1], y[1]), high(x[0], y[0])), h = s.sub(low(x[3], y[3]), high(x[2], y[2]));
  Value zero = s.like(w, 0), shared = s.mul(w, h);
  auto area = [&](const std::array<Value, 4> &box) { return s.mul(s.sub(box[1], box[0]), s.sub(box[3], box[2])); };
  Value areaX = area(x), areaY = area(y), whole = s.sub(s.add(areaX, areaY), shared);
  Value holds = s.less(threshold, s.div(shared, whole));
  for (Value positive : {w, h, shared, areaX, areaY, whole})
    holds = both(b, holds, s.less(zero, positive));
  return holds;
}

// For each batch and class: the boxes above the score threshold, then as often as boxes are wanted the best that is
// left (the first among equals), with all that overlap it struck out. Rows of the result: batch, class, box.
LogicalResult lowerNonMaxSuppression(Lowering &l, onnx::NonMaxSuppressionOp op) {
  Dims scoresShape(l.shape(op.getScores()));
  int64_t kinds = l.product({scoresShape[0], scoresShape[1]}), count = scoresShape[2];
  Value boxes = l.getIdentity(op.getBoxes()), scores = l.getIdentity(op.getScores());
  bool center = op.getCenterPointBox() == 1;
  if (kinds == 0 || count == 0)
    return l.error(op) << "expected boxes and scores, got " << op.getScores().getType();
  Type f32 = l.element(op.getScores());
  // Numbers are read where they are used: what a loop takes from outside is tensors and constants.
  auto number = [&](ImplicitLocOpBuilder &b, Value v, Value tensor) -> Value {
    if (!tensor)
      return arith::ConstantOp::create(b, b.getFloatAttr(f32, 0));
    if (TypedAttr known = l.splat(v))
      return arith::ConstantOp::create(b, known);
    return extract(b, tensor, constantIndex(b, 0));
  };
  auto oneElement = [&](Value v) { return l.isAbsent(v) ? Value() : l.reshape(l.getIdentity(v), {1}); };
  Value overlapTensor = oneElement(op.getIouThreshold()), scoreTensor = oneElement(op.getScoreThreshold()),
        wantedTensor = oneElement(op.getMaxOutputBoxesPerClass());
  int64_t each = wantedTensor ? count : 0;
  // "As many as there are" comes as the largest number.
  auto known = onnx::getConstantInt(op.getMaxOutputBoxesPerClass());
  if (known && *known <= std::numeric_limits<int32_t>::max())
    each = l.extents.min(l.b, std::max<int64_t>(*known, 0), count);
  int64_t most = l.extents.add(l.extents.mul(kinds, each), 1);
  Type i64 = l.b.getI64Type(), i32 = l.b.getI32Type();
  // A row more than there can be: what is written without being found lands behind the rest. At least two turns, so
  // that the loop stays one: of the second, nothing is wanted then.
  SmallVector<Value> made = loop(
      l.b, isFree(kinds) ? l.index(kinds) : constantIndex(l.b, std::max<int64_t>(kinds, 2)),
      {room(l, {most, 3}, i64), counter(l), room(l, {count}, i64), room(l, {count}, i32)},
      [&](ImplicitLocOpBuilder &b, Value turn, ValueRange carried) -> SmallVector<Value> {
        Value classes = extent(b, scores, 1), count = extent(b, scores, 2);
        Value inside = isFree(kinds) ? turn : atMost(b, turn, constantIndex(b, kinds - 1));
        Value batch = arith::DivUIOp::create(b, inside, classes), kind = arith::RemUIOp::create(b, inside, classes);
        Value flag = arith::ConstantIntOp::create(b, 1, 32), none = arith::ConstantIntOp::create(b, 0, 32);
        // Candidates, and whether each is still one.
        SmallVector<Value> candidates =
            loop(b, count, {carried[2], carried[3], constantIndex(b, 0)},
                 [&](ImplicitLocOpBuilder &b, Value i, ValueRange inner) -> SmallVector<Value> {
                   Scalars s(b, false);
                   Value counts = scoreTensor ? s.less(number(b, op.getScoreThreshold(), scoreTensor),
                                                       extract(b, scores, {batch, kind, i}))
                                              : Value(arith::ConstantIntOp::create(b, 1, 1));
                   return {put(b, asI64(b, i), inner[0], inner[2]), put(b, flag, inner[1], inner[2]),
                           plus(b, inner[2], oneIf(b, counts))};
                 });
        Value list = candidates[0], end = candidates[2];
        Value wanted = wantedTensor ? asIndex(b, extract(b, wantedTensor, constantIndex(b, 0))) : constantIndex(b, 0);
        if (!isFree(each))
          wanted = atMost(b, wanted, constantIndex(b, each));
        Value rounds = choose(b, same(b, inside, turn), atMost(b, wanted, end), constantIndex(b, 0));
        SmallVector<Value> picked = loop(
            b, rounds, {carried[0], carried[1], candidates[1]},
            [&](ImplicitLocOpBuilder &b, Value, ValueRange inner) -> SmallVector<Value> {
              Value alive = inner[2], lowest = arith::ConstantOp::create(b, b.getFloatAttr(f32, 0));
              SmallVector<Value> best =
                  loop(b, end, {constantIndex(b, -1), lowest},
                       [&](ImplicitLocOpBuilder &b, Value k, ValueRange top) -> SmallVector<Value> {
                         Scalars s(b, false);
                         Value box = safeIndex(b, extract(b, list, k), count);
                         Value score = extract(b, scores, {batch, kind, box});
                         Value first = less(b, top[0], constantIndex(b, 0));
                         Value better =
                             both(b, same(b, extract(b, alive, k), flag), either(b, first, s.less(top[1], score)));
                         return {choose(b, better, k, top[0]), choose(b, better, score, top[1])};
                       });
              Value found = negated(b, less(b, best[0], constantIndex(b, 0))), place = atLeast(b, best[0], 0);
              Value box = safeIndex(b, extract(b, list, place), count), out = inner[0], at = counted(b, inner[1]);
              Value row[] = {batch, kind, box};
              for (int64_t column = 0; column < 3; ++column)
                out = put(b, asI64(b, row[column]), out, {at, constantIndex(b, column)});
              Value left =
                  loop(b, end, alive, [&](ImplicitLocOpBuilder &b, Value k, ValueRange flags) -> SmallVector<Value> {
                    Value other = safeIndex(b, extract(b, list, k), count);
                    Value limit = number(b, op.getIouThreshold(), overlapTensor);
                    Value struck = either(b, same(b, k, place), overlap(b, boxes, batch, box, other, center, limit));
                    Value now = extract(b, flags[0], k);
                    return {put(b, choose(b, both(b, found, struck), none, now), flags[0], k)};
                  })[0];
              return {out, recounted(b, inner[1], plus(b, at, oneIf(b, found))), left};
            });
        return {picked[0], picked[1], list, picked[2]};
      });
  setCounted(l, op.getSelectedIndices(), {l.built(made[0], {most, 3}), made[1]}, {0, 1});
  return success();
}

} // namespace

void populateDataDependentLowerings(Registry &registry) {
  registry.add(lowerNonMaxSuppression);
  registry.add(lowerNonZero);
  registry.add(lowerUnique);
  // A constant condition has its own, which only moves elements.
  const Registry::Function *known = registry.find("onnx.Compress");
  registry.add("onnx.Compress", [constant = known ? *known : nullptr](Lowering &l, Operation *op) {
    auto compress = cast<onnx::CompressOp>(op);
    return constant && l.isConstant(compress.getCondition()) ? constant(l, op) : lowerCompress(l, compress);
  });
}

} // namespace burin::lower
