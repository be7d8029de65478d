// Weights stored as f16 or bf16: every constant of floats is rounded and cast back, so that the graph computes as
// before.
#include "passes/Quant/Passes.h"
#include "passes/Quant/Rewriting.h"

#include "llvm/ADT/APFloat.h"

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_ROUNDWEIGHTS
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "RoundWeights";

class RoundWeights : public impl::RoundWeightsBase<RoundWeights> {
public:
  using RoundWeightsBase::RoundWeightsBase;

  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    if (type != "f16" && type != "bf16") {
      main.emitError() << "expected the type f16 or bf16, got '" << type << "'";
      return signalPassFailure();
    }
    unsigned count = 0;
    for (Operation &op : llvm::make_early_inc_range(main.front()))
      count += round(&op);
    counted(getOperation(), passName, count);
  }

private:
  bool round(Operation *op) {
    if (op->getNumResults() != 1 || !isConstant(op->getResult(0)))
      return false;
    Value old = op->getResult(0);
    ElementsAttr value = floatConstant(old);
    auto wide = dyn_cast<RankedTensorType>(old.getType());
    if (!value || !wide || wide.getNumElements() < least)
      return false;
    bool isHalf = type == "f16", lost;
    OpBuilder b(op);
    b.setInsertionPointAfter(op);
    SmallVector<float> numbers = onnx::getFloats(value);
    SmallVector<char> raw(2 * numbers.size());
    for (auto [i, number] : llvm::enumerate(numbers)) {
      APFloat narrow(number);
      narrow.convert(isHalf ? APFloat::IEEEhalf() : APFloat::BFloat(), APFloat::rmNearestTiesToEven, &lost);
      if (!narrow.isFinite()) {
        missed(op, passName, "Constant", "a number is beyond the largest of the type");
        return false;
      }
      uint16_t bits = narrow.bitcastToAPInt().getZExtValue();
      std::memcpy(&raw[2 * i], &bits, 2);
    }
    Type element = isHalf ? Type(b.getF16Type()) : b.getBF16Type();
    Value stored = constant(b, old.getLoc(), onnx::makeConstantAttr(wide.clone(element), raw, "rounded"));
    Value cast = make<onnx::CastOp>(b, named(old.getLoc(), "_widened"), wide, stored,
                                    b.getNamedAttr("to", b.getI64IntegerAttr(1)));
    passed(op, passName, "Constant");
    old.replaceAllUsesWith(cast);
    op->erase();
    return true;
  }
};

} // namespace
} // namespace burin::quant
