// Static quantization: the plan says which activations become integers; here they get scales, one for all that must
// share it, and the operators their QuantizeLinear and DequantizeLinear, weights and biases.
#include "passes/Quant/Passes.h"
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"
#include "passes/Quant/Weights.h"

#include "llvm/ADT/EquivalenceClasses.h"
#include <cmath>

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_INSERTQDQ
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "InsertQdq";

// Biases are i32; half of it is left to the sum that they are added to.
constexpr float largestBias = 1 << 30;

// A Concat's operands share a scale where that costs none of them more than two bits.
constexpr float narrowest = 0.25f;

class InsertQdq : public impl::InsertQdqBase<InsertQdq> {
public:
  using InsertQdqBase::InsertQdqBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    std::optional<Integers> activation = parseIntegers(activations), weight = parseIntegers(weights);
    if (!activation || activation->bits < 8 || !weight || weight->bits != 8) {
      main.emitError() << "expected activations u8, s8, u16 or s16 and weights s8 or u8, got '" << activations
                       << "' and '" << weights << "'";
      return signalPassFailure();
    }
    integers = *activation;
    weightOptions = {*weight, perChannel, powerOfTwo, reduceRange};
    Selection selection{{keep.begin(), keep.end()}, {only.begin(), only.end()}};
    plan = makePlan(main, selection, /*needsRanges=*/true);
    for (Operation &op : main.front())
      if (roleOf(&op) == Role::Product && !plan.integer.contains(&op))
        missed(&op, passName, "Product", "kept in float, or its input has no range");
    chooseScales();
    insertActivations();
    for (Operation *op : plan.integer)
      if (roleOf(op) == Role::Product)
        quantizeProduct(op);
    dropTails();
    eraseUnused(main);
    clearCalibration(getOperation());
    counted(getOperation(), passName, plan.integer.size());
  }

private:
  void chooseScales();
  void insertActivations();
  void quantizeProduct(Operation *op);
  void dropTails();
  Value dequantize(OpBuilder &b, Location loc, RankedTensorType type, Value x, Value scale, Value zero, int64_t axis);

  Integers integers{};
  WeightOptions weightOptions{};
  Plan plan;
  llvm::DenseMap<Value, Scale> scales; // of quantized activations
  llvm::DenseMap<Value, Value> source; // what a DequantizeLinear stands for
};

// One scale for all values that are the same integers: what a Move gives and takes, and what a Concat puts together.
void InsertQdq::chooseScales() {
  llvm::EquivalenceClasses<void *> shared;
  auto key = [](Value v) { return v.getAsOpaquePointer(); };
  for (Value v : plan.quantized)
    shared.insert(key(v));
  for (Operation *op : plan.integer) {
    Role role = roleOf(op);
    if (role != Role::Move && role != Role::Concat)
      continue;
    Value first = activationOperands(op).front()->get();
    SmallVector<Value> rest;
    for (OpOperand *operand : activationOperands(op))
      rest.push_back(operand->get());
    if (role == Role::Concat) {
      auto width = [](Value v) {
        Range r = *getRange(v);
        return std::max(r.high, 0.0f) - std::min(r.low, 0.0f);
      };
      float least = INFINITY, most = 0;
      for (Value v : rest) {
        least = std::min(least, width(v));
        most = std::max(most, width(v));
      }
      if (least < narrowest * most) {
        missed(op, passName, "SharedScale", "the ranges of what is put together differ too much for one scale");
        continue;
      }
    }
    for (Value result : op->getResults())
      if (plan.quantized.contains(result))
        rest.push_back(result);
    for (Value v : rest)
      shared.unionSets(key(first), key(v));
  }
  llvm::DenseMap<void *, Range> ranges;
  for (Value v : plan.quantized) {
    Range own = *getRange(v);
    auto [place, isNew] = ranges.try_emplace(shared.getLeaderValue(key(v)), own);
    if (!isNew)
      place->second = {std::min(place->second.low, own.low), std::max(place->second.high, own.high)};
  }
  for (Value v : plan.quantized)
    scales[v] = chooseScale(ranges[shared.getLeaderValue(key(v))], integers, symmetric, powerOfTwo);
}

Value InsertQdq::dequantize(OpBuilder &b, Location loc, RankedTensorType type, Value x, Value scale, Value zero,
                            int64_t axis) {
  SmallVector<NamedAttribute> attributes;
  if (axis != 1) // ONNX's default
    attributes.push_back(b.getNamedAttr("axis", b.getI64IntegerAttr(axis)));
  return make<onnx::DequantizeLinearOp>(b, loc, type, {x, scale, zero}, attributes);
}

void InsertQdq::insertActivations() {
  for (Value v : plan.quantized) {
    OpBuilder b(&getContext());
    b.setInsertionPointAfterValue(v);
    auto type = cast<RankedTensorType>(v.getType());
    auto integerType = RankedTensorType::get(type.getShape(), integers.type(&getContext()), type.getEncoding());
    // What an integer operator makes exists as integers alone; of a float one the integer operators read them.
    Operation *maker = v.getDefiningOp();
    bool isInteger = maker && (plan.integer.contains(maker) || plan.tails.contains(maker));
    SmallVector<OpOperand *> uses;
    for (OpOperand &use : v.getUses())
      if (isInteger ||
          (plan.integer.contains(use.getOwner()) && llvm::is_contained(activationOperands(use.getOwner()), &use)))
        uses.push_back(&use);
    Location loc = v.getLoc();
    Scale s = scales[v];
    Value scale = scalar(b, named(loc, "_scale"), b.getF32Type(), s.scale),
          zero = scalar(b, named(loc, "_zero_point"), integers.type(&getContext()), s.zero);
    Value q = make<onnx::QuantizeLinearOp>(b, named(loc, "_quantize"), integerType, {v, scale, zero});
    Value back = make<onnx::DequantizeLinearOp>(b, named(loc, "_dequantize"), type, {q, scale, zero});
    for (OpOperand *use : uses)
      use->set(back);
    source[back] = v;
    scales[back] = s;
  }
}

// W, b of a product -> DequantizeLinear of integers; the bias in i32 at scale(x) * scale(w)
void InsertQdq::quantizeProduct(Operation *op) {
  OpBuilder b(op);
  Value weightValue = op->getOperand(1);
  auto type = cast<RankedTensorType>(weightValue.getType());
  SmallVector<float> weight = onnx::getFloats(floatConstant(weightValue));
  WeightShape shape = weightShape(op, perChannel);
  float inputScale = scales[op->getOperand(0)].scale;

  Value biasValue = op->getNumOperands() > 2 ? op->getOperand(2) : Value();
  ElementsAttr biasAttr = floatConstant(biasValue);
  SmallVector<float> bias = biasAttr ? onnx::getFloats(biasAttr) : SmallVector<float>();
  if (bias.size() != size_t(weightShape(op, true).channels) && !isa<onnx::ConvTransposeOp>(op))
    bias.clear();
  SmallVector<float> least(shape.channels, 0.0f);
  for (auto [c, value] : llvm::enumerate(bias)) {
    float &bound = least[shape.channels == 1 ? 0 : c];
    bound = std::max(bound, std::abs(value) / (inputScale * largestBias));
  }
  SmallVector<float> channelScales = chooseWeightScales(weight, shape, weightOptions, least);
  std::vector<char> raw = quantizeWeight(weight, shape, channelScales, weightOptions);

  Location loc = weightValue.getLoc();
  Type element = weightOptions.integers.type(&getContext());
  Value integer = constant(b, named(loc, "_quantized"),
                           onnx::makeConstantAttr(RankedTensorType::get(type.getShape(), element), raw, "quantized"));
  auto vectorOf = [&](Type of, int64_t count) {
    return shape.channels == 1 && !perChannel ? RankedTensorType::get({}, of) : RankedTensorType::get({count}, of);
  };
  int64_t middle = weightOptions.integers.isSigned ? 0 : 128;
  Value scale = constant(b, named(loc, "_scale"),
                         onnx::makeFloats(vectorOf(b.getF32Type(), channelScales.size()), channelScales)),
        zero = constant(b, named(loc, "_zero_point"),
                        onnx::makeInts(vectorOf(element, channelScales.size()),
                                       SmallVector<int64_t>(channelScales.size(), middle)));
  op->setOperand(1, dequantize(b, named(op->getLoc(), "_weight"), type, integer, scale, zero, shape.axis));
  passed(op, passName, "Product");
  if (bias.empty())
    return;

  // One scale a channel where the weight has them.
  SmallVector<float> biasScales;
  SmallVector<int64_t> biasIntegers;
  for (auto [c, value] : llvm::enumerate(bias)) {
    float s = inputScale * channelScales[shape.channels == 1 ? 0 : c];
    if (shape.channels > 1 || biasScales.empty())
      biasScales.push_back(s);
    biasIntegers.push_back(std::llrint(std::clamp(double(value) / s, -2147483647.0, 2147483647.0)));
  }
  loc = biasValue.getLoc();
  auto biasType = RankedTensorType::get({int64_t(bias.size())}, b.getF32Type());
  auto scaleType = biasScales.size() == 1 && !perChannel
                       ? RankedTensorType::get({}, b.getF32Type())
                       : RankedTensorType::get({int64_t(biasScales.size())}, b.getF32Type());
  Value biasInteger =
            constant(b, named(loc, "_quantized"),
                     onnx::makeInts(RankedTensorType::get(biasType.getShape(), b.getI32Type()), biasIntegers)),
        biasScale = constant(b, named(loc, "_scale"), onnx::makeFloats(scaleType, biasScales)),
        biasZero = constant(b, named(loc, "_zero_point"),
                            onnx::makeInts(RankedTensorType::get(scaleType.getShape(), b.getI32Type()),
                                           SmallVector<int64_t>(biasScales.size(), 0)));
  op->setOperand(2, dequantize(b, named(op->getLoc(), "_bias"), biasType, biasInteger, biasScale, biasZero, 0));
}

// A Relu or Clip before a QuantizeLinear whose type ends where it does:
//   %y = QuantizeLinear(Relu(%x), s, 0) : ui8   ->   QuantizeLinear(%x, s, 0)
void InsertQdq::dropTails() {
  for (Operation *op : llvm::to_vector(plan.tails)) {
    if (!isa<onnx::ReluOp, onnx::ClipOp>(op) || !op->getResult(0).hasOneUse() ||
        !isa<onnx::QuantizeLinearOp>(*op->getResult(0).getUsers().begin()))
      continue;
    Scale s = scales[op->getResult(0)];
    double low = (integers.low() - s.zero) * double(s.scale), high = (integers.high() - s.zero) * double(s.scale);
    double from = 0, to = INFINITY;
    if (auto clip = dyn_cast<onnx::ClipOp>(op)) {
      from = onnx::isNone(clip.getMin()) ? -INFINITY : onnx::getConstantFloat(clip.getMin()).value_or(INFINITY);
      to = onnx::isNone(clip.getMax()) ? INFINITY : onnx::getConstantFloat(clip.getMax()).value_or(-INFINITY);
    }
    // Half a step beyond the limit rounds to it.
    if (low < from - 0.49 * s.scale || high > to + 0.49 * s.scale)
      continue;
    op->getResult(0).replaceAllUsesWith(op->getOperand(0));
    op->erase();
  }
}

} // namespace
} // namespace burin::quant
