// Lowering of the Quant family, second part: MatMulInteger, ConvInteger and their QLinear forms. The products are nn
// ops on integers with i32 accumulators; scalar constant zero points are attributes there, others become corrections
// after a matmul or widened operands of a convolution. Requantization is an elementwise step that fuses as an epilogue.
#include "passes/Lower/Quant.h"
#include "passes/Lower/Window.h"

using namespace mlir;

namespace burin::lower {
namespace {

// A zero point that is one constant, 0 where absent; nothing otherwise.
std::optional<int64_t> constantZero(Lowering &l, Value v) {
  if (l.isAbsent(v))
    return 0;
  ElementsAttr attr = l.constant(v);
  std::optional<SmallVector<int64_t>> values = attr ? onnx::readInts(attr) : std::nullopt;
  if (!values || values->empty() || !llvm::all_equal(*values))
    return std::nullopt;
  return values->front();
}

// A tensor read from the loops over `shape` with broadcasting (dims aligned at the right), repeated dims left out.
struct Operand {
  Value tensor;
  AffineMap map;
};
Operand spread(Lowering &l, Value tensor, ArrayRef<int64_t> shape) {
  Dims own = l.extentsOf(tensor), kept;
  // As it is where nothing repeats: a product's own result then takes this loop as its epilogue.
  if (ArrayRef<int64_t>(own) == shape)
    return {tensor, l.b.getMultiDimIdentityMap(shape.size())};
  SmallVector<AffineExpr> exprs;
  int64_t offset = int64_t(shape.size()) - own.size();
  for (auto [dim, extent] : llvm::enumerate(own))
    if (extent != 1) {
      kept.push_back(extent);
      exprs.push_back(l.b.getAffineDimExpr(dim + offset));
    }
  return {l.reshape(tensor, kept), AffineMap::get(shape.size(), 0, exprs, l.b.getContext())};
}

// One side's scale or zero point against the product's [..., m, n]: a vector runs along the rows of the left side and
// the columns of the right.
Value parameter(Lowering &l, Value v, bool left) {
  Value tensor = l.getIdentity(v);
  if (left && l.rank(v) == 1 && l.shape(v)[0] != 1)
    tensor = l.reshape(tensor, {l.shape(v)[0], 1});
  return product(l.shape(v)) == 1 ? l.reshape(tensor, {}) : tensor;
}

// One generic over `type` whose body gets the first operand's element as it is and an element of every spread one.
Value combine(Lowering &l, const Shaped &type, ArrayRef<Value> tensors, Body body) {
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  for (Value tensor : tensors) {
    Operand operand = spread(l, tensor, type.getShape());
    operands.push_back(operand.tensor);
    maps.push_back(operand.map);
  }
  return l.map(type, operands, maps, body);
}

// What sums are multiplied by: x's scale * w's / y's, rounded after each step; at compile time where all are known. One
// number, or one an output channel (w's). Nothing where x or y has several scales.
std::optional<Value> scaleOfSums(Lowering &l, Value x, Value w, Value y) {
  if (product(l.shape(x)) != 1 || product(l.shape(y)) != 1 || l.rank(w) > 1)
    return std::nullopt;
  auto type = Shaped(product(l.shape(w)) == 1 ? Dims{} : Dims(l.shape(w)), l.b.getF32Type());
  std::optional<SmallVector<float>> xs = onnx::getConstantFloats(x), ws = onnx::getConstantFloats(w),
                                    ys = onnx::getConstantFloats(y);
  if (xs && ws && ys && l.element(x).isF32()) {
    for (float &scale : *ws)
      scale = (*xs)[0] * scale / (*ys)[0];
    return l.makeTensor(onnx::makeFloats(type, *ws));
  }
  auto one = [&](Value v) {
    return l.reshape(l.getIdentity(v), type.getShape().empty() || v != w ? Dims{} : type.shape);
  };
  return combine(l, type, {one(w), one(x), one(y)}, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    Type f32 = b.getF32Type();
    return s.div(s.mul(s.cast(args[1], f32), s.cast(args[0], f32)), s.cast(args[2], f32));
  });
}

// A zero point as a float inside a body that got `given` for it; null where it is 0.
Value zeroPointAsFloat(Lowering &l, Value zero, Scalars &s, Value given) {
  std::optional<int64_t> known = constantZero(l, zero);
  if (!known)
    return s.cast(given, s.b.getF32Type());
  return *known ? s.constant(s.b.getF32Type(), double(*known)) : Value();
}

struct Side {
  Value tensor;
  bool isUnsigned;
  int64_t zero = 0; // what the product takes off
  Value zeroPoint;  // onnx value of what is to be taken off; null where `rest` and `zero` are all
  int64_t rest = 0;
  bool isDone() const { return !zeroPoint && rest == 0; }
};

// What a machine's product of bytes takes off a constant operand, so that the differences fit 8 bits: `wanted` where
// that does it. What is left of the zero point goes by the sums of the other operand.
int64_t fittingZero(Lowering &l, Value v, int64_t wanted) {
  ElementsAttr attr = l.isConstant(v) ? l.constant(v) : ElementsAttr();
  std::optional<onnx::RawElements> raw = attr ? onnx::getRawElements(attr) : std::nullopt;
  if (!raw || attr.getElementType().getIntOrFloatBitWidth() != 8)
    return wanted;
  bool isUnsigned = l.isUnsigned(v);
  for (char byte : raw->bytes) {
    int64_t value = (isUnsigned ? int64_t(uint8_t(byte)) : int64_t(int8_t(byte))) - wanted;
    if (value < -128 || value > 127)
      return isUnsigned ? 128 : 0;
  }
  return wanted;
}

// The sums of (element - zero) over `inner` neighbours that lie `stride` apart, of a constant of bytes whose elements
// number outer * inner * stride; [outer, stride] of them. Nothing for another value.
std::optional<SmallVector<int64_t>> constantSums(Lowering &l, Value v, int64_t zero, int64_t inner, int64_t stride) {
  ElementsAttr attr = l.isConstant(v) ? l.constant(v) : ElementsAttr();
  std::optional<onnx::RawElements> raw = attr ? onnx::getRawElements(attr) : std::nullopt;
  if (!raw || attr.getElementType().getIntOrFloatBitWidth() != 8)
    return std::nullopt;
  int64_t count = attr.getNumElements(), run = inner * stride;
  SmallVector<int64_t> result(run ? count / run * stride : 0, -zero * inner);
  for (int64_t i = 0; i < count; ++i) {
    char byte = raw->bytes[raw->splat ? 0 : i];
    result[i / run * stride + i % stride] += l.isUnsigned(v) ? int64_t(uint8_t(byte)) : int64_t(int8_t(byte));
  }
  return result;
}

// Sums of (element - zero) over k, which stays as a dim of 1. `v` is what the side was made of: a constant is summed
// now, and the product alone reads it.
Value sums(Lowering &l, const Side &side, Value v, int64_t axis) {
  Dims shape = l.extentsOf(side.tensor);
  if (!anyFree(shape)) {
    int64_t stride = product(ArrayRef<int64_t>(shape).drop_front(axis + 1));
    if (auto known = constantSums(l, v, side.zero, shape[axis], stride)) {
      shape[axis] = 1;
      return l.makeTensor(onnx::makeInts(RankedTensorType::get(shape, l.b.getI32Type()), *known));
    }
  }
  Value sum = l.reduce(side.tensor, axis, l.zero(l.b.getI32Type()), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, side.isUnsigned);
    Value wide = s.cast(args[0], b.getI32Type());
    return s.add(args[1], s.sub(wide, s.like(wide, side.zero)));
  });
  shape[axis] = 1;
  return l.reshape(sum, shape);
}

// (a - a's zero point) x (b - b's zero point) in i32, with numpy's broadcasting, as [batch..., m, n].
Value multiply(Lowering &l, Value a, Value aZero, Value b, Value bZero) {
  Side lhs{l.getIdentity(a), l.isUnsigned(a)}, rhs{l.getIdentity(b), l.isUnsigned(b)};
  for (auto [side, zero] : {std::make_pair(&lhs, aZero), std::make_pair(&rhs, bZero)}) {
    if (std::optional<int64_t> known = constantZero(l, zero))
      side->zero = *known;
    else
      side->zeroPoint = zero;
  }
  int64_t wanted = rhs.zero;
  rhs.zero = fittingZero(l, b, wanted);
  rhs.rest = rhs.zeroPoint ? 0 : wanted - rhs.zero;
  Dims left = l.extentsOf(lhs.tensor), right = l.extentsOf(rhs.tensor);
  if (left.size() == 1)
    left.insert(left.begin(), 1);
  if (right.size() == 1)
    right.push_back(1);
  while (left.size() < right.size())
    left.insert(left.begin(), 1);
  while (right.size() < left.size())
    right.insert(right.begin(), 1);
  lhs.tensor = l.reshape(lhs.tensor, left);
  rhs.tensor = l.reshape(rhs.tensor, right);
  size_t rank = left.size();
  int64_t m = left[rank - 2], k = left[rank - 1], n = right[rank - 1];
  Dims shape;
  for (size_t dim = 0; dim + 2 < rank; ++dim)
    shape.push_back(left[dim] == 1 ? right[dim] : left[dim]);
  shape.append({m, n});

  // One matrix on the right serves all rows of the left as one long operand.
  Dims rightBatch(ArrayRef<int64_t>(right).drop_back(2)), leftShape = left, rightShape = right, productShape = shape;
  if (product(rightBatch) == 1) {
    leftShape = {product(ArrayRef<int64_t>(left).drop_back()), k};
    rightShape = {k, n};
    productShape = {leftShape[0], n};
  }
  SmallVector<NamedAttribute> attributes;
  auto set = [&](StringRef name, Attribute value) { attributes.push_back(l.b.getNamedAttr(name, value)); };
  if (lhs.isUnsigned)
    set("lhs_unsigned", l.b.getUnitAttr());
  if (rhs.isUnsigned)
    set("rhs_unsigned", l.b.getUnitAttr());
  if (lhs.zero)
    set("lhs_zero_point", l.b.getI64IntegerAttr(lhs.zero));
  if (rhs.zero)
    set("rhs_zero_point", l.b.getI64IntegerAttr(rhs.zero));
  Type i32 = l.b.getI32Type();
  Value result =
      nn::MatmulOp::create(l.b, ValueRange{l.reshape(lhs.tensor, leftShape), l.reshape(rhs.tensor, rightShape)},
                           l.empty(productShape, i32), attributes)
          ->getResult(0);
  result = l.reshape(result, shape);
  if (lhs.isDone() && rhs.isDone())
    return result;

  // sum (a - p)(b - q) = sum ab - p sum b - q sum a + k p q
  SmallVector<Value> tensors{result};
  if (!lhs.isDone())
    tensors.push_back(sums(l, rhs, b, rank - 2));
  if (!rhs.isDone())
    tensors.push_back(sums(l, lhs, a, rank - 1));
  for (auto [side, isLeft] : {std::make_pair(&lhs, true), std::make_pair(&rhs, false)})
    if (side->zeroPoint)
      tensors.push_back(parameter(l, side->zeroPoint, isLeft));
  return combine(l, Shaped(shape, i32), tensors, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    Value sum = args.front();
    ValueRange others = args.drop_front(1), points = others.drop_front(!lhs.isDone() + !rhs.isDone());
    auto point = [&](const Side &side) -> Value { // null where nothing is left to take off
      if (side.isDone())
        return {};
      if (!side.zeroPoint)
        return s.like(sum, side.rest);
      Value whole = Scalars(b, side.isUnsigned).cast(points.front(), i32);
      points = points.drop_front(1);
      return side.zero ? s.sub(whole, s.like(whole, side.zero)) : whole;
    };
    Value p = point(lhs), q = point(rhs);
    for (Value each : {p, q})
      if (each) {
        sum = s.sub(sum, s.mul(each, others.front()));
        others = others.drop_front(1);
      }
    return p && q ? s.add(sum, s.mul(s.mul(p, q), s.like(p, k))) : sum;
  });
}

LogicalResult lowerMatMulInteger(Lowering &l, onnx::MatMulIntegerOp op) {
  if (setEmpty(l, op))
    return success();
  Value result = multiply(l, op.getA(), op.getAZeroPoint(), op.getB(), op.getBZeroPoint());
  l.set(op.getY(), l.reshape(result, l.shape(op.getY())));
  return success();
}

LogicalResult lowerQLinearMatMul(Lowering &l, onnx::QLinearMatMulOp op) {
  Value y = op.getY();
  if (setEmpty(l, op))
    return success();
  Type element = l.element(y);
  if (element.getIntOrFloatBitWidth() != 8)
    return l.unsupported(op, "a result that is neither int8 nor uint8");
  Value sum = multiply(l, op.getA(), op.getAZeroPoint(), op.getB(), op.getBZeroPoint());
  auto type = Shaped(l.extentsOf(sum), element);
  if (std::optional<Value> scale = scaleOfSums(l, op.getAScale(), op.getBScale(), op.getYScale());
      scale && product(l.shape(op.getYZeroPoint())) == 1) {
    bool isUnsigned = l.isUnsigned(y);
    SmallVector<Value> tensors{sum, *scale};
    if (!constantZero(l, op.getYZeroPoint()))
      tensors.push_back(l.reshape(l.getIdentity(op.getYZeroPoint()), {}));
    Value result = combine(l, type, tensors, [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Scalars s(b, isUnsigned), own(b, false);
      Value zero = zeroPointAsFloat(l, op.getYZeroPoint(), s, args.back());
      return requantize(s, s.mul(own.cast(args[0], b.getF32Type()), args[1]), zero, element, isUnsigned);
    });
    l.set(y, l.reshape(result, l.shape(y)));
    return success();
  }
  SmallVector<Value> tensors{sum, parameter(l, op.getAScale(), true), parameter(l, op.getBScale(), false),
                             parameter(l, op.getYScale(), true), parameter(l, op.getYZeroPoint(), true)};
  bool isUnsigned = l.isUnsigned(y);
  Value result = combine(l, type, tensors, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned), own(b, false);
    Type f32 = b.getF32Type();
    Value scale = s.div(s.mul(s.cast(args[1], f32), s.cast(args[2], f32)), s.cast(args[3], f32));
    return requantize(s, s.mul(own.cast(args[0], f32), scale), s.cast(args[4], f32), element, isUnsigned);
  });
  l.set(y, l.reshape(result, l.shape(y)));
  return success();
}

// Images channels last with the window's border, of elements that are `scalar` (rank 0); the window has none then.
Value padBy(Lowering &l, Value images, Window &window, Value scalar) {
  Dims low(window.begin), high(window.end), shape = l.extentsOf(images);
  if (llvm::all_of(low, [](int64_t n) { return n == 0; }) && llvm::all_of(high, [](int64_t n) { return n == 0; }))
    return images;
  for (Dims *pads : {&low, &high}) {
    pads->insert(pads->begin(), 0);
    pads->push_back(0);
  }
  for (auto [dim, extent] : llvm::enumerate(shape))
    extent = l.add(l.add(low[dim], extent), high[dim]);
  window.begin.assign(window.begin.size(), 0);
  window.end = window.begin;
  Value element = tensor::ExtractOp::create(l.b, scalar, ValueRange());
  Value target = linalg::FillOp::create(l.b, ValueRange(element),
                                        ValueRange(l.empty(Shaped(shape, getElementTypeOrSelf(images.getType())))))
                     .getResult(0);
  return l.insert(images, l.built(target, shape), low);
}

// Sums of images channels last, less a zero point (`zero`, or `point` of rank 0 where there is one), over all channels
// of what each place of the window covers: [N, out..., 1] in i32. What pads counts as the zero point.
Value windowSums(Lowering &l, Value images, bool isUnsigned, int64_t zero, Value point, const Window &window) {
  Dims shape = l.extentsOf(images);
  unsigned rank = shape.size();
  Type i32 = l.b.getI32Type();
  SmallVector<Value> operands{images};
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(rank)};
  if (point) {
    operands.push_back(point);
    maps.push_back(AffineMap::get(rank, 0, l.b.getContext()));
  }
  Value sums = l.reduce(shape, operands, maps, {rank - 1}, l.zero(i32), [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned);
    Value wide = s.cast(args[0], i32), off = point ? s.cast(args[1], i32) : s.like(wide, zero);
    return s.add(args.back(), s.sub(wide, off));
  });
  shape.back() = 1;
  sums = l.reshape(sums, shape);
  if (product(window.kernel) == 1 && llvm::all_of(window.strides, [](int64_t n) { return n == 1; }) &&
      llvm::all_of(window.pads(), [](int64_t n) { return n == 0; }))
    return sums;
  Dims filter(window.kernel);
  filter.push_back(1);
  Value ones =
      l.makeTensor(onnx::makeInts(RankedTensorType::get(filter, i32), SmallVector<int64_t>(product(filter), 1)));
  for (auto [i, kernel] : llvm::enumerate(window.kernel)) {
    int64_t covered = l.sub(l.add(shape[1 + i], window.begin[i] + window.end[i]), window.extent(i));
    shape[1 + i] = l.add(l.floorDiv(covered, window.strides[i]), 1);
  }
  return nn::DepthwiseConvOp::create(l.b, ValueRange{sums, ones}, l.empty(Shaped(shape, i32)),
                                     windowAttributes(l, window))
      ->getResult(0);
}

// The convolution of x and w less their zero points, in i32, channels last.
template <typename OpTy>
FailureOr<Value> convolve(Lowering &l, OpTy op, Value x, Value xZero, Value w, Value wZero, Value y) {
  int64_t rank = l.rank(x);
  ArrayRef<int64_t> filterShape = l.shape(w);
  Window window = getWindow(op, filterShape.drop_front(2));
  padSame(window, op.getAutoPad(), l.shape(x).drop_front(2), l.shape(y).drop_front(2));
  if (failed(checkWindow(l, op, window)))
    return failure();
  Order order = channelsLast(rank);
  int64_t groups = op.getGroup(), channels = l.shape(x)[1], outputs = filterShape[0], filterRest = 0;
  Value input = l.getIn(x, order), filter = l.getIn(w, filterOrder(rank, {1, 0}));
  Type i32 = l.b.getI32Type();
  SmallVector<NamedAttribute> attributes = windowAttributes(l, window);
  auto set = [&](StringRef name, Attribute value) { attributes.push_back(l.b.getNamedAttr(name, value)); };
  std::optional<int64_t> inputZero = constantZero(l, xZero), filterZero = constantZero(l, wZero);
  // A zero point that only running tells, as where activations are quantized as they come: the border is filled with
  // it, and sum (x - p) w = sum x w - p sum w.
  std::optional<SmallVector<int64_t>> filterSums;
  Value zero;
  bool isPadKnown = !llvm::is_contained(window.begin, Window::unknown), isGrouped = groups > 1;
  int64_t taken = filterZero && !isGrouped ? fittingZero(l, w, *filterZero) : filterZero.value_or(0);
  if (!inputZero && filterZero && isPadKnown && product(l.shape(xZero)) == 1)
    filterSums = constantSums(l, w, taken, product(filterShape.drop_front(1)), 1);
  if (filterSums) {
    zero = l.reshape(l.getIdentity(xZero), {});
    input = padBy(l, input, window, zero);
    attributes = windowAttributes(l, window);
  }
  Value inputSums;
  if (filterZero && taken != *filterZero && (inputZero || filterSums)) {
    inputSums = windowSums(l, input, l.isUnsigned(x), inputZero.value_or(0), zero, window);
    filterRest = *filterZero - taken;
    filterZero = taken;
  }
  if (filterSums)
    inputZero = 0;
  if (inputZero && filterZero) {
    if (l.isUnsigned(x))
      set("input_unsigned", l.b.getUnitAttr());
    if (l.isUnsigned(w))
      set("filter_unsigned", l.b.getUnitAttr());
    if (*inputZero)
      set("input_zero_point", l.b.getI64IntegerAttr(*inputZero));
    if (*filterZero)
      set("filter_zero_point", l.b.getI64IntegerAttr(*filterZero));
  } else {
    // Less their zero points, in i32: what pads the result is then 0.
    auto widen = [&](Value tensor, Value zero, bool isUnsigned) {
      SmallVector<Value> tensors{tensor};
      if (!l.isAbsent(zero)) // a vector has one an output channel, the filter's last dim
        tensors.push_back(product(l.shape(zero)) == 1 ? l.reshape(l.getIdentity(zero), {}) : l.getIdentity(zero));
      return combine(l, Shaped(l.extentsOf(tensor), i32), tensors, [&](ImplicitLocOpBuilder &b, ValueRange args) {
        Scalars s(b, isUnsigned);
        Value wide = s.cast(args[0], i32);
        return args.size() == 1 ? wide : s.sub(wide, s.cast(args[1], i32));
      });
    };
    input = widen(input, xZero, l.isUnsigned(x));
    filter = widen(filter, wZero, l.isUnsigned(w));
  }
  auto type = Shaped(permuted(l.shape(y), order), i32);
  Value init = l.empty(type), sum;
  if (groups > 1 && groups == channels && groups == outputs) {
    Dims shape(window.kernel);
    shape.push_back(channels);
    sum = nn::DepthwiseConvOp::create(l.b, ValueRange{input, l.reshape(filter, shape)}, init, attributes)->getResult(0);
  } else {
    set("groups", l.b.getI64IntegerAttr(groups));
    sum = nn::ConvOp::create(l.b, ValueRange{input, filter}, init, attributes)->getResult(0);
  }
  if (!filterSums && !inputSums)
    return sum;
  SmallVector<Value> tensors{sum};
  if (filterSums)
    tensors.append({zero, l.makeTensor(onnx::makeInts(RankedTensorType::get({outputs}, i32), *filterSums))});
  if (inputSums)
    tensors.push_back(inputSums);
  return combine(l, type, tensors, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    Value total = args[0];
    if (filterSums)
      total = s.sub(total, s.mul(Scalars(b, l.isUnsigned(x)).cast(args[1], i32), args[2]));
    return inputSums ? s.sub(total, s.mul(s.like(total, filterRest), args.back())) : total;
  });
}

LogicalResult lowerConvInteger(Lowering &l, onnx::ConvIntegerOp op) {
  if (setEmpty(l, op))
    return success();
  FailureOr<Value> sum = convolve(l, op, op.getX(), op.getXZeroPoint(), op.getW(), op.getWZeroPoint(), op.getY());
  if (failed(sum))
    return failure();
  l.set(op.getY(), *sum, channelsLast(l.rank(op.getY())));
  return success();
}

LogicalResult lowerQLinearConv(Lowering &l, onnx::QLinearConvOp op) {
  Value y = op.getY();
  if (setEmpty(l, op))
    return success();
  FailureOr<Value> sum = convolve(l, op, op.getX(), op.getXZeroPoint(), op.getW(), op.getWZeroPoint(), y);
  if (failed(sum))
    return failure();
  Type element = l.element(y), f32 = l.b.getF32Type();
  bool isUnsigned = l.isUnsigned(y), hasBias = !l.isAbsent(op.getB());
  auto one = [&](Value v) { return product(l.shape(v)) == 1 ? l.reshape(l.getIdentity(v), {}) : l.getIdentity(v); };
  std::optional<Value> scale = scaleOfSums(l, op.getXScale(), op.getWScale(), op.getYScale());
  if (!scale)
    return l.unsupported(op, "scales of input and result that are not one number each");
  SmallVector<Value> tensors{*sum, *scale};
  if (hasBias)
    tensors.push_back(one(op.getB()));
  if (!constantZero(l, op.getYZeroPoint()))
    tensors.push_back(one(op.getYZeroPoint()));
  Value result = combine(l, Shaped(l.extentsOf(*sum), element), tensors, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, isUnsigned), own(b, false);
    Value total = hasBias ? own.add(args[0], args[2]) : args[0];
    Value zero = zeroPointAsFloat(l, op.getYZeroPoint(), s, args.back());
    return requantize(s, s.mul(own.cast(total, f32), args[1]), zero, element, isUnsigned);
  });
  l.set(y, result, channelsLast(l.rank(y)));
  return success();
}

} // namespace

void populateQuantProductLowerings(Registry &registry) {
  registry.add(lowerMatMulInteger);
  registry.add(lowerQLinearMatMul);
  registry.add(lowerConvInteger);
  registry.add(lowerQLinearConv);
}

} // namespace burin::lower
