// The diagonal of the Fisher matrix of each product's weights, from calibration data.
#ifndef BURIN_LIB_CALIBRATE_FISHER_H
#define BURIN_LIB_CALIBRATE_FISHER_H

#include "lib/Calibrate/Moments.h"

namespace burin {

/// Gives products their diagonal (quant::setFisher): for each weight the sum over the samples of its squared gradient,
/// of all outputs together, as if these were means of a Gaussian with unit variance. Squares over many outputs are
/// estimated (Hutchinson): outputs times seeded random signs are differentiated, whose products with one another cancel
/// on average. Products without, as an operator between them and the outputs has no known derivative, are counted in
/// `left`.
llvm::Error measureFisher(mlir::ModuleOp module, Batches &batches, MeasureProgress progress, size_t &left);

} // namespace burin

#endif
