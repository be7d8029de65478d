// See Fragments.h.
#include "passes/Cuda/Fragments.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace burin::cuda;

static Value pointerAt(Fragments &f, Value address, unsigned space) {
  return LLVM::IntToPtrOp::create(f.b, f.loc, LLVM::LLVMPointerType::get(f.b.getContext(), space),
                                  f.b.createOrFold<arith::IndexCastOp>(f.loc, f.b.getI64Type(), address));
}
constexpr unsigned globalSpace = 1, sharedSpace = 3;

Value Fragments::number(int64_t value) { return arith::ConstantIndexOp::create(b, loc, value); }

Value Fragments::below(Value x, int64_t limit) {
  return arith::CmpIOp::create(b, loc, arith::CmpIPredicate::ult, x, number(limit));
}

Value Fragments::addressOf(Value memref) {
  auto type = cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  (void)type.getStridesAndOffset(strides, offset);
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, memref);
  return offset ? add(base, number(offset * type.getElementTypeBitWidth() / 8)) : base;
}

void Fragments::copyAsync(Value to, Value from, int64_t size, Value valid) {
  // The L1 cache keeps what is shorter than a line's quarter; 16 bytes go past it.
  auto cache = size == 16 ? NVVM::LoadCacheModifierKind::CG : NVVM::LoadCacheModifierKind::CA;
  Value bytes;
  if (valid) {
    Value all = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(size));
    Value none = arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(0));
    bytes = arith::SelectOp::create(b, loc, valid, all, none);
  }
  NVVM::CpAsyncOp::create(b, loc, pointerAt(*this, to, sharedSpace), pointerAt(*this, from, globalSpace), size, cache,
                          bytes);
}

void Fragments::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(b, loc); }
void Fragments::waitCopies(int64_t pending) { NVVM::CpAsyncWaitGroupOp::create(b, loc, pending); }

SmallVector<Value, 4> Fragments::loadMatrices(Value row, bool transposed) {
  MLIRContext *ctx = b.getContext();
  Type word = b.getI32Type(), words = LLVM::LLVMStructType::getLiteral(ctx, SmallVector<Type>(4, word));
  auto layout = transposed ? NVVM::MMALayout::col : NVVM::MMALayout::row;
  Value all = NVVM::LdMatrixOp::create(b, loc, words, pointerAt(*this, row, sharedSpace), 4, layout,
                                       NVVM::LdStMatrixShapeAttr::get(ctx, 8, 8), NVVM::LdStMatrixEltType::B16);
  SmallVector<Value, 4> result;
  for (int64_t i = 0; i < 4; ++i)
    result.push_back(LLVM::ExtractValueOp::create(b, loc, all, i));
  return result;
}

Value Fragments::loadWord(Value address) {
  return LLVM::LoadOp::create(b, loc, b.getI32Type(), pointerAt(*this, address, sharedSpace), /*alignment=*/4);
}

void Fragments::storeWord(Value address, Value word) {
  LLVM::StoreOp::create(b, loc, word, pointerAt(*this, address, sharedSpace), /*alignment=*/4);
}

Value Fragments::loadGlobal(Value address, Type type) {
  auto vector = dyn_cast<VectorType>(type);
  unsigned bits = vector ? vector.getNumElements() * vector.getElementTypeBitWidth() : type.getIntOrFloatBitWidth();
  return LLVM::LoadOp::create(b, loc, type, pointerAt(*this, address, globalSpace), /*alignment=*/bits / 8);
}

SmallVector<Value, 4> Fragments::turned(ArrayRef<Value> words) {
  auto constant = [&](int32_t value) { return arith::ConstantOp::create(b, loc, b.getI32IntegerAttr(value)); };
  SmallVector<Value, 4> result;
  for (int64_t j = 0; j < 4; ++j) {
    Value word;
    for (int64_t i = 0; i < 4; ++i) {
      Value byte =
          arith::AndIOp::create(b, loc, arith::ShRUIOp::create(b, loc, words[i], constant(8 * j)), constant(255));
      byte = arith::ShLIOp::create(b, loc, byte, constant(8 * i));
      word = word ? arith::OrIOp::create(b, loc, word, byte).getResult() : byte;
    }
    result.push_back(word);
  }
  return result;
}

Value Fragments::rounded(Value number) {
  return NVVM::ConvertFloatToTF32Op::create(b, loc, b.getI32Type(), number, NVVM::FPRoundingMode::RNA);
}

Factors Fragments::prepared(ArrayRef<Value> words) {
  Factors result;
  for (Value word : words) {
    if (products != Products::Tf32 && products != Products::Split) {
      result.words.push_back(word);
      continue;
    }
    Value number = LLVM::BitcastOp::create(b, loc, b.getF32Type(), word), most = rounded(number);
    result.words.push_back(most);
    if (products == Products::Split)
      result.rest.push_back(rounded(
          arith::SubFOp::create(b, loc, number, LLVM::BitcastOp::create(b, loc, b.getF32Type(), most).getResult())));
  }
  return result;
}

// (a + da) (b + db) without da db, which is below f32's last bit; small terms first.
void Fragments::multiply(const Factors &a, const Factors &b2, MutableArrayRef<Value> c) {
  if (products == Products::Split) {
    multiplyWords(a.rest, b2.words, c);
    multiplyWords(a.words, b2.rest, c);
  }
  multiplyWords(a.words, b2.words, c);
}

void Fragments::multiplyWords(ArrayRef<Value> a, ArrayRef<Value> b2, MutableArrayRef<Value> c) {
  MLIRContext *ctx = b.getContext();
  bool isInteger = products == Products::Int8;
  Type sum = isInteger ? Type(b.getI32Type()) : b.getF32Type();
  Type result = LLVM::LLVMStructType::getLiteral(ctx, SmallVector<Type>(4, sum));
  auto type = [&](bool isUnsigned) {
    return isInteger                   ? isUnsigned ? NVVM::MMATypes::u8 : NVVM::MMATypes::s8
           : isWide()                  ? NVVM::MMATypes::tf32
           : products == Products::F16 ? NVVM::MMATypes::f16
                                       : NVVM::MMATypes::bf16;
  };
  // Without it PTX saturates.
  auto overflow = isInteger ? std::optional(NVVM::MMAIntOverflow::wrapped) : std::nullopt;
  auto operand = [&](Value word) -> Value {
    if (products != Products::F16)
      return word;
    return LLVM::BitcastOp::create(b, loc, VectorType::get({2}, b.getF16Type()), word);
  };
  SmallVector<Value> left = llvm::map_to_vector(a, operand), right = llvm::map_to_vector(b2, operand);
  Value all = NVVM::MmaOp::create(b, loc, result, left, right, SmallVector<Value>(c), ArrayRef<int64_t>{16, 8, stepK()},
                                  std::nullopt, overflow,
                                  std::array<NVVM::MMATypes, 2>{type(signs.lhsUnsigned), type(signs.rhsUnsigned)},
                                  std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row, NVVM::MMALayout::col});
  for (int64_t i = 0; i < 4; ++i)
    c[i] = LLVM::ExtractValueOp::create(b, loc, all, i);
}
