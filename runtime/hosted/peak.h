/* The machine's arithmetic peaks, measured: what a profile holds a layer against. */
#ifndef BURIN_RUNTIME_HOSTED_PEAK_H
#define BURIN_RUNTIME_HOSTED_PEAK_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Operations (a multiplication and an addition count two) a second on BURIN_FLOAT or BURIN_INT8 of `threads` threads
 * together, run through `parallel` (NULL: the caller alone), with the widest vectors of the CPU. Takes about 20 ms. */
double burin_peak_operations(int32_t dtype, const burin_parallel *parallel, int threads);

#ifdef __cplusplus
}
#endif
#endif
