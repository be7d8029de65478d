/* Races and unwritten memory, found without data: each two bytes of CMX and shared memory remember who wrote and who
 * read them last, and a task must be behind all of those, by its queue's order or by a barrier. Who is behind whom is a
 * vector clock: of each queue, how many tasks are known to be finished. */
#include "runtime/vpu/blob.h"

enum { GRANULE = 2 };

typedef struct mark {
  uint32_t writer;                    /* task + 1 */
  uint32_t readers[BURIN_VPU_QUEUES]; /* the last of each queue since then, task + 1 */
} mark;

typedef struct clock {
  uint32_t done[BURIN_VPU_QUEUES];
} clock;

typedef struct checker {
  const burin_vpu_blob *blob;
  mark *marks;
  uint64_t cmx;      /* marks of main memory lie before those of CMX */
  uint32_t *numbers; /* of each task in its queue, from 1; barriers have that of the task before */
  const char *fault;
} checker;

static uint64_t granules(uint64_t bytes) { return (bytes + GRANULE - 1) / GRANULE; }

uint64_t burin_vpu_check_bytes(const burin_vpu_blob *blob) {
  const burin_vpu_header *h = blob->header;
  return (granules(h->ddr_bytes) + granules(h->cmx_bytes)) * sizeof(mark) +
         (uint64_t)h->num_tasks * (sizeof(clock) + 4);
}

static int is_behind(const checker *c, const clock *now, uint32_t other) {
  return now->done[c->blob->tasks[other - 1].queue] >= c->numbers[other - 1];
}

/* One run of marks. */
static void touch(checker *c, uint64_t from, uint64_t to, uint32_t task, const clock *now, int writes) {
  uint32_t queue = c->blob->tasks[task].queue;
  for (uint64_t i = from; i < to; ++i) {
    mark *m = &c->marks[i];
    if (m->writer != task + 1) {
      if (m->writer && !is_behind(c, now, m->writer))
        c->fault = writes ? "two tasks write the same bytes without a barrier between"
                          : "it reads what another queue may still be writing: a barrier is missing";
      else if (!m->writer && !writes)
        c->fault = "it reads memory that nothing has written";
    }
    if (!writes) {
      m->readers[queue] = task + 1;
      continue;
    }
    for (uint32_t q = 0; q < BURIN_VPU_QUEUES; ++q)
      if (m->readers[q] && m->readers[q] != task + 1 && !is_behind(c, now, m->readers[q]))
        c->fault = "it writes what another queue may still be reading: a barrier is missing";
    m->writer = task + 1;
    m->readers[0] = m->readers[1] = m->readers[2] = 0;
  }
}

static void touch_view(checker *c, const burin_vpu_view *v, uint32_t task, const clock *now, int writes) {
  if (v->space != BURIN_VPU_DDR && v->space != BURIN_VPU_CMX)
    return;
  uint64_t size = burin_vpu_dtype_bytes(v->dtype), base = v->space == BURIN_VPU_CMX ? c->cmx : 0;
  /* Inner dims that lie together are one run; dims that repeat count once. */
  uint64_t run = 1;
  uint32_t inner = v->rank;
  while (inner > 0 && (v->strides[inner - 1] == run || v->strides[inner - 1] == 0 || v->dims[inner - 1] == 1)) {
    --inner;
    if (v->strides[inner])
      run *= v->dims[inner];
  }
  uint64_t index[BURIN_VPU_MAX_RANK] = {0};
  for (;;) {
    uint64_t at = v->offset;
    for (uint32_t d = 0; d < inner; ++d)
      at += index[d] * v->strides[d] * size;
    touch(c, base + at / GRANULE, base + granules(at + run * size), task, now, writes);
    if (c->fault)
      return;
    uint32_t d = inner;
    for (;;) {
      if (d == 0)
        return;
      --d;
      if (v->strides[d] != 0 && ++index[d] < v->dims[d])
        break;
      index[d] = 0;
    }
  }
}

/* Reads before writes: a task may read and write the same bytes. */
static void touch_task(checker *c, uint32_t number, const clock *now) {
  const burin_vpu_task *t = &c->blob->tasks[number];
  const burin_vpu_view *v = c->blob->views + t->first_view;
  for (int writes = 0; writes < 2; ++writes) {
    if (t->kind == BURIN_VPU_TASK_SHAVE) {
      for (uint32_t i = 0; i < t->num_steps; ++i) {
        const burin_vpu_step *s = &c->blob->steps[t->first_step + i];
        if (s->op == BURIN_VPU_STORE ? writes : !writes && (s->op == BURIN_VPU_LOAD || s->op == BURIN_VPU_GATHER))
          touch_view(c, &v[s->view], number, now, writes);
      }
      continue;
    }
    int engine =
        t->kind == BURIN_VPU_TASK_CONV || t->kind == BURIN_VPU_TASK_DEPTHWISE || t->kind == BURIN_VPU_TASK_DECONV;
    uint32_t target = engine ? 2 : 1;
    for (uint32_t i = 0; i < t->num_views; ++i)
      if ((i == target) == writes)
        touch_view(c, &v[i], number, now, writes);
  }
}

const char *burin_vpu_check(const burin_vpu_blob *blob, void *state, uint32_t *task) {
  const burin_vpu_header *h = blob->header;
  uint64_t marks = granules(h->ddr_bytes) + granules(h->cmx_bytes);
  checker c = {.blob = blob, .marks = state, .cmx = granules(h->ddr_bytes)};
  clock *clocks = (clock *)(void *)((mark *)state + marks);
  c.numbers = (uint32_t *)(void *)(clocks + h->num_tasks);
  clock now[BURIN_VPU_QUEUES] = {{{0}}};
  uint32_t counts[BURIN_VPU_QUEUES] = {0};
  for (uint32_t i = 0; i < h->num_tasks && !c.fault; ++i) {
    const burin_vpu_task *t = &blob->tasks[i];
    clock *mine = &now[t->queue];
    *task = i;
    if (t->kind == BURIN_VPU_TASK_BARRIER) {
      for (uint32_t q = 0; q < BURIN_VPU_QUEUES; ++q) {
        if (t->waits[q] > counts[q])
          return "a barrier waits for a task that comes after it";
        if (q == t->queue || t->waits[q] <= mine->done[q])
          continue;
        /* What that task was behind, this queue now is too. */
        uint32_t other = i;
        while (blob->tasks[other - 1].queue != q || c.numbers[other - 1] != t->waits[q] ||
               blob->tasks[other - 1].kind == BURIN_VPU_TASK_BARRIER)
          --other;
        for (uint32_t r = 0; r < BURIN_VPU_QUEUES; ++r)
          if (clocks[other - 1].done[r] > mine->done[r])
            mine->done[r] = clocks[other - 1].done[r];
        mine->done[q] = t->waits[q];
      }
      c.numbers[i] = counts[t->queue];
      continue;
    }
    if (t->kind == BURIN_VPU_TASK_END)
      continue;
    touch_task(&c, i, mine);
    c.numbers[i] = ++counts[t->queue];
    mine->done[t->queue] = counts[t->queue];
    clocks[i] = *mine;
  }
  return c.fault;
}
