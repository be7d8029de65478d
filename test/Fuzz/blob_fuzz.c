/* libFuzzer target: any bytes as a blob of the vision unit. Its size and checksum are made to fit first, or nothing
 * behind them would ever be reached. Opening ends with a blob or an error; a blob that opens is checked for races, and
 * runs where its loops are short. Corpus: the blobs of small networks, made by make_blob_corpus.py. */
#include "runtime/hosted/crc.h"
#include "runtime/vpu/blob.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* Elements that the tasks of the blob visit, as far as that says how long it runs. */
static double work(const burin_vpu_blob *blob) {
  double sum = 0;
  for (uint32_t i = 0; i < blob->header->num_tasks; ++i) {
    const burin_vpu_task *task = &blob->tasks[i];
    double product = 1;
    for (uint32_t v = 0; v < task->num_views; ++v) {
      double elements = 1;
      for (uint32_t d = 0; d < blob->views[task->first_view + v].rank; ++d)
        elements *= blob->views[task->first_view + v].dims[d];
      product *= elements;
    }
    sum += product * (1.0 + task->num_steps) * task->kernel[0] * task->kernel[1];
  }
  return sum;
}

static void run(const burin_vpu_blob *blob) {
  const burin_vpu_header *h = blob->header;
  uint64_t scratch = burin_vpu_scratch_bytes(blob);
  if (h->ddr_bytes > 1 << 20 || h->cmx_bytes > 1 << 20 || scratch > 1 << 24 || h->num_inputs + h->num_outputs > 16 ||
      work(blob) > 1e7)
    return;
  void *tensors[16];
  for (uint32_t i = 0; i < h->num_inputs + h->num_outputs; ++i)
    tensors[i] = calloc(1, blob->tensors[i].bytes + 1);
  uint32_t task;
  void *state = calloc(1, burin_vpu_check_bytes(blob) + 1);
  if (state)
    (void)burin_vpu_check(blob, state, &task);
  free(state);
  burin_vpu_memory memory = {calloc(1, h->ddr_bytes + 64), calloc(1, h->cmx_bytes + 64), calloc(1, scratch + 64),
                             (const void *const *)tensors, tensors + h->num_inputs};
  int has = memory.ddr && memory.cmx && memory.scratch;
  for (uint32_t i = 0; i < h->num_inputs + h->num_outputs; ++i)
    has = has && tensors[i];
  if (has)
    (void)burin_vpu_run(blob, &memory, NULL, NULL);
  free(memory.ddr);
  free(memory.cmx);
  free(memory.scratch);
  for (uint32_t i = 0; i < h->num_inputs + h->num_outputs; ++i)
    free(tensors[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  size_t room = (bytes + 63) / 64 * 64;
  uint8_t *copy = aligned_alloc(64, room ? room : 64);
  if (!copy)
    return 0;
  if (bytes)
    memcpy(copy, data, bytes);
  if (bytes >= sizeof(burin_vpu_header)) {
    burin_vpu_header *h = (burin_vpu_header *)(void *)copy;
    h->bytes = bytes;
    h->crc = burin_crc32(0, copy + 16, bytes - 16);
  }
  burin_vpu_blob blob;
  if (!burin_vpu_open(copy, bytes, &blob))
    run(&blob);
  free(copy);
  return 0;
}
