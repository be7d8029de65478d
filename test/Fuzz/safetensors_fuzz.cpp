// libFuzzer target: any bytes as a safetensors file. Whatever they are, reading ends with tensors whose bytes lie
// within the input, cover it once and have the size that type and shape ask for, or with an error. Corpus:
// make_safetensors_corpus.py.
#include "lib/Import/Safetensors.h"

#include <cstdlib>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  // An exact copy, so that a read past the end is seen.
  std::vector<char> bytes(data, data + size);
  std::string error;
  auto file = burin::parseSafetensors(llvm::StringRef(bytes.data(), size), error);
  if (bool(file) == !error.empty())
    abort();
  if (!file)
    return 0;
  uint64_t sum = 0, check = 0;
  for (const burin::SafetensorsEntry &entry : file->tensors) {
    uint64_t count = 1;
    for (int64_t dim : entry.shape)
      count *= dim;
    if (entry.bytes.size() != count * burin::safetensorsBits(entry.dtype) / 8)
      abort();
    for (char byte : entry.bytes)
      check += uint8_t(byte);
    sum += entry.bytes.size();
  }
  if (sum > size)
    abort();
  static volatile uint64_t sink;
  sink = check;
  return 0;
}
