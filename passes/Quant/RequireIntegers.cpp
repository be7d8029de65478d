// For devices without floats: the model speaks integers at its inputs and outputs, and whatever would need floats is
// named.
#include "passes/Quant/Passes.h"
#include "passes/Quant/Rewriting.h"

using namespace mlir;

namespace burin::quant {
#define GEN_PASS_DEF_REQUIREINTEGERS
#include "passes/Quant/Passes.h.inc"

namespace {
constexpr StringLiteral passName = "RequireIntegers";

bool isFloat(Value v) {
  auto type = dyn_cast<TensorType>(v.getType());
  return type && isa<FloatType>(type.getElementType());
}

class RequireIntegers : public impl::RequireIntegersBase<RequireIntegers> {
public:
  void runOnOperation() override {
    func::FuncOp main = mainOf(getOperation());
    if (!main || main.isExternal())
      return;
    Block &block = main.front();
    unsigned count = 0;
    for (BlockArgument arg : block.getArguments())
      count += makeInteger(arg);
    for (OpOperand &result : block.getTerminator()->getOpOperands())
      if (auto back = result.get().getDefiningOp<onnx::DequantizeLinearOp>()) {
        result.set(back.getX());
        ++count;
        if (back->use_empty())
          back->erase();
      }
    main.setType(FunctionType::get(&getContext(), block.getArgumentTypes(), block.getTerminator()->getOperandTypes()));
    if (failed(check(main)))
      return signalPassFailure();
    counted(getOperation(), passName, count);
  }

private:
  // An input that QuantizeLinears of one scale read is their result.
  bool makeInteger(BlockArgument arg) {
    if (!isFloat(arg) || arg.use_empty())
      return false;
    SmallVector<onnx::QuantizeLinearOp> readers;
    for (Operation *user : arg.getUsers()) {
      auto quantize = dyn_cast<onnx::QuantizeLinearOp>(user);
      if (!quantize || (!readers.empty() && (quantize.getYScale() != readers.front().getYScale() ||
                                             quantize.getYZeroPoint() != readers.front().getYZeroPoint())))
        return false;
      readers.push_back(quantize);
    }
    arg.setType(readers.front().getY().getType());
    for (onnx::QuantizeLinearOp reader : readers) {
      reader.getY().replaceAllUsesWith(arg);
      reader->erase();
    }
    return true;
  }

  LogicalResult check(func::FuncOp main) {
    LogicalResult all = success();
    for (BlockArgument arg : main.getArguments())
      if (isFloat(arg)) {
        auto name = main.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "onnx.name");
        all = main.emitError() << "expected integers alone, got the float input '" << (name ? name.getValue() : "")
                               << "'";
      }
    for (Operation &op : main.front()) {
      if (op.hasTrait<OpTrait::ConstantLike>() || op.hasTrait<OpTrait::IsTerminator>() ||
          isa<onnx::QuantizeLinearOp, onnx::DequantizeLinearOp>(op))
        continue;
      auto isBad = [&](Value v) {
        return isFloat(v) && !isConstant(v) && !isa_and_nonnull<onnx::DequantizeLinearOp>(v.getDefiningOp()) &&
               !isTail(v);
      };
      auto leaves = [&](Value v) {
        return isFloat(v) && !llvm::all_of(v.getUsers(), [&](Operation *user) {
                 return isa<onnx::QuantizeLinearOp>(user) || (v.hasOneUse() && isTail(user->getResults()));
               });
      };
      if (llvm::any_of(op.getOperands(), isBad) || llvm::any_of(op.getResults(), leaves))
        all = onnx::emitNodeError(&op) << "expected integers alone, got an operator on floats";
    }
    return all;
  }

  // A Relu or Clip right behind an operator, which takes it along.
  static bool isTail(ValueRange results) {
    return results.size() == 1 && isa_and_nonnull<onnx::ReluOp, onnx::ClipOp>(results[0].getDefiningOp());
  }
  static bool isTail(Value v) {
    return llvm::any_of(v.getUsers(), [](Operation *user) { return isa<onnx::ReluOp, onnx::ClipOp>(user); }) &&
           v.hasOneUse();
  }
};

} // namespace
} // namespace burin::quant
