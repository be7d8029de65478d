/* The .npz format of numpy: a zip archive of .npy files, one an array. */
#ifndef BURIN_RUNTIME_HOSTED_NPZ_H
#define BURIN_RUNTIME_HOSTED_NPZ_H

#include "runtime/hosted/array.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Adds every array of the file. Stored and deflated entries, zip64. Any file may be given: sizes and offsets are
 * checked before use, memory taken is bounded by what the file's size can hold, checksums are compared. On failure
 * *arrays holds what was read so far (free it as always). */
int burin_npz_read(const char *path, burin_arrays *arrays, burin_error *error);
int burin_npz_parse(const void *data, size_t bytes, burin_arrays *arrays, burin_error *error);

/* Writes an uncompressed archive that appears whole or not at all. Tensors must be contiguous. */
int burin_npz_write(const char *path, const burin_array *arrays, size_t count, burin_error *error);

#ifdef __cplusplus
}
#endif
#endif
