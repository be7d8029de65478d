// Accuracy-aware quantization: which layers stay float so that a bound holds, as few as a short search finds.
#ifndef BURIN_LIB_CALIBRATE_SENSITIVITY_H
#define BURIN_LIB_CALIBRATE_SENSITIVITY_H

#include "llvm/ADT/BitVector.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/raw_ostream.h"
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace burin {

struct Layer {
  std::string name, kind;
  size_t index;     // as the caller counts them
  double alone = 0; // signal to noise in dB with this layer alone on integers
  bool isFloat = false;
};

struct FloatChoice {
  std::vector<Layer> layers;      // most sensitive first
  std::map<size_t, double> curve; // score by number of float layers, as far as tried
  double bound = 0, score = 0;
  std::string unit; // of scores
};

/// Scores of whole models: larger is better, `bound` or more will do; a model with all layers in float does always.
struct FloatSearch {
  std::function<llvm::Expected<double>(const llvm::BitVector &isFloat)> alone, score; // by layer, in order
  double bound;
};

/// Ranks the layers by `alone`, then keeps the first k of them in float, k found by doubling and halving, and last
/// gives each of those back where the bound holds without it.
llvm::Expected<FloatChoice> chooseFloatLayers(std::vector<Layer> layers, const FloatSearch &search,
                                              llvm::function_ref<void(size_t done, size_t total)> progress);

void printFloatChoice(const FloatChoice &choice, llvm::raw_ostream &out);
/// The trade-off as an SVG picture: score over number of float layers, the bound as a line.
void drawFloatChoice(const FloatChoice &choice, llvm::raw_ostream &out);

} // namespace burin

#endif
