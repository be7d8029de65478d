/* Reads and writes .npz archives. All little-endian.
 *
 *   entry:      "PK\3\4" version flags method time date crc packed size name-length extra-length | name | extra | data
 *   directory:  "PK\1\2" made-by version flags method time date crc packed size name-length extra-length comment-length
 *               disk attributes attributes offset-of-entry | name | extra | comment          (one an entry)
 *   end:        "PK\6\6" the same as `end` in 64 bits, "PK\6\7" where that lies            (zip64 only)
 *               "PK\5\6" disks, entries, entries, directory-size, directory-offset, comment-length | comment
 *
 * Only the directory is believed, and only after it was checked: entries lie inside the file, together pack no more
 * bytes than the file has, and unpack to no more than deflate can (1032 times), so a small file cannot take much
 * memory. */
#include "runtime/hosted/npz.h"
#include "runtime/hosted/crc.h"
#include "runtime/hosted/file.h"
#include "runtime/hosted/npy.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
  STORED = 0,
  DEFLATED = 8,
  ENTRY_BYTES = 30,
  DIRECTORY_BYTES = 46,
  END_BYTES = 22,
  END64_BYTES = 56,
  LOCATOR_BYTES = 20
};
static const uint32_t ENTRY = 0x04034b50, DIRECTORY = 0x02014b50, END = 0x06054b50, END64 = 0x06064b50,
                      LOCATOR = 0x07064b50;
static const uint64_t DEFLATE_RATIO = 1032;

typedef struct bytes {
  const unsigned char *data;
  uint64_t size;
} bytes;

typedef struct entry {
  const char *name;
  uint32_t name_length;
  uint32_t flags, method, crc;
  uint64_t packed, size, offset;
} entry;

static uint32_t get16(const unsigned char *p) { return p[0] | (uint32_t)p[1] << 8; }
static uint32_t get32(const unsigned char *p) { return get16(p) | get16(p + 2) << 16; }
static uint64_t get64(const unsigned char *p) { return get32(p) | (uint64_t)get32(p + 4) << 32; }

static int inside(bytes file, uint64_t offset, uint64_t length) {
  return offset <= file.size && length <= file.size - offset;
}

/* Finds the directory: what the archive's end says of it. */
static int find_directory(bytes file, bytes *directory, uint64_t *count, burin_error *error) {
  if (file.size >= 6 && !memcmp(file.data, "\x93NUMPY", 6))
    return burin_fail(error, "an npy file, not an npz archive; give it as --input NAME=FILE.npy");
  if (file.size < 4 || file.data[0] != 'P' || file.data[1] != 'K')
    return burin_fail(error, "not an npz file");
  uint64_t end = file.size, limit = file.size > END_BYTES + 65535 ? file.size - END_BYTES - 65535 : 0;
  for (uint64_t at = file.size >= END_BYTES ? file.size - END_BYTES + 1 : 0; at-- > limit;)
    if (get32(file.data + at) == END && at + END_BYTES + get16(file.data + at + 20) == file.size) {
      end = at;
      break;
    }
  if (end == file.size)
    return burin_fail(error, "truncated: the archive's end is missing");
  *count = get16(file.data + end + 10);
  uint64_t size = get32(file.data + end + 12), offset = get32(file.data + end + 16);
  if (end >= LOCATOR_BYTES && get32(file.data + end - LOCATOR_BYTES) == LOCATOR) {
    uint64_t end64 = get64(file.data + end - LOCATOR_BYTES + 8);
    if (!inside(file, end64, END64_BYTES) || get32(file.data + end64) != END64)
      return burin_fail(error, "corrupted: the archive's zip64 end is not where it should be");
    *count = get64(file.data + end64 + 32);
    size = get64(file.data + end64 + 40);
    offset = get64(file.data + end64 + 48);
  }
  if (!inside(file, offset, size) || *count > size / DIRECTORY_BYTES)
    return burin_fail(error, "truncated or corrupted: the archive's directory lies outside the file");
  directory->data = file.data + offset;
  directory->size = size;
  return 0;
}

/* The zip64 extra field: 64-bit values for those of the 32-bit fields that are all ones, in this order. */
static int read_extra(bytes extra, entry *e) {
  uint64_t *const fields[] = {&e->size, &e->packed, &e->offset};
  for (uint64_t at = 0; at + 4 <= extra.size;) {
    uint64_t length = get16(extra.data + at + 2), value = at + 4;
    if (!inside(extra, value, length))
      return -1;
    if (get16(extra.data + at) == 1)
      for (int f = 0; f < 3; ++f)
        if (*fields[f] == UINT32_MAX) {
          if (value + 8 > at + 4 + length)
            return -1;
          *fields[f] = get64(extra.data + value);
          value += 8;
        }
    at += 4 + length;
  }
  return 0;
}

/* Reads one record of the directory and moves past it. */
static int next_entry(bytes *directory, entry *e, burin_error *error) {
  const unsigned char *p = directory->data;
  if (directory->size < DIRECTORY_BYTES || get32(p) != DIRECTORY)
    return burin_fail(error, "corrupted: malformed directory");
  e->flags = get16(p + 8);
  e->method = get16(p + 10);
  e->crc = get32(p + 16);
  e->packed = get32(p + 20);
  e->size = get32(p + 24);
  e->offset = get32(p + 42);
  e->name = (const char *)p + DIRECTORY_BYTES;
  e->name_length = get16(p + 28);
  uint64_t extra = get16(p + 30), record = DIRECTORY_BYTES + e->name_length + extra + get16(p + 32);
  if (record > directory->size || read_extra((bytes){p + DIRECTORY_BYTES + e->name_length, extra}, e))
    return burin_fail(error, "corrupted: malformed directory");
  directory->data += record;
  directory->size -= record;
  return 0;
}

/* One entry's bytes, unpacked as they are asked for. */
typedef struct entry_source {
  burin_source base;
  const unsigned char *at;
  uint64_t left; /* packed bytes not yet handed to zlib, or stored bytes not yet read */
  int deflated;
  uint32_t crc;
  z_stream stream;
} entry_source;

static int read_entry(burin_source *base, void *to, size_t wanted, burin_error *error) {
  entry_source *source = (entry_source *)base;
  unsigned char *out = to;
  const size_t step = 1u << 30; /* zlib counts in 32 bits */
  while (wanted) {
    size_t now = wanted < step ? wanted : step;
    if (source->deflated) {
      source->stream.next_out = out;
      source->stream.avail_out = (uInt)now;
      while (source->stream.avail_out) {
        if (!source->stream.avail_in && source->left) {
          source->stream.next_in = (unsigned char *)(uintptr_t)source->at;
          source->stream.avail_in = (uInt)(source->left < step ? source->left : step);
          source->at += source->stream.avail_in;
          source->left -= source->stream.avail_in;
        }
        int status = inflate(&source->stream, Z_NO_FLUSH);
        if (status == Z_MEM_ERROR)
          return burin_fail(error, "out of memory");
        if (status != Z_OK && source->stream.avail_out)
          return burin_fail(error, "corrupted: %s",
                            source->stream.msg ? source->stream.msg : "the data ends too early");
      }
    } else {
      memcpy(out, source->at, now); /* burin_npy_read never asks for more than base.bytes */
      source->at += now;
    }
    source->crc = burin_crc32(source->crc, out, now);
    out += now;
    wanted -= now;
  }
  return 0;
}

/* Checks `e` against the file and reads its array. `packed_before`: bytes that earlier entries took. */
static int read_array(bytes file, const entry *e, uint64_t *packed_before, burin_tensor *tensor, burin_error *error) {
  if (e->flags & 1)
    return burin_fail(error, "encrypted");
  if (e->method != STORED && e->method != DEFLATED)
    return burin_fail(error, "compression method %" PRIu32 " is not supported (stored and deflated are)", e->method);
  if (!inside(file, e->offset, ENTRY_BYTES) || get32(file.data + e->offset) != ENTRY)
    return burin_fail(error, "truncated or corrupted: no entry where the directory says");
  const unsigned char *local = file.data + e->offset;
  uint64_t data = e->offset + ENTRY_BYTES + get16(local + 26) + get16(local + 28);
  if (!inside(file, data, e->packed) || e->packed > file.size - *packed_before)
    return burin_fail(error, "truncated or corrupted: %" PRIu64 " bytes of data do not fit the file", e->packed);
  *packed_before += e->packed;
  if (e->method == STORED ? e->size != e->packed : e->size / DEFLATE_RATIO > e->packed)
    return burin_fail(error, "corrupted: %" PRIu64 " bytes cannot unpack to %" PRIu64, e->packed, e->size);

  entry_source source = {
      .base = {read_entry, e->size}, .at = file.data + data, .left = e->packed, .deflated = e->method == DEFLATED};
  if (source.deflated && inflateInit2(&source.stream, -MAX_WBITS) != Z_OK)
    return burin_fail(error, "out of memory");
  int failed = burin_npy_read(&source.base, tensor, error);
  if (source.deflated)
    inflateEnd(&source.stream);
  if (!failed && source.crc != e->crc) {
    free(tensor->data);
    failed = burin_fail(error, "corrupted: wrong checksum");
  }
  return failed;
}

int burin_npz_parse(const void *data, size_t size, burin_arrays *arrays, burin_error *error) {
  bytes file = {data, size}, directory;
  uint64_t count, packed = 0;
  if (find_directory(file, &directory, &count, error))
    return -1;
  for (uint64_t i = 0; i < count; ++i) {
    entry e;
    if (next_entry(&directory, &e, error))
      return -1;
    int name_length = (int)e.name_length;
    if (e.name_length < 4 || memcmp(e.name + e.name_length - 4, ".npy", 4) || memchr(e.name, 0, e.name_length))
      return burin_fail(error, "entry '%.*s' is not an .npy file", name_length < 200 ? name_length : 200, e.name);
    name_length -= 4;
    burin_tensor tensor;
    burin_error inner;
    if (read_array(file, &e, &packed, &tensor, &inner))
      return burin_fail(error, "array '%.*s': %.600s", name_length < 200 ? name_length : 200, e.name, inner.text);
    if (burin_arrays_add(arrays, e.name, (size_t)name_length, &tensor, error))
      return -1;
  }
  return 0;
}

int burin_npz_read(const char *path, burin_arrays *arrays, burin_error *error) {
  void *data;
  size_t size;
  if (burin_file_read(path, &data, &size, error))
    return -1;
  burin_error inner;
  int failed = burin_npz_parse(data, size, arrays, &inner);
  free(data);
  return failed ? burin_fail(error, "'%.300s': %.600s", path, inner.text) : 0;
}

/* Little-endian fields, put together in a buffer before they are written. */
typedef struct record {
  unsigned char data[128];
  size_t size;
} record;

static void put(record *r, int field_bytes, uint64_t value) {
  for (int i = 0; i < field_bytes; ++i)
    r->data[r->size++] = (unsigned char)(value >> 8 * i);
}

/* What entry and directory record have in common, from the version on. Sizes and offset always go into a zip64 field:
 * one form for every size. */
static void put_entry(record *r, const entry *e) {
  put(r, 2, 45);       /* version that knows zip64 */
  put(r, 2, 1u << 11); /* the name is UTF-8 */
  put(r, 2, STORED);
  put(r, 2, 0);
  put(r, 2, 0x21); /* 1 January 1980, so that the same arrays make the same file */
  put(r, 4, e->crc);
  put(r, 4, UINT32_MAX);
  put(r, 4, UINT32_MAX);
  put(r, 2, e->name_length + 4);
}

static void write_record(FILE *stream, const record *r) { fwrite(r->data, 1, r->size, stream); }

static void write_name(FILE *stream, const entry *e) {
  fwrite(e->name, 1, e->name_length, stream);
  fwrite(".npy", 1, 4, stream);
}

static void write_zip64_field(FILE *stream, const entry *e, int with_offset) {
  record r = {.size = 0};
  put(&r, 2, 1);
  put(&r, 2, with_offset ? 24 : 16);
  put(&r, 8, e->size);
  put(&r, 8, e->packed);
  if (with_offset)
    put(&r, 8, e->offset);
  write_record(stream, &r);
}

/* Writes an array and fills `e` for the directory. */
static void write_entry(FILE *stream, const burin_array *array, uint64_t offset, entry *e) {
  char header[BURIN_NPY_HEADER_MAX];
  size_t header_bytes = burin_npy_header(&array->tensor, header);
  uint64_t data_bytes = burin_bytes_of(array->tensor.dtype, array->tensor.rank, array->tensor.dims);
  uint32_t crc = burin_crc32(burin_crc32(0, header, header_bytes), array->tensor.data, (size_t)data_bytes);
  *e = (entry){.name = array->name, .name_length = (uint32_t)strlen(array->name), .crc = crc, .offset = offset};
  e->size = e->packed = header_bytes + data_bytes;
  record r = {.size = 0};
  put(&r, 4, ENTRY);
  put_entry(&r, e);
  put(&r, 2, 20);
  write_record(stream, &r);
  write_name(stream, e);
  write_zip64_field(stream, e, 0);
  fwrite(header, 1, header_bytes, stream);
  fwrite(array->tensor.data, 1, (size_t)data_bytes, stream);
}

static void write_directory(FILE *stream, const entry *entries, size_t count, uint64_t offset) {
  uint64_t size = 0;
  for (size_t i = 0; i < count; ++i) {
    const entry *e = &entries[i];
    record r = {.size = 0};
    put(&r, 4, DIRECTORY);
    put(&r, 2, 45);
    put_entry(&r, e);
    put(&r, 2, 28);
    put(&r, 2, 0);
    put(&r, 2, 0);
    put(&r, 2, 0);
    put(&r, 4, 0);
    put(&r, 4, UINT32_MAX);
    write_record(stream, &r);
    write_name(stream, e);
    write_zip64_field(stream, e, 1);
    size += DIRECTORY_BYTES + e->name_length + 4 + 28;
  }
  record end = {.size = 0};
  /* numpy knows an archive without entries by its first bytes only, which are then those of the plain end. */
  int large = count > 0;
  if (large) {
    put(&end, 4, END64);
    put(&end, 8, END64_BYTES - 12);
    put(&end, 2, 45);
    put(&end, 2, 45);
    put(&end, 4, 0);
    put(&end, 4, 0);
    put(&end, 8, count);
    put(&end, 8, count);
    put(&end, 8, size);
    put(&end, 8, offset);
    put(&end, 4, LOCATOR);
    put(&end, 4, 0);
    put(&end, 8, offset + size);
    put(&end, 4, 1);
  }
  put(&end, 4, END);
  put(&end, 4, 0);
  put(&end, 2, large ? UINT16_MAX : 0);
  put(&end, 2, large ? UINT16_MAX : 0);
  put(&end, 4, large ? UINT32_MAX : 0);
  put(&end, 4, large ? UINT32_MAX : 0);
  put(&end, 2, 0);
  write_record(stream, &end);
}

int burin_npz_write(const char *path, const burin_array *arrays, size_t count, burin_error *error) {
  for (size_t i = 0; i < count; ++i)
    if (strlen(arrays[i].name) > UINT16_MAX - 4)
      return burin_fail(error, "cannot write '%s': the name '%.40s...' is too long", path, arrays[i].name);
  entry *entries = calloc(count + 1, sizeof *entries);
  burin_output output;
  if (!entries)
    return burin_fail(error, "out of memory");
  if (burin_output_open(&output, path, error)) {
    free(entries);
    return -1;
  }
  uint64_t offset = 0;
  for (size_t i = 0; i < count; ++i) {
    write_entry(output.stream, &arrays[i], offset, &entries[i]);
    offset += ENTRY_BYTES + entries[i].name_length + 4 + 20 + entries[i].size;
  }
  write_directory(output.stream, entries, count, offset);
  free(entries);
  /* A failed write left its mark in the stream. */
  return burin_output_commit(&output, error);
}
