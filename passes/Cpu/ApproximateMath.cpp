// cpu-approximate-math: replaces what would become a library call by arithmetic; the formulas are in MathFunctions.cpp.
//
// Besides the math dialect that is: remainders of floats, conversions between f32 and bf16 (or f16, on machines without
// the instruction), and rounding on x86-64 before SSE 4.1. Must leave square roots, absolute values and the like: they
// are instructions.
#include "passes/Cpu/MathFunctions.h"
#include "passes/Cpu/Passes.h"

#include "burin/runtime.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"
#include "llvm/TargetParser/Triple.h"
#include <numeric>

namespace burin {
#define GEN_PASS_DEF_APPROXIMATEMATH
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

using Unary = Value (MathFunctions::*)(Value);

Unary unaryFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, Unary>(op)
      .Case<math::ExpOp>([](auto) { return &MathFunctions::exp; })
      .Case<math::Exp2Op>([](auto) { return &MathFunctions::exp2; })
      .Case<math::ExpM1Op>([](auto) { return &MathFunctions::expm1; })
      .Case<math::LogOp>([](auto) { return &MathFunctions::log; })
      .Case<math::Log2Op>([](auto) { return &MathFunctions::log2; })
      .Case<math::Log10Op>([](auto) { return &MathFunctions::log10; })
      .Case<math::Log1pOp>([](auto) { return &MathFunctions::log1p; })
      .Case<math::CbrtOp>([](auto) { return &MathFunctions::cbrt; })
      .Case<math::RsqrtOp>([](auto) { return &MathFunctions::rsqrt; })
      .Case<math::SinOp>([](auto) { return &MathFunctions::sin; })
      .Case<math::CosOp>([](auto) { return &MathFunctions::cos; })
      .Case<math::TanOp>([](auto) { return &MathFunctions::tan; })
      .Case<math::AsinOp>([](auto) { return &MathFunctions::asin; })
      .Case<math::AcosOp>([](auto) { return &MathFunctions::acos; })
      .Case<math::AtanOp>([](auto) { return &MathFunctions::atan; })
      .Case<math::SinhOp>([](auto) { return &MathFunctions::sinh; })
      .Case<math::CoshOp>([](auto) { return &MathFunctions::cosh; })
      .Case<math::TanhOp>([](auto) { return &MathFunctions::tanh; })
      .Case<math::AsinhOp>([](auto) { return &MathFunctions::asinh; })
      .Case<math::AcoshOp>([](auto) { return &MathFunctions::acosh; })
      .Case<math::AtanhOp>([](auto) { return &MathFunctions::atanh; })
      .Case<math::ErfOp>([](auto) { return &MathFunctions::erf; })
      .Case<math::ErfcOp>([](auto) { return &MathFunctions::erfc; })
      .Case<math::RoundOp>([](auto) { return &MathFunctions::round; })
      .Default([](Operation *) { return Unary(nullptr); });
}

// Single instructions wherever there is one for rounding.
Unary roundingFunction(Operation *op) {
  return llvm::TypeSwitch<Operation *, Unary>(op)
      .Case<math::FloorOp>([](auto) { return &MathFunctions::floor; })
      .Case<math::CeilOp>([](auto) { return &MathFunctions::ceil; })
      .Case<math::TruncOp>([](auto) { return &MathFunctions::trunc; })
      .Case<math::RoundEvenOp>([](auto) { return &MathFunctions::roundEven; })
      .Default([](Operation *) { return Unary(nullptr); });
}

Type withElement(Type shape, Type element) {
  auto vector = dyn_cast<VectorType>(shape);
  return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
}

Value constant(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  TypedAttr attr = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attr = SplatElementsAttr::get(vector, attr);
  return arith::ConstantOp::create(b, attr);
}

class Expander {
public:
  Expander(const Machine &machine, bool loose) {
    hasMaximum = machine.keepsNaN();
    hasDoubleToHalf = machine.convertsHalf() && !llvm::Triple(machine.triple).isX86();
    hasHalf = machine.convertsHalf();
    traits = {machine.fusesMultiplyAdd(), machine.rounds(), loose};
  }

  /// The value `op` is replaced by; null: it stays.
  Value expand(Operation *op) {
    if (op->getNumResults() != 1 || op->getNumOperands() == 0)
      return {};
    Type type = op->getResult(0).getType(), element = getElementTypeOrSelf(type);
    ImplicitLocOpBuilder b(op->getLoc(), op);
    if (isa<arith::ExtFOp, arith::TruncFOp>(op))
      return expandConversion(b, op);
    if (isa<arith::MaximumFOp, arith::MinimumFOp>(op) && !hasMaximum && element.getIntOrFloatBitWidth() >= 32)
      return expandMaximum(b, op->getOperand(0), op->getOperand(1), isa<arith::MaximumFOp>(op));
    if (auto reduction = dyn_cast<vector::ReductionOp>(op))
      return expandReduction(b, reduction);
    if (auto power = dyn_cast<math::IPowIOp>(op))
      return expandIntegerPower(b, power);
    auto floating = dyn_cast<FloatType>(element);
    Unary function = unaryFunction(op);
    if (!function && !traits.round)
      function = roundingFunction(op);
    bool isFunction =
        function || isa<math::PowFOp, math::FPowIOp, math::Atan2Op, math::FmaOp, arith::RemFOp, math::ClampFOp>(op);
    bool isArithmetic = isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp>(op) &&
                        (element.isBF16() || (element.isF16() && !hasHalf));
    if (!floating || !(isFunction || isArithmetic))
      return {};

    // Halves compute in f32.
    Type compute = floating.getWidth() < 32 ? withElement(type, b.getF32Type()) : type;
    SmallVector<Value> operands;
    for (Value operand : op->getOperands())
      operands.push_back(isa<FloatType>(getElementTypeOrSelf(operand.getType())) ? convert(b, operand, compute)
                                                                                 : operand);
    MathFunctions f(b, compute, traits);
    Value result;
    if (isa<math::ErfOp>(op) && getElementTypeOrSelf(compute).isF32() && isAddedToOne(op))
      result = f.erfOfSum(operands[0]);
    else if (isa<math::ExpOp>(op) && getElementTypeOrSelf(compute).isF32() && isAddedToOne(op) && onlyDivides(op))
      result = f.expOfDivisor(operands[0]);
    else if (function)
      result = (f.*function)(operands[0]);
    else if (isa<math::Atan2Op>(op))
      result = f.atan2(operands[0], operands[1]);
    else if (isa<arith::RemFOp>(op))
      result = f.remainder(operands[0], operands[1]);
    else if (isa<math::PowFOp, math::FPowIOp>(op))
      result = expandPower(b, f, op, operands, compute);
    else if (isa<math::FmaOp>(op))
      result = traits.fma && compute == type ? Value() : f.fma(operands[0], operands[1], operands[2]);
    else if (isa<math::ClampFOp>(op))
      result = arith::MinimumFOp::create(b, arith::MaximumFOp::create(b, operands[0], operands[1]), operands[2]);
    else
      result = b.create(OperationState(b.getLoc(), op->getName(), operands, compute, op->getAttrs()))->getResult(0);
    return result ? convert(b, result, type) : result;
  }

private:
  // The constant all elements of `value` are.
  static FloatAttr constantOf(Value value) {
    if (auto broadcast = value.getDefiningOp<vector::BroadcastOp>())
      value = broadcast.getSource();
    Attribute attr;
    if (!matchPattern(value, m_Constant(&attr)))
      return {};
    if (auto splat = dyn_cast<SplatElementsAttr>(attr))
      attr = splat.getSplatValue<Attribute>();
    return dyn_cast<FloatAttr>(attr);
  }

  // 1 + erf(x), as in Gelu: digits below those of 1 are lost anyway.
  static bool isAddedToOne(Operation *op) {
    auto isOne = [](Value v) { return constantOf(v) && constantOf(v).getValueAsDouble() == 1; };
    return !op->use_empty() && llvm::all_of(op->getUsers(), [&](Operation *user) {
      return isa<arith::AddFOp>(user) && (isOne(user->getOperand(0)) || isOne(user->getOperand(1)));
    });
  }

  // x / (1 + exp(y)), as in sigmoid and swish.
  static bool onlyDivides(Operation *op) {
    return llvm::all_of(op->getUsers(), [](Operation *sum) {
      return !sum->use_empty() && llvm::all_of(sum->getUses(), [](OpOperand &use) {
        return isa<arith::DivFOp>(use.getOwner()) && use.getOperandNumber() == 1;
      });
    });
  }

  // x86's own instruction gives its second operand where one is NaN: enough when the first is a constant, else NaN is
  // put back. Zeros of different sign are equal here; LLVM's form, which orders them, takes twice as many instructions.
  Value expandMaximum(ImplicitLocOpBuilder &b, Value first, Value second, bool maximum) {
    auto isNumber = [&](Value v) { return constantOf(v) && !constantOf(v).getValue().isNaN(); };
    if (isNumber(second))
      std::swap(first, second);
    auto predicate = maximum ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT;
    Value chosen = arith::SelectOp::create(b, arith::CmpFOp::create(b, predicate, first, second), first, second);
    if (isNumber(first))
      return chosen;
    Value nan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, first, first);
    return arith::SelectOp::create(b, nan, first, chosen);
  }

  // The largest lane, by halves.
  Value expandReduction(ImplicitLocOpBuilder &b, vector::ReductionOp op) {
    bool maximum = op.getKind() == vector::CombiningKind::MAXIMUMF;
    int64_t lanes = op.getSourceVectorType().getNumElements();
    if (hasMaximum || !(maximum || op.getKind() == vector::CombiningKind::MINIMUMF) || !llvm::isPowerOf2_64(lanes) ||
        lanes == 1)
      return {};
    Value value = op.getVector();
    for (; lanes > 2; lanes /= 2) {
      SmallVector<int64_t> low(lanes / 2), high(lanes / 2);
      std::iota(low.begin(), low.end(), 0);
      std::iota(high.begin(), high.end(), lanes / 2);
      value = expandMaximum(b, vector::ShuffleOp::create(b, value, value, low),
                            vector::ShuffleOp::create(b, value, value, high), maximum);
    }
    value = expandMaximum(b, vector::ExtractOp::create(b, value, 0), vector::ExtractOp::create(b, value, 1), maximum);
    return op.getAcc() ? expandMaximum(b, value, op.getAcc(), maximum) : value;
  }

  Value expandPower(ImplicitLocOpBuilder &b, MathFunctions &f, Operation *op, ArrayRef<Value> operands, Type compute) {
    FloatAttr exponent = constantOf(op->getOperand(1));
    if (exponent)
      if (Value value = f.powConstant(operands[0], exponent.getValueAsDouble()))
        return value;
    Value power = operands[1];
    if (isa<IntegerType>(getElementTypeOrSelf(power.getType())))
      power = arith::SIToFPOp::create(b, compute, power);
    return f.pow(operands[0], power);
  }

  // By repeated squaring over the bits of the exponent; a negative one leaves only powers of 1 and -1.
  Value expandIntegerPower(ImplicitLocOpBuilder &b, math::IPowIOp op) {
    Type type = op.getType();
    Value base = op.getLhs(), exponent = op.getRhs(), one = constant(b, type, 1), zero = constant(b, type, 0);
    Value square = base, rest = exponent, result = one;
    for (unsigned bit = 0; bit + 1 < getElementTypeOrSelf(type).getIntOrFloatBitWidth(); ++bit) {
      Value odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, rest, one), zero);
      result = arith::SelectOp::create(b, odd, arith::MulIOp::create(b, result, square), result);
      square = arith::MulIOp::create(b, square, square);
      rest = arith::ShRSIOp::create(b, rest, one);
    }
    Value odd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne, arith::AndIOp::create(b, exponent, one), zero);
    Value isOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, base, one);
    Value isMinusOne = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, base, constant(b, type, -1));
    Value inverse = arith::SelectOp::create(
        b, isOne, one, arith::SelectOp::create(b, isMinusOne, arith::SelectOp::create(b, odd, base, one), zero));
    Value negative = arith::CmpIOp::create(b, arith::CmpIPredicate::slt, exponent, zero);
    return arith::SelectOp::create(b, negative, inverse, result);
  }

  // --- Conversions of narrow floats
  // ------------------------------------------------------------------------------------------

  Value expandConversion(ImplicitLocOpBuilder &b, Operation *op) {
    Type from = getElementTypeOrSelf(op->getOperand(0).getType()),
         to = getElementTypeOrSelf(op->getResult(0).getType());
    auto isNarrow = [&](Type type) { return type.isBF16() || (type.isF16() && !hasHalf); };
    return isNarrow(from) || isNarrow(to) || (from.isF64() && to.isF16() && !hasDoubleToHalf)
               ? convert(b, op->getOperand(0), op->getResult(0).getType())
               : Value();
  }

  Value convert(ImplicitLocOpBuilder &b, Value value, Type to) {
    Type from = value.getType();
    if (from == to)
      return value;
    Type source = getElementTypeOrSelf(from), target = getElementTypeOrSelf(to),
         f32 = withElement(from, b.getF32Type());
    if (source.isBF16() || (source.isF16() && !hasHalf)) {
      Value widened = source.isBF16() ? bf16ToF32(b, value) : f16ToF32(b, value);
      return convert(b, widened, to);
    }
    if (source.isF64() && (target.isBF16() || (target.isF16() && !hasDoubleToHalf)))
      return convert(b, f64ToOdd(b, value), to);
    if (target.isBF16() || (target.isF16() && !hasHalf)) {
      if (from != f32)
        value = convert(b, value, f32);
      return target.isBF16() ? f32ToBf16(b, value, to) : f32ToF16(b, value, to);
    }
    if (source.getIntOrFloatBitWidth() < target.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(b, to, value);
    return arith::TruncFOp::create(b, to, value);
  }

  // f64 -> f32 whose last bit says whether anything was lost, so that rounding again rounds as if once.
  Value f64ToOdd(ImplicitLocOpBuilder &b, Value value) {
    Type i64 = withElement(value.getType(), b.getI64Type());
    Value bits = arith::BitcastOp::create(b, i64, value);
    Value lost = arith::AndIOp::create(b, bits, constant(b, i64, (int64_t(1) << 30) - 1));
    Value isExact = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, lost, constant(b, i64, 0));
    Value last = arith::SelectOp::create(b, isExact, constant(b, i64, 0), constant(b, i64, int64_t(1) << 29));
    Value kept = arith::OrIOp::create(b, arith::XOrIOp::create(b, bits, lost), last);
    return arith::TruncFOp::create(b, withElement(i64, b.getF32Type()),
                                   arith::BitcastOp::create(b, value.getType(), kept));
  }

  Value bf16ToF32(ImplicitLocOpBuilder &b, Value value) {
    Type i16 = withElement(value.getType(), b.getI16Type()), i32 = withElement(value.getType(), b.getI32Type());
    Value word = arith::ExtUIOp::create(b, i32, arith::BitcastOp::create(b, i16, value));
    return arith::BitcastOp::create(b, withElement(i32, b.getF32Type()),
                                    arith::ShLIOp::create(b, word, constant(b, i32, 16)));
  }

  // To nearest even: adds half of the last place that stays, less one when that place is even. NaN keeps its upper bits
  // and becomes quiet.
  Value f32ToBf16(ImplicitLocOpBuilder &b, Value value, Type to) {
    Type i32 = withElement(to, b.getI32Type()), i16 = withElement(to, b.getI16Type());
    Value word = arith::BitcastOp::create(b, i32, value), sixteen = constant(b, i32, 16);
    Value high = arith::ShRUIOp::create(b, word, sixteen);
    Value bias =
        arith::AddIOp::create(b, arith::AndIOp::create(b, high, constant(b, i32, 1)), constant(b, i32, 0x7fff));
    Value rounded = arith::ShRUIOp::create(b, arith::AddIOp::create(b, word, bias), sixteen);
    Value nan = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, value, value);
    Value chosen = arith::SelectOp::create(b, nan, arith::OrIOp::create(b, high, constant(b, i32, 0x40)), rounded);
    return arith::BitcastOp::create(b, to, arith::TruncIOp::create(b, i16, chosen));
  }

  // The bits moved into place, the exponent made f32's; infinity and NaN have theirs set. A denormal is counted in the
  // smallest one instead: as bits of f32 it would be a denormal too, which a machine may flush to 0.
  Value f16ToF32(ImplicitLocOpBuilder &b, Value value) {
    Type i16 = withElement(value.getType(), b.getI16Type()), i32 = withElement(value.getType(), b.getI32Type()),
         f32 = withElement(i32, b.getF32Type());
    Value word = arith::ExtUIOp::create(b, i32, arith::BitcastOp::create(b, i16, value));
    Value magnitude = arith::AndIOp::create(b, word, constant(b, i32, 0x7fff)),
          moved = arith::ShLIOp::create(b, magnitude, constant(b, i32, 13));
    Value smallest = arith::BitcastOp::create(b, f32, constant(b, i32, 0x33800000)); // 2^-24
    Value denormal = arith::BitcastOp::create(
        b, i32, arith::MulFOp::create(b, arith::SIToFPOp::create(b, f32, magnitude), smallest));
    Value normal = arith::AddIOp::create(b, moved, constant(b, i32, 112 << 23));
    Value isDenormal = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, magnitude, constant(b, i32, 0x400));
    Value special = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, magnitude, constant(b, i32, 0x7c00));
    Value number = arith::SelectOp::create(b, special, arith::OrIOp::create(b, moved, constant(b, i32, 0x7f800000)),
                                           arith::SelectOp::create(b, isDenormal, denormal, normal));
    Value sign =
        arith::ShLIOp::create(b, arith::AndIOp::create(b, word, constant(b, i32, 0x8000)), constant(b, i32, 16));
    return arith::BitcastOp::create(b, f32, arith::OrIOp::create(b, number, sign));
  }

  Value f32ToF16(ImplicitLocOpBuilder &b, Value value, Type to) {
    Type i32 = withElement(to, b.getI32Type()), i16 = withElement(to, b.getI16Type()),
         f32 = withElement(to, b.getF32Type());
    auto k = [&](int64_t v) { return constant(b, i32, v); };
    Value word = arith::BitcastOp::create(b, i32, value), magnitude = arith::AndIOp::create(b, word, k(0x7fffffff));
    // Adding 0.5 to what is below 2^-14 shifts it so that the machine rounds at the last place of an f16 denormal.
    Value half = arith::BitcastOp::create(b, f32, k(0x3f000000));
    Value shifted = arith::AddFOp::create(b, arith::BitcastOp::create(b, f32, magnitude), half);
    Value small = arith::SubIOp::create(b, arith::BitcastOp::create(b, i32, shifted), k(0x3f000000));
    Value odd = arith::AndIOp::create(b, arith::ShRUIOp::create(b, magnitude, k(13)), k(1));
    Value biased = arith::AddIOp::create(b, arith::AddIOp::create(b, magnitude, k(int32_t(0xc8000fff))), odd);
    Value normal = arith::ShRUIOp::create(b, biased, k(13));
    Value isSmall = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, magnitude, k(0x38800000));
    Value isLarge = arith::CmpIOp::create(b, arith::CmpIPredicate::uge, magnitude, k(0x47800000));
    Value isNan = arith::CmpIOp::create(b, arith::CmpIPredicate::ugt, magnitude, k(0x7f800000));
    Value special = arith::SelectOp::create(b, isNan, k(0x7e00), k(0x7c00));
    Value number = arith::SelectOp::create(b, isLarge, special, arith::SelectOp::create(b, isSmall, small, normal));
    Value sign = arith::ShRUIOp::create(b, arith::AndIOp::create(b, word, k(int32_t(0x80000000))), k(16));
    return arith::BitcastOp::create(b, to, arith::TruncIOp::create(b, i16, arith::OrIOp::create(b, number, sign)));
  }

  MathTraits traits;
  bool hasHalf, hasDoubleToHalf;
  bool hasMaximum; // that propagates NaN, in one instruction
};

struct ApproximateMath : burin::impl::ApproximateMathBase<ApproximateMath> {
  using ApproximateMathBase::ApproximateMathBase;

  void runOnOperation() override {
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      getOperation().emitError() << "unknown machine '" << machineName << "', expected one of: " << machineNames();
      return signalPassFailure();
    }
    Expander expander(*machine, loose);
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect, arith::ArithDialect>(op->getDialect()) || isa<vector::ReductionOp>(op))
        ops.push_back(op);
    });
    for (Operation *op : ops)
      if (Value value = expander.expand(op)) {
        op->replaceAllUsesWith(ValueRange(value));
        op->erase();
      }
  }
};

} // namespace
