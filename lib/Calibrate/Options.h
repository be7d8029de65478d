// What burin-quantize is told: a table of its own flags; every other flag is one of the compiler's.
#ifndef BURIN_LIB_CALIBRATE_OPTIONS_H
#define BURIN_LIB_CALIBRATE_OPTIONS_H

#include "lib/Pipeline/CompileOptions.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"
#include <optional>
#include <string>
#include <vector>

namespace burin {

struct QuantizeOptions {
  std::string model, output;
  std::vector<std::string> calibrate; // npz files and folders
  std::string method = "mse";         // minmax, percentile, entropy, average
  double percentile = 99.99;
  std::string activations = "u8", weights = "s8";
  bool symmetric = false, perTensor = false, powerOfTwo = false, reduceRange = false;
  std::vector<std::string> keep, only;
  std::string evenChannels = "auto"; // in front of depthwise layers: always, never
  bool equalize = false, keepBiases = false, integerOnly = false;
  std::string rounding = "optimized";                                                    // of weights; nearest
  std::string prune, pruneUnit = "element", pruneBy = "magnitude", pruneScope = "layer"; // share or N:M; empty: none
  double pruneChannels = 0;                                                              // share of channels
  int64_t share = 0, shareGroup = 0; // bits of an index into a codebook, 0: none; channels with one of their own
  bool floats = false;               // arithmetic stays float
  double smooth = 0;                 // strength of SmoothQuant; 0: none
  bool dynamic = false;              // ranges at run time
  std::string weightsOnly;           // int8, int4, f16, bf16
  int64_t block = 0;                 // of weights that share a scale
  bool asymmetric = false, matmulNBits = false;
  std::optional<double> maxDrop, minSqnr; // of accuracy
  std::string curve;                      // picture of the trade-off
  CompileOptions compile;                 // shapes, dims, preprocessing of pictures
};

/// Words of a command line without the program's name; the error names what was expected.
llvm::Expected<QuantizeOptions> parseQuantizeOptions(llvm::ArrayRef<llvm::StringRef> words);

/// Lines for --help.
std::string quantizeHelp();

} // namespace burin

#endif
