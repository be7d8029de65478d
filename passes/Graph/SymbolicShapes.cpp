// The walk behind SymbolicShapes: dims by operator. Rules are for what exporters compute shapes with and for the
// operators between; for the rest the names that ONNX's inference left in the types serve. A rule may assume that the
// node runs: where it would fail, nothing needs to hold.
#include "passes/Graph/SymbolicShapes.h"

#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace burin::graph {

bool isDimName(StringRef name) {
  return !name.empty() && name != "?" && name != "-1" && name != "None" && name != "unknown";
}

// Results have the dims of the first operand.
static bool keepsShape(StringRef name) {
  return llvm::StringSwitch<bool>(name)
      .Cases({"Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh"}, true)
      .Cases({"BitwiseNot", "Cast", "CastLike", "Ceil", "Celu", "Clip", "Cos", "Cosh", "CumSum", "DequantizeLinear"},
             true)
      .Cases({"Dropout", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish", "Hardmax"}, true)
      .Cases({"BatchNormalization", "GroupNormalization", "Identity", "InstanceNormalization", "IsInf", "IsNaN"}, true)
      .Cases({"LayerNormalization", "LeakyRelu", "Log", "LogSoftmax", "LpNormalization", "LRN"}, true)
      .Cases({"MeanVarianceNormalization", "Mish", "Neg", "Not", "PRelu", "QuantizeLinear", "RMSNormalization"}, true)
      .Cases({"Reciprocal", "Relu", "RotaryEmbedding", "Round", "ScatterElements", "ScatterND", "Selu", "Shrink"}, true)
      .Cases({"Sigmoid", "Sign", "Sin", "Sinh", "Softmax", "Softplus", "Softsign", "Sqrt", "Swish"}, true)
      .Cases({"Tan", "Tanh", "ThresholdedRelu", "Trilu"}, true)
      .Default(false);
}

static bool isBroadcasting(StringRef name) {
  return llvm::StringSwitch<bool>(name)
      .Cases({"Add", "And", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Div", "Equal", "Greater"}, true)
      .Cases({"GreaterOrEqual", "Less", "LessOrEqual", "Max", "Mean", "Min", "Mod", "Mul", "Or", "Pow", "Sub"}, true)
      .Cases({"Sum", "Where", "Xor"}, true)
      .Default(false);
}

SymbolicShapes::SymbolicShapes(func::FuncOp func) {
  auto reserve = [&](Type type) {
    if (auto tensor = dyn_cast<RankedTensorType>(type))
      for (int64_t i = 0; i < tensor.getRank(); ++i)
        if (StringRef name = onnx::getDimName(tensor, i); !name.empty())
          table.reserve(name);
  };
  for (Type type : func.getArgumentTypes())
    reserve(type);
  func.walk([&](Operation *op) { llvm::for_each(op->getResultTypes(), reserve); });
  // What is learned at a Concat with a cache says something of values before it: once more, then.
  for (unsigned round = 0; round < 2; ++round) {
    learned = false;
    shapes.clear();
    contents.clear();
    visitBlock(func.front());
    if (!learned)
      break;
  }
}

const Dims *SymbolicShapes::dims(Value value) {
  auto it = shapes.find(value);
  if (it != shapes.end())
    return it->second.get();
  RankedTensorType type = rankedType(value);
  if (!type)
    return nullptr;
  Dims made;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    StringRef name = onnx::getDimName(type, i);
    made.push_back(!type.isDynamicDim(i) ? Size(type.getDimSize(i))
                   : isDimName(name)     ? table.named(name)
                                         : table.fresh());
  }
  auto &held = shapes[value] = std::make_unique<Dims>(std::move(made));
  return held.get();
}

const Elements *SymbolicShapes::elements(Value value) {
  auto it = contents.find(value);
  if (it != contents.end())
    return it->second.get();
  ElementsAttr attr = onnx::getConstantAttr(value);
  if (!attr || attr.getNumElements() > 32 || attr.getShapedType().getRank() > 1)
    return nullptr;
  Type element = attr.getElementType();
  if (!element.isInteger(64) && !element.isInteger(32) && !element.isInteger(1))
    return nullptr;
  auto ints = onnx::readInts(attr);
  if (!ints)
    return nullptr;
  Elements made;
  for (int64_t x : *ints)
    made.push_back(std::abs(x) <= (int64_t(1) << 40) ? std::optional<Size>(x) : std::nullopt);
  auto &held = contents[value] = std::make_unique<Elements>(std::move(made));
  return held.get();
}

void SymbolicShapes::visitBlock(Block &block) {
  for (Operation &op : block) {
    for (Region &region : op.getRegions())
      for (Block &inner : region)
        visitBlock(inner);
    if (isa<onnx::OnnxDialect>(op.getDialect()) && !op.hasTrait<OpTrait::IsTerminator>())
      visit(&op);
  }
}

void SymbolicShapes::visit(Operation *op) {
  if (op->hasTrait<OpTrait::ConstantLike>() || isa<onnx::NoValueOp>(op))
    return;
  SmallVector<const Dims *> operands;
  for (Value operand : op->getOperands())
    operands.push_back(onnx::isNone(operand) ? nullptr : dims(operand));
  auto computed = infer(op, operands);
  for (auto [i, result] : llvm::enumerate(op->getResults()))
    record(result, computed && i < computed->size() ? &(*computed)[i] : nullptr);
  if (auto values = compute(op))
    contents[op->getResult(0)] = std::make_unique<Elements>(std::move(*values));
}

// Joins what a rule found with what the type says.
void SymbolicShapes::record(Value value, const Dims *computed) {
  RankedTensorType type = rankedType(value);
  if (!type || !computed || int64_t(computed->size()) != type.getRank())
    return; // the type's own names, when someone asks
  Dims made;
  for (auto [i, size] : llvm::enumerate(*computed)) {
    StringRef name = onnx::getDimName(type, i);
    if (!type.isDynamicDim(i)) {
      made.push_back(type.getDimSize(i));
      continue;
    }
    if (isDimName(name)) {
      // A declared name for a sum of other inputs' dims: the length of a cache after this call. And our own names, read
      // again.
      bool isSum = size.getTerms().size() > 1 && llvm::all_of(size.getTerms(), [](const auto &term) {
                     return term.first.size() == 1 && term.second == 1;
                   });
      for (const auto &[product, factor] : size.getTerms())
        for (unsigned symbol : product)
          isSum &= !table.isFresh(Size::symbol(symbol));
      if (table.isFresh(size)) {
        made.push_back(table.named(name));
        continue;
      }
      if ((isSum && isa_and_nonnull<onnx::ConcatOp>(value.getDefiningOp())) || table.text(size) == name)
        learned |= table.learn(name, size);
    }
    made.push_back(size);
  }
  shapes[value] = std::make_unique<Dims>(std::move(made));
}

Size SymbolicShapes::sum(const Size &a, const Size &b, int64_t factor) {
  return Size::add(a, b, factor).value_or(table.fresh());
}

Size SymbolicShapes::product(const Size &a, const Size &b) { return Size::multiply(a, b).value_or(table.fresh()); }

std::optional<Size> SymbolicShapes::broadcast(const Size &a, const Size &b) {
  if (a == b)
    return a;
  if (a.constant() == 1)
    return b;
  if (b.constant() == 1)
    return a;
  // A number from 2 wins; with 0 there is no telling.
  if (a.constant().value_or(0) > 1)
    return a;
  if (b.constant().value_or(0) > 1)
    return b;
  // min(n, 512) meets n only where it is n.
  if (table.isMinimumOf(b, a))
    return a;
  if (table.isMinimumOf(a, b))
    return b;
  return std::nullopt;
}

std::optional<Dims> SymbolicShapes::broadcast(ArrayRef<const Dims *> operands) {
  Dims result;
  for (const Dims *operand : operands) {
    if (!operand)
      return std::nullopt;
    while (result.size() < operand->size())
      result.insert(result.begin(), Size(1));
  }
  for (const Dims *operand : operands)
    for (size_t i = 0, skip = result.size() - operand->size(); i < operand->size(); ++i) {
      auto joined = broadcast(result[skip + i], (*operand)[i]);
      result[skip + i] = joined ? *joined : table.fresh();
    }
  return result;
}

static SmallVector<int64_t> intsOr(std::optional<ArrayRef<int64_t>> given, size_t count, int64_t value) {
  return given && given->size() == count ? SmallVector<int64_t>(*given) : SmallVector<int64_t>(count, value);
}

// Conv and pools: (x + pads - dilated kernel) / stride + 1.
std::optional<Dims> SymbolicShapes::window(Operation *op, const Dims &x, const Dims *weights) {
  if (x.size() < 3)
    return std::nullopt;
  size_t spatial = x.size() - 2;
  auto array = [&](StringRef name) -> std::optional<ArrayRef<int64_t>> {
    auto attr = op->getAttrOfType<DenseI64ArrayAttr>(name);
    return attr ? std::optional<ArrayRef<int64_t>>(attr.asArrayRef()) : std::nullopt;
  };
  auto flag = [&](StringRef name) {
    auto attr = op->getAttrOfType<IntegerAttr>(name);
    return attr && attr.getInt() != 0;
  };
  auto autoPad = op->getAttrOfType<StringAttr>("auto_pad");
  StringRef mode = autoPad ? autoPad.getValue() : "NOTSET";
  SmallVector<int64_t> kernel = intsOr(array("kernel_shape"), spatial, 0),
                       strides = intsOr(array("strides"), spatial, 1);
  SmallVector<int64_t> dilations = intsOr(array("dilations"), spatial, 1), pads = intsOr(array("pads"), 2 * spatial, 0);
  Dims result = {x[0], x[1]};
  if (weights) {
    if (weights->size() != x.size())
      return std::nullopt;
    result[1] = (*weights)[0];
    for (size_t i = 0; i < spatial; ++i)
      if (kernel[i] == 0)
        kernel[i] = (*weights)[i + 2].constant().value_or(0);
  }
  for (size_t i = 0; i < spatial; ++i) {
    if (kernel[i] < 1 || strides[i] < 1 || flag("ceil_mode"))
      return std::nullopt;
    if (mode == "SAME_UPPER" || mode == "SAME_LOWER") {
      result.push_back(table.quotient(sum(x[i + 2], strides[i] - 1), strides[i]));
      continue;
    }
    int64_t more = (mode == "VALID" ? 0 : pads[i] + pads[i + spatial]) - (kernel[i] - 1) * dilations[i] - 1;
    // An input that the kernel does not fit in has no result: rounding down is then nobody's concern.
    result.push_back(sum(table.quotient(sum(x[i + 2], more), strides[i]), 1));
  }
  return result;
}

std::optional<Dims> SymbolicShapes::reshape(Operation *op, const Dims &x) {
  const Elements *target = elements(op->getOperand(1));
  RankedTensorType type = rankedType(op->getResult(0));
  if (!target || !type || type.getRank() != int64_t(target->size()))
    return std::nullopt;
  bool zeroCopies = cast<onnx::ReshapeOp>(op).getAllowzero() == 0;
  Dims result;
  Size known = 1, whole = 1;
  std::optional<size_t> rest;
  bool allKnown = true;
  for (auto [i, element] : llvm::enumerate(*target)) {
    if (!element) {
      allKnown = false;
      result.push_back(type.isDynamicDim(i) ? table.fresh() : Size(type.getDimSize(i)));
      continue;
    }
    Size size = *element;
    if (size.constant() == 0 && zeroCopies) {
      if (i >= x.size())
        return std::nullopt;
      size = x[i];
    }
    if (size.constant() == -1)
      rest = i;
    else
      known = product(known, size);
    result.push_back(size);
  }
  if (!rest)
    return result;
  for (const Size &size : x)
    whole = product(whole, size);
  auto quotient = allKnown ? Size::divide(whole, known) : std::nullopt;
  if (!quotient && allKnown && known.constant().value_or(0) > 0 && whole.least().value_or(-1) >= 0)
    quotient = table.quotient(whole, *known.constant());
  // Equal factors on both sides, whatever they are, cancel before anything is multiplied.
  if (!quotient || table.isFresh(whole)) {
    SmallVector<Size> left(x), right;
    for (auto [i, size] : llvm::enumerate(result))
      if (i != *rest)
        right.push_back(size);
    Size top = 1, bottom = 1;
    for (const Size &size : right) {
      auto *it = llvm::find(left, size);
      if (it != left.end())
        left.erase(it);
      else
        bottom = product(bottom, size);
    }
    for (const Size &size : left)
      top = product(top, size);
    quotient = allKnown ? Size::divide(top, bottom) : std::nullopt;
  }
  result[*rest] = !type.isDynamicDim(*rest) ? Size(type.getDimSize(*rest)) : quotient ? *quotient : table.fresh();
  return result;
}

std::optional<Dims> SymbolicShapes::slice(Operation *op, const Dims &x) {
  auto slice = cast<onnx::SliceOp>(op);
  const Elements *starts = elements(slice.getStarts()), *ends = elements(slice.getEnds());
  auto axes = onnx::isNone(slice.getAxes()) ? std::nullopt : onnx::getConstantInts(slice.getAxes());
  auto steps = onnx::isNone(slice.getSteps()) ? std::nullopt : onnx::getConstantInts(slice.getSteps());
  if (!starts || !ends || starts->size() != ends->size() || (!axes && !onnx::isNone(slice.getAxes())) ||
      (!steps && !onnx::isNone(slice.getSteps())))
    return std::nullopt;
  auto endInts = onnx::getConstantInts(slice.getEnds());
  Dims result = x;
  int64_t rank = x.size();
  for (size_t i = 0; i < starts->size(); ++i) {
    int64_t axis = axes ? (i < axes->size() ? (*axes)[i] : rank) : int64_t(i);
    axis = axis < 0 ? axis + rank : axis;
    if (axis < 0 || axis >= rank || (steps && (i >= steps->size() || (*steps)[i] < 1)))
      return std::nullopt;
    const Size &size = x[axis];
    int64_t step = steps ? (*steps)[i] : 1;
    // Bounds as offsets from the front, within the size; nothing where that cannot be told.
    auto within = [&](const std::optional<Size> &bound, bool isHuge) -> std::optional<Size> {
      if (isHuge)
        return size;
      if (!bound)
        return std::nullopt;
      Size at = *bound;
      if (at.constant().value_or(0) < 0)
        at = table.clamped(sum(size, at));
      else if (at.least().value_or(-1) < 0)
        return std::nullopt; // it may be negative, and then count from the end
      return table.minimum(at, size);
    };
    bool isHuge = endInts && (*endInts)[i] >= (int64_t(1) << 31) - 1;
    auto from = within((*starts)[i], false), to = within((*ends)[i], isHuge);
    if (!from || !to)
      result[axis] = table.fresh();
    else
      result[axis] = table.quotient(sum(table.clamped(sum(*to, *from, -1)), step - 1), step);
  }
  return result;
}

std::optional<SmallVector<Dims>> SymbolicShapes::infer(Operation *op, ArrayRef<const Dims *> in) {
  using Result = std::optional<SmallVector<Dims>>;
  auto one = [](Dims dims) { return Result(SmallVector<Dims>{std::move(dims)}); };
  auto maybe = [&](std::optional<Dims> dims) { return dims ? one(std::move(*dims)) : Result(); };
  StringRef name = onnx::getOpType(op);
  if (!onnx::getDomain(op).empty())
    return std::nullopt;
  if (isBroadcasting(name))
    return maybe(broadcast(in));
  if (in.empty() || !in[0])
    return std::nullopt;
  const Dims &x = *in[0];
  int64_t rank = x.size();
  auto axisOf = [&](int64_t axis, int64_t ofRank) -> std::optional<int64_t> {
    axis = axis < 0 ? axis + ofRank : axis;
    return axis >= 0 && axis < ofRank ? std::optional<int64_t>(axis) : std::nullopt;
  };
  if (keepsShape(name))
    return one(x);
  if (name.starts_with("Reduce")) {
    auto keep = op->getAttrOfType<IntegerAttr>("keepdims");
    auto noop = op->getAttrOfType<IntegerAttr>("noop_with_empty_axes");
    SmallVector<bool> gone(rank, true);
    if (op->getNumOperands() > 1 && !onnx::isNone(op->getOperand(1))) {
      auto axes = onnx::getConstantInts(op->getOperand(1));
      if (!axes || axes->empty())
        return std::nullopt;
      gone.assign(rank, false);
      for (int64_t given : *axes) {
        auto axis = axisOf(given, rank);
        if (!axis)
          return std::nullopt;
        gone[*axis] = true;
      }
    } else if (noop && noop.getInt()) {
      return one(x);
    }
    Dims result;
    for (int64_t i = 0; i < rank; ++i) {
      if (!gone[i])
        result.push_back(x[i]);
      else if (!keep || keep.getInt())
        result.push_back(1);
    }
    return one(result);
  }
  return llvm::TypeSwitch<Operation *, Result>(op)
      .Case([&](onnx::TransposeOp o) {
        Dims result;
        for (int64_t d : permutation(o, rank))
          result.push_back(x[d]);
        return one(result);
      })
      .Case([&](onnx::UnsqueezeOp o) -> Result {
        auto axes = onnx::getConstantInts(o->getOperand(1));
        if (!axes)
          return std::nullopt;
        SmallVector<bool> isNew(rank + axes->size(), false);
        for (int64_t given : *axes) {
          auto axis = axisOf(given, isNew.size());
          if (!axis)
            return std::nullopt;
          isNew[*axis] = true;
        }
        Dims result;
        for (size_t i = 0, at = 0; i < isNew.size(); ++i)
          result.push_back(isNew[i] ? Size(1) : at < x.size() ? x[at++] : Size(1));
        return one(result);
      })
      .Case([&](onnx::SqueezeOp o) -> Result {
        auto axes = onnx::isNone(o->getOperand(1)) ? std::nullopt : onnx::getConstantInts(o->getOperand(1));
        if (!axes)
          return std::nullopt;
        SmallVector<bool> gone(rank, false);
        for (int64_t given : *axes) {
          auto axis = axisOf(given, rank);
          if (!axis)
            return std::nullopt;
          gone[*axis] = true;
        }
        Dims result;
        for (int64_t i = 0; i < rank; ++i)
          if (!gone[i])
            result.push_back(x[i]);
        return one(result);
      })
      .Case([&](onnx::FlattenOp o) {
        int64_t axis = std::clamp<int64_t>(o.getAxis() < 0 ? o.getAxis() + rank : o.getAxis(), 0, rank);
        Dims result = {Size(1), Size(1)};
        for (int64_t i = 0; i < rank; ++i)
          result[i >= axis] = product(result[i >= axis], x[i]);
        return one(result);
      })
      .Case([&](onnx::ReshapeOp) { return maybe(reshape(op, x)); })
      .Case([&](onnx::SliceOp) { return maybe(slice(op, x)); })
      .Case([&](onnx::ExpandOp) -> Result {
        const Elements *target = elements(op->getOperand(1));
        if (!target || llvm::any_of(*target, [](auto &element) { return !element; }))
          return std::nullopt;
        Dims to;
        for (auto &element : *target)
          to.push_back(*element);
        return maybe(broadcast({&x, &to}));
      })
      .Case([&](onnx::TileOp) -> Result {
        const Elements *repeats = elements(op->getOperand(1));
        if (!repeats || repeats->size() != x.size())
          return std::nullopt;
        Dims result;
        for (auto [size, repeat] : llvm::zip_equal(x, *repeats))
          result.push_back(repeat ? product(size, *repeat) : table.fresh());
        return one(result);
      })
      .Case([&](onnx::ConcatOp o) -> Result {
        auto axis = axisOf(o.getAxis(), rank);
        if (!axis)
          return std::nullopt;
        Dims result = x;
        for (const Dims *other : in.drop_front()) {
          if (!other || other->size() != x.size())
            return std::nullopt;
          for (int64_t i = 0; i < rank; ++i) {
            // Equal by the operator's contract: the one that says more is right for both.
            if (i == *axis)
              result[i] = sum(result[i], (*other)[i]);
            else if (!result[i].constant() && ((*other)[i].constant() || table.isFresh(result[i])))
              result[i] = (*other)[i];
          }
        }
        return one(result);
      })
      .Case([&](onnx::SplitOp o) -> Result {
        auto axis = axisOf(o.getAxis(), rank);
        auto parts = onnx::isNone(o.getSplit()) ? std::nullopt : onnx::getConstantInts(o.getSplit());
        if (!axis || !parts || parts->size() != op->getNumResults())
          return std::nullopt;
        SmallVector<Dims> results;
        for (int64_t part : *parts) {
          results.push_back(x);
          results.back()[*axis] = part;
        }
        return results;
      })
      .Case([&](onnx::GatherOp o) -> Result {
        auto axis = axisOf(o.getAxis(), rank);
        if (!axis || !in[1])
          return std::nullopt;
        Dims result(x.begin(), x.begin() + *axis);
        result.append(in[1]->begin(), in[1]->end());
        result.append(x.begin() + *axis + 1, x.end());
        return one(result);
      })
      .Case([&](onnx::MatMulOp) -> Result {
        if (!in[1] || rank < 2 || in[1]->size() < 2)
          return std::nullopt;
        Dims a(x.begin(), x.end() - 2), b(in[1]->begin(), in[1]->end() - 2);
        auto result = broadcast({&a, &b});
        if (!result)
          return std::nullopt;
        result->append({x[rank - 2], in[1]->back()});
        return one(*result);
      })
      .Case([&](onnx::GemmOp o) -> Result {
        if (!in[1] || rank != 2 || in[1]->size() != 2)
          return std::nullopt;
        return one({x[o.getTransA() != 0], (*in[1])[o.getTransB() == 0]});
      })
      .Case([&](onnx::ConvOp) { return in[1] ? maybe(window(op, x, in[1])) : Result(); })
      .Case<onnx::MaxPoolOp, onnx::AveragePoolOp>([&](auto) { return maybe(window(op, x, nullptr)); })
      .Case<onnx::GlobalAveragePoolOp, onnx::GlobalMaxPoolOp>([&](auto) {
        Dims result(rank, Size(1));
        for (int64_t i = 0; i < std::min<int64_t>(2, rank); ++i)
          result[i] = x[i];
        return one(result);
      })
      .Case([&](onnx::DepthToSpaceOp o) -> Result {
        int64_t block = o.getBlocksize();
        if (rank != 4 || block < 1)
          return std::nullopt;
        return one({x[0], table.quotient(x[1], block * block), product(x[2], block), product(x[3], block)});
      })
      .Case([&](onnx::AttentionOp) -> Result {
        if (rank != 4 || !in[1] || !in[2] || in[2]->size() != 4)
          return std::nullopt;
        return one({x[0], x[1], x[2], in[2]->back()});
      })
      .Case([&](onnx::ConstantOfShapeOp) -> Result {
        const Elements *target = elements(op->getOperand(0));
        if (!target || llvm::any_of(*target, [](auto &element) { return !element; }))
          return std::nullopt;
        Dims result;
        for (auto &element : *target)
          result.push_back(*element);
        return one(result);
      })
      .Case([&](onnx::RangeOp) -> Result {
        const Elements *from = elements(op->getOperand(0)), *to = elements(op->getOperand(1)),
                       *step = elements(op->getOperand(2));
        if (!from || !to || !step || !from->front() || !to->front() || !step->front() || step->front()->constant() != 1)
          return std::nullopt;
        return one({table.clamped(sum(*to->front(), *from->front(), -1))});
      })
      .Default([](Operation *) { return Result(); });
}

} // namespace burin::graph
