/* The sentence behind a status. It looks again at what the failed call looked at, so nothing has to be kept for it. */
#include "runtime/hosted/explain.h"
#include "runtime/hosted/array.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* What the driver said; there only where the model calls a device. */
__attribute__((weak)) const char *burin_cuda_error(void);

/* The input before `tensor` that gave the symbol `name` its size; -1 if none did. */
static int64_t input_with(const burin_model *model, uint32_t tensor, const char *name, int32_t *dim) {
  for (uint32_t i = 0; i < tensor && i < model->num_inputs; ++i)
    for (int32_t d = 0; d < model->inputs[i].rank; ++d) {
      const char *other = model->inputs[i].dim_names ? model->inputs[i].dim_names[d] : NULL;
      if (model->inputs[i].dims[d] < 0 && other && !strcmp(other, name)) {
        *dim = d;
        return i;
      }
    }
  return -1;
}

int burin_is_region(const burin_model *model, uint32_t i) {
  static const char SUFFIX[] = "_region";
  const burin_tensor_info *info = &model->inputs[i];
  size_t length = strlen(info->name), end = sizeof SUFFIX - 1;
  if (info->dtype != BURIN_INT32 || info->rank != 1 || info->dims[0] != 4 || length <= end ||
      strcmp(info->name + length - end, SUFFIX) != 0)
    return 0;
  for (uint32_t k = 0; k < model->num_inputs; ++k)
    if (strlen(model->inputs[k].name) == length - end && !strncmp(model->inputs[k].name, info->name, length - end))
      return 1;
  return 0;
}

/* The run does not say which; where there is one it is this. */
static const char *explain_region(char *buffer, size_t size, const burin_model *model, const burin_tensor *inputs) {
  for (uint32_t i = 0; i < model->num_inputs; ++i)
    if (burin_is_region(model, i) && inputs[i].data) {
      const int32_t *r = inputs[i].data;
      snprintf(buffer, size, "input '%.200s': expected x, y, width and height inside the frame, got %d, %d, %d, %d",
               model->inputs[i].name, (int)r[0], (int)r[1], (int)r[2], (int)r[3]);
      return buffer;
    }
  snprintf(buffer, size, "%s", burin_status_text(BURIN_ERROR_REGION));
  return buffer;
}

const char *burin_explain(char *buffer, size_t size, const burin_model *model, const burin_context *context,
                          const burin_tensor *inputs, const burin_tensor *outputs, burin_status status) {
  int64_t index = context->error_tensor;
  if (index < 0 && status == BURIN_ERROR_SHAPE && model->flags & BURIN_HAS_FREE_DIMS)
    snprintf(buffer, size,
             "the shapes of the inputs do not fit one another, or some value in them does not fit a shape");
  else if (status == BURIN_ERROR_REGION)
    return explain_region(buffer, size, model, inputs);
  else if (status == BURIN_ERROR_CALL && burin_cuda_error && *burin_cuda_error())
    snprintf(buffer, size, "%s", burin_cuda_error());
  else
    snprintf(buffer, size, "%s", burin_status_text(status));
  if (index < 0 || index >= (int64_t)model->num_inputs + model->num_outputs)
    return buffer;
  int is_input = index < (int64_t)model->num_inputs;
  const burin_tensor_info *info = is_input ? &model->inputs[index] : &model->outputs[index - model->num_inputs];
  const burin_tensor *tensor = is_input ? &inputs[index] : outputs ? &outputs[index - model->num_inputs] : NULL;
  const char *kind = is_input ? "input" : "output";
  int32_t d = context->error_dim;
  if (tensor && status == BURIN_ERROR_TYPE) {
    snprintf(buffer, size, "%s '%.200s': expected %s, got %s", kind, info->name, burin_dtype_name(info->dtype),
             burin_dtype_name(tensor->dtype));
  } else if (tensor && status == BURIN_ERROR_RANK) {
    snprintf(buffer, size, "%s '%.200s': expected %d dims, got %d", kind, info->name, (int)info->rank,
             (int)tensor->rank);
  } else if (tensor && status == BURIN_ERROR_SHAPE && d >= 0 && d < info->rank) {
    const char *name = info->dim_names ? info->dim_names[d] : NULL;
    char wanted[300];
    int32_t other_dim = 0;
    int64_t other = name && info->dims[d] < 0 ? input_with(model, (uint32_t)index, name, &other_dim) : -1;
    if (info->dims[d] >= 0)
      snprintf(wanted, sizeof wanted, "expected %" PRId64, info->dims[d]);
    else if (tensor->dims[d] < 0)
      snprintf(wanted, sizeof wanted, "expected 0 or more");
    else if (other >= 0 && inputs[other].dims[other_dim] != tensor->dims[d])
      snprintf(wanted, sizeof wanted, "expected %" PRId64 ", as dim %d of input '%.100s' has",
               inputs[other].dims[other_dim], (int)other_dim, model->inputs[other].name);
    else
      snprintf(wanted, sizeof wanted, "expected another size");
    snprintf(buffer, size, "%s '%.200s': dim %d%s%.100s%s: %s, got %" PRId64, kind, info->name, (int)d,
             name ? " ('" : "", name ? name : "", name ? "')" : "", wanted, tensor->dims[d]);
  } else {
    snprintf(buffer, size, "%s '%.200s': %s", kind, info->name, burin_status_text(status));
  }
  return buffer;
}
