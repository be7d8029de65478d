// Lowering of the Tensor family, fourth part: ScatterElements and ScatterND. Updates land in order in a copy of the
// data that bufferization makes in place where it may: sequential loops of tensor.insert, since two updates may meet.
// Where constant indices describe a box (how exporters write x[a:b] = y) it is one tensor.insert_slice.
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "passes/Lower/Tensor.h"

using namespace mlir;

namespace burin::lower {
namespace {

enum class Combine { Replace, Add, Mul, Max, Min };

FailureOr<Combine> readReduction(Lowering &l, Operation *op, StringRef reduction) {
  auto combine = llvm::StringSwitch<std::optional<Combine>>(reduction)
                     .Case("none", Combine::Replace)
                     .Case("add", Combine::Add)
                     .Case("mul", Combine::Mul)
                     .Case("max", Combine::Max)
                     .Case("min", Combine::Min)
                     .Default(std::nullopt);
  if (combine)
    return *combine;
  l.error(op) << "expected reduction none, add, mul, max or min, got " << reduction;
  return failure();
}

Value combine(ImplicitLocOpBuilder &b, Combine kind, Value old, Value update, bool isUnsigned) {
  bool isFloat = isa<FloatType>(old.getType());
  switch (kind) {
  case Combine::Replace:
    return update;
  case Combine::Add:
    if (old.getType().isInteger(1))
      return arith::OrIOp::create(b, old, update);
    return isFloat ? Value(arith::AddFOp::create(b, old, update)) : Value(arith::AddIOp::create(b, old, update));
  case Combine::Mul:
    return isFloat ? Value(arith::MulFOp::create(b, old, update)) : Value(arith::MulIOp::create(b, old, update));
  case Combine::Max:
    if (isFloat)
      return arith::MaximumFOp::create(b, old, update);
    return isUnsigned ? Value(arith::MaxUIOp::create(b, old, update)) : Value(arith::MaxSIOp::create(b, old, update));
  case Combine::Min:
    if (isFloat)
      return arith::MinimumFOp::create(b, old, update);
    return isUnsigned ? Value(arith::MinUIOp::create(b, old, update)) : Value(arith::MinSIOp::create(b, old, update));
  }
  llvm_unreachable("all kinds are handled");
}

// for each point of `loops`: target[place(point)] = combine(target[...], updates[point]).
using Place = llvm::function_ref<SmallVector<Value>(ImplicitLocOpBuilder &b, ArrayRef<Value> point)>;
Value scatter(Lowering &l, Value target, Value updates, Combine kind, bool isUnsigned, Place place) {
  Dims loops = l.extentsOf(updates);
  SmallVector<Value> ends;
  for (int64_t extent : loops)
    ends.push_back(l.index(extent));
  SmallVector<Value> point;
  std::function<Value(ImplicitLocOpBuilder &, Value)> nest = [&](ImplicitLocOpBuilder &b, Value current) -> Value {
    if (point.size() == loops.size()) {
      SmallVector<Value> at = place(b, point);
      Value update = extract(b, updates, point);
      if (kind != Combine::Replace)
        update = combine(b, kind, extract(b, current, at), update, isUnsigned);
      return tensor::InsertOp::create(b, update, current, at);
    }
    Value zero = constantIndex(b, 0), end = ends[point.size()], one = constantIndex(b, 1);
    auto loop = scf::ForOp::create(b, zero, end, one, current,
                                   [&](OpBuilder &builder, Location loc, Value index, ValueRange carried) {
                                     ImplicitLocOpBuilder inner(loc, builder);
                                     point.push_back(index);
                                     Value next = nest(inner, carried[0]);
                                     point.pop_back();
                                     scf::YieldOp::create(inner, next);
                                   });
    return loop.getResult(0);
  };
  return l.built(nest(l.b, target), l.extentsOf(target));
}

LogicalResult lowerScatterElements(Lowering &l, onnx::ScatterElementsOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  Placed data = l.get(op.getData());
  FailureOr<Combine> kind = readReduction(l, op, op.getReduction());
  if (failed(kind))
    return failure();
  if (product(l.shape(op.getUpdates())) == 0) {
    l.set(result, data);
    return success();
  }
  int64_t rank = data.order.size(), axis = positionOf(data.order, normalizeAxis(op.getAxis(), rank));
  Value extent = l.index(l.typeOf(data.value).getDimSize(axis));
  Value indices = l.getIn(op.getIndices(), data.order), updates = l.getIn(op.getUpdates(), data.order);
  l.set(result,
        scatter(l, data.value, updates, *kind, l.isUnsigned(result),
                [&](ImplicitLocOpBuilder &b, ArrayRef<Value> point) {
                  SmallVector<Value> at(point);
                  at[axis] = safeIndex(b, extract(b, indices, point), extent);
                  return at;
                }),
        data.order);
  return success();
}

// What constant index tuples of shape [loops..., depth] address when they walk a box: component j is base[j] + step[j]
// * (the loop that drives it), each loop driving one component.
struct Box {
  Dims base, step, loop; // loop -1: the component does not move
};

std::optional<Box> findBox(ArrayRef<int64_t> indices, ArrayRef<int64_t> shape, ArrayRef<int64_t> dataShape) {
  int64_t depth = shape.back(), outer = shape.size() - 1;
  Dims strides(outer, depth);
  for (int64_t d = outer - 2; d >= 0; --d)
    strides[d] = strides[d + 1] * shape[d + 1];
  auto at = [&](int64_t offset, int64_t component) {
    int64_t index = indices[offset + component];
    return index < 0 ? index + dataShape[component] : index;
  };
  if (anyFree(dataShape.take_front(depth)) || anyFree(shape))
    return std::nullopt;
  Box box;
  for (int64_t component = 0; component < depth; ++component) {
    box.base.push_back(at(0, component));
    box.step.push_back(1);
    box.loop.push_back(-1);
    for (int64_t d = 0; d < outer; ++d) {
      if (shape[d] < 2)
        continue;
      int64_t step = at(strides[d], component) - box.base.back();
      if (step == 0)
        continue;
      if (step < 0 || box.loop.back() >= 0 || llvm::is_contained(box.loop, d))
        return std::nullopt;
      box.step.back() = step;
      box.loop.back() = d;
    }
  }
  for (int64_t d = 0; d < outer; ++d)
    if (shape[d] > 1 && !llvm::is_contained(box.loop, d))
      return std::nullopt;
  Dims point(outer, 0);
  for (int64_t offset = 0, end = indices.size(); offset < end; offset += depth) {
    for (int64_t component = 0; component < depth; ++component) {
      int64_t moved = box.loop[component] < 0 ? 0 : point[box.loop[component]] * box.step[component];
      int64_t index = at(offset, component);
      if (index != box.base[component] + moved || index < 0 || index >= dataShape[component])
        return std::nullopt;
    }
    for (int64_t d = outer - 1; d >= 0 && ++point[d] == shape[d]; --d)
      point[d] = 0;
  }
  return box;
}

LogicalResult lowerScatterND(Lowering &l, onnx::ScatterNDOp op) {
  Value result = op.getOutput();
  if (setEmpty(l, op))
    return success();
  FailureOr<Combine> kind = readReduction(l, op, op.getReduction());
  if (failed(kind))
    return failure();
  if (product(l.shape(op.getUpdates())) == 0) {
    l.set(result, l.get(op.getData()));
    return success();
  }
  Dims shape(l.shape(op.getData())), at(l.shape(op.getIndices()));
  int64_t rank = shape.size(), outer = at.size() - 1, depth = at.back();

  std::optional<SmallVector<int64_t>> constant = onnx::getConstantInts(op.getIndices());
  if (constant && *kind == Combine::Replace) {
    if (std::optional<Box> box = findBox(*constant, at, shape)) {
      // Updates with one dim a component (loops in the order of the components that they drive), then the rows' dims.
      Placed updates = l.get(op.getUpdates());
      Dims permutation, sizes, offsets(rank, 0), strides(rank, 1);
      for (int64_t component = 0; component < depth; ++component) {
        int64_t loop = box->loop[component];
        offsets[component] = box->base[component];
        strides[component] = box->step[component];
        sizes.push_back(loop < 0 ? 1 : at[loop]);
        if (loop >= 0)
          permutation.push_back(loop);
      }
      for (int64_t d = 0, end = updates.order.size(); d < end; ++d)
        if (!llvm::is_contained(permutation, d) && d < outer)
          permutation.push_back(d);
      for (int64_t d = outer, end = updates.order.size(); d < end; ++d)
        permutation.push_back(d);
      sizes.append(shape.begin() + depth, shape.end());
      Placed data = l.get(op.getData());
      Value source = inOrder(l, regrouped(l, transposed(updates, permutation), sizes), data.order);
      auto fold = [&](ArrayRef<int64_t> values) { return l.fold(permuted(values, data.order)); };
      Value whole = tensor::InsertSliceOp::create(l.b, source, data.value, fold(offsets), fold(sizes), fold(strides));
      l.set(result, l.built(whole, l.extentsOf(data.value)), data.order);
      return success();
    }
  }

  if (isFree(depth))
    return l.unsupported(op, "indices whose last dim is free");
  Value indices = l.getIdentity(op.getIndices());
  SmallVector<Value> extents;
  for (int64_t component = 0; component < depth; ++component)
    extents.push_back(l.index(shape[component]));
  l.set(result, scatter(l, l.getIdentity(op.getData()), l.getIdentity(op.getUpdates()), *kind, l.isUnsigned(result),
                        [&](ImplicitLocOpBuilder &b, ArrayRef<Value> point) {
                          SmallVector<Value> place;
                          for (int64_t component = 0; component < depth; ++component) {
                            SmallVector<Value> tuple(point.take_front(outer));
                            tuple.push_back(constantIndex(b, component));
                            place.push_back(safeIndex(b, extract(b, indices, tuple), extents[component]));
                          }
                          llvm::append_range(place, point.drop_front(outer));
                          return place;
                        }));
  return success();
}

// The update of a cache: rows of `update` from position write_indices[b] on, in each batch b.
LogicalResult lowerTensorScatter(Lowering &l, onnx::TensorScatterOp op) {
  Value result = op.getPresentCache();
  if (setEmpty(l, op))
    return success();
  Placed cache = l.get(op.getPastCache());
  int64_t rank = cache.order.size(), dim = normalizeAxis(op.getAxis(), rank), axis = positionOf(cache.order, dim),
          batch = positionOf(cache.order, 0);
  int64_t extent = l.shape(result)[dim];
  if (product(l.shape(op.getUpdate())) == 0) {
    l.set(result, cache);
    return success();
  }
  Value update = l.getIn(op.getUpdate(), cache.order), target = cache.value, starts;
  bool circular = op.getMode() == "circular";
  if (!circular && op.getMode() != "linear")
    return l.error(op) << "expected mode linear or circular, got " << op.getMode();
  if (!l.isAbsent(op.getWriteIndices()))
    starts = l.getIdentity(op.getWriteIndices());
  if (!circular && !starts) {
    l.set(result, l.insert(update, target, Dims(rank, 0)), cache.order);
    return success();
  }
  Value end = l.index(extent);
  // Loops, not slices at positions known at run time: targets want every view static.
  l.set(result,
        scatter(l, target, update, Combine::Replace, false,
                [&](ImplicitLocOpBuilder &b, ArrayRef<Value> point) {
                  SmallVector<Value> at(point);
                  if (starts) {
                    Value start = arith::IndexCastOp::create(b, b.getIndexType(), extract(b, starts, point[batch]));
                    at[axis] = arith::AddIOp::create(b, at[axis], start);
                  }
                  if (circular)
                    at[axis] = arith::RemUIOp::create(b, at[axis], end);
                  at[axis] = safeIndex(b, at[axis], end);
                  return at;
                }),
        cache.order);
  return success();
}

} // namespace

void populateTensorScatterLowerings(Registry &registry) {
  registry.add(lowerTensorScatter);
  registry.add(lowerScatterElements);
  registry.add(lowerScatterND);
}

} // namespace burin::lower
