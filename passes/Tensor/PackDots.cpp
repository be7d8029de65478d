// The layout is nn::DotLayout's. Weights become signed: unsigned ones and those with a zero point where the difference
// fits 8 bits. What the input's zero point, and the machine's shift of it, take part in is the same for every pixel, so
// it is what the sums begin with.
#include "passes/Tensor/PackDots.h"

#include "lib/Support/Packing.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

using namespace mlir;
using namespace burin;

namespace {

// Bytes of a constant of 8-bit integers, one where all are the same.
ArrayRef<char> bytesOf(ElementsAttr attribute) {
  if (auto dense = dyn_cast<DenseElementsAttr>(attribute))
    return dense.getRawData();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      return blob->getData();
  return {};
}

// Constant weights as numbers less their zero point, each of which fits 8 bits.
class Weights {
public:
  static FailureOr<Weights> get(Value operand, int64_t zeroPoint, bool isUnsigned, std::string &reason) {
    ElementsAttr value;
    auto type = dyn_cast<RankedTensorType>(operand.getType());
    if (!type || !type.hasStaticShape() || !matchPattern(operand, m_Constant(&value)))
      return reason = "the weights are not constant", failure();
    Weights w;
    w.bytes = bytesOf(value);
    w.splat = value.isSplat();
    w.zeroPoint = zeroPoint;
    w.isUnsigned = isUnsigned;
    int64_t count = type.getNumElements();
    if (count == 0 || (int64_t)w.bytes.size() < (w.splat ? 1 : count))
      return reason = "the weights are empty, or their bytes not at hand", failure();
    for (int64_t i = 0; i < (w.splat ? 1 : count); ++i)
      if (w.at(i) < -128 || w.at(i) > 127)
        return reason = "the weights less their zero point do not fit 8 bits", failure();
    return w;
  }
  int64_t at(int64_t i) const {
    char byte = bytes[splat ? 0 : i];
    return (isUnsigned ? int64_t(uint8_t(byte)) : int64_t(int8_t(byte))) - zeroPoint;
  }

private:
  ArrayRef<char> bytes;
  bool splat, isUnsigned;
  int64_t zeroPoint;
};

// Where a sum begins: what the input's zero point takes part in. It wraps, as the kernel's sums do.
void putFirst(char *to, int64_t inputZeroPoint, int64_t sum) {
  uint32_t first = uint32_t(-inputZeroPoint * sum);
  for (int64_t byte = 0; byte < 4; ++byte)
    to[byte] = char(first >> (8 * byte));
}

/// A constant of zeros whose bytes `fill` writes.
Value makePacked(OpBuilder &constants, Location loc, ArrayRef<int64_t> shape, llvm::function_ref<void(char *)> fill) {
  auto type = RankedTensorType::get(shape, constants.getI8Type());
  AsmResourceBlob blob = HeapAsmResourceBlob::allocate(type.getNumElements(), 64);
  char *target = blob.getMutableData().data();
  std::memset(target, 0, type.getNumElements());
  fill(target);
  return arith::ConstantOp::create(constants, loc, type,
                                   DenseResourceElementsAttr::get(type, "packed", std::move(blob)));
}

// Weights [rows, run, groups * channels].
Value pack(const Weights &weights, const nn::DotLayout &layout, int64_t groups, int64_t channels,
           int64_t inputZeroPoint, OpBuilder &constants, Location loc) {
  int64_t blocks = llvm::divideCeil(channels, layout.block), all = groups * channels;
  return makePacked(constants, loc, {groups * blocks, layout.blockBytes()}, [&](char *target) {
    for (int64_t channel = 0; channel < all; ++channel) {
      int64_t inGroup = channel % channels, lane = inGroup % layout.block, sum = 0;
      char *to = target + (channel / channels * blocks + inGroup / layout.block) * layout.blockBytes();
      for (int64_t row = 0; row < layout.rows; ++row)
        for (int64_t i = 0; i < layout.run; ++i) {
          int64_t weight = weights.at((row * layout.run + i) * all + channel);
          to[layout.byteOf(row, i, lane)] = char(weight);
          sum += weight;
        }
      putFirst(to + lane * 4, inputZeroPoint, sum);
    }
  });
}

} // namespace

LogicalResult burin::packForDots(const Machine &machine, nn::ConvOp conv, OpBuilder &constants, std::string &reason) {
  auto in = cast<ShapedType>(conv.getInput().getType()), out = cast<ShapedType>(conv.getInit().getType()),
       filter = cast<ShapedType>(conv.getFilter().getType());
  int64_t groups = conv.getGroups(), channels = out.getShape().back();
  if (!in.getElementType().isInteger(8) || ShapedType::isDynamic(in.getShape().back()) || !filter.hasStaticShape() ||
      ShapedType::isDynamic(channels))
    return reason = "the input is not of 8 bits, or channels are known at run time only", failure();
  int64_t block = dotBlock(machine, channels / groups);
  if (!block)
    return reason = "the machine has no products of bytes", failure();
  FailureOr<Weights> weights =
      Weights::get(conv.getFilter(), conv.getFilterZeroPoint(), conv.getFilterUnsigned(), reason);
  if (failed(weights))
    return failure();
  SmallVector<int64_t> kernel(filter.getShape().drop_back(2));
  conv.getFilterMutable().assign(pack(*weights, nn::dotLayout(conv, kernel, block), groups, channels / groups,
                                      conv.getInputZeroPoint() + dotShift(machine, conv.getInputUnsigned()), constants,
                                      conv.getFilter().getLoc()));
  conv.setPacked(block);
  conv.setKernel(kernel);
  conv.setFilterZeroPoint(0);
  conv.setFilterUnsigned(false);
  return success();
}

LogicalResult burin::packForDots(const Machine &machine, nn::MatmulOp matmul, OpBuilder &constants,
                                 std::string &reason) {
  auto lhs = cast<ShapedType>(matmul.getLhs().getType()), rhs = cast<ShapedType>(matmul.getRhs().getType());
  if (!lhs.getElementType().isInteger(8) || !rhs.hasStaticShape() || rhs.getRank() != 2 || matmul.getTransposeRhs())
    return reason = "not 8 bits by one matrix of 8 bits that lies as it is", failure();
  int64_t n = rhs.getDimSize(1), block = dotBlock(machine, n);
  if (!block)
    return reason = "the machine has no products of bytes", failure();
  FailureOr<Weights> weights = Weights::get(matmul.getRhs(), matmul.getRhsZeroPoint(), matmul.getRhsUnsigned(), reason);
  if (failed(weights))
    return failure();
  matmul.getRhsMutable().assign(pack(*weights, {block, rhs.getDimSize(0), 1}, 1, n,
                                     matmul.getLhsZeroPoint() + dotShift(machine, matmul.getLhsUnsigned()), constants,
                                     matmul.getRhs().getLoc()));
  matmul.setPacked(block);
  matmul.setRhsZeroPoint(0);
  matmul.setRhsUnsigned(false);
  return success();
}
