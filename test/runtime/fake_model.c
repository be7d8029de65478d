/* A program whose model is made by hand: y = x * n and the sum of x, in two layers, through the profile and parallel
 * hooks. */
#include "burin/runtime.h"

static void scale_row(void *data, int64_t row) {
  void *const *p = data;
  const float *x = p[0];
  float *y = p[1];
  const int64_t n = *(const int64_t *)p[2];
  for (int i = 0; i < 3; ++i)
    y[row * 3 + i] = x[row * 3 + i] * (float)n;
}

static int32_t entry(const burin_tensor *inputs, burin_tensor *outputs, void *arena, const void *weights,
                     const burin_context *context) {
  const burin_profile *profile = context->profile;
  const burin_parallel *parallel = context->parallel;
  void *data[] = {inputs[0].data, outputs[0].data, inputs[1].data};
  (void)arena, (void)weights;
  if (profile)
    profile->layer(profile->user, 0, 0);
  if (parallel)
    parallel->run(parallel->user, scale_row, data, 2);
  else
    for (int64_t row = 0; row < 2; ++row)
      scale_row(data, row);
  if (profile) {
    profile->layer(profile->user, 0, 1);
    profile->layer(profile->user, 1, 0);
  }
  double sum = 0;
  for (int i = 0; i < 6; ++i)
    sum += (double)((const float *)inputs[0].data)[i];
  *(double *)outputs[1].data = sum;
  if (profile)
    profile->layer(profile->user, 1, 1);
  return sum > 1e6 ? BURIN_ERROR_INTERNAL : BURIN_OK;
}

static const _Alignas(64) float weights[16] = {1};
static const burin_tensor_info inputs[] = {{"x", BURIN_FLOAT, 2, {2, 3}, 0}, {"n=1", BURIN_INT64, 0, {0}, 0}};
static const burin_tensor_info outputs[] = {{"y", BURIN_FLOAT, 2, {2, 3}, 0}, {"sum", BURIN_DOUBLE, 0, {0}, 0}};
static const burin_layer_info layers[] = {{"mul\"1\"", "elementwise", 6, 48}, {"reduce", "reduce", 6, 32}};
static const burin_weight_info weight_table[] = {{"w", 0, 64, 60, BURIN_FLOAT, BURIN_PACKED}};
static const burin_variant variants[] = {{"future", 1ull << 40, entry}, {"base", 0, entry}};

extern const burin_model burin_program_model;
const burin_model burin_program_model = {BURIN_MODEL_MAGIC,
                                         BURIN_ABI_VERSION,
                                         "fake",
                                         "{\"source\":\"by hand\"}",
                                         0,
                                         2,
                                         2,
                                         2,
                                         1,
                                         2,
                                         inputs,
                                         outputs,
                                         layers,
                                         weight_table,
                                         variants,
                                         weights,
                                         sizeof weights,
                                         1000,
                                         960,
                                         NULL};
