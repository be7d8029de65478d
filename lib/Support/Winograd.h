// When Winograd convolution gains and how its tiles are grouped. Pure functions of a machine row and the extents,
// because two rooms must agree: the tensor stage chooses, the cpu stage builds what was chosen.
#ifndef BURIN_LIB_SUPPORT_WINOGRAD_H
#define BURIN_LIB_SUPPORT_WINOGRAD_H

#include "lib/Support/Machine.h"

namespace burin {

/// An f32 3x3 convolution of step 1 on one image.
struct WinogradShape {
  int64_t rows, columns; // of the result
  int64_t ic, oc;
};

/// Tiles that are transformed together, so that what lies between the three steps stays in L2: `rows` x `columns` of
/// them; the last group of a dim starts earlier.
struct WinogradBand {
  int64_t tileRows, tileColumns; // of the whole result
  int64_t rows, columns;
  int64_t tiles() const { return rows * columns; }
};

/// For tiles of `results` x `results`, neither dim of which exceeds the result.
WinogradBand winogradBand(const Machine &machine, int64_t results, const WinogradShape &shape);

/// What transformed inputs and products of one band take, in bytes of f32.
int64_t winogradBandBytes(const Machine &machine, int64_t results, const WinogradShape &shape);

/// Estimated cycles of one image; `results` = 0: the direct kernel.
double convCycles(const Machine &machine, int64_t results, const WinogradShape &shape);

/// Rounding error to expect, as a share of the largest result, for operands that look random.
double winogradError(int64_t results);

/// The tile with the fewest estimated cycles among those whose expected error is at most `error`; 0: none gains enough.
int64_t chooseWinograd(const Machine &machine, const WinogradShape &shape, double error);

} // namespace burin

#endif
