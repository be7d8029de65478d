// Private helpers of the Quant family.
#ifndef BURIN_PASSES_LOWER_QUANT_H
#define BURIN_PASSES_LOWER_QUANT_H

#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

namespace burin::lower {

/// round half to even(x) + zeroPoint within the range of an integer of `bits`, still a float; NaN becomes the lowest.
mlir::Value roundToRange(Scalars &s, mlir::Value x, mlir::Value zeroPoint, unsigned bits, bool isUnsigned);
/// saturate(round half to even(x) + zeroPoint) as an integer of `element`; x and zeroPoint (may be null) are floats.
mlir::Value requantize(Scalars &s, mlir::Value x, mlir::Value zeroPoint, mlir::Type element, bool isUnsigned);

inline bool isZeroAttribute(mlir::Attribute attr) {
  auto integer = llvm::dyn_cast<mlir::IntegerAttr>(attr);
  return integer && integer.getValue().isZero();
}

void populateQuantProductLowerings(Registry &registry);

} // namespace burin::lower

#endif
