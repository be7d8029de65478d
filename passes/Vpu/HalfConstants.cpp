// Rounding of constants to f16: see the header.
#include "passes/Vpu/HalfConstants.h"
#include "runtime/vpu/half.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include <cmath>
#include <cstring>

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

namespace {
constexpr float largestHalf = 65504.0f;

// Finite numbers stay finite, since 0 * infinity would be no number.
uint16_t toHalf(float value, Losses &losses) {
  uint16_t half = burin_to_half(value);
  if (std::isfinite(value) && std::isinf(burin_from_half(half))) {
    ++losses.clamped;
    half = burin_to_half(value < 0 ? -largestHalf : largestHalf);
  }
  losses.vanished += value != 0 && (half & 0x7fff) == 0;
  return half;
}

/// A weight that could be rounded the other way.
struct Candidate {
  double price; // squared error that it adds, for each unit that the sum of errors changes by
  double step;
  int64_t at;
  uint16_t half;
};

/// Weights at first, first + stride, ... of one sum.
void balance(ArrayRef<float> exact, MutableArrayRef<uint16_t> halves, int64_t first, int64_t stride, int64_t count) {
  double sum = 0;
  auto errorAt = [&](int64_t at) { return double(burin_from_half(halves[at])) - double(exact[at]); };
  for (int64_t i = 0; i < count; ++i)
    sum += errorAt(first + i * stride);
  if (!std::isfinite(sum))
    return;
  SmallVector<Candidate> candidates;
  for (int64_t i = 0; i < count; ++i) {
    int64_t at = first + i * stride;
    double error = errorAt(at);
    // Numbers that are halves stay, and so does what would lose its sign or become infinite.
    uint16_t half = halves[at], size = half & 0x7fff;
    bool outward = (error < 0) == !(half & 0x8000);
    if (error == 0 || (error > 0) != (sum > 0) || (outward ? size >= 0x7bff : size == 0))
      continue;
    uint16_t other = outward ? half + 1 : half - 1;
    double step = double(burin_from_half(other)) - double(burin_from_half(half)), moved = error + step;
    candidates.push_back({(moved * moved - error * error) / std::abs(step), step, at, other});
  }
  auto dearer = [](const Candidate &a, const Candidate &b) {
    return std::tie(a.price, a.at) > std::tie(b.price, b.at); // the cheapest is the heap's first
  };
  std::make_heap(candidates.begin(), candidates.end(), dearer);
  while (!candidates.empty()) {
    std::pop_heap(candidates.begin(), candidates.end(), dearer);
    Candidate best = candidates.pop_back_val();
    if (std::abs(sum + best.step) >= std::abs(sum))
      continue;
    halves[best.at] = best.half;
    sum += best.step;
    if (std::abs(sum) < std::abs(best.step) / 2)
      return;
  }
}

void balanceAll(ArrayRef<float> exact, MutableArrayRef<uint16_t> halves, ArrayRef<int64_t> shape, Sums sums) {
  int64_t sumsCount = sums == Sums::Columns ? shape.back() : shape.front(), count = exact.size() / sumsCount;
  bool columns = sums == Sums::Columns;
  for (int64_t i = 0; i < sumsCount; ++i)
    balance(exact, halves, columns ? i : i * count, columns ? sumsCount : 1, count);
}
} // namespace

TypedAttr vpu::narrowed(TypedAttr value, Losses &losses, Sums sums) {
  Type half = Float16Type::get(value.getContext());
  auto number = [&](float v) { return APFloat(APFloat::IEEEhalf(), APInt(16, toHalf(v, losses))); };
  if (auto scalar = dyn_cast<FloatAttr>(value))
    return FloatAttr::get(half, number(scalar.getValue().convertToFloat()));
  auto type = cast<ShapedType>(value.getType()).clone(half);
  auto dense = dyn_cast<DenseElementsAttr>(value);
  if (dense && dense.isSplat())
    return DenseElementsAttr::get(type, number(dense.getSplatValue<float>()));
  std::vector<float> exact(type.getNumElements());
  if (dense) {
    llvm::copy(dense.getValues<float>(), exact.begin());
  } else {
    auto resource = dyn_cast<DenseResourceElementsAttr>(value);
    AsmResourceBlob *blob = resource ? resource.getRawHandle().getBlob() : nullptr;
    if (!blob || blob->getData().size() < sizeof(float) * exact.size())
      return nullptr;
    std::memcpy(exact.data(), blob->getData().data(), sizeof(float) * exact.size()); // they may lie at any address
  }
  AsmResourceBlob made = HeapAsmResourceBlob::allocate(exact.size() * sizeof(uint16_t), 64);
  MutableArrayRef<uint16_t> halves(reinterpret_cast<uint16_t *>(made.getMutableData().data()), exact.size());
  for (auto [from, to] : llvm::zip_equal(exact, halves))
    to = toHalf(from, losses);
  if (sums != Sums::None && !exact.empty())
    balanceAll(exact, halves, type.getShape(), sums);
  if (dense)
    return DenseElementsAttr::getFromRawBuffer(type, made.getData());
  return DenseResourceElementsAttr::get(type, "half", std::move(made));
}
