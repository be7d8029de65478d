/* Measures the arithmetic peaks: independent chains of fused multiply-adds or byte products, as many as hide their
 * latency, in registers only. */
#include "runtime/hosted/peak.h"
#include "runtime/freestanding/cpu.h"
#include "runtime/hosted/host.h"

#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

/* Latency times pipes is 8 or 10 on x86 and 16 on the wide Arm cores. With 16 registers, 12 chains leave room for
 * operands. */
#define CHAINS_12(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
#define CHAINS_16(X) CHAINS_12(X) X(12) X(13) X(14) X(15)
enum { ROUNDS = 20000 };

/* Defines `static double NAME(void)`: runs ROUNDS rounds and returns the operations done. */
#define DEFINE_CHAINS(NAME, ATTRIBUTES, VECTOR, CHAINS, COUNT, SPLAT)                                                  \
  ATTRIBUTES static double NAME(void) {                                                                                \
    VECTOR scale = SPLAT(0.999f), shift = SPLAT(0.001f);                                                               \
    CHAINS(DECLARE_##NAME)                                                                                             \
    for (int round = 0; round < ROUNDS; ++round) {                                                                     \
      CHAINS(STEP_##NAME)                                                                                              \
    }                                                                                                                  \
    CHAINS(KEEP_##NAME)                                                                                                \
    return 2.0 * COUNT * (sizeof(VECTOR) / sizeof(float)) * ROUNDS;                                                    \
  }

#if defined(__x86_64__)
#define DECLARE_avx512(i) __m512 chain##i = _mm512_set1_ps(2.0f + i);
#define STEP_avx512(i) chain##i = _mm512_fmadd_ps(chain##i, scale, shift);
#define KEEP_avx512(i) __asm__ volatile("" : : "v"(chain##i));
DEFINE_CHAINS(avx512, __attribute__((target("avx512f"))), __m512, CHAINS_16, 16, _mm512_set1_ps)
#define DECLARE_avx2(i) __m256 chain##i = _mm256_set1_ps(2.0f + i);
#define STEP_avx2(i) chain##i = _mm256_fmadd_ps(chain##i, scale, shift);
#define KEEP_avx2(i) __asm__ volatile("" : : "x"(chain##i));
DEFINE_CHAINS(avx2, __attribute__((target("avx2,fma"))), __m256, CHAINS_12, 12, _mm256_set1_ps)
#define DECLARE_base(i) __m128 chain##i = _mm_set1_ps(2.0f + i);
#define STEP_base(i) chain##i = _mm_add_ps(_mm_mul_ps(chain##i, scale), shift);
#define KEEP_base(i) __asm__ volatile("" : : "x"(chain##i));
DEFINE_CHAINS(base, , __m128, CHAINS_12, 12, _mm_set1_ps)
#elif defined(__aarch64__)
#define DECLARE_base(i) float32x4_t chain##i = vdupq_n_f32(2.0f + i);
#define STEP_base(i) chain##i = vfmaq_f32(shift, chain##i, scale);
#define KEEP_base(i) __asm__ volatile("" : : "w"(chain##i));
DEFINE_CHAINS(base, , float32x4_t, CHAINS_16, 16, vdupq_n_f32)
#else
#define SPLAT_base(value) (value)
#define DECLARE_base(i) float chain##i = 2.0f + i;
#define STEP_base(i) chain##i = chain##i * scale + shift;
#define KEEP_base(i) __asm__ volatile("" : : "m"(chain##i));
DEFINE_CHAINS(base, , float, CHAINS_12, 12, SPLAT_base)
#endif

/* Products of bytes, four to a 32-bit lane. */
#define DEFINE_DOTS(NAME, ATTRIBUTES, VECTOR, CHAINS, COUNT, ZERO)                                                     \
  ATTRIBUTES static double NAME(void) {                                                                                \
    VECTOR left = ZERO, right = ZERO;                                                                                  \
    __asm__ volatile("" : HIDE_##NAME(left), HIDE_##NAME(right));                                                      \
    CHAINS(DECLARE_##NAME)                                                                                             \
    for (int round = 0; round < ROUNDS; ++round) {                                                                     \
      CHAINS(STEP_##NAME)                                                                                              \
    }                                                                                                                  \
    CHAINS(KEEP_##NAME)                                                                                                \
    return 2.0 * COUNT * sizeof(VECTOR) * ROUNDS;                                                                      \
  }
#if defined(__x86_64__)
#define HIDE_dots512(x) "+v"(x)
#define DECLARE_dots512(i) __m512i chain##i = _mm512_setzero_si512();
#define STEP_dots512(i) chain##i = _mm512_dpbusd_epi32(chain##i, left, right);
#define KEEP_dots512(i) __asm__ volatile("" : : "v"(chain##i));
DEFINE_DOTS(dots512, __attribute__((target("avx512f,avx512vnni"))), __m512i, CHAINS_16, 16, _mm512_setzero_si512())
#define HIDE_dots256(x) "+x"(x)
#define DECLARE_dots256(i) __m256i chain##i = _mm256_setzero_si256();
#define STEP_dots256(i) chain##i = _mm256_dpbusd_avx_epi32(chain##i, left, right);
#define KEEP_dots256(i) __asm__ volatile("" : : "x"(chain##i));
DEFINE_DOTS(dots256, __attribute__((target("avx2,avxvnni"))), __m256i, CHAINS_12, 12, _mm256_setzero_si256())
#elif defined(__aarch64__)
#define HIDE_dots128(x) "+w"(x)
#define DECLARE_dots128(i) int32x4_t chain##i = vdupq_n_s32(0);
#define STEP_dots128(i)                                                                                                \
  __asm__(".arch_extension dotprod\n\tsdot %0.4s, %1.16b, %2.16b" : "+w"(chain##i) : "w"(left), "w"(right));
#define KEEP_dots128(i) __asm__ volatile("" : : "w"(chain##i));
DEFINE_DOTS(dots128, , int32x4_t, CHAINS_16, 16, vdupq_n_s32(0))
#endif

static double run_floats(void) {
#if defined(__x86_64__)
  uint32_t features = burin_cpu_features();
  if (features & BURIN_CPU_AVX512)
    return avx512();
  if (features & BURIN_CPU_AVX2_FMA)
    return avx2();
#endif
  return base();
}

/* Without an instruction for them, products of bytes are no faster than those of floats by much: their peak stands. */
static double run_bytes(void) {
#if defined(__x86_64__)
  uint32_t features = burin_cpu_features();
  if (features & BURIN_CPU_AVX512_VNNI)
    return dots512();
  if (features & BURIN_CPU_AVX_VNNI)
    return dots256();
#elif defined(__aarch64__)
  if (burin_cpu_features() & BURIN_CPU_ARM_DOTPROD)
    return dots128();
#endif
  return run_floats();
}

typedef struct job {
  double (*chains)(void);
  double work[1024];
} job;

static void run_body(void *data, int64_t index) { ((job *)data)->work[index] = ((job *)data)->chains(); }

double burin_peak_operations(int32_t dtype, const burin_parallel *parallel, int threads) {
  enum { MOST = 1024 };
  job all = {.chains = dtype == BURIN_INT8 ? run_bytes : run_floats};
  double best = 0;
  if (threads > MOST)
    threads = MOST;
  /* The best of many short rounds: the first ones raise the clock, others are disturbed. */
  for (uint64_t start = burin_clock(); burin_clock() - start < 20000000u;) {
    uint64_t begin = burin_clock();
    if (parallel && threads > 1)
      parallel->run(parallel->user, run_body, &all, threads);
    else
      run_body(&all, 0);
    uint64_t end = burin_clock();
    double sum = 0;
    for (int i = 0; i < threads; ++i)
      sum += all.work[i];
    if (end > begin && sum / (double)(end - begin) > best)
      best = sum / (double)(end - begin);
  }
  return best * 1e9;
}
