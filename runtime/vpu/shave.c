/* Shave programs: each step runs over a chunk of the innermost loop before the next, so that the cost of finding out
 * what a step is spreads over many elements. Equal results for any chunk, since a store never feeds a later point of
 * the same chunk: reductions run one point at a time (see `points`). */
#include "runtime/vpu/emulate_internal.h"
#include "runtime/vpu/functions.h"

typedef union lane {
  float f;
  int64_t i;
} lane;
typedef lane reg[BURIN_VPU_CHUNK];

static float rounded(float x, uint8_t type) { return type == BURIN_VPU_F16 ? burin_round_half(x) : x; }

static int64_t read_integer(const uint8_t *at, uint32_t dtype) {
  switch (dtype) {
  case 2:
  case 9:
    return *at; /* uint8, bool */
  case 3:
    return *(const int8_t *)at;
  case 4:
    return *(const uint16_t *)(const void *)at;
  case 5:
    return *(const int16_t *)(const void *)at;
  case 6:
    return *(const int32_t *)(const void *)at;
  case 12:
    return *(const uint32_t *)(const void *)at;
  default:
    return *(const int64_t *)(const void *)at;
  }
}

static void write_integer(uint8_t *at, uint32_t dtype, int64_t value) {
  switch (burin_vpu_dtype_bytes(dtype)) {
  case 1:
    *at = (uint8_t)value;
    break;
  case 2:
    *(uint16_t *)(void *)at = (uint16_t)value;
    break;
  case 4:
    *(uint32_t *)(void *)at = (uint32_t)value;
    break;
  default:
    *(int64_t *)(void *)at = value;
  }
}

#define EACH for (uint32_t p = 0; p < n; ++p)
#define FLOATS(expression)                                                                                             \
  if (half)                                                                                                            \
    EACH {                                                                                                             \
      float x = a[p].f, y = b[p].f;                                                                                    \
      (void)x, (void)y;                                                                                                \
      d[p].f = burin_round_half(expression);                                                                           \
    }                                                                                                                  \
  else                                                                                                                 \
    EACH {                                                                                                             \
      float x = a[p].f, y = b[p].f;                                                                                    \
      (void)x, (void)y;                                                                                                \
      d[p].f = (expression);                                                                                           \
    }                                                                                                                  \
  return
#define INTEGERS(expression)                                                                                           \
  EACH {                                                                                                               \
    int64_t x = a[p].i, y = b[p].i;                                                                                    \
    (void)y;                                                                                                           \
    d[p].i = (int64_t)(expression);                                                                                    \
  }                                                                                                                    \
  return
#define COMPARED(operator)                                                                                             \
  if (whole)                                                                                                           \
    EACH d[p].i = a[p].i operator b[p].i;                                                                              \
  else                                                                                                                 \
    EACH d[p].i = a[p].f operator b[p].f;                                                                              \
  return

static float largest(float x, float y) {
  if (x == y)
    return burin_bits_float(burin_float_bits(x) & burin_float_bits(y));
  return x != x || x > y ? x : y;
}
static float smallest(float x, float y) {
  if (x == y)
    return burin_bits_float(burin_float_bits(x) | burin_float_bits(y));
  return x != x || x < y ? x : y;
}
static float square_root(float x) { return __builtin_sqrtf(x); }

static void arithmetic(const burin_vpu_step *step, reg *registers, uint32_t n) {
  lane *d = registers[step->dst];
  const lane *a = registers[step->a], *b = registers[step->b], *c = registers[step->c];
  int half = step->type == BURIN_VPU_F16, whole = step->type == BURIN_VPU_INT;
  switch (step->op) {
  case BURIN_VPU_ADD:
    if (whole) {
      INTEGERS((uint64_t)x + (uint64_t)y);
    }
    FLOATS(x + y);
  case BURIN_VPU_SUB:
    if (whole) {
      INTEGERS((uint64_t)x - (uint64_t)y);
    }
    FLOATS(x - y);
  case BURIN_VPU_MUL:
    if (whole) {
      INTEGERS((uint64_t)x * (uint64_t)y);
    }
    FLOATS(x * y);
  case BURIN_VPU_DIV:
    if (whole) {
      INTEGERS(y == 0 ? 0 : y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y);
    }
    FLOATS(x / y);
  case BURIN_VPU_MAX:
    if (whole) {
      INTEGERS(x > y ? x : y);
    }
    FLOATS(largest(x, y));
  case BURIN_VPU_MIN:
    if (whole) {
      INTEGERS(x < y ? x : y);
    }
    FLOATS(smallest(x, y));
  case BURIN_VPU_REM:
    INTEGERS(y == 0 || y == -1 ? 0 : x % y);
  case BURIN_VPU_AND:
    INTEGERS(x & y);
  case BURIN_VPU_OR:
    INTEGERS(x | y);
  case BURIN_VPU_XOR:
    INTEGERS(x ^ y);
  case BURIN_VPU_POW:
    FLOATS(burin_vpu_pow(x, y));
  case BURIN_VPU_EQ:
    COMPARED(==);
  case BURIN_VPU_NE:
    COMPARED(!=);
  case BURIN_VPU_LT:
    COMPARED(<);
  case BURIN_VPU_LE:
    COMPARED(<=);
  case BURIN_VPU_GT:
    COMPARED(>);
  case BURIN_VPU_GE:
    COMPARED(>=);
  case BURIN_VPU_NEG:
    FLOATS(-x);
  case BURIN_VPU_ABS:
    if (whole) {
      INTEGERS(x < 0 ? 0 - (uint64_t)x : (uint64_t)x);
    }
    FLOATS(burin_bits_float(burin_float_bits(x) & 0x7fffffffu));
  case BURIN_VPU_SQRT:
    FLOATS(square_root(x));
  case BURIN_VPU_EXP:
    FLOATS(burin_vpu_exp(x));
  case BURIN_VPU_LOG:
    FLOATS(burin_vpu_log(x));
  case BURIN_VPU_TANH:
    FLOATS(burin_vpu_tanh(x));
  case BURIN_VPU_SIGMOID:
    FLOATS(burin_vpu_sigmoid(x));
  case BURIN_VPU_ERF:
    FLOATS(burin_vpu_erf(x));
  case BURIN_VPU_FLOOR:
    FLOATS(burin_vpu_floor(x));
  case BURIN_VPU_CEIL:
    FLOATS(-burin_vpu_floor(-x));
  case BURIN_VPU_ROUND:
    FLOATS(burin_vpu_nearest_any(x));
  case BURIN_VPU_SIN:
    FLOATS(burin_vpu_sine(x, 0));
  case BURIN_VPU_COS:
    FLOATS(burin_vpu_sine(x, 1));
  case BURIN_VPU_SELECT:
    EACH d[p] = a[p].i ? b[p] : c[p];
    return;
  case BURIN_VPU_CONST:
    if (whole)
      EACH d[p].i = step->integer;
    else
      EACH d[p].f = step->number;
    return;
  case BURIN_VPU_CONVERT:
    if (step->b == BURIN_VPU_INT && !whole)
      EACH d[p].f = rounded((float)a[p].i, step->type);
    else if (step->b != BURIN_VPU_INT && whole)
      EACH d[p].i = a[p].f >= -9.2e18f && a[p].f <= 9.2e18f ? (int64_t)a[p].f : 0;
    else if (half)
      EACH d[p].f = burin_round_half(a[p].f);
    else
      EACH d[p] = a[p];
    return;
  default:
    return;
  }
}

static void load(const uint8_t *at, uint64_t stride, uint32_t dtype, lane *d, uint32_t n) {
  uint64_t bytes = stride * burin_vpu_dtype_bytes(dtype);
  if (dtype == 10)
    EACH d[p].f = burin_from_half(*(const uint16_t *)(const void *)(at + p * bytes));
  else if (dtype == 1)
    EACH d[p].f = *(const float *)(const void *)(at + p * bytes);
  else
    EACH d[p].i = read_integer(at + p * bytes, dtype);
}

static void store(uint8_t *at, uint64_t stride, uint32_t dtype, const lane *a, uint32_t n) {
  uint64_t bytes = stride * burin_vpu_dtype_bytes(dtype);
  if (dtype == 10)
    EACH *(uint16_t *)(void *)(at + p * bytes) = burin_to_half(a[p].f);
  else if (dtype == 1)
    EACH *(float *)(void *)(at + p * bytes) = a[p].f;
  else
    EACH write_integer(at + p * bytes, dtype, a[p].i);
}

static const char *gather(const burin_vpu_machine *machine, const burin_vpu_view *view, const lane *a, lane *d,
                          uint32_t n) {
  const uint8_t *base = burin_vpu_address(machine, view);
  uint64_t bytes = burin_vpu_dtype_bytes(view->dtype), last = 0;
  for (uint32_t i = 0; i < view->rank; ++i)
    last += (uint64_t)(view->dims[i] - 1) * view->strides[i];
  EACH {
    if (a[p].i < 0 || (uint64_t)a[p].i > last)
      return "a gather reads outside its view";
    load(base + (uint64_t)a[p].i * bytes, 0, view->dtype, d + p, 1);
  }
  return NULL;
}

/* Points of the innermost loop that may run at once: one where a store comes back to the same place. */
static uint32_t points(const burin_vpu_step *steps, uint32_t count, const burin_vpu_view *views, uint32_t inner) {
  for (uint32_t i = 0; i < count; ++i)
    if (steps[i].op == BURIN_VPU_STORE && views[steps[i].view].strides[inner] == 0)
      return 1;
  return BURIN_VPU_CHUNK;
}

const char *burin_vpu_run_shave(const burin_vpu_machine *machine, const burin_vpu_task *task) {
  const burin_vpu_view *views = machine->blob->views + task->first_view;
  const burin_vpu_step *steps = machine->blob->steps + task->first_step;
  reg *registers = (reg *)(void *)machine->memory->scratch;
  const burin_vpu_view *loops = NULL;
  for (uint32_t i = 0; i < task->num_steps; ++i)
    if (steps[i].op == BURIN_VPU_STORE)
      loops = &views[steps[i].view];
  uint32_t rank = loops->rank, inner = rank - 1, extent = loops->dims[inner];
  uint64_t index[BURIN_VPU_MAX_RANK] = {0};
  uint32_t chunk = points(steps, task->num_steps, views, inner);
  for (;;) {
    for (uint32_t from = 0; from < extent; from += chunk) {
      uint32_t n = extent - from < chunk ? extent - from : chunk;
      index[inner] = from;
      for (uint32_t i = 0; i < task->num_steps; ++i) {
        const burin_vpu_step *step = &steps[i];
        const burin_vpu_view *view = &views[step->view];
        if (step->op == BURIN_VPU_LOAD || step->op == BURIN_VPU_STORE) {
          uint64_t offset = 0;
          for (uint32_t d = 0; d < rank; ++d)
            offset += index[d] * view->strides[d];
          uint8_t *at = burin_vpu_address(machine, view) + offset * burin_vpu_dtype_bytes(view->dtype);
          if (step->op == BURIN_VPU_LOAD)
            load(at, view->strides[inner], view->dtype, registers[step->dst], n);
          else
            store(at, view->strides[inner], view->dtype, registers[step->a], n);
        } else if (step->op == BURIN_VPU_INDEX) {
          lane *d = registers[step->dst];
          uint64_t first = index[step->a];
          EACH d[p].i = (int64_t)(first + (step->a == inner ? p : 0));
        } else if (step->op == BURIN_VPU_GATHER) {
          const char *fault = gather(machine, view, registers[step->a], registers[step->dst], n);
          if (fault)
            return fault;
        } else {
          arithmetic(step, registers, n);
        }
      }
    }
    index[inner] = 0;
    uint32_t d = inner;
    for (;;) {
      if (d == 0)
        return NULL;
      --d;
      if (++index[d] < loops->dims[d])
        break;
      index[d] = 0;
    }
  }
}
