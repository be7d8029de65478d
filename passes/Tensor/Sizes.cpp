// See Sizes.h. Arithmetic is evaluated by the operations' own folders, so that it means here what it means in code.
#include "passes/Tensor/Sizes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

using namespace mlir;
using namespace burin;

std::optional<std::pair<BlockArgument, int64_t>> burin::argumentDim(Operation *op) {
  Value source, index;
  if (auto dim = dyn_cast_or_null<mlir::tensor::DimOp>(op)) {
    source = dim.getSource();
    index = dim.getIndex();
  } else if (auto dim = dyn_cast_or_null<memref::DimOp>(op)) {
    source = dim.getSource();
    index = dim.getIndex();
  }
  APInt number;
  auto argument = dyn_cast_or_null<BlockArgument>(source);
  if (!argument || !isa<func::FuncOp>(argument.getOwner()->getParentOp()) ||
      !matchPattern(index, m_ConstantInt(&number)))
    return std::nullopt;
  return std::make_pair(argument, number.getSExtValue());
}

bool DimArithmetic::holds(Value value) {
  Operation *op = value.getDefiningOp();
  if (!op || op->getNumRegions() != 0)
    return false;
  auto [entry, isNew] = known.try_emplace(op, false);
  if (!isNew)
    return entry->second;
  bool good;
  if (auto dim = argumentDim(op)) {
    good = dim->first.getOwner() == &function.getBody().front();
  } else {
    good = op->hasTrait<OpTrait::ConstantLike>()
               ? value.getType().isIntOrIndexOrFloat()
               : isMemoryEffectFree(op) && op->getNumOperands() > 0 && value.getType().isIntOrIndexOrFloat() &&
                     !isa<mlir::tensor::DimOp, memref::DimOp>(op) &&
                     llvm::all_of(op->getOperands(), [&](Value v) { return holds(v); });
  }
  return known[op] = good;
}

void DimArithmetic::hoist(Value value, Operation *anchor) {
  Operation *op = value.getDefiningOp();
  if (!op || !hoisted.insert(op).second)
    return;
  for (Value operand : op->getOperands())
    hoist(operand, anchor);
  op->moveBefore(anchor);
}

Attribute SizeSample::fold(Value value, DimOf dimOf) {
  Operation *op = value.getDefiningOp();
  if (!op)
    return nullptr;
  if (auto found = known.find(value); found != known.end())
    return found->second;
  Builder builder(op->getContext());
  Attribute result;
  if (auto dim = argumentDim(op)) {
    result = builder.getIndexAttr(dimOf(dim->first, dim->second));
  } else {
    SmallVector<Attribute> operands;
    for (Value operand : op->getOperands())
      operands.push_back(fold(operand, dimOf));
    SmallVector<OpFoldResult> results;
    if (llvm::all_of(operands, [](Attribute a) { return bool(a); }) && succeeded(op->fold(operands, results)) &&
        results.size() == op->getNumResults()) {
      OpFoldResult folded = results[cast<OpResult>(value).getResultNumber()];
      if (auto attribute = dyn_cast<Attribute>(folded))
        result = attribute;
      else if (cast<Value>(folded) != value)
        result = fold(cast<Value>(folded), dimOf);
    }
  }
  return known[value] = result;
}

std::optional<int64_t> SizeSample::evaluate(Value value, DimOf dimOf) {
  if (auto number = dyn_cast_or_null<IntegerAttr>(fold(value, dimOf)))
    return number.getValue().getSExtValue();
  return std::nullopt;
}
