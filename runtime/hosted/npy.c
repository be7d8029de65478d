/* Reads and writes .npy. The header comes from outside: every character is expected or refused. */
#include "runtime/hosted/npy.h"
#include "runtime/hosted/file.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER_LIMIT = 65536 }; /* numpy's own are below 10000 unless structured */

typedef struct header {
  char descr[16];
  int fortran;
  burin_tensor tensor;
} header;

typedef struct cursor {
  const char *at, *end;
} cursor;

static const struct {
  const char *descr; /* after the byte order */
  burin_dtype dtype;
} TYPES[] = {{"f4", BURIN_FLOAT},
             {"u1", BURIN_UINT8},
             {"i1", BURIN_INT8},
             {"u2", BURIN_UINT16},
             {"i2", BURIN_INT16},
             {"i4", BURIN_INT32},
             {"i8", BURIN_INT64},
             {"b1", BURIN_BOOL},
             {"f2", BURIN_FLOAT16},
             {"f8", BURIN_DOUBLE},
             {"u4", BURIN_UINT32},
             {"u8", BURIN_UINT64},
             {"c8", BURIN_COMPLEX64},
             {"c16", BURIN_COMPLEX128},
             {"V2", BURIN_BFLOAT16},
             /* ml_dtypes' types of one byte say no more than that; what they are the model knows. The first of a dtype
                is the one written. */
             {"V1", BURIN_UINT8},
             {"f1", BURIN_UINT8}};

static void skip_spaces(cursor *c) {
  while (c->at < c->end && (*c->at == ' ' || *c->at == '\n' || *c->at == '\t'))
    ++c->at;
}

static int take(cursor *c, char expected) {
  skip_spaces(c);
  if (c->at == c->end || *c->at != expected)
    return 0;
  ++c->at;
  return 1;
}

static int take_word(cursor *c, const char *word) {
  size_t length = strlen(word);
  skip_spaces(c);
  if ((size_t)(c->end - c->at) < length || memcmp(c->at, word, length))
    return 0;
  c->at += length;
  return 1;
}

static int take_string(cursor *c, char *to, size_t size) {
  char quote;
  if (take(c, '\''))
    quote = '\'';
  else if (take(c, '"'))
    quote = '"';
  else
    return 0;
  size_t n = 0;
  for (; c->at < c->end && *c->at != quote; ++c->at) {
    if (*c->at < 32 || *c->at > 126 || *c->at == '\\' || n + 1 >= size)
      return 0;
    to[n++] = *c->at;
  }
  to[n] = 0;
  return take(c, quote);
}

static int take_dim(cursor *c, int64_t *dim) {
  skip_spaces(c);
  int digits = 0;
  *dim = 0;
  for (; c->at < c->end && *c->at >= '0' && *c->at <= '9'; ++c->at, ++digits)
    if (__builtin_mul_overflow(*dim, 10, dim) || __builtin_add_overflow(*dim, *c->at - '0', dim))
      return 0;
  if (digits && c->at < c->end && *c->at == 'L') /* Python 2 */
    ++c->at;
  return digits > 0;
}

static int take_shape(cursor *c, burin_tensor *tensor, burin_error *error) {
  if (!take(c, '('))
    return burin_fail(error, "npy header without a shape");
  while (!take(c, ')')) {
    if (tensor->rank == BURIN_MAX_RANK)
      return burin_fail(error, "more than %d dims", BURIN_MAX_RANK);
    if (!take_dim(c, &tensor->dims[tensor->rank++]))
      return burin_fail(error, "npy header with a malformed shape");
    if (!take(c, ',')) {
      if (!take(c, ')'))
        return burin_fail(error, "npy header with a malformed shape");
      break;
    }
  }
  return 0;
}

static int parse_type(header *h, burin_error *error) {
  const char order = h->descr[0];
  if (order == '>' && strcmp(h->descr, ">u1") && strcmp(h->descr, ">i1"))
    return burin_fail(error, "big-endian elements ('%s'); write them little-endian", h->descr);
  if (order && strchr("<>=|", order))
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; ++i)
      if (!strcmp(h->descr + 1, TYPES[i].descr)) {
        h->tensor.dtype = (int32_t)TYPES[i].dtype;
        return 0;
      }
  return burin_fail(error, "elements of type '%s' are not supported", h->descr);
}

static int parse_header(const char *text, size_t length, header *h, burin_error *error) {
  cursor c = {text, text + length};
  int have_descr = 0, have_order = 0, have_shape = 0;
  memset(h, 0, sizeof *h);
  if (!take(&c, '{'))
    return burin_fail(error, "malformed npy header");
  while (!take(&c, '}')) {
    char key[16];
    if (!take_string(&c, key, sizeof key) || !take(&c, ':'))
      return burin_fail(error, "malformed npy header");
    if (!strcmp(key, "descr") && !have_descr++) {
      skip_spaces(&c);
      if (c.at < c.end && *c.at == '[')
        return burin_fail(error, "structured elements are not supported");
      if (!take_string(&c, h->descr, sizeof h->descr))
        return burin_fail(error, "npy header with a malformed type");
    } else if (!strcmp(key, "fortran_order") && !have_order++) {
      h->fortran = take_word(&c, "True");
      if (!h->fortran && !take_word(&c, "False"))
        return burin_fail(error, "npy header with a malformed fortran_order");
    } else if (!strcmp(key, "shape") && !have_shape++) {
      if (take_shape(&c, &h->tensor, error))
        return -1;
    } else {
      return burin_fail(error, "npy header with an unexpected key '%s'", key);
    }
    if (!take(&c, ',') && (c.at == c.end || *c.at != '}'))
      return burin_fail(error, "malformed npy header");
  }
  skip_spaces(&c);
  if (c.at != c.end || !have_descr || !have_order || !have_shape)
    return burin_fail(error, "malformed npy header");
  return parse_type(h, error);
}

/* Column-major to row-major, one element at a time: rare, and never on the way of a run. */
static int transpose(burin_tensor *tensor, uint64_t bytes, burin_error *error) {
  size_t size = burin_dtype_size(tensor->dtype);
  char *from = tensor->data, *to = burin_aligned_allocate(bytes);
  if (!to)
    return burin_fail(error, "out of memory");
  uint64_t strides[BURIN_MAX_RANK], stride = size, offset = 0;
  int64_t index[BURIN_MAX_RANK] = {0};
  for (int32_t d = 0; d < tensor->rank; ++d) {
    strides[d] = stride;
    stride *= (uint64_t)tensor->dims[d];
  }
  for (uint64_t at = 0; at < bytes; at += size) {
    memcpy(to + at, from + offset, size);
    for (int32_t d = tensor->rank - 1; d >= 0; --d) {
      offset += strides[d];
      if (++index[d] < tensor->dims[d])
        break;
      offset -= strides[d] * (uint64_t)tensor->dims[d];
      index[d] = 0;
    }
  }
  free(from);
  tensor->data = to;
  return 0;
}

int burin_npy_read(burin_source *source, burin_tensor *tensor, burin_error *error) {
  unsigned char start[12];
  if (source->bytes < 10)
    return burin_fail(error, "truncated: %" PRIu64 " bytes are too few for an npy file", source->bytes);
  if (source->read(source, start, 10, error))
    return -1;
  if (memcmp(start, "\x93NUMPY", 6))
    return burin_fail(error, "not an npy file");
  if (start[6] < 1 || start[6] > 3)
    return burin_fail(error, "npy version %d is not known", start[6]);
  uint64_t header_bytes = start[8] | (uint64_t)start[9] << 8, before = 10;
  if (start[6] > 1) {
    if (source->bytes < 12)
      return burin_fail(error, "truncated: %" PRIu64 " bytes are too few for an npy file", source->bytes);
    if (source->read(source, start + 10, 2, error))
      return -1;
    header_bytes |= (uint64_t)start[10] << 16 | (uint64_t)start[11] << 24;
    before = 12;
  }
  if (header_bytes > HEADER_LIMIT)
    return burin_fail(error, "npy header of %" PRIu64 " bytes, the limit is %d", header_bytes, HEADER_LIMIT);
  if (source->bytes - before < header_bytes)
    return burin_fail(error, "truncated: the npy header needs %" PRIu64 " bytes, %" PRIu64 " are there", header_bytes,
                      source->bytes - before);
  char *text = malloc((size_t)header_bytes + 1);
  if (!text)
    return burin_fail(error, "out of memory");
  header h;
  int failed =
      source->read(source, text, (size_t)header_bytes, error) || parse_header(text, (size_t)header_bytes, &h, error);
  free(text);
  if (failed)
    return -1;

  uint64_t bytes = burin_bytes_of(h.tensor.dtype, h.tensor.rank, h.tensor.dims),
           there = source->bytes - before - header_bytes;
  if (bytes != there) {
    char type[256];
    burin_type_text(type, sizeof type, h.tensor.dtype, h.tensor.rank, h.tensor.dims, NULL);
    return burin_fail(error, "%s%s does not fit the %" PRIu64 " bytes of data", bytes > there ? "truncated: " : "",
                      type, there);
  }
  *tensor = h.tensor;
  tensor->data = burin_aligned_allocate(bytes);
  if (!tensor->data)
    return burin_fail(error, "no memory for %" PRIu64 " bytes", bytes);
  if (source->read(source, tensor->data, (size_t)bytes, error) ||
      (h.fortran && tensor->rank > 1 && bytes && transpose(tensor, bytes, error))) {
    free(tensor->data);
    tensor->data = NULL;
    return -1;
  }
  /* Compiled code takes a bool to be 0 or 1. */
  if (tensor->dtype == BURIN_BOOL)
    for (uint64_t i = 0; i < bytes; ++i)
      ((unsigned char *)tensor->data)[i] = ((unsigned char *)tensor->data)[i] != 0;
  return 0;
}

size_t burin_npy_header(const burin_tensor *tensor, char buffer[BURIN_NPY_HEADER_MAX]) {
  const char *descr = "V1";
  for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; ++i)
    if (TYPES[i].dtype == (burin_dtype)tensor->dtype) {
      descr = TYPES[i].descr;
      break;
    }
  char shape[BURIN_MAX_RANK * 24] = "";
  size_t used = 0;
  for (int32_t d = 0; d < tensor->rank; ++d)
    used += (size_t)snprintf(shape + used, sizeof shape - used, "%" PRId64 "%s", tensor->dims[d],
                             tensor->rank == 1 || d + 1 < tensor->rank ? "," : "");
  size_t n = (size_t)snprintf(buffer, BURIN_NPY_HEADER_MAX,
                              "\x93NUMPY\x01%c%c%c{'descr': '%s%s', 'fortran_order': False, 'shape': (%s), }", 0, 0, 0,
                              burin_dtype_size(tensor->dtype) == 1 ? "|" : "<", descr, shape);
  size_t total = (n + 1 + 63) / 64 * 64;
  memset(buffer + n, ' ', total - n - 1);
  buffer[total - 1] = '\n';
  buffer[8] = (char)((total - 10) & 255);
  buffer[9] = (char)((total - 10) >> 8);
  return total;
}

typedef struct memory_source {
  burin_source base;
  const char *at;
} memory_source;

static int read_memory(burin_source *source, void *to, size_t bytes, burin_error *error) {
  memory_source *memory = (memory_source *)source;
  (void)error; /* burin_npy_read never asks for more than source->bytes */
  memcpy(to, memory->at, bytes);
  memory->at += bytes;
  return 0;
}

int burin_npy_load(const char *path, const char *name, burin_arrays *arrays, burin_error *error) {
  void *data;
  size_t bytes;
  if (burin_file_read(path, &data, &bytes, error))
    return -1;
  memory_source source = {{read_memory, bytes}, data};
  burin_tensor tensor;
  burin_error inner;
  int failed = burin_npy_read(&source.base, &tensor, &inner);
  free(data);
  if (failed)
    return burin_fail(error, "'%.300s': %.600s", path, inner.text);
  return burin_arrays_add(arrays, name, strlen(name), &tensor, error);
}
