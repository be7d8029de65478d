// Constant folding: one walk in order, so a chain of any length folds in one go. Small folders and host arithmetic
// first (Fold.h); Shape and Size from static types; partly known shapes are tracked through the operators exporters
// compute them with; what remains constant goes to the Evaluator as one function a run. It must not fold quantization
// away, nor random operators, nor blow a small constant up into a large one.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Numbers.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringMap.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FOLDCONSTANTS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FoldConstants";
constexpr uint64_t growthLimit = 1 << 20, splatCredit = 64 << 20;
constexpr int64_t unknown = ShapedType::kDynamic;
constexpr int64_t smallCount = 1024;

uint64_t bytesOf(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  if (!tensor || !tensor.hasStaticShape())
    return 0;
  return onnx::getRawSize(tensor.getElementType(), tensor.getNumElements()).value_or(0);
}

// Weights in a quantized form are the model's intention; folding them to float would undo it.
bool isFoldable(Operation *op) {
  return isa<onnx::OnnxDialect>(op->getDialect()) && !op->hasTrait<OpTrait::ConstantLike>() &&
         !op->hasTrait<OpTrait::IsTerminator>() && op->getNumRegions() == 0 && isMemoryEffectFree(op) &&
         !onnx::getOpType(op).contains_insensitive("quantize") && !isa<onnx::CustomOp>(op);
}

// What a folder here knows and still refuses has no defined result: an index out of range, a division by zero. Running
// it would be worse than keeping it.
bool mayRun(Operation *op) {
  if (isa<onnx::GatherOp>(op))
    return false;
  RankedTensorType type = rankedType(op->getOperand(0));
  return !isa<onnx::DivOp, onnx::ModOp>(op) || (type && isa<FloatType>(type.getElementType()));
}

class FoldConstants : public impl::FoldConstantsBase<FoldConstants> {
public:
  FoldConstants() = default;
  explicit FoldConstants(std::shared_ptr<Evaluator> evaluator) : evaluator(std::move(evaluator)) {}

  void runOnOperation() override {
    partial.clear();
    unsigned count = rewriteForward(getOperation(), [&](Operation *op) { return visit(op); });
    if (evaluator)
      for (auto func : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
        count += evaluateRest(func);
    eraseAllDead(getOperation());
    live.clear();
    counted(getOperation(), passName, count);
  }

private:
  // The context keeps every attribute for good; the bytes of a chain's intermediate results must not stay with it, or
  // folding a large weight would cost its size at every step. `live` counts the constants that share a blob made here.
  void note(ElementsAttr attr, bool isNew) {
    auto resource = dyn_cast<DenseResourceElementsAttr>(attr);
    if (resource && (isNew || live.contains(resource.getRawHandle().getKey())))
      ++live[resource.getRawHandle().getKey()];
  }
  void release(DenseResourceElementsAttr attr) {
    auto it = live.find(attr.getRawHandle().getKey());
    if (it != live.end() && --it->second == 0)
      attr.getRawHandle().getResource()->setBlob(AsmResourceBlob());
  }

  bool visit(Operation *op) {
    if (op->hasTrait<OpTrait::ConstantLike>())
      return false;
    bool changed = fixShapeOperand(op);
    if (auto known = shapeOf(op))
      return know(op, *known) || changed;
    if (!isFoldable(op))
      return changed;
    SmallVector<std::optional<Literal>> operands;
    for (Value operand : op->getOperands()) {
      std::optional<Literal> literal;
      if (!onnx::isNone(operand)) {
        ElementsAttr attr = onnx::getConstantAttr(operand);
        if (!attr)
          return propagate(op) || changed;
        literal = readLiteral(attr);
        if (!literal)
          return changed;
      }
      operands.push_back(std::move(literal));
    }
    return foldOp(op, operands) || changed;
  }

  bool foldOp(Operation *op, ArrayRef<std::optional<Literal>> operands) {
    auto types = resultTypes(op);
    if (!types)
      return false;
    if (grows(op, operands, *types))
      return missed(op, passName, "Fold",
                    "the result is " + std::to_string(bytesOf((*types)[0])) +
                        " bytes, much more than what it is made of");
    auto folded = fold(op, operands, *types);
    if (!folded)
      return false;
    OpBuilder builder(op);
    SmallVector<Value> values;
    StringRef name = onnx::getNodeName(op);
    for (auto [result, literal] : llvm::zip_equal(op->getResults(), *folded)) {
      if (literal.type.getElementType() != cast<RankedTensorType>(result.getType()).getElementType())
        return false;
      ElementsAttr attr = toAttr(literal, name);
      note(attr, !literal.attr);
      values.push_back(constant(builder, op->getLoc(), attr));
    }
    std::string what = onnx::getOpType(op).str();
    SmallVector<DenseResourceElementsAttr> spent;
    for (Value operand : op->getOperands())
      if (auto attr = dyn_cast_or_null<DenseResourceElementsAttr>(onnx::getConstantAttr(operand)))
        if (operand.hasOneUse())
          spent.push_back(attr);
    if (!replace(op, values)) {
      for (Value value : values)
        value.getDefiningOp()->erase();
      return missed(op, passName, "Fold", "the result's type is that of an output of the graph");
    }
    for (DenseResourceElementsAttr attr : spent)
      release(attr);
    passed(values[0].getDefiningOp(), passName, "Fold", what);
    return true;
  }

  // Types as inferred from the constants themselves; nothing where a size depends on values that inference does not
  // see.
  std::optional<SmallVector<RankedTensorType>> resultTypes(Operation *op) {
    SmallVector<RankedTensorType> types;
    auto collect = [&] {
      types.clear();
      for (Value result : op->getResults())
        types.push_back(staticType(result));
      return !types.empty() && llvm::all_of(types, [](RankedTensorType type) { return bool(type); });
    };
    if (collect())
      return types;
    SmallVector<Type> inferred;
    onnx::ShapeValues values;
    {
      // A conflict is inference's to report, not ours.
      ScopedDiagnosticHandler silence(op->getContext(), [](Diagnostic &) { return success(); });
      if (failed(onnx::inferReturnTypes(op, inferred, values)))
        return std::nullopt;
    }
    for (auto [result, type] : llvm::zip_equal(op->getResults(), inferred))
      if (llvm::none_of(result.getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); }))
        result.setType(type);
    if (!collect())
      return std::nullopt;
    return types;
  }

  bool grows(Operation *op, ArrayRef<std::optional<Literal>> operands, ArrayRef<RankedTensorType> types) {
    if (isa<onnx::CastOp, onnx::ConstantOfShapeOp>(op))
      return false;
    uint64_t in = 0, out = 0;
    bool splat = !isa<onnx::ConcatOp, onnx::PadOp>(op) && operands[0] && operands[0]->splat;
    for (auto &operand : operands)
      // A splat costs nothing, so a giant one justifies nothing.
      in += operand ? std::min<uint64_t>(bytesOf(operand->type), operand->splat ? splatCredit : UINT64_MAX) : 0;
    for (RankedTensorType type : types)
      out += bytesOf(type);
    return out > 2 * in + growthLimit && !splat;
  }

  // Shape and Size of a tensor whose type says all or part of it.
  std::optional<SmallVector<int64_t>> shapeOf(Operation *op) {
    if (auto shape = dyn_cast<onnx::ShapeOp>(op)) {
      RankedTensorType type = rankedType(shape.getData());
      if (!type)
        return std::nullopt;
      int64_t rank = type.getRank(), start = shape.getStart(), end = shape.getEnd().value_or(rank);
      auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
      start = clamp(start);
      end = std::max(start, clamp(end));
      return SmallVector<int64_t>(type.getShape().slice(start, end - start));
    }
    if (auto size = dyn_cast<onnx::SizeOp>(op))
      if (RankedTensorType type = staticType(size.getData()))
        return SmallVector<int64_t>{type.getNumElements()};
    return std::nullopt;
  }

  // Remembers the elements of an i64 result; folds it where all of them are known.
  bool know(Operation *op, ArrayRef<int64_t> values) {
    if (llvm::is_contained(values, unknown)) {
      partial[op->getResult(0)] = SmallVector<int64_t>(values);
      return false;
    }
    SmallVector<int64_t> shape;
    if (!isa<onnx::SizeOp>(op) && (isa<onnx::ShapeOp>(op) || rankOf(op) == 1))
      shape.push_back(values.size());
    OpBuilder builder(op);
    auto type = RankedTensorType::get(shape, builder.getI64Type());
    Value value = constant(builder, op->getLoc(), onnx::makeInts(type, values));
    std::string what = onnx::getOpType(op).str();
    if (!replace(op, value)) {
      value.getDefiningOp()->erase();
      return false;
    }
    passed(value.getDefiningOp(), passName, "FoldShape", what);
    return true;
  }

  int64_t rankOf(Operation *op) {
    RankedTensorType type = rankedType(op->getResult(0));
    return type ? type.getRank() : -1;
  }

  // The elements of a shape-like operand, constant or partly known, `unknown` where they are not.
  std::optional<Literal> partialLiteral(Value value) {
    if (ElementsAttr attr = onnx::getConstantAttr(value))
      return attr.getNumElements() <= smallCount ? readLiteral(attr) : std::nullopt;
    auto it = partial.find(value);
    RankedTensorType type = staticType(value);
    if (it == partial.end() || !type || type.getNumElements() != int64_t(it->second.size()))
      return std::nullopt;
    return fromIntegers(type, it->second);
  }

  // Moves partly known shapes through the operators that only move elements, and through integer arithmetic.
  bool propagate(Operation *op) {
    if (op->getNumResults() != 1 ||
        !isa<onnx::GatherOp, onnx::SliceOp, onnx::ConcatOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ReshapeOp,
             onnx::IdentityOp, onnx::CastOp, onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp>(op))
      return false;
    RankedTensorType type = staticType(op->getResult(0));
    if (!type || type.getRank() > 1 || type.getNumElements() > smallCount || !type.getElementType().isInteger(64))
      return false;
    SmallVector<std::optional<Literal>> operands;
    bool any = false;
    for (auto [i, operand] : llvm::enumerate(op->getOperands())) {
      std::optional<Literal> literal;
      if (!onnx::isNone(operand)) {
        literal = partialLiteral(operand);
        if (!literal && isa<onnx::ConcatOp>(op))
          if (RankedTensorType held = staticType(operand); held && held.getRank() == 1)
            literal = fromIntegers(held, SmallVector<int64_t>(held.getNumElements(), unknown));
        if (!literal || (i > 0 && partial.count(operand) && isa<onnx::GatherOp, onnx::SliceOp, onnx::ReshapeOp>(op)))
          return false;
        any |= partial.count(operand);
      }
      operands.push_back(std::move(literal));
    }
    if (!any)
      return false;
    std::optional<SmallVector<int64_t>> values;
    if (isa<onnx::AddOp, onnx::SubOp, onnx::MulOp, onnx::DivOp>(op)) {
      values = arithmetic(op, *integers(*operands[0]), *integers(*operands[1]), type.getNumElements());
    } else if (isa<onnx::CastOp>(op)) {
      values = integers(*operands[0]);
    } else if (auto folded = foldMovement(op, operands, type)) {
      values = integers(folded->front());
    }
    return values && know(op, *values);
  }

  static std::optional<SmallVector<int64_t>> arithmetic(Operation *op, ArrayRef<int64_t> a, ArrayRef<int64_t> b,
                                                        int64_t count) {
    SmallVector<int64_t> values;
    for (int64_t i = 0; i < count; ++i) {
      int64_t x = a[a.size() == 1 ? 0 : i], y = b[b.size() == 1 ? 0 : i];
      // Shapes are small; anything near the sentinel is not one.
      if (x == unknown || y == unknown || std::max(std::abs(x), std::abs(y)) > (int64_t(1) << 31) ||
          (isa<onnx::DivOp>(op) && y == 0))
        values.push_back(unknown);
      else
        values.push_back(isa<onnx::AddOp>(op)   ? x + y
                         : isa<onnx::SubOp>(op) ? x - y
                         : isa<onnx::MulOp>(op) ? x * y
                                                : x / y);
    }
    return values;
  }

  // A static result says what a computed shape operand would: Reshape(x, %computed) : tensor<2x3> needs no computation.
  // One unknown dim of a Reshape is -1.
  bool fixShapeOperand(Operation *op) {
    if (!isa<onnx::ReshapeOp, onnx::ExpandOp>(op) || onnx::getConstantAttr(op->getOperand(1)))
      return false;
    SmallVector<int64_t> shape;
    if (RankedTensorType type = staticType(op->getResult(0))) {
      shape.assign(type.getShape().begin(), type.getShape().end());
      // Without allowzero a 0 would copy a dim of the input.
      if (isa<onnx::ReshapeOp>(op) && llvm::is_contained(shape, 0))
        return false;
    } else if (auto it = partial.find(op->getOperand(1)); it != partial.end() && isa<onnx::ReshapeOp>(op)) {
      shape = it->second;
      if (llvm::count_if(shape, [](int64_t size) { return size < 0; }) != 1 || llvm::is_contained(shape, 0))
        return false;
      for (int64_t &size : shape)
        size = size < 0 ? -1 : size;
    } else {
      return false;
    }
    OpBuilder builder(op);
    Operation *old = op->getOperand(1).getDefiningOp();
    op->setOperand(1, onnx::createI64s(builder, op->getLoc(), shape));
    if (old)
      eraseDead(old);
    passed(op, passName, "FixShape", "the shape operand is known from types");
    return true;
  }

  // Everything still constant becomes one private function without arguments; its results replace the values that live
  // on.
  unsigned evaluateRest(func::FuncOp func) {
    if (func.isExternal())
      return 0;
    llvm::SetVector<Operation *> constant;
    for (Operation &op : func.front()) {
      if (!isFoldable(&op) || op.getNumOperands() == 0 || !mayRun(&op))
        continue;
      bool all = llvm::all_of(op.getOperands(), [&](Value operand) {
        Operation *producer = operand.getDefiningOp();
        return producer && (producer->hasTrait<OpTrait::ConstantLike>() || constant.contains(producer));
      });
      if (all &&
          llvm::all_of(op.getResults(), [&](Value r) { return r.use_empty() || staticType(r) || onnx::isNone(r); }))
        constant.insert(&op);
    }
    SmallVector<Value> live;
    uint64_t in = 0, out = 0;
    for (Operation *op : constant) {
      for (Value operand : op->getOperands())
        in += bytesOf(operand.getType());
      for (Value result : op->getResults())
        if (llvm::any_of(result.getUsers(), [&](Operation *user) { return !constant.contains(user); })) {
          live.push_back(result);
          out += bytesOf(result.getType());
        }
    }
    if (live.empty())
      return 0;
    if (out > 2 * in + growthLimit)
      return missed(live[0].getDefiningOp(), passName, "Evaluate",
                    "the results are much larger than what they are made of");
    OpBuilder builder(getOperation().getBodyRegion());
    builder.setInsertionPointToEnd(getOperation().getBody());
    auto type = builder.getFunctionType({}, llvm::map_to_vector(live, [](Value v) { return v.getType(); }));
    auto function = func::FuncOp::create(builder, func.getLoc(), "graph_constants", type);
    function.setPrivate();
    builder.setInsertionPointToStart(function.addEntryBlock());
    IRMapping map;
    for (Operation *op : constant) {
      for (Value operand : op->getOperands())
        if (!map.contains(operand))
          builder.clone(*operand.getDefiningOp(), map);
      builder.clone(*op, map);
    }
    func::ReturnOp::create(builder, func.getLoc(), llvm::map_to_vector(live, [&](Value v) { return map.lookup(v); }));
    FailureOr<SmallVector<ElementsAttr>> values = evaluator->evaluate(function);
    function.erase();
    if (failed(values) || values->size() != live.size())
      return missed(live[0].getDefiningOp(), passName, "Evaluate", "the evaluator cannot run this yet");
    for (auto [value, attr] : llvm::zip_equal(live, *values)) {
      Operation *op = value.getDefiningOp();
      builder.setInsertionPoint(op);
      value.replaceAllUsesWith(graph::constant(builder, op->getLoc(), attr));
      passed(op, passName, "Evaluate", onnx::getOpType(op));
    }
    return live.size();
  }

  std::shared_ptr<Evaluator> evaluator;
  llvm::DenseMap<Value, SmallVector<int64_t>> partial;
  llvm::StringMap<unsigned> live;
};

} // namespace

std::unique_ptr<Pass> createFoldConstants(std::shared_ptr<Evaluator> evaluator) {
  return std::make_unique<FoldConstants>(std::move(evaluator));
}

} // namespace burin
