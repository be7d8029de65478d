// A transposed convolution as a plain one over the small image: each of the stride's phases of the result sees its own
// taps, so one convolution gives all phases as channels and DepthToSpace puts them into place. Exact for every kernel,
// stride, dilation, pad and output_padding, and for groups. Whether it pays is a question of the target's vectors: few
// result channels leave them empty, and as many phases fill them.
#include "passes/Graph/Affine.h"
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/Stencil.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_LOWERCONVTRANSPOSE
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "LowerConvTranspose";

int64_t floorDiv(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
int64_t floorMod(int64_t a, int64_t b) { return a - floorDiv(a, b) * b; }

// One spatial dim: result position o = stride * q + r - crop takes tap k from input q + (r - crop + begin - k *
// dilation) / stride, where that divides.
struct Phases {
  int64_t stride, kernel, dilation, begin, in, out, crop = 0;
  int64_t low = 0, high = 0; // the least and largest input offset from q
  int64_t quotients = 0;     // how many q

  std::optional<int64_t> offset(int64_t r, int64_t k) const {
    int64_t at = r - crop + begin - k * dilation;
    return floorMod(at, stride) == 0 ? std::optional<int64_t>(floorDiv(at, stride)) : std::nullopt;
  }
  void settle(int64_t chosen) {
    crop = chosen;
    bool any = false;
    for (int64_t r = 0; r < stride; ++r)
      for (int64_t k = 0; k < kernel; ++k)
        if (auto at = offset(r, k)) {
          low = any ? std::min(low, *at) : *at;
          high = any ? std::max(high, *at) : *at;
          any = true;
        }
    quotients = (out + crop + stride - 1) / stride;
  }
  int64_t span() const { return high - low + 1; }
  bool cropped() const { return crop != 0 || quotients * stride != out; }
};

// Activations of one value: they may run before DepthToSpace, in the convolution's epilogue.
bool isActivation(Operation *op) {
  if (auto clip = dyn_cast<onnx::ClipOp>(op))
    return (onnx::isNone(clip.getMin()) || onnx::getConstantAttr(clip.getMin())) &&
           (onnx::isNone(clip.getMax()) || onnx::getConstantAttr(clip.getMax()));
  return isa<onnx::ReluOp, onnx::LeakyReluOp, onnx::SigmoidOp, onnx::HardSigmoidOp, onnx::HardSwishOp, onnx::SwishOp,
             onnx::GeluOp, onnx::TanhOp, onnx::EluOp, onnx::MishOp>(op) &&
         op->getNumOperands() == 1;
}

// How much of vectors of `lanes` this many channels fill.
double filled(int64_t channels, int64_t lanes) {
  return double(channels) / double((channels + lanes - 1) / lanes * lanes);
}

// ConvTranspose(%x, %w, %b) of stride s   ->   DepthToSpace(Conv(%x, %v, %c)) [cropped by a Slice]
//  - weights and bias are constants, sizes known
//  - of the two alignments of the phases, the one of fewer multiplications, a crop's way through memory counted in
//  - with `lanes`, only where it is a tenth faster by this count: multiplications over the share of the vectors that
//  the
//    channels fill, and the result's way through memory
bool lower(onnx::ConvTransposeOp op, Operation *last, int64_t lanes) {
  ElementsAttr held = onnx::getConstantAttr(op.getW());
  RankedTensorType weights = held ? dyn_cast<RankedTensorType>(held.getShapedType()) : RankedTensorType();
  RankedTensorType in = staticType(op.getX()), out = staticType(op.getResult());
  if (!weights || !isa<FloatType>(weights.getElementType()) || weights.getNumElements() == 0)
    return missed(op, passName, "SubPixel", "the weights are no float constant");
  if (!in || !out || in.getRank() < 3 || in.getRank() != weights.getRank() || in.getNumElements() == 0 ||
      out.getNumElements() == 0)
    return missed(op, passName, "SubPixel", "the sizes are not known");
  int64_t rank = in.getRank() - 2, group = op.getGroup();
  if (group <= 0 || weights.getDimSize(0) % group)
    return false;
  int64_t perGroup = weights.getDimSize(1), outputs = perGroup * group, inputs = weights.getDimSize(0);
  auto literal = readLiteral(held);
  auto values = literal ? doubles(*literal) : std::nullopt;
  auto bias = onnx::isNone(op.getB()) ? std::optional(SmallVector<double>{0.0}) : channels(op.getB(), outputs);
  if (!values || !bias)
    return missed(op, passName, "SubPixel", "a weight cannot be read");

  auto listed = [&](std::optional<ArrayRef<int64_t>> given, int64_t standard) {
    return given && int64_t(given->size()) == rank ? SmallVector<int64_t>(*given)
                                                   : SmallVector<int64_t>(rank, standard);
  };
  SmallVector<int64_t> strides = listed(op.getStrides(), 1), dilations = listed(op.getDilations(), 1),
                       extra = listed(op.getOutputPadding(), 0);
  auto pads = explicitPads(op, rank);
  bool byShape = op.getOutputShape() && !op.getOutputShape()->empty();
  SmallVector<Phases> dims;
  int64_t phases = 1, taps = 1;
  for (int64_t d = 0; d < rank; ++d) {
    Phases p{strides[d], weights.getDimSize(2 + d), dilations[d], 0, in.getDimSize(2 + d), out.getDimSize(2 + d)};
    if (pads && !byShape)
      p.begin = (*pads)[d];
    else {
      // The specification shares out what the asked size leaves over.
      int64_t full = p.stride * (p.in - 1) + extra[d] + (p.kernel - 1) * p.dilation + 1;
      int64_t total = std::max<int64_t>(0, full - p.out);
      p.begin = op.getAutoPad() == "SAME_UPPER" ? total / 2 : total - total / 2;
    }
    phases *= p.stride;
    taps *= p.kernel;
    dims.push_back(p);
  }
  if (phases == 1)
    return false;
  auto costOf = [&](ArrayRef<Phases> chosen) {
    double positions = 1, size = 1;
    bool cropped = false;
    for (const Phases &p : chosen) {
      positions *= double(p.quotients * p.span() * p.stride);
      size *= double(p.out);
      cropped |= p.cropped();
    }
    return positions * double(inputs) * double(perGroup) + (cropped ? double(elementCost * outputs) * size : 0.0);
  };
  SmallVector<Phases> aligned(dims), cropped(dims);
  for (int64_t d = 0; d < rank; ++d) {
    aligned[d].settle(0);
    cropped[d].settle(floorMod(dims[d].begin, dims[d].stride));
  }
  dims = costOf(cropped) < costOf(aligned) ? cropped : aligned;
  if (lanes > 0) {
    double direct = double(inputs * perGroup * taps) / filled(perGroup, lanes), phased = double(inputs * perGroup);
    for (const Phases &p : dims) {
      direct *= double(p.in);
      phased *= double(p.quotients * p.span() * p.stride);
    }
    phased = phased / filled(perGroup * phases, lanes) + double(elementCost * out.getNumElements() / out.getDimSize(0));
    if (phased > 0.9 * direct)
      return missed(op, passName, "SubPixel", "the phases would cost more than they fill vectors better");
  }

  // Channels with the phases outside where DepthToSpace can take them so: rows of channels then move whole.
  bool square = rank == 2 && dims[0].stride == dims[1].stride, phasesOutside = square && group == 1;
  Stencil conv;
  conv.inputs = inputs;
  conv.outputs = outputs * phases;
  conv.group = group;
  conv.strides.assign(rank, 1);
  conv.dilations.assign(rank, 1);
  for (Phases &p : dims) {
    conv.kernel.push_back(p.span());
    conv.begins.push_back(-p.low);
    conv.ends.push_back(p.quotients - p.in + p.low + p.span() - 1);
    if (conv.begins.back() < 0 || conv.ends.back() < 0)
      return missed(op, passName, "SubPixel", "the pads cut whole input positions off");
  }
  conv.weights.assign(conv.macs(), 0);
  conv.bias.assign(conv.outputs, 0);
  int64_t inGroup = inputs / group, window = conv.taps();
  for (int64_t phase = 0; phase < phases; ++phase) {
    SmallVector<int64_t> r(rank);
    for (int64_t d = rank - 1, rest = phase; d >= 0; rest /= dims[d].stride, --d)
      r[d] = rest % dims[d].stride;
    for (int64_t m = 0; m < outputs; ++m) {
      int64_t channel = phasesOutside ? phase * outputs + m : m * phases + phase;
      conv.bias[channel] = at(*bias, m);
      for (int64_t tap = 0; tap < taps; ++tap) {
        int64_t place = 0, scale = 1;
        bool covered = true;
        for (int64_t d = rank - 1, rest = tap; d >= 0 && covered; rest /= dims[d].kernel, --d) {
          auto offset = dims[d].offset(r[d], rest % dims[d].kernel);
          covered = offset.has_value();
          place += covered ? (*offset - dims[d].low) * scale : 0;
          scale *= dims[d].span();
        }
        if (!covered)
          continue;
        int64_t g = m / perGroup;
        for (int64_t c = 0; c < inGroup; ++c)
          conv.weights[(channel * inGroup + c) * window + place] =
              (*values)[((g * inGroup + c) * perGroup + m % perGroup) * taps + tap];
      }
    }
  }

  OpBuilder builder(last);
  Location loc = op.getLoc();
  Value value = buildConv(builder, loc, op.getX(), conv, out.getElementType(), onnx::getNodeName(op));
  for (Operation *step = op; value && step != last;) {
    step = *step->user_begin();
    SmallVector<Value> operands(step->getOperands());
    operands[0] = value;
    Operation *made = build(builder, step->getLoc(), step->getName().getStringRef(), operands, step->getAttrs());
    value = made ? made->getResult(0) : Value();
  }
  if (!value)
    return false;
  if (square) {
    value = build<onnx::DepthToSpaceOp>(
        builder, loc, value,
        {builder.getNamedAttr("blocksize", builder.getI64IntegerAttr(dims[0].stride)),
         builder.getNamedAttr("mode", builder.getStringAttr(phasesOutside ? "DCR" : "CRD"))});
  } else {
    // DepthToSpace knows squares alone: [N, M, s..., q...] -> [N, M, q, s, q, s...].
    SmallVector<int64_t> split{out.getDimSize(0), outputs}, perm{0, 1}, whole{out.getDimSize(0), outputs};
    for (Phases &p : dims)
      split.push_back(p.stride);
    for (auto [d, p] : llvm::enumerate(dims)) {
      split.push_back(p.quotients);
      perm.push_back(2 + rank + d);
      perm.push_back(2 + d);
      whole.push_back(p.quotients * p.stride);
    }
    value = build<onnx::ReshapeOp>(builder, loc, {value, onnx::createI64s(builder, loc, split)});
    if (value)
      value = build<onnx::TransposeOp>(builder, loc, value,
                                       builder.getNamedAttr("perm", builder.getDenseI64ArrayAttr(perm)));
    if (value)
      value = build<onnx::ReshapeOp>(builder, loc, {value, onnx::createI64s(builder, loc, whole)});
  }
  if (value && llvm::any_of(dims, [](const Phases &p) { return p.cropped(); })) {
    SmallVector<int64_t> starts, ends, axes;
    for (auto [d, p] : llvm::enumerate(dims)) {
      starts.push_back(p.crop);
      ends.push_back(p.crop + p.out);
      axes.push_back(2 + d);
    }
    value = build<onnx::SliceOp>(builder, loc,
                                 {value, onnx::createI64s(builder, loc, starts), onnx::createI64s(builder, loc, ends),
                                  onnx::createI64s(builder, loc, axes), noValue(builder, loc)});
  }
  return value && replaceBy(last, value, passName, "SubPixel");
}

bool hasActivation(Operation *op) {
  return op->getResult(0).hasOneUse() && isActivation(*op->user_begin()) &&
         (*op->user_begin())->getBlock() == op->getBlock();
}

// Matches at the last of the activations behind a transposed convolution, which only it uses.
bool visit(Operation *op, int64_t lanes) {
  if (!isa<onnx::ConvTransposeOp>(op) && !isActivation(op))
    return false;
  Operation *first = op;
  // A chain of activations this long is no layer's.
  for (unsigned steps = 0; first && isActivation(first); ++steps) {
    if (steps == 8)
      return false;
    first = first->getOperand(0).getDefiningOp();
    if (first && (!first->getResult(0).hasOneUse() || first->getBlock() != op->getBlock()))
      return false;
  }
  auto transposed = dyn_cast_or_null<onnx::ConvTransposeOp>(first);
  return transposed && !hasActivation(op) && lower(transposed, op, lanes);
}

class LowerConvTranspose : public impl::LowerConvTransposeBase<LowerConvTranspose> {
public:
  using LowerConvTransposeBase::LowerConvTransposeBase;
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [this](Operation *op) { return visit(op, lanes); });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
