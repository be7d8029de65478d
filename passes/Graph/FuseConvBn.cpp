// A per-channel y = x * s + t after a convolution or a matrix product with constant weights goes into its weights and
// bias: BatchNormalization, and Mul, Div, Add, Sub by constants. One form for all of them: s and t, computed in double
// and rounded once to the weights' type. The same before a convolution, where no padding is in the way. A normalization
// that finds no home becomes Mul and Add. Splat weights stay splats.
#include "passes/Graph/Affine.h"
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FUSECONVBN
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FuseConvBn";

// Weights times a vector along one dim of a view of them; f16 weights round once.
std::optional<Literal> scaled(const Literal &weights, ArrayRef<double> scale, ArrayRef<int64_t> viewShape,
                              ArrayRef<int64_t> scaleShape) {
  Type element = weights.type.getElementType();
  // A narrow scale would round twice; keep it in f32 and let the product round.
  Type scaleElement = element.isF64() ? element : Type(Float32Type::get(element.getContext()));
  auto scaleType = RankedTensorType::get(
      scale.size() == 1 ? SmallVector<int64_t>(scaleShape.size(), 1) : SmallVector<int64_t>(scaleShape), scaleElement);
  if (scaleType.getNumElements() != int64_t(scale.size()))
    return std::nullopt;
  auto product = foldBinary("Mul", reshaped(weights, RankedTensorType::get(viewShape, element)),
                            fromDoubles(scaleType, scale), RankedTensorType::get(viewShape, element));
  if (!product)
    return std::nullopt;
  return reshaped(*product, weights.type);
}

// bias * scale + shift, in double.
SmallVector<double> combined(ArrayRef<double> bias, const Affine &affine, int64_t count) {
  SmallVector<double> result;
  bool single = bias.size() == 1 && affine.scale.size() == 1 && affine.shift.size() == 1;
  for (int64_t i = 0; i < (single ? 1 : count); ++i)
    result.push_back(at(bias, i) * at(affine.scale, i) + at(affine.shift, i));
  if (single)
    result.assign(count, result[0]);
  return result;
}

// Where the channels of a producer's weights and bias lie.
struct Home {
  int64_t count = 0, rank = 0, channelDim = 1;
  SmallVector<int64_t> view, scaleShape;
};

std::optional<Home> homeOf(Operation *producer) {
  Home home;
  if (producer->getNumOperands() < 2 || producer->getNumResults() != 1)
    return std::nullopt;
  RankedTensorType weights = staticType(producer->getOperand(1)), result = rankedType(producer->getResult(0));
  if (!weights || !result)
    return std::nullopt;
  ArrayRef<int64_t> shape = weights.getShape();
  if (shape.size() < 2)
    return std::nullopt;
  home.rank = result.getRank();
  home.view.assign(shape.begin(), shape.end());
  if (isa<onnx::ConvOp>(producer)) {
    home.count = shape[0];
    home.scaleShape.assign(shape.size(), 1);
    home.scaleShape[0] = home.count;
  } else if (auto conv = dyn_cast<onnx::ConvTransposeOp>(producer)) {
    // [C, M/g, k...] seen as [g, C/g, M/g, k...]: the channels are the first and third dims.
    int64_t group = conv.getGroup();
    if (group <= 0 || shape[0] % group)
      return std::nullopt;
    home.count = group * shape[1];
    home.view = {group, shape[0] / group};
    home.view.append(shape.begin() + 1, shape.end());
    home.scaleShape.assign(home.view.size(), 1);
    home.scaleShape[0] = group;
    home.scaleShape[2] = shape[1];
  } else if (auto gemm = dyn_cast<onnx::GemmOp>(producer)) {
    bool transposed = gemm.getTransB() != 0;
    home.count = shape[transposed ? 0 : 1];
    home.scaleShape = transposed ? SmallVector<int64_t>{home.count, 1} : SmallVector<int64_t>{1, home.count};
  } else if (isa<onnx::MatMulOp>(producer) && shape.size() == 2) {
    home.count = shape[1];
    home.scaleShape = {1, home.count};
    home.channelDim = home.rank - 1;
  } else {
    return std::nullopt;
  }
  return home;
}

// %c = Conv(%x, %w, %b); %y = BatchNormalization(%c, ...)   ->   %y = Conv(%x, %w * s, %b * s + t)
//  - the producer's weights and bias, and the affine's numbers, are float constants
//  - nothing else uses the producer
//  - the numbers stay in the type's range
bool fuseInto(Operation *op, Operation *producer) {
  Value x = producer->getResult(0);
  StringRef name = onnx::getOpType(producer);
  auto home = homeOf(producer);
  if (!home)
    return false;
  auto affine = affineOf(op, x, home->count, home->rank, home->channelDim);
  if (!affine)
    return isa<onnx::BatchNormalizationOp>(op) &&
           missed(op, passName, name, "its parameters are not constants of inference");
  auto weights = readLiteral(onnx::getConstantAttr(producer->getOperand(1)));
  if (!weights || !isa<FloatType>(weights->type.getElementType()))
    return missed(op, passName, name, "the weights are no float constant");
  if (!x.hasOneUse())
    return missed(op, passName, name, "the " + name.str() + " has several uses");
  bool isMatMul = isa<onnx::MatMulOp>(producer);
  // Only the scale finds a place in a MatMul; a lone shift is its bias already.
  if (isMatMul && !affine->scales)
    return false;
  Value biasValue = isMatMul ? Value() : producer->getOperand(2);
  SmallVector<double> bias{0};
  auto gemm = dyn_cast<onnx::GemmOp>(producer);
  if (!onnx::isNone(biasValue)) {
    auto held = gemm ? perChannel(biasValue, home->count, 2, 1) : channels(biasValue, home->count);
    if (!held)
      return missed(op, passName, name, "the bias is no constant by channel");
    bias = *held;
    if (gemm)
      for (double &value : bias)
        value *= double(gemm.getBeta());
  }
  Type element = weights->type.getElementType();
  SmallVector<double> newBias = combined(bias, *affine, home->count);
  if (!fits(newBias, element) || !fits(affine->scale, element))
    return missed(op, passName, name, "the folded numbers leave the range of the weights' type");
  Literal newWeights = *weights;
  if (affine->scales) {
    auto product = scaled(*weights, affine->scale, home->view, home->scaleShape);
    if (!product)
      return missed(op, passName, name, "the weights' shape does not fit the channels");
    newWeights = *product;
  }

  OpBuilder builder(op);
  Location loc = fuse({producer, op});
  StringRef blob = onnx::getNodeName(producer);
  SmallVector<Value> operands(producer->getOperands());
  if (affine->scales)
    operands[1] = constant(builder, loc, toAttr(newWeights, blob));
  auto biasType = RankedTensorType::get({home->count}, element);
  Value newBiasValue;
  bool hasBias = affine->shifts || !onnx::isNone(biasValue);
  if (hasBias)
    newBiasValue = constant(builder, loc, toAttr(fromDoubles(biasType, newBias), blob));
  if (!isMatMul && hasBias)
    operands[2] = newBiasValue;
  // The properties of the old operator with other operands: no attribute can be forgotten.
  Operation *made = builder.clone(*producer);
  made->setLoc(loc);
  made->setOperands(operands);
  if (gemm)
    cast<onnx::GemmOp>(made).setBeta(1.0f);
  Value result = made->getResult(0);
  if (isMatMul && affine->shifts && llvm::any_of(newBias, [](double v) { return v != 0; }))
    result = build<onnx::AddOp>(builder, loc, {result, newBiasValue});
  std::string what = onnx::getOpType(op).str() + " into " + name.str();
  if (!result || !replace(op, SmallVector<Value>(op->getNumResults(), result))) {
    if (result)
      eraseDead(result.getDefiningOp());
    return false;
  }
  passed(made, passName, name, what);
  return true;
}

// A BatchNormalization without such a producer: %y = Add(Mul(%x, s), t), s and t of shape [C, 1, 1...].
bool decompose(onnx::BatchNormalizationOp op) {
  RankedTensorType type = rankedType(op.getX());
  auto held = affineOf(op, -1);
  if (!type || type.getRank() < 2 || !held)
    return missed(op, passName, "ScaleShift", "its parameters are not constants of inference");
  int64_t count = rankedType(op.getScale()).getDimSize(0);
  SmallVector<int64_t> shape(type.getRank() - 1, 1);
  shape[0] = count;
  auto constantType = RankedTensorType::get(shape, type.getElementType());
  auto spread = [&](SmallVector<double> values) {
    if (values.size() == 1)
      values.assign(count, values[0]);
    return values;
  };
  if (!isa<FloatType>(type.getElementType()) || !fits(held->scale, type.getElementType()) ||
      !fits(held->shift, type.getElementType()))
    return missed(op, passName, "ScaleShift", "the folded numbers leave the range of the type");
  OpBuilder builder(op);
  Location loc = op.getLoc();
  StringRef name = onnx::getNodeName(op);
  Value scale = constant(builder, loc, toAttr(fromDoubles(constantType, spread(held->scale)), name));
  Value shift = constant(builder, loc, toAttr(fromDoubles(constantType, spread(held->shift)), name));
  Value product = build<onnx::MulOp>(builder, loc, {op.getX(), scale});
  Value sum = product ? build<onnx::AddOp>(builder, loc, {product, shift}) : Value();
  if (!sum || !replace(op, SmallVector<Value>(op->getNumResults(), sum)))
    return false;
  passed(sum.getDefiningOp(), passName, "ScaleShift");
  return true;
}

// %u = Add(Mul(%x, s), t); %y = Conv(%u, %w, %b)   ->   %y = Conv(%x, %w * s, %b + sum(%w * t))
//  - s and t are constants by input channel, weights and bias constants
//  - nothing else uses %u
//  - a shift meets no padding: padded places hold 0, not t
bool fuseBefore(onnx::ConvOp conv) {
  auto weights = readLiteral(onnx::getConstantAttr(conv.getW()));
  RankedTensorType type = rankedType(conv.getX());
  int64_t group = conv.getGroup();
  if (!weights || !isa<FloatType>(weights->type.getElementType()) || !type ||
      weights->type.getRank() != type.getRank() || type.getRank() < 3 || group <= 0 ||
      weights->type.getDimSize(0) % group)
    return false;
  ArrayRef<int64_t> shape = weights->type.getShape();
  int64_t outputs = shape[0], perGroup = shape[1], count = perGroup * group;
  auto pads = explicitPads(conv, type.getRank() - 2);
  bool padded = !pads || llvm::any_of(*pads, [](int64_t pad) { return pad != 0; });

  // From the convolution upwards: what it sees is x * scale + shift.
  SmallVector<double> scale(count, 1), shift(count, 0);
  SmallVector<Operation *> parts;
  Value x = conv.getX();
  while (Operation *op = x.getDefiningOp()) {
    if (!isa<onnx::MulOp, onnx::AddOp, onnx::DivOp, onnx::SubOp>(op) || op->getBlock() != conv->getBlock())
      break;
    Value next = onnx::getConstantAttr(op->getOperand(1)) ? op->getOperand(0) : op->getOperand(1);
    auto affine = affineOf(op, next, count, type.getRank(), 1);
    // The constant must not be what gives the value its shape.
    if (!affine || !sameType(next.getType(), x.getType()))
      break;
    if (padded && affine->shifts && llvm::any_of(affine->shift, [](double t) { return t != 0; })) {
      missed(conv, passName, "BeforeConv", "a shift before it would reach into its padding");
      break;
    }
    if (!x.hasOneUse()) {
      missed(conv, passName, "BeforeConv", "the scaled value has several uses");
      break;
    }
    for (int64_t c = 0; c < count; ++c) {
      shift[c] += scale[c] * at(affine->shift, c);
      scale[c] *= at(affine->scale, c);
    }
    parts.push_back(op);
    x = next;
  }
  if (parts.empty())
    return false;
  Type element = weights->type.getElementType();
  std::optional<SmallVector<double>> bias = SmallVector<double>{0.0};
  if (!onnx::isNone(conv.getB()))
    bias = channels(conv.getB(), outputs);
  auto values = doubles(*weights);
  if (!bias || !values)
    return missed(conv, passName, "BeforeConv", "the bias is no constant by channel");
  SmallVector<double> newBias;
  int64_t taps = 1;
  for (int64_t size : shape.drop_front(2))
    taps *= size;
  for (int64_t m = 0; m < outputs; ++m) {
    double sum = at(*bias, m);
    for (int64_t i = 0; i < perGroup * taps; ++i)
      sum += (*values)[m * perGroup * taps + i] * shift[m / (outputs / group) * perGroup + i / taps];
    newBias.push_back(sum);
  }
  if (!fits(newBias, element) || !fits(scale, element))
    return missed(conv, passName, "BeforeConv", "the folded numbers leave the range of the weights' type");
  SmallVector<int64_t> view{group, outputs / group}, scaleShape{group, 1, perGroup};
  view.append(shape.begin() + 1, shape.end());
  scaleShape.resize(view.size(), 1);
  auto product = scaled(*weights, scale, view, scaleShape);
  if (!product)
    return false;
  OpBuilder builder(conv);
  parts.push_back(conv);
  Location loc = fuse(parts);
  StringRef blob = onnx::getNodeName(conv);
  Operation *made = builder.clone(*conv);
  made->setLoc(loc);
  made->setOperand(0, x);
  made->setOperand(1, constant(builder, loc, toAttr(*product, blob)));
  if (!onnx::isNone(conv.getB()) || llvm::any_of(newBias, [](double v) { return v != 0; }))
    made->setOperand(
        2, constant(builder, loc, toAttr(fromDoubles(RankedTensorType::get({outputs}, element), newBias), blob)));
  // The constants were built behind the clone that uses them.
  made->moveBefore(conv);
  if (!replace(conv, made->getResult(0))) {
    eraseDead(made);
    return false;
  }
  passed(made, passName, "BeforeConv");
  return true;
}

class FuseConvBn : public impl::FuseConvBnBase<FuseConvBn> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    eraseAllDead(getOperation());
    counted(getOperation(), passName, count);
  }

private:
  static bool visit(Operation *op) {
    if (auto conv = dyn_cast<onnx::ConvOp>(op))
      return fuseBefore(conv);
    if (!isa<onnx::BatchNormalizationOp, onnx::MulOp, onnx::AddOp, onnx::DivOp, onnx::SubOp>(op))
      return false;
    auto bn = dyn_cast<onnx::BatchNormalizationOp>(op);
    for (Value result : op->getResults().drop_front())
      if (!result.use_empty())
        return missed(op, passName, "BatchNormalization", "its running statistics are used");
    // The other operand must be a constant: a residual Add of two convolutions is not ours.
    for (unsigned i = 0; i < (bn ? 1u : 2u); ++i) {
      if (!bn && !onnx::getConstantAttr(op->getOperand(1 - i)))
        continue;
      Operation *producer = op->getOperand(i).getDefiningOp();
      if (producer && producer->getBlock() == op->getBlock() && fuseInto(op, producer))
        return true;
    }
    return bn && decompose(bn);
  }
};

} // namespace
} // namespace burin
