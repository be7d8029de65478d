// Folding of operators that move, select, repeat or count elements: views with strides copied into fresh memory, splats
// kept as one element, reinterpretations sharing the blob. Bounds are checked against the types, never trusted: an
// operator that does not fit them is left alone for inference to refuse.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Numbers.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/TypeSwitch.h"

#include <cstring>

using namespace mlir;

namespace burin::graph {
namespace {

using Operands = ArrayRef<std::optional<Literal>>;
using Folded = std::optional<SmallVector<Literal>>;

Folded one(Literal literal) { return SmallVector<Literal>{std::move(literal)}; }

Literal splatLike(const Literal &literal, RankedTensorType type) {
  char *data;
  Literal result = makeLiteral(type, true, data);
  std::memcpy(data, literal.bytes.data(), result.bytes.size());
  return result;
}

SmallVector<int64_t> rowMajor(ArrayRef<int64_t> shape) {
  SmallVector<int64_t> strides(shape.size(), 1);
  for (int64_t i = int64_t(shape.size()) - 2; i >= 0; --i)
    strides[i] = strides[i + 1] * shape[i + 1];
  return strides;
}

template <typename Word> void copyLine(char *to, int64_t toStride, const char *from, int64_t fromStride, int64_t n) {
  for (int64_t i = 0; i < n; ++i)
    std::memcpy(to + i * toStride * sizeof(Word), from + i * fromStride * sizeof(Word), sizeof(Word));
}

struct Pair {
  uint64_t low, high;
};

// A transposed plane in squares that stay in the first cache.
template <typename Word>
void copyPlane(char *to, ArrayRef<int64_t> toStrides, const char *from, ArrayRef<int64_t> fromStrides,
               ArrayRef<int64_t> shape) {
  constexpr int64_t side = 32;
  for (int64_t y = 0; y < shape[0]; y += side)
    for (int64_t x = 0; x < shape[1]; x += side)
      for (int64_t j = y; j < std::min(y + side, shape[0]); ++j)
        copyLine<Word>(to + (j * toStrides[0] + x * toStrides[1]) * sizeof(Word), toStrides[1],
                       from + (j * fromStrides[0] + x * fromStrides[1]) * sizeof(Word), fromStrides[1],
                       std::min(side, shape[1] - x));
}

// Copies a box of `shape`: strides in elements, innermost lines by memcpy where both run on.
void copyBox(char *to, ArrayRef<int64_t> toStrides, const char *from, ArrayRef<int64_t> fromStrides,
             ArrayRef<int64_t> shape, unsigned width) {
  if (shape.empty()) {
    std::memcpy(to, from, width);
    return;
  }
  if (shape.size() == 2 && fromStrides[1] != 1 && width == 4)
    return copyPlane<uint32_t>(to, toStrides, from, fromStrides, shape);
  if (shape.size() == 2 && fromStrides[1] != 1 && width == 2)
    return copyPlane<uint16_t>(to, toStrides, from, fromStrides, shape);
  if (shape.size() > 1) {
    for (int64_t i = 0; i < shape[0]; ++i)
      copyBox(to + i * toStrides[0] * width, toStrides.drop_front(), from + i * fromStrides[0] * width,
              fromStrides.drop_front(), shape.drop_front(), width);
    return;
  }
  if (toStrides[0] == 1 && fromStrides[0] == 1) {
    std::memcpy(to, from, shape[0] * width);
    return;
  }
  switch (width) {
  case 1:
    return copyLine<uint8_t>(to, toStrides[0], from, fromStrides[0], shape[0]);
  case 2:
    return copyLine<uint16_t>(to, toStrides[0], from, fromStrides[0], shape[0]);
  case 4:
    return copyLine<uint32_t>(to, toStrides[0], from, fromStrides[0], shape[0]);
  case 8:
    return copyLine<uint64_t>(to, toStrides[0], from, fromStrides[0], shape[0]);
  case 16:
    return copyLine<Pair>(to, toStrides[0], from, fromStrides[0], shape[0]);
  }
}

// A result that is a strided view of one operand.
Folded view(const Literal &source, RankedTensorType type, int64_t offset, ArrayRef<int64_t> strides) {
  if (source.splat && type.getNumElements() > 0)
    return one(splatLike(source, type));
  int64_t low = offset, high = offset;
  for (auto [size, stride] : llvm::zip_equal(type.getShape(), strides))
    (stride < 0 ? low : high) += (size - 1) * stride;
  if (type.getNumElements() > 0 && (low < 0 || high >= source.count()))
    return std::nullopt;
  char *data;
  Literal result = makeLiteral(type, false, data);
  unsigned width = byteWidth(type.getElementType());
  if (type.getNumElements() > 0)
    copyBox(data, rowMajor(type.getShape()), source.bytes.data() + offset * width, strides, type.getShape(), width);
  return one(result);
}

std::optional<int64_t> axisOf(int64_t axis, int64_t rank) {
  if (axis < 0)
    axis += rank;
  return axis >= 0 && axis < rank ? std::optional<int64_t>(axis) : std::nullopt;
}

Folded foldReinterpret(Operands in, RankedTensorType type) {
  if (!in[0] || in[0]->count() != type.getNumElements() || in[0]->type.getElementType() != type.getElementType())
    return std::nullopt;
  return one(reshaped(*in[0], type));
}

Folded foldTranspose(onnx::TransposeOp op, Operands in, RankedTensorType type) {
  SmallVector<int64_t> strides = rowMajor(in[0]->type.getShape()), permuted;
  for (int64_t from : permutation(op, type.getRank())) {
    if (from < 0 || from >= type.getRank())
      return std::nullopt;
    permuted.push_back(strides[from]);
  }
  return view(*in[0], type, 0, permuted);
}

Folded foldExpand(Operands in, RankedTensorType type) {
  ArrayRef<int64_t> shape = in[0]->type.getShape();
  int64_t lead = type.getRank() - int64_t(shape.size());
  if (lead < 0)
    return std::nullopt;
  SmallVector<int64_t> strides(type.getRank(), 0);
  for (auto [i, stride] : llvm::enumerate(rowMajor(shape)))
    strides[lead + i] = shape[i] == 1 ? 0 : stride;
  return view(*in[0], type, 0, strides);
}

Folded foldTile(Operands in, RankedTensorType type) {
  // Each dim as (repeats, size), the repeats with stride 0.
  ArrayRef<int64_t> shape = in[0]->type.getShape();
  SmallVector<int64_t> pairs, strides;
  for (auto [size, total, stride] : llvm::zip_equal(shape, type.getShape(), rowMajor(shape))) {
    if (size == 0 || total % size)
      return std::nullopt;
    pairs.append({total / size, size});
    strides.append({0, stride});
  }
  Folded result = view(*in[0], RankedTensorType::get(pairs, type.getElementType()), 0, strides);
  if (result)
    result->front() = reshaped(result->front(), type);
  return result;
}

Folded foldSlice(Operands in, RankedTensorType type) {
  ArrayRef<int64_t> shape = in[0]->type.getShape();
  int64_t rank = shape.size();
  auto starts = in[1] ? integers(*in[1]) : std::nullopt;
  if (!starts)
    return std::nullopt;
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, starts->size())), steps(starts->size(), 1);
  if (in.size() > 3 && in[3])
    axes = integers(*in[3]).value_or(axes);
  if (in.size() > 4 && in[4])
    steps = integers(*in[4]).value_or(steps);
  if (axes.size() != starts->size() || steps.size() != starts->size())
    return std::nullopt;
  SmallVector<int64_t> strides = rowMajor(shape);
  int64_t offset = 0;
  for (auto [start, given, step] : llvm::zip_equal(*starts, axes, steps)) {
    auto axis = axisOf(given, rank);
    if (!axis || step == 0)
      return std::nullopt;
    int64_t size = shape[*axis], first = start < 0 ? start + size : start;
    first = std::clamp<int64_t>(first, 0, step < 0 ? size - 1 : size);
    offset += first * strides[*axis];
    strides[*axis] *= step;
  }
  return view(*in[0], type, offset, strides);
}

Folded foldSplit(onnx::SplitOp op, Operands in, ArrayRef<RankedTensorType> types) {
  ArrayRef<int64_t> shape = in[0]->type.getShape();
  auto axis = axisOf(op.getAxis(), shape.size());
  if (!axis)
    return std::nullopt;
  SmallVector<int64_t> strides = rowMajor(shape);
  SmallVector<Literal> results;
  int64_t at = 0;
  for (RankedTensorType type : types) {
    Folded part = view(*in[0], type, at * strides[*axis], strides);
    if (!part)
      return std::nullopt;
    results.push_back(part->front());
    at += type.getDimSize(*axis);
  }
  return results;
}

Folded foldGather(onnx::GatherOp op, Operands in, RankedTensorType type) {
  ArrayRef<int64_t> shape = in[0]->type.getShape();
  auto axis = axisOf(op.getAxis(), shape.size());
  if (!axis || !in[1])
    return std::nullopt;
  if (in[0]->splat && type.getNumElements() > 0)
    return one(splatLike(*in[0], type));
  auto indices = integers(*in[1]);
  if (!indices)
    return std::nullopt;
  int64_t outer = 1, inner = byteWidth(type.getElementType());
  for (int64_t i = 0; i < *axis; ++i)
    outer *= shape[i];
  for (int64_t i = *axis + 1; i < int64_t(shape.size()); ++i)
    inner *= shape[i];
  char *data;
  Literal result = makeLiteral(type, false, data);
  if (int64_t(result.bytes.size()) != outer * int64_t(indices->size()) * inner)
    return std::nullopt;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t index : *indices) {
      int64_t at = index < 0 ? index + shape[*axis] : index;
      if (at < 0 || at >= shape[*axis])
        return std::nullopt;
      std::memcpy(data, in[0]->bytes.data() + (o * shape[*axis] + at) * inner, inner);
      data += inner;
    }
  return one(result);
}

bool sameSplat(const Literal &a, const Literal &b) {
  unsigned width = byteWidth(a.type.getElementType());
  return a.splat && b.splat && std::memcmp(a.bytes.data(), b.bytes.data(), width) == 0;
}

SmallVector<int64_t> boxStrides(const Literal &literal) {
  if (literal.splat)
    return SmallVector<int64_t>(literal.type.getRank(), 0);
  return rowMajor(literal.type.getShape());
}

Folded foldConcat(onnx::ConcatOp op, Operands in, RankedTensorType type) {
  auto axis = axisOf(op.getAxis(), type.getRank());
  if (!axis || in.empty() || !llvm::all_of(in, [](auto &literal) { return literal.has_value(); }))
    return std::nullopt;
  if (llvm::all_of(in, [&](auto &literal) { return sameSplat(*literal, *in[0]); }) && type.getNumElements() > 0)
    return one(splatLike(*in[0], type));
  char *data;
  Literal result = makeLiteral(type, false, data);
  SmallVector<int64_t> strides = rowMajor(type.getShape());
  unsigned width = byteWidth(type.getElementType());
  int64_t at = 0;
  for (const std::optional<Literal> &literal : in) {
    SmallVector<int64_t> expected(type.getShape());
    expected[*axis] = literal->type.getRank() == type.getRank() ? literal->type.getDimSize(*axis) : 0;
    if (literal->type.getShape() != ArrayRef(expected) || at + expected[*axis] > type.getDimSize(*axis))
      return std::nullopt;
    if (literal->count() > 0)
      copyBox(data + at * strides[*axis] * width, strides, literal->bytes.data(), boxStrides(*literal), expected,
              width);
    at += expected[*axis];
  }
  return at == type.getDimSize(*axis) ? one(result) : std::nullopt;
}

Folded foldPad(onnx::PadOp op, Operands in, RankedTensorType type) {
  ArrayRef<int64_t> shape = in[0]->type.getShape();
  int64_t rank = shape.size();
  auto pads = in[1] ? integers(*in[1]) : std::nullopt;
  if (op.getMode() != "constant" || !pads || (in[2] && in[2]->type.getElementType() != type.getElementType()))
    return std::nullopt;
  SmallVector<int64_t> axes = llvm::to_vector(llvm::seq<int64_t>(0, rank)), begins(rank, 0);
  if (in.size() > 3 && in[3])
    axes = integers(*in[3]).value_or(axes);
  if (pads->size() != 2 * axes.size() || llvm::any_of(*pads, [](int64_t pad) { return pad < 0; }))
    return std::nullopt;
  for (auto [i, given] : llvm::enumerate(axes)) {
    auto axis = axisOf(given, rank);
    if (!axis || shape[*axis] + (*pads)[i] + (*pads)[i + axes.size()] != type.getDimSize(*axis))
      return std::nullopt;
    begins[*axis] = (*pads)[i];
  }
  unsigned width = byteWidth(type.getElementType());
  char zero[16] = {}, *data;
  const char *fill = in[2] && in[2]->count() == 1 ? in[2]->bytes.data() : zero;
  Literal result = makeLiteral(type, false, data);
  for (int64_t i = 0; i < type.getNumElements(); ++i)
    std::memcpy(data + i * width, fill, width);
  SmallVector<int64_t> strides = rowMajor(type.getShape());
  int64_t offset = 0;
  for (auto [begin, stride] : llvm::zip_equal(begins, strides))
    offset += begin * stride;
  if (in[0]->count() > 0)
    copyBox(data + offset * width, strides, in[0]->bytes.data(), boxStrides(*in[0]), shape, width);
  return one(result);
}

Folded foldConstantOfShape(onnx::ConstantOfShapeOp op, RankedTensorType type) {
  char *data;
  Literal result = makeLiteral(type, true, data);
  std::memset(data, 0, result.bytes.size());
  if (op.getValue()) {
    auto literal = readLiteral(*op.getValue());
    if (!literal || literal->count() != 1 || literal->type.getElementType() != type.getElementType())
      return std::nullopt;
    std::memcpy(data, literal->bytes.data(), result.bytes.size());
  }
  return one(result);
}

Folded foldRange(Operands in, RankedTensorType type) {
  if (!in[0] || !in[2])
    return std::nullopt;
  if (auto start = integers(*in[0]), step = integers(*in[2]); start && step) {
    SmallVector<int64_t> values;
    for (int64_t i = 0; i < type.getNumElements(); ++i)
      values.push_back(int64_t(uint64_t((*start)[0]) + uint64_t(i) * uint64_t((*step)[0])));
    return one(fromIntegers(type, values));
  }
  auto start = doubles(*in[0]), step = doubles(*in[2]);
  if (!start || !step)
    return std::nullopt;
  // f32 accumulates nothing: start + i * step, each rounded as the element type does.
  bool narrow = !type.getElementType().isF64();
  SmallVector<double> values;
  for (int64_t i = 0; i < type.getNumElements(); ++i)
    values.push_back(narrow ? double(float((*start)[0]) + float(i) * float((*step)[0]))
                            : (*start)[0] + double(i) * (*step)[0]);
  return one(fromDoubles(type, values));
}

// Reductions of shape-sized tensors: exporters compute element counts with them.
template <typename T, typename F>
SmallVector<T> reduce(ArrayRef<T> values, ArrayRef<int64_t> shape, ArrayRef<bool> reduced, F f) {
  SmallVector<int64_t> kept;
  for (auto [size, gone] : llvm::zip_equal(shape, reduced))
    kept.push_back(gone ? 1 : size);
  SmallVector<int64_t> from = rowMajor(shape), to = rowMajor(kept);
  int64_t count = 1;
  for (int64_t size : kept)
    count *= size;
  SmallVector<T> result(count);
  SmallVector<bool> seen(count, false);
  for (auto [i, value] : llvm::enumerate(values)) {
    int64_t at = 0;
    for (size_t d = 0; d < shape.size(); ++d)
      if (!reduced[d])
        at += int64_t(i) / from[d] % shape[d] * to[d];
    result[at] = seen[at] ? f(result[at], value) : value;
    seen[at] = true;
  }
  return result;
}

Folded foldReduction(Operation *op, Operands in, RankedTensorType type) {
  ArrayRef<int64_t> shape = in[0]->type.getShape();
  if (in[0]->count() == 0 || in[0]->count() > 1024 || type.getElementType() != in[0]->type.getElementType())
    return std::nullopt;
  StringRef name = onnx::getOpType(op);
  SmallVector<bool> reduced(shape.size(), true);
  if (in.size() > 1 && in[1] && in[1]->count() > 0) {
    auto axes = integers(*in[1]);
    if (!axes)
      return std::nullopt;
    reduced.assign(shape.size(), false);
    for (int64_t given : *axes) {
      auto axis = axisOf(given, shape.size());
      if (!axis)
        return std::nullopt;
      reduced[*axis] = true;
    }
  } else if (auto noop = op->getAttrOfType<IntegerAttr>("noop_with_empty_axes"); noop && noop.getInt()) {
    return std::nullopt;
  }
  int64_t share = 1;
  for (auto [size, gone] : llvm::zip_equal(shape, reduced))
    share *= gone ? size : 1;
  if (auto values = integers(*in[0])) {
    if (name == "ReduceMean" || type.getElementType().isInteger(1))
      return std::nullopt;
    return one(fromIntegers(type, reduce<int64_t>(*values, shape, reduced, [&](int64_t a, int64_t b) {
                              return name == "ReduceSum"    ? int64_t(uint64_t(a) + uint64_t(b))
                                     : name == "ReduceProd" ? int64_t(uint64_t(a) * uint64_t(b))
                                     : name == "ReduceMax"  ? std::max(a, b)
                                                            : std::min(a, b);
                            })));
  }
  auto values = doubles(*in[0]);
  if (!values)
    return std::nullopt;
  SmallVector<double> result = reduce<double>(*values, shape, reduced, [&](double a, double b) {
    return name == "ReduceSum" || name == "ReduceMean" ? a + b
           : name == "ReduceProd"                      ? a * b
           : name == "ReduceMax"                       ? std::max(a, b)
                                                       : std::min(a, b);
  });
  if (name == "ReduceMean")
    for (double &value : result)
      value /= double(share);
  return one(fromDoubles(type, result));
}

} // namespace

Folded foldMovement(Operation *op, Operands in, ArrayRef<RankedTensorType> types) {
  if (types.empty() || !types[0] || !byteWidth(types[0].getElementType()))
    return std::nullopt;
  RankedTensorType type = types[0];
  if (auto shape = dyn_cast<onnx::ConstantOfShapeOp>(op))
    return foldConstantOfShape(shape, type);
  if (in.empty() || !in[0])
    return std::nullopt;
  return llvm::TypeSwitch<Operation *, Folded>(op)
      .Case<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::FlattenOp, onnx::IdentityOp>(
          [&](auto) { return foldReinterpret(in, type); })
      .Case([&](onnx::TransposeOp o) { return foldTranspose(o, in, type); })
      .Case([&](onnx::ExpandOp) { return foldExpand(in, type); })
      .Case([&](onnx::TileOp) { return foldTile(in, type); })
      .Case([&](onnx::SliceOp) { return foldSlice(in, type); })
      .Case([&](onnx::SplitOp o) { return foldSplit(o, in, types); })
      .Case([&](onnx::GatherOp o) { return foldGather(o, in, type); })
      .Case([&](onnx::ConcatOp o) { return foldConcat(o, in, type); })
      .Case([&](onnx::PadOp o) { return foldPad(o, in, type); })
      .Case([&](onnx::RangeOp) { return foldRange(in, type); })
      .Case<onnx::ReduceSumOp, onnx::ReduceProdOp, onnx::ReduceMaxOp, onnx::ReduceMinOp, onnx::ReduceMeanOp>(
          [&](auto) { return foldReduction(op, in, type); })
      .Default([](Operation *) { return Folded(); });
}

} // namespace burin::graph
