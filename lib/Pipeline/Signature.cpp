// What the artifact will say of its inputs and outputs, taken from the graph before lowering forgets names and
// signedness.
#include "dialects/Onnx/DataType.h"
#include "dialects/Onnx/Onnx.h"
#include "lib/Pipeline/Pipeline.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "passes/Lower/Passes.h"

using namespace mlir;
using namespace burin;

namespace {
std::string nameOf(DictionaryAttr attributes, StringRef fallback, unsigned index) {
  if (auto name = attributes ? attributes.getAs<StringAttr>("onnx.name") : nullptr)
    return name.str();
  return (fallback + Twine(index)).str();
}

std::string dimName(RankedTensorType type, unsigned dim) {
  auto names = dyn_cast_or_null<onnx::DimsAttr>(type.getEncoding());
  auto name = names && dim < names.getNames().size() ? dyn_cast<StringAttr>(names.getNames()[dim]) : nullptr;
  return name ? name.str() : "";
}

// Sequences and optionals are resolved before this: what is left has a length that nobody told.
void refuseContainer(func::FuncOp main, Type type, StringRef name, bool isInput) {
  StringRef kind = isa<onnx::SeqType>(type) ? "a sequence" : "an optional";
  auto error = emitError(main.getLoc()) << (isInput ? "input" : "output") << " '" << name << "' is " << kind;
  if (isInput)
    error << " and this target needs its length at compile time; give --length " << name << "=N"
          << (isa<onnx::OptType>(type) ? ", 1 where it is present or none" : "");
  else
    error << " whose length is known only at run time, which this target does not support yet; constant trip counts, "
             "positions and conditions tell it";
}
} // namespace

LogicalResult burin::captureSignature(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  if (!main)
    return module.emitError("expected a function @main");
  refineBranches(module);
  Builder b(module.getContext());
  auto capture = [&](TypeRange types, bool isInput) -> FailureOr<Attribute> {
    SmallVector<Attribute> entries;
    for (auto [i, type] : llvm::enumerate(types)) {
      DictionaryAttr attributes = isInput ? main.getArgAttrDict(i) : main.getResultAttrDict(i);
      std::string name = nameOf(attributes, isInput ? "input" : "output", i);
      auto tensor = dyn_cast<RankedTensorType>(type);
      int32_t dtype = tensor ? dtypeOf(tensor.getElementType()) : 0;
      if (auto given = attributes ? attributes.getAs<IntegerAttr>("burin.dtype") : nullptr)
        dtype = given.getInt();
      if (isa<onnx::SeqType, onnx::OptType>(type))
        return refuseContainer(main, type, name, isInput), failure();
      if (!tensor || !dtype || bytesOfElement(tensor.getElementType()) == 0)
        return emitError(main.getLoc())
                   << (isInput ? "input" : "output") << " '" << name << "' is a " << type
                   << ", which compiled models cannot take or give; expected a tensor of numbers with a known rank",
               failure();
      // Free dims are -1, with their symbols; what an output's are, the compiled model says (burin_planner).
      SmallVector<int64_t> dims;
      SmallVector<Attribute> names;
      for (unsigned d = 0; d < tensor.getRank(); ++d) {
        dims.push_back(tensor.isDynamicDim(d) ? -1 : tensor.getDimSize(d));
        names.push_back(b.getStringAttr(tensor.isDynamicDim(d) ? dimName(tensor, d) : ""));
      }
      SmallVector<NamedAttribute> entry{b.getNamedAttr("name", b.getStringAttr(name)),
                                        b.getNamedAttr("dtype", b.getI32IntegerAttr(dtype)),
                                        b.getNamedAttr("dims", b.getDenseI64ArrayAttr(dims))};
      if (!tensor.hasStaticShape())
        entry.push_back(b.getNamedAttr("dim_names", b.getArrayAttr(names)));
      entries.push_back(b.getDictionaryAttr(entry));
    }
    return b.getArrayAttr(entries);
  };
  FailureOr<Attribute> inputs = capture(main.getArgumentTypes(), true);
  if (failed(inputs))
    return failure();
  FailureOr<Attribute> outputs = capture(main.getResultTypes(), false);
  if (failed(outputs))
    return failure();
  if (Attribute lengths = main->removeAttr(onnx::lengthsAttr))
    module->setAttr(burin::lengthsAttr, lengths);
  module->setAttr(signatureAttr,
                  b.getDictionaryAttr({b.getNamedAttr("inputs", *inputs), b.getNamedAttr("outputs", *outputs)}));
  return success();
}

void burin::refineSignature(ModuleOp module) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  auto signature = module->getAttrOfType<DictionaryAttr>(signatureAttr);
  if (!main || !signature)
    return;
  Builder b(module.getContext());
  SmallVector<Attribute> outputs;
  for (auto [entry, type] : llvm::zip(signature.getAs<ArrayAttr>("outputs"), main.getResultTypes())) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    NamedAttrList attributes(cast<DictionaryAttr>(entry));
    SmallVector<int64_t> dims(cast<DenseI64ArrayAttr>(attributes.get("dims")).asArrayRef());
    outputs.push_back(entry);
    if (!tensor || tensor.getRank() != int64_t(dims.size()) || !attributes.get("dim_names"))
      continue;
    SmallVector<Attribute> names(cast<ArrayAttr>(attributes.get("dim_names")).getValue());
    for (auto [d, size] : llvm::enumerate(tensor.getShape()))
      if (!ShapedType::isDynamic(size))
        dims[d] = size, names[d] = b.getStringAttr("");
    attributes.set("dims", b.getDenseI64ArrayAttr(dims));
    attributes.set("dim_names", b.getArrayAttr(names));
    if (tensor.hasStaticShape())
      attributes.erase("dim_names");
    outputs.back() = attributes.getDictionary(module.getContext());
  }
  NamedAttrList refined(signature);
  refined.set("outputs", b.getArrayAttr(outputs));
  module->setAttr(signatureAttr, refined.getDictionary(module.getContext()));
}
