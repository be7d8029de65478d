// Two convolutions, or two products with constant matrices, with nothing between them are one linear function. They
// become one operator where that takes fewer multiplications: a narrow stem before a 1x1, a wide middle between narrow
// ends. Weights are multiplied in double and rounded once.
#include "passes/Graph/Affine.h"
#include "passes/Graph/Fold.h"
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"
#include "passes/Graph/Stencil.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_MERGECONVS
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "MergeConvs";

// The pads at the end that give `out` positions; nothing where none do.
bool fitEnds(Stencil &stencil, RankedTensorType in, RankedTensorType out) {
  for (int64_t d = 0; d < stencil.rank(); ++d) {
    int64_t size = in.getDimSize(2 + d), result = out.getDimSize(2 + d);
    if (size == ShapedType::kDynamic || result == ShapedType::kDynamic) {
      // Without strides and rests the sum of the pads is exact.
      if (stencil.strides[d] != 1)
        return false;
      continue;
    }
    // Pads as they are where they do: a symmetric window stays one.
    if ((size + stencil.begins[d] + stencil.ends[d] - stencil.extent(d)) / stencil.strides[d] + 1 == result)
      continue;
    int64_t end = (result - 1) * stencil.strides[d] + stencil.extent(d) - size - stencil.begins[d];
    stencil.ends[d] = std::max<int64_t>(0, end);
    if ((size + stencil.begins[d] + stencil.ends[d] - stencil.extent(d)) / stencil.strides[d] + 1 != result)
      return false;
  }
  return true;
}

// Conv(Conv(%x, %v, %a), %w, %b)   ->   Conv(%x, %w * %v, %b + sum(%w * %a))
//  - nothing else uses the first one's result; all weights and biases are constants
//  - the second one pads nothing; or the first is 1x1, unpadded and without bias, and so turns zero into zero
//  - one takes fewer multiplications than two, the middle value's way through memory counted in
bool mergeConvs(onnx::ConvOp second) {
  auto first = definedBy<onnx::ConvOp>(second.getX());
  if (!first || first->getBlock() != second->getBlock())
    return false;
  if (!first.getResult().hasOneUse())
    return missed(second, passName, "Convs", "the first convolution has several uses");
  StringRef why;
  auto a = stencilShape(first, why), b = stencilShape(second, why);
  if (!a || !b)
    return missed(second, passName, "Convs", why);
  RankedTensorType in = rankedType(first.getX()), mid = rankedType(second.getX()), out = rankedType(second.getResult());
  if (!out || a->outputs != b->inputs)
    return false;
  Stencil merged = composed(*a, *b);
  // Sizes that are not known are taken as one large one: strides tell how many positions each has.
  double firstPositions = 1, secondPositions = 1;
  for (int64_t d = 0; d < a->rank(); ++d) {
    bool known = mid.getDimSize(2 + d) != ShapedType::kDynamic && out.getDimSize(2 + d) != ShapedType::kDynamic;
    firstPositions *= known ? double(mid.getDimSize(2 + d)) : double(b->strides[d]);
    secondPositions *= known ? double(out.getDimSize(2 + d)) : 1.0;
  }
  double apart = double(a->macs() + elementCost * a->outputs) * firstPositions + double(b->macs()) * secondPositions;
  if (double(merged.macs()) * secondPositions >= apart)
    return missed(second, passName, "Convs", "one convolution would take more multiplications");
  if (b->isPadded() && !(a->isPointwise() && !a->isPadded() && onnx::isNone(first.getB())))
    return missed(second, passName, "Convs", "the second one's padding lies between them");
  if (!fitEnds(merged, in, out))
    return missed(second, passName, "Convs", "the strides leave a rest that one convolution cannot");
  if (!readWeights(first, *a) || !readWeights(second, *b))
    return missed(second, passName, "Convs", "a weight cannot be read");
  Stencil whole = composed(*a, *b);
  whole.ends = merged.ends;
  OpBuilder builder(second);
  Value value =
      buildConv(builder, fuse({first, second}), first.getX(), whole, out.getElementType(), onnx::getNodeName(second));
  if (!value)
    return missed(second, passName, "Convs", "the weights' product leaves the range of their type");
  return replaceBy(second, value, passName, "Convs");
}

// A product with a constant matrix [K, N], its bias of N numbers (or none).
struct Product {
  Value x;
  int64_t rows, columns;
  SmallVector<double> matrix, bias;
  SmallVector<Operation *> parts;
};

std::optional<RankedTensorType> matrixOf(Operation *op) {
  if (!op || !isa<onnx::MatMulOp, onnx::GemmOp>(op))
    return std::nullopt;
  ElementsAttr held = onnx::getConstantAttr(op->getOperand(1));
  RankedTensorType type = held ? dyn_cast<RankedTensorType>(held.getShapedType()) : RankedTensorType();
  if (!type || type.getRank() != 2 || !isa<FloatType>(type.getElementType()) || !rankedType(op->getOperand(0)) ||
      rankedType(op->getOperand(0)).getRank() < 2)
    return std::nullopt;
  if (auto gemm = dyn_cast<onnx::GemmOp>(op)) {
    if (gemm.getTransA() != 0)
      return std::nullopt;
    if (gemm.getTransB() != 0)
      return RankedTensorType::get({type.getDimSize(1), type.getDimSize(0)}, type.getElementType());
  }
  return RankedTensorType::get(type.getShape(), type.getElementType());
}

std::optional<Product> readProduct(Operation *op, RankedTensorType type) {
  Product product{op->getOperand(0), type.getDimSize(0), type.getDimSize(1), {}, {}, {op}};
  auto literal = readLiteral(onnx::getConstantAttr(op->getOperand(1)));
  auto values = literal ? doubles(*literal) : std::nullopt;
  if (!values)
    return std::nullopt;
  product.matrix = std::move(*values);
  product.bias.assign(product.columns, 0);
  if (auto gemm = dyn_cast<onnx::GemmOp>(op)) {
    if (gemm.getTransB() != 0) {
      SmallVector<double> turned(product.matrix.size());
      for (int64_t k = 0; k < product.rows; ++k)
        for (int64_t n = 0; n < product.columns; ++n)
          turned[k * product.columns + n] = product.matrix[n * product.rows + k];
      product.matrix = std::move(turned);
    }
    for (double &value : product.matrix)
      value *= double(gemm.getAlpha());
    if (!onnx::isNone(gemm.getC())) {
      auto bias = perChannel(gemm.getC(), product.columns, 2, 1);
      if (!bias)
        return std::nullopt;
      for (int64_t n = 0; n < product.columns; ++n)
        product.bias[n] = at(*bias, n) * double(gemm.getBeta());
    }
  }
  return product;
}

// MatMul(MatMul(%x, %v), %w)   ->   MatMul(%x, %v * %w), with Adds of biases between and behind, and for Gemm
//  - nothing else uses the first product; matrices and biases are constants of two and one dims
//  - one takes fewer multiplications than two: the middle is wide
bool mergeProducts(Operation *second) {
  auto outer = matrixOf(second);
  if (!outer)
    return false;
  // A bias between two MatMuls is an Add of its own.
  Value middle = second->getOperand(0);
  std::optional<SmallVector<double>> shift;
  Operation *between = nullptr;
  if (auto add = definedBy<onnx::AddOp>(middle)) {
    for (unsigned i = 0; i < 2 && !shift; ++i)
      if (add->getOperand(1 - i).getDefiningOp<onnx::MatMulOp>() && rankedType(add->getOperand(1 - i)) &&
          sameType(add->getOperand(1 - i).getType(), middle.getType())) {
        int64_t rank = rankedType(middle).getRank();
        shift = perChannel(add->getOperand(i), outer->getDimSize(0), rank, rank - 1);
        between = shift ? add : nullptr;
        middle = shift ? add->getOperand(1 - i) : middle;
      }
  }
  Operation *first = middle.getDefiningOp();
  auto inner = matrixOf(first);
  if (!inner || first->getBlock() != second->getBlock() || inner->getElementType() != outer->getElementType() ||
      inner->getDimSize(1) != outer->getDimSize(0))
    return false;
  if (!middle.hasOneUse() || (between && !between->getResult(0).hasOneUse()))
    return missed(second, passName, "Products", "the first product has several uses");
  int64_t k = inner->getDimSize(0), m = inner->getDimSize(1), n = outer->getDimSize(1);
  if (k * n >= k * m + m * n + elementCost * m)
    return missed(second, passName, "Products", "one product would take more multiplications");
  // A Gemm has two dims, so two mixed ones are both of two: the second one's kind holds the result.
  auto a = readProduct(first, *inner), b = readProduct(second, *outer);
  if (!a || !b)
    return missed(second, passName, "Products", "a matrix or bias is no float constant");
  for (int64_t j = 0; shift && j < m; ++j)
    a->bias[j] += at(*shift, j);
  SmallVector<double> matrix(k * n, 0), bias(b->bias);
  for (int64_t j = 0; j < m; ++j)
    for (int64_t c = 0; c < n; ++c) {
      double w = b->matrix[j * n + c];
      bias[c] += a->bias[j] * w;
      for (int64_t r = 0; r < k; ++r)
        matrix[r * n + c] += a->matrix[r * m + j] * w;
    }
  Type element = inner->getElementType();
  if (!fits(matrix, element) || !fits(bias, element))
    return missed(second, passName, "Products", "the matrices' product leaves the range of their type");
  OpBuilder builder(second);
  SmallVector<Operation *> parts{first};
  if (between)
    parts.push_back(between);
  parts.push_back(second);
  Location loc = fuse(parts);
  StringRef name = onnx::getNodeName(second);
  Value w = constant(builder, loc, toAttr(fromDoubles(RankedTensorType::get({k, n}, element), matrix), name));
  bool biased = llvm::any_of(bias, [](double v) { return v != 0; });
  auto biasValue = [&] {
    return constant(builder, loc, toAttr(fromDoubles(RankedTensorType::get({n}, element), bias), name));
  };
  Value value;
  if (isa<onnx::GemmOp>(second)) {
    Value none = biased ? biasValue() : noValue(builder, loc);
    value = build<onnx::GemmOp>(builder, loc, {a->x, w, none});
  } else {
    value = build<onnx::MatMulOp>(builder, loc, {a->x, w});
    if (value && biased)
      value = build<onnx::AddOp>(builder, loc, {value, biasValue()});
  }
  return value && replaceBy(second, value, passName, "Products");
}

class MergeConvs : public impl::MergeConvsBase<MergeConvs> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), [](Operation *op) {
      if (auto conv = dyn_cast<onnx::ConvOp>(op))
        return mergeConvs(conv);
      return mergeProducts(op);
    });
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
