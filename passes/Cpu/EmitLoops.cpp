// Writes a planned loop nest as scf.for over vector operations.
//
// The idea: values of the body have one of three forms along the vector dim: the same in all lanes (a scalar), growing
// by a constant a lane (a scalar and a step), or a vector. Each is computed in the outermost loop where all it depends
// on is known. A place where several points are written out side by side (unrolled vectors, rows of a transposed tile)
// is a list of instances, each with its own values on top of the shared ones. Must not read or write beyond the
// elements the operation touches.
#include "passes/Cpu/ByteTables.h"
#include "passes/Cpu/LoopForms.h"
#include "passes/Cpu/LoopNest.h"
#include "passes/Cpu/ParallelLoops.h"
#include "passes/Cpu/VectorMemory.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/Matchers.h"
#include <deque>

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

namespace {

using Accumulators = SmallVector<SmallVector<Value>>; // [instance][output]

class LoopEmitter {
public:
  LoopEmitter(OpBuilder &builder, const LoopNest &nest, const LoopPlan &plan, const Machine &machine, int64_t operation)
      : b(nest.op.getLoc(), builder), nest(nest), plan(plan), machine(machine), operation(operation),
        memory(b, machine) {}

  void run() {
    if (llvm::is_contained(nest.extents, Size(0)))
      return;
    for (const Size &extent : nest.extents)
      keep(extent);
    for (const NestOperand &o : nest.operands) {
      for (const Size &stride : o.strides)
        keep(stride);
    }
    State state;
    state.variables.resize(nest.extents.size());
    for (const NestOperand &o : nest.operands) {
      flat.push_back(o.isScalar ? Value() : memory.flatten(o.operand->get()));
      Value offset = index(o.offset);
      for (const Size &more : o.offsets)
        offset = b.createOrFold<arith::AddIOp>(offset, valueOf(more));
      state.offsets.push_back(offset);
    }
    for (unsigned i = 0; i < nest.outputs().size(); ++i)
      combiners.push_back(findCombiner(nest, i, computeType(nest.outputs()[i].element)));
    for (Operation &op : nest.body().without_terminator())
      if (auto load = dyn_cast<memref::LoadOp>(op)) {
        FailureOr<Layout> layout = layoutOf(b, b.getLoc(), load.getMemRef());
        flatLoads[load] = memory.flatten(load.getMemRef());
        loadStrides[load] = layout->strides;
        for (const Size &stride : layout->strides)
          keep(stride);
      }
    Scope root;
    Instance single;
    single.scope = &root;
    emitParallel(0, state, {single});
  }

private:
  Value index(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
  // What is known at run time only is computed once, before all loops.
  void keep(const Size &size) {
    if (!size.isStatic() && llvm::none_of(kept, [&](auto &pair) { return pair.first == size; }))
      kept.push_back({size, size.emit(b, b.getLoc())});
  }
  Value valueOf(const Size &size) {
    if (size.isStatic())
      return index(size.value());
    auto found = llvm::find_if(kept, [&](auto &pair) { return pair.first == size; });
    return found == kept.end() ? size.emit(b, b.getLoc()) : found->second;
  }
  Value times(Value value, const Size &factor) {
    return factor.is(1) ? value : b.createOrFold<arith::MulIOp>(value, valueOf(factor));
  }
  // offset + count * stride
  Value plus(Value offset, int64_t count, const Size &stride) {
    if (stride.isStatic() || count == 0)
      return memory.plus(offset, count * stride.orElse(0));
    return b.createOrFold<arith::AddIOp>(offset, times(index(count), stride));
  }

  bool vectorIsReduction() const { return plan.vectorDim >= 0 && nest.reduction[plan.vectorDim]; }
  static uint64_t bit(unsigned dim) { return uint64_t(1) << dim; }

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
      return unknownVectorLoop(state, outer, body);
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

  // An extent known at run time: groups of vectors, vectors, then what is left masked, or in ever narrower vectors.
  void unknownVectorLoop(const State &state, ArrayRef<Instance> outer,
                         llvm::function_ref<void(const State &, ArrayRef<Instance>)> body) {
    Value extent = valueOf(nest.extents[plan.vectorDim]), done = index(0);
    auto upTo = [&](Value end, int64_t points, unsigned width, bool masked) {
      loop(done, end, points, {}, [&](Value variable, ValueRange) {
        SmallVector<Instance> instances = vectorInstances(points, /*narrow=*/true);
        if (masked)
          instances[0].lanes = memory.lanesBefore(extent, variable, plan.width);
        if (width == 1)
          instances[0].width = instances[0].active = 1;
        runInstances(opened(state, plan.vectorDim, variable), outer, instances, body);
        return SmallVector<Value>();
      });
      done = end;
    };
    for (int64_t vectors = llvm::bit_floor(plan.unroll); vectors >= 1; vectors = vectors > 1 ? 1 : 0)
      upTo(memory.wholeOf(extent, vectors * plan.width), vectors * plan.width, plan.width, false);
    if (canMask())
      return upTo(extent, plan.width, plan.width, true);
    for (int64_t width = plan.width / 2; width > 1 && plan.width <= 8 && plan.tileDim < 0; width /= 2)
      upTo(memory.wholeOf(extent, width), width, width, false);
    upTo(extent, 1, 1, false);
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

  Value maskOf(const Instance &instance) {
    return instance.lanes ? instance.lanes : memory.mask(instance.width, instance.active);
  }

  // --- Values

  Value yielded(unsigned output) { return nest.body().getTerminator()->getOperand(output); }

  const Form *formOf(Value value, const Instance &instance) {
    if (const Form *form = instance.scope->find(value))
      return form;
    // From outside the body: a scalar.
    return &(instance.scope->forms[value] = {widen(value)});
  }

  // Values of f16 and bf16 live as f32.
  Value widen(Value value) {
    Type type = value.getType(), compute = computeType(getElementTypeOrSelf(type));
    if (compute == getElementTypeOrSelf(type))
      return value;
    return arith::ExtFOp::create(b, like(type, compute), value);
  }
  static Type like(Type shape, Type element) {
    auto vector = dyn_cast<VectorType>(shape);
    return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
  }

  Value splat(TypedAttr value, unsigned width) {
    if (width == 1)
      return arith::ConstantOp::create(b, value);
    return arith::ConstantOp::create(b, SplatElementsAttr::get(VectorType::get({width}, value.getType()), value));
  }

  Value inLanes(const Form &form, unsigned width) {
    if (form.isVector || width == 1)
      return form.value;
    auto type = VectorType::get({width}, form.value.getType());
    Value base = vector::BroadcastOp::create(b, type, form.value);
    if (form.step == 0)
      return base;
    SmallVector<Attribute> steps;
    for (unsigned lane = 0; lane < width; ++lane)
      steps.push_back(b.getIntegerAttr(form.value.getType(), int64_t(lane) * form.step));
    return arith::AddIOp::create(b, base, arith::ConstantOp::create(b, DenseElementsAttr::get(type, steps)));
  }

  Value combine(const Combiner &combiner, Value a, Value c) { return build(combiner.op, {a, c}, a.getType())[0]; }

  // The same operation on other types.
  SmallVector<Value> build(Operation *op, ArrayRef<Value> operands, TypeRange types) {
    OperationState state(b.getLoc(), op->getName(), operands, types, op->getAttrs());
    Operation *built = b.create(state);
    // Multiplications and additions may contract: one rounding less.
    if (isa<arith::AddFOp, arith::SubFOp, arith::MulFOp>(built))
      built->setAttr("fastmath",
                     arith::FastMathFlagsAttr::get(
                         b.getContext(), cast<arith::ArithFastMathInterface>(built).getFastMathFlagsAttr().getValue() |
                                             arith::FastMathFlags::contract));
    return built->getResults();
  }

  // Everything not yet computed whose dims are all open, in the order of the body.
  void emitReady(const State &state, ArrayRef<Instance> instances, bool accumulatorsKnown) {
    uint64_t known = state.open | (accumulatorsKnown ? LoopNest::accumulated : 0);
    auto isReady = [&](Value value) {
      return (nest.depends(value) & ~known) == 0 && !instances.front().scope->find(value);
    };
    for (unsigned i = 0; i < nest.inputs().size(); ++i) {
      BlockArgument argument = nest.operands[i].argument;
      if (argument.use_empty() || !isReady(argument))
        continue;
      if (isInterleavedHere(nest.operands[i], instances)) {
        loadInterleaved(i, state, instances);
        continue;
      }
      if (isTransposed(nest.operands[i]) && instances.front().width > 1) {
        loadTransposed(i, state, instances);
        continue;
      }
      for (const Instance &instance : instances)
        instance.scope->forms[argument] = loadOperand(i, state, instance);
    }
    for (Operation &op : nest.body().without_terminator()) {
      if (op.getNumResults() == 0 || !isReady(op.getResult(0)))
        continue;
      for (const Instance &instance : instances)
        emitOp(&op, state, instance);
    }
  }

  // --- Operands

  bool isTransposed(const NestOperand &o) {
    return plan.tileDim >= 0 && !plan.interleaved && !o.isScalar && o.strides[plan.tileDim].is(1) &&
           o.strides[plan.vectorDim].estimate(guessedSize) > 1;
  }

  // Where the instance's first element lies, from where the loop variables point.
  Value placeOf(unsigned operand, const State &state, const Instance &instance) {
    const NestOperand &o = nest.operands[operand];
    Value offset = state.offsets[operand];
    int64_t known = 0;
    auto add = [&](int dim, int64_t shift) {
      if (dim < 0)
        return;
      if (o.strides[dim].isStatic())
        known += shift * o.strides[dim].value();
      else
        offset = plus(offset, shift, o.strides[dim]);
    };
    add(plan.vectorDim, instance.vectorShift);
    add(plan.tileDim, instance.tileShift);
    return memory.plus(offset, known);
  }

  Form loadOperand(unsigned i, const State &state, const Instance &instance) {
    const NestOperand &o = nest.operands[i];
    if (o.isScalar)
      return {widen(o.operand->get())};
    Value offset = placeOf(i, state, instance);
    bool alongVector = plan.vectorDim >= 0 && (state.open & bit(plan.vectorDim)) && !o.strides[plan.vectorDim].is(0);
    if (!alongVector || instance.width == 1)
      return load(flat[i], o.element, {offset}, instance);
    const Size &step = o.strides[plan.vectorDim];
    if (step.isStatic())
      return load(flat[i], o.element, {offset, step.value()}, instance);
    return load(flat[i], o.element, {lanesApart(offset, step, instance.width), 0, true}, instance);
  }

  // The places of a vector's elements that lie `step` apart.
  Value lanesApart(Value offset, const Size &step, unsigned width) {
    auto type = VectorType::get({width}, b.getIndexType());
    Value apart =
        arith::MulIOp::create(b, inLanes({index(0), 1}, width), vector::BroadcastOp::create(b, type, valueOf(step)));
    return arith::AddIOp::create(b, vector::BroadcastOp::create(b, type, offset), apart);
  }

  Form load(Value buffer, Type element, const Form &offset, const Instance &instance) {
    Value raw = offset.isVector    ? memory.loadLanes(buffer, offset.value, instance.width, instance.active)
                : offset.step == 0 ? memory.loadScalar(buffer, offset.value)
                : instance.lanes && offset.step == 1
                    ? memory.loadMasked(buffer, offset.value, instance.lanes)
                    : memory.loadStrided(buffer, offset.value, offset.step, instance.width, instance.active);
    bool isVector = isa<VectorType>(raw.getType());
    return {element.isInteger(1) ? memory.toBool(raw) : isMove() ? raw : widen(raw), 0, isVector};
  }

  // The body only moves elements: halves need not be widened.
  bool isMove() { return nest.body().getOperations().size() == 1 && plan.reductionOrder.empty(); }

  // All instances' vectors at once: a vector along the tile dim for each lane, then rows and columns change places.
  void loadTransposed(unsigned i, const State &state, ArrayRef<Instance> instances) {
    const NestOperand &o = nest.operands[i];
    unsigned lanes = instances.front().active, columns = instances.size(), width = plan.width;
    SmallVector<Value> rows;
    for (unsigned lane = 0; lane < lanes; ++lane) {
      Value offset = plus(state.offsets[i], lane, o.strides[plan.vectorDim]);
      rows.push_back(memory.loadStrided(flat[i], offset, 1, width, columns));
    }
    memory.transpose(rows, width, columns);
    for (unsigned column = 0; column < columns; ++column) {
      Value raw = rows[column];
      instances[column].scope->forms[o.argument] = {o.element.isInteger(1) ? memory.toBool(raw)
                                                    : isMove()             ? raw
                                                                           : widen(raw),
                                                    0, true};
    }
  }

  bool isInterleavedHere(const NestOperand &o, ArrayRef<Instance> instances) {
    return plan.interleaved && instances.front().width > 1 && isInterleaved(nest, o, plan.vectorDim, plan.tileDim);
  }

  // Groups of as many elements as there are instances, `active` groups: whole vectors of memory, then one vector an
  // instance.
  void loadInterleaved(unsigned i, const State &state, ArrayRef<Instance> instances) {
    const NestOperand &o = nest.operands[i];
    unsigned width = instances.front().width, total = instances.front().active * instances.size();
    SmallVector<Value> parts;
    for (unsigned start = 0; start < total; start += width)
      parts.push_back(
          memory.loadStrided(flat[i], memory.plus(state.offsets[i], start), 1, width, std::min(width, total - start)));
    for (unsigned column = 0; column < instances.size(); ++column) {
      Value raw = memory.deinterleave(parts, column, instances.size(), width);
      instances[column].scope->forms[o.argument] = {o.element.isInteger(1) ? memory.toBool(raw)
                                                    : isMove()             ? raw
                                                                           : widen(raw),
                                                    0, true};
    }
  }

  void storeInterleaved(unsigned i, const State &state, ArrayRef<Instance> instances) {
    unsigned operand = nest.inputs().size() + i, width = instances.front().width,
             total = instances.front().active * instances.size();
    SmallVector<Value> columns;
    for (const Instance &instance : instances)
      columns.push_back(stored(inLanes(*formOf(yielded(i), instance), width), nest.operands[operand].element));
    for (unsigned start = 0; start < total; start += width)
      memory.storeStrided(memory.interleave(columns, start, width), flat[operand],
                          memory.plus(state.offsets[operand], start), 1, std::min(width, total - start));
  }

  // As memory holds it.
  Value stored(Value value, Type element) {
    if (element.isInteger(1))
      return arith::ExtUIOp::create(b, like(value.getType(), b.getI8Type()), value);
    if (getElementTypeOrSelf(value.getType()) != element)
      return arith::TruncFOp::create(b, like(value.getType(), element), value);
    return value;
  }

  void storeOutput(unsigned i, const State &state, const Instance &instance, const Form &form) {
    unsigned operand = nest.inputs().size() + i;
    const NestOperand &o = nest.operands[operand];
    Value offset = placeOf(operand, state, instance);
    Size step = plan.vectorDim >= 0 && instance.width > 1 ? o.strides[plan.vectorDim] : Size(0);
    Value value = stored(step.is(0) ? form.value : inLanes(form, instance.width), o.element);
    if (step.is(0))
      memory.storeScalar(value, flat[operand], offset);
    else if (instance.lanes)
      memory.storeMasked(value, flat[operand], offset, instance.lanes);
    else if (step.isStatic())
      memory.storeStrided(value, flat[operand], offset, step.value(), instance.active);
    else
      for (unsigned lane = 0; lane < instance.active; ++lane)
        memory.storeScalar(vector::ExtractOp::create(b, value, lane), flat[operand], plus(offset, lane, step));
  }

  // --- Operations of the body

  void emitOp(Operation *op, const State &state, const Instance &instance) {
    auto set = [&](Form form) { instance.scope->forms[op->getResult(0)] = form; };
    if (auto indexOp = dyn_cast<linalg::IndexOp>(op)) {
      int dim = nest.dimOfIndex[indexOp.getDim()];
      if (dim < 0)
        return set({index(0)});
      if (dim == plan.vectorDim)
        return set({memory.plus(state.variables[dim], instance.vectorShift), instance.width > 1 ? 1 : 0});
      return set({memory.plus(state.variables[dim], dim == plan.tileDim ? instance.tileShift : 0)});
    }
    if (isa<arith::ConstantOp>(op))
      return set({widen(b.clone(*op)->getResult(0))});
    if (auto load = dyn_cast<memref::LoadOp>(op))
      return set(emitLoad(load, instance));
    if (std::optional<ByteTable> table = matchLookup(op->getResult(0))) {
      const Form &bytes = *formOf(table->input, instance);
      return set({emitLookup(b, b.getLoc(), machine, table->values, bytes.value), 0, bytes.isVector});
    }

    SmallVector<Form> forms;
    for (Value operand : op->getOperands())
      forms.push_back(*formOf(operand, instance));
    bool uniform = llvm::all_of(forms, [](const Form &f) { return !f.isVector && f.step == 0; });
    if (!uniform)
      if (std::optional<Form> linear = emitLinear(op, forms))
        return set(*linear);
    unsigned width = uniform ? 1 : instance.width;
    SmallVector<Value> operands;
    for (const Form &form : forms)
      operands.push_back(inLanes(form, width));
    // Lanes that hold nothing must not divide by it.
    if (isa<arith::DivSIOp, arith::DivUIOp, arith::RemSIOp, arith::RemUIOp, arith::FloorDivSIOp, arith::CeilDivSIOp,
            arith::CeilDivUIOp>(op) &&
        width > 1 && instance.isPartial())
      operands[1] =
          arith::SelectOp::create(b, maskOf(instance), operands[1],
                                  splat(b.getIntegerAttr(getElementTypeOrSelf(operands[1].getType()), 1), width));
    for (auto [result, value] : llvm::zip(op->getResults(), convert(op, operands, width)))
      instance.scope->forms[result] = {value, 0, width > 1};
  }

  SmallVector<Value> convert(Operation *op, SmallVector<Value> operands, unsigned width) {
    auto shaped = [&](Type type) { return width > 1 ? Type(VectorType::get({width}, type)) : type; };
    Type from = op->getOperand(0).getType(), to = op->getResult(0).getType();
    bool narrowFrom = computeType(from) != from, narrowTo = computeType(to) != to;
    if (isa<arith::ExtFOp>(op) && narrowFrom && computeType(from) == computeType(to))
      return operands;
    if (isa<arith::BitcastOp>(op) && narrowFrom)
      operands[0] = arith::TruncFOp::create(b, shaped(from), operands[0]);
    if (narrowTo && (isa<arith::BitcastOp>(op) || (isa<arith::TruncFOp>(op))))
      return {widen(build(op, operands, shaped(to))[0])};
    SmallVector<Type> types;
    for (Type type : op->getResultTypes())
      types.push_back(shaped(computeType(type)));
    SmallVector<Value> results = build(op, operands, types);
    // What rounds to a narrow type on purpose keeps its rounding.
    if (narrowTo && isa<arith::SIToFPOp, arith::UIToFPOp>(op))
      results[0] = widen(arith::TruncFOp::create(b, shaped(to), results[0]));
    return results;
  }

  // Sums, differences and constant multiples of values with a step have one too.
  std::optional<Form> emitLinear(Operation *op, ArrayRef<Form> forms) {
    if (llvm::any_of(forms, [](const Form &f) { return f.isVector; }))
      return std::nullopt;
    auto scalar = [&] {
      return build(op, llvm::map_to_vector(forms, [](const Form &f) { return f.value; }), op->getResultTypes())[0];
    };
    if (isa<arith::AddIOp>(op))
      return Form{scalar(), forms[0].step + forms[1].step};
    if (isa<arith::SubIOp>(op))
      return Form{scalar(), forms[0].step - forms[1].step};
    if (isa<arith::IndexCastOp, arith::IndexCastUIOp>(op))
      return Form{scalar(), forms[0].step};
    if (isa<arith::MulIOp>(op))
      for (unsigned i : {0, 1})
        if (APInt factor; forms[i].step == 0 && matchPattern(forms[i].value, m_ConstantInt(&factor)))
          return Form{scalar(), forms[1 - i].step * factor.getSExtValue()};
    return std::nullopt;
  }

  Form emitLoad(memref::LoadOp op, const Instance &instance) {
    Form offset{index(0)};
    for (auto [position, stride] : llvm::zip(op.getIndices(), loadStrides[op])) {
      Form form = *formOf(position, instance);
      if (!stride.isStatic() && form.step != 0)
        form = {inLanes(form, instance.width), 0, true};
      if (form.isVector && !offset.isVector)
        offset = {inLanes(offset, instance.width), 0, true};
      Value factor;
      if (!stride.isStatic())
        factor = inLanes({valueOf(stride)}, form.isVector ? instance.width : 1);
      else if (!stride.is(1))
        factor = splat(b.getIndexAttr(stride.value()), form.isVector ? instance.width : 1);
      Value scaled = factor ? b.createOrFold<arith::MulIOp>(form.value, factor) : form.value;
      Form term{scaled, form.step * stride.orElse(0), form.isVector};
      if (offset.isVector)
        offset.value = arith::AddIOp::create(b, offset.value, inLanes(term, instance.width));
      else
        offset = {b.createOrFold<arith::AddIOp>(offset.value, term.value), offset.step + term.step, false};
    }
    return load(flatLoads[op], op.getMemRefType().getElementType(), offset, instance);
  }

  ImplicitLocOpBuilder b;
  const LoopNest &nest;
  const LoopPlan &plan;
  const Machine &machine;
  int64_t operation;
  bool independent = isIndependent(nest);
  VectorMemory memory;
  SmallVector<std::pair<Size, Value>> kept;
  llvm::DenseMap<Operation *, SmallVector<Size>> loadStrides;
  SmallVector<Value> flat;
  llvm::DenseMap<Operation *, Value> flatLoads;
  SmallVector<std::optional<Combiner>> combiners;
};

} // namespace

void burin::cpu::emitLoops(OpBuilder &builder, const LoopNest &nest, const LoopPlan &plan, const Machine &machine,
                           int64_t operation) {
  LoopEmitter(builder, nest, plan, machine, operation).run();
}
