/* What kernels made by cuda-emulate-kernels take: one of these a thread. The words lie as
 * passes/Cuda/EmulateKernels.cpp counts them. */
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
  void (*make_barrier)(emu_thread *, void *barrier, int32_t arrivals);
  void (*arrive_at)(emu_thread *, void *barrier, int32_t expected_bytes);
  void (*wait_for)(emu_thread *, void *barrier, int32_t parity);
  void (*copy_box)(emu_thread *, void *to, const void *map, const int32_t *at, int32_t rank, void *barrier);
  void (*multiply_group)(emu_thread *, uint32_t *sums, uint64_t a, uint64_t b, int32_t columns, int32_t type,
                         int32_t b_by_rows);
  void (*fence_products)(emu_thread *);
  void (*commit_products)(emu_thread *);
  void (*wait_products)(emu_thread *, int32_t pending);
};

typedef void (*emu_kernel)(void **arguments, emu_thread *thread);

/* How one launch runs. Options come from the environment: BURIN_EMULATOR_COPIES=early|late says when asynchronous
 * copies take place (late by default: at the wait, the last moment the hardware allows), BURIN_EMULATOR_SEED=N the
 * order of warps. */
typedef struct emu_launch {
  emu_kernel kernel;
  int64_t grid[3], block[3];
  size_t shared_bytes;
  int meets; /* threads wait for one another */
} emu_launch;

/* A tensor map as this driver encodes it. */
typedef struct emu_map {
  char *base;
  uint64_t strides[4]; /* bytes, of dims from 1 on */
  uint32_t rank, dims[5];
  uint16_t box[5], steps[5];
} emu_map;

/* 0, or -1 with a text in `error`: threads that part where all have to meet, an address that hardware would refuse. */
int emu_run(const emu_launch *launch, void **arguments, char *error, size_t size);

#endif
