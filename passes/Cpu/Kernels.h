// The kernels of nn ops on buffers. Each function emits code at the emitter's insertion point, before the op, and
// leaves the op to its caller.
#ifndef BURIN_PASSES_CPU_KERNELS_H
#define BURIN_PASSES_CPU_KERNELS_H

#include "mlir/Interfaces/FunctionInterfaces.h"
#include "passes/Cpu/KernelSupport.h"

namespace burin::cpu {

/// All nn operations of `function`, or failure with an error on the first that is still on tensors.
mlir::FailureOr<llvm::SmallVector<nn::ComputeOp>> operationsOf(mlir::FunctionOpInterface function);

/// Scalar loops straight from the definition in Nn.td: every type, rank and layout, also dynamic. What the fast kernels
/// are tested against.
void emitLoops(Emitter &e, nn::ComputeOp op);

/// The fast kernels. A failure has emitted nothing that matters (dead views at most) and says why in `reason`.
mlir::LogicalResult emitConv(Emitter &e, const Machine &machine, nn::ConvOp op, std::string &reason);
mlir::LogicalResult emitWinograd(Emitter &e, const Machine &machine, nn::ConvOp op, std::string &reason);
mlir::LogicalResult emitConvTranspose(Emitter &e, const Machine &machine, nn::ConvTransposeOp op, std::string &reason);
mlir::LogicalResult emitMatmul(Emitter &e, const Machine &machine, nn::MatmulOp op, std::string &reason);
mlir::LogicalResult emitStoredMatmul(Emitter &e, const Machine &machine, nn::MatmulOp op, std::string &reason);
mlir::LogicalResult emitDepthwiseConv(Emitter &e, const Machine &machine, nn::DepthwiseConvOp op, std::string &reason);
mlir::LogicalResult emitPool(Emitter &e, const Machine &machine, nn::PoolOp op, std::string &reason);
mlir::LogicalResult emitSoftmax(Emitter &e, const Machine &machine, nn::SoftmaxOp op, std::string &reason);

} // namespace burin::cpu

#endif
