// cpu-describe-kernels: what a person wants to know of a kernel's schedule, as remarks: about how long it takes, and
// what its hottest innermost loop holds.
//
// Reads the loops as they are instead of asking who built them, so that every kernel is described alike. Changes
// nothing.
#include "passes/Cpu/KernelCost.h"
#include "passes/Cpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Remarks.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringExtras.h"

namespace burin {
#define GEN_PASS_DEF_DESCRIBEKERNELS
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {
struct InnerLoop {
  scf::ForOp loop;
  double nanoseconds = 0; // of all its iterations in a run
};

// The innermost loop under `op` in which most time goes. `times`: how often `op` runs.
InnerLoop hottestUnder(Operation *op, double times, const KernelCost &cost) {
  InnerLoop best;
  auto loop = dyn_cast<scf::ForOp>(op);
  double inside = times * (loop ? double(guessedTrips(loop)) : 1);
  for (Region &region : op->getRegions())
    for (Block &block : region)
      for (Operation &inner : block)
        if (InnerLoop candidate = hottestUnder(&inner, inside, cost); candidate.nanoseconds > best.nanoseconds)
          best = candidate;
  if (loop && !best.loop)
    best = {loop, times * cost.of(op)};
  return best;
}

std::string describe(scf::ForOp loop) {
  std::string text;
  llvm::raw_string_ostream out(text);
  if (auto trips = tripsOf(loop))
    out << *trips;
  else
    out << "an unknown number of";
  out << " iterations";
  auto mentionsVector = [](TypeRange types) { return llvm::any_of(types, llvm::IsaPred<VectorType>); };
  llvm::MapVector<Type, unsigned> carried;
  for (Value value : loop.getRegionIterArgs())
    ++carried[value.getType()];
  for (auto [type, count] : carried)
    out << ", " << count << " carried of " << type;
  llvm::MapVector<StringRef, unsigned> operations;
  loop.getBody()->walk([&](Operation *op) {
    bool counts = mentionsVector(op->getResultTypes()) || mentionsVector(op->getOperandTypes());
    if (counts && !op->hasTrait<OpTrait::ConstantLike>() && !op->hasTrait<OpTrait::IsTerminator>())
      ++operations[op->getName().getStringRef()];
  });
  if (operations.empty())
    out << ", scalar operations only";
  for (auto [name, count] : operations)
    out << ", " << count << " " << name;
  return text;
}

struct DescribeKernels : burin::impl::DescribeKernelsBase<DescribeKernels> {
  using DescribeKernelsBase::DescribeKernelsBase;

  void runOnOperation() override {
    func::FuncOp kernel = getOperation();
    if (kernel.isDeclaration() || !kernel->hasAttr("burin.kind") || !getContext().getRemarkEngine())
      return;
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      kernel.emitError("unknown machine '") << machineName << "', expected one of: " << machineNames();
      return signalPassFailure();
    }
    KernelCost cost(*machine);
    double nanoseconds = 0;
    for (Operation &op : kernel.front())
      nanoseconds += cost.of(&op);
    auto options = [&](StringRef name) {
      return remark::RemarkOpts::name(name).category("cpu-describe-kernels").function(kernel.getSymName());
    };
    remark::analysis(kernel.getLoc(), options("Predicted")) << remark::metric("nanoseconds", int64_t(nanoseconds));
    if (InnerLoop hottest = hottestUnder(kernel, 1, cost); hottest.loop)
      remark::analysis(kernel.getLoc(), options("InnerLoop")) << describe(hottest.loop);
  }
};
} // namespace
