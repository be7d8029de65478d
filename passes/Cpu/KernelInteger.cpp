// Byte products as instructions. x86 without VNNI and WebAssembly widen to 16 bits first, in place: multiplying bytes
// on x86 (vpmaddubsw) saturates. Arm without sdot multiplies bytes to 16 bits exactly and adds pairs to 32.
#include "passes/Cpu/KernelInteger.h"

#include "lib/Support/Packing.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

static VectorType vectorOf(Emitter &e, int64_t lanes, unsigned bits) {
  return VectorType::get({lanes}, e.b.getIntegerType(bits));
}

Value ByteDots::intrinsic(StringRef name, Type type, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(e.b, e.loc, type, e.b.getStringAttr(name), operands).getResult(0);
}

Value ByteDots::bitcast(Value vector, int64_t lanes, unsigned bits) {
  return vector::BitCastOp::create(e.b, e.loc, vectorOf(e, lanes, bits), vector);
}

Value ByteDots::words(const Flat &flat, Value at, int64_t lanes) {
  return bitcast(flat.load(e, at, 4 * lanes), lanes, 32);
}

// Bytes 0 and 2 of each group, then bytes 1 and 3, extended to 16 bits.
ByteDots::Parts ByteDots::halves(Value bytes, int64_t lanes, bool isUnsigned) {
  Value pairs = bitcast(bytes, 2 * lanes, 16), eight = e.constant(pairs.getType(), 8);
  if (isUnsigned)
    return {arith::AndIOp::create(e.b, e.loc, pairs, e.constant(pairs.getType(), 255)),
            arith::ShRUIOp::create(e.b, e.loc, pairs, eight)};
  return {arith::ShRSIOp::create(e.b, e.loc, arith::ShLIOp::create(e.b, e.loc, pairs, eight), eight),
          arith::ShRSIOp::create(e.b, e.loc, pairs, eight)};
}

ByteDots::Parts ByteDots::input(const Flat &flat, Value at, int64_t valid, int64_t lanes) {
  Value word;
  if (valid == 4) {
    word = vector::ExtractOp::create(e.b, e.loc, words(flat, at, 1), 0);
  } else {
    for (int64_t i = 0; i < valid; ++i) {
      Value byte = arith::ExtUIOp::create(e.b, e.loc, e.b.getI32Type(), flat.load(e, e.add(at, i)));
      byte = i ? arith::ShLIOp::create(e.b, e.loc, byte, e.constant(byte.getType(), 8 * i)).getResult() : byte;
      word = word ? arith::OrIOp::create(e.b, e.loc, word, byte).getResult() : byte;
    }
  }
  return parts(bitcast(shifted(e.broadcast(word, lanes)), 4 * lanes, 8), true);
}

// Bytes with the sign that products take: by 128 either way, the highest bit.
Value ByteDots::shifted(Value words) {
  if (!dotShift(machine, inputUnsigned))
    return words;
  return arith::XOrIOp::create(e.b, e.loc, words, e.constant(words.getType(), double(int32_t(0x80808080))));
}

Value ByteDots::neighbours(const Flat &flat, Value at, int64_t count) { return shifted(words(flat, at, count)); }

ByteDots::Parts ByteDots::inputOf(Value neighbours, int64_t lane, int64_t lanes) {
  return parts(bitcast(e.broadcastLane(neighbours, lane, lanes), 4 * lanes, 8), true);
}

ByteDots::Parts ByteDots::weights(const Flat &flat, Value at, int64_t lanes) {
  return parts(flat.load(e, at, 4 * lanes), false);
}

ByteDots::Parts ByteDots::parts(Value bytes, bool isInput) {
  int64_t lanes = cast<VectorType>(bytes.getType()).getNumElements() / 4;
  return machine.byteProducts == ByteProducts::WordPairs ? halves(bytes, lanes, isInput && inputUnsigned)
                                                         : Parts{bytes};
}

std::pair<Value, Value> ByteDots::squares(Value first, Value second) {
  auto half = [&](ArrayRef<int64_t> lanes) -> Value {
    return vector::ShuffleOp::create(e.b, e.loc, first, second, lanes);
  };
  return {half({0, 1, 4, 5}), half({2, 3, 6, 7})};
}

Value ByteDots::rowsOf(Value first, Value second, int64_t at) {
  int64_t count = cast<VectorType>(first.getType()).getNumElements();
  Value words;
  if (at + 1 < count) {
    words =
        vector::ShuffleOp::create(e.b, e.loc, first, second, ArrayRef<int64_t>{at, at + 1, count + at, count + at + 1});
  } else {
    Value single = vector::ShuffleOp::create(e.b, e.loc, first, second, ArrayRef<int64_t>{at, count + at});
    words =
        vector::ShuffleOp::create(e.b, e.loc, single, e.constant(single.getType(), 0), ArrayRef<int64_t>{0, 2, 1, 2});
  }
  return bitcast(words, 16, 8);
}

std::pair<Value, Value> ByteDots::columnsOf(Value first, Value second) {
  Value a = bitcast(first, 4, 32), b = second ? bitcast(second, 4, 32) : e.constant(a.getType(), 0);
  auto half = [&](ArrayRef<int64_t> lanes) {
    return bitcast(vector::ShuffleOp::create(e.b, e.loc, a, b, lanes), 16, 8);
  };
  return {half({0, 4, 1, 5}), half({2, 6, 3, 7})};
}

Value ByteDots::multiplyAddSquare(Value rows, Value columns, Value acc) {
  return intrinsic(inputUnsigned ? "llvm.aarch64.neon.usmmla" : "llvm.aarch64.neon.smmla", acc.getType(),
                   {acc, rows, columns});
}

Value ByteDots::multiplyAdd(const Parts &input, const Parts &weights, Value acc) {
  Type type = acc.getType();
  int64_t lanes = cast<VectorType>(type).getNumElements();
  switch (machine.byteProducts) {
  case ByteProducts::WordPairs: {
    StringRef name = machine.isWebAssembly() ? "llvm.wasm.dot"
                     : lanes == 4            ? "llvm.x86.sse2.pmadd.wd"
                     : lanes == 8            ? "llvm.x86.avx2.pmadd.wd"
                                             : "llvm.x86.avx512.pmaddw.d.512";
    for (auto [x, w] : llvm::zip(input, weights))
      acc = e.addElements(acc, intrinsic(name, type, {x, w}));
    return acc;
  }
  case ByteProducts::Vnni:
    return intrinsic("llvm.x86.avx512.vpdpbusd." + std::to_string(32 * lanes), type, {acc, input[0], weights[0]});
  case ByteProducts::NeonDot:
    return intrinsic("llvm.aarch64.neon.sdot", type, {acc, weights[0], input[0]});
  case ByteProducts::NeonMixed:
    return inputUnsigned ? intrinsic("llvm.aarch64.neon.usdot", type, {acc, input[0], weights[0]})
                         : intrinsic("llvm.aarch64.neon.sdot", type, {acc, weights[0], input[0]});
  case ByteProducts::NeonPairs: {
    SmallVector<Value, 2> pairs;
    for (int64_t half : {0, 8}) {
      auto part = [&](Value bytes) -> Value {
        return vector::ShuffleOp::create(e.b, e.loc, bytes, bytes, llvm::to_vector(llvm::seq(half, half + 8)));
      };
      Value products = intrinsic("llvm.aarch64.neon.smull", vectorOf(e, 8, 16), {part(input[0]), part(weights[0])});
      pairs.push_back(intrinsic("llvm.aarch64.neon.saddlp", type, products));
    }
    return e.addElements(acc, intrinsic("llvm.aarch64.neon.addp", type, pairs));
  }
  case ByteProducts::None:
    break;
  }
  llvm_unreachable("weights are packed for machines with byte products only");
}

// --- parts of vectors ---

static Value constantMask(Emitter &e, int64_t valid, int64_t lanes) {
  return vector::ConstantMaskOp::create(e.b, e.loc, VectorType::get({lanes}, e.b.getI1Type()),
                                        ArrayRef<int64_t>{valid});
}

// Pieces [offset, offset + size) of powers of two that cover `valid`.
static SmallVector<std::pair<int64_t, int64_t>> piecesOf(int64_t valid) {
  SmallVector<std::pair<int64_t, int64_t>> pieces;
  for (int64_t offset = 0; offset < valid;) {
    int64_t size = llvm::bit_floor(uint64_t(valid - offset));
    pieces.push_back({offset, size});
    offset += size;
  }
  return pieces;
}

Value cpu::loadPart(Emitter &e, const Machine &machine, const Flat &flat, Value at, int64_t valid, int64_t lanes) {
  if (valid == lanes)
    return flat.load(e, at, lanes);
  auto type = VectorType::get({lanes}, flat.element);
  Value result = e.constant(type, 0);
  if (machine.maskedMemory && !llvm::isPowerOf2_64(valid))
    return vector::MaskedLoadOp::create(e.b, e.loc, type, flat.buffer, at, constantMask(e, valid, lanes), result);
  for (auto [offset, size] : piecesOf(valid)) {
    Value piece = flat.load(e, e.add(at, offset), size);
    result = vector::InsertStridedSliceOp::create(e.b, e.loc, piece, result, ArrayRef<int64_t>{offset},
                                                  ArrayRef<int64_t>{1});
  }
  return result;
}

void cpu::storePart(Emitter &e, const Machine &machine, const Flat &flat, Value vector, Value at, int64_t valid) {
  int64_t lanes = cast<VectorType>(vector.getType()).getNumElements();
  if (valid == lanes)
    return flat.store(e, vector, at);
  if (machine.maskedMemory && !llvm::isPowerOf2_64(valid)) {
    vector::MaskedStoreOp::create(e.b, e.loc, flat.buffer, at, constantMask(e, valid, lanes), vector);
    return;
  }
  for (auto [offset, size] : piecesOf(valid)) {
    Value piece =
        vector::ShuffleOp::create(e.b, e.loc, vector, vector, llvm::to_vector(llvm::seq(offset, offset + size)));
    flat.store(e, piece, e.add(at, offset));
  }
}
