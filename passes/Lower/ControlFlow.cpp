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

constexpr StringRef dataDependent = "results whose shape is only known inside are not supported by the CPU target yet";

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
/// The shape of a value of a branch or body that is lowered, as a result's: static in the type, free beside it.
LogicalResult takeShape(Lowering &l, Value result, ArrayRef<int64_t> shape, bool &changed) {
  if (l.isAbsent(result))
    return success();
  Type element = getElementTypeOrSelf(result.getType());
  if (!anyFree(shape))
    return refine(result, RankedTensorType::get(shape, element), changed);
  if (!isStatic(result.getType()))
    l.setShape(result, shape);
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

/// A result of If: room for the larger one, outside; how much of it is taken, a branch says where that is not known.
struct BranchResult {
  Value target;
  Order order;
  Dims shape;                  // of the room, as ONNX orders dims
  SmallVector<int64_t> told;   // dims whose sizes branches tell
  SmallVector<Value> counters; // tensor<1xi64>, one a told dim
};

/// The room for a result that is `a` in one branch and `c` in the other; false where nothing bounds a dim.
bool makeRoom(Lowering &l, ArrayRef<int64_t> a, ArrayRef<int64_t> c, BranchResult &result) {
  Region *here = l.b.getInsertionBlock()->getParent();
  if (a.size() != c.size())
    return false;
  for (auto [dim, x, y] : llvm::enumerate(a, c)) {
    if (x == y && l.extents.isVisible(x, here)) {
      result.shape.push_back(x);
      continue;
    }
    auto mostX = l.extents.mostAt(x, here), mostY = l.extents.mostAt(y, here);
    if (!mostX || !mostY)
      return false;
    result.told.push_back(dim);
    result.shape.push_back(l.max(*mostX, *mostY));
  }
  return true;
}

LogicalResult lowerIf(Lowering &l, onnx::IfOp op) {
  if (l.isConstant(op.getCond())) {
    auto value = onnx::readInts(l.constant(op.getCond()));
    Region &taken = value && !value->empty() && value->front() ? op.getThenBranch() : op.getElseBranch();
    if (failed(l.lowerBody(taken.front())))
      return failure();
    bool changed = false;
    for (auto [result, v] : llvm::zip(op.getResults(), taken.front().getTerminator()->getOperands())) {
      if (failed(takeShape(l, result, l.shape(v), changed)))
        return failure();
      l.set(result, l.get(v));
    }
    return inferRest(op, changed);
  }

  if (product(l.shape(op.getCond())) != 1)
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

  SmallVector<BranchResult> made;
  SmallVector<Value> targets;
  bool changed = false;
  for (auto [i, result] : llvm::enumerate(op.getResults())) {
    Value a = first.results()[i], c = second.results()[i];
    // One element is one element: exporters mix scalars and tensors of shape [1].
    auto holdsOne = [&](Value v) { return !anyFree(l.shape(v)) && product(l.shape(v)) == 1; };
    bool isOne = holdsOne(a) && holdsOne(c);
    if (isOne && l.rank(a) != l.rank(c)) {
      if (l.rank(a) < l.rank(c))
        std::swap(a, c);
      result.setType(RankedTensorType::get(l.shape(a), getElementTypeOrSelf(a.getType())));
      changed = true;
    }
    BranchResult &room = made.emplace_back();
    if (isOne)
      room.shape = Dims(l.shape(a));
    else if (!makeRoom(l, l.shape(a), l.shape(c), room))
      return l.error(op) << dataDependent << ": the branches give " << a.getType() << " and " << c.getType()
                         << " as result " << i;
    if (room.told.empty() && failed(takeShape(l, result, room.shape, changed)))
      return failure();
    auto orderOf = [&](Value v) { return l.isConstant(v) ? Order() : l.get(v).order; };
    Order order = orderOf(a), other = orderOf(c);
    if (order.empty())
      order = other;
    if (order.empty() || (!other.empty() && other != order))
      order = identityOrder(l.rank(a));
    room.order = order;
    room.target = l.fresh({permuted(room.shape, order), l.element(a)});
    targets.push_back(room.target);
    for ([[maybe_unused]] int64_t dim : room.told)
      targets.push_back(room.counters.emplace_back(l.fresh({{1}, l.b.getI64Type()})));
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
    for (auto [v, room] : llvm::zip(branch.results(), made)) {
      bool sameRank = l.rank(v) == static_cast<int64_t>(room.order.size());
      Value value = sameRank ? l.getIn(v, room.order) : l.reshape(l.getIdentity(v), Dims(room.order.size(), 1));
      if (room.told.empty()) {
        yielded.push_back(l.moveInto(value, room.target));
        continue;
      }
      Dims zeros(room.order.size(), 0), ones(room.order.size(), 1);
      yielded.push_back(tensor::InsertSliceOp::create(l.b, value, room.target, l.fold(zeros),
                                                      l.fold(permuted(l.shape(v), room.order)), l.fold(ones)));
      for (auto [dim, counter] : llvm::zip(room.told, room.counters)) {
        Value size = arith::IndexCastOp::create(l.b, l.b.getI64Type(), l.index(l.shape(v)[dim]));
        yielded.push_back(linalg::FillOp::create(l.b, ValueRange(size), ValueRange(counter)).getResult(0));
      }
    }
    scf::YieldOp::create(l.b, yielded);
  }
  auto next = branching.getResults().begin();
  for (auto [result, room] : llvm::zip(op.getResults(), made)) {
    Value value = l.built(*next++, permuted(room.shape, room.order));
    Dims shape(room.shape);
    Value zero = arith::ConstantIndexOp::create(l.b, 0);
    for (int64_t dim : room.told) {
      Value size = tensor::ExtractOp::create(l.b, *next++, zero);
      shape[dim] =
          l.extents.symbol(arith::IndexCastOp::create(l.b, l.b.getIndexType(), size), /*isSize=*/true, room.shape[dim]);
    }
    if (!room.told.empty()) {
      l.setShape(result, shape);
      value = l.slice(value, Dims(shape.size(), 0), permuted(shape, room.order));
    }
    l.set(result, value, room.order);
  }
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
  /// Iterations that stacks have room for, a number or a handle; negative and no handle where that is not known.
  int64_t length = -1;
  Dims made = {}; // how many there were, where fewer than `length` may be

  /// Types of the arguments from the states outside; what the body makes must keep them.
  LogicalResult inferTypes() {
    bool changed = false;
    for (auto [argument, v] : llvm::zip(arguments, initial)) {
      if (isStatic(argument.getType()))
        continue;
      Dims shape(l.shape(v));
      if (anyFree(shape)) {
        l.setShape(argument, shape);
        argument.setType(Shaped(shape, getElementTypeOrSelf(v.getType())));
      } else {
        argument.setType(RankedTensorType::get(shape, getElementTypeOrSelf(v.getType())));
      }
      changed = true;
    }
    onnx::ShapeValues values;
    if (changed && failed(onnx::inferBlock(body, values)))
      return failure();
    for (auto [i, pair] : llvm::enumerate(llvm::zip(arguments, initial, states))) {
      auto [argument, v, state] = pair;
      bool fixed = isStatic(argument.getType()) && isStatic(state.getType()) && isStatic(v.getType());
      if (fixed && (argument.getType() != state.getType() || l.shape(argument) != l.shape(v)))
        return l.unsupported(op, "state " + Twine(i) + " changes its shape in the loop (" + text(v.getType()) + " to " +
                                     text(state.getType()) + "); states of one shape work");
    }
    return success();
  }

  /// When the body is lowered: states keep their shapes, and what is stacked has one that is known outside.
  LogicalResult checkShapes(Region *outside) {
    for (auto [i, pair] : llvm::enumerate(llvm::zip(initial, states))) {
      auto [v, state] = pair;
      Dims before(l.shape(v)), after(l.shape(state));
      bool differs = before.size() != after.size();
      for (size_t dim = 0; !differs && dim < before.size(); ++dim) {
        int64_t growth = l.sub(after[dim], before[dim]);
        differs = !isFree(growth) && growth != 0;
        l.agree(before[dim], after[dim]);
      }
      if (differs)
        return l.unsupported(op, "state " + Twine(i) + " changes its shape in the loop (" + text(v.getType()) + " to " +
                                     text(state.getType()) + "); states of one shape work");
    }
    for (Value v : elements)
      if (!llvm::all_of(l.shape(v), [&](int64_t extent) { return l.extents.isVisible(extent, outside); }))
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
      values.push_back(l.fresh({stackShape(i), l.element(elements[i])}));
    return values;
  }

  void setArguments(ValueRange inside) {
    for (auto [argument, value] : llvm::zip(arguments, inside))
      l.set(argument, l.built(value, l.shape(argument)));
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
        Shaped type = l.typeOf(piece);
        piece = l.built(linalg::CopyOp::create(l.b, piece, l.empty(type)).getResult(0), type.shape);
      }
      pieces.push_back(piece);
    }
    // Before the states: what is stacked may be an old one.
    SmallVector<Value> stacks;
    for (auto [i, piece] : llvm::enumerate(pieces)) {
      Dims shape = stackShape(i);
      SmallVector<OpFoldResult> offsets(shape.size(), l.b.getIndexAttr(0)), strides(shape.size(), l.b.getIndexAttr(1));
      Value at = index;
      if (!reversed.empty() && reversed[i])
        at = arith::SubIOp::create(l.b, l.index(l.sub(length, 1)), index);
      offsets[axisOf(i)] = at;
      shape[axisOf(i)] = 1;
      stacks.push_back(
          tensor::InsertSliceOp::create(l.b, piece, inside[states.size() + i], offsets, l.fold(shape), strides));
    }
    for (auto [i, value] : llvm::enumerate(values))
      if (value != inside[i]) // a copy: a producer that wrote the old state's memory would write what others still read
        value = linalg::CopyOp::create(l.b, value, inside[i]).getResult(0);
    values.append(stacks);
    return values;
  }

  LogicalResult finish(ValueRange values) {
    bool changed = false;
    for (auto [i, pair] : llvm::enumerate(llvm::zip(finals, values))) {
      auto [result, value] = pair;
      bool isStack = i >= states.size();
      Dims shape = isStack ? stackShape(i - states.size()) : Dims(l.shape(initial[i]));
      Value whole = l.built(value, shape);
      if (isStack && !made.empty()) {
        shape[axisOf(i - states.size())] = made.front();
        whole = l.slice(whole, Dims(shape.size(), 0), shape);
      }
      if (!l.isAbsent(result) && !isa<TensorType>(result.getType()))
        return l.error(op) << "expected results that are tensors, got " << result.getType();
      if (failed(takeShape(l, result, shape, changed)))
        return failure();
      l.set(result, whole);
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
    auto loop = scf::ForOp::create(l.b, zero, zero, one); // only its place; the real one needs the body's shapes
    Region lowered;
    Block *block = &lowered.emplaceBlock();
    Value index = block->addArgument(l.b.getIndexType(), l.b.getLoc());
    loop.getRegion().takeBody(lowered);
    {
      OpBuilder::InsertionGuard guard(l.b);
      Lowering::Scope scope(l);
      l.b.setInsertionPointToEnd(block);
      SmallVector<Value> inside = addStates(*block);
      setArguments(inside);
      begin(index);
      if (failed(l.lowerBody(body)) || failed(checkShapes(loop->getParentRegion())))
        return failure();
      addStacks(*block, inside);
      scf::YieldOp::create(l.b, handOn(inside, index));
    }
    l.b.setInsertionPoint(loop);
    auto whole = scf::ForOp::create(l.b, zero, count, one, carried());
    whole.getRegion().takeBody(loop.getRegion());
    loop.getRegion().emplaceBlock().addArgument(l.b.getIndexType(), l.b.getLoc());
    loop.erase();
    l.b.setInsertionPointAfter(whole);
    return finish(whole.getResults());
  }

  /// Arguments of a loop's block for the states, and, when the body is lowered and says what they are, for the stacks.
  SmallVector<Value> addStates(Block &block) {
    SmallVector<Value> inside;
    for (Value v : initial)
      inside.push_back(l.built(block.addArgument(l.typeIn(v, identityOrder(l.rank(v))), l.b.getLoc()), l.shape(v)));
    return inside;
  }
  void addStacks(Block &block, SmallVectorImpl<Value> &inside) {
    unsigned at = inside.empty() ? 0 : cast<BlockArgument>(inside.back()).getArgNumber() + 1;
    if (inside.empty() && block.getNumArguments() && block.getArgument(0).getType().isIndex())
      at = 1; // behind a counted loop's own index
    for (unsigned i = 0; i < elements.size(); ++i) {
      Dims shape = stackShape(i);
      BlockArgument stack =
          block.insertArgument(at + i, RankedTensorType(Shaped(shape, l.element(elements[i]))), l.b.getLoc());
      inside.push_back(l.built(stack, shape));
    }
  }
};

// Iterations up to which a loop that may stop early gets room for what it stacks beforehand.
constexpr int64_t maxRoom = 1 << 20;

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
  if (counted && loop.length < 0)
    if (auto trips = l.readScalars(limit, false))
      loop.length = l.max(trips->front(), 0);
  // An early exit may leave room unused; without a bound there is no room to begin with.
  if (!counted && !never && !l.isAbsent(limit)) {
    auto trips = l.readScalars(limit, false);
    if (trips && (isFree(trips->front()) || trips->front() <= maxRoom))
      loop.length = l.max(trips->front(), 0);
  }
  if (!loop.elements.empty() && loop.length < 0 && !isFree(loop.length))
    return l.error(op) << dataDependent << "; a trip count 'M' of at most " << maxRoom << " works";
  if (loop.length == 0)
    return loop.finish(loop.carried());

  auto setCounter = [&](Value index, Value condition) {
    l.set(body.getArgument(0), tensorOf(l, body.getArgument(0), index));
    l.set(body.getArgument(1), tensorOf(l, body.getArgument(1), condition));
  };
  Value yes = l.makeScalar(l.b.getBoolAttr(true));
  if (counted) {
    return loop.count(l.index(loop.length),
                      [&](Value index) { setCounter(arith::IndexCastOp::create(l.b, l.b.getI64Type(), index), yes); });
  }

  Value end = l.isAbsent(limit) ? Value() : scalarOf(l, limit);
  Value zero = l.makeScalar(l.b.getI64IntegerAttr(0));
  Value first = l.isAbsent(condition) ? yes : scalarOf(l, condition);
  // The body before the buffers: what it stacks says how large they are. Its loop is made around it.
  auto place = scf::WhileOp::create(l.b, TypeRange(), ValueRange());
  Block *after = &place.getAfter().emplaceBlock();
  {
    OpBuilder::InsertionGuard guard(l.b);
    Lowering::Scope scope(l);
    l.b.setInsertionPointToEnd(after);
    SmallVector<Value> inside = loop.addStates(*after);
    Value counter = after->addArgument(l.b.getI64Type(), l.b.getLoc()),
          goesOn = after->addArgument(l.b.getI1Type(), l.b.getLoc());
    setCounter(counter, goesOn);
    loop.setArguments(inside);
    if (failed(l.lowerBody(body)) || failed(loop.checkShapes(place->getParentRegion())))
      return failure();
    loop.addStacks(*after, inside);
    Value one = l.makeScalar(l.b.getI64IntegerAttr(1)), next = arith::AddIOp::create(l.b, counter, one);
    Value more = scalarOf(l, yields[0]);
    SmallVector<Value> yielded = loop.handOn(inside, arith::IndexCastOp::create(l.b, l.b.getIndexType(), counter));
    yielded.append({next, more});
    scf::YieldOp::create(l.b, yielded);
  }
  l.b.setInsertionPoint(place);
  // Buffers first: canonicalization drops scalars that only one side needs, and bufferization then counts positions.
  SmallVector<Value> carried = loop.carried();
  unsigned buffers = carried.size();
  carried.append({zero, first});
  SmallVector<Type> types(ValueRange(carried).getTypes());
  SmallVector<Location> locations(types.size(), l.b.getLoc());
  auto loopOp = scf::WhileOp::create(l.b, types, carried);
  {
    OpBuilder::InsertionGuard guard(l.b);
    Block *before = l.b.createBlock(&loopOp.getBefore(), {}, types, locations);
    Value more = before->getArgument(buffers + 1);
    if (end) {
      Value inside = arith::CmpIOp::create(l.b, arith::CmpIPredicate::slt, before->getArgument(buffers), end);
      more = arith::AndIOp::create(l.b, inside, more);
    }
    scf::ConditionOp::create(l.b, more, before->getArguments());
  }
  loopOp.getAfter().takeBody(place.getAfter());
  place.erase();
  l.b.setInsertionPointAfter(loopOp);
  if (!loop.elements.empty()) {
    Value count = arith::IndexCastOp::create(l.b, l.b.getIndexType(), loopOp.getResult(buffers));
    loop.made = {l.extents.symbol(count)};
  }
  return loop.finish(loopOp.getResults().take_front(buffers));
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
    int64_t extent = l.shape(sequences[i])[axisOf(i)];
    if (length >= 0 && !isFree(extent) && extent != length)
      return l.error(op) << "expected scan inputs of one length, got " << length << " and " << extent;
    length = i ? l.agree(length, extent) : extent;
    BlockArgument argument = body.getArgument(states + i);
    Dims shape(l.shape(sequences[i]));
    shape.erase(shape.begin() + axisOf(i));
    if (!isStatic(argument.getType()))
      argument.setType(Shaped(shape, getElementTypeOrSelf(sequences[i].getType())));
    if (anyFree(shape))
      l.setShape(argument, shape);
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
  return loop.count(l.index(length), [&](Value index) {
    for (int64_t i = 0; i < inputs; ++i) {
      Value at = index;
      if (!directions.empty() && directions[i] == 1)
        at = arith::SubIOp::create(l.b, l.index(l.sub(length, 1)), index);
      Dims sizes(l.shape(sequences[i]));
      SmallVector<OpFoldResult> offsets(sizes.size(), l.b.getIndexAttr(0)), strides(sizes.size(), l.b.getIndexAttr(1));
      offsets[axisOf(i)] = at;
      sizes[axisOf(i)] = 1;
      BlockArgument argument = body.getArgument(states + i);
      if (length == 1) {
        l.set(argument, l.reshape(tensors[i], l.shape(argument)));
        continue;
      }
      RankedTensorType type = l.typeIn(argument, identityOrder(l.rank(argument)));
      Value slice = tensor::ExtractSliceOp::create(l.b, type, tensors[i], offsets, l.fold(sizes), strides);
      l.set(argument, l.built(slice, l.shape(argument)));
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
