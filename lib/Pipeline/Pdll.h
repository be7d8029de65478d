// PDLL files as PDL in MLIR's text, without a compiler step of the user: MLIR's own PDLL tool is run with the operators
// of the onnx dialect known.
#ifndef BURIN_LIB_PIPELINE_PDLL_H
#define BURIN_LIB_PIPELINE_PDLL_H

#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"
#include <string>

namespace burin {

/// The patterns of FILE.pdll, or of FILE.mlir as they are. The error is one located line.
llvm::Expected<std::string> readPatterns(llvm::StringRef path);

} // namespace burin

#endif
