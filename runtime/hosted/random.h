/* Inputs for a model when nobody gives any. */
#ifndef BURIN_RUNTIME_HOSTED_RANDOM_H
#define BURIN_RUNTIME_HOSTED_RANDOM_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Fills a row-major tensor with values that its type, dims and `seed` alone decide: floats in [-1, 1), bytes of all
 * values, other integers 0 or 1, as those are often indices or masks. */
void burin_fill_random(burin_tensor *tensor, uint64_t seed);

#ifdef __cplusplus
}
#endif
#endif
