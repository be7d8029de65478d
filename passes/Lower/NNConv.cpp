// The NN family, windows: convolutions and pools, all channels last. Paddings that ONNX spells by rule (auto_pad,
// output_shape) become numbers here, computed from the inferred result shape, so that they agree with inference.
#include "passes/Lower/NN.h"
#include "passes/Lower/Window.h"

using namespace mlir;

namespace burin::lower {

void addBiasEpilogue(Lowering &l, nn::ComputeOp op, Value bias, AffineMap map, double alpha, double beta) {
  Type result = getElementTypeOrSelf(op.getInitOperand().get().getType());
  if (!bias && alpha == 1)
    return;
  Block *block = nn::addEpilogueBlock(op);
  Value extra = bias ? Value(nn::addEpilogueOperand(op, bias, map)) : Value();
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPointToEnd(block);
  Scalars s(l.b, /*isUnsigned=*/false);
  Value acc = block->getArgument(0);
  if (alpha != 1)
    acc = s.mul(acc, s.like(acc, alpha));
  if (extra) {
    extra = s.cast(extra, acc.getType());
    acc = s.add(acc, beta == 1 ? extra : s.mul(extra, s.like(extra, beta)));
  }
  nn::YieldOp::create(l.b, s.cast(acc, result));
}

void padSame(Window &w, StringRef autoPad, ArrayRef<int64_t> input, ArrayRef<int64_t> output) {
  if (!autoPad.starts_with("SAME"))
    return;
  for (size_t dim = 0; dim < input.size(); ++dim) {
    if (isFree(input[dim]) && w.strides[dim] != 1) {
      w.begin[dim] = Window::unknown;
      continue;
    }
    if (isFree(input[dim])) {
      int64_t total = w.extent(dim) - 1;
      w.begin[dim] = autoPad == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.end[dim] = total - w.begin[dim];
      continue;
    }
    int64_t total = std::max<int64_t>(0, (output[dim] - 1) * w.strides[dim] + w.extent(dim) - input[dim]);
    w.begin[dim] = autoPad == "SAME_UPPER" ? total / 2 : total - total / 2;
    w.end[dim] = total - w.begin[dim];
  }
}

LogicalResult checkWindow(Lowering &l, Operation *op, const Window &w) {
  int64_t rank = w.kernel.size();
  if (rank < 1 || rank > 3)
    return l.unsupported(op, "expected 1 to 3 spatial dims, got " + Twine(rank));
  if (llvm::is_contained(w.begin, Window::unknown))
    return l.unsupported(op, "auto_pad SAME with a stride over a free dim; bind it, or give the pads as numbers");
  for (int64_t pad : w.pads())
    if (pad < 0)
      return l.unsupported(op, "expected pads of at least 0, got " + Twine(pad) +
                                   "; a Slice before the node does the same");
  return success();
}

SmallVector<NamedAttribute> windowAttributes(Lowering &l, const Window &w) {
  return {l.b.getNamedAttr("strides", l.b.getDenseI64ArrayAttr(w.strides)),
          l.b.getNamedAttr("dilations", l.b.getDenseI64ArrayAttr(w.dilations)),
          l.b.getNamedAttr("pads", l.b.getDenseI64ArrayAttr(w.pads()))};
}

Order filterOrder(int64_t rank, ArrayRef<int64_t> last) {
  Order order;
  for (int64_t dim = 2; dim < rank; ++dim)
    order.push_back(dim);
  order.append(last.begin(), last.end());
  return order;
}

namespace {

LogicalResult checkFloats(Lowering &l, Operation *op) {
  Type type = l.element(op->getOperand(0));
  if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() >= 16)
    return success();
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return l.unsupported(op, "expected elements of f16, bf16, f32 or f64, got " + text);
}

/// The bias of a convolution, read by its channel; nothing where it is absent or zero.
void addChannelBias(Lowering &l, nn::ComputeOp op, Value bias, int64_t rank) {
  if (l.isAbsent(bias) || onnx::isConstantFloat(bias, 0))
    return;
  OpBuilder::InsertionGuard guard(l.b);
  l.b.setInsertionPoint(op); // the operand must stand before its user
  addBiasEpilogue(l, op, l.getIdentity(bias), AffineMap::get(rank, 0, l.b.getAffineDimExpr(rank - 1)));
}

LogicalResult lowerConv(Lowering &l, onnx::ConvOp op) {
  int64_t rank = l.rank(op.getX());
  ArrayRef<int64_t> filterShape = l.shape(op.getW());
  Window w = getWindow(op, filterShape.drop_front(2));
  if (failed(checkFloats(l, op)))
    return failure();
  Order order = channelsLast(rank);
  padSame(w, op.getAutoPad(), l.shape(op.getX()).drop_front(2), l.shape(op.getY()).drop_front(2));
  if (failed(checkWindow(l, op, w)))
    return failure();

  int64_t groups = op.getGroup(), channels = l.shape(op.getX())[1], outputs = filterShape[0];
  Value input = l.getIn(op.getX(), order);
  Value filter = l.getIn(op.getW(), filterOrder(rank, {1, 0}));
  Value init = l.empty(l.typeIn(op.getY(), order));
  SmallVector<NamedAttribute> attributes = windowAttributes(l, w);
  nn::ComputeOp conv;
  if (groups > 1 && groups == channels && groups == outputs) {
    Dims shape(w.kernel);
    shape.push_back(channels);
    conv = nn::DepthwiseConvOp::create(l.b, ValueRange{input, l.reshape(filter, shape)}, init, attributes);
  } else {
    attributes.push_back(l.b.getNamedAttr("groups", l.b.getI64IntegerAttr(groups)));
    conv = nn::ConvOp::create(l.b, ValueRange{input, filter}, init, attributes);
  }
  addChannelBias(l, conv, op.getB(), rank);
  l.set(op.getY(), l.built(conv->getResult(0), permuted(l.shape(op.getY()), order)), order);
  return success();
}

LogicalResult lowerConvTranspose(Lowering &l, onnx::ConvTransposeOp op) {
  int64_t rank = l.rank(op.getX());
  Window w = getWindow(op, l.shape(op.getW()).drop_front(2));
  ArrayRef<int64_t> input = l.shape(op.getX()).drop_front(2), output = l.shape(op.getY()).drop_front(2);
  if (failed(checkFloats(l, op)))
    return failure();
  // The specification's equations; where it says nothing of a negative total, there is nothing to crop.
  bool byShape = op.getOutputShape() && !op.getOutputShape()->empty(), same = op.getAutoPad().starts_with("SAME");
  for (int64_t dim = 0; dim < rank - 2; ++dim) {
    int64_t extra = op.getOutputPadding() && !op.getOutputPadding()->empty() ? (*op.getOutputPadding())[dim] : 0;
    if ((byShape || same) && (isFree(input[dim]) || isFree(output[dim])))
      return l.unsupported(op, "auto_pad or output_shape over a free dim; bind it, or give the pads as numbers");
    if (byShape || same) {
      int64_t full = w.strides[dim] * (input[dim] - 1) + extra + w.extent(dim);
      int64_t total = std::max<int64_t>(0, full - output[dim]);
      w.begin[dim] = op.getAutoPad() == "SAME_UPPER" ? total / 2 : total - total / 2;
      w.end[dim] = total - w.begin[dim];
    }
  }
  if (failed(checkWindow(l, op, w)))
    return failure();
  Order order = channelsLast(rank);
  SmallVector<NamedAttribute> attributes = windowAttributes(l, w);
  attributes.push_back(l.b.getNamedAttr("groups", l.b.getI64IntegerAttr(op.getGroup())));
  Value filter = l.getIn(op.getW(), filterOrder(rank, {0, 1}));
  auto conv = nn::ConvTransposeOp::create(l.b, ValueRange{l.getIn(op.getX(), order), filter},
                                          l.empty(l.typeIn(op.getY(), order)), attributes);
  addChannelBias(l, conv, op.getB(), rank);
  l.set(op.getY(), l.built(conv->getResult(0), permuted(l.shape(op.getY()), order)), order);
  return success();
}

Value pool(Lowering &l, Value input, const Shaped &result, const Window &w, nn::PoolKind kind, bool countPadding,
           bool isUnsigned) {
  SmallVector<NamedAttribute> attributes = windowAttributes(l, w);
  attributes.push_back(l.b.getNamedAttr("kind", nn::PoolKindAttr::get(l.b.getContext(), kind)));
  attributes.push_back(l.b.getNamedAttr("kernel", l.b.getDenseI64ArrayAttr(w.kernel)));
  if (countPadding)
    attributes.push_back(l.b.getNamedAttr("count_padding", l.b.getUnitAttr()));
  if (isUnsigned)
    attributes.push_back(l.b.getNamedAttr("input_unsigned", l.b.getUnitAttr()));
  return l.built(nn::PoolOp::create(l.b, input, l.empty(result), attributes)->getResult(0), result.shape);
}

LogicalResult lowerMaxPool(Lowering &l, onnx::MaxPoolOp op) {
  Window w = getWindow(op, op.getKernelShape());
  padSame(w, op.getAutoPad(), l.shape(op.getX()).drop_front(2), l.shape(op.getY()).drop_front(2));
  if (failed(checkWindow(l, op, w)))
    return failure();
  if (!l.isAbsent(op.getIndices()) && !op.getIndices().use_empty())
    setMaxPoolIndices(l, op, w);
  Order order = channelsLast(l.rank(op.getX()));
  l.set(op.getY(),
        pool(l, l.getIn(op.getX(), order), l.typeIn(op.getY(), order), w, nn::PoolKind::max, false,
             l.isUnsigned(op.getX())),
        order);
  return success();
}

LogicalResult lowerAveragePool(Lowering &l, onnx::AveragePoolOp op) {
  Window w = getWindow(op, op.getKernelShape());
  padSame(w, op.getAutoPad(), l.shape(op.getX()).drop_front(2), l.shape(op.getY()).drop_front(2));
  if (failed(checkWindow(l, op, w)))
    return failure();
  Order order = channelsLast(l.rank(op.getX()));
  l.set(op.getY(),
        pool(l, l.getIn(op.getX(), order), l.typeIn(op.getY(), order), w, nn::PoolKind::average,
             op.getCountIncludePad(), false),
        order);
  return success();
}

Value globalPoolOf(Lowering &l, Operation *op, nn::PoolKind kind) {
  Order order = channelsLast(l.rank(op->getOperand(0)));
  Value result = globalPool(l, l.getIn(op->getOperand(0), order), kind);
  l.set(op->getResult(0), result, order);
  return result;
}

LogicalResult lowerGlobalAveragePool(Lowering &l, onnx::GlobalAveragePoolOp op) {
  globalPoolOf(l, op, nn::PoolKind::average);
  return success();
}

LogicalResult lowerGlobalMaxPool(Lowering &l, onnx::GlobalMaxPoolOp op) {
  globalPoolOf(l, op, nn::PoolKind::max);
  return success();
}

/// (sum of |x|^p)^(1/p) over windows: two elementwise steps around a sum.
LogicalResult lowerLp(Lowering &l, Operation *op, int64_t p, llvm::function_ref<Value(Value, const Shaped &)> sum) {
  Value x = op->getOperand(0), y = op->getResult(0);
  Order order = channelsLast(l.rank(x));
  Type type = l.element(x), wide = computeType(type);
  auto each = [&](Value tensor, Type to, auto body) {
    auto result = Shaped(l.typeOf(tensor).getShape(), to);
    return l.map(result, tensor, l.b.getMultiDimIdentityMap(result.getRank()),
                 [&](ImplicitLocOpBuilder &b, ValueRange args) {
                   Scalars s(b, false);
                   return s.cast(body(s, s.cast(args[0], wide)), to);
                 });
  };
  Value powers = each(l.getIn(x, order), wide,
                      [&](Scalars &s, Value v) { return p == 2 ? s.square(v) : s.pow(s.abs(v), s.like(v, p)); });
  auto sumType = Shaped(permuted(l.shape(y), order), wide);
  Value sums = sum(powers, sumType);
  l.set(y, each(sums, type, [&](Scalars &s, Value v) { return s.pow(v, s.like(v, 1.0 / p)); }), order);
  return success();
}

LogicalResult lowerLpPool(Lowering &l, onnx::LpPoolOp op) {
  Window w = getWindow(op, op.getKernelShape());
  padSame(w, op.getAutoPad(), l.shape(op.getX()).drop_front(2), l.shape(op.getY()).drop_front(2));
  if (failed(checkWindow(l, op, w)))
    return failure();
  return lowerLp(l, op, op.getP(), [&](Value powers, const Shaped &type) {
    return pool(l, powers, type, w, nn::PoolKind::sum, false, false);
  });
}

LogicalResult lowerGlobalLpPool(Lowering &l, onnx::GlobalLpPoolOp op) {
  return lowerLp(l, op, op.getP(),
                 [&](Value powers, const Shaped &) { return globalPool(l, powers, nn::PoolKind::sum); });
}

} // namespace

/// nn.pool's window is numbers; a free one is a reduction.
static Value freeGlobalPool(Lowering &l, Value image, nn::PoolKind kind, bool isUnsigned) {
  Shaped type = l.typeOf(image);
  Type element = type.element, wide = computeType(element);
  Dims axes;
  int64_t count = 1;
  for (int64_t dim = 1; dim + 1 < type.getRank(); ++dim) {
    axes.push_back(dim);
    count = l.mul(count, type.shape[dim]);
  }
  bool isMax = kind == nn::PoolKind::max;
  TypedAttr init = l.zero(wide);
  if (auto floats = dyn_cast<FloatType>(wide); isMax && floats)
    init = l.b.getFloatAttr(wide, APFloat::getInf(floats.getFloatSemantics(), /*Negative=*/true));
  else if (isMax && !isUnsigned)
    init = l.b.getIntegerAttr(wide, APInt::getSignedMinValue(wide.getIntOrFloatBitWidth()));
  Value sum = l.reduce(image, axes, init, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned);
    Value x = s.cast(args[0], wide);
    return isMax ? s.max(args[1], x) : s.add(args[1], x);
  });
  Value divisor;
  if (kind == nn::PoolKind::average)
    divisor = Scalars(l.b, false).cast(arith::IndexCastOp::create(l.b, l.b.getI64Type(), l.index(count)), wide);
  Shaped small({type.shape.front(), type.shape.back()}, element);
  Value result = l.map(small, sum, l.b.getMultiDimIdentityMap(2), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned);
    return s.cast(divisor ? s.div(args[0], divisor) : args[0], element);
  });
  Dims full(type.getRank(), 1);
  full.front() = type.shape.front();
  full.back() = type.shape.back();
  return l.reshape(result, full);
}

Value globalPool(Lowering &l, Value image, nn::PoolKind kind, bool isUnsigned) {
  auto type = l.typeOf(image);
  int64_t spatial = type.getRank() - 2;
  if (anyFree(type.getShape().drop_front().drop_back()))
    return freeGlobalPool(l, image, kind, isUnsigned);
  // nn.pool knows up to three spatial dims; a global one may see any number as one.
  int64_t pixels = product(type.getShape().drop_front().drop_back());
  Dims flat = {type.getDimSize(0), pixels, type.getShape().back()};
  if (spatial > 3 || spatial < 1) {
    image = l.reshape(image, flat);
    spatial = 1;
  }
  Window w;
  w.kernel.assign(l.typeOf(image).getShape().drop_front().drop_back());
  w.strides.assign(spatial, 1);
  w.dilations.assign(spatial, 1);
  w.begin.assign(spatial, 0);
  w.end.assign(spatial, 0);
  Dims shape(spatial + 2, 1), full(type.getRank(), 1);
  shape.front() = full.front() = flat.front();
  shape.back() = full.back() = flat.back();
  return l.reshape(pool(l, image, Shaped(shape, type.getElementType()), w, kind, false, isUnsigned), full);
}

void populateNNConvLowerings(Registry &registry) {
  registry.add(lowerConv);
  registry.add(lowerConvTranspose);
  registry.add(lowerMaxPool);
  registry.add(lowerAveragePool);
  registry.add(lowerLpPool);
  registry.add(lowerGlobalAveragePool);
  registry.add(lowerGlobalMaxPool);
  registry.add(lowerGlobalLpPool);
}

void populateNNLowerings(Registry &registry) {
  populateNNConvLowerings(registry);
  populateNNMatmulLowerings(registry);
  populateNNNormalizationLowerings(registry);
}

} // namespace burin::lower
