// The integers become words as nn::StoredLayout has them, all columns one block; the tensor stage makes blocks of it.
#include "passes/Lower/StoredWeights.h"
#include "dialects/Nn/Stored.h"
#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

#include "mlir/IR/DialectResourceBlobManager.h"

using namespace mlir;

namespace burin::lower {
namespace {

/// Fields of a constant of integers of 2, 4 or 8 bits, as unsigned numbers: signed ones moved up by half their range.
struct Fields {
  onnx::RawElements raw;
  int64_t bits, middle;
  unsigned operator[](int64_t i) const {
    if (raw.splat)
      i = 0;
    unsigned field = (uint8_t(raw.bytes[i * bits / 8]) >> (i * bits % 8)) & ((1u << bits) - 1);
    return field ^ unsigned(middle);
  }
};

std::optional<Fields> fieldsOf(Value v) {
  ElementsAttr attr = onnx::getConstantAttr(v);
  auto type = attr ? dyn_cast<IntegerType>(attr.getElementType()) : IntegerType();
  if (!type || (type.getWidth() != 2 && type.getWidth() != 4 && type.getWidth() != 8))
    return std::nullopt;
  auto raw = onnx::getRawElements(attr);
  if (!raw)
    return std::nullopt;
  return Fields{*raw, type.getWidth(), type.isUnsigned() ? 0 : int64_t(1) << (type.getWidth() - 1)};
}

// The product that reads `use` as its right operand's floats, or the gather of its rows.
bool readsStored(OpOperand &use) {
  Operation *op = use.getOwner();
  if (auto gather = dyn_cast<onnx::GatherOp>(op))
    return use.getOperandNumber() == 0 && use.get().getDefiningOp<onnx::DequantizeLinearOp>() &&
           normalizeAxis(gather.getAxis(), 2) == 0 && getStoredMatrix(use.get(), true);
  if (use.getOperandNumber() != 1)
    return false;
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return getStoredMatrix(use.get(), gemm.getTransB()).has_value();
  return isa<onnx::MatMulOp>(op) && getStoredMatrix(use.get(), false);
}

bool isHalf(float x) {
  bool lost;
  APFloat value(x);
  value.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &lost);
  return !lost;
}

/// Zero points as fields, nothing where all are the middle.
std::optional<Fields> zerosOf(const StoredMatrix &m, const Fields &fields, size_t count) {
  if (onnx::isNone(onnx::DequantizeLinearOp(m.op).getXZeroPoint())) {
    if (fields.middle)
      return std::nullopt;
    return Fields{{ArrayRef<char>("", 1), /*splat=*/true, nullptr}, m.bits, 0}; // of unsigned ones: 0
  }
  Fields zeros = *fieldsOf(onnx::DequantizeLinearOp(m.op).getXZeroPoint());
  for (size_t i = 0; i < count; ++i)
    if (zeros[i] != 1u << (m.bits - 1))
      return zeros;
  return std::nullopt;
}

void putScale(char *to, float scale, bool half) {
  APFloat value(scale);
  bool lost;
  if (half)
    value.convert(APFloat::IEEEhalf(), APFloat::rmNearestTiesToEven, &lost);
  uint64_t bits = value.bitcastToAPInt().getZExtValue();
  std::memcpy(to, &bits, half ? 2 : 4);
}

Value makeBytes(Lowering &l, ArrayRef<int64_t> shape, Type element, llvm::function_ref<void(char *)> fill) {
  auto type = RankedTensorType::get(shape, element);
  int64_t bytes = type.getNumElements() * element.getIntOrFloatBitWidth() / 8;
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(bytes, 64);
  std::memset(blob.getMutableData().data(), 0, bytes);
  fill(blob.getMutableData().data());
  return arith::ConstantOp::create(l.b, type, DenseResourceElementsAttr::get(type, "stored", std::move(blob)));
}

} // namespace

std::optional<StoredMatrix> getStoredMatrix(Value v, bool isTransposed) {
  if (auto transpose = v.getDefiningOp<onnx::TransposeOp>()) {
    auto type = dyn_cast<RankedTensorType>(v.getType());
    auto perm = transpose.getPerm(); // none: all dims turned round
    if (!type || type.getRank() != 2 || (perm && (*perm)[0] == 0))
      return std::nullopt;
    isTransposed = !isTransposed;
    v = transpose.getData();
  }
  auto op = v.getDefiningOp<onnx::DequantizeLinearOp>();
  auto type = op ? dyn_cast<RankedTensorType>(op.getY().getType()) : RankedTensorType();
  auto scale = op ? dyn_cast<RankedTensorType>(op.getXScale().getType()) : RankedTensorType();
  if (!type || !scale || type.getRank() != 2 || !type.hasStaticShape() || type.getNumElements() == 0 ||
      !scale.hasStaticShape() || !nn::defaultAccumulator(type.getElementType()).isF32() ||
      type.getElementType().getIntOrFloatBitWidth() < 16 || !onnx::getConstantFloats(op.getXScale()))
    return std::nullopt;
  std::optional<Fields> fields = fieldsOf(op.getX());
  if (!fields || (!onnx::isNone(op.getXZeroPoint()) && !fieldsOf(op.getXZeroPoint())))
    return std::nullopt;
  int64_t along = isTransposed ? 1 : 0, axis = normalizeAxis(op.getAxis(), 2), block = op.getBlockSize();
  StoredMatrix m{op, isTransposed, type.getDimSize(along), type.getDimSize(1 - along), fields->bits, 0, false};
  if (scale.getNumElements() == 1) {
    m.run = m.rows;
    m.isWhole = true;
  } else if (scale.getRank() == 1 && axis != along && scale.getDimSize(0) == m.columns) {
    m.run = m.rows;
  } else if (scale.getRank() == 2 && axis == along && scale.getDimSize(1 - along) == m.columns) {
    int64_t count = scale.getDimSize(along);
    m.run = block > 0 ? block : llvm::divideCeil(m.rows, count);
    if (int64_t(llvm::divideCeil(m.rows, m.run)) != count)
      return std::nullopt;
  } else {
    return std::nullopt;
  }
  return m;
}

bool isStoredWeight(Operation *op) {
  if (!isa<onnx::DequantizeLinearOp, onnx::TransposeOp>(op) || op->use_empty())
    return false;
  return llvm::all_of(op->getUses(), [](OpOperand &use) {
    return readsStored(use) || (isa<onnx::TransposeOp>(use.getOwner()) && isStoredWeight(use.getOwner()));
  });
}

std::optional<StoredMatrix> getStoredWeight(Lowering &l, Value v, bool isTransposed) {
  if (!l.storesWeights || !v.getDefiningOp() || !isStoredWeight(v.getDefiningOp()))
    return std::nullopt;
  return getStoredMatrix(v, isTransposed);
}

nn::MatmulOp createStoredMatmul(Lowering &l, Value lhs, const StoredMatrix &m, const Shaped &type) {
  onnx::DequantizeLinearOp op = m.op;
  Fields fields = *fieldsOf(op.getX());
  SmallVector<float> scales = *onnx::getConstantFloats(op.getXScale());
  std::optional<Fields> zeros = zerosOf(m, fields, scales.size());
  bool half = llvm::all_of(scales, isHalf);
  nn::StoredLayout layout{m.bits, m.run, m.rows, m.columns, m.columns, half ? 2 : 4, zeros.has_value()};
  int64_t groups = layout.groups();
  auto parameter = [&](int64_t group, int64_t c) { return m.parameterOf(group, c); };
  Value rhs = makeBytes(l, layout.bytes(), l.b.getI8Type(), [&](char *target) {
    for (int64_t group = 0; group < groups; ++group) {
      char *to = target + layout.start(0, group);
      for (int64_t c = 0; c < m.columns; ++c) {
        putScale(to + c * layout.scaleBytes, scales[parameter(group, c)], half);
        if (zeros)
          to[m.columns * layout.scaleBytes + c] = char((*zeros)[parameter(group, c)]);
      }
      for (int64_t row = 0; row < layout.rowsOf(group); ++row) {
        int64_t k = group * m.run + row, bit = row % layout.perWord() * m.bits;
        char *word = to + layout.wordAt(row / layout.perWord(), 0, m.columns) + bit / 8;
        for (int64_t c = 0; c < m.columns; ++c, word += 4)
          *word = char(uint8_t(*word) | fields[m.isTransposed ? c * m.rows + k : k * m.columns + c] << bit % 8);
      }
    }
  });
  Type scaleType = half ? Type(l.b.getF16Type()) : l.b.getF32Type();
  SmallVector<NamedAttribute> attributes = {
      l.b.getNamedAttr("packed", l.b.getI64IntegerAttr(m.columns)),
      l.b.getNamedAttr("stored", nn::StoredAttr::get(l.b.getContext(), m.bits, m.run, scaleType, zeros.has_value()))};
  auto matmul = nn::MatmulOp::create(l.b, ValueRange{lhs, rhs}, l.empty(type), attributes);
  l.built(matmul->getResult(0), type.shape);
  return matmul;
}

Value gatherStored(Lowering &l, Value indices, const StoredMatrix &m, const Shaped &type) {
  onnx::DequantizeLinearOp op = m.op;
  Fields fields = *fieldsOf(op.getX());
  SmallVector<float> scales = *onnx::getConstantFloats(op.getXScale());
  std::optional<Fields> zeros = zerosOf(m, fields, scales.size());
  bool half = llvm::all_of(scales, isHalf);
  int64_t perByte = 8 / m.bits, groups = llvm::divideCeil(m.rows, m.run), rowBytes = llvm::divideCeil(m.rows, perByte);
  Type i8 = l.b.getI8Type(), i32 = l.b.getI32Type(), f32 = l.b.getF32Type();
  Value bytes = makeBytes(l, {m.columns, rowBytes}, i8, [&](char *to) {
    for (int64_t c = 0; c < m.columns; ++c)
      for (int64_t i = 0; i < m.rows; ++i) {
        char &byte = to[c * rowBytes + i / perByte];
        byte = char(uint8_t(byte) | fields[c * m.rows + i] << i % perByte * m.bits);
      }
  });
  Value scale = makeBytes(l, {m.columns, groups}, half ? Type(l.b.getF16Type()) : f32, [&](char *to) {
    for (int64_t c = 0; c < m.columns; ++c)
      for (int64_t group = 0; group < groups; ++group)
        putScale(to + (c * groups + group) * (half ? 2 : 4), scales[m.parameterOf(group, c)], half);
  });
  Value zero;
  if (zeros)
    zero = makeBytes(l, {m.columns, groups}, i8, [&](char *to) {
      for (int64_t c = 0; c < m.columns; ++c)
        for (int64_t group = 0; group < groups; ++group)
          to[c * groups + group] = char((*zeros)[m.parameterOf(group, c)]);
    });
  Value last = l.index(m.columns);
  return mapIndexed(
      l, type, indices, selectDims(l, 2, 0), [&](ImplicitLocOpBuilder &b, ArrayRef<Value> loops, ValueRange args) {
        auto index = [&](int64_t value) -> Value { return arith::ConstantIndexOp::create(b, value); };
        auto integer = [&](int64_t value) -> Value { return arith::ConstantIntOp::create(b, i32, value); };
        Value row = safeIndex(b, args[0], last), column = loops[1];
        Value byte = extract(b, bytes, {row, b.createOrFold<arith::DivUIOp>(column, index(perByte))});
        Value group = b.createOrFold<arith::DivUIOp>(column, index(m.run));
        Value number = arith::ExtUIOp::create(b, i32, byte);
        if (perByte > 1) {
          Value bit = arith::MulIOp::create(b, arith::RemUIOp::create(b, column, index(perByte)), index(m.bits));
          number = arith::ShRUIOp::create(b, number, arith::IndexCastOp::create(b, i32, bit));
          number = arith::AndIOp::create(b, number, integer((1 << m.bits) - 1));
        }
        Value less = zero ? arith::ExtUIOp::create(b, i32, extract(b, zero, {row, group})).getResult()
                          : integer(int64_t(1) << (m.bits - 1));
        Scalars s(b, false);
        Value real = s.cast(arith::SubIOp::create(b, number, less), f32);
        return s.cast(s.mul(real, s.cast(extract(b, scale, {row, group}), f32)), type.getElementType());
      });
}

} // namespace burin::lower
