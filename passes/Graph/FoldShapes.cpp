// Shape computations over sizes that have names instead of numbers: what the names decide becomes a constant, what they
// show to change nothing goes, and what is left asks the inputs. Dims that are equal get equal names, which later
// patterns compare. It must not fail on a size that was fine before: a Reshape gets a -1 only where nothing else can be
// 0.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/SymbolicShapes.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FOLDSHAPES
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FoldShapes";

bool escapes(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); });
}

class Folder {
public:
  explicit Folder(func::FuncOp func) : func(func), known(func) {
    for (Value argument : func.getArguments()) {
      const Dims *dims = known.dims(argument);
      for (size_t i = 0; dims && i < dims->size(); ++i)
        if (!(*dims)[i].constant())
          inputs.try_emplace(known.table.text((*dims)[i]), argument, i);
    }
  }

  unsigned run() {
    visitBlock(func.front());
    return count;
  }

private:
  void visitBlock(Block &block) {
    for (Operation &op : llvm::make_early_inc_range(block)) {
      for (Region &region : op.getRegions())
        for (Block &inner : region)
          visitBlock(inner);
      if (!isa<onnx::OnnxDialect>(op.getDialect()) || op.hasTrait<OpTrait::IsTerminator>() ||
          op.hasTrait<OpTrait::ConstantLike>() || isa<onnx::NoValueOp>(op))
        continue;
      for (Value result : op.getResults())
        nameDims(result);
      count += visit(&op);
    }
  }

  // The type says what is known: numbers, and equal names for equal sizes.
  void nameDims(Value value) {
    RankedTensorType type = rankedType(value);
    const Dims *dims = type && !type.hasStaticShape() && !escapes(value) ? known.dims(value) : nullptr;
    if (!dims)
      return;
    SmallVector<int64_t> shape;
    SmallVector<std::string> texts;
    for (auto [i, size] : llvm::enumerate(*dims)) {
      auto number = size.constant();
      bool isNumber = !type.isDynamicDim(i) || (number && *number >= 0);
      shape.push_back(!type.isDynamicDim(i) ? type.getDimSize(i) : isNumber ? *number : ShapedType::kDynamic);
      texts.push_back(isNumber ? "" : known.table.text(size));
    }
    SmallVector<StringRef> names(texts.begin(), texts.end());
    value.setType(onnx::getTensorType(shape, type.getElementType(), names));
  }

  bool visit(Operation *op) {
    if (foldElements(op))
      return true;
    bool changed = skipExpand(op);
    if (isa<onnx::ReshapeOp, onnx::ExpandOp, onnx::SliceOp>(op))
      return foldMove(op) || changed;
    if (isa<onnx::ConstantOfShapeOp, onnx::TileOp>(op))
      return changed;
    return askInput(op) || changed;
  }

  bool become(Operation *op, Value value, StringRef rewrite) {
    Value result = op->getResult(0);
    if (escapes(result) && (result.getType() != value.getType() || !isa<OpResult>(value)))
      return false;
    result.replaceAllUsesWith(value);
    passed(op, passName, rewrite, onnx::getOpType(op));
    return true;
  }

  // An integer or boolean tensor whose elements are all numbers   ->   a constant
  bool foldElements(Operation *op) {
    if (op->getNumResults() != 1 || op->getResult(0).use_empty())
      return false;
    RankedTensorType type = staticType(op->getResult(0));
    const Elements *elements = type && type.getRank() <= 1 ? known.elements(op->getResult(0)) : nullptr;
    if (!elements || type.getNumElements() != int64_t(elements->size()) || !isMemoryEffectFree(op))
      return false;
    SmallVector<int64_t> values;
    for (auto &element : *elements) {
      if (!element || !element->constant())
        return false;
      values.push_back(*element->constant());
    }
    OpBuilder builder(op);
    return become(op, constant(builder, op->getLoc(), onnx::makeInts(type, values)), "FoldElements");
  }

  // Add(Expand(%x), %y) -> Add(%x, %y), and so on for what broadcasts, where the sum is as large without the Expand.
  bool skipExpand(Operation *op) {
    bool any = false;
    if (op->getNumResults() != 1 || isa<onnx::ExpandOp>(op))
      return false;
    const Dims *whole = nullptr;
    for (OpOperand &operand : op->getOpOperands()) {
      auto expand = definedBy<onnx::ExpandOp>(operand.get());
      if (!expand)
        continue;
      whole = whole ? whole : known.dims(op->getResult(0));
      SmallVector<const Dims *> in;
      for (Value value : op->getOperands())
        in.push_back(onnx::isNone(value) ? nullptr : known.dims(value));
      const Dims *thin = known.dims(expand->getOperand(0)), *wide = in[operand.getOperandNumber()];
      if (!whole || !thin || !wide || !broadcasts(op, *thin, *wide))
        continue;
      in[operand.getOperandNumber()] = thin;
      auto inferred = known.infer(op, in);
      if (!inferred || inferred->front() != *whole)
        continue;
      operand.set(expand->getOperand(0));
      passed(op, passName, "SkipExpand", "an Expand that broadcasting does by itself");
      any = true;
    }
    return any;
  }

  static bool broadcasts(Operation *op, const Dims &thin, const Dims &wide) {
    if (isa<onnx::MatMulOp>(op)) {
      size_t n = thin.size(), m = wide.size();
      return n >= 2 && m >= 2 && thin[n - 1] == wide[m - 1] && thin[n - 2] == wide[m - 2];
    }
    return isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp, onnx::PowOp, onnx::WhereOp, onnx::AndOp, onnx::OrOp,
               onnx::EqualOp, onnx::LessOp, onnx::LessOrEqualOp, onnx::GreaterOp, onnx::GreaterOrEqualOp, onnx::MinOp,
               onnx::MaxOp>(op);
  }

  // Reshape, Expand, Slice to the size that is there already   ->   %x
  // Reshape(%x, computed)   ->   Reshape(%x, [0, 0, 8, 8])     0 where the size is that of %x there
  // Expand(%x, computed)    ->   Expand(%x, [1, 4, 1])         1 where the size is that of %x there
  // Slice(%x, 0, the size)  ->   Slice(%x, 0, the largest number)
  bool foldMove(Operation *op) {
    const Dims *from = known.dims(op->getOperand(0)), *to = known.dims(op->getResult(0));
    if (!from || !to)
      return false;
    auto slice = dyn_cast<onnx::SliceOp>(op);
    if (*from == *to && !(slice && mayRunBackwards(slice)) && become(op, op->getOperand(0), "SameShape"))
      return true;
    if (slice)
      return foldEnds(slice, *from);
    if (onnx::getConstantAttr(op->getOperand(1)))
      return false;
    SmallVector<int64_t> shape;
    size_t copied = 0, open = 0, skip = to->size() - std::min(from->size(), to->size());
    bool isReshape = isa<onnx::ReshapeOp>(op);
    for (auto [i, size] : llvm::enumerate(*to)) {
      auto number = size.constant();
      size_t at = isReshape ? i : i - skip;
      bool same = (isReshape || i >= skip) && at < from->size() && (*from)[at] == size;
      if (number && *number >= 0 && !(isReshape && *number == 0)) {
        shape.push_back(*number);
      } else if (same) {
        shape.push_back(isReshape ? 0 : 1);
        ++copied;
      } else if (isReshape && !number) {
        shape.push_back(-1);
        ++open;
      } else {
        return false;
      }
    }
    if (open > 1)
      return missed(op, passName, "ConstantShape", "several sizes are not those of the operand");
    if (open == 1 && copied > 0)
      return missed(op, passName, "ConstantShape", "a size is left to infer next to one that may be 0");
    OpBuilder builder(op);
    op->setOperand(1, onnx::createI64s(builder, op->getLoc(), shape));
    if (auto reshape = dyn_cast<onnx::ReshapeOp>(op))
      reshape.setAllowzero(0);
    passed(op, passName, "ConstantShape", onnx::getOpType(op));
    return true;
  }

  static bool mayRunBackwards(onnx::SliceOp op) {
    if (onnx::isNone(op.getSteps()))
      return false;
    auto steps = onnx::getConstantInts(op.getSteps());
    return !steps || llvm::any_of(*steps, [](int64_t step) { return step < 1; });
  }

  bool foldEnds(onnx::SliceOp op, const Dims &from) {
    if (onnx::getConstantAttr(op.getEnds()) || mayRunBackwards(op))
      return false;
    const Elements *ends = known.elements(op.getEnds());
    auto axes = onnx::isNone(op.getAxes()) ? std::nullopt : onnx::getConstantInts(op.getAxes());
    RankedTensorType type = staticType(op.getEnds());
    if (!ends || !type || (!axes && !onnx::isNone(op.getAxes())))
      return false;
    SmallVector<int64_t> values;
    for (auto [i, end] : llvm::enumerate(*ends)) {
      int64_t axis = axes ? (i < axes->size() ? (*axes)[i] : -1) : int64_t(i);
      axis = axis < 0 && axes ? axis + from.size() : axis;
      bool isWhole = end && axis >= 0 && axis < int64_t(from.size()) && *end == from[axis];
      if (!isWhole && (!end || !end->constant()))
        return false;
      values.push_back(isWhole ? (type.getElementType().isInteger(32) ? INT32_MAX : INT64_MAX) : *end->constant());
    }
    OpBuilder builder(op);
    op->setOperand(2, constant(builder, op.getLoc(), onnx::makeInts(type, values)));
    passed(op, passName, "ConstantEnds");
    return true;
  }

  // One size, however computed   ->   Shape of the input whose dim it is, one for all
  bool askInput(Operation *op) {
    if (op->getNumResults() != 1 || op->getResult(0).use_empty() || isOfInput(op))
      return false;
    RankedTensorType type = staticType(op->getResult(0));
    if (!type || type.getRank() > 1 || type.getNumElements() != 1 || !type.getElementType().isInteger(64) ||
        !isMemoryEffectFree(op))
      return false;
    const Elements *elements = known.elements(op->getResult(0));
    if (!elements || elements->size() != 1 || !elements->front() || elements->front()->constant())
      return false;
    auto it = inputs.find(known.table.text(*elements->front()));
    if (it == inputs.end())
      return false;
    auto [input, dim] = it->second;
    Value &made = asked[{input, dim * 2 + type.getRank()}];
    if (!made) {
      OpBuilder builder = OpBuilder::atBlockBegin(&func.front());
      Location loc = op->getLoc();
      if (type.getRank() == 1) {
        made = build<onnx::ShapeOp>(builder, loc, input,
                                    {builder.getNamedAttr("start", builder.getI64IntegerAttr(dim)),
                                     builder.getNamedAttr("end", builder.getI64IntegerAttr(dim + 1))});
      } else {
        Value &whole = asked[{input, -1}];
        if (!whole)
          whole = build<onnx::ShapeOp>(builder, loc, input);
        else
          builder.setInsertionPointAfterValue(whole);
        made = build<onnx::GatherOp>(builder, loc, {whole, scalar(builder, loc, builder.getI64Type(), double(dim))});
      }
    }
    return made && become(op, made, "AskInput");
  }

  // Already in the form askInput makes: a Shape of an argument, or an element of one.
  static bool isOfInput(Operation *op) {
    Operation *shape = isa<onnx::GatherOp>(op) ? op->getOperand(0).getDefiningOp() : op;
    return isa_and_nonnull<onnx::ShapeOp>(shape) && isa<BlockArgument>(shape->getOperand(0));
  }

  func::FuncOp func;
  SymbolicShapes known;
  llvm::StringMap<std::pair<Value, int64_t>> inputs;
  llvm::DenseMap<std::pair<Value, int64_t>, Value> asked;
  unsigned count = 0;
};

class FoldShapes : public burin::impl::FoldShapesBase<FoldShapes> {
public:
  void runOnOperation() override {
    unsigned count = 0;
    for (auto func : getOperation().getOps<func::FuncOp>())
      if (!func.isExternal())
        count += Folder(func).run();
    // Not before: what is known is kept by address.
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
