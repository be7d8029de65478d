// What --target=cuda[:sm_80,sm_90,...,PROCESSOR] names.
#ifndef BURIN_LIB_PIPELINE_CUDATARGET_H
#define BURIN_LIB_PIPELINE_CUDATARGET_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>
#include <vector>

namespace burin {

struct CudaTarget {
  std::string text;            // as given; empty: no GPU
  std::vector<unsigned> archs; // 80 is sm_80, ascending; not empty
  bool isEmulated = false;     // kernels as code of this processor, for the emulator of the driver (test tooling)
  std::string host;            // row of the machine table
  explicit operator bool() const { return !text.empty(); }
};

bool isCudaTarget(llvm::StringRef text);
llvm::Expected<CudaTarget> parseCudaTarget(llvm::StringRef text);

/// The oldest architecture that ptxas 13 assembles for; older ones get PTX, which their driver compiles.
inline constexpr unsigned oldestCubinArch = 75;

} // namespace burin

#endif
