// Derivatives of elementwise functions of one operand are central differences of the operator itself, so that each of
// them is right by construction; what is linear has its exact transpose.
#include "lib/Calibrate/Gradients.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Calibrate/Graph.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace burin;

static RankedTensorType typeOf(Value value) { return dyn_cast<RankedTensorType>(value.getType()); }
static bool isReachable(Value value) {
  auto type = typeOf(value);
  return type && type.getElementType().isF32() && !onnx::getConstantAttr(value);
}

// Functions of each element of the first operand; the others are constants.
static bool isElementwise(Operation *op) {
  return isa<onnx::ReluOp, onnx::LeakyReluOp, onnx::ClipOp, onnx::SigmoidOp, onnx::TanhOp, onnx::HardSwishOp,
             onnx::HardSigmoidOp, onnx::EluOp, onnx::SeluOp, onnx::GeluOp, onnx::ErfOp, onnx::ExpOp, onnx::LogOp,
             onnx::SqrtOp, onnx::SoftplusOp, onnx::AbsOp, onnx::NegOp, onnx::ReciprocalOp, onnx::PReluOp, onnx::PowOp,
             onnx::SwishOp, onnx::MishOp>(op) &&
         llvm::all_of(op->getOperands().drop_front(),
                      [](Value v) { return onnx::isNone(v) || onnx::getConstantAttr(v); });
}

Value Gradients::make(StringRef name, Type type, ValueRange operands, ArrayRef<NamedAttribute> attributes) {
  OperationState state(loc, ("onnx." + name).str());
  state.addOperands(operands);
  state.addTypes(type);
  state.addAttributes(attributes);
  return b.create(state)->getResult(0);
}

Value Gradients::splat(double value) {
  return onnx::ConstantOp::create(b, loc, onnx::makeFloats(RankedTensorType::get({}, b.getF32Type()), {float(value)}));
}

Value Gradients::times(Value x, Value y) {
  return make("Mul", typeOf(x).getRank() >= typeOf(y).getRank() ? x.getType() : y.getType(), {x, y});
}

Value Gradients::reshape(Value x, Type type) {
  if (x.getType() == type)
    return x;
  return make("Reshape", type, {x, onnx::createI64s(b, loc, cast<RankedTensorType>(type).getShape())});
}

Value Gradients::transposed(Value matrix) {
  RankedTensorType type = typeOf(matrix);
  SmallVector<int64_t> shape(type.getShape()), order = llvm::to_vector(llvm::seq<int64_t>(0, type.getRank()));
  std::swap(shape[shape.size() - 2], shape.back());
  std::swap(order[order.size() - 2], order.back());
  return make("Transpose", RankedTensorType::get(shape, type.getElementType()), {matrix},
              b.getNamedAttr("perm", b.getDenseI64ArrayAttr(order)));
}

Value Gradients::summed(Value x, Type type) {
  RankedTensorType from = typeOf(x), to = cast<RankedTensorType>(type);
  if (from.getShape() == to.getShape())
    return x;
  SmallVector<int64_t> axes, shape(from.getShape());
  int64_t more = from.getRank() - to.getRank();
  for (int64_t d = 0; d < from.getRank(); ++d)
    if (d < more || (to.getDimSize(d - more) == 1 && shape[d] != 1)) {
      axes.push_back(d);
      shape[d] = 1;
    }
  if (!axes.empty())
    x = make("ReduceSum", RankedTensorType::get(shape, from.getElementType()), {x, onnx::createI64s(b, loc, axes)});
  return reshape(x, type);
}

Value Gradients::mean(Value x, ArrayRef<int64_t> axes) {
  SmallVector<int64_t> shape(typeOf(x).getShape());
  for (int64_t axis : axes)
    shape[axis] = 1;
  return make("ReduceMean", RankedTensorType::get(shape, b.getF32Type()), {x, onnx::createI64s(b, loc, axes)});
}

void Gradients::add(Value value, Value gradient) {
  if (!isReachable(value))
    return;
  Value &sum = gradients[value];
  sum = sum ? make("Add", value.getType(), {sum, gradient}) : gradient;
}

Value Gradients::of(Value value) const { return unknown.contains(value) ? Value() : gradients.lookup(value); }

void Gradients::run() {
  SmallVector<Operation *> operators;
  for (Operation &op : main.front().without_terminator())
    operators.push_back(&op);
  for (Operation *op : llvm::reverse(operators)) {
    bool isUnknown = llvm::any_of(op->getResults(), [&](Value v) { return unknown.contains(v); });
    bool isSeen = llvm::any_of(op->getResults(), [&](Value v) { return gradients.contains(v); });
    if (!isUnknown && !isSeen)
      continue;
    auto isStatic = [](Value v) { return !isReachable(v) || typeOf(v).hasStaticShape(); };
    Value g = op->getNumResults() ? of(op->getResult(0)) : Value();
    if (isUnknown || !g || !llvm::all_of(op->getOperands(), isStatic) || !llvm::all_of(op->getResults(), isStatic) ||
        !visit(op, g))
      for (Value operand : op->getOperands())
        if (isReachable(operand))
          unknown.insert(operand);
  }
}

bool Gradients::visit(Operation *op, Value g) {
  if (op->getNumOperands() == 0)
    return true;
  Value x = op->getOperand(0), y = op->getResult(0);
  if (isElementwise(op)) {
    constexpr double step = 1e-3;
    auto at = [&](double distance) {
      IRMapping mapping;
      mapping.map(x, make("Add", x.getType(), {x, splat(distance)}));
      return b.clone(*op, mapping)->getResult(0);
    };
    Value high = at(step), low = at(-step);
    Value rise = make("Sub", y.getType(), {high, low});
    return add(x, times(g, times(rise, splat(0.5 / step)))), true;
  }
  return llvm::TypeSwitch<Operation *, bool>(op)
      .Case<onnx::ConvOp, onnx::ConvTransposeOp, onnx::GemmOp, onnx::MatMulOp>(
          [&](auto) { return visitProduct(op, g); })
      .Case<onnx::IdentityOp, onnx::ReshapeOp, onnx::FlattenOp, onnx::SqueezeOp, onnx::UnsqueezeOp>(
          [&](auto) { return add(x, reshape(g, x.getType())), true; })
      .Case([&](onnx::AddOp) {
        for (Value operand : op->getOperands())
          add(operand, summed(g, operand.getType()));
        return true;
      })
      .Case([&](onnx::SubOp) {
        Value z = op->getOperand(1);
        add(x, summed(g, x.getType()));
        add(z, summed(times(g, splat(-1)), z.getType()));
        return true;
      })
      .Case([&](onnx::MulOp) {
        Value z = op->getOperand(1);
        add(x, summed(make("Mul", g.getType(), {g, z}), x.getType()));
        add(z, summed(make("Mul", g.getType(), {g, x}), z.getType()));
        return true;
      })
      .Case([&](onnx::DivOp) {
        Value z = op->getOperand(1), part = make("Div", g.getType(), {g, z});
        add(x, summed(part, x.getType()));
        add(z, summed(times(times(part, y), splat(-1)), z.getType()));
        return true;
      })
      .Case([&](onnx::TransposeOp) {
        int64_t rank = typeOf(x).getRank();
        SmallVector<int64_t> order = integersOf(op, "perm", rank, -1), back(rank);
        for (int64_t d = 0; d < rank; ++d)
          back[order[d] < 0 ? rank - 1 - d : order[d]] = d;
        return add(x, make("Transpose", x.getType(), {g}, b.getNamedAttr("perm", b.getDenseI64ArrayAttr(back)))), true;
      })
      .Case([&](onnx::ConcatOp) {
        int64_t rank = typeOf(y).getRank(), axis = cast<IntegerAttr>(op->getAttr("axis")).getInt(), from = 0;
        axis = axis < 0 ? axis + rank : axis;
        for (Value operand : op->getOperands()) {
          int64_t to = from + typeOf(operand).getDimSize(axis);
          if (isReachable(operand))
            add(operand, make("Slice", operand.getType(),
                              {g, onnx::createI64s(b, loc, {from}), onnx::createI64s(b, loc, {to}),
                               onnx::createI64s(b, loc, {axis}), onnx::createI64s(b, loc, {1})}));
          from = to;
        }
        return true;
      })
      .Case([&](onnx::SoftmaxOp) {
        auto attr = op->getAttrOfType<IntegerAttr>("axis");
        int64_t rank = typeOf(x).getRank(), axis = attr ? attr.getInt() : -1;
        axis = axis < 0 ? axis + rank : axis;
        Value whole = times(mean(times(g, y), {axis}), splat(double(typeOf(x).getDimSize(axis))));
        return add(x, times(y, make("Sub", x.getType(), {g, whole}))), true;
      })
      .Case<onnx::GlobalAveragePoolOp, onnx::ReduceMeanOp>([&](auto) { return visitMean(op, g); })
      .Case([&](onnx::AveragePoolOp pool) { return visitAveragePool(pool, g); })
      .Case([&](onnx::LayerNormalizationOp norm) {
        auto axis = norm->getAttrOfType<IntegerAttr>("axis");
        if (axis && axis.getInt() != -1 && axis.getInt() != typeOf(x).getRank() - 1)
          return false;
        return visitNormalization(norm, g), true;
      })
      .Default([](Operation *) { return false; });
}

bool Gradients::visitProduct(Operation *op, Value g) {
  Value x = op->getOperand(0), w = op->getOperand(1);
  if (auto gemm = dyn_cast<onnx::GemmOp>(op)) {
    if (gemm.getTransA() || isReachable(w) || (op->getNumOperands() > 2 && isReachable(op->getOperand(2))))
      return false;
    Value none = onnx::NoValueOp::create(b, loc);
    SmallVector<NamedAttribute> attributes{
        b.getNamedAttr("transB", b.getIntegerAttr(b.getIntegerType(64), gemm.getTransB() ? 0 : 1))};
    if (Attribute alpha = op->getAttr("alpha"))
      attributes.push_back(b.getNamedAttr("alpha", alpha));
    return add(x, make("Gemm", x.getType(), {g, w, none}, attributes)), true;
  }
  if (isa<onnx::MatMulOp>(op)) {
    if (typeOf(x).getRank() < 2 || typeOf(w).getRank() < 2)
      return false;
    // Batches of the result, the operand's two dims behind them.
    auto like = [&](Value operand) {
      SmallVector<int64_t> shape(typeOf(g).getShape().drop_back(2));
      llvm::append_range(shape, typeOf(operand).getShape().take_back(2));
      return RankedTensorType::get(shape, b.getF32Type());
    };
    if (isReachable(x))
      add(x, summed(make("MatMul", like(x), {g, transposed(w)}), x.getType()));
    if (isReachable(w))
      add(w, summed(make("MatMul", like(w), {transposed(x), g}), w.getType()));
    return true;
  }
  if (isReachable(w) || !hasExplicitPads(op) || (op->getNumOperands() > 2 && isReachable(op->getOperand(2))))
    return false;
  SmallVector<NamedAttribute> attributes;
  for (StringRef name : {"strides", "dilations", "pads", "group", "kernel_shape"})
    if (Attribute value = op->getAttr(name))
      attributes.push_back(b.getNamedAttr(name, value));
  Value none = onnx::NoValueOp::create(b, loc);
  if (isa<onnx::ConvTransposeOp>(op))
    return add(x, make("Conv", x.getType(), {g, w, none}, attributes)), true;
  // What the last step left over at the end of the input.
  size_t rank = typeOf(x).getRank() - 2;
  SmallVector<int64_t> strides = integersOf(op, "strides", rank, 1), dilations = integersOf(op, "dilations", rank, 1),
                       pads = integersOf(op, "pads", 2 * rank, 0), more;
  for (size_t d = 0; d < rank; ++d)
    more.push_back(typeOf(x).getDimSize(2 + d) -
                   ((typeOf(g).getDimSize(2 + d) - 1) * strides[d] + dilations[d] * (typeOf(w).getDimSize(2 + d) - 1) +
                    1 - pads[d] - pads[rank + d]));
  attributes.push_back(b.getNamedAttr("output_padding", b.getDenseI64ArrayAttr(more)));
  return add(x, make("ConvTranspose", x.getType(), {g, w, none}, attributes)), true;
}

bool Gradients::visitMean(Operation *op, Value g) {
  Value x = op->getOperand(0);
  RankedTensorType type = typeOf(x);
  SmallVector<int64_t> axes, shape(type.getShape());
  if (isa<onnx::GlobalAveragePoolOp>(op)) {
    axes = llvm::to_vector(llvm::seq<int64_t>(2, type.getRank()));
  } else if (auto given = onnx::getConstantInts(op->getOperand(1))) {
    axes = *given;
  } else {
    return false;
  }
  double count = 1;
  for (int64_t axis : axes) {
    int64_t &size = shape[axis < 0 ? axis + type.getRank() : axis];
    count *= size;
    size = 1;
  }
  Value part = times(reshape(g, RankedTensorType::get(shape, type.getElementType())), splat(1 / count));
  return add(x, make("Expand", type, {part, onnx::createI64s(b, loc, type.getShape())})), true;
}

bool Gradients::visitAveragePool(onnx::AveragePoolOp op, Value g) {
  Value x = op.getX();
  RankedTensorType type = typeOf(x);
  size_t rank = type.getRank() - 2;
  SmallVector<int64_t> kernel = integersOf(op, "kernel_shape", rank, 1), strides = integersOf(op, "strides", rank, 1),
                       more;
  auto isNone = [](int64_t v) { return v == 0; };
  if (!hasExplicitPads(op) || !llvm::all_of(integersOf(op, "pads", 2 * rank, 0), isNone) ||
      llvm::any_of(integersOf(op, "dilations", rank, 1), [](int64_t v) { return v != 1; }))
    return false;
  SmallVector<int64_t> shape{type.getDimSize(1), 1};
  int64_t taps = 1;
  for (size_t d = 0; d < rank; ++d) {
    shape.push_back(kernel[d]);
    taps *= kernel[d];
    more.push_back(type.getDimSize(2 + d) - ((typeOf(g).getDimSize(2 + d) - 1) * strides[d] + kernel[d]));
    if (more.back() < 0) // a last window over the edge counts fewer elements
      return false;
  }
  SmallVector<float> weights(type.getDimSize(1) * taps, 1.0f / float(taps));
  Value w = onnx::ConstantOp::create(b, loc, onnx::makeFloats(RankedTensorType::get(shape, b.getF32Type()), weights));
  add(x, make("ConvTranspose", type, {g, w, onnx::NoValueOp::create(b, loc)},
              {b.getNamedAttr("strides", b.getDenseI64ArrayAttr(strides)),
               b.getNamedAttr("group", b.getIntegerAttr(b.getIntegerType(64), type.getDimSize(1))),
               b.getNamedAttr("output_padding", b.getDenseI64ArrayAttr(more))}));
  return true;
}

// Of (x - mean) / deviation * scale: with h = g * scale and z the normalized x, (h - mean(h) - z mean(h z)) /
// deviation.
void Gradients::visitNormalization(onnx::LayerNormalizationOp op, Value g) {
  Value x = op.getX();
  int64_t last = typeOf(x).getRank() - 1;
  auto epsilon = op->getAttrOfType<FloatAttr>("epsilon");
  Value centred = make("Sub", x.getType(), {x, mean(x, {last})});
  Value variance = mean(times(centred, centred), {last});
  variance = make("Add", variance.getType(), {variance, splat(epsilon ? epsilon.getValueAsDouble() : 1e-5)});
  Value deviation = make("Sqrt", variance.getType(), {variance});
  Value z = make("Div", x.getType(), {centred, deviation}), h = make("Mul", g.getType(), {g, op->getOperand(1)});
  Value rest = make("Sub", x.getType(), {h, mean(h, {last})});
  rest = make("Sub", x.getType(), {rest, times(z, mean(times(h, z), {last}))});
  add(x, make("Div", x.getType(), {rest, deviation}));
}
