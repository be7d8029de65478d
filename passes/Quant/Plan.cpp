// The choice of integer operators: candidates forward (all that comes in is integer), then backward what nobody needs
// falls away.
#include "passes/Quant/Plan.h"
#include "passes/Quant/Rewriting.h"
#include "llvm/ADT/StringSwitch.h"

using namespace mlir;

namespace burin::quant {

static bool isConstantSum(Operation *op) {
  return isa<onnx::AddOp>(op) && (isConstant(op->getOperand(0)) != isConstant(op->getOperand(1)));
}

static bool isProduct(Operation *op) {
  if (!isa<onnx::ConvOp, onnx::ConvTransposeOp, onnx::GemmOp, onnx::MatMulOp>(op))
    return false;
  ElementsAttr weight = floatConstant(op->getOperand(1));
  RankedTensorType input = floatTensor(op->getOperand(0));
  if (!weight || !input || isConstant(op->getOperand(0)) || weight.getNumElements() == 0)
    return false;
  if (auto gemm = dyn_cast<onnx::GemmOp>(op))
    return gemm.getTransA() == 0 && gemm.getAlpha() == 1.0f && (gemm.getBeta() == 1.0f || onnx::isNone(gemm.getC()));
  if (isa<onnx::MatMulOp>(op))
    return weight.getShapedType().getRank() == 2;
  return true;
}

Role roleOf(Operation *op) {
  if (op->getNumResults() == 0 || !isa<onnx::OnnxDialect>(op->getDialect()) || !floatTensor(op->getResult(0)))
    return Role::None;
  if (isProduct(op))
    return Role::Product;
  auto is = [&](auto... names) {
    StringRef type = onnx::getOpType(op);
    return ((type == StringRef(names)) || ...);
  };
  if (is("Concat"))
    return Role::Concat;
  if (is("Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Slice", "Split", "DepthToSpace", "SpaceToDepth",
         "MaxPool", "Tile", "Expand"))
    return Role::Move;
  if (auto resize = dyn_cast<onnx::ResizeOp>(op))
    return resize.getMode() == "nearest" ? Role::Move : Role::Elementwise;
  if (is("Add", "Mul", "Sub", "AveragePool", "GlobalAveragePool", "ReduceMean", "Relu", "Clip", "LeakyRelu", "PRelu",
         "Sigmoid", "Tanh", "HardSigmoid", "HardSwish", "Swish", "Gelu", "Elu", "Mish"))
    return Role::Elementwise;
  return Role::None;
}

SmallVector<OpOperand *> activationOperands(Operation *op) {
  SmallVector<OpOperand *> operands;
  unsigned count = isa<onnx::AddOp, onnx::MulOp, onnx::SubOp>(op) ? 2
                   : isa<onnx::ConcatOp>(op)                      ? op->getNumOperands()
                                                                  : 1;
  for (unsigned i = 0; i < count; ++i)
    if (!isConstant(op->getOperand(i)))
      operands.push_back(&op->getOpOperand(i));
  return operands;
}

static bool isNamed(Operation *op, ArrayRef<std::string> names) {
  StringRef node = onnx::getNodeName(op), type = onnx::getOpType(op);
  return llvm::any_of(names, [&](StringRef name) { return name == node || name == type; });
}

// The operator that takes the result of `op` as its own last step, or null.
static Operation *tailOf(Operation *op, Operation *root) {
  if (!op->getResult(0).hasOneUse())
    return nullptr;
  Operation *user = *op->getResult(0).getUsers().begin();
  if (user->getBlock() != op->getBlock() || user->getNumResults() != 1 || !floatTensor(user->getResult(0)))
    return nullptr;
  if (isa<onnx::MatMulOp>(root) && op == root && isConstantSum(user))
    return user;
  if (isa<onnx::ReluOp>(user))
    return user;
  auto clip = dyn_cast<onnx::ClipOp>(user);
  return clip && isConstant(clip.getMin()) && isConstant(clip.getMax()) ? user : nullptr;
}

Value resultOf(Operation *op, const Plan &plan) {
  Operation *last = op;
  while (last->getResult(0).hasOneUse() && plan.tails.contains(*last->getResult(0).getUsers().begin()))
    last = *last->getResult(0).getUsers().begin();
  return last->getResult(0);
}

Plan makePlan(func::FuncOp function, const Selection &selection, bool needsRanges) {
  Plan plan;
  Block &block = function.front();
  auto hasRange = [&](Value value) { return !needsRanges || getRange(value).has_value(); };
  auto chosen = [&](Operation *op) {
    return !isNamed(op, selection.keep) && (selection.only.empty() || isNamed(op, selection.only));
  };
  llvm::DenseSet<Operation *> candidates;
  llvm::DenseSet<Value> sources; // results of candidates, their tails done, and float inputs
  for (BlockArgument arg : block.getArguments())
    if (floatTensor(arg))
      sources.insert(arg);
  for (Operation &op : block) {
    Role role = plan.tails.contains(&op) ? Role::None : roleOf(&op);
    // Between products a selection of products decides.
    if (role == Role::None || isNamed(&op, selection.keep) || (role == Role::Product && !chosen(&op)))
      continue;
    SmallVector<OpOperand *> operands = activationOperands(&op);
    bool fits = !operands.empty() && llvm::all_of(operands, [&](OpOperand *operand) {
      return floatTensor(operand->get()) && hasRange(operand->get()) &&
             (role == Role::Product || sources.contains(operand->get()));
    });
    if (!fits)
      continue;
    candidates.insert(&op);
    Operation *last = &op;
    if (role == Role::Product || role == Role::Elementwise)
      while (Operation *tail = tailOf(last, &op)) {
        plan.tails.insert(tail);
        last = tail;
      }
    for (Value result : last->getResults())
      if (floatTensor(result))
        sources.insert(result);
  }

  SmallVector<Operation *> order;
  llvm::DenseSet<Value> needed;
  for (Operation &op : llvm::reverse(block)) {
    if (!candidates.contains(&op))
      continue;
    Role role = roleOf(&op);
    bool stays = role == Role::Product;
    if (!stays) {
      SmallVector<Value> results;
      if (role == Role::Elementwise)
        results.push_back(resultOf(&op, plan));
      else
        results.assign(op.result_begin(), op.result_end());
      stays = llvm::any_of(results, [&](Value v) { return needed.contains(v); }) &&
              llvm::all_of(results, [&](Value v) { return !needed.contains(v) || hasRange(v); });
    }
    if (!stays)
      continue;
    order.push_back(&op);
    for (OpOperand *operand : activationOperands(&op))
      needed.insert(operand->get());
  }
  for (Operation *op : llvm::reverse(order)) {
    plan.integer.insert(op);
    for (OpOperand *operand : activationOperands(op))
      plan.quantized.insert(operand->get());
  }
  return plan;
}

SmallVector<Value> getActivations(func::FuncOp function, const Selection &selection) {
  return makePlan(function, selection, /*needsRanges=*/false).quantized.takeVector();
}

SmallVector<Operation *> getProducts(func::FuncOp function, const Selection &selection) {
  SmallVector<Operation *> products;
  for (Operation *op : makePlan(function, selection, /*needsRanges=*/false).integer)
    if (roleOf(op) == Role::Product)
      products.push_back(op);
  return products;
}

} // namespace burin::quant
