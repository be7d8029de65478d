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
  Value tensor, zeroPoint; // zeroPoint: onnx value, null where the attribute says all
  int64_t zero = 0;        // the attribute
  bool isUnsigned;
};

// Sums of (element - zero) over k, which stays as a dim of 1.
Value sums(Lowering &l, const Side &side, int64_t axis) {
  Dims shape = l.extentsOf(side.tensor);
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
  Side lhs{l.getIdentity(a), {}, 0, l.isUnsigned(a)}, rhs{l.getIdentity(b), {}, 0, l.isUnsigned(b)};
  for (auto [side, zero] : {std::make_pair(&lhs, aZero), std::make_pair(&rhs, bZero)}) {
    if (std::optional<int64_t> known = constantZero(l, zero))
      side->zero = *known;
    else
      side->zeroPoint = zero;
  }
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
  if (!lhs.zeroPoint && !rhs.zeroPoint)
    return result;

  // sum (a - p)(b - q) = sum ab - p sum b - q sum a + k p q
  SmallVector<Value> tensors{result};
  if (lhs.zeroPoint)
    tensors.append({parameter(l, lhs.zeroPoint, true), sums(l, rhs, rank - 2)});
  if (rhs.zeroPoint)
    tensors.append({parameter(l, rhs.zeroPoint, false), sums(l, lhs, rank - 1)});
  return combine(l, Shaped(shape, i32), tensors, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false), sl(b, lhs.isUnsigned), sr(b, rhs.isUnsigned);
    Value sum = args[0], p, q;
    size_t next = 1;
    if (lhs.zeroPoint) {
      p = sl.cast(args[next], i32);
      sum = s.sub(sum, s.mul(p, args[next + 1]));
      next += 2;
    }
    if (rhs.zeroPoint) {
      q = sr.cast(args[next], i32);
      sum = s.sub(sum, s.mul(q, args[next + 1]));
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
  int64_t groups = op.getGroup(), channels = l.shape(x)[1], outputs = filterShape[0];
  Value input = l.getIn(x, order), filter = l.getIn(w, filterOrder(rank, {1, 0}));
  Type i32 = l.b.getI32Type();
  SmallVector<NamedAttribute> attributes = windowAttributes(l, window);
  auto set = [&](StringRef name, Attribute value) { attributes.push_back(l.b.getNamedAttr(name, value)); };
  std::optional<int64_t> inputZero = constantZero(l, xZero), filterZero = constantZero(l, wZero);
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
  Value init = l.empty(permuted(l.shape(y), order), i32);
  if (groups > 1 && groups == channels && groups == outputs) {
    Dims shape(window.kernel);
    shape.push_back(channels);
    return nn::DepthwiseConvOp::create(l.b, ValueRange{input, l.reshape(filter, shape)}, init, attributes)
        ->getResult(0);
  }
  set("groups", l.b.getI64IntegerAttr(groups));
  return nn::ConvOp::create(l.b, ValueRange{input, filter}, init, attributes)->getResult(0);
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
