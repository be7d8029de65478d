// nn.attention; see Attention.td. Beside Nn.h, since few need it.
#ifndef BURIN_DIALECTS_NN_ATTENTION_H
#define BURIN_DIALECTS_NN_ATTENTION_H

#include "dialects/Nn/Nn.h"

#define GET_OP_CLASSES
#include "dialects/Nn/AttentionOps.h.inc"

namespace burin::nn {

/// The score of one sum, in f32, its extras read at (batch, query, key). `op` must be on memrefs.
mlir::Value buildScore(mlir::OpBuilder &builder, mlir::Location loc, AttentionOp op, mlir::Value sum,
                       mlir::ValueRange indices);

} // namespace burin::nn

#endif
