/* Bandwidth by reading a block of memory again and again with the widest vectors; arithmetic in peak.c. */
#include "runtime/hosted/roofline.h"
#include "runtime/freestanding/cpu.h"
#include "runtime/hosted/host.h"
#include "runtime/hosted/peak.h"

#include <stdlib.h>
#include <string.h>

enum { LINES = 8, MOST_THREADS = 1024 }; /* vectors in flight */

/* Defines `static void NAME(const char *data, size_t bytes)`, bytes a multiple of LINES vectors. */
#define DEFINE_READ(NAME, ATTRIBUTES, BYTES)                                                                           \
  typedef int32_t NAME##_vector __attribute__((vector_size(BYTES), may_alias));                                        \
  ATTRIBUTES static void NAME(const char *data, size_t bytes) {                                                        \
    NAME##_vector sums[LINES];                                                                                         \
    memset(sums, 0, sizeof sums);                                                                                      \
    for (size_t at = 0; at < bytes; at += LINES * BYTES)                                                               \
      _Pragma("clang loop unroll(full)") for (int i = 0; i < LINES; ++i) sums[i] +=                                    \
          *(const NAME##_vector *)(const void *)(data + at + (size_t)i * BYTES);                                       \
    for (int i = 1; i < LINES; ++i)                                                                                    \
      sums[0] += sums[i];                                                                                              \
    __asm__ volatile("" : : "m"(sums[0]));                                                                             \
  }
#if defined(__x86_64__)
DEFINE_READ(read_512, __attribute__((target("avx512f"))), 64)
DEFINE_READ(read_256, __attribute__((target("avx2"))), 32)
#endif
DEFINE_READ(read_128, , 16)

typedef struct job {
  void (*read)(const char *data, size_t bytes);
  const char *data;
  size_t bytes; /* a thread's */
  int times;
} job;

static void run_body(void *data, int64_t index) {
  const job *j = data;
  for (int i = 0; i < j->times; ++i)
    j->read(j->data + (size_t)index * j->bytes, j->bytes);
}

static double measure(job *j, const burin_parallel *parallel, int threads) {
  double best = 0;
  /* About a megabyte at a time, so that the clock and the fork do not count. */
  j->times = 1 + (int)((1u << 20) / j->bytes);
  uint64_t start = burin_clock();
  for (int round = 0; round < 3 || burin_clock() - start < 4000000u; ++round) {
    uint64_t begin = burin_clock();
    if (parallel && threads > 1)
      parallel->run(parallel->user, run_body, j, threads);
    else
      run_body(j, 0);
    double speed = (double)j->bytes * j->times * threads / (double)(burin_clock() - begin + 1) * 1e9;
    if (speed > best)
      best = speed;
  }
  return best;
}

void burin_measure_roofline(burin_roofline *roofline, uint64_t bytes, const burin_parallel *parallel, int threads) {
  static const uint64_t sizes[BURIN_ROOFLINE_LEVELS] = {16u << 10, 128u << 10, 512u << 10, 2u << 20,
                                                        8u << 20,  24u << 20,  64u << 20,  160u << 20};
  if (!parallel || threads < 1)
    threads = 1;
  if (threads > MOST_THREADS)
    threads = MOST_THREADS;
  roofline->levels = 0;
  roofline->float_peak = burin_peak_operations(BURIN_FLOAT, parallel, threads);
  roofline->byte_peak = burin_peak_operations(BURIN_INT8, parallel, threads);
  job j = {.read = read_128};
#if defined(__x86_64__)
  uint32_t features = burin_cpu_features();
  j.read = features & BURIN_CPU_AVX512 ? read_512 : features & BURIN_CPU_AVX2_FMA ? read_256 : read_128;
#endif
  for (int level = 0; level < BURIN_ROOFLINE_LEVELS; ++level) {
    j.bytes = (size_t)(sizes[level] / (unsigned)threads) / 512 * 512;
    char *block = j.bytes ? burin_arena_allocate(j.bytes * (unsigned)threads) : NULL;
    if (!block)
      break;
    j.data = block;
    roofline->footprint[level] = sizes[level];
    roofline->bandwidth[level] = measure(&j, parallel, threads);
    roofline->levels = level + 1;
    free(block);
    if (sizes[level] >= bytes)
      break;
  }
}

double burin_bandwidth_of(const burin_roofline *roofline, uint64_t bytes) {
  int level = 0;
  while (level + 1 < roofline->levels && roofline->footprint[level] < bytes)
    ++level;
  return roofline->levels ? roofline->bandwidth[level] : 0;
}

double burin_least_time(const burin_roofline *roofline, const burin_model *model, const burin_layer_info *layer,
                        int *is_memory) {
  double peak = layer->dtype == BURIN_INT8 ? roofline->byte_peak : roofline->float_peak;
  uint64_t weights = layer->weight_bytes < layer->bytes ? layer->weight_bytes : layer->bytes,
           others = layer->bytes - weights;
  double from_weights = burin_bandwidth_of(roofline, model->weights_bytes),
         from_buffers = burin_bandwidth_of(roofline, others);
  double arithmetic = peak > 0 ? (double)layer->flops / peak : 0, memory = 0;
  if (from_weights > 0 && from_buffers > 0)
    memory = (double)weights / from_weights + (double)others / from_buffers;
  *is_memory = memory > arithmetic;
  return *is_memory ? memory : arithmetic;
}
