// vpu-expand-math: functions that the shaves lack, from those that they have. What is between is f32, whatever the
// operation's own type: f16 would lose what cancels (log(1 + x) near zero), and the one rounding comes last.
#include "dialects/Vpu/Vpu.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Remarks.h"

namespace burin::vpu {
#define GEN_PASS_DEF_EXPANDMATH
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

/// f32 expressions at one place.
struct Writer {
  OpBuilder &builder;
  Location loc;

  Value number(double value) { return arith::ConstantOp::create(builder, loc, builder.getF32FloatAttr(value)); }
  Value add(Value a, Value b) { return arith::AddFOp::create(builder, loc, a, b); }
  Value sub(Value a, Value b) { return arith::SubFOp::create(builder, loc, a, b); }
  Value mul(Value a, Value b) { return arith::MulFOp::create(builder, loc, a, b); }
  Value div(Value a, Value b) { return arith::DivFOp::create(builder, loc, a, b); }
  Value sqrt(Value a) { return math::SqrtOp::create(builder, loc, a); }
  Value exp(Value a) { return math::ExpOp::create(builder, loc, a); }
  Value log(Value a) { return math::LogOp::create(builder, loc, a); }
  Value abs(Value a) { return math::AbsFOp::create(builder, loc, a); }
  Value negative(Value a) { return arith::NegFOp::create(builder, loc, a); }
  Value isBelow(Value a, Value b) { return arith::CmpFOp::create(builder, loc, arith::CmpFPredicate::OLT, a, b); }
  Value select(Value condition, Value a, Value b) { return arith::SelectOp::create(builder, loc, condition, a, b); }

  Value withSign(Value size, Value sign) { return select(isBelow(sign, number(0)), negative(size), size); }

  // Abramowitz and Stegun 4.4.47 up to one, its complement beyond: 1e-5.
  Value atan(Value x) {
    Value size = abs(x), isLarge = isBelow(number(1), size);
    Value t = select(isLarge, div(number(1), size), size), s = mul(t, t), p = number(0.0208351);
    for (double c : {-0.0851330, 0.1801410, -0.3302995, 0.9998660})
      p = add(mul(p, s), number(c));
    Value angle = mul(p, t);
    return withSign(select(isLarge, sub(number(1.57079633), angle), angle), x);
  }
  Value asin(Value x) { return atan(div(x, sqrt(sub(number(1), mul(x, x))))); }
};

/// The operation on f32 operands; null where the shaves have it, or where nothing is known of it.
Value expanded(Operation *op, Writer w, ValueRange in) {
  Value x = in.front();
  return llvm::TypeSwitch<Operation *, Value>(op)
      .Case([&](math::Log1pOp) { return w.log(w.add(w.number(1), x)); })
      .Case([&](math::ExpM1Op) { return w.sub(w.exp(x), w.number(1)); })
      .Case([&](math::TanOp) {
        return w.div(math::SinOp::create(w.builder, w.loc, x), math::CosOp::create(w.builder, w.loc, x));
      })
      .Case([&](math::SinhOp) { return w.mul(w.number(0.5), w.sub(w.exp(x), w.exp(w.negative(x)))); })
      .Case([&](math::CoshOp) { return w.mul(w.number(0.5), w.add(w.exp(x), w.exp(w.negative(x)))); })
      .Case(
          [&](math::AsinhOp) { return w.withSign(w.log(w.add(w.abs(x), w.sqrt(w.add(w.mul(x, x), w.number(1))))), x); })
      .Case([&](math::AcoshOp) { return w.log(w.add(x, w.sqrt(w.sub(w.mul(x, x), w.number(1))))); })
      .Case([&](math::AtanhOp) {
        return w.mul(w.number(0.5), w.log(w.div(w.add(w.number(1), x), w.sub(w.number(1), x))));
      })
      .Case([&](math::AtanOp) { return w.atan(x); })
      .Case([&](math::AsinOp) { return w.asin(x); })
      .Case([&](math::AcosOp) { return w.sub(w.number(1.57079633), w.asin(x)); })
      .Case([&](math::RsqrtOp) { return w.div(w.number(1), w.sqrt(x)); })
      .Case([&](math::Exp2Op) { return w.exp(w.mul(x, w.number(0.693147181))); })
      .Case([&](math::Log2Op) { return w.mul(w.log(x), w.number(1.44269504)); })
      .Case([&](math::TruncOp) {
        return w.select(w.isBelow(x, w.number(0)), math::CeilOp::create(w.builder, w.loc, x),
                        math::FloorOp::create(w.builder, w.loc, x));
      })
      .Case([&](math::CopySignOp) { return w.withSign(w.abs(x), in[1]); })
      .Case([&](math::FmaOp) { return w.add(w.mul(x, in[1]), in[2]); })
      .Default([](Operation *) { return Value(); });
}

struct ExpandMathPass : vpu::impl::ExpandMathBase<ExpandMathPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](ShaveOp shave) {
      shave.getBody().walk([&](Operation *op) {
        if (isa<math::MathDialect>(op->getDialect()) && isa<Float16Type, Float32Type>(op->getResult(0).getType()))
          ops.push_back(op);
      });
    });
    unsigned count = 0;
    for (Operation *op : ops) {
      OpBuilder builder(op);
      Type type = op->getResult(0).getType(), wide = builder.getF32Type();
      SmallVector<Value> in(op->getOperands());
      SmallVector<Operation *> widened;
      for (Value &operand : in)
        if (operand.getType().isF16()) {
          operand = arith::ExtFOp::create(builder, op->getLoc(), wide, operand);
          widened.push_back(operand.getDefiningOp());
        }
      Value result = expanded(op, {builder, op->getLoc()}, in);
      if (!result) {
        for (Operation *unused : widened)
          unused->erase();
        continue;
      }
      if (type != wide)
        result = arith::TruncFOp::create(builder, op->getLoc(), type, result);
      op->replaceAllUsesWith(ValueRange{result});
      op->erase();
      ++count;
    }
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("Expanded").category("vpu-expand-math"))
        << remark::metric("count", count);
  }
};
} // namespace
