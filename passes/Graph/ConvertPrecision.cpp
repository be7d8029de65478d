// f32 becomes f16 or bf16, operator by operator: each is put between Casts, constants are rounded once, and Casts back
// and forth cancel, since narrow numbers survive f32 unchanged. What ONNX does not define for the narrow type, what the
// user keeps and what reads a constant out of range stays f32 with its Casts.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Numbers.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/Support/FormatVariadic.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_CONVERTPRECISION
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "ConvertPrecision";

bool isWide(Type type) {
  auto tensor = dyn_cast<TensorType>(type);
  return tensor && tensor.getElementType().isF32();
}

Type withElement(Type type, Type element) {
  if (auto ranked = dyn_cast<RankedTensorType>(type))
    return RankedTensorType::get(ranked.getShape(), element, ranked.getEncoding());
  return isa<TensorType>(type) ? Type(UnrankedTensorType::get(element)) : type;
}

class ConvertPrecision : public impl::ConvertPrecisionBase<ConvertPrecision> {
public:
  using ConvertPrecisionBase::ConvertPrecisionBase;

  void runOnOperation() override {
    if (to.empty())
      return;
    narrow = to == "f16"    ? Type(Float16Type::get(&getContext()))
             : to == "bf16" ? Type(BFloat16Type::get(&getContext()))
                            : Type();
    if (!narrow) {
      getOperation().emitError() << "expected f16 or bf16 to convert to, got '" << to << "'";
      return signalPassFailure();
    }
    for (const std::string &name : keep)
      kept.insert(name);
    unsigned count = 0;
    for (auto function : getOperation().getOps<func::FuncOp>()) {
      if (function.isExternal())
        continue;
      count += rewriteForward(function, [&](Operation *op) { return convert(op); });
      cancelCasts(function);
      if (!keepIo)
        convertInterface(function);
    }
    for (const std::string &name : keep)
      if (!found.contains(name)) {
        getOperation().emitError() << "expected the name of a node or of an operator to keep in f32, got '" << name
                                   << "'";
        return signalPassFailure();
      }
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }

private:
  bool convert(Operation *op);
  bool fits(Operation *op, ElementsAttr constant);
  Value narrowed(OpBuilder &b, Value value, Location loc);
  void cancelCasts(func::FuncOp function);
  void convertInterface(func::FuncOp function);
  NamedAttribute toAttribute(OpBuilder &b, Type element) {
    return b.getNamedAttr("to", b.getI64IntegerAttr(element.isF16() ? 10 : element.isBF16() ? 16 : 1));
  }

  Type narrow;
  llvm::StringSet<> kept, found;
  DenseMap<Value, Value> narrowOf; // constants and Casts made
};

// Infinities are meant; a number that the narrow type cannot hold is not.
bool ConvertPrecision::fits(Operation *op, ElementsAttr constant) {
  auto literal = readLiteral(constant);
  if (!literal)
    return false;
  double limit = APFloat::getLargest(cast<FloatType>(narrow).getFloatSemantics()).convertToDouble();
  double least = narrow.isF16() ? 0x1p-25 : 0x1p-134; // half of the smallest number above 0
  int64_t lost = 0, count = literal->splat ? 1 : literal->count();
  for (int64_t i = 0; i < count; ++i) {
    float value;
    std::memcpy(&value, literal->bytes.data() + 4 * i, 4);
    double size = std::abs(double(value));
    if (size > limit && std::isfinite(value))
      return missed(op, passName, onnx::getOpType(op),
                    "a constant holds " + llvm::formatv("{0}", value).str() + ", beyond the range of " + StringRef(to) +
                        "; kept in f32");
    lost += size > 0 && size <= least;
  }
  if (lost)
    missed(op, passName, "Underflow",
           Twine(lost) + " of " + Twine(count) + " elements of a constant become 0 in " + StringRef(to));
  return true;
}

Value ConvertPrecision::narrowed(OpBuilder &b, Value value, Location loc) {
  Value &made = narrowOf[value];
  if (made)
    return made;
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointAfterValue(value);
  if (ElementsAttr attr = onnx::getConstantAttr(value)) {
    Literal wide = *readLiteral(attr);
    auto type = RankedTensorType::get(wide.type.getShape(), narrow);
    char *data;
    Literal literal = makeLiteral(type, wide.splat, data);
    // By pieces: a large weight needs no second f32 copy.
    int64_t count = literal.bytes.size() / 2;
    for (int64_t i = 0; i < count; ++i) {
      float one;
      std::memcpy(&one, wide.bytes.data() + 4 * i, 4);
      store(numberOf(narrow), &one, data + 2 * i, 1);
    }
    auto name = dyn_cast<NameLoc>(value.getLoc());
    return made = constant(b, value.getLoc(), toAttr(literal, name ? name.getName().getValue() : "narrow"));
  }
  Operation *cast = build(b, loc, "onnx.Cast", {value}, {toAttribute(b, narrow)});
  return made = cast->getResult(0);
}

// %y = Op(%x) : f32   ->   %y = Cast(Op(Cast(%x)) : f16)
//  - ONNX defines the operator for the narrow type; it has no subgraph (those convert inside)
//  - nobody keeps it; its constants are in range
bool ConvertPrecision::convert(Operation *op) {
  StringRef kind = onnx::getOpType(op), node = onnx::getNodeName(op);
  bool isKept = false;
  for (StringRef name : {kind, node})
    if (kept.contains(name)) {
      found.insert(name);
      isKept = true;
    }
  if (isa<onnx::ConstantOp, onnx::NoValueOp, onnx::CustomOp>(op) || op->getNumRegions())
    return false;
  auto wide = [](Value value) { return isWide(value.getType()); };
  if (!llvm::any_of(op->getOperands(), wide) && !llvm::any_of(op->getResults(), wide))
    return false;
  if (isKept)
    return missed(op, passName, kind, "kept in f32 on demand");
  auto cast = dyn_cast<onnx::CastOp>(op);
  for (Value operand : op->getOperands())
    if (ElementsAttr attr = onnx::getConstantAttr(operand); attr && wide(operand) && !fits(op, attr))
      return false;

  OpBuilder b(op);
  Location loc = op->getLoc();
  // A Cast to f32 makes the narrow type; one from f32 reads it.
  auto attempt = [&](bool all) {
    Operation *made = b.clone(*op);
    for (OpOperand &operand : made->getOpOperands())
      if (wide(operand.get()) && (all || operand.getOperandNumber() == 0))
        operand.set(narrowed(b, operand.get(), loc));
    for (Value result : made->getResults())
      if (isWide(result.getType()))
        result.setType(withElement(result.getType(), narrow));
    if (cast && wide(cast.getResult()))
      made->setAttr("to", toAttribute(b, narrow).getValue());
    return made;
  };
  auto refuses = [&](Operation *made) {
    mlir::ScopedDiagnosticHandler silence(&getContext(), [](Diagnostic &) { return success(); });
    if (failed(onnx::verifyNode(made)))
      return true;
    // The operator's own rule for its result decides: some give f32 whatever they are given.
    SmallVector<Type> types;
    onnx::ShapeValues values;
    for (Value result : made->getResults())
      if (!isa<NoneType>(result.getType()))
        result.setType(onnx::AnyType::get(&getContext()));
    if (failed(onnx::inferReturnTypes(made, types, values)) || types.size() != made->getNumResults())
      return true;
    for (auto [old, type, result] : llvm::zip(op->getResults(), types, made->getResults())) {
      auto wanted = dyn_cast<TensorType>(old.getType()), got = dyn_cast<TensorType>(type);
      if (!wanted) {
        result.setType(old.getType());
        continue;
      }
      Type element = got ? got.getElementType() : Type();
      if (element != wanted.getElementType() && element != narrow)
        return true;
      result.setType(withElement(old.getType(), element));
    }
    return false;
  };
  Operation *made = attempt(true);
  if (refuses(made)) {
    made->erase();
    // Sizes of a Resize are f32 whatever it resizes.
    made = attempt(false);
    if (refuses(made)) {
      made->erase();
      return missed(op, passName, kind, "ONNX does not define it for " + StringRef(to) + " here; kept in f32");
    }
  }
  for (auto [old, result] : llvm::zip(op->getResults(), made->getResults())) {
    Value value = result;
    if (old.getType() != result.getType() && !old.use_empty()) {
      value = build(b, loc, "onnx.Cast", {result}, {toAttribute(b, Float32Type::get(&getContext()))})->getResult(0);
      // What the Cast would be inferred to, with the names of dims.
      value.setType(old.getType());
      narrowOf[value] = result;
    }
    old.replaceAllUsesWith(value);
  }
  passed(made, passName, kind);
  op->erase();
  return true;
}

// Cast(Cast(%narrow to f32) to narrow)   ->   %narrow          also where exporters wrote them
void ConvertPrecision::cancelCasts(func::FuncOp function) {
  rewriteForward(function, [&](Operation *op) {
    auto outer = dyn_cast<onnx::CastOp>(op);
    auto inner = outer ? definedBy<onnx::CastOp>(outer.getInput()) : onnx::CastOp();
    auto source = inner ? dyn_cast<TensorType>(inner.getInput().getType()) : TensorType();
    if (!source || source.getElementType() != narrow || !isWide(inner.getResult().getType()) ||
        cast<TensorType>(outer.getResult().getType()).getElementType() != narrow)
      return false;
    return replace(op, inner.getInput());
  });
}

// f32 inputs and outputs take the narrow type too.
void ConvertPrecision::convertInterface(func::FuncOp function) {
  Block &block = function.front();
  OpBuilder b = OpBuilder::atBlockBegin(&block);
  for (BlockArgument arg : block.getArguments()) {
    if (!isWide(arg.getType()))
      continue;
    Type old = arg.getType();
    arg.setType(withElement(old, narrow));
    Operation *back = nullptr;
    for (Operation *user : llvm::make_early_inc_range(arg.getUsers())) {
      auto cast = dyn_cast<onnx::CastOp>(user);
      if (cast && cast != back && cast.getTo() == (narrow.isF16() ? 10 : 16)) {
        cast.getResult().replaceAllUsesWith(arg);
        cast->erase();
        continue;
      }
      if (!back) {
        back = build(b, arg.getLoc(), "onnx.Cast", {arg}, {toAttribute(b, Float32Type::get(&getContext()))});
        back->getResult(0).setType(old);
      }
      user->replaceUsesOfWith(arg, back->getResult(0));
    }
  }
  Operation *terminator = block.getTerminator();
  b.setInsertionPoint(terminator);
  for (OpOperand &operand : terminator->getOpOperands()) {
    Value value = operand.get();
    if (!isWide(value.getType()))
      continue;
    auto cast = definedBy<onnx::CastOp>(value);
    auto source = cast ? dyn_cast<TensorType>(cast.getInput().getType()) : TensorType();
    operand.set(source && source.getElementType() == narrow
                    ? cast.getInput()
                    : build(b, value.getLoc(), "onnx.Cast", {value}, {toAttribute(b, narrow)})->getResult(0));
  }
  function.setType(FunctionType::get(&getContext(), block.getArgumentTypes(), terminator->getOperandTypes()));
}

} // namespace
} // namespace burin
