/* Every C function of the runtime that a model may call, by name: see functions.h. Programs do not hold this list, they
 * are linked with what they call. */
#include "runtime/cuda/cuda.h"
#include "runtime/hosted/functions.h"
#include "runtime/hosted/image.h"
#include "runtime/hosted/text.h"

#include <string.h>

burin_function burin_find_function(const char *name) {
  static const struct {
    const char *name;
    burin_function function;
  } all[] = {{"burin_string_constant", burin_string_constant},   {"burin_string_equal", burin_string_equal},
             {"burin_string_concat", burin_string_concat},       {"burin_string_split", burin_string_split},
             {"burin_string_normalize", burin_string_normalize}, {"burin_string_match", burin_string_match},
             {"burin_string_cast", burin_string_cast},           {"burin_label_encode", burin_label_encode},
             {"burin_label_one_hot", burin_label_one_hot},       {"burin_tf_idf", burin_tf_idf},
             {"burin_decode_image", burin_decode_image},         {"burin_cuda_run", burin_cuda_run}};
  for (size_t i = 0; i < sizeof all / sizeof *all; ++i)
    if (!strcmp(all[i].name, name))
      return all[i].function;
  return NULL;
}
