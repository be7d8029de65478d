/* Decodes the weight section of a model made with --compress-weights, once, before the first run. Little endian, no
 * padding:
 *
 *   "BCW1" | u32 runs | u64 bytes of all this | run...
 *   run: u64 offset | u64 count | u64 coded bytes | u8 width | u8 stride | u16 symbols | coded
 *
 * A run gives `count` elements of `width` bytes, `stride` bytes apart, from byte `offset` of the decoded section on.
 * What is coded: symbols 0: the elements as they are else: a codebook, symbols * width bytes | where symbols > 1: u16
 * frequency a symbol, together 4096 | two states of rANS (Duda, "Asymmetric numeral systems", 2013), u32 each | bytes
 * to renormalize with
 *
 * The elements of a run are coded with the two states in turn, which hides a division's worth of latency. Every size is
 * checked, so a damaged file is an error and no crash. The tables on the stack are all the memory it takes. */
#include "burin/runtime.h"
#include "runtime/freestanding/lock.h"

enum { SCALE_BITS = 12, SCALE = 1 << SCALE_BITS, MOST_SYMBOLS = 256, MOST_WIDTH = 8 };
#define LOWEST_STATE (1u << 23)

typedef struct reader {
  const uint8_t *at, *end;
} reader;

static int take(reader *from, void *to, uint64_t bytes) {
  if ((uint64_t)(from->end - from->at) < bytes)
    return 0;
  __builtin_memcpy(to, from->at, (size_t)bytes);
  from->at += bytes;
  return 1;
}

typedef struct run {
  uint64_t offset, count, coded;
  uint8_t width, stride;
  uint16_t symbols;
} run;

static int take_run(reader *from, run *r) {
  return take(from, &r->offset, 8) && take(from, &r->count, 8) && take(from, &r->coded, 8) &&
         take(from, &r->width, 1) && take(from, &r->stride, 1) && take(from, &r->symbols, 2);
}

static int fits(const run *r, uint64_t bytes) {
  if (r->width == 0 || r->width > MOST_WIDTH || r->stride < r->width || r->symbols > MOST_SYMBOLS ||
      r->offset > bytes || r->count > bytes)
    return 0;
  return r->count == 0 || (r->count - 1) * r->stride + r->width <= bytes - r->offset;
}

static void put(const run *r, uint8_t *to, uint64_t i, const uint8_t *value) {
  uint8_t *place = to + i * r->stride;
  if (r->width == 4)
    __builtin_memcpy(place, value, 4);
  else
    __builtin_memcpy(place, value, r->width);
}

static int decode_run(const run *r, reader from, uint8_t *to) {
  uint8_t codebook[MOST_SYMBOLS * MOST_WIDTH], symbol_at[SCALE];
  uint16_t frequency[MOST_SYMBOLS], start[MOST_SYMBOLS];
  if (r->symbols == 0) {
    if (r->coded != r->count * r->width)
      return 0;
    if (r->stride == r->width)
      return take(&from, to, r->coded);
    for (uint64_t i = 0; i < r->count; ++i)
      put(r, to, i, from.at + i * r->width);
    return 1;
  }
  if (!take(&from, codebook, (uint64_t)r->symbols * r->width))
    return 0;
  if (r->symbols == 1) {
    for (uint64_t i = 0; i < r->count; ++i)
      put(r, to, i, codebook);
    return 1;
  }
  uint32_t total = 0;
  for (uint32_t s = 0; s < r->symbols; ++s) {
    if (!take(&from, &frequency[s], 2) || frequency[s] == 0 || frequency[s] > SCALE - total)
      return 0;
    start[s] = (uint16_t)total;
    __builtin_memset(symbol_at + total, (int)s, frequency[s]);
    total += frequency[s];
  }
  uint32_t state[2];
  if (total != SCALE || !take(&from, &state[0], 4) || !take(&from, &state[1], 4))
    return 0;
  for (uint64_t i = 0; i < r->count; ++i) {
    uint32_t x = state[i & 1], slot = x & (SCALE - 1), s = symbol_at[slot];
    put(r, to, i, codebook + s * r->width);
    x = frequency[s] * (x >> SCALE_BITS) + slot - start[s];
    while (x < LOWEST_STATE) {
      if (from.at == from.end)
        return 0;
      x = x << 8 | *from.at++;
    }
    state[i & 1] = x;
  }
  return 1;
}

burin_status burin_decode_weights(const burin_model *model, void *to, burin_model *decoded) {
  reader from = {model->weights, (const uint8_t *)model->weights + 16};
  uint32_t magic, runs;
  uint64_t bytes;
  if (!take(&from, &magic, 4) || !take(&from, &runs, 4) || !take(&from, &bytes, 8) || magic != 0x31574342u ||
      bytes < 16)
    return BURIN_ERROR_WEIGHTS;
  from.end = (const uint8_t *)model->weights + bytes;
  for (uint32_t i = 0; i < runs; ++i) {
    run r;
    if (!take_run(&from, &r) || !fits(&r, model->weights_bytes) || (uint64_t)(from.end - from.at) < r.coded ||
        !decode_run(&r, (reader){from.at, from.at + r.coded}, (uint8_t *)to + r.offset))
      return BURIN_ERROR_WEIGHTS;
    from.at += r.coded;
  }
  *decoded = *model;
  decoded->weights = to;
  decoded->flags &= ~(uint32_t)BURIN_CODED_WEIGHTS;
  return BURIN_OK;
}

uint64_t burin_stored_weights_bytes(const burin_model *model) {
  uint64_t bytes = model->weights_bytes;
  /* Both formats have theirs at the same place. */
  if (model->flags & (BURIN_CODED_WEIGHTS | BURIN_LOCKED_WEIGHTS))
    __builtin_memcpy(&bytes, (const uint8_t *)model->weights + 8, 8);
  return bytes + (model->flags & BURIN_LOCKED_WEIGHTS ? BURIN_LOCK_BYTES : 0);
}
