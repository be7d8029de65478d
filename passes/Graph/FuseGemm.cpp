// A product of two matrices and the sum after it as one Gemm. Only for graphs that leave as ONNX: what is compiled
// keeps them apart, as the sum becomes the product's epilogue anyway. Must not run where the sum broadcasts the
// product.
#include "passes/Graph/Passes.h"
#include "passes/Graph/Rewriting.h"

using namespace mlir;

namespace burin {
#define GEN_PASS_DEF_FUSEGEMM
#include "passes/Graph/Passes.h.inc"

namespace {
using namespace graph;

constexpr StringLiteral passName = "FuseGemm";

// True if adding a value of this type to a matrix leaves the matrix its shape.
bool fitsInto(RankedTensorType type, RankedTensorType matrix) {
  if (!type || type.getRank() > 2 || type.getElementType() != matrix.getElementType())
    return false;
  for (int64_t i = 0, rank = type.getRank(); i < rank; ++i)
    if (type.getDimSize(i) != 1 && !sameDim(type, i, matrix, i + 2 - rank))
      return false;
  return true;
}

// Add(MatMul(%a, %b), %c)   ->   Gemm(%a, %b, %c)
//  - %a and %b are matrices of floats, and %c does not broadcast their product
//  - nothing else uses the product
bool visit(Operation *op) {
  if (!isa<onnx::AddOp>(op))
    return false;
  for (unsigned i = 0; i < 2; ++i) {
    auto product = definedBy<onnx::MatMulOp>(op->getOperand(i));
    RankedTensorType type = product ? rankedType(product.getY()) : RankedTensorType();
    if (!type || !isa<FloatType>(type.getElementType()))
      continue;
    if (type.getRank() != 2 || rankedType(product.getA()).getRank() != 2)
      return missed(op, passName, "Gemm", "the product is not one of two matrices");
    Value addend = op->getOperand(1 - i);
    if (!product->hasOneUse())
      return missed(op, passName, "Gemm", "the product has several uses");
    if (!fitsInto(rankedType(addend), type))
      return missed(op, passName, "Gemm", "the sum could broadcast the product");
    OpBuilder builder(op);
    return replaceBy(op, build<onnx::GemmOp>(builder, fuse({product, op}), {product.getA(), product.getB(), addend}),
                     passName, "Gemm");
  }
  return false;
}

class FuseGemm : public burin::impl::FuseGemmBase<FuseGemm> {
public:
  void runOnOperation() override {
    unsigned count = rewriteForward(getOperation(), visit);
    counted(getOperation(), passName, count);
  }
};

} // namespace
} // namespace burin
