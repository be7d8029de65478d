/* The functions of the shaves, written once: f32 arithmetic in exactly this order, no fused multiply-add, no libm. What
 * a step of type f16 gives is the result rounded to half. test/runtime/vpu_reference.py states the same in numpy. */
#ifndef BURIN_RUNTIME_VPU_FUNCTIONS_H
#define BURIN_RUNTIME_VPU_FUNCTIONS_H

#include "runtime/vpu/half.h"

/* The nearest integer, halves to even, for |x| < 2^22. */
static inline float burin_vpu_nearest(float x) { return (x + 12582912.0f) - 12582912.0f; }

static inline float burin_vpu_power_of_two(int32_t n) { return burin_bits_float((uint32_t)(n + 127) << 23); }

/* exp(x) = 2^n * p(x - n ln 2), p of degree 6. */
static inline float burin_vpu_exp(float x) {
  if (x != x)
    return x;
  if (x > 88.75f)
    return burin_bits_float(0x7f800000u);
  if (x < -104.0f)
    return 0.0f;
  float n = burin_vpu_nearest(x * 1.44269502162933349609375f);
  float r = x - n * 0.693359375f;
  r = r - n * -2.12194440e-4f;
  float p = 1.38888889e-3f;
  p = p * r + 8.33333377e-3f;
  p = p * r + 4.16666679e-2f;
  p = p * r + 1.66666672e-1f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  int32_t e = (int32_t)n, half = e / 2;
  return p * burin_vpu_power_of_two(half) * burin_vpu_power_of_two(e - half);
}

static inline float burin_vpu_sigmoid(float x) { return 1.0f / (1.0f + burin_vpu_exp(-x)); }

static inline float burin_vpu_tanh(float x) {
  float a = x < 0.0f ? -x : x;
  if (a < 0.25f) {
    float s = x * x, p = -5.39682540e-2f;
    p = p * s + 1.33333340e-1f;
    p = p * s + -3.33333343e-1f;
    p = p * s + 1.0f;
    return p * x;
  }
  float e = burin_vpu_exp(a + a), t = 1.0f - 2.0f / (e + 1.0f);
  return x < 0.0f ? -t : t;
}

/* Near zero by its series; else Abramowitz and Stegun 7.1.26. */
static inline float burin_vpu_erf(float x) {
  float a = x < 0.0f ? -x : x, s = x * x;
  if (a < 0.5f) {
    float p = 5.22397600e-3f;
    p = p * s + -2.68661700e-2f;
    p = p * s + 1.12837918e-1f;
    p = p * s + -3.76126379e-1f;
    p = p * s + 1.12837923f;
    return p * x;
  }
  float t = 1.0f / (1.0f + 0.3275911f * a), p = 1.061405429f;
  p = p * t + -1.453152027f;
  p = p * t + 1.421413741f;
  p = p * t + -0.284496736f;
  p = p * t + 0.254829592f;
  float y = 1.0f - p * t * burin_vpu_exp(-s);
  return x < 0.0f ? -y : y;
}

/* x = 2^e * m, m in [0.707, 1.414): log x = e ln 2 + 2 atanh((m - 1) / (m + 1)). */
static inline float burin_vpu_log(float x) {
  if (x != x || x < 0.0f)
    return burin_bits_float(0x7fc00000u);
  if (x == 0.0f)
    return burin_bits_float(0xff800000u);
  if (x == burin_bits_float(0x7f800000u))
    return x;
  int32_t e = 0;
  if (x < 1.17549435e-38f) {
    x = x * 8388608.0f;
    e = -23;
  }
  uint32_t u = burin_float_bits(x), shifted = u - 0x3f3504f3u;
  e += (int32_t)shifted >> 23;
  float m = burin_bits_float((shifted & 0x7fffffu) + 0x3f3504f3u), f = (float)e;
  float s = (m - 1.0f) / (m + 1.0f), z = s * s, p = 0.222222224f;
  p = p * z + 0.285714298f;
  p = p * z + 0.400000006f;
  p = p * z + 0.666666687f;
  p = p * z + 2.0f;
  return f * 0.693359375f + (p * s + f * -2.12194440e-4f);
}

/* sin(x + quarter * pi / 2); arguments beyond 2^20 are beyond use. */
static inline float burin_vpu_sine(float x, int32_t quarter) {
  if (!(x < 1048576.0f && x > -1048576.0f))
    return burin_bits_float(0x7fc00000u);
  float n = burin_vpu_nearest(x * 0.636619747f);
  float r = x - n * 1.5703125f;
  r = r - n * 4.83751297e-4f;
  r = r - n * 7.54978942e-8f;
  float s = r * r;
  quarter = (quarter + (int32_t)n) & 3;
  float y;
  if (quarter & 1) {
    y = 2.44331571e-5f;
    y = y * s + -1.38873162e-3f;
    y = y * s + 4.16666456e-2f;
    y = y * s + -0.5f;
    y = y * s + 1.0f;
  } else {
    y = -1.95152959e-4f;
    y = y * s + 8.33216087e-3f;
    y = y * s + -1.66666546e-1f;
    y = y * s + 1.0f;
    y = y * r;
  }
  return quarter & 2 ? -y : y;
}

static inline float burin_vpu_nearest_any(float x) {
  return x < 4194304.0f && x > -4194304.0f ? burin_vpu_nearest(x) : x;
}
static inline float burin_vpu_floor(float x) {
  float n = burin_vpu_nearest_any(x);
  return n > x ? n - 1.0f : n;
}

static inline float burin_vpu_pow(float x, float y) {
  if (y == 0.0f || x == 1.0f)
    return 1.0f;
  if (y == 2.0f)
    return x * x;
  if (y == 1.0f)
    return x;
  if (x == 0.0f)
    return y > 0.0f ? 0.0f : burin_bits_float(0x7f800000u);
  float whole = burin_vpu_nearest_any(y);
  if (x < 0.0f && whole != y)
    return burin_bits_float(0x7fc00000u);
  float r = burin_vpu_exp(y * burin_vpu_log(x < 0.0f ? -x : x));
  float halves = burin_vpu_nearest_any(whole * 0.5f);
  return x < 0.0f && halves + halves != whole ? -r : r;
}

#endif
