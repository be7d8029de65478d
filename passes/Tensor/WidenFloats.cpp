// tensor-widen-floats: on a machine without half-precision arithmetic every f16 or bf16 operation is a conversion there
// and back. Computing in f32 from the inputs to the results leaves one conversion at each end; weights stay narrow in
// memory and widen as kernels load them.
#include "dialects/Nn/Nn.h"
#include "passes/Tensor/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/Remarks.h"

namespace burin {
#define GEN_PASS_DEF_WIDENFLOATS
#include "passes/Tensor/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

float toFloat(APFloat value) {
  bool lost;
  value.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven, &lost);
  return value.convertToFloat();
}

// The same numbers as `type`, which is f32 or a shape of it; null when the bytes are not at hand.
TypedAttr numbersAs(Type type, TypedAttr value) {
  if (auto number = dyn_cast<FloatAttr>(value))
    return FloatAttr::get(type, toFloat(number.getValue()));
  auto tensor = cast<ShapedType>(type);
  if (auto dense = dyn_cast<DenseElementsAttr>(value)) {
    if (dense.isSplat())
      return DenseElementsAttr::get(tensor, toFloat(dense.getSplatValue<APFloat>()));
    SmallVector<float> numbers;
    for (APFloat number : dense.getValues<APFloat>())
      numbers.push_back(toFloat(number));
    return DenseElementsAttr::get(tensor, ArrayRef<float>(numbers));
  }
  auto resource = dyn_cast<DenseResourceElementsAttr>(value);
  AsmResourceBlob *blob = resource ? resource.getRawHandle().getBlob() : nullptr;
  int64_t count = tensor.getNumElements();
  if (!blob || (int64_t)blob->getData().size() < 2 * count)
    return nullptr;
  const llvm::fltSemantics &semantics = cast<FloatType>(getElementTypeOrSelf(value.getType())).getFloatSemantics();
  AsmResourceBlob wide = HeapAsmResourceBlob::allocate(count * sizeof(float), 64);
  auto *target = reinterpret_cast<float *>(wide.getMutableData().data());
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits; // the file's bytes may lie at any address
    std::memcpy(&bits, blob->getData().data() + 2 * i, sizeof(bits));
    target[i] = toFloat(APFloat(semantics, APInt(16, bits)));
  }
  return DenseResourceElementsAttr::get(tensor, "widened", std::move(wide));
}

// Constants that only nn kernels read as filters, which convert as they load. Those of depthwise ones are few, and are
// loaded for every few results.
bool isFilter(arith::ConstantOp constant) {
  return !constant->use_empty() && llvm::all_of(constant->getUses(), [](OpOperand &use) {
    return isa<nn::ConvOp, nn::ConvTransposeOp, nn::MatmulOp>(use.getOwner()) && use.getOperandNumber() == 1;
  });
}

struct WidenFloatsPass : burin::impl::WidenFloatsBase<WidenFloatsPass> {
  using WidenFloatsBase::WidenFloatsBase;

  bool isNarrow(Type type) const {
    Type element = getElementTypeOrSelf(type);
    return (element.isF16() && !keepHalf) || element.isBF16();
  }

  /// The type with f32 in place of a narrow float.
  Type widened(Type type) const {
    if (!isNarrow(type))
      return type;
    Type f32 = Float32Type::get(type.getContext());
    if (auto shaped = dyn_cast<ShapedType>(type))
      return shaped.clone(f32);
    return f32;
  }

  void runOnOperation() override {
    func::FuncOp function = getOperation();
    if (function.isExternal() || !function.getBody().hasOneBlock())
      return;
    bool any = false;
    WalkResult walked = function.walk([&](Operation *op) {
      auto narrow = [&](Type type) { return isNarrow(type); };
      bool here = llvm::any_of(op->getResultTypes(), narrow) || llvm::any_of(op->getOperandTypes(), narrow);
      any |= here;
      // Bits that are looked at as integers must keep their width.
      bool bits = here && isa<arith::BitcastOp, tensor::BitcastOp>(op);
      if (bits)
        remark::missed(op->getLoc(), remark::RemarkOpts::name("NotWidened").category("tensor-widen-floats"))
            << remark::reason("the bits of a narrow float are used");
      return bits ? WalkResult::interrupt() : WalkResult::advance();
    });
    if (!any || walked.wasInterrupted())
      return;

    SmallVector<arith::ConstantOp> constants;
    function.walk([&](arith::ConstantOp constant) {
      if (isNarrow(constant.getType()) && !isFilter(constant))
        constants.push_back(constant);
    });
    for (arith::ConstantOp constant : constants) {
      TypedAttr value = numbersAs(widened(constant.getType()), constant.getValue());
      if (!value)
        return; // nothing has changed yet
      wide[constant] = value;
    }

    Block &entry = function.getBody().front();
    OpBuilder builder = OpBuilder::atBlockBegin(&entry);
    // Inside, everything is wide; the conversions at the ends come last so that they are not widened themselves.
    SmallVector<BlockArgument> arguments;
    for (BlockArgument argument : entry.getArguments())
      if (isNarrow(argument.getType()))
        arguments.push_back(argument);
    auto ret = cast<func::ReturnOp>(entry.getTerminator());
    SmallVector<Type> resultTypes(ret->getOperandTypes());

    // A Cast to the narrow type alone asks for rounding, and keeps it.
    SmallVector<std::pair<arith::TruncFOp, Type>> roundings;
    function.walk([&](arith::TruncFOp truncate) {
      if (isNarrow(truncate.getType()) && isa<BlockArgument>(truncate.getIn()))
        roundings.push_back({truncate, truncate.getType()});
    });

    function.walk([&](Operation *op) {
      if (op == function)
        return;
      if (auto constant = dyn_cast<arith::ConstantOp>(op)) {
        if (auto found = wide.find(constant); found != wide.end()) {
          constant.setValueAttr(found->second);
          constant.getResult().setType(found->second.getType());
        }
        return;
      }
      for (Value result : op->getResults())
        result.setType(widened(result.getType()));
      for (Region &region : op->getRegions())
        for (Block &block : region)
          for (BlockArgument argument : block.getArguments())
            argument.setType(widened(argument.getType()));
    });
    for (BlockArgument argument : arguments) {
      SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, argument.getLoc(), argument);
      Value out = tensor::EmptyOp::create(builder, argument.getLoc(), sizes, builder.getF32Type());
      Value in = convert(builder, argument, out);
      argument.replaceUsesWithIf(in, [&](OpOperand &use) {
        return use.getOwner() != in.getDefiningOp() && !isa<tensor::DimOp>(use.getOwner());
      });
    }
    for (auto [truncate, type] : roundings) {
      OpBuilder body(truncate);
      Value in = truncate.getIn();
      if (getElementTypeOrSelf(in.getType()).getIntOrFloatBitWidth() < 32)
        continue;
      Value rounded = arith::TruncFOp::create(body, truncate.getLoc(), type, in);
      truncate->replaceAllUsesWith(arith::ExtFOp::create(body, truncate.getLoc(), body.getF32Type(), rounded));
      truncate.erase();
    }
    removeConversions(function);
    builder.setInsertionPoint(ret);
    for (auto [index, type] : llvm::enumerate(resultTypes)) {
      Value value = ret->getOperand(index);
      if (value.getType() == type)
        continue;
      auto shaped = cast<RankedTensorType>(type);
      SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(builder, value.getLoc(), value);
      Value out = tensor::EmptyOp::create(builder, value.getLoc(), sizes, shaped.getElementType());
      ret->setOperand(index, convert(builder, value, out));
    }
    remark::passed(function.getLoc(), remark::RemarkOpts::name("Widened").category("tensor-widen-floats"));
  }

  // An elementwise loop from one float type to another.
  static Value convert(OpBuilder &builder, Value in, Value out) {
    int64_t rank = cast<RankedTensorType>(in.getType()).getRank();
    SmallVector<AffineMap> maps(2, builder.getMultiDimIdentityMap(rank));
    SmallVector<utils::IteratorType> loops(rank, utils::IteratorType::parallel);
    return linalg::GenericOp::create(builder, in.getLoc(), out.getType(), in, out, maps, loops,
                                     [&](OpBuilder &body, Location loc, ValueRange arguments) {
                                       linalg::YieldOp::create(
                                           body, loc,
                                           nn::convertAccumulator(body, loc, arguments[0], arguments[1].getType()));
                                     })
        .getResult(0);
  }

  // Conversions that have become f32 to f32.
  static void removeConversions(func::FuncOp function) {
    function.walk([](Operation *op) {
      if (!isa<arith::ExtFOp, arith::TruncFOp>(op) || op->getOperand(0).getType() != op->getResult(0).getType())
        return;
      op->getResult(0).replaceAllUsesWith(op->getOperand(0));
      op->erase();
    });
  }

  DenseMap<Operation *, TypedAttr> wide;
};
} // namespace
