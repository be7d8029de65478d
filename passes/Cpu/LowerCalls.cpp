// cpu-lower-calls: foreign.call becomes the call of a C function on burin_tensors (include/burin/runtime.h) that lie on
// the stack. Attributes are constants of the program, strings among them one burin_string behind another, so that no
// pointer needs relocation. Must not look into what a function does.
#include "dialects/Foreign/Foreign.h"
#include "passes/Cpu/Passes.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "llvm/ADT/SetVector.h"
#include <cstddef>
#include <cstring>

namespace burin {
#define GEN_PASS_DEF_LOWERCALLS
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

/// An attribute as the function sees it.
struct Encoded {
  int32_t dtype = BURIN_UNDEFINED;
  uint64_t count = 0;
  std::string bytes;

  template <typename T> void add(T value) {
    bytes.append(reinterpret_cast<const char *>(&value), sizeof(T));
    ++count;
  }
  void addString(StringRef text) {
    add<uint64_t>(text.size());
    bytes.append(text.begin(), text.end());
    bytes.append(llvm::alignTo(text.size() + 1, 8) - text.size(), '\0');
  }
};

bool encode(Attribute attr, Encoded &encoded) {
  if (auto integer = dyn_cast<IntegerAttr>(attr)) {
    encoded.dtype = BURIN_INT64;
    encoded.add<int64_t>(integer.getType().isInteger(1) ? integer.getValue().getZExtValue() : integer.getInt());
  } else if (auto number = dyn_cast<FloatAttr>(attr)) {
    encoded.dtype = BURIN_FLOAT;
    encoded.add<float>(number.getValueAsDouble());
  } else if (auto text = dyn_cast<StringAttr>(attr)) {
    encoded.dtype = BURIN_STRING;
    encoded.addString(text.getValue());
  } else if (auto ints = dyn_cast<DenseI64ArrayAttr>(attr)) {
    encoded.dtype = BURIN_INT64;
    for (int64_t value : ints.asArrayRef())
      encoded.add(value);
  } else if (auto floats = dyn_cast<DenseF32ArrayAttr>(attr)) {
    encoded.dtype = BURIN_FLOAT;
    for (float value : floats.asArrayRef())
      encoded.add(value);
  } else if (auto doubles = dyn_cast<DenseF64ArrayAttr>(attr)) {
    encoded.dtype = BURIN_DOUBLE;
    for (double value : doubles.asArrayRef())
      encoded.add(value);
  } else if (auto array = dyn_cast<ArrayAttr>(attr)) {
    encoded.dtype = BURIN_STRING;
    for (Attribute entry : array) {
      auto element = dyn_cast<StringAttr>(entry);
      if (!element)
        return false;
      encoded.addString(element.getValue());
    }
  } else if (auto strings = dyn_cast<DenseStringElementsAttr>(attr)) {
    encoded.dtype = BURIN_STRING;
    for (StringRef value : strings.getValues<StringRef>())
      encoded.addString(value);
  } else if (auto elements = dyn_cast<DenseElementsAttr>(attr)) {
    Type type = elements.getElementType();
    if (isa<IntegerType>(type)) {
      encoded.dtype = BURIN_INT64;
      for (const APInt &value : elements.getValues<APInt>())
        encoded.add<int64_t>(type.isSignedInteger() || type.isSignlessInteger() ? value.getSExtValue()
                                                                                : value.getZExtValue());
    } else if (isa<FloatType>(type)) {
      encoded.dtype = BURIN_DOUBLE;
      for (APFloat value : elements.getValues<APFloat>()) {
        bool lost;
        value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
        encoded.add(value.convertToDouble());
      }
    } else {
      return false;
    }
  } else {
    return false;
  }
  return true;
}

struct LowerCalls : burin::impl::LowerCallsBase<LowerCalls> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SmallVector<foreign::CallOp> calls;
    module.walk([&](foreign::CallOp call) { calls.push_back(call); });
    if (calls.empty())
      return;
    MLIRContext *ctx = &getContext();
    Type pointer = LLVM::LLVMPointerType::get(ctx), i32 = IntegerType::get(ctx, 32), i64 = IntegerType::get(ctx, 64);
    Type dims = LLVM::LLVMArrayType::get(i64, BURIN_MAX_RANK);
    static_assert(offsetof(burin_tensor, dims) == 16 && offsetof(burin_tensor, capacity) == 144 &&
                      sizeof(burin_tensor) == 152 && offsetof(burin_attribute, dtype) == 8 &&
                      offsetof(burin_attribute, count) == 16 && sizeof(burin_attribute) == 32 &&
                      offsetof(burin_call, num_attributes) == 8 && sizeof(burin_call) == 24,
                  "the struct types below must follow runtime.h");
    tensorType = LLVM::LLVMStructType::getLiteral(ctx, {pointer, i32, i32, dims, dims, i64});
    attributeType = LLVM::LLVMStructType::getLiteral(ctx, {pointer, i32, i32, i64, pointer});
    callType = LLVM::LLVMStructType::getLiteral(ctx, {pointer, i32, i32, pointer});
    functionType = LLVM::LLVMFunctionType::get(i32, {pointer, pointer, i32, pointer, i32});
    llvm::SetVector<StringRef> callees;
    for (foreign::CallOp call : calls) {
      callees.insert(call.getCallee());
      if (failed(lower(call)))
        return signalPassFailure();
    }
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    for (StringRef callee : callees)
      if (!module.lookupSymbol(callee))
        LLVM::LLVMFuncOp::create(builder, module.getLoc(), callee, functionType);
    module->setAttr(foreign::calleesAttr, builder.getStrArrayAttr(callees.getArrayRef()));
  }

  Type tensorType, attributeType, callType;
  LLVM::LLVMFunctionType functionType;
  llvm::StringMap<std::string> globals; // bytes -> symbol
  unsigned count = 0;

  struct Builder {
    OpBuilder &b;
    Location loc;
    Type pointer() { return LLVM::LLVMPointerType::get(b.getContext()); }
    Value number(int64_t value) { return LLVM::ConstantOp::create(b, loc, b.getI64IntegerAttr(value)); }
    Value small(int32_t value) { return LLVM::ConstantOp::create(b, loc, b.getI32IntegerAttr(value)); }
    Value null() { return LLVM::ZeroOp::create(b, loc, pointer()); }
    Value at(Value base, Type type, ArrayRef<LLVM::GEPArg> path) {
      return LLVM::GEPOp::create(b, loc, pointer(), type, base, path);
    }
    void store(Value value, Value base, Type type, ArrayRef<LLVM::GEPArg> path) {
      LLVM::StoreOp::create(b, loc, value, at(base, type, path));
    }
    Value wide(Value index) { return arith::IndexCastOp::create(b, loc, b.getI64Type(), index); }
    /// Where the data of a memref without gaps begins.
    Value data(Value memref) {
      if (isa<BlockArgument>(memref))
        return UnrealizedConversionCastOp::create(b, loc, pointer(), memref).getResult(0);
      Value index = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memref);
      return LLVM::IntToPtrOp::create(b, loc, pointer(), wide(index));
    }
    Value dim(Value memref, int64_t d) {
      auto type = cast<MemRefType>(memref.getType());
      return type.isDynamicDim(d) ? wide(memref::DimOp::create(b, loc, memref, d)) : number(type.getDimSize(d));
    }
  };

  /// An address of constant bytes, 8 to a word.
  Value global(Builder &s, StringRef bytes) {
    auto [entry, isNew] = globals.try_emplace(bytes, "");
    if (isNew) {
      entry->second = "call_data_" + std::to_string(globals.size() - 1);
      ModuleOp module = getOperation();
      OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
      auto type = LLVM::LLVMArrayType::get(top.getI8Type(), bytes.size());
      LLVM::GlobalOp::create(top, s.loc, type, /*isConstant=*/true, LLVM::Linkage::Internal, entry->second,
                             top.getStringAttr(bytes), /*alignment=*/8);
    }
    return LLVM::AddressOfOp::create(s.b, s.loc, s.pointer(), entry->second);
  }

  Value stack(foreign::CallOp call, Type type, int64_t size) {
    // At the function's start: an alloca in a loop would grow the stack.
    OpBuilder start = OpBuilder::atBlockBegin(&call->getParentOfType<func::FuncOp>().getBody().front());
    Value elements =
        LLVM::ConstantOp::create(start, call.getLoc(), start.getI64IntegerAttr(std::max<int64_t>(size, 1)));
    return LLVM::AllocaOp::create(start, call.getLoc(), LLVM::LLVMPointerType::get(&getContext()), type, elements);
  }

  LogicalResult lower(foreign::CallOp call) {
    OpBuilder b(call);
    Builder s{b, call.getLoc()};
    unsigned numInputs = call.getInputs().size(), numOutputs = call.getNumOutputs();
    bool asksDims = bool(call.getOutputRanks());
    ArrayRef<int32_t> dtypes = call.getDtypes();

    DictionaryAttr attributes = call.getNodeAttributes();
    Value list = stack(call, attributeType, attributes.size());
    for (auto [i, attribute] : llvm::enumerate(attributes)) {
      Encoded encoded;
      if (!encode(attribute.getValue(), encoded))
        return call.emitError() << "expected attributes that are numbers, strings or constant tensors for '"
                                << call.getCallee() << "', got " << attribute.getName() << " = "
                                << attribute.getValue();
      int32_t at = i;
      std::string name = attribute.getName().str() + std::string(1, '\0');
      s.store(global(s, name), list, attributeType, {at, 0});
      s.store(s.small(encoded.dtype), list, attributeType, {at, 1});
      s.store(s.small(0), list, attributeType, {at, 2});
      s.store(s.number(encoded.count), list, attributeType, {at, 3});
      s.store(encoded.bytes.empty() ? s.null() : global(s, encoded.bytes), list, attributeType, {at, 4});
    }
    Value record = stack(call, callType, 1);
    s.store(list, record, callType, {0, 0});
    s.store(s.small(attributes.size()), record, callType, {0, 1});
    s.store(s.small(0), record, callType, {0, 2});
    s.store(LLVM::IntToPtrOp::create(b, s.loc, s.pointer(), call.getCaller()), record, callType, {0, 3});

    Value tensors = stack(call, tensorType, numInputs + numOutputs);
    Type dimsType = LLVM::LLVMArrayType::get(b.getI64Type(), BURIN_MAX_RANK);
    for (unsigned i = 0; i < numInputs + numOutputs; ++i) {
      bool isOutput = i >= numInputs;
      Value memref = !isOutput  ? Value(call.getInputs()[i])
                     : asksDims ? Value()
                                : Value(call.getInits()[i - numInputs]);
      auto type = memref ? cast<MemRefType>(memref.getType()) : MemRefType();
      bool absent = !isOutput && dtypes[i] == BURIN_UNDEFINED;
      int32_t rank = absent ? 0 : memref ? type.getRank() : (*call.getOutputRanks())[i - numInputs], at = i;
      if (rank > BURIN_MAX_RANK)
        return call.emitError() << "expected at most " << BURIN_MAX_RANK << " dims for '" << call.getCallee()
                                << "', got " << rank;
      Value zeros = LLVM::ZeroOp::create(b, s.loc, dimsType);
      s.store(memref && !absent ? s.data(memref) : s.null(), tensors, tensorType, {at, 0});
      s.store(s.small(dtypes[i]), tensors, tensorType, {at, 1});
      s.store(s.small(rank), tensors, tensorType, {at, 2});
      s.store(zeros, tensors, tensorType, {at, 3});
      s.store(zeros, tensors, tensorType, {at, 4});
      Value bytes = s.number(memref && !absent ? std::max(1u, type.getElementTypeBitWidth() / 8) : 0);
      for (int32_t d = 0; d < rank; ++d) {
        Value dim = memref ? s.dim(memref, d) : s.number(-1);
        s.store(dim, tensors, tensorType, {at, 3, d});
        if (memref)
          bytes = LLVM::MulOp::create(b, s.loc, bytes, dim);
      }
      s.store(bytes, tensors, tensorType, {at, 5});
    }
    Value outputs = s.at(tensors, tensorType, {int32_t(numInputs)});
    Value status = LLVM::CallOp::create(b, s.loc, functionType, call.getCallee(),
                                        ValueRange{record, tensors, s.small(numInputs), outputs, s.small(numOutputs)})
                       .getResult();
    LLVM::StoreOp::create(b, s.loc, status, s.data(call.getInits().back()));
    if (asksDims) {
      Value target = s.data(call.getInits().front());
      int32_t next = 0;
      for (auto [i, rank] : llvm::enumerate(*call.getOutputRanks()))
        for (int32_t d = 0; d < rank; ++d) {
          Value dim = LLVM::LoadOp::create(b, s.loc, b.getI64Type(), s.at(outputs, tensorType, {int32_t(i), 3, d}));
          s.store(dim, target, b.getI64Type(), {next++});
        }
    }
    call.erase();
    return success();
  }
};

} // namespace
