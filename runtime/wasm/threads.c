/* The hook for parallel loops of a module whose memory several workers share: see lib/Target/JavaScript.cpp, which
 * starts them. Every worker takes part in every loop. The caller does not sleep while it waits for them: browsers
 * forbid that in a page's own thread, and parts are as long as one another. */
#include "burin/runtime.h"

#define SHARED __attribute__((target("atomics")))

static struct {
  void (*body)(void *data, int64_t index);
  void *data;
  int32_t count;
} job;
static int32_t workers, generation, next, busy;

SHARED static void take_parts(void) {
  for (int32_t i; (i = __atomic_fetch_add(&next, 1, __ATOMIC_RELAXED)) < job.count;)
    job.body(job.data, i);
}

SHARED static void run(void *user, void (*body)(void *data, int64_t index), void *data, int64_t count) {
  (void)user;
  if (workers == 0 || count < 2) {
    for (int64_t i = 0; i < count; ++i)
      body(data, i);
    return;
  }
  job.body = body;
  job.data = data;
  job.count = (int32_t)count;
  next = 0;
  __atomic_store_n(&busy, workers, __ATOMIC_RELAXED);
  __atomic_fetch_add(&generation, 1, __ATOMIC_SEQ_CST);
  __builtin_wasm_memory_atomic_notify(&generation, (uint32_t)workers);
  take_parts();
  while (__atomic_load_n(&busy, __ATOMIC_SEQ_CST) != 0)
    ;
}

const burin_parallel burin_wasm_parallel = {run, 0};

/* A worker says that it is there, before the first run. */
SHARED void burin_wasm_join(void);
SHARED void burin_wasm_join(void) { __atomic_fetch_add(&workers, 1, __ATOMIC_SEQ_CST); }

/* What it then does for ever. Nothing has run yet when it joined, so its first loop is the first of all. */
SHARED void burin_wasm_work(void);
SHARED void burin_wasm_work(void) {
  for (int32_t seen = 0;; ++seen) {
    while (__atomic_load_n(&generation, __ATOMIC_SEQ_CST) == seen)
      __builtin_wasm_memory_atomic_wait32(&generation, seen, -1);
    take_parts();
    __atomic_fetch_sub(&busy, 1, __ATOMIC_SEQ_CST);
  }
}
