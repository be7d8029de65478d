/* Named tensors that own their memory: what an npz file holds and what the command line hands to a model. */
#ifndef BURIN_RUNTIME_HOSTED_ARRAY_H
#define BURIN_RUNTIME_HOSTED_ARRAY_H

#include "burin/runtime.h"
#include "runtime/hosted/error.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct burin_array {
  char *name;          /* malloc'ed */
  burin_tensor tensor; /* data from burin_aligned_allocate, never NULL, contiguous and row-major */
} burin_array;

/* Start with all zero; end with burin_arrays_free. */
typedef struct burin_arrays {
  burin_array *items;
  size_t count;
} burin_arrays;

/* Takes `data` over, also on failure (-1: out of memory, or the name is there already). */
int burin_arrays_add(burin_arrays *arrays, const char *name, size_t name_length, const burin_tensor *tensor,
                     burin_error *error);
const burin_array *burin_arrays_find(const burin_arrays *arrays, const char *name);
void burin_arrays_free(burin_arrays *arrays);

/* Bytes of a contiguous tensor; UINT64_MAX if they do not fit 63 bits, a dim is negative or the type has no size. */
uint64_t burin_bytes_of(int32_t dtype, int32_t rank, const int64_t *dims);
/* Sets `data` for the tensor's dtype and dims, zeroed. */
int burin_tensor_allocate(burin_tensor *tensor, burin_error *error);

/* numpy's name of a burin_dtype ("float32"), "unknown" for others. */
const char *burin_dtype_name(int32_t dtype);
/* Writes "float32[1,3,224,224]"; a dim of -1 as its name, or '?'. Returns buffer. */
const char *burin_type_text(char *buffer, size_t size, int32_t dtype, int32_t rank, const int64_t *dims,
                            const char *const *dim_names);

/* free() with a size rounded up to BURIN_ALIGNMENT; NULL when out of memory. */
void *burin_aligned_allocate(uint64_t bytes);

#ifdef __cplusplus
}
#endif
#endif
