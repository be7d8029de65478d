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

/// Which weights of a tensor are summed: those of a row or column of a matrix, all dims but its last or first being
/// one.
struct Sums {
  enum Kind { None, Columns, Rows } kind = None;
  /// Leading dims of a filter that run over a window of the image, for columns.
  llvm::SmallVector<int64_t, 2> window;
  /// Of the inputs' mean square, the part that is their mean's: of a normal number without its negative half, a third.
  float mean = 0.3f;

  bool operator==(const Sums &other) const { return kind == other.kind && window == other.window; }
};

/// A constant as f16: to nearest even, subnormals kept, finite numbers finite. With `sums`, the weights of each sum are
/// rounded together, each to one of its two neighbours, so that their errors cancel on what layers usually read:
/// numbers that are positive on average and resemble those beside them in the image. With `scales` too, weights are
/// multiplied before that by a number a sum which lessens their errors; `scales` then holds what each sum has to be
/// multiplied by, or stays empty where nothing is gained. Null when the constant's bytes are not at hand.
mlir::TypedAttr narrowed(mlir::TypedAttr value, Losses &losses, const Sums &sums = {},
                         llvm::SmallVectorImpl<float> *scales = nullptr);

} // namespace burin::vpu

#endif
