/* The emulator as a burin_model. The arena of a context holds the unit's memories: shared main memory, CMX, scratch.
 * `weights` of the model points to what belongs to the blob, since an entry function is given nothing else. */
#include "runtime/vpu/model.h"
#include "runtime/hosted/file.h"
#include "runtime/vpu/blob.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BURIN_VPU_MAX_TENSORS = 4096 }; /* inputs, and outputs, that a run has room for on its stack */

typedef struct loaded {
  burin_vpu_blob blob;
  burin_model model;
  burin_tensor_info *tensors;
  burin_layer_info *layers;
  burin_variant variant;
  uint64_t cmx, scratch; /* where they begin in the arena */
} loaded;

typedef struct progress {
  const loaded *self;
  const burin_profile *profile;
} progress;

static uint64_t aligned(uint64_t bytes) { return (bytes + BURIN_ALIGNMENT - 1) / BURIN_ALIGNMENT * BURIN_ALIGNMENT; }

static void after(void *user, uint32_t task) {
  const progress *p = user;
  const burin_vpu_task *tasks = p->self->blob.tasks;
  uint32_t now = tasks[task].layer;
  int last = task + 1 == p->self->blob.header->num_tasks;
  if (!last && tasks[task + 1].layer == now)
    return;
  p->profile->layer(p->profile->user, now, 1);
  if (!last)
    p->profile->layer(p->profile->user, tasks[task + 1].layer, 0);
}

static int32_t run(const burin_tensor *inputs, burin_tensor *outputs, void *arena, const void *weights,
                   const burin_context *context) {
  const loaded *self = weights;
  const burin_vpu_header *h = self->blob.header;
  const void *in[BURIN_VPU_MAX_TENSORS];
  void *out[BURIN_VPU_MAX_TENSORS];
  for (uint32_t i = 0; i < h->num_inputs; ++i)
    in[i] = inputs[i].data;
  for (uint32_t i = 0; i < h->num_outputs; ++i)
    out[i] = outputs[i].data;
  uint8_t *base = arena;
  burin_vpu_memory memory = {base, base + self->cmx, base + self->scratch, in, out};
  progress p = {self, context ? context->profile : NULL};
  if (p.profile && h->num_tasks)
    p.profile->layer(p.profile->user, self->blob.tasks[0].layer, 0);
  const char *fault = burin_vpu_run(&self->blob, &memory, &p, p.profile ? after : NULL);
  if (fault)
    fprintf(stderr, "%s: %s\n", self->model.name, fault);
  return fault ? BURIN_ERROR_INTERNAL : BURIN_OK;
}

static const char *kind_name(const burin_vpu_task *task) {
  static const char *const names[] = {"end",  "barrier", "dma",     "conv",           "depthwise conv",
                                      "pool", "shave",   "softmax", "transposed conv"};
  return names[task->kind];
}

/* The layer's name and its main task: the last that is no transfer. */
static int describe_layers(loaded *self) {
  const burin_vpu_header *h = self->blob.header;
  uint32_t count = 0;
  for (uint32_t i = 0; i < h->num_tasks; ++i) {
    if (self->blob.tasks[i].layer > h->num_tasks)
      return -1;
    if (self->blob.tasks[i].layer >= count)
      count = self->blob.tasks[i].layer + 1;
  }
  self->layers = calloc(count ? count : 1, sizeof *self->layers);
  if (!self->layers)
    return -1;
  for (uint32_t i = 0; i < h->num_tasks; ++i) {
    const burin_vpu_task *t = &self->blob.tasks[i];
    burin_layer_info *layer = &self->layers[t->layer];
    const burin_vpu_view *v = self->blob.views + t->first_view;
    if (!layer->name || t->kind > BURIN_VPU_TASK_DMA) {
      layer->name = self->blob.strings + t->name;
      layer->kind = kind_name(t);
    }
    if (t->kind == BURIN_VPU_TASK_CONV || t->kind == BURIN_VPU_TASK_DEPTHWISE)
      layer->flops += 2 * (uint64_t)v[2].dims[0] * v[2].dims[1] * v[2].dims[2] * v[2].dims[3] * v[1].dims[1] *
                      v[1].dims[2] * v[1].dims[3];
    for (uint32_t k = 0; t->kind == BURIN_VPU_TASK_DMA && k < 1; ++k) {
      uint64_t bytes = burin_vpu_dtype_bytes(v[0].dtype);
      for (uint32_t d = 0; d < v[0].rank; ++d)
        bytes *= v[0].dims[d];
      layer->bytes += bytes;
    }
  }
  for (uint32_t i = 0; i < count; ++i)
    if (!self->layers[i].name) {
      self->layers[i].name = "";
      self->layers[i].kind = "nothing";
    }
  self->model.layers = self->layers;
  self->model.num_layers = count;
  return 0;
}

static int check(const loaded *self, const char *name, burin_error *error) {
  uint32_t task = 0;
  void *state = calloc(1, burin_vpu_check_bytes(&self->blob) + 1);
  if (!state)
    return burin_fail(error, "%s: out of memory", name);
  const char *fault = burin_vpu_check(&self->blob, state, &task);
  free(state);
  if (!fault)
    return 0;
  const burin_vpu_task *t = &self->blob.tasks[task];
  return burin_fail(error, "%s: task %" PRIu32 " (%s of '%s'): %s", name, task, kind_name(t),
                    self->blob.strings + t->name, fault);
}

const burin_model *burin_vpu_model(const void *bytes, uint64_t size, const char *name, burin_error *error) {
  /* The contract wants weights aligned, and ours point here. */
  loaded *self = aligned_alloc(BURIN_ALIGNMENT, aligned(sizeof *self));
  if (!self) {
    burin_fail(error, "%s: out of memory", name);
    return NULL;
  }
  memset(self, 0, sizeof *self);
  const char *fault = burin_vpu_open(bytes, size, &self->blob);
  const burin_vpu_header *h = self->blob.header;
  if (!fault && (h->num_inputs > BURIN_VPU_MAX_TENSORS || h->num_outputs > BURIN_VPU_MAX_TENSORS))
    fault = "it has more than 4096 inputs or outputs";
  if (fault) {
    burin_fail(error, "%s: %s", name, fault);
    free(self);
    return NULL;
  }
  const char *strings = self->blob.strings;
  uint32_t tensors = h->num_inputs + h->num_outputs;
  self->tensors = calloc(tensors + 1, sizeof *self->tensors);
  if (!self->tensors || describe_layers(self) || check(self, name, error)) {
    if (!self->tensors || !self->layers)
      burin_fail(error, "%s: out of memory, or its layers are not numbered from 0", name);
    free(self->tensors);
    free(self->layers);
    free(self);
    return NULL;
  }
  for (uint32_t i = 0; i < tensors; ++i) {
    const burin_vpu_tensor *t = &self->blob.tensors[i];
    burin_tensor_info *info = &self->tensors[i];
    *info = (burin_tensor_info){.name = strings + t->name, .dtype = t->dtype, .rank = t->rank};
    for (uint32_t d = 0; d < t->rank; ++d)
      info->dims[d] = t->dims[d];
  }
  self->cmx = aligned(h->ddr_bytes);
  self->scratch = self->cmx + aligned(h->cmx_bytes);
  self->variant = (burin_variant){strings + h->unit, 0, run};
  burin_model *m = &self->model;
  m->magic = BURIN_MODEL_MAGIC;
  m->abi_version = BURIN_ABI_VERSION;
  m->name = strings + h->name;
  m->manifest = strings + h->manifest;
  m->num_inputs = h->num_inputs;
  m->num_outputs = h->num_outputs;
  m->inputs = self->tensors;
  m->outputs = self->tensors + h->num_inputs;
  m->num_variants = 1;
  m->variants = &self->variant;
  m->weights = self;
  m->weights_bytes = h->constants_bytes;
  m->arena_bytes = self->scratch + burin_vpu_scratch_bytes(&self->blob);
  m->peak_live_bytes = h->ddr_bytes + h->cmx_bytes;
  return m;
}

int burin_vpu_is_blob(const char *path) {
  char start[8];
  FILE *file = fopen(path, "rb");
  int is = file && fread(start, 1, 8, file) == 8 && !memcmp(start, BURIN_VPU_MAGIC, 8);
  if (file)
    fclose(file);
  return is;
}

const burin_model *burin_vpu_load(const char *path, burin_error *error) {
  void *data;
  size_t bytes;
  if (burin_file_read(path, &data, &bytes, error))
    return NULL;
  const burin_model *model = burin_vpu_model(data, bytes, path, error);
  if (!model)
    free(data);
  return model;
}

/* The queues as barriers let them run, in modelled cycles: when the last task ends, how long each queue works, and, of
 * each layer, when it begins and ends. */
typedef struct timeline {
  uint64_t end, busy[BURIN_VPU_QUEUES];
  uint64_t *first, *last; /* by layer */
} timeline;

static int follow(const loaded *self, timeline *t) {
  const burin_vpu_header *h = self->blob.header;
  uint64_t layers = self->model.num_layers + 1, now[BURIN_VPU_QUEUES] = {0};
  uint32_t counts[BURIN_VPU_QUEUES] = {0};
  uint64_t *ends = calloc((uint64_t)h->num_tasks * BURIN_VPU_QUEUES + 2 * layers, sizeof *ends);
  if (!ends)
    return -1;
  t->first = ends + (uint64_t)h->num_tasks * BURIN_VPU_QUEUES;
  t->last = t->first + layers;
  for (uint32_t i = 0; i < h->num_tasks; ++i) {
    const burin_vpu_task *task = &self->blob.tasks[i];
    uint32_t q = task->queue;
    if (task->kind == BURIN_VPU_TASK_BARRIER) {
      for (uint32_t other = 0; other < BURIN_VPU_QUEUES; ++other)
        if (task->waits[other] && ends[(uint64_t)other * h->num_tasks + task->waits[other] - 1] > now[q])
          now[q] = ends[(uint64_t)other * h->num_tasks + task->waits[other] - 1];
      continue;
    }
    uint64_t start = now[q];
    if (t->last[task->layer] == 0 || start < t->first[task->layer])
      t->first[task->layer] = start;
    now[q] += task->cycles;
    t->busy[q] += task->cycles;
    ends[(uint64_t)q * h->num_tasks + counts[q]++] = now[q];
    if (now[q] > t->last[task->layer])
      t->last[task->layer] = now[q];
    if (now[q] > t->end)
      t->end = now[q];
  }
  t->first = memmove(ends, t->first, 2 * layers * sizeof *ends);
  t->last = t->first + layers;
  return 0;
}

static void describe_times(const loaded *self) {
  timeline t = {0};
  double clock = self->blob.header->megahertz * 1e3;
  if (clock == 0 || follow(self, &t))
    return;
  printf("modelled: %.3f ms a frame at %" PRIu32 " MHz; busy: transfers %.3f ms, engine %.3f ms, shaves %.3f ms\n",
         (double)t.end / clock, self->blob.header->megahertz, (double)t.busy[0] / clock, (double)t.busy[1] / clock,
         (double)t.busy[2] / clock);
  printf("%10s %10s %12s  layer\n", "from ms", "to ms", "cycles");
  for (uint32_t i = 0; i < self->model.num_layers; ++i)
    if (t.last[i])
      printf("%10.3f %10.3f %12" PRIu64 "  %s %s\n", (double)t.first[i] / clock, (double)t.last[i] / clock,
             t.last[i] - t.first[i], self->layers[i].kind, self->layers[i].name);
  free(t.first);
}

void burin_vpu_describe(const burin_model *model) {
  const loaded *self = model->weights;
  const burin_vpu_header *h = self->blob.header;
  uint32_t kinds[BURIN_VPU_TASK_KINDS] = {0};
  for (uint32_t i = 0; i < h->num_tasks; ++i)
    ++kinds[self->blob.tasks[i].kind];
  printf("container: Burin's own, version %" PRIu32 "; no Myriad hardware executes it\n", h->version);
  printf("unit: %s, %" PRIu32 " shaves, %" PRIu32 " CMX slices, %" PRIu32 " threads\n", self->blob.strings + h->unit,
         h->shaves, h->slices, h->threads);
  printf("memory: %" PRIu32 " bytes of CMX, %" PRIu64 " bytes of main memory, %" PRIu64 " bytes of constants\n",
         h->cmx_bytes, h->ddr_bytes, h->constants_bytes);
  printf("tasks: %" PRIu32, h->num_tasks);
  for (int k = 1; k < BURIN_VPU_TASK_KINDS; ++k)
    if (kinds[k]) {
      burin_vpu_task t = {.kind = (uint8_t)k};
      printf(", %s %" PRIu32, kind_name(&t), kinds[k]);
    }
  printf("\n");
  describe_times(self);
}
