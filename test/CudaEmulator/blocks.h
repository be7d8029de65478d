/* Between the scheduler of threads (blocks.c) and what they do together (exchanges.c). */
#ifndef BURIN_TEST_CUDAEMULATOR_BLOCKS_H
#define BURIN_TEST_CUDAEMULATOR_BLOCKS_H

#include "test/CudaEmulator/emulator.h"

enum { WARP = 32, MOST_THREADS = 1024, MOST_COPIES = 256 };

typedef enum fiber_state { READY, DONE, AT_BARRIER, AT_SHUFFLE, AT_LOAD_MATRIX, AT_MULTIPLY } fiber_state;

typedef struct async_copy {
  char *to;
  const char *from;
  int32_t bytes, valid, group;
} async_copy;

typedef struct fiber {
  emu_thread thread;
  char *stack;
  void *top;
  fiber_state state;
  /* What a waiting lane brings to an exchange, and takes from it. */
  uint32_t value, *words;
  int32_t numbers[3];
  const void *address;
  /* Copies under way; groups are counted. */
  async_copy copies[MOST_COPIES];
  int num_copies, num_committed;
} fiber;

extern int emu_copies_are_early;

void emu_fail(const char *text);
void emu_wait(fiber_state state);
fiber *emu_current(void);
/* Does for a warp what all its lanes wait for. */
void emu_exchange(fiber *lanes, fiber_state state);
void emu_fill_table(emu_thread *thread);

#endif
