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

bool isStatic(Type type) {
  auto shaped = dyn_cast<ShapedType>(type);
  return !shaped || shaped.hasStaticShape();
}

// The operation that made a shape unknown: of what feeds `value`, the first whose operands are all known.
Operation *firstDynamic(Value value) {
  SmallVector<Value> work = {value};
  llvm::SmallPtrSet<Operation *, 16> seen;
  while (!work.empty()) {
    Operation *op = work.pop_back_val().getDefiningOp();
    if (!op || !seen.insert(op).second)
      continue;
    if (llvm::all_of(op->getOperandTypes(), isStatic))
      return op;
    for (Value operand : op->getOperands())
      if (!isStatic(operand.getType()))
        work.push_back(operand);
  }
  return nullptr;
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

/// `output`: the returned value; null for an input.
LogicalResult refuseDynamic(func::FuncOp main, RankedTensorType type, StringRef name, Value output) {
  bool isInput = !output;
  for (unsigned d = 0; d < type.getRank(); ++d) {
    if (!type.isDynamicDim(d))
      continue;
    std::string symbol = dimName(type, d), shape;
    for (int64_t size : type.getShape())
      shape += (shape.empty() ? "" : "x") + (ShapedType::isDynamic(size) ? "N" : std::to_string(size));
    if (!isInput) {
      Operation *cause = firstDynamic(output);
      return emitError(cause ? cause->getLoc() : main.getLoc())
             << (cause ? "the shape of its result is known only at run time, so " : "") << "dim " << d
             << (symbol.empty() ? "" : " ('" + symbol + "')") << " of output '" << name
             << "' is not known at compile time, as this target needs it; bind input dims with --dim or --shape, or "
                "compute this part outside the model";
    }
    auto error = emitError(main.getLoc());
    error << "dim " << d << (symbol.empty() ? "" : " ('" + symbol + "')") << " of input '" << name
          << "' is not bound and this target needs every shape at compile time; give ";
    if (!symbol.empty())
      error << "--dim " << symbol << "=N or ";
    return error << "--shape " << name << "=" << shape;
  }
  return success();
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
      Value output = isInput ? Value() : main.getBody().front().getTerminator()->getOperand(i);
      if (failed(refuseDynamic(main, tensor, name, output)))
        return failure();
      entries.push_back(b.getDictionaryAttr({b.getNamedAttr("name", b.getStringAttr(name)),
                                             b.getNamedAttr("dtype", b.getI32IntegerAttr(dtype)),
                                             b.getNamedAttr("dims", b.getDenseI64ArrayAttr(tensor.getShape()))}));
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
