// Constants in all their forms behind one set of readers and makers. The raw layout is ONNX's (little endian, i1 one
// byte an element, narrow types packed), because blobs lie in the mapped model file; MLIR's dense attributes keep one
// byte an element for narrow types. Blobs have any alignment, so every read goes through memcpy.
#include "dialects/Onnx/OnnxUtils.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/APFloat.h"

#include <cstring>

using namespace mlir;

namespace burin::onnx {

namespace {

// Bits of one element in the raw layout; 0 for a type without one.
unsigned rawBits(Type type) {
  if (auto complex = dyn_cast<ComplexType>(type))
    return 2 * rawBits(complex.getElementType());
  if (type.isInteger(1))
    return 8;
  return type.isIntOrFloat() ? type.getIntOrFloatBitWidth() : 0;
}

std::shared_ptr<std::vector<char>> unpackedToRaw(DenseElementsAttr attr, unsigned bits) {
  ArrayRef<char> data = attr.getRawData();
  auto raw = std::make_shared<std::vector<char>>((data.size() * bits + 7) / 8, 0);
  for (auto [i, byte] : llvm::enumerate(data)) {
    unsigned word = (byte & ((1u << bits) - 1)) << (i * bits % 8);
    (*raw)[i * bits / 8] |= word;
    if (word > 255)
      (*raw)[i * bits / 8 + 1] |= word >> 8;
  }
  return raw;
}

template <typename T> T load(const char *at) {
  T value;
  memcpy(&value, at, sizeof value);
  return value;
}

// Calls `read(i)` for each of `count` elements, or once where the bytes are one splatted element.
template <typename Out, typename Read> void expand(SmallVector<Out> &out, uint64_t count, bool splat, Read read) {
  if (splat && count) {
    out.assign(count, read(0));
    return;
  }
  out.reserve(count);
  for (uint64_t i = 0; i < count; ++i)
    out.push_back(read(i));
}

// Element i of a packed type; 6-bit ones may straddle two bytes.
uint64_t narrow(const char *bytes, uint64_t i, unsigned bits) {
  uint64_t at = i * bits, word = uint8_t(bytes[at / 8]);
  if (at % 8 + bits > 8)
    word |= uint64_t(uint8_t(bytes[at / 8 + 1])) << 8;
  return (word >> (at % 8)) & ((1u << bits) - 1);
}

template <typename Out> std::optional<SmallVector<Out>> readNumbers(ElementsAttr attr, bool integersOnly) {
  Type type = attr.getElementType();
  uint64_t count = attr.getNumElements();
  unsigned bits = rawBits(type);
  if (type.isIndex()) {
    auto dense = dyn_cast<DenseIntElementsAttr>(attr);
    if (!dense)
      return std::nullopt;
    return llvm::map_to_vector(dense.getValues<APInt>(), [](const APInt &v) { return Out(v.getSExtValue()); });
  }
  if (!type.isIntOrFloat() || (integersOnly && !isa<IntegerType>(type)))
    return std::nullopt;
  std::optional<RawElements> raw = getRawElements(attr);
  if (!raw)
    return std::nullopt;
  const char *p = raw->bytes.data();
  SmallVector<Out> out;
  auto as = [&](auto tag) {
    using T = decltype(tag);
    expand(out, count, raw->splat, [&](uint64_t i) { return Out(load<T>(p + i * sizeof(T))); });
  };
  if (type.isInteger(1)) {
    expand(out, count, raw->splat, [&](uint64_t i) { return Out(p[i] != 0); });
  } else if (auto integer = dyn_cast<IntegerType>(type)) {
    bool isUnsigned = integer.isUnsigned();
    switch (bits) {
    case 8:
      isUnsigned ? as(uint8_t()) : as(int8_t());
      break;
    case 16:
      isUnsigned ? as(uint16_t()) : as(int16_t());
      break;
    case 32:
      isUnsigned ? as(uint32_t()) : as(int32_t());
      break;
    case 64:
      isUnsigned ? as(uint64_t()) : as(int64_t());
      break;
    case 2:
    case 4:
      expand(out, count, raw->splat, [&](uint64_t i) {
        uint64_t v = narrow(p, i, bits);
        return Out(isUnsigned ? int64_t(v) : int64_t(v << (64 - bits)) >> (64 - bits));
      });
      break;
    default:
      return std::nullopt;
    }
  } else if (type.isF32()) {
    as(float());
  } else if (type.isF64()) {
    as(double());
  } else {
    const llvm::fltSemantics &semantics = cast<FloatType>(type).getFloatSemantics();
    expand(out, count, raw->splat, [&](uint64_t i) {
      uint64_t word = bits < 8 ? narrow(p, i, bits) : bits == 8 ? uint8_t(p[i]) : load<uint16_t>(p + 2 * i);
      return Out(APFloat(semantics, APInt(bits, word)).convertToFloat());
    });
  }
  return out;
}

} // namespace

std::optional<uint64_t> getRawSize(Type elementType, uint64_t count) {
  unsigned bits = rawBits(elementType);
  if (!bits || (bits > 8 && bits % 8) || count > (UINT64_MAX - 7) / bits)
    return std::nullopt;
  return (count * bits + 7) / 8;
}

std::optional<RawElements> getRawElements(ElementsAttr attr) {
  Type type = attr.getElementType();
  uint64_t count = attr.getNumElements();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    std::optional<uint64_t> size = getRawSize(type, count);
    if (!blob || !size || blob->getData().size() < *size)
      return std::nullopt;
    return RawElements{blob->getData().take_front(*size), false, nullptr};
  }
  auto dense = dyn_cast<DenseElementsAttr>(attr);
  unsigned bits = rawBits(type);
  if (!dense || !bits || isa<DenseStringElementsAttr>(attr))
    return std::nullopt;
  RawElements raw;
  raw.splat = dense.isSplat();
  if (type.isInteger(1)) {
    raw.owned = std::make_shared<std::vector<char>>();
    if (raw.splat)
      raw.owned->push_back(dense.getSplatValue<bool>());
    else
      for (bool bit : dense.getValues<bool>())
        raw.owned->push_back(bit);
  } else if (bits < 8) {
    raw.owned = unpackedToRaw(dense, bits);
  } else {
    raw.bytes = dense.getRawData();
    return raw;
  }
  raw.bytes = *raw.owned;
  return raw;
}

ElementsAttr getConstantAttr(Value value) {
  if (isNone(value))
    return nullptr;
  Attribute attr;
  if (Operation *op = value.getDefiningOp();
      op && op->hasTrait<OpTrait::ConstantLike>() && matchPattern(value, m_Constant(&attr)))
    return dyn_cast_or_null<ElementsAttr>(attr);
  return nullptr;
}

std::optional<SmallVector<int64_t>> readInts(ElementsAttr attr) { return readNumbers<int64_t>(attr, true); }
SmallVector<int64_t> getInts(ElementsAttr attr) { return readInts(attr).value_or(SmallVector<int64_t>()); }
std::optional<SmallVector<float>> readFloats(ElementsAttr attr) { return readNumbers<float>(attr, false); }
SmallVector<float> getFloats(ElementsAttr attr) { return readFloats(attr).value_or(SmallVector<float>()); }

std::optional<SmallVector<int64_t>> getConstantInts(Value value) {
  ElementsAttr attr = getConstantAttr(value);
  return attr ? readInts(attr) : std::nullopt;
}

std::optional<int64_t> getConstantInt(Value value) {
  ElementsAttr attr = getConstantAttr(value);
  if (!attr || attr.getNumElements() != 1)
    return std::nullopt;
  auto ints = readInts(attr);
  return ints ? std::optional<int64_t>(ints->front()) : std::nullopt;
}

std::optional<SmallVector<float>> getConstantFloats(Value value) {
  ElementsAttr attr = getConstantAttr(value);
  return attr ? readFloats(attr) : std::nullopt;
}

std::optional<float> getConstantFloat(Value value) {
  ElementsAttr attr = getConstantAttr(value);
  if (!attr || attr.getNumElements() != 1)
    return std::nullopt;
  auto floats = readFloats(attr);
  return floats ? std::optional<float>(floats->front()) : std::nullopt;
}

bool isConstantFloat(Value value, float x) {
  ElementsAttr attr = getConstantAttr(value);
  if (!attr || attr.getNumElements() == 0 || (attr.getNumElements() > 4096 && !attr.isSplat()))
    return false;
  auto floats = readFloats(attr);
  return floats && llvm::all_of(*floats, [&](float v) { return v == x; });
}

// The forms that are cheaper than a resource, null where a resource it must be.
static ElementsAttr makeSmall(RankedTensorType type, ArrayRef<char> raw) {
  type = RankedTensorType::get(type.getShape(), type.getElementType());
  Type element = type.getElementType();
  unsigned bits = rawBits(element);
  uint64_t count = type.getNumElements();
  bool splat = false;
  if (bits >= 8 && count > 1 && raw.size() == count * (bits / 8))
    splat = memcmp(raw.data(), raw.data() + bits / 8, raw.size() - bits / 8) == 0;
  if (!splat && raw.size() > 1024)
    return nullptr;
  if (splat)
    raw = raw.take_front(bits / 8);
  if (element.isInteger(1)) {
    auto bools = llvm::map_to_vector(raw, [](char c) { return c != 0; });
    return DenseElementsAttr::get(type, ArrayRef<bool>(bools));
  }
  if (bits < 8) {
    SmallVector<char> bytes;
    for (uint64_t i = 0; i < count; ++i)
      bytes.push_back(narrow(raw.data(), i, bits));
    return DenseElementsAttr::getFromRawBuffer(type, bytes);
  }
  return DenseElementsAttr::getFromRawBuffer(type, raw);
}

ElementsAttr makeConstantAttr(RankedTensorType type, ArrayRef<char> raw, StringRef name, std::shared_ptr<void> owner) {
  if (ElementsAttr small = makeSmall(type, raw))
    return small;
  type = RankedTensorType::get(type.getShape(), type.getElementType());
  // The deleter's only work is to hold the owner; its alignment is the true one, which may be 1.
  size_t align = size_t(1) << std::min<unsigned>(6, llvm::countr_zero(reinterpret_cast<uintptr_t>(raw.data())));
  auto blob =
      AsmResourceBlob(raw, align, [owner = std::move(owner)](void *, size_t, size_t) {}, /*dataIsMutable=*/false);
  return DenseResourceElementsAttr::get(type, name.empty() ? "w" : name, std::move(blob));
}

ElementsAttr makeConstantAttr(RankedTensorType type, ArrayRef<char> raw, StringRef name) {
  if (ElementsAttr small = makeSmall(type, raw))
    return small;
  type = RankedTensorType::get(type.getShape(), type.getElementType());
  return DenseResourceElementsAttr::get(type, name.empty() ? "w" : name,
                                        HeapAsmResourceBlob::allocateAndCopyWithAlign(raw, 64));
}

ElementsAttr makeInts(RankedTensorType type, ArrayRef<int64_t> values) {
  unsigned width = type.getElementTypeBitWidth();
  auto words = llvm::map_to_vector(
      values, [&](int64_t v) { return APInt(width, uint64_t(v), /*isSigned=*/true, /*implicitTrunc=*/true); });
  return DenseElementsAttr::get(RankedTensorType::get(type.getShape(), type.getElementType()), words);
}

ElementsAttr makeFloats(RankedTensorType type, ArrayRef<float> values) {
  const llvm::fltSemantics &semantics = cast<FloatType>(type.getElementType()).getFloatSemantics();
  auto words = llvm::map_to_vector(values, [&](float v) {
    APFloat x(v);
    bool lost;
    x.convert(semantics, APFloat::rmNearestTiesToEven, &lost);
    return x;
  });
  return DenseElementsAttr::get(RankedTensorType::get(type.getShape(), type.getElementType()), words);
}

Value createI64s(OpBuilder &builder, Location loc, ArrayRef<int64_t> values) {
  return ConstantOp::create(builder, loc,
                            makeInts(RankedTensorType::get(int64_t(values.size()), builder.getI64Type()), values));
}

} // namespace burin::onnx
