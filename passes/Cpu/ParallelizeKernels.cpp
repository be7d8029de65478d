// cpu-parallelize-kernels: loops over results, marked by who emitted them, become functions of a part of their
// iterations, and the kernel gives the parts to the hook for parallel loops in the context.
//
// The idea: a loop nest is one run of units (its outermost loops counted through, until there are plenty), and part
// `index` of 2^shift takes the units from (units * index) >> shift on. Neither who runs a part nor how many there are
// decides how a result is summed, so results are the same bits for any number of threads. What a kernel keeps on its
// stack for one unit at a time is on the part's own stack. A loop too short to be worth a fork stays as it is, which is
// decided at run time where sizes are known only then. Must not look into what the loops compute; must run before math
// functions become arithmetic, for the estimate of their cost.
#include "passes/Cpu/EntryFunctions.h"
#include "passes/Cpu/KernelCost.h"
#include "passes/Cpu/ParallelLoops.h"
#include "passes/Cpu/ParallelRegions.h"
#include "passes/Cpu/Passes.h"
#include "passes/Cpu/Views.h"

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

// How many times as long as guessed a loop of free sizes may well be.
constexpr double sizesBeyondGuess = 8;

class Parallelizer {
public:
  /// `minimalPart`: nanoseconds.
  Parallelizer(func::FuncOp kernel, const Machine &machine, int64_t minimalPart, int64_t maximalParts)
      : kernel(kernel), builder(kernel), cost(machine), minimalPart(minimalPart), maximalParts(maximalParts) {}

  /// Whether any loop was split.
  bool run() {
    bool changed = false;
    for (LoopRegion &region : parallelRegions(kernel))
      changed |= split(region);
    return changed;
  }

private:
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
                 (writes(users, value) && !value.getDefiningOp()->hasAttr(sharedAttr))) {
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

  // Nanoseconds of one thread, which finds much of what it touches in the cache of another.
  double timeOf(ArrayRef<scf::ForOp> loops, ArrayRef<Value> buffers) {
    double instructions = 0, accessed = 0, distinct = 0;
    for (scf::ForOp loop : loops) {
      instructions += cost.of(loop);
      accessed += cost.bytesOf(loop);
    }
    for (Value buffer : buffers)
      if (auto type = cast<MemRefType>(buffer.getType()); type.hasStaticShape())
        distinct += double(type.getNumElements()) * storageBytes(type.getElementType());
    return instructions + cost.ofDistantBytes(std::min(accessed, distinct));
  }

  bool split(LoopRegion &region) {
    auto options = remark::RemarkOpts::name("ParallelizeKernels")
                       .category("cpu-parallelize-kernels")
                       .function(kernel.getSymName());
    Location loc = region.loops.front().getLoc();
    bool dynamic = false;
    SmallVector<Operation *> loops;
    SetVector<Value> used;
    for (scf::ForOp loop : region.loops) {
      dynamic |= isDynamic(loop);
      loops.push_back(loop);
      used.insert(loop->operand_begin(), loop->operand_end());
      getUsedValuesDefinedAbove(loop->getRegions(), used);
    }
    Captured captured;
    bool possible = llvm::all_of(used, [&](Value value) { return succeeded(capture(value, loops, captured)); });
    double nanoseconds = timeOf(region.loops, captured.buffers);
    auto partsOf = [&](int64_t units) {
      int64_t most = std::min({int64_t(nanoseconds / minimalPart), units, maximalParts});
      return int64_t(llvm::bit_floor(uint64_t(std::max<int64_t>(1, most))));
    };
    int64_t units = 1;
    for (scf::ForOp loop : region.loops) {
      ParallelNest nest = nestOf(loop, partsOf(maximalParts));
      int64_t product = 1;
      for (scf::ForOp counted : ArrayRef(nest.loops).drop_front(nest.first))
        product *= unitsOf(counted);
      units = std::max(units, product);
      region.nests.push_back(nest);
    }
    int64_t parts = partsOf(units);
    bool mayBeLong = dynamic && nanoseconds * sizesBeyondGuess > 2 * minimalPart;
    if (parts < 2 && !mayBeLong) {
      remark::missed(loc, options) << remark::reason("too short for a fork")
                                   << remark::metric("nanoseconds", int64_t(nanoseconds))
                                   << remark::metric("units", units);
      return false;
    }
    if (!possible) {
      remark::missed(loc, options) << remark::reason("uses a buffer that may overlap another, or a value that is no "
                                                     "scalar");
      return false;
    }
    func::FuncOp part = makePart(region, captured);
    builder.setInsertionPoint(loops.back()); // buffers of the stack may be made between them
    Value shift = dynamic ? emitShift(region)
                          : LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(llvm::Log2_64(parts)));
    emitFork(loc, part, captured, shift);
    for (Operation *loop : llvm::reverse(loops))
      loop->erase();
    remark::passed(loc, options) << remark::metric("parts", dynamic ? 0 : parts) << remark::metric("units", units)
                                 << remark::metric("nanoseconds", int64_t(nanoseconds));
    return true;
  }

  // --- how many parts, where sizes are known at run time only ---

  Value emitShift(const LoopRegion &region) {
    Location loc = kernel.getLoc();
    IRMapping here;
    Value time = constant(loc, 0), units = constant(loc, 1);
    for (const ParallelNest &nest : region.nests) {
      time = add(loc, time, emitTime(nest.loops.front(), nest.loops.front(), here));
      units = max(loc, units, levelsOf(nest, here).units);
    }
    Value parts = builder.createOrFold<arith::DivUIOp>(loc, time, constant(loc, 1000 * minimalPart));
    parts = max(loc, min(loc, min(loc, parts, units), constant(loc, maximalParts)), constant(loc, 1));
    Value word = toWord(loc, parts), last = LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(63));
    Value zeros = LLVM::CountLeadingZerosOp::create(builder, loc, word.getType(), word, /*is_zero_poison=*/true);
    return LLVM::SubOp::create(builder, loc, last, zeros);
  }

  // Picoseconds that a loop takes. Bounds that change inside of `outermost` are guessed.
  Value emitTime(scf::ForOp loop, scf::ForOp outermost, IRMapping &here) {
    Location loc = loop.getLoc();
    double fixed = cost.ofIteration();
    Value inside = constant(loc, 0);
    for (Operation &op : *loop.getBody()) {
      auto inner = dyn_cast<scf::ForOp>(op);
      if (inner && isDynamic(inner))
        inside = add(loc, inside, emitTime(inner, outermost, here));
      else
        fixed += cost.of(&op);
    }
    bool known = areBoundsKnownBefore(loop, outermost);
    Value trips = known ? emitTrips(loop, here) : constant(loc, guessedTrips(loop));
    return builder.createOrFold<arith::MulIOp>(loc, trips, add(loc, inside, constant(loc, int64_t(fixed * 1000))));
  }

  Value emitTrips(scf::ForOp loop, IRMapping &mapping) {
    Location loc = loop.getLoc();
    if (std::optional<int64_t> trips = tripsOf(loop))
      return constant(loc, *trips);
    Value step = known(loop.getStep(), mapping),
          distance = sub(loc, known(loop.getUpperBound(), mapping), known(loop.getLowerBound(), mapping));
    Value padded = max(loc, add(loc, distance, sub(loc, step, constant(loc, 1))), constant(loc, 0));
    return builder.createOrFold<arith::DivUIOp>(loc, padded, step);
  }

  // --- the function of a part ---

  func::FuncOp makePart(LoopRegion &region, const Captured &captured) {
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
          shift = toIndex(loc, entry->getArgument(arguments - 1));
    for (const ParallelNest &nest : region.nests) {
      Levels levels = levelsOf(nest, mapping);
      auto border = [&](Value at) -> Value {
        return arith::ShRUIOp::create(builder, loc, builder.createOrFold<arith::MulIOp>(loc, levels.units, at), shift);
      };
      Value begin = border(index), end = border(add(loc, index, constant(loc, 1)));
      emitLevel(levels.each, 0, begin, end, mapping);
    }
    builder.setInsertionPointToEnd(entry);
    func::ReturnOp::create(builder, loc);
    return part;
  }

  struct Level {
    scf::ForOp loop;
    Value lower, upper, step, units, inside; // inside: units of all loops within one iteration
    bool overlaps, split;
  };
  struct Levels {
    SmallVector<Level> each;
    Value units; // of all of them
  };

  Levels levelsOf(const ParallelNest &nest, IRMapping &mapping) {
    scf::ForOp outermost = nest.loops.front();
    Location loc = outermost.getLoc();
    Levels levels;
    for (scf::ForOp loop : nest.loops) {
      Level level{loop,
                  known(loop.getLowerBound(), mapping),
                  known(loop.getUpperBound(), mapping),
                  known(loop.getStep(), mapping),
                  emitTrips(loop, mapping),
                  {},
                  loop->hasAttr(overlapsAttr),
                  levels.each.size() >= nest.first};
      if (level.overlaps) { // the last two iterations are one unit
        Value some = min(loc, level.units, constant(loc, 1));
        level.units = max(loc, sub(loc, level.units, constant(loc, 1)), some);
      }
      levels.each.push_back(level);
    }
    levels.units = constant(loc, 1);
    for (Level &level : llvm::reverse(levels.each)) {
      level.inside = levels.units;
      if (level.split)
        levels.units = builder.createOrFold<arith::MulIOp>(loc, levels.units, level.units);
    }
    return levels;
  }

  // Units [begin, end) of the loops from levels[depth] on.
  void emitLevel(ArrayRef<Level> levels, unsigned depth, Value begin, Value end, IRMapping &mapping) {
    Level level = levels[depth];
    Location loc = level.loop.getLoc();
    bool innermost = depth + 1 == levels.size();
    Value one = constant(loc, 1), first = begin, last = end;
    if (level.split && !innermost) {
      Value inside = max(loc, level.inside, one); // nothing inside: no units at all
      first = builder.createOrFold<arith::DivUIOp>(loc, begin, inside);
      last = builder.createOrFold<arith::DivUIOp>(loc, add(loc, end, sub(loc, inside, one)), inside);
    }
    auto place = [&](Value unit) {
      return add(loc, level.lower, builder.createOrFold<arith::MulIOp>(loc, unit, level.step));
    };
    // The last step may be cut short.
    auto lower = getConstantIntValue(level.lower), upper = getConstantIntValue(level.upper),
         step = getConstantIntValue(level.step);
    bool whole = lower && upper && step && (*upper - *lower) % *step == 0;
    Value from = place(first), to = whole && !level.overlaps ? place(last) : min(loc, place(last), level.upper);
    if (!level.split) {
      from = level.lower;
      to = level.upper;
    } else if (level.overlaps) {
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
      if (!level.split) {
        emitLevel(levels, depth + 1, begin, end, mapping);
        continue;
      }
      Value unit = builder.createOrFold<arith::DivUIOp>(loc, sub(loc, variable, level.lower), level.step);
      if (level.overlaps)
        unit = min(loc, unit, sub(loc, level.units, one));
      Value before = builder.createOrFold<arith::MulIOp>(loc, unit, level.inside);
      Value lo = max(loc, sub(loc, begin, before), constant(loc, 0)),
            hi = min(loc, sub(loc, end, before), level.inside);
      emitLevel(levels, depth + 1, lo, hi, mapping);
    }
  }

  // A bound of a loop, computed before the outermost one: in the part, or, with nothing mapped, in the kernel.
  Value known(Value value, IRMapping &mapping) {
    if (Value found = mapping.lookupOrNull(value))
      return found;
    Operation *op = value.getDefiningOp();
    if (!op || !isMemoryEffectFree(op) || op->getNumRegions()) // in the kernel itself, before the loops
      return value;
    for (Value operand : op->getOperands())
      mapping.map(operand, known(operand, mapping));
    builder.clone(*op, mapping);
    return mapping.lookup(value);
  }

  // --- the call of the hook ---

  void emitFork(Location loc, func::FuncOp part, const Captured &captured, Value shift) {
    Type i64 = builder.getI64Type(), pointer = LLVM::LLVMPointerType::get(builder.getContext());
    if (!context) {
      unsigned last = kernel.getNumArguments();
      (void)kernel.insertArgument(last, pointer, DictionaryAttr(), loc);
      context = kernel.getArgument(last);
    }
    unsigned words = captured.buffers.size() + captured.words.size();
    OpBuilder first = OpBuilder::atBlockBegin(&kernel.getBody().front());
    Value data = LLVM::AllocaOp::create(first, loc, pointer, LLVM::LLVMArrayType::get(i64, words + 2),
                                        LLVM::ConstantOp::create(first, loc, builder.getI64IntegerAttr(1)));
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
    std::string caller =
        makeCaller(kernel->getParentOfType<ModuleOp>(), captured.buffers.size(), captured.words.size());
    Value body = LLVM::AddressOfOp::create(builder, loc, pointer, caller);
    LLVM::CallOp::create(builder, loc, TypeRange(), forkName, ValueRange{context, body, data, shift});
  }

  Value add(Location loc, Value a, Value b) { return builder.createOrFold<arith::AddIOp>(loc, a, b); }
  Value sub(Location loc, Value a, Value b) { return builder.createOrFold<arith::SubIOp>(loc, a, b); }
  Value min(Location loc, Value a, Value b) { return builder.createOrFold<arith::MinSIOp>(loc, a, b); }
  Value max(Location loc, Value a, Value b) { return builder.createOrFold<arith::MaxSIOp>(loc, a, b); }
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
  int64_t minimalPart, maximalParts;
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
      if (!kernel || kernel.isExternal() || !Parallelizer(kernel, *machine, minimalPart, maximalParts).run())
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
      loop->removeAttr(sharesInputAttr);
    });
  }
};

} // namespace
