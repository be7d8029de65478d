// Constants in half precision: how f32 numbers become f16 ones when they are known while compiling.
#ifndef BURIN_PASSES_VPU_HALFCONSTANTS_H
#define BURIN_PASSES_VPU_HALFCONSTANTS_H

#include "mlir/IR/BuiltinAttributeInterfaces.h"
#include "mlir/IR/BuiltinAttributes.h"

namespace burin::vpu {

/// What rounding weights to f16 did to them.
struct Losses {
  int64_t clamped = 0, vanished = 0;
};

/// Whose weights are summed: those of a row or column of a matrix, all dims but its last or first being one.
enum class Sums { None, Columns, Rows };

/// A constant as f16: to nearest even, subnormals kept, finite numbers finite. With `sums`, the weights of each sum are
/// rounded so that their errors cancel: those nearest to a tie go the other way until the errors of the sum add up to
/// less than a step. Inputs of layers are positive on average, which multiplies that sum, and no single weight moves by
/// more than a step. Null when the constant's bytes are not at hand.
mlir::TypedAttr narrowed(mlir::TypedAttr value, Losses &losses, Sums sums = Sums::None);

} // namespace burin::vpu

#endif
