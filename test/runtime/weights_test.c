/* burin_decode_weights: sections coded here by hand, every kind of run, and no damage that does more than fail. */
#include "burin/runtime.h"
#include "test/runtime/check.h"

#include <stdlib.h>
#include <string.h>

enum { COUNT = 600, DECODED = 4096 };

static _Alignas(64) uint8_t section[8192];
static size_t at;

static void add(uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i)
    section[at++] = (uint8_t)(value >> (8 * i));
}

static void add_run(uint64_t offset, uint64_t count, uint64_t coded, int width, int stride, int symbols) {
  add(offset, 8), add(count, 8), add(coded, 8), add((uint64_t)width, 1), add((uint64_t)stride, 1);
  add((uint64_t)symbols, 2);
}

/* Two symbols, frequencies 3072 and 1024, by the textbook. */
static size_t encode(const uint8_t *symbols, size_t count, uint8_t *out) {
  const uint32_t frequency[2] = {3072, 1024}, start[2] = {0, 3072};
  uint8_t reversed[COUNT];
  size_t n = 0;
  uint32_t state[2] = {1u << 23, 1u << 23};
  for (size_t i = count; i-- > 0;) {
    uint32_t *x = &state[i & 1], s = symbols[i];
    for (; *x >= (1u << 19) * frequency[s]; *x >>= 8)
      reversed[n++] = (uint8_t)*x;
    *x = ((*x / frequency[s]) << 12) + *x % frequency[s] + start[s];
  }
  memcpy(out, state, 8);
  for (size_t i = 0; i < n; ++i)
    out[8 + i] = reversed[n - 1 - i];
  return 8 + n;
}

static void make_section(const uint8_t *symbols) {
  at = 16;
  add_run(0, 3, 12, 4, 4, 0); /* as they are */
  add(1, 4), add(2, 4), add(3, 4);
  add_run(64, 5, 2, 2, 2, 1); /* one value */
  add(0x1234, 2);
  uint8_t coded[COUNT];
  size_t bytes = encode(symbols, COUNT, coded);
  add_run(128, COUNT, 2 * 5 + bytes, 3, 4, 2); /* three bytes of every four */
  add(0xa1a2a3, 3), add(0xb1b2b3, 3), add(3072, 2), add(1024, 2);
  memcpy(section + at, coded, bytes);
  at += bytes;
  size_t end = at;
  at = 0;
  add(0x31574342, 4), add(3, 4), add(end, 8);
  at = end;
}

static burin_status decode(const void *stored, uint64_t decoded_bytes, uint8_t *to, burin_model *decoded) {
  burin_model model = {.magic = BURIN_MODEL_MAGIC,
                       .abi_version = BURIN_ABI_VERSION,
                       .flags = BURIN_CODED_WEIGHTS,
                       .weights = stored,
                       .weights_bytes = decoded_bytes};
  memset(to, 0, decoded_bytes);
  return burin_decode_weights(&model, to, decoded);
}

static void test_decode(const uint8_t *symbols) {
  static _Alignas(64) uint8_t to[DECODED];
  burin_model decoded;
  CHECK(decode(section, DECODED, to, &decoded) == BURIN_OK);
  CHECK(decoded.weights == to && decoded.flags == 0 && decoded.weights_bytes == DECODED);
  CHECK(to[0] == 1 && to[4] == 2 && to[8] == 3 && to[12] == 0);
  CHECK(to[64] == 0x34 && to[65] == 0x12 && to[73] == 0x12 && to[74] == 0);
  for (size_t i = 0; i < COUNT; ++i) {
    const uint8_t *p = to + 128 + 4 * i;
    CHECK(p[0] == (symbols[i] ? 0xb3 : 0xa3) && p[2] == (symbols[i] ? 0xb1 : 0xa1) && p[3] == 0);
  }
}

/* Each byte changed and each shorter section: an error or other numbers, never a step outside (the sanitizers watch).
 */
static void test_damage(void) {
  burin_model decoded;
  uint8_t *to = malloc(DECODED);
  for (size_t i = 16; i < at; ++i) {
    uint8_t *copy = malloc(at);
    memcpy(copy, section, at);
    copy[i] ^= (uint8_t)(1 + i % 255);
    (void)decode(copy, DECODED, to, &decoded);
    free(copy);
  }
  for (uint64_t size = 16; size < at; size += 3) {
    uint8_t *copy = malloc(size);
    memcpy(copy, section, size);
    memcpy(copy + 8, &size, 8);
    CHECK(decode(copy, DECODED, to, &decoded) == BURIN_ERROR_WEIGHTS);
    free(copy);
  }
  CHECK(decode(section, 1024, to, &decoded) == BURIN_ERROR_WEIGHTS);
  free(to);
}

static void test_refused_until_decoded(void) {
  static const burin_variant variant = {"base", 0, NULL};
  burin_model model = {.magic = BURIN_MODEL_MAGIC,
                       .abi_version = BURIN_ABI_VERSION,
                       .flags = BURIN_CODED_WEIGHTS,
                       .num_variants = 1,
                       .variants = &variant,
                       .weights = section,
                       .weights_bytes = DECODED};
  CHECK(burin_check_model(&model) == BURIN_ERROR_WEIGHTS);
  CHECK(burin_stored_weights_bytes(&model) == at);
  model.flags = 0;
  CHECK(burin_check_model(&model) == BURIN_OK && burin_stored_weights_bytes(&model) == DECODED);
}

int main(void) {
  uint8_t symbols[COUNT];
  for (size_t i = 0; i < COUNT; ++i)
    symbols[i] = i % 7 == 0 || i % 11 == 3;
  make_section(symbols);
  test_decode(symbols);
  test_damage();
  test_refused_until_decoded();
  return check_failures;
}
