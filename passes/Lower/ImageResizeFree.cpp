// Resize where an extent or a scale is only known when the program runs: the tables of ImageResize.cpp, filled by the
// program. One position and one weight a read and result position, so the pass over the image stays the same gather.
#include "passes/Lower/Tensor.h"

using namespace mlir;

namespace burin::lower {
namespace {

struct FreeAxis {
  int64_t position; // in memory
  int64_t from, to;
  Value scale, width, last;         // f64: the scale, scale * from; index: from - 1
  SmallVector<Value> index, weight; // one a read; no weights for nearest
};

Value number(ImplicitLocOpBuilder &b, double value) { return arith::ConstantOp::create(b, b.getF64FloatAttr(value)); }

Value toDouble(ImplicitLocOpBuilder &b, Value index) {
  return arith::SIToFPOp::create(b, b.getF64Type(), arith::IndexCastOp::create(b, b.getI64Type(), index));
}

/// Where result position `x` lies in the operand, as ONNX's reference computes it.
Value sourceOf(ImplicitLocOpBuilder &b, StringRef mode, const FreeAxis &axis, Value from, Value to, Value x) {
  auto one = number(b, 1), half = number(b, 0.5);
  auto isOne = [&] { return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, axis.width, one); };
  if (mode == "align_corners") {
    Value scaled = arith::DivFOp::create(b, arith::MulFOp::create(b, x, arith::SubFOp::create(b, from, one)),
                                         arith::SubFOp::create(b, axis.width, one));
    return arith::SelectOp::create(b, isOne(), number(b, 0), scaled);
  }
  if (mode == "asymmetric")
    return arith::DivFOp::create(b, x, axis.scale);
  Value source =
      arith::SubFOp::create(b, arith::DivFOp::create(b, arith::AddFOp::create(b, x, half), axis.scale), half);
  if (mode == "pytorch_half_pixel")
    return arith::SelectOp::create(b, isOne(), number(b, -0.5), source);
  if (mode == "half_pixel_symmetric") {
    Value missing = arith::SubFOp::create(b, one, arith::DivFOp::create(b, to, axis.width));
    source = arith::AddFOp::create(b, source, arith::MulFOp::create(b, arith::MulFOp::create(b, from, half), missing));
  }
  return source;
}

/// The position below a source in `nearest_mode`'s sense.
Value nearestOf(ImplicitLocOpBuilder &b, StringRef mode, Value source) {
  if (mode == "floor")
    return math::FloorOp::create(b, source);
  if (mode == "ceil")
    return math::CeilOp::create(b, source);
  if (mode == "round_prefer_ceil")
    return math::FloorOp::create(b, arith::AddFOp::create(b, source, number(b, 0.5)));
  return math::CeilOp::create(b, arith::SubFOp::create(b, source, number(b, 0.5)));
}

/// A table with one entry a result position.
Value column(Lowering &l, onnx::ResizeOp op, const FreeAxis &axis, Type element,
             llvm::function_ref<Value(ImplicitLocOpBuilder &b, Value source)> entry) {
  Value from = toDouble(l.b, l.index(axis.from)), to = toDouble(l.b, l.index(axis.to));
  return mapIndexed(l, {{axis.to}, element}, {}, {}, [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange) {
    return entry(b, sourceOf(b, op.getCoordinateTransformationMode(), axis, from, to, toDouble(b, indices[0])));
  });
}

void fillTables(Lowering &l, onnx::ResizeOp op, FreeAxis &axis) {
  bool nearest = op.getMode() == "nearest";
  Type i32 = l.b.getI32Type(), f32 = l.b.getF32Type();
  Value last = toDouble(l.b, axis.last);
  auto clamped = [&](ImplicitLocOpBuilder &b, Value place) {
    place = arith::MinimumFOp::create(b, arith::MaximumFOp::create(b, place, number(b, 0)), last);
    return arith::FPToSIOp::create(b, i32, place);
  };
  for (int64_t read = 0; read < (nearest ? 1 : 2); ++read) {
    axis.index.push_back(column(l, op, axis, i32, [&](ImplicitLocOpBuilder &b, Value source) -> Value {
      if (nearest)
        return clamped(b, nearestOf(b, op.getNearestMode(), source));
      Value below = math::FloorOp::create(b, source);
      return clamped(b, read ? Value(arith::AddFOp::create(b, below, number(b, 1))) : below);
    }));
    if (nearest)
      continue;
    axis.weight.push_back(column(l, op, axis, f32, [&](ImplicitLocOpBuilder &b, Value source) -> Value {
      Value ratio = arith::SubFOp::create(b, source, math::FloorOp::create(b, source));
      Value weight = read ? ratio : Value(arith::SubFOp::create(b, number(b, 1), ratio));
      return arith::TruncFOp::create(b, f32, weight);
    }));
  }
}

} // namespace

LogicalResult lowerFreeResize(Lowering &l, onnx::ResizeOp op, const Placed &x) {
  StringRef mode = op.getMode(), coordinates = op.getCoordinateTransformationMode();
  if ((mode != "nearest" && mode != "linear") || op.getAntialias() || op.getExcludeOutside() ||
      coordinates == "tf_crop_and_resize")
    return l.unsupported(op, "free dims with cubic, antialias, exclude_outside or tf_crop_and_resize; bind the dims");
  Dims from = logicalShape(l, x), to(l.shape(op.getY())), axes = identityOrder(from.size());
  if (op.getAxes())
    axes.assign(op.getAxes()->begin(), op.getAxes()->end());
  bool hasScales = !l.isAbsent(op.getScales()) && product(l.shape(op.getScales())) != 0;
  auto scales = hasScales ? onnx::getConstantFloats(op.getScales()) : std::nullopt;
  if (hasScales && (!scales || scales->size() != axes.size()))
    return l.unsupported(op, "scales computed at run time; constant 'scales', or 'sizes', work");

  SmallVector<FreeAxis> changing;
  for (auto [i, dim] : llvm::enumerate(axes)) {
    dim = normalizeAxis(dim, from.size());
    if (from[dim] == to[dim] && (!scales || (*scales)[i] == 1))
      continue;
    FreeAxis axis{positionOf(x.order, dim), from[dim], to[dim], {}, {}, {}, {}, {}};
    Value extent = toDouble(l.b, l.index(axis.from));
    axis.scale =
        scales ? number(l.b, (*scales)[i]) : Value(arith::DivFOp::create(l.b, toDouble(l.b, l.index(axis.to)), extent));
    axis.width = arith::MulFOp::create(l.b, axis.scale, extent);
    axis.last = l.index(l.sub(axis.from, 1));
    fillTables(l, op, axis);
    changing.push_back(std::move(axis));
  }
  Type element = l.element(op.getY()), compute = l.b.getF32Type();
  if (mode == "linear" && !isa<FloatType>(element))
    return l.unsupported(op, "linear over free dims of integers; a Cast to float before it does the same");
  Dims shape = l.extentsOf(x.value);
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  for (const FreeAxis &axis : changing) {
    shape[axis.position] = axis.to;
    for (auto [read, index] : llvm::enumerate(axis.index)) {
      operands.push_back(index);
      if (!axis.weight.empty())
        operands.push_back(axis.weight[read]);
      maps.append(axis.weight.empty() ? 1 : 2, selectDims(l, shape.size(), axis.position));
    }
  }
  Value whole = x.value;
  l.set(op.getY(),
        mapIndexed(l, {shape, element}, operands, maps,
                   [&](ImplicitLocOpBuilder &b, ArrayRef<Value> indices, ValueRange args) -> Value {
                     SmallVector<Value> at(indices);
                     if (mode == "nearest") {
                       for (auto [axis, arg] : llvm::zip(changing, args))
                         at[axis.position] = arith::IndexCastOp::create(b, b.getIndexType(), arg);
                       return extract(b, whole, at);
                     }
                     std::function<Value(size_t)> blend = [&](size_t a) -> Value {
                       if (a == changing.size()) {
                         Value read = extract(b, whole, at);
                         if (read.getType() == compute)
                           return read;
                         return element.isF64() ? Value(arith::TruncFOp::create(b, compute, read))
                                                : Value(arith::ExtFOp::create(b, compute, read));
                       }
                       Value sum;
                       for (size_t read = 0; read < 2; ++read) {
                         at[changing[a].position] =
                             arith::IndexCastOp::create(b, b.getIndexType(), args[4 * a + 2 * read]);
                         Value term = arith::MulFOp::create(b, blend(a + 1), args[4 * a + 2 * read + 1]);
                         sum = sum ? Value(arith::AddFOp::create(b, sum, term)) : term;
                       }
                       return sum;
                     };
                     Value sum = blend(0);
                     if (element == compute)
                       return sum;
                     return element.isF64() ? Value(arith::ExtFOp::create(b, element, sum))
                                            : Value(arith::TruncFOp::create(b, element, sum));
                   }),
        x.order);
  return success();
}

} // namespace burin::lower
