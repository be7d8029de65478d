/* The contract between a compiled model and whoever runs it. Freestanding C11: no libc, no allocation, no global.
 *
 * A compiled model is one constant `burin_model` (symbol PREFIX_model) made by the compiler: descriptions of inputs,
 * outputs, layers and weights, and one entry function per instruction set. It is shared and never written.
 * Everything that changes while it runs lies in a `burin_context`, one for each concurrent call.
 *
 * The structs are written field by field by lib/Target (see DescriptionIR.cpp); change both and BURIN_ABI_VERSION.
 */
#ifndef BURIN_RUNTIME_H
#define BURIN_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BURIN_ABI_VERSION 3u
#define BURIN_MODEL_MAGIC 0x4e525542u /* "BURN", little endian */
#define BURIN_MAX_RANK 8
#define BURIN_ALIGNMENT 64 /* bytes: of the arena, the weights and each slot in them */
#define BURIN_KEY_BYTES 32 /* of --encrypt */

/* Element types, numbered as ONNX TensorProto.DataType. The floats of 8 and 4 bits and the integers of 4 and 2 bits
 * take one byte an element, the bits in its low end: what lies above them is ignored in inputs and 0 in outputs (as
 * ml_dtypes holds them in numpy; ONNX's files pack them). */
typedef enum burin_dtype {
  BURIN_UNDEFINED = 0,
  BURIN_FLOAT = 1,
  BURIN_UINT8 = 2,
  BURIN_INT8 = 3,
  BURIN_UINT16 = 4,
  BURIN_INT16 = 5,
  BURIN_INT32 = 6,
  BURIN_INT64 = 7,
  BURIN_STRING = 8,
  BURIN_BOOL = 9,
  BURIN_FLOAT16 = 10,
  BURIN_DOUBLE = 11,
  BURIN_UINT32 = 12,
  BURIN_UINT64 = 13,
  BURIN_COMPLEX64 = 14,
  BURIN_COMPLEX128 = 15,
  BURIN_BFLOAT16 = 16,
  BURIN_FLOAT8E4M3FN = 17,
  BURIN_FLOAT8E4M3FNUZ = 18,
  BURIN_FLOAT8E5M2 = 19,
  BURIN_FLOAT8E5M2FNUZ = 20,
  BURIN_UINT4 = 21,
  BURIN_INT4 = 22,
  BURIN_FLOAT4E2M1 = 23,
  BURIN_FLOAT8E8M0 = 24,
  BURIN_UINT2 = 25,
  BURIN_INT2 = 26
} burin_dtype;

typedef enum burin_status {
  BURIN_OK = 0,
  BURIN_ERROR_ABI = 1,        /* the model was made for another BURIN_ABI_VERSION, or is no model */
  BURIN_ERROR_CPU = 2,        /* no variant in the model runs on this CPU */
  BURIN_ERROR_RANK = 3,       /* an input or output has the wrong number of dims */
  BURIN_ERROR_SHAPE = 4,      /* an input or output has a wrong dim */
  BURIN_ERROR_TYPE = 5,       /* an input or output has the wrong element type */
  BURIN_ERROR_LAYOUT = 6,     /* an input or output is not contiguous in row-major order */
  BURIN_ERROR_ARENA = 7,      /* the context's arena is missing, too small or not aligned */
  BURIN_ERROR_CAPACITY = 8,   /* an output's capacity is smaller than what it must hold */
  BURIN_ERROR_NULL = 9,       /* a data pointer is NULL */
  BURIN_ERROR_ALLOCATOR = 10, /* the model needs an allocator and the context has none, or it failed */
  BURIN_ERROR_INTERNAL = 11,
  BURIN_ERROR_CALL = 12,    /* a C function that computes a node failed */
  BURIN_ERROR_WEIGHTS = 13, /* the weights are coded: burin_decode_weights comes first; or they are damaged */
  BURIN_ERROR_REGION = 14,  /* a region that the run gives does not lie inside its frame */
  BURIN_ERROR_KEY = 15 /* the weights are encrypted and not opened; or the key is not theirs, or they were changed */
} burin_status;

/* A tensor the caller owns. Row-major unless strides say otherwise. */
typedef struct burin_tensor {
  void *data;
  int32_t dtype; /* burin_dtype */
  int32_t rank;
  int64_t dims[BURIN_MAX_RANK];    /* elements */
  int64_t strides[BURIN_MAX_RANK]; /* elements; all zero means row-major and contiguous */
  uint64_t capacity;               /* bytes behind data; 0 means exactly what dims need */
} burin_tensor;

/* What the model says of an input or output. A dim of -1 is free. */
typedef struct burin_tensor_info {
  const char *name; /* ONNX name, UTF-8 */
  int32_t dtype;
  int32_t rank;
  int64_t dims[BURIN_MAX_RANK];
  const char *const *dim_names; /* rank entries, each NULL or a symbol's name; NULL when none has one */
} burin_tensor_info;

/* One step of the compiled program, in the order they run: what a profile shows as a line. */
typedef struct burin_layer_info {
  const char *name;      /* ONNX node names it was made from, joined by '+' */
  const char *kind;      /* "conv", "matmul", "elementwise", ... */
  uint64_t flops;        /* multiplications and additions counted one each */
  uint64_t bytes;        /* operands read and results written, each once */
  uint64_t weight_bytes; /* of these, what comes from the weight section */
  int32_t dtype;         /* of what is multiplied: BURIN_INT8 or BURIN_FLOAT, whose peaks differ */
  int32_t reserved;
} burin_layer_info;

typedef enum burin_encoding { BURIN_RAW = 0, BURIN_PACKED = 1 } burin_encoding;

/* One tensor in the weight section. */
typedef struct burin_weight_info {
  const char *name;
  uint64_t offset;       /* bytes from the start of the section (decoded), a multiple of BURIN_ALIGNMENT */
  uint64_t bytes;        /* stored */
  uint64_t source_bytes; /* before packing or compression */
  int32_t dtype;
  uint32_t encoding; /* burin_encoding */
} burin_weight_info;

struct burin_context;

/* The compiled function. inputs and outputs: contiguous, in the order of the model's descriptions. Of a static model's
 * tensors it reads `data` alone; of others the dims as well, and where an output's dims depend on data it writes them:
 * into `data` if `capacity` suffices, else into memory from the context's allocator, which the caller releases. Returns
 * burin_status. */
typedef int32_t (*burin_entry)(const burin_tensor *inputs, burin_tensor *outputs, void *arena, const void *weights,
                               const struct burin_context *context);

/* What the dims of the inputs decide before a run: BURIN_MAX_RANK dims an output, -1 where data decides, and the bytes
 * of the arena. Reads no data. Returns burin_status: BURIN_ERROR_SHAPE where the dims do not fit one another. */
typedef int32_t (*burin_planner)(const burin_tensor *inputs, int64_t *output_dims, uint64_t *arena_bytes);

/* CPU features that a variant needs beyond its architecture's base, as bits; the runtime asks the CPU for them. */
typedef enum burin_cpu_feature {
  BURIN_CPU_AVX2_FMA = 1 << 0, /* x86-64-v3: AVX2, FMA, F16C, BMI2 */
  BURIN_CPU_AVX512 = 1 << 1,   /* x86-64-v4: AVX-512 F, BW, CD, DQ, VL */
  BURIN_CPU_AVX512_VNNI = 1 << 2,
  BURIN_CPU_AVX_VNNI = 1 << 3,
  BURIN_CPU_ARM_DOTPROD = 1 << 8,
  BURIN_CPU_ARM_I8MM = 1 << 9,
  BURIN_CPU_ARM_FP16 = 1 << 10,
  BURIN_CPU_RISCV_V = 1 << 16 /* vectors of 128 bits and more */
} burin_cpu_feature;

typedef struct burin_variant {
  const char *target; /* as given to --target */
  uint64_t features;  /* burin_cpu_feature bits, all needed */
  burin_entry entry;
} burin_variant;

typedef enum burin_model_flag {
  BURIN_NEEDS_ALLOCATOR = 1u << 0,
  BURIN_HAS_FREE_DIMS = 1u << 1,
  BURIN_FLUSH_DENORMALS = 1u << 2, /* burin_run computes with denormals as zero, and restores what was set before */
  BURIN_CODED_WEIGHTS = 1u << 3,
  BURIN_LOCKED_WEIGHTS = 1u << 4 /* encrypted; where also coded, decoding comes after opening */
} burin_model_flag;

typedef struct burin_model {
  uint32_t magic;       /* BURIN_MODEL_MAGIC */
  uint32_t abi_version; /* BURIN_ABI_VERSION */
  const char *name;
  const char *manifest; /* JSON text: compiler version, options, source hash, preprocessing */
  uint32_t flags;
  uint32_t num_inputs, num_outputs, num_layers, num_weights, num_variants;
  const burin_tensor_info *inputs, *outputs;
  const burin_layer_info *layers;
  const burin_weight_info *weight_table;
  const burin_variant *variants; /* best first */
  const void *weights;           /* the weight section, BURIN_ALIGNMENT-aligned */
  uint64_t weights_bytes;
  uint64_t arena_bytes;     /* what a context must offer, BURIN_ALIGNMENT-aligned; with `plan`, at least */
  uint64_t peak_live_bytes; /* largest sum of simultaneously live intermediate tensors: a lower bound of arena_bytes */
  burin_planner plan;       /* NULL for static models; call it through burin_plan */
} burin_model;

typedef struct burin_allocator {
  void *(*allocate)(void *user, size_t bytes, size_t alignment); /* NULL on failure */
  void (*release)(void *user, void *pointer);
  void *user;
} burin_allocator;

/* Runs body(data, i) for 0 <= i < count, in any order and on any threads, and returns when all are done. */
typedef struct burin_parallel {
  void (*run)(void *user, void (*body)(void *data, int64_t index), void *data, int64_t count);
  void *user;
} burin_parallel;

/* Called before (end = 0) and after (end = 1) each layer. */
typedef struct burin_profile {
  void (*layer)(void *user, uint32_t layer, int32_t end);
  void *user;
} burin_profile;

/* An element of a tensor of BURIN_STRING is a pointer to one of these, 8-aligned and never written again. */
typedef struct burin_string {
  uint64_t length; /* bytes of UTF-8, a NUL after them not counted */
  char bytes[];
} burin_string;

/* The strings made while models run, until hosted/text.h releases them. Zeroed by the caller. */
typedef struct burin_strings {
  void *blocks;
} burin_strings;

/* An attribute of a node that is computed by a C function. */
typedef struct burin_attribute {
  const char *name;
  int32_t dtype; /* BURIN_INT64, BURIN_FLOAT or BURIN_STRING; of a tensor's numbers BURIN_INT64 or BURIN_DOUBLE */
  int32_t reserved;
  uint64_t count;     /* of a list or tensor; 1 for a single value */
  const void *values; /* burin_strings stand one behind another: burin_next_string */
} burin_attribute;

/* What a C function is given beside the tensors of its node. */
typedef struct burin_call {
  const burin_attribute *attributes;
  uint32_t num_attributes, reserved;
  const struct burin_context *context; /* of the running call */
} burin_call;

/* Computes a node: an operator bound by --custom-op, and what Burin itself has no code for (strings, image files).
 * Tensors lie row-major without gaps; an absent input has dtype BURIN_UNDEFINED. Where the compiler cannot tell the
 * dims of the outputs, it is called first with their data NULL, to write them into `dims`; then again with data of that
 * size, when it must decide the same. Returns BURIN_OK, or else the run ends with BURIN_ERROR_CALL. */
typedef int32_t (*burin_function)(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                                  burin_tensor *outputs, uint32_t num_outputs);

/* The string behind `string` in a list of an attribute. */
static inline const burin_string *burin_next_string(const burin_string *string) {
  return (const burin_string *)(const void *)(string->bytes + (string->length + 8) / 8 * 8);
}

/* What one concurrent call needs. Hooks may be NULL. */
typedef struct burin_context {
  uint32_t abi_version; /* BURIN_ABI_VERSION */
  uint32_t reserved;
  void *arena; /* >= model->arena_bytes, BURIN_ALIGNMENT-aligned */
  uint64_t arena_bytes;
  const burin_allocator *allocator; /* only for models with BURIN_NEEDS_ALLOCATOR */
  const burin_parallel *parallel;
  const burin_profile *profile;
  burin_strings *strings; /* only for models with tensors of BURIN_STRING */
  /* Filled by burin_run on error: which tensor (inputs first, then outputs) and which dim, or -1. */
  int32_t error_tensor, error_dim;
} burin_context;

/* Is this a model of our ABI, with a variant that this CPU runs? Call once before the first run. */
burin_status burin_check_model(const burin_model *model);

/* Of a model with BURIN_CODED_WEIGHTS: decodes them into `to`, model->weights_bytes bytes of zeros,
 * BURIN_ALIGNMENT-aligned, and makes `decoded` the model that finds them there, to be used in its place while `to`
 * lives. Takes about 8 KiB of stack and no other memory. BURIN_ERROR_WEIGHTS where what is coded is damaged. */
burin_status burin_decode_weights(const burin_model *model, void *to, burin_model *decoded);

/* Of a model with BURIN_LOCKED_WEIGHTS: opens them with a key of BURIN_KEY_BYTES into `to`, burin_unlocked_bytes bytes,
 * BURIN_ALIGNMENT-aligned, and makes `unlocked` the model that finds them there, to be used in its place while `to`
 * lives. BURIN_ERROR_KEY where the key is not theirs or a byte of them was changed: `to` then holds nothing of them. */
burin_status burin_unlock_weights(const burin_model *model, const uint8_t *key, void *to, burin_model *unlocked);

/* Bytes that opened weights take; 0 of a model whose weights are not encrypted. */
uint64_t burin_unlocked_bytes(const burin_model *model);

/* Bytes that the weights take in the artifact: coded or as they are. */
uint64_t burin_stored_weights_bytes(const burin_model *model);

/* The first variant whose features this CPU has; NULL if none. */
const burin_variant *burin_select_variant(const burin_model *model);

/* What a run on inputs of these dims will need and give: into `output_dims` BURIN_MAX_RANK dims for each output, -1
 * where data decides, and into `arena_bytes` what the context's arena must hold. Checks types and dims of the inputs;
 * their data may be NULL. `context`, which may be NULL, is told where an error lies. */
burin_status burin_plan(const burin_model *model, burin_context *context, const burin_tensor *inputs,
                        int64_t *output_dims, uint64_t *arena_bytes);

/* Runs the model. inputs, outputs: as many as the model describes, in its order. Checks types, shapes and pointers
 * first and writes nothing when they do not fit. Outputs of a model with free dims get their dims set. An output whose
 * dims depend on data may come with data NULL: then, or when its capacity is too small, the context's allocator gives
 * the memory, `data` and `capacity` say so, and the caller releases it; without an allocator the run ends with
 * BURIN_ERROR_CAPACITY. */
burin_status burin_run(const burin_model *model, burin_context *context, const burin_tensor *inputs,
                       burin_tensor *outputs);

/* Bytes of one element; 0 for types without a fixed size. */
size_t burin_dtype_size(int32_t dtype);

/* A short English description, never NULL. */
const char *burin_status_text(burin_status status);

#ifdef __cplusplus
}
#endif
#endif
