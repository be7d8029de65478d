// Patches are cut out of the tensors that products read, as a convolution would. Sums are of differences to the first
// patch, since f32 would lose a small variance beside a large mean.
#include "lib/Calibrate/Moments.h"
#include "dialects/Onnx/OnnxUtils.h"
#include "lib/Calibrate/Graph.h"
#include "passes/Quant/Passes.h"
#include <cmath>

using namespace mlir;
using namespace burin;

namespace {
// Products of two elements a layer at most, and patches between these limits.
constexpr double mostWork = 2e9;
constexpr int64_t fewestPatches = 512, mostPatches = 8192;

class PatchMoments {
public:
  explicit PatchMoments(Operation *op) : op(op) {
    auto type = cast<RankedTensorType>(op->getOperand(1).getType());
    auto conv = dyn_cast<onnx::ConvOp>(op);
    if (!conv) {
      auto gemm = dyn_cast<onnx::GemmOp>(op);
      size = type.getDimSize(gemm && gemm.getTransB() ? 1 : 0);
    } else {
      auto padding = op->getAttrOfType<StringAttr>("auto_pad");
      isKnown = !padding || padding.getValue() == "NOTSET" || padding.getValue() == "VALID";
      kernel.assign(type.getShape().drop_front(2));
      strides = integersOf(op, "strides", kernel.size(), 1);
      dilations = integersOf(op, "dilations", kernel.size(), 1);
      pads = integersOf(op, "pads", 2 * kernel.size(), 0);
      groups = conv.getGroup();
      size = type.getNumElements() / type.getDimSize(0);
    }
    isKnown &= !isa<onnx::ConvTransposeOp>(op);
    if (!isKnown)
      return;
    sum.assign(groups * size, 0.0);
    product.assign(groups * size * size, 0.0f);
    patch.resize(groups * size);
  }

  void measure(const burin_tensor &tensor, size_t samples) {
    ArrayRef<float> values = floatsOf(tensor);
    if (!isKnown || values.empty())
      return;
    SmallVector<int64_t> out; // dims that patches are numbered along
    int64_t channels = kernel.empty() ? size : tensor.dims[1];
    out.push_back(kernel.empty() ? int64_t(values.size()) / size : tensor.dims[0]);
    for (size_t d = 0; d < kernel.size(); ++d)
      out.push_back((tensor.dims[2 + d] + pads[d] + pads[kernel.size() + d] - dilations[d] * (kernel[d] - 1) - 1) /
                        strides[d] +
                    1);
    int64_t total = 1;
    for (int64_t n : out)
      total *= std::max<int64_t>(n, 0);
    int64_t limit = std::clamp(int64_t(mostWork / (double(size) * size * groups)), fewestPatches, mostPatches);
    int64_t wanted = std::min(total, std::max<int64_t>(1, limit / int64_t(samples)));
    for (int64_t i = 0; i < wanted; ++i) {
      int64_t at = i * total / wanted;
      if (kernel.empty())
        std::copy_n(values.begin() + at * size, size, patch.begin());
      else
        cut(values, tensor, channels, out, at);
      add();
    }
  }

  void store() const {
    if (!isKnown || count == 0)
      return;
    quant::Moments moments{groups, size, count, {}, {}};
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t i = 0; i < size; ++i)
        moments.mean.push_back(float(first[g * size + i] + sum[g * size + i] / count));
    moments.covariance.resize(product.size());
    for (int64_t g = 0; g < groups; ++g) {
      const float *from = product.data() + g * size * size;
      float *to = moments.covariance.data() + g * size * size;
      const double *s = sum.data() + g * size;
      for (int64_t i = 0; i < size; ++i)
        for (int64_t j = i; j < size; ++j)
          to[i * size + j] = to[j * size + i] = float(from[i * size + j] / count - s[i] / count * (s[j] / count));
    }
    quant::setMoments(op, moments);
  }

private:
  // The patch of output position `at`, zeros where it lies over the edge.
  void cut(ArrayRef<float> values, const burin_tensor &tensor, int64_t channels, ArrayRef<int64_t> out, int64_t at) {
    int64_t rank = kernel.size(), taps = 1, pixels = 1;
    SmallVector<int64_t> position(rank);
    for (int64_t d = rank - 1; d >= 0; --d) {
      position[d] = at % out[1 + d] * strides[d] - pads[d];
      at /= out[1 + d];
      taps *= kernel[d];
      pixels *= tensor.dims[2 + d];
    }
    const float *image = values.data() + at * channels * pixels;
    for (int64_t tap = 0; tap < taps; ++tap) {
      int64_t offset = 0, rest = tap, stride = pixels;
      bool isInside = true;
      SmallVector<int64_t> steps(rank);
      for (int64_t d = rank - 1; d >= 0; --d) {
        steps[d] = rest % kernel[d] * dilations[d] + position[d];
        rest /= kernel[d];
      }
      for (int64_t d = 0; d < rank; ++d) {
        stride /= tensor.dims[2 + d];
        isInside &= steps[d] >= 0 && steps[d] < tensor.dims[2 + d];
        offset += steps[d] * stride;
      }
      for (int64_t c = 0; c < channels; ++c)
        patch[c * taps + tap] = isInside ? image[c * pixels + offset] : 0.0f;
    }
  }

  void add() {
    if (first.empty())
      first = patch;
    count += 1;
    for (size_t i = 0; i < patch.size(); ++i) {
      patch[i] -= first[i];
      sum[i] += patch[i];
    }
    for (int64_t g = 0; g < groups; ++g) {
      const float *p = patch.data() + g * size;
      for (int64_t i = 0; i < size; ++i) {
        float x = p[i], *to = product.data() + (g * size + i) * size;
        for (int64_t j = i; x != 0 && j < size; ++j)
          to[j] += x * p[j];
      }
    }
  }

  Operation *op;
  bool isKnown = true;
  int64_t groups = 1, size = 0;
  SmallVector<int64_t> kernel, strides, dilations, pads; // empty of a matrix product
  double count = 0;
  std::vector<float> patch, first, product; // [groups, size], the same, [groups, size, size] above the diagonal
  std::vector<double> sum;
};

// Signs by index, the same on every run (SplitMix64's last step).
bool isNegative(uint64_t i) {
  i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9u;
  i = (i ^ (i >> 27)) * 0x94d049bb133111ebu;
  return (i ^ (i >> 31)) & 1;
}
} // namespace

llvm::Error burin::measureMoments(ModuleOp module, Batches &batches, MeasureProgress progress) {
  std::vector<PatchMoments> all;
  SmallVector<Value> values;
  for (Operation *op : quant::getWeighted(mainOf(module))) {
    all.emplace_back(op);
    values.push_back(op->getOperand(0));
  }
  size_t samples = 0, outputs = mainOf(module).getNumResults();
  if (llvm::Error error =
          batches.forEach([&](Sample) { return ++samples, llvm::Error::success(); }, [](size_t, size_t) {}))
    return error;
  Runner runner(module, values);
  if (llvm::Error error = batches.forEach(
          [&](Sample sample) -> llvm::Error {
            auto seen = runner.run(sample);
            if (!seen)
              return seen.takeError();
            for (auto [tensor, moments] : llvm::zip(seen->drop_front(outputs), all))
              moments.measure(tensor, samples);
            return llvm::Error::success();
          },
          [&](size_t done, size_t total) { progress("measuring what layers read", done, total); }))
    return error;
  for (PatchMoments &moments : all)
    moments.store();
  return llvm::Error::success();
}

llvm::Error burin::measureSensitivities(ModuleOp module, Batches &batches, MeasureProgress progress) {
  constexpr double change = 0.01; // of the weights' root mean square
  SmallVector<Operation *> products = quant::getWeighted(mainOf(module));
  size_t outputs = mainOf(module).getNumResults();
  Runner exact(module);
  for (auto [i, op] : llvm::enumerate(products)) {
    progress("measuring sensitivities", i, products.size());
    std::optional<quant::Moments> moments = quant::getMoments(op);
    if (!moments || quant::getFisher(op))
      continue;
    OwningOpRef<ModuleOp> copy(cast<ModuleOp>(module->clone()));
    Operation *changed = quant::getWeighted(mainOf(*copy))[i];
    SmallVector<float> weight = onnx::getFloats(onnx::getConstantAttr(changed->getOperand(1)));
    double square = 0, second = 0, moved = 0;
    for (float w : weight)
      square += double(w) * w;
    double step = change * std::sqrt(square / std::max<size_t>(weight.size(), 1));
    for (auto [k, w] : llvm::enumerate(weight))
      w += float(isNegative(k) ? -step : step);
    for (int64_t k = 0; k < moments->groups * moments->size; ++k)
      second +=
          moments->covariance[k * moments->size + k % moments->size] + double(moments->mean[k]) * moments->mean[k];
    OpBuilder b(changed);
    changed->setOperand(1, onnx::ConstantOp::create(
                               b, changed->getLoc(),
                               onnx::makeFloats(cast<RankedTensorType>(changed->getOperand(1).getType()), weight)));
    Runner runner(*copy);
    if (llvm::Error error = batches.forEach(
            [&](Sample sample) -> llvm::Error {
              auto want = exact.run(sample);
              if (!want)
                return want.takeError();
              auto got = runner.run(sample);
              if (!got)
                return got.takeError();
              for (size_t o = 0; o < outputs; ++o)
                for (auto [x, y] : llvm::zip(floatsOf((*want)[o]), floatsOf((*got)[o])))
                  moved += (double(x) - y) * (double(x) - y);
              return llvm::Error::success();
            },
            [](size_t, size_t) {}))
      return error;
    double reads = second * weight.size() / (double(moments->groups) * moments->size);
    if (step > 0 && reads > 0 && std::isfinite(moved))
      quant::setSensitivity(op, moved / (step * step * reads));
  }
  return llvm::Error::success();
}
