/* Tensors of the command line: inputs matched to the model or made up, outputs, and their comparison with what was
 * expected. */
#include "runtime/hosted/cli_internal.h"
#include "runtime/hosted/explain.h"
#include "runtime/hosted/npz.h"
#include "runtime/hosted/random.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *info_text(char *buffer, size_t size, const burin_tensor_info *info) {
  return burin_type_text(buffer, size, info->dtype, info->rank, info->dims, info->dim_names);
}

static const char *tensor_text(char *buffer, size_t size, const burin_tensor *tensor) {
  return burin_type_text(buffer, size, tensor->dtype, tensor->rank, tensor->dims, NULL);
}

/* "'x' float32[1,3], 'y' ..." */
static const char *list_text(char *buffer, size_t size, const burin_tensor_info *infos, uint32_t count) {
  size_t used = 0;
  buffer[0] = 0;
  for (uint32_t i = 0; i < count && used < size; ++i) {
    char type[200];
    used += (size_t)snprintf(buffer + used, size - used, "%s'%s' %s", i ? ", " : "", infos[i].name,
                             info_text(type, sizeof type, &infos[i]));
  }
  return buffer;
}

static int is_narrow(int32_t dtype) { return dtype >= BURIN_FLOAT8E4M3FN && dtype <= BURIN_INT2; }

/* An npy file cannot say which narrow type its bytes are (see npy.c). */
static int same_type(int32_t wanted, int32_t given) {
  return wanted == given || (is_narrow(wanted) && given == BURIN_UINT8);
}

static int fits(const burin_tensor_info *info, const burin_tensor *tensor) {
  if (!same_type(info->dtype, tensor->dtype) || info->rank != tensor->rank)
    return 0;
  for (int32_t d = 0; d < info->rank; ++d)
    if (info->dims[d] >= 0 && info->dims[d] != tensor->dims[d])
      return 0;
  return 1;
}

int burin_cli_random_inputs(burin_cli *cli, burin_error *error) {
  for (uint32_t i = 0; i < cli->model->num_inputs; ++i) {
    const burin_tensor_info *info = &cli->model->inputs[i];
    burin_tensor tensor = {.dtype = info->dtype, .rank = info->rank};
    for (int32_t d = 0; d < info->rank; ++d)
      tensor.dims[d] = info->dims[d] < 0 ? 1 : info->dims[d];
    if (burin_tensor_allocate(&tensor, error))
      return -1;
    if (!burin_is_region(cli->model, i)) /* else zeros: the whole frame */
      burin_fill_random(&tensor, i);
    if (burin_arrays_add(&cli->given, info->name, strlen(info->name), &tensor, error))
      return -1;
  }
  return 0;
}

static int add_region(burin_cli *cli, const char *name, const int32_t *region, burin_error *error) {
  burin_tensor tensor = {.dtype = BURIN_INT32, .rank = 1, .dims = {4}};
  if (burin_tensor_allocate(&tensor, error))
    return -1;
  memcpy(tensor.data, region, 4 * sizeof *region);
  return burin_arrays_add(&cli->given, name, strlen(name), &tensor, error);
}

int burin_cli_read_region(burin_cli *cli, const char *value, burin_error *error) {
  const char *equals = strrchr(value, '='), *text = equals ? equals + 1 : value, *found = NULL;
  size_t length = equals ? (size_t)(equals - value) : 0;
  for (uint32_t i = 0; i < cli->model->num_inputs; ++i) {
    const char *name = cli->model->inputs[i].name;
    if (!burin_is_region(cli->model, i) ||
        (equals && (strncmp(name, value, length) || strcmp(name + length, "_region"))))
      continue;
    if (found)
      return burin_fail(error, "--region: several frames have regions; name one: --region NAME=WxH+X+Y");
    found = name;
  }
  if (!found)
    return burin_fail(error,
                      "--region: no input takes a region; compile with --image-input NAME=FORMAT:WxH:region=run");
  int32_t r[4];
  char end;
  if (sscanf(text, "%" SCNd32 "x%" SCNd32 "+%" SCNd32 "+%" SCNd32 "%c", &r[2], &r[3], &r[0], &r[1], &end) != 4)
    return burin_fail(error, "--region: expected [NAME=]WxH+X+Y, got '%s'", value);
  return add_region(cli, found, r, error);
}

int burin_cli_bind_inputs(burin_cli *cli, burin_error *error) {
  const burin_model *model = cli->model;
  char text[600], other[300];
  for (uint32_t i = 0; i < model->num_inputs + model->num_outputs; ++i) {
    int is_input = i < model->num_inputs;
    const burin_tensor_info *info = is_input ? &model->inputs[i] : &model->outputs[i - model->num_inputs];
    if (info->dtype == BURIN_STRING)
      return burin_fail(
          error, "%s '%.200s' is a tensor of strings, which npz files do not hold; run this model from Python or C",
          is_input ? "input" : "output", info->name);
  }
  for (size_t g = 0; g < cli->given.count; ++g) {
    uint32_t i = 0;
    while (i < model->num_inputs && strcmp(model->inputs[i].name, cli->given.items[g].name))
      ++i;
    if (i == model->num_inputs)
      return burin_fail(error, "the model has no input '%.200s'; expected %s", cli->given.items[g].name,
                        list_text(text, sizeof text, model->inputs, model->num_inputs));
  }
  cli->inputs = calloc((size_t)model->num_inputs + 1, sizeof *cli->inputs);
  if (!cli->inputs)
    return burin_fail(error, "out of memory");
  for (uint32_t i = 0; i < model->num_inputs; ++i) {
    const burin_tensor_info *info = &model->inputs[i];
    static const int32_t whole[4];
    if (burin_is_region(model, i) && !burin_arrays_find(&cli->given, info->name) &&
        add_region(cli, info->name, whole, error))
      return -1;
    const burin_array *array = burin_arrays_find(&cli->given, info->name);
    if (!array)
      return burin_fail(error, "missing input '%.200s', expected %s; give --inputs X.npz or --input '%.200s'=FILE.npy",
                        info->name, info_text(text, sizeof text, info), info->name);
    if (!fits(info, &array->tensor))
      return burin_fail(error, "input '%.200s': expected %s, got %s", info->name, info_text(text, sizeof text, info),
                        tensor_text(other, sizeof other, &array->tensor));
    cli->inputs[i] = array->tensor;
    cli->inputs[i].dtype = info->dtype;
  }
  return 0;
}

int burin_cli_allocate_outputs(burin_cli *cli, burin_error *error) {
  const burin_model *model = cli->model;
  cli->outputs = calloc((size_t)model->num_outputs + 1, sizeof *cli->outputs);
  cli->output_tensors = calloc((size_t)model->num_outputs + 1, sizeof *cli->output_tensors);
  int64_t *dims = calloc((size_t)model->num_outputs * BURIN_MAX_RANK + 1, sizeof *dims);
  int failed = cli->outputs && cli->output_tensors && dims ? 0 : burin_fail(error, "out of memory");
  burin_status status = failed ? BURIN_OK : burin_plan(model, &cli->context, cli->inputs, dims, &cli->arena_bytes);
  if (status != BURIN_OK) {
    char text[sizeof error->text];
    failed = burin_fail(error, "%s", burin_explain(text, sizeof text, model, &cli->context, cli->inputs, NULL, status));
  }
  for (uint32_t i = 0; i < model->num_outputs && !failed; ++i) {
    const burin_tensor_info *info = &model->outputs[i];
    burin_tensor *tensor = &cli->output_tensors[i];
    cli->outputs[i].name = (char *)(uintptr_t)info->name;
    tensor->dtype = info->dtype;
    tensor->rank = info->rank;
    int known = 1;
    for (int32_t d = 0; d < info->rank; ++d) {
      tensor->dims[d] = dims[i * BURIN_MAX_RANK + d];
      known &= tensor->dims[d] >= 0;
    }
    /* What data decides is allocated by the run. */
    failed = known && burin_tensor_allocate(tensor, error) ? -1 : 0;
    cli->outputs[i].tensor = *tensor;
  }
  free(dims);
  return failed;
}

static double half_to_double(uint16_t half) {
  int exponent = half >> 10 & 31, mantissa = half & 1023;
  double value = exponent == 31 ? (mantissa ? NAN : INFINITY)
                 : exponent     ? (1024 + mantissa) * (double)(1 << exponent) / (1 << 25)
                                : mantissa / (double)(1 << 24);
  return half & 0x8000 ? -value : value;
}

/* Element i as a double; for complex types, number i of twice as many. */
static double element(const burin_tensor *tensor, uint64_t i) {
  switch (tensor->dtype) {
  case BURIN_FLOAT:
  case BURIN_COMPLEX64:
    return (double)((const float *)tensor->data)[i];
  case BURIN_DOUBLE:
  case BURIN_COMPLEX128:
    return ((const double *)tensor->data)[i];
  case BURIN_FLOAT16:
    return half_to_double(((const uint16_t *)tensor->data)[i]);
  case BURIN_BFLOAT16: {
    uint32_t bits = (uint32_t)((const uint16_t *)tensor->data)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return (double)value;
  }
  case BURIN_INT8:
    return ((const int8_t *)tensor->data)[i];
  case BURIN_UINT16:
    return ((const uint16_t *)tensor->data)[i];
  case BURIN_INT16:
    return ((const int16_t *)tensor->data)[i];
  case BURIN_UINT32:
    return ((const uint32_t *)tensor->data)[i];
  case BURIN_INT32:
    return ((const int32_t *)tensor->data)[i];
  case BURIN_UINT64:
    return (double)((const uint64_t *)tensor->data)[i];
  case BURIN_INT64:
    return (double)((const int64_t *)tensor->data)[i];
  default:
    return ((const uint8_t *)tensor->data)[i];
  }
}

static uint64_t count_of(const burin_tensor *tensor) {
  uint64_t count = burin_bytes_of(tensor->dtype, tensor->rank, tensor->dims) / burin_dtype_size(tensor->dtype);
  return tensor->dtype == BURIN_COMPLEX64 || tensor->dtype == BURIN_COMPLEX128 ? 2 * count : count;
}

int burin_cli_compare(const burin_cli *cli, burin_error *error) {
  burin_arrays expected = {0};
  int status = burin_npz_read(cli->options.expect, &expected, error);
  const char *wrong = NULL;
  for (size_t e = 0; e < expected.count && !status; ++e) {
    const burin_array *want = &expected.items[e];
    char text[600], other[300];
    uint32_t o = 0;
    while (o < cli->model->num_outputs && strcmp(cli->outputs[o].name, want->name))
      ++o;
    if (o == cli->model->num_outputs) {
      status = burin_fail(error, "'%.200s': the model has no output '%.200s'; it has %s", cli->options.expect,
                          want->name, list_text(text, sizeof text, cli->model->outputs, cli->model->num_outputs));
      break;
    }
    const burin_tensor *got = &cli->outputs[o].tensor;
    if (!same_type(got->dtype, want->tensor.dtype) || got->rank != want->tensor.rank ||
        memcmp(got->dims, want->tensor.dims, sizeof(int64_t) * (size_t)got->rank)) {
      status = burin_fail(error, "output '%.200s': expected %s, got %s", want->name,
                          tensor_text(text, sizeof text, &want->tensor), tensor_text(other, sizeof other, got));
      break;
    }
    uint64_t count = count_of(got), differ = 0;
    double worst = 0;
    for (uint64_t i = 0; i < count; ++i) {
      double a = element(got, i), b = element(&want->tensor, i), distance = fabs(a - b);
      if (a == b || (isnan(a) && isnan(b)))
        continue;
      /* Written so that a NaN or an infinity on one side only counts as different. */
      if (!(distance <= cli->options.atol + cli->options.rtol * fabs(b)) || isinf(b))
        ++differ;
      if (!(distance <= worst))
        worst = distance;
    }
    printf("output '%s': %s, largest difference %.3g, %" PRIu64 " of %" PRIu64 " beyond rtol %g atol %g\n", want->name,
           differ ? "differs" : "as expected", worst, differ, count, cli->options.rtol, cli->options.atol);
    if (differ && !wrong)
      wrong = cli->outputs[o].name;
  }
  if (!status && !expected.count)
    status = burin_fail(error, "'%.300s' holds no arrays to compare with", cli->options.expect);
  if (!status && wrong)
    status = burin_fail(error, "output '%.200s' differs from '%.300s'", wrong, cli->options.expect);
  burin_arrays_free(&expected);
  return status;
}

void burin_cli_summarize(const burin_cli *cli) {
  for (uint32_t o = 0; o < cli->model->num_outputs; ++o) {
    const burin_tensor *tensor = &cli->outputs[o].tensor;
    char text[300];
    double least = INFINITY, most = -INFINITY, sum = 0;
    uint64_t count = count_of(tensor);
    for (uint64_t i = 0; i < count; ++i) {
      double value = element(tensor, i);
      least = value < least ? value : least;
      most = value > most ? value : most;
      sum += value;
    }
    printf("output '%s' %s", cli->outputs[o].name, tensor_text(text, sizeof text, tensor));
    if (count)
      printf(": min %g, max %g, mean %g", least, most, sum / (double)count);
    printf("\n");
  }
}
