// See Specialize.h.
#include "lib/Pipeline/Specialize.h"

#include "burin/runtime.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Target/Description.h"
#include "lib/Target/Header.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/Support/BLAKE3.h"

using namespace mlir;
using namespace burin;

static constexpr size_t maxSpecializations = 16;

std::string Specialization::suffix() const {
  std::string text;
  for (const auto &[name, value] : dims)
    text += (text.empty() ? "" : "_") + toIdentifier(name) + std::to_string(value);
  return text;
}

FailureOr<std::vector<Specialization>> burin::makeSpecializations(ModuleOp module, const CompileOptions &options) {
  std::vector<Specialization> all;
  if (options.specialize.empty())
    return all;
  llvm::SetVector<StringRef> free;
  auto main = module.lookupSymbol<FunctionOpInterface>("main");
  for (Type type : main ? main.getArgumentTypes() : ArrayRef<Type>())
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      for (int64_t d = 0; d < tensor.getRank(); ++d)
        if (StringRef name = onnx::getDimName(tensor, d); tensor.isDynamicDim(d) && !name.empty())
          free.insert(name);
  std::vector<Specialization> combinations(1);
  for (const auto &[name, values] : options.specialize) {
    if (!free.contains(name)) {
      auto error = module.emitError() << "--specialize " << name << ": no input has a free dim of this name; ";
      if (free.empty())
        error << "none has a name";
      else
        error << "there are " << llvm::join(free, ", ");
      return error;
    }
    std::vector<Specialization> longer;
    for (const Specialization &shorter : combinations)
      for (int64_t value : values) {
        Specialization next;
        next.dims = shorter.dims;
        next.dims.push_back({name, value});
        longer.push_back(std::move(next));
      }
    combinations = std::move(longer);
    if (combinations.size() > maxSpecializations)
      return module.emitError() << "--specialize: expected at most " << maxSpecializations << " combinations, got "
                                << combinations.size();
  }
  for (Specialization &s : combinations)
    s.module = module.clone();
  return combinations;
}

// What tells two constants apart: type and bytes.
static std::string keyOf(ElementsAttr data) {
  ArrayRef<char> bytes;
  if (auto dense = dyn_cast<DenseElementsAttr>(data))
    bytes = dense.getRawData();
  else if (auto resource = dyn_cast<DenseResourceElementsAttr>(data))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      bytes = blob->getData();
  std::string text;
  llvm::raw_string_ostream out(text);
  out << data.getType() << data.isSplat() << bytes.size() << ":";
  llvm::BLAKE3 hash;
  hash.update(ArrayRef<uint8_t>(reinterpret_cast<const uint8_t *>(bytes.data()), bytes.size()));
  auto digest = hash.final();
  out.write(reinterpret_cast<const char *>(digest.data()), digest.size());
  return text;
}

static uint64_t bytesOf(ElementsAttr data) { return data.getNumElements() * bytesOfElement(data.getElementType()); }

LogicalResult burin::shareWeights(ModuleOp module, MutableArrayRef<Specialization> specializations) {
  OpBuilder builder(module.getContext());
  SmallVector<Attribute> table;
  llvm::StringMap<int64_t> places;
  int64_t end = 0;
  auto entriesOf = [](ModuleOp of) {
    auto list = of->getAttrOfType<ArrayAttr>(weightsAttr);
    return list ? list.getAsRange<DictionaryAttr>() : ArrayAttr::get(of.getContext(), {}).getAsRange<DictionaryAttr>();
  };
  auto place = [&](DictionaryAttr entry) {
    auto data = entry.getAs<ElementsAttr>("data");
    auto [found, isNew] = places.try_emplace(keyOf(data), end);
    if (isNew) {
      NamedAttrList moved(entry);
      moved.set("offset", builder.getI64IntegerAttr(end));
      table.push_back(moved.getDictionary(module.getContext()));
      end = llvm::alignTo(end + bytesOf(data), BURIN_ALIGNMENT);
    }
    return found->second;
  };
  SmallVector<std::pair<ModuleOp, llvm::DenseMap<int64_t, int64_t>>> moves;
  auto collect = [&](ModuleOp of) {
    moves.emplace_back(of, llvm::DenseMap<int64_t, int64_t>());
    for (DictionaryAttr entry : entriesOf(of))
      moves.back().second[entry.getAs<IntegerAttr>("offset").getInt()] = place(entry);
  };
  collect(module);
  for (Specialization &s : specializations)
    collect(*s.module);
  for (auto &[of, places] : moves) {
    auto main = of.lookupSymbol<func::FuncOp>("main");
    BlockArgument weights = main.getArgument(main.getNumArguments() - 1);
    for (Operation *user : weights.getUsers()) {
      auto view = dyn_cast<memref::ViewOp>(user);
      APInt offset;
      if (!view || !matchPattern(view.getByteShift(), m_ConstantInt(&offset)) || !places.count(offset.getSExtValue()))
        return user->emitError("internal error: expected a view of one tensor of the weights");
      builder.setInsertionPoint(view);
      Value moved = arith::ConstantIndexOp::create(builder, view.getLoc(), places[offset.getSExtValue()]);
      view.getByteShiftMutable().assign(moved);
    }
    weights.setType(MemRefType::get({end}, builder.getI8Type()));
    main.setType(builder.getFunctionType(main.getBody().front().getArgumentTypes(), {}));
    of->setAttr(weightsAttr, builder.getArrayAttr(table));
  }
  return success();
}

namespace {
// Builds the functions that ask the dims first.
class Dispatcher {
public:
  Dispatcher(ModuleOp code, ModuleOp specialized, const Specialization &specialization, StringRef prefix)
      : code(code), specialized(specialized), specialization(specialization), prefix(prefix),
        builder(code.getContext()), loc(code.getLoc()), pointer(LLVM::LLVMPointerType::get(code.getContext())),
        i32(builder.getI32Type()), i64(builder.getI64Type()) {}

  LogicalResult run() {
    signature = specialized->getAttrOfType<DictionaryAttr>(signatureAttr);
    auto own = code->getAttrOfType<DictionaryAttr>(signatureAttr);
    if (!signature || !own || !code.lookupSymbol("entry") || !code.lookupSymbol("plan"))
      return code.emitError("internal error: expected code with free dims");
    inputs = own.getAs<ArrayAttr>("inputs");
    makeEntry();
    makePlan();
    return success();
  }

private:
  // Renames `name` to make way for a function in front of it, of the same type.
  LLVM::LLVMFuncOp wrap(StringRef name, LLVM::LLVMFuncOp &inner) {
    inner = code.lookupSymbol<LLVM::LLVMFuncOp>(name);
    inner.setSymName((name + "_but_" + specialization.suffix()).str());
    inner.setLinkage(LLVM::Linkage::Internal);
    builder.setInsertionPointToEnd(code.getBody());
    auto outer = LLVM::LLVMFuncOp::create(builder, loc, name, inner.getFunctionType());
    return outer;
  }

  LLVM::LLVMFuncOp declare(StringRef name, LLVM::LLVMFunctionType type) {
    builder.setInsertionPointToEnd(code.getBody());
    auto function = LLVM::LLVMFuncOp::create(builder, loc, (prefix + "_" + name).str(), type);
    function.setVisibility_(LLVM::Visibility::Hidden);
    return function;
  }

  // Whether each input dim that bears one of the names has its value.
  Value matches(Value tensors) {
    auto dimsType = LLVM::LLVMArrayType::get(i64, BURIN_MAX_RANK);
    auto tensor = LLVM::LLVMStructType::getLiteral(code.getContext(), {pointer, i32, i32, dimsType, dimsType, i64});
    Value all;
    for (auto [i, attribute] : llvm::enumerate(inputs)) {
      auto names = cast<DictionaryAttr>(attribute).getAs<ArrayAttr>("dim_names");
      for (auto [d, name] : llvm::enumerate(names ? names.getValue() : ArrayRef<Attribute>()))
        for (const auto &[wanted, value] : specialization.dims) {
          if (cast<StringAttr>(name).getValue() != wanted)
            continue;
          Value place = LLVM::GEPOp::create(builder, loc, pointer, tensor, tensors,
                                            ArrayRef<LLVM::GEPArg>{int32_t(i), 3, int32_t(d)});
          Value size = LLVM::LoadOp::create(builder, loc, i64, place);
          Value known = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(value));
          Value same = LLVM::ICmpOp::create(builder, loc, LLVM::ICmpPredicate::eq, size, known);
          all = all ? Value(LLVM::AndOp::create(builder, loc, all, same)) : same;
        }
    }
    return all;
  }

  // if (matches) return `then`(); return inner(arguments);
  void branch(LLVM::LLVMFuncOp outer, LLVM::LLVMFuncOp inner, llvm::function_ref<Value()> then) {
    Block *start = outer.addEntryBlock(builder), *special = builder.createBlock(&outer.getBody()),
          *other = builder.createBlock(&outer.getBody());
    builder.setInsertionPointToEnd(start);
    LLVM::CondBrOp::create(builder, loc, matches(start->getArgument(0)), special, other);
    builder.setInsertionPointToEnd(special);
    LLVM::ReturnOp::create(builder, loc, then());
    builder.setInsertionPointToEnd(other);
    Value result = LLVM::CallOp::create(builder, loc, inner, outer.getArguments()).getResult();
    LLVM::ReturnOp::create(builder, loc, result);
  }

  void makeEntry() {
    LLVM::LLVMFuncOp inner, outer = wrap("entry", inner), special = declare("entry", inner.getFunctionType());
    branch(outer, inner, [&] { return LLVM::CallOp::create(builder, loc, special, outer.getArguments()).getResult(); });
  }

  void makePlan() {
    LLVM::LLVMFuncOp inner, outer = wrap("plan", inner), special;
    if (specialized.lookupSymbol("plan"))
      special = declare("plan", inner.getFunctionType());
    branch(outer, inner, [&]() -> Value {
      if (special)
        return LLVM::CallOp::create(builder, loc, special, outer.getArguments()).getResult();
      // Nothing is left to compute.
      auto store = [&](int64_t number, Value place) {
        LLVM::StoreOp::create(builder, loc, LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(number)),
                              place);
      };
      for (auto [o, output] : llvm::enumerate(signature.getAs<ArrayAttr>("outputs")))
        for (auto [d, size] :
             llvm::enumerate(cast<DictionaryAttr>(output).getAs<DenseI64ArrayAttr>("dims").asArrayRef()))
          store(size, LLVM::GEPOp::create(builder, loc, pointer, i64, outer.getArgument(1),
                                          LLVM::GEPArg(int32_t(o * BURIN_MAX_RANK + d))));
      store(specialized->getAttrOfType<IntegerAttr>(arenaAttr).getInt(), outer.getArgument(2));
      return LLVM::ConstantOp::create(builder, loc, builder.getI32IntegerAttr(BURIN_OK));
    });
  }

  ModuleOp code, specialized;
  const Specialization &specialization;
  StringRef prefix;
  OpBuilder builder;
  Location loc;
  Type pointer, i32, i64;
  DictionaryAttr signature;
  ArrayAttr inputs;
};
} // namespace

LogicalResult burin::addDispatch(ModuleOp code, ModuleOp specialized, const Specialization &specialization,
                                 StringRef prefix) {
  return Dispatcher(code, specialized, specialization, prefix).run();
}
