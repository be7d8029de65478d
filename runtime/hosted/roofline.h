/* The least time that a layer can take on this machine: the longer of what its arithmetic takes at the measured peak
 * and what its bytes take at the measured bandwidth of the cache, or the memory, that they come from. */
#ifndef BURIN_RUNTIME_HOSTED_ROOFLINE_H
#define BURIN_RUNTIME_HOSTED_ROOFLINE_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BURIN_ROOFLINE_LEVELS = 8 };

typedef struct burin_roofline {
  double float_peak, byte_peak;              /* operations a second */
  int levels;                                /* of the following, by size */
  uint64_t footprint[BURIN_ROOFLINE_LEVELS]; /* bytes read over and over */
  double bandwidth[BURIN_ROOFLINE_LEVELS];   /* bytes a second */
} burin_roofline;

/* Measures what `threads` threads together reach, run through `parallel` (NULL: the caller alone), as far as a model
 * needs it that touches `bytes` bytes a run. Takes about 100 ms. */
void burin_measure_roofline(burin_roofline *roofline, uint64_t bytes, const burin_parallel *parallel, int threads);

/* Bytes a second of something this large that was touched a moment ago: that of the smallest footprint that holds it.
 */
double burin_bandwidth_of(const burin_roofline *roofline, uint64_t bytes);

/* Seconds. Weights are taken to come from where all weights fit, the rest from where the layer's own buffers do.
 * `is_memory`: which of the two it is that bounds it. */
double burin_least_time(const burin_roofline *roofline, const burin_model *model, const burin_layer_info *layer,
                        int *is_memory);

#ifdef __cplusplus
}
#endif
#endif
