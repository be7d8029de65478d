// cuda-lower-math: what cpu-approximate-math leaves (roots, rounding, signs) as LLVM's intrinsics, for which PTX has
// instructions. The conversion to NVVM would make calls of a library of them.
#include "passes/Cuda/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

namespace burin::cuda {
#define GEN_PASS_DEF_LOWERMATH
#include "passes/Cuda/Passes.h.inc"
} // namespace burin::cuda

using namespace mlir;

namespace {
struct LowerMathPass : burin::cuda::impl::LowerMathBase<LowerMathPass> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation().walk([&](Operation *op) {
      if (isa_and_nonnull<math::MathDialect>(op->getDialect()))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      OpBuilder b(op);
      Value result = lower(b, op);
      if (!result)
        continue;
      op->getResult(0).replaceAllUsesWith(result);
      op->erase();
    }
  }

  // "llvm.floor" of f32 is "llvm.floor.f32": the translation adds the type.
  static Value intrinsic(OpBuilder &b, Operation *op, StringRef name) {
    return LLVM::CallIntrinsicOp::create(b, op->getLoc(), op->getResult(0).getType(), b.getStringAttr(name),
                                         op->getOperands())
        .getResult(0);
  }

  static Value lower(OpBuilder &b, Operation *op) {
    Location loc = op->getLoc();
    return llvm::TypeSwitch<Operation *, Value>(op)
        .Case([&](math::AbsFOp) { return intrinsic(b, op, "llvm.fabs"); })
        .Case([&](math::CeilOp) { return intrinsic(b, op, "llvm.ceil"); })
        .Case([&](math::CopySignOp) { return intrinsic(b, op, "llvm.copysign"); })
        .Case([&](math::FloorOp) { return intrinsic(b, op, "llvm.floor"); })
        .Case([&](math::FmaOp) { return intrinsic(b, op, "llvm.fma"); })
        .Case([&](math::RoundOp) { return intrinsic(b, op, "llvm.round"); })
        .Case([&](math::RoundEvenOp) { return intrinsic(b, op, "llvm.roundeven"); })
        .Case([&](math::SqrtOp) { return intrinsic(b, op, "llvm.sqrt"); })
        .Case([&](math::TruncOp) { return intrinsic(b, op, "llvm.trunc"); })
        .Case([&](math::RsqrtOp) {
          Value one = arith::ConstantOp::create(b, loc, b.getFloatAttr(op->getResult(0).getType(), 1));
          return arith::DivFOp::create(b, loc, one, intrinsic(b, op, "llvm.sqrt")).getResult();
        })
        .Case([&](math::IsNaNOp o) {
          return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::UNO, o.getOperand(), o.getOperand()).getResult();
        })
        .Case([&](math::IsInfOp o) {
          auto type = cast<FloatType>(o.getOperand().getType());
          Value size =
              LLVM::CallIntrinsicOp::create(b, loc, type, b.getStringAttr("llvm.fabs"), o.getOperand()).getResult(0);
          Value infinity =
              arith::ConstantOp::create(b, loc, b.getFloatAttr(type, APFloat::getInf(type.getFloatSemantics())));
          return arith::CmpFOp::create(b, loc, arith::CmpFPredicate::OEQ, size, infinity).getResult();
        })
        .Default([](Operation *) { return Value(); });
  }
};
} // namespace
