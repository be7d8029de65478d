// Module attributes -> ModelDescription. Attributes come from passes or from a user's .mlir file, so each is checked.
#include "lib/Target/Description.h"
#include "burin/runtime.h"
#include "dialects/Onnx/Onnx.h"

using namespace mlir;

namespace {
class Reader {
public:
  explicit Reader(ModuleOp module) : module(module) {}

  template <typename T> T get(DictionaryAttr from, StringRef attribute, StringRef key) {
    T value = from.getAs<T>(key);
    if (!value && !failed) {
      failed = true;
      module.emitError() << "module attribute '" << attribute << "': an entry has no '" << key
                         << "' of the expected kind";
    }
    return value;
  }
  std::string text(DictionaryAttr from, StringRef attribute, StringRef key) {
    auto value = get<StringAttr>(from, attribute, key);
    return value ? value.str() : "";
  }
  uint64_t number(DictionaryAttr from, StringRef attribute, StringRef key) {
    auto value = get<IntegerAttr>(from, attribute, key);
    return value ? value.getValue().getZExtValue() : 0;
  }
  uint64_t moduleNumber(StringRef name) {
    if (auto value = module->getAttrOfType<IntegerAttr>(name))
      return value.getValue().getZExtValue();
    return missing(name);
  }
  template <typename F> void entries(ArrayAttr list, StringRef attribute, F f) {
    for (Attribute entry : list) {
      auto dictionary = dyn_cast<DictionaryAttr>(entry);
      if (!dictionary) {
        missing(attribute);
        return;
      }
      f(dictionary);
    }
  }
  uint64_t missing(StringRef name) {
    if (!failed)
      module.emitError() << "module attribute '" << name
                         << "' is missing or malformed; the module must come from the target stage";
    failed = true;
    return 0;
  }

  ModuleOp module;
  bool failed = false;
};
} // namespace

int32_t burin::dtypeOf(Type type) {
  if (isa<onnx::StringType>(type))
    return BURIN_STRING;
  if (auto complex = dyn_cast<ComplexType>(type))
    return complex.getElementType().isF32() ? BURIN_COMPLEX64 : complex.getElementType().isF64() ? BURIN_COMPLEX128 : 0;
  if (type.isF32())
    return BURIN_FLOAT;
  if (type.isF64())
    return BURIN_DOUBLE;
  if (type.isF16())
    return BURIN_FLOAT16;
  if (type.isBF16())
    return BURIN_BFLOAT16;
  if (isa<Float8E4M3FNType>(type))
    return BURIN_FLOAT8E4M3FN;
  if (isa<Float8E4M3FNUZType>(type))
    return BURIN_FLOAT8E4M3FNUZ;
  if (isa<Float8E5M2Type>(type))
    return BURIN_FLOAT8E5M2;
  if (isa<Float8E5M2FNUZType>(type))
    return BURIN_FLOAT8E5M2FNUZ;
  if (isa<Float8E8M0FNUType>(type))
    return BURIN_FLOAT8E8M0;
  if (isa<Float4E2M1FNType>(type))
    return BURIN_FLOAT4E2M1;
  if (!type.isInteger())
    return 0;
  bool isUnsigned = type.isUnsignedInteger();
  switch (type.getIntOrFloatBitWidth()) {
  case 1:
    return BURIN_BOOL;
  case 2:
    return isUnsigned ? BURIN_UINT2 : BURIN_INT2;
  case 4:
    return isUnsigned ? BURIN_UINT4 : BURIN_INT4;
  case 8:
    return isUnsigned ? BURIN_UINT8 : BURIN_INT8;
  case 16:
    return isUnsigned ? BURIN_UINT16 : BURIN_INT16;
  case 32:
    return isUnsigned ? BURIN_UINT32 : BURIN_INT32;
  case 64:
    return isUnsigned ? BURIN_UINT64 : BURIN_INT64;
  default:
    return 0;
  }
}

uint64_t burin::bytesOfElement(Type type) {
  if (auto complex = dyn_cast<ComplexType>(type))
    return 2 * bytesOfElement(complex.getElementType());
  if (type.isIndex() || isa<onnx::StringType>(type)) // of a string a pointer
    return 8;
  return type.isIntOrFloat() ? llvm::divideCeil(type.getIntOrFloatBitWidth(), 8) : 0;
}

std::vector<burin::SizeParameter> burin::sizeParameters(const ModelDescription &model) {
  std::vector<SizeParameter> parameters;
  for (auto [i, input] : llvm::enumerate(model.inputs))
    for (auto [d, size] : llvm::enumerate(input.dims)) {
      if (size >= 0)
        continue;
      bool isNamed = !input.dimNames.empty() && !input.dimNames[d].empty();
      std::string name = isNamed ? input.dimNames[d] : input.name + "_dim" + std::to_string(d);
      auto known = llvm::find_if(parameters, [&](const SizeParameter &p) { return isNamed && p.name == name; });
      if (known == parameters.end())
        known = parameters.insert(known, {name, {}});
      known->places.push_back({unsigned(i), unsigned(d)});
    }
  return parameters;
}

uint64_t burin::ModelDescription::unlockedBytes() const {
  return flags & BURIN_LOCKED_WEIGHTS ? llvm::alignTo(weightsBytes, BURIN_ALIGNMENT) + BURIN_ALIGNMENT : 0;
}

uint64_t burin::ModelDescription::sharedBytes() const {
  uint64_t bytes = storedBytes() + lentBytes() + (uint64_t(4) << 20); // stacks, tables, constants of code
  for (const auto *tensors : {&inputs, &outputs})
    for (const TensorDescription &t : *tensors) {
      uint64_t count = 8; // bytes of the widest element
      for (int64_t dim : t.dims)
        count *= std::max<int64_t>(dim, 1);
      bytes += count + BURIN_ALIGNMENT;
    }
  return llvm::alignTo(bytes, 65536);
}

FailureOr<burin::ModelDescription> burin::describeModel(ModuleOp module) {
  Reader read(module);
  ModelDescription model;
  model.arenaBytes = read.moduleNumber(arenaAttr);
  model.peakLiveBytes = read.moduleNumber(peakAttr);

  auto signature = module->getAttrOfType<DictionaryAttr>(signatureAttr);
  if (!signature)
    read.missing(signatureAttr);
  auto tensors = [&](StringRef key, std::vector<TensorDescription> &out) {
    auto list = signature ? signature.getAs<ArrayAttr>(key) : nullptr;
    if (!list) {
      read.missing(signatureAttr);
      return;
    }
    read.entries(list, signatureAttr, [&](DictionaryAttr entry) {
      TensorDescription tensor;
      tensor.name = read.text(entry, signatureAttr, "name");
      tensor.dtype = read.number(entry, signatureAttr, "dtype");
      if (auto dims = read.get<DenseI64ArrayAttr>(entry, signatureAttr, "dims"))
        tensor.dims.assign(dims.asArrayRef().begin(), dims.asArrayRef().end());
      if (auto names = entry.getAs<ArrayAttr>("dim_names"))
        for (Attribute name : names)
          tensor.dimNames.push_back(isa<StringAttr>(name) ? cast<StringAttr>(name).str() : "");
      if (tensor.dims.size() > BURIN_MAX_RANK ||
          (!tensor.dimNames.empty() && tensor.dimNames.size() != tensor.dims.size())) {
        module.emitError() << "'" << tensor.name << "' has " << tensor.dims.size() << " dims, expected at most "
                           << BURIN_MAX_RANK;
        read.failed = true;
      }
      for (int64_t dim : tensor.dims)
        if (dim < 0)
          model.flags |= BURIN_HAS_FREE_DIMS;
      out.push_back(std::move(tensor));
    });
  };
  tensors("inputs", model.inputs);
  tensors("outputs", model.outputs);
  if (module->hasAttr(allocatorAttr))
    model.flags |= BURIN_NEEDS_ALLOCATOR;

  if (auto layers = module->getAttrOfType<ArrayAttr>(layersAttr))
    read.entries(layers, layersAttr, [&](DictionaryAttr entry) {
      LayerDescription layer{read.text(entry, layersAttr, "name"), read.text(entry, layersAttr, "kind"),
                             read.number(entry, layersAttr, "flops"), read.number(entry, layersAttr, "bytes")};
      if (entry.contains("weight_bytes"))
        layer.weightBytes = read.number(entry, layersAttr, "weight_bytes");
      if (auto type = entry.getAs<TypeAttr>("operand_type"))
        layer.dtype = type.getValue().isInteger(8) ? BURIN_INT8 : BURIN_FLOAT;
      if (auto symbol = entry.getAs<StringAttr>("symbol"))
        layer.symbol = symbol.str();
      if (auto key = entry.getAs<StringAttr>("key"))
        layer.key = key.str();
      model.layers.push_back(std::move(layer));
    });
  else
    read.missing(layersAttr);

  auto weights = module->getAttrOfType<ArrayAttr>(weightsAttr);
  if (!weights) {
    read.missing(weightsAttr);
    return failure();
  }
  read.entries(weights, weightsAttr, [&](DictionaryAttr entry) {
    WeightDescription weight;
    weight.name = read.text(entry, weightsAttr, "name");
    weight.offset = read.number(entry, weightsAttr, "offset");
    weight.sourceBytes = read.number(entry, weightsAttr, "source_bytes");
    weight.encoding = read.text(entry, weightsAttr, "encoding") == "packed" ? BURIN_PACKED : BURIN_RAW;
    weight.data = read.get<ElementsAttr>(entry, weightsAttr, "data");
    if (read.failed)
      return;
    weight.bytes = weight.data.getNumElements() * bytesOfElement(weight.data.getElementType());
    weight.dtype = dtypeOf(weight.data.getElementType());
    if (weight.offset < model.weightsBytes || weight.offset % BURIN_ALIGNMENT != 0) {
      module.emitError() << "module attribute '" << weightsAttr << "': '" << weight.name << "' starts at byte "
                         << weight.offset << ", expected a multiple of " << BURIN_ALIGNMENT << " from "
                         << model.weightsBytes << " on";
      read.failed = true;
    }
    model.weightsBytes = weight.offset + weight.bytes;
    model.weights.push_back(std::move(weight));
  });
  if (read.failed)
    return failure();
  model.weightsBytes = llvm::alignTo(model.weightsBytes, BURIN_ALIGNMENT);
  return model;
}
