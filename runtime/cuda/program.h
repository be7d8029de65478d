/* The device's part of a model, as it lies in the program: kernels in several forms, and tables of what to copy and
 * launch. All numbers are little endian, all places are bytes from the start, everything is 8-aligned.
 *
 *   header | binaries | kernels | segments | copies | launches | arguments | tensors | maps | names, PTX and cubins
 *
 * Written by lib/Target/CudaProgram.cpp, read by run.c. It comes from the compiler and is trusted. */
#ifndef BURIN_RUNTIME_CUDA_PROGRAM_H
#define BURIN_RUNTIME_CUDA_PROGRAM_H

#include <stdint.h>

#define BURIN_CUDA_MAGIC 0x41445543u /* "CUDA" */
#define BURIN_CUDA_VERSION 3u

typedef struct burin_cuda_header {
  uint32_t magic, version;
  uint8_t identity[32];   /* of program and weights: another program may come to lie at the same place */
  uint64_t memory_bytes;  /* of the device: the arena's picture, then the caller's tensors */
  uint64_t arena_bytes;   /* of it: the arena's picture, from 0 on */
  uint64_t weights_bytes; /* uploaded once */
  uint32_t num_binaries, num_kernels, num_segments, num_copies, num_launches, num_arguments, num_tensors, num_maps;
  uint64_t binaries, kernels, segments, copies, launches, arguments, tensors, maps; /* places of the tables */
} burin_cuda_header;

/* One form of all kernels but those that use warpgroups; CUBIN_EXACT: of those, for this very architecture. The
 * emulator's holds all. */
enum { BURIN_CUDA_PTX = 0, BURIN_CUDA_CUBIN = 1, BURIN_CUDA_EMULATED = 2, BURIN_CUDA_CUBIN_EXACT = 3 };
typedef struct burin_cuda_binary {
  uint32_t format;
  uint32_t arch;         /* 90 is sm_90; of PTX the least that takes it */
  uint64_t place, bytes; /* PTX ends in a NUL, which counts */
} burin_cuda_binary;

typedef struct burin_cuda_kernel {
  uint64_t name;         /* place of a string that ends in a NUL */
  uint32_t shared_bytes; /* most dynamic shared memory of a launch */
  uint32_t warpgroups;   /* it is one of those in CUBIN_EXACT */
} burin_cuda_kernel;

/* What runs between two pieces of host work: first all copies to the device, then the launches, then the copies back.
 * Where warpgroups have kernels of their own the second row of launches does the same with them; else it is empty. */
typedef struct burin_cuda_segment {
  uint32_t first_copy, num_in, num_out, first_launch, num_launches, first_exact, num_exact, reserved;
} burin_cuda_segment;

typedef struct burin_cuda_copy {
  uint32_t tensor, reserved; /* of the call: inputs, outputs, arena */
  uint64_t offset;           /* in it */
  uint64_t place;            /* in the device's memory */
  uint64_t bytes;
} burin_cuda_copy;

typedef struct burin_cuda_launch {
  uint32_t kernel, shared_bytes;
  uint32_t grid[3], block[3];
  uint32_t first_argument, num_arguments;
} burin_cuda_launch;

/* What a kernel takes: a pointer, or a tensor map by value. */
typedef struct burin_cuda_argument {
  uint64_t offset;
  uint32_t space; /* 0: the device's memory, 1: the weights, 2: offset is the number of a tensor map */
  uint32_t reserved;
} burin_cuda_argument;

/* A tensor of 16-bit elements of which kernels copy boxes, innermost dim first; steps lie between the elements of a
 * box. */
typedef struct burin_cuda_map {
  burin_cuda_argument base;
  uint32_t rank, reserved;
  uint64_t dims[5], strides[5]; /* strides in bytes; that of dim 0 is not used */
  uint32_t box[5], steps[5];
} burin_cuda_map;

/* A tensor of the caller, as the calls of segments number them: inputs, outputs. */
typedef struct burin_cuda_tensor {
  uint64_t place, bytes; /* of its copy in the device's memory; no bytes: it has none */
  uint32_t host_uses;    /* the host's part of the model reads or writes it: it must lie in the host's memory */
  uint32_t reserved;
} burin_cuda_tensor;

#endif
