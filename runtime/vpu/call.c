/* See the header. Two threads that open the blob at the same time both do; one of the results stays. */
#include "runtime/vpu/call.h"
#include "runtime/vpu/model.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const burin_model *open_once(void **slot, const void *bytes, uint64_t size) {
  _Atomic(void *) *place = (_Atomic(void *) *)slot;
  const burin_model *model = atomic_load(place);
  if (model)
    return model;
  burin_error error;
  model = burin_vpu_model(bytes, size, "the vision unit's part", &error);
  if (!model)
    fprintf(stderr, "%s\n", error.text);
  else
    atomic_store(place, (void *)(uintptr_t)model);
  return model;
}

int32_t burin_vpu_call(void **slot, const void *bytes, uint64_t size, const burin_call *call,
                       const burin_tensor *inputs, uint32_t num_inputs, burin_tensor *outputs, uint32_t num_outputs) {
  (void)call;
  const burin_model *model = open_once(slot, bytes, size);
  if (!model || model->num_inputs != num_inputs || model->num_outputs != num_outputs)
    return BURIN_ERROR_CALL;
  burin_context context = {.abi_version = BURIN_ABI_VERSION, .arena_bytes = model->arena_bytes};
  context.arena =
      aligned_alloc(BURIN_ALIGNMENT, (model->arena_bytes + BURIN_ALIGNMENT - 1) / BURIN_ALIGNMENT * BURIN_ALIGNMENT);
  if (!context.arena)
    return BURIN_ERROR_CALL;
  burin_status status = burin_run(model, &context, inputs, outputs);
  free(context.arena);
  return status;
}
