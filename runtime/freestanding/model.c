/* Checks and runs a compiled model: the code behind include/burin/runtime.h.
 *
 * The model was made by the compiler and is trusted; what the caller hands over (context, tensors) is not, and every
 * mismatch is found before the first byte is written. No libc beyond memcpy/memset, no allocation. */
#include "burin/runtime.h"
#include "runtime/freestanding/cpu.h"

const burin_variant *burin_select_variant(const burin_model *model) {
  for (uint32_t i = 0; i < model->num_variants; ++i) {
    const burin_variant *variant = &model->variants[i];
    /* A model for the base instruction set never asks the CPU. */
    if (variant->features == 0 || (variant->features & ~(uint64_t)burin_cpu_features()) == 0)
      return variant;
  }
  return NULL;
}

/* Whether they can be computed with. */
static burin_status check_weights(const burin_model *model) {
  return model->flags & BURIN_LOCKED_WEIGHTS  ? BURIN_ERROR_KEY
         : model->flags & BURIN_CODED_WEIGHTS ? BURIN_ERROR_WEIGHTS
                                              : BURIN_OK;
}

burin_status burin_check_model(const burin_model *model) {
  if (!model || model->magic != BURIN_MODEL_MAGIC || model->abi_version != BURIN_ABI_VERSION)
    return BURIN_ERROR_ABI;
  if ((uintptr_t)model->weights % BURIN_ALIGNMENT != 0 || (model->weights_bytes && !model->weights))
    return BURIN_ERROR_INTERNAL;
  burin_status status = check_weights(model);
  if (status != BURIN_OK)
    return status;
  return burin_select_variant(model) ? BURIN_OK : BURIN_ERROR_CPU;
}

static int same_text(const char *a, const char *b) {
  while (*a && *a == *b)
    ++a, ++b;
  return *a == *b;
}

static const char *dim_name(const burin_tensor_info *info, int32_t dim) {
  return info->dim_names ? info->dim_names[dim] : NULL;
}

/* The size that an earlier input gave to the free dim called `name`; -1 if none did. */
static int64_t size_of_name(const burin_model *model, const burin_tensor *inputs, uint32_t num_inputs,
                            const char *name) {
  for (uint32_t i = 0; i < num_inputs; ++i)
    for (int32_t d = 0; d < model->inputs[i].rank; ++d) {
      const char *other = dim_name(&model->inputs[i], d);
      if (model->inputs[i].dims[d] < 0 && other && same_text(other, name))
        return inputs[i].dims[d];
    }
  return -1;
}

static burin_status fail(burin_context *context, burin_status status, int64_t tensor, int32_t dim) {
  context->error_tensor = (int32_t)tensor;
  context->error_dim = dim;
  return status;
}

/* Whether a * b may reach 2^63. By bit lengths, because an exact test calls the compiler's library on 32-bit targets.
 */
static int may_overflow(uint64_t a, uint64_t b) { return a && b && __builtin_clzll(a) + __builtin_clzll(b) < 65; }

/* What is left to check once the dims are right: layout, capacity, pointer. */
static burin_status check_memory(const burin_tensor *tensor, const int64_t *dims, int32_t *error_dim) {
  uint64_t bytes = burin_dtype_size(tensor->dtype);
  int empty = 0, packed = 1;
  for (int32_t d = 0; d < tensor->rank; ++d) {
    empty |= dims[d] == 0;
    packed &= tensor->strides[d] == 0;
  }
  int64_t expected = 1;
  for (int32_t d = tensor->rank - 1; d >= 0 && !empty; --d) {
    /* The stride of a dim of one element is never used. */
    if (!packed && dims[d] != 1 && tensor->strides[d] != expected) {
      *error_dim = d;
      return BURIN_ERROR_LAYOUT;
    }
    if (may_overflow(bytes, (uint64_t)dims[d])) {
      *error_dim = d;
      return BURIN_ERROR_SHAPE;
    }
    bytes *= (uint64_t)dims[d];
    expected *= dims[d];
  }
  if (empty)
    bytes = 0;
  if (tensor->capacity && tensor->capacity < bytes)
    return BURIN_ERROR_CAPACITY;
  return tensor->data || !bytes ? BURIN_OK : BURIN_ERROR_NULL;
}

/* The size that a dim must have, by its description or by the inputs before; -1 if only the caller knows. */
static int64_t wanted_dim(const burin_model *model, const burin_tensor *inputs, uint32_t num_inputs,
                          const burin_tensor_info *info, int32_t dim) {
  if (info->dims[dim] >= 0)
    return info->dims[dim];
  const char *name = dim_name(info, dim);
  return name ? size_of_name(model, inputs, num_inputs, name) : -1;
}

/* Type, rank and dims of an input, against its description and the inputs before it. */
static burin_status check_input(const burin_model *model, const burin_tensor *inputs, uint32_t i, int32_t *error_dim) {
  const burin_tensor_info *info = &model->inputs[i];
  if (inputs[i].dtype != info->dtype)
    return BURIN_ERROR_TYPE;
  if (inputs[i].rank != info->rank)
    return BURIN_ERROR_RANK;
  for (int32_t d = 0; d < info->rank; ++d) {
    int64_t wanted = wanted_dim(model, inputs, i, info, d);
    if (inputs[i].dims[d] < 0 || (wanted >= 0 && inputs[i].dims[d] != wanted)) {
      *error_dim = d;
      return BURIN_ERROR_SHAPE;
    }
  }
  return BURIN_OK;
}

/* The dims that an output will have; -1 where only the caller or the run can know. `planned`: what the model's own
 * function said, or NULL. */
static int64_t output_dim(const burin_model *model, const burin_tensor *inputs, const int64_t *planned, uint32_t o,
                          int32_t d) {
  return planned ? planned[o * BURIN_MAX_RANK + d]
                 : wanted_dim(model, inputs, model->num_inputs, &model->outputs[o], d);
}

/* An output's type, rank, dims and memory. Free dims that the inputs decide need not be right yet: burin_run sets them;
 * what data decides is checked by the compiled code. */
static burin_status check_output(const burin_model *model, const burin_tensor *inputs, const int64_t *planned,
                                 uint32_t o, const burin_tensor *tensor, int32_t *error_dim) {
  const burin_tensor_info *info = &model->outputs[o];
  if (tensor->dtype != info->dtype)
    return BURIN_ERROR_TYPE;
  if (tensor->rank != info->rank)
    return BURIN_ERROR_RANK;
  int64_t dims[BURIN_MAX_RANK];
  for (int32_t d = 0; planned && d < info->rank; ++d)
    if (output_dim(model, inputs, planned, o, d) < 0)
      return BURIN_OK;
  for (int32_t d = 0; d < info->rank; ++d) {
    int64_t wanted = output_dim(model, inputs, planned, o, d);
    dims[d] = info->dims[d] < 0 && wanted >= 0 ? wanted : tensor->dims[d];
    if (dims[d] < 0 || (wanted >= 0 && dims[d] != wanted)) {
      *error_dim = d;
      return BURIN_ERROR_SHAPE;
    }
  }
  return check_memory(tensor, dims, error_dim);
}

static int is_our_model(const burin_model *model) {
  return model && model->magic == BURIN_MODEL_MAGIC && model->abi_version == BURIN_ABI_VERSION;
}

burin_status burin_plan(const burin_model *model, burin_context *context, const burin_tensor *inputs,
                        int64_t *output_dims, uint64_t *arena_bytes) {
  burin_context nowhere;
  if (!context)
    context = &nowhere;
  context->error_tensor = context->error_dim = -1;
  if (!is_our_model(model))
    return BURIN_ERROR_ABI;
  if ((model->num_inputs && !inputs) || (model->num_outputs && !output_dims) || !arena_bytes)
    return BURIN_ERROR_NULL;
  int32_t error_dim = -1;
  for (uint32_t i = 0; i < model->num_inputs; ++i) {
    burin_status status = check_input(model, inputs, i, &error_dim);
    if (status != BURIN_OK)
      return fail(context, status, i, error_dim);
  }
  if (model->plan)
    return (burin_status)model->plan(inputs, output_dims, arena_bytes);
  for (uint32_t o = 0; o < model->num_outputs; ++o)
    for (int32_t d = 0; d < BURIN_MAX_RANK; ++d)
      output_dims[o * BURIN_MAX_RANK + d] = d < model->outputs[o].rank ? output_dim(model, inputs, NULL, o, d) : 0;
  *arena_bytes = model->arena_bytes;
  return BURIN_OK;
}

/* Denormals as zero, from here on in this thread, where the CPU can; returns what to restore. */
static uint64_t flush_denormals(void) {
  uint64_t before = 0;
#if defined(__x86_64__)
  uint32_t control, flushed;
  __asm__ volatile("stmxcsr %0" : "=m"(control));
  flushed = control | 0x8040; /* flush to zero, denormals are zero */
  __asm__ volatile("ldmxcsr %0" : : "m"(flushed));
  before = control;
#elif defined(__aarch64__)
  __asm__ volatile("mrs %0, fpcr" : "=r"(before));
  __asm__ volatile("msr fpcr, %0" : : "r"(before | 1u << 24));
#endif
  return before;
}

static void restore(uint64_t before) {
#if defined(__x86_64__)
  uint32_t control = (uint32_t)before;
  __asm__ volatile("ldmxcsr %0" : : "m"(control));
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(before));
#else
  (void)before;
#endif
}

burin_status burin_run(const burin_model *model, burin_context *context, const burin_tensor *inputs,
                       burin_tensor *outputs) {
  if (!context)
    return BURIN_ERROR_NULL;
  context->error_tensor = context->error_dim = -1;
  if (!is_our_model(model) || context->abi_version != BURIN_ABI_VERSION)
    return BURIN_ERROR_ABI;
  if ((model->num_inputs && !inputs) || (model->num_outputs && !outputs))
    return BURIN_ERROR_NULL;
  burin_status weights = check_weights(model);
  if (weights != BURIN_OK)
    return weights;
  const burin_variant *variant = burin_select_variant(model);
  if (!variant)
    return BURIN_ERROR_CPU;
  if ((model->flags & BURIN_NEEDS_ALLOCATOR) && !context->allocator)
    return BURIN_ERROR_ALLOCATOR;

  int32_t error_dim = -1;
  for (uint32_t i = 0; i < model->num_inputs; ++i) {
    burin_status status = check_input(model, inputs, i, &error_dim);
    if (status == BURIN_OK)
      status = check_memory(&inputs[i], inputs[i].dims, &error_dim);
    if (status != BURIN_OK)
      return fail(context, status, i, error_dim);
  }
  /* The model says how many there are, so the stack this takes is as fixed as the arena. */
  int64_t dims[model->plan ? model->num_outputs * BURIN_MAX_RANK + 1 : 1];
  const int64_t *planned = NULL;
  uint64_t arena_bytes = model->arena_bytes;
  if (model->plan) {
    burin_status status = (burin_status)model->plan(inputs, dims, &arena_bytes);
    if (status != BURIN_OK)
      return status;
    planned = dims;
  }
  if (arena_bytes &&
      (!context->arena || context->arena_bytes < arena_bytes || (uintptr_t)context->arena % BURIN_ALIGNMENT != 0))
    return BURIN_ERROR_ARENA;
  for (uint32_t o = 0; o < model->num_outputs; ++o) {
    burin_status status = check_output(model, inputs, planned, o, &outputs[o], &error_dim);
    if (status != BURIN_OK)
      return fail(context, status, (int64_t)model->num_inputs + o, error_dim);
  }
  if (model->flags & BURIN_HAS_FREE_DIMS)
    for (uint32_t o = 0; o < model->num_outputs; ++o) {
      uint64_t bytes = burin_dtype_size(outputs[o].dtype);
      int is_decided = 1;
      for (int32_t d = 0; d < model->outputs[o].rank; ++d) {
        int64_t wanted = output_dim(model, inputs, planned, o, d);
        bytes *= (uint64_t)(outputs[o].dims[d] > 0 ? outputs[o].dims[d] : 0);
        is_decided &= wanted >= 0;
        if (wanted >= 0)
          outputs[o].dims[d] = wanted;
      }
      /* The compiled code compares what it needs with the capacity alone. */
      if (planned && !is_decided && !outputs[o].capacity && outputs[o].data)
        outputs[o].capacity = bytes;
    }
  if (!(model->flags & BURIN_FLUSH_DENORMALS))
    return (burin_status)variant->entry(inputs, outputs, context->arena, model->weights, context);
  uint64_t before = flush_denormals();
  burin_status status = (burin_status)variant->entry(inputs, outputs, context->arena, model->weights, context);
  restore(before);
  return status;
}

size_t burin_dtype_size(int32_t dtype) {
  switch (dtype) {
  case BURIN_UINT8:
  case BURIN_INT8:
  case BURIN_BOOL:
  case BURIN_FLOAT8E4M3FN:
  case BURIN_FLOAT8E4M3FNUZ:
  case BURIN_FLOAT8E5M2:
  case BURIN_FLOAT8E5M2FNUZ:
  case BURIN_UINT4:
  case BURIN_INT4:
  case BURIN_FLOAT4E2M1:
  case BURIN_FLOAT8E8M0:
  case BURIN_UINT2:
  case BURIN_INT2:
    return 1;
  case BURIN_UINT16:
  case BURIN_INT16:
  case BURIN_FLOAT16:
  case BURIN_BFLOAT16:
    return 2;
  case BURIN_FLOAT:
  case BURIN_INT32:
  case BURIN_UINT32:
    return 4;
  case BURIN_INT64:
  case BURIN_UINT64:
  case BURIN_DOUBLE:
  case BURIN_COMPLEX64:
    return 8;
  case BURIN_COMPLEX128:
    return 16;
  default:
    return 0;
  }
}

const char *burin_status_text(burin_status status) {
  switch (status) {
  case BURIN_OK:
    return "ok";
  case BURIN_ERROR_ABI:
    return "not a model of this runtime's ABI version";
  case BURIN_ERROR_CPU:
    return "the model needs instructions that this CPU does not have";
  case BURIN_ERROR_RANK:
    return "a tensor has the wrong number of dims";
  case BURIN_ERROR_SHAPE:
    return "a tensor has a wrong dim";
  case BURIN_ERROR_TYPE:
    return "a tensor has the wrong element type";
  case BURIN_ERROR_LAYOUT:
    return "a tensor is not contiguous in row-major order";
  case BURIN_ERROR_ARENA:
    return "the arena is missing, too small or not aligned";
  case BURIN_ERROR_CAPACITY:
    return "a tensor's capacity is smaller than its dims need";
  case BURIN_ERROR_NULL:
    return "a pointer is NULL";
  case BURIN_ERROR_ALLOCATOR:
    return "the model needs an allocator and has none, or it failed";
  case BURIN_ERROR_INTERNAL:
    return "internal error";
  case BURIN_ERROR_CALL:
    return "a C function that computes a node failed";
  case BURIN_ERROR_WEIGHTS:
    return "the weights are coded and not decoded yet, or damaged";
  case BURIN_ERROR_REGION:
    return "a region does not lie inside its frame";
  case BURIN_ERROR_KEY:
    return "the weights are encrypted and not opened, or the key is not theirs, or they were changed";
  }
  return "unknown status";
}
