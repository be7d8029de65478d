// One-shot bufferization of nn ops: the destination is written and never read, so an empty tensor may stand there and
// the op writes straight into whatever buffer its result is placed in.
#include "dialects/Nn/Attention.h"
#include "dialects/Nn/Nn.h"
#include "mlir/Dialect/Bufferization/IR/BufferizableOpInterface.h"
#include "mlir/Dialect/Bufferization/IR/DstBufferizableOpInterfaceImpl.h"

using namespace mlir;
using namespace mlir::bufferization;

namespace {
template <typename OpTy> struct ComputeOpModel : DstBufferizableOpInterfaceExternalModel<ComputeOpModel<OpTy>, OpTy> {
  bool bufferizesToMemoryRead(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return &operand != &cast<OpTy>(op).getInitOperand();
  }
  bool bufferizesToMemoryWrite(Operation *op, OpOperand &operand, const AnalysisState &) const {
    return &operand == &cast<OpTy>(op).getInitOperand();
  }
  LogicalResult bufferize(Operation *op, RewriterBase &rewriter, const BufferizationOptions &options,
                          BufferizationState &state) const {
    OpBuilder::InsertionGuard guard(rewriter);
    rewriter.setInsertionPoint(op);
    SmallVector<Value> buffers;
    for (Value operand : op->getOperands()) {
      if (!isa<TensorType>(operand.getType())) {
        buffers.push_back(operand);
        continue;
      }
      FailureOr<Value> buffer = getBuffer(rewriter, operand, options, state);
      if (failed(buffer))
        return failure();
      buffers.push_back(*buffer);
    }
    OperationState newState(op->getLoc(), op->getName(), buffers, TypeRange{}, op->getAttrs());
    Region *region = newState.addRegion();
    region->takeBody(op->getRegion(0));
    Operation *buffered = rewriter.create(newState);
    replaceOpWithBufferizedValues(rewriter, op, cast<OpTy>(buffered).getInitOperand().get());
    return success();
  }
};
} // namespace

void burin::nn::registerBufferizableOpInterface(DialectRegistry &registry) {
  registry.addExtension(+[](MLIRContext *context, NnDialect *) {
    AttentionOp::attachInterface<ComputeOpModel<AttentionOp>>(*context);
    ConvOp::attachInterface<ComputeOpModel<ConvOp>>(*context);
    DepthwiseConvOp::attachInterface<ComputeOpModel<DepthwiseConvOp>>(*context);
    ConvTransposeOp::attachInterface<ComputeOpModel<ConvTransposeOp>>(*context);
    MatmulOp::attachInterface<ComputeOpModel<MatmulOp>>(*context);
    PoolOp::attachInterface<ComputeOpModel<PoolOp>>(*context);
    SoftmaxOp::attachInterface<ComputeOpModel<SoftmaxOp>>(*context);
  });
}
