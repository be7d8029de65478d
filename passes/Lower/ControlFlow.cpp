// The ControlFlow family: If, Loop and Scan as scf.if, scf.while and scf.for on tensors of static shape. Every branch
// and body ends by moving what it hands on into a buffer known before, so that nothing allocated inside ever leaves it:
// one buffer a value for the whole loop, and only the taken branch runs. Captured values are plain uses of outer
// tensors.
#include "passes/Lower/Lowering.h"
#include "passes/Lower/Passes.h"

#include "dialects/Onnx/Bridge.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;

namespace burin::lower {
namespace {

constexpr StringRef dataDependent = "results of data-dependent length are not supported by the CPU target yet";

bool isStatic(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && tensor.hasStaticShape();
}

/// The one element of a tensor of one element.
Value scalarOf(Lowering &l, Value v) {
  return tensor::ExtractOp::create(l.b, l.reshape(l.getIdentity(v), {}), ValueRange());
}

/// A tensor of v's type that holds `scalar`.
Value tensorOf(Lowering &l, Value v, Value scalar) {
  return linalg::FillOp::create(l.b, ValueRange(scalar), ValueRange(l.empty(l.typeIn(v, identityOrder(l.rank(v))))))
      .getResult(0);
}

/// Gives a result a more static type, and lets what follows in its block know.
LogicalResult refine(Value result, RankedTensorType type, bool &changed) {
  if (isStatic(result.getType()))
    return success();
  changed = true;
  result.setType(RankedTensorType::get(type.getShape(), type.getElementType()));
  return success();
}
LogicalResult inferRest(Operation *op, bool changed) {
  onnx::ShapeValues values;
  return changed ? onnx::inferBlock(*op->getBlock(), values) : success();
}

// --- If --------------------------------------------------------------------------------------------------------------

struct Branch {
  Block *source;
  Region region;
  std::string impossible; // why it can never run with these shapes; empty where it can
  ValueRange results() { return source->getTerminator()->getOperands(); }
};

LogicalResult lowerBranch(Lowering &l, Branch &branch) {
  OpBuilder::InsertionGuard guard(l.b);
  Lowering::Scope scope(l);
  l.b.setInsertionPointToEnd(&branch.region.emplaceBlock());
  // What no shape could make right is an error only if the program comes here.
  SmallVector<Diagnostic> kept;
  LogicalResult lowered = success();
  {
    ScopedDiagnosticHandler handler(l.b.getContext(), [&](Diagnostic &diagnostic) {
      kept.push_back(std::move(diagnostic));
      return success();
    });
    l.impossible = false;
    lowered = l.lowerBody(*branch.source);
  }
  bool impossible = failed(lowered) && l.impossible;
  l.impossible = false;
  if (impossible) {
    for (Diagnostic &diagnostic : kept)
      if (diagnostic.getSeverity() == DiagnosticSeverity::Error && branch.impossible.empty())
        branch.impossible = diagnostic.str();
    branch.region.front().dropAllDefinedValueUses();
    branch.region.getBlocks().clear();
    branch.region.emplaceBlock();
    return success();
  }
  for (Diagnostic &diagnostic : kept)
    l.b.getContext()->getDiagEngine().emit(std::move(diagnostic));
  return lowered;
}

LogicalResult lowerIf(Lowering &l, onnx::IfOp op) {
  if (l.isConstant(op.getCond())) {
    auto value = onnx::readInts(l.constant(op.getCond()));
    Region &taken = value && !value->empty() && value->front() ? op.getThenBranch() : op.getElseBranch();
    if (failed(l.lowerBody(taken.front())))
      return failure();
    bool changed = false;
    for (auto [result, v] : llvm::zip(op.getResults(), taken.front().getTerminator()->getOperands())) {
      if (!isStatic(v.getType()))
        return l.error(op) << dataDependent << ", got " << v.getType();
      if (failed(refine(result, cast<RankedTensorType>(v.getType()), changed)))
        return failure();
      l.set(result, l.get(v));
    }
    return inferRest(op, changed);
  }

  auto condType = dyn_cast<RankedTensorType>(op.getCond().getType());
  if (!condType || !condType.hasStaticShape() || condType.getNumElements() != 1)
    return l.error(op) << "expected a condition of one element, got " << op.getCond().getType();
  Value cond = scalarOf(l, op.getCond());
  Branch branches[2];
  branches[0].source = &op.getThenBranch().front();
  branches[1].source = &op.getElseBranch().front();
  for (Branch &branch : branches)
    if (failed(lowerBranch(l, branch)))
      return failure();
  Branch &first = branches[0].impossible.empty() ? branches[0] : branches[1];
  Branch &second = branches[1].impossible.empty() ? branches[1] : branches[0];
  if (!first.impossible.empty())
    return l.impossible = true, l.error(op) << "no branch can run with these shapes: " << branches[0].impossible;

  SmallVector<Value> targets;
  SmallVector<Order> orders;
  bool changed = false;
  for (auto [i, result] : llvm::enumerate(op.getResults())) {
    Value a = first.results()[i], c = second.results()[i];
    if (!isStatic(a.getType()) || !isStatic(c.getType()) || l.shape(a) != l.shape(c))
      return l.error(op) << dataDependent << ": the branches give " << a.getType() << " and " << c.getType()
                         << " as result " << i;
    if (failed(refine(result, cast<RankedTensorType>(a.getType()), changed)))
      return failure();
    auto orderOf = [&](Value v) { return l.isConstant(v) ? Order() : l.get(v).order; };
    Order order = orderOf(a), other = orderOf(c);
    if (order.empty())
      order = other;
    if (order.empty() || (!other.empty() && other != order))
      order = identityOrder(l.rank(a));
    orders.push_back(order);
    targets.push_back(l.fresh(l.typeIn(a, order)));
  }

  auto branching = scf::IfOp::create(l.b, ValueRange(targets).getTypes(), cond, /*withElseRegion=*/true);
  branching.getThenRegion().takeBody(branches[0].region);
  branching.getElseRegion().takeBody(branches[1].region);
  for (auto [branch, region] : llvm::zip(branches, branching->getRegions())) {
    OpBuilder::InsertionGuard guard(l.b);
    Lowering::Scope scope(l);
    l.b.setInsertionPointToEnd(&region.front());
    if (!branch.impossible.empty()) {
      emitWarning(op.getLoc()) << "one branch cannot run with these shapes, and the program will stop with an error "
                                  "where the condition asks for it: "
                               << branch.impossible;
      Value never = arith::ConstantOp::create(l.b, l.b.getBoolAttr(false));
      cf::AssertOp::create(l.b, never, branch.impossible);
      scf::YieldOp::create(l.b, targets);
      continue;
    }
    SmallVector<Value> yielded;
    for (auto [v, order, target] : llvm::zip(branch.results(), orders, targets))
      yielded.push_back(l.moveInto(l.getIn(v, order), target));
    scf::YieldOp::create(l.b, yielded);
  }
  for (auto [result, value, order] : llvm::zip(op.getResults(), branching.getResults(), orders))
    l.set(result, value, order);
  return inferRest(op, changed);
}

/// True if ONNX itself refuses a node of the block with operands of these shapes.
bool contradicts(Block &block) {
  for (Operation &op : block.without_terminator()) {
    onnx::ShapeValues values;
    SmallVector<Type> types;
    bool onnxNode = !needsNoLowering(&op) && isa<onnx::OnnxDialect>(op.getDialect());
    if (onnxNode && failed(onnx::inferReturnTypes(&op, types, values)))
      return true;
  }
  return false;
}

// --- Loops -----------------------------------------------------------------------------------------------------------

/// What Loop and Scan share: states that the body replaces, and values it makes each time, stacked along an axis.
struct Iteration {
  Lowering &l;
  Operation *op;
  Block &body;
  ValueRange initial;        // of the states, values of the outer block
  ValueRange arguments;      // the states inside
  ValueRange states;         // what the body makes of them
  ValueRange elements;       // what it stacks
  ValueRange finals;         // results: states, then stacks
  SmallVector<int64_t> axes; // of the stacks; empty: all 0
  SmallVector<bool> reversed;
  int64_t length = ShapedType::kDynamic; // number of iterations, where stacks are made

  /// Types of the arguments from the states outside; what the body makes must keep them.
  LogicalResult inferTypes() {
    bool changed = false;
    for (auto [argument, v] : llvm::zip(arguments, initial)) {
      if (!isStatic(v.getType()))
        return l.error(op) << "expected initial states of static shape, got " << v.getType();
      if (isStatic(argument.getType()))
        continue;
      argument.setType(v.getType());
      changed = true;
    }
    onnx::ShapeValues values;
    if (changed && failed(onnx::inferBlock(body, values)))
      return failure();
    for (auto [i, pair] : llvm::enumerate(llvm::zip(arguments, initial, states))) {
      auto [argument, v, state] = pair;
      if (argument.getType() != state.getType() || l.shape(argument) != l.shape(v))
        return l.unsupported(op, "state " + Twine(i) + " changes its shape in the loop (" + text(v.getType()) + " to " +
                                     text(state.getType()) + "); states of one shape work");
    }
    for (Value v : elements)
      if (!isStatic(v.getType()))
        return l.error(op) << dataDependent << ", got " << v.getType();
    return success();
  }

  static std::string text(Type type) {
    std::string result;
    llvm::raw_string_ostream(result) << type;
    return result;
  }

  Dims stackShape(unsigned i) {
    Dims shape(l.shape(elements[i]));
    shape.insert(shape.begin() + axisOf(i), length);
    return shape;
  }
  int64_t axisOf(unsigned i) { return axes.empty() ? 0 : normalizeAxis(axes[i], l.rank(elements[i]) + 1); }

  /// The buffers that the loop carries: states, then stacks.
  SmallVector<Value> carried() {
    SmallVector<Value> values;
    for (Value v : initial)
      values.push_back(l.own(l.getIdentity(v)));
    for (unsigned i = 0; i < elements.size(); ++i)
      values.push_back(l.fresh(RankedTensorType::get(stackShape(i), l.element(elements[i]))));
    return values;
  }

  void setArguments(ValueRange inside) {
    for (auto [argument, value] : llvm::zip(arguments, inside))
      l.set(argument, value);
  }

  /// True if `value` is memory of one of `buffers` seen another way.
  static bool views(Value value, ValueRange buffers) {
    while (Operation *op = value.getDefiningOp()) {
      if (!isa<tensor::CollapseShapeOp, tensor::ExpandShapeOp, tensor::ExtractSliceOp>(op))
        return false;
      value = op->getOperand(0);
    }
    return llvm::is_contained(buffers, value);
  }

  /// At the end of the body: the new states and stacks, in the buffers `inside` that iteration `index` began with.
  SmallVector<Value> handOn(ValueRange inside, Value index) {
    SmallVector<Value> values;
    for (auto [i, v] : llvm::enumerate(states)) {
      Value value = l.getIdentity(v);
      // States that change places: all are read before one is written.
      values.push_back(value != inside[i] && views(value, inside) ? l.own(value) : value);
    }
    SmallVector<Value> pieces;
    for (Value v : elements) {
      Value piece = l.getIdentity(v);
      // Bufferization looks for the maker's memory through reshapes, and takes dims of 1 for one another.
      if (isa_and_nonnull<tensor::CollapseShapeOp, tensor::ExpandShapeOp>(piece.getDefiningOp())) {
        auto type = cast<RankedTensorType>(piece.getType());
        piece = linalg::CopyOp::create(l.b, piece, l.empty(type)).getResult(0);
      }
      pieces.push_back(piece);
    }
    for (auto [i, value] : llvm::enumerate(values))
      if (value != inside[i]) // a copy: a producer that wrote the old state's memory would write what others still read
        value = linalg::CopyOp::create(l.b, value, inside[i]).getResult(0);
    for (auto [i, piece] : llvm::enumerate(pieces)) {
      Dims shape = stackShape(i);
      SmallVector<OpFoldResult> offsets(shape.size(), l.b.getIndexAttr(0)), strides(shape.size(), l.b.getIndexAttr(1));
      Value at = index;
      if (!reversed.empty() && reversed[i])
        at = arith::SubIOp::create(l.b, arith::ConstantIndexOp::create(l.b, length - 1), index);
      offsets[axisOf(i)] = at;
      shape[axisOf(i)] = 1;
      values.push_back(tensor::InsertSliceOp::create(l.b, piece, inside[states.size() + i], offsets,
                                                     getAsIndexOpFoldResult(l.b.getContext(), shape), strides));
    }
    return values;
  }

  LogicalResult finish(ValueRange values) {
    bool changed = false;
    for (auto [result, value] : llvm::zip(finals, values)) {
      if (!l.isAbsent(result) && !isStatic(result.getType())) {
        Type element = getElementTypeOrSelf(result.getType());
        auto shape = cast<RankedTensorType>(value.getType()).getShape();
        if (!isa<TensorType>(result.getType()))
          return l.error(op) << "expected results that are tensors, got " << result.getType();
        if (failed(refine(result, RankedTensorType::get(shape, element), changed)))
          return failure();
      }
      l.set(result, value);
    }
    return inferRest(op, changed);
  }

  /// `count` iterations; `begin` sets what else the body takes.
  LogicalResult count(Value count, llvm::function_ref<void(Value index)> begin) {
    if (length == 1) { // no loop, no slices, and what is made is handed on as it lies
      for (auto [argument, v] : llvm::zip(arguments, initial))
        l.set(argument, l.get(v));
      begin(arith::ConstantIndexOp::create(l.b, 0));
      if (failed(l.lowerBody(body)))
        return failure();
      SmallVector<Value> values;
      for (Value v : states)
        values.push_back(l.getIdentity(v));
      for (auto [i, v] : llvm::enumerate(elements))
        values.push_back(l.reshape(l.getIdentity(v), stackShape(i)));
      return finish(values);
    }
    Value zero = arith::ConstantIndexOp::create(l.b, 0), one = arith::ConstantIndexOp::create(l.b, 1);
    auto loop = scf::ForOp::create(l.b, zero, count, one, carried());
    {
      OpBuilder::InsertionGuard guard(l.b);
      Lowering::Scope scope(l);
      Block *block = loop.getBody();
      if (!block->empty()) // the builder ends the body of a loop that carries nothing
        block->getTerminator()->erase();
      l.b.setInsertionPointToEnd(block);
      setArguments(loop.getRegionIterArgs());
      begin(loop.getInductionVar());
      if (failed(l.lowerBody(body)))
        return failure();
      scf::YieldOp::create(l.b, handOn(loop.getRegionIterArgs(), loop.getInductionVar()));
    }
    return finish(loop.getResults());
  }
};

bool isTrue(Value v) { return onnx::isNone(v) || onnx::getConstantInt(v).value_or(0) != 0; }

/// True if the body hands its condition on as it came, or says true.
bool neverStops(Block &body) {
  Value v = body.getTerminator()->getOperand(0);
  while (v.getDefiningOp<onnx::IdentityOp>())
    v = v.getDefiningOp()->getOperand(0);
  return v == body.getArgument(1) || isTrue(v);
}

LogicalResult lowerLoop(Lowering &l, onnx::LoopOp op) {
  Block &body = op->getRegion(0).front();
  unsigned states = op.getVInitial().size();
  ValueRange yields = body.getTerminator()->getOperands();
  if (body.getNumArguments() != states + 2 || yields.size() < states + 1)
    return l.error(op) << "expected a body of " << states + 2 << " inputs, got " << body.getNumArguments();
  Iteration loop{l,
                 op,
                 body,
                 op.getVInitial(),
                 body.getArguments().drop_front(2),
                 yields.slice(1, states),
                 yields.drop_front(states + 1),
                 op->getResults(),
                 {},
                 {}};
  Type counters[] = {l.b.getI64Type(), l.b.getI1Type()};
  for (auto [argument, element] : llvm::zip(body.getArguments().take_front(2), counters))
    if (!isStatic(argument.getType()))
      argument.setType(RankedTensorType::get({}, element));
  if (failed(loop.inferTypes()))
    return failure();

  Value limit = op.getM(), condition = op.getCond();
  auto known = l.isAbsent(limit) || !l.isConstant(limit) ? std::nullopt : onnx::readInts(l.constant(limit));
  bool counted = neverStops(body) && isTrue(condition) && !l.isAbsent(limit);
  bool never = known && known->size() == 1 && known->front() <= 0;
  if (!l.isAbsent(condition) && l.isConstant(condition) && !isTrue(condition))
    never = true;
  if (counted && known && known->size() == 1)
    loop.length = std::max<int64_t>(0, known->front());
  if (never)
    loop.length = 0;
  if (!loop.elements.empty() && ShapedType::isDynamic(loop.length))
    return l.error(op) << dataDependent << "; a constant trip count without an early exit works";
  if (loop.length == 0)
    return loop.finish(loop.carried());

  auto setCounter = [&](Value index, Value condition) {
    l.set(body.getArgument(0), tensorOf(l, body.getArgument(0), index));
    l.set(body.getArgument(1), tensorOf(l, body.getArgument(1), condition));
  };
  Value yes = l.makeScalar(l.b.getBoolAttr(true));
  if (counted) {
    Value count = arith::ConstantIndexOp::create(l.b, std::max<int64_t>(loop.length, 0));
    if (ShapedType::isDynamic(loop.length))
      count = arith::IndexCastOp::create(l.b, l.b.getIndexType(), scalarOf(l, limit));
    return loop.count(count,
                      [&](Value index) { setCounter(arith::IndexCastOp::create(l.b, l.b.getI64Type(), index), yes); });
  }

  Value end = l.isAbsent(limit) ? Value() : scalarOf(l, limit);
  // Buffers first: canonicalization drops scalars that only one side needs, and bufferization then counts positions.
  SmallVector<Value> carried = loop.carried();
  carried.append({l.makeScalar(l.b.getI64IntegerAttr(0)), l.isAbsent(condition) ? yes : scalarOf(l, condition)});
  SmallVector<Type> types(ValueRange(carried).getTypes());
  SmallVector<Location> locations(types.size(), l.b.getLoc());
  auto loopOp = scf::WhileOp::create(l.b, types, carried);
  {
    OpBuilder::InsertionGuard guard(l.b);
    Block *before = l.b.createBlock(&loopOp.getBefore(), {}, types, locations);
    Value more = before->getArgument(states + 1);
    if (end) {
      Value inside = arith::CmpIOp::create(l.b, arith::CmpIPredicate::slt, before->getArgument(states), end);
      more = arith::AndIOp::create(l.b, inside, more);
    }
    scf::ConditionOp::create(l.b, more, before->getArguments());

    Lowering::Scope scope(l);
    Block *after = l.b.createBlock(&loopOp.getAfter(), {}, types, locations);
    auto inside = ValueRange(after->getArguments()).take_front(states);
    Value counter = after->getArgument(states);
    setCounter(counter, after->getArgument(states + 1));
    loop.setArguments(inside);
    if (failed(l.lowerBody(body)))
      return failure();
    Value one = l.makeScalar(l.b.getI64IntegerAttr(1)), next = arith::AddIOp::create(l.b, counter, one);
    Value goesOn = scalarOf(l, yields[0]);
    SmallVector<Value> yielded = loop.handOn(inside, {});
    yielded.append({next, goesOn});
    scf::YieldOp::create(l.b, yielded);
  }
  return loop.finish(loopOp.getResults().take_front(states));
}

LogicalResult lowerScan(Lowering &l, onnx::ScanOp op) {
  Block &body = op->getRegion(0).front();
  ValueRange operands = op.getInitialStateAndScanInputs(), yields = body.getTerminator()->getOperands();
  int64_t inputs = op.getNumScanInputs(), states = static_cast<int64_t>(operands.size()) - inputs;
  if (inputs < 1 || states < 0 || body.getNumArguments() != operands.size() ||
      static_cast<int64_t>(yields.size()) < states)
    return l.error(op) << "expected a body of " << operands.size() << " inputs, got " << body.getNumArguments();
  ValueRange sequences = operands.drop_front(states);
  ArrayRef<int64_t> axes = op.getScanInputAxes().value_or(ArrayRef<int64_t>()),
                    directions = op.getScanInputDirections().value_or(ArrayRef<int64_t>()),
                    outAxes = op.getScanOutputAxes().value_or(ArrayRef<int64_t>()),
                    outDirections = op.getScanOutputDirections().value_or(ArrayRef<int64_t>());
  auto axisOf = [&](int64_t i) { return axes.empty() ? 0 : normalizeAxis(axes[i], l.rank(sequences[i])); };
  int64_t length = -1;
  for (int64_t i = 0; i < inputs; ++i) {
    if (!isStatic(sequences[i].getType()))
      return l.error(op) << "expected scan inputs of static shape, got " << sequences[i].getType();
    int64_t extent = l.shape(sequences[i])[axisOf(i)];
    if (length >= 0 && extent != length)
      return l.error(op) << "expected scan inputs of one length, got " << length << " and " << extent;
    length = extent;
    BlockArgument argument = body.getArgument(states + i);
    Dims shape(l.shape(sequences[i]));
    shape.erase(shape.begin() + axisOf(i));
    if (!isStatic(argument.getType()))
      argument.setType(RankedTensorType::get(shape, getElementTypeOrSelf(sequences[i].getType())));
  }
  Iteration loop{l,
                 op,
                 body,
                 operands.take_front(states),
                 body.getArguments().take_front(states),
                 yields.take_front(states),
                 yields.drop_front(states),
                 op->getResults(),
                 SmallVector<int64_t>(outAxes),
                 {}};
  loop.length = length;
  for (int64_t direction : outDirections)
    loop.reversed.push_back(direction == 1);
  if (failed(loop.inferTypes()))
    return failure();
  if (length == 0)
    return loop.finish(loop.carried());
  SmallVector<Value> tensors;
  for (Value v : sequences)
    tensors.push_back(l.getIdentity(v));
  return loop.count(arith::ConstantIndexOp::create(l.b, length), [&](Value index) {
    for (int64_t i = 0; i < inputs; ++i) {
      Value at = index;
      if (!directions.empty() && directions[i] == 1)
        at = arith::SubIOp::create(l.b, arith::ConstantIndexOp::create(l.b, length - 1), index);
      Dims sizes(l.shape(sequences[i]));
      SmallVector<OpFoldResult> offsets(sizes.size(), l.b.getIndexAttr(0)), strides(sizes.size(), l.b.getIndexAttr(1));
      offsets[axisOf(i)] = at;
      sizes[axisOf(i)] = 1;
      BlockArgument argument = body.getArgument(states + i);
      if (length == 1) {
        l.set(argument, l.reshape(tensors[i], l.shape(argument)));
        continue;
      }
      Value slice = tensor::ExtractSliceOp::create(l.b, l.typeIn(argument, identityOrder(l.rank(argument))), tensors[i],
                                                   offsets, getAsIndexOpFoldResult(l.b.getContext(), sizes), strides);
      l.set(argument, slice);
    }
  });
}

} // namespace
} // namespace burin::lower

void burin::refineBranches(ModuleOp module) {
  func::FuncOp main = lower::getMain(module);
  if (!main)
    return;
  ScopedDiagnosticHandler quiet(module.getContext(), [](Diagnostic &) { return success(); });
  bool changed = false;
  main.walk([&](onnx::IfOp op) {
    if (llvm::all_of(op.getResultTypes(), lower::isStatic))
      return;
    Block *branches[] = {&op.getThenBranch().front(), &op.getElseBranch().front()};
    bool impossible[] = {lower::contradicts(*branches[0]), lower::contradicts(*branches[1])};
    if (impossible[0] == impossible[1])
      return;
    Block *possible = branches[impossible[0] ? 1 : 0];
    for (auto [result, v] : llvm::zip(op.getResults(), possible->getTerminator()->getOperands()))
      if (!lower::isStatic(result.getType()) && lower::isStatic(v.getType())) {
        result.setType(v.getType());
        changed = true;
      }
  });
  main.walk([&](onnx::LoopOp op) {
    Block &body = op->getRegion(0).front();
    std::optional<int64_t> count = onnx::isNone(op.getM()) ? std::nullopt : onnx::getConstantInt(op.getM());
    if (!count || !lower::isTrue(op.getCond()) || !lower::neverStops(body))
      return;
    unsigned states = op.getVInitial().size();
    ValueRange elements = body.getTerminator()->getOperands().drop_front(states + 1);
    for (auto [result, v] : llvm::zip(op->getResults().drop_front(states), elements)) {
      if (!lower::isStatic(v.getType()) || lower::isStatic(result.getType()) || onnx::isNone(result))
        continue;
      auto type = cast<RankedTensorType>(v.getType());
      lower::Dims shape(type.getShape());
      shape.insert(shape.begin(), std::max<int64_t>(0, *count));
      result.setType(RankedTensorType::get(shape, type.getElementType()));
      changed = true;
    }
  });
  if (changed)
    (void)onnx::inferFunction(main);
}

namespace burin::lower {

void populateControlFlowLowerings(Registry &registry) {
  registry.add(lowerIf);
  registry.add(lowerLoop);
  registry.add(lowerScan);
}

} // namespace burin::lower
