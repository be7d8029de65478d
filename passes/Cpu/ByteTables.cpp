// The idea: what an elementwise chain makes of a byte is found by folding it 256 times. Vectors look up sixteen entries
// at a time in registers: each step takes the entries of one value of the upper four bits, by the lower four, and gives
// zero for all bytes that lie elsewhere.
#include "passes/Cpu/ByteTables.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

static constexpr int64_t entries = 256;

static bool isByte(Value v) { return v.getType().isInteger(8); }

// Elementwise, without effects, on scalars.
static bool isPlain(Operation *op) {
  return op && isa<arith::ArithDialect, math::MathDialect>(op->getDialect()) && op->getNumRegions() == 0 &&
         op->getNumResults() == 1 && op->getResult(0).getType().isIntOrFloat();
}

namespace {
// The operations of a block between a byte and the bytes that it is made of.
struct Slice {
  Block *block;
  llvm::SetVector<Value> leaves;
  llvm::SetVector<Operation *> operations;

  bool holds(Operation *op) const { return isPlain(op) && op->getBlock() == block && !isa<arith::ConstantOp>(op); }

  // Takes in what makes `v`, up to the next bytes; false where something else than bytes and constants goes in.
  bool grow(Value v) {
    Operation *op = v.getDefiningOp();
    if (!holds(op))
      return false;
    if (!operations.insert(op))
      return true;
    for (Value operand : op->getOperands()) {
      if (matchPattern(operand, m_Constant()))
        continue;
      if (isByte(operand))
        leaves.insert(operand);
      else if (!grow(operand))
        return false;
    }
    return true;
  }
};
} // namespace

static double weightOf(Operation *op) {
  if (isa<arith::DivFOp>(op))
    return 4;
  if (isa<math::MathDialect>(op->getDialect()) && !isa<math::RoundEvenOp, math::AbsFOp>(op))
    return 16;
  return 1;
}

// `operations` on each byte, in order.
static DenseElementsAttr evaluate(Value byte, Value input, ArrayRef<Operation *> operations) {
  SmallVector<APInt> values;
  for (int64_t x = 0; x < entries; ++x) {
    llvm::DenseMap<Value, Attribute> known;
    known[input] = IntegerAttr::get(input.getType(), APInt(8, x));
    for (Operation *op : operations) {
      SmallVector<Attribute> operands;
      for (Value operand : op->getOperands()) {
        Attribute attr = known.lookup(operand);
        if (!attr && !matchPattern(operand, m_Constant(&attr)))
          return nullptr;
        operands.push_back(attr);
      }
      SmallVector<OpFoldResult> results;
      if (failed(op->fold(operands, results)) || results.size() != 1)
        return nullptr;
      Attribute result = dyn_cast<Attribute>(results[0]);
      if (auto value = dyn_cast<Value>(results[0]); value && !(result = known.lookup(value)))
        matchPattern(value, m_Constant(&result));
      if (!result)
        return nullptr;
      known[op->getResult(0)] = result;
    }
    auto result = dyn_cast_or_null<IntegerAttr>(known.lookup(byte));
    if (!result)
      return nullptr;
    values.push_back(result.getValue());
  }
  return DenseElementsAttr::get(VectorType::get({entries}, byte.getType()), values);
}

std::optional<ByteTable> cpu::tabulate(Value byte, double &weight) {
  Slice slice{byte.getParentBlock(), {}, {}}, best = slice;
  if (!isByte(byte) || !slice.grow(byte))
    return std::nullopt;
  // As far back as one byte decides all: y * sigmoid(y) of bytes y and sigmoid(y) is a function of y.
  for (;;) {
    if (slice.leaves.size() == 1)
      best = slice;
    Value latest;
    for (Value leaf : slice.leaves)
      if (Operation *op = leaf.getDefiningOp();
          slice.holds(op) && (!latest || latest.getDefiningOp()->isBeforeInBlock(op)))
        latest = leaf;
    if (!latest)
      break;
    slice.leaves.remove(latest);
    if (!slice.grow(latest))
      break;
  }
  if (best.leaves.size() != 1)
    return std::nullopt;
  SmallVector<Operation *> operations(best.operations.begin(), best.operations.end());
  llvm::sort(operations, [](Operation *a, Operation *b) { return a->isBeforeInBlock(b); });
  weight = 0;
  for (Operation *op : operations)
    weight += weightOf(op);
  ByteTable table{best.leaves[0], nullptr};
  table.values = evaluate(byte, table.input, operations);
  if (!table.values)
    return std::nullopt;
  return table;
}

Value cpu::createLookup(OpBuilder &b, Location loc, const ByteTable &table) {
  Value values = arith::ConstantOp::create(b, loc, table.values);
  Value at = arith::IndexCastUIOp::create(b, loc, b.getIndexType(), table.input);
  return vector::ExtractOp::create(b, loc, values, OpFoldResult(at));
}

std::optional<ByteTable> cpu::matchLookup(Value value) {
  auto extract = value.getDefiningOp<vector::ExtractOp>();
  DenseElementsAttr values;
  if (!extract || extract.getDynamicPosition().size() != 1 || !matchPattern(extract.getSource(), m_Constant(&values)))
    return std::nullopt;
  auto type = cast<VectorType>(values.getType());
  auto at = extract.getDynamicPosition()[0].getDefiningOp<arith::IndexCastUIOp>();
  if (type.getShape() != ArrayRef<int64_t>{entries} || !at || !getElementTypeOrSelf(at.getIn().getType()).isInteger(8))
    return std::nullopt;
  return ByteTable{at.getIn(), values};
}

// --- vectors ---

namespace {
enum class Shuffles { None, X86, Arm, Wasm };

struct Lookup {
  OpBuilder &b;
  Location loc;
  const Machine &machine;
  SmallVector<uint8_t> values;

  Value constant(ArrayRef<uint8_t> bytes, int64_t lanes) { // repeated
    SmallVector<uint8_t> all;
    while (int64_t(all.size()) < lanes)
      all.append(bytes.begin(), bytes.end());
    auto type = VectorType::get({lanes}, b.getI8Type());
    return arith::ConstantOp::create(
        b, loc, DenseElementsAttr::getFromRawBuffer(type, ArrayRef(reinterpret_cast<const char *>(all.data()), lanes)));
  }
  Value intrinsic(StringRef name, Type type, ValueRange operands) {
    return LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr(name), operands).getResult(0);
  }
  Value join(Value a, Value c) { return a ? arith::XOrIOp::create(b, loc, a, c).getResult() : c; }

  // pshufb gives zero where the index is negative and else takes its lower four bits: all steps of a half up to a
  // byte's own take part, so each holds by what its entries differ from those of the step before.
  Value x86(Value bytes, int64_t lanes) {
    StringRef name = lanes == 64   ? "llvm.x86.avx512.pshuf.b.512"
                     : lanes == 32 ? "llvm.x86.avx2.pshuf.b"
                                   : "llvm.x86.ssse3.pshuf.b.128";
    Value result;
    for (int64_t half : {0, 128}) {
      Value at = half ? arith::XOrIOp::create(b, loc, bytes, constant({128}, lanes)).getResult() : bytes;
      for (int64_t n = 0; n < 8; ++n) {
        SmallVector<uint8_t> step;
        for (int64_t i = half + 16 * n; i < half + 16 * (n + 1); ++i)
          step.push_back(values[i] ^ (n ? values[i - 16] : 0));
        if (n)
          at = intrinsic("llvm.ssub.sat", bytes.getType(), {at, constant({16}, lanes)});
        result = join(result, intrinsic(name, bytes.getType(), {constant(step, lanes), at}));
      }
    }
    return result;
  }
  // What lies beyond the entries that an instruction takes gives zero.
  Value others(Value bytes, int64_t lanes, int64_t entriesAtOnce) {
    Value result;
    for (int64_t first = 0; first < entries; first += entriesAtOnce) {
      Value at = first ? arith::SubIOp::create(b, loc, bytes, constant({uint8_t(first)}, lanes)).getResult() : bytes;
      SmallVector<Value> operands;
      for (int64_t i = first; i < first + entriesAtOnce; i += 16)
        operands.push_back(constant(ArrayRef(values).slice(i, 16), 16));
      operands.push_back(at);
      result = join(result, intrinsic(entriesAtOnce == 64 ? "llvm.aarch64.neon.tbl4" : "llvm.wasm.swizzle",
                                      bytes.getType(), operands));
    }
    return result;
  }
};
} // namespace

static Shuffles shufflesOf(const Machine &m) {
  if (m.triple.starts_with("x86_64") && m.vectorBits >= 256)
    return Shuffles::X86;
  if (m.triple.starts_with("aarch64"))
    return Shuffles::Arm;
  return m.isWebAssembly() && m.vectorBits == 128 ? Shuffles::Wasm : Shuffles::None;
}

double cpu::lookupWeight(const Machine &machine) {
  switch (shufflesOf(machine)) {
  case Shuffles::X86:
  case Shuffles::Wasm:
    return 48;
  case Shuffles::Arm:
    return 11;
  case Shuffles::None:
    return 0;
  }
  llvm_unreachable("covered switch");
}

Value cpu::emitLookup(OpBuilder &b, Location loc, const Machine &machine, DenseElementsAttr table, Value bytes) {
  auto type = dyn_cast<VectorType>(bytes.getType());
  if (!type)
    return createLookup(b, loc, {bytes, table});
  int64_t lanes = type.getNumElements(), whole = machine.vectorBits / 8;
  Shuffles shuffles = shufflesOf(machine);
  auto values = llvm::map_to_vector(table.getValues<APInt>(), [](const APInt &v) { return uint8_t(v.getZExtValue()); });
  Lookup lookup{b, loc, machine, SmallVector<uint8_t>(values)};
  if (shuffles == Shuffles::None) {
    Value result = bytes, all = arith::ConstantOp::create(b, loc, table);
    for (int64_t lane = 0; lane < lanes; ++lane) {
      Value at = arith::IndexCastUIOp::create(b, loc, b.getIndexType(), vector::ExtractOp::create(b, loc, bytes, lane));
      Value entry = vector::ExtractOp::create(b, loc, all, OpFoldResult(at));
      result = vector::InsertOp::create(b, loc, entry, result, lane);
    }
    return result;
  }
  // In whole registers, a narrower one for few lanes on x86.
  if (shuffles == Shuffles::X86)
    whole = std::min<int64_t>(whole, std::max<int64_t>(16, llvm::PowerOf2Ceil(lanes)));
  Value result;
  SmallVector<Value> parts;
  for (int64_t from = 0; from < lanes; from += whole) {
    SmallVector<int64_t> mask;
    for (int64_t i = from; i < from + whole; ++i)
      mask.push_back(std::min(i, lanes - 1));
    Value part = lanes == whole ? bytes : vector::ShuffleOp::create(b, loc, bytes, bytes, mask).getResult();
    parts.push_back(shuffles == Shuffles::X86 ? lookup.x86(part, whole)
                                              : lookup.others(part, whole, shuffles == Shuffles::Arm ? 64 : 16));
  }
  while (parts.size() > 1) {
    SmallVector<Value> joined;
    for (size_t i = 0; i < parts.size(); i += 2) {
      int64_t n = cast<VectorType>(parts[i].getType()).getNumElements();
      Value other = i + 1 < parts.size() ? parts[i + 1] : parts[i];
      joined.push_back(
          vector::ShuffleOp::create(b, loc, parts[i], other, llvm::to_vector(llvm::seq<int64_t>(0, 2 * n))));
    }
    parts = std::move(joined);
  }
  result = parts[0];
  if (cast<VectorType>(result.getType()).getNumElements() != lanes)
    result = vector::ShuffleOp::create(b, loc, result, result, llvm::to_vector(llvm::seq<int64_t>(0, lanes)));
  return result;
}

// --- scalars ---

void cpu::placeTables(ModuleOp module) {
  llvm::DenseMap<Attribute, LLVM::GlobalOp> placed;
  SmallVector<LLVM::ExtractElementOp> lookups;
  module.walk([&](LLVM::ExtractElementOp op) {
    auto type = dyn_cast<VectorType>(op.getVector().getType());
    if (type && type.getNumElements() == entries && op.getVector().getDefiningOp<LLVM::ConstantOp>())
      lookups.push_back(op);
  });
  for (LLVM::ExtractElementOp op : lookups) {
    auto values = cast<DenseElementsAttr>(op.getVector().getDefiningOp<LLVM::ConstantOp>().getValue());
    OpBuilder b(op);
    Type byte = b.getI8Type();
    LLVM::GlobalOp &global = placed[values];
    if (!global) {
      OpBuilder::InsertionGuard guard(b);
      b.setInsertionPointToStart(module.getBody());
      global = LLVM::GlobalOp::create(b, op.getLoc(), LLVM::LLVMArrayType::get(byte, entries), /*isConstant=*/true,
                                      LLVM::Linkage::Private, "byte_table_" + std::to_string(placed.size()),
                                      values.reshape(RankedTensorType::get({entries}, byte)), /*alignment=*/64);
    }
    Value base = LLVM::AddressOfOp::create(b, op.getLoc(), global);
    Value at =
        LLVM::GEPOp::create(b, op.getLoc(), base.getType(), byte, base, ArrayRef<LLVM::GEPArg>{op.getPosition()});
    op.replaceAllUsesWith(LLVM::LoadOp::create(b, op.getLoc(), byte, at).getResult());
    op.erase();
  }
}
