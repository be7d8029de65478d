/* A few threads that run the parallel loops of a model: what stands behind the burin_parallel hook on a hosted system.
 */
#ifndef BURIN_RUNTIME_HOSTED_POOL_H
#define BURIN_RUNTIME_HOSTED_POOL_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct burin_pool burin_pool;

/* `threads` counts the caller: threads - 1 are started. They round and treat denormals as the caller of each loop does.
 * NULL when they cannot be started. */
burin_pool *burin_pool_create(int threads);
void burin_pool_destroy(burin_pool *pool);
/* Valid as long as the pool. A loop inside a loop, or a second caller, runs its own loop in order: no deadlock. */
const burin_parallel *burin_pool_parallel(burin_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
