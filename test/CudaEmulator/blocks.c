/* The threads of a launch, on one thread of the machine. Threads that never meet are calls one after the other. Others
 * are fibers: one runs until it has to wait; when all lanes of a warp wait for the same exchange it takes place, and
 * when all threads of a block wait at the barrier they go on. */
#define _GNU_SOURCE
#include "test/CudaEmulator/blocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { STACK_BYTES = 64 * 1024, SHARED_BYTES = 227 * 1024 };

char *emu_shared;

static fiber *current;
static void *scheduler_stack;
static const emu_launch *running;
static void **running_arguments;
static char *failure;
static size_t failure_size;
static int has_failed;

void emu_fail(const char *text) {
  if (!has_failed)
    snprintf(failure, failure_size, "thread %lld of block %lld: %s",
             current ? (long long)current->thread.thread_id[0] : -1LL,
             current ? (long long)current->thread.block_id[0] : -1LL, text);
  has_failed = 1;
}

#if defined(__x86_64__)
/* Saves what a call must keep, changes stacks, returns on the other one. */
void emu_switch(void **save, void *load);
__asm__(".text\n.globl emu_switch\n.hidden emu_switch\nemu_switch:\n"
        "pushq %rbp\npushq %rbx\npushq %r12\npushq %r13\npushq %r14\npushq %r15\n"
        "movq %rsp,(%rdi)\nmovq %rsi,%rsp\n"
        "popq %r15\npopq %r14\npopq %r13\npopq %r12\npopq %rbx\npopq %rbp\nret\n");
#else
#error "the emulator of the CUDA driver switches stacks on x86-64 alone"
#endif

static void fiber_main(void) {
  running->kernel(running_arguments, &current->thread);
  current->state = DONE;
  void *nowhere;
  emu_switch(&nowhere, scheduler_stack);
}

static void start_fiber(fiber *f) {
  void **top = (void **)(void *)(f->stack + STACK_BYTES);
  *--top = NULL; /* keeps the stack as a call leaves it */
  *--top = (void *)(uintptr_t)fiber_main;
  for (int i = 0; i < 6; ++i)
    *--top = NULL;
  f->top = top;
  f->state = READY;
  f->num_copies = f->num_committed = 0;
}

void emu_wait(fiber_state state) {
  current->state = state;
  emu_switch(&current->top, scheduler_stack);
}
fiber *emu_current(void) { return current; }

static void resume(fiber *f) {
  current = f;
  emu_switch(&scheduler_stack, f->top);
}

/* Runs a warp until each of its lanes is done, at the barrier or waits for a phase; whether any of them ran. */
static int run_warp(fiber *lanes, int count) {
  int has_moved = 0;
  for (;;) {
    int exchange = -1, others = 0;
    for (int i = 0; i < count && !has_failed; ++i) {
      if (lanes[i].state == AT_PHASE && emu_phase_has_ended(&lanes[i]))
        lanes[i].state = READY;
      if (lanes[i].state == READY) {
        has_moved = 1;
        resume(&lanes[i]);
      }
      current = &lanes[i];
      if (lanes[i].state == DONE || lanes[i].state == AT_BARRIER || lanes[i].state == AT_PHASE)
        ++others;
      else if (exchange >= 0 && exchange != (int)lanes[i].state)
        emu_fail("lanes of a warp wait for different exchanges");
      else
        exchange = (int)lanes[i].state;
    }
    if (has_failed || exchange < 0)
      return has_moved;
    if (others || count != WARP) {
      emu_fail("not all lanes of a warp take part in an exchange");
      return has_moved;
    }
    emu_exchange(lanes, (fiber_state)exchange);
    for (int i = 0; i < count; ++i)
      lanes[i].state = READY;
  }
}

static uint32_t random_state;
static uint32_t next_random(void) { return random_state = random_state * 1664525u + 1013904223u; }

static void run_block(fiber *fibers, int count) {
  int warps = (count + WARP - 1) / WARP, order[64];
  for (int i = 0; i < count; ++i)
    start_fiber(&fibers[i]);
  emu_begin_warpgroups(fibers, count);
  for (;;) {
    int has_moved = 0;
    for (int w = 0; w < warps; ++w) {
      int other = (int)(next_random() >> 8) % (w + 1);
      order[w] = order[other];
      order[other] = w;
    }
    for (int w = 0; w < warps && !has_failed; ++w) {
      int first = order[w] * WARP;
      has_moved |= run_warp(&fibers[first], count - first < WARP ? count - first : WARP);
    }
    int done = 0, at_barrier = 0;
    for (int i = 0; i < count; ++i) {
      done += fibers[i].state == DONE;
      at_barrier += fibers[i].state == AT_BARRIER;
    }
    if (done == count)
      emu_end_warpgroups();
    if (has_failed || done == count)
      return;
    /* Copies land when nobody can do without them. */
    if (has_moved || emu_land_copy())
      continue;
    if (done && at_barrier) {
      emu_fail("some threads of a block end where others wait at a barrier");
      return;
    }
    if (at_barrier < count) {
      emu_fail("threads wait for a phase that never ends");
      return;
    }
    for (int i = 0; i < count; ++i)
      fibers[i].state = READY;
  }
}

int emu_run(const emu_launch *launch, void **arguments, char *error, size_t size) {
  static char *stacks;
  static fiber *fibers;
  if (!emu_shared) {
    emu_shared = aligned_alloc(SHARED_WINDOW, SHARED_WINDOW);
    stacks = mmap(NULL, (size_t)STACK_BYTES * MOST_THREADS, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    fibers = calloc(MOST_THREADS, sizeof *fibers);
    if (!emu_shared || stacks == MAP_FAILED || !fibers)
      return snprintf(error, size, "out of memory"), -1;
    for (int i = 0; i < MOST_THREADS; ++i)
      fibers[i].stack = stacks + (size_t)STACK_BYTES * (size_t)i;
  }
  const char *seed = getenv("BURIN_EMULATOR_SEED"), *copies = getenv("BURIN_EMULATOR_COPIES");
  random_state = seed ? (uint32_t)strtoul(seed, NULL, 10) : 1;
  emu_copies_are_early = copies && !strcmp(copies, "early");
  running = launch;
  running_arguments = arguments;
  failure = error;
  failure_size = size;
  has_failed = 0;
  current = NULL;
  int64_t threads = launch->block[0] * launch->block[1] * launch->block[2];
  if (threads < 1 || threads > MOST_THREADS || launch->shared_bytes > SHARED_BYTES)
    return snprintf(error, size, "a block of %lld threads and %zu bytes of shared memory", (long long)threads,
                    launch->shared_bytes),
           -1;
  for (int64_t t = 0; t < threads; ++t) {
    emu_thread *thread = &fibers[t].thread;
    emu_fill_table(thread);
    thread->shared = emu_shared;
    memcpy(thread->block_dim, launch->block, sizeof thread->block_dim);
    memcpy(thread->grid_dim, launch->grid, sizeof thread->grid_dim);
    thread->thread_id[0] = t % launch->block[0];
    thread->thread_id[1] = t / launch->block[0] % launch->block[1];
    thread->thread_id[2] = t / launch->block[0] / launch->block[1];
  }
  int64_t blocks = launch->grid[0] * launch->grid[1] * launch->grid[2];
  for (int64_t block = 0; block < blocks && !has_failed; ++block) {
    int64_t id[3] = {block % launch->grid[0], block / launch->grid[0] % launch->grid[1],
                     block / launch->grid[0] / launch->grid[1]};
    memset(emu_shared, 0xff, launch->shared_bytes); /* NaN: nobody may read what nobody wrote */
    for (int64_t t = 0; t < threads; ++t)
      memcpy(fibers[t].thread.block_id, id, sizeof id);
    if (launch->meets)
      run_block(fibers, (int)threads);
    else
      for (int64_t t = 0; t < threads; ++t)
        launch->kernel(arguments, &fibers[t].thread);
  }
  return has_failed ? -1 : 0;
}
