// Writes a planned loop nest as scf.for over vector operations.
//
// The idea: values of the body have one of three forms along the vector dim: the same in all lanes (a scalar), growing
// by a constant a lane (a scalar and a step), or a vector. Each is computed in the outermost loop where all it depends
// on is known. A place where several points are written out side by side (unrolled vectors, rows of a transposed tile)
// is a list of instances, each with its own values on top of the shared ones. Must not read or write beyond the
// elements the operation touches.
#include "passes/Cpu/EmitPoints.h"
#include "passes/Cpu/ParallelLoops.h"
#include "passes/Cpu/Views.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/Support/SaveAndRestore.h"
#include <deque>

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

using Accumulators = SmallVector<SmallVector<Value>>; // [instance][output]

class LoopEmitter : PointEmitter {
public:
  LoopEmitter(OpBuilder &builder, const LoopNest &nest, const LoopPlan &plan, const Machine &machine, int64_t operation)
      : PointEmitter(builder, nest, plan, machine), operation(operation) {}

  void run() {
    if (llvm::is_contained(nest.extents, Size(0)))
      return;
    State state = outside();
    for (unsigned i = 0; i < nest.outputs().size(); ++i)
      combiners.push_back(findCombiner(nest, i, computeType(nest.outputs()[i].element)));
    Scope root;
    Instance single;
    single.scope = &root;
    emitParallel(0, state, {single});
  }

private:
  bool vectorIsReduction() const { return plan.vectorDim >= 0 && nest.reduction[plan.vectorDim]; }

  // --- Loops

  State opened(const State &outer, unsigned dim, Value variable) {
    State state = outer;
    state.variables[dim] = variable;
    state.open |= bit(dim);
    SmallVector<std::pair<Size, unsigned>> seen; // operands that step alike share the address
    for (unsigned i = 0; i < nest.operands.size(); ++i) {
      const NestOperand &o = nest.operands[i];
      if (o.isScalar || o.strides[dim].is(0))
        continue;
      auto same = llvm::find_if(
          seen, [&](auto &s) { return s.first == o.strides[dim] && outer.offsets[s.second] == outer.offsets[i]; });
      if (same != seen.end()) {
        state.offsets[i] = state.offsets[same->second];
        continue;
      }
      state.offsets[i] = b.createOrFold<arith::AddIOp>(outer.offsets[i], times(variable, o.strides[dim]));
      seen.push_back({o.strides[dim], i});
    }
    return state;
  }

  // A loop over [0, end) by `step`, or its body once when it runs once. `body` gets the loop variable and the carried
  // values; one that carries none goes over results.
  SmallVector<Value> loop(int64_t end, int64_t step, ValueRange carried,
                          llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    if (end <= 0)
      return carried;
    if (end <= step)
      return body(index(0), carried);
    return loop(index(0), index(end), step, carried, body);
  }
  SmallVector<Value> loop(const Size &end, int64_t step, ValueRange carried,
                          llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    return end.isStatic() ? loop(end.value(), step, carried, body) : loop(index(0), valueOf(end), step, carried, body);
  }
  SmallVector<Value> loop(Value begin, Value end, int64_t step, ValueRange carried,
                          llvm::function_ref<SmallVector<Value>(Value, ValueRange)> body) {
    auto loop = scf::ForOp::create(b, begin, end, index(step), carried);
    if (carried.empty() && independent)
      markParallel(loop, operation, /*overlaps=*/false);
    OpBuilder::InsertionGuard guard(b);
    if (carried.empty())
      b.setInsertionPoint(loop.getBody()->getTerminator());
    else
      b.setInsertionPointToStart(loop.getBody());
    SmallVector<Value> results = body(loop.getInductionVar(), loop.getRegionIterArgs());
    if (!carried.empty())
      scf::YieldOp::create(b, results);
    return loop.getResults();
  }

  // The vector dim in steps of whole groups of vectors, then the rest written out. `carried` belongs to the caller's
  // instances.
  void vectorLoop(const State &state, ArrayRef<Instance> outer,
                  llvm::function_ref<void(const State &, ArrayRef<Instance>)> body) {
    int64_t group = int64_t(plan.width) * plan.unroll;
    if (!nest.extents[plan.vectorDim].isStatic())
      return unknownVectorLoop(state, index(0), valueOf(nest.extents[plan.vectorDim]), outer, body);
    if (plan.streamed)
      return streamedVectorLoop(state, outer, body);
    int64_t extent = nest.extents[plan.vectorDim].value(), whole = extent / group * group;
    loop(whole, group, {}, [&](Value variable, ValueRange) {
      runInstances(opened(state, plan.vectorDim, variable), outer, vectorInstances(group, /*narrow=*/true), body);
      return SmallVector<Value>();
    });
    if (whole < extent)
      runInstances(opened(state, plan.vectorDim, index(whole)), outer, vectorInstances(extent - whole, /*narrow=*/true),
                   body);
  }

  // Whether the lanes beyond the end may be masked away: only where every access of a vector is one contiguous piece.
  bool canMask() const {
    auto isPiece = [&](const NestOperand &o) {
      return o.isScalar || o.strides[plan.vectorDim].is(0) || o.strides[plan.vectorDim].is(1);
    };
    for (Operation &op : nest.body().without_terminator())
      if (isa<memref::LoadOp>(op) && (nest.depends(op.getResult(0)) & bit(plan.vectorDim)))
        return false;
    return machine.maskedMemory && plan.tileDim < 0 && llvm::all_of(nest.operands, isPiece);
  }

  // Points known at run time: groups of vectors, vectors, then what is left masked, or in ever narrower vectors.
  void unknownVectorLoop(const State &state, Value begin, Value end, ArrayRef<Instance> outer,
                         llvm::function_ref<void(const State &, ArrayRef<Instance>)> body) {
    Value extent = b.createOrFold<arith::SubIOp>(end, begin), done = begin;
    auto upTo = [&](Value to, int64_t points, unsigned width, bool masked) {
      loop(done, to, points, {}, [&](Value variable, ValueRange) {
        SmallVector<Instance> instances = vectorInstances(points, /*narrow=*/true);
        if (masked)
          instances[0].lanes = memory.lanesBefore(end, variable, plan.width);
        if (width == 1)
          instances[0].width = instances[0].active = 1;
        runInstances(opened(state, plan.vectorDim, variable), outer, instances, body);
        return SmallVector<Value>();
      });
      done = to;
    };
    auto wholeOf = [&](int64_t points) { return b.createOrFold<arith::AddIOp>(begin, memory.wholeOf(extent, points)); };
    for (int64_t vectors = llvm::bit_floor(plan.unroll); vectors >= 1; vectors = vectors > 1 ? 1 : 0)
      upTo(wholeOf(vectors * plan.width), vectors * plan.width, plan.width, false);
    if (canMask())
      return upTo(end, plan.width, plan.width, true);
    for (int64_t width = plan.width / 2; width > 1 && plan.width <= 8 && plan.tileDim < 0; width /= 2)
      upTo(wholeOf(width), width, width, false);
    upTo(end, 1, 1, false);
  }

  // Points up to the output's next cache line, then as many groups of vectors as fit from any such point on (a number
  // that is known, for whoever splits the loop), stored past the caches, then the rest. Caller's buffers begin
  // anywhere.
  void streamedVectorLoop(const State &state, ArrayRef<Instance> outer,
                          llvm::function_ref<void(const State &, ArrayRef<Instance>)> body) {
    unsigned output = nest.inputs().size();
    int64_t bytes = storageBytes(nest.operands[output].element), line = cacheLine / bytes;
    int64_t extent = nest.extents[plan.vectorDim].value(), group = int64_t(plan.width) * plan.unroll;
    int64_t whole = (extent - (line - 1)) / group * group;
    Value before = memory.elementsToLine(flat[output], state.offsets[output], bytes);
    llvm::SaveAndRestore ends(independent, false);
    unknownVectorLoop(state, index(0), before, outer, body);
    {
      llvm::SaveAndRestore middle(independent, ends.get());
      llvm::SaveAndRestore past(streaming, true);
      loop(whole, group, {}, [&](Value variable, ValueRange) {
        Value first = arith::AddIOp::create(b, before, variable);
        runInstances(opened(state, plan.vectorDim, first), outer, vectorInstances(group, /*narrow=*/true), body);
        return SmallVector<Value>();
      });
    }
    unknownVectorLoop(state, b.createOrFold<arith::AddIOp>(before, index(whole)), index(extent), outer, body);
  }

  void tileLoop(const State &state, ArrayRef<Instance> outer,
                llvm::function_ref<void(const State &, ArrayRef<Instance>)> body) {
    const Size &size = nest.extents[plan.tileDim];
    int64_t extent = size.orElse(0), tile = plan.interleaved ? extent : plan.width, whole = extent / tile * tile;
    auto rows = [](int64_t count) {
      SmallVector<Instance> instances(count);
      for (int64_t i = 0; i < count; ++i)
        instances[i].tileShift = i;
      return instances;
    };
    auto each = [&](int64_t count) {
      return [&, count](Value variable, ValueRange) {
        runInstances(opened(state, plan.tileDim, variable), outer, rows(count), body);
        return SmallVector<Value>();
      };
    };
    if (!size.isStatic()) {
      Value tiles = memory.wholeOf(valueOf(size), tile);
      loop(index(0), tiles, tile, {}, each(tile));
      loop(tiles, valueOf(size), 1, {}, each(1));
      return;
    }
    loop(whole, tile, {}, each(tile));
    if (whole < extent)
      runInstances(opened(state, plan.tileDim, index(whole)), outer, rows(extent - whole), body);
  }

  // `points` lanes as vectors; the last one may have fewer lanes than `width`, in a smaller vector if it may be narrow.
  SmallVector<Instance> vectorInstances(int64_t points, bool narrow) {
    SmallVector<Instance> instances;
    for (int64_t shift = 0; shift < points; shift += plan.width) {
      Instance instance;
      instance.vectorShift = shift;
      instance.active = std::min<int64_t>(plan.width, points - shift);
      instance.width =
          narrow && (plan.tileDim < 0 || plan.interleaved) ? llvm::PowerOf2Ceil(instance.active) : plan.width;
      instances.push_back(instance);
    }
    return instances;
  }

  // Every outer instance times every inner one, each with a scope of its own.
  void runInstances(const State &state, ArrayRef<Instance> outer, ArrayRef<Instance> inner,
                    llvm::function_ref<void(const State &, ArrayRef<Instance>)> body) {
    std::deque<Scope> scopes;
    SmallVector<Instance> product;
    for (const Instance &o : outer)
      for (const Instance &i : inner) {
        Instance both = i;
        both.vectorShift += o.vectorShift;
        both.tileShift += o.tileShift;
        both.width = std::max(i.width, o.width);
        both.active = std::max(i.active, o.active);
        both.lanes = i.lanes ? i.lanes : o.lanes;
        both.scope = &scopes.emplace_back();
        both.scope->parent = o.scope;
        product.push_back(both);
      }
    body(state, product);
  }

  void emitParallel(unsigned depth, const State &state, ArrayRef<Instance> instances) {
    emitReady(state, instances, /*accumulatorsKnown=*/false);
    if (depth == plan.parallelOrder.size())
      return emitPoint(state, instances);
    unsigned dim = plan.parallelOrder[depth];
    auto next = [&](const State &inner, ArrayRef<Instance> points) { emitParallel(depth + 1, inner, points); };
    if (int(dim) == plan.vectorDim)
      return vectorLoop(state, instances, next);
    if (int(dim) == plan.tileDim)
      return tileLoop(state, instances, next);
    loop(nest.extents[dim], 1, {}, [&](Value variable, ValueRange) {
      runInstances(opened(state, dim, variable), instances, Instance(), next);
      return SmallVector<Value>();
    });
  }

  // All parallel loops are open.
  void emitPoint(const State &state, ArrayRef<Instance> instances) {
    if (plan.reductionOrder.empty()) {
      for (const Instance &instance : instances)
        for (unsigned i = 0; i < nest.outputs().size(); ++i)
          if (!nest.outputs()[i].argument.use_empty())
            instance.scope->forms[nest.outputs()[i].argument] = loadOperand(nest.inputs().size() + i, state, instance);
      emitReady(state, instances, /*accumulatorsKnown=*/true);
      for (unsigned i = 0; i < nest.outputs().size(); ++i) {
        if (isInterleavedHere(nest.outputs()[i], instances)) {
          storeInterleaved(i, state, instances);
          continue;
        }
        for (const Instance &instance : instances)
          storeOutput(i, state, instance, *formOf(yielded(i), instance));
      }
      return;
    }
    if (!vectorIsReduction()) {
      Accumulators accumulators;
      for (const Instance &instance : instances) {
        accumulators.emplace_back();
        for (unsigned i = 0; i < nest.outputs().size(); ++i)
          accumulators.back().push_back(
              inLanes(loadOperand(nest.inputs().size() + i, state, instance), instance.width));
      }
      accumulators = emitReductions(0, state, instances, accumulators);
      for (auto [instance, values] : llvm::zip(instances, accumulators))
        for (unsigned i = 0; i < nest.outputs().size(); ++i)
          storeOutput(i, state, instance, {values[i], 0, instance.width > 1});
      return;
    }
    // One vector accumulator for each vector of a step, all starting from nothing; the old value of the output joins at
    // the end.
    const Instance &single = instances.front();
    Accumulators accumulators(plan.unroll);
    for (auto &values : accumulators)
      for (auto &combiner : combiners)
        values.push_back(splat(combiner->neutral, plan.width));
    bool apart = endsInScalars();
    if (apart) {
      accumulators.emplace_back();
      for (auto &combiner : combiners)
        accumulators.back().push_back(splat(combiner->neutral, 1));
    }
    accumulators = emitReductions(0, state, instances, accumulators);
    SmallVector<Value> scalars;
    if (apart)
      scalars = accumulators.pop_back_val();
    for (unsigned i = 0; i < nest.outputs().size(); ++i) {
      SmallVector<Value> parts;
      for (auto &values : accumulators)
        parts.push_back(values[i]);
      while (parts.size() > 1) {
        SmallVector<Value> halves;
        for (unsigned p = 0; p + 1 < parts.size(); p += 2)
          halves.push_back(combine(*combiners[i], parts[p], parts[p + 1]));
        if (parts.size() % 2)
          halves.push_back(parts.back());
        parts = halves;
      }
      auto fastmath = isa<FloatType>(getElementTypeOrSelf(parts[0].getType())) ? arith::FastMathFlags::reassoc
                                                                               : arith::FastMathFlags::none;
      Value sum = vector::ReductionOp::create(b, combiners[i]->kind, parts[0], fastmath);
      if (apart)
        sum = combine(*combiners[i], sum, scalars[i]);
      Form old = loadOperand(nest.inputs().size() + i, state, single);
      storeOutput(i, state, single, {combine(*combiners[i], sum, old.value)});
    }
  }

  // A reduction along vectors of an extent known at run time, without masks: its last elements have an accumulator of
  // their own, behind the others.
  bool endsInScalars() const { return vectorIsReduction() && !nest.extents[plan.vectorDim].isStatic() && !canMask(); }

  Accumulators emitReductions(unsigned depth, const State &state, ArrayRef<Instance> instances,
                              Accumulators accumulators) {
    if (depth > 0)
      emitReady(state, instances, /*accumulatorsKnown=*/false);
    if (depth == plan.reductionOrder.size())
      return accumulate(state, instances, accumulators);
    unsigned dim = plan.reductionOrder[depth], outputs = nest.outputs().size();
    auto flatten = [](const Accumulators &a) {
      SmallVector<Value> values;
      for (auto &part : a)
        llvm::append_range(values, part);
      return values;
    };
    auto unflatten = [&](ValueRange values) {
      Accumulators a;
      for (unsigned i = 0; i < values.size(); i += outputs)
        a.emplace_back(values.slice(i, outputs).begin(), values.slice(i, outputs).end());
      return a;
    };
    auto inside = [&](const State &inner, ArrayRef<Instance> points, const Accumulators &given) {
      Accumulators result;
      runInstances(inner, instances, points,
                   [&](const State &s, ArrayRef<Instance> all) { result = emitReductions(depth + 1, s, all, given); });
      return result;
    };
    if (int(dim) != plan.vectorDim)
      return unflatten(loop(nest.extents[dim], 1, flatten(accumulators), [&](Value variable, ValueRange carried) {
        return flatten(inside(opened(state, dim, variable), Instance(), unflatten(carried)));
      }));
    int64_t group = int64_t(plan.width) * plan.unroll;
    if (!nest.extents[dim].isStatic()) {
      Value end = valueOf(nest.extents[dim]), done = index(0);
      // Points of one step, and the accumulators they go to.
      auto upTo = [&](Value to, int64_t points, unsigned first, unsigned count, bool masked) {
        Accumulators some(accumulators.begin() + first, accumulators.begin() + first + count);
        some = unflatten(loop(done, to, points, flatten(some), [&](Value variable, ValueRange carried) {
          SmallVector<Instance> all = vectorInstances(points, /*narrow=*/false);
          for (Instance &instance : all) {
            if (masked)
              instance.lanes = memory.lanesBefore(end, variable, plan.width, instance.vectorShift);
            if (points == 1)
              instance.width = instance.active = 1;
          }
          return flatten(inside(opened(state, dim, variable), all, unflatten(carried)));
        }));
        llvm::copy(some, accumulators.begin() + first);
        done = to;
      };
      upTo(memory.wholeOf(end, group), group, 0, plan.unroll, false);
      if (!endsInScalars()) {
        upTo(end, group, 0, plan.unroll, true);
        return accumulators;
      }
      if (plan.unroll > 1)
        upTo(memory.wholeOf(end, plan.width), plan.width, 0, 1, false);
      upTo(end, 1, plan.unroll, 1, false);
      return accumulators;
    }
    int64_t extent = nest.extents[dim].value(), whole = extent / group * group;
    accumulators = unflatten(loop(whole, group, flatten(accumulators), [&](Value variable, ValueRange carried) {
      return flatten(
          inside(opened(state, dim, variable), vectorInstances(group, /*narrow=*/false), unflatten(carried)));
    }));
    if (whole < extent) {
      SmallVector<Instance> rest = vectorInstances(extent - whole, /*narrow=*/false);
      Accumulators some = inside(opened(state, dim, index(whole)), rest,
                                 Accumulators(accumulators.begin(), accumulators.begin() + rest.size()));
      llvm::copy(some, accumulators.begin());
    }
    return accumulators;
  }

  // The innermost point of a reduction: the body once an instance.
  Accumulators accumulate(const State &state, ArrayRef<Instance> instances, const Accumulators &accumulators) {
    for (auto [instance, values] : llvm::zip(instances, accumulators))
      for (unsigned i = 0; i < nest.outputs().size(); ++i)
        instance.scope->forms[nest.outputs()[i].argument] = {values[i], 0, isa<VectorType>(values[i].getType())};
    emitReady(state, instances, /*accumulatorsKnown=*/true);
    Accumulators results;
    for (auto [instance, old] : llvm::zip(instances, accumulators)) {
      results.emplace_back();
      for (unsigned i = 0; i < nest.outputs().size(); ++i) {
        Value value = inLanes(*formOf(yielded(i), instance), instance.width);
        if (vectorIsReduction() && instance.isPartial())
          value = arith::SelectOp::create(b, maskOf(instance), value, old[i]);
        results.back().push_back(value);
      }
    }
    return results;
  }

  int64_t operation;
  bool independent = isIndependent(nest);
  SmallVector<std::optional<Combiner>> combiners;
};

} // namespace

void burin::cpu::emitLoops(OpBuilder &builder, const LoopNest &nest, const LoopPlan &plan, const Machine &machine,
                           int64_t operation) {
  LoopEmitter(builder, nest, plan, machine, operation).run();
}
