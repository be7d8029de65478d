/* Between the scheduler of threads (blocks.c) and what they do together (exchanges.c). */
#ifndef BURIN_TEST_CUDAEMULATOR_BLOCKS_H
#define BURIN_TEST_CUDAEMULATOR_BLOCKS_H

#include "test/CudaEmulator/emulator.h"

/* Shared memory begins at a multiple of its window, so that low bits of its addresses are places in it. */
enum { WARP = 32, MOST_THREADS = 1024, MOST_COPIES = 256, MOST_READS = 64, SHARED_WINDOW = 256 * 1024 };

typedef enum fiber_state {
  READY,
  DONE,
  AT_BARRIER,
  AT_PHASE, /* of a barrier in shared memory */
  AT_SHUFFLE,
  AT_LOAD_MATRIX,
  AT_MULTIPLY,
  AT_MULTIPLY_GROUP
} fiber_state;

/* Shared memory that a product under way reads. */
typedef struct reading {
  const char *begin, *end;
  int group;
} reading;

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
  uint64_t descriptors[2];
  /* Of a warp, in its first lane: products of a warpgroup under way. */
  reading readings[MOST_READS];
  int num_readings, num_products, is_fenced;
  /* Copies under way; groups are counted. */
  async_copy copies[MOST_COPIES];
  int num_copies, num_committed;
} fiber;

extern int emu_copies_are_early;
extern char *emu_shared;

void emu_fail(const char *text);
void emu_wait(fiber_state state);
fiber *emu_current(void);
/* Does for a warp what all its lanes wait for. */
void emu_exchange(fiber *lanes, fiber_state state);
void emu_fill_table(emu_thread *thread);

/* warpgroups.c */
void emu_begin_warpgroups(fiber *fibers, int count);
int emu_phase_has_ended(const fiber *f);
/* Performs the oldest copy of a box that is under way; 0: there is none. */
int emu_land_copy(void);
void emu_end_warpgroups(void);
void emu_exchange_group(fiber *lanes);
void emu_fill_warpgroup_table(emu_thread *thread);
float emu_from_half(uint32_t bits);
float emu_as_float(uint32_t bits);

#endif
