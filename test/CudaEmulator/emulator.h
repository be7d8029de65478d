/* What kernels made by cuda-emulate-kernels take: one of these a thread. The words lie as passes/Cuda/EmulateKernels.cpp
 * counts them. */
#ifndef BURIN_TEST_CUDAEMULATOR_EMULATOR_H
#define BURIN_TEST_CUDAEMULATOR_EMULATOR_H

#include <stddef.h>
#include <stdint.h>

typedef struct emu_thread emu_thread;
struct emu_thread {
  int64_t thread_id[3], block_id[3], block_dim[3], grid_dim[3];
  char *shared;
  void (*barrier)(emu_thread *);
  uint32_t (*shuffle)(emu_thread *, uint32_t value, int32_t distance);
  void (*load_matrix)(emu_thread *, const void *row, int32_t count, int32_t transposed, uint32_t *result);
  void (*multiply)(emu_thread *, uint32_t *words, int32_t type_a, int32_t type_b, int32_t k);
  void (*copy_async)(emu_thread *, void *to, const void *from, int32_t bytes, int32_t valid);
  void (*commit_copies)(emu_thread *);
  void (*wait_copies)(emu_thread *, int32_t pending);
};

typedef void (*emu_kernel)(void **arguments, emu_thread *thread);

/* How one launch runs. Options come from the environment: BURIN_EMULATOR_COPIES=early|late says when asynchronous copies
 * take place (late by default: at the wait, the last moment the hardware allows), BURIN_EMULATOR_SEED=N the order of
 * warps. */
typedef struct emu_launch {
  emu_kernel kernel;
  int64_t grid[3], block[3];
  size_t shared_bytes;
  int meets; /* threads wait for one another */
} emu_launch;

/* 0, or -1 with a text in `error`: threads that part where all have to meet, an address that hardware would refuse. */
int emu_run(const emu_launch *launch, void **arguments, char *error, size_t size);

#endif
