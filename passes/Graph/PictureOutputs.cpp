// See PictureOutputs.h.
#include "passes/Graph/PictureOutputs.h"
#include "dialects/Onnx/DataType.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;
using namespace burin;
using namespace burin::graph;

namespace {
bool isFloat(RankedTensorType type) { return type && isa<FloatType>(type.getElementType()); }

/// Operators one after the other; null as soon as one is refused.
struct Chain {
  OpBuilder &b;
  Location loc;

  template <typename Op> Value make(ValueRange operands, ArrayRef<NamedAttribute> attributes = {}) {
    for (Value v : operands)
      if (!v)
        return {};
    return build<Op>(b, loc, operands, attributes);
  }
  NamedAttribute number(StringRef name, int64_t value) { return b.getNamedAttr(name, b.getI64IntegerAttr(value)); }
  Value cast(Value x, Type to) { return make<onnx::CastOp>(x, number("to", onnx::getDataType(to))); }
  Value integers(ArrayRef<int64_t> values) { return onnx::createI64s(b, loc, values); }
  Value reals(ArrayRef<double> values) {
    return constant(b, loc,
                    DenseElementsAttr::get(RankedTensorType::get(int64_t(values.size()), b.getF64Type()), values));
  }
  Value pick(Value x, ArrayRef<int64_t> which, int64_t axis = 0) {
    return make<onnx::GatherOp>({x, integers(which)}, number("axis", axis));
  }
  Value joined(ArrayRef<Value> parts) { return make<onnx::ConcatOp>(parts, number("axis", 0)); }
  Value cut(Value x, ArrayRef<int64_t> axes, ArrayRef<int64_t> begins, ArrayRef<int64_t> ends) {
    return make<onnx::SliceOp>({x, integers(begins), integers(ends), integers(axes), noValue(b, loc)});
  }
};
} // namespace

Value graph::makePicture(OpBuilder &b, Location loc, Value x, double scale, double offset, bool isPlanar,
                         std::string &why) {
  RankedTensorType type = rankedType(x);
  if (!isFloat(type) || type.getRank() != 4 || !llvm::is_contained({1, 3}, type.getDimSize(1))) {
    why = "expected an output of floats [n, 1 or 3, height, width]";
    return {};
  }
  Chain chain{b, loc};
  Type element = type.getElementType();
  auto value = [&](double v) { return scalar(b, loc, element, v); };
  if (scale != 1)
    x = chain.make<onnx::MulOp>({x, value(scale)});
  if (offset != 0)
    x = chain.make<onnx::AddOp>({x, value(offset)});
  x = chain.make<onnx::RoundOp>(x);
  x = chain.make<onnx::ClipOp>({x, value(0), value(255)});
  x = chain.cast(x, b.getIntegerType(8, false));
  return isPlanar ? x : chain.make<onnx::TransposeOp>(x, b.getNamedAttr("perm", b.getDenseI64ArrayAttr({0, 2, 3, 1})));
}

// Bits of a class's number go to red, green and blue in turn, highest first: neighbours differ most.
static std::array<uint8_t, 3> usualColor(unsigned label) {
  std::array<uint8_t, 3> color{0, 0, 0};
  for (unsigned bit = 0, left = label; left; ++bit, left >>= 3)
    for (unsigned k = 0; k < 3; ++k)
      color[k] |= (left >> k & 1) << (7 - bit);
  return color;
}

Value graph::makeColors(OpBuilder &b, Location loc, Value x, int64_t axis, StringRef palette, std::string &why) {
  RankedTensorType type = rankedType(x);
  constexpr int64_t most = 256;
  bool areScores = isFloat(type);
  if (!type || (!areScores && !type.getElementType().isInteger()) ||
      (areScores && (axis < -type.getRank() || axis >= type.getRank() ||
                     type.isDynamicDim((axis + type.getRank()) % type.getRank())))) {
    why = "expected an output of scores (floats) with a known number of classes along the axis, or of whole numbers of "
          "classes";
    return {};
  }
  int64_t classes = areScores ? type.getDimSize((axis + type.getRank()) % type.getRank()) : most;
  std::vector<uint8_t> colors;
  SmallVector<StringRef> words;
  palette.split(words, '/', -1, /*KeepEmpty=*/false);
  for (StringRef word : words) {
    uint32_t value;
    if (word.size() != 6 || word.getAsInteger(16, value)) {
      why = ("expected colours RRGGBB/RRGGBB/..., got '" + word + "'").str();
      return {};
    }
    for (int shift : {16, 8, 0})
      colors.push_back(value >> shift & 255);
  }
  if (!words.empty() && areScores && int64_t(words.size()) < classes) {
    why = ("expected a colour for each of " + Twine(classes) + " classes, got " + Twine(words.size())).str();
    return {};
  }
  if (!words.empty())
    classes = words.size();
  for (int64_t i = colors.size() / 3; i < classes; ++i)
    llvm::append_range(colors, usualColor(i));
  Chain chain{b, loc};
  if (areScores)
    x = chain.make<onnx::ArgMaxOp>(x, {chain.number("axis", axis), chain.number("keepdims", 0)});
  else {
    // Numbers of no class are the nearest that is one.
    Type wide = b.getI64Type();
    x = chain.make<onnx::ClipOp>({chain.cast(x, wide), scalar(b, loc, wide, 0), scalar(b, loc, wide, classes - 1)});
  }
  auto tableType = RankedTensorType::get({classes, 3}, b.getIntegerType(8, false));
  Value table = constant(b, loc,
                         DenseElementsAttr::getFromRawBuffer(
                             tableType, ArrayRef(reinterpret_cast<const char *>(colors.data()), colors.size())));
  return chain.make<onnx::GatherOp>({table, x}, chain.number("axis", 0));
}

Value graph::makeUpsampled(OpBuilder &b, Location loc, Value x, std::array<int64_t, 2> size, StringRef mode,
                           const Source *source, std::string &why) {
  RankedTensorType type = staticType(x);
  if (!isFloat(type) || type.getRank() < 3 || !llvm::is_contained({"linear", "cubic", "nearest"}, mode)) {
    why = "expected an output of floats with rows and columns last, of known size, and mode linear, cubic or nearest";
    return {};
  }
  Chain chain{b, loc};
  int64_t rank = type.getRank();
  if (source) {
    const CameraFrame &frame = source->frame;
    if (frame.isRegionGiven || frame.isTurned || frame.isMirrored[0] || frame.isMirrored[1]) {
      why = "expected a frame that is not turned, and whose region is not left to each run";
      return {};
    }
    size = {frame.region[3], frame.region[2]};
    Placement placed = placeFrame(frame, source->fit, source->size);
    if (source->fit == "crop") {
      why = "expected --fit=stretch or letterbox, as a crop leaves out parts of the frame";
      return {};
    }
    SmallVector<int64_t> axes{rank - 2, rank - 1}, begins, ends;
    for (int d : {1, 0}) { // rows first
      int64_t dim = type.getDimSize(d ? rank - 2 : rank - 1);
      double by = double(dim) / source->size[d]; // masks are often smaller than the image
      begins.push_back(std::llround(placed.offset[d] * by));
      ends.push_back(std::max<int64_t>(begins.back() + 1, std::llround((placed.offset[d] + placed.resized[d]) * by)));
    }
    x = chain.cut(x, axes, begins, ends);
  }
  SmallVector<int64_t> sizes(type.getShape());
  sizes[rank - 2] = size[0], sizes[rank - 1] = size[1];
  Value none = noValue(b, loc);
  NamedAttribute how[] = {b.getNamedAttr("mode", b.getStringAttr(mode))};
  return chain.make<onnx::ResizeOp>({x, none, none, chain.integers(sizes)}, how);
}

// One form for regions that are known and those that each run gives: of the former all but the last steps folds.
Value graph::mapBoxes(OpBuilder &b, Location loc, func::FuncOp main, Value x, const Source &source, bool isCenter,
                      bool areShares, std::string &why) {
  RankedTensorType type = rankedType(x);
  if (!isFloat(type) || type.getRank() < 1 || type.getShape().back() != 4) {
    why = "expected an output of floats [..., 4]";
    return {};
  }
  const CameraFrame &frame = source.frame;
  Chain chain{b, loc};
  Type real = b.getF64Type();
  Value position = chain.reals({double(frame.region[0]), double(frame.region[1])}),
        length = chain.reals({double(frame.region[2]), double(frame.region[3])});
  if (frame.isRegionGiven) {
    Value given = chain.cast(regionInput(main, source.input), real);
    position = chain.pick(given, {0, 1});
    // Four zeros are the whole frame.
    Value isGiven = chain.make<onnx::GreaterOp>({chain.pick(given, {2, 3}), chain.reals({0, 0})});
    length = chain.make<onnx::WhereOp>({isGiven, chain.pick(given, {2, 3}), length});
  }
  // In the order of the network's axes.
  const int64_t order[2] = {frame.isTurned, !frame.isTurned};
  Value size = chain.reals({double(source.size[0]), double(source.size[1])}), taken = chain.pick(length, order);
  Value resized = size, offset = chain.reals({0, 0});
  if (source.fit != "stretch") {
    Value by = chain.make<onnx::DivOp>({size, taken}), dims = chain.integers({0});
    Value factor = source.fit == "letterbox" ? chain.make<onnx::ReduceMinOp>({by, dims})
                                             : chain.make<onnx::ReduceMaxOp>({by, dims});
    Value rounded = chain.make<onnx::FloorOp>(
        chain.make<onnx::AddOp>({chain.make<onnx::MulOp>({taken, factor}), chain.reals({0.5})}));
    resized = chain.make<onnx::MaxOp>({rounded, chain.reals({1})});
    Value half = chain.make<onnx::MulOp>({chain.make<onnx::SubOp>({size, resized}), chain.reals({0.5})});
    offset = source.fit == "letterbox" ? chain.make<onnx::FloorOp>(half) : chain.make<onnx::CeilOp>(half);
  }
  // In the order of the frame's: frame = by * network + plus.
  Value by = chain.pick(chain.make<onnx::DivOp>({taken, resized}), order), sizeBy = by;
  Value from = chain.pick(offset, order), unit = chain.pick(size, order);
  double sign[2];
  for (int a = 0; a < 2; ++a)
    sign[a] = frame.isMirrored[a] ? -1 : 1;
  by = chain.make<onnx::MulOp>({by, chain.reals(sign)});
  Value far = chain.make<onnx::AddOp>({position, length});
  Value base = chain.make<onnx::AddOp>(
      {position,
       chain.make<onnx::MulOp>({length, chain.reals({double(frame.isMirrored[0]), double(frame.isMirrored[1])})})});
  Value plus = chain.make<onnx::SubOp>({base, chain.make<onnx::MulOp>({by, from})});
  if (areShares)
    by = chain.make<onnx::MulOp>({by, unit}), sizeBy = chain.make<onnx::MulOp>({sizeBy, unit});
  SmallVector<int64_t> columns;
  for (int end = 0; end < 2; ++end)
    for (int a = 0; a < 2; ++a)
      columns.push_back(order[a] + 2 * (isCenter ? end : end ^ int(frame.isMirrored[a])));
  Type element = type.getElementType();
  auto all = [&](Value first, Value second) { return chain.cast(chain.joined({first, second}), element); };
  if (columns != SmallVector<int64_t>{0, 1, 2, 3})
    x = chain.pick(x, columns, -1);
  x = chain.make<onnx::MulOp>({x, all(by, isCenter ? sizeBy : by)});
  x = chain.make<onnx::AddOp>({x, all(plus, isCenter ? chain.reals({0, 0}) : plus)});
  if (isCenter)
    return x;
  x = chain.make<onnx::MaxOp>({x, all(position, position)});
  return chain.make<onnx::MinOp>({x, all(far, far)});
}
