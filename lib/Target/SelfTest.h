// The function by which an artifact tells whether the device it runs on computes what it should: NAME_selftest.
#ifndef BURIN_LIB_TARGET_SELFTEST_H
#define BURIN_LIB_TARGET_SELFTEST_H

#include "lib/Target/Description.h"

namespace llvm {
class Function;
}

namespace burin {

/// Added to the status where an output differs: NAME_selftest then returns this plus the output's number.
inline constexpr int selfTestDiffers = 100;

/// By how much an element of an output may differ from the one expected: for floats a share of the output's largest
/// magnitude, as other machines sum in other orders; one step for integers of 8 bits, which may be rounded floats;
/// nothing else.
double selfTestTolerance(int32_t dtype);

/// Where each output begins in the memory that a caller lends, and at the end how much that is in all: bytes.
llvm::SmallVector<uint64_t> selfTestOffsets(const ModelDescription &model);

/// Defines `int NAME_selftest(void *arena, void *outputs)` over `run`, the module's NAME_run, with the data of
/// model.selfTest as constants.
void defineSelfTest(llvm::Module &module, const ModelDescription &model, llvm::Function *run);

} // namespace burin

#endif
