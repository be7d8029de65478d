/* The convolution engine of the emulator: exact products, sums in f32 in the order kh, kw, c, one rounding at the end.
 * A product of two halves is exact in f32, so a fused multiply-add gives the same bits and compilers may use one.
 * Operands are widened into scratch once a task, filters with output channels filled up to whole blocks. */
#include "runtime/vpu/emulate_internal.h"
#include "runtime/vpu/functions.h"

#define BLOCK 16

#if defined(__x86_64__) && defined(__linux__)
#define FAST __attribute__((target_clones("avx2", "default")))
#else
#define FAST
#endif

static uint64_t elements(const burin_vpu_view *view) {
  uint64_t n = 1;
  for (uint32_t d = 0; d < view->rank; ++d)
    n *= view->dims[d];
  return n;
}

static uint64_t round_up(uint64_t n, uint64_t to) { return (n + to - 1) / to * to; }

/* Widens a view to floats, row-major, the last dim filled up with zeros to `width`. */
static void widen(const burin_vpu_machine *machine, const burin_vpu_view *view, float *out, uint64_t width) {
  const uint8_t *base = burin_vpu_address(machine, view);
  uint32_t last = view->rank - 1u, size = burin_vpu_dtype_bytes(view->dtype), n = view->dims[last],
           step = view->strides[last];
  uint64_t rows = n ? elements(view) / n : 0;
  for (uint64_t row = 0; row < rows; ++row, out += width) {
    uint64_t rest = row, offset = 0;
    for (uint32_t d = last; d-- > 0;) {
      offset += rest % view->dims[d] * view->strides[d];
      rest /= view->dims[d];
    }
    const uint8_t *at = base + offset * size;
    if (view->dtype == 10 && step == 1) {
      const uint16_t *halves = (const uint16_t *)(const void *)at;
      for (uint32_t i = 0; i < n; ++i)
        out[i] = burin_from_half(halves[i]);
    } else {
      for (uint32_t i = 0; i < n; ++i)
        out[i] = burin_vpu_read(at + (uint64_t)i * step * size, view->dtype);
    }
    for (uint64_t i = n; i < width; ++i)
      out[i] = 0.0f;
  }
}

typedef struct stage {
  float *input, *filter, *scale, *bias, *slope;
  const burin_vpu_view *in, *weights, *out;
  uint64_t width; /* of a filter row: output channels filled up */
} stage;

uint64_t burin_vpu_engine_scratch(const burin_vpu_blob *blob, const burin_vpu_task *task) {
  const burin_vpu_view *views = blob->views + task->first_view;
  uint64_t channels = views[2].dims[3], width = round_up(views[1].dims[4], BLOCK);
  return 4 * (elements(&views[0]) + elements(&views[1]) / views[1].dims[4] * width + 3 * round_up(channels, BLOCK)) +
         5 * 64;
}

static float *take(uint8_t **at, uint64_t floats) {
  float *place = (float *)(void *)*at;
  *at += round_up(floats * 4, 64);
  return place;
}

static stage set_up(const burin_vpu_machine *machine, const burin_vpu_task *task) {
  const burin_vpu_view *views = machine->blob->views + task->first_view, *more = views + 3;
  stage s = {.in = views, .weights = views + 1, .out = views + 2};
  uint8_t *at = machine->memory->scratch;
  s.width = round_up(s.weights->dims[4], BLOCK);
  s.input = take(&at, elements(s.in));
  widen(machine, s.in, s.input, s.in->dims[3]);
  s.filter = take(&at, elements(s.weights) / s.weights->dims[4] * s.width);
  widen(machine, s.weights, s.filter, s.width);
  float **extras[3] = {&s.scale, &s.bias, &s.slope};
  for (int i = 0; i < 3; ++i)
    if (task->flags & (1 << i)) {
      *extras[i] = take(&at, round_up(s.out->dims[3], BLOCK));
      widen(machine, more++, *extras[i], s.out->dims[3]);
    }
  return s;
}

static void finish(const burin_vpu_machine *machine, const burin_vpu_task *task, const stage *s, uint64_t n, uint64_t y,
                   uint64_t x, uint32_t channel, uint32_t count, const float *sums) {
  const burin_vpu_view *out = s->out;
  uint32_t size = burin_vpu_dtype_bytes(out->dtype);
  uint8_t *at =
      burin_vpu_address(machine, out) +
      (n * out->strides[0] + y * out->strides[1] + x * out->strides[2] + (uint64_t)channel * out->strides[3]) * size;
  for (uint32_t i = 0; i < count; ++i, at += (uint64_t)out->strides[3] * size) {
    float v = sums[i];
    if (s->scale)
      v = v * s->scale[channel + i];
    if (s->bias)
      v = v + s->bias[channel + i];
    if (v < 0.0f)
      v = v * (s->slope ? s->slope[channel + i] : task->leak);
    v = v < task->low ? task->low : v;
    v = v > task->high ? task->high : v;
    burin_vpu_write(at, out->dtype, burin_round_half(v));
  }
}

/* sums[j] += x[c] * w[c][j]: all input channels of one tap, one block of output channels. */
FAST static void tap(float *restrict sums, const float *restrict x, const float *restrict w, uint64_t channels,
                     uint64_t width) {
  float s[BLOCK];
  for (int j = 0; j < BLOCK; ++j)
    s[j] = sums[j];
  for (uint64_t c = 0; c < channels; ++c, w += width)
    for (int j = 0; j < BLOCK; ++j)
      s[j] = s[j] + x[c] * w[j];
  for (int j = 0; j < BLOCK; ++j)
    sums[j] = s[j];
}

/* The same with every product and every sum rounded to half. */
FAST static void tap_of_halves(float *restrict sums, const float *restrict x, const float *restrict w,
                               uint64_t channels, uint64_t width, uint64_t count) {
  for (uint64_t c = 0; c < channels; ++c, w += width)
    for (uint64_t j = 0; j < count; ++j)
      sums[j] = burin_round_half(sums[j] + burin_round_half(x[c] * w[j]));
}

static int inside(int64_t at, uint32_t size) { return at >= 0 && at < (int64_t)size; }

void burin_vpu_run_conv(const burin_vpu_machine *machine, const burin_vpu_task *task) {
  stage s = set_up(machine, task);
  const uint32_t *in = s.in->dims, *k = s.weights->dims, *out = s.out->dims;
  uint64_t per_group = out[3] / task->groups, channels = k[3], taps = (uint64_t)k[1] * k[2];
  for (uint64_t n = 0; n < out[0]; ++n)
    for (uint64_t y = 0; y < out[1]; ++y)
      for (uint64_t x = 0; x < out[2]; ++x)
        for (uint64_t g = 0; g < task->groups; ++g)
          for (uint64_t j = 0; j < per_group; j += BLOCK) {
            /* A block of a group may begin anywhere in the row and so reach past it: copied to where it is whole. */
            uint64_t column = g * per_group + j, count = per_group - j < BLOCK ? per_group - j : BLOCK;
            float sums[BLOCK] = {0};
            for (uint32_t ky = 0; ky < k[1]; ++ky) {
              int64_t iy = (int64_t)(y * task->strides[0] + (uint64_t)ky * task->dilations[0]) - task->pads[0];
              if (!inside(iy, in[1]))
                continue;
              for (uint32_t kx = 0; kx < k[2]; ++kx) {
                int64_t ix = (int64_t)(x * task->strides[1] + (uint64_t)kx * task->dilations[1]) - task->pads[1];
                if (!inside(ix, in[2]))
                  continue;
                const float *point =
                    s.input + ((n * in[1] + (uint64_t)iy) * in[2] + (uint64_t)ix) * in[3] + g * channels;
                const float *w =
                    s.filter + ((k[0] == 1 ? 0 : n) * taps + (uint64_t)ky * k[2] + kx) * channels * s.width + column;
                if (task->flags & BURIN_VPU_HALF_SUMS) {
                  tap_of_halves(sums, point, w, channels, s.width, count);
                } else if (column + BLOCK <= s.width) {
                  tap(sums, point, w, channels, s.width);
                } else {
                  for (uint64_t c = 0; c < channels; ++c)
                    for (uint64_t i = 0; i < count; ++i)
                      sums[i] = sums[i] + point[c] * w[c * s.width + i];
                }
              }
            }
            finish(machine, task, &s, n, y, x, (uint32_t)column, (uint32_t)count, sums);
          }
}

FAST static void multiply_halves(float *restrict sums, const float *restrict x, const float *restrict w,
                                 uint64_t count) {
  for (uint64_t c = 0; c < count; ++c)
    sums[c] = burin_round_half(sums[c] + burin_round_half(x[c] * w[c]));
}

FAST static void multiply(float *restrict sums, const float *restrict x, const float *restrict w, uint64_t count) {
  for (uint64_t c = 0; c < count; ++c)
    sums[c] = sums[c] + x[c] * w[c];
}

void burin_vpu_run_depthwise(const burin_vpu_machine *machine, const burin_vpu_task *task) {
  stage s = set_up(machine, task);
  const uint32_t *in = s.in->dims, *k = s.weights->dims, *out = s.out->dims;
  float sums[64];
  for (uint64_t n = 0; n < out[0]; ++n)
    for (uint64_t y = 0; y < out[1]; ++y)
      for (uint64_t x = 0; x < out[2]; ++x)
        for (uint32_t c = 0; c < out[3]; c += 64) {
          uint32_t count = out[3] - c < 64 ? out[3] - c : 64;
          for (uint32_t i = 0; i < count; ++i)
            sums[i] = 0.0f;
          for (uint32_t ky = 0; ky < k[1]; ++ky) {
            int64_t iy = (int64_t)(y * task->strides[0] + (uint64_t)ky * task->dilations[0]) - task->pads[0];
            if (!inside(iy, in[1]))
              continue;
            for (uint32_t kx = 0; kx < k[2]; ++kx) {
              int64_t ix = (int64_t)(x * task->strides[1] + (uint64_t)kx * task->dilations[1]) - task->pads[1];
              if (!inside(ix, in[2]))
                continue;
              const float *point = s.input + ((n * in[1] + (uint64_t)iy) * in[2] + (uint64_t)ix) * in[3] + c;
              const float *w = s.filter + ((uint64_t)ky * k[2] + kx) * s.width + c;
              (task->flags & BURIN_VPU_HALF_SUMS ? multiply_halves : multiply)(sums, point, w, count);
            }
          }
          finish(machine, task, &s, n, y, x, c, count, sums);
        }
}

void burin_vpu_run_deconv(const burin_vpu_machine *machine, const burin_vpu_task *task) {
  stage s = set_up(machine, task);
  const uint32_t *in = s.in->dims, *k = s.weights->dims, *out = s.out->dims;
  uint64_t per_group = k[4], channels = in[3] / task->groups;
  for (uint64_t n = 0; n < out[0]; ++n)
    for (uint64_t y = 0; y < out[1]; ++y)
      for (uint64_t x = 0; x < out[2]; ++x)
        for (uint64_t g = 0; g < task->groups; ++g)
          for (uint64_t j = 0; j < per_group; j += BLOCK) {
            uint64_t count = per_group - j < BLOCK ? per_group - j : BLOCK;
            float sums[BLOCK] = {0};
            for (uint32_t ky = 0; ky < k[1]; ++ky) {
              int64_t from = (int64_t)(y + task->pads[0]) - (int64_t)ky * task->dilations[0];
              if (from % task->strides[0] || !inside(from / task->strides[0], in[1]) || from < 0)
                continue;
              for (uint32_t kx = 0; kx < k[2]; ++kx) {
                int64_t left = (int64_t)(x + task->pads[1]) - (int64_t)kx * task->dilations[1];
                if (left % task->strides[1] || !inside(left / task->strides[1], in[2]) || left < 0)
                  continue;
                uint64_t iy = (uint64_t)from / task->strides[0], ix = (uint64_t)left / task->strides[1];
                tap(sums, s.input + ((n * in[1] + iy) * in[2] + ix) * in[3] + g * channels,
                    s.filter + (((uint64_t)ky * k[2] + kx) * in[3] + g * channels) * s.width + j, channels, s.width);
              }
            }
            finish(machine, task, &s, n, y, x, (uint32_t)(g * per_group + j), (uint32_t)count, sums);
          }
}

void burin_vpu_run_pool(const burin_vpu_machine *machine, const burin_vpu_task *task) {
  const burin_vpu_view *in = machine->blob->views + task->first_view, *out = in + 1;
  const uint8_t *source = burin_vpu_address(machine, in);
  uint8_t *target = burin_vpu_address(machine, out);
  uint32_t in_size = burin_vpu_dtype_bytes(in->dtype), out_size = burin_vpu_dtype_bytes(out->dtype);
  const uint32_t *k = task->kernel;
  for (uint64_t n = 0; n < out->dims[0]; ++n)
    for (uint64_t y = 0; y < out->dims[1]; ++y)
      for (uint64_t x = 0; x < out->dims[2]; ++x) {
        /* Taps that count in an average: inside the input, or inside it and its padding. */
        int64_t top = (int64_t)(y * task->strides[0]) - task->pads[0],
                left = (int64_t)(x * task->strides[1]) - task->pads[1];
        uint32_t padded = 0, taps = 0;
        for (uint32_t ky = 0; ky < k[0]; ++ky)
          for (uint32_t kx = 0; kx < k[1]; ++kx) {
            int64_t iy = top + (int64_t)ky * task->dilations[0], ix = left + (int64_t)kx * task->dilations[1];
            taps += inside(iy, in->dims[1]) && inside(ix, in->dims[2]);
            padded += iy < (int64_t)in->dims[1] + task->pads[2] && ix < (int64_t)in->dims[2] + task->pads[3];
          }
        if (task->flags & BURIN_VPU_COUNT_PADDING)
          taps = padded;
        for (uint64_t c = 0; c < out->dims[3]; ++c) {
          float sum = task->mode == BURIN_VPU_POOL_MAX ? burin_bits_float(0xff800000u) : 0.0f;
          for (uint32_t ky = 0; ky < k[0]; ++ky) {
            int64_t iy = top + (int64_t)ky * task->dilations[0];
            if (!inside(iy, in->dims[1]))
              continue;
            for (uint32_t kx = 0; kx < k[1]; ++kx) {
              int64_t ix = left + (int64_t)kx * task->dilations[1];
              if (!inside(ix, in->dims[2]))
                continue;
              float v = burin_vpu_read(source + (n * in->strides[0] + (uint64_t)iy * in->strides[1] +
                                                 (uint64_t)ix * in->strides[2] + c * in->strides[3]) *
                                                    in_size,
                                       in->dtype);
              if (task->mode != BURIN_VPU_POOL_MAX)
                sum = sum + v;
              else if (v != v || v > sum)
                sum = sum != sum ? sum : v;
            }
          }
          if (task->mode == BURIN_VPU_POOL_AVERAGE)
            sum = sum / (float)(taps ? taps : 1);
          sum = sum < task->low ? task->low : sum;
          sum = sum > task->high ? task->high : sum;
          burin_vpu_write(target +
                              (n * out->strides[0] + y * out->strides[1] + x * out->strides[2] + c * out->strides[3]) *
                                  out_size,
                          out->dtype, burin_round_half(sum));
        }
      }
}

/* On shaves: the maximum is exact, exponentials and their sum are f32, each quotient is rounded once. */
void burin_vpu_run_softmax(const burin_vpu_machine *machine, const burin_vpu_task *task) {
  const burin_vpu_view *in = machine->blob->views + task->first_view, *out = in + 1;
  uint32_t last = in->rank - 1u, count = in->dims[last], in_size = burin_vpu_dtype_bytes(in->dtype),
           out_size = burin_vpu_dtype_bytes(out->dtype);
  uint64_t rows = count ? elements(in) / count : 0;
  float *terms = (float *)(void *)machine->memory->scratch;
  for (uint64_t row = 0; row < rows; ++row) {
    uint64_t rest = row, from = 0, to = 0;
    for (uint32_t d = last; d-- > 0;) {
      from += rest % in->dims[d] * in->strides[d];
      to += rest % in->dims[d] * out->strides[d];
      rest /= in->dims[d];
    }
    const uint8_t *source = burin_vpu_address(machine, in) + from * in_size;
    uint8_t *target = burin_vpu_address(machine, out) + to * out_size;
    float top = burin_bits_float(0xff800000u), sum = 0.0f;
    for (uint32_t i = 0; i < count; ++i) {
      terms[i] = burin_vpu_read(source + (uint64_t)i * in->strides[last] * in_size, in->dtype);
      if (terms[i] != terms[i] || terms[i] > top)
        top = top != top ? top : terms[i];
    }
    for (uint32_t i = 0; i < count; ++i) {
      terms[i] = burin_vpu_exp(terms[i] - top);
      sum = sum + terms[i];
    }
    for (uint32_t i = 0; i < count; ++i)
      burin_vpu_write(target + (uint64_t)i * out->strides[last] * out_size, out->dtype,
                      burin_round_half(terms[i] / sum));
  }
}
