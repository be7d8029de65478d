// Weight-only quantization: weights of 8 or 4 bits, blocks of the summed dim with scales of their own, products in
// float. The standard form is DequantizeLinear with a block size (opset 21); MatMulNBits is what some runtimes have
// fast kernels for.
#include "passes/Quant/Blocks.h"
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"
#include "passes/Quant/Weights.h"

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_QUANTIZEWEIGHTS
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "QuantizeWeights";

class QuantizeWeights : public impl::QuantizeWeightsBase<QuantizeWeights> {
public:
  using QuantizeWeightsBase::QuantizeWeightsBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    if ((bits != 8 && bits != 4) || block < 0 || (block > 0 && (block < 16 || (block & (block - 1))))) {
      main.emitError() << "expected bits 8 or 4 and a block of 16, 32, 64, ... or 0, got " << bits << " and " << block;
      return signalPassFailure();
    }
    unsigned count = 0;
    for (Operation &op : llvm::make_early_inc_range(main.front())) {
      if (llvm::any_of(keep,
                       [&](StringRef name) { return name == onnx::getNodeName(&op) || name == onnx::getOpType(&op); }))
        continue;
      if (isa<onnx::MatMulOp, onnx::GemmOp>(op) && roleOf(&op) == Role::Product)
        count += product(&op);
      else if (auto gather = dyn_cast<onnx::GatherOp>(op))
        count += embedding(gather);
    }
    eraseUnused(main);
    counted(getOperation(), passName, count);
  }

private:
  bool product(Operation *op);
  bool embedding(onnx::GatherOp op);
  Value dequantized(OpBuilder &b, Operation *op, Location loc, const Blocks &blocks, bool isTransposed);
  Value nBits(OpBuilder &b, Operation *op, const Blocks &blocks);
};

// Fields of `bits` each, low bits first.
static std::vector<char> packed(int64_t count, int64_t bits, llvm::function_ref<int64_t(int64_t)> at) {
  std::vector<char> raw(llvm::divideCeil(count * bits, 8));
  for (int64_t i = 0; i < count; ++i)
    raw[i * bits / 8] |= char((at(i) & ((1 << bits) - 1)) << (i * bits % 8));
  return raw;
}

// DequantizeLinear of [k, n] with scales [count, n] along k; `isTransposed`: of [n, k] with scales [n, count].
Value QuantizeWeights::dequantized(OpBuilder &b, Operation *op, Location loc, const Blocks &blocks, bool isTransposed) {
  int64_t offset = asymmetric ? 0 : int64_t(1) << (bits - 1), k = blocks.k, n = blocks.n, count = blocks.count;
  Type element = asymmetric ? b.getIntegerType(bits, /*isSigned=*/false) : b.getIntegerType(bits);
  auto shaped = [&](int64_t rows) {
    return isTransposed ? SmallVector<int64_t>{n, rows} : SmallVector<int64_t>{rows, n};
  };
  // Where element i of a constant lies in an array [n][rows].
  auto cell = [&](int64_t i, int64_t rows) { return isTransposed ? i : (i % n) * rows + i / n; };
  bool isWhole = count == 1;
  SmallVector<int64_t> scaleShape = isWhole ? SmallVector<int64_t>{n} : shaped(count);
  std::vector<char> raw = packed(k * n, bits, [&](int64_t i) { return blocks.integers[cell(i, k)] - offset; });
  SmallVector<float> scales(blocks.scales.size());
  for (int64_t i = 0; i < int64_t(scales.size()); ++i)
    scales[i] = blocks.scales[cell(i, count)];
  auto real = RankedTensorType::get(shaped(k), b.getF32Type());
  Value integers = constant(b, named(loc, "_quantized"), onnx::makeConstantAttr(real.clone(element), raw, "quantized"));
  Value scale =
      constant(b, named(loc, "_scale"), onnx::makeFloats(RankedTensorType::get(scaleShape, b.getF32Type()), scales));
  Value zero = noValue(b, loc);
  if (asymmetric)
    zero = constant(b, named(loc, "_zero_point"),
                    onnx::makeConstantAttr(
                        RankedTensorType::get(scaleShape, element),
                        packed(scales.size(), bits, [&](int64_t i) { return blocks.zeros[cell(i, count)]; }), "zeros"));
  SmallVector<NamedAttribute> attributes;
  // Scales lie along n where there is one a column, else along k; 1 is the default.
  if (isTransposed == isWhole)
    attributes.push_back(b.getNamedAttr("axis", b.getI64IntegerAttr(0)));
  if (!isWhole)
    attributes.push_back(b.getNamedAttr("block_size", b.getI64IntegerAttr(blocks.block)));
  return make<onnx::DequantizeLinearOp>(b, named(op->getLoc(), "_weight"), real, {integers, scale, zero}, attributes);
}

// MatMulNBits(x, B [n, count, bytes of a block], scales [n * count], zero points packed the same way, none, bias)
Value QuantizeWeights::nBits(OpBuilder &b, Operation *op, const Blocks &blocks) {
  Location loc = op->getLoc();
  int64_t blockBytes = blocks.block * bits / 8, zeroBytes = llvm::divideCeil(blocks.count * bits, 8);
  std::vector<char> raw(blocks.n * blocks.count * blockBytes), zeros(blocks.n * zeroBytes);
  for (int64_t n = 0; n < blocks.n; ++n) {
    for (int64_t i = 0; i < blocks.k; ++i)
      raw[n * blocks.count * blockBytes + i * bits / 8] |= char(blocks.integers[n * blocks.k + i] << (i * bits % 8));
    for (int64_t c = 0; c < blocks.count; ++c)
      zeros[n * zeroBytes + c * bits / 8] |= char(blocks.zeros[n * blocks.count + c] << (c * bits % 8));
  }
  Type u8 = b.getIntegerType(8, /*isSigned=*/false);
  SmallVector<Value> operands = {
      op->getOperand(0),
      constant(
          b, named(loc, "_weight"),
          onnx::makeConstantAttr(RankedTensorType::get({blocks.n, blocks.count, blockBytes}, u8), raw, "quantized")),
      constant(
          b, named(loc, "_scale"),
          onnx::makeFloats(RankedTensorType::get({int64_t(blocks.scales.size())}, b.getF32Type()), blocks.scales))};
  if (asymmetric)
    operands.push_back(
        constant(b, named(loc, "_zero_point"),
                 onnx::makeConstantAttr(RankedTensorType::get({int64_t(zeros.size())}, u8), zeros, "zeros")));
  if (auto gemm = dyn_cast<onnx::GemmOp>(op); gemm && !onnx::isNone(gemm.getC())) {
    while (operands.size() < 5) // zero points, the order of rows
      operands.push_back(noValue(b, loc));
    operands.push_back(gemm.getC());
  }
  auto integer = [&](StringRef name, int64_t value) { return b.getNamedAttr(name, b.getI64IntegerAttr(value)); };
  auto attributes = b.getDictionaryAttr(
      {integer("K", blocks.k), integer("N", blocks.n), integer("bits", bits), integer("block_size", blocks.block)});
  return onnx::CustomOp::create(b, loc, TypeRange(op->getResult(0).getType()), operands,
                                {b.getNamedAttr("op_type", b.getStringAttr("MatMulNBits")),
                                 b.getNamedAttr("domain", b.getStringAttr("com.microsoft")),
                                 b.getNamedAttr("node_attributes", attributes),
                                 b.getNamedAttr("since_version", b.getI64IntegerAttr(1))})
      ->getResult(0);
}

bool QuantizeWeights::product(Operation *op) {
  auto type = cast<RankedTensorType>(op->getOperand(1).getType());
  if (type.getNumElements() < least) {
    missed(op, passName, "Product", "the weight is small");
    return false;
  }
  auto gemm = dyn_cast<onnx::GemmOp>(op);
  bool isTransposed = gemm && gemm.getTransB();
  int64_t k = type.getDimSize(isTransposed ? 1 : 0), n = type.getDimSize(isTransposed ? 0 : 1);
  Value bias = gemm ? gemm.getC() : Value();
  auto biasType = bias ? dyn_cast<RankedTensorType>(bias.getType()) : RankedTensorType();
  bool hasBias = !onnx::isNone(bias), isRow = biasType && biasType.getShape() == ArrayRef<int64_t>{n};
  if (matmulNBits && (block == 0 || (hasBias && !isRow))) {
    missed(op, passName, "Product", "MatMulNBits wants a block size and, where there is a summand, one a column");
    return false;
  }
  SmallVector<float> weight = onnx::getFloats(floatConstant(op->getOperand(1)));
  Blocks blocks = makeBlocks(weight, k, n, isTransposed, {bits, block, asymmetric});
  OpBuilder b(op);
  passed(op, passName, "Product");
  if (matmulNBits) {
    op->getResult(0).replaceAllUsesWith(nBits(b, op, blocks));
    op->erase();
    return true;
  }
  op->setOperand(1, dequantized(b, op, op->getOperand(1).getLoc(), blocks, /*isTransposed=*/false));
  if (gemm)
    gemm.setTransB(0);
  return true;
}

// Gather(T, i)   ->   Cast(Gather(Tq, i)) * Gather(s, i), a scale a row
// ONNX gathers no integers below a byte, so those and blocks are Gather(DequantizeLinear(Tq, s), i).
bool QuantizeWeights::embedding(onnx::GatherOp op) {
  ElementsAttr table = floatConstant(op.getData());
  RankedTensorType type = floatTensor(op.getData()), result = floatTensor(op.getOutput());
  if (!table || !result || type.getRank() != 2 || op.getAxis() != 0 || type.getNumElements() < least ||
      isConstant(op.getIndices()))
    return false;
  SmallVector<float> values = onnx::getFloats(table);
  int64_t rows = type.getDimSize(0), columns = type.getDimSize(1);
  if (bits < 8 || block > 0 || asymmetric) {
    OpBuilder b(op);
    Blocks blocks = makeBlocks(values, columns, rows, /*isTransposed=*/true, {bits, block, asymmetric});
    passed(op, passName, "Embedding");
    op.getDataMutable().assign(dequantized(b, op, op.getData().getLoc(), blocks, /*isTransposed=*/true));
    return true;
  }
  WeightShape shape{1, rows, columns, 0};
  WeightOptions options{{true, 8}, true, false, false};
  SmallVector<float> scales = chooseWeightScales(values, shape, options, {});
  OpBuilder b(op);
  Location loc = op.getData().getLoc();
  Value integers = constant(b, named(loc, "_quantized"),
                            onnx::makeConstantAttr(RankedTensorType::get(type.getShape(), b.getI8Type()),
                                                   quantizeWeight(values, shape, scales, options), "quantized"));
  Value scale =
      constant(b, named(loc, "_scale"), onnx::makeFloats(RankedTensorType::get({rows, 1}, b.getF32Type()), scales));
  SmallVector<int64_t> scaleShape(result.getShape());
  scaleShape.back() = 1;
  SmallVector<NamedAttribute> axis = {b.getNamedAttr("axis", b.getI64IntegerAttr(0))};
  Value taken = make<onnx::GatherOp>(b, named(op.getLoc(), "_integer"),
                                     RankedTensorType::get(result.getShape(), b.getI8Type(), result.getEncoding()),
                                     {integers, op.getIndices()}, axis);
  Value factor = make<onnx::GatherOp>(b, named(op.getLoc(), "_scale"),
                                      RankedTensorType::get(scaleShape, b.getF32Type(), result.getEncoding()),
                                      {scale, op.getIndices()}, axis);
  Value real =
      make<onnx::CastOp>(b, named(op.getLoc(), "_cast"), result, taken, b.getNamedAttr("to", b.getI64IntegerAttr(1)));
  passed(op, passName, "Embedding");
  op.getOutput().replaceAllUsesWith(make<onnx::MulOp>(b, op.getLoc(), result, {real, factor}));
  op.erase();
  return true;
}

} // namespace
} // namespace burin::quant
