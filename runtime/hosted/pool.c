/* A thread pool for short parallel loops.
 *
 * One loop at a time. Each thread has a range of the indices of its own, so that loops over the same data give a thread
 * the same part of it again and again; who is done takes indices from the others' ranges. Between loops threads spin
 * for some microseconds (layers follow one another closely), then let others run, then sleep. The caller works too and
 * waits only for threads that have begun: one that wakes too late finds the loop closed and costs nothing.
 *
 * All of that turns on one word, `state`: the number of the loop, whether it is open, how many threads are inside. What
 * a loop consists of is written while it is closed and nobody is inside, and read by those who have entered. */
#define _GNU_SOURCE
#include "runtime/hosted/pool.h"
#include "runtime/hosted/host.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { LINE = 128, INSIDE = 0xffff, OPEN = 0x10000 };
static const uint64_t NEXT_LOOP = (uint64_t)1 << 32;
/* Nanoseconds of waiting, from the beginning: how long to spin, and then how long to offer the core to others between
 * looks. Beyond it a thread sleeps, which costs tens of microseconds to end. */
static const uint64_t SPIN = 20000, OFFER = 200000;

typedef struct range {
  _Alignas(LINE) _Atomic int64_t next;
  int64_t end;
} range;

struct burin_pool {
  burin_parallel hook;
  atomic_int busy; /* a caller owns the pool */
  int started;
  pthread_mutex_t mutex;
  pthread_cond_t wake, done;
  atomic_int sleepers; /* changed under the mutex: threads waiting for a loop */
  atomic_int waiting;  /* changed under the mutex: the caller sleeps until nobody is inside */
  atomic_int stop;
  _Alignas(LINE) _Atomic uint64_t state;
  _Alignas(LINE) void (*body)(void *, int64_t); /* the loop */
  void *data;
  uint64_t float_control;
  pthread_t *threads;
  range ranges[]; /* of the caller and each thread */
};

/* What a thread knows of itself. */
typedef struct worker {
  burin_pool *pool;
  int number; /* of its range */
} worker;

static void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

typedef struct wait {
  uint64_t begin;
  unsigned looks;
} wait;

/* One step of waiting; 0 when it is time to sleep. Short, because a loop may be of a few microseconds; the clock is
 * read now and then only. */
static int wait_a_little(wait *w) {
  pause_briefly();
  if (++w->looks % 16)
    return 1;
  uint64_t waited = burin_clock() - w->begin;
  if (waited > SPIN)
    sched_yield();
  return waited < OFFER;
}

static void take_indices(burin_pool *pool, int own) {
  int ranges = pool->started + 1;
  for (int i = 0; i < ranges; ++i) {
    range *from = &pool->ranges[(own + i) % ranges];
    for (;;) {
      /* Looking first spares a finished range's line from moving about. */
      if (atomic_load_explicit(&from->next, memory_order_relaxed) >= from->end)
        break;
      int64_t index = atomic_fetch_add_explicit(&from->next, 1, memory_order_relaxed);
      if (index >= from->end)
        break;
      pool->body(pool->data, index);
    }
  }
}

/* Waits for a loop other than number `seen` and gives the state then. */
static uint64_t next_loop(burin_pool *pool, uint64_t seen) {
  uint64_t state;
  wait spinning = {burin_clock(), 0};
  do {
    state = atomic_load_explicit(&pool->state, memory_order_acquire);
    if (state / NEXT_LOOP != seen)
      return state;
  } while (wait_a_little(&spinning) && !atomic_load_explicit(&pool->stop, memory_order_relaxed));
  pthread_mutex_lock(&pool->mutex);
  /* In one order with the caller's new state and look at `sleepers`: one of the two sees the other. */
  atomic_fetch_add(&pool->sleepers, 1);
  while ((state = atomic_load(&pool->state)) / NEXT_LOOP == seen && !atomic_load(&pool->stop))
    pthread_cond_wait(&pool->wake, &pool->mutex);
  atomic_fetch_sub(&pool->sleepers, 1);
  pthread_mutex_unlock(&pool->mutex);
  return state;
}

static void *work(void *argument) {
  worker self = *(worker *)argument;
  burin_pool *pool = self.pool;
  uint64_t seen = 0;
  free(argument);
  while (!atomic_load(&pool->stop)) {
    uint64_t state = next_loop(pool, seen);
    seen = state / NEXT_LOOP;
    while (state & OPEN)
      if (atomic_compare_exchange_weak_explicit(&pool->state, &state, state + 1, memory_order_acquire,
                                                memory_order_acquire))
        break;
    if (!(state & OPEN))
      continue;
    seen = state / NEXT_LOOP; /* another may have opened meanwhile */
    burin_set_float_control(pool->float_control);
    take_indices(pool, self.number);
    state = atomic_fetch_sub(&pool->state, 1) - 1;
    if (!(state & (OPEN | INSIDE)) && atomic_load(&pool->waiting)) {
      pthread_mutex_lock(&pool->mutex);
      pthread_cond_signal(&pool->done);
      pthread_mutex_unlock(&pool->mutex);
    }
  }
  return NULL;
}

static void close_loop(burin_pool *pool) {
  uint64_t state = atomic_fetch_and_explicit(&pool->state, ~(uint64_t)OPEN, memory_order_acquire);
  wait spinning = {0, 0};
  while ((state & INSIDE) != 0) {
    if (!spinning.begin)
      spinning.begin = burin_clock();
    if (!wait_a_little(&spinning))
      break;
    state = atomic_load_explicit(&pool->state, memory_order_acquire);
  }
  if ((state & INSIDE) == 0)
    return;
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->waiting, 1);
  while (atomic_load(&pool->state) & INSIDE)
    pthread_cond_wait(&pool->done, &pool->mutex);
  atomic_store(&pool->waiting, 0);
  pthread_mutex_unlock(&pool->mutex);
}

static void run(void *user, void (*body)(void *, int64_t), void *data, int64_t count) {
  burin_pool *pool = user;
  int expected = 0;
  if (count <= 1 || !pool->started || !atomic_compare_exchange_strong(&pool->busy, &expected, 1)) {
    for (int64_t i = 0; i < count; ++i)
      body(data, i);
    return;
  }
  int ranges = pool->started + 1;
  pool->body = body;
  pool->data = data;
  pool->float_control = burin_float_control();
  for (int i = 0; i < ranges; ++i) {
    atomic_store_explicit(&pool->ranges[i].next, count * i / ranges, memory_order_relaxed);
    pool->ranges[i].end = count * (i + 1) / ranges;
  }
  uint64_t state = atomic_load_explicit(&pool->state, memory_order_relaxed);
  atomic_store(&pool->state, (state / NEXT_LOOP + 1) * NEXT_LOOP | OPEN);
  if (atomic_load(&pool->sleepers)) {
    pthread_mutex_lock(&pool->mutex);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->mutex);
  }
  take_indices(pool, 0);
  close_loop(pool);
  atomic_store(&pool->busy, 0);
}

burin_pool *burin_pool_create(int threads) {
  size_t ranges = threads > 1 ? (size_t)threads : 1, size = sizeof(burin_pool) + ranges * sizeof(range);
  void *memory = NULL;
  if (posix_memalign(&memory, LINE, size))
    return NULL;
  burin_pool *pool = memory;
  *pool = (burin_pool){.hook = {run, pool}};
  for (size_t i = 0; i < ranges; ++i)
    pool->ranges[i] = (range){0, 0};
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->wake, NULL);
  pthread_cond_init(&pool->done, NULL);
  pool->threads = calloc(ranges, sizeof *pool->threads);
  int all = pool->threads != NULL;
  /* Nobody looks at `started` before the first loop. */
  for (int i = 1; all && i < threads; ++i) {
    worker *self = malloc(sizeof *self);
    if (self)
      *self = (worker){pool, i};
    all = self && !pthread_create(&pool->threads[pool->started], NULL, work, self);
    if (all)
      ++pool->started;
    else
      free(self);
  }
  if (all)
    return pool;
  burin_pool_destroy(pool);
  return NULL;
}

void burin_pool_destroy(burin_pool *pool) {
  if (!pool)
    return;
  pthread_mutex_lock(&pool->mutex);
  atomic_store(&pool->stop, 1);
  pthread_cond_broadcast(&pool->wake);
  pthread_mutex_unlock(&pool->mutex);
  for (int i = 0; i < pool->started; ++i)
    pthread_join(pool->threads[i], NULL);
  pthread_cond_destroy(&pool->done);
  pthread_cond_destroy(&pool->wake);
  pthread_mutex_destroy(&pool->mutex);
  free(pool->threads);
  free(pool);
}

const burin_parallel *burin_pool_parallel(burin_pool *pool) { return &pool->hook; }
