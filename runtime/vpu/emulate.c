/* The emulator: the tasks of a blob in the order of the records, on memories that the caller gives. Everything was
 * checked when the blob was opened; what is left to fail depends on data. */
#include "runtime/vpu/emulate_internal.h"
#include "runtime/vpu/functions.h"
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

uint32_t burin_vpu_dtype_bytes(uint32_t dtype) {
  /* By burin_dtype: float, u8, i8, u16, i16, i32, i64, -, bool, half, -, u32, u64. */
  static const uint8_t bytes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 0, 4, 8};
  return dtype < sizeof(bytes) ? bytes[dtype] : 0;
}

uint8_t *burin_vpu_address(const burin_vpu_machine *machine, const burin_vpu_view *view) {
  const burin_vpu_memory *memory = machine->memory;
  switch (view->space) {
  case BURIN_VPU_DDR:
    return memory->ddr + view->offset;
  case BURIN_VPU_CMX:
    return memory->cmx + view->offset;
  case BURIN_VPU_CONSTANT:
    return (uint8_t *)(uintptr_t)(machine->blob->bytes + machine->blob->header->constants + view->offset);
  case BURIN_VPU_INPUT:
    return (uint8_t *)(uintptr_t)memory->inputs[view->index] + view->offset;
  default:
    return (uint8_t *)memory->outputs[view->index] + view->offset;
  }
}

float burin_vpu_read(const uint8_t *at, uint32_t dtype) {
  return dtype == 10 ? burin_from_half(*(const uint16_t *)(const void *)at) : *(const float *)(const void *)at;
}

void burin_vpu_write(uint8_t *at, uint32_t dtype, float value) {
  if (dtype == 10)
    *(uint16_t *)(void *)at = burin_to_half(value);
  else
    *(float *)(void *)at = value;
}

static void transfer(const burin_vpu_machine *machine, const burin_vpu_task *task) {
  const burin_vpu_view *from = machine->blob->views + task->first_view, *to = from + 1;
  uint32_t size = burin_vpu_dtype_bytes(from->dtype), last = from->rank - 1u;
  uint64_t index[BURIN_VPU_MAX_RANK] = {0};
  for (;;) {
    uint64_t source = 0, target = 0;
    for (uint32_t d = 0; d < last; ++d) {
      source += index[d] * from->strides[d];
      target += index[d] * to->strides[d];
    }
    const uint8_t *a = burin_vpu_address(machine, from) + source * size;
    uint8_t *b = burin_vpu_address(machine, to) + target * size;
    if (from->strides[last] == 1 && to->strides[last] == 1)
      memmove(b, a, (uint64_t)from->dims[last] * size);
    else
      for (uint64_t i = 0; i < from->dims[last]; ++i)
        memcpy(b + i * to->strides[last] * size, a + i * from->strides[last] * size, size);
    uint32_t d = last;
    for (;;) {
      if (d == 0)
        return;
      --d;
      if (++index[d] < from->dims[d])
        break;
      index[d] = 0;
    }
  }
}

uint64_t burin_vpu_scratch_bytes(const burin_vpu_blob *blob) {
  uint64_t most = 0;
  for (uint32_t i = 0; i < blob->header->num_tasks; ++i) {
    const burin_vpu_task *task = &blob->tasks[i];
    uint64_t bytes = 0;
    if (task->kind == BURIN_VPU_TASK_CONV || task->kind == BURIN_VPU_TASK_DEPTHWISE ||
        task->kind == BURIN_VPU_TASK_DECONV)
      bytes = burin_vpu_engine_scratch(blob, task);
    else if (task->kind == BURIN_VPU_TASK_SHAVE)
      bytes = (uint64_t)BURIN_VPU_REGISTERS * BURIN_VPU_CHUNK * 8;
    else if (task->kind == BURIN_VPU_TASK_SOFTMAX)
      bytes = 4 * (uint64_t)blob->views[task->first_view].dims[blob->views[task->first_view].rank - 1];
    most = bytes > most ? bytes : most;
  }
  return (most + 63) / 64 * 64;
}

const char *burin_vpu_run(const burin_vpu_blob *blob, const burin_vpu_memory *memory, void *user,
                          void (*after)(void *user, uint32_t task)) {
  burin_vpu_machine machine = {blob, memory};
#if defined(__x86_64__)
  /* Subnormals are kept, whatever the caller's thread does. */
  unsigned before = _mm_getcsr();
  _mm_setcsr(0x1f80);
#endif
  const char *fault = NULL;
  for (uint32_t i = 0; i < blob->header->num_tasks && !fault; ++i) {
    const burin_vpu_task *task = &blob->tasks[i];
    switch (task->kind) {
    case BURIN_VPU_TASK_DMA:
      transfer(&machine, task);
      break;
    case BURIN_VPU_TASK_CONV:
      burin_vpu_run_conv(&machine, task);
      break;
    case BURIN_VPU_TASK_DEPTHWISE:
      burin_vpu_run_depthwise(&machine, task);
      break;
    case BURIN_VPU_TASK_POOL:
      burin_vpu_run_pool(&machine, task);
      break;
    case BURIN_VPU_TASK_SHAVE:
      fault = burin_vpu_run_shave(&machine, task);
      break;
    case BURIN_VPU_TASK_SOFTMAX:
      burin_vpu_run_softmax(&machine, task);
      break;
    case BURIN_VPU_TASK_DECONV:
      burin_vpu_run_deconv(&machine, task);
      break;
    default:
      break;
    }
    if (after)
      after(user, i);
  }
#if defined(__x86_64__)
  _mm_setcsr(before);
#endif
  return fault;
}
