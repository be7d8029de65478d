// --compress-weights: the weight section without loss in fewer bytes. What the weights hold decides how: a tensor of
// few different values (pruned, shared, integers) becomes a codebook and entropy-coded indices into it; others are
// coded byte by byte where that gains. runtime/freestanding/weights.c draws the format and decodes it.
#ifndef BURIN_LIB_TARGET_WEIGHTCODING_H
#define BURIN_LIB_TARGET_WEIGHTCODING_H

#include "lib/Target/Description.h"

namespace burin {

struct CodedWeight {
  std::string name;
  uint64_t rawBytes = 0, codedBytes = 0; // codebooks and tables counted
  uint64_t values = 0;                   // different ones; 0 where no codebook holds them
};

/// The section of `model.weights`, coded; `report` gets an entry a tensor.
std::vector<char> codeWeights(const ModelDescription &model, std::vector<CodedWeight> &report);

} // namespace burin

#endif
