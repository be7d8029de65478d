// Elements of small integer tensors as extents: what Shape gives and the arithmetic of exporters on it, so that the
// shapes it ends in are expressions of the inputs' dims and not data. See SizesOfResults.cpp for the shapes themselves.
#include "passes/Lower/Sizes.h"

#include "llvm/ADT/StringSet.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace burin::lower {

// Tensors of more elements are data.
static constexpr int64_t maxElements = 64;

namespace {

using Elements = std::optional<Dims>;

/// One element of an elementwise operator; nothing where an extent cannot say it.
std::optional<int64_t> combine(Lowering &l, StringRef name, ArrayRef<int64_t> x) {
  auto compare = [&](arith::CmpIPredicate predicate) { return l.extents.compare(l.b, predicate, x[0], x[1]); };
  auto isSize = [&](int64_t extent) { return l.extents.lowest(extent).value_or(-1) >= 0; };
  if (name == "Add" || name == "Sum")
    return x.size() == 2 ? std::optional(l.add(x[0], x[1])) : std::nullopt;
  if (name == "Sub")
    return l.sub(x[0], x[1]);
  if (name == "Mul")
    return l.mul(x[0], x[1]);
  if (name == "Div") { // truncates; floorDiv does where nothing is negative
    if (auto exact = x[1] == 0 ? std::nullopt : l.extents.divideExactly(x[0], x[1]))
      return exact;
    return isSize(x[0]) && isSize(x[1]) && x[1] != 0 ? std::optional(l.floorDiv(x[0], x[1])) : std::nullopt;
  }
  if (name == "Mod" && isSize(x[0]) && isSize(x[1]) && x[1] != 0)
    return l.sub(x[0], l.mul(x[1], l.floorDiv(x[0], x[1])));
  if (name == "Neg")
    return l.mul(x[0], -1);
  if (name == "Abs" && isSize(x[0]))
    return x[0];
  if (name == "Min" && x.size() == 2)
    return l.min(x[0], x[1]);
  if (name == "Max" && x.size() == 2)
    return l.max(x[0], x[1]);
  if ((name == "Min" || name == "Max") && x.size() == 1)
    return x[0];
  if (name == "Relu")
    return l.max(x[0], 0);
  if (name == "Equal")
    return compare(arith::CmpIPredicate::eq);
  if (name == "Less")
    return compare(arith::CmpIPredicate::slt);
  if (name == "LessOrEqual")
    return compare(arith::CmpIPredicate::sle);
  if (name == "Greater")
    return compare(arith::CmpIPredicate::sgt);
  if (name == "GreaterOrEqual")
    return compare(arith::CmpIPredicate::sge);
  if (name == "Where")
    return l.extents.select(l.b, x[0], x[1], x[2]);
  if (name == "And")
    return l.mul(x[0], x[1]);
  if (name == "Or")
    return l.sub(l.add(x[0], x[1]), l.mul(x[0], x[1]));
  if (name == "Not")
    return l.sub(1, x[0]);
  return std::nullopt;
}

bool isCombined(StringRef name) {
  static const llvm::StringSet<> names = {"Add",
                                          "Sum",
                                          "Sub",
                                          "Mul",
                                          "Div",
                                          "Mod",
                                          "Neg",
                                          "Abs",
                                          "Min",
                                          "Max",
                                          "Relu",
                                          "Equal",
                                          "Less",
                                          "Where",
                                          "LessOrEqual",
                                          "Greater",
                                          "GreaterOrEqual",
                                          "And",
                                          "Or",
                                          "Not"};
  return names.contains(name);
}

/// Elementwise on operands of rank 0 and 1 (one element repeats).
Elements combineAll(Lowering &l, Operation *op, StringRef name) {
  SmallVector<Dims> operands;
  size_t count = 1;
  bool isEmpty = false;
  for (Value v : op->getOperands()) {
    Elements elements = l.getScalars(v);
    if (!elements || l.rank(v) > 1)
      return std::nullopt;
    isEmpty |= elements->empty();
    count = std::max(count, elements->size());
    operands.push_back(*elements);
  }
  Dims result;
  for (size_t i = 0; i < (isEmpty ? 0 : count); ++i) {
    Dims x;
    for (const Dims &elements : operands) {
      if (elements.size() != 1 && elements.size() != count)
        return std::nullopt;
      x.push_back(elements[elements.size() == 1 ? 0 : i]);
    }
    auto element = combine(l, name, x);
    if (!element)
      return std::nullopt;
    result.push_back(*element);
  }
  return result;
}

Elements reduce(Lowering &l, StringRef name, ArrayRef<int64_t> x) {
  if (x.empty())
    return name == "ReduceProd" ? Elements({1}) : name == "ReduceSum" ? Elements({0}) : std::nullopt;
  int64_t result = x[0];
  for (int64_t element : x.drop_front())
    result = llvm::StringSwitch<llvm::function_ref<int64_t()>>(name)
                 .Case("ReduceProd", [&] { return l.mul(result, element); })
                 .Case("ReduceSum", [&] { return l.add(result, element); })
                 .Case("ReduceMax", [&] { return l.max(result, element); })
                 .Default([&] { return l.min(result, element); })();
  return Dims{result};
}

bool areNumbers(const Elements &elements) { return elements && !anyFree(*elements); }

/// Everything but Split: operators of one result.
Elements scalarsOf(Lowering &l, Operation *op, StringRef name) {
  auto of = [&](unsigned i) -> Elements {
    return i < op->getNumOperands() && !l.isAbsent(op->getOperand(i)) ? l.getScalars(op->getOperand(i)) : std::nullopt;
  };
  if (auto shape = dyn_cast<onnx::ShapeOp>(op)) {
    ArrayRef<int64_t> dims = l.shape(shape.getData());
    int64_t rank = dims.size();
    auto clamped = [&](int64_t at) { return std::clamp<int64_t>(at < 0 ? at + rank : at, 0, rank); };
    int64_t start = clamped(shape.getStart()), end = shape.getEnd() ? clamped(*shape.getEnd()) : rank;
    return Dims(dims.slice(start, std::max<int64_t>(0, end - start)));
  }
  if (auto size = dyn_cast<onnx::SizeOp>(op))
    return Dims{l.product(l.shape(size.getData()))};
  if (isCombined(name))
    return combineAll(l, op, name);
  if (name == "Cast" && getElementTypeOrSelf(op->getResult(0).getType()).isInteger(1)) {
    Elements from = of(0);
    for (int64_t &element : from ? *from : Dims())
      element = l.extents.compare(l.b, arith::CmpIPredicate::ne, element, 0);
    return from;
  }
  static const llvm::StringSet<> same = {"Identity", "Cast", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "CastLike"};
  if (same.contains(name) || (name == "Transpose" && l.rank(op->getOperand(0)) < 2))
    return of(0);
  if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
    Elements data = of(0), indices = of(1);
    if (!data || !areNumbers(indices) || l.rank(op->getOperand(0)) != 1)
      return std::nullopt;
    Dims result;
    for (int64_t at : *indices) {
      at += at < 0 ? data->size() : 0;
      if (at < 0 || at >= static_cast<int64_t>(data->size()))
        return std::nullopt;
      result.push_back((*data)[at]);
    }
    return result;
  }
  if (auto slice = dyn_cast<onnx::SliceOp>(op)) {
    Elements data = of(0), starts = of(1), ends = of(2), steps = of(4);
    if (!data || !areNumbers(starts) || !areNumbers(ends) || l.rank(op->getOperand(0)) != 1 || starts->size() != 1 ||
        ends->size() != 1 || (steps && anyFree(*steps)) || (!steps && !l.isAbsent(slice.getSteps())))
      return std::nullopt;
    int64_t step = steps ? steps->front() : 1;
    SliceRange range = sliceRange(l, starts->front(), ends->front(), step, data->size());
    Dims result;
    for (int64_t i = 0; i < range.count; ++i)
      result.push_back((*data)[range.start + i * step]);
    return result;
  }
  if (name == "Concat") {
    Dims result;
    for (unsigned i = 0; i < op->getNumOperands(); ++i) {
      Elements part = of(i);
      if (!part || l.rank(op->getOperand(i)) != 1)
        return std::nullopt;
      result.append(*part);
    }
    return result;
  }
  if (name == "ReduceProd" || name == "ReduceSum" || name == "ReduceMax" || name == "ReduceMin") {
    Elements data = of(0);
    bool all = l.rank(op->getOperand(0)) <= 1 && l.isAbsent(op->getOperand(1));
    if (Elements axes = of(1); axes && l.rank(op->getOperand(0)) == 1)
      all = axes->size() == 1;
    return data && all ? reduce(l, name, *data) : std::nullopt;
  }
  if (auto made = dyn_cast<onnx::ConstantOfShapeOp>(op)) {
    Elements shape = of(0);
    if (!areNumbers(shape) || product(*shape) > maxElements)
      return std::nullopt;
    int64_t value = 0;
    if (made.getValue()) {
      auto ints = onnx::readInts(*made.getValue());
      if (!ints || ints->size() != 1)
        return std::nullopt;
      value = ints->front();
    }
    return Dims(product(*shape), value);
  }
  if (name == "Expand") {
    Elements data = of(0), shape = of(1);
    if (!data || data->size() != 1 || !areNumbers(shape) || product(*shape) > maxElements)
      return std::nullopt;
    return Dims(product(*shape), data->front());
  }
  if (name == "Range") {
    Elements start = of(0), limit = of(1), delta = of(2);
    if (!start || !limit || !areNumbers(delta) || delta->front() == 0)
      return std::nullopt;
    int64_t length = l.sub(limit->front(), start->front());
    if (isFree(length))
      return std::nullopt;
    Dims result;
    for (int64_t i = 0, n = (length + delta->front() - (delta->front() > 0 ? 1 : -1)) / delta->front(); i < n; ++i) {
      if (i >= maxElements)
        return std::nullopt;
      result.push_back(l.add(start->front(), i * delta->front()));
    }
    return result;
  }
  return std::nullopt;
}

bool isSmallInteger(Lowering &l, Value v) {
  auto type = dyn_cast<IntegerType>(getElementTypeOrSelf(v.getType()));
  return type && (type.getWidth() >= 32 || type.getWidth() == 1);
}

} // namespace

bool inferScalars(Lowering &l, Operation *op) {
  if (!onnx::getDomain(op).empty() || !op->getNumResults())
    return false;
  for (Value result : op->getResults())
    if (l.isAbsent(result) || !isSmallInteger(l, result))
      return false;
  if (auto split = dyn_cast<onnx::SplitOp>(op)) {
    Elements data = l.getScalars(split.getInput());
    if (!data || l.rank(split.getInput()) != 1)
      return false;
    size_t at = 0;
    for (Value part : op->getResults()) {
      if (anyFree(l.shape(part)) || at + l.shape(part)[0] > data->size())
        return false;
      l.setScalars(part, ArrayRef<int64_t>(*data).slice(at, l.shape(part)[0]));
      at += l.shape(part)[0];
    }
    return true;
  }
  if (op->getNumResults() != 1)
    return false;
  Elements elements = scalarsOf(l, op, onnx::getOpType(op));
  if (!elements || static_cast<int64_t>(elements->size()) > maxElements)
    return false;
  l.setScalars(op->getResult(0), *elements);
  return true;
}

SliceRange sliceRange(Lowering &l, int64_t start, int64_t end, int64_t step, int64_t extent) {
  // Numbers this large stand for "to the end".
  constexpr int64_t far = std::numeric_limits<int32_t>::max();
  auto place = [&](int64_t at, int64_t low, int64_t high) {
    if (!isFree(at) && at >= far)
      return high;
    if (!isFree(at) && at <= -far)
      return low;
    int64_t fromEnd = l.add(at, extent);
    if (!isFree(at))
      at = at < 0 ? fromEnd : at;
    else if (l.extents.lowest(at).value_or(-1) < 0)
      at = l.extents.select(l.b, l.extents.compare(l.b, arith::CmpIPredicate::slt, at, 0), fromEnd, at);
    return l.max(l.min(at, high), low);
  };
  int64_t last = l.sub(extent, 1);
  SliceRange range;
  if (step > 0) {
    range.start = place(start, 0, extent);
    int64_t stop = place(end, 0, extent);
    range.count = l.max(l.ceilDiv(l.sub(stop, range.start), step), 0);
  } else {
    range.start = place(start, -1, last);
    int64_t stop = !isFree(end) && end <= -far ? -1 : place(end, -1, last);
    range.count = l.max(l.ceilDiv(l.sub(range.start, stop), -step), 0);
  }
  return range;
}

} // namespace burin::lower
