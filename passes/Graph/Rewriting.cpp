// The tools behind the graph room's patterns: walking, replacing, remarks. Nothing here knows a particular operator
// beyond constants; it must not fold or infer on its own account.
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/SymbolicShapes.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/SetVector.h"

#include <cmath>

using namespace mlir;

namespace burin::graph {

static remark::RemarkOpts remarkOf(StringRef pass, StringRef rewrite) {
  return remark::RemarkOpts::name(rewrite).category(pass);
}

static bool remarksOff(Operation *op) { return !op->getContext()->getRemarkEngine(); }

void passed(Operation *op, StringRef pass, StringRef rewrite, const Twine &what) {
  if (remarksOff(op))
    return;
  std::string text = what.str();
  remark::passed(op->getLoc(), remarkOf(pass, rewrite)) << (text.empty() ? rewrite : StringRef(text));
}

bool missed(Operation *op, StringRef pass, StringRef rewrite, const Twine &why) {
  if (remarksOff(op))
    return false;
  std::string text = why.str();
  remark::missed(op->getLoc(), remarkOf(pass, rewrite)) << remark::reason("{0}", text);
  return false;
}

void counted(Operation *root, StringRef pass, unsigned count) {
  if (!remarksOff(root))
    remark::analysis(root->getLoc(), remarkOf(pass, "count")) << remark::metric("rewrites", count);
}

// No ONNX operator has an effect beyond its results, random ones and those with subgraphs included; only what a foreign
// operator does is unknown.
static bool isDead(Operation *op) {
  return op->use_empty() && isa<onnx::OnnxDialect>(op->getDialect()) && !op->hasTrait<OpTrait::IsTerminator>() &&
         !isa<onnx::CustomOp>(op);
}

static unsigned rewriteBlock(Block &block, function_ref<bool(Operation *)> rewrite) {
  unsigned count = 0;
  for (Operation &op : llvm::make_early_inc_range(block)) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        count += rewriteBlock(inner, rewrite);
    if (isa<onnx::OnnxDialect>(op.getDialect()) && !op.hasTrait<OpTrait::IsTerminator>())
      count += rewrite(&op);
  }
  return count;
}

unsigned rewriteForward(Operation *root, function_ref<bool(Operation *)> rewrite) {
  unsigned count = 0;
  for (Region &region : root->getRegions())
    for (Block &block : region)
      count += rewriteBlock(block, rewrite);
  return count;
}

Type narrower(Type a, Type b) {
  auto x = dyn_cast<RankedTensorType>(a), y = dyn_cast<RankedTensorType>(b);
  if (!x || !y || x.getElementType() != y.getElementType() || x.getRank() != y.getRank())
    return y && !x ? b : a;
  SmallVector<int64_t> shape(x.getShape());
  SmallVector<StringRef> names;
  bool differs = false;
  for (int64_t i = 0; i < x.getRank(); ++i) {
    if (shape[i] == ShapedType::kDynamic && y.getDimSize(i) != shape[i]) {
      shape[i] = y.getDimSize(i);
      differs = true;
    }
    StringRef name = shape[i] == ShapedType::kDynamic ? onnx::getDimName(x, i) : "";
    if (shape[i] == ShapedType::kDynamic && name.empty()) {
      name = onnx::getDimName(y, i);
      differs |= !name.empty();
    }
    names.push_back(name);
  }
  return differs ? Type(onnx::getTensorType(shape, x.getElementType(), names)) : a;
}

static bool escapes(Value value) {
  return llvm::any_of(value.getUsers(), [](Operation *user) { return user->hasTrait<OpTrait::IsTerminator>(); });
}

// The type of `value` once it takes the place of `result`. An output of the graph keeps the names that its dims have.
static Type typeFor(Value result, Value value) {
  if (!isa<OpResult>(value))
    return value.getType();
  return escapes(result) ? narrower(result.getType(), value.getType()) : narrower(value.getType(), result.getType());
}

bool replace(Operation *op, ValueRange values) {
  for (auto [result, value] : llvm::zip_equal(op->getResults(), values)) {
    if (result.use_empty() || result.getType() == value.getType())
      continue;
    Type type = typeFor(result, value);
    if ((type != result.getType() && escapes(result)) || (type != value.getType() && escapes(value)))
      return false;
  }
  for (auto [result, value] : llvm::zip_equal(op->getResults(), values)) {
    if (result.use_empty())
      continue;
    if (isa<OpResult>(value) && result.getType() != value.getType() &&
        !value.getDefiningOp()->hasTrait<OpTrait::ConstantLike>())
      value.setType(typeFor(result, value));
    result.replaceAllUsesWith(value);
  }
  eraseDead(op);
  return true;
}

bool replaceBy(Operation *op, Value value, StringRef pass, StringRef rewrite) {
  if (!value)
    return false;
  Operation *made = value.getDefiningOp();
  if (!replace(op, value)) {
    eraseDead(made);
    return false;
  }
  passed(made, pass, rewrite);
  return true;
}

void eraseDead(Operation *op) {
  llvm::SmallSetVector<Operation *, 8> worklist;
  worklist.insert(op);
  while (!worklist.empty()) {
    Operation *dead = worklist.pop_back_val();
    if (!isDead(dead))
      continue;
    // Values used inside regions may lose their last use too.
    dead->walk([&](Operation *inner) {
      for (Value operand : inner->getOperands())
        if (Operation *producer = operand.getDefiningOp(); producer && !dead->isAncestor(producer))
          worklist.insert(producer);
    });
    dead->erase();
  }
}

static bool eraseDeadIn(Region &region) {
  bool any = false;
  for (Block &block : region)
    for (Operation &op : llvm::make_early_inc_range(llvm::reverse(block))) {
      // Regions after their users: an erased user frees what it used; an erased holder needs no look inside.
      if (isDead(&op)) {
        op.erase();
        any = true;
        continue;
      }
      for (Region &inner : op.getRegions())
        any |= eraseDeadIn(inner);
    }
  return any;
}

bool eraseAllDead(Operation *root) {
  bool any = false;
  for (Region &region : root->getRegions())
    for (Block &block : region)
      for (Operation &op : block)
        for (Region &inner : op.getRegions())
          any |= eraseDeadIn(inner);
  return any;
}

Operation *build(OpBuilder &builder, Location loc, StringRef name, ValueRange operands,
                 ArrayRef<NamedAttribute> attributes, unsigned results, unsigned present) {
  OperationState state(loc, name);
  state.addOperands(operands);
  state.addAttributes(attributes);
  for (unsigned i = 0; i < results; ++i)
    state.addTypes(i < present ? Type(onnx::AnyType::get(builder.getContext())) : builder.getNoneType());
  Operation *op = builder.create(state);
  SmallVector<Type> types;
  onnx::ShapeValues values;
  ScopedDiagnosticHandler silence(builder.getContext(), [](Diagnostic &) { return success(); });
  if (failed(onnx::inferReturnTypes(op, types, values)) || types.size() != results) {
    op->erase();
    return nullptr;
  }
  for (unsigned i = 0; i < present; ++i)
    op->getResult(i).setType(types[i]);
  return op;
}

Value noValue(OpBuilder &builder, Location loc) { return onnx::NoValueOp::create(builder, loc); }

Value constant(OpBuilder &builder, Location loc, ElementsAttr value) {
  return onnx::ConstantOp::create(builder, loc, value);
}

Value scalar(OpBuilder &builder, Location loc, Type elementType, double value) {
  auto type = RankedTensorType::get({}, elementType);
  return constant(builder, loc,
                  isa<FloatType>(elementType) ? onnx::makeFloats(type, {float(value)})
                                              : onnx::makeInts(type, {int64_t(value)}));
}

SmallVector<Value> copyBody(Block &body, ValueRange arguments, OpBuilder &builder) {
  IRMapping map;
  map.map(body.getArguments(), arguments);
  for (Operation &inner : body.without_terminator()) {
    Operation *copy = builder.clone(inner, map);
    // A dim's name is one number everywhere; in a body it is one a run.
    for (Value result : copy->getResults())
      if (auto type = dyn_cast<RankedTensorType>(result.getType()); type && type.getEncoding())
        result.setType(RankedTensorType::get(type.getShape(), type.getElementType()));
  }
  return llvm::map_to_vector(body.getTerminator()->getOperands(), [&](Value v) { return map.lookupOrDefault(v); });
}

Location fuse(ArrayRef<Operation *> ops) {
  SmallVector<Location> locs;
  for (Operation *op : ops)
    locs.push_back(op->getLoc());
  return FusedLoc::get(ops.front()->getContext(), locs);
}

RankedTensorType rankedType(Value value) {
  return value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
}

RankedTensorType staticType(Value value) {
  RankedTensorType type = rankedType(value);
  return type && type.hasStaticShape() ? type : RankedTensorType();
}

bool sameType(Type a, Type b) {
  auto x = dyn_cast<RankedTensorType>(a), y = dyn_cast<RankedTensorType>(b);
  if (!x || !y)
    return a == b;
  return x.getElementType() == y.getElementType() && x.getShape() == y.getShape();
}

bool sameDim(RankedTensorType a, int64_t i, RankedTensorType b, int64_t j) {
  if (a.getDimSize(i) != b.getDimSize(j))
    return false;
  // "?" and "-1" are exporters' words for a size nobody knows.
  StringRef name = onnx::getDimName(a, i);
  return !a.isDynamicDim(i) || (isDimName(name) && name == onnx::getDimName(b, j));
}

std::optional<double> uniform(Value value) {
  ElementsAttr attr = onnx::getConstantAttr(value);
  if (!attr || attr.getNumElements() == 0)
    return std::nullopt;
  if (attr.getNumElements() != 1 && !attr.isSplat())
    return std::nullopt;
  // A splat is read through one element, however large its shape is.
  auto raw = onnx::getRawElements(attr);
  if (!raw)
    return std::nullopt;
  Type element = attr.getElementType();
  auto one = onnx::makeConstantAttr(RankedTensorType::get({}, element), raw->bytes);
  if (element.isF64())
    return one.getValues<APFloat>()[0].convertToDouble();
  if (isa<IntegerType>(element)) {
    auto ints = onnx::readInts(one);
    return ints ? std::optional<double>(double(ints->front())) : std::nullopt;
  }
  auto floats = onnx::readFloats(one);
  return floats ? std::optional<double>(floats->front()) : std::nullopt;
}

bool isAbout(Value value, double x) {
  ElementsAttr attr = onnx::getConstantAttr(value);
  if (!attr || !isa<FloatType>(attr.getElementType()))
    return false;
  std::optional<double> held = uniform(value);
  double tolerance = attr.getElementType().getIntOrFloatBitWidth() <= 16 ? 1e-3 : 1e-6;
  return held && std::abs(*held - x) <= tolerance * std::max(std::abs(x), 1e-30);
}

SmallVector<int64_t> permutation(onnx::TransposeOp op, int64_t rank) {
  if (auto perm = op.getPerm(); perm && int64_t(perm->size()) == rank)
    return SmallVector<int64_t>(*perm);
  return llvm::to_vector(llvm::reverse(llvm::seq<int64_t>(0, rank)));
}

} // namespace burin::graph
