/* Opening a blob: every number that the emulator relies on is checked here, once, so that nothing is checked while it
 * runs. Texts are static. */
#include "runtime/vpu/blob.h"
#include "runtime/hosted/crc.h"
#include <string.h>

static int fits(uint64_t offset, uint64_t count, uint64_t size, uint64_t align, uint64_t total) {
  return offset % align == 0 && offset <= total && count <= (total - offset) / size;
}

static int is_string(const burin_vpu_header *h, uint32_t at) { return at < h->strings_bytes; }

static const char *check_tensors(const burin_vpu_blob *blob) {
  const burin_vpu_header *h = blob->header;
  for (uint32_t i = 0; i < h->num_inputs + h->num_outputs; ++i) {
    const burin_vpu_tensor *t = &blob->tensors[i];
    uint64_t bytes = t->dtype > 0 ? burin_vpu_dtype_bytes((uint32_t)t->dtype) : 0;
    if (!is_string(h, t->name) || t->rank > BURIN_VPU_MAX_RANK || !bytes)
      return "an input or output has a wrong name, type or rank";
    for (uint32_t d = 0; d < t->rank; ++d) {
      if (t->dims[d] && bytes > (UINT64_C(1) << 40) / t->dims[d])
        return "an input or output is too large";
      bytes *= t->dims[d];
    }
    if (bytes != t->bytes)
      return "the bytes of an input or output are not those of its dims";
  }
  return NULL;
}

static const char *check_view(const burin_vpu_blob *blob, const burin_vpu_view *v) {
  const burin_vpu_header *h = blob->header;
  uint64_t size = burin_vpu_dtype_bytes(v->dtype), room, last = 0;
  if (!size || v->rank < 1 || v->rank > BURIN_VPU_MAX_RANK || v->offset % size)
    return "a view has a wrong type, rank or offset";
  switch (v->space) {
  case BURIN_VPU_DDR:
    room = h->ddr_bytes;
    break;
  case BURIN_VPU_CMX:
    room = h->cmx_bytes;
    break;
  case BURIN_VPU_CONSTANT:
    room = h->constants_bytes;
    break;
  case BURIN_VPU_INPUT:
    if (v->index >= h->num_inputs)
      return "a view is of an input that is not there";
    room = blob->tensors[v->index].bytes;
    break;
  case BURIN_VPU_OUTPUT:
    if (v->index >= h->num_outputs)
      return "a view is of an output that is not there";
    room = blob->tensors[h->num_inputs + v->index].bytes;
    break;
  default:
    return "a view is of an unknown space";
  }
  uint64_t count = 1;
  for (uint32_t d = 0; d < v->rank; ++d) {
    if (v->dims[d] == 0 || v->dims[d] > (1u << 30) || count > (UINT64_C(1) << 40) / v->dims[d])
      return "a view has a wrong dim";
    count *= v->dims[d];
    last += (uint64_t)(v->dims[d] - 1) * v->strides[d]; /* below 8 * 2^62 / ...: 30 + 32 + 3 bits can reach 2^65 */
    if (last > (UINT64_C(1) << 40))
      return "a view reaches outside its space";
  }
  if (v->offset > room || (last + 1) * size > room - v->offset)
    return "a view reaches outside its space";
  return NULL;
}

static int is_writable(const burin_vpu_view *v) {
  return v->space != BURIN_VPU_CONSTANT && v->space != BURIN_VPU_INPUT;
}
static int is_float(const burin_vpu_view *v) { return v->dtype == 10 || v->dtype == 1; }

static const char *check_engine(const burin_vpu_task *t, const burin_vpu_view *v, int deconv) {
  const char *wrong = "operands of a convolution do not fit one another";
  uint32_t extras =
      !!(t->flags & BURIN_VPU_HAS_SCALE) + !!(t->flags & BURIN_VPU_HAS_BIAS) + !!(t->flags & BURIN_VPU_HAS_SLOPE);
  if (t->num_views != 3 + extras || v[0].rank != 4 || v[1].rank != 5 || v[2].rank != 4 || t->groups == 0)
    return wrong;
  for (uint32_t i = 0; i < t->num_views; ++i)
    if (!is_float(&v[i]) || (i > 2 && (v[i].rank != 1 || v[i].dims[0] != v[2].dims[3])))
      return wrong;
  uint32_t c = v[0].dims[3], oc = v[2].dims[3], batches = v[1].dims[0];
  if (v[0].dims[0] != v[2].dims[0] || (batches != 1 && (deconv || batches != v[0].dims[0])) || c % t->groups ||
      oc % t->groups)
    return wrong;
  if (t->kind == BURIN_VPU_TASK_DEPTHWISE)
    return c != oc || batches != 1 || v[1].dims[3] != 1 || v[1].dims[4] != c ? wrong : NULL;
  if (deconv)
    return v[1].dims[3] != c || v[1].dims[4] != oc / t->groups ? wrong : NULL;
  return v[1].dims[3] != c / t->groups || v[1].dims[4] != oc ? wrong : NULL;
}

static const char *check_steps(const burin_vpu_blob *blob, const burin_vpu_task *t, const burin_vpu_view *views) {
  const burin_vpu_step *steps = blob->steps + t->first_step;
  const burin_vpu_view *loops = NULL;
  for (uint32_t i = 0; i < t->num_steps; ++i) {
    const burin_vpu_step *s = &steps[i];
    if (s->op >= BURIN_VPU_OPS || s->type > BURIN_VPU_INT || s->dst >= BURIN_VPU_REGISTERS ||
        s->a >= BURIN_VPU_REGISTERS || s->b >= BURIN_VPU_REGISTERS || s->c >= BURIN_VPU_REGISTERS)
      return "a step of a shave program has an unknown operation or register";
    int touches = s->op == BURIN_VPU_LOAD || s->op == BURIN_VPU_STORE || s->op == BURIN_VPU_GATHER;
    if (s->view && !touches)
      return "a step of a shave program names a view that it has no use for";
    if (touches && s->view >= t->num_views)
      return "a step of a shave program is of a view that is not there";
    if (s->op == BURIN_VPU_STORE && !is_writable(&views[s->view]))
      return "a shave program stores where nothing may be written";
    if (s->op == BURIN_VPU_INDEX && s->a >= BURIN_VPU_MAX_RANK)
      return "a step of a shave program is of a loop that is not there";
    if (s->op == BURIN_VPU_STORE || s->op == BURIN_VPU_LOAD) {
      if (loops && (loops->rank != views[s->view].rank || memcmp(loops->dims, views[s->view].dims, 4 * loops->rank)))
        return "views of a shave program have different loops";
      loops = &views[s->view];
    }
  }
  for (uint32_t i = 0; i < t->num_steps; ++i)
    if (steps[i].op == BURIN_VPU_INDEX && loops && steps[i].a >= loops->rank)
      return "a step of a shave program is of a loop that is not there";
  for (uint32_t i = 0; i < t->num_steps; ++i)
    if (steps[i].op == BURIN_VPU_STORE)
      return NULL;
  return "a shave program stores nothing";
}

static const char *check_task(const burin_vpu_blob *blob, const burin_vpu_task *t) {
  const burin_vpu_header *h = blob->header;
  if (t->kind >= BURIN_VPU_TASK_KINDS || t->queue >= BURIN_VPU_QUEUES || !is_string(h, t->name))
    return "a task has an unknown kind, queue or name";
  if (t->first_view > h->num_views || t->num_views > h->num_views - t->first_view || t->first_step > h->num_steps ||
      t->num_steps > h->num_steps - t->first_step)
    return "a task's views or steps lie outside their tables";
  const burin_vpu_view *v = blob->views + t->first_view;
  for (int i = 0; i < 2; ++i)
    if (t->strides[i] > 4096 || t->dilations[i] > 4096 || t->pads[i] > 4096 || t->pads[2 + i] > 4096 ||
        t->kernel[i] > 4096)
      return "a window is out of bounds";
  int windowed = t->kind >= BURIN_VPU_TASK_CONV && t->kind <= BURIN_VPU_TASK_POOL;
  if ((windowed || t->kind == BURIN_VPU_TASK_DECONV) && (!t->strides[0] || !t->strides[1]))
    return "a window's stride is 0";
  switch (t->kind) {
  case BURIN_VPU_TASK_DMA:
    if (t->num_views != 2 || v[0].rank != v[1].rank || v[0].dtype != v[1].dtype || !is_writable(&v[1]) ||
        memcmp(v[0].dims, v[1].dims, 4 * v[0].rank))
      return "a transfer is not between views of one shape";
    return NULL;
  case BURIN_VPU_TASK_CONV:
  case BURIN_VPU_TASK_DEPTHWISE:
  case BURIN_VPU_TASK_DECONV: {
    const char *fault = check_engine(t, v, t->kind == BURIN_VPU_TASK_DECONV);
    return fault || is_writable(&v[2]) ? fault : "a convolution writes where nothing may be written";
  }
  case BURIN_VPU_TASK_POOL:
    if (t->num_views != 2 || v[0].rank != 4 || v[1].rank != 4 || v[0].dims[0] != v[1].dims[0] ||
        v[0].dims[3] != v[1].dims[3] || !is_float(&v[0]) || !is_float(&v[1]) || !is_writable(&v[1]) ||
        t->mode > BURIN_VPU_POOL_SUM || !t->kernel[0] || !t->kernel[1])
      return "operands of a pool do not fit one another";
    return NULL;
  case BURIN_VPU_TASK_SOFTMAX:
    if (t->num_views != 2 || v[0].rank != v[1].rank || !is_float(&v[0]) || !is_float(&v[1]) || !is_writable(&v[1]) ||
        memcmp(v[0].dims, v[1].dims, 4 * v[0].rank))
      return "operands of a softmax do not fit one another";
    return NULL;
  case BURIN_VPU_TASK_SHAVE:
    return check_steps(blob, t, v);
  default:
    return t->num_views || t->num_steps ? "a barrier or end has views or steps" : NULL;
  }
}

const char *burin_vpu_open(const void *bytes, uint64_t size, burin_vpu_blob *blob) {
  const uint8_t *base = bytes;
  const burin_vpu_header *h = bytes;
  if (size < sizeof *h || memcmp(h->magic, BURIN_VPU_MAGIC, 8))
    return "it is no blob of Burin's vision unit: its first bytes are not 'BurinVpu'; other compilers' blobs run on "
           "their "
           "devices only";
  if (h->version != BURIN_VPU_VERSION)
    return "it is of another version of the container, expected 1; compile the model again";
  if (h->bytes != size)
    return "it is truncated or has bytes behind its end";
  if (burin_crc32(0, base + 16, size - 16) != h->crc)
    return "its checksum is wrong: it was damaged on the way";
  uint64_t tensors = (uint64_t)h->num_inputs + h->num_outputs;
  if (!fits(h->tensors, tensors, sizeof(burin_vpu_tensor), 8, size) ||
      !fits(h->tasks, h->num_tasks, sizeof(burin_vpu_task), 8, size) ||
      !fits(h->views, h->num_views, sizeof(burin_vpu_view), 8, size) ||
      !fits(h->steps, h->num_steps, sizeof(burin_vpu_step), 8, size) ||
      !fits(h->strings, h->strings_bytes, 1, 1, size) || !fits(h->constants, h->constants_bytes, 1, 64, size) ||
      h->strings_bytes == 0)
    return "a section lies outside it";
  if (base[h->strings + h->strings_bytes - 1] != 0)
    return "its strings do not end";
  if (h->ddr_bytes > (UINT64_C(1) << 32) || h->cmx_bytes > (64u << 20) || !is_string(h, h->unit) ||
      !is_string(h, h->name) || !is_string(h, h->manifest))
    return "its header asks for more memory than any unit has, or names what is not there";
  *blob = (burin_vpu_blob){base,
                           h,
                           (const burin_vpu_tensor *)(const void *)(base + h->tensors),
                           (const burin_vpu_task *)(const void *)(base + h->tasks),
                           (const burin_vpu_view *)(const void *)(base + h->views),
                           (const burin_vpu_step *)(const void *)(base + h->steps),
                           (const char *)(base + h->strings)};
  const char *fault = check_tensors(blob);
  for (uint32_t i = 0; i < h->num_views && !fault; ++i)
    fault = check_view(blob, &blob->views[i]);
  for (uint32_t i = 0; i < h->num_tasks && !fault; ++i)
    fault = check_task(blob, &blob->tasks[i]);
  return fault;
}
