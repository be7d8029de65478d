// A choice or a new order of channels (Gather, Slice, the Reshape-Transpose-Reshape of a channel shuffle) costs a way
// through memory and no arithmetic. Where only operators that work channel by channel lie between it and weights that
// mix channels, those weights take the order instead: rows of a convolution before it, columns of one behind it.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FOLDCHANNELS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FoldChannels";
constexpr unsigned maxSteps = 16;

// y[:, k] = x[:, index[k]]
struct Selection {
  Value x;
  SmallVector<int64_t> index;
};

std::optional<Selection> readGather(onnx::GatherOp op) {
  RankedTensorType type = rankedType(op.getData()), indices = rankedType(op.getIndices());
  auto held = onnx::getConstantInts(op.getIndices());
  if (!type || !indices || !held || indices.getRank() != 1 || type.getRank() < 2 ||
      type.getDimSize(1) == ShapedType::kDynamic || (op.getAxis() != 1 && op.getAxis() != 1 - type.getRank()))
    return std::nullopt;
  Selection selection{op.getData(), {}};
  for (int64_t i : *held)
    selection.index.push_back(i < 0 ? i + type.getDimSize(1) : i);
  return selection;
}

std::optional<Selection> readSlice(onnx::SliceOp op) {
  RankedTensorType type = rankedType(op.getData()), out = rankedType(op.getResult());
  auto starts = onnx::getConstantInts(op.getStarts()), axes = onnx::getConstantInts(op.getAxes());
  if (!type || !out || !starts || !axes || starts->size() != 1 || axes->size() != 1 || type.getRank() < 2 ||
      (axes->front() != 1 && axes->front() != 1 - type.getRank()) || type.getDimSize(1) == ShapedType::kDynamic ||
      out.getDimSize(1) == ShapedType::kDynamic)
    return std::nullopt;
  std::optional<int64_t> step = onnx::isNone(op.getSteps()) ? 1 : onnx::getConstantInt(op.getSteps());
  if (!step || *step == 0)
    return std::nullopt;
  int64_t size = type.getDimSize(1), start = starts->front() < 0 ? starts->front() + size : starts->front();
  start = std::clamp<int64_t>(start, 0, *step > 0 ? size : size - 1);
  Selection selection{op.getData(), {}};
  for (int64_t k = 0; k < out.getDimSize(1); ++k)
    selection.index.push_back(start + k * *step);
  return selection;
}

// Reshape([N, C, rest] -> [N, f, g..., rest]), Transpose of the factors among themselves, Reshape back.
std::optional<Selection> readShuffle(onnx::ReshapeOp op) {
  auto transpose = definedBy<onnx::TransposeOp>(op.getData());
  auto first = transpose ? definedBy<onnx::ReshapeOp>(transpose.getData()) : onnx::ReshapeOp();
  RankedTensorType in = first ? rankedType(first.getData()) : RankedTensorType();
  RankedTensorType split = first ? rankedType(first.getResult()) : RankedTensorType();
  // With all sizes but the batch known, a Reshape cannot have changed that.
  auto open = [](RankedTensorType type) {
    return type.getRank() < 2 || llvm::is_contained(type.getShape(), 0) ||
           llvm::is_contained(type.getShape().drop_front(), ShapedType::kDynamic);
  };
  if (!in || !split || open(in) || open(split) || !sameType(in, op.getResult().getType()) ||
      split.getDimSize(0) != in.getDimSize(0) || !transpose.getResult().hasOneUse() || !first.getResult().hasOneUse())
    return std::nullopt;
  int64_t factors = 0, product = 1, count = in.getDimSize(1);
  while (product != count && 1 + factors < split.getRank())
    product *= split.getDimSize(1 + factors++);
  if (product != count || factors < 2)
    return std::nullopt;
  SmallVector<int64_t> perm = permutation(transpose, split.getRank());
  for (auto [to, from] : llvm::enumerate(perm))
    if (int64_t(to) == 0 || int64_t(to) > factors ? from != int64_t(to) : from == 0 || from > factors)
      return std::nullopt;
  Selection selection{first.getData(), {}};
  for (int64_t k = 0; k < count; ++k) {
    SmallVector<int64_t> at(split.getRank());
    for (int64_t d = factors, rest = k; d > 0; rest /= split.getDimSize(perm[d]), --d)
      at[perm[d]] = rest % split.getDimSize(perm[d]);
    int64_t channel = 0;
    for (int64_t d = 1; d <= factors; ++d)
      channel = channel * split.getDimSize(d) + at[d];
    selection.index.push_back(channel);
  }
  return selection;
}

std::optional<Selection> readSelection(Operation *op) {
  std::optional<Selection> selection;
  if (auto gather = dyn_cast_or_null<onnx::GatherOp>(op))
    selection = readGather(gather);
  else if (auto slice = dyn_cast_or_null<onnx::SliceOp>(op))
    selection = readSlice(slice);
  else if (auto reshape = dyn_cast_or_null<onnx::ReshapeOp>(op))
    selection = readShuffle(reshape);
  if (!selection || selection->index.empty())
    return std::nullopt;
  int64_t count = rankedType(selection->x).getDimSize(1);
  if (llvm::any_of(selection->index, [&](int64_t i) { return i < 0 || i >= count; }))
    return std::nullopt;
  return selection;
}

bool isDepthwise(Operation *op) {
  auto conv = dyn_cast<onnx::ConvOp>(op);
  ElementsAttr weights = conv ? onnx::getConstantAttr(conv.getW()) : ElementsAttr();
  return weights && cast<RankedTensorType>(weights.getShapedType()).getDimSize(0) == int64_t(conv.getGroup()) &&
         cast<RankedTensorType>(weights.getShapedType()).getDimSize(1) == 1 &&
         (onnx::isNone(conv.getB()) || onnx::getConstantAttr(conv.getB()));
}

// Operators that treat channels alike and apart; the value is operand 0 (or, of two, the one that is no constant).
std::optional<unsigned> valueOperand(Operation *op) {
  if (!op || op->getNumRegions() || op->getNumResults() == 0)
    return std::nullopt;
  if (isa<onnx::ReluOp, onnx::LeakyReluOp, onnx::SigmoidOp, onnx::HardSigmoidOp, onnx::HardSwishOp, onnx::SwishOp,
          onnx::GeluOp, onnx::TanhOp, onnx::EluOp, onnx::MishOp, onnx::SoftplusOp, onnx::NegOp, onnx::AbsOp,
          onnx::SqrtOp, onnx::ExpOp, onnx::ErfOp, onnx::AveragePoolOp, onnx::GlobalAveragePoolOp,
          onnx::GlobalMaxPoolOp>(op))
    return 0;
  if (auto pool = dyn_cast<onnx::MaxPoolOp>(op))
    return onnx::isNone(pool.getIndices()) ? std::optional<unsigned>(0) : std::nullopt;
  auto constant = [&](unsigned i) {
    return onnx::isNone(op->getOperand(i)) || onnx::getConstantAttr(op->getOperand(i));
  };
  if (isa<onnx::ClipOp>(op))
    return constant(1) && constant(2) ? std::optional<unsigned>(0) : std::nullopt;
  if (isDepthwise(op))
    return 0;
  if (isa<onnx::PReluOp, onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp>(op))
    for (unsigned i = 0; i < (isa<onnx::PReluOp>(op) ? 1u : 2u); ++i) {
      RankedTensorType type = rankedType(op->getOperand(i)), other = rankedType(op->getOperand(1 - i));
      RankedTensorType result = rankedType(op->getResult(0));
      // The value alone gives the result its channels.
      if (onnx::getConstantAttr(op->getOperand(1 - i)) && type && other && result &&
          other.getRank() <= type.getRank() && type.getDimSize(1) == result.getDimSize(1) && type.getDimSize(1) > 1)
        return i;
    }
  return std::nullopt;
}

Value gathered(OpBuilder &builder, Location loc, Value constant, int64_t axis, ArrayRef<int64_t> index) {
  Value made = build<onnx::GatherOp>(builder, loc, {constant, onnx::createI64s(builder, loc, index)},
                                     builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)));
  return made ? foldOrKeep(made.getDefiningOp()) : made;
}

// `op`, channel by channel, over `x` in place of its value; its constants are chosen by `index`.
Value again(OpBuilder &builder, Operation *op, unsigned value, Value x, ArrayRef<int64_t> index) {
  SmallVector<Value> operands(op->getOperands());
  SmallVector<NamedAttribute> attributes(op->getAttrs());
  int64_t rank = rankedType(op->getOperand(value)).getRank();
  operands[value] = x;
  if (isDepthwise(op)) {
    for (unsigned i = 1; i < 3; ++i)
      if (!onnx::isNone(operands[i]))
        operands[i] = gathered(builder, op->getLoc(), operands[i], 0, index);
    for (NamedAttribute &attribute : attributes)
      if (attribute.getName() == "group")
        attribute = builder.getNamedAttr("group", builder.getI64IntegerAttr(index.size()));
  } else if (op->getNumOperands() == 2) {
    RankedTensorType type = rankedType(operands[1 - value]);
    int64_t channel = 1 - (rank - type.getRank());
    if (channel >= 0 && type.getDimSize(channel) != 1)
      operands[1 - value] = gathered(builder, op->getLoc(), operands[1 - value], channel, index);
  }
  if (llvm::any_of(operands, [](Value operand) { return !operand; }))
    return {};
  Operation *made =
      build(builder, op->getLoc(), op->getName().getStringRef(), operands, attributes, op->getNumResults(), 1);
  return made ? made->getResult(0) : Value();
}

// The dim of the weights that holds the result's channels, where all of them are free to change places.
std::optional<int64_t> rowDim(Operation *op) {
  if (!op || op->getNumOperands() < 2 || !onnx::getConstantAttr(op->getOperand(1)))
    return std::nullopt;
  if (op->getNumOperands() > 2 && !onnx::isNone(op->getOperand(2)) && !onnx::getConstantAttr(op->getOperand(2)))
    return std::nullopt;
  if (auto conv = dyn_cast<onnx::ConvOp>(op))
    return conv.getGroup() == 1 ? std::optional<int64_t>(0) : std::nullopt;
  if (auto conv = dyn_cast<onnx::ConvTransposeOp>(op))
    return conv.getGroup() == 1 ? std::optional<int64_t>(1) : std::nullopt;
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return gemm.getTransB() != 0 ? 0 : 1;
  return std::nullopt;
}

// Gather(Relu(Conv(%x, %w, %b)), channels)   ->   Relu(Conv(%x, Gather(%w), Gather(%b)))
//  - not more channels than there were; nothing else uses what lies between
bool foldUp(Operation *op, const Selection &selection) {
  SmallVector<std::pair<Operation *, unsigned>> steps;
  Value value = selection.x;
  Operation *home = nullptr;
  while (steps.size() < maxSteps) {
    Operation *producer = value.getDefiningOp();
    if (!producer || producer->getBlock() != op->getBlock())
      return false;
    bool isHome = rowDim(producer).has_value();
    auto operand = isHome ? std::nullopt : valueOperand(producer);
    if (!isHome && !operand)
      return false;
    if (!value.hasOneUse())
      return missed(op, passName, "Rows", "a value between the weights and the new order has several uses");
    if (isHome) {
      home = producer;
      break;
    }
    steps.push_back({producer, *operand});
    value = producer->getOperand(*operand);
  }
  if (!home)
    return false;
  if (int64_t(selection.index.size()) > rankedType(selection.x).getDimSize(1))
    return missed(op, passName, "Rows", "there would be more channels to compute");
  OpBuilder builder(op);
  SmallVector<Value> operands(home->getOperands());
  operands[1] = gathered(builder, home->getLoc(), operands[1], *rowDim(home), selection.index);
  if (operands.size() > 2 && !onnx::isNone(operands[2])) {
    RankedTensorType type = rankedType(operands[2]);
    // A bias of Gemm may be one number for all.
    if (type && type.getRank() > 0 && type.getDimSize(type.getRank() - 1) != 1)
      operands[2] = gathered(builder, home->getLoc(), operands[2], type.getRank() - 1, selection.index);
  }
  if (!operands[1] || (operands.size() > 2 && !operands[2]))
    return false;
  Operation *made = build(builder, fuse({home, op}), home->getName().getStringRef(), operands, home->getAttrs());
  Value result = made ? made->getResult(0) : Value();
  for (auto [step, operand] : llvm::reverse(steps))
    result = result ? again(builder, step, operand, result, selection.index) : result;
  return result && replaceBy(op, result, passName, "Rows");
}

// Conv(Relu(Gather(%x, order)), %w)   ->   Conv(Relu(%x), %w with its columns in the inverse order)
//  - the order is one of all channels, each once; nothing else uses what lies between
bool foldDown(onnx::ConvOp conv) {
  if (conv.getGroup() != 1 || !onnx::getConstantAttr(conv.getW()))
    return false;
  SmallVector<std::pair<Operation *, unsigned>> steps;
  Value value = conv.getX();
  std::optional<Selection> selection;
  while (!selection && steps.size() < maxSteps) {
    Operation *producer = value.getDefiningOp();
    if (!producer || producer->getBlock() != conv->getBlock())
      return false;
    selection = readSelection(producer);
    if (selection)
      break;
    auto operand = valueOperand(producer);
    if (!operand || !value.hasOneUse())
      return false;
    steps.push_back({producer, *operand});
    value = producer->getOperand(*operand);
  }
  if (!selection)
    return false;
  int64_t count = rankedType(selection->x).getDimSize(1);
  SmallVector<int64_t> inverse(count, -1);
  for (auto [k, j] : llvm::enumerate(selection->index))
    inverse[j] = k;
  if (int64_t(selection->index.size()) != count || llvm::is_contained(inverse, -1))
    return missed(conv, passName, "Columns", "not every channel is kept once");
  if (!value.hasOneUse())
    return missed(conv, passName, "Columns", "the new order has several uses");
  OpBuilder builder(conv);
  Value weights = gathered(builder, conv.getLoc(), conv.getW(), 1, inverse), x = selection->x;
  for (auto [step, operand] : llvm::reverse(steps))
    x = x ? again(builder, step, operand, x, inverse) : x;
  if (!weights || !x || !sameType(x.getType(), conv.getX().getType()))
    return false;
  Operation *old = conv.getX().getDefiningOp();
  conv->setOperand(0, x);
  conv->setOperand(1, weights);
  eraseDead(old);
  passed(conv, passName, "Columns");
  return true;
}

// Whether `value` goes through operators that work channel by channel to one convolution whose columns can be
// reordered.
bool reachesColumns(Value value) {
  for (unsigned step = 0; step < maxSteps && value.hasOneUse(); ++step) {
    OpOperand &use = *value.use_begin();
    auto conv = dyn_cast<onnx::ConvOp>(use.getOwner());
    if (conv && use.getOperandNumber() == 0 && conv.getGroup() == 1 && onnx::getConstantAttr(conv.getW()))
      return true;
    auto operand = valueOperand(use.getOwner());
    if (!operand || *operand != use.getOperandNumber())
      return false;
    value = use.getOwner()->getResult(0);
  }
  return false;
}

// The channels of another value that a part of it begins and ends with.
struct Part {
  Value whole;
  int64_t begin, end;
};

std::optional<Part> readPart(Value value) {
  RankedTensorType type = rankedType(value);
  if (auto split = value.getDefiningOp<onnx::SplitOp>()) {
    int64_t begin = 0, axis = split.getAxis();
    for (Value before : split.getResults()) {
      RankedTensorType part = rankedType(before);
      if (!part || part.getRank() < 2 || part.isDynamicDim(1) || (axis != 1 && axis != 1 - part.getRank()))
        return std::nullopt;
      if (before == value)
        return Part{split.getInput(), begin, begin + part.getDimSize(1)};
      begin += part.getDimSize(1);
    }
  }
  auto slice = value.getDefiningOp<onnx::SliceOp>();
  auto selection = slice ? readSlice(slice) : std::nullopt;
  if (!selection || selection->index.empty() ||
      selection->index.back() - selection->index.front() + 1 != type.getDimSize(1))
    return std::nullopt;
  return Part{selection->x, selection->index.front(), selection->index.back() + 1};
}

// Concat(Conv(%x[:8]), %x[8:])   ->   Gather(Concat(%x[8:], Conv(%x[:8])), order), for foldDown
// so that the part that is passed on can stay where it lies: behind what else of %x is read, and the new part behind
// it.
//  - the largest part is the end of a value with other uses, and not the first, or the beginning of one, and not the
//  last
//  - a convolution's weights can take the order
bool orderParts(onnx::ConcatOp concat) {
  RankedTensorType type = rankedType(concat.getResult());
  if (!type || type.getRank() < 2 || type.isDynamicDim(1) ||
      (concat.getAxis() != 1 && concat.getAxis() != 1 - type.getRank()))
    return false;
  std::optional<Part> kept;
  unsigned at = 0;
  for (auto [i, input] : llvm::enumerate(concat.getInputs())) {
    auto part = readPart(input);
    if (part && (!kept || part->end - part->begin > kept->end - kept->begin)) {
      kept = part;
      at = i;
    }
  }
  if (!kept)
    return false;
  bool isEnd = kept->end == rankedType(kept->whole).getDimSize(1);
  unsigned wanted = isEnd ? 0 : concat.getInputs().size() - 1;
  if (at == wanted || (!isEnd && kept->begin != 0) || kept->whole.hasOneUse())
    return false;
  if (!reachesColumns(concat.getResult()))
    return missed(concat, passName, "Parts", "no weights behind it can take another order");
  // Where the channels of each input begin, and those of the result in the new order.
  SmallVector<Value> inputs(concat.getInputs());
  SmallVector<int64_t> begin{0};
  for (Value input : inputs) {
    RankedTensorType part = rankedType(input);
    if (!part || part.getRank() != type.getRank() || part.isDynamicDim(1))
      return false;
    begin.push_back(begin.back() + part.getDimSize(1));
  }
  SmallVector<unsigned> order(llvm::to_vector(llvm::seq<unsigned>(0, inputs.size())));
  order.erase(order.begin() + at);
  order.insert(order.begin() + wanted, at);
  SmallVector<int64_t> index(begin.back());
  int64_t next = 0;
  for (unsigned i : order)
    for (int64_t channel = begin[i]; channel < begin[i + 1]; ++channel)
      index[channel] = next++;
  SmallVector<Value> ordered(llvm::map_range(order, [&](unsigned i) { return inputs[i]; }));
  OpBuilder builder(concat);
  Value joined = build<onnx::ConcatOp>(builder, concat.getLoc(), ordered, concat->getAttrs());
  Value gather = joined ? build<onnx::GatherOp>(builder, concat.getLoc(),
                                                {joined, onnx::createI64s(builder, concat.getLoc(), index)},
                                                builder.getNamedAttr("axis", builder.getI64IntegerAttr(1)))
                        : Value();
  return replaceBy(concat, gather, passName, "Parts");
}

class FoldChannels : public impl::FoldChannelsBase<FoldChannels> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (auto conv = dyn_cast<onnx::ConvOp>(op))
        return foldDown(conv);
      if (auto concat = dyn_cast<onnx::ConcatOp>(op))
        return orderParts(concat);
      auto selection = readSelection(op);
      return selection && foldUp(op, *selection);
    });
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
