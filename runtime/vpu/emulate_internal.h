/* What the files of the emulator share. Not for others. */
#ifndef BURIN_RUNTIME_VPU_EMULATE_INTERNAL_H
#define BURIN_RUNTIME_VPU_EMULATE_INTERNAL_H

#include "runtime/vpu/blob.h"

/* Elements that a shave program runs at once: long enough to hide the dispatch of a step. */
#define BURIN_VPU_CHUNK 256

typedef struct burin_vpu_machine {
  const burin_vpu_blob *blob;
  const burin_vpu_memory *memory;
} burin_vpu_machine;

/* The first byte of a view; never written through when the space is constant or an input. */
uint8_t *burin_vpu_address(const burin_vpu_machine *machine, const burin_vpu_view *view);

float burin_vpu_read(const uint8_t *at, uint32_t dtype);
/* Rounds to the element's type. */
void burin_vpu_write(uint8_t *at, uint32_t dtype, float value);

void burin_vpu_run_conv(const burin_vpu_machine *machine, const burin_vpu_task *task);
void burin_vpu_run_depthwise(const burin_vpu_machine *machine, const burin_vpu_task *task);
void burin_vpu_run_deconv(const burin_vpu_machine *machine, const burin_vpu_task *task);
void burin_vpu_run_pool(const burin_vpu_machine *machine, const burin_vpu_task *task);
void burin_vpu_run_softmax(const burin_vpu_machine *machine, const burin_vpu_task *task);
const char *burin_vpu_run_shave(const burin_vpu_machine *machine, const burin_vpu_task *task);

uint64_t burin_vpu_engine_scratch(const burin_vpu_blob *blob, const burin_vpu_task *task);

#endif
