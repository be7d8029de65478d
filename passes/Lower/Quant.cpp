// Lowering of the Quant family, first part: QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear as elementwise
// generics, with scales and zero points read an element, an axis or a block at a time. Integer products:
// QuantProducts.cpp.
#include "passes/Lower/Quant.h"
#include "passes/Lower/Narrow.h"

#include <cmath>

using namespace mlir;

namespace burin::lower {

Value roundToRange(Scalars &s, Value x, Value zeroPoint, unsigned bits, bool isUnsigned) {
  ImplicitLocOpBuilder &b = s.b;
  x = math::RoundEvenOp::create(b, x);
  if (zeroPoint)
    x = s.add(x, zeroPoint);
  Value low = s.like(x, isUnsigned ? 0 : -std::ldexp(1.0, bits - 1)),
        high = s.like(x, std::ldexp(1.0, isUnsigned ? bits : bits - 1) - 1);
  // Compare and select, not maximumf: NaN becomes the lowest value, and it is one instruction.
  x = arith::SelectOp::create(b, arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, low), x, low);
  return arith::SelectOp::create(b, arith::CmpFOp::create(b, arith::CmpFPredicate::OLT, x, high), x, high);
}

Value requantize(Scalars &s, Value x, Value zeroPoint, Type element, bool isUnsigned) {
  return s.cast(roundToRange(s, x, zeroPoint, element.getIntOrFloatBitWidth(), isUnsigned), element, isUnsigned);
}

namespace {

Type onnxElement(Value v) { return getElementTypeOrSelf(v.getType()); }

// What an element of ONNX's type `type` stands for.
Value numberOf(ImplicitLocOpBuilder &b, Value element, Type type) {
  return isNarrow(type) ? decodeNarrow(b, element, type) : element;
}

// A scale or zero point, seen from the loops over x.
struct Parameter {
  TypedAttr constant; // one value for all; else a tensor and where it is read
  Value tensor;
  AffineMap map;
};

FailureOr<Parameter> readParameter(Lowering &l, Operation *op, Value v, StringRef name, Value x,
                                   ArrayRef<int64_t> order, int64_t axis, int64_t block) {
  Parameter parameter;
  int64_t rank = order.size();
  ArrayRef<int64_t> shape = l.shape(v), whole = l.shape(x);
  if (product(shape) == 1) {
    parameter.constant = l.splat(v);
    if (!parameter.constant) {
      parameter.tensor = l.reshape(l.get(v).value, {});
      parameter.map = AffineMap::get(rank, 0, l.b.getContext());
    }
    return parameter;
  }
  axis = normalizeAxis(axis, rank);
  bool perIndex = shape.size() == 1 && axis >= 0 && axis < rank;
  if (perIndex && (shape[0] == whole[axis] || isFree(shape[0]) || isFree(whole[axis]))) {
    l.agree(shape[0], whole[axis]);
    parameter.tensor = l.getIdentity(v);
    parameter.map = selectDims(l, rank, positionOf(order, axis));
    return parameter;
  }
  bool fits = int64_t(shape.size()) == rank && axis >= 0 && axis < rank;
  for (int64_t dim = 0; fits && dim < rank; ++dim)
    fits = dim == axis || shape[dim] == whole[dim];
  if (fits && block == 0)
    block = llvm::divideCeil(whole[axis], shape[axis]);
  if (!fits || block <= 0 || int64_t(llvm::divideCeil(whole[axis], block)) > shape[axis]) {
    return l.error(op) << "expected operand '" << name << "' to hold one value, one an index of axis " << axis
                       << " or one a block, got shape (" << shape << ") for data of shape (" << whole << ")";
  }
  SmallVector<AffineExpr> exprs;
  for (auto [loop, dim] : llvm::enumerate(order)) {
    AffineExpr expr = l.b.getAffineDimExpr(loop);
    exprs.push_back(dim == axis && block != 1 ? expr.floorDiv(block) : expr);
  }
  parameter.tensor = l.getIn(v, order);
  parameter.map = AffineMap::get(rank, 0, exprs, l.b.getContext());
  return parameter;
}

// One generic over x with scale and zero point; the body gets (x, scale, zero point or null).
using QuantBody = llvm::function_ref<Value(ImplicitLocOpBuilder &b, Value x, Value scale, Value zeroPoint)>;
Value mapQuant(Lowering &l, const Shaped &type, Value x, const Parameter &scale,
               const std::optional<Parameter> &zeroPoint, QuantBody body) {
  SmallVector<Value> operands{x};
  SmallVector<AffineMap> maps{l.b.getMultiDimIdentityMap(type.getRank())};
  auto add = [&](const Parameter &parameter) {
    if (parameter.constant)
      return;
    operands.push_back(parameter.tensor);
    maps.push_back(parameter.map);
  };
  add(scale);
  if (zeroPoint)
    add(*zeroPoint);
  return l.map(type, operands, maps, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    size_t next = 1;
    auto take = [&](const Parameter &parameter) {
      return parameter.constant ? Value(arith::ConstantOp::create(b, parameter.constant)) : args[next++];
    };
    Value s = take(scale), z = zeroPoint ? take(*zeroPoint) : Value();
    return body(b, args[0], s, z);
  });
}

LogicalResult lowerQuantizeLinear(Lowering &l, onnx::QuantizeLinearOp op) {
  Value result = op.getY();
  if (setEmpty(l, op))
    return success();
  Type element = l.element(result), target = onnxElement(result), scaleType = onnxElement(op.getYScale());
  Placed x = l.get(op.getX());
  auto scale = readParameter(l, op, op.getYScale(), "y_scale", op.getX(), x.order, op.getAxis(), op.getBlockSize());
  if (failed(scale))
    return failure();
  std::optional<Parameter> zeroPoint;
  bool isHalfByte = isa<Float4E2M1FNType>(target);
  if (!l.isAbsent(op.getYZeroPoint()) &&
      (isHalfByte || !(l.splat(op.getYZeroPoint()) && isZeroAttribute(l.splat(op.getYZeroPoint()))))) {
    auto read =
        readParameter(l, op, op.getYZeroPoint(), "y_zero_point", op.getX(), x.order, op.getAxis(), op.getBlockSize());
    if (failed(read))
      return failure();
    zeroPoint = *read;
  }
  // The division is done, and rounded, in the scale's type unless `precision` names another.
  Type precision = isNarrow(scaleType) ? l.b.getF32Type() : l.element(op.getYScale());
  switch (op.getPrecision()) {
  case 0:
    break;
  case 1:
    precision = l.b.getF32Type();
    break;
  case 10:
    precision = l.b.getF16Type();
    break;
  case 11:
    precision = l.b.getF64Type();
    break;
  case 16:
    precision = l.b.getBF16Type();
    break;
  default:
    return l.error(op) << "expected precision to be a float type, got ONNX type number " << op.getPrecision();
  }
  if (!isa<FloatType>(precision) || precision.getIntOrFloatBitWidth() < 16)
    return l.unsupported(op, "a scale that is not float32, float16, bfloat16, float64 or float8e8m0");
  bool isUnsigned = l.isUnsigned(result), inputUnsigned = l.isUnsigned(op.getX()), saturate = op.getSaturate();
  l.set(result,
        mapQuant(l, l.typeIn(result, x.order), x.value, *scale, zeroPoint,
                 [&](ImplicitLocOpBuilder &b, Value x, Value scale, Value zero) {
                   Scalars own(b, inputUnsigned), s(b, isUnsigned);
                   Type compute = computeType(precision);
                   Value quotient = s.div(s.cast(own.cast(x, precision), compute),
                                          s.cast(s.cast(numberOf(b, scale, scaleType), precision), compute));
                   quotient = s.cast(s.cast(quotient, precision), compute);
                   Value offset = zero ? s.cast(numberOf(b, zero, target), compute) : Value();
                   if (!isNarrow(target))
                     return requantize(s, quotient, offset, element, isUnsigned);
                   if (isa<IntegerType>(target))
                     quotient = roundToRange(s, quotient, offset, target.getIntOrFloatBitWidth(), isUnsigned);
                   else if (offset && isHalfByte) // here -0 + 0 is 0, as in ONNX's reference
                     quotient = s.add(quotient, offset);
                   else if (offset) // and here the sign of -0 stays
                     quotient = s.select(s.equal(offset, s.like(offset, 0)), quotient, s.add(quotient, offset));
                   return encodeNarrow(b, quotient, target, isUnsigned, {saturate});
                 }),
        x.order);
  return success();
}

LogicalResult lowerDequantizeLinear(Lowering &l, onnx::DequantizeLinearOp op) {
  Value result = op.getY();
  if (setEmpty(l, op))
    return success();
  Type element = l.element(result), source = onnxElement(op.getX()), scaleType = onnxElement(op.getXScale());
  if (!isa<FloatType>(element))
    return l.unsupported(op, "dequantizing to a float of 8 bits or less; float32 or float16 work");
  if (isa<FloatType>(source) && !isNarrow(source))
    return l.unsupported(op, "dequantizing from a float of more than 8 bits; integers and narrower floats work");
  Placed x = l.get(op.getX());
  auto scale = readParameter(l, op, op.getXScale(), "x_scale", op.getX(), x.order, op.getAxis(), op.getBlockSize());
  if (failed(scale))
    return failure();
  std::optional<Parameter> zeroPoint;
  Value z = op.getXZeroPoint();
  if (!l.isAbsent(z) && !(l.splat(z) && isZeroAttribute(l.splat(z)))) {
    auto read = readParameter(l, op, z, "x_zero_point", op.getX(), x.order, op.getAxis(), op.getBlockSize());
    if (failed(read))
      return failure();
    zeroPoint = *read;
  }
  bool isUnsigned = l.isUnsigned(op.getX());
  l.set(result,
        mapQuant(l, l.typeIn(result, x.order), x.value, *scale, zeroPoint,
                 [&](ImplicitLocOpBuilder &b, Value x, Value scale, Value zero) {
                   Scalars s(b, isUnsigned);
                   Type i32 = b.getI32Type(), compute = computeType(element);
                   Value number = numberOf(b, x, source), offset = zero ? numberOf(b, zero, source) : Value();
                   if (!isa<FloatType>(source)) {
                     number = s.cast(number, i32);
                     offset = offset ? s.cast(offset, i32) : Value();
                   }
                   if (offset)
                     number = s.sub(number, offset);
                   Value real = Scalars(b, false).cast(number, compute);
                   return s.cast(s.mul(real, s.cast(numberOf(b, scale, scaleType), compute)), element);
                 }),
        x.order);
  return success();
}

// Range, scale and zero point of the whole operand at run time, then QuantizeLinear to uint8.
LogicalResult lowerDynamicQuantizeLinear(Lowering &l, onnx::DynamicQuantizeLinearOp op) {
  Placed x = l.get(op.getX());
  if (product(l.extentsOf(x.value)) == 0)
    return l.error(op) << "expected an operand with elements, got none";
  Type f32 = l.b.getF32Type(), i8 = l.b.getI8Type();
  Dims loops(l.typeOf(x.value).getShape());
  AffineMap identity = l.b.getMultiDimIdentityMap(loops.size()),
            none = AffineMap::get(loops.size(), 0, l.b.getContext()), scalar = AffineMap::get(l.b.getContext());
  // From 0, which the range must hold.
  auto extreme = [&](bool high) {
    return l.reduce(x.value, identityOrder(loops.size()), l.zero(f32), [&](ImplicitLocOpBuilder &b, ValueRange args) {
      Scalars s(b, false);
      return high ? s.max(args[0], args[1]) : s.min(args[0], args[1]);
    });
  };
  Value low = extreme(false), high = extreme(true);
  Value scale = l.map(Shaped({}, f32), {low, high}, {scalar, scalar}, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, false);
    Value range = s.sub(args[1], args[0]);
    return s.select(s.equal(range, s.like(range, 0)), s.like(range, 1), s.div(range, s.like(range, 255)));
  });
  Value zero = l.map(Shaped({}, i8), {low, scale}, {scalar, scalar}, [&](ImplicitLocOpBuilder &b, ValueRange args) {
    Scalars s(b, true);
    return requantize(s, s.neg(s.div(args[0], args[1])), Value(), i8, true);
  });
  Value y = l.map(Shaped(loops, i8), {x.value, scale, zero}, {identity, none, none},
                  [&](ImplicitLocOpBuilder &b, ValueRange args) {
                    Scalars s(b, true);
                    return requantize(s, s.div(args[0], args[1]), s.cast(args[2], f32), i8, true);
                  });
  if (!l.isAbsent(op.getY()))
    l.set(op.getY(), y, x.order);
  if (!l.isAbsent(op.getYScale()))
    l.set(op.getYScale(), scale);
  if (!l.isAbsent(op.getYZeroPoint()))
    l.set(op.getYZeroPoint(), zero);
  return success();
}

} // namespace

void populateQuantLowerings(Registry &registry) {
  registry.add(lowerQuantizeLinear);
  registry.add(lowerDequantizeLinear);
  registry.add(lowerDynamicQuantizeLinear);
  populateQuantProductLowerings(registry);
}

} // namespace burin::lower
