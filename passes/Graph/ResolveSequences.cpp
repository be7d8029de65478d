// Sequences and optionals as what they hold: every later stage knows tensors only, so a sequence whose length is known
// becomes its elements and an optional whose presence is known becomes its value or nothing. One walk in order carries
// what is known from producer to consumer; bodies are copied where their number of runs is known. What stays unknown
// (a length only running tells) stays in the graph as it is, so the pass may run again when folding knows more.
#include "dialects/Onnx/DataType.h"
#include "passes/Graph/Loops.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_RESOLVESEQUENCES
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "ResolveSequences";

bool isContainer(Type type) { return isa<onnx::SeqType, onnx::OptType>(type); }
bool isContainer(Value value) { return isContainer(value.getType()); }

/// What a sequence or optional is known to hold.
struct Held {
  bool present = true; // false: an empty optional
  SmallVector<Value> values;
};

/// A sequence of `values`, of type `type`.
Value makeSequence(OpBuilder &builder, Location loc, Type type, ArrayRef<Value> values) {
  if (!values.empty())
    return onnx::SequenceConstructOp::create(builder, loc, type, values);
  Type element = getElementTypeOrSelf(cast<onnx::SeqType>(type).getElementType());
  return onnx::SequenceEmptyOp::create(
      builder, loc, type, ValueRange(),
      builder.getNamedAttr("dtype", builder.getI64IntegerAttr(onnx::getDataType(element))));
}

class ResolveSequences : public impl::ResolveSequencesBase<ResolveSequences> {
public:
  using ResolveSequencesBase::ResolveSequencesBase;

  void runOnOperation() override {
    count = 0;
    for (auto func : getOperation().getOps<func::FuncOp>()) {
      if (func.isExternal() || !usesContainers(func))
        continue;
      held.clear();
      done.clear();
      resolveBlock(func.front());
      if (func.isPublic())
        flattenResults(func);
      separateResults(func);
      Operation *terminator = func.front().getTerminator();
      func.setType(FunctionType::get(&getContext(), func.front().getArgumentTypes(), terminator->getOperandTypes()));
    }
    if (!count)
      return;
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }

private:
  // Nothing is erased before the walk is over: a new value could lie where an erased one did, and be taken for it.
  llvm::DenseMap<Value, Held> held;
  llvm::DenseSet<Operation *> done;
  unsigned count = 0;

  static bool usesContainers(func::FuncOp func) {
    auto found = func.walk([](Operation *op) {
      bool uses = isa<onnx::OptionalHasElementOp, onnx::OptionalGetElementOp, onnx::SequenceMapOp>(op) ||
                  llvm::any_of(op->getResultTypes(), [](Type t) { return isContainer(t); }) ||
                  llvm::any_of(op->getOperandTypes(), [](Type t) { return isContainer(t); });
      return uses ? WalkResult::interrupt() : WalkResult::advance();
    });
    return found.wasInterrupted();
  }

  const Held *find(Value value) const {
    auto it = held.find(value);
    return it == held.end() ? nullptr : &it->second;
  }
  /// The elements of a sequence, or of the sequence an optional holds; null where unknown.
  const SmallVector<Value> *elements(Value value) const {
    const Held *known = find(value);
    if (!known || !known->present)
      return nullptr;
    if (isa<onnx::OptType>(value.getType()))
      return known->values.size() == 1 && isContainer(known->values[0]) ? elements(known->values[0]) : nullptr;
    return &known->values;
  }

  void resolveBlock(Block &block) {
    for (Operation *op = &block.front(); op;) {
      Operation *before = op->getPrevNode(), *next = op->getNextNode();
      bool again = isa_and_nonnull<onnx::OnnxDialect>(op->getDialect()) && !done.contains(op) && resolve(op);
      // What was put in front is resolved in its turn.
      op = again ? (before ? before->getNextNode() : &block.front()) : next;
    }
  }

  /// True if operators were put in front that want resolving; `op` is dead then.
  bool resolve(Operation *op) {
    auto loop = dyn_cast<onnx::LoopOp>(op);
    auto map = dyn_cast<onnx::SequenceMapOp>(op);
    bool carries = loop && llvm::any_of(loop.getVInitial(), [](Value v) { return isContainer(v); });
    if ((carries && (stackInsertions(loop) || unroll(loop))) || (map && copyMap(map))) {
      done.insert(op);
      return true;
    }
    for (Region &region : op->getRegions())
      for (Block &block : region)
        resolveBlock(block);
    llvm::TypeSwitch<Operation *>(op)
        .Case([&](onnx::SequenceEmptyOp o) { held[o.getResult()] = {}; })
        .Case([&](onnx::SequenceConstructOp o) {
          held[o.getResult()].values.assign(o->operand_begin(), o->operand_end());
        })
        .Case([&](onnx::SequenceInsertOp o) { insert(o); })
        .Case([&](onnx::SequenceEraseOp o) { erase(o); })
        .Case([&](onnx::SequenceAtOp o) { at(o); })
        .Case([&](onnx::SequenceLengthOp o) { length(o); })
        .Case([&](onnx::SplitToSequenceOp o) { split(o); })
        .Case([&](onnx::ConcatFromSequenceOp o) { concat(o); })
        .Case([&](onnx::OptionalOp o) {
          held[o.getResult()] = onnx::isNone(o.getInput()) ? Held{false, {}} : Held{true, {o.getInput()}};
        })
        .Case([&](onnx::OptionalGetElementOp o) { getElement(o); })
        .Case([&](onnx::OptionalHasElementOp o) { hasElement(o); })
        .Case([&](onnx::IdentityOp o) {
          if (isContainer(o.getResult()) && find(o.getInput()))
            become(o, o.getInput(), "Identity");
        })
        .Case([&](onnx::IfOp o) { flattenIf(o); });
    return false;
  }

  void become(Operation *op, ValueRange values, StringRef rewrite) {
    passed(op, passName, rewrite, onnx::getOpType(op));
    ++count;
    for (auto [result, value] : llvm::zip_equal(op->getResults(), values))
      result.replaceAllUsesWith(value);
  }

  /// A position in a sequence of `size`, counted from the end where negative; absent: `missing`.
  static std::optional<int64_t> position(Value value, int64_t size, int64_t last, int64_t missing) {
    if (onnx::isNone(value))
      return missing >= 0 ? std::optional<int64_t>(missing) : std::nullopt;
    std::optional<int64_t> at = intOf(value);
    if (!at)
      return std::nullopt;
    int64_t index = *at < 0 ? *at + size : *at;
    return index < 0 || index > last ? std::nullopt : std::optional<int64_t>(index);
  }

  // SequenceInsert(s, t, p), SequenceErase(s, p): the elements with one more or one less.
  void insert(onnx::SequenceInsertOp op) {
    const SmallVector<Value> *known = elements(op.getInputSequence());
    if (!known)
      return;
    int64_t size = known->size();
    auto at = position(op.getPosition(), size, size, size);
    if (!at) {
      missed(op, passName, "SequenceInsert", "the position is not a constant within the sequence");
      return;
    }
    SmallVector<Value> values(*known);
    values.insert(values.begin() + *at, op.getTensor());
    held[op.getResult()] = {true, std::move(values)};
  }
  void erase(onnx::SequenceEraseOp op) {
    const SmallVector<Value> *known = elements(op.getInputSequence());
    if (!known)
      return;
    int64_t size = known->size();
    auto at = position(op.getPosition(), size, size - 1, size - 1);
    if (!at) {
      missed(op, passName, "SequenceErase", "the position is not a constant within the sequence");
      return;
    }
    SmallVector<Value> values(*known);
    values.erase(values.begin() + *at);
    held[op.getResult()] = {true, std::move(values)};
  }

  // SequenceAt(s, p) -> the element; with a position that only running tells, Gather(Concat(Unsqueeze(s_i)), p).
  //  - the latter where all elements have one static shape
  void at(onnx::SequenceAtOp op) {
    const SmallVector<Value> *known = elements(op.getInputSequence());
    if (!known || known->empty())
      return;
    int64_t size = known->size();
    if (intOf(op.getPosition())) {
      if (auto index = position(op.getPosition(), size, size - 1, -1))
        become(op, (*known)[*index], "SequenceAt");
      else
        missed(op, passName, "SequenceAt", "the position is outside the sequence of " + Twine(size));
      return;
    }
    RankedTensorType type = staticType(known->front());
    if (!type || llvm::any_of(*known, [&](Value v) { return !sameType(v.getType(), type); })) {
      missed(op, passName, "SequenceAt", "the position is no constant and the elements differ in shape");
      return;
    }
    OpBuilder builder(op);
    SmallVector<Value> values(*known);
    Value stacked = stack(builder, op.getLoc(), values, 0);
    Value element = stacked ? build<onnx::GatherOp>(builder, op.getLoc(), {stacked, op.getPosition()},
                                                    builder.getNamedAttr("axis", builder.getI64IntegerAttr(0)))
                            : Value();
    if (element)
      become(op, element, "GatherElement");
  }

  Value stack(OpBuilder &builder, Location loc, ArrayRef<Value> values, int64_t axis) {
    SmallVector<Value> parts;
    for (Value value : values) {
      Value part = build<onnx::UnsqueezeOp>(builder, loc, {value, onnx::createI64s(builder, loc, {axis})});
      if (!part)
        return part;
      parts.push_back(part);
    }
    return build<onnx::ConcatOp>(builder, loc, parts, builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)));
  }

  void length(onnx::SequenceLengthOp op) {
    const SmallVector<Value> *known = elements(op.getInputSequence());
    if (!known)
      return;
    OpBuilder builder(op);
    auto type = RankedTensorType::get({}, builder.getI64Type());
    become(op, constant(builder, op.getLoc(), onnx::makeInts(type, {int64_t(known->size())})), "SequenceLength");
  }

  // SplitToSequence(x, n) -> Split(x) into parts of n, or of the sizes in n; Squeeze without keepdims.
  //  - the number of parts is known: the dim and n are, or n is a vector of known length
  void split(onnx::SplitToSequenceOp op) {
    RankedTensorType type = rankedType(op.getInput());
    if (!type)
      return;
    int64_t axis = op.getAxis() < 0 ? op.getAxis() + type.getRank() : op.getAxis();
    if (axis < 0 || axis >= type.getRank())
      return;
    OpBuilder builder(op);
    Location loc = op.getLoc();
    bool isGiven = !onnx::isNone(op.getSplit());
    RankedTensorType splitType = isGiven ? rankedType(op.getSplit()) : RankedTensorType();
    if (isGiven && !splitType)
      return;
    Value sizes = op.getSplit();
    int64_t parts = 0;
    if (isGiven && splitType.getRank() == 1) {
      parts = splitType.getDimSize(0);
      if (ShapedType::isDynamic(parts)) {
        missed(op, passName, "SplitToSequence", "the number of parts is not known");
        return;
      }
    } else {
      std::optional<int64_t> size = isGiven ? intOf(op.getSplit()) : std::optional<int64_t>(1);
      if (!size || *size <= 0 || type.isDynamicDim(axis)) {
        missed(op, passName, "SplitToSequence", "the dim or the size of the parts is not known");
        return;
      }
      SmallVector<int64_t> all;
      for (int64_t left = type.getDimSize(axis); left > 0; left -= *size)
        all.push_back(std::min(left, *size));
      parts = all.size();
      sizes = onnx::createI64s(builder, loc, all);
    }
    Held known;
    if (parts > 0) {
      Operation *made = build(builder, loc, onnx::SplitOp::getOperationName(), {op.getInput(), sizes},
                              builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)), parts, parts);
      if (!made)
        return;
      for (Value part : made->getResults()) {
        if (!isGiven && op.getKeepdims() == 0)
          part = build<onnx::SqueezeOp>(builder, loc, {part, onnx::createI64s(builder, loc, {axis})});
        if (!part)
          return;
        known.values.push_back(part);
      }
    }
    Value sequence = makeSequence(builder, loc, op.getResult().getType(), known.values);
    held[sequence] = std::move(known);
    become(op, sequence, "SplitToSequence");
  }

  // ConcatFromSequence(s) -> Concat of the elements, unsqueezed first where the axis is new.
  void concat(onnx::ConcatFromSequenceOp op) {
    const SmallVector<Value> *known = elements(op.getInputSequence());
    if (!known || known->empty())
      return;
    OpBuilder builder(op);
    SmallVector<Value> values(*known);
    Value all = op.getNewAxis()
                    ? stack(builder, op.getLoc(), values, op.getAxis())
                    : build<onnx::ConcatOp>(builder, op.getLoc(), values,
                                            builder.getNamedAttr("axis", builder.getI64IntegerAttr(op.getAxis())));
    if (all)
      become(op, all, "ConcatFromSequence");
  }

  void getElement(onnx::OptionalGetElementOp op) {
    Value input = op.getInput();
    if (!isa<onnx::OptType>(input.getType())) {
      if (!onnx::isNone(input))
        become(op, input, "OptionalGetElement");
      return;
    }
    const Held *known = find(input);
    if (known && known->present)
      become(op, Value(known->values[0]), "OptionalGetElement");
    else if (known)
      missed(op, passName, "OptionalGetElement", "the optional is empty");
  }

  void hasElement(onnx::OptionalHasElementOp op) {
    Value input = op->getNumOperands() ? op.getInput() : Value();
    bool present = !onnx::isNone(input);
    if (present && isa<onnx::OptType, onnx::AnyType>(input.getType())) {
      const Held *known = find(input);
      if (!known)
        return;
      present = known->present;
    }
    OpBuilder builder(op);
    auto type = RankedTensorType::get({}, builder.getI1Type());
    become(op, constant(builder, op.getLoc(), onnx::makeInts(type, {present})), "OptionalHasElement");
  }

  //===--- control flow ---===//

  /// The tensors that a container comes down to; false where that is not known.
  bool flatten(Value value, SmallVectorImpl<Value> &tensors) const {
    if (!isContainer(value)) {
      tensors.push_back(value);
      return true;
    }
    const Held *known = find(value);
    return known && llvm::all_of(known->values, [&](Value v) { return flatten(v, tensors); });
  }
  bool sameStructure(Value a, Value b) const {
    if (!isContainer(a) || !isContainer(b))
      return !isContainer(a) && !isContainer(b);
    const Held *x = find(a), *y = find(b);
    return x && y && isa<onnx::SeqType>(a.getType()) == isa<onnx::SeqType>(b.getType()) && x->present == y->present &&
           x->values.size() == y->values.size() && llvm::all_of(llvm::zip(x->values, y->values), [&](auto pair) {
             return sameStructure(std::get<0>(pair), std::get<1>(pair));
           });
  }
  /// The container `like`, with tensors taken from `tensors` in the order of flatten.
  Value rebuild(Value like, ArrayRef<Value> &tensors, OpBuilder &builder) {
    if (!isContainer(like)) {
      Value taken = tensors.front();
      tensors = tensors.drop_front();
      return taken;
    }
    Held known = *find(like);
    for (Value &value : known.values)
      value = rebuild(value, tensors, builder);
    Value made;
    Type type = like.getType();
    if (isa<onnx::OptType>(type)) {
      SmallVector<NamedAttribute> attributes;
      SmallVector<Value> inner(known.values);
      if (inner.empty()) {
        inner.push_back(noValue(builder, like.getLoc()));
        attributes.push_back(
            builder.getNamedAttr("elem_type", TypeAttr::get(cast<onnx::OptType>(type).getElementType())));
      }
      made = onnx::OptionalOp::create(builder, like.getLoc(), type, inner, attributes);
    } else {
      made = makeSequence(builder, like.getLoc(), type, known.values);
    }
    held[made] = std::move(known);
    return made;
  }

  // If with sequences as results -> If with their elements as results.
  //  - both branches give as many of them
  void flattenIf(onnx::IfOp op) {
    if (llvm::none_of(op.getResultTypes(), [](Type t) { return isContainer(t); }))
      return;
    Operation *ends[] = {op.getThenBranch().front().getTerminator(), op.getElseBranch().front().getTerminator()};
    SmallVector<Value> flat[2];
    for (auto [a, b] : llvm::zip_equal(ends[0]->getOperands(), ends[1]->getOperands()))
      if (!sameStructure(a, b) || !flatten(a, flat[0]) || !flatten(b, flat[1])) {
        missed(op, passName, "FlattenIf", "the branches do not give sequences of one length");
        return;
      }
    SmallVector<Value> like(ends[0]->getOperands());
    OpBuilder builder(op);
    SmallVector<Type> types(flat[0].size(), onnx::AnyType::get(&getContext()));
    auto made = onnx::IfOp::create(builder, op.getLoc(), types, op->getOperands(), op->getAttrs());
    made.getThenBranch().takeBody(op.getThenBranch());
    made.getElseBranch().takeBody(op.getElseBranch());
    ends[0]->setOperands(flat[0]);
    ends[1]->setOperands(flat[1]);
    onnx::ShapeValues values;
    SmallVector<Type> inferred;
    ScopedDiagnosticHandler silence(&getContext(), [](Diagnostic &) { return success(); });
    if (succeeded(onnx::inferReturnTypes(made, inferred, values)))
      for (auto [result, type] : llvm::zip_equal(made->getResults(), inferred))
        result.setType(type);
    SmallVector<Value> tensors(made->getResults()), results;
    ArrayRef<Value> rest = tensors;
    for (auto [result, value] : llvm::zip_equal(op.getResults(), like)) {
      Value whole = rebuild(value, rest, builder);
      if (isContainer(whole))
        whole.setType(result.getType());
      results.push_back(whole);
    }
    become(op, results, "FlattenIf");
  }

  // SequenceMap(s, ...) -> its body once an element.
  bool copyMap(onnx::SequenceMapOp op) {
    const SmallVector<Value> *first = elements(op->getOperand(0));
    if (!first)
      return false;
    size_t runs = first->size();
    for (Value operand : op->getOperands())
      if (isContainer(operand))
        if (const auto *known = elements(operand); !known || known->size() < runs)
          return false;
    Block &body = op->getRegion(0).front();
    if (body.getNumArguments() != op->getNumOperands())
      return false;
    OpBuilder builder(op);
    SmallVector<SmallVector<Value>> made(op->getNumResults());
    for (size_t i = 0; i < runs; ++i) {
      SmallVector<Value> arguments;
      for (Value operand : op->getOperands())
        arguments.push_back(isContainer(operand) ? (*elements(operand))[i] : operand);
      for (auto [all, value] : llvm::zip(made, copyBody(body, arguments, builder)))
        all.push_back(value);
    }
    SmallVector<Value> sequences;
    for (auto [result, values] : llvm::zip_equal(op->getResults(), made))
      sequences.push_back(makeSequence(builder, op.getLoc(), result.getType(), values));
    become(op, sequences, "SequenceMap");
    return true;
  }

  // Loop(M, ..., s) -> its body M times.
  //  - M is a constant of at most max-unroll, and the loop never stops before
  bool unroll(onnx::LoopOp op) {
    Block &body = op->getRegion(0).front();
    unsigned states = op.getVInitial().size();
    ValueRange yields = body.getTerminator()->getOperands();
    std::optional<int64_t> runs = onnx::isNone(op.getM()) ? std::nullopt : intOf(op.getM());
    bool none = !onnx::isNone(op.getCond()) && intOf(op.getCond()) == 0;
    if (none || (runs && *runs < 0))
      runs = 0;
    if (body.getNumArguments() != states + 2 || yields.size() < states + 1)
      return false;
    if (!runs || (!none && !neverStops(op)))
      return missed(op, passName, "UnrollLoop", "the number of iterations is not a constant");
    if (*runs > maxUnroll)
      return missed(op, passName, "UnrollLoop",
                    Twine(*runs) + " iterations are more than max-unroll, which is " + Twine(maxUnroll));
    if (*runs == 0 && yields.size() > states + 1)
      return missed(op, passName, "UnrollLoop", "no iteration tells the shape of what it stacks");
    OpBuilder builder(op);
    Location loc = op.getLoc();
    SmallVector<Value> state(op.getVInitial());
    SmallVector<SmallVector<Value>> stacks(yields.size() - states - 1);
    Value yes = constant(builder, loc, onnx::makeInts(RankedTensorType::get({}, builder.getI1Type()), {1}));
    for (int64_t i = 0; i < *runs; ++i) {
      SmallVector<Value> arguments = {
          constant(builder, loc, onnx::makeInts(RankedTensorType::get({}, builder.getI64Type()), {i})), yes};
      llvm::append_range(arguments, state);
      SmallVector<Value> made = copyBody(body, arguments, builder);
      state.assign(made.begin() + 1, made.begin() + 1 + states);
      for (auto [all, value] : llvm::zip_equal(stacks, ArrayRef<Value>(made).drop_front(states + 1)))
        all.push_back(value);
    }
    SmallVector<Value> results(state);
    for (auto [result, values] : llvm::zip_equal(op->getResults().drop_front(states), stacks)) {
      // Types inside the copy follow with the next inference; these operators wait for it.
      SmallVector<Value> parts;
      Type unknown = onnx::AnyType::get(&getContext());
      for (Value value : values)
        parts.push_back(
            onnx::UnsqueezeOp::create(builder, loc, unknown, ValueRange{value, onnx::createI64s(builder, loc, {0})}));
      results.push_back(onnx::ConcatOp::create(builder, loc, result.getType(), parts,
                                               builder.getNamedAttr("axis", builder.getI64IntegerAttr(0))));
    }
    become(op, results, "UnrollLoop");
    return true;
  }

  // Loop(..., s = []) { s = SequenceInsert(s, t) }, ConcatFromSequence(s) -> Loop that stacks t.
  //  - nothing else looks at s, in the loop or after it; t is put at the end
  //  - t has one static shape, for where the axis is not new its length along it must not change
  bool stackInsertions(onnx::LoopOp op) {
    Block &body = op->getRegion(0).front();
    Operation *yield = body.getTerminator();
    unsigned states = op.getVInitial().size();
    if (body.getNumArguments() != states + 2 || yield->getNumOperands() < states + 1)
      return false;
    for (unsigned i = 0; i < states; ++i) {
      const auto *start = elements(op.getVInitial()[i]);
      auto insertion = yield->getOperand(i + 1).getDefiningOp<onnx::SequenceInsertOp>();
      BlockArgument inside = body.getArgument(i + 2);
      if (!start || !start->empty() || !insertion || insertion->getBlock() != &body ||
          insertion.getInputSequence() != inside || !inside.hasOneUse() || !insertion.getResult().hasOneUse() ||
          !onnx::isNone(insertion.getPosition()))
        continue;
      RankedTensorType type = staticType(insertion.getTensor());
      Value sequence = op->getResult(i);
      if (!type || llvm::any_of(sequence.getUsers(), [](Operation *u) { return !isa<onnx::ConcatFromSequenceOp>(u); }))
        continue;
      stackState(op, i, insertion, type);
      return true;
    }
    return false;
  }

  void stackState(onnx::LoopOp op, unsigned state, onnx::SequenceInsertOp insertion, RankedTensorType type) {
    OpBuilder builder(op);
    Block &body = op->getRegion(0).front();
    Operation *yield = body.getTerminator();
    SmallVector<Value> operands(op->getOperands()), yields(yield->getOperands());
    SmallVector<Type> types(op->getResultTypes());
    operands.erase(operands.begin() + 2 + state);
    yields.erase(yields.begin() + 1 + state);
    yields.push_back(insertion.getTensor());
    types.erase(types.begin() + state);
    SmallVector<int64_t> shape(type.getShape());
    std::optional<int64_t> runs = onnx::isNone(op.getM()) ? std::nullopt : intOf(op.getM());
    bool isCounted = runs && *runs >= 0 && neverStops(op);
    shape.insert(shape.begin(), isCounted ? *runs : ShapedType::kDynamic);
    types.push_back(RankedTensorType::get(shape, type.getElementType()));
    auto made = onnx::LoopOp::create(builder, op.getLoc(), types, operands, op->getAttrs());
    made->getRegion(0).takeBody(op->getRegion(0));
    yield->setOperands(yields);
    insertion.erase();
    body.eraseArgument(state + 2);
    Value stacked = made->getResults().back();
    for (Operation *user : llvm::make_early_inc_range(op->getResult(state).getUsers())) {
      auto concat = cast<onnx::ConcatFromSequenceOp>(user);
      OpBuilder after(concat);
      int64_t rank = type.getRank() + (concat.getNewAxis() ? 1 : 0);
      int64_t axis = concat.getAxis() < 0 ? concat.getAxis() + rank : concat.getAxis();
      // The iterations move from the front to the axis; where it is not new, both become one dim.
      SmallVector<int64_t> order = llvm::to_vector(llvm::seq<int64_t>(1, type.getRank() + 1));
      order.insert(order.begin() + axis, 0);
      Value value = stacked;
      if (axis != 0)
        value = build<onnx::TransposeOp>(after, concat.getLoc(), value,
                                         after.getNamedAttr("perm", after.getDenseI64ArrayAttr(order)));
      if (!concat.getNewAxis()) {
        SmallVector<int64_t> merged(type.getShape());
        merged[axis] = -1;
        value =
            build<onnx::ReshapeOp>(after, concat.getLoc(), {value, onnx::createI64s(after, concat.getLoc(), merged)});
      }
      become(concat, value, "StackInsertions");
    }
    SmallVector<Value> results(made->getResults().drop_back());
    results.insert(results.begin() + state, op.getVInitial()[state]); // no user is left
    for (auto [result, value] : llvm::zip_equal(op->getResults(), results))
      result.replaceAllUsesWith(value);
  }

  //===--- the signature ---===//

  // Outputs that are sequences or optionals -> their tensors, each an output "y[0]", "y[1]", ...; the function
  // attribute onnx.lengths tells who calls it how many there are of each, and of an empty optional `unit`.
  void flattenResults(func::FuncOp func) {
    Operation *terminator = func.front().getTerminator();
    Builder b(&getContext());
    SmallVector<NamedAttribute> lengths;
    if (auto known = func->getAttrOfType<DictionaryAttr>(onnx::lengthsAttr))
      lengths.assign(known.begin(), known.end());
    for (unsigned i = 0; i < terminator->getNumOperands();) {
      Value value = terminator->getOperand(i);
      SmallVector<Value> tensors;
      if (!isContainer(value) || !flatten(value, tensors)) {
        ++i;
        continue;
      }
      auto name = func.getResultAttrOfType<StringAttr>(i, "onnx.name");
      std::string base = name ? name.str() : "output" + std::to_string(i);
      bool isSequence = true;
      if (isa<onnx::OptType>(value.getType())) {
        const Held *known = find(value);
        isSequence = known->present && isContainer(known->values[0]);
        lengths.push_back(b.getNamedAttr(base, known->present ? Attribute(b.getI64IntegerAttr(tensors.size()))
                                                              : Attribute(b.getUnitAttr())));
      } else {
        lengths.push_back(b.getNamedAttr(base, b.getI64IntegerAttr(tensors.size())));
      }
      terminator->eraseOperand(i);
      (void)func.eraseResult(i);
      for (auto [k, tensor] : llvm::enumerate(tensors)) {
        std::string own = isSequence ? base + "[" + std::to_string(k) + "]" : base;
        terminator->insertOperands(i, tensor);
        (void)func.insertResult(i, tensor.getType(),
                                b.getDictionaryAttr(b.getNamedAttr("onnx.name", b.getStringAttr(own))));
        ++i;
      }
      passed(func, passName, "FlattenOutput", base);
      ++count;
    }
    if (!lengths.empty())
      func->setAttr(onnx::lengthsAttr, b.getDictionaryAttr(lengths));
  }

  // ONNX names every output once, and none as an input: elements that are both get an operator of their own.
  static void separateResults(func::FuncOp func) {
    Operation *terminator = func.front().getTerminator();
    llvm::SmallDenseSet<Value> seen;
    for (OpOperand &operand : terminator->getOpOperands()) {
      Value value = operand.get();
      Operation *made = value.getDefiningOp();
      bool isOwn = made && !made->hasTrait<OpTrait::ConstantLike>() && seen.insert(value).second;
      if (isOwn || !isa<TensorType>(value.getType()))
        continue;
      OpBuilder builder(terminator);
      operand.set(onnx::IdentityOp::create(builder, terminator->getLoc(), value.getType(), value));
    }
  }
};

} // namespace
} // namespace burin
