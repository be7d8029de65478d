// The other half of SymbolicShapes: elements of integer and boolean tensors that shapes are computed with, as Sizes.
#include "passes/Graph/SymbolicShapes.h"

#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin::graph {

// 1, 0, or nothing where it depends.
static std::optional<int64_t> decide(StringRef name, const Size &a, const Size &b) {
  auto less = [](const Size &x, const Size &y) -> std::optional<int64_t> {
    auto up = Size::add(y, x, -1), down = Size::add(x, y, -1);
    if (up && up->least().value_or(0) >= 1)
      return 1;
    return down && down->least().value_or(-1) >= 0 ? std::optional<int64_t>(0) : std::nullopt;
  };
  if (name == "Equal") {
    if (a == b)
      return 1;
    return less(a, b) == 1 || less(b, a) == 1 ? std::optional<int64_t>(0) : std::nullopt;
  }
  bool swaps = name.starts_with("Greater"), orEqual = name.ends_with("OrEqual");
  const Size &x = swaps ? b : a, &y = swaps ? a : b;
  if (!orEqual)
    return less(x, y);
  auto other = less(y, x);
  return other ? std::optional<int64_t>(1 - *other) : std::nullopt;
}

std::optional<Elements> SymbolicShapes::compute(Operation *op) {
  if (op->getNumResults() != 1 || !onnx::getDomain(op).empty())
    return std::nullopt;
  Value result = op->getResult(0);
  RankedTensorType type = rankedType(result);
  if (!type || type.getRank() > 1)
    return std::nullopt;
  Type element = type.getElementType();
  if (!element.isInteger(64) && !element.isInteger(32) && !element.isInteger(1))
    return std::nullopt;
  auto own = shapes.find(result);
  std::optional<int64_t> length = type.getRank() == 0     ? std::optional<int64_t>(1)
                                  : !type.isDynamicDim(0) ? std::optional<int64_t>(type.getDimSize(0))
                                                          : std::nullopt;
  if (!length && own != shapes.end() && !own->second->empty())
    length = own->second->front().constant();
  if (auto shape = dyn_cast<onnx::ShapeOp>(op)) {
    const Dims *x = dims(shape.getData());
    if (!x)
      return std::nullopt;
    int64_t rank = x->size(), start = shape.getStart(), end = shape.getEnd().value_or(rank);
    auto clamp = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
    start = clamp(start), end = std::max(start, clamp(end));
    return Elements(x->begin() + start, x->begin() + end);
  }
  if (auto size = dyn_cast<onnx::SizeOp>(op)) {
    const Dims *x = dims(size.getData());
    if (!x)
      return std::nullopt;
    Size whole = 1;
    for (const Size &dim : *x)
      whole = product(whole, dim);
    return Elements{whole};
  }
  if (!length || *length > 32 || op->getNumOperands() == 0)
    return std::nullopt;
  StringRef name = onnx::getOpType(op);
  if (auto concat = dyn_cast<onnx::ConcatOp>(op)) {
    Elements made;
    for (Value operand : op->getOperands()) {
      if (const Elements *part = elements(operand)) {
        made.append(part->begin(), part->end());
        continue;
      }
      RankedTensorType partType = staticType(operand);
      if (!partType || partType.getNumElements() > 32)
        return std::nullopt;
      made.append(partType.getNumElements(), std::nullopt);
    }
    return made;
  }
  SmallVector<const Elements *> in;
  for (Value operand : op->getOperands())
    in.push_back(onnx::isNone(operand) ? nullptr : elements(operand));
  if (!in[0])
    return std::nullopt;
  const Elements &x = *in[0];
  if (isa<onnx::CastOp>(op)) {
    // To a boolean: not zero; from one: as it is.
    RankedTensorType from = rankedType(op->getOperand(0));
    if (!element.isInteger(1) || (from && from.getElementType().isInteger(1)))
      return x;
    Elements made;
    for (auto &value : x) {
      auto same = value ? decide("Equal", *value, 0) : std::nullopt;
      made.push_back(same ? std::optional<Size>(1 - *same) : std::nullopt);
    }
    return made;
  }
  if (isa<onnx::IdentityOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::ReshapeOp>(op))
    return int64_t(x.size()) == *length ? std::optional<Elements>(x) : std::nullopt;
  if (isa<onnx::ExpandOp, onnx::TileOp>(op))
    return x.size() == 1 ? std::optional<Elements>(Elements(*length, x[0])) : std::nullopt;
  if (isa<onnx::GatherOp>(op)) {
    auto indices = onnx::getConstantInts(op->getOperand(1));
    if (!indices || int64_t(indices->size()) != *length || rankedType(op->getOperand(0)).getRank() != 1)
      return std::nullopt;
    Elements made;
    for (int64_t i : *indices) {
      i = i < 0 ? i + x.size() : i;
      if (i < 0 || i >= int64_t(x.size()))
        return std::nullopt;
      made.push_back(x[i]);
    }
    return made;
  }
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    auto starts = onnx::getConstantInts(slice.getStarts()), ends = onnx::getConstantInts(slice.getEnds());
    auto steps = onnx::isNone(slice.getSteps()) ? std::nullopt : onnx::getConstantInts(slice.getSteps());
    if (!starts || !ends || starts->size() != 1 || (!steps && !onnx::isNone(slice.getSteps())))
      return std::nullopt;
    int64_t size = x.size(), step = steps ? steps->front() : 1;
    if (step == 0)
      return std::nullopt;
    auto clamp = [&](int64_t i) {
      return std::clamp<int64_t>(i < 0 ? i + size : i, step < 0 ? -1 : 0, step < 0 ? size - 1 : size);
    };
    Elements made;
    int64_t end = ends->front() < -size ? (step < 0 ? -1 : 0) : clamp(ends->front());
    for (int64_t i = clamp(starts->front()); step > 0 ? i < end : i > end; i += step)
      made.push_back(x[i]);
    return int64_t(made.size()) == *length ? std::optional<Elements>(made) : std::nullopt;
  }
  if (isa<onnx::ReduceProdOp, onnx::ReduceSumOp>(op)) {
    if (*length != 1 || (in.size() > 1 && in[1] && in[1]->empty()))
      return std::nullopt;
    std::optional<Size> whole = isa<onnx::ReduceProdOp>(op) ? 1 : 0;
    for (auto &value : x)
      whole = !whole || !value              ? std::nullopt
              : isa<onnx::ReduceProdOp>(op) ? Size::multiply(*whole, *value)
                                            : Size::add(*whole, *value);
    return Elements{whole};
  }
  auto at = [&](const Elements &values, int64_t i) { return values[values.size() == 1 ? 0 : i]; };
  for (const Elements *operand : in)
    if (!operand || (operand->size() != 1 && int64_t(operand->size()) != *length))
      return std::nullopt;
  Elements made;
  for (int64_t i = 0; i < *length; ++i) {
    auto a = at(x, i);
    auto b = in.size() > 1 ? at(*in[1], i) : std::nullopt;
    std::optional<Size> value;
    if (name == "Where") {
      auto c = at(*in[2], i);
      if (a && a->constant())
        value = *a->constant() ? b : c;
      else if (b && c && *b == *c)
        value = b;
    } else if (name == "Neg" && a) {
      value = Size::add(0, *a, -1);
    } else if (name == "Not" && a && a->constant()) {
      value = Size(1 - *a->constant());
    } else if ((name == "And" || name == "Or") && in.size() == 2) {
      int64_t decides = name == "Or";
      if ((a && a->constant() == decides) || (b && b->constant() == decides))
        value = Size(decides);
      else if (a && b && a->constant() && b->constant())
        value = Size(1 - decides);
    } else if (a && b && in.size() == 2) {
      if (name == "Add" || name == "Sub")
        value = Size::add(*a, *b, name == "Add" ? 1 : -1);
      else if (name == "Mul")
        value = Size::multiply(*a, *b);
      else if (name == "Div" && a->least().value_or(-1) >= 0 && b->constant().value_or(0) > 0)
        value = table.quotient(*a, *b->constant());
      else if (name == "Div" && a->least().value_or(-1) >= 0)
        value = Size::divide(*a, *b);
      else if (name == "Mod" && b->constant().value_or(0) > 0 && Size::divide(*a, *b))
        value = Size(0);
      else if (name == "Min" || name == "Max") {
        auto less = decide("LessOrEqual", *a, *b);
        if (less)
          value = (*less == 1) == (name == "Min") ? a : b;
      } else if (name == "Equal" || name.starts_with("Less") || name.starts_with("Greater")) {
        if (auto known = decide(name, *a, *b))
          value = Size(*known);
      }
    }
    made.push_back(value);
  }
  if (llvm::all_of(made, [](auto &value) { return !value; }))
    return std::nullopt;
  return made;
}

} // namespace burin::graph
