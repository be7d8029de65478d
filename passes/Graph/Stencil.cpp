// Convolutions as numbers: reading, regrouping, composing, building. Nothing here looks at uses or decides anything.
#include "passes/Graph/Stencil.h"
#include "passes/Graph/Affine.h"
#include "passes/Graph/Fold.h"
#include "passes/Graph/Rewriting.h"

#include <numeric>

using namespace mlir;

namespace burin::graph {

int64_t Stencil::taps() const {
  return std::accumulate(kernel.begin(), kernel.end(), int64_t(1), std::multiplies<int64_t>());
}

bool Stencil::isPointwise() const {
  return llvm::all_of(kernel, [](int64_t k) { return k == 1; });
}

bool Stencil::isPadded() const {
  auto nonzero = [](int64_t p) { return p != 0; };
  return llvm::any_of(begins, nonzero) || llvm::any_of(ends, nonzero);
}

Stencil identityStencil(int64_t channels, int64_t rank) {
  Stencil stencil;
  stencil.inputs = stencil.outputs = stencil.group = channels;
  stencil.kernel.assign(rank, 1);
  stencil.begins.assign(rank, 0);
  stencil.ends = stencil.begins;
  stencil.strides = stencil.dilations = stencil.kernel;
  stencil.weights.assign(channels, 1);
  stencil.bias.assign(channels, 0);
  return stencil;
}

// Strides, dilations and pads, which Conv and AveragePool spell alike.
template <typename OpTy> static bool readWindow(OpTy op, Stencil &stencil, StringRef &why) {
  int64_t rank = stencil.rank();
  auto listed = [&](std::optional<ArrayRef<int64_t>> given) {
    return given && int64_t(given->size()) == rank ? SmallVector<int64_t>(*given) : SmallVector<int64_t>(rank, 1);
  };
  stencil.strides = listed(op.getStrides());
  stencil.dilations = listed(op.getDilations());
  if (auto pads = explicitPads(op, rank)) {
    stencil.begins.assign(pads->begin(), pads->begin() + rank);
    stencil.ends.assign(pads->begin() + rank, pads->end());
    return true;
  }
  // SAME: as much as an output of ceil(size / stride) needs.
  RankedTensorType type = rankedType(op.getX());
  for (int64_t d = 0; d < rank; ++d) {
    int64_t size = type.getDimSize(2 + d);
    if (size == ShapedType::kDynamic) {
      why = "auto_pad depends on a size that is not known";
      return false;
    }
    int64_t out = (size + stencil.strides[d] - 1) / stencil.strides[d];
    int64_t total = std::max<int64_t>(0, (out - 1) * stencil.strides[d] + stencil.extent(d) - size);
    stencil.begins.push_back(op.getAutoPad() == "SAME_UPPER" ? total / 2 : total - total / 2);
    stencil.ends.push_back(total - stencil.begins.back());
  }
  return true;
}

std::optional<Stencil> stencilShape(onnx::ConvOp conv, StringRef &why) {
  ElementsAttr held = onnx::getConstantAttr(conv.getW());
  RankedTensorType weights = held ? dyn_cast<RankedTensorType>(held.getShapedType()) : RankedTensorType();
  RankedTensorType type = rankedType(conv.getX());
  if (!weights || !isa<FloatType>(weights.getElementType()) || weights.getNumElements() == 0) {
    why = "the weights are no float constant";
    return std::nullopt;
  }
  int64_t group = conv.getGroup();
  if (!type || type.getRank() < 3 || type.getRank() != weights.getRank() || group <= 0 ||
      weights.getDimSize(0) % group) {
    why = "the shapes do not fit";
    return std::nullopt;
  }
  if (!onnx::isNone(conv.getB()) && !onnx::getConstantAttr(conv.getB())) {
    why = "the bias is no constant";
    return std::nullopt;
  }
  Stencil stencil;
  stencil.group = group;
  stencil.outputs = weights.getDimSize(0);
  stencil.inputs = weights.getDimSize(1) * group;
  stencil.kernel.assign(weights.getShape().begin() + 2, weights.getShape().end());
  if (!readWindow(conv, stencil, why))
    return std::nullopt;
  return stencil;
}

std::optional<Stencil> stencilShape(onnx::AveragePoolOp pool, StringRef &why) {
  RankedTensorType type = rankedType(pool.getX());
  ArrayRef<int64_t> kernel = pool.getKernelShape();
  if (!type || type.getRank() < 3 || int64_t(kernel.size()) != type.getRank() - 2 ||
      type.getDimSize(1) == ShapedType::kDynamic || type.getDimSize(1) == 0) {
    why = "the shapes do not fit";
    return std::nullopt;
  }
  if (pool.getCeilMode() != 0) {
    why = "the pool's ceil_mode is set";
    return std::nullopt;
  }
  Stencil stencil;
  stencil.inputs = stencil.outputs = stencil.group = type.getDimSize(1);
  stencil.kernel.assign(kernel.begin(), kernel.end());
  if (!readWindow(pool, stencil, why))
    return std::nullopt;
  if (stencil.isPadded() && pool.getCountIncludePad() == 0) {
    why = "the pool's padding does not count in its mean";
    return std::nullopt;
  }
  return stencil;
}

bool readWeights(onnx::ConvOp conv, Stencil &stencil) {
  auto literal = readLiteral(onnx::getConstantAttr(conv.getW()));
  auto values = literal ? doubles(*literal) : std::nullopt;
  auto bias = onnx::isNone(conv.getB()) ? SmallVector<double>{0.0} : channels(conv.getB(), stencil.outputs);
  if (!values || !bias)
    return false;
  stencil.weights.assign(values->begin(), values->end());
  stencil.bias.clear();
  for (int64_t o = 0; o < stencil.outputs; ++o)
    stencil.bias.push_back(at(*bias, o));
  return true;
}

bool readWeights(onnx::AveragePoolOp, Stencil &stencil) {
  stencil.weights.assign(stencil.outputs * stencil.taps(), 1.0 / double(stencil.taps()));
  stencil.bias.assign(stencil.outputs, 0);
  return true;
}

Stencil regrouped(const Stencil &stencil, int64_t group) {
  if (group == stencil.group)
    return stencil;
  Stencil result = stencil;
  result.group = group;
  int64_t taps = stencil.taps(), narrow = stencil.inputs / stencil.group, wide = stencil.inputs / group;
  result.weights.assign(stencil.outputs * wide * taps, 0);
  for (int64_t o = 0; o < stencil.outputs; ++o) {
    int64_t first = o / (stencil.outputs / stencil.group) * narrow - o / (stencil.outputs / group) * wide;
    std::copy_n(stencil.weights.begin() + o * narrow * taps, narrow * taps,
                result.weights.begin() + (o * wide + first) * taps);
  }
  return result;
}

Stencil composed(const Stencil &first, const Stencil &second) {
  Stencil result;
  result.inputs = first.inputs;
  result.outputs = second.outputs;
  result.group = std::gcd(first.group, second.group);
  int64_t rank = first.rank();
  // A tap of both lies at u * dilation + t * first.dilation, where u counts `first` outputs: one lattice holds them
  // all.
  for (int64_t d = 0; d < rank; ++d) {
    int64_t step = second.dilations[d] * first.strides[d];
    int64_t dilation = std::gcd(first.kernel[d] > 1 ? first.dilations[d] : 0, second.kernel[d] > 1 ? step : 0);
    dilation = dilation ? dilation : 1;
    int64_t extent = (second.kernel[d] - 1) * step + first.extent(d);
    result.kernel.push_back((extent - 1) / dilation + 1);
    result.dilations.push_back(dilation);
    result.strides.push_back(first.strides[d] * second.strides[d]);
    result.begins.push_back(second.begins[d] * first.strides[d] + first.begins[d]);
    result.ends.push_back(second.ends[d] * first.strides[d] + first.ends[d]);
  }
  if (first.weights.empty() || second.weights.empty())
    return result;

  Stencil a = regrouped(first, result.group), b = regrouped(second, result.group);
  int64_t taps = result.taps(), aTaps = a.taps(), bTaps = b.taps();
  int64_t in = a.inputs / a.group, mid = b.inputs / b.group, out = b.outputs / b.group;
  // Where a pair of taps lands in the composed window.
  std::vector<int64_t> landing(aTaps * bTaps);
  for (int64_t u = 0; u < bTaps; ++u)
    for (int64_t t = 0; t < aTaps; ++t) {
      int64_t place = 0, scale = 1, uRest = u, tRest = t;
      for (int64_t d = rank - 1; d >= 0; --d) {
        int64_t at = uRest % b.kernel[d] * b.dilations[d] * a.strides[d] + tRest % a.kernel[d] * a.dilations[d];
        uRest /= b.kernel[d];
        tRest /= a.kernel[d];
        place += at / result.dilations[d] * scale;
        scale *= result.kernel[d];
      }
      landing[u * aTaps + t] = place;
    }
  result.weights.assign(result.outputs * in * taps, 0);
  result.bias = b.bias;
  for (int64_t o = 0; o < b.outputs; ++o) {
    int64_t g = o / out;
    for (int64_t m = 0; m < mid; ++m)
      for (int64_t u = 0; u < bTaps; ++u) {
        double w = b.weights[(o * mid + m) * bTaps + u];
        if (w == 0)
          continue;
        int64_t middle = g * mid + m;
        result.bias[o] += w * a.bias[middle];
        for (int64_t i = 0; i < in; ++i)
          for (int64_t t = 0; t < aTaps; ++t)
            result.weights[(o * in + i) * taps + landing[u * aTaps + t]] +=
                w * a.weights[(middle * in + i) * aTaps + t];
      }
  }
  return result;
}

Value buildConv(OpBuilder &builder, Location loc, Value x, const Stencil &stencil, Type element, StringRef name) {
  if (!fits(stencil.weights, element) || !fits(stencil.bias, element))
    return {};
  SmallVector<int64_t> shape{stencil.outputs, stencil.inputs / stencil.group}, pads(stencil.begins);
  shape.append(stencil.kernel.begin(), stencil.kernel.end());
  pads.append(stencil.ends.begin(), stencil.ends.end());
  Value weights =
      constant(builder, loc, toAttr(fromDoubles(RankedTensorType::get(shape, element), stencil.weights), name));
  Value bias =
      llvm::all_of(stencil.bias, [](double b) { return b == 0; })
          ? noValue(builder, loc)
          : constant(builder, loc,
                     toAttr(fromDoubles(RankedTensorType::get({stencil.outputs}, element), stencil.bias), name));
  SmallVector<NamedAttribute> attributes;
  auto list = [&](StringRef key, ArrayRef<int64_t> values, int64_t standard) {
    if (llvm::any_of(values, [&](int64_t v) { return v != standard; }))
      attributes.push_back(builder.getNamedAttr(key, builder.getDenseI64ArrayAttr(values)));
  };
  list("dilations", stencil.dilations, 1);
  if (stencil.group != 1)
    attributes.push_back(builder.getNamedAttr("group", builder.getI64IntegerAttr(stencil.group)));
  attributes.push_back(builder.getNamedAttr("kernel_shape", builder.getDenseI64ArrayAttr(stencil.kernel)));
  list("pads", pads, 0);
  list("strides", stencil.strides, 1);
  return build<onnx::ConvOp>(builder, loc, {x, weights, bias}, attributes);
}

} // namespace burin::graph
