// vpu-round-programs: what a shave program computes between its loads and its stores is rounded once. Shaves have f32
// beside f16, with half as many lanes, so a program that rounds once at most computes in f16.
#include "dialects/Vpu/Vpu.h"
#include "passes/Vpu/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Remarks.h"

namespace burin::vpu {
#define GEN_PASS_DEF_ROUNDPROGRAMS
#include "passes/Vpu/Passes.h.inc"
} // namespace burin::vpu

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {

bool rounds(Operation *op) {
  if (isa<math::AbsFOp, math::FloorOp, math::CeilOp, math::RoundEvenOp, math::TruncOp, math::CopySignOp>(op))
    return false;
  return isa<arith::AddFOp, arith::SubFOp, arith::MulFOp, arith::DivFOp, arith::RemFOp, arith::SIToFPOp,
             arith::UIToFPOp>(op) ||
         isa<math::MathDialect>(op->getDialect());
}

/// Constants lie in the body or before it.
arith::ConstantOp wideConstant(Value value) {
  return value.getType().isF32() ? value.getDefiningOp<arith::ConstantOp>() : nullptr;
}

std::optional<APFloat> exactHalf(arith::ConstantOp constant) {
  auto number = dyn_cast<FloatAttr>(constant.getValue());
  if (!number)
    return std::nullopt;
  APFloat half = number.getValue();
  bool lost = false;
  half.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &lost);
  return lost ? std::nullopt : std::optional(half);
}

struct RoundProgramsPass : vpu::impl::RoundProgramsBase<RoundProgramsPass> {
  void runOnOperation() override {
    unsigned widened = 0, narrowed = 0;
    getOperation().walk([&](ShaveOp shave) {
      Block &body = shave.getBody().front();
      widened += skipRoundings(body);
      if (isExactInHalf(body)) {
        computeInHalf(body);
        ++narrowed;
      }
    });
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("Rounded").category("vpu-round-programs"))
        << remark::metric("skipped", widened) << remark::metric("half", narrowed);
  }

  //   %h = truncf %x : f32 to f16;  extf %h    ->    %x
  static unsigned skipRoundings(Block &body) {
    unsigned count = 0;
    for (Operation &op : llvm::make_early_inc_range(body)) {
      auto wide = dyn_cast<arith::ExtFOp>(op);
      auto narrow = wide ? wide.getIn().getDefiningOp<arith::TruncFOp>() : nullptr;
      if (!narrow || narrow.getIn().getType() != wide.getType())
        continue;
      wide.replaceAllUsesWith(narrow.getIn());
      wide.erase();
      if (narrow->use_empty())
        narrow.erase();
      ++count;
    }
    return count;
  }

  /// A program of f32 that f16 computes as well: halves in, at most one rounding, constants that are halves.
  static bool isExactInHalf(Block &body) {
    unsigned roundings = 0;
    bool isWide = false;
    for (BlockArgument argument : body.getArguments())
      if (isa<FloatType>(argument.getType()) && !argument.getType().isF16())
        return false;
    for (Operation &op : body.without_terminator()) {
      for (Type type : op.getResultTypes())
        if (isa<FloatType>(type) && !type.isF16() && !type.isF32())
          return false;
      bool givesWide = llvm::any_of(op.getResultTypes(), [](Type type) { return type.isF32(); });
      for (Value operand : op.getOperands())
        if (auto constant = wideConstant(operand); constant && !exactHalf(constant))
          return false;
      if (givesWide && isa<arith::TruncFOp>(op)) // from a type that is wider still
        return false;
      isWide |= givesWide;
      roundings += rounds(&op);
    }
    return isWide && roundings <= 1;
  }

  static void computeInHalf(Block &body) {
    Type half = Float16Type::get(body.front().getContext());
    for (Operation &op : llvm::make_early_inc_range(body)) {
      for (OpOperand &operand : op.getOpOperands())
        if (auto constant = wideConstant(operand.get())) {
          OpBuilder builder(&op);
          operand.set(arith::ConstantOp::create(builder, op.getLoc(), FloatAttr::get(half, *exactHalf(constant))));
          if (constant->use_empty() && constant->getBlock() == &body)
            constant.erase();
        }
      if (isa<arith::ExtFOp, arith::TruncFOp>(op)) {
        op.getResult(0).replaceAllUsesWith(op.getOperand(0));
        op.erase();
      } else if (!isa<arith::ConstantOp>(op)) {
        for (Value result : op.getResults())
          if (result.getType().isF32())
            result.setType(half);
      }
    }
  }
};
} // namespace
