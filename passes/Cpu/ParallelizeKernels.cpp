// cpu-parallelize-kernels: loops over results, marked by who emitted them, become functions of a part of their
// iterations, and the kernel gives the parts to the hook for parallel loops in the context.
//
// The idea: a loop nest is one run of units (its outermost loops counted through, until there are plenty), and part
// `index` of `count` takes the units from units * index / count on. Neither who runs a part nor how many there are
// decides how a result is summed, so results are the same bits for any number of threads. What a kernel keeps on its
// stack for one unit at a time is on the part's own stack. A loop too short to be worth a fork stays as it is. Must not
// look into what the loops compute; must run before math functions become arithmetic, for the estimate of their cost.
#include "passes/Cpu/EntryFunctions.h"
#include "passes/Cpu/KernelCost.h"
#include "passes/Cpu/ParallelLoops.h"
#include "passes/Cpu/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Utils/StaticValueUtils.h"
#include "mlir/IR/IRMapping.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Transforms/RegionUtils.h"

namespace burin {
#define GEN_PASS_DEF_PARALLELIZEKERNELS
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

// Loops are counted through together until there are this many units: few enough for whole rows to stay together, and
// enough for parts of nearly equal size.
constexpr int64_t plentyOfUnits = 96;

std::optional<int64_t> markOf(Operation *op) {
  auto loop = dyn_cast<scf::ForOp>(op);
  auto mark = loop ? loop->getAttrOfType<IntegerAttr>(parallelAttr) : IntegerAttr();
  return mark ? std::optional<int64_t>(mark.getInt()) : std::nullopt;
}

// Loops nested perfectly, index arithmetic aside, outermost first.
struct Nest {
  SmallVector<scf::ForOp> loops;
};

// Neighbouring loops of one operation: one fork.
struct Region {
  int64_t operation;
  SmallVector<Nest> nests;
};

class Parallelizer {
public:
  Parallelizer(func::FuncOp kernel, const Machine &machine) : kernel(kernel), builder(kernel), cost(machine) {}

  /// Whether any loop was split.
  bool run(int64_t minimalPart, int64_t maximalParts) {
    SmallVector<Region> regions;
    collect(kernel.getBody().front(), regions);
    bool changed = false;
    for (Region &region : regions)
      changed |= split(region, minimalPart, maximalParts);
    return changed;
  }

private:
  // --- finding loops ---

  void collect(Block &block, SmallVectorImpl<Region> &regions) {
    std::optional<Region> open;
    auto close = [&] {
      if (open)
        regions.push_back(std::move(*open));
      open.reset();
    };
    for (Operation &op : block) {
      if (std::optional<int64_t> mark = markOf(&op)) {
        if (open && open->operation != *mark)
          close();
        if (!open)
          open = Region{*mark, {}};
        open->nests.push_back(nestOf(cast<scf::ForOp>(op)));
        continue;
      }
      if (isMemoryEffectFree(&op) && !op.getNumRegions())
        continue;
      close();
      for (mlir::Region &inner : op.getRegions())
        for (Block &body : inner)
          collect(body, regions);
    }
    close();
  }

  // Is `value` known before `loop` begins, or computed from such values alone?
  static bool isKnownBefore(Value value, scf::ForOp loop) {
    if (!loop->isAncestor(value.getParentBlock()->getParentOp()))
      return true;
    Operation *op = value.getDefiningOp();
    return op && isMemoryEffectFree(op) && !op->getNumRegions() &&
           llvm::all_of(op->getOperands(), [&](Value operand) { return isKnownBefore(operand, loop); });
  }

  Nest nestOf(scf::ForOp outermost) {
    Nest nest{{outermost}};
    int64_t units = unitsOf(outermost);
    while (units < plentyOfUnits) {
      scf::ForOp inner;
      for (Operation &op : nest.loops.back().getBody()->without_terminator()) {
        if (isMemoryEffectFree(&op) && !op.getNumRegions())
          continue;
        if (inner || markOf(&op) != markOf(outermost))
          return nest;
        inner = cast<scf::ForOp>(op);
      }
      if (!inner || !llvm::all_of(ValueRange{inner.getLowerBound(), inner.getUpperBound(), inner.getStep()},
                                  [&](Value bound) { return isKnownBefore(bound, outermost); }))
        return nest;
      nest.loops.push_back(inner);
      units *= unitsOf(inner);
    }
    return nest;
  }

  static int64_t unitsOf(scf::ForOp loop) {
    return std::max<int64_t>(1, guessedTrips(loop) - (loop->hasAttr(overlapsAttr) ? 1 : 0));
  }

  // --- splitting them ---

  struct Captured {
    SmallVector<Value> buffers, words; // memrefs, and scalars
    SetVector<Operation *> copied;     // what is computed, or put on the stack, again
  };

  // What a value that loops of the region use, and that is defined before them, becomes.
  LogicalResult capture(Value value, ArrayRef<Operation *> users, Captured &captured) {
    if (llvm::is_contained(captured.buffers, value) || llvm::is_contained(captured.words, value))
      return success();
    if (Operation *op = value.getDefiningOp()) {
      if (captured.copied.contains(op))
        return success();
      if (isMemoryEffectFree(op) && !op->getNumRegions()) {
        for (Value operand : op->getOperands())
          if (failed(capture(operand, users, captured)))
            return failure();
        captured.copied.insert(op);
        return success();
      }
      if (isa<memref::AllocaOp>(op) && op->getOperands().empty() && isUsedOnlyIn(op, users)) {
        captured.copied.insert(op);
        return success();
      }
    }
    if (auto type = dyn_cast<MemRefType>(value.getType())) {
      bool isArgument = isa<BlockArgument>(value) && value.getParentBlock() == &kernel.getBody().front();
      if (isArgument) {
        // What overlaps may depend on the order of the loops.
        if (!kernel.getArgAttr(cast<BlockArgument>(value).getArgNumber(), LLVM::LLVMDialect::getNoAliasAttrName()))
          return failure();
      } else if (!isa_and_nonnull<memref::AllocaOp>(value.getDefiningOp()) || !type.hasStaticShape() ||
                 writes(users, value)) {
        return failure();
      }
      captured.buffers.push_back(value);
      return success();
    }
    Type type = value.getType();
    if (!type.isIndex() && !type.isInteger() && !isa<FloatType>(type))
      return failure();
    if (type.isIntOrFloat() && type.getIntOrFloatBitWidth() > 64)
      return failure();
    captured.words.push_back(value);
    return success();
  }

  // All uses of a buffer, views of it included, lie in the loops.
  static bool isUsedOnlyIn(Operation *buffer, ArrayRef<Operation *> loops) {
    return llvm::all_of(buffer->getUsers(), [&](Operation *user) {
      if (llvm::any_of(loops, [&](Operation *loop) { return loop->isAncestor(user); }))
        return true;
      return isMemoryEffectFree(user) && user->getNumResults() == 1 && isUsedOnlyIn(user, loops);
    });
  }

  // Do the loops write the buffer, or a view of it?
  static bool writes(ArrayRef<Operation *> loops, Value buffer) {
    return llvm::any_of(buffer.getUsers(), [&](Operation *user) {
      if (isMemoryEffectFree(user) && user->getNumResults() == 1 && isa<MemRefType>(user->getResult(0).getType()))
        return writes(loops, user->getResult(0));
      auto effects = dyn_cast<MemoryEffectOpInterface>(user);
      bool mayWrite = !effects || effects.hasEffect<MemoryEffects::Write>();
      return mayWrite && llvm::any_of(loops, [&](Operation *loop) { return loop->isAncestor(user); });
    });
  }

  bool split(Region &region, int64_t minimalPart, int64_t maximalParts) {
    SmallVector<Operation *> loops =
        llvm::map_to_vector(region.nests, [](Nest &nest) { return nest.loops.front().getOperation(); });
    auto options = remark::RemarkOpts::name("ParallelizeKernels")
                       .category("cpu-parallelize-kernels")
                       .function(kernel.getSymName());
    Location loc = loops.front()->getLoc();
    double nanoseconds = 0;
    for (Operation *loop : loops)
      nanoseconds += cost.of(loop);
    int64_t units = 1;
    for (Nest &nest : region.nests) {
      int64_t product = 1;
      for (scf::ForOp loop : nest.loops)
        product *= unitsOf(loop);
      units = std::max(units, product);
    }
    int64_t parts = std::min<int64_t>({int64_t(nanoseconds / minimalPart), units, maximalParts});
    if (parts < 2) {
      remark::missed(loc, options) << remark::reason("too short for a fork")
                                   << remark::metric("nanoseconds", int64_t(nanoseconds))
                                   << remark::metric("units", units);
      return false;
    }
    SetVector<Value> used;
    for (Operation *loop : loops) {
      used.insert(loop->operand_begin(), loop->operand_end());
      getUsedValuesDefinedAbove(loop->getRegions(), used);
    }
    Captured captured;
    for (Value value : used)
      if (failed(capture(value, loops, captured))) {
        remark::missed(loc, options) << remark::reason("uses a buffer that may overlap another, or a value that is no "
                                                       "scalar");
        return false;
      }
    func::FuncOp part = makePart(region, captured);
    emitFork(loops.front(), part, captured, parts);
    for (Operation *loop : llvm::reverse(loops))
      loop->erase();
    remark::passed(loc, options) << remark::metric("parts", parts) << remark::metric("units", units)
                                 << remark::metric("nanoseconds", int64_t(nanoseconds));
    return true;
  }

  // --- the function of a part ---

  func::FuncOp makePart(Region &region, const Captured &captured) {
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPointAfter(kernel);
    Location loc = kernel.getLoc();
    Type i64 = builder.getI64Type();
    SmallVector<Type> types;
    for (Value buffer : captured.buffers)
      types.push_back(buffer.getType());
    types.append(captured.words.size() + 2, i64);
    std::string name = (kernel.getSymName() + "_part" + Twine(numParts++)).str();
    auto part = func::FuncOp::create(builder, loc, name, builder.getFunctionType(types, {}));
    part.setPrivate();
    Block *entry = part.addEntryBlock();
    builder.setInsertionPointToStart(entry);

    IRMapping mapping;
    for (auto [i, buffer] : llvm::enumerate(captured.buffers)) {
      mapping.map(buffer, entry->getArgument(i));
      auto argument = dyn_cast<BlockArgument>(buffer);
      if (DictionaryAttr attrs = argument ? kernel.getArgAttrDict(argument.getArgNumber()) : DictionaryAttr())
        part.setArgAttrs(i, attrs);
    }
    for (auto [i, word] : llvm::enumerate(captured.words))
      mapping.map(word, fromWord(loc, entry->getArgument(captured.buffers.size() + i), word.getType()));
    for (Operation *op : captured.copied)
      builder.clone(*op, mapping);
    unsigned arguments = entry->getNumArguments();
    Value index = toIndex(loc, entry->getArgument(arguments - 2)),
          count = toIndex(loc, entry->getArgument(arguments - 1));
    for (Nest &nest : region.nests)
      emitUnits(nest, index, count, mapping);
    builder.setInsertionPointToEnd(entry);
    func::ReturnOp::create(builder, loc);
    return part;
  }

  struct Level {
    scf::ForOp loop;
    Value lower, upper, step, units, inside; // inside: units of all loops within one iteration
    bool overlaps;
  };

  // for units from units * index / count up to units * (index + 1) / count
  void emitUnits(Nest &nest, Value index, Value count, IRMapping &mapping) {
    Location loc = nest.loops.front().getLoc();
    SmallVector<Level> levels;
    for (scf::ForOp loop : nest.loops) {
      Level level{loop,
                  known(loop.getLowerBound(), mapping),
                  known(loop.getUpperBound(), mapping),
                  known(loop.getStep(), mapping),
                  {},
                  {},
                  loop->hasAttr(overlapsAttr)};
      Value one = constant(loc, 1), distance = builder.createOrFold<arith::SubIOp>(loc, level.upper, level.lower);
      Value padded =
          builder.createOrFold<arith::AddIOp>(loc, distance, builder.createOrFold<arith::SubIOp>(loc, level.step, one));
      padded = builder.createOrFold<arith::MaxSIOp>(loc, padded, constant(loc, 0));
      level.units = builder.createOrFold<arith::DivUIOp>(loc, padded, level.step);
      if (level.overlaps) { // the last two iterations are one unit
        Value some = builder.createOrFold<arith::MinSIOp>(loc, level.units, one);
        level.units = builder.createOrFold<arith::SubIOp>(loc, level.units, one);
        level.units = builder.createOrFold<arith::MaxSIOp>(loc, level.units, some);
      }
      levels.push_back(level);
    }
    Value total = constant(loc, 1);
    for (Level &level : llvm::reverse(levels)) {
      level.inside = total;
      total = builder.createOrFold<arith::MulIOp>(loc, total, level.units);
    }
    auto border = [&](Value at) -> Value {
      return arith::DivUIOp::create(builder, loc, builder.createOrFold<arith::MulIOp>(loc, total, at), count);
    };
    Value next = arith::AddIOp::create(builder, loc, index, constant(loc, 1));
    Value begin = border(index), end = border(next);
    emitLevel(levels, 0, begin, end, mapping);
  }

  // Units [begin, end) of the loops from levels[depth] on.
  void emitLevel(ArrayRef<Level> levels, unsigned depth, Value begin, Value end, IRMapping &mapping) {
    Level level = levels[depth];
    Location loc = level.loop.getLoc();
    bool innermost = depth + 1 == levels.size();
    Value one = constant(loc, 1), first = begin, last = end;
    if (!innermost) {
      Value round = builder.createOrFold<arith::SubIOp>(loc, level.inside, one);
      first = builder.createOrFold<arith::DivUIOp>(loc, begin, level.inside);
      last =
          builder.createOrFold<arith::DivUIOp>(loc, builder.createOrFold<arith::AddIOp>(loc, end, round), level.inside);
    }
    auto place = [&](Value unit) {
      return builder.createOrFold<arith::AddIOp>(loc, level.lower,
                                                 builder.createOrFold<arith::MulIOp>(loc, unit, level.step));
    };
    Value from = place(first), to = builder.createOrFold<arith::MinSIOp>(loc, place(last), level.upper);
    if (level.overlaps) {
      Value isLast = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, last, level.units);
      // Whoever has no unit of this loop has its last iteration neither.
      Value any = arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::ult, first, last);
      to = arith::SelectOp::create(builder, loc, arith::AndIOp::create(builder, loc, isLast, any), level.upper, to);
    }
    auto copy = scf::ForOp::create(builder, loc, from, to, level.step);
    OpBuilder::InsertionGuard guard(builder);
    builder.setInsertionPoint(copy.getBody()->getTerminator());
    Value variable = copy.getInductionVar();
    mapping.map(level.loop.getInductionVar(), variable);
    for (Operation &op : level.loop.getBody()->without_terminator()) {
      if (innermost || &op != scf::ForOp(levels[depth + 1].loop).getOperation()) {
        builder.clone(op, mapping);
        continue;
      }
      Value unit = builder.createOrFold<arith::DivUIOp>(
          loc, builder.createOrFold<arith::SubIOp>(loc, variable, level.lower), level.step);
      if (level.overlaps)
        unit =
            builder.createOrFold<arith::MinSIOp>(loc, unit, builder.createOrFold<arith::SubIOp>(loc, level.units, one));
      Value before = builder.createOrFold<arith::MulIOp>(loc, unit, level.inside);
      Value lo = builder.createOrFold<arith::MaxSIOp>(loc, builder.createOrFold<arith::SubIOp>(loc, begin, before),
                                                      constant(loc, 0));
      Value hi = builder.createOrFold<arith::MinSIOp>(loc, builder.createOrFold<arith::SubIOp>(loc, end, before),
                                                      level.inside);
      emitLevel(levels, depth + 1, lo, hi, mapping);
    }
  }

  // A bound of a loop, computed before the outermost one.
  Value known(Value value, IRMapping &mapping) {
    if (Value found = mapping.lookupOrNull(value))
      return found;
    Operation *op = value.getDefiningOp();
    for (Value operand : op->getOperands())
      (void)known(operand, mapping);
    builder.clone(*op, mapping);
    return mapping.lookup(value);
  }

  // --- the call of the hook ---

  void emitFork(Operation *at, func::FuncOp part, const Captured &captured, int64_t parts) {
    OpBuilder::InsertionGuard guard(builder);
    Location loc = at->getLoc();
    Type i64 = builder.getI64Type(), pointer = LLVM::LLVMPointerType::get(builder.getContext());
    if (!context) {
      unsigned last = kernel.getNumArguments();
      (void)kernel.insertArgument(last, pointer, DictionaryAttr(), loc);
      context = kernel.getArgument(last);
    }
    unsigned words = captured.buffers.size() + captured.words.size();
    builder.setInsertionPointToStart(&kernel.getBody().front());
    Value data = LLVM::AllocaOp::create(builder, loc, pointer, LLVM::LLVMArrayType::get(i64, words + 2),
                                        LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(1)));
    builder.setInsertionPoint(at);
    auto store = [&](Value value, int32_t slot) {
      LLVM::StoreOp::create(builder, loc, value,
                            LLVM::GEPOp::create(builder, loc, pointer, i64, data, LLVM::GEPArg(slot)));
    };
    Value function = func::ConstantOp::create(builder, loc, part.getFunctionType(),
                                              FlatSymbolRefAttr::get(builder.getContext(), part.getSymName()));
    store(UnrealizedConversionCastOp::create(builder, loc, pointer, function).getResult(0), 1);
    int32_t slot = 2;
    for (Value buffer : captured.buffers)
      store(arith::IndexCastOp::create(builder, loc, i64,
                                       memref::ExtractAlignedPointerAsIndexOp::create(builder, loc, buffer)),
            slot++);
    for (Value word : captured.words)
      store(toWord(loc, word), slot++);
    Value count = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(parts));
    std::string caller =
        makeCaller(kernel->getParentOfType<ModuleOp>(), captured.buffers.size(), captured.words.size());
    Value body = LLVM::AddressOfOp::create(builder, loc, pointer, caller);
    LLVM::CallOp::create(builder, loc, TypeRange(), forkName, ValueRange{context, body, data, count});
  }

  Value constant(Location loc, int64_t value) { return arith::ConstantIndexOp::create(builder, loc, value); }
  Value toIndex(Location loc, Value word) {
    return arith::IndexCastOp::create(builder, loc, builder.getIndexType(), word);
  }
  // Any scalar as 64 bits, and back.
  Value toWord(Location loc, Value value) {
    Type i64 = builder.getI64Type();
    if (value.getType().isIndex())
      return arith::IndexCastOp::create(builder, loc, i64, value);
    unsigned bits = value.getType().getIntOrFloatBitWidth();
    if (isa<FloatType>(value.getType()))
      value = arith::BitcastOp::create(builder, loc, builder.getIntegerType(bits), value);
    return bits == 64 ? value : arith::ExtUIOp::create(builder, loc, i64, value).getResult();
  }
  Value fromWord(Location loc, Value word, Type type) {
    if (type.isIndex())
      return toIndex(loc, word);
    unsigned bits = type.getIntOrFloatBitWidth();
    if (bits < 64)
      word = arith::TruncIOp::create(builder, loc, builder.getIntegerType(bits), word);
    return isa<FloatType>(type) ? arith::BitcastOp::create(builder, loc, type, word).getResult() : word;
  }

  func::FuncOp kernel;
  OpBuilder builder;
  KernelCost cost;
  Value context;
  unsigned numParts = 0;
};

struct ParallelizeKernels : burin::impl::ParallelizeKernelsBase<ParallelizeKernels> {
  using ParallelizeKernelsBase::ParallelizeKernelsBase;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      module.emitError() << "unknown machine '" << machineName << "', expected one of: " << machineNames();
      return signalPassFailure();
    }
    auto entry = module.lookupSymbol<func::FuncOp>("entry");
    if (!entry || entry.getNumArguments() != 5) {
      module.emitError("expected a function @entry of five pointers, as cpu-make-entry leaves it");
      return signalPassFailure();
    }
    llvm::MapVector<func::FuncOp, SmallVector<func::CallOp>> calls;
    entry.walk([&](func::CallOp call) { calls[module.lookupSymbol<func::FuncOp>(call.getCallee())].push_back(call); });
    bool forks = false;
    for (auto &[kernel, callers] : calls) {
      if (!kernel || kernel.isExternal() || !Parallelizer(kernel, *machine).run(minimalPart, maximalParts))
        continue;
      forks = true;
      for (func::CallOp call : callers)
        call.getOperandsMutable().append(entry.getArgument(4));
    }
    if (forks)
      makeFork(module);
    module.walk([](scf::ForOp loop) {
      loop->removeAttr(parallelAttr);
      loop->removeAttr(overlapsAttr);
    });
  }
};

} // namespace
