/* The .npy format of numpy: a header in Python's syntax, then the elements.
 *
 *   "\x93NUMPY" | major u8 | minor u8 | header length, u16 (version 1) or u32 (2, 3) | header | elements
 *   header: {'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), } padded by spaces, ends with a newline
 */
#ifndef BURIN_RUNTIME_HOSTED_NPY_H
#define BURIN_RUNTIME_HOSTED_NPY_H

#include "runtime/hosted/array.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where the bytes come from: memory, or a decompressor. */
typedef struct burin_source {
  /* Gives exactly `bytes` bytes, or fails. */
  int (*read)(struct burin_source *source, void *to, size_t bytes, burin_error *error);
  uint64_t bytes; /* how many it gives in all; must be trustworthy enough to allocate */
} burin_source;

/* Reads one array. The header's size must be exactly what the source holds; only then is memory allocated. Fortran
 * order is transposed; big-endian, string, object and structured types are refused. bfloat16 is numpy's V2, as
 * ml_dtypes writes it; its types of one byte (V1 and f1) are read as uint8. */
int burin_npy_read(burin_source *source, burin_tensor *tensor, burin_error *error);

/* The bytes before the elements, for version 1.0; returns their count, a multiple of 64. */
#define BURIN_NPY_HEADER_MAX 384
size_t burin_npy_header(const burin_tensor *tensor, char buffer[BURIN_NPY_HEADER_MAX]);

/* Reads a file and adds its array under `name`. */
int burin_npy_load(const char *path, const char *name, burin_arrays *arrays, burin_error *error);

#ifdef __cplusplus
}
#endif
#endif
