/* burin_run and its friends against models made by hand: everything a caller can get wrong, and that nothing is written
 * then. */
#include "burin/runtime.h"
#include "test/runtime/check.h"

#include <stdlib.h>
#include <string.h>

static int calls;

static int32_t add_one(const burin_tensor *inputs, burin_tensor *outputs, void *arena, const void *weights,
                       const burin_context *context) {
  const float *x = inputs[0].data, *w = weights;
  float *y = outputs[0].data;
  (void)context;
  ++calls;
  memset(arena, 1, 64);
  for (int i = 0; i < 6; ++i)
    y[i] = x[i] + w[0];
  return BURIN_OK;
}

static int32_t count_call(const burin_tensor *inputs, burin_tensor *outputs, void *arena, const void *weights,
                          const burin_context *context) {
  (void)inputs, (void)outputs, (void)arena, (void)weights, (void)context;
  ++calls;
  return BURIN_OK;
}

static const _Alignas(64) float one[16] = {1};
static const burin_tensor_info inputs_info[] = {{"x", BURIN_FLOAT, 2, {2, 3}, NULL}};
static const burin_tensor_info outputs_info[] = {{"y", BURIN_FLOAT, 2, {2, 3}, NULL}};
static const burin_variant variants[] = {{"future", 1ull << 40, count_call}, {"base", 0, add_one}};

static burin_model make_model(void) {
  return (burin_model){.magic = BURIN_MODEL_MAGIC,
                       .abi_version = BURIN_ABI_VERSION,
                       .name = "m",
                       .manifest = "{}",
                       .num_inputs = 1,
                       .num_outputs = 1,
                       .num_variants = 2,
                       .inputs = inputs_info,
                       .outputs = outputs_info,
                       .variants = variants,
                       .weights = one,
                       .weights_bytes = sizeof one,
                       .arena_bytes = 64,
                       .peak_live_bytes = 64};
}

static void test_run(void) {
  burin_model model = make_model();
  _Alignas(64) char arena[128];
  float x[6] = {0, 1, 2, 3, 4, 5}, y[8] = {0};
  burin_tensor in = {.data = x, .dtype = BURIN_FLOAT, .rank = 2, .dims = {2, 3}}, out = in;
  out.data = y;
  burin_context context = {.abi_version = BURIN_ABI_VERSION, .arena = arena, .arena_bytes = sizeof arena};
  CHECK(burin_check_model(&model) == BURIN_OK);
  CHECK(burin_select_variant(&model) == &variants[1]);
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_OK);
  CHECK(y[0] == 1 && y[5] == 6 && y[6] == 0 && calls == 1);
  CHECK(context.error_tensor == -1 && context.error_dim == -1);

  burin_tensor bad, good = out;
  memset(y, 0, sizeof y);
#define FAILS(status, tensor, dim)                                                                                     \
  CHECK(context.error_tensor == (tensor) && context.error_dim == (dim) && (status) != BURIN_OK && calls == 1 &&        \
        y[0] == 0)
#define RUN_IN(change, status, dim)                                                                                    \
  bad = in;                                                                                                            \
  change;                                                                                                              \
  CHECK(burin_run(&model, &context, &bad, &out) == status);                                                            \
  FAILS(status, 0, dim)
#define RUN_OUT(change, status, dim)                                                                                   \
  bad = good;                                                                                                          \
  change;                                                                                                              \
  CHECK(burin_run(&model, &context, &in, &bad) == status);                                                             \
  FAILS(status, 1, dim)
  RUN_IN(bad.dtype = BURIN_DOUBLE, BURIN_ERROR_TYPE, -1);
  RUN_IN(bad.rank = 1, BURIN_ERROR_RANK, -1);
  RUN_IN(bad.rank = -5, BURIN_ERROR_RANK, -1);
  RUN_IN(bad.dims[0] = 3, BURIN_ERROR_SHAPE, 0);
  RUN_IN(bad.dims[1] = -3, BURIN_ERROR_SHAPE, 1);
  RUN_IN(bad.data = NULL, BURIN_ERROR_NULL, -1);
  RUN_IN(bad.capacity = 23, BURIN_ERROR_CAPACITY, -1);
  RUN_IN((bad.strides[0] = 1, bad.strides[1] = 2), BURIN_ERROR_LAYOUT, 1);
  RUN_IN((bad.strides[0] = 4, bad.strides[1] = 1), BURIN_ERROR_LAYOUT, 0);
  RUN_OUT(bad.dtype = BURIN_INT32, BURIN_ERROR_TYPE, -1);
  RUN_OUT(bad.rank = 3, BURIN_ERROR_RANK, -1);
  RUN_OUT(bad.dims[1] = 4, BURIN_ERROR_SHAPE, 1);
  RUN_OUT(bad.data = NULL, BURIN_ERROR_NULL, -1);
  RUN_OUT(bad.capacity = 8, BURIN_ERROR_CAPACITY, -1);

  context.arena_bytes = 63;
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_ERROR_ARENA);
  context.arena_bytes = 64, context.arena = arena + 4;
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_ERROR_ARENA);
  context.arena = NULL;
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_ERROR_ARENA);
  context.arena = arena, context.abi_version = 99;
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_ERROR_ABI);
  context.abi_version = BURIN_ABI_VERSION;
  CHECK(burin_run(&model, &context, NULL, &out) == BURIN_ERROR_NULL);
  CHECK(burin_run(&model, &context, &in, NULL) == BURIN_ERROR_NULL);
  CHECK(burin_run(&model, NULL, &in, &out) == BURIN_ERROR_NULL);
  CHECK(burin_run(NULL, &context, &in, &out) == BURIN_ERROR_ABI);
  model.flags = BURIN_NEEDS_ALLOCATOR;
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_ERROR_ALLOCATOR);
  model.flags = 0;
  CHECK(calls == 1 && y[0] == 0);

  /* What strides and capacity may be. */
  out.strides[0] = 3, out.strides[1] = 1, out.capacity = 1000;
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_OK && calls == 2 && y[5] == 6);
}

static void test_check_model(void) {
  burin_model model = make_model();
  CHECK(burin_check_model(NULL) == BURIN_ERROR_ABI);
  model.magic = 0;
  CHECK(burin_check_model(&model) == BURIN_ERROR_ABI);
  model = make_model(), model.abi_version = 1;
  CHECK(burin_check_model(&model) == BURIN_ERROR_ABI);
  model = make_model(), model.num_variants = 1;
  CHECK(burin_check_model(&model) == BURIN_ERROR_CPU && !burin_select_variant(&model));
  model = make_model(), model.weights = (const char *)one + 4;
  CHECK(burin_check_model(&model) == BURIN_ERROR_INTERNAL);
}

static void test_free_dims(void) {
  static const char *const a_names[] = {"batch", NULL}, *const b_names[] = {"length", "batch"},
                           *const y_names[] = {"batch", NULL};
  const burin_tensor_info in_info[] = {{"a", BURIN_FLOAT, 2, {-1, 4}, a_names},
                                       {"b", BURIN_UINT8, 2, {-1, -1}, b_names}};
  const burin_tensor_info out_info[] = {{"y", BURIN_DOUBLE, 2, {-1, -1}, y_names}};
  const burin_variant variant = {"base", 0, count_call};
  burin_model model = make_model();
  model.inputs = in_info, model.num_inputs = 2, model.outputs = out_info, model.variants = &variant,
  model.num_variants = 1;
  model.arena_bytes = 0, model.flags = BURIN_HAS_FREE_DIMS;
  burin_context context = {.abi_version = BURIN_ABI_VERSION};
  static double buffer[256];
  burin_tensor in[] = {{.data = buffer, .dtype = BURIN_FLOAT, .rank = 2, .dims = {5, 4}},
                       {.data = buffer, .dtype = BURIN_UINT8, .rank = 2, .dims = {7, 5}}};
  burin_tensor out = {.data = buffer, .dtype = BURIN_DOUBLE, .rank = 2, .dims = {0, 3}, .capacity = sizeof buffer};
  calls = 0;
  CHECK(burin_run(&model, &context, in, &out) == BURIN_OK && out.dims[0] == 5 && out.dims[1] == 3);
  in[1].dims[1] = 6; /* both are called batch */
  CHECK(burin_run(&model, &context, in, &out) == BURIN_ERROR_SHAPE && context.error_tensor == 1 &&
        context.error_dim == 1);
  in[1].dims[1] = 5, out.dims[1] = 1000;
  CHECK(burin_run(&model, &context, in, &out) == BURIN_ERROR_CAPACITY && context.error_tensor == 2);
  out.dims[1] = INT64_MAX / 2;
  CHECK(burin_run(&model, &context, in, &out) == BURIN_ERROR_SHAPE && context.error_tensor == 2 && out.dims[0] == 5);
  out.dims[1] = 0, out.data = NULL, out.capacity = 0; /* nothing to hold */
  CHECK(burin_run(&model, &context, in, &out) == BURIN_OK);
  in[0].dims[0] = in[1].dims[1] = INT64_MAX;
  CHECK(burin_run(&model, &context, in, &out) == BURIN_ERROR_SHAPE && context.error_tensor == 0 &&
        context.error_dim == 0);
  in[0].dims[0] = in[1].dims[1] = 0;
  CHECK(burin_run(&model, &context, in, &out) == BURIN_OK && out.dims[0] == 0 && calls == 3);
}

/* Two rows more than the input has, and a column for each positive number in it, which only the run can count. */
static int32_t plan_rows(const burin_tensor *inputs, int64_t *output_dims, uint64_t *arena_bytes) {
  output_dims[0] = inputs[0].dims[0] + 2, output_dims[1] = 4;
  output_dims[BURIN_MAX_RANK] = -1;
  *arena_bytes = (uint64_t)inputs[0].dims[0] * 64;
  return inputs[0].dims[0] == 13 ? BURIN_ERROR_SHAPE : BURIN_OK;
}

static int32_t find_positive(const burin_tensor *inputs, burin_tensor *outputs, void *arena, const void *weights,
                             const burin_context *context) {
  (void)arena, (void)weights;
  const float *x = inputs[0].data;
  int64_t count = 0;
  for (int64_t i = 0; i < inputs[0].dims[0]; ++i)
    count += x[i] > 0;
  outputs[1].dims[0] = count;
  uint64_t bytes = (uint64_t)count * sizeof(float);
  if (outputs[1].capacity < bytes || !outputs[1].data) {
    if (!context->allocator)
      return BURIN_ERROR_CAPACITY;
    outputs[1].data = context->allocator->allocate(context->allocator->user, bytes, BURIN_ALIGNMENT);
    outputs[1].capacity = bytes;
  }
  ++calls;
  return BURIN_OK;
}

static void *allocate(void *user, size_t bytes, size_t alignment) {
  ++*(int *)user;
  return aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
}

static void test_plan(void) {
  int64_t dims[2 * BURIN_MAX_RANK] = {0};
  uint64_t arena_bytes = 0;
  burin_model model = make_model();
  burin_tensor in = {.dtype = BURIN_FLOAT, .rank = 2, .dims = {2, 3}};
  CHECK(burin_plan(&model, NULL, &in, dims, &arena_bytes) == BURIN_OK && dims[0] == 2 && dims[1] == 3 && dims[2] == 0 &&
        arena_bytes == 64);

  const burin_tensor_info in_info[] = {{"a", BURIN_FLOAT, 1, {-1}, NULL}};
  const burin_tensor_info out_info[] = {{"y", BURIN_DOUBLE, 2, {-1, 4}, NULL}, {"z", BURIN_FLOAT, 1, {-1}, NULL}};
  const burin_variant variant = {"base", 0, find_positive};
  model.inputs = in_info, model.outputs = out_info, model.num_outputs = 2, model.variants = &variant;
  model.num_variants = 1, model.plan = plan_rows, model.flags = BURIN_HAS_FREE_DIMS | BURIN_NEEDS_ALLOCATOR;
  int allocations = 0;
  const burin_allocator allocator = {allocate, NULL, &allocations};
  _Alignas(64) static char arena[256];
  burin_context context = {
      .abi_version = BURIN_ABI_VERSION, .arena = arena, .arena_bytes = sizeof arena, .allocator = &allocator};
  float x[16] = {1, -1, 2, 0}, z[2];
  double y[64];
  in = (burin_tensor){.dtype = BURIN_FLOAT, .rank = 1, .dims = {3}};
  CHECK(burin_plan(&model, &context, &in, dims, &arena_bytes) == BURIN_OK && dims[0] == 5 && dims[1] == 4 &&
        dims[BURIN_MAX_RANK] == -1 && arena_bytes == 192);
  in.dims[0] = -1;
  CHECK(burin_plan(&model, &context, &in, dims, &arena_bytes) == BURIN_ERROR_SHAPE && context.error_tensor == 0 &&
        context.error_dim == 0);
  CHECK(burin_plan(&model, NULL, &in, NULL, &arena_bytes) == BURIN_ERROR_NULL);
  CHECK(burin_plan(NULL, NULL, &in, dims, &arena_bytes) == BURIN_ERROR_ABI);

  burin_tensor out[] = {{.data = y, .dtype = BURIN_DOUBLE, .rank = 2, .dims = {0, 4}, .capacity = sizeof y},
                        {.dtype = BURIN_FLOAT, .rank = 1}};
  calls = 0, in.data = x, in.dims[0] = 4;
  CHECK(burin_run(&model, &context, &in, out) == BURIN_OK && out[0].dims[0] == 6 && out[1].dims[0] == 2 && calls == 1);
  CHECK(allocations == 1 && out[1].capacity == 8);
  free(out[1].data);
  out[1].data = z, out[1].dims[0] = 2, out[1].capacity = 0;
  CHECK(burin_run(&model, &context, &in, out) == BURIN_OK && allocations == 1 && out[1].data == z);
  in.dims[0] = 5;
  CHECK(burin_run(&model, &context, &in, out) == BURIN_ERROR_ARENA && calls == 2);
  in.dims[0] = 13; /* the model's own check */
  CHECK(burin_run(&model, &context, &in, out) == BURIN_ERROR_SHAPE && context.error_tensor == -1 && calls == 2);
  in.dims[0] = 4, out[0].capacity = 6 * 4 * sizeof(double) - 1;
  CHECK(burin_run(&model, &context, &in, out) == BURIN_ERROR_CAPACITY && context.error_tensor == 1 && calls == 2);
}

static void test_texts_and_sizes(void) {
  for (int s = -1; s < 20; ++s)
    CHECK(burin_status_text((burin_status)s)[0] != 0);
  const size_t sizes[] = {0, 4, 1, 1, 2, 2, 4, 8, 0, 1, 2, 8, 4, 8, 8, 16, 2, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0};
  for (int t = 0; t < 28; ++t)
    CHECK(burin_dtype_size(t) == sizes[t]);
  CHECK(burin_dtype_size(-1) == 0);
}

#if defined(__x86_64__)
/* The compiler's own library asks CPUID too. */
static void test_features(void) {
  const struct {
    uint64_t bit;
    int has;
  } features[] = {{BURIN_CPU_AVX2_FMA, __builtin_cpu_supports("x86-64-v3")},
                  {BURIN_CPU_AVX512, __builtin_cpu_supports("x86-64-v4")},
                  {BURIN_CPU_AVX512_VNNI, __builtin_cpu_supports("avx512vnni")}};
  for (int i = 0; i < 3; ++i) {
    const burin_variant variant = {"v", features[i].bit, count_call};
    burin_model model = make_model();
    model.variants = &variant, model.num_variants = 1;
    CHECK((burin_select_variant(&model) != NULL) == (features[i].has != 0));
  }
}
#else
static void test_features(void) {}
#endif

static int32_t halve(const burin_tensor *inputs, burin_tensor *outputs, void *arena, const void *weights,
                     const burin_context *context) {
  (void)arena, (void)weights, (void)context;
  const volatile float *x = inputs[0].data;
  volatile float *y = outputs[0].data;
  for (int i = 0; i < 6; ++i)
    y[i] = x[i] * 0.5f;
  return BURIN_OK;
}

/* A model compiled with --flush-denormals takes them as zero, and leaves its caller's setting alone. */
static void test_flush_denormals(void) {
#if defined(__x86_64__) || defined(__aarch64__)
  static const burin_variant halving[] = {{"base", 0, halve}};
  burin_model model = make_model();
  model.variants = halving;
  model.num_variants = 1;
  _Alignas(64) char arena[128];
  volatile float tiny = 2e-38f;
  float x[6] = {2e-38f, 1e-40f, 1}, y[6] = {0};
  burin_tensor in = {.data = x, .dtype = BURIN_FLOAT, .rank = 2, .dims = {2, 3}}, out = in;
  out.data = y;
  burin_context context = {.abi_version = BURIN_ABI_VERSION, .arena = arena, .arena_bytes = sizeof arena};
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_OK && y[0] > 0 && y[1] > 0 && y[2] == 0.5f);
  model.flags |= BURIN_FLUSH_DENORMALS;
  CHECK(burin_run(&model, &context, &in, &out) == BURIN_OK && y[0] == 0 && y[1] == 0 && y[2] == 0.5f);
  CHECK(tiny * 0.5f > 0);
#endif
}

int main(void) {
  test_run();
  test_flush_denormals();
  test_check_model();
  test_free_dims();
  test_plan();
  test_texts_and_sizes();
  test_features();
  return check_failures;
}
