/* libFuzzer target: any bytes as an npz archive. Whatever they are, reading ends with arrays or with an error, within
 * memory that the size of the input bounds. Corpus: files that numpy wrote, made by make_npz_corpus.py. */
#include "runtime/hosted/npz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  burin_arrays arrays = {0};
  burin_error error;
  if (!burin_npz_parse(data, bytes, &arrays, &error))
    for (size_t i = 0; i < arrays.count; ++i) {
      const burin_tensor *tensor = &arrays.items[i].tensor;
      uint64_t size = burin_bytes_of(tensor->dtype, tensor->rank, tensor->dims);
      /* Deflate cannot do better; an array beyond it would mean that the size was believed unchecked. */
      if (size > 1033 * (uint64_t)bytes)
        abort();
      if (size)
        (void)((volatile char *)tensor->data)[size - 1];
    }
  burin_arrays_free(&arrays);
  return 0;
}
