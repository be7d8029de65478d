/* The thread pool: every index once, loops inside loops, callers at the same time, many short loops, and sleeping
 * threads. */
#include "runtime/hosted/host.h"
#include "runtime/hosted/pool.h"
#include "test/runtime/check.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { COUNT = 997 };
static const burin_parallel *hook;

static void increment(void *data, int64_t i) { ((int *)data)[i] += 1; }

static void nested(void *data, int64_t i) { hook->run(hook->user, increment, (int *)data + i * 10, 10); }

static void control(void *data, int64_t i) { ((uint64_t *)data)[i] = burin_float_control(); }

/* Long bodies: callers sleep until threads are done, and threads take each other's indices. */
static void linger(void *data, int64_t i) {
  usleep(i % 3 ? 0 : 1000);
  increment(data, i);
}

static void *caller(void *unused) {
  int *marks = calloc(COUNT, sizeof *marks);
  for (int round = 0; round < 200; ++round)
    hook->run(hook->user, increment, marks, COUNT);
  for (int i = 0; i < COUNT; ++i)
    CHECK(marks[i] == 200);
  free(marks);
  return unused;
}

int main(void) {
  for (int threads = 1; threads <= 5; ++threads) {
    burin_pool *pool = burin_pool_create(threads);
    CHECK(pool);
    hook = burin_pool_parallel(pool);
    int marks[COUNT] = {0};
    for (int round = 0; round < 1000; ++round)
      hook->run(hook->user, increment, marks, round % 3 ? COUNT : 2);
    CHECK(marks[0] == 1000 && marks[COUNT - 1] == 666);
    usleep(2000); /* all asleep */
    hook->run(hook->user, increment, marks, COUNT);
    CHECK(marks[COUNT - 1] == 667);
    int inner[100] = {0};
    hook->run(hook->user, nested, inner, 10);
    for (int i = 0; i < 100; ++i)
      CHECK(inner[i] == 1);
    hook->run(hook->user, increment, NULL, 0);
    int slow[16] = {0};
    hook->run(hook->user, linger, slow, 16);
    for (int i = 0; i < 16; ++i)
      CHECK(slow[i] == 1);
    uint64_t controls[64], ours = burin_float_control();
    for (int flush = 0; flush < 2; ++flush) {
      hook->run(hook->user, control, controls, 64);
      for (int i = 0; i < 64; ++i)
        CHECK(controls[i] == burin_float_control());
      burin_flush_denormals();
    }
    burin_set_float_control(ours);
    pthread_t other;
    CHECK(!pthread_create(&other, NULL, caller, NULL));
    caller(NULL);
    pthread_join(other, NULL);
    burin_pool_destroy(pool);
  }
  burin_pool_destroy(NULL);
  void *arena = burin_arena_allocate(5 << 20);
  CHECK(arena && (uintptr_t)arena % BURIN_ALIGNMENT == 0);
  free(arena);
  CHECK((arena = burin_arena_allocate(0)) != NULL);
  free(arena);
  CHECK(!burin_arena_allocate(UINT64_MAX));
  return check_failures;
}
