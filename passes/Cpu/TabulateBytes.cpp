// cpu-tabulate-bytes: elementwise chains that make a byte of one other byte become a lookup. Must not look beyond one
// operation's body.
#include "passes/Cpu/ByteTables.h"
#include "passes/Cpu/Passes.h"

#include "dialects/Nn/Nn.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Remarks.h"

namespace burin {
#define GEN_PASS_DEF_TABULATEBYTES
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

// Instructions below which arithmetic is left, and the same where vectors hold wider elements than bytes, so that a
// lookup in registers serves few of them.
constexpr double fewInstructions = 6;

bool isOnBytes(Operation *op) {
  return llvm::all_of(op->getOperands(), [](Value v) {
    auto type = dyn_cast<ShapedType>(v.getType());
    return !type || type.getElementType().isInteger(8);
  });
}

struct TabulateBytes : burin::impl::TabulateBytesBase<TabulateBytes> {
  using TabulateBytesBase::TabulateBytesBase;

  void runOnOperation() override {
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      getOperation().emitError("unknown machine '") << machineName << "', expected one of: " << machineNames();
      return signalPassFailure();
    }
    unsigned count = 0;
    getOperation().walk([&](Operation *op) {
      if (!isa<linalg::GenericOp, nn::ComputeOp>(op) || op->getRegion(0).empty())
        return;
      // A product's results are narrowed to whole registers of bytes before the lookup, another loop's are where
      // nothing wider is read or written.
      double wholeRegister = cpu::lookupWeight(*machine);
      double least =
          isa<nn::ComputeOp>(op) || isOnBytes(op) ? fewInstructions : std::max(fewInstructions, wholeRegister);
      count += tabulateIn(op->getRegion(0).front(), least);
    });
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("TabulateBytes").category("cpu-tabulate-bytes"))
        << remark::metric("tables", count);
  }

  // From the last byte back, so that a table goes as far as it can.
  unsigned tabulateIn(Block &block, double least) {
    unsigned count = 0;
    SmallVector<Operation *> operations;
    for (Operation &op : block.without_terminator())
      operations.push_back(&op);
    for (Operation *op : llvm::reverse(operations)) {
      if (op->use_empty() && isMemoryEffectFree(op)) {
        op->erase();
        continue;
      }
      if (op->getNumResults() != 1 || !op->getResult(0).getType().isInteger(8))
        continue;
      double weight = 0;
      std::optional<cpu::ByteTable> table = cpu::tabulate(op->getResult(0), weight);
      if (!table || weight < least)
        continue;
      OpBuilder b(op);
      op->getResult(0).replaceAllUsesWith(cpu::createLookup(b, op->getLoc(), *table));
      remark::passed(op->getLoc(), remark::RemarkOpts::name("Table").category("cpu-tabulate-bytes"))
          << remark::metric("instructions", weight);
      op->erase();
      ++count;
    }
    return count;
  }
};

} // namespace
