// Narrowing with x86's packs, WebAssembly's narrow and Arm's narrowing moves, all of which saturate. Words of 16 bits
// hold every sum that does not saturate anyway, so the zero point is added there, for half of the vectors.
#include "passes/Cpu/KernelBytes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "passes/Cpu/ByteTables.h"
#include "passes/Cpu/KernelInteger.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

static constexpr int64_t together = 4;   // vectors of 32 bits that make one of bytes
static constexpr double farAway = 65536; // beyond what saturates, within what converts
static bool isArm(const Machine &m) { return m.triple.starts_with("aarch64"); }

static std::optional<double> constantFloat(Value v) {
  FloatAttr attr;
  if (!matchPattern(v, m_Constant(&attr)))
    return std::nullopt;
  return attr.getValueAsDouble();
}

// select(x `predicate` limit, x, limit): the limit and x.
static std::optional<double> matchLimit(Value &v, arith::CmpFPredicate predicate) {
  auto select = v.getDefiningOp<arith::SelectOp>();
  auto compare = select ? select.getCondition().getDefiningOp<arith::CmpFOp>() : nullptr;
  if (!compare || compare.getPredicate() != predicate || compare.getLhs() != select.getTrueValue() ||
      compare.getRhs() != select.getFalseValue())
    return std::nullopt;
  v = select.getTrueValue();
  return constantFloat(select.getFalseValue());
}

//   trunc(fptosi(min(max(roundeven(x) + zero, low), high))), with the limits of a signed or unsigned byte
std::optional<Saturation> cpu::matchSaturation(const Machine &machine, Value result) {
  bool isX86 = machine.triple.starts_with("x86_64");
  if ((!isX86 && !isArm(machine) && !machine.isWebAssembly()) || machine.vectorBits < 128)
    return std::nullopt;
  Saturation found;
  if (std::optional<ByteTable> lookup = matchLookup(result)) {
    found.table = lookup->values;
    result = lookup->input;
  }
  auto byte = result.getDefiningOp<arith::TruncIOp>();
  auto whole = byte && byte.getType().isInteger(8) ? byte.getIn().getDefiningOp<arith::FPToSIOp>() : nullptr;
  if (!whole || !whole.getIn().getType().isF32())
    return std::nullopt;
  Value v = whole.getIn();
  std::optional<double> high = matchLimit(v, arith::CmpFPredicate::OLT);
  std::optional<double> low = high ? matchLimit(v, arith::CmpFPredicate::OGT) : std::nullopt;
  if (!low || !((*low == 0 && *high == 255) || (*low == -128 && *high == 127)))
    return std::nullopt;
  found.isUnsigned = *low == 0;
  if (auto add = v.getDefiningOp<arith::AddFOp>()) {
    std::optional<double> zero = constantFloat(add.getRhs());
    if (!zero || *zero < -255 || *zero > 255)
      return std::nullopt;
    found.zero = int64_t(*zero);
    v = add.getLhs();
  }
  auto round = v.getDefiningOp<math::RoundEvenOp>();
  if (!round)
    return std::nullopt;
  found.input = round.getOperand();
  return found;
}

bool ByteStores::takes(const Machine &machine, int64_t lanes) {
  return lanes == 4 || (machine.vectorBits > 128 && (lanes == 8 || lanes == 16) && lanes <= int64_t(machine.lanes(32)));
}

Value ByteStores::intrinsic(StringRef name, Type type, ValueRange operands) {
  return LLVM::CallIntrinsicOp::create(e.b, e.loc, type, e.b.getStringAttr(name), operands).getResult(0);
}

// To nearest even, in one instruction but on WebAssembly. x86 makes the least integer of what is too large, the others
// 0 of NaN: both are the least number here, as everywhere.
Value ByteStores::toIntegers(Value floats) {
  auto type = cast<VectorType>(floats.getType());
  int64_t lanes = type.getNumElements();
  Type integers = type.clone(e.b.getI32Type());
  if (isArm(machine)) {
    floats = arith::MaxNumFOp::create(e.b, e.loc, floats, e.constant(type, -farAway));
    return intrinsic("llvm.aarch64.neon.fcvtns", integers, floats);
  }
  if (machine.isWebAssembly()) {
    Value least = e.constant(type, -farAway);
    Value above = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGT, floats, least);
    floats = arith::SelectOp::create(e.b, e.loc, above, floats, least);
    return intrinsic("llvm.fptosi.sat", integers, math::RoundEvenOp::create(e.b, e.loc, floats).getResult());
  }
  Value limit = e.constant(type, farAway);
  Value above = arith::CmpFOp::create(e.b, e.loc, arith::CmpFPredicate::OGT, floats, limit);
  floats = arith::SelectOp::create(e.b, e.loc, above, limit, floats);
  if (lanes != 16)
    return intrinsic(lanes == 4 ? "llvm.x86.sse2.cvtps2dq" : "llvm.x86.avx.cvt.ps2dq.256", integers, floats);
  auto number = [&](Type t, int64_t value) -> Value {
    return arith::ConstantOp::create(e.b, e.loc, e.b.getIntegerAttr(t, value));
  };
  return intrinsic("llvm.x86.avx512.mask.cvtps2dq.512", integers,
                   {floats, e.constant(integers, 0), number(e.b.getI16Type(), -1), number(e.b.getI32Type(), 4)});
}

// Half as wide elements of two vectors: in 128 bits `low`'s and `high`'s.
Value ByteStores::pack(Value low, Value high) {
  auto type = cast<VectorType>(low.getType());
  int64_t lanes = type.getNumElements();
  bool toBytes = type.getElementType().isInteger(16);
  auto packed = VectorType::get({2 * lanes}, e.b.getIntegerType(toBytes ? 8 : 16));
  if (isArm(machine)) {
    StringRef name = toBytes && saturation.isUnsigned ? "llvm.aarch64.neon.sqxtun" : "llvm.aarch64.neon.sqxtn";
    auto half = VectorType::get({lanes}, packed.getElementType());
    return vector::ShuffleOp::create(e.b, e.loc, intrinsic(name, half, low), intrinsic(name, half, high),
                                     llvm::to_vector(llvm::seq<int64_t>(0, 2 * lanes)));
  }
  if (machine.isWebAssembly())
    return intrinsic(toBytes && saturation.isUnsigned ? "llvm.wasm.narrow.unsigned" : "llvm.wasm.narrow.signed", packed,
                     {low, high});
  std::string name = toBytes ? (saturation.isUnsigned ? "packuswb" : "packsswb") : "packssdw";
  unsigned bits = lanes * type.getElementTypeBitWidth();
  return intrinsic(bits == 512   ? "llvm.x86.avx512." + name + ".512"
                   : bits == 256 ? "llvm.x86.avx2." + name
                                 : "llvm.x86.sse2." + name + ".128",
                   packed, {low, high});
}

Value ByteStores::addZero(Value words) {
  return saturation.zero ? intrinsic("llvm.sadd.sat", words.getType(),
                                     {words, e.constant(words.getType(), double(saturation.zero))})
                         : words;
}

Value ByteStores::narrow(ArrayRef<Value> floats) {
  SmallVector<Value, 4> integers;
  for (Value v : floats)
    integers.push_back(toIntegers(v));
  Value first = addZero(pack(integers[0], integers[floats.size() > 1]));
  return pack(first, floats.size() > 2 ? addZero(pack(integers[2], integers.back())) : first);
}

void ByteStores::add(Value floats, Value at, int64_t valid, bool follows) {
  if (!entries.empty() && (entries.size() == together || entries[0].floats.getType() != floats.getType()))
    flush();
  entries.push_back({floats, at, valid, follows && !entries.empty()});
}

void ByteStores::flush() {
  if (entries.empty())
    return;
  int64_t lanes = cast<VectorType>(entries[0].floats.getType()).getNumElements();
  SmallVector<Value, 4> floats;
  for (const Entry &entry : entries)
    floats.push_back(entry.floats);
  Value bytes = narrow(floats);
  if (saturation.table)
    bytes = emitLookup(e.b, e.loc, machine, saturation.table, bytes);
  for (size_t i = 0; i < entries.size();) {
    size_t end = i + 1;
    while (end < entries.size() && entries[end].follows && entries[end - 1].valid == lanes)
      ++end;
    // Where element `lane` of vector `v` lies: four in a row of each, in every 128 bits.
    SmallVector<int64_t> from;
    int64_t valid = 0;
    for (size_t v = i; v < end; ++v) {
      for (int64_t lane = 0; lane < lanes; ++lane)
        from.push_back(lane / 4 * 16 + int64_t(v) * 4 + lane % 4);
      valid += entries[v].valid;
    }
    // Stores take powers of two.
    size_t count = llvm::bit_ceil(from.size());
    while (from.size() < count)
      from.push_back(from.back());
    storePart(e, machine, out, vector::ShuffleOp::create(e.b, e.loc, bytes, bytes, from), entries[i].at, valid);
    i = end;
  }
  entries.clear();
}
