/* Tensors of strings: their elements and the C functions (burin_function) that compute on them. A string is made once
 * and never changed, so moving one is moving a pointer, and equal pointers are equal strings (not the other way). */
#ifndef BURIN_RUNTIME_HOSTED_TEXT_H
#define BURIN_RUNTIME_HOSTED_TEXT_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A string of `length` bytes that lives until the strings are released; NULL when out of memory. `bytes` NULL: the
 * caller fills them in at once. */
burin_string *burin_string_create(burin_strings *strings, const char *bytes, uint64_t length);

/* Frees every string made in `strings`, which is as new then. */
void burin_strings_release(burin_strings *strings);

/* What the lower stage calls, one a family of operators; attributes are those of the ONNX operator unless said. */
int32_t burin_string_constant(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                              burin_tensor *outputs, uint32_t num_outputs); /* attribute value */
int32_t burin_string_equal(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs); /* two of one shape */
int32_t burin_string_concat(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                            burin_tensor *outputs, uint32_t num_outputs); /* two of one shape */
int32_t burin_string_split(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs); /* dims first */
int32_t burin_string_normalize(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                               burin_tensor *outputs, uint32_t num_outputs); /* dims first */
int32_t burin_string_match(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs);
int32_t burin_string_cast(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                          burin_tensor *outputs, uint32_t num_outputs); /* to or from numbers, by the dtypes */
int32_t burin_label_encode(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs);
int32_t burin_label_one_hot(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                            burin_tensor *outputs, uint32_t num_outputs);
int32_t burin_tf_idf(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs, burin_tensor *outputs,
                     uint32_t num_outputs);

#ifdef __cplusplus
}
#endif
#endif
