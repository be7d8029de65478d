// Horizontal fusion: products or convolutions of one value with several constant weights (queries, keys and values;
// gate and up; the heads of a detector) are one operator with the weights side by side, and a Split. What follows each
// part alike (a bias, an activation, a convolution of equal shape) goes before the Split in turn.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FUSESIBLINGS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FuseSiblings";
// Users of one value that are looked at, and parts of one operator.
constexpr unsigned maxUsers = 256, maxParts = 32;

// What has to agree beside the value: kind, attributes, and the weights' shape but for the columns.
struct Sibling {
  Operation *op;
  RankedTensorType weights;
  int64_t columnDim, columns;
};

std::optional<Sibling> readSibling(Operation *op) {
  if (!isa<onnx::MatMulOp, onnx::GemmOp, onnx::ConvOp>(op))
    return std::nullopt;
  ElementsAttr held = onnx::getConstantAttr(op->getOperand(1));
  RankedTensorType weights = held ? dyn_cast<RankedTensorType>(held.getShapedType()) : RankedTensorType();
  if (!weights || !isa<FloatType>(weights.getElementType()) || !rankedType(op->getOperand(0)) ||
      !rankedType(op->getResult(0)) || onnx::getConstantAttr(op->getOperand(0)))
    return std::nullopt;
  int64_t dim = 1;
  if (auto conv = dyn_cast<onnx::ConvOp>(op)) {
    if (conv.getGroup() != 1 || weights.getRank() < 3)
      return std::nullopt;
    dim = 0;
  } else if (weights.getRank() != 2 || rankedType(op->getOperand(0)).getRank() < 2) {
    return std::nullopt;
  } else if (auto gemm = dyn_cast<onnx::GemmOp>(op)) {
    dim = gemm.getTransB() != 0 ? 0 : 1;
  }
  // A bias must be one by column, so that biases can stand side by side.
  if (op->getNumOperands() > 2 && !onnx::isNone(op->getOperand(2))) {
    ElementsAttr bias = onnx::getConstantAttr(op->getOperand(2));
    if (!bias || cast<RankedTensorType>(bias.getShapedType()).getRank() != 1 ||
        bias.getNumElements() != weights.getDimSize(dim))
      return std::nullopt;
  }
  return Sibling{op, weights, dim, weights.getDimSize(dim)};
}

bool alike(const Sibling &a, const Sibling &b) {
  if (a.op->getName() != b.op->getName() || a.op->getAttrDictionary() != b.op->getAttrDictionary() ||
      a.weights.getElementType() != b.weights.getElementType() || a.weights.getRank() != b.weights.getRank())
    return false;
  for (int64_t d = 0; d < a.weights.getRank(); ++d)
    if (d != a.columnDim && a.weights.getDimSize(d) != b.weights.getDimSize(d))
      return false;
  return true;
}

int64_t roundUp(int64_t columns, int64_t lanes) { return (columns + lanes - 1) / lanes * lanes; }

// Constants side by side; copies of them are made first, since they may stand behind the place where they are needed.
Value sideBySide(OpBuilder &builder, Location loc, ArrayRef<Value> constants, int64_t axis) {
  SmallVector<Value> parts;
  for (Value value : constants)
    parts.push_back(constant(builder, loc, onnx::getConstantAttr(value)));
  Value made =
      build<onnx::ConcatOp>(builder, loc, parts, builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)));
  return made ? foldOrKeep(made.getDefiningOp()) : made;
}

// `whole` in parts along `axis`, in place of the results of `ops`.
bool split(OpBuilder &builder, Location loc, Value whole, int64_t axis, ArrayRef<int64_t> sizes,
           ArrayRef<Operation *> ops) {
  Operation *parts =
      build(builder, loc, onnx::SplitOp::getOperationName(), {whole, onnx::createI64s(builder, loc, sizes)},
            builder.getNamedAttr("axis", builder.getI64IntegerAttr(axis)), sizes.size(), sizes.size());
  if (!parts)
    return false;
  // A value that leaves the graph must keep its type.
  for (auto [op, part] : llvm::zip_equal(ops, parts->getResults()))
    if (!sameType(op->getResult(0).getType(), part.getType())) {
      parts->erase();
      return false;
    }
  for (auto [op, part] : llvm::zip_equal(ops, parts->getResults())) {
    part.setType(op->getResult(0).getType());
    op->getResult(0).replaceAllUsesWith(part);
  }
  return true;
}

// MatMul(%x, %q), MatMul(%x, %k), MatMul(%x, %v)   ->   Split(MatMul(%x, [%q %k %v])), for Gemm and Conv too
//  - at least two of equal kind, attributes and shape of weights but for the columns; the weights are constants
//  - with `lanes`, only where columns side by side fill vectors better by a tenth than apart
bool fuseSiblings(Operation *op, int64_t lanes) {
  auto own = readSibling(op);
  if (!own)
    return false;
  Value x = op->getOperand(0);
  StringRef name = onnx::getOpType(op);
  SmallVector<Sibling> siblings;
  unsigned seen = 0;
  StringRef why;
  for (Operation *user : x.getUsers()) {
    if (++seen > maxUsers)
      return missed(op, passName, name, "its operand has too many users to look at");
    if (user->getName() != op->getName() || user->getBlock() != op->getBlock() || user->getOperand(0) != x)
      continue;
    auto other = readSibling(user);
    if (!other || !alike(*own, *other)) {
      why = other ? "another one of the same operand has other attributes or weights of another shape"
                  : "another one of the same operand has weights or a bias that are not constants by column";
      continue;
    }
    // The last of them takes all.
    if (op->isBeforeInBlock(user))
      return false;
    siblings.push_back(*other);
  }
  if (siblings.size() > maxParts)
    return missed(op, passName, name, "there are too many of them");
  if (siblings.size() < 2)
    return !why.empty() && missed(op, passName, name, why);
  llvm::sort(siblings, [](const Sibling &a, const Sibling &b) { return a.op->isBeforeInBlock(b.op); });
  // Two uses of one operator by itself are none.
  int64_t total = 0, apart = 0;
  SmallVector<int64_t> sizes;
  SmallVector<Operation *> ops;
  SmallVector<Value> weights;
  bool biased = false;
  for (Sibling &sibling : siblings) {
    if (!ops.empty() && ops.back() == sibling.op)
      return false;
    sizes.push_back(sibling.columns);
    total += sibling.columns;
    apart += lanes > 0 ? roundUp(sibling.columns, lanes) : 0;
    ops.push_back(sibling.op);
    weights.push_back(sibling.op->getOperand(1));
    biased |= sibling.op->getNumOperands() > 2 && !onnx::isNone(sibling.op->getOperand(2));
  }
  if (lanes > 0 && 10 * roundUp(total, lanes) > 9 * apart)
    return missed(op, passName, name, "its siblings fill vectors well enough apart");
  OpBuilder builder(ops.front());
  Location loc = fuse(ops);
  SmallVector<Value> operands{x, sideBySide(builder, loc, weights, own->columnDim)};
  if (op->getNumOperands() > 2) {
    SmallVector<Value> biases;
    for (Sibling &sibling : siblings) {
      Value bias = sibling.op->getOperand(2);
      auto type = RankedTensorType::get({sibling.columns}, sibling.weights.getElementType());
      biases.push_back(
          biased && onnx::isNone(bias)
              ? constant(builder, loc, toAttr(fromDoubles(type, SmallVector<double>(sibling.columns, 0)), ""))
              : bias);
    }
    operands.push_back(biased ? sideBySide(builder, loc, biases, 0) : noValue(builder, loc));
  }
  if (!operands[1] || !operands.back())
    return false;
  Operation *whole = build(builder, loc, op->getName().getStringRef(), operands, op->getAttrs());
  int64_t axis = isa<onnx::ConvOp>(op) ? 1 : rankedType(op->getResult(0)).getRank() - 1;
  if (!whole || !split(builder, loc, whole->getResult(0), axis, sizes, ops))
    return false;
  passed(whole, passName, name, Twine(ops.size()).str() + " " + name.str());
  for (Operation *sibling : ops)
    eraseDead(sibling);
  return true;
}

bool isUnary(Operation *op) {
  return op->getNumOperands() == 1 &&
         isa<onnx::ReluOp, onnx::LeakyReluOp, onnx::SigmoidOp, onnx::HardSigmoidOp, onnx::HardSwishOp, onnx::SwishOp,
             onnx::GeluOp, onnx::TanhOp, onnx::EluOp, onnx::MishOp, onnx::SoftplusOp>(op);
}

// The constant of `op` beside its operand `x` as one number a column of `size` columns; nothing where it differs along
// another dim too.
Value byColumn(OpBuilder &builder, Operation *op, Value x, int64_t axis, int64_t size) {
  Value held = op->getOperand(0) == x ? op->getOperand(1) : op->getOperand(0);
  auto literal = readLiteral(onnx::getConstantAttr(held));
  RankedTensorType whole = rankedType(x);
  if (!literal || !whole || literal->type.getRank() > whole.getRank())
    return {};
  for (int64_t d = 0; d < literal->type.getRank(); ++d) {
    bool isAxis = whole.getRank() - literal->type.getRank() + d == axis;
    if (literal->type.getDimSize(d) != 1 && (!isAxis || literal->type.getDimSize(d) != size))
      return {};
  }
  auto numbers = doubles(*literal);
  if (!numbers || !isa<FloatType>(literal->type.getElementType()))
    return {};
  if (numbers->size() == 1)
    numbers->assign(size, numbers->front());
  SmallVector<int64_t> shape(whole.getRank() - axis, 1);
  shape[0] = size;
  return constant(builder, op->getLoc(),
                  toAttr(fromDoubles(RankedTensorType::get(shape, literal->type.getElementType()), *numbers), ""));
}

// Add(Split(%x)#0, %a), Add(Split(%x)#1, %b)   ->   Split(Add(%x, [%a %b])), for activations and arithmetic with
// constants Conv(Split(%x)#0, %v), Conv(Split(%x)#1, %w) ->   Split(Conv(%x, [%v %w]) of two groups)
//  - all parts are used once, by operators of one kind with equal attributes (and, for convolutions, equal shapes)
//  - convolutions only with `groups`: whether they pay is a question of the target
bool fuseBehindSplit(Operation *op, bool groups) {
  bool isConv = isa<onnx::ConvOp>(op), isBinary = isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp>(op);
  if (!isConv && !isBinary && !isUnary(op))
    return false;
  unsigned place = isBinary && !definedBy<onnx::SplitOp>(op->getOperand(0)) ? 1 : 0;
  auto parts = definedBy<onnx::SplitOp>(op->getOperand(place));
  RankedTensorType whole = parts ? rankedType(parts.getInput()) : RankedTensorType();
  if (!parts || !whole || parts->getBlock() != op->getBlock() || parts->getNumResults() < 2 ||
      parts->getNumResults() > maxParts)
    return false;
  int64_t axis = parts.getAxis() < 0 ? parts.getAxis() + whole.getRank() : parts.getAxis();
  SmallVector<Operation *> ops;
  SmallVector<int64_t> sizes;
  for (Value part : parts->getResults()) {
    Operation *user = part.hasOneUse() ? *part.user_begin() : nullptr;
    RankedTensorType type = rankedType(part);
    if (!user || user->getName() != op->getName() || user->getBlock() != op->getBlock() ||
        (user->getOperand(place) != part &&
         !(isa<onnx::AddOp, onnx::MulOp>(op) && user->getOperand(1 - place) == part)) ||
        user->getAttrDictionary() != op->getAttrDictionary() || !type ||
        type.getDimSize(axis) == ShapedType::kDynamic || op->isBeforeInBlock(user))
      return user && user->getName() != op->getName() &&
             missed(op, passName, "BehindSplit", "another part is read by an operator of another kind");
    ops.push_back(user);
    sizes.push_back(type.getDimSize(axis));
  }
  StringRef name = onnx::getOpType(op);
  OpBuilder builder(parts);
  builder.setInsertionPointAfter(parts);
  Location loc = fuse(ops);
  SmallVector<Value> operands(op->getOperands());
  SmallVector<NamedAttribute> attributes(op->getAttrs());
  operands[place] = parts.getInput();
  if (isConv) {
    if (!groups)
      return missed(op, passName, "TwinConvs", "one convolution of groups was not asked for (option groups)");
    SmallVector<Value> weights, biases;
    for (Operation *user : ops) {
      auto conv = cast<onnx::ConvOp>(user);
      ElementsAttr held = onnx::getConstantAttr(conv.getW());
      if (axis != 1 || !held || held.getShapedType() != onnx::getConstantAttr(op->getOperand(1)).getShapedType() ||
          !sameType(conv.getX().getType(), op->getOperand(0).getType()) ||
          onnx::isNone(conv.getB()) != onnx::isNone(op->getOperand(2)) ||
          (!onnx::isNone(conv.getB()) && !onnx::getConstantAttr(conv.getB())))
        return missed(op, passName, "TwinConvs", "the convolutions differ in shape, or weights are not constant");
      weights.push_back(conv.getW());
      biases.push_back(conv.getB());
    }
    int64_t group = int64_t(cast<onnx::ConvOp>(op).getGroup()) * int64_t(ops.size());
    sizes.assign(ops.size(), cast<RankedTensorType>(onnx::getConstantAttr(weights[0]).getShapedType()).getDimSize(0));
    operands[1] = sideBySide(builder, loc, weights, 0);
    operands[2] = onnx::isNone(op->getOperand(2)) ? noValue(builder, loc) : sideBySide(builder, loc, biases, 0);
    llvm::erase_if(attributes, [](NamedAttribute attribute) { return attribute.getName() == "group"; });
    attributes.push_back(builder.getNamedAttr("group", builder.getI64IntegerAttr(group)));
  } else if (isBinary) {
    SmallVector<Value> columns;
    for (auto [i, user] : llvm::enumerate(ops)) {
      columns.push_back(byColumn(builder, user, parts->getResult(i), axis, sizes[i]));
      if (!columns.back())
        return missed(op, passName, "BehindSplit", "a constant is not one number a column");
    }
    operands[1 - place] = sideBySide(builder, loc, columns, 0);
    for (Value column : columns)
      eraseDead(column.getDefiningOp());
  }
  if (llvm::any_of(operands, [](Value operand) { return !operand; }))
    return false;
  Operation *made = build(builder, loc, op->getName().getStringRef(), operands, attributes);
  if (!made || !split(builder, loc, made->getResult(0), axis, sizes, ops))
    return false;
  passed(made, passName, isConv ? "TwinConvs" : "BehindSplit", name);
  for (Operation *user : ops)
    eraseDead(user);
  return true;
}

class FuseSiblings : public impl::FuseSiblingsBase<FuseSiblings> {
public:
  using FuseSiblingsBase::FuseSiblingsBase;
  void runOnOperation() override {
    unsigned count = rewriteForward(
        getOperation(), [this](Operation *op) { return fuseBehindSplit(op, groups) || fuseSiblings(op, lanes); });
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
