// Reads scales and zero points; changes nothing.
#include "passes/Lower/Qdq.h"

#include "dialects/Onnx/OnnxUtils.h"

using namespace mlir;
using namespace burin;
using namespace burin::lower;

static RankedTensorType typeOf(Value v) { return cast<RankedTensorType>(v.getType()); }

bool lower::isByte(Type element) { return element.isSignlessInteger(8) || element.isUnsignedInteger(8); }

template <typename Op> static std::optional<Quantization> read(Op op, Value scale, Value zero, Value quantized) {
  auto type = dyn_cast<RankedTensorType>(quantized.getType());
  auto scaleType = dyn_cast<RankedTensorType>(scale.getType());
  if (!type || !scaleType || !scaleType.getElementType().isF32() || scaleType.getRank() > 1 || op.getBlockSize() != 0)
    return std::nullopt;
  std::optional<SmallVector<float>> scales = onnx::getConstantFloats(scale);
  if (!scales || scales->empty())
    return std::nullopt;
  Quantization q;
  q.scale = *scales;
  q.element = type.getElementType();
  q.axis = op.getAxis() < 0 ? op.getAxis() + type.getRank() : op.getAxis();
  if (!onnx::isNone(zero)) {
    std::optional<SmallVector<int64_t>> zeros = onnx::getConstantInts(zero);
    if (!zeros || zeros->empty() || !llvm::all_equal(*zeros))
      return std::nullopt;
    q.zero = zeros->front();
  }
  return q;
}
std::optional<Quantization> lower::quantizationOf(onnx::DequantizeLinearOp op) {
  return read(op, op.getXScale(), op.getXZeroPoint(), op.getX());
}
std::optional<Quantization> lower::quantizationOf(onnx::QuantizeLinearOp op) {
  auto input = dyn_cast<RankedTensorType>(op.getX().getType());
  if (op.getPrecision() != 0 || !input || !input.getElementType().isF32())
    return std::nullopt;
  return read(op, op.getYScale(), op.getYZeroPoint(), op.getY());
}

Dequantized lower::dequantized(Value v) {
  auto op = v.getDefiningOp<onnx::DequantizeLinearOp>();
  if (!op || !isa<RankedTensorType>(v.getType()) || !typeOf(v).getElementType().isF32() ||
      !isa<RankedTensorType>(op.getX().getType()) || !isByte(typeOf(op.getX()).getElementType()))
    return {};
  std::optional<Quantization> q = quantizationOf(op);
  return q ? Dequantized{op, *q} : Dequantized();
}

SmallVector<float> lower::floatsOf(Value v) {
  if (auto op = v.getDefiningOp<onnx::DequantizeLinearOp>()) {
    std::optional<Quantization> q = quantizationOf(op);
    std::optional<SmallVector<int64_t>> ints = onnx::getConstantInts(op.getX());
    if (!q || !ints)
      return {};
    ArrayRef<int64_t> shape = typeOf(op.getX()).getShape();
    int64_t inner = 1, count = q->scale.size();
    if (!q->isScalar()) {
      if (q->axis >= int64_t(shape.size()) || shape[q->axis] != count)
        return {};
      for (int64_t size : shape.drop_front(q->axis + 1))
        inner *= size;
    }
    SmallVector<float> values;
    for (auto [i, x] : llvm::enumerate(*ints))
      values.push_back(float(x - q->zero) * q->scale[int64_t(i) / inner % count]);
    return values;
  }
  return onnx::getConstantFloats(v).value_or(SmallVector<float>());
}
