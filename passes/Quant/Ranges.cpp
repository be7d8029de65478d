// What calibration measured, as attributes: `burin.ranges` of an operator holds [low, high] a result, empty where there
// is none; `burin.range` of an argument is one pair.
#include "passes/Quant/Passes.h"
#include "passes/Quant/Rewriting.h"

using namespace mlir;

namespace burin::quant {

static constexpr char rangesAttr[] = "burin.ranges", rangeAttr[] = "burin.range", channelsAttr[] = "burin.channels",
                      momentsAttr[] = "burin.moments", sensitivityAttr[] = "burin.sensitivity",
                      fisherAttr[] = "burin.fisher";

static std::optional<Range> toRange(Attribute attr) {
  auto pair = dyn_cast_or_null<DenseF32ArrayAttr>(attr);
  if (!pair || pair.size() != 2 || !(pair[0] <= pair[1]))
    return std::nullopt;
  return Range{pair[0], pair[1]};
}

void setRange(Value value, Range range) {
  Builder b(value.getContext());
  Attribute pair = b.getDenseF32ArrayAttr({range.low, range.high});
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    if (auto func = dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp()))
      func.setArgAttr(arg.getArgNumber(), rangeAttr, pair);
    return;
  }
  Operation *op = value.getDefiningOp();
  SmallVector<Attribute> all(op->getNumResults(), b.getDenseF32ArrayAttr({}));
  if (auto given = op->getAttrOfType<ArrayAttr>(rangesAttr); given && given.size() == all.size())
    all.assign(given.begin(), given.end());
  all[cast<OpResult>(value).getResultNumber()] = pair;
  op->setAttr(rangesAttr, b.getArrayAttr(all));
}

std::optional<Range> getRange(Value value) {
  if (auto arg = dyn_cast<BlockArgument>(value)) {
    auto func = dyn_cast<func::FuncOp>(arg.getOwner()->getParentOp());
    return func ? toRange(func.getArgAttr(arg.getArgNumber(), rangeAttr)) : std::nullopt;
  }
  auto all = value.getDefiningOp()->getAttrOfType<ArrayAttr>(rangesAttr);
  unsigned index = cast<OpResult>(value).getResultNumber();
  return all && index < all.size() ? toRange(all[index]) : std::nullopt;
}

void setChannels(Operation *product, const Channels &channels) {
  Builder b(product->getContext());
  product->setAttr(channelsAttr,
                   b.getArrayAttr({b.getDenseF32ArrayAttr(channels.low), b.getDenseF32ArrayAttr(channels.high),
                                   b.getDenseF32ArrayAttr(channels.mean)}));
}

std::optional<Channels> getChannels(Operation *product) {
  auto all = product->getAttrOfType<ArrayAttr>(channelsAttr);
  if (!all || all.size() != 3)
    return std::nullopt;
  Channels channels;
  SmallVector<float> *lists[] = {&channels.low, &channels.high, &channels.mean};
  for (auto [attr, to] : llvm::zip(all, lists)) {
    auto values = dyn_cast<DenseF32ArrayAttr>(attr);
    if (!values)
      return std::nullopt;
    to->assign(values.asArrayRef().begin(), values.asArrayRef().end());
  }
  return channels;
}

void setMoments(Operation *product, const Moments &moments) {
  Builder b(product->getContext());
  auto floats = [&](ArrayRef<int64_t> shape, ArrayRef<float> values) {
    return onnx::makeFloats(RankedTensorType::get(shape, b.getF32Type()), values);
  };
  product->setAttr(
      momentsAttr,
      b.getArrayAttr({b.getF64FloatAttr(moments.samples), floats({moments.groups, moments.size}, moments.mean),
                      floats({moments.groups, moments.size, moments.size}, moments.covariance)}));
}

std::optional<Moments> getMoments(Operation *product) {
  auto all = product->getAttrOfType<ArrayAttr>(momentsAttr);
  if (!all || all.size() != 3)
    return std::nullopt;
  auto samples = dyn_cast<FloatAttr>(all[0]);
  auto mean = dyn_cast<ElementsAttr>(all[1]), covariance = dyn_cast<ElementsAttr>(all[2]);
  if (!samples || !mean || !covariance || mean.getShapedType().getRank() != 2 ||
      covariance.getNumElements() != mean.getNumElements() * mean.getShapedType().getDimSize(1))
    return std::nullopt;
  return Moments{mean.getShapedType().getDimSize(0), mean.getShapedType().getDimSize(1), samples.getValueAsDouble(),
                 onnx::getFloats(mean), onnx::getFloats(covariance)};
}

void clearMoments(Operation *product) { product->removeAttr(momentsAttr); }

void setSensitivity(Operation *product, double sensitivity) {
  product->setAttr(sensitivityAttr, Builder(product->getContext()).getF64FloatAttr(sensitivity));
}

double getSensitivity(Operation *product) {
  auto attr = product->getAttrOfType<FloatAttr>(sensitivityAttr);
  return attr ? attr.getValueAsDouble() : 1;
}

void setFisher(Operation *product, ArrayRef<float> diagonal) {
  Builder b(product->getContext());
  product->setAttr(fisherAttr,
                   onnx::makeFloats(RankedTensorType::get({int64_t(diagonal.size())}, b.getF32Type()), diagonal));
}

std::optional<SmallVector<float>> getFisher(Operation *product) {
  auto attr = product->getAttrOfType<ElementsAttr>(fisherAttr);
  return attr ? onnx::readFloats(attr) : std::nullopt;
}

unsigned channelDim(Operation *product) {
  auto type = cast<RankedTensorType>(product->getOperand(0).getType());
  return isa<onnx::GemmOp, onnx::MatMulOp>(product) ? type.getRank() - 1 : 1;
}

void clearCalibration(ModuleOp module) {
  module.walk([](Operation *op) {
    op->removeAttr(rangesAttr);
    op->removeAttr(channelsAttr);
    op->removeAttr(keepFloatAttr);
    op->removeAttr(momentsAttr);
    op->removeAttr(sensitivityAttr);
    op->removeAttr(fisherAttr);
    op->removeAttr(sharedAttr);
    if (auto func = dyn_cast<func::FuncOp>(op))
      for (unsigned i = 0; i < func.getNumArguments(); ++i)
        func.removeArgAttr(i, rangeAttr);
  });
}

} // namespace burin::quant
