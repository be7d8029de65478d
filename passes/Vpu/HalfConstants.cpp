// Rounding of constants to f16: see the header.
#include "passes/Vpu/HalfConstants.h"
#include "runtime/vpu/half.h"

#include "mlir/IR/DialectResourceBlobManager.h"
#include <cmath>
#include <cstring>
#include <limits>

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

/// The other of the two halves that `exact` lies between. What is a half stays, and so does what would lose its sign or
/// become infinite.
uint16_t neighbour(uint16_t half, float exact) {
  float error = burin_from_half(half) - exact;
  uint16_t size = half & 0x7fff;
  if (!std::isfinite(error) || error == 0)
    return half;
  bool outward = (error < 0) == !(half & 0x8000);
  if (outward ? size >= 0x7bff : size == 0)
    return half;
  return outward ? half + 1 : half - 1;
}

/// How weights of sums lie in a tensor: `columns` of a matrix or its rows.
struct Layout {
  int64_t sums, count; // count: weights of each
  bool columns;
  int64_t place(int64_t weight, int64_t sum) const { return columns ? weight * sums + sum : sum * count + weight; }
};

/// A factor for each sum's weights that lessens what rounding does to them. Halves are the denser, compared with the
/// largest weight, the closer that one lies below a power of two: each factor tried brings it to a half there. The
/// fewer the weights the more luck there is between one factor and another, and the more are tried.
class Scaling {
public:
  Scaling(ArrayRef<float> exact, Layout layout) : exact(exact), layout(layout) {}

  float best(int64_t sum) {
    weights.clear();
    float largest = 0, smallest = std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < layout.count; ++i) {
      float weight = std::abs(exact[layout.place(i, sum)]);
      weights.push_back(weight);
      largest = std::max(largest, weight);
      smallest = weight > 0 ? std::min(smallest, weight) : smallest;
    }
    if (!(largest > 0) || !(largest < largestHalf / 2) ||
        !llvm::all_of(weights, [](float w) { return w < largestHalf; }))
      return 1;
    int exponent = std::ilogb(largest) + 1;
    if (smallest < smallestNormal)
      exponent = std::max(exponent, 1);
    float chosen = 1, least = error(1);
    int64_t tries = std::clamp<int64_t>(work / layout.count, 1, 256), step = 512 / tries;
    for (int64_t i = 0; i < tries && least > 0; ++i) {
      float factor = std::ldexp(float(2047 - i * step) / 2048, exponent) / largest, worth = error(factor);
      if (worth < least)
        chosen = factor, least = worth;
    }
    return chosen;
  }

private:
  static constexpr float smallestNormal = 6.103515625e-5f;
  static constexpr int64_t work = 4096; // numbers rounded for one sum

  float error(float factor) const {
    float sum = 0;
    for (float weight : weights) {
      float scaled = weight * factor, off = burin_from_half(burin_to_half(scaled)) - scaled;
      sum += off * off;
    }
    return sum / (factor * factor);
  }

  ArrayRef<float> exact;
  Layout layout;
  SmallVector<float> weights;
};

/// Rounds the weights of sums together. With errors e of the weights and inputs x, the squared error of a sum is
/// e' E[x x'] e. Of x it is supposed that all have one mean, that values of one channel at two places of a window
/// resemble each other the less the farther these are apart, and that channels have nothing else in common. Weights
/// take turns to go to their other neighbour where that lowers the error, until none does or the last sweep is done.
class Rounding {
public:
  Rounding(ArrayRef<float> exact, MutableArrayRef<uint16_t> halves, Layout layout, const Sums &sums)
      : exact(exact), halves(halves), layout(layout), count(layout.count), mean(sums.mean), deviation(1 - sums.mean) {
    SmallVector<SmallVector<int64_t, 2>> places = {{}};
    for (int64_t size : sums.window) {
      SmallVector<SmallVector<int64_t, 2>> longer;
      for (const auto &place : places)
        for (int64_t i = 0; i < size; ++i) {
          longer.push_back(place);
          longer.back().push_back(i);
        }
      places = std::move(longer);
    }
    taps = places.size();
    for (const auto &a : places)
      for (const auto &b : places) {
        int64_t apart = 0;
        for (auto [i, j] : llvm::zip_equal(a, b))
          apart += std::abs(i - j);
        alike.push_back(deviation * std::pow(resemblance, float(apart)));
      }
  }

  void run() {
    std::vector<float> errors(count * lanes), others(count * lanes);
    for (int64_t first = 0; first < layout.sums; first += lanes) {
      int64_t used = std::min(lanes, layout.sums - first);
      for (int64_t i = 0; i < count; ++i)
        for (int64_t l = 0; l < lanes; ++l) {
          int64_t at = layout.place(i, first + l);
          float error = l < used ? burin_from_half(halves[at]) - exact[at] : 0;
          errors[i * lanes + l] = std::isfinite(error) ? error : 0;
          others[i * lanes + l] =
              std::isfinite(error) && l < used ? burin_from_half(neighbour(halves[at], exact[at])) - exact[at] : 0;
        }
      std::vector<float> nearest = errors;
      float total[lanes] = {};
      for (int64_t i = 0; i < count; ++i)
        for (int64_t l = 0; l < lanes; ++l)
          total[l] += errors[i * lanes + l];
      for (int sweep = 0; sweep < sweeps; ++sweep) {
        bool moved = false;
        for (int64_t channel = 0; channel < count / taps; ++channel)
          moved |= improve(errors.data(), others.data(), channel, total);
        if (!moved)
          break;
      }
      for (int64_t i = 0; i < count; ++i)
        for (int64_t l = 0; l < used; ++l)
          if (errors[i * lanes + l] != nearest[i * lanes + l]) {
            int64_t at = layout.place(i, first + l);
            halves[at] = neighbour(halves[at], exact[at]);
          }
    }
  }

private:
  static constexpr int64_t lanes = 32; // sums at once
  static constexpr int sweeps = 3;
  static constexpr float resemblance = 0.9f; // of inputs beside one another

  /// One channel's weights, tap after tap, in all lanes.
  bool improve(float *errors, float *others, int64_t channel, float (&total)[lanes]) const {
    auto row = [&](float *of, int64_t tap) { return of + (tap * (count / taps) + channel) * lanes; };
    bool moved = false;
    for (int64_t tap = 0; tap < taps; ++tap) {
      float *error = row(errors, tap), *other = row(others, tap), around[lanes] = {};
      for (int64_t near = 0; near < taps; ++near) {
        const float *theirs = row(errors, near);
        float weight = alike[tap * taps + near];
        for (int64_t l = 0; l < lanes; ++l)
          around[l] += weight * theirs[l];
      }
      float flips = 0;
      for (int64_t l = 0; l < lanes; ++l) {
        float e = error[l], o = other[l], step = o - e;
        float change = step * (2 * (mean * total[l] + around[l]) + (mean + deviation) * step);
        bool better = change < 0;
        error[l] = better ? o : e;
        other[l] = better ? e : o;
        total[l] += better ? step : 0.0f;
        flips += better ? 1.0f : 0.0f;
      }
      moved |= flips > 0;
    }
    return moved;
  }

  ArrayRef<float> exact;
  MutableArrayRef<uint16_t> halves;
  Layout layout;
  int64_t count, taps = 1;
  float mean, deviation;
  SmallVector<float> alike; // of two taps' inputs, beyond their mean
};

/// Multiplies the weights; `scales`: what undoes it, or nothing.
void scale(MutableArrayRef<float> weights, Layout layout, SmallVectorImpl<float> &scales) {
  Scaling scaling(weights, layout);
  bool any = false;
  for (int64_t sum = 0; sum < layout.sums; ++sum) {
    float factor = scaling.best(sum);
    any |= factor != 1;
    scales.push_back(1 / factor);
    for (int64_t i = 0; i < layout.count && factor != 1; ++i)
      weights[layout.place(i, sum)] *= factor;
  }
  if (!any)
    scales.clear();
}
} // namespace

TypedAttr vpu::narrowed(TypedAttr value, Losses &losses, const Sums &sums, SmallVectorImpl<float> *scales) {
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
  Layout layout{0, 0, true};
  if (sums.kind != Sums::None && !exact.empty()) {
    layout.columns = sums.kind == Sums::Columns;
    layout.sums = layout.columns ? type.getShape().back() : type.getShape().front();
    layout.count = exact.size() / layout.sums;
    if (scales)
      scale(exact, layout, *scales);
  }
  AsmResourceBlob made = HeapAsmResourceBlob::allocate(exact.size() * sizeof(uint16_t), 64);
  MutableArrayRef<uint16_t> halves(reinterpret_cast<uint16_t *>(made.getMutableData().data()), exact.size());
  for (auto [from, to] : llvm::zip_equal(exact, halves))
    to = toHalf(from, losses);
  if (sums.kind != Sums::None && !exact.empty())
    Rounding(exact, halves, layout, sums).run();
  if (dense)
    return DenseElementsAttr::getFromRawBuffer(type, made.getData());
  return DenseResourceElementsAttr::get(type, "half", std::move(made));
}
