// tensor-pack-weights: constants reordered at compile time into the blocks that kernels stream through. Moves bytes,
// computes nothing.
#include "dialects/Nn/Nn.h"
#include "lib/Support/Packing.h"
#include "lib/Support/Tuning.h"
#include "passes/Tensor/PackDots.h"
#include "passes/Tensor/PackSparse.h"
#include "passes/Tensor/PackStored.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"
#include "llvm/Support/FormatVariadic.h"

namespace burin {
#define GEN_PASS_DEF_PACKWEIGHTS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

// The elements of a constant as f32 bytes, or a splat's one element; empty when `attribute` holds something else.
ArrayRef<char> rawData(ElementsAttr attribute, bool &splat) {
  splat = attribute.isSplat();
  if (auto dense = dyn_cast<DenseElementsAttr>(attribute))
    return dense.getRawData();
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute))
    if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
      return blob->getData();
  return {};
}

// [rows, n] -> [ceil(n / block), rows, block], zeros after the last column.
void packColumns(const char *source, bool splat, int64_t rows, int64_t n, int64_t block, size_t size, char *target) {
  int64_t blocks = llvm::divideCeil(n, block);
  for (int64_t b = 0; b < blocks; ++b) {
    int64_t width = std::min(block, n - b * block);
    for (int64_t r = 0; r < rows; ++r, target += block * size) {
      if (!splat) {
        std::memcpy(target, source + (r * n + b * block) * size, width * size);
      } else {
        for (int64_t i = 0; i < width; ++i)
          std::memcpy(target + i * size, source, size);
      }
      std::memset(target + width * size, 0, (block - width) * size);
    }
  }
}

struct PackWeightsPass : burin::impl::PackWeightsBase<PackWeightsPass> {
  using PackWeightsBase::PackWeightsBase;

  void runOnOperation() override {
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      emitError(getOperation().getLoc()) << "unknown machine '" << machineName << "'; expected one of "
                                         << machineNames();
      return signalPassFailure();
    }
    getOperation().walk([&](Operation *op) {
      if (auto conv = dyn_cast<nn::ConvOp>(op)) {
        if (!conv.getPacked() && getElementTypeOrSelf(conv.getFilter().getType()).isInteger(8))
          return packDots(*machine, conv);
        if (conv.getGroups() != 1 || conv.getPacked())
          return;
        auto shape = cast<ShapedType>(conv.getFilter().getType()).getShape();
        if (!conv.getWinograd() && packEntries(*machine, conv, conv.getInput(), conv.getFilterMutable()))
          return conv.setKernel(SmallVector<int64_t>(shape.drop_back(2)));
        if (int64_t block = pack(*machine, conv, conv.getFilterMutable(), shape))
          conv.setPacked(block);
        conv->removeAttr(kernelChoiceAttr);
      } else if (auto matmul = dyn_cast<nn::MatmulOp>(op)) {
        auto type = cast<ShapedType>(matmul.getRhs().getType());
        if (matmul.getStored())
          return reportPacked(matmul, [&](OpBuilder &constants, std::string &reason) {
            return packStored(*machine, matmul, constants, reason);
          });
        if (!matmul.getPacked() && type.getElementType().isInteger(8))
          return packDots(*machine, matmul);
        if (matmul.getTransposeRhs() || matmul.getPacked() || type.getRank() != 2)
          return;
        if (packEntries(*machine, matmul, matmul.getLhs(), matmul.getRhsMutable()))
          return;
        if (int64_t block = pack(*machine, matmul, matmul.getRhsMutable(), type.getShape()))
          matmul.setPacked(block);
        matmul->removeAttr(kernelChoiceAttr);
      }
    });
  }

  // Without the blocks of zeros, where there are enough of them.
  template <typename Op> bool packEntries(const Machine &machine, Op op, Value input, OpOperand &operand) {
    ElementsAttr value;
    auto isKnown = [](Value v) { return !ShapedType::isDynamic(cast<ShapedType>(v.getType()).getShape().back()); };
    if (!isKnown(input) || !isKnown(op.getInit()) || !getElementTypeOrSelf(input.getType()).isF32() ||
        !op.getAccumulatorType().isF32() || !matchPattern(operand.get(), m_Constant(&value)) ||
        !gainsBySparse(machine, value))
      return false;
    Value &packed = sparse[value];
    OpBuilder constants = OpBuilder::atBlockBegin(&getOperation().getBody().front());
    if (!packed)
      packed = packSparse(value, constants, operand.get().getLoc());
    operand.set(packed);
    op.setPacked(sparseBlock);
    op->removeAttr(kernelChoiceAttr);
    remark::passed(op->getLoc(), remark::RemarkOpts::name("Sparse").category("tensor-pack-weights"))
        << remark::metric("zero", llvm::formatv("{0:P0}", zeroBlocks(value)).str())
        << remark::metric("block", sparseBlock);
    return true;
  }

  template <typename Op> void packDots(const Machine &machine, Op op) {
    reportPacked(
        op, [&](OpBuilder &constants, std::string &reason) { return packForDots(machine, op, constants, reason); });
  }

  template <typename Op> void reportPacked(Op op, llvm::function_ref<LogicalResult(OpBuilder &, std::string &)> pack) {
    OpBuilder constants = OpBuilder::atBlockBegin(&getOperation().getBody().front());
    auto options = remark::RemarkOpts::name("Packed").category("tensor-pack-weights");
    std::string reason;
    if (succeeded(pack(constants, reason)))
      remark::passed(op->getLoc(), options) << remark::metric("block", *op.getPacked());
    else
      remark::missed(op->getLoc(), options) << remark::reason("{0}", reason);
  }

  // Packs the constant behind `operand`, of the given shape with the output channels last. Returns the block, 0 if left
  // alone.
  int64_t pack(const Machine &machine, Operation *op, OpOperand &operand, ArrayRef<int64_t> shape) {
    auto missed = [&](StringRef reason) {
      remark::missed(op->getLoc(), remark::RemarkOpts::name("NotPacked").category("tensor-pack-weights"))
          << remark::reason("{0}", reason);
      return 0;
    };
    ElementsAttr value;
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type || !matchPattern(operand.get(), m_Constant(&value)))
      return missed("the weights are not constant");
    Type element = type.getElementType();
    if (!element.isF32() && !element.isF16() && !element.isBF16())
      return missed("the weights are not f32, f16 or bf16");
    size_t size = element.getIntOrFloatBitWidth() / 8;
    if (type.getNumElements() == 0)
      return missed("the weights are empty");
    int64_t n = shape.back(), rows = type.getNumElements() / n;
    bool sumsHalves =
        machine.halfArithmetic && element.isF16() && getElementTypeOrSelf(op->getOperand(0).getType()).isF16();
    int64_t block = packingBlock(machine, rows, n, sumsHalves ? 16 : 32);
    if (auto text = op->getAttrOfType<StringAttr>(kernelChoiceAttr))
      if (auto choice = KernelChoice::parse(text); choice && choice->block)
        block = std::min(*choice->block, n);
    if (block <= 0)
      return missed("the machine has no kernel for packed weights");
    Attribute key = OpBuilder(op).getArrayAttr({value, OpBuilder(op).getI64IntegerAttr(block)});
    Value &packed = done[key];
    if (!packed) {
      bool splat;
      ArrayRef<char> source = rawData(value, splat);
      if (source.size() < (splat ? size : type.getNumElements() * size))
        return missed("the weights' bytes are not at hand");
      SmallVector<int64_t> newShape{(int64_t)llvm::divideCeil(n, block)};
      llvm::append_range(newShape, shape.drop_back());
      newShape.push_back(block);
      auto newType = RankedTensorType::get(newShape, element);
      AsmResourceBlob blob = HeapAsmResourceBlob::allocate(newType.getNumElements() * size, 64);
      packColumns(source.data(), splat, rows, n, block, size, blob.getMutableData().data());
      auto attribute = DenseResourceElementsAttr::get(newType, "packed", std::move(blob));
      // The constant stands at the start of the function so that every later user may share it.
      OpBuilder builder = OpBuilder::atBlockBegin(&getOperation().getBody().front());
      packed = arith::ConstantOp::create(builder, operand.get().getLoc(), newType, attribute);
    }
    operand.set(packed);
    remark::passed(op->getLoc(), remark::RemarkOpts::name("Packed").category("tensor-pack-weights"))
        << remark::metric("block", block);
    return block;
  }

  DenseMap<Attribute, Value> done, sparse;
};
} // namespace
