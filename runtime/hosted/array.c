/* Named tensors and the text of their types. */
#define _GNU_SOURCE
#include "runtime/hosted/array.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int burin_fail(burin_error *error, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(error->text, sizeof error->text, format, arguments);
  va_end(arguments);
  return -1;
}

void *burin_aligned_allocate(uint64_t bytes) {
  void *data = NULL;
  uint64_t rounded =
      (bytes + BURIN_ALIGNMENT) / BURIN_ALIGNMENT * BURIN_ALIGNMENT; /* one more than bytes: never empty */
  if (rounded < bytes || rounded > SIZE_MAX || posix_memalign(&data, BURIN_ALIGNMENT, (size_t)rounded))
    return NULL;
  return data;
}

int burin_arrays_add(burin_arrays *arrays, const char *name, size_t name_length, const burin_tensor *tensor,
                     burin_error *error) {
  char *copy = malloc(name_length + 1);
  if (copy) {
    memcpy(copy, name, name_length);
    copy[name_length] = 0;
  }
  int status = -1;
  if (copy && burin_arrays_find(arrays, copy)) {
    burin_fail(error, "'%.200s' is given twice", copy);
  } else {
    burin_array *items = copy ? realloc(arrays->items, (arrays->count + 1) * sizeof *items) : NULL;
    if (items) {
      arrays->items = items;
      items[arrays->count].name = copy;
      items[arrays->count++].tensor = *tensor;
      return 0;
    }
    burin_fail(error, "out of memory");
  }
  free(copy);
  free(tensor->data);
  return status;
}

const burin_array *burin_arrays_find(const burin_arrays *arrays, const char *name) {
  for (size_t i = 0; i < arrays->count; ++i)
    if (!strcmp(arrays->items[i].name, name))
      return &arrays->items[i];
  return NULL;
}

void burin_arrays_free(burin_arrays *arrays) {
  for (size_t i = 0; i < arrays->count; ++i) {
    free(arrays->items[i].name);
    free(arrays->items[i].tensor.data);
  }
  free(arrays->items);
  memset(arrays, 0, sizeof *arrays);
}

uint64_t burin_bytes_of(int32_t dtype, int32_t rank, const int64_t *dims) {
  uint64_t bytes = burin_dtype_size(dtype);
  int empty = 0;
  if (!bytes)
    return UINT64_MAX;
  for (int32_t d = 0; d < rank; ++d) {
    if (dims[d] < 0)
      return UINT64_MAX;
    empty |= dims[d] == 0;
  }
  for (int32_t d = 0; d < rank && !empty; ++d)
    if (__builtin_mul_overflow(bytes, (uint64_t)dims[d], &bytes) || bytes > INT64_MAX)
      return UINT64_MAX;
  return empty ? 0 : bytes;
}

int burin_tensor_allocate(burin_tensor *tensor, burin_error *error) {
  uint64_t bytes = burin_bytes_of(tensor->dtype, tensor->rank, tensor->dims);
  tensor->data = bytes == UINT64_MAX ? NULL : burin_aligned_allocate(bytes);
  if (!tensor->data) {
    char text[256];
    return burin_fail(error, "no memory for %s",
                      burin_type_text(text, sizeof text, tensor->dtype, tensor->rank, tensor->dims, NULL));
  }
  memset(tensor->data, 0, (size_t)bytes);
  return 0;
}

const char *burin_dtype_name(int32_t dtype) {
  static const char *const NAMES[] = {
      "undefined", "float32",    "uint8",         "int8",           "uint16",          "int16",       "int32",
      "int64",     "string",     "bool",          "float16",        "float64",         "uint32",      "uint64",
      "complex64", "complex128", "bfloat16",      "float8_e4m3fn",  "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
      "uint4",     "int4",       "float4_e2m1fn", "float8_e8m0fnu", "uint2",           "int2"};
  return dtype >= 0 && dtype < (int32_t)(sizeof NAMES / sizeof *NAMES) ? NAMES[dtype] : "unknown";
}

const char *burin_type_text(char *buffer, size_t size, int32_t dtype, int32_t rank, const int64_t *dims,
                            const char *const *dim_names) {
  size_t used = 0;
#define APPEND(...) used += used < size ? (size_t)snprintf(buffer + used, size - used, __VA_ARGS__) : 0
  APPEND("%s[", burin_dtype_name(dtype));
  for (int32_t d = 0; d < rank; ++d) {
    const char *comma = d ? "," : "";
    if (dims[d] >= 0)
      APPEND("%s%" PRId64, comma, dims[d]);
    else
      APPEND("%s%s", comma, dim_names && dim_names[d] ? dim_names[d] : "?");
  }
  APPEND("]");
#undef APPEND
  return buffer;
}
