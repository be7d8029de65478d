/* Half precision in f32: every half is a float, and rounding is to nearest even with subnormals kept, overflow to
 * infinity and one quiet NaN (0x7e00). f32 operations followed by this rounding are the half operations: 24 bits are
 * more than twice 11 and two. */
#ifndef BURIN_RUNTIME_VPU_HALF_H
#define BURIN_RUNTIME_VPU_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t burin_float_bits(float f) {
  uint32_t u;
  memcpy(&u, &f, 4);
  return u;
}
static inline float burin_bits_float(uint32_t u) {
  float f;
  memcpy(&f, &u, 4);
  return f;
}

static inline uint16_t burin_to_half(float f) {
  uint32_t u = burin_float_bits(f), sign = (u >> 16) & 0x8000u;
  u &= 0x7fffffffu;
  if (u > 0x7f800000u)
    return 0x7e00u;
  if (u >= 0x47800000u) /* 65536 */
    return (uint16_t)(sign | 0x7c00u);
  if (u < 0x38800000u) /* below 2^-14: adding 0.5 leaves the half's last place at the float's */
    return (uint16_t)(sign | (burin_float_bits(burin_bits_float(u) + 0.5f) - 0x3f000000u));
  return (uint16_t)(sign | ((u - 0x38000000u + 0xfffu + ((u >> 13) & 1u)) >> 13));
}

static inline float burin_from_half(uint16_t h) {
  uint32_t sign = (uint32_t)(h & 0x8000u) << 16, rest = h & 0x7fffu;
  if (rest >= 0x7c00u)
    return burin_bits_float(sign | 0x7f800000u | (rest & 0x3ffu) << 13);
  if (rest < 0x400u) { /* rest * 2^-24 */
    float f = (float)rest * 5.9604644775390625e-8f;
    return burin_bits_float(sign | burin_float_bits(f));
  }
  return burin_bits_float(sign | ((rest << 13) + 0x38000000u));
}

static inline float burin_round_half(float f) { return burin_from_half(burin_to_half(f)); }

#endif
