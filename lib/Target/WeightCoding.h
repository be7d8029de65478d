// --compress-weights: the weight section without loss in fewer bytes. What the weights hold decides how: a tensor of
// few different values (pruned, shared, integers) becomes a codebook and entropy-coded indices into it; others are
// coded byte by byte where that gains. runtime/freestanding/weights.c draws the format and decodes it.
// --encrypt: what is stored, closed with a key; of that, runtime/freestanding/lock.c.
#ifndef BURIN_LIB_TARGET_WEIGHTCODING_H
#define BURIN_LIB_TARGET_WEIGHTCODING_H

#include "lib/Target/Description.h"
#include "llvm/Support/Error.h"

namespace burin {

struct CodedWeight {
  std::string name;
  uint64_t rawBytes = 0, codedBytes = 0; // codebooks and tables counted
  uint64_t values = 0;                   // different ones; 0 where no codebook holds them
};

/// The section of `model.weights`, coded; `report` gets an entry a tensor.
std::vector<char> codeWeights(const ModelDescription &model, std::vector<CodedWeight> &report);

/// --encrypt: what `model` stores, closed with the key of `place` (runtime/hosted/key.h).
llvm::Expected<std::vector<char>> lockWeights(const ModelDescription &model, const std::string &place);

} // namespace burin

#endif
