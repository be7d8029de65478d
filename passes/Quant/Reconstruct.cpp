// Coordinate descent on a quadratic form. With g = H (w - v) at hand the best value of one element is v_j + g_j / H_jj,
// and moving it by d takes d times a row of H off g. (The objective is that of "Up or Down? Adaptive Rounding for
// Post-Training Quantization", Nagel and others, 2020; solved by walks, it needs no step size and no random numbers.)
#include "passes/Quant/Reconstruct.h"
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"
#include "llvm/Support/Parallel.h"

using namespace mlir;

namespace burin::quant {

// Of the mean second moment, added to each: few samples leave directions without any, in which weights would drift.
static constexpr double ridge = 0.01;
// More of it where patches have more elements than were measured: a share by that quotient.
static constexpr double ridgeOfScarcity = 0.05;

std::optional<Rows> rowsOf(Operation *op) {
  auto type = cast<RankedTensorType>(op->getOperand(1).getType());
  if (auto conv = dyn_cast<onnx::ConvOp>(op)) {
    int64_t size = type.getNumElements() / type.getDimSize(0);
    return Rows{type.getDimSize(0), size, conv.getGroup(), size, 1};
  }
  bool isTransposed = false;
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    isTransposed = gemm.getTransB() != 0;
  else if (!isa<onnx::MatMulOp>(op))
    return std::nullopt;
  if (isTransposed)
    return Rows{type.getDimSize(0), type.getDimSize(1), 1, type.getDimSize(1), 1};
  return Rows{type.getDimSize(1), type.getDimSize(0), 1, 1, type.getDimSize(1)};
}

bool takesBias(Operation *op) {
  if (!isa<onnx::ConvOp, onnx::GemmOp>(op))
    return false;
  Value bias = op->getOperand(2);
  if (onnx::isNone(bias))
    return true;
  ElementsAttr given = floatConstant(bias);
  std::optional<Rows> rows = rowsOf(op);
  return given && rows && given.getNumElements() == rows->count;
}

void addToBias(Operation *op, ArrayRef<double> shift) {
  Value old = op->getOperand(2);
  ElementsAttr given = floatConstant(old);
  SmallVector<float> bias = given ? onnx::getFloats(given) : SmallVector<float>(shift.size(), 0.0f);
  for (auto [b, s] : llvm::zip(bias, shift))
    b = float(b + s);
  OpBuilder b(op);
  Location loc = given ? old.getLoc() : named(op->getLoc(), "_bias");
  op->setOperand(
      2, constant(b, loc, onnx::makeFloats(RankedTensorType::get({int64_t(bias.size())}, b.getF32Type()), bias)));
}

SmallVector<Operation *> getWeighted(func::FuncOp function) {
  SmallVector<Operation *> all;
  for (Operation &op : function.front())
    if (roleOf(&op) == Role::Product)
      all.push_back(&op);
  return all;
}

Reconstruction::Reconstruction(Operation *product, bool mayUseBias)
    : product(product), shape(*rowsOf(product)), usesBias(mayUseBias && takesBias(product)) {
  std::optional<Moments> moments = getMoments(product);
  if (!moments || moments->size != shape.size || moments->groups != shape.groups)
    return;
  mean = std::move(moments->mean);
  second = std::move(moments->covariance);
  int64_t n = shape.size;
  for (int64_t g = 0; g < shape.groups; ++g) {
    float *h = second.data() + g * n * n;
    const float *m = mean.data() + g * n;
    double trace = 0;
    if (!usesBias)
      for (int64_t i = 0; i < n; ++i)
        for (int64_t j = 0; j < n; ++j)
          h[i * n + j] += m[i] * m[j];
    for (int64_t i = 0; i < n; ++i)
      trace += h[i * n + i];
    double share = ridge + ridgeOfScarcity * n / std::max(1.0, moments->samples);
    for (int64_t i = 0; i < n; ++i)
      h[i * n + i] += float(share * trace / n);
  }
}

double Reconstruction::weightOf(int64_t row, int64_t j) const {
  return hasMoments() ? second[(shape.groupOf(row) * shape.size + j) * shape.size + j] : 1;
}

void Reconstruction::walk(ArrayRef<float> from, MutableArrayRef<float> to, Choose choose, int walks) const {
  const int64_t n = shape.size;
  llvm::parallelFor(0, shape.count, [&](size_t row) {
    if (!hasMoments()) {
      for (int64_t j = 0; j < n; ++j)
        to[shape.at(row, j)] = choose(row, j, from[shape.at(row, j)]);
      return;
    }
    const float *h = second.data() + shape.groupOf(row) * n * n;
    std::vector<float> gradient(n, 0.0f);
    auto take = [&](int64_t j, float d) {
      const float *line = h + j * n;
      for (int64_t k = 0; k < n; ++k)
        gradient[k] += d * line[k];
    };
    for (int64_t j = 0; j < n; ++j)
      if (float d = from[shape.at(row, j)] - to[shape.at(row, j)]; d != 0)
        take(j, d);
    for (int w = 0; w < walks; ++w) {
      bool changed = false;
      for (int64_t j = 0; j < n; ++j) {
        float &value = to[shape.at(row, j)], size = h[j * n + j];
        float next = choose(row, j, size > 0 ? value + gradient[j] / size : value);
        if (next == value)
          continue;
        take(j, value - next);
        value = next;
        changed = true;
      }
      if (!changed)
        break;
    }
  });
}

void Reconstruction::replace(ArrayRef<float> from, ArrayRef<float> to) const {
  OpBuilder b(product);
  Value old = product->getOperand(1);
  product->setOperand(1, constant(b, old.getLoc(), onnx::makeFloats(cast<RankedTensorType>(old.getType()), to)));
  if (mean.empty() || !usesBias)
    return;
  SmallVector<double> shift(shape.count, 0.0);
  for (int64_t row = 0; row < shape.count; ++row)
    for (int64_t j = 0; j < shape.size; ++j)
      shift[row] += (double(from[shape.at(row, j)]) - to[shape.at(row, j)]) * mean[shape.groupOf(row) * shape.size + j];
  if (llvm::any_of(shift, [](double s) { return s != 0; }))
    addToBias(product, shift);
}

} // namespace burin::quant
