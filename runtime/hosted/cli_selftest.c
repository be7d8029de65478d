/* --self-test of a program that was compiled with it. */
#include "runtime/hosted/array.h"
#include "runtime/hosted/cli_internal.h"
#include "runtime/hosted/host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* NAME_selftest of lib/Target/SelfTest.h, under the name that every program has. */
extern int burin_program_selftest(void *arena, void *outputs) __attribute__((weak));

enum { DIFFERS = 100 }; /* selfTestDiffers there */

int burin_cli_self_test(burin_cli *cli, burin_error *error) {
  if (!burin_program_selftest)
    return burin_fail(error, "this program holds no test of its own; compile the model with --self-test");
  const burin_model *model = cli->model;
  uint64_t bytes = 0;
  for (uint32_t o = 0; o < model->num_outputs; ++o) {
    const burin_tensor_info *info = &model->outputs[o];
    bytes += (burin_bytes_of(info->dtype, info->rank, info->dims) + BURIN_ALIGNMENT - 1) & -(uint64_t)BURIN_ALIGNMENT;
  }
  /* Opened weights lie in front of the arena that NAME_run takes. */
  void *arena = burin_arena_allocate(cli->unlocked_bytes + model->arena_bytes), *outputs = burin_arena_allocate(bytes);
  if (arena && cli->unlocked_weights)
    memcpy(arena, cli->unlocked_weights, cli->unlocked_bytes);
  int result = arena && outputs ? burin_program_selftest(arena, outputs) : -1;
  free(arena);
  free(outputs);
  if (result < 0)
    return burin_fail(error, "no memory for the arena and outputs");
  if (result >= DIFFERS)
    return burin_fail(error, "self-test: output '%.200s' is not what this model gives",
                      model->outputs[result - DIFFERS].name);
  if (result)
    return burin_fail(error, "self-test: %s", burin_status_text((burin_status)result));
  puts("self-test passed");
  return 0;
}
