// SmoothQuant (Xiao and others, 2023): X W = (X / s)(s W). The division is a Mul of its own in front of the
// QuantizeLinear, where it fuses; what else reads X is left alone.
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"
#include "llvm/ADT/MapVector.h"
#include <cmath>

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_SMOOTHPRODUCTS
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "SmoothProducts";

// Where the widest channel is less than this many times the typical one there is nothing to gain.
constexpr float outlying = 4;

class SmoothProducts : public impl::SmoothProductsBase<SmoothProducts> {
public:
  using SmoothProductsBase::SmoothProductsBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    llvm::MapVector<Value, SmallVector<Operation *>> readers;
    for (Operation &op : main.front())
      if (isa<onnx::MatMulOp, onnx::GemmOp>(op) && roleOf(&op) == Role::Product && getChannels(&op) &&
          !op.hasAttr(keepFloatAttr))
        readers[op.getOperand(0)].push_back(&op);
    unsigned count = 0;
    for (auto &[value, products] : readers)
      count += smooth(value, products);
    eraseUnused(main);
    counted(getOperation(), passName, count);
  }

private:
  bool smooth(Value x, ArrayRef<Operation *> products);
};

// The row of the weight that an element multiplies the input's channel with.
int64_t rowOf(Operation *op, int64_t element, int64_t rows, int64_t columns) {
  auto gemm = dyn_cast<onnx::GemmOp>(op);
  return gemm && gemm.getTransB() ? element % rows : element / columns;
}

bool SmoothProducts::smooth(Value x, ArrayRef<Operation *> products) {
  Channels channels = *getChannels(products.front());
  int64_t rows = channels.low.size();
  SmallVector<float> largest(rows);
  for (int64_t c = 0; c < rows; ++c)
    largest[c] = std::max(std::abs(channels.low[c]), std::abs(channels.high[c]));
  SmallVector<float> sorted(largest);
  llvm::sort(sorted);
  if (sorted.back() < outlying * sorted[rows / 2]) {
    missed(products.front(), passName, "Smooth", "no channel of its input stands out");
    return false;
  }
  SmallVector<float> weights(rows, 0.0f);
  for (Operation *op : products) {
    SmallVector<float> w = onnx::getFloats(floatConstant(op->getOperand(1)));
    if (int64_t(w.size()) % rows)
      return false;
    for (auto [i, value] : llvm::enumerate(w)) {
      float &most = weights[rowOf(op, i, rows, w.size() / rows)];
      most = std::max(most, std::abs(value));
    }
  }
  SmallVector<float> scale(rows, 1.0f), inverse(rows, 1.0f);
  Range range{0, 0};
  for (int64_t c = 0; c < rows; ++c) {
    if (largest[c] > 0 && weights[c] > 0)
      scale[c] =
          float(std::max(1e-4, std::pow(double(largest[c]), strength) / std::pow(double(weights[c]), 1 - strength)));
    inverse[c] = 1 / scale[c];
    range.low = std::min(range.low, channels.low[c] * inverse[c]);
    range.high = std::max(range.high, channels.high[c] * inverse[c]);
  }
  Channels scaled = channels; // of what the products read from now on
  for (SmallVector<float> *list : {&scaled.low, &scaled.high, &scaled.mean})
    for (auto [value, factor] : llvm::zip(*list, inverse))
      value *= factor;
  OpBuilder b(products.front());
  Location loc = named(products.front()->getLoc(), "_smooth");
  auto type = RankedTensorType::get({rows}, b.getF32Type());
  Value factor = constant(b, named(loc, "_factor"), onnx::makeFloats(type, inverse));
  Value smoothed = make<onnx::MulOp>(b, loc, x.getType(), {x, factor});
  setRange(smoothed, range);
  for (Operation *op : products) {
    SmallVector<float> w = onnx::getFloats(floatConstant(op->getOperand(1)));
    for (auto [i, value] : llvm::enumerate(w))
      value *= scale[rowOf(op, i, rows, w.size() / rows)];
    b.setInsertionPoint(op);
    op->setOperand(1, constant(b, op->getOperand(1).getLoc(),
                               onnx::makeFloats(cast<RankedTensorType>(op->getOperand(1).getType()), w)));
    op->setOperand(0, smoothed);
    setChannels(op, scaled);
    passed(op, passName, "Smooth");
  }
  return true;
}

} // namespace
} // namespace burin::quant
