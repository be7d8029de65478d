// Registration, verifiers and where memrefs lie.
#include "dialects/Vpu/Vpu.h"

#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/DialectImplementation.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

using namespace mlir;
using namespace burin;
using namespace burin::vpu;

#include "dialects/Vpu/VpuDialect.cpp.inc"
#include "dialects/Vpu/VpuEnums.cpp.inc"
#include "dialects/Vpu/VpuInterfaces.cpp.inc"
#define GET_ATTRDEF_CLASSES
#include "dialects/Vpu/VpuAttrs.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Vpu/VpuOps.cpp.inc"

void VpuDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Vpu/VpuOps.cpp.inc"
      >();
  addAttributes<
#define GET_ATTRDEF_LIST
#include "dialects/Vpu/VpuAttrs.cpp.inc"
      >();
}

namespace {
using Effects = SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

void taskEffects(TaskOp task, Effects &effects) {
  for (OpOperand &operand : task->getOpOperands()) {
    bool written = llvm::is_contained(task.getWrites(), operand.get());
    effects.emplace_back(MemoryEffects::Read::get(), &operand);
    if (written)
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
  }
}

template <typename Op> SmallVector<Value> weightedReads(Op op) {
  SmallVector<Value> reads = {op.getInput(), op.getFilter()};
  for (Value extra : {op.getScale(), op.getBias(), op.getSlope()})
    if (extra)
      reads.push_back(extra);
  return reads;
}

ArrayRef<int64_t> shapeOf(Value value) { return cast<MemRefType>(value.getType()).getShape(); }

template <typename Op> LogicalResult verifyExtras(Op op) {
  int64_t channels = shapeOf(op.getOutput()).back();
  for (Value extra : {op.getScale(), op.getBias(), op.getSlope()})
    if (extra && (shapeOf(extra).size() != 1 || shapeOf(extra)[0] != channels))
      return op.emitOpError("expected scale, bias and slope of one element a channel, ")
             << channels << ", got " << extra.getType();
  return success();
}
} // namespace

#define TASK(Op, READS, WRITE)                                                                                         \
  SmallVector<Value> Op::getReads() { return READS; }                                                                  \
  SmallVector<Value> Op::getWrites() { return {WRITE}; }                                                               \
  void Op::getEffects(Effects &effects) { taskEffects(*this, effects); }

TASK(DmaOp, {getSource()}, getTarget())
TASK(ConvOp, weightedReads(*this), getOutput())
TASK(DepthwiseConvOp, weightedReads(*this), getOutput())
TASK(MatmulOp, weightedReads(*this), getOutput())
TASK(ConvTransposeOp, weightedReads(*this), getOutput())
TASK(PoolOp, {getInput()}, getOutput())
TASK(SoftmaxOp, {getInput()}, getOutput())
#undef TASK

SmallVector<Value> ShaveOp::getWrites() { return SmallVector<Value>(getOutputs()); }
void ShaveOp::getEffects(Effects &effects) {
  taskEffects(*this, effects);
  // Gathers read memory that is no operand.
  getBody().walk([&](memref::LoadOp load) { effects.emplace_back(MemoryEffects::Read::get()); });
}
SmallVector<Value> ShaveOp::getReads() {
  SmallVector<Value> reads(getInputs());
  Block &block = getBody().front();
  for (auto [output, element] : llvm::zip(getOutputs(), block.getArguments().take_back(getOutputs().size())))
    if (!element.use_empty())
      reads.push_back(output);
  getBody().walk([&](memref::LoadOp load) { reads.push_back(load.getMemRef()); });
  return reads;
}

LogicalResult DmaOp::verify() {
  auto from = cast<MemRefType>(getSource().getType()), to = cast<MemRefType>(getTarget().getType());
  if (from.getShape() != to.getShape() || from.getElementType() != to.getElementType())
    return emitOpError("expected source and target of one shape and type, got ") << from << " and " << to;
  return success();
}
LogicalResult ConvOp::verify() {
  int64_t inner = shapeOf(getFilter())[shapeOf(getFilter()).size() - 2], channels = shapeOf(getInput()).back();
  if (inner * (int64_t)getGroups() != channels)
    return emitOpError("expected the filter's input channels times groups to be ")
           << channels << ", got " << inner * (int64_t)getGroups();
  return verifyExtras(*this);
}
LogicalResult DepthwiseConvOp::verify() { return verifyExtras(*this); }
LogicalResult MatmulOp::verify() { return verifyExtras(*this); }
LogicalResult ConvTransposeOp::verify() { return verifyExtras(*this); }

LogicalResult ShaveOp::verify() {
  size_t operands = getOperands().size(), loops = getLoops().size();
  if (getOutputs().empty() || getBody().front().getTerminator()->getNumOperands() != getOutputs().size())
    return emitOpError("expected a value for each result, ")
           << getOutputs().size() << ", got " << getBody().front().getTerminator()->getNumOperands();
  if (getMaps().size() != operands)
    return emitOpError("expected a map an operand, ") << operands << ", got " << getMaps().size();
  if (getBody().front().getNumArguments() != loops + operands)
    return emitOpError("expected a block argument a loop and operand, ")
           << loops + operands << ", got " << getBody().front().getNumArguments();
  for (auto [map, operand] : llvm::zip(getMaps().getAsValueRange<AffineMapAttr>(), getOperands())) {
    if (map.getNumDims() != loops || map.getNumResults() != shapeOf(operand).size())
      return emitOpError("expected maps from ")
             << loops << " loops to an operand's dims, got " << AffineMapAttr::get(map);
    for (AffineExpr expr : map.getResults())
      if (!expr.isPureAffine() || expr.walk([](AffineExpr e) {
                                        bool linear = isa<AffineDimExpr, AffineConstantExpr>(e) ||
                                                      e.getKind() == AffineExprKind::Add ||
                                                      e.getKind() == AffineExprKind::Mul;
                                        return linear ? WalkResult::advance() : WalkResult::interrupt();
                                      })
                                      .wasInterrupted())
        return emitOpError("expected maps linear in the loops, got ") << AffineMapAttr::get(map);
  }
  return success();
}

int64_t vpu::elementBytes(Type type) { return llvm::divideCeil(type.isIndex() ? 64 : type.getIntOrFloatBitWidth(), 8); }

int64_t Place::end(int64_t elementBytes) const {
  int64_t last = 0;
  for (auto [size, stride] : llvm::zip(sizes, strides))
    last += (size - 1) * stride;
  return bytes + (last + 1) * elementBytes;
}

// The type of a view counts its offset from the memory that the chain of views began with, so that only memref.view
// and vpu.buffer add bytes of their own.
FailureOr<Place> vpu::placeOf(Value memref) {
  auto type = dyn_cast<MemRefType>(memref.getType());
  SmallVector<int64_t> strides;
  int64_t offset;
  if (!type || !type.hasStaticShape() || failed(type.getStridesAndOffset(strides, offset)) ||
      ShapedType::isDynamic(offset) || llvm::any_of(strides, ShapedType::isDynamic))
    return failure();
  Place place{nullptr, offset * elementBytes(type.getElementType()), SmallVector<int64_t>(type.getShape()), strides};
  while (Operation *op = memref.getDefiningOp()) {
    if (auto view = dyn_cast<memref::ViewOp>(op)) {
      auto shift = getConstantIntValue(view.getByteShift());
      if (!shift)
        return failure();
      place.bytes += *shift;
      memref = view.getSource();
    } else if (isa<BufferOp, memref::AllocOp, memref::GetGlobalOp>(op)) {
      break;
    } else if (auto view = dyn_cast<ViewLikeOpInterface>(op)) {
      memref = view.getViewSource();
    } else {
      return failure();
    }
  }
  place.root = memref;
  return place;
}
