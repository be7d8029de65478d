// What the user says about input shapes becomes types: whole shapes by input, symbolic dims by name. One symbol is one
// number everywhere, so a shape also binds the symbols it covers. Inference then carries it through the graph; this
// pass must not guess what was not said. A sequence of known length becomes its elements, inputs x[0], x[1], ...
#include "dialects/Onnx/DataType.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "passes/Graph/Passes.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_BINDSHAPES
#include "passes/Graph/Passes.h.inc"

namespace {

constexpr int64_t dynamic = ShapedType::kDynamic;

// "1x3x?x-1": digits, or "?", or a negative number for a dim that stays dynamic.
std::optional<SmallVector<int64_t>> parseShape(StringRef text) {
  SmallVector<int64_t> shape;
  if (text.empty())
    return shape;
  SmallVector<StringRef> parts;
  text.split(parts, 'x');
  for (StringRef part : parts) {
    int64_t size;
    if (part == "?" || part.empty())
      size = dynamic;
    else if (part.getAsInteger(10, size))
      return std::nullopt;
    shape.push_back(size < 0 ? dynamic : size);
  }
  return shape;
}

// Exporters write "?" for dims that have nothing to do with each other.
StringRef symbolOf(Type type, int64_t dim) {
  StringRef name = onnx::getDimName(type, dim);
  return name == "?" ? "" : name;
}

class BindShapes : public impl::BindShapesBase<BindShapes> {
public:
  using BindShapesBase::BindShapesBase;

  void runOnOperation() override {
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (func.isPublic() && !func.isExternal() && (failed(bindLengths(func)) || failed(bind(func))))
        return signalPassFailure();
  }

private:
  LogicalResult bindLengths(func::FuncOp func) {
    llvm::StringMap<StringRef> given;
    for (const std::string &binding : lengths)
      given[StringRef(binding).rsplit('=').first] = StringRef(binding).rsplit('=').second;
    Builder b(&getContext());
    SmallVector<NamedAttribute> bound;
    for (unsigned i = 0; i < func.getNumArguments();) {
      auto name = func.getArgAttrOfType<StringAttr>(i, "onnx.name");
      auto entry = name ? given.find(name.getValue()) : given.end();
      if (entry == given.end()) {
        ++i;
        continue;
      }
      Type type = func.getArgumentTypes()[i];
      if (!isa<onnx::SeqType, onnx::OptType>(type))
        return func.emitError() << "expected a sequence or an optional to give a length to, got input '"
                                << name.getValue() << "' of type " << type;
      std::optional<int64_t> length;
      if (int64_t number; entry->second == "none" && isa<onnx::OptType>(type))
        length = std::nullopt;
      else if (!entry->second.getAsInteger(10, number) && number >= 0)
        length = number;
      else
        return func.emitError() << "expected the number of elements of input '" << name.getValue() << "'"
                                << (isa<onnx::OptType>(type) ? " or none" : "") << ", got '" << entry->second << "'";
      bound.push_back(
          b.getNamedAttr(name, length ? Attribute(b.getI64IntegerAttr(*length)) : Attribute(b.getUnitAttr())));
      if (failed(expandArgument(func, i, name.getValue(), length)))
        return failure();
      given.erase(entry);
    }
    if (!given.empty())
      return func.emitError()
             << "expected the name of an input that is a sequence or an optional before '=' in a length, "
                "got '"
             << given.begin()->getKey() << "'";
    if (!bound.empty())
      func->setAttr(onnx::lengthsAttr, b.getDictionaryAttr(bound));
    return success();
  }

  // Argument `i`, a sequence or optional -> one for each tensor it holds; moves `i` behind them.
  LogicalResult expandArgument(func::FuncOp func, unsigned &i, StringRef name, std::optional<int64_t> length) {
    Type type = func.getArgumentTypes()[i];
    Location loc = func.getArgument(i).getLoc();
    Builder b(&getContext());
    auto optional = dyn_cast<onnx::OptType>(type);
    auto sequence = dyn_cast<onnx::SeqType>(optional ? optional.getElementType() : type);
    if (optional && !sequence && length && *length != 1)
      return func.emitError() << "expected 1 or none for input '" << name << "', an optional tensor, got " << *length;
    OpBuilder builder = OpBuilder::atBlockBegin(&func.front());
    SmallVector<Value> values;
    unsigned at = i + 1;
    for (int64_t k = 0; length && k < *length; ++k, ++at) {
      std::string own = sequence ? (name + "[" + Twine(k) + "]").str() : name.str();
      Type element = sequence ? sequence.getElementType() : optional.getElementType();
      // The name of a dim is one number; elements of a sequence may differ in it.
      if (auto tensor = dyn_cast<RankedTensorType>(element); tensor && sequence)
        element = RankedTensorType::get(tensor.getShape(), tensor.getElementType());
      if (failed(func.insertArgument(at, element,
                                     b.getDictionaryAttr(b.getNamedAttr("onnx.name", b.getStringAttr(own))), loc)))
        return failure();
      values.push_back(func.getArgument(at));
    }
    Value whole = values.empty() ? Value() : values[0];
    if (sequence && length) {
      if (values.empty()) {
        int32_t number = onnx::getDataType(getElementTypeOrSelf(sequence.getElementType()));
        whole = onnx::SequenceEmptyOp::create(builder, loc, sequence, ValueRange(),
                                              b.getNamedAttr("dtype", b.getI64IntegerAttr(number)));
      } else {
        whole = onnx::SequenceConstructOp::create(builder, loc, sequence, values);
      }
    }
    if (optional) {
      SmallVector<NamedAttribute> attributes;
      if (!whole) {
        whole = onnx::NoValueOp::create(builder, loc);
        attributes.push_back(b.getNamedAttr("elem_type", TypeAttr::get(optional.getElementType())));
      }
      whole = onnx::OptionalOp::create(builder, loc, optional, whole, attributes);
    }
    func.getArgument(i).replaceAllUsesWith(whole);
    (void)func.eraseArgument(i);
    i = at - 1;
    return success();
  }

  LogicalResult bind(func::FuncOp func) {
    unsigned count = func.getNumArguments();
    SmallVector<StringRef> names;
    SmallVector<SmallVector<int64_t>> bound(count);
    SmallVector<bool> given(count, false);
    llvm::MapVector<StringRef, int64_t> symbols;
    for (unsigned i = 0; i < count; ++i) {
      auto name = func.getArgAttrOfType<StringAttr>(i, "onnx.name");
      names.push_back(name ? name.getValue() : "");
      if (auto type = dyn_cast<RankedTensorType>(func.getArgumentTypes()[i]))
        for (int64_t d = 0; d < type.getRank(); ++d)
          if (StringRef symbol = symbolOf(type, d); !symbol.empty())
            symbols.insert({symbol, dynamic});
    }

    for (const std::string &binding : shapes) {
      auto [name, text] = StringRef(binding).rsplit('=');
      auto *it = llvm::find(names, name);
      if (it == names.end())
        return func.emitError() << "expected the name of an input (" << llvm::join(names, ", ")
                                << ") before '=' in a shape, got '" << name << "'";
      unsigned i = it - names.begin();
      auto shape = parseShape(text);
      if (!shape)
        return func.emitError() << "expected a shape such as 1x3x224x224 for input '" << name << "', got '" << text
                                << "'";
      auto tensor = dyn_cast<TensorType>(func.getArgumentTypes()[i]);
      if (!tensor)
        return func.emitError() << "expected a tensor to give a shape to, got input '" << name << "' of type "
                                << func.getArgumentTypes()[i];
      if (given[i] && bound[i] != *shape)
        return func.emitError() << "expected one shape for input '" << name << "', got several";
      bound[i] = *shape;
      given[i] = true;
      auto type = dyn_cast<RankedTensorType>(tensor);
      if (!type)
        continue;
      if (type.getRank() != int64_t(shape->size()))
        return func.emitError() << "expected " << type.getRank() << " dims for input '" << name << "', got "
                                << shape->size() << " in '" << text << "'";
      for (int64_t d = 0; d < type.getRank(); ++d) {
        if ((*shape)[d] == dynamic)
          continue;
        if (!type.isDynamicDim(d) && type.getDimSize(d) != (*shape)[d])
          return func.emitError() << "expected " << type.getDimSize(d) << " for dim " << d << " of input '" << name
                                  << "', got " << (*shape)[d];
        if (StringRef symbol = symbolOf(type, d); !symbol.empty())
          if (failed(setSymbol(func, symbols, symbol, (*shape)[d])))
            return failure();
      }
    }
    for (const std::string &binding : dims) {
      auto [symbol, text] = StringRef(binding).rsplit('=');
      int64_t size;
      if (text.getAsInteger(10, size))
        return func.emitError() << "expected a number for dim '" << symbol << "', got '" << text << "'";
      if (!symbols.contains(symbol)) {
        SmallVector<StringRef> known;
        for (auto &entry : symbols)
          known.push_back(entry.first);
        return func.emitError() << "expected the name of a symbolic dim ("
                                << (known.empty() ? std::string("this model has none") : llvm::join(known, ", "))
                                << "), got '" << symbol << "'";
      }
      if (size >= 0 && failed(setSymbol(func, symbols, symbol, size)))
        return failure();
    }

    for (unsigned i = 0; i < count; ++i) {
      auto tensor = dyn_cast<TensorType>(func.getArgumentTypes()[i]);
      if (!tensor)
        continue;
      auto type = dyn_cast<RankedTensorType>(tensor);
      if (!type && !given[i])
        continue;
      SmallVector<int64_t> shape = type ? SmallVector<int64_t>(type.getShape()) : bound[i];
      SmallVector<StringRef> dimNames(shape.size());
      for (size_t d = 0; d < shape.size(); ++d) {
        if (given[i] && bound[i][d] != dynamic)
          shape[d] = bound[i][d];
        StringRef symbol = type ? symbolOf(type, d) : "";
        if (!symbol.empty() && symbols.lookup(symbol) != dynamic && shape[d] == dynamic)
          shape[d] = symbols.lookup(symbol);
        dimNames[d] = shape[d] == dynamic && type ? onnx::getDimName(type, d) : "";
      }
      func.getArgument(i).setType(onnx::getTensorType(shape, tensor.getElementType(), dimNames));
    }
    Operation *terminator = func.front().getTerminator();
    func.setType(FunctionType::get(&getContext(), func.front().getArgumentTypes(), terminator->getOperandTypes()));
    return success();
  }

  LogicalResult setSymbol(func::FuncOp func, llvm::MapVector<StringRef, int64_t> &symbols, StringRef symbol,
                          int64_t size) {
    int64_t &held = symbols[symbol];
    if (held != dynamic && held != size)
      return func.emitError() << "expected one size for dim '" << symbol << "', got " << held << " and " << size;
    held = size;
    return success();
  }
};

} // namespace
} // namespace burin
