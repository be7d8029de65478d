// NAME_selftest as LLVM IR: a call of NAME_run on constants, then a loop an output. In IR rather than in the runtime,
// so that a library for a microcontroller stays whole without one.
#include "lib/Target/SelfTest.h"
#include "burin/runtime.h"
#include "llvm/IR/Constants.h"
#include "llvm/IR/GlobalVariable.h"
#include "llvm/IR/IRBuilder.h"
#include "llvm/IR/Intrinsics.h"
#include "llvm/IR/Module.h"
#include "llvm/Support/MathExtras.h"
#include <cmath>

using llvm::Value;

double burin::selfTestTolerance(int32_t dtype) {
  switch (dtype) {
  case BURIN_FLOAT:
  case BURIN_DOUBLE:
  case BURIN_COMPLEX64:
  case BURIN_COMPLEX128:
    return 1e-3;
  case BURIN_FLOAT16:
  case BURIN_BFLOAT16:
    return 2e-2;
  default:
    return 0;
  }
}

static uint64_t countOf(const burin::TensorDescription &tensor) {
  uint64_t count = 1;
  for (int64_t dim : tensor.dims)
    count *= dim;
  return count;
}

llvm::SmallVector<uint64_t> burin::selfTestOffsets(const ModelDescription &model) {
  llvm::SmallVector<uint64_t> offsets{0};
  for (const TensorDescription &t : model.outputs)
    offsets.push_back(llvm::alignTo(offsets.back() + countOf(t) * burin_dtype_size(t.dtype), BURIN_ALIGNMENT));
  return offsets;
}

namespace {
class Builder {
public:
  Builder(llvm::Module &module, const burin::ModelDescription &model)
      : module(module), model(model), context(module.getContext()), b(context),
        pointer(llvm::PointerType::get(context, 0)) {}

  void define(llvm::Function *run) {
    auto *type = llvm::FunctionType::get(b.getInt32Ty(), {pointer, pointer}, false);
    auto *function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, model.selfTestSymbol(), module);
    function->setDoesNotThrow();
    b.SetInsertPoint(llvm::BasicBlock::Create(context, "", function));
    Value *arena = function->getArg(0), *memory = function->getArg(1);
    llvm::SmallVector<Value *> arguments, outputs;
    for (const std::string &bytes : model.selfTest->inputs)
      arguments.push_back(constant(bytes));
    auto offsets = burin::selfTestOffsets(model);
    for (unsigned i = 0; i < model.outputs.size(); ++i)
      outputs.push_back(b.CreateConstInBoundsGEP1_64(b.getInt8Ty(), memory, offsets[i]));
    arguments.append(outputs.begin(), outputs.end());
    arguments.push_back(arena);
    Value *status = b.CreateCall(run, arguments);
    returnUnless(b.CreateICmpEQ(status, b.getInt32(BURIN_OK)), status);
    for (auto [i, output] : llvm::enumerate(model.outputs)) {
      Value *agrees = b.CreateCall(comparison(output.dtype, model.selfTest->outputs[i]),
                                   {outputs[i], constant(model.selfTest->outputs[i]), b.getInt32(elements(output))});
      returnUnless(agrees, b.getInt32(burin::selfTestDiffers + i));
    }
    b.CreateRet(b.getInt32(0));
  }

private:
  static bool isComplex(int32_t dtype) { return dtype == BURIN_COMPLEX64 || dtype == BURIN_COMPLEX128; }
  // A complex number is two.
  static uint64_t elements(const burin::TensorDescription &t) { return countOf(t) * (isComplex(t.dtype) ? 2 : 1); }

  void returnUnless(Value *condition, Value *result) {
    llvm::Function *function = b.GetInsertBlock()->getParent();
    auto *good = llvm::BasicBlock::Create(context, "", function),
         *bad = llvm::BasicBlock::Create(context, "", function);
    b.CreateCondBr(condition, good, bad);
    b.SetInsertPoint(bad);
    b.CreateRet(result);
    b.SetInsertPoint(good);
  }

  Value *constant(llvm::StringRef bytes) {
    llvm::Constant *data = llvm::ConstantDataArray::getRaw(bytes, bytes.size(), b.getInt8Ty());
    auto *global = new llvm::GlobalVariable(module, data->getType(), true, llvm::GlobalValue::PrivateLinkage, data,
                                            model.name + ".selftest");
    global->setAlignment(llvm::Align(BURIN_ALIGNMENT));
    return global;
  }

  llvm::Type *loadedType(int32_t dtype) {
    switch (dtype) {
    case BURIN_FLOAT:
    case BURIN_COMPLEX64:
      return b.getFloatTy();
    case BURIN_DOUBLE:
    case BURIN_COMPLEX128:
      return b.getDoubleTy();
    default:
      return b.getIntNTy(8 * burin_dtype_size(dtype));
    }
  }

  // As a number to compare: halves from their bits, for machines whose code generator has no half.
  Value *number(Value *loaded, int32_t dtype) {
    if (dtype == BURIN_BFLOAT16)
      return b.CreateBitCast(b.CreateShl(b.CreateZExt(loaded, b.getInt32Ty()), 16), b.getFloatTy());
    if (dtype != BURIN_FLOAT16)
      return loaded;
    // Exponent and mantissa moved to a float's places are 2^-112 of the value, subnormals too; 31 means not finite.
    Value *bits = b.CreateZExt(loaded, b.getInt32Ty());
    Value *rest = b.CreateAnd(bits, 0x7fff), *sign = b.CreateShl(b.CreateAnd(bits, 0x8000), 16);
    Value *scaled = b.CreateFMul(b.CreateBitCast(b.CreateShl(rest, 13), b.getFloatTy()),
                                 llvm::ConstantFP::get(b.getFloatTy(), std::ldexp(1.0, 112)));
    Value *finite = b.CreateBitCast(scaled, b.getInt32Ty());
    Value *other = b.CreateOr(b.CreateShl(rest, 13), 0x7f800000);
    Value *value = b.CreateSelect(b.CreateICmpUGE(rest, b.getInt32(0x7c00)), other, finite);
    return b.CreateBitCast(b.CreateOr(value, sign), b.getFloatTy());
  }

  // The largest magnitude among the finite elements.
  static double largest(int32_t dtype, llvm::StringRef bytes) {
    double result = 0;
    auto see = [&](double value) {
      if (std::isfinite(value))
        result = std::max(result, std::abs(value));
    };
    auto all = [&](auto read, size_t step) {
      for (size_t at = 0; at + step <= bytes.size(); at += step)
        see(read(bytes.data() + at));
    };
    switch (dtype) {
    case BURIN_FLOAT:
    case BURIN_COMPLEX64:
      all(
          [](const char *p) {
            float v;
            std::memcpy(&v, p, 4);
            return double(v);
          },
          4);
      break;
    case BURIN_DOUBLE:
    case BURIN_COMPLEX128:
      all(
          [](const char *p) {
            double v;
            std::memcpy(&v, p, 8);
            return v;
          },
          8);
      break;
    case BURIN_FLOAT16:
    case BURIN_BFLOAT16: {
      const auto &semantics = dtype == BURIN_FLOAT16 ? llvm::APFloat::IEEEhalf() : llvm::APFloat::BFloat();
      all(
          [&](const char *p) {
            uint16_t v;
            std::memcpy(&v, p, 2);
            return llvm::APFloat(semantics, llvm::APInt(16, v)).convertToFloat();
          },
          2);
      break;
    }
    default:
      break;
    }
    return result;
  }

  // bool (const T *have, const T *want, int count)
  llvm::Function *comparison(int32_t dtype, llvm::StringRef expected) {
    auto *type = llvm::FunctionType::get(b.getInt1Ty(), {pointer, pointer, b.getInt32Ty()}, false);
    auto *function = llvm::Function::Create(type, llvm::GlobalValue::PrivateLinkage, model.name + ".agrees", module);
    function->setDoesNotThrow();
    function->addFnAttr(llvm::Attribute::NoInline);
    llvm::IRBuilderBase::InsertPointGuard guard(b);
    auto *entry = llvm::BasicBlock::Create(context, "", function),
         *head = llvm::BasicBlock::Create(context, "", function),
         *body = llvm::BasicBlock::Create(context, "", function),
         *yes = llvm::BasicBlock::Create(context, "", function), *no = llvm::BasicBlock::Create(context, "", function);
    b.SetInsertPoint(entry);
    b.CreateBr(head);
    b.SetInsertPoint(head);
    auto *index = b.CreatePHI(b.getInt32Ty(), 2);
    index->addIncoming(b.getInt32(0), entry);
    b.CreateCondBr(b.CreateICmpULT(index, function->getArg(2)), body, yes);
    b.SetInsertPoint(body);
    llvm::Type *element = loadedType(dtype);
    auto load = [&](unsigned argument) -> Value * {
      return b.CreateLoad(element, b.CreateInBoundsGEP(element, function->getArg(argument), index));
    };
    Value *loadedHave = load(0), *loadedWant = load(1);
    Value *have = number(loadedHave, dtype), *want = number(loadedWant, dtype), *good;
    if (have->getType()->isFloatingPointTy()) {
      double bound = burin::selfTestTolerance(dtype) * largest(dtype, expected);
      Value *distance = b.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, b.CreateFSub(have, want));
      Value *near = b.CreateFCmpOLE(distance, llvm::ConstantFP::get(have->getType(), bound));
      // Infinities have no distance, and NaNs are not equal.
      good = b.CreateOr(near, b.CreateOr(b.CreateFCmpOEQ(have, want),
                                         b.CreateAnd(b.CreateFCmpUNO(have, have), b.CreateFCmpUNO(want, want))));
    } else if (dtype == BURIN_INT8 || dtype == BURIN_UINT8) {
      bool isSigned = dtype == BURIN_INT8;
      Value *distance =
          b.CreateSub(b.CreateIntCast(have, b.getInt32Ty(), isSigned), b.CreateIntCast(want, b.getInt32Ty(), isSigned));
      good = b.CreateICmpULE(b.CreateAdd(distance, b.getInt32(1)), b.getInt32(2)); // -1, 0 or 1
    } else {
      good = b.CreateICmpEQ(have, want);
    }
    auto *next = llvm::BasicBlock::Create(context, "", function);
    b.CreateCondBr(good, next, no);
    b.SetInsertPoint(next);
    index->addIncoming(b.CreateAdd(index, b.getInt32(1)), next);
    b.CreateBr(head);
    b.SetInsertPoint(yes);
    b.CreateRet(b.getTrue());
    b.SetInsertPoint(no);
    b.CreateRet(b.getFalse());
    return function;
  }

  llvm::Module &module;
  const burin::ModelDescription &model;
  llvm::LLVMContext &context;
  llvm::IRBuilder<> b;
  llvm::PointerType *pointer;
};
} // namespace

void burin::defineSelfTest(llvm::Module &module, const ModelDescription &model, llvm::Function *run) {
  Builder(module, model).define(run);
}
