/* Asks the CPU for the features that the variants of a model may need.
 *
 * x86: CPUID, and XGETBV for whether the operating system saves the wide registers. Linux on aarch64 and riscv64:
 * getauxval as a weak symbol, so nothing breaks where there is no libc. Elsewhere: what the compiler was told (-march)
 * when this file was made. The answer is the runtime's one global: CPUID traps in virtual machines (tens of
 * microseconds), too dear for each run. */
#include "runtime/freestanding/cpu.h"
#include "burin/runtime.h"

#include <stdatomic.h>

/* Certain without asking, because this very file was compiled for it. */
static uint32_t features_at_compile_time(void) {
  uint32_t features = 0;
#if defined(__AVX2__) && defined(__FMA__) && defined(__F16C__) && defined(__BMI2__) && defined(__LZCNT__) &&           \
    defined(__MOVBE__)
  features |= BURIN_CPU_AVX2_FMA;
#endif
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512CD__) && defined(__AVX512DQ__) &&                 \
    defined(__AVX512VL__)
  features |= BURIN_CPU_AVX512;
#endif
#if defined(__AVX512VNNI__)
  features |= BURIN_CPU_AVX512_VNNI;
#endif
#if defined(__AVXVNNI__)
  features |= BURIN_CPU_AVX_VNNI;
#endif
#if defined(__ARM_FEATURE_DOTPROD)
  features |= BURIN_CPU_ARM_DOTPROD;
#endif
#if defined(__ARM_FEATURE_MATMUL_INT8)
  features |= BURIN_CPU_ARM_I8MM;
#endif
#if defined(__ARM_FEATURE_FP16_VECTOR_ARITHMETIC)
  features |= BURIN_CPU_ARM_FP16;
#endif
#if defined(__riscv_v)
  features |= BURIN_CPU_RISCV_V;
#endif
  return features;
}

#if defined(__x86_64__) || defined(__i386__)

typedef struct cpuid_result {
  uint32_t eax, ebx, ecx, edx;
} cpuid_result;

static cpuid_result cpuid(uint32_t leaf, uint32_t subleaf) {
  cpuid_result r;
  __asm__ volatile("cpuid" : "=a"(r.eax), "=b"(r.ebx), "=c"(r.ecx), "=d"(r.edx) : "0"(leaf), "2"(subleaf));
  return r;
}

static uint32_t enabled_state(void) {
  uint32_t low, high;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

static int has(uint32_t word, uint32_t mask) { return (word & mask) == mask; }

static uint32_t features_at_run_time(void) {
  const uint32_t FMA = 1u << 12, MOVBE = 1u << 22, OSXSAVE = 1u << 27, AVX = 1u << 28, F16C = 1u << 29; /* leaf 1 ecx */
  const uint32_t BMI1 = 1u << 3, AVX2 = 1u << 5, BMI2 = 1u << 8;                                        /* leaf 7 ebx */
  const uint32_t AVX512 = 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31; /* F DQ CD BW VL */
  const uint32_t VNNI512 = 1u << 11;                                            /* leaf 7 ecx */
  const uint32_t VNNI256 = 1u << 4;                                             /* leaf 7.1 eax */
  const uint32_t LZCNT = 1u << 5;                                               /* leaf 80000001 ecx */
  const uint32_t YMM_STATE = 0x6, ZMM_STATE = 0xe6;

  if (cpuid(0, 0).eax < 7 || cpuid(0x80000000u, 0).eax < 0x80000001u)
    return 0;
  cpuid_result leaf1 = cpuid(1, 0), leaf7 = cpuid(7, 0);
  if (!has(leaf1.ecx, FMA | MOVBE | OSXSAVE | AVX | F16C) || !has(leaf7.ebx, BMI1 | AVX2 | BMI2) ||
      !has(cpuid(0x80000001u, 0).ecx, LZCNT))
    return 0;
  uint32_t state = enabled_state();
  if (!has(state, YMM_STATE))
    return 0;
  uint32_t features = BURIN_CPU_AVX2_FMA;
  if (leaf7.eax >= 1 && has(cpuid(7, 1).eax, VNNI256))
    features |= BURIN_CPU_AVX_VNNI;
  if (has(leaf7.ebx, AVX512) && has(state, ZMM_STATE)) {
    features |= BURIN_CPU_AVX512;
    if (has(leaf7.ecx, VNNI512))
      features |= BURIN_CPU_AVX512_VNNI;
  }
  return features;
}

#elif defined(__aarch64__) && defined(__ELF__)

extern unsigned long getauxval(unsigned long type) __attribute__((weak));

static uint32_t features_at_run_time(void) {
  /* Linux <asm/hwcap.h> and <linux/auxvec.h>, written out because bare metal has no such headers. */
  const unsigned long AT_HWCAP = 16, AT_HWCAP2 = 26;
  const unsigned long FPHP = 1ul << 9, ASIMDHP = 1ul << 10, ASIMDDP = 1ul << 20, I8MM = 1ul << 13;
  if (!getauxval)
    return 0;
  unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
  uint32_t features = 0;
  if (first & ASIMDDP)
    features |= BURIN_CPU_ARM_DOTPROD;
  if ((first & FPHP) && (first & ASIMDHP))
    features |= BURIN_CPU_ARM_FP16;
  if (second & I8MM)
    features |= BURIN_CPU_ARM_I8MM;
  return features;
}

#elif defined(__riscv) && defined(__linux__)

extern unsigned long getauxval(unsigned long type) __attribute__((weak));

static uint32_t features_at_run_time(void) {
  /* AT_HWCAP has a bit for each single-letter extension. */
  return getauxval && (getauxval(16) >> ('V' - 'A') & 1) ? BURIN_CPU_RISCV_V : 0;
}

#else
#define BURIN_CANNOT_ASK 1
#endif

#ifdef BURIN_CANNOT_ASK
uint32_t burin_cpu_features(void) { return features_at_compile_time(); }
#else
uint32_t burin_cpu_features(void) {
  /* Threads that race here all store the same answer. */
  static _Atomic uint32_t remembered;
  const uint32_t KNOWN = 1u << 31;
  uint32_t features = atomic_load_explicit(&remembered, memory_order_relaxed);
  if (!(features & KNOWN)) {
    features = KNOWN | features_at_compile_time() | features_at_run_time();
    atomic_store_explicit(&remembered, features, memory_order_relaxed);
  }
  return features & ~KNOWN;
}
#endif
