/* Runs the network once on inputs from files. Works for any model that was compiled with --name=net. */
#include "burin/runtime.h"
#include "semihosting.h"

extern const burin_model net_model;
extern uint32_t stack_bottom[], stack_top[];

#ifndef ARENA_BYTES
#define ARENA_BYTES (1u << 20)
#endif
#ifndef IO_BYTES
#define IO_BYTES (1u << 20)
#endif
enum { MAX_TENSORS = 16 };

static _Alignas(64) unsigned char arena[ARENA_BYTES], io[IO_BYTES];

static void stop(const char *why) {
  print(why);
  print("\n");
  leave(1);
}

static void print_number(const char *before, uint32_t number) {
  char digits[12];
  uint32_t at = sizeof digits - 1;
  digits[at] = 0;
  do
    digits[--at] = (char)('0' + number % 10);
  while (number /= 10);
  print(before);
  print(digits + at);
  print("\n");
}

static void place(burin_tensor *tensor, const burin_tensor_info *info, uint32_t *used) {
  uint32_t bytes = (uint32_t)burin_dtype_size(info->dtype);
  tensor->dtype = info->dtype;
  tensor->rank = info->rank;
  for (int32_t d = 0; d < info->rank; ++d) {
    tensor->dims[d] = info->dims[d];
    bytes *= (uint32_t)info->dims[d];
  }
  tensor->data = io + *used;
  tensor->capacity = bytes;
  *used += (bytes + 63) & ~63u;
  if (*used > IO_BYTES)
    stop("inputs and outputs are larger than IO_BYTES");
}

/* Stack below here that has ever been used: it was filled with a pattern before. */
static uint32_t *paint_stack(void) {
  uint32_t *here = (uint32_t *)__builtin_frame_address(0) - 64;
  for (uint32_t *p = stack_bottom; p < here; ++p)
    *p = 0xc5c5c5c5;
  return here;
}

static uint32_t used_below(const uint32_t *here) {
  const uint32_t *p = stack_bottom;
  while (p < here && *p == 0xc5c5c5c5)
    ++p;
  return (uint32_t)(here - p) * 4;
}

int main(void) {
  static burin_tensor inputs[MAX_TENSORS], outputs[MAX_TENSORS];
  char name[] = "output?.bin";
  uint32_t used = 0;
  if (burin_check_model(&net_model) != BURIN_OK)
    stop("not a model of this runtime");
  if (net_model.num_inputs > MAX_TENSORS || net_model.num_outputs > MAX_TENSORS || net_model.arena_bytes > ARENA_BYTES)
    stop("the model needs more memory than this program has");
  for (uint32_t i = 0; i < net_model.num_inputs; ++i) {
    char from[] = "input?.bin";
    from[5] = (char)('a' + i);
    place(&inputs[i], &net_model.inputs[i], &used);
    int32_t file = open_file(from, 1);
    if (file < 0 || read_file(file, inputs[i].data, (uint32_t)inputs[i].capacity))
      stop("an input file is missing or too short");
    close_file(file);
  }
  for (uint32_t o = 0; o < net_model.num_outputs; ++o)
    place(&outputs[o], &net_model.outputs[o], &used);
  burin_context context = {.abi_version = BURIN_ABI_VERSION, .arena = arena, .arena_bytes = ARENA_BYTES};
  const uint32_t *below = paint_stack();
  burin_status status = burin_run(&net_model, &context, inputs, outputs);
  print_number("stack ", used_below(below));
  if (status != BURIN_OK)
    stop(burin_status_text(status));
  for (uint32_t o = 0; o < net_model.num_outputs; ++o) {
    name[6] = (char)('a' + o);
    int32_t file = open_file(name, 5);
    if (file < 0 || write_file(file, outputs[o].data, (uint32_t)outputs[o].capacity))
      stop("an output file cannot be written");
    close_file(file);
  }
  leave(0);
}
