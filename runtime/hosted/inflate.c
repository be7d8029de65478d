/* DEFLATE (RFC 1951) behind zlib's own calls, for targets that have no zlib here. Only what npz.c and image.c ask: raw
 * streams and zlib-wrapped ones, input and output in pieces.
 *
 * The idea: decoding goes step by step (a block's head, one symbol, one byte). A step that runs out of input leaves
 * nothing behind: its bytes are kept and it starts again with the next piece. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { WINDOW = 32768, MAX_BITS = 15, LENGTHS = 288, DISTANCES = 32, KEPT = 1024 };
enum { WRAPPER, HEAD, STORED, SYMBOLS, DONE };

typedef struct code {
  uint16_t count[MAX_BITS + 1]; /* codes of each length */
  uint16_t symbol[LENGTHS];     /* in the order of their codes */
} code;

typedef struct decoder {
  int phase, is_last;
  uint32_t stored;           /* bytes left of a stored block */
  uint32_t length, distance; /* left of a match */
  code lengths, distances;
  uint8_t window[WINDOW];
  uint32_t at, written; /* place in the window; how much of it holds data */
  uint8_t kept[KEPT];   /* whole bytes of a step that ran out of input */
  uint32_t num_kept;
  uint32_t bits, num_bits; /* read and not yet used */
} decoder;

/* Where one step reads. */
typedef struct reader {
  const decoder *from;
  const uint8_t *next;
  uint32_t left, kept_at, bits, num_bits;
  int is_short; /* asked for more than there is */
} reader;

static uint32_t take(reader *r, uint32_t count) {
  while (r->num_bits < count) {
    uint32_t byte;
    if (r->kept_at < r->from->num_kept) {
      byte = r->from->kept[r->kept_at++];
    } else if (r->left) {
      byte = *r->next++;
      --r->left;
    } else {
      r->is_short = 1;
      return 0;
    }
    r->bits |= byte << r->num_bits;
    r->num_bits += 8;
  }
  uint32_t value = r->bits & ((1u << count) - 1);
  r->bits >>= count;
  r->num_bits -= count;
  return value;
}

/* The next symbol; -1 where the bits are none's code. */
static int take_symbol(reader *r, const code *c) {
  int code = 0, first = 0, index = 0;
  for (int length = 1; length <= MAX_BITS; ++length) {
    code |= (int)take(r, 1);
    if (r->is_short)
      return 0;
    int count = c->count[length];
    if (code - count < first)
      return c->symbol[index + code - first];
    index += count;
    first = (first + count) << 1;
    code <<= 1;
  }
  return -1;
}

/* Nonzero where the lengths are more than a code can hold. */
static int make_code(code *c, const uint8_t *lengths, int count) {
  uint16_t start[MAX_BITS + 2];
  int left = 1;
  memset(c->count, 0, sizeof c->count);
  for (int i = 0; i < count; ++i)
    ++c->count[lengths[i]];
  c->count[0] = 0;
  start[1] = 0;
  for (int length = 1; length <= MAX_BITS; ++length) {
    left = left * 2 - c->count[length];
    if (left < 0)
      return -1;
    start[length + 1] = (uint16_t)(start[length] + c->count[length]);
  }
  for (int i = 0; i < count; ++i)
    if (lengths[i])
      c->symbol[start[lengths[i]]++] = (uint16_t)i;
  return 0;
}

/* A dynamic block's codes. Nonzero where they are wrong; short input shows in the reader. */
static int take_codes(reader *r, code *lengths, code *distances) {
  static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  uint8_t all[LENGTHS + DISTANCES] = {0};
  int num_lengths = (int)take(r, 5) + 257, num_distances = (int)take(r, 5) + 1, num_codes = (int)take(r, 4) + 4;
  for (int i = 0; i < num_codes; ++i)
    all[order[i]] = (uint8_t)take(r, 3);
  if (r->is_short || num_lengths > 286 || num_distances > 30 || make_code(lengths, all, 19))
    return -1;
  memset(all, 0, sizeof all);
  for (int i = 0; i < num_lengths + num_distances;) {
    int symbol = take_symbol(r, lengths), repeat = 1;
    uint8_t value = (uint8_t)symbol;
    if (symbol == 16) {
      if (i == 0)
        return -1;
      value = all[i - 1];
      repeat = 3 + (int)take(r, 2);
    } else if (symbol > 16) {
      value = 0;
      repeat = symbol == 17 ? 3 + (int)take(r, 3) : 11 + (int)take(r, 7);
    }
    if (r->is_short || symbol < 0 || i + repeat > num_lengths + num_distances)
      return -1;
    while (repeat--)
      all[i++] = value;
  }
  return make_code(lengths, all, num_lengths) || make_code(distances, all + num_lengths, num_distances);
}

static void fixed_codes(code *lengths, code *distances) {
  uint8_t all[LENGTHS];
  for (int i = 0; i < LENGTHS; ++i)
    all[i] = i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8;
  (void)make_code(lengths, all, LENGTHS);
  memset(all, 5, DISTANCES);
  (void)make_code(distances, all, DISTANCES);
}

static void put(decoder *d, z_streamp stream, uint8_t byte) {
  *stream->next_out++ = byte;
  --stream->avail_out;
  d->window[d->at] = byte;
  d->at = (d->at + 1) % WINDOW;
  d->written += d->written < WINDOW;
}

static int step_head(decoder *d, reader *r) {
  int is_last = (int)take(r, 1);
  uint32_t kind = take(r, 2), size, inverse;
  code lengths, distances;
  switch (kind) {
  case 0:
    r->bits >>= r->num_bits % 8;
    r->num_bits -= r->num_bits % 8;
    size = take(r, 16);
    inverse = take(r, 16);
    if (r->is_short)
      return 0;
    if (size != (inverse ^ 0xffffu))
      return Z_DATA_ERROR;
    d->stored = size;
    break;
  case 1:
    fixed_codes(&lengths, &distances);
    break;
  case 2:
    if (take_codes(r, &lengths, &distances))
      return r->is_short ? 0 : Z_DATA_ERROR;
    break;
  default:
    return Z_DATA_ERROR;
  }
  if (r->is_short)
    return 0;
  d->is_last = is_last;
  d->phase = kind ? SYMBOLS : STORED;
  if (kind) {
    d->lengths = lengths;
    d->distances = distances;
  }
  return 0;
}

static int step_symbol(decoder *d, reader *r, z_streamp stream) {
  static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                           31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const uint8_t length_bits[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                          2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
  static const uint16_t distance_base[30] = {1,    2,    3,    4,    5,    7,    9,    13,    17,    25,
                                             33,   49,   65,   97,   129,  193,  257,  385,   513,   769,
                                             1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  int symbol = take_symbol(r, &d->lengths);
  if (r->is_short)
    return 0;
  if (symbol < 0 || symbol > 285)
    return Z_DATA_ERROR;
  if (symbol < 256) {
    put(d, stream, (uint8_t)symbol);
    return 0;
  }
  if (symbol == 256) {
    d->phase = d->is_last ? DONE : HEAD;
    return 0;
  }
  symbol -= 257;
  uint32_t length = length_base[symbol] + take(r, length_bits[symbol]);
  int far = take_symbol(r, &d->distances);
  if (!r->is_short && (far < 0 || far > 29))
    return Z_DATA_ERROR;
  if (r->is_short)
    return 0;
  uint32_t distance = distance_base[far] + take(r, (uint32_t)(far < 2 ? 0 : far / 2 - 1));
  if (r->is_short)
    return 0;
  if (distance > d->written)
    return Z_DATA_ERROR;
  d->length = length;
  d->distance = distance;
  return 0;
}

int inflateInit2_(z_streamp stream, int window, const char *version, int size) {
  (void)version, (void)size;
  decoder *d = calloc(1, sizeof *d);
  if (!d)
    return Z_MEM_ERROR;
  d->phase = window < 0 ? HEAD : WRAPPER;
  stream->state = (struct internal_state *)d;
  return Z_OK;
}

int inflateInit_(z_streamp stream, const char *version, int size) {
  return inflateInit2_(stream, MAX_BITS, version, size);
}

int inflate(z_streamp stream, int flush) {
  (void)flush;
  decoder *d = (decoder *)stream->state;
  while (d->phase != DONE) {
    if (d->length) {
      if (!stream->avail_out)
        return Z_OK;
      put(d, stream, d->window[(d->at + WINDOW - d->distance) % WINDOW]);
      --d->length;
      continue;
    }
    if (d->phase == STORED && !d->stored) {
      d->phase = d->is_last ? DONE : HEAD;
      continue;
    }
    if (d->phase >= STORED && !stream->avail_out)
      return Z_OK;
    reader r = {d, stream->next_in, stream->avail_in, 0, d->bits, d->num_bits, 0};
    int status = 0;
    if (d->phase == WRAPPER) {
      uint32_t method = take(&r, 8), flags = take(&r, 8);
      if (!r.is_short && ((method & 15) != 8 || (method << 8 | flags) % 31 || flags & 32))
        return Z_DATA_ERROR;
      d->phase = r.is_short ? WRAPPER : HEAD;
    } else if (d->phase == HEAD) {
      status = step_head(d, &r);
    } else if (d->phase == STORED) {
      uint8_t byte = (uint8_t)take(&r, 8);
      if (!r.is_short) {
        put(d, stream, byte);
        --d->stored;
      }
    } else {
      status = step_symbol(d, &r, stream);
    }
    if (status)
      return status;
    if (r.is_short) { /* bits that were whole before stay; the rest of the input waits */
      if (stream->avail_in > KEPT - d->num_kept)
        return Z_DATA_ERROR;
      memcpy(d->kept + d->num_kept, stream->next_in, stream->avail_in);
      d->num_kept += stream->avail_in;
      stream->next_in += stream->avail_in;
      stream->avail_in = 0;
      return Z_OK;
    }
    memmove(d->kept, d->kept + r.kept_at, d->num_kept - r.kept_at);
    d->num_kept -= r.kept_at;
    d->bits = r.bits;
    d->num_bits = r.num_bits;
    stream->next_in = (z_const Bytef *)(uintptr_t)r.next;
    stream->avail_in = r.left;
  }
  return Z_STREAM_END;
}

int inflateEnd(z_streamp stream) {
  free(stream->state);
  stream->state = NULL;
  return Z_OK;
}
