/* A thread pool for short parallel loops.
 *
 * One loop at a time. Threads take indices from a shared counter, so uneven bodies balance. Between loops they spin for
 * some microseconds (layers follow one another closely) and then sleep. The caller works too and waits only for threads
 * that have begun: a sleeper that wakes too late finds the loop closed and costs nothing. */
#include "runtime/hosted/pool.h"
#include "runtime/hosted/host.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { SPINS = 4000 };

struct burin_pool {
  burin_parallel hook;
  pthread_mutex_t mutex;
  pthread_cond_t wake, done;
  atomic_uint loops; /* how many were opened: what spinning threads watch */
  atomic_int busy;   /* a caller owns the pool */
  atomic_int active; /* threads inside the open loop; changed under the mutex */
  int open, stop;    /* under the mutex */
  int sleepers;      /* under the mutex */
  void (*body)(void *, int64_t);
  void *data;
  int64_t count;
  _Atomic int64_t next;
  int started;
  pthread_t threads[];
};

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void take_indices(burin_pool *pool) {
  for (;;) {
    int64_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
    if (i >= pool->count)
      return;
    pool->body(pool->data, i);
  }
}

static void *work(void *argument) {
  burin_pool *pool = argument;
  unsigned seen = 0;
  burin_flush_denormals();
  for (;;) {
    for (int spin = 0; spin < SPINS && atomic_load_explicit(&pool->loops, memory_order_acquire) == seen; ++spin)
      pause_briefly();
    pthread_mutex_lock(&pool->mutex);
    while (!pool->stop && atomic_load_explicit(&pool->loops, memory_order_relaxed) == seen) {
      ++pool->sleepers;
      pthread_cond_wait(&pool->wake, &pool->mutex);
      --pool->sleepers;
    }
    seen = atomic_load_explicit(&pool->loops, memory_order_relaxed);
    int joins = pool->open, stop = pool->stop;
    if (joins)
      atomic_fetch_add_explicit(&pool->active, 1, memory_order_relaxed);
    pthread_mutex_unlock(&pool->mutex);
    if (stop)
      return NULL;
    if (!joins)
      continue;
    take_indices(pool);
    pthread_mutex_lock(&pool->mutex);
    if (atomic_fetch_sub_explicit(&pool->active, 1, memory_order_release) == 1)
      pthread_cond_signal(&pool->done);
    pthread_mutex_unlock(&pool->mutex);
  }
}

static void run(void *user, void (*body)(void *, int64_t), void *data, int64_t count) {
  burin_pool *pool = user;
  int expected = 0;
  if (count <= 1 || !pool->started || !atomic_compare_exchange_strong(&pool->busy, &expected, 1)) {
    for (int64_t i = 0; i < count; ++i)
      body(data, i);
    return;
  }
  pthread_mutex_lock(&pool->mutex);
  pool->body = body;
  pool->data = data;
  pool->count = count;
  atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
  pool->open = 1;
  atomic_fetch_add_explicit(&pool->loops, 1, memory_order_release);
  if (pool->sleepers)
    pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);

  take_indices(pool);

  for (int spin = 0; spin < SPINS && atomic_load_explicit(&pool->active, memory_order_acquire); ++spin)
    pause_briefly();
  pthread_mutex_lock(&pool->mutex);
  pool->open = 0;
  while (atomic_load_explicit(&pool->active, memory_order_acquire))
    pthread_cond_wait(&pool->done, &pool->mutex);
  pthread_mutex_unlock(&pool->mutex);
  atomic_store(&pool->busy, 0);
}

burin_pool *burin_pool_create(int threads) {
  burin_pool *pool = calloc(1, sizeof *pool + (size_t)threads * sizeof(pthread_t));
  if (!pool)
    return NULL;
  pool->hook = (burin_parallel){run, pool};
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pthread_cond_init(&pool->done, NULL);
  for (; pool->started < threads - 1; ++pool->started)
    if (pthread_create(&pool->threads[pool->started], NULL, work, pool)) {
      burin_pool_destroy(pool);
      return NULL;
    }
  return pool;
}

void burin_pool_destroy(burin_pool *pool) {
  if (!pool)
    return;
  pthread_mutex_lock(&pool->mutex);
  pool->stop = 1;
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);
  for (int i = 0; i < pool->started; ++i)
    pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->done);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->mutex);
  free(pool);
}

const burin_parallel *burin_pool_parallel(burin_pool *pool) { return &pool->hook; }
