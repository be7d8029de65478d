// cpu-approximate-math
#include "passes/Cpu/Passes.h"
#include "mlir/Dialect/Math/Transforms/Approximation.h"
#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
namespace burin {
#define GEN_PASS_DEF_APPROXIMATEMATH
#include "passes/Cpu/Passes.h.inc"
} // namespace burin
using namespace mlir;
namespace {
struct ApproximateMath : burin::impl::ApproximateMathBase<ApproximateMath> {
  using ApproximateMathBase::ApproximateMathBase;
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    populateMathPolynomialApproximationPatterns(patterns);
    (void)applyPatternsGreedily(getOperation(), std::move(patterns));
  }
};
} // namespace
