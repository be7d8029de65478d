// lower-fuse-qdq: quantized graphs in float form become integer ones.
//
// The idea: a DequantizeLinear in front of a product goes through it and becomes one scale behind the sums; one in
// front of an operator that only moves elements goes behind it; where it meets the QuantizeLinear of the same scale,
// both go. What is left between two integer tensors is elementwise and fuses into the loop, or epilogue, that holds its
// operand.
#include "dialects/Onnx/Onnx.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "passes/Lower/Lowering.h"
#include "passes/Lower/Passes.h"
#include "passes/Lower/Qdq.h"
#include "passes/Lower/StoredWeights.h"

#include "mlir/IR/Remarks.h"
#include <cmath>

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FUSEQDQ
#include "passes/Lower/Passes.h.inc"

namespace {

using namespace lower;

constexpr int64_t foldedElements = 1 << 18; // of a constant that is dequantized at compile time: 1 MB of floats

RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

struct Fuser {
  OpBuilder b;
  unsigned count = 0;

  explicit Fuser(MLIRContext *context) : b(context) {}

  // --- building ---

  template <typename Op>
  Value make(Location loc, ValueRange operands, Type type, ArrayRef<NamedAttribute> attributes = {}) {
    OperationState state(loc, Op::getOperationName(), operands, TypeRange(type), attributes);
    return b.create(state)->getResult(0);
  }
  Value none(Location loc) { return onnx::NoValueOp::create(b, loc); }
  Value floats(Location loc, ArrayRef<int64_t> shape, ArrayRef<float> values) {
    return onnx::ConstantOp::create(b, loc, onnx::makeFloats(RankedTensorType::get(shape, b.getF32Type()), values));
  }
  Value integer(Location loc, Type element, int64_t value) {
    return onnx::ConstantOp::create(b, loc, onnx::makeInts(RankedTensorType::get({}, element), {value}));
  }
  NamedAttribute attribute(StringRef name, int64_t value) {
    return b.getNamedAttr(name, IntegerAttr::get(b.getIntegerType(64), value));
  }
  Value quantize(Location loc, Value x, float scale, const Quantization &q) {
    return make<onnx::QuantizeLinearOp>(loc, {x, floats(loc, {}, {scale}), integer(loc, q.element, q.zero)},
                                        typeOf(x).clone(q.element));
  }
  Value dequantize(Location loc, Value x, const Quantization &q) {
    return make<onnx::DequantizeLinearOp>(loc, {x, floats(loc, {}, q.scale), integer(loc, q.element, q.zero)},
                                          typeOf(x).clone(b.getF32Type()));
  }
  bool fired(Operation *op, StringRef rewrite) {
    remark::passed(op->getLoc(), remark::RemarkOpts::name("FuseQdq").category("lower-fuse-qdq").subCategory(rewrite));
    ++count;
    return true;
  }
  bool missed(Operation *op, StringRef reason) {
    remark::missed(op->getLoc(), remark::RemarkOpts::name("FuseQdq").category("lower-fuse-qdq"))
        << remark::reason("{0}", reason);
    return false;
  }
  bool replace(Operation *op, Value by) {
    op->getResult(0).replaceAllUsesWith(by);
    op->erase();
    return true;
  }

  // --- int8 to uint8 ---

  // Q to int8, zero point z -> Q to uint8, zero point z + 128, and so its DQs: the same numbers, and unsigned inputs
  // are what most byte products take. Legal when nothing else sees the integers.
  bool makeUnsigned(onnx::QuantizeLinearOp op) {
    std::optional<Quantization> q = quantizationOf(op);
    if (!q || !q->element.isSignlessInteger(8) || onnx::isNone(op.getYZeroPoint()))
      return false;
    for (Operation *user : op.getY().getUsers()) {
      auto back = dyn_cast<onnx::DequantizeLinearOp>(user);
      std::optional<Quantization> own = back ? quantizationOf(back) : std::nullopt;
      if (!own || back.getX() != op.getY())
        return false;
    }
    b.setInsertionPoint(op);
    Type type = b.getIntegerType(8, /*isSigned=*/false);
    auto shifted = [&](Value zero, int64_t value) -> Value {
      auto attr = onnx::makeInts(typeOf(zero).clone(type), SmallVector<int64_t>(typeOf(zero).getNumElements(), value));
      return onnx::ConstantOp::create(b, op.getLoc(), attr);
    };
    SmallVector<NamedAttribute> attributes;
    for (NamedAttribute attr : op->getAttrs())
      if (attr.getName() != "output_dtype")
        attributes.push_back(attr);
    Value made = make<onnx::QuantizeLinearOp>(op.getLoc(),
                                              {op.getX(), op.getYScale(), shifted(op.getYZeroPoint(), q->zero + 128)},
                                              typeOf(op.getY()).clone(type), attributes);
    for (Operation *user : llvm::make_early_inc_range(op.getY().getUsers())) {
      auto back = cast<onnx::DequantizeLinearOp>(user);
      int64_t zero = quantizationOf(back)->zero + 128;
      Value like = onnx::isNone(back.getXZeroPoint()) ? op.getYZeroPoint() : back.getXZeroPoint();
      back->setOperand(2, shifted(like, zero));
    }
    return replace(op, made);
  }

  // --- through moves ---

  // Q(DQ(x)) of one scale and zero point -> x
  bool cancel(onnx::QuantizeLinearOp op) {
    Dequantized x = dequantized(op.getX());
    std::optional<Quantization> q = quantizationOf(op);
    if (!x || !q || !(x.q == *q))
      return false;
    fired(op, "Cancel");
    return replace(op, x.op.getX());
  }

  // Move(DQ(x)) -> DQ(Move(x)), for operators that take elements as they are.
  bool move(Operation *op) {
    if (!isa<onnx::TransposeOp, onnx::ReshapeOp, onnx::FlattenOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::SliceOp,
             onnx::GatherOp, onnx::ExpandOp, onnx::DepthToSpaceOp, onnx::SpaceToDepthOp, onnx::IdentityOp, onnx::TileOp,
             onnx::PadOp, onnx::MaxPoolOp, onnx::ResizeOp, onnx::ReduceMaxOp, onnx::ReduceMinOp>(op))
      return false;
    Dequantized x = dequantized(op->getOperand(0));
    if (!x || !x.q.isScalar() || onnx::getConstantAttr(x.op.getX()) ||
        !isa<RankedTensorType>(op->getResult(0).getType()))
      return false;
    if (auto resize = dyn_cast<onnx::ResizeOp>(op); resize && !movesThrough(resize, x.q))
      return false;
    for (Value other : op->getResults().drop_front())
      if (!onnx::isNone(other) && !other.use_empty())
        return false;
    b.setInsertionPoint(op);
    SmallVector<Value> operands(op->getOperands());
    operands[0] = x.op.getX();
    if (auto pad = dyn_cast<onnx::PadOp>(op)) {
      Value value = pad.getConstantValue();
      if (pad.getMode() == "constant") {
        if (!onnx::isNone(value) && !onnx::isConstantFloat(value, 0))
          return missed(op, "pads with a number that may not be one of the integers'");
        operands[2] = integer(op->getLoc(), x.q.element, x.q.zero);
      }
    }
    SmallVector<Type> types(op->getResultTypes());
    types[0] = typeOf(op->getResult(0)).clone(x.q.element);
    OperationState state(op->getLoc(), op->getName().getStringRef(), operands, types, op->getAttrs());
    Value moved = b.create(state)->getResult(0);
    fired(op, "Move");
    return replace(op, dequantize(op->getLoc(), moved, x.q));
  }

  // GlobalMaxPool, which takes floats alone -> ReduceMax, whose result is one of the elements.
  bool globalMax(onnx::GlobalMaxPoolOp op) {
    auto type = dyn_cast<RankedTensorType>(op.getX().getType());
    if (!type || !isa<RankedTensorType>(op.getY().getType()) || !dequantized(op.getX()))
      return false;
    b.setInsertionPoint(op);
    auto axes = llvm::to_vector(llvm::seq<int64_t>(2, type.getRank()));
    Value over = onnx::ConstantOp::create(
        b, op.getLoc(), onnx::makeInts(RankedTensorType::get({int64_t(axes.size())}, b.getI64Type()), axes));
    Value most = make<onnx::ReduceMaxOp>(op.getLoc(), {op.getX(), over}, op.getY().getType(), attribute("keepdims", 1));
    replace(op, most);
    return move(most.getDefiningOp());
  }

  // Nearest elements are elements; others round to integers as the QuantizeLinear of the same scale behind does.
  bool movesThrough(onnx::ResizeOp op, const Quantization &q) {
    if (op.getCoordinateTransformationMode() == "tf_crop_and_resize")
      return false;
    return op.getMode() == "nearest" || llvm::all_of(op.getY().getUsers(), [&](Operation *user) {
             auto quantize = dyn_cast<onnx::QuantizeLinearOp>(user);
             std::optional<Quantization> own = quantize ? quantizationOf(quantize) : std::nullopt;
             return own && *own == q;
           });
  }

  // Q(Concat(DQ(x)...)) -> Concat(Q(DQ(x))...), whose parts are x itself or one elementwise step.
  bool concat(onnx::QuantizeLinearOp op) {
    auto concat = op.getX().getDefiningOp<onnx::ConcatOp>();
    std::optional<Quantization> q = quantizationOf(op);
    if (!concat || !q || !q->isScalar() || !isByte(q->element) || !concat.getResult().hasOneUse())
      return false;
    for (Value x : concat->getOperands())
      if (!dequantized(x))
        return missed(op, "an operand of Concat is not dequantized");
    b.setInsertionPoint(op);
    SmallVector<Value> parts;
    for (Value x : concat->getOperands()) {
      Dequantized part = dequantized(x);
      parts.push_back(part.q == *q ? part.op.getX() : quantize(op.getLoc(), x, q->scale[0], *q));
    }
    fired(op, "Concat");
    Value joined = make<onnx::ConcatOp>(concat.getLoc(), parts, typeOf(op.getY()), concat->getAttrs());
    return replace(op, joined);
  }

  // --- products ---

  /// The road from a product to a QuantizeLinear over nothing but Relu and Clip, which integers take as bounds.
  struct Ending {
    onnx::QuantizeLinearOp op;
    Quantization q;
    int64_t low, high;
  };
  std::optional<Ending> endingOf(Value v) {
    float low = -INFINITY, high = INFINITY;
    for (;;) {
      if (!v.hasOneUse())
        return std::nullopt;
      Operation *user = *v.user_begin();
      if (auto op = dyn_cast<onnx::QuantizeLinearOp>(user)) {
        std::optional<Quantization> q = quantizationOf(op);
        if (op.getX() != v || !q || !q->isScalar() || !isByte(q->element) || !(q->scale[0] > 0))
          return std::nullopt;
        auto bound = [&](float x) {
          float level = std::nearbyint(x / q->scale[0]) + float(q->zero);
          return int64_t(std::min(std::max(level, float(q->low())), float(q->high())));
        };
        return Ending{op, *q, bound(low), bound(high)};
      }
      if (isa<onnx::ReluOp>(user)) {
        low = std::max(low, 0.0f);
        high = std::max(high, 0.0f);
      } else if (auto clip = dyn_cast<onnx::ClipOp>(user)) {
        std::optional<float> from = -INFINITY, to = INFINITY;
        if (clip.getInput() != v)
          return std::nullopt;
        if (!onnx::isNone(clip.getMin()))
          from = onnx::getConstantFloat(clip.getMin());
        if (!onnx::isNone(clip.getMax()))
          to = onnx::getConstantFloat(clip.getMax());
        if (!from || !to || !(*from <= *to))
          return std::nullopt;
        low = std::min(std::max(low, *from), *to);
        high = std::min(std::max(high, *from), *to);
      } else {
        return std::nullopt;
      }
      v = user->getResult(0);
    }
  }

  /// `value`, in units of the ending's scale, rounded and within its bounds.
  void finish(Ending &ending, Value value) {
    const Quantization &q = ending.q;
    Location loc = ending.op.getLoc();
    value = quantize(loc, value, 1, q);
    if (ending.low > q.low() || ending.high < q.high())
      value = make<onnx::ClipOp>(
          loc, {value, integer(loc, q.element, ending.low), integer(loc, q.element, ending.high)}, value.getType());
    ending.op.getY().replaceAllUsesWith(value);
  }

  //   Op(DQ(x), DQ(w), bias) -> Cast(OpInteger(x, w)) * scale + bias
  //   and where nothing but bounds lies before a Q, that Q's scale is part of `scale` and `bias`.
  // `sum` builds the integer product where it is told to; `channels` is the shape against which one number an output
  // channel is read.
  bool product(Operation *op, const Dequantized &x, const Dequantized &w, Value bias, int64_t outputs,
               ArrayRef<int64_t> channels, llvm::function_ref<Value(Type)> sum) {
    if (!x.q.isScalar())
      return missed(op, "the input has several scales");
    SmallVector<float> offset;
    if (bias && !onnx::isNone(bias)) {
      offset = floatsOf(bias);
      if (offset.size() == 1)
        offset.assign(outputs, offset[0]);
      if (int64_t(offset.size()) != outputs)
        return missed(op, "the bias is not constant");
    }
    std::optional<Ending> ending = endingOf(op->getResult(0));
    Operation *last = ending ? ending->op.getOperation() : op;
    Location loc = op->getLoc();
    b.setInsertionPoint(last);
    float to = ending ? ending->q.scale[0] : 1.0f;
    SmallVector<float> scale;
    for (float s : w.q.scale)
      scale.push_back(x.q.scale[0] * s / to);
    RankedTensorType type = typeOf(op->getResult(0));
    Value value = sum(type.clone(b.getI32Type()));
    // A bias in units of the sums, as quantizers make it, is exact there.
    SmallVector<int64_t> whole;
    for (auto [i, o] : llvm::enumerate(offset)) {
      double units = double(o) / (double(x.q.scale[0]) * w.q.scale[w.q.isScalar() ? 0 : i]),
             near = std::nearbyint(units);
      if (std::abs(units - near) <= 1e-3 + 1e-6 * std::abs(units) && std::abs(near) < (1 << 30))
        whole.push_back(int64_t(near));
    }
    bool exact = !offset.empty() && whole.size() == offset.size();
    if (exact) {
      Value constant =
          onnx::ConstantOp::create(b, loc, onnx::makeInts(RankedTensorType::get(channels, b.getI32Type()), whole));
      value = make<onnx::AddOp>(loc, {value, constant}, value.getType());
    }
    value = make<onnx::CastOp>(loc, value, type, {attribute("to", 1)});
    value = make<onnx::MulOp>(loc, {value, scale.size() == 1 ? floats(loc, {}, scale) : floats(loc, channels, scale)},
                              type);
    if (!offset.empty() && !exact) {
      for (float &o : offset)
        o /= to;
      value = make<onnx::AddOp>(loc, {value, floats(loc, channels, offset)}, type);
    }
    if (ending)
      finish(*ending, value);
    else
      op->getResult(0).replaceAllUsesWith(value);
    return fired(op, "Product");
  }

  bool conv(onnx::ConvOp op) {
    Dequantized x = dequantized(op.getX()), w = dequantized(op.getW());
    if (!x || !w || !onnx::getConstantAttr(w.op.getX()))
      return false;
    int64_t outputs = typeOf(op.getW()).getDimSize(0), rank = typeOf(op.getW()).getRank();
    if (!w.q.isScalar() && (w.q.axis != 0 || int64_t(w.q.scale.size()) != outputs))
      return missed(op, "the filter's scales are not one an output channel");
    SmallVector<int64_t> channels(rank - 1, 1);
    channels[0] = outputs;
    return product(op, x, w, op.getB(), outputs, channels, [&](Type type) {
      Location loc = op.getLoc();
      return make<onnx::ConvIntegerOp>(
          loc, {x.op.getX(), w.op.getX(), integer(loc, x.q.element, x.q.zero), integer(loc, w.q.element, w.q.zero)},
          type, op->getAttrs());
    });
  }

  // `columns`: the dim of w that is n.
  bool matmul(Operation *op, Value left, Value right, Value bias, bool transposed) {
    Dequantized x = dequantized(left), w = dequantized(right);
    if (!x || !w || !onnx::getConstantAttr(w.op.getX()) || typeOf(right).getRank() != 2)
      return false;
    int64_t columns = transposed ? 0 : 1, outputs = typeOf(right).getDimSize(columns);
    if (!w.q.isScalar() && (w.q.axis != columns || int64_t(w.q.scale.size()) != outputs))
      return missed(op, "the right side's scales are not one a column");
    return product(op, x, w, bias, outputs, {outputs}, [&](Type type) {
      Location loc = op->getLoc();
      Value rhs = w.op.getX();
      if (transposed) {
        auto shape = typeOf(rhs).getShape();
        rhs = make<onnx::TransposeOp>(loc, rhs, RankedTensorType::get({shape[1], shape[0]}, w.q.element),
                                      b.getNamedAttr("perm", b.getDenseI64ArrayAttr({1, 0})));
      }
      return make<onnx::MatMulIntegerOp>(
          loc, {x.op.getX(), rhs, integer(loc, x.q.element, x.q.zero), integer(loc, w.q.element, w.q.zero)}, type);
    });
  }
  bool gemm(onnx::GemmOp op) {
    if (op.getTransA() || op.getAlpha() != 1 || (!onnx::isNone(op.getC()) && op.getBeta() != 1))
      return false;
    return matmul(op, op.getA(), op.getB(), op.getC(), op.getTransB());
  }

  //   Q(bounds(DQ(x) * a + b)) -> bounds(Q(Cast(x) * a' + b')), all scales and the zero point in two constants
  // Legal when both constants have one shape and nothing else sees what lies between.
  bool affine(onnx::AddOp op) {
    auto scaled = op.getA().getDefiningOp<onnx::MulOp>();
    if (!scaled || !scaled.getResult().hasOneUse())
      return false;
    Dequantized x = dequantized(scaled.getA());
    std::optional<SmallVector<float>> a = onnx::getConstantFloats(scaled.getB()),
                                      b0 = onnx::getConstantFloats(op.getB());
    std::optional<Ending> ending = endingOf(op.getResult());
    if (!x || !x.q.isScalar() || !a || !b0 || !ending || typeOf(scaled.getB()) != typeOf(op.getB()) ||
        typeOf(op.getResult()) != typeOf(scaled.getA()))
      return false;
    b.setInsertionPoint(ending->op);
    Location loc = op.getLoc();
    SmallVector<float> scale, offset;
    for (auto [factor, shift] : llvm::zip(*a, *b0)) {
      double s = double(x.q.scale[0]) * factor / ending->q.scale[0];
      scale.push_back(float(s));
      offset.push_back(float(double(shift) / ending->q.scale[0] - s * double(x.q.zero)));
    }
    RankedTensorType type = typeOf(op.getResult());
    ArrayRef<int64_t> shape = typeOf(op.getB()).getShape();
    Value value = make<onnx::CastOp>(loc, x.op.getX(), type, {attribute("to", 1)});
    value = make<onnx::MulOp>(loc, {value, floats(loc, shape, scale)}, type);
    value = make<onnx::AddOp>(loc, {value, floats(loc, shape, offset)}, type);
    finish(*ending, value);
    return fired(op, "Affine");
  }

  // --- averages ---

  //   Average(DQ(x)) -> Cast(sum - shift) * factor, where nothing but bounds lies before a Q in units of that Q
  // `factor` is what one sum counts for, one number or one a place, without x's scale.
  bool average(Operation *op, const Dequantized &x, int64_t shift, SmallVector<float> factor, ArrayRef<int64_t> places,
               llvm::function_ref<Value(Type)> sum) {
    std::optional<Ending> ending = endingOf(op->getResult(0));
    Location loc = op->getLoc();
    b.setInsertionPoint(ending ? ending->op.getOperation() : op);
    RankedTensorType type = typeOf(op->getResult(0));
    Value value = sum(type.clone(b.getI32Type()));
    if (shift)
      value = make<onnx::SubOp>(loc, {value, integer(loc, b.getI32Type(), shift)}, value.getType());
    value = make<onnx::CastOp>(loc, value, type, {attribute("to", 1)});
    for (float &f : factor)
      f = float(double(f) * x.q.scale[0] / (ending ? ending->q.scale[0] : 1.0f));
    value = make<onnx::MulOp>(loc, {value, floats(loc, places, factor)}, type);
    if (ending)
      finish(*ending, value);
    else
      op->getResult(0).replaceAllUsesWith(value);
    return fired(op, "Average");
  }

  // Over whole dims: a sum of bytes, less the zero point once an element.
  bool meanOver(Operation *op, Value input, ArrayRef<int64_t> axes, bool keepDims) {
    Dequantized x = dequantized(input);
    if (!x || !x.q.isScalar())
      return false;
    int64_t count = 1;
    for (int64_t axis : axes)
      count = count > 0 && !typeOf(input).isDynamicDim(axis) ? count * typeOf(input).getDimSize(axis) : 0;
    if (count <= 0 || count > (1 << 23))
      return missed(op, "the number of elements is not known, or their sum does not fit 32 bits");
    return average(op, x, count * x.q.zero, {float(1.0 / count)}, {}, [&](Type type) {
      Location loc = op->getLoc();
      Value wide = make<onnx::CastOp>(loc, x.op.getX(), typeOf(input).clone(b.getI32Type()), {attribute("to", 6)});
      auto axesType = RankedTensorType::get({int64_t(axes.size())}, b.getI64Type());
      Value over = onnx::ConstantOp::create(b, loc, onnx::makeInts(axesType, axes));
      return make<onnx::ReduceSumOp>(loc, {wide, over}, type, {attribute("keepdims", keepDims)});
    });
  }
  bool globalAverage(onnx::GlobalAveragePoolOp op) {
    auto type = dyn_cast<RankedTensorType>(op.getX().getType());
    return type && meanOver(op, op.getX(), llvm::to_vector(llvm::seq<int64_t>(2, type.getRank())), true);
  }
  bool mean(onnx::ReduceMeanOp op) {
    auto type = dyn_cast<RankedTensorType>(op.getData().getType());
    std::optional<SmallVector<int64_t>> axes;
    if (type && !onnx::isNone(op.getAxes()))
      axes = onnx::getConstantInts(op.getAxes());
    if (!axes || axes->empty())
      return false;
    for (int64_t &axis : *axes)
      axis += axis < 0 ? type.getRank() : 0;
    return meanOver(op, op.getData(), *axes, op.getKeepdims());
  }

  // Over windows: a depthwise convolution with ones, which knows what padding counts for. Windows of ceil mode reach
  // past the padding, where nothing counts.
  bool averagePool(onnx::AveragePoolOp op) {
    Dequantized x = dequantized(op.getX());
    if (!x || !x.q.isScalar())
      return false;
    RankedTensorType in = typeOf(op.getX()), out = typeOf(op.getY());
    ArrayRef<int64_t> kernel = op.getKernelShape();
    if (op.getAutoPad() != "NOTSET" || llvm::any_of(in.getShape().drop_front(), ShapedType::isDynamic) ||
        llvm::any_of(out.getShape().drop_front(2), ShapedType::isDynamic))
      return missed(op, "padding that sizes decide, or sizes known at run time only");
    auto listed = [&](std::optional<ArrayRef<int64_t>> values, int64_t count, int64_t otherwise) {
      return values && !values->empty() ? SmallVector<int64_t>(*values) : SmallVector<int64_t>(count, otherwise);
    };
    int64_t spatial = kernel.size(), channels = in.getDimSize(1);
    SmallVector<int64_t> pads = listed(op.getPads(), 2 * spatial, 0), strides = listed(op.getStrides(), spatial, 1),
                         dilations = listed(op.getDilations(), spatial, 1), places{1}, counts{1}, reach = pads;
    for (int64_t d = 0; d < spatial; ++d) {
      int64_t extent = in.getDimSize(d + 2), size = out.getDimSize(d + 2), first = pads[d], last = pads[d + spatial];
      places.push_back(size);
      reach[d + spatial] =
          std::max<int64_t>(0, (size - 1) * strides[d] + (kernel[d] - 1) * dilations[d] + 1 - extent - first);
      int64_t from = op.getCountIncludePad() ? -first : 0, to = op.getCountIncludePad() ? extent + last : extent;
      SmallVector<int64_t> next;
      for (int64_t count : counts)
        for (int64_t at = 0; at < size; ++at) {
          int64_t inside = 0;
          for (int64_t tap = 0; tap < kernel[d]; ++tap) {
            int64_t place = at * strides[d] + tap * dilations[d] - first;
            inside += place >= from && place < to;
          }
          next.push_back(count * inside);
        }
      counts = std::move(next);
    }
    if (llvm::is_contained(counts, 0))
      return missed(op, "windows without elements");
    SmallVector<float> factor;
    for (int64_t count : counts)
      factor.push_back(float(1.0 / count));
    if (llvm::all_equal(factor)) {
      factor.resize(1);
      places.clear();
    }
    pads = reach;
    return average(op, x, 0, factor, places, [&](Type type) {
      Location loc = op.getLoc();
      SmallVector<int64_t> shape{channels, 1};
      llvm::append_range(shape, kernel);
      auto filter = RankedTensorType::get(shape, b.getI8Type());
      Value ones =
          onnx::ConstantOp::create(b, loc, onnx::makeInts(filter, SmallVector<int64_t>(filter.getNumElements(), 1)));
      auto list = [&](StringRef name, ArrayRef<int64_t> values) {
        return b.getNamedAttr(name, b.getDenseI64ArrayAttr(values));
      };
      return make<onnx::ConvIntegerOp>(
          loc, {x.op.getX(), ones, integer(loc, x.q.element, x.q.zero), integer(loc, b.getI8Type(), 0)}, type,
          {list("kernel_shape", kernel), list("pads", pads), list("strides", strides), list("dilations", dilations),
           attribute("group", channels)});
    });
  }

  // DQ(constant) that nothing took in as integers -> constant
  bool fold(onnx::DequantizeLinearOp op) {
    auto type = dyn_cast<RankedTensorType>(op.getY().getType());
    if (!type || !type.getElementType().isF32() || !type.hasStaticShape() || type.getNumElements() > foldedElements ||
        !onnx::getConstantAttr(op.getX()))
      return false;
    SmallVector<float> values = floatsOf(op.getY());
    if (values.empty() || int64_t(values.size()) != type.getNumElements())
      return false;
    b.setInsertionPoint(op);
    return replace(op, onnx::ConstantOp::create(b, op.getLoc(), onnx::makeFloats(type, values)));
  }
};

struct FuseQdq : impl::FuseQdqBase<FuseQdq> {
  using FuseQdqBase::FuseQdqBase;

  void runOnOperation() override {
    func::FuncOp main = lower::getMain(getOperation());
    if (!main || !llvm::hasSingleElement(main.getBody()))
      return;
    Block &block = main.getBody().front();
    Fuser fuser(&getContext());
    auto walk = [&](llvm::function_ref<void(Operation *)> visit) {
      for (Operation &op : llvm::make_early_inc_range(block))
        visit(&op);
      lower::eraseDead(block);
    };
    walk([&](Operation *op) {
      if (auto quantize = dyn_cast<onnx::QuantizeLinearOp>(op))
        (void)fuser.makeUnsigned(quantize);
    });
    walk([&](Operation *op) {
      if (auto quantize = dyn_cast<onnx::QuantizeLinearOp>(op))
        (void)(fuser.cancel(quantize) || fuser.concat(quantize));
      else if (auto pool = dyn_cast<onnx::GlobalMaxPoolOp>(op))
        (void)fuser.globalMax(pool);
      else
        (void)fuser.move(op);
    });
    walk([&](Operation *op) {
      if (auto conv = dyn_cast<onnx::ConvOp>(op))
        (void)fuser.conv(conv);
      else if (auto matmul = dyn_cast<onnx::MatMulOp>(op))
        (void)fuser.matmul(matmul, matmul.getA(), matmul.getB(), {}, false);
      else if (auto gemm = dyn_cast<onnx::GemmOp>(op))
        (void)fuser.gemm(gemm);
      else if (auto add = dyn_cast<onnx::AddOp>(op))
        (void)fuser.affine(add);
      else if (auto pool = dyn_cast<onnx::AveragePoolOp>(op))
        (void)fuser.averagePool(pool);
      else if (auto pool = dyn_cast<onnx::GlobalAveragePoolOp>(op))
        (void)fuser.globalAverage(pool);
      else if (auto mean = dyn_cast<onnx::ReduceMeanOp>(op))
        (void)fuser.mean(mean);
    });
    walk([&](Operation *op) {
      auto dequantize = dyn_cast<onnx::DequantizeLinearOp>(op);
      if (dequantize && !(storesWeights && lower::isStoredWeight(op)))
        (void)fuser.fold(dequantize);
    });
    remark::analysis(getOperation().getLoc(), remark::RemarkOpts::name("FuseQdq").category("lower-fuse-qdq"))
        << remark::metric("rewrites", fuser.count);
  }
};

} // namespace
} // namespace burin
