/* The machine's float32 arithmetic peak, measured: what a profile holds a layer against. */
#ifndef BURIN_RUNTIME_HOSTED_PEAK_H
#define BURIN_RUNTIME_HOSTED_PEAK_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Operations (an fma counts two) a second of `threads` threads together, run through `parallel` (NULL: the caller
 * alone), with the widest vectors of the CPU. Takes about 20 ms. */
double burin_peak_flops(const burin_parallel *parallel, int threads);

#ifdef __cplusplus
}
#endif
#endif
