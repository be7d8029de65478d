/* The container of a program for the vision unit (.blob), version 1. It is Burin's own: no Myriad hardware executes it.
 * Little endian, no padding beyond what is drawn; every offset counts from the start of the file.
 *
 *        0   8  magic "BurinVpu"
 *        8   4  version, 1
 *       12   4  CRC-32 of all bytes from 16 to the end
 *       16   8  bytes of the whole file
 *       24   4  inputs     28  4  outputs    32  4  tasks      36  4  views
 *       40   4  steps      44  4  bytes of strings
 *       48   8  offset of tensors  (inputs, then outputs), 48 bytes each
 *       56   8  offset of tasks, 104 bytes each
 *       64   8  offset of views, 80 bytes each
 *       72   8  offset of steps, 16 bytes each
 *       80   8  offset of strings, each ending in a NUL; the first is empty
 *       88   8  offset of constants, 64-byte aligned     96  8  bytes of constants
 *      104   8  bytes of main memory that tasks share
 *      112   4  bytes of CMX     116  4  shaves    120  4  CMX slices    124  4  threads
 *      128   4  name of the unit (string)          132  4  name of the model (string)
 *      136   4  manifest, JSON (string)            140  4  clock in MHz, that the tasks' cycles are of; 0: unknown
 *      144      tensors, tasks, views, steps, strings, constants
 *
 * Three queues work side by side, each in the order of the records: transfers, the convolution engine, the shaves. A
 * barrier holds its queue until the others have finished that many tasks. Everything else is an order of records.
 */
#ifndef BURIN_RUNTIME_VPU_BLOB_H
#define BURIN_RUNTIME_VPU_BLOB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURIN_VPU_MAGIC "BurinVpu"
#define BURIN_VPU_VERSION 1u
#define BURIN_VPU_MAX_RANK 8
#define BURIN_VPU_REGISTERS 64

typedef struct burin_vpu_header {
  char magic[8];
  uint32_t version, crc;
  uint64_t bytes;
  uint32_t num_inputs, num_outputs, num_tasks, num_views, num_steps, strings_bytes;
  uint64_t tensors, tasks, views, steps, strings, constants;
  uint64_t constants_bytes, ddr_bytes;
  uint32_t cmx_bytes, shaves, slices, threads;
  uint32_t unit, name, manifest, megahertz;
} burin_vpu_header;

/* What a caller passes, row-major. */
typedef struct burin_vpu_tensor {
  uint32_t name;  /* string */
  int16_t dtype;  /* burin_dtype */
  uint16_t rank;  /* <= BURIN_VPU_MAX_RANK */
  uint64_t bytes; /* of all its elements */
  uint32_t dims[BURIN_VPU_MAX_RANK];
} burin_vpu_tensor;

enum { BURIN_VPU_DDR = 0, BURIN_VPU_CMX = 1, BURIN_VPU_CONSTANT = 2, BURIN_VPU_INPUT = 3, BURIN_VPU_OUTPUT = 4 };

/* Elements of one space. A negative stride is not allowed, a stride of 0 repeats. */
typedef struct burin_vpu_view {
  uint8_t space, rank, dtype, reserved; /* dtype: burin_dtype */
  uint32_t index;                       /* of the input or output, else 0 */
  uint64_t offset;                      /* bytes */
  uint32_t dims[BURIN_VPU_MAX_RANK];
  uint32_t strides[BURIN_VPU_MAX_RANK]; /* elements */
} burin_vpu_view;

enum { BURIN_VPU_QUEUE_DMA = 0, BURIN_VPU_QUEUE_ENGINE = 1, BURIN_VPU_QUEUE_SHAVE = 2, BURIN_VPU_QUEUES = 3 };

/* Views of each kind, in order. Images are [n, h, w, c]. */
typedef enum burin_vpu_kind {
  BURIN_VPU_TASK_END = 0,
  BURIN_VPU_TASK_BARRIER = 1, /* none */
  BURIN_VPU_TASK_DMA = 2,     /* source, target */
  BURIN_VPU_TASK_CONV =
      3, /* input, filter [n or 1, kh, kw, c / groups, oc], output, then scale, bias, slope: [oc] each */
  BURIN_VPU_TASK_DEPTHWISE = 4, /* input, filter [1, kh, kw, 1, c], output, then scale, bias, slope */
  BURIN_VPU_TASK_POOL = 5,      /* input, output */
  BURIN_VPU_TASK_SHAVE = 6,     /* what its steps name; dims of the views with steps LOAD and STORE are the loops' */
  BURIN_VPU_TASK_SOFTMAX = 7,   /* input, output, both with the softmax's dim last */
  BURIN_VPU_TASK_DECONV = 8, /* input, filter [1, kh, kw, c, oc / groups], output, then scale, bias, slope; on shaves */
  BURIN_VPU_TASK_KINDS
} burin_vpu_kind;

enum {
  BURIN_VPU_HAS_SCALE = 1,
  BURIN_VPU_HAS_BIAS = 2,
  BURIN_VPU_HAS_SLOPE = 4,
  BURIN_VPU_COUNT_PADDING = 8,
  BURIN_VPU_HALF_SUMS = 16 /* of convolutions: each product and each addition is rounded to half */
};
enum { BURIN_VPU_POOL_MAX = 0, BURIN_VPU_POOL_AVERAGE = 1, BURIN_VPU_POOL_SUM = 2 };

/* One record. Engine: y = min(max(leaky(sum * scale + bias), low), high), all of it in f32, rounded once; leaky(v) is v
 * or, below zero, v * slope. The sum goes over kh, kw, c in this order, products exact, each addition rounded to f32.
 */
typedef struct burin_vpu_task {
  uint8_t kind, queue, flags, mode; /* mode: of pools */
  uint32_t name;                    /* string: the nodes it was made from */
  uint32_t first_view, num_views, first_step, num_steps;
  uint32_t waits[BURIN_VPU_QUEUES]; /* barrier: tasks that each queue must have finished, barriers not counted */
  uint32_t strides[2], dilations[2], pads[4]; /* pads: top, left, bottom, right */
  uint32_t kernel[2];                         /* of pools */
  uint32_t groups;
  float low, high;
  uint32_t layer;  /* numbered from 0 */
  float leak;      /* the slope below zero that all channels share; 1: none */
  uint64_t cycles; /* modelled, of the unit's clock */
} burin_vpu_task;

/* Shave programs: straight-line code over registers, run for each element. `type` says what each result is rounded to:
 * f16 and f32 to nearest even; integers are 64 bits wide. */
enum { BURIN_VPU_F16 = 0, BURIN_VPU_F32 = 1, BURIN_VPU_INT = 2 };

typedef enum burin_vpu_op {
  BURIN_VPU_LOAD = 0,    /* dst = element of view `view` at the loops' point */
  BURIN_VPU_STORE = 1,   /* that element = a */
  BURIN_VPU_GATHER = 2,  /* dst = element number a of view `view`, counted in its memory order from its offset */
  BURIN_VPU_CONST = 3,   /* dst = number (floats), integer */
  BURIN_VPU_INDEX = 4,   /* dst = index of loop a */
  BURIN_VPU_CONVERT = 5, /* dst = a, whose type is b; floats to integers round to zero */
  BURIN_VPU_SELECT = 6,  /* dst = a ? b : c */
  /* dst = a op b */
  BURIN_VPU_ADD = 16,
  BURIN_VPU_SUB = 17,
  BURIN_VPU_MUL = 18,
  BURIN_VPU_DIV = 19, /* of integers: to zero; by zero gives 0 */
  BURIN_VPU_MAX = 20, /* NaN if one is; max(-0, +0) = +0 */
  BURIN_VPU_MIN = 21,
  BURIN_VPU_REM = 22,
  BURIN_VPU_AND = 23,
  BURIN_VPU_OR = 24,
  BURIN_VPU_XOR = 25,
  BURIN_VPU_POW = 26,
  /* comparisons: `type` is that of a and b, dst an integer */
  BURIN_VPU_EQ = 32,
  BURIN_VPU_NE = 33, /* true for NaN */
  BURIN_VPU_LT = 34,
  BURIN_VPU_LE = 35,
  BURIN_VPU_GT = 36,
  BURIN_VPU_GE = 37,
  /* dst = op a */
  BURIN_VPU_NEG = 48,
  BURIN_VPU_ABS = 49,
  BURIN_VPU_SQRT = 50,
  BURIN_VPU_EXP = 51,
  BURIN_VPU_LOG = 52,
  BURIN_VPU_TANH = 53,
  BURIN_VPU_SIGMOID = 54,
  BURIN_VPU_ERF = 55,
  BURIN_VPU_FLOOR = 56,
  BURIN_VPU_CEIL = 57,
  BURIN_VPU_ROUND = 58, /* halves to even */
  BURIN_VPU_SIN = 59,
  BURIN_VPU_COS = 60,
  BURIN_VPU_OPS = 61
} burin_vpu_op;

typedef struct burin_vpu_step {
  uint8_t op, type, dst, a, b, c;
  uint16_t view; /* of the task's */
  union {
    float number;
    int64_t integer;
  };
} burin_vpu_step;

/* A blob that was checked. The bytes belong to the caller. */
typedef struct burin_vpu_blob {
  const uint8_t *bytes;
  const burin_vpu_header *header;
  const burin_vpu_tensor *tensors;
  const burin_vpu_task *tasks;
  const burin_vpu_view *views;
  const burin_vpu_step *steps;
  const char *strings;
} burin_vpu_blob;

/* Checks every number that the emulator relies on: sizes, offsets, views within their spaces, shapes that fit one
 * another. `bytes` must be 64-byte aligned. NULL, or the first fault as English text (static). */
const char *burin_vpu_open(const void *bytes, uint64_t size, burin_vpu_blob *blob);

/* Bytes that burin_vpu_run needs beside the unit's own memories. */
uint64_t burin_vpu_scratch_bytes(const burin_vpu_blob *blob);

typedef struct burin_vpu_memory {
  uint8_t *ddr, *cmx, *scratch; /* 64-byte aligned */
  const void *const *inputs;
  void *const *outputs;
} burin_vpu_memory;

/* Runs all tasks in the order of the records. NULL, or a fault that depends on data (a gather out of its view).
 * `after`, if not NULL, is called after each task. */
const char *burin_vpu_run(const burin_vpu_blob *blob, const burin_vpu_memory *memory, void *user,
                          void (*after)(void *user, uint32_t task));

/* Looks for what no order of queues forgives: memory read before it was written, and two tasks of different queues on
 * the same bytes, one of them writing, without a barrier between. `state`: burin_vpu_check_bytes(blob) bytes, zeroed.
 * NULL, or the fault; *task is then the task at fault. Data plays no part. */
uint64_t burin_vpu_check_bytes(const burin_vpu_blob *blob);
const char *burin_vpu_check(const burin_vpu_blob *blob, void *state, uint32_t *task);

/* Bytes of one element of a burin_dtype that views may have; 0 for others. */
uint32_t burin_vpu_dtype_bytes(uint32_t dtype);

#ifdef __cplusplus
}
#endif
#endif
