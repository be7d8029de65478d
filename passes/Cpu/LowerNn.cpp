// cpu-lower-nn: nn operations on buffers become register-tiled loops over vectors.
//
// The idea: one fast builder an op (Kernel<Family>.cpp) parameterized by a machine row, and one complete reference
// (KernelLoops.cpp) that takes whatever a fast builder refuses. Must run on buffers; looks at nothing outside the op.
#include "lib/Support/Tuning.h"
#include "passes/Cpu/Kernels.h"
#include "passes/Cpu/ParallelLoops.h"
#include "passes/Cpu/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/TypeSwitch.h"

namespace burin {
#define GEN_PASS_DEF_LOWERNN
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

// max(x, c) with a constant c that is no NaN, as x86's own instruction has it: c > x ? c : x, which is x when x is NaN.
// arith.maximumf of unknown operands takes three instructions there. The one difference: of two zeros of different sign
// it gives x.
static void useMachineMaximum(func::FuncOp function) {
  function.walk([](Operation *op) {
    if (!isa<arith::MaximumFOp, arith::MinimumFOp>(op) ||
        !isa_and_nonnull<scf::SCFDialect, func::FuncDialect>(op->getParentOp()->getDialect()))
      return;
    for (unsigned i = 0; i < 2; ++i) {
      Attribute attr;
      if (!matchPattern(op->getOperand(i), m_Constant(&attr)))
        continue;
      auto splat = dyn_cast<SplatElementsAttr>(attr);
      auto value = splat ? dyn_cast<FloatAttr>(splat.getSplatValue<Attribute>()) : dyn_cast<FloatAttr>(attr);
      if (!value || value.getValue().isNaN())
        continue;
      OpBuilder b(op);
      Value c = op->getOperand(i), x = op->getOperand(1 - i);
      auto predicate = isa<arith::MaximumFOp>(op) ? arith::CmpFPredicate::OGT : arith::CmpFPredicate::OLT;
      Value test = arith::CmpFOp::create(b, op->getLoc(), predicate, c, x);
      op->getResult(0).replaceAllUsesWith(arith::SelectOp::create(b, op->getLoc(), test, c, x));
      op->erase();
      return;
    }
  });
}

namespace {

struct LowerNn : burin::impl::LowerNnBase<LowerNn> {
  using LowerNnBase::LowerNnBase;

  void runOnOperation() override {
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      getOperation().emitError("unknown machine '") << machineName << "', expected one of: " << machineNames();
      return signalPassFailure();
    }
    auto ops = cpu::operationsOf(getOperation());
    if (failed(ops))
      return signalPassFailure();
    int64_t operation = cpu::nextOperation(getOperation());
    for (nn::ComputeOp op : *ops) {
      OpBuilder builder(op);
      cpu::Emitter e{builder, op.getLoc(), operation, machine};
      operation += cpu::phasesOfOperation;
      if (auto tile = op->getAttrOfType<DenseI64ArrayAttr>(kernelTileAttr); tile && tile.size() == 2)
        e.tile = {tile[0], tile[1]};
      std::string reason = "no fast kernel";
      LogicalResult done =
          llvm::TypeSwitch<Operation *, LogicalResult>(op)
              .Case([&](nn::ConvOp o) {
                return o.getWinograd() ? cpu::emitWinograd(e, *machine, o, reason)
                                       : cpu::emitConv(e, *machine, o, reason);
              })
              .Case([&](nn::ConvTransposeOp o) { return cpu::emitConvTranspose(e, *machine, o, reason); })
              .Case([&](nn::MatmulOp o) {
                return o.getStored() ? cpu::emitStoredMatmul(e, *machine, o, reason)
                                     : cpu::emitMatmul(e, *machine, o, reason);
              })
              .Case([&](nn::DepthwiseConvOp o) { return cpu::emitDepthwiseConv(e, *machine, o, reason); })
              .Case([&](nn::PoolOp o) { return cpu::emitPool(e, *machine, o, reason); })
              .Case([&](nn::SoftmaxOp o) { return cpu::emitSoftmax(e, *machine, o, reason); })
              .Default([](Operation *) { return failure(); });
      auto options = remark::RemarkOpts::name("LowerNn").category("cpu").function(getOperation().getSymName());
      if (succeeded(done)) {
        remark::passed(op.getLoc(), options) << op->getName().getStringRef() << " as a vector kernel";
      } else {
        remark::missed(op.getLoc(), options) << op->getName().getStringRef() << " as scalar loops: " << reason;
        cpu::emitLoops(e, op);
      }
      op->erase();
    }
    if (machine->triple.starts_with("x86"))
      useMachineMaximum(getOperation());
  }
};

} // namespace
