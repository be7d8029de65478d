// Private helpers of the Quant family.
#ifndef BURIN_PASSES_LOWER_QUANT_H
#define BURIN_PASSES_LOWER_QUANT_H

#include "passes/Lower/Scalars.h"
#include "passes/Lower/Tensor.h"

namespace burin::lower {

/// saturate(round half to even(x) + zeroPoint) as an integer of `element`; x and zeroPoint (may be null) are floats.
mlir::Value requantize(Scalars &s, mlir::Value x, mlir::Value zeroPoint, mlir::Type element, bool isUnsigned);

inline bool isZeroAttribute(mlir::Attribute attr) {
  auto integer = llvm::dyn_cast<mlir::IntegerAttr>(attr);
  return integer && integer.getValue().isZero();
}

void populateQuantProductLowerings(Registry &registry);

} // namespace burin::lower

#endif
