// Lowering of the Tensor family, second part: ops that move whole runs of elements (Concat, Split, Slice, Pad, ...).
// What can be a view or a write in place is tensor.extract_slice or insert_slice; the rest reads through a table of
// positions an axis. Operands are taken in the order they lie, so nothing is transposed here.
#include "passes/Lower/Sizes.h"
#include "passes/Lower/Tensor.h"

using namespace mlir;

namespace burin::lower {

Value constantIndex(ImplicitLocOpBuilder &b, int64_t value) { return arith::ConstantIndexOp::create(b, value); }

Value extract(ImplicitLocOpBuilder &b, Value tensor, ValueRange indices) {
  return tensor::ExtractOp::create(b, tensor, indices);
}

Value safeIndex(ImplicitLocOpBuilder &b, Value index, int64_t size) {
  return safeIndex(b, index, constantIndex(b, size));
}

Value safeIndex(ImplicitLocOpBuilder &b, Value index, Value size) {
  Value i = index.getType().isIndex() ? index : arith::IndexCastOp::create(b, b.getIndexType(), index);
  Value zero = constantIndex(b, 0);
  Value negative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, i, zero);
  i = arith::SelectOp::create(b, negative, arith::AddIOp::create(b, i, size), i);
  Value last = b.createOrFold<arith::SubIOp>(size, constantIndex(b, 1));
  return arith::MinSIOp::create(b, arith::MaxSIOp::create(b, i, zero), last);
}

Value positions(Lowering &l, ArrayRef<int64_t> values) {
  return l.makeTensor(onnx::makeInts(Shaped({int64_t(values.size())}, l.b.getI32Type()), values));
}

AffineMap selectDims(Lowering &l, int64_t loops, ArrayRef<int64_t> dims) {
  SmallVector<AffineExpr> exprs;
  for (int64_t dim : dims)
    exprs.push_back(l.b.getAffineDimExpr(dim));
  return AffineMap::get(loops, 0, exprs, l.b.getContext());
}

Value mapIndexed(Lowering &l, const Shaped &result, ValueRange operands, ArrayRef<AffineMap> maps, IndexedBody body) {
  return l.map(result, operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    SmallVector<Value> indices;
    for (int64_t loop = 0; loop < result.getRank(); ++loop)
      indices.push_back(linalg::IndexOp::create(b, loop));
    return body(b, indices, args);
  });
}

Value reduceIndexed(Lowering &l, ArrayRef<int64_t> loops, ValueRange operands, ArrayRef<AffineMap> maps,
                    ArrayRef<int64_t> axes, TypedAttr init, IndexedBody body) {
  return l.reduce(loops, operands, maps, axes, init, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    SmallVector<Value> indices;
    for (size_t loop = 0; loop < loops.size(); ++loop)
      indices.push_back(linalg::IndexOp::create(b, loop));
    return body(b, indices, args);
  });
}

Value scalar(Lowering &l, Value v) {
  if (TypedAttr constant = l.splat(v))
    return l.makeScalar(constant);
  Value tensor = l.reshape(l.get(v).value, {});
  return extract(l.b, tensor, {});
}

bool setEmpty(Lowering &l, Operation *op) {
  bool all = true;
  for (Value result : op->getResults())
    all &= l.isAbsent(result) || product(l.shape(result)) == 0;
  if (all)
    for (Value result : op->getResults())
      if (!l.isAbsent(result))
        l.set(result, l.empty(l.typeIn(result, identityOrder(l.rank(result)))));
  return all;
}

Value remapAxes(Lowering &l, Value tensor, ArrayRef<AxisTable> tables) {
  // First what is a slice: positions that grow by one step.
  auto type = l.typeOf(tensor);
  int64_t rank = type.getRank();
  Dims offsets(rank, 0), sizes(type.getShape()), strides(rank, 1);
  SmallVector<AxisTable> rest;
  for (const AxisTable &table : tables) {
    const Dims &source = table.source;
    int64_t step = source.size() > 1 ? source[1] - source[0] : 1;
    bool slice = step > 0;
    for (size_t i = 1; i < source.size(); ++i)
      slice &= source[i] - source[i - 1] == step;
    if (!slice) {
      rest.push_back(table);
      continue;
    }
    offsets[table.axis] = source.empty() ? 0 : source[0];
    sizes[table.axis] = source.size();
    strides[table.axis] = step;
  }
  tensor = l.slice(tensor, offsets, sizes, strides);
  if (rest.empty())
    return tensor;

  // Then what only repeats each position k times: a map that fuses into consumers.
  Dims shape = sizes;
  SmallVector<AffineExpr> exprs;
  for (int64_t loop = 0; loop < rank; ++loop)
    exprs.push_back(l.b.getAffineDimExpr(loop));
  bool repeats = true;
  for (const AxisTable &table : rest) {
    shape[table.axis] = table.source.size();
    int64_t extent = sizes[table.axis], k = table.source.size() / std::max<int64_t>(extent, 1);
    bool here = k > 0 && int64_t(table.source.size()) == extent * k;
    for (size_t i = 0; here && i < table.source.size(); ++i)
      here = table.source[i] == int64_t(i) / k;
    repeats &= here;
    if (repeats)
      exprs[table.axis] = exprs[table.axis].floorDiv(k);
  }
  auto result = Shaped(shape, type.getElementType());
  if (repeats)
    return l.map(result, tensor, AffineMap::get(rank, 0, exprs, l.b.getContext()),
                 [](ImplicitLocOpBuilder &, ValueRange args) { return args[0]; });

  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  for (const AxisTable &table : rest) {
    operands.push_back(positions(l, table.source));
    maps.push_back(selectDims(l, rank, table.axis));
  }
  return mapIndexed(l, result, operands, maps, [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) {
    SmallVector<Value> from(indices);
    for (auto [table, arg] : llvm::zip(rest, args))
      from[table.axis] = arith::IndexCastOp::create(b, b.getIndexType(), arg);
    return extract(b, tensor, from);
  });
}

namespace {

// Parts are inserted into one new tensor: bufferization lets their producers write there.
LogicalResult lowerConcat(Lowering &l, onnx::ConcatOp op) {
  Value result = op->getResult(0);
  if (setEmpty(l, op))
    return success();
  int64_t rank = l.rank(result), axis = normalizeAxis(op.getAxis(), rank);
  SmallVector<Value> parts;
  for (Value part : op->getOperands())
    if (product(l.shape(part)) != 0)
      parts.push_back(part);
  if (parts.size() == 1) {
    l.set(result, l.get(parts[0]));
    return success();
  }
  // A cache that grows: an input of the graph with rows behind it that is its output lies as both must.
  bool isCache = isa<BlockArgument>(parts[0]) && llvm::any_of(result.getUsers(), llvm::IsaPred<func::ReturnOp>);
  Order order = isCache ? identityOrder(rank) : l.preferredOrder(parts, rank);
  Value whole = l.empty(l.typeIn(result, order));
  Dims offsets(rank, 0);
  for (Value part : parts) {
    whole = l.insert(l.getIn(part, order), whole, offsets);
    int64_t &offset = offsets[positionOf(order, axis)];
    offset = l.add(offset, l.shape(part)[axis]);
  }
  l.set(result, whole, order);
  return success();
}

LogicalResult lowerSplit(Lowering &l, onnx::SplitOp op) {
  Placed input = l.get(op.getInput());
  int64_t rank = input.order.size(), axis = normalizeAxis(op.getAxis(), rank);
  Dims offsets(rank, 0);
  for (Value part : op->getResults()) {
    if (l.isAbsent(part))
      continue;
    l.set(part, l.slice(input.value, offsets, permuted(l.shape(part), input.order)), input.order);
    int64_t &offset = offsets[positionOf(input.order, axis)];
    offset = l.add(offset, l.shape(part)[axis]);
  }
  return success();
}

// The axes an operand names, or all; repeated or not, in [0, rank).
FailureOr<Dims> readAxes(Lowering &l, Operation *op, Value axes, int64_t rank, int64_t count) {
  if (l.isAbsent(axes))
    return identityOrder(count);
  FailureOr<Dims> values = l.requireInts(op, axes, "axes");
  if (failed(values))
    return failure();
  for (int64_t &axis : *values) {
    if (axis < -rank || axis >= rank) {
      l.error(op) << "expected axes in [" << -rank << ", " << rank - 1 << "], got " << axis;
      return failure();
    }
    axis = normalizeAxis(axis, rank);
  }
  return values;
}

// A slice whose place or size the program finds out.
LogicalResult lowerFreeSlice(Lowering &l, onnx::SliceOp op, const Placed &data, ArrayRef<int64_t> shape) {
  int64_t rank = shape.size();
  auto starts = l.readScalars(op.getStarts(), false), ends = l.readScalars(op.getEnds(), false);
  if (!starts || !ends)
    return l.unsupported(op, "starts and ends of unknown length");
  FailureOr<Dims> axes = readAxes(l, op, op.getAxes(), rank, starts->size());
  FailureOr<Dims> steps =
      l.isAbsent(op.getSteps()) ? FailureOr<Dims>(Dims(starts->size(), 1)) : l.requireInts(op, op.getSteps(), "steps");
  if (failed(axes) || failed(steps))
    return failure();
  Dims offsets(rank, 0), strides(rank, 1), sizes = l.extentsOf(data.value), backwards;
  for (auto [start, end, axis, step] : llvm::zip(*starts, *ends, *axes, *steps)) {
    SliceRange range = sliceRange(l, start, end, step, shape[axis]);
    int64_t position = positionOf(data.order, axis);
    sizes[position] = l.agree(l.shape(op.getOutput())[axis], range.count);
    strides[position] = step;
    offsets[position] = range.start;
    if (step < 0)
      backwards.push_back(position);
  }
  if (backwards.empty()) {
    l.set(op.getOutput(), l.slice(data.value, offsets, sizes, strides), data.order);
    return success();
  }
  SmallVector<Value> begins, lasts;
  for (auto [offset, extent] : llvm::zip(offsets, l.extentsOf(data.value))) {
    begins.push_back(l.index(offset));
    lasts.push_back(l.index(extent));
  }
  Value whole = data.value;
  Shaped type(sizes, l.element(op.getOutput()));
  l.set(op.getOutput(),
        mapIndexed(l, type, {}, {},
                   [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) {
                     SmallVector<Value> from;
                     for (int64_t position = 0; position < rank; ++position) {
                       Value step = arith::MulIOp::create(b, indices[position], constantIndex(b, strides[position]));
                       from.push_back(safeIndex(b, arith::AddIOp::create(b, begins[position], step), lasts[position]));
                     }
                     return extract(b, whole, from);
                   }),
        data.order);
  return success();
}

// The result type says how many elements each axis keeps, so `ends` is not read.
LogicalResult lowerSlice(Lowering &l, onnx::SliceOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Placed data = l.get(op.getData());
  Dims shape = logicalShape(l, data);
  int64_t rank = shape.size();
  if (auto from = l.getScalars(op.getStarts()); !from || anyFree(*from) || anyFree(shape) || anyFree(l.shape(result)))
    return lowerFreeSlice(l, op, data, shape);
  FailureOr<Dims> starts = l.requireInts(op, op.getStarts(), "starts");
  if (failed(starts))
    return failure();
  FailureOr<Dims> axes = readAxes(l, op, op.getAxes(), rank, starts->size());
  FailureOr<Dims> steps =
      l.isAbsent(op.getSteps()) ? FailureOr<Dims>(Dims(starts->size(), 1)) : l.requireInts(op, op.getSteps(), "steps");
  if (failed(axes) || failed(steps))
    return failure();
  if (axes->size() != starts->size() || steps->size() != starts->size())
    return l.error(op) << "expected as many axes and steps as starts, " << starts->size() << ", got " << axes->size()
                       << " and " << steps->size();
  SmallVector<AxisTable> tables;
  for (auto [start, axis, step] : llvm::zip(*starts, *axes, *steps)) {
    int64_t extent = shape[axis], count = l.shape(result)[axis];
    int64_t at = start < 0 ? start + extent : start;
    at = std::clamp<int64_t>(at, 0, step < 0 ? extent - 1 : extent);
    AxisTable table{positionOf(data.order, axis), {}};
    for (int64_t i = 0; i < count; ++i)
      table.source.push_back(at + i * step);
    if (count && (table.source.back() < 0 || table.source.back() >= extent))
      return l.error(op) << "expected a slice inside axis " << axis << " of extent " << extent << ", got position "
                         << table.source.back();
    tables.push_back(table);
  }
  l.set(result, remapAxes(l, data.value, tables), data.order);
  return success();
}

// Where position `i`, which may lie outside [0, extent), is read.
int64_t padSource(StringRef mode, int64_t i, int64_t extent) {
  if (mode == "edge")
    return std::clamp<int64_t>(i, 0, extent - 1);
  int64_t period = mode == "wrap" ? extent : std::max<int64_t>(2 * (extent - 1), 1);
  int64_t at = ((i % period) + period) % period;
  return mode == "wrap" || at < extent ? at : period - at;
}

// The same over extents that the program finds out: each element is looked up. An axis that is padded holds something.
Value padFree(Lowering &l, StringRef mode, Value tensor, ArrayRef<int64_t> low, ArrayRef<int64_t> high) {
  Dims extents = l.extentsOf(tensor), shape;
  SmallVector<Value> begins, sizes, periods; // null where nothing is padded
  for (auto [extent, before, after] : llvm::zip(extents, low, high)) {
    bool isPadded = before != 0 || after != 0;
    extent = isPadded ? l.agree(extent, l.max(extent, 1)) : extent;
    int64_t period = mode == "wrap" ? extent : l.max(l.mul(2, l.sub(extent, 1)), 1);
    shape.push_back(l.add(l.add(before, extent), after));
    begins.push_back(isPadded ? l.index(before) : Value());
    sizes.push_back(isPadded ? l.index(extent) : Value());
    periods.push_back(isPadded ? l.index(period) : Value());
  }
  return mapIndexed(l, Shaped(shape, l.typeOf(tensor).getElementType()), {}, {},
                    [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) {
                      SmallVector<Value> from(indices);
                      for (auto [at, begin, size, period] : llvm::zip(from, begins, sizes, periods)) {
                        if (!begin)
                          continue;
                        at = arith::SubIOp::create(b, at, begin);
                        Value zero = constantIndex(b, 0), last = arith::SubIOp::create(b, size, constantIndex(b, 1));
                        if (mode != "edge") {
                          Value rest = arith::RemSIOp::create(b, at, period),
                                again = arith::AddIOp::create(b, rest, period);
                          Value isBefore = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, rest, zero);
                          at = arith::SelectOp::create(b, isBefore, again, rest);
                          if (mode == "reflect")
                            at = arith::MinSIOp::create(b, at, arith::SubIOp::create(b, period, at));
                        }
                        at = arith::MaxSIOp::create(b, arith::MinSIOp::create(b, at, last), zero);
                      }
                      return extract(b, tensor, from);
                    });
}

// `tensor` inside a larger one whose frame holds `fill`. Only the frame is filled: slabs that do not overlap, each as
// wide as what the dims before it leave.
Value padConstant(Lowering &l, Value tensor, ArrayRef<int64_t> low, ArrayRef<int64_t> high, Value fill) {
  auto type = l.typeOf(tensor);
  int64_t rank = type.getRank();
  Dims shape;
  for (int64_t dim = 0; dim < rank; ++dim)
    shape.push_back(l.add(l.add(low[dim], type.getDimSize(dim)), high[dim]));
  if (type.getShape() == ArrayRef<int64_t>(shape))
    return tensor;
  Value padded = l.empty(shape, type.getElementType());
  if (product(type.shape) == 0)
    return linalg::FillOp::create(l.b, fill, padded).getResult(0);
  Dims offsets(rank, 0), sizes = shape;
  for (int64_t dim = 0; dim < rank; ++dim) {
    for (int64_t end : {0, 1}) {
      int64_t width = end ? high[dim] : low[dim];
      if (width == 0)
        continue;
      offsets[dim] = end ? l.sub(shape[dim], width) : 0;
      sizes[dim] = width;
      Value slab = linalg::FillOp::create(l.b, fill, l.empty(sizes, type.getElementType())).getResult(0);
      padded = l.insert(l.built(slab, sizes), padded, offsets);
    }
    offsets[dim] = low[dim];
    sizes[dim] = type.getDimSize(dim);
  }
  return l.insert(tensor, padded, offsets);
}

LogicalResult lowerPad(Lowering &l, onnx::PadOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Placed data = l.get(op.getData());
  Dims shape = logicalShape(l, data);
  int64_t rank = shape.size();
  std::optional<Dims> pads = l.readScalars(op.getPads(), false);
  if (!pads)
    return l.unsupported(op, "pads of unknown length");
  FailureOr<Dims> axes = readAxes(l, op, op.getAxes(), rank, pads->size() / 2);
  if (failed(axes))
    return failure();
  if (pads->size() != 2 * axes->size())
    return l.error(op) << "expected " << 2 * axes->size() << " pads, got " << pads->size();
  Dims low(rank, 0), high(rank, 0);
  for (auto [i, axis] : llvm::enumerate(*axes)) {
    low[positionOf(data.order, axis)] = (*pads)[i];
    high[positionOf(data.order, axis)] = (*pads)[i + axes->size()];
  }
  StringRef mode = op.getMode();
  bool copies = mode == "edge" || mode == "reflect" || mode == "wrap";
  if (copies && (anyFree(*pads) || anyFree(shape))) {
    l.set(result, padFree(l, mode, data.value, low, high), data.order);
    return success();
  }
  if (copies) {
    SmallVector<AxisTable> tables;
    for (int64_t position = 0; position < rank; ++position) {
      if (low[position] == 0 && high[position] == 0)
        continue;
      int64_t extent = l.typeOf(data.value).getDimSize(position);
      AxisTable table{position, {}};
      for (int64_t i = -low[position]; i < extent + high[position]; ++i)
        table.source.push_back(padSource(mode, i, extent));
      tables.push_back(table);
    }
    l.set(result, remapAxes(l, data.value, tables), data.order);
    return success();
  }
  if (mode != "constant")
    return l.error(op) << "expected mode constant, edge, reflect or wrap, got " << mode;

  // Negative pads crop first.
  Dims offsets, sizes, zeros(rank, 0);
  for (int64_t position = 0; position < rank; ++position) {
    offsets.push_back(l.max(l.mul(low[position], -1), 0));
    int64_t extent = l.typeOf(data.value).getDimSize(position), cropped = l.max(l.mul(high[position], -1), 0);
    sizes.push_back(l.sub(l.sub(extent, offsets.back()), cropped));
    low[position] = l.max(low[position], 0);
    high[position] = l.max(high[position], 0);
  }
  for (int64_t size : sizes)
    if (!isFree(size) && size < 0)
      return l.unsupported(op, "a constant pad that crops more than the operand holds");
  Value fill =
      l.isAbsent(op.getConstantValue()) ? l.makeScalar(l.zero(l.element(result))) : scalar(l, op.getConstantValue());
  l.set(result, padConstant(l, l.slice(data.value, offsets, sizes), low, high, fill), data.order);
  return success();
}

LogicalResult lowerCompress(Lowering &l, onnx::CompressOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  FailureOr<Dims> condition = l.requireInts(op, op.getCondition(), "condition");
  if (failed(condition))
    return failure();
  Dims kept;
  for (auto [i, take] : llvm::enumerate(*condition))
    if (take)
      kept.push_back(i);
  if (!op.getAxis()) {
    Value flat = l.reshape(l.getIdentity(op.getInput()), product(l.shape(op.getInput())));
    l.set(result, remapAxes(l, flat, AxisTable{0, kept}));
    return success();
  }
  Placed input = l.get(op.getInput());
  int64_t axis = normalizeAxis(*op.getAxis(), input.order.size());
  l.set(result, remapAxes(l, input.value, AxisTable{positionOf(input.order, axis), kept}), input.order);
  return success();
}

LogicalResult lowerReverseSequence(Lowering &l, onnx::ReverseSequenceOp op) {
  Value result = op.getY();
  if (setEmpty(l, op))
    return success();
  Placed input = l.get(op.getInput());
  int64_t rank = input.order.size();
  int64_t batch = positionOf(input.order, normalizeAxis(op.getBatchAxis(), rank)),
          time = positionOf(input.order, normalizeAxis(op.getTimeAxis(), rank));
  int64_t extent = l.typeOf(input.value).getDimSize(time);
  Value lengths = l.getIdentity(op.getSequenceLens());
  l.set(result,
        mapIndexed(l, l.typeOf(input.value), lengths, selectDims(l, rank, batch),
                   [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) {
                     // A length past the end would read outside.
                     Value length = arith::MinSIOp::create(b, arith::IndexCastOp::create(b, b.getIndexType(), args[0]),
                                                           constantIndex(b, extent));
                     Value last = arith::SubIOp::create(b, length, constantIndex(b, 1));
                     Value inside = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, indices[time], length);
                     SmallVector<Value> from(indices);
                     from[time] = arith::SelectOp::create(b, inside, arith::SubIOp::create(b, last, indices[time]),
                                                          indices[time]);
                     return extract(b, input.value, from);
                   }),
        input.order);
  return success();
}

} // namespace

void populateTensorMoveLowerings(Registry &registry) {
  registry.add(lowerConcat);
  registry.add(lowerSplit);
  registry.add(lowerSlice);
  registry.add(lowerPad);
  registry.add(lowerCompress);
  registry.add(lowerReverseSequence);
}

} // namespace burin::lower
