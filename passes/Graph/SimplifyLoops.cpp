// Loops as later stages want them: with a number of iterations instead of a condition where both say the same, without
// states that are none, and with states of one shape. TensorFlow's exporter carries weights through loops and counts in
// states; Paddle's begins states that are only written as scalars; scripted PyTorch tests its counter. Must not assume
// that an iteration runs, nor that a shape stays, which the loop itself does not show.
#include "passes/Graph/Loops.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "dialects/Onnx/DataType.h"
#include "llvm/ADT/BitVector.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_SIMPLIFYLOOPS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "SimplifyLoops";

Block &bodyOf(onnx::LoopOp op) { return op->getRegion(0).front(); }
unsigned statesOf(onnx::LoopOp op) { return op.getVInitial().size(); }
/// What state `i` is in the body, and what becomes of it.
BlockArgument stateOf(onnx::LoopOp op, unsigned i) { return bodyOf(op).getArgument(2 + i); }
Value nextOf(onnx::LoopOp op, unsigned i) { return bodyOf(op).getTerminator()->getOperand(1 + i); }
bool isWellFormed(onnx::LoopOp op) {
  return bodyOf(op).getNumArguments() == statesOf(op) + 2 &&
         bodyOf(op).getTerminator()->getNumOperands() == op->getNumResults() + 1 && op->getNumResults() >= statesOf(op);
}
bool isOutside(Value value, onnx::LoopOp op) { return !op->getRegion(0).isAncestor(value.getParentRegion()); }

//===--- states that are none ---===//

// Loop(..., s -> s) -> s is used as it is, inside and behind. `op` becomes the loop without such states.
bool dropInvariantStates(onnx::LoopOp &op) {
  llvm::BitVector dropped(statesOf(op));
  for (unsigned i = 0; i < statesOf(op); ++i) {
    Value initial = op.getVInitial()[i], next = throughIdentity(nextOf(op, i)), result = op->getResult(i);
    BlockArgument state = stateOf(op, i);
    bool isUnused = state.use_empty() && result.use_empty();
    if (next != state && next != initial && !isUnused)
      continue;
    if (!isUnused)
      state.replaceAllUsesWith(initial);
    bool escapes = llvm::any_of(result.getUsers(), [](Operation *u) { return u->hasTrait<OpTrait::IsTerminator>(); });
    if (escapes && result.getType() != initial.getType())
      continue;
    result.replaceAllUsesWith(initial);
    dropped.set(i);
  }
  if (dropped.none())
    return false;
  SmallVector<Value> operands = {op.getM(), op.getCond()}, yields = {bodyOf(op).getTerminator()->getOperand(0)}, kept;
  SmallVector<Type> types;
  llvm::BitVector arguments(statesOf(op) + 2);
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    if (i < statesOf(op) && dropped[i]) {
      arguments.set(2 + i);
      continue;
    }
    if (i < statesOf(op))
      operands.push_back(op.getVInitial()[i]);
    yields.push_back(nextOf(op, i));
    types.push_back(result.getType());
    kept.push_back(result);
  }
  OpBuilder builder(op);
  auto made = onnx::LoopOp::create(builder, op.getLoc(), types, operands, op->getAttrs());
  made->getRegion(0).takeBody(op->getRegion(0));
  bodyOf(made).getTerminator()->setOperands(yields);
  bodyOf(made).eraseArguments(arguments);
  for (auto [before, after] : llvm::zip_equal(kept, made->getResults()))
    before.replaceAllUsesWith(after);
  passed(made, passName, "InvariantStates");
  op.erase();
  op = made;
  return true;
}

//===--- conditions that count ---===//

/// base + offset; no base: a number.
struct Term {
  Value base;
  int64_t offset = 0;
  bool operator==(const Term &other) const { return base == other.base && offset == other.offset; }
};

/// Looks through casts between numbers and the adding of constants. Floats that hold counts hold them exactly.
std::optional<Term> termOf(Value value) {
  int64_t offset = 0;
  for (;;) {
    if (std::optional<double> number = uniform(value)) {
      if (*number != std::floor(*number) || std::abs(*number) > double(1ll << 53))
        return std::nullopt;
      return Term{Value(), offset + int64_t(*number)};
    }
    Operation *op = value.getDefiningOp();
    if (isa_and_nonnull<onnx::IdentityOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ReshapeOp>(op)) {
      value = op->getOperand(0);
    } else if (auto cast = dyn_cast_or_null<onnx::CastOp>(op)) {
      Type from = getElementTypeOrSelf(cast.getInput().getType());
      if (!from.isInteger(32) && !from.isInteger(64) && !from.isF32() && !from.isF64())
        break;
      value = cast.getInput();
    } else if (isa_and_nonnull<onnx::AddOp, onnx::SubOp>(op)) {
      bool swapped = isa<onnx::AddOp>(op) && uniform(op->getOperand(0));
      std::optional<double> step = uniform(op->getOperand(swapped ? 0 : 1));
      if (!step || *step != std::floor(*step))
        break;
      offset += int64_t(isa<onnx::AddOp>(op) ? *step : -*step);
      value = op->getOperand(swapped ? 1 : 0);
    } else {
      break;
    }
  }
  return Term{value, offset};
}

/// Where the count of iterations that `argument` of the body holds began: nothing if it holds none.
std::optional<Term> startOf(onnx::LoopOp op, BlockArgument argument) {
  if (argument.getArgNumber() == 0)
    return Term{};
  if (argument.getArgNumber() == 1)
    return std::nullopt;
  unsigned state = argument.getArgNumber() - 2;
  std::optional<Term> next = termOf(nextOf(op, state));
  return next && *next == Term{argument, 1} ? termOf(op.getVInitial()[state]) : std::nullopt;
}

void collectTerms(Value condition, SmallVectorImpl<Value> &terms) {
  condition = throughIdentity(condition);
  if (auto both = condition.getDefiningOp<onnx::AndOp>()) {
    collectTerms(both.getA(), terms);
    collectTerms(both.getB(), terms);
  } else {
    terms.push_back(condition);
  }
}

/// The term as a scalar of i64.
Value materialize(OpBuilder &b, Location loc, Term term) {
  auto type = RankedTensorType::get({}, b.getI64Type());
  Value offset = constant(b, loc, onnx::makeInts(type, {term.offset}));
  if (!term.base)
    return offset;
  Value count = build<onnx::CastOp>(b, loc, term.base,
                                    b.getNamedAttr("to", b.getI64IntegerAttr(onnx::getDataType(b.getI64Type()))));
  count = count ? build<onnx::ReshapeOp>(b, loc, {count, onnx::createI64s(b, loc, {})}) : Value();
  return count && term.offset ? build<onnx::AddOp>(b, loc, {count, offset}) : count;
}

/// Less(count, limit) and LessOrEqual, by what the sides are; `limit` as what the count must stay below.
struct Bound {
  Term count, limit;
};
std::optional<Bound> boundOf(Value comparison) {
  Operation *op = throughIdentity(comparison).getDefiningOp();
  if (!isa_and_nonnull<onnx::LessOp, onnx::LessOrEqualOp, onnx::GreaterOp, onnx::GreaterOrEqualOp>(op))
    return std::nullopt;
  bool swapped = isa<onnx::GreaterOp, onnx::GreaterOrEqualOp>(op);
  std::optional<Term> count = termOf(op->getOperand(swapped)), limit = termOf(op->getOperand(!swapped));
  if (!count || !limit)
    return std::nullopt;
  if (isa<onnx::LessOrEqualOp, onnx::GreaterOrEqualOp>(op))
    ++limit->offset;
  return Bound{*count, *limit};
}

// Loop(M, c) { ...; count < limit and more } -> Loop(min(M, limit - start), c) { ...; more }
bool boundByCount(onnx::LoopOp op) {
  Operation *yield = bodyOf(op).getTerminator();
  SmallVector<Value> conditions;
  collectTerms(yield->getOperand(0), conditions);
  for (auto [at, condition] : llvm::enumerate(conditions)) {
    std::optional<Bound> bound = boundOf(condition);
    auto argument = bound ? dyn_cast_or_null<BlockArgument>(bound->count.base) : BlockArgument();
    if (!argument || argument.getOwner() != &bodyOf(op) || (bound->limit.base && !isOutside(bound->limit.base, op)))
      continue;
    Type limitType = bound->limit.base ? getElementTypeOrSelf(bound->limit.base.getType()) : Type();
    std::optional<Term> start = startOf(op, argument);
    if (!start || (limitType && !limitType.isInteger(32) && !limitType.isInteger(64)) ||
        (start->base && bound->limit.base && start->base != bound->limit.base) || (start->base && !bound->limit.base))
      continue;
    // After iteration k the count is start + k + offset: one more follows where that is below the limit.
    Term trips = bound->limit;
    if (start->base)
      trips.base = Value();
    trips.offset += 1 - bound->count.offset - start->offset;
    OpBuilder builder(op);
    Location loc = op.getLoc();
    Value runs = materialize(builder, loc, trips);
    if (!runs)
      continue;
    // The condition to begin with may be the same one, of the count before.
    std::optional<Bound> first = onnx::isNone(op.getCond()) ? std::nullopt : boundOf(op.getCond());
    Term before = *start;
    before.offset += bound->count.offset - 1;
    bool saysSame = first && first->count == before && first->limit == bound->limit;
    if (!saysSame)
      runs = build<onnx::MaxOp>(builder, loc, {runs, materialize(builder, loc, Term{Value(), 1})});
    if (runs && !onnx::isNone(op.getM()))
      runs = build<onnx::MinOp>(
          builder, loc, {runs, build<onnx::ReshapeOp>(builder, loc, {op.getM(), onnx::createI64s(builder, loc, {})})});
    if (!runs)
      continue;
    op->setOperand(0, runs);
    if (saysSame)
      op->setOperand(1, noValue(builder, loc));
    builder.setInsertionPoint(yield);
    Value rest;
    conditions.erase(conditions.begin() + at);
    for (Value other : conditions)
      rest = rest ? build<onnx::AndOp>(builder, loc, {rest, other}) : other;
    if (!rest)
      rest = constant(builder, loc, onnx::makeInts(RankedTensorType::get({}, builder.getI1Type()), {1}));
    yield->setOperand(0, rest);
    passed(op, passName, "BoundByCount");
    return true;
  }
  return false;
}

//===--- shapes of states ---===//

/// The types in a body, to try others for its states.
class BodyTypes {
public:
  explicit BodyTypes(onnx::LoopOp op) : op(op) {
    op->getRegion(0).walk([&](Operation *inner) {
      for (Value result : inner->getResults())
        kept.push_back({result, result.getType()});
      for (Region &region : inner->getRegions())
        for (Value argument : region.getArguments())
          kept.push_back({argument, argument.getType()});
    });
    for (Value argument : bodyOf(op).getArguments())
      kept.push_back({argument, argument.getType()});
  }
  void restore() {
    for (auto [value, type] : kept)
      value.setType(type);
  }
  /// What the body makes of states of these types; empty where that has no static shapes, or cannot be.
  SmallVector<Type> tryStates(ArrayRef<Type> types) {
    for (auto [argument, type] : llvm::zip_equal(bodyOf(op).getArguments().drop_front(2), types))
      argument.setType(type);
    ScopedDiagnosticHandler quiet(op->getContext(), [](Diagnostic &) { return success(); });
    onnx::ShapeValues values;
    if (failed(onnx::inferBlock(bodyOf(op), values)))
      return {};
    SmallVector<Type> next;
    for (unsigned i = 0; i < types.size(); ++i) {
      RankedTensorType type = staticType(nextOf(op, i));
      if (!type)
        return {};
      next.push_back(RankedTensorType::get(type.getShape(), type.getElementType()));
    }
    return next;
  }

private:
  onnx::LoopOp op;
  SmallVector<std::pair<Value, Type>> kept;
};

// Loop(M, c, s) -> the body once, and Loop(M - 1, c', s') of what it makes.
void peel(onnx::LoopOp op, std::optional<int64_t> runs) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  Block &body = bodyOf(op);
  unsigned states = statesOf(op);
  auto counter = dyn_cast<RankedTensorType>(body.getArgument(0).getType());
  auto number = RankedTensorType::get(counter ? counter.getShape() : ArrayRef<int64_t>(), builder.getI64Type());
  auto flag = RankedTensorType::get({}, builder.getI1Type());
  SmallVector<Value> arguments = {constant(builder, loc, onnx::makeInts(number, {0})),
                                  constant(builder, loc, onnx::makeInts(flag, {1}))};
  llvm::append_range(arguments, op.getVInitial());
  SmallVector<Value> made = copyBody(body, arguments, builder);

  SmallVector<Value> operands = {op.getM(), made[0]};
  if (runs)
    operands[0] = constant(builder, loc, onnx::makeInts(RankedTensorType::get({}, builder.getI64Type()), {*runs - 1}));
  for (auto [value, state] : llvm::zip(ArrayRef<Value>(made).drop_front(1), op.getVInitial()))
    operands.push_back(value);
  Type unknown = onnx::AnyType::get(builder.getContext());
  SmallVector<Type> types(op->getNumResults(), unknown);
  auto rest = onnx::LoopOp::create(builder, loc, types, operands, op->getAttrs());
  rest->getRegion(0).takeBody(op->getRegion(0));
  OpBuilder inside = OpBuilder::atBlockBegin(&bodyOf(rest));
  BlockArgument index = bodyOf(rest).getArgument(0);
  if (!index.use_empty()) {
    Value one = constant(inside, loc, onnx::makeInts(number, {1}));
    auto next = onnx::AddOp::create(inside, loc, number, ValueRange{index, one});
    index.replaceAllUsesExcept(next, next);
  }
  SmallVector<Value> results(rest->getResults().take_front(states));
  for (auto [one, others] :
       llvm::zip_equal(ArrayRef<Value>(made).drop_front(states + 1), rest->getResults().drop_front(states))) {
    Value first =
        onnx::UnsqueezeOp::create(builder, loc, unknown, ValueRange{one, onnx::createI64s(builder, loc, {0})});
    results.push_back(onnx::ConcatOp::create(builder, loc, unknown, ValueRange{first, others},
                                             builder.getNamedAttr("axis", builder.getI64IntegerAttr(0))));
  }
  passed(rest, passName, "PeelFirst");
  for (auto [before, after] : llvm::zip_equal(op->getResults(), results))
    before.replaceAllUsesWith(after);
  op.erase();
}

// What the body says of states, and a constant number of iterations of stacks, holds for the results.
bool typeResults(onnx::LoopOp op) {
  std::optional<int64_t> runs = onnx::isNone(op.getM()) ? std::nullopt : onnx::getConstantInt(op.getM());
  bool isCounted = runs && neverStops(op);
  bool changed = false;
  for (auto [i, result] : llvm::enumerate(op->getResults())) {
    RankedTensorType type = staticType(nextOf(op, i));
    bool isState = i < statesOf(op);
    if (!type || staticType(result) || onnx::isNone(result) || !(isState || isCounted) ||
        (isState && !sameType(type, op.getVInitial()[i].getType())))
      continue;
    bool escapes = llvm::any_of(result.getUsers(), [](Operation *u) { return u->hasTrait<OpTrait::IsTerminator>(); });
    if (escapes && !isa<func::FuncOp>(op->getParentOp()))
      continue;
    SmallVector<int64_t> shape(type.getShape());
    if (!isState)
      shape.insert(shape.begin(), std::max<int64_t>(0, *runs));
    result.setType(RankedTensorType::get(shape, type.getElementType()));
    changed = true;
  }
  if (changed)
    passed(op, passName, "ResultShapes");
  return changed;
}

// States of one shape get it; where the first iteration alone changes shapes, it is done before the loop.
bool settleShapes(onnx::LoopOp op) {
  SmallVector<Type> initial;
  bool isSettled = true;
  for (unsigned i = 0; i < statesOf(op); ++i) {
    RankedTensorType type = staticType(op.getVInitial()[i]);
    if (!type)
      return false;
    initial.push_back(RankedTensorType::get(type.getShape(), type.getElementType()));
    isSettled &= stateOf(op, i).getType() == initial[i];
  }
  if (isSettled)
    return typeResults(op);
  BodyTypes types(op);
  SmallVector<Type> first = types.tryStates(initial);
  if (first == initial) {
    passed(op, passName, "StateShapes");
    typeResults(op);
    return true;
  }
  types.restore();
  if (first.empty())
    return missed(op, passName, "StateShapes", "the shapes of states are not known after an iteration");
  SmallVector<Type> second = types.tryStates(first);
  types.restore();
  if (second != first)
    return missed(op, passName, "PeelFirst", "states change their shapes in every iteration");
  std::optional<int64_t> runs = onnx::isNone(op.getM()) ? std::nullopt : onnx::getConstantInt(op.getM());
  if (!isTrue(op.getCond()) || (!onnx::isNone(op.getM()) && runs.value_or(0) < 1))
    return missed(op, passName, "PeelFirst", "it may be that no iteration runs");
  peel(op, runs);
  return true;
}

class SimplifyLoops : public impl::SimplifyLoopsBase<SimplifyLoops> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      auto loop = dyn_cast<onnx::LoopOp>(op);
      if (!loop || !isWellFormed(loop))
        return false;
      bool changed = dropInvariantStates(loop);
      changed |= boundByCount(loop);
      changed |= settleShapes(loop);
      return changed;
    });
    if (!count)
      return;
    eraseAllDead(getOperation());
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal())
        func.setType(
            FunctionType::get(&getContext(), func.getArgumentTypes(), func.front().getTerminator()->getOperandTypes()));
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
