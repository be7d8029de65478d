// What applications do before a network becomes part of it, in ONNX's own operators: type, layout, resize, channel
// order, mean and scale of one image input. Later passes fold what can be folded exactly; the order of channels goes
// into the weights here, because only here it is known that the input has no other reader.
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/StringExtras.h"

#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_INSERTPREPROCESSING
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "InsertPreprocessing";
constexpr int64_t dynamic = ShapedType::kDynamic;

class InsertPreprocessing : public impl::InsertPreprocessingBase<InsertPreprocessing> {
public:
  using InsertPreprocessingBase::InsertPreprocessingBase;

  void runOnOperation() override {
    if (inputType.empty() && mean.empty() && scale.empty() && !reverseChannels && layout.empty() && source.empty())
      return;
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main) {
      auto functions = getOperation().getOps<func::FuncOp>();
      if (functions.empty())
        return;
      main = *functions.begin();
    }
    if (failed(insert(main)))
      return signalPassFailure();
    counted(getOperation(), passName, 1);
  }

private:
  LogicalResult insert(func::FuncOp main);
  FailureOr<BlockArgument> choose(func::FuncOp main);
  Value resize(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> from, ArrayRef<int64_t> to);
  bool reverseWeights(BlockArgument arg);
};

// The input that is named, or the only one that can be an image.
FailureOr<BlockArgument> InsertPreprocessing::choose(func::FuncOp main) {
  SmallVector<BlockArgument> images;
  SmallVector<StringRef> names;
  for (BlockArgument arg : main.getArguments()) {
    auto name = main.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "onnx.name");
    names.push_back(name ? name.getValue() : "");
    RankedTensorType type = rankedType(arg);
    bool isImage = type && isa<FloatType>(type.getElementType()) && type.getRank() >= 3;
    if (!input.empty() && names.back() == input) {
      if (isImage)
        return arg;
      return main.emitError() << "expected an image input of float elements and 3 or more dims for preprocessing, got '"
                              << input << "' of type " << arg.getType();
    }
    if (isImage)
      images.push_back(arg);
  }
  if (!input.empty())
    return main.emitError() << "expected the name of an input (" << llvm::join(names, ", ") << "), got '" << input
                            << "'";
  if (images.size() != 1)
    return main.emitError() << "expected one image input to preprocess, got " << images.size()
                            << "; name one with --preprocess-input";
  return images.front();
}

// %y = Conv(Pad(%x), %w)   ->   %y = Conv(Pad(%x reversed), %w with input channels reversed)
//  - nothing else reads %x; the convolution has one group and constant weights
bool InsertPreprocessing::reverseWeights(BlockArgument arg) {
  Value x = arg;
  while (x.hasOneUse() && isa<onnx::PadOp, onnx::IdentityOp>(*x.getUsers().begin()))
    x = (*x.getUsers().begin())->getResult(0);
  auto conv = x.hasOneUse() ? dyn_cast<onnx::ConvOp>(*x.getUsers().begin()) : onnx::ConvOp();
  if (!conv || conv.getX() != x || conv.getGroup() != 1)
    return false;
  auto weights = readLiteral(onnx::getConstantAttr(conv.getW()));
  if (!weights)
    return false;
  if (weights->splat)
    return true;
  ArrayRef<int64_t> shape = weights->type.getShape();
  char *data;
  Literal reversed = makeLiteral(weights->type, false, data);
  int64_t count = weights->count() ? weights->bytes.size() / (shape[0] * shape[1]) : 0;
  for (int64_t o = 0; o < shape[0]; ++o)
    for (int64_t i = 0; i < shape[1]; ++i)
      std::memcpy(data + (o * shape[1] + i) * count, weights->bytes.data() + (o * shape[1] + shape[1] - 1 - i) * count,
                  count);
  OpBuilder b(conv);
  Operation *before = conv.getW().getDefiningOp();
  conv->setOperand(1, constant(b, before->getLoc(), toAttr(reversed, "weights")));
  eraseDead(before);
  passed(conv, passName, "ReverseWeights");
  return true;
}

// Each row of [to, from], or (turned) each column of [from, to]: what one resized sample takes of the samples it
// covers.
Value coverage(OpBuilder &b, Location loc, Type element, int64_t from, int64_t to, bool turned) {
  double ratio = double(from) / to;
  SmallVector<double> weights(from * to, 0.0);
  for (int64_t i = 0; i < to; ++i)
    for (int64_t k = int64_t(i * ratio); k < from && k < (i + 1) * ratio; ++k)
      weights[turned ? k * to + i : i * from + k] =
          std::max(0.0, std::min(double(k + 1), (i + 1) * ratio) - std::max(double(k), i * ratio)) / ratio;
  auto type = RankedTensorType::get(turned ? ArrayRef<int64_t>({from, to}) : ArrayRef<int64_t>({to, from}), element);
  return constant(b, loc, toAttr(fromDoubles(type, weights), "coverage"));
}

// Means of the samples that each resized one covers: a pool where those are whole, else a product with a matrix a dim.
// `from` becomes what is left to do: a dim that grows has nothing to average.
Value shrink(OpBuilder &b, Location loc, Value x, std::array<int64_t, 2> &from, ArrayRef<int64_t> to) {
  Type element = rankedType(x).getElementType();
  if (from[0] % to[0] == 0 && from[1] % to[1] == 0) {
    NamedAttribute block[] = {
        b.getNamedAttr("kernel_shape", b.getDenseI64ArrayAttr({from[0] / to[0], from[1] / to[1]})),
        b.getNamedAttr("strides", b.getDenseI64ArrayAttr({from[0] / to[0], from[1] / to[1]}))};
    from = {to[0], to[1]};
    return build<onnx::AveragePoolOp>(b, loc, x, block);
  }
  if (x && from[1] > to[1])
    x = build<onnx::MatMulOp>(b, loc, {x, coverage(b, loc, element, from[1], to[1], /*turned=*/true)});
  if (x && from[0] > to[0])
    x = build<onnx::MatMulOp>(b, loc, {coverage(b, loc, element, from[0], to[0], /*turned=*/false), x});
  for (int d = 0; d < 2; ++d)
    from[d] = std::min(from[d], to[d]);
  return x;
}

// Resizes the last two dims as `fit` says; null where a size does not allow it.
Value InsertPreprocessing::resize(OpBuilder &b, Location loc, Value x, ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  std::array<int64_t, 2> size{to[0], to[1]};
  if (fit != "stretch") {
    double y = double(to[0]) / from[0], z = double(to[1]) / from[1];
    double factor = fit == "letterbox" ? std::min(y, z) : std::max(y, z);
    for (int d = 0; d < 2; ++d)
      size[d] = std::max<int64_t>(1, std::llround(from[d] * factor));
  }
  RankedTensorType type = rankedType(x);
  std::array<int64_t, 2> left{from[0], from[1]};
  if (resizeMode == "area")
    x = shrink(b, loc, x, left, size);
  if (x && left != size) {
    Value none = noValue(b, loc);
    Value sizes = onnx::createI64s(b, loc, size);
    SmallVector<NamedAttribute> attributes{
        b.getNamedAttr("axes", b.getDenseI64ArrayAttr({type.getRank() - 2, type.getRank() - 1})),
        b.getNamedAttr("mode", b.getStringAttr(resizeMode == "area" ? "linear" : resizeMode.getValue())),
        b.getNamedAttr("coordinate_transformation_mode", b.getStringAttr("half_pixel"))};
    if (resizeMode == "cubic")
      attributes.push_back(b.getNamedAttr("cubic_coeff_a", b.getF32FloatAttr(-0.5)));
    x = build<onnx::ResizeOp>(b, loc, {x, none, none, sizes}, attributes);
  }
  if (!x || fit == "stretch")
    return x;
  // What is missing or too much, half of it on either side.
  SmallVector<int64_t, 4> begin, end;
  for (int d = 0; d < 2; ++d) {
    int64_t missing = to[d] - size[d];
    begin.push_back(missing >= 0 ? missing / 2 : -(-missing / 2));
    end.push_back(missing - begin.back());
  }
  if (llvm::all_of(begin, [](int64_t p) { return p == 0; }) && llvm::all_of(end, [](int64_t p) { return p == 0; }))
    return x;
  Value axes = onnx::createI64s(b, loc, {type.getRank() - 2, type.getRank() - 1});
  if (fit == "crop") {
    Value starts = onnx::createI64s(b, loc, {-begin[0], -begin[1]});
    Value ends = onnx::createI64s(b, loc, {size[0] + end[0], size[1] + end[1]});
    return build<onnx::SliceOp>(b, loc, {x, starts, ends, axes, noValue(b, loc)});
  }
  Value pads = onnx::createI64s(b, loc, {begin[0], begin[1], end[0], end[1]});
  return build<onnx::PadOp>(b, loc, {x, pads, scalar(b, loc, type.getElementType(), padValue), axes});
}

LogicalResult InsertPreprocessing::insert(func::FuncOp main) {
  FailureOr<BlockArgument> chosen = choose(main);
  if (failed(chosen))
    return failure();
  BlockArgument arg = *chosen;
  RankedTensorType type = rankedType(arg);
  int64_t rank = type.getRank(), channels = type.getDimSize(1);
  Builder types(&getContext());
  Type element = type.getElementType();
  Type given = inputType.empty()    ? element
               : inputType == "u8"  ? Type(types.getIntegerType(8, false))
               : inputType == "f16" ? Type(types.getF16Type())
               : inputType == "f32" ? Type(types.getF32Type())
                                    : Type();
  auto name = main.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "onnx.name");
  auto refuse = [&] {
    return main.emitError() << "preprocessing of input '" << (name ? name.getValue() : "") << "': ";
  };
  if (!given)
    return refuse() << "expected type u8, f16 or f32, got '" << inputType << "'";
  if (!layout.empty() && layout != "NHWC" && layout != "NCHW")
    return refuse() << "expected layout NHWC or NCHW, got '" << layout << "'";
  for (ArrayRef<double> values : {ArrayRef<double>(mean), ArrayRef<double>(scale)})
    if (values.size() > 1 && int64_t(values.size()) != channels)
      return refuse() << "expected 1 value or one a channel (" << channels << ") of mean and scale, got "
                      << values.size();
  if (llvm::is_contained(scale, 0.0))
    return refuse() << "expected a scale other than 0, got 0";
  if (!llvm::is_contained({"stretch", "letterbox", "crop"}, StringRef(fit)))
    return refuse() << "expected fit stretch, letterbox or crop, got '" << fit << "'";
  if (!llvm::is_contained({"linear", "cubic", "nearest", "area"}, StringRef(resizeMode)))
    return refuse() << "expected resize mode linear, cubic, nearest or area, got '" << resizeMode << "'";

  // The input as the application has it.
  SmallVector<int64_t> shape(type.getShape());
  SmallVector<StringRef> names;
  for (int64_t d = 0; d < rank; ++d)
    names.push_back(onnx::getDimName(type, d));
  std::array<int64_t, 2> from{0, 0}, to{0, 0};
  bool resizes = !source.empty();
  if (resizes) {
    auto [height, width] = StringRef(source).split('x');
    if (height.getAsInteger(10, from[0]) || width.getAsInteger(10, from[1]) || from[0] < 1 || from[1] < 1)
      return refuse() << "expected a source size such as 480x640 (height x width), got '" << source << "'";
    to = {shape[rank - 2], shape[rank - 1]};
    if (rank != 4 || to[0] == dynamic || to[1] == dynamic)
      return refuse() << "expected a network of known height and width to resize to, got " << type;
    shape[rank - 2] = from[0];
    shape[rank - 1] = from[1];
  }
  bool isLast = layout == "NHWC";
  if (isLast) {
    std::rotate(shape.begin() + 1, shape.begin() + 2, shape.end());
    std::rotate(names.begin() + 1, names.begin() + 2, names.end());
  }
  bool reversesWeights = reverseChannels && reverseWeights(arg);

  OpBuilder b = OpBuilder::atBlockBegin(&main.front());
  Location loc = arg.getLoc();
  SmallVector<OpOperand *> uses;
  for (OpOperand &use : arg.getUses())
    uses.push_back(&use);
  arg.setType(onnx::getTensorType(shape, given, names));
  Value x = arg;
  if (given != element)
    x = build<onnx::CastOp>(b, loc, {x},
                            b.getNamedAttr("to", b.getI64IntegerAttr(element.isF16()    ? 10
                                                                     : element.isBF16() ? 16
                                                                     : element.isF64()  ? 11
                                                                                        : 1)));
  if (x && isLast) {
    SmallVector<int64_t> perm{0, rank - 1};
    for (int64_t d = 1; d < rank - 1; ++d)
      perm.push_back(d);
    x = build<onnx::TransposeOp>(b, loc, {x}, b.getNamedAttr("perm", b.getDenseI64ArrayAttr(perm)));
  }
  if (x && resizes)
    x = resize(b, loc, x, from, to);
  if (x && reverseChannels && !reversesWeights) {
    SmallVector<int64_t> order;
    for (int64_t c = channels; c > 0; --c)
      order.push_back(c - 1);
    if (channels < 1)
      return refuse() << "expected a known number of channels to reverse, got " << type;
    x = build<onnx::GatherOp>(b, loc, {x, onnx::createI64s(b, loc, order)},
                              b.getNamedAttr("axis", b.getI64IntegerAttr(1)));
  }
  // Channels are named as the network sees them; where its weights are reversed instead, the values are.
  auto perChannel = [&](ArrayRef<double> values) {
    SmallVector<double> ordered(values);
    if (reversesWeights)
      std::reverse(ordered.begin(), ordered.end());
    SmallVector<int64_t> dims;
    if (values.size() > 1) {
      dims.assign(rank - 1, 1);
      dims[0] = channels;
    }
    return constant(b, loc, toAttr(fromDoubles(RankedTensorType::get(dims, element), ordered), "preprocessing"));
  };
  if (x && !mean.empty() && llvm::any_of(mean, [](double m) { return m != 0; }))
    x = build<onnx::SubOp>(b, loc, {x, perChannel(mean)});
  if (x && !scale.empty() && llvm::any_of(scale, [](double s) { return s != 1; }))
    x = build<onnx::DivOp>(b, loc, {x, perChannel(scale)});
  if (!x)
    return refuse() << "expected operators that fit " << type;
  for (OpOperand *use : uses)
    use->set(x);
  passed(x == arg ? main.getOperation() : x.getDefiningOp(), passName, "Image");
  main.setType(FunctionType::get(&getContext(), main.front().getArgumentTypes(),
                                 main.front().getTerminator()->getOperandTypes()));
  return success();
}

} // namespace
} // namespace burin
