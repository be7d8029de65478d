// Narrow elements in integer arithmetic (see Narrow.h): the same on every target, no table, no libcall. A float's
// magnitude is shifted to where the wider format has it (a normal number) or counted in its smallest one (a denormal);
// on the way down half of the last place is added (normal results) or a number whose last place is the format's
// smallest one (denormal results), so that the machine rounds. Special codes are put in by selects. No step takes or
// makes a denormal of f32, which a machine may flush to 0.
#include "passes/Lower/Narrow.h"

#include <cmath>

using namespace mlir;

namespace burin::lower {
namespace {

// A float of up to 8 bits with a sign.
struct Format {
  unsigned exponentBits, mantissaBits;
  int bias;
  unsigned largest;  // code of the largest finite magnitude
  unsigned overflow; // code of what is larger, unless it saturates
  unsigned nan;      // code NaN is written as
  bool hasInfinity = false;
  bool oneZero = false; // no negative zero: its code is NaN
  unsigned bits() const { return 1 + exponentBits + mantissaBits; }
  unsigned magnitudes() const { return (1u << (bits() - 1)) - 1; }
};

Format formatOf(Type type) {
  if (isa<Float8E4M3FNType>(type))
    return {4, 3, 7, 0x7e, 0x7f, 0x7f};
  if (isa<Float8E4M3FNUZType>(type))
    return {4, 3, 8, 0x7f, 0x80, 0x80, false, true};
  if (isa<Float8E5M2Type>(type))
    return {5, 2, 15, 0x7b, 0x7c, 0x7e, true};
  if (isa<Float8E5M2FNUZType>(type))
    return {5, 2, 16, 0x7f, 0x80, 0x80, false, true};
  // No NaN: it becomes the zero of the other sign, as in ONNX's reference.
  return {2, 1, 1, 7, 7, 8};
}

struct Words {
  ImplicitLocOpBuilder &b;
  Value k(uint32_t value) { return arith::ConstantOp::create(b, b.getI32IntegerAttr(int32_t(value))); }
  Value both(Value x, Value y) { return arith::AndIOp::create(b, x, y); }
  Value either(Value x, Value y) { return arith::OrIOp::create(b, x, y); }
  Value add(Value x, Value y) { return arith::AddIOp::create(b, x, y); }
  Value left(Value x, unsigned n) { return arith::ShLIOp::create(b, x, k(n)); }
  Value right(Value x, unsigned n) { return arith::ShRUIOp::create(b, x, k(n)); }
  Value above(Value x, uint32_t y) { return arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, x, k(y)); }
  Value is(Value x, uint32_t y) { return arith::CmpIOp::create(b, arith::CmpIPredicate::eq, x, k(y)); }
  Value select(Value c, Value x, Value y) { return arith::SelectOp::create(b, c, x, y); }
  Value asFloat(Value x) { return arith::BitcastOp::create(b, b.getF32Type(), x); }
  Value asWord(Value x) { return arith::BitcastOp::create(b, b.getI32Type(), x); }
};

constexpr uint32_t quietNaN = 0x7fc00000, infinity = 0x7f800000;

Value decodeFloat(ImplicitLocOpBuilder &b, Value byte, Type type) {
  Words w{b};
  Value word = arith::ExtUIOp::create(b, b.getI32Type(), byte);
  if (isa<Float8E8M0FNUType>(type)) { // an exponent alone; 2^-127 is a denormal of f32
    Value number = w.select(w.is(word, 0), w.k(0x00400000), w.left(word, 23));
    return w.asFloat(w.select(w.is(word, 0xff), w.k(quietNaN), number));
  }
  Format f = formatOf(type);
  Value magnitude = w.both(word, w.k(f.magnitudes())), moved = w.left(magnitude, 23 - f.mantissaBits);
  Value last = arith::ConstantOp::create(b, b.getF32FloatAttr(std::ldexp(1.0f, 1 - f.bias - int(f.mantissaBits))));
  Value count = arith::SIToFPOp::create(b, b.getF32Type(), magnitude);
  Value denormal = w.asWord(arith::MulFOp::create(b, count, last));
  Value normal = w.add(moved, w.k(uint32_t(127 - f.bias) << 23));
  Value number = w.select(w.above(magnitude, (1u << f.mantissaBits) - 1), normal, denormal);
  if (f.hasInfinity)
    number = w.select(w.above(magnitude, f.largest), w.either(moved, w.k(infinity)), number);
  else if (f.nan == f.magnitudes())
    number = w.select(w.is(magnitude, f.nan), w.k(quietNaN), number);
  number = w.either(number, w.left(w.both(word, w.k(1u << (f.bits() - 1))), 32 - f.bits()));
  if (f.oneZero)
    number = w.select(w.is(word, f.nan), w.k(quietNaN), number);
  return w.asFloat(number);
}

// The exponent of a power of 2; the sign is dropped, which ONNX leaves open.
Value encodeExponent(Words w, Value magnitude, Encoding encoding) {
  uint32_t half = 0x00400000;
  Value denormal, normal;
  switch (encoding.e8m0) {
  case Rounding::Up:
    denormal = w.select(w.above(magnitude, half), w.k(1), w.k(0));
    normal = w.right(w.add(magnitude, w.k(0x007fffff)), 23);
    break;
  case Rounding::Down:
    denormal = w.k(0);
    normal = w.right(magnitude, 23);
    break;
  case Rounding::Nearest:
    denormal = w.select(w.above(magnitude, half + half / 2 - 1), w.k(1), w.k(0));
    normal = w.right(w.add(magnitude, w.k(half)), 23);
    break;
  }
  Value code = w.select(w.above(magnitude, 0x007fffff), normal, denormal);
  if (encoding.saturate)
    code = w.select(w.above(code, 0xfe), w.k(0xfe), code);
  else
    code = w.select(w.above(magnitude, half - 1), code, w.k(0xff));
  return w.select(w.above(magnitude, infinity), w.k(0xff), code);
}

Value encodeFloat(ImplicitLocOpBuilder &b, Value v, Type type, Encoding encoding) {
  Words w{b};
  Value word = w.asWord(v), magnitude = w.both(word, w.k(0x7fffffff)), code;
  if (isa<Float8E8M0FNUType>(type)) {
    code = encodeExponent(w, magnitude, encoding);
  } else {
    Format f = formatOf(type);
    unsigned dropped = 23 - f.mantissaBits;
    Value odd = w.both(w.right(magnitude, dropped), w.k(1));
    Value rounded = w.right(w.add(w.add(magnitude, w.k((1u << (dropped - 1)) - 1)), odd), dropped);
    Value normal = arith::SubIOp::create(b, rounded, w.k((127 - f.bias) << f.mantissaBits));
    // The last place of 2^(23 + n) is 2^n.
    Value shift = arith::ConstantOp::create(b, b.getF32FloatAttr(std::ldexp(1.0f, 24 - f.bias - int(f.mantissaBits))));
    Value shifted = w.asWord(arith::AddFOp::create(b, w.asFloat(magnitude), shift));
    Value denormal = arith::SubIOp::create(b, shifted, w.asWord(shift));
    code = w.select(w.above(magnitude, (uint32_t(128 - f.bias) << 23) - 1), normal, denormal);
    code = w.select(w.above(code, f.largest), w.k(encoding.saturate ? f.largest : f.overflow), code);
    code = w.select(w.above(magnitude, infinity), w.k(f.nan), code);
    Value sign = w.left(w.right(word, 31), f.bits() - 1);
    if (f.oneZero)
      code = w.select(w.is(code, 0), code, w.either(code, sign));
    else
      code = arith::XOrIOp::create(b, code, sign);
  }
  return arith::TruncIOp::create(b, b.getI8Type(), code);
}

} // namespace

bool isNarrow(Type type) {
  if (isa<Float8E4M3FNType, Float8E4M3FNUZType, Float8E5M2Type, Float8E5M2FNUZType, Float8E8M0FNUType,
          Float4E2M1FNType>(type))
    return true;
  return isa<IntegerType>(type) && (type.getIntOrFloatBitWidth() == 2 || type.getIntOrFloatBitWidth() == 4);
}

Value decodeNarrow(ImplicitLocOpBuilder &b, Value byte, Type type) {
  if (isa<FloatType>(type))
    return decodeFloat(b, byte, type);
  unsigned unused = 8 - type.getIntOrFloatBitWidth();
  auto k = [&](int64_t v) { return arith::ConstantOp::create(b, b.getIntegerAttr(b.getI8Type(), v)); };
  if (type.isUnsignedInteger())
    return arith::AndIOp::create(b, byte, k((1 << (8 - unused)) - 1));
  return arith::ShRSIOp::create(b, Value(arith::ShLIOp::create(b, byte, k(unused))), k(unused));
}

Value encodeNarrow(ImplicitLocOpBuilder &b, Value v, Type type, bool isUnsigned, Encoding encoding) {
  Scalars s(b, isUnsigned);
  if (isa<FloatType>(type)) {
    Value real = v.getType().isF64() ? s.narrowOnce(v) : s.cast(v, b.getF32Type());
    return encodeFloat(b, real, type, encoding);
  }
  Value low = s.cast(isa<FloatType>(v.getType()) ? s.cast(v, b.getI32Type()) : v, b.getI8Type());
  return arith::AndIOp::create(
      b, low, Value(arith::ConstantOp::create(b, b.getI8IntegerAttr((1 << type.getIntOrFloatBitWidth()) - 1))));
}

} // namespace burin::lower
