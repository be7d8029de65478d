// Private: ONNX's numeric element types in memory, and their conversion to and from the four types in which folding
// computes: float (f16, bf16, f32), double (f64), int64_t (all integers and booleans; wraps like the narrow type once
// stored) and uint64_t (u64). Loads and stores take any alignment.
#ifndef BURIN_PASSES_GRAPH_NUMBERS_H
#define BURIN_PASSES_GRAPH_NUMBERS_H

#include "mlir/IR/BuiltinTypes.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

namespace burin::graph {

enum class Number { None, F16, BF16, F32, F64, Bool, I8, I16, I32, I64, U8, U16, U32, U64 };

inline Number numberOf(mlir::Type type) {
  if (type.isF16())
    return Number::F16;
  if (type.isBF16())
    return Number::BF16;
  if (type.isF32())
    return Number::F32;
  if (type.isF64())
    return Number::F64;
  auto integer = llvm::dyn_cast<mlir::IntegerType>(type);
  if (!integer)
    return Number::None;
  bool isUnsigned = integer.isUnsigned();
  switch (integer.getWidth()) {
  case 1:
    return Number::Bool;
  case 8:
    return isUnsigned ? Number::U8 : Number::I8;
  case 16:
    return isUnsigned ? Number::U16 : Number::I16;
  case 32:
    return isUnsigned ? Number::U32 : Number::I32;
  case 64:
    return isUnsigned ? Number::U64 : Number::I64;
  }
  return Number::None;
}

inline bool isFloat(Number n) { return n >= Number::F16 && n <= Number::F64; }

/// Bytes of one element in memory; 0 for types that are packed or have no such form.
inline unsigned byteWidth(mlir::Type type) {
  if (auto complex = llvm::dyn_cast<mlir::ComplexType>(type))
    return 2 * byteWidth(complex.getElementType());
  if (type.isInteger(1))
    return 1;
  if (!type.isIntOrFloat() || type.getIntOrFloatBitWidth() % 8)
    return 0;
  return type.getIntOrFloatBitWidth() / 8;
}

inline float bitsToFloat(uint32_t bits) {
  float f;
  std::memcpy(&f, &bits, 4);
  return f;
}
inline uint32_t floatToBits(float f) {
  uint32_t bits;
  std::memcpy(&bits, &f, 4);
  return bits;
}
// Without branches, so that weights convert in vectors: the exponent is corrected by a multiplication, which also
// normalizes subnormals; infinities and NaNs get the largest exponent back.
inline float halfToFloat(uint16_t h) {
  float scaled = bitsToFloat(uint32_t(h & 0x7fff) << 13) * 0x1p112f;
  uint32_t special = scaled >= 65536.0f ? 0x7f800000u : 0u;
  return bitsToFloat(floatToBits(scaled) | special | uint32_t(h & 0x8000) << 16);
}
// Round to nearest, ties to even; subnormals by adding one half, whose last place is the half type's smallest number.
inline uint16_t floatToHalf(float f) {
  uint32_t bits = floatToBits(f), sign = (bits >> 16) & 0x8000, x = bits & 0x7fffffff;
  if (x >= 0x47800000)
    return sign | (x > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (x < 0x38800000)
    return sign | (floatToBits(bitsToFloat(x) + 0.5f) - 0x3f000000);
  return sign | ((x + 0xc8000fff + ((x >> 13) & 1)) >> 13);
}
inline uint16_t floatToBfloat(float f) {
  uint32_t bits = floatToBits(f);
  if ((bits & 0x7fffffff) > 0x7f800000)
    return (bits >> 16) | 0x40;
  return (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
}
// A double goes to a narrow type in one rounding: an odd last bit keeps what float cannot hold from making a false tie.
inline float toOdd(double d) {
  float f = float(d);
  if (double(f) != d && std::isfinite(f)) {
    uint32_t bits = floatToBits(f);
    if (std::abs(double(f)) > std::abs(d))
      --bits;
    f = bitsToFloat(bits | 1);
  }
  return f;
}

template <typename To, typename From> To convert(From value) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    // Out of range is undefined in ONNX: saturate, as its reference runtimes do.
    if (!(value == value))
      return To(0);
    if (value <= From(std::numeric_limits<To>::min()))
      return std::numeric_limits<To>::min();
    if (value >= From(std::numeric_limits<To>::max()))
      return std::numeric_limits<To>::max();
    return To(value);
  } else {
    return To(value);
  }
}

/// Reads `n` elements (the first one `n` times where `splat`) into `out`.
template <typename T> void load(Number number, const char *from, bool splat, T *out, int64_t n) {
  auto as = [&](auto tag, auto read) {
    using S = decltype(tag);
    if (n <= 0)
      return;
    if (splat) {
      S s;
      std::memcpy(&s, from, sizeof(S));
      std::fill(out, out + n, T(read(s)));
      return;
    }
    for (int64_t i = 0; i < n; ++i) {
      S s;
      std::memcpy(&s, from + i * sizeof(S), sizeof(S));
      out[i] = T(read(s));
    }
  };
  auto same = [](auto s) { return s; };
  switch (number) {
  case Number::F16:
    return as(uint16_t(), [](uint16_t h) { return halfToFloat(h); });
  case Number::BF16:
    return as(uint16_t(), [](uint16_t h) { return bitsToFloat(uint32_t(h) << 16); });
  case Number::F32:
    return as(float(), same);
  case Number::F64:
    return as(double(), same);
  case Number::Bool:
    return as(uint8_t(), [](uint8_t b) { return b != 0; });
  case Number::I8:
    return as(int8_t(), same);
  case Number::I16:
    return as(int16_t(), same);
  case Number::I32:
    return as(int32_t(), same);
  case Number::I64:
    return as(int64_t(), same);
  case Number::U8:
    return as(uint8_t(), same);
  case Number::U16:
    return as(uint16_t(), same);
  case Number::U32:
    return as(uint32_t(), same);
  case Number::U64:
    return as(uint64_t(), same);
  case Number::None:
    return;
  }
}

/// Writes `n` elements as `number`: floats round to nearest even, integers wrap, floats to integers truncate.
template <typename T> void store(Number number, const T *from, char *out, int64_t n) {
  auto as = [&](auto tag, auto write) {
    using S = decltype(tag);
    for (int64_t i = 0; i < n; ++i) {
      S s = write(from[i]);
      std::memcpy(out + i * sizeof(S), &s, sizeof(S));
    }
  };
  auto narrow = [](T v) {
    if constexpr (std::is_same_v<T, double>)
      return toOdd(v);
    else
      return float(v);
  };
  switch (number) {
  case Number::F16:
    return as(uint16_t(), [&](T v) { return floatToHalf(narrow(v)); });
  case Number::BF16:
    return as(uint16_t(), [&](T v) { return floatToBfloat(narrow(v)); });
  case Number::F32:
    return as(float(), [](T v) { return float(v); });
  case Number::F64:
    return as(double(), [](T v) { return double(v); });
  case Number::Bool:
    return as(uint8_t(), [](T v) { return uint8_t(v != T(0)); });
  case Number::I8:
    return as(int8_t(), [](T v) { return convert<int8_t>(v); });
  case Number::I16:
    return as(int16_t(), [](T v) { return convert<int16_t>(v); });
  case Number::I32:
    return as(int32_t(), [](T v) { return convert<int32_t>(v); });
  case Number::I64:
    return as(int64_t(), [](T v) { return convert<int64_t>(v); });
  case Number::U8:
    return as(uint8_t(), [](T v) { return convert<uint8_t>(v); });
  case Number::U16:
    return as(uint16_t(), [](T v) { return convert<uint16_t>(v); });
  case Number::U32:
    return as(uint32_t(), [](T v) { return convert<uint32_t>(v); });
  case Number::U64:
    return as(uint64_t(), [](T v) { return convert<uint64_t>(v); });
  case Number::None:
    return;
  }
}

} // namespace burin::graph

#endif
