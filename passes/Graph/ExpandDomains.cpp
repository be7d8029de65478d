// Operators of other domains become standard operators where they are understood. Their results have no types until
// then, so this pass infers as it goes: what a later operator needs to know comes from an earlier one's expansion. It
// knows no operator itself; the tables are in the family files.
#include "passes/Graph/ExpandDomains.h"
#include "passes/Graph/Passes.h"

#include "mlir/IR/IRMapping.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_EXPANDDOMAINS
#include "passes/Graph/Passes.h.inc"

namespace graph {

constexpr StringLiteral passName = "ExpandDomains";

Value Expansion::in(unsigned i) {
  Value v = i < op->getNumOperands() ? op->getOperand(i) : Value();
  return v && !onnx::isNone(v) ? v : Value();
}

bool Expansion::wants(unsigned i) {
  return i < op->getNumResults() && !onnx::isNone(op->getResult(i)) && !op->getResult(i).use_empty();
}

Attribute Expansion::attribute(StringRef name) {
  if (auto custom = dyn_cast<onnx::CustomOp>(op))
    return custom.getNodeAttributes().get(name);
  return op->getAttr(name);
}

int64_t Expansion::integer(StringRef name, int64_t otherwise) {
  auto attr = dyn_cast_or_null<IntegerAttr>(attribute(name));
  return attr ? attr.getInt() : otherwise;
}

double Expansion::number(StringRef name, double otherwise) {
  auto attr = dyn_cast_or_null<FloatAttr>(attribute(name));
  return attr ? attr.getValueAsDouble() : otherwise;
}

StringRef Expansion::string(StringRef name, StringRef otherwise) {
  auto attr = dyn_cast_or_null<StringAttr>(attribute(name));
  return attr ? attr.getValue() : otherwise;
}

ArrayRef<int64_t> Expansion::integers(StringRef name) {
  auto attr = dyn_cast_or_null<DenseI64ArrayAttr>(attribute(name));
  return attr ? attr.asArrayRef() : ArrayRef<int64_t>();
}

ArrayRef<float> Expansion::floats(StringRef name) {
  auto attr = dyn_cast_or_null<DenseF32ArrayAttr>(attribute(name));
  return attr ? attr.asArrayRef() : ArrayRef<float>();
}

Type Expansion::element(Value v) {
  auto type = v ? dyn_cast<TensorType>(v.getType()) : TensorType();
  return type ? type.getElementType() : Type();
}

int64_t Expansion::rank(Value v) {
  RankedTensorType type = rankedType(v);
  return type ? type.getRank() : -1;
}

int64_t Expansion::dim(Value v, int64_t axis) {
  RankedTensorType type = rankedType(v);
  if (type && axis < 0)
    axis += type.getRank();
  return type && axis >= 0 && axis < type.getRank() ? type.getDimSize(axis) : ShapedType::kDynamic;
}

NamedAttribute Expansion::at(StringRef name, int64_t value) { return b.getNamedAttr(name, b.getI64IntegerAttr(value)); }
NamedAttribute Expansion::at(StringRef name, double value) {
  return b.getNamedAttr(name, b.getF32FloatAttr(float(value)));
}
NamedAttribute Expansion::at(StringRef name, StringRef value) { return b.getNamedAttr(name, b.getStringAttr(value)); }
NamedAttribute Expansion::at(StringRef name, ArrayRef<int64_t> value) {
  return b.getNamedAttr(name, b.getDenseI64ArrayAttr(value));
}
NamedAttribute Expansion::at(StringRef name, ArrayRef<float> value) {
  return b.getNamedAttr(name, b.getDenseF32ArrayAttr(value));
}

void Expansion::copy(SmallVectorImpl<NamedAttribute> &to, ArrayRef<StringRef> names) {
  for (StringRef name : names)
    if (Attribute attr = attribute(name))
      to.push_back(b.getNamedAttr(name, attr));
}

// How many operands and results operations of a name must have; 0 where any number will do.
template <unsigned N> static void setArity(OperationName name, std::pair<unsigned, unsigned> &arity) {
  if (name.hasTrait<OpTrait::NOperands<N>::template Impl>())
    arity.first = N;
  if (name.hasTrait<OpTrait::NResults<N>::template Impl>())
    arity.second = N;
}
template <unsigned... N>
static std::pair<unsigned, unsigned> arityOf(OperationName name, std::integer_sequence<unsigned, N...>) {
  std::pair<unsigned, unsigned> arity(0, 0);
  (setArity<N + 2>(name, arity), ...);
  return arity;
}

SmallVector<Value> Expansion::makeAll(StringRef type, ArrayRef<Value> operands, Attributes attributes,
                                      unsigned results) {
  if (!reason.empty())
    return SmallVector<Value>(results);
  SmallVector<Value> given;
  for (Value v : operands)
    given.push_back(v ? v : noValue(b, loc));
  std::string name = ("onnx." + type).str();
  auto arity = arityOf(OperationName(name, b.getContext()), std::make_integer_sequence<unsigned, 8>());
  while (given.size() < arity.first)
    given.push_back(noValue(b, loc));
  Operation *made = build(b, loc, name, given, attributes, std::max(results, arity.second), results);
  if (!made) {
    std::string text = "expected operands that " + type.str() + " takes, got ";
    llvm::raw_string_ostream out(text);
    llvm::interleaveComma(given, out, [&](Value v) { out << v.getType(); });
    refuse(text);
    return SmallVector<Value>(results);
  }
  return SmallVector<Value>(made->getResults().take_front(results));
}

Value Expansion::intsOf(Type element, ArrayRef<int64_t> values, ArrayRef<int64_t> shape) {
  return constant(onnx::makeInts(RankedTensorType::get(shape, element), values));
}

Value Expansion::floatsOf(Type element, ArrayRef<float> values, ArrayRef<int64_t> shape) {
  return constant(onnx::makeFloats(RankedTensorType::get(shape, element), values));
}

Value Expansion::scalar(Type element, double value) {
  if (!reason.empty())
    return Value();
  if (!element || !isa<FloatType, IntegerType>(element)) {
    refuse("expected operands of a known number type, got another");
    return Value();
  }
  return graph::scalar(b, loc, element, value);
}

Value Expansion::cast(Value v, Type to) {
  if (!reason.empty() || element(v) == to)
    return v;
  return make("Cast", {v}, {at("to", elementNumber(to))});
}

SmallVector<Value> Expansion::split(Value v, int64_t axis, ArrayRef<int64_t> sizes) {
  return makeAll("Split", {v, ints(sizes)}, {at("axis", axis)}, sizes.size());
}

Value Expansion::inlined(StringRef name, Value value) {
  auto custom = dyn_cast<onnx::CustomOp>(op);
  ArrayAttr names = custom ? custom.getGraphNamesAttr() : ArrayAttr();
  if (!reason.empty() || !names)
    return Value();
  auto found = llvm::find(names, b.getStringAttr(name));
  if (found == names.end())
    return Value();
  Block &body = op->getRegion(found - names.begin()).front();
  if (body.getNumArguments() != 1 || body.getTerminator()->getNumOperands() != 1) {
    refuse("expected subgraphs of one input and one output, got " + Twine(body.getNumArguments()) + " and " +
           Twine(body.getTerminator()->getNumOperands()));
    return Value();
  }
  IRMapping map;
  map.map(body.getArgument(0), value);
  onnx::ShapeValues values;
  for (Operation &inner : body.without_terminator()) {
    Operation *copy = b.clone(inner, map);
    SmallVector<Type> types;
    if (failed(onnx::inferReturnTypes(copy, types, values)))
      continue;
    for (auto [result, type] : llvm::zip_equal(copy->getResults(), types))
      result.setType(type);
  }
  return map.lookupOrDefault(body.getTerminator()->getOperand(0));
}

void Expansion::refuse(const Twine &why) {
  if (reason.empty())
    reason = why.str();
}

static constexpr int64_t numbers[] = {1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16, 21, 22};

Type elementOfNumber(MLIRContext *context, int64_t number) {
  Builder b(context);
  switch (number) {
  case 1:
    return b.getF32Type();
  case 2:
    return b.getIntegerType(8, false);
  case 3:
    return b.getI8Type();
  case 4:
    return b.getIntegerType(16, false);
  case 5:
    return b.getI16Type();
  case 6:
    return b.getI32Type();
  case 7:
    return b.getI64Type();
  case 9:
    return b.getI1Type();
  case 10:
    return b.getF16Type();
  case 11:
    return b.getF64Type();
  case 12:
    return b.getIntegerType(32, false);
  case 13:
    return b.getIntegerType(64, false);
  case 16:
    return b.getBF16Type();
  case 21:
    return b.getIntegerType(4, false);
  case 22:
    return b.getI4Type();
  default:
    return Type();
  }
}

int64_t elementNumber(Type element) {
  for (int64_t number : numbers)
    if (elementOfNumber(element.getContext(), number) == element)
      return number;
  return 0;
}

} // namespace graph

namespace {
using namespace graph;

const Expanders &getExpanders() {
  static const Expanders table = [] {
    Expanders t;
    addClassicalExpanders(t);
    addMicrosoftExpanders(t);
    addMicrosoftAttentionExpanders(t);
    addMicrosoftQuantExpanders(t);
    addPreviewExpanders(t);
    addTextExpanders(t);
    return t;
  }();
  return table;
}

Expander find(Operation *op) {
  if (!isa<onnx::OnnxDialect>(op->getDialect()) || (onnx::getDomain(op).empty() && !isa<onnx::TfIdfVectorizerOp>(op)))
    return nullptr;
  return getExpanders().lookup((onnx::getDomain(op) + ":" + onnx::getOpType(op)).str());
}

class ExpandDomains : public burin::impl::ExpandDomainsBase<ExpandDomains> {
public:
  using ExpandDomainsBase::ExpandDomainsBase;

  void runOnOperation() override {
    unsigned count = 0;
    // An operator in a loop's body may wait for the types of one in front of the loop: a few rounds, while they help.
    for (unsigned round = 0; round < 8; ++round) {
      bool any = false;
      getOperation().walk([&](Operation *op) { any |= find(op) != nullptr; });
      if (!any)
        break;
      refused.clear();
      for (auto func : getOperation().getOps<func::FuncOp>())
        if (!func.isExternal() && failed(onnx::inferFunction(func)))
          return signalPassFailure();
      unsigned fired = rewriteForward(getOperation(), [&](Operation *op) { return visit(op); });
      count += fired;
      if (!fired)
        break;
      for (auto func : getOperation().getOps<func::FuncOp>())
        if (!func.isExternal() && failed(onnx::inferFunction(func)))
          return signalPassFailure();
    }
    if (count)
      eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
    for (auto &[op, why] : refused) {
      (void)missed(op, passName, "Expand", why);
      if (strict) {
        onnx::emitNodeError(op) << why;
        return signalPassFailure();
      }
    }
  }

private:
  SmallVector<std::pair<Operation *, std::string>> refused;

  /// What an operator's operands have become since the walk began, brought into its results.
  static void infer(Operation *op) {
    ScopedDiagnosticHandler silence(op->getContext(), [](Diagnostic &) { return success(); });
    SmallVector<Type> types;
    onnx::ShapeValues values;
    if (failed(onnx::inferReturnTypes(op, types, values)))
      return;
    for (auto [result, type] : llvm::zip_equal(op->getResults(), types))
      result.setType(type);
  }

  bool visit(Operation *op) {
    Expander expand = find(op);
    if (!expand) {
      if (op->getNumRegions() == 0 && llvm::any_of(op->getResultTypes(), llvm::IsaPred<onnx::AnyType>))
        infer(op);
      return false;
    }
    Operation *before = op->getPrevNode();
    Expansion x(op);
    expand(x);
    if (x.left)
      return false;
    for (unsigned i = 0; i < op->getNumResults() && x.reason.empty(); ++i)
      if (x.wants(i) && (i >= x.answers.size() || !x.answers[i]))
        x.refuse("result " + Twine(i) + " is not computed; the others are");
    if (!x.reason.empty()) {
      while (op->getPrevNode() != before)
        op->getPrevNode()->erase();
      refused.emplace_back(op, x.reason);
      return false;
    }
    for (unsigned i = 0; i < op->getNumResults(); ++i) {
      if (!x.wants(i))
        continue;
      Value value = x.answers[i];
      if (isa<OpResult>(value) && !value.getDefiningOp()->hasTrait<OpTrait::ConstantLike>())
        value.setType(narrower(value.getType(), op->getResult(i).getType()));
      op->getResult(i).replaceAllUsesWith(value);
    }
    passed(op, passName, "Expand", onnx::getDomain(op) + "." + onnx::getOpType(op));
    op->erase();
    return true;
  }
};

} // namespace
} // namespace burin
