// The foreign dialect's registration, checks, effects and bufferization. A C function takes tensors that lie row-major
// and without gaps: what does not is copied around the call.
#include "dialects/Foreign/Foreign.h"

#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace mlir::bufferization;
using namespace burin::foreign;

#include "dialects/Foreign/ForeignDialect.cpp.inc"
#define GET_OP_CLASSES
#include "dialects/Foreign/ForeignOps.cpp.inc"

void ForeignDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/Foreign/ForeignOps.cpp.inc"
      >();
}

unsigned CallOp::getNumOutputs() { return getOutputRanks() ? getOutputRanks()->size() : getInits().size() - 1; }

LogicalResult CallOp::verify() {
  if (getInits().empty() || !getElementTypeOrSelf(getInits().back().getType()).isInteger(32))
    return emitOpError("expected a destination of i32 for the status, after the outputs");
  if (auto ranks = getOutputRanks()) {
    int64_t total = 0;
    for (int32_t rank : *ranks)
      total += rank;
    auto dims = dyn_cast<ShapedType>(getInits().front().getType());
    if (getInits().size() != 2 || !dims || !dims.hasStaticShape() || dims.getNumElements() != total)
      return emitOpError() << "expected destinations for " << total << " dims and the status";
  }
  if (getDtypes().size() != getInputs().size() + getNumOutputs())
    return emitOpError() << "expected " << getInputs().size() + getNumOutputs() << " dtypes, got "
                         << getDtypes().size();
  return success();
}

void CallOp::getEffects(SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>> &effects) {
  for (OpOperand &operand : getInputsMutable())
    if (isa<MemRefType>(operand.get().getType()))
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  for (OpOperand &operand : getInitsMutable())
    if (isa<MemRefType>(operand.get().getType()))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
}

namespace {
struct CallModel : DstBufferizableOpInterfaceExternalModel<CallModel, CallOp> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return !cast<CallOp>(op).isDpsInit(&operand);
  }
  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return cast<CallOp>(op).isDpsInit(&operand);
  }

  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    auto call = cast<CallOp>(op);
    Location loc = op->getLoc();
    SmallVector<Value> operands, results;
    SmallVector<std::pair<Value, Value>> after; // what is copied back, and where to
    for (OpOperand &operand : op->getOpOperands()) {
      if (!isa<TensorType>(operand.get().getType())) {
        operands.push_back(operand.get());
        continue;
      }
      FailureOr<Value> buffer = getBuffer(rewriter, operand.get(), options, state);
      if (failed(buffer))
        return failure();
      bool isInit = call.isDpsInit(&operand);
      auto type = cast<MemRefType>(buffer->getType());
      Value plain = *buffer;
      if (!type.getLayout().isIdentity()) {
        SmallVector<Value> sizes;
        for (int64_t dim = 0; dim < type.getRank(); ++dim)
          if (type.isDynamicDim(dim))
            sizes.push_back(memref::DimOp::create(rewriter, loc, *buffer, dim));
        FailureOr<Value> copy =
            options.createAlloc(rewriter, loc, MemRefType::get(type.getShape(), type.getElementType()), sizes);
        if (failed(copy))
          return failure();
        plain = *copy;
        if (isInit)
          after.push_back({plain, *buffer});
        else if (failed(options.createMemCpy(rewriter, loc, *buffer, plain)))
          return failure();
      }
      operands.push_back(plain);
      if (isInit)
        results.push_back(*buffer);
    }
    OperationState made(loc, op->getName(), operands, TypeRange{}, op->getAttrs());
    made.propertiesAttr = op->getPropertiesAsAttribute();
    rewriter.create(made);
    for (auto [from, to] : after)
      if (failed(options.createMemCpy(rewriter, loc, from, to)))
        return failure();
    replaceOpWithBufferizedValues(rewriter, op, results);
    return success();
  }
};
} // namespace

void burin::foreign::registerBufferizableOpInterface(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, ForeignDialect *) { CallOp::attachInterface<CallModel>(*context); });
}
