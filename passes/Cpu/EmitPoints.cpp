// Reads operands, writes the operations of the body and stores results, for the points of a nest that stand side by
// side.
#include "passes/Cpu/EmitPoints.h"
#include "passes/Cpu/ByteTables.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace burin;
using namespace burin::cpu;

PointEmitter::PointEmitter(OpBuilder &builder, const LoopNest &nest, const LoopPlan &plan, const Machine &machine)
    : b(nest.op.getLoc(), builder), nest(nest), plan(plan), machine(machine), memory(b, machine) {}

State PointEmitter::outside() {
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
  for (Operation &op : nest.body().without_terminator())
    if (auto load = dyn_cast<memref::LoadOp>(op)) {
      FailureOr<Layout> layout = layoutOf(b, b.getLoc(), load.getMemRef());
      flatLoads[load] = memory.flatten(load.getMemRef());
      loadStrides[load] = layout->strides;
      for (const Size &stride : layout->strides)
        keep(stride);
    }
  return state;
}

// --- Sizes

Value PointEmitter::index(int64_t value) { return arith::ConstantIndexOp::create(b, value); }
void PointEmitter::keep(const Size &size) {
  if (!size.isStatic() && llvm::none_of(kept, [&](auto &pair) { return pair.first == size; }))
    kept.push_back({size, size.emit(b, b.getLoc())});
}
Value PointEmitter::valueOf(const Size &size) {
  if (size.isStatic())
    return index(size.value());
  auto found = llvm::find_if(kept, [&](auto &pair) { return pair.first == size; });
  return found == kept.end() ? size.emit(b, b.getLoc()) : found->second;
}
Value PointEmitter::times(Value value, const Size &factor) {
  return factor.is(1) ? value : b.createOrFold<arith::MulIOp>(value, valueOf(factor));
}
Value PointEmitter::plus(Value offset, int64_t count, const Size &stride) {
  if (stride.isStatic() || count == 0)
    return memory.plus(offset, count * stride.orElse(0));
  return b.createOrFold<arith::AddIOp>(offset, times(index(count), stride));
}

Value PointEmitter::maskOf(const Instance &instance) {
  return instance.lanes ? instance.lanes : memory.mask(instance.width, instance.active);
}

// --- Values

const Form *PointEmitter::formOf(Value value, const Instance &instance) {
  if (const Form *form = instance.scope->find(value))
    return form;
  // From outside the body: a scalar.
  return &(instance.scope->forms[value] = {widen(value)});
}

static Type like(Type shape, Type element) {
  auto vector = dyn_cast<VectorType>(shape);
  return vector ? Type(VectorType::get(vector.getShape(), element)) : element;
}

// Values of f16 and bf16 live as f32.
Value PointEmitter::widen(Value value) {
  Type type = value.getType(), compute = computeType(getElementTypeOrSelf(type));
  if (compute == getElementTypeOrSelf(type))
    return value;
  return arith::ExtFOp::create(b, like(type, compute), value);
}

Value PointEmitter::splat(TypedAttr value, unsigned width) {
  if (width == 1)
    return arith::ConstantOp::create(b, value);
  return arith::ConstantOp::create(b, SplatElementsAttr::get(VectorType::get({width}, value.getType()), value));
}

Value PointEmitter::inLanes(const Form &form, unsigned width) {
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

Value PointEmitter::combine(const Combiner &combiner, Value a, Value c) {
  return build(combiner.op, {a, c}, a.getType())[0];
}

// The same operation on other types.
SmallVector<Value> PointEmitter::build(Operation *op, ArrayRef<Value> operands, TypeRange types) {
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
void PointEmitter::emitReady(const State &state, ArrayRef<Instance> instances, bool accumulatorsKnown) {
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

bool PointEmitter::isTransposed(const NestOperand &o) {
  return plan.tileDim >= 0 && !plan.interleaved && !o.isScalar && o.strides[plan.tileDim].is(1) &&
         o.strides[plan.vectorDim].estimate(guessedSize) > 1;
}

// Where the instance's first element lies, from where the loop variables point.
Value PointEmitter::placeOf(unsigned operand, const State &state, const Instance &instance) {
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

Form PointEmitter::loadOperand(unsigned i, const State &state, const Instance &instance) {
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
Value PointEmitter::lanesApart(Value offset, const Size &step, unsigned width) {
  auto type = VectorType::get({width}, b.getIndexType());
  Value apart =
      arith::MulIOp::create(b, inLanes({index(0), 1}, width), vector::BroadcastOp::create(b, type, valueOf(step)));
  return arith::AddIOp::create(b, vector::BroadcastOp::create(b, type, offset), apart);
}

Form PointEmitter::load(Value buffer, Type element, const Form &offset, const Instance &instance) {
  Value raw = offset.isVector    ? memory.loadLanes(buffer, offset.value, instance.width, instance.active)
              : offset.step == 0 ? memory.loadScalar(buffer, offset.value)
              : instance.lanes && offset.step == 1
                  ? memory.loadMasked(buffer, offset.value, instance.lanes)
                  : memory.loadStrided(buffer, offset.value, offset.step, instance.width, instance.active);
  bool isVector = isa<VectorType>(raw.getType());
  return {element.isInteger(1) ? memory.toBool(raw) : isMove() ? raw : widen(raw), 0, isVector};
}

// All instances' vectors at once: a vector along the tile dim for each lane, then rows and columns change places.
void PointEmitter::loadTransposed(unsigned i, const State &state, ArrayRef<Instance> instances) {
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

bool PointEmitter::isInterleavedHere(const NestOperand &o, ArrayRef<Instance> instances) {
  return plan.interleaved && instances.front().width > 1 && isInterleaved(nest, o, plan.vectorDim, plan.tileDim);
}

// Groups of as many elements as there are instances, `active` groups: whole vectors of memory, then one vector an
// instance.
void PointEmitter::loadInterleaved(unsigned i, const State &state, ArrayRef<Instance> instances) {
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

void PointEmitter::storeInterleaved(unsigned i, const State &state, ArrayRef<Instance> instances) {
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
Value PointEmitter::stored(Value value, Type element) {
  if (element.isInteger(1))
    return arith::ExtUIOp::create(b, like(value.getType(), b.getI8Type()), value);
  if (getElementTypeOrSelf(value.getType()) != element)
    return arith::TruncFOp::create(b, like(value.getType(), element), value);
  return value;
}

void PointEmitter::storeOutput(unsigned i, const State &state, const Instance &instance, const Form &form) {
  unsigned operand = nest.inputs().size() + i;
  const NestOperand &o = nest.operands[operand];
  Value offset = placeOf(operand, state, instance);
  Size step = plan.vectorDim >= 0 && instance.width > 1 ? o.strides[plan.vectorDim] : Size(0);
  Value value = stored(step.is(0) ? form.value : inLanes(form, instance.width), o.element);
  if (step.is(0))
    memory.storeScalar(value, flat[operand], offset);
  else if (instance.lanes)
    memory.storeMasked(value, flat[operand], offset, instance.lanes);
  else if (streaming)
    memory.storePast(value, flat[operand], offset);
  else if (step.isStatic())
    memory.storeStrided(value, flat[operand], offset, step.value(), instance.active);
  else
    for (unsigned lane = 0; lane < instance.active; ++lane)
      memory.storeScalar(vector::ExtractOp::create(b, value, lane), flat[operand], plus(offset, lane, step));
}

// --- Operations of the body

void PointEmitter::emitOp(Operation *op, const State &state, const Instance &instance) {
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

SmallVector<Value> PointEmitter::convert(Operation *op, SmallVector<Value> operands, unsigned width) {
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
std::optional<Form> PointEmitter::emitLinear(Operation *op, ArrayRef<Form> forms) {
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

Form PointEmitter::emitLoad(memref::LoadOp op, const Instance &instance) {
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
