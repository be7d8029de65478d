// A copy of the graph computes, beside its outputs, what each product reads (x) and the gradient at its result (g). The
// gradient of a weight is then a sum over pixels or rows of g x, which is squared for each sample before samples add
// up: the sum comes first, since what pixels say of a weight may cancel.
#include "lib/Calibrate/Fisher.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Calibrate/Gradients.h"
#include "lib/Calibrate/Graph.h"
#include "lib/Calibrate/Runner.h"
#include "passes/Quant/Passes.h"
#include <random>

using namespace mlir;
using namespace burin;

namespace {
constexpr int probes = 4; // signs of the outputs a sample

/// One product's weights [rows, size] and where they meet x and g.
class Weights {
public:
  explicit Weights(Operation *op) {
    shape.assign(cast<RankedTensorType>(op->getOperand(1).getType()).getShape());
    if (auto conv = dyn_cast<onnx::ConvOp>(op)) {
      isConv = true;
      rows = shape[0];
      channels = shape[1];
      groups = conv.getGroup();
      size_t rank = shape.size() - 2;
      strides = integersOf(op, "strides", rank, 1);
      dilations = integersOf(op, "dilations", rank, 1);
      pads = integersOf(op, "pads", 2 * rank, 0);
      // One dim is two, the first of which has a single position.
      if (rank == 1) {
        shape.insert(shape.begin() + 2, 1);
        strides.insert(strides.begin(), 1);
        dilations.insert(dilations.begin(), 1);
        pads = {0, pads[0], 0, pads[1]};
      }
      size = channels * shape[2] * shape[3];
    } else {
      auto gemm = dyn_cast<onnx::GemmOp>(op);
      bool isTransposed = gemm && gemm.getTransB();
      rows = shape[isTransposed ? 0 : 1];
      size = shape[isTransposed ? 1 : 0];
      if (auto alpha = op->getAttrOfType<FloatAttr>("alpha"))
        scale = alpha.getValueAsDouble();
    }
    gradient.assign(rows * size, 0.0f);
    squares.assign(rows * size, 0.0);
  }
  static bool isKnown(Operation *op) {
    auto type = cast<RankedTensorType>(op->getOperand(1).getType());
    return (isa<onnx::ConvOp>(op) && (type.getRank() == 3 || type.getRank() == 4) && hasExplicitPads(op)) ||
           (isa<onnx::GemmOp, onnx::MatMulOp>(op) && type.getRank() == 2);
  }

  void measure(const burin_tensor &x, const burin_tensor &g) {
    std::fill(gradient.begin(), gradient.end(), 0.0f);
    if (isConv)
      addPixels(x, g);
    else
      addRows(floatsOf(x), floatsOf(g));
    for (auto [square, value] : llvm::zip(squares, gradient))
      square += double(value) * value * scale * scale / probes;
  }
  SmallVector<float> result() const { return SmallVector<float>(squares.begin(), squares.end()); }

private:
  void addRows(ArrayRef<float> x, ArrayRef<float> g) {
    for (int64_t p = 0; p < int64_t(x.size()) / size; ++p)
      for (int64_t row = 0; row < rows; ++row)
        if (float factor = g[p * rows + row]; factor != 0)
          for (int64_t j = 0; j < size; ++j)
            gradient[row * size + j] += factor * x[p * size + j];
  }

  void addPixels(const burin_tensor &x, const burin_tensor &g) {
    ArrayRef<float> in = floatsOf(x), out = floatsOf(g);
    int64_t heightIn = x.rank == 4 ? x.dims[2] : 1, widthIn = x.dims[x.rank - 1];
    int64_t heightOut = x.rank == 4 ? g.dims[2] : 1, widthOut = g.dims[x.rank - 1];
    for (int64_t n = 0; n < x.dims[0]; ++n)
      for (int64_t row = 0; row < rows; ++row)
        for (int64_t c = 0; c < channels; ++c) {
          const float *image =
              in.data() + (n * groups * channels + row / (rows / groups) * channels + c) * heightIn * widthIn;
          const float *factors = out.data() + (n * rows + row) * heightOut * widthOut;
          for (int64_t ky = 0; ky < shape[2]; ++ky)
            for (int64_t kx = 0; kx < shape[3]; ++kx) {
              // The columns whose tap lies inside.
              int64_t shift = kx * dilations[1] - pads[1], from = 0, to = widthOut;
              while (from < to && from * strides[1] + shift < 0)
                ++from;
              while (to > from && (to - 1) * strides[1] + shift >= widthIn)
                --to;
              float sum = 0;
              for (int64_t y = 0; y < heightOut; ++y) {
                int64_t line = y * strides[0] + ky * dilations[0] - pads[0];
                if (line < 0 || line >= heightIn)
                  continue;
                const float *a = image + line * widthIn + shift, *b = factors + y * widthOut;
                for (int64_t i = from; i < to; ++i)
                  sum += a[i * strides[1]] * b[i];
              }
              gradient[(row * channels + c) * shape[2] * shape[3] + ky * shape[3] + kx] += sum;
            }
        }
  }

  bool isConv = false;
  int64_t rows = 0, size = 0, channels = 0, groups = 1;
  double scale = 1;
  SmallVector<int64_t> shape, strides, dilations, pads;
  std::vector<float> gradient;
  std::vector<double> squares;
};
} // namespace

llvm::Error burin::measureFisher(ModuleOp module, Batches &batches, MeasureProgress progress, size_t &left) {
  SmallVector<Operation *> products = quant::getWeighted(mainOf(module));
  left = products.size();
  OwningOpRef<ModuleOp> copy(cast<ModuleOp>(module->clone()));
  func::FuncOp main = mainOf(*copy);
  SmallVector<Operation *> copies = quant::getWeighted(main);
  Gradients gradients(main);
  OpBuilder b(main.getContext());
  // The signs come in as inputs behind the graph's own.
  std::vector<std::vector<float>> signs;
  std::vector<burin_tensor> tensors;
  for (Value output : main.front().getTerminator()->getOperands()) {
    auto type = dyn_cast<RankedTensorType>(output.getType());
    if (!type || !type.getElementType().isF32())
      continue;
    if (!type.hasStaticShape()) {
      gradients.refuse(output);
      continue;
    }
    auto name = b.getDictionaryAttr(b.getNamedAttr("onnx.name", b.getStringAttr("burin.signs." + Twine(signs.size()))));
    if (failed(main.insertArgument(main.getNumArguments(), type, name, output.getLoc())))
      continue;
    gradients.seed(output, main.getArguments().back());
    signs.emplace_back(type.getNumElements());
    burin_tensor tensor{};
    tensor.dtype = BURIN_FLOAT;
    tensor.rank = int32_t(type.getRank());
    for (int64_t d = 0, stride = type.getNumElements(); d < type.getRank(); ++d) {
      stride /= std::max<int64_t>(type.getDimSize(d), 1);
      tensor.dims[d] = type.getDimSize(d);
      tensor.strides[d] = stride;
    }
    tensors.push_back(tensor);
  }
  for (auto [tensor, values] : llvm::zip(tensors, signs))
    tensor.data = values.data();
  gradients.run();
  SmallVector<Value> values;
  SmallVector<Operation *> reached;
  std::vector<Weights> weights;
  for (auto [op, twin] : llvm::zip(products, copies))
    if (Value g = gradients.of(twin->getResult(0)); g && Weights::isKnown(op)) {
      values.append({twin->getOperand(0), g});
      reached.push_back(op);
      weights.emplace_back(op);
    }
  left -= reached.size();
  if (reached.empty())
    return llvm::Error::success();
  Runner runner(*copy, values);
  size_t outputs = main.getNumResults();
  std::mt19937 random(1);
  auto look = [&](Sample sample) -> llvm::Error {
    std::vector<burin_tensor> inputs(sample.begin(), sample.end());
    inputs.insert(inputs.end(), tensors.begin(), tensors.end());
    for (int probe = 0; probe < probes; ++probe) {
      for (std::vector<float> &output : signs)
        for (float &sign : output)
          sign = random() & 1 ? 1.0f : -1.0f;
      auto seen = runner.run(inputs);
      if (!seen)
        return seen.takeError();
      for (auto [i, entry] : llvm::enumerate(weights))
        entry.measure((*seen)[outputs + 2 * i], (*seen)[outputs + 2 * i + 1]);
    }
    return llvm::Error::success();
  };
  if (llvm::Error error =
          batches.forEach(look, [&](size_t done, size_t total) { progress("measuring gradients", done, total); }))
    return error;
  for (auto [op, entry] : llvm::zip(reached, weights))
    quant::setFisher(op, entry.result());
  return llvm::Error::success();
}
