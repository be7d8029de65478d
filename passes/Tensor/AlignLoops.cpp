// tensor-align-loops: canonical forms of scf.while drop what is not used, each side on its own; bufferization wants a
// carried tensor at the same place on both.
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

namespace burin {
#define GEN_PASS_DEF_ALIGNLOOPS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {
struct AlignLoopsPass : burin::impl::AlignLoopsBase<AlignLoopsPass> {
  void runOnOperation() override {
    getOperation().walk([](scf::WhileOp loop) { align(loop); });
  }

  //   scf.while (%a = %x : tensor, %n = %0, %b = %y : tensor) { ... condition %a, %b }
  //   scf.while (%a = %x : tensor, %b = %y : tensor, %n = %0) { ... condition %a, %b }
  static void align(scf::WhileOp loop) {
    Block *before = loop.getBeforeBody();
    unsigned count = before->getNumArguments();
    SmallVector<unsigned> order(count, count); // new place -> old place
    llvm::SmallBitVector placed(count);
    for (auto [place, value] : llvm::enumerate(loop.getConditionOp().getArgs())) {
      auto argument = dyn_cast<BlockArgument>(value);
      if (!isa<TensorType>(value.getType()) || !argument || argument.getOwner() != before || place >= count ||
          placed.test(argument.getArgNumber()))
        continue;
      order[place] = argument.getArgNumber();
      placed.set(argument.getArgNumber());
    }
    unsigned next = 0;
    for (unsigned &old : order) {
      if (old != count)
        continue;
      while (placed.test(next))
        ++next;
      old = next++;
    }
    if (llvm::is_sorted(order))
      return;
    SmallVector<Value> inits(loop.getInits()), yielded(loop.getYieldOp().getOperands());
    SmallVector<BlockArgument> arguments(before->getArguments());
    for (unsigned place = 0; place < count; ++place) {
      unsigned old = order[place];
      loop->setOperand(place, inits[old]);
      loop.getYieldOp()->setOperand(place, yielded[old]);
      arguments[old].replaceAllUsesWith(before->addArgument(arguments[old].getType(), arguments[old].getLoc()));
    }
    before->eraseArguments(0, count);
  }
};
} // namespace
