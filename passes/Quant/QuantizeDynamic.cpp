// Dynamic quantization: the activation's scale is found at run time by DynamicQuantizeLinear; weights are integers.
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"
#include "passes/Quant/Weights.h"

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_QUANTIZEDYNAMIC
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "QuantizeDynamic";

class QuantizeDynamic : public impl::QuantizeDynamicBase<QuantizeDynamic> {
public:
  using QuantizeDynamicBase::QuantizeDynamicBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    SmallVector<Operation *> products = getProducts(main, {{keep.begin(), keep.end()}, {only.begin(), only.end()}});
    for (Operation *op : products)
      if (!isa<onnx::ConvTransposeOp>(op))
        quantize(op);
      else
        missed(op, passName, "Product", "ONNX has no integer ConvTranspose");
    eraseUnused(main);
    counted(getOperation(), passName, products.size());
  }

private:
  void quantize(Operation *op);
  llvm::DenseMap<Value, Operation *> ranges; // DynamicQuantizeLinear of a value, shared by its readers
};

// y = MatMul(x, W)   ->   q, s, z = DynamicQuantizeLinear(x); y = Cast(MatMulInteger(q, Wq, z)) * (s * sw)
void QuantizeDynamic::quantize(Operation *op) {
  OpBuilder b(op);
  Location loc = op->getLoc();
  Value x = op->getOperand(0);
  auto xType = cast<RankedTensorType>(x.getType()), yType = cast<RankedTensorType>(op->getResult(0).getType());
  auto typed = [&](RankedTensorType like, Type element) {
    return RankedTensorType::get(like.getShape(), element, like.getEncoding());
  };
  auto scalarType = [&](Type element) { return RankedTensorType::get({}, element); };
  Type f32 = b.getF32Type(), u8 = b.getIntegerType(8, /*isSigned=*/false), i8 = b.getI8Type();
  Operation *&range = ranges[x];
  if (!range) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointAfterValue(x);
    range = onnx::DynamicQuantizeLinearOp::create(b, named(x.getLoc(), "_quantize"),
                                                  TypeRange({typed(xType, u8), scalarType(f32), scalarType(u8)}),
                                                  ValueRange(x));
  }

  WeightOptions options{{true, 8}, perChannel, false, reduceRange};
  auto wType = cast<RankedTensorType>(op->getOperand(1).getType());
  SmallVector<float> weight = onnx::getFloats(floatConstant(op->getOperand(1)));
  auto gemm = dyn_cast<onnx::GemmOp>(op);
  WeightShape shape = weightShape(op, perChannel);
  SmallVector<float> scales = chooseWeightScales(weight, shape, options, {});
  std::vector<char> raw = quantizeWeight(weight, shape, scales, options);
  SmallVector<int64_t> wShape(wType.getShape());
  if (gemm && gemm.getTransB()) { // MatMulInteger has no transposition
    std::vector<char> turned(raw.size());
    for (int64_t r = 0; r < wShape[0]; ++r)
      for (int64_t c = 0; c < wShape[1]; ++c)
        turned[c * wShape[0] + r] = raw[r * wShape[1] + c];
    raw = std::move(turned);
    std::swap(wShape[0], wShape[1]);
  }
  Location wLoc = op->getOperand(1).getLoc();
  Value integers = constant(b, named(wLoc, "_quantized"),
                            onnx::makeConstantAttr(RankedTensorType::get(wShape, i8), raw, "quantized"));

  auto conv = dyn_cast<onnx::ConvOp>(op);
  Value sum;
  auto sumType = typed(yType, b.getI32Type());
  if (conv) {
    SmallVector<NamedAttribute> attributes;
    for (NamedAttribute attr : op->getAttrs())
      if (!attr.getName().strref().starts_with("burin."))
        attributes.push_back(attr);
    sum = make<onnx::ConvIntegerOp>(b, named(loc, "_integer"), sumType,
                                    {range->getResult(0), integers, range->getResult(2), noValue(b, loc)}, attributes);
  } else {
    sum = make<onnx::MatMulIntegerOp>(b, named(loc, "_integer"), sumType,
                                      {range->getResult(0), integers, range->getResult(2), noValue(b, loc)});
  }
  SmallVector<int64_t> scaleShape;
  if (scales.size() > 1) {
    scaleShape.push_back(scales.size());
    for (int64_t d = 2; conv && d < yType.getRank(); ++d)
      scaleShape.push_back(1);
  }
  auto scaleType = RankedTensorType::get(scaleShape, f32);
  Value weightScale = constant(b, named(wLoc, "_scale"), onnx::makeFloats(scaleType, scales));
  Value scale = make<onnx::MulOp>(b, named(loc, "_scale"), scaleType, {range->getResult(1), weightScale});
  Value real = make<onnx::CastOp>(b, named(loc, "_cast"), yType, sum, b.getNamedAttr("to", b.getI64IntegerAttr(1)));
  Value y = make<onnx::MulOp>(b, loc, yType, {real, scale});
  Value bias = op->getNumOperands() > 2 ? op->getOperand(2) : Value();
  if (bias && !onnx::isNone(bias)) {
    if (ElementsAttr given = floatConstant(bias); conv && given) {
      SmallVector<int64_t> dims(scaleShape);
      dims.assign(yType.getRank() - 1, 1);
      dims.front() = given.getNumElements();
      bias = constant(b, bias.getLoc(), onnx::makeFloats(RankedTensorType::get(dims, f32), onnx::getFloats(given)));
    }
    y = make<onnx::AddOp>(b, named(loc, "_sum"), yType, {y, bias});
  }
  passed(op, passName, "Product");
  op->getResult(0).replaceAllUsesWith(y);
  op->erase();
}

} // namespace
} // namespace burin::quant
