// The tools behind this room's passes.
#include "passes/Quant/Rewriting.h"
#include "mlir/IR/Remarks.h"

using namespace mlir;

namespace burin::quant {

static remark::RemarkOpts remarkOf(StringRef pass, StringRef rewrite) {
  return remark::RemarkOpts::name(rewrite).category(pass);
}
static bool remarksOff(Operation *op) { return !op->getContext()->getRemarkEngine(); }

void passed(Operation *op, StringRef pass, StringRef rewrite, const Twine &what) {
  if (remarksOff(op))
    return;
  std::string text = what.str();
  remark::passed(op->getLoc(), remarkOf(pass, rewrite)) << (text.empty() ? rewrite : StringRef(text));
}

void missed(Operation *op, StringRef pass, StringRef rewrite, const Twine &why) {
  if (remarksOff(op))
    return;
  std::string text = why.str();
  remark::missed(op->getLoc(), remarkOf(pass, rewrite)) << remark::reason("{0}", text);
}

void counted(Operation *root, StringRef pass, unsigned count) {
  if (!remarksOff(root))
    remark::analysis(root->getLoc(), remarkOf(pass, "count")) << remark::metric("rewrites", count);
}

func::FuncOp mainOf(ModuleOp module) {
  if (auto main = module.lookupSymbol<func::FuncOp>("main"))
    return main;
  auto functions = module.getOps<func::FuncOp>();
  return llvm::hasSingleElement(functions) ? *functions.begin() : func::FuncOp();
}

Location named(Location loc, StringRef suffix) {
  std::optional<onnx::NodeInfo> info = onnx::getNodeInfo(loc);
  if (!info || info->name.empty())
    return loc;
  std::string name = (info->name + suffix).str();
  info->name = name;
  return onnx::getNodeLoc(loc.getContext(), *info);
}

Value constant(OpBuilder &b, Location loc, ElementsAttr value) { return onnx::ConstantOp::create(b, loc, value); }
Value noValue(OpBuilder &b, Location loc) { return onnx::NoValueOp::create(b, loc); }

Value scalar(OpBuilder &b, Location loc, Type element, double value) {
  auto type = RankedTensorType::get({}, element);
  return constant(b, loc,
                  isa<FloatType>(element) ? onnx::makeFloats(type, {float(value)})
                                          : onnx::makeInts(type, {int64_t(value)}));
}

RankedTensorType floatTensor(Value value) {
  auto type = value ? dyn_cast<RankedTensorType>(value.getType()) : RankedTensorType();
  return type && type.getElementType().isF32() ? type : RankedTensorType();
}

ElementsAttr floatConstant(Value value) {
  return value && floatTensor(value) ? onnx::getConstantAttr(value) : ElementsAttr();
}

bool isConstant(Value value) { return onnx::isNone(value) || bool(onnx::getConstantAttr(value)); }

void eraseUnused(func::FuncOp function) {
  function.walk([](Operation *op) {
    if (op->hasTrait<OpTrait::ConstantLike>() && op->use_empty())
      op->erase();
  });
}

} // namespace burin::quant
