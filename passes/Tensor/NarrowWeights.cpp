// tensor-narrow-weights: f32 weights that a shorter float holds exactly, as those of a model whose file stores them so,
// lie in memory as that. Kernels widen what they load: the same numbers from half the bytes.
#include "dialects/Nn/Nn.h"
#include "lib/Support/Machine.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Remarks.h"

namespace burin {
#define GEN_PASS_DEF_NARROWWEIGHTS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

uint32_t bitsOf(const char *bytes) {
  uint32_t bits; // the file's bytes may lie at any address
  std::memcpy(&bits, bytes, sizeof(bits));
  return bits;
}

// As a number of that type where it is one, infinities and NaN not among them.
std::optional<uint16_t> asBrain(uint32_t bits) {
  bool isFinite = (bits >> 23 & 255) != 255;
  return isFinite && !(bits & 0xffff) ? std::optional<uint16_t>(bits >> 16) : std::nullopt;
}
std::optional<uint16_t> asHalf(uint32_t bits) {
  uint32_t sign = bits >> 16 & 0x8000, fraction = bits & 0x7fffff;
  int exponent = int(bits >> 23 & 255) - 127;
  if (!(bits & 0x7fffffff))
    return sign;
  if (exponent > 15 || exponent < -24)
    return std::nullopt;
  // Below 2^-14 the leading one moves into the fraction.
  unsigned lost = exponent < -14 ? 13 + (-14 - exponent) : 13;
  uint32_t whole = exponent < -14 ? fraction | 0x800000 : fraction;
  if (whole & ((1u << lost) - 1))
    return std::nullopt;
  return sign | (exponent < -14 ? whole >> lost : uint32_t(exponent + 15) << 10 | whole >> lost);
}

struct NarrowWeights : burin::impl::NarrowWeightsBase<NarrowWeights> {
  using NarrowWeightsBase::NarrowWeightsBase;

  void runOnOperation() override {
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      emitError(getOperation().getLoc()) << "unknown machine '" << machineName << "'; expected one of "
                                         << machineNames();
      return signalPassFailure();
    }
    SmallVector<arith::ConstantOp> constants;
    getOperation().walk([&](arith::ConstantOp constant) { constants.push_back(constant); });
    for (arith::ConstantOp constant : constants) {
      auto type = dyn_cast<RankedTensorType>(constant.getType());
      if (!type || !type.getElementType().isF32() || type.getNumElements() < least || !isRead(constant))
        continue;
      auto resource = dyn_cast<DenseResourceElementsAttr>(constant.getValue());
      auto dense = dyn_cast<DenseElementsAttr>(constant.getValue());
      ArrayRef<char> bytes;
      if (dense && !dense.isSplat())
        bytes = dense.getRawData();
      else if (resource && resource.getRawHandle().getBlob())
        bytes = resource.getRawHandle().getBlob()->getData();
      if (int64_t(bytes.size()) < 4 * type.getNumElements())
        continue;
      Builder b(&getContext());
      if (machine->convertsHalf() && narrow(constant, bytes, b.getF16Type(), asHalf))
        continue;
      (void)narrow(constant, bytes, b.getBF16Type(), asBrain);
    }
  }

  // Only by kernels as a plain filter, or element by element.
  static bool isRead(arith::ConstantOp constant) {
    return !constant->use_empty() && llvm::all_of(constant->getUses(), [](OpOperand &use) {
      Operation *op = use.getOwner();
      if (isa<tensor::ExtractOp>(op))
        return true;
      auto conv = dyn_cast<nn::ConvOp>(op);
      return use.getOperandNumber() == 1 && ((conv && !conv.getWinograd()) || isa<nn::MatmulOp>(op));
    });
  }

  bool narrow(arith::ConstantOp constant, ArrayRef<char> bytes, Type element,
              llvm::function_ref<std::optional<uint16_t>(uint32_t)> convert) {
    auto type = cast<RankedTensorType>(constant.getType());
    int64_t count = type.getNumElements();
    for (int64_t i = 0; i < count; ++i)
      if (!convert(bitsOf(bytes.data() + 4 * i)))
        return false;
    AsmResourceBlob blob = HeapAsmResourceBlob::allocate(2 * count, 64);
    auto *target = reinterpret_cast<uint16_t *>(blob.getMutableData().data());
    for (int64_t i = 0; i < count; ++i)
      target[i] = *convert(bitsOf(bytes.data() + 4 * i));
    auto attribute = DenseResourceElementsAttr::get(type.clone(element), "narrow", std::move(blob));
    OpBuilder b(constant);
    Value made = arith::ConstantOp::create(b, constant.getLoc(), attribute.getType(), attribute);
    for (OpOperand &use : llvm::make_early_inc_range(constant->getUses())) {
      auto extract = dyn_cast<tensor::ExtractOp>(use.getOwner());
      if (!extract) {
        use.set(made);
        continue;
      }
      OpBuilder body(extract);
      Value number = tensor::ExtractOp::create(body, extract.getLoc(), made, extract.getIndices());
      Value wide = arith::ExtFOp::create(body, extract.getLoc(), body.getF32Type(), number);
      extract.getResult().replaceAllUsesWith(wide);
      extract.erase();
    }
    remark::passed(constant.getLoc(), remark::RemarkOpts::name("Narrowed").category("tensor-narrow-weights"))
        << remark::metric("bytes", 2 * count);
    constant.erase();
    return true;
  }
};

} // namespace
