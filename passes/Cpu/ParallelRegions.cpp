// Regions of loops for cpu-parallelize-kernels: see the header.
#include "passes/Cpu/ParallelRegions.h"
#include "passes/Cpu/KernelCost.h"
#include "passes/Cpu/ParallelLoops.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

// Loops are counted through together until parts of equal size are possible or there are this many units: few enough
// for whole rows to stay together, and enough for parts of nearly equal size.
constexpr int64_t plentyOfUnits = 96;
// As many parts must at least be possible for an inner loop to be preferred.
constexpr int64_t fewUnits = 8;

static std::optional<int64_t> markOf(Operation *op) {
  auto loop = dyn_cast<scf::ForOp>(op);
  auto mark = loop ? loop->getAttrOfType<IntegerAttr>(parallelAttr) : IntegerAttr();
  return mark ? std::optional<int64_t>(mark.getInt()) : std::nullopt;
}

bool cpu::writes(ArrayRef<Operation *> loops, Value buffer) {
  return llvm::any_of(buffer.getUsers(), [&](Operation *user) {
    if (isMemoryEffectFree(user) && user->getNumResults() == 1 && isa<MemRefType>(user->getResult(0).getType()))
      return writes(loops, user->getResult(0));
    auto effects = dyn_cast<MemoryEffectOpInterface>(user);
    bool mayWrite = !effects || effects.hasEffect<MemoryEffects::Write>();
    return mayWrite && llvm::any_of(loops, [&](Operation *loop) { return loop->isAncestor(user); });
  });
}

// The memory that a loop uses and that is there before it: arguments of the kernel and buffers of its stack.
static SetVector<Value> buffersOf(scf::ForOp loop) {
  SetVector<Value> used, buffers;
  getUsedValuesDefinedAbove(loop->getRegions(), used);
  for (Value value : used) {
    while (Operation *op = value.getDefiningOp()) {
      if (!isa<MemRefType>(value.getType()) || !isMemoryEffectFree(op) || op->getNumOperands() == 0)
        break;
      value = op->getOperand(0);
    }
    if (isa<MemRefType>(value.getType()))
      buffers.insert(value);
  }
  return buffers;
}

// Do loops of other operations neither write what `loop` uses nor use what it writes?
static bool areIndependent(func::FuncOp kernel, ArrayRef<scf::ForOp> loops, scf::ForOp loop) {
  SetVector<Value> mine = buffersOf(loop);
  for (scf::ForOp other : loops)
    for (Value buffer : buffersOf(other)) {
      auto argument = dyn_cast<BlockArgument>(buffer);
      if (argument && !kernel.getArgAttr(argument.getArgNumber(), LLVM::LLVMDialect::getNoAliasAttrName()))
        return false;
      if (mine.contains(buffer) && (writes({loop}, buffer) || writes({other}, buffer)))
        return false;
    }
  return true;
}

// Is `value` known before `loop` begins, or computed from such values alone?
static bool isKnownBefore(Value value, scf::ForOp loop) {
  if (!loop->isAncestor(value.getParentBlock()->getParentOp()))
    return true;
  Operation *op = value.getDefiningOp();
  return op && isMemoryEffectFree(op) && !op->getNumRegions() &&
         llvm::all_of(op->getOperands(), [&](Value operand) { return isKnownBefore(operand, loop); });
}

bool cpu::areBoundsKnownBefore(scf::ForOp loop, scf::ForOp outermost) {
  return llvm::all_of(ValueRange{loop.getLowerBound(), loop.getUpperBound(), loop.getStep()},
                      [&](Value bound) { return isKnownBefore(bound, outermost); });
}

// The one loop of the same operation inside, when all else there is arithmetic; null for none.
static scf::ForOp onlyLoopIn(scf::ForOp outer) {
  scf::ForOp inner;
  for (Operation &op : outer.getBody()->without_terminator()) {
    if (isMemoryEffectFree(&op) && !op.getNumRegions())
      continue;
    if (inner || markOf(&op) != markOf(outer))
      return nullptr;
    inner = cast<scf::ForOp>(op);
  }
  return inner;
}

static void collect(func::FuncOp kernel, Block &block, SmallVectorImpl<LoopRegion> &regions) {
  std::optional<LoopRegion> open;
  auto close = [&] {
    if (open)
      regions.push_back(std::move(*open));
    open.reset();
  };
  for (Operation &op : block) {
    if (std::optional<int64_t> mark = markOf(&op)) {
      auto loop = cast<scf::ForOp>(op);
      bool isNew = !open || !llvm::is_contained(open->operations, *mark);
      if (open && isNew && !areIndependent(kernel, open->loops, loop))
        close();
      if (!open)
        open = LoopRegion();
      if (isNew)
        open->operations.push_back(*mark);
      open->loops.push_back(loop);
      continue;
    }
    if (isa<memref::AllocaOp>(op) || (isMemoryEffectFree(&op) && !op.getNumRegions()))
      continue;
    close();
    for (mlir::Region &inner : op.getRegions())
      for (Block &body : inner)
        collect(kernel, body, regions);
  }
  close();
}

SmallVector<LoopRegion> cpu::parallelRegions(func::FuncOp kernel) {
  SmallVector<LoopRegion> regions;
  collect(kernel, kernel.getBody().front(), regions);
  return regions;
}

int64_t cpu::unitsOf(scf::ForOp loop) {
  return std::max<int64_t>(1, guessedTrips(loop) - (loop->hasAttr(overlapsAttr) ? 1 : 0));
}

bool cpu::isDynamic(Operation *op) {
  return op->walk([](scf::ForOp loop) { return tripsOf(loop) ? WalkResult::advance() : WalkResult::interrupt(); })
      .wasInterrupted();
}

// Takes loops inside until there are enough units; gives their number.
static int64_t countThrough(ParallelNest &nest, int64_t parts) {
  scf::ForOp outermost = nest.loops.front(), last = nest.loops.back();
  int64_t units = unitsOf(last);
  while (units < plentyOfUnits && (units < parts || units % parts != 0 || !tripsOf(nest.loops[nest.first]))) {
    scf::ForOp inner = onlyLoopIn(last);
    if (!inner || !areBoundsKnownBefore(inner, outermost))
      break;
    nest.loops.push_back(last = inner);
    units *= unitsOf(inner);
  }
  return units;
}

ParallelNest cpu::nestOf(scf::ForOp outermost, int64_t parts) {
  ParallelNest nest{{outermost}};
  scf::ForOp inner;
  if (outermost->hasAttr(sharesInputAttr) && (inner = onlyLoopIn(outermost)) &&
      areBoundsKnownBefore(inner, outermost)) {
    ParallelNest inside{{outermost, inner}, 1};
    if (countThrough(inside, parts) >= std::min(parts, fewUnits))
      return inside;
  }
  (void)countThrough(nest, parts);
  return nest;
}
