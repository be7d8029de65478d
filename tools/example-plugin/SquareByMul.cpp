// A pass of one's own, and where it runs. Pow(x, 2) -> Mul(x, x): a product costs less than a power.
#include "burin/Plugin.h"
#include "dialects/Onnx/Onnx.h"
#include "passes/Graph/Rewriting.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace burin;

namespace {
bool visit(Operation *op) {
  auto pow = dyn_cast<onnx::PowOp>(op);
  if (!pow)
    return false;
  if (!graph::isAbout(pow.getY(), 2.0)) // what --explain=example-square-by-mul shows
    return graph::missed(op, "SquareByMul", "Square", "the exponent is not a constant 2");
  OpBuilder builder(op);
  return graph::replaceBy(op, graph::build<onnx::MulOp>(builder, op->getLoc(), {pow.getX(), pow.getX()}), "SquareByMul",
                          "Square");
}

struct SquareByMul : PassWrapper<SquareByMul, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(SquareByMul)
  StringRef getArgument() const final { return "example-square-by-mul"; }
  StringRef getDescription() const final { return "Multiply instead of raising to the power of two"; }
  void runOnOperation() final {
    unsigned count = graph::rewriteForward(getOperation(), visit);
    graph::counted(getOperation(), "SquareByMul", count);
  }
};

// Shows where every model comes by.
struct CountOperators : PassWrapper<CountOperators, OperationPass<ModuleOp>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CountOperators)
  explicit CountOperators(const char *point) : point(point) {}
  StringRef getArgument() const final { return "example-count-operators"; }
  StringRef getDescription() const final { return "Print how many operators there are"; }
  void runOnOperation() final {
    unsigned count = 0;
    getOperation().walk([&](Operation *) { ++count; });
    llvm::errs() << "note: " << point << ": " << (count ? "some" : "no") << " operators\n";
  }
  const char *point;
};

void registerPasses() { PassRegistration<SquareByMul>(); }

void addHooks(PluginHooks &hooks) {
  hooks.add(PipelinePoint::AfterImport, [](OpPassManager &pm) { pm.addPass(std::make_unique<SquareByMul>()); });
  for (auto [point, name] :
       {std::pair(PipelinePoint::AfterGraph, "after-graph"), std::pair(PipelinePoint::BeforeTarget, "before-target")})
    hooks.add(point, [name = name](OpPassManager &pm) { pm.addPass(std::make_unique<CountOperators>(name)); });
}
} // namespace

BURIN_PLUGIN("example", "1.0", registerPasses, addHooks)
