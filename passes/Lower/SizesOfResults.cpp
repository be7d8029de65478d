// Shapes of results from shapes of operands, where a dim is free: one small rule a family of operators. What ONNX's own
// inference has made static is never computed again.
#include "passes/Lower/Sizes.h"
#include "passes/Lower/Window.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace burin::lower {
namespace {

/// Silent failure: the caller says that the shape depends on data.
using Shape = FailureOr<Dims>;

Dims broadcastShapes(Lowering &l, ValueRange operands) {
  Dims result;
  for (Value v : operands) {
    if (l.isAbsent(v))
      continue;
    Dims shape(l.shape(v));
    if (shape.size() > result.size())
      result.insert(result.begin(), shape.size() - result.size(), 1);
    for (size_t i = 0; i < shape.size(); ++i) {
      int64_t &extent = result[result.size() - shape.size() + i];
      extent = l.broadcastExtent(extent, shape[i]);
    }
  }
  return result;
}

Shape numbers(Lowering &l, Value v) {
  auto scalars = l.getScalars(v);
  return scalars && !anyFree(*scalars) ? Shape(*scalars) : Shape(failure());
}

Shape ofReshape(Lowering &l, onnx::ReshapeOp op) {
  Dims from(l.shape(op.getData()));
  auto wanted = l.readScalars(op.getShape(), /*isSize=*/false);
  if (!wanted)
    return failure();
  int64_t rest = 1, missing = -1;
  Dims result;
  for (auto [i, extent] : llvm::enumerate(*wanted)) {
    if (extent == -1) {
      missing = i;
      result.push_back(1);
      continue;
    }
    if (extent == 0 && !op.getAllowzero())
      extent = i < from.size() ? from[i] : 0;
    result.push_back(extent);
    rest = l.mul(rest, extent);
  }
  int64_t total = l.product(from);
  if (missing >= 0) {
    result[missing] = l.floorDiv(total, rest);
    return result;
  }
  // One dim that only the program knows may be its way to say -1, or 0.
  SmallVector<size_t> unknown;
  for (auto [i, extent] : llvm::enumerate(result))
    if (isFree(extent) && !l.extents.lowest(extent))
      unknown.push_back(i);
  for (size_t i : unknown) {
    int64_t extent = result[i];
    if (!op.getAllowzero() && i < from.size())
      extent = l.extents.select(l.b, l.extents.compare(l.b, arith::CmpIPredicate::eq, extent, 0), from[i], extent);
    result[i] = extent;
  }
  for (size_t i : unknown) {
    int64_t others = 1;
    for (size_t j = 0; j < result.size(); ++j)
      if (j != i)
        others = l.mul(others, l.extents.lowest(result[j]).value_or(-1) >= 0 ? result[j] : l.max(result[j], 1));
    int64_t isMinusOne = l.extents.compare(l.b, arith::CmpIPredicate::slt, result[i], 0);
    result[i] = l.max(l.extents.select(l.b, isMinusOne, l.floorDiv(total, others), result[i]), 0);
  }
  return result;
}

Shape ofConcat(Lowering &l, onnx::ConcatOp op) {
  Dims result(l.shape(op->getOperand(0)));
  int64_t axis = normalizeAxis(op.getAxis(), result.size());
  for (Value part : op->getOperands().drop_front())
    for (auto [dim, extent] : llvm::enumerate(l.shape(part))) {
      int64_t mine = result[dim];
      result[dim] = static_cast<int64_t>(dim) == axis ? l.add(mine, extent) : l.agree(mine, extent);
    }
  return result;
}

Shape ofSlice(Lowering &l, onnx::SliceOp op) {
  Dims result(l.shape(op.getData()));
  auto starts = l.readScalars(op.getStarts(), false), ends = l.readScalars(op.getEnds(), false);
  if (!starts || !ends || starts->size() != ends->size())
    return failure();
  Dims axes = identityOrder(starts->size()), steps(starts->size(), 1);
  if (!l.isAbsent(op.getAxes())) {
    Shape given = numbers(l, op.getAxes());
    if (failed(given))
      return failure();
    axes = *given;
  }
  if (!l.isAbsent(op.getSteps())) {
    Shape given = numbers(l, op.getSteps());
    if (failed(given))
      return failure();
    steps = *given;
  }
  if (axes.size() != starts->size() || steps.size() != starts->size() || llvm::is_contained(steps, 0))
    return failure();
  for (auto [start, end, axis, step] : llvm::zip(*starts, *ends, axes, steps)) {
    int64_t dim = normalizeAxis(axis, result.size());
    if (dim < 0 || dim >= static_cast<int64_t>(result.size()))
      return failure();
    result[dim] = sliceRange(l, start, end, step, result[dim]).count;
  }
  return result;
}

Shape ofGather(Lowering &l, onnx::GatherOp op) {
  ArrayRef<int64_t> data = l.shape(op.getData());
  int64_t axis = normalizeAxis(op.getAxis(), data.size());
  Dims result(data.take_front(axis));
  result.append(Dims(l.shape(op.getIndices())));
  result.append(Dims(data.drop_front(axis + 1)));
  return result;
}

Shape ofGatherND(Lowering &l, onnx::GatherNDOp op) {
  ArrayRef<int64_t> data = l.shape(op.getData()), indices = l.shape(op.getIndices());
  if (isFree(indices.back()))
    return failure();
  Dims result(indices.drop_back());
  result.append(Dims(data.drop_front(op.getBatchDims() + indices.back())));
  return result;
}

/// With a rank of at least 2 each: batch dims broadcast, rows and columns.
Shape ofMatMul(Lowering &l, Value a, Value b) {
  Dims lhs(l.shape(a)), rhs(l.shape(b));
  if (lhs.empty() || rhs.empty())
    return failure();
  bool row = lhs.size() == 1, column = rhs.size() == 1;
  if (row)
    lhs.insert(lhs.begin(), 1);
  if (column)
    rhs.push_back(1);
  l.agree(lhs.back(), rhs[rhs.size() - 2]);
  int64_t m = lhs[lhs.size() - 2], n = rhs.back();
  Dims x(ArrayRef<int64_t>(lhs).drop_back(2)), y(ArrayRef<int64_t>(rhs).drop_back(2));
  while (x.size() < y.size())
    x.insert(x.begin(), 1);
  while (y.size() < x.size())
    y.insert(y.begin(), 1);
  Dims result;
  for (auto [i, j] : llvm::zip(x, y))
    result.push_back(l.broadcastExtent(i, j));
  if (!row)
    result.push_back(m);
  if (!column)
    result.push_back(n);
  return result;
}

Shape ofReduce(Lowering &l, Operation *op, bool keepDims, bool noop) {
  ArrayRef<int64_t> data = l.shape(op->getOperand(0));
  Dims axes;
  if (op->getNumOperands() > 1 && !l.isAbsent(op->getOperand(1))) {
    Shape given = numbers(l, op->getOperand(1));
    if (failed(given))
      return failure();
    for (int64_t axis : *given)
      axes.push_back(normalizeAxis(axis, data.size()));
  }
  if (axes.empty() && !noop)
    axes = identityOrder(data.size());
  Dims result;
  for (auto [dim, extent] : llvm::enumerate(data)) {
    bool reduced = llvm::is_contained(axes, static_cast<int64_t>(dim));
    if (!reduced || keepDims)
      result.push_back(reduced ? 1 : extent);
  }
  return result;
}

/// One spatial dim behind a sliding window.
int64_t ofWindow(Lowering &l, const Window &w, int64_t dim, int64_t input, StringRef autoPad, bool ceilMode) {
  if (autoPad.starts_with("SAME"))
    return l.ceilDiv(input, w.strides[dim]);
  int64_t room = l.add(input, w.begin[dim] + w.end[dim] - w.extent(dim));
  if (!ceilMode)
    return l.max(l.add(l.floorDiv(room, w.strides[dim]), 1), 0);
  // A last window that begins in the end padding does not count.
  int64_t count = l.add(l.ceilDiv(room, w.strides[dim]), 1);
  int64_t inside = l.add(l.floorDiv(l.add(input, w.begin[dim] - 1), w.strides[dim]), 1);
  return l.max(l.min(count, inside), 0);
}

template <typename OpTy> Shape ofConv(Lowering &l, OpTy op, Value x, Value filter) {
  ArrayRef<int64_t> input = l.shape(x), kernel = l.shape(filter);
  if (anyFree(kernel))
    return failure();
  Window w = getWindow(op, kernel.drop_front(2));
  Dims result = {input[0], kernel[0]};
  for (size_t dim = 0; dim + 2 < input.size(); ++dim)
    result.push_back(ofWindow(l, w, dim, input[dim + 2], op.getAutoPad(), false));
  return result;
}

template <typename OpTy> Shape ofPool(Lowering &l, OpTy op) {
  ArrayRef<int64_t> input = l.shape(op.getX());
  Window w = getWindow(op, op.getKernelShape());
  Dims result = {input[0], input[1]};
  for (size_t dim = 0; dim + 2 < input.size(); ++dim)
    result.push_back(ofWindow(l, w, dim, input[dim + 2], op.getAutoPad(), op.getCeilMode()));
  return result;
}

Shape ofConvTranspose(Lowering &l, onnx::ConvTransposeOp op) {
  ArrayRef<int64_t> input = l.shape(op.getX()), kernel = l.shape(op.getW());
  if (anyFree(kernel) || op.getAutoPad() != "NOTSET" || (op.getOutputShape() && !op.getOutputShape()->empty()))
    return failure();
  Window w = getWindow(op, kernel.drop_front(2));
  Dims result = {input[0], kernel[1] * op.getGroup()};
  for (size_t dim = 0; dim + 2 < input.size(); ++dim) {
    int64_t extra = op.getOutputPadding() && dim < op.getOutputPadding()->size() ? (*op.getOutputPadding())[dim] : 0;
    result.push_back(
        l.add(l.mul(l.sub(input[dim + 2], 1), w.strides[dim]), extra + w.extent(dim) - w.begin[dim] - w.end[dim]));
  }
  return result;
}

Shape ofPad(Lowering &l, onnx::PadOp op) {
  Dims result(l.shape(op.getData()));
  auto pads = l.readScalars(op.getPads(), false);
  Dims axes = identityOrder(result.size());
  if (!l.isAbsent(op.getAxes())) {
    Shape given = numbers(l, op.getAxes());
    if (failed(given))
      return failure();
    axes = *given;
  }
  if (!pads || pads->size() != 2 * axes.size())
    return failure();
  for (auto [i, axis] : llvm::enumerate(axes)) {
    int64_t dim = normalizeAxis(axis, result.size());
    result[dim] = l.add(result[dim], l.add((*pads)[i], (*pads)[i + axes.size()]));
  }
  return result;
}

Shape ofRange(Lowering &l, onnx::RangeOp op) {
  auto integer = dyn_cast<IntegerType>(l.element(op.getOutput()));
  if (integer) {
    auto start = l.readScalars(op.getStart(), false), limit = l.readScalars(op.getLimit(), false),
         delta = l.readScalars(op.getDelta(), false);
    if (!start || !limit || !delta)
      return failure();
    int64_t length = l.sub(limit->front(), start->front()), step = delta->front();
    if (step == 0)
      return failure();
    if (!isFree(step))
      return Dims{l.max(step > 0 ? l.ceilDiv(length, step) : l.ceilDiv(l.mul(length, -1), -step), 0)};
  }
  // max(ceil((limit - start) / delta), 0) in f64, as the runtime of the reference has it.
  auto element = [&](Value v) -> Value {
    Value x = tensor::ExtractOp::create(l.b, l.reshape(l.getIdentity(v), {}), ValueRange());
    Type wide = l.b.getF64Type();
    if (integer)
      return arith::SIToFPOp::create(l.b, wide, x);
    return x.getType() == wide ? x : arith::ExtFOp::create(l.b, wide, x);
  };
  Value length = arith::DivFOp::create(l.b, arith::SubFOp::create(l.b, element(op.getLimit()), element(op.getStart())),
                                       element(op.getDelta()));
  Value count = arith::FPToSIOp::create(l.b, l.b.getI64Type(), math::CeilOp::create(l.b, length));
  Value zero = arith::ConstantIntOp::create(l.b, 0, 64);
  count = arith::MaxSIOp::create(l.b, count, zero);
  return Dims{l.extents.symbol(arith::IndexCastOp::create(l.b, l.b.getIndexType(), count))};
}

Shape ofResize(Lowering &l, onnx::ResizeOp op) {
  Dims result(l.shape(op.getX()));
  Dims axes = identityOrder(result.size());
  if (op.getAxes())
    axes = Dims(op.getAxes()->begin(), op.getAxes()->end());
  if (op.getKeepAspectRatioPolicy() != "stretch")
    return failure();
  if (!l.isAbsent(op.getSizes())) {
    auto sizes = l.readScalars(op.getSizes(), true);
    if (!sizes || sizes->size() != axes.size())
      return failure();
    for (auto [axis, size] : llvm::zip(axes, *sizes))
      result[normalizeAxis(axis, result.size())] = size;
    return result;
  }
  auto scales = onnx::getConstantFloats(op.getScales());
  if (!scales || scales->size() != axes.size())
    return failure();
  for (auto [axis, scale] : llvm::zip(axes, *scales)) {
    int64_t &extent = result[normalizeAxis(axis, result.size())];
    if (!isFree(extent))
      extent = static_cast<int64_t>(std::floor(extent * static_cast<double>(scale)));
    else if (scale == std::floor(scale))
      extent = l.mul(extent, static_cast<int64_t>(scale));
    else if (double inverse = 1 / static_cast<double>(scale); inverse == std::floor(inverse))
      extent = l.floorDiv(extent, static_cast<int64_t>(inverse));
    else
      return failure();
  }
  return result;
}

Shape ofUnsqueeze(Lowering &l, onnx::UnsqueezeOp op) {
  Shape axes = numbers(l, op.getAxes());
  if (failed(axes))
    return failure();
  ArrayRef<int64_t> data = l.shape(op.getData());
  int64_t rank = data.size() + axes->size();
  Dims result(rank, -1);
  for (int64_t axis : *axes)
    result[normalizeAxis(axis, rank)] = 1;
  for (int64_t &extent : result)
    if (extent == -1) {
      extent = data.front();
      data = data.drop_front();
    }
  return result;
}

Shape ofSqueeze(Lowering &l, onnx::SqueezeOp op) {
  ArrayRef<int64_t> data = l.shape(op.getData());
  Dims axes, result;
  if (l.isAbsent(op.getAxes())) {
    if (anyFree(data)) // which of them are 1 decides the rank
      return failure();
    for (auto [dim, extent] : llvm::enumerate(data))
      if (extent == 1)
        axes.push_back(dim);
  } else {
    Shape given = numbers(l, op.getAxes());
    if (failed(given))
      return failure();
    for (int64_t axis : *given)
      axes.push_back(normalizeAxis(axis, data.size()));
  }
  for (auto [dim, extent] : llvm::enumerate(data)) {
    if (llvm::is_contained(axes, static_cast<int64_t>(dim)))
      l.agree(1, extent);
    else
      result.push_back(extent);
  }
  return result;
}

Shape ofFlatten(Lowering &l, onnx::FlattenOp op) {
  ArrayRef<int64_t> data = l.shape(op.getInput());
  int64_t axis = op.getAxis() < 0 ? op.getAxis() + data.size() : op.getAxis();
  return Dims{l.product(data.take_front(axis)), l.product(data.drop_front(axis))};
}

Shape ofTranspose(Lowering &l, onnx::TransposeOp op) {
  Dims data(l.shape(op.getData()));
  if (!op.getPerm())
    return Dims(llvm::reverse(data));
  return permuted(data, *op.getPerm());
}

Shape ofSpaceToDepth(Lowering &l, ArrayRef<int64_t> x, int64_t block, bool toSpace) {
  if (toSpace)
    return Dims{x[0], l.floorDiv(x[1], block * block), l.mul(x[2], block), l.mul(x[3], block)};
  return Dims{x[0], l.mul(x[1], block * block), l.floorDiv(x[2], block), l.floorDiv(x[3], block)};
}

/// Operators whose first result has the shape of their first operand.
bool keepsShape(StringRef name) {
  static const llvm::StringSet<> names = {"BatchNormalization",
                                          "BitCast",
                                          "Cast",
                                          "CastLike",
                                          "Clip",
                                          "CumProd",
                                          "CumSum",
                                          "DequantizeLinear",
                                          "Dropout",
                                          "DynamicQuantizeLinear",
                                          "EyeLike",
                                          "GroupNormalization",
                                          "Hardmax",
                                          "Identity",
                                          "InstanceNormalization",
                                          "LRN",
                                          "LayerNormalization",
                                          "LogSoftmax",
                                          "LpNormalization",
                                          "QuantizeLinear",
                                          "RMSNormalization",
                                          "ReverseSequence",
                                          "ScatterElements",
                                          "ScatterND",
                                          "Softmax",
                                          "TensorScatter",
                                          "Trilu"};
  return names.contains(name);
}

/// The shape of the first result.
Shape ofFirst(Lowering &l, Operation *op) {
  auto operand = [&](unsigned i) { return op->getOperand(i); };
  return llvm::TypeSwitch<Operation *, Shape>(op)
      .Case([&](onnx::ReshapeOp o) { return ofReshape(l, o); })
      .Case([&](onnx::ConcatOp o) { return ofConcat(l, o); })
      .Case([&](onnx::SliceOp o) { return ofSlice(l, o); })
      .Case([&](onnx::GatherOp o) { return ofGather(l, o); })
      .Case([&](onnx::GatherNDOp o) { return ofGatherND(l, o); })
      .Case([&](onnx::GatherElementsOp o) { return Dims(l.shape(o.getIndices())); })
      .Case<onnx::MatMulOp, onnx::MatMulIntegerOp>([&](auto) { return ofMatMul(l, operand(0), operand(1)); })
      .Case([&](onnx::QLinearMatMulOp) { return ofMatMul(l, operand(0), operand(3)); })
      .Case([&](onnx::GemmOp o) {
        ArrayRef<int64_t> a = l.shape(o.getA()), b = l.shape(o.getB());
        return Dims{a[o.getTransA() ? 1 : 0], b[o.getTransB() ? 0 : 1]};
      })
      .Case([&](onnx::ConvOp o) { return ofConv(l, o, o.getX(), o.getW()); })
      .Case([&](onnx::ConvIntegerOp o) { return ofConv(l, o, operand(0), operand(1)); })
      .Case([&](onnx::QLinearConvOp o) { return ofConv(l, o, operand(0), operand(3)); })
      .Case([&](onnx::ConvTransposeOp o) { return ofConvTranspose(l, o); })
      .Case([&](onnx::MaxPoolOp o) { return ofPool(l, o); })
      .Case([&](onnx::AveragePoolOp o) { return ofPool(l, o); })
      .Case<onnx::GlobalAveragePoolOp, onnx::GlobalMaxPoolOp>([&](auto) {
        Dims result(l.shape(operand(0)));
        for (size_t dim = 2; dim < result.size(); ++dim)
          result[dim] = 1;
        return result;
      })
      .Case<onnx::ReduceSumOp, onnx::ReduceMeanOp, onnx::ReduceMaxOp, onnx::ReduceMinOp, onnx::ReduceProdOp,
            onnx::ReduceL1Op, onnx::ReduceL2Op, onnx::ReduceLogSumOp, onnx::ReduceLogSumExpOp, onnx::ReduceSumSquareOp>(
          [&](auto o) { return ofReduce(l, op, o.getKeepdims(), o.getNoopWithEmptyAxes()); })
      .Case<onnx::ArgMaxOp, onnx::ArgMinOp>([&](auto o) {
        Dims result(l.shape(operand(0)));
        int64_t axis = normalizeAxis(o.getAxis(), result.size());
        if (o.getKeepdims())
          result[axis] = 1;
        else
          result.erase(result.begin() + axis);
        return result;
      })
      .Case([&](onnx::RoiAlignOp o) {
        return Dims{l.shape(o.getRois())[0], l.shape(o.getX())[1], o.getOutputHeight(), o.getOutputWidth()};
      })
      .Case([&](onnx::MaxRoiPoolOp o) {
        Dims result{l.shape(o.getRois())[0], l.shape(o.getX())[1]};
        llvm::append_range(result, o.getPooledShape());
        return result;
      })
      .Case([&](onnx::PadOp o) { return ofPad(l, o); })
      .Case([&](onnx::RangeOp o) { return ofRange(l, o); })
      .Case([&](onnx::ResizeOp o) { return ofResize(l, o); })
      .Case([&](onnx::UnsqueezeOp o) { return ofUnsqueeze(l, o); })
      .Case([&](onnx::SqueezeOp o) { return ofSqueeze(l, o); })
      .Case([&](onnx::FlattenOp o) { return ofFlatten(l, o); })
      .Case([&](onnx::TransposeOp o) { return ofTranspose(l, o); })
      .Case([&](onnx::DepthToSpaceOp o) { return ofSpaceToDepth(l, l.shape(operand(0)), o.getBlocksize(), true); })
      .Case([&](onnx::SpaceToDepthOp o) { return ofSpaceToDepth(l, l.shape(operand(0)), o.getBlocksize(), false); })
      .Case([&](onnx::ExpandOp o) -> Shape {
        auto shape = l.readScalars(o.getShape(), true);
        if (!shape)
          return failure();
        Dims data(l.shape(o.getInput())), result = *shape;
        if (data.size() > result.size())
          result.insert(result.begin(), data.size() - result.size(), 1);
        for (size_t i = 0; i < data.size(); ++i) {
          int64_t &extent = result[result.size() - data.size() + i];
          if (data[i] == 1) // the extent asked for
            continue;
          // An extent that only the program knows may be 1, which keeps the operand's.
          if (isFree(extent) && extent != data[i])
            extent =
                l.extents.select(l.b, l.extents.compare(l.b, arith::CmpIPredicate::eq, extent, 1), data[i], extent);
          extent = l.broadcastExtent(data[i], extent);
        }
        return result;
      })
      .Case([&](onnx::TileOp o) -> Shape {
        auto repeats = l.readScalars(o.getRepeats(), true);
        Dims result(l.shape(o.getInput()));
        if (!repeats || repeats->size() != result.size())
          return failure();
        for (auto [extent, repeat] : llvm::zip(result, *repeats))
          extent = l.mul(extent, repeat);
        return result;
      })
      .Case([&](onnx::ConstantOfShapeOp o) -> Shape {
        auto shape = l.readScalars(o.getInput(), true);
        return shape ? Shape(*shape) : Shape(failure());
      })
      .Case([&](onnx::OneHotOp o) -> Shape {
        auto depth = l.readScalars(o.getDepth(), true);
        if (!depth || !isa<IntegerType>(getElementTypeOrSelf(o.getDepth().getType())))
          return failure();
        Dims result(l.shape(o.getIndices()));
        int64_t axis = normalizeAxis(o.getAxis(), result.size() + 1);
        result.insert(result.begin() + axis, depth->front());
        return result;
      })
      .Case([&](onnx::TopKOp o) -> Shape {
        auto k = l.readScalars(o.getK(), true);
        if (!k)
          return failure();
        Dims result(l.shape(o.getX()));
        result[normalizeAxis(o.getAxis(), result.size())] = k->front();
        return result;
      })
      .Default([&](Operation *) -> Shape {
        if (!onnx::getDomain(op).empty())
          return failure();
        StringRef name = onnx::getOpType(op);
        if (keepsShape(name))
          return Dims(l.shape(operand(0)));
        if (isElementwise(name))
          return broadcastShapes(l, op->getOperands());
        return failure();
      });
}

LogicalResult ofSplit(Lowering &l, onnx::SplitOp op) {
  Dims data(l.shape(op.getInput()));
  int64_t axis = normalizeAxis(op.getAxis(), data.size()), parts = op->getNumResults(), rest = data[axis];
  std::optional<Dims> sizes;
  if (!l.isAbsent(op.getSplit())) {
    sizes = l.readScalars(op.getSplit(), true);
    if (!sizes || static_cast<int64_t>(sizes->size()) != parts)
      return failure();
  }
  int64_t chunk = l.ceilDiv(data[axis], parts);
  for (auto [i, part] : llvm::enumerate(op->getResults())) {
    bool isLast = static_cast<int64_t>(i) + 1 == parts;
    data[axis] = sizes ? (*sizes)[i] : isLast ? rest : chunk;
    rest = l.sub(rest, data[axis]);
    l.setShape(part, data);
  }
  return success();
}

/// [steps, directions, batch, hidden] and, for the last states, the same without the steps.
LogicalResult ofRecurrent(Lowering &l, Operation *op, bool batchFirst) {
  ArrayRef<int64_t> x = l.shape(op->getOperand(0)), r = l.shape(op->getOperand(2));
  int64_t steps = x[batchFirst ? 1 : 0], batch = x[batchFirst ? 0 : 1], directions = r[0], hidden = r[2];
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    if (l.isAbsent(result))
      continue;
    if (i == 0)
      l.setShape(result, batchFirst ? Dims{batch, steps, directions, hidden} : Dims{steps, directions, batch, hidden});
    else
      l.setShape(result, batchFirst ? Dims{batch, directions, hidden} : Dims{directions, batch, hidden});
  }
  return success();
}

bool isKnown(Value v) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  return onnx::isNone(v) || (type && type.hasStaticShape());
}

} // namespace

LogicalResult inferShapes(Lowering &l, Operation *op) {
  if (llvm::all_of(op->getResults(), isKnown))
    return success();
  if (auto split = dyn_cast<onnx::SplitOp>(op))
    return ofSplit(l, split);
  if (auto lstm = dyn_cast<onnx::LSTMOp>(op))
    return ofRecurrent(l, op, lstm.getLayout());
  if (auto gru = dyn_cast<onnx::GRUOp>(op))
    return ofRecurrent(l, op, gru.getLayout());
  if (auto rnn = dyn_cast<onnx::RNNOp>(op))
    return ofRecurrent(l, op, rnn.getLayout());
  Shape first = ofFirst(l, op);
  if (failed(first))
    return failure();
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    if (isKnown(result) || l.isAbsent(result))
      continue;
    Dims shape = *first;
    if (i && isa<onnx::LayerNormalizationOp>(op)) { // statistics: normalized dims of 1
      int64_t axis = normalizeAxis(cast<onnx::LayerNormalizationOp>(op).getAxis(), shape.size());
      for (size_t dim = axis; dim < shape.size(); ++dim)
        shape[dim] = 1;
    } else if (i && !isa<onnx::TopKOp, onnx::MaxPoolOp, onnx::DropoutOp>(op)) {
      return failure();
    }
    // What the graph knows is not forgotten.
    if (auto type = dyn_cast<RankedTensorType>(result.getType());
        type && type.getRank() == static_cast<int64_t>(shape.size()))
      for (auto [dim, extent] : llvm::enumerate(shape))
        if (isFree(extent) && !type.isDynamicDim(dim))
          extent = l.agree(type.getDimSize(dim), extent);
    l.setShape(result, shape);
  }
  return success();
}

} // namespace burin::lower
