// Conversions between ONNX's messages and MLIR's types and attributes. Sizes come from outside: every product is
// checked before it is used, and data that does not fit its shape is refused with both numbers.
#include "dialects/Onnx/Proto.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cstring>

using namespace mlir;
using ::onnx::AttributeProto;
using ::onnx::TensorProto;
using ::onnx::TypeProto;

namespace burin::onnx {

Type getElementType(MLIRContext *context, int32_t dataType) {
  Builder b(context);
  auto unsignedInt = [&](unsigned width) { return IntegerType::get(context, width, IntegerType::Unsigned); };
  switch (dataType) {
  case TensorProto::FLOAT:
    return b.getF32Type();
  case TensorProto::UINT8:
    return unsignedInt(8);
  case TensorProto::INT8:
    return b.getI8Type();
  case TensorProto::UINT16:
    return unsignedInt(16);
  case TensorProto::INT16:
    return b.getI16Type();
  case TensorProto::INT32:
    return b.getI32Type();
  case TensorProto::INT64:
    return b.getI64Type();
  case TensorProto::STRING:
    return StringType::get(context);
  case TensorProto::BOOL:
    return b.getI1Type();
  case TensorProto::FLOAT16:
    return b.getF16Type();
  case TensorProto::DOUBLE:
    return b.getF64Type();
  case TensorProto::UINT32:
    return unsignedInt(32);
  case TensorProto::UINT64:
    return unsignedInt(64);
  case TensorProto::COMPLEX64:
    return ComplexType::get(b.getF32Type());
  case TensorProto::COMPLEX128:
    return ComplexType::get(b.getF64Type());
  case TensorProto::BFLOAT16:
    return b.getBF16Type();
  case TensorProto::FLOAT8E4M3FN:
    return Float8E4M3FNType::get(context);
  case TensorProto::FLOAT8E4M3FNUZ:
    return Float8E4M3FNUZType::get(context);
  case TensorProto::FLOAT8E5M2:
    return Float8E5M2Type::get(context);
  case TensorProto::FLOAT8E5M2FNUZ:
    return Float8E5M2FNUZType::get(context);
  case TensorProto::UINT4:
    return unsignedInt(4);
  case TensorProto::INT4:
    return b.getIntegerType(4);
  case TensorProto::FLOAT4E2M1:
    return Float4E2M1FNType::get(context);
  case TensorProto::FLOAT8E8M0:
    return Float8E8M0FNUType::get(context);
  case TensorProto::UINT2:
    return unsignedInt(2);
  case TensorProto::INT2:
    return b.getIntegerType(2);
  case TensorProto::FLOAT6E2M3:
    return Float6E2M3FNType::get(context);
  case TensorProto::FLOAT6E3M2:
    return Float6E3M2FNType::get(context);
  default:
    return nullptr;
  }
}

int32_t getDataType(Type type) {
  if (auto integer = dyn_cast<IntegerType>(type)) {
    if (integer.isSigned())
      return TensorProto::UNDEFINED;
    bool u = integer.isUnsigned();
    switch (integer.getWidth()) {
    case 1:
      return u ? TensorProto::UNDEFINED : TensorProto::BOOL;
    case 2:
      return u ? TensorProto::UINT2 : TensorProto::INT2;
    case 4:
      return u ? TensorProto::UINT4 : TensorProto::INT4;
    case 8:
      return u ? TensorProto::UINT8 : TensorProto::INT8;
    case 16:
      return u ? TensorProto::UINT16 : TensorProto::INT16;
    case 32:
      return u ? TensorProto::UINT32 : TensorProto::INT32;
    case 64:
      return u ? TensorProto::UINT64 : TensorProto::INT64;
    default:
      return TensorProto::UNDEFINED;
    }
  }
  if (auto complex = dyn_cast<ComplexType>(type))
    return complex.getElementType().isF32()   ? TensorProto::COMPLEX64
           : complex.getElementType().isF64() ? TensorProto::COMPLEX128
                                              : TensorProto::UNDEFINED;
  return TypeSwitch<Type, int32_t>(type)
      .Case<Float32Type>([](auto) { return TensorProto::FLOAT; })
      .Case<Float64Type>([](auto) { return TensorProto::DOUBLE; })
      .Case<Float16Type>([](auto) { return TensorProto::FLOAT16; })
      .Case<BFloat16Type>([](auto) { return TensorProto::BFLOAT16; })
      .Case<Float8E4M3FNType>([](auto) { return TensorProto::FLOAT8E4M3FN; })
      .Case<Float8E4M3FNUZType>([](auto) { return TensorProto::FLOAT8E4M3FNUZ; })
      .Case<Float8E5M2Type>([](auto) { return TensorProto::FLOAT8E5M2; })
      .Case<Float8E5M2FNUZType>([](auto) { return TensorProto::FLOAT8E5M2FNUZ; })
      .Case<Float4E2M1FNType>([](auto) { return TensorProto::FLOAT4E2M1; })
      .Case<Float8E8M0FNUType>([](auto) { return TensorProto::FLOAT8E8M0; })
      .Case<Float6E2M3FNType>([](auto) { return TensorProto::FLOAT6E2M3; })
      .Case<Float6E3M2FNType>([](auto) { return TensorProto::FLOAT6E3M2; })
      .Case<StringType>([](auto) { return TensorProto::STRING; })
      .Default([](Type) { return TensorProto::UNDEFINED; });
}

static constexpr int maxRank = 64;

Type getType(MLIRContext *context, const TypeProto &proto, std::string *error) {
  auto refuse = [&](const std::string &text) {
    if (error)
      *error = text;
    return Type();
  };
  switch (proto.value_case()) {
  case TypeProto::kTensorType: {
    const auto &tensor = proto.tensor_type();
    if (tensor.elem_type() == TensorProto::UNDEFINED)
      return AnyType::get(context);
    Type element = getElementType(context, tensor.elem_type());
    if (!element)
      return refuse("expected a tensor element type of ONNX, got number " + std::to_string(tensor.elem_type()));
    if (!tensor.has_shape())
      return UnrankedTensorType::get(element);
    if (tensor.shape().dim_size() > maxRank)
      return refuse("expected at most " + std::to_string(maxRank) + " dimensions, got " +
                    std::to_string(tensor.shape().dim_size()));
    SmallVector<int64_t> shape;
    SmallVector<StringRef> names;
    for (const auto &dim : tensor.shape().dim()) {
      // A negative size is what some exporters write for an unknown one.
      shape.push_back(dim.has_dim_value() && dim.dim_value() >= 0 ? dim.dim_value() : ShapedType::kDynamic);
      // "?" is no name: Paddle's exporter writes it for each unknown size, equal or not.
      names.push_back(dim.has_dim_param() && dim.dim_param() != "?" ? StringRef(dim.dim_param()) : StringRef());
    }
    return getTensorType(shape, element, names);
  }
  case TypeProto::kSequenceType: {
    Type element = getType(context, proto.sequence_type().elem_type(), error);
    return element ? SeqType::get(context, element) : Type();
  }
  case TypeProto::kOptionalType: {
    Type element = getType(context, proto.optional_type().elem_type(), error);
    return element ? OptType::get(context, element) : Type();
  }
  case TypeProto::kMapType: {
    Type key = getElementType(context, proto.map_type().key_type()),
         value = getType(context, proto.map_type().value_type(), error);
    if (!key)
      return refuse("expected a map's key type, got number " + std::to_string(proto.map_type().key_type()));
    return value ? MapType::get(context, key, value) : Type();
  }
  case TypeProto::kSparseTensorType:
    return refuse("expected a dense tensor, got a sparse one");
  case TypeProto::VALUE_NOT_SET:
    return AnyType::get(context);
  default:
    return refuse("expected a tensor, sequence, optional or map, got an opaque type");
  }
}

bool setType(Type type, TypeProto &proto) {
  if (auto seq = dyn_cast<SeqType>(type)) {
    auto *element = proto.mutable_sequence_type()->mutable_elem_type();
    return isa<AnyType>(seq.getElementType()) || setType(seq.getElementType(), *element);
  }
  if (auto opt = dyn_cast<OptType>(type)) {
    auto *element = proto.mutable_optional_type()->mutable_elem_type();
    return isa<AnyType>(opt.getElementType()) || setType(opt.getElementType(), *element);
  }
  if (auto map = dyn_cast<MapType>(type)) {
    proto.mutable_map_type()->set_key_type(getDataType(map.getKeyType()));
    return setType(map.getValueType(), *proto.mutable_map_type()->mutable_value_type());
  }
  auto tensor = dyn_cast<TensorType>(type);
  if (!tensor)
    return false;
  int32_t dataType = getDataType(tensor.getElementType());
  if (dataType == TensorProto::UNDEFINED)
    return false;
  proto.mutable_tensor_type()->set_elem_type(dataType);
  if (!tensor.hasRank())
    return true;
  auto *shape = proto.mutable_tensor_type()->mutable_shape();
  for (int64_t i = 0; i < tensor.getRank(); ++i) {
    auto *dim = shape->add_dim();
    if (!tensor.isDynamicDim(i))
      dim->set_dim_value(tensor.getDimSize(i));
    else if (StringRef name = getDimName(type, i); !name.empty())
      dim->set_dim_param(name.str());
  }
  return true;
}

Type mergeTypes(Type preferred, Type other) {
  if (preferred == other || !other || isa<AnyType>(other))
    return preferred;
  if (!preferred || isa<AnyType>(preferred))
    return other;
  auto nested = [](Type a, Type b, auto make) -> Type {
    Type merged = mergeTypes(a, b);
    return merged ? make(merged) : Type();
  };
  MLIRContext *context = preferred.getContext();
  if (auto a = dyn_cast<SeqType>(preferred), b = dyn_cast<SeqType>(other); a && b)
    return nested(a.getElementType(), b.getElementType(), [&](Type t) { return SeqType::get(context, t); });
  if (auto a = dyn_cast<OptType>(preferred), b = dyn_cast<OptType>(other); a && b)
    return nested(a.getElementType(), b.getElementType(), [&](Type t) { return OptType::get(context, t); });
  if (auto a = dyn_cast<MapType>(preferred), b = dyn_cast<MapType>(other); a && b && a.getKeyType() == b.getKeyType())
    return nested(a.getValueType(), b.getValueType(), [&](Type t) { return MapType::get(context, a.getKeyType(), t); });
  auto a = dyn_cast<TensorType>(preferred), b = dyn_cast<TensorType>(other);
  if (!a || !b || a.getElementType() != b.getElementType())
    return nullptr;
  if (!b.hasRank())
    return preferred;
  if (!a.hasRank())
    return other;
  if (a.getRank() != b.getRank())
    return nullptr;
  SmallVector<int64_t> shape;
  SmallVector<StringRef> names;
  for (int64_t i = 0; i < a.getRank(); ++i) {
    int64_t x = a.getDimSize(i), y = b.getDimSize(i);
    if (!ShapedType::isDynamic(x) && !ShapedType::isDynamic(y) && x != y)
      return nullptr;
    shape.push_back(ShapedType::isDynamic(x) ? y : x);
    StringRef name = getDimName(preferred, i);
    names.push_back(name.empty() ? getDimName(other, i) : name);
  }
  return getTensorType(shape, a.getElementType(), names);
}

RankedTensorType getTensorType(MLIRContext *context, const TensorProto &proto, std::string &error) {
  Type element = getElementType(context, proto.data_type());
  if (!element) {
    error = "expected a tensor element type of ONNX, got number " + std::to_string(proto.data_type());
    return nullptr;
  }
  if (proto.dims_size() > maxRank) {
    error = "expected at most " + std::to_string(maxRank) + " dimensions, got " + std::to_string(proto.dims_size());
    return nullptr;
  }
  int64_t count = 1;
  for (int64_t dim : proto.dims()) {
    if (dim < 0 || llvm::MulOverflow(count, dim, count) || count > int64_t(1) << 56) {
      error = "expected dimensions of a tensor that fits in memory, got " + std::to_string(dim);
      return nullptr;
    }
  }
  return RankedTensorType::get(SmallVector<int64_t>(proto.dims().begin(), proto.dims().end()), element);
}

namespace {

// The values of a repeated field as ONNX's raw bytes of type `T`.
template <typename T, typename Field> std::vector<char> rawFrom(const Field &field) {
  std::vector<char> raw(field.size() * sizeof(T));
  for (int i = 0; i < field.size(); ++i) {
    T value = static_cast<T>(field.Get(i));
    memcpy(raw.data() + i * sizeof(T), &value, sizeof(T));
  }
  return raw;
}

std::vector<char> packSixBits(const google::protobuf::RepeatedField<int32_t> &field) {
  std::vector<char> raw((field.size() * 6 + 7) / 8, 0);
  for (int i = 0; i < field.size(); ++i) {
    unsigned at = i * 6, word = (field.Get(i) & 63u) << (at % 8);
    raw[at / 8] |= word;
    if (word > 255)
      raw[at / 8 + 1] |= word >> 8;
  }
  return raw;
}

std::vector<char> typedData(const TensorProto &proto) {
  switch (proto.data_type()) {
  case TensorProto::FLOAT:
  case TensorProto::COMPLEX64:
    return rawFrom<float>(proto.float_data());
  case TensorProto::DOUBLE:
  case TensorProto::COMPLEX128:
    return rawFrom<double>(proto.double_data());
  case TensorProto::INT64:
    return rawFrom<int64_t>(proto.int64_data());
  case TensorProto::UINT64:
    return rawFrom<uint64_t>(proto.uint64_data());
  case TensorProto::UINT32:
    return rawFrom<uint32_t>(proto.uint64_data());
  case TensorProto::INT32:
    return rawFrom<int32_t>(proto.int32_data());
  case TensorProto::INT16:
  case TensorProto::UINT16:
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return rawFrom<uint16_t>(proto.int32_data());
  case TensorProto::FLOAT6E2M3:
  case TensorProto::FLOAT6E3M2:
    return packSixBits(proto.int32_data());
  default:
    return rawFrom<uint8_t>(proto.int32_data()); // one byte an entry, packed types included
  }
}

} // namespace

// Bytes the message's own data takes in the raw layout, strings counted one a byte.
static uint64_t dataSize(const TensorProto &proto) {
  if (proto.data_type() == TensorProto::STRING)
    return proto.string_data_size();
  if (proto.has_raw_data())
    return proto.raw_data().size();
  switch (proto.data_type()) {
  case TensorProto::FLOAT:
  case TensorProto::COMPLEX64:
    return uint64_t(4) * proto.float_data_size();
  case TensorProto::DOUBLE:
  case TensorProto::COMPLEX128:
    return uint64_t(8) * proto.double_data_size();
  case TensorProto::INT64:
    return uint64_t(8) * proto.int64_data_size();
  case TensorProto::UINT64:
    return uint64_t(8) * proto.uint64_data_size();
  case TensorProto::UINT32:
    return uint64_t(4) * proto.uint64_data_size();
  case TensorProto::INT32:
    return uint64_t(4) * proto.int32_data_size();
  case TensorProto::INT16:
  case TensorProto::UINT16:
  case TensorProto::FLOAT16:
  case TensorProto::BFLOAT16:
    return uint64_t(2) * proto.int32_data_size();
  case TensorProto::FLOAT6E2M3:
  case TensorProto::FLOAT6E3M2:
    return (uint64_t(6) * proto.int32_data_size() + 7) / 8;
  default:
    return proto.int32_data_size();
  }
}

bool checkTensor(MLIRContext *context, const TensorProto &proto, std::string &error) {
  RankedTensorType type = getTensorType(context, proto, error);
  if (!type)
    return false;
  bool strings = proto.data_type() == TensorProto::STRING;
  uint64_t count = type.getNumElements(), expected = strings ? count : *getRawSize(type.getElementType(), count),
           got = dataSize(proto);
  if (got == expected)
    return true;
  llvm::raw_string_ostream(error) << "expected " << expected << (strings ? " strings" : " bytes") << " for " << type
                                  << ", got " << got;
  return false;
}

ElementsAttr getTensor(MLIRContext *context, const TensorProto &proto, std::string &error) {
  if (!checkTensor(context, proto, error))
    return nullptr;
  RankedTensorType type = getTensorType(context, proto, error);
  if (proto.data_type() == TensorProto::STRING) {
    auto strings = llvm::map_to_vector(proto.string_data(), [](const std::string &s) { return StringRef(s); });
    return DenseElementsAttr::get(type, ArrayRef<StringRef>(strings));
  }
  if (proto.has_raw_data())
    return makeConstantAttr(type, ArrayRef<char>(proto.raw_data().data(), proto.raw_data().size()), proto.name());
  std::vector<char> typed = typedData(proto);
  return makeConstantAttr(type, typed, proto.name());
}

ElementsAttr getSparseTensor(MLIRContext *context, const ::onnx::SparseTensorProto &proto, std::string &error) {
  TensorProto dense;
  dense.set_data_type(proto.values().data_type());
  *dense.mutable_dims() = proto.dims();
  RankedTensorType type = getTensorType(context, dense, error);
  if (!type)
    return nullptr;
  ElementsAttr values = getTensor(context, proto.values(), error);
  ElementsAttr indices = values ? getTensor(context, proto.indices(), error) : ElementsAttr();
  if (!indices)
    return nullptr;
  auto size = getRawSize(type.getElementType(), type.getNumElements());
  auto one = getRawSize(type.getElementType(), 1);
  if (!size || *size > (uint64_t(256) << 20) || type.getElementTypeBitWidth() < 8) {
    error = "expected a sparse tensor of at most 256 MB when dense";
    return nullptr;
  }
  int64_t nnz = values.getNumElements(), rank = type.getRank();
  auto places = readInts(indices);
  bool linear = indices.getShapedType().getRank() == 1;
  if (!places || int64_t(places->size()) != nnz * (linear ? 1 : rank)) {
    error = "expected an index for each of " + std::to_string(nnz) + " sparse values, got " +
            std::to_string(places ? places->size() : 0) + " numbers";
    return nullptr;
  }
  std::vector<char> raw(*size, 0);
  RawElements from = *getRawElements(values);
  for (int64_t i = 0; i < nnz; ++i) {
    int64_t at = linear ? (*places)[i] : 0;
    bool inside = at >= 0 && at < std::max<int64_t>(1, type.getNumElements());
    for (int64_t d = 0; !linear && d < rank; ++d) {
      int64_t index = (*places)[i * rank + d];
      inside &= index >= 0 && index < type.getDimSize(d);
      at = at * type.getDimSize(d) + index;
    }
    if (!inside || uint64_t(at + 1) * *one > raw.size()) {
      error = "expected the index of a sparse value inside its tensor";
      return nullptr;
    }
    memcpy(raw.data() + at * *one, from.bytes.data() + (from.splat ? 0 : i) * *one, *one);
  }
  return makeConstantAttr(type, raw, proto.values().name());
}

bool setTensor(ElementsAttr attr, TensorProto &proto) {
  proto.set_data_type(getDataType(attr.getElementType()));
  for (int64_t dim : attr.getShapedType().getShape())
    proto.add_dims(dim);
  if (auto strings = dyn_cast<DenseStringElementsAttr>(attr)) {
    for (StringRef s : strings.getValues<StringRef>())
      proto.add_string_data(s.str());
    return true;
  }
  std::optional<RawElements> raw = getRawElements(attr);
  if (!raw || proto.data_type() == TensorProto::UNDEFINED)
    return false;
  std::string *out = proto.mutable_raw_data();
  if (!raw->splat) {
    out->assign(raw->bytes.data(), raw->bytes.size());
    return true;
  }
  uint64_t count = attr.getNumElements();
  Type element = attr.getElementType();
  if (unsigned bits = element.isIntOrFloat() && !element.isInteger(1) ? element.getIntOrFloatBitWidth() : 8; bits < 8) {
    // A splat of a packed type: its one byte holds one element; repeat it bit by bit.
    unsigned value = uint8_t(raw->bytes[0]) & ((1u << bits) - 1);
    out->assign((count * bits + 7) / 8, 0);
    for (uint64_t i = 0; i < count; ++i)
      for (unsigned b = 0; b < bits; ++b)
        (*out)[(i * bits + b) / 8] |= ((value >> b) & 1) << ((i * bits + b) % 8);
    return true;
  }
  out->reserve(raw->bytes.size() * count);
  for (uint64_t i = 0; i < count; ++i)
    out->append(raw->bytes.data(), raw->bytes.size());
  return true;
}

Attribute getAttribute(MLIRContext *context, const AttributeProto &proto, const TensorReader &tensor,
                       std::string &error) {
  Builder b(context);
  switch (proto.type()) {
  case AttributeProto::INT:
    return b.getI64IntegerAttr(proto.i());
  case AttributeProto::FLOAT:
    return b.getF32FloatAttr(proto.f());
  case AttributeProto::STRING:
    return b.getStringAttr(proto.s());
  case AttributeProto::TENSOR:
    return tensor(proto.t(), error);
  case AttributeProto::SPARSE_TENSOR:
    return getSparseTensor(context, proto.sparse_tensor(), error);
  case AttributeProto::INTS:
    return b.getDenseI64ArrayAttr(SmallVector<int64_t>(proto.ints().begin(), proto.ints().end()));
  case AttributeProto::FLOATS:
    return b.getDenseF32ArrayAttr(SmallVector<float>(proto.floats().begin(), proto.floats().end()));
  case AttributeProto::STRINGS:
    return b.getStrArrayAttr(llvm::map_to_vector(proto.strings(), [](const std::string &s) { return StringRef(s); }));
  case AttributeProto::TENSORS: {
    SmallVector<Attribute> list;
    for (const TensorProto &t : proto.tensors()) {
      list.push_back(tensor(t, error));
      if (!list.back())
        return nullptr;
    }
    return b.getArrayAttr(list);
  }
  case AttributeProto::TYPE_PROTO: {
    Type type = getType(context, proto.tp(), &error);
    return type ? TypeAttr::get(type) : TypeAttr();
  }
  case AttributeProto::TYPE_PROTOS: {
    SmallVector<Attribute> list;
    for (const TypeProto &t : proto.type_protos()) {
      Type type = getType(context, t, &error);
      if (!type)
        return nullptr;
      list.push_back(TypeAttr::get(type));
    }
    return b.getArrayAttr(list);
  }
  default:
    error = "expected a value of an attribute type of ONNX, got number " + std::to_string(int(proto.type()));
    return nullptr;
  }
}

bool setAttribute(Attribute attr, AttributeProto &proto, AttributeProto::AttributeType expected) {
  if (auto integer = dyn_cast<IntegerAttr>(attr)) {
    proto.set_type(AttributeProto::INT);
    proto.set_i(integer.getValue().getSExtValue());
  } else if (auto number = dyn_cast<FloatAttr>(attr)) {
    proto.set_type(AttributeProto::FLOAT);
    proto.set_f(float(number.getValueAsDouble()));
  } else if (auto string = dyn_cast<StringAttr>(attr)) {
    proto.set_type(AttributeProto::STRING);
    proto.set_s(string.getValue().str());
  } else if (auto ints = dyn_cast<DenseI64ArrayAttr>(attr)) {
    proto.set_type(AttributeProto::INTS);
    proto.mutable_ints()->Add(ints.asArrayRef().begin(), ints.asArrayRef().end());
  } else if (auto floats = dyn_cast<DenseF32ArrayAttr>(attr)) {
    proto.set_type(AttributeProto::FLOATS);
    proto.mutable_floats()->Add(floats.asArrayRef().begin(), floats.asArrayRef().end());
  } else if (auto type = dyn_cast<TypeAttr>(attr)) {
    proto.set_type(AttributeProto::TYPE_PROTO);
    return setType(type.getValue(), *proto.mutable_tp());
  } else if (auto elements = dyn_cast<ElementsAttr>(attr)) {
    proto.set_type(AttributeProto::TENSOR);
    return setTensor(elements, *proto.mutable_t());
  } else if (auto list = dyn_cast<ArrayAttr>(attr)) {
    proto.set_type(expected == AttributeProto::UNDEFINED ? AttributeProto::STRINGS : expected);
    for (Attribute item : list) {
      if (auto s = dyn_cast<StringAttr>(item)) {
        proto.set_type(AttributeProto::STRINGS);
        proto.add_strings(s.getValue().str());
      } else if (auto t = dyn_cast<ElementsAttr>(item)) {
        proto.set_type(AttributeProto::TENSORS);
        if (!setTensor(t, *proto.add_tensors()))
          return false;
      } else if (auto t = dyn_cast<TypeAttr>(item)) {
        proto.set_type(AttributeProto::TYPE_PROTOS);
        if (!setType(t.getValue(), *proto.add_type_protos()))
          return false;
      } else {
        return false;
      }
    }
  } else {
    return false;
  }
  return true;
}

StringRef getAttrName(StringRef onnxName) { return onnxName == "type" ? "elem_type" : onnxName; }
StringRef getOnnxAttrName(StringRef name) { return name == "elem_type" ? "type" : name; }

std::string cleanMessage(StringRef what) {
  what = what.split('\n').first.trim();
  // An assertion of the library: "file:line: function: Assertion `...` failed: what it means".
  if (size_t at = what.find("` failed"); at != StringRef::npos) {
    what = what.substr(at + 8).ltrim(":. ");
    if (what.empty())
      what = "the library's own check fails";
  }
  // "[ShapeInferenceError] ..." and "node Conv (conv1): ..." say again what the location says.
  while (what.consume_front("[")) {
    what = what.split(']').second.ltrim();
    what.consume_front(":");
    what = what.ltrim();
  }
  if (what.starts_with("(op_type:"))
    what = what.split("): ").second.ltrim();
  while (what.starts_with("["))
    what = what.split(']').second.ltrim();
  std::string text = what.rtrim(". ").str();
  if (text.size() > 1 && isupper(text[0]) && islower(text[1]))
    text[0] = char(tolower(text[0]));
  return text.empty() ? "ONNX refuses it" : text;
}

} // namespace burin::onnx
