/* See cuda.h. Everything that can fail is done in the first run; a later one is copies, one launch of a recorded graph
 * a segment, and one wait. */
#include "runtime/cuda/cuda.h"
#include "runtime/cuda/driver.h"
#include "runtime/cuda/program.h"
#include "runtime/hosted/explain.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct session {
  struct session *next;
  const char *program;
  uint8_t identity[32];
  const void *arena;
  int device_number, is_ready, has_failed, owns_stream, is_resolved;
  cu_device device;
  cu_context context;
  cu_stream stream;
  cu_module module, exact; /* exact: kernels that use warpgroups; null where the device has none */
  cu_pointer memory, weights;
  cu_pointer mapped; /* the arena itself, where device and host share their memory; else 0 */
  cu_function *functions;
  cu_pointer *arguments; /* resolved, one an argument of the tables */
  cu_tensor_map *maps;   /* for the kernels of `exact` */
  cu_pointer *bound;     /* one a tensor of the caller: where it lies on the device, used in place; else 0 */
  uint32_t num_graphs;
  cu_graph_exec *graphs; /* one a segment, recorded on its first run */
} session;

static session *sessions;
static atomic_flag lock = ATOMIC_FLAG_INIT;
static const burin_cuda_driver *driver;
static _Thread_local char error_text[512];

/* In programs and tools, whoever reports the run's status tells it; a library tells it itself. */
__attribute__((weak)) const char *burin_explain(char *, size_t, const burin_model *, const burin_context *,
                                                const burin_tensor *, const burin_tensor *, burin_status);

static void enter(void) {
  while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire)) {
  }
}
static void leave(void) { atomic_flag_clear_explicit(&lock, memory_order_release); }

const char *burin_cuda_error(void) { return error_text; }

static int32_t tell(void) {
  if (!burin_explain)
    fprintf(stderr, "burin: %s\n", error_text);
  return BURIN_ERROR_CALL;
}

static int fail(cu_result code, const char *what) {
  const char *name = NULL, *text = NULL;
  driver->error_name(code, &name);
  driver->error_string(code, &text);
  snprintf(error_text, sizeof error_text, "CUDA: %s: %s (%d)%s%s", what, name ? name : "error", code, text ? ": " : "",
           text ? text : "");
  return -1;
}

#define TRY(call, what)                                                                                                \
  do {                                                                                                                 \
    cu_result code_ = driver->call;                                                                                    \
    if (code_)                                                                                                         \
      return fail(code_, what);                                                                                        \
  } while (0)

static const burin_cuda_header *header_of(const session *s) { return (const void *)s->program; }
static const void *table(const session *s, uint64_t place) { return s->program + place; }

/* Kernels that this very architecture has beside those of its generation. Where the driver refuses them or cannot make
 * tensor maps the others serve. */
static int load_exact(session *s, uint32_t arch) {
  const burin_cuda_header *header = header_of(s);
  const burin_cuda_binary *all = table(s, header->binaries);
  for (uint32_t i = 0; i < header->num_binaries && header->num_maps && driver->encode_map; ++i)
    if (all[i].arch == arch && (all[i].format == BURIN_CUDA_CUBIN_EXACT || all[i].format == BURIN_CUDA_EMULATED) &&
        driver->module_load(&s->exact, table(s, all[i].place), 0, NULL, NULL))
      s->exact = NULL;
  return 0;
}

/* The cubin made for this device or an earlier one of its generation, else the PTX, which the driver compiles. */
static int load_module(session *s) {
  const burin_cuda_header *header = header_of(s);
  const burin_cuda_binary *all = table(s, header->binaries), *cubin = NULL, *ptx = NULL;
  int major = 0, minor = 0;
  TRY(device_attribute(&major, CU_MAJOR, s->device), "asking for the compute capability");
  TRY(device_attribute(&minor, CU_MINOR, s->device), "asking for the compute capability");
  uint32_t arch = (uint32_t)(major * 10 + minor);
  for (uint32_t i = 0; i < header->num_binaries; ++i) {
    const burin_cuda_binary *b = &all[i];
    if (b->format == BURIN_CUDA_EMULATED ||
        (b->format == BURIN_CUDA_CUBIN && b->arch / 10 == arch / 10 && b->arch <= arch))
      cubin = !cubin || b->arch > cubin->arch ? b : cubin;
    if (b->format == BURIN_CUDA_PTX && b->arch <= arch)
      ptx = !ptx || b->arch > ptx->arch ? b : ptx;
  }
  cu_result code = 0;
  if (cubin) {
    code = driver->module_load(&s->module, table(s, cubin->place), 0, NULL, NULL);
    if (!code)
      return load_exact(s, arch);
  }
  if (!ptx) {
    if (code)
      return fail(code, "loading the kernels");
    snprintf(error_text, sizeof error_text,
             "CUDA: the program holds no kernels for this device, sm_%u; compile with --target=cuda:sm_%u", arch, arch);
    return -1;
  }
  char log[256] = "";
  int keys[] = {CU_JIT_ERROR_LOG, CU_JIT_ERROR_LOG_BYTES};
  void *values[] = {log, (void *)(uintptr_t)sizeof log};
  code = driver->module_load(&s->module, table(s, ptx->place), 2, keys, values);
  if (!code)
    return 0;
  fail(code, "compiling the kernels");
  size_t used = strlen(error_text);
  log[sizeof log - 1] = 0;
  log[strcspn(log, "\n")] = 0;
  snprintf(error_text + used, sizeof error_text - used, "%s%s", *log ? "; " : "", log);
  return -1;
}

static int load_functions(session *s) {
  const burin_cuda_header *header = header_of(s);
  const burin_cuda_kernel *kernels = table(s, header->kernels);
  s->functions = calloc(header->num_kernels + 1, sizeof *s->functions);
  s->graphs = calloc(header->num_segments + 1, sizeof *s->graphs);
  s->num_graphs = header->num_segments;
  s->arguments = calloc(header->num_arguments + 1, sizeof *s->arguments);
  s->bound = calloc(header->num_tensors + 1, sizeof *s->bound);
  s->maps = aligned_alloc(64, (header->num_maps + 1) * sizeof *s->maps);
  if (!s->functions || !s->graphs || !s->arguments || !s->bound || !s->maps) {
    snprintf(error_text, sizeof error_text, "CUDA: out of memory");
    return -1;
  }
  for (uint32_t i = 0; i < header->num_kernels; ++i) {
    if (kernels[i].warpgroups && !s->exact)
      continue;
    TRY(module_function(&s->functions[i], kernels[i].warpgroups ? s->exact : s->module, table(s, kernels[i].name)),
        "finding a kernel");
    if (kernels[i].shared_bytes)
      TRY(function_set(s->functions[i], CU_FUNCTION_SHARED_BYTES, (int)kernels[i].shared_bytes),
          "asking for shared memory");
  }
  return 0;
}

static void drop_graphs(session *s) {
  for (uint32_t i = 0; s->graphs && i < s->num_graphs; ++i)
    if (s->graphs[i]) {
      driver->graph_exec_destroy(s->graphs[i]);
      s->graphs[i] = NULL;
    }
}

static cu_pointer address_of(const session *s, const burin_cuda_argument *argument) {
  const burin_cuda_header *header = header_of(s);
  const burin_cuda_tensor *all = table(s, header->tensors);
  uint64_t offset = argument->offset;
  if (argument->space)
    return s->weights + offset;
  if (offset < header->arena_bytes)
    return (s->mapped ? s->mapped : s->memory) + offset;
  for (uint32_t t = 0; t < header->num_tensors; ++t)
    if (s->bound[t] && offset >= all[t].place && offset - all[t].place < all[t].bytes)
      return s->bound[t] + (offset - all[t].place);
  return s->memory + offset;
}

static int resolve_arguments(session *s) {
  const burin_cuda_header *header = header_of(s);
  const burin_cuda_argument *arguments = table(s, header->arguments);
  const burin_cuda_map *maps = table(s, header->maps);
  for (uint32_t i = 0; i < header->num_arguments; ++i)
    if (arguments[i].space != 2)
      s->arguments[i] = address_of(s, &arguments[i]);
  for (uint32_t i = 0; i < header->num_maps && s->exact; ++i)
    TRY(encode_map(&s->maps[i], CU_MAP_UINT16, maps[i].rank, (void *)(uintptr_t)address_of(s, &maps[i].base),
                   maps[i].dims, maps[i].strides + 1, maps[i].box, maps[i].steps, 0, CU_MAP_SWIZZLE_128,
                   CU_MAP_PROMOTION_256, 0),
        "describing a tensor");
  return 0;
}

/* What the caller keeps on the device is used where it lies. Kernels expect tensors at multiples of 64; others are
 * copied. A graph holds addresses: where they change it is recorded again. */
static int bind_tensors(session *s, const burin_tensor *tensors) {
  const burin_cuda_header *header = header_of(s);
  const burin_cuda_tensor *all = table(s, header->tensors);
  int changed = !s->is_resolved;
  for (uint32_t t = 0; t < header->num_tensors; ++t) {
    cu_pointer at = (cu_pointer)(uintptr_t)tensors[t].data, own = 0;
    unsigned kind = 0;
    if (all[t].bytes && !driver->pointer_attribute(&kind, CU_POINTER_MEMORY_TYPE, at) && kind == CU_MEMORY_DEVICE) {
      if (all[t].host_uses) {
        snprintf(error_text, sizeof error_text,
                 "CUDA: tensor %u of inputs and outputs lies on the device, but the host's part of the model uses it; "
                 "give it in the host's memory",
                 t);
        return -1;
      }
      own = at % 64 ? 0 : at;
    }
    changed |= s->bound[t] != own;
    s->bound[t] = own;
  }
  if (changed) {
    drop_graphs(s);
    if (resolve_arguments(s))
      return -1;
    s->is_resolved = 1;
  }
  return 0;
}

/* On boards the arena serves both sides and nothing of it is copied. Where the driver refuses, copies do. */
static void map_arena(session *s) {
  int integrated = 0;
  size_t bytes = header_of(s)->arena_bytes;
  void *arena = (void *)(uintptr_t)s->arena;
  if (driver->device_attribute(&integrated, CU_INTEGRATED, s->device) || !integrated || !bytes ||
      driver->map_host(arena, bytes, CU_REGISTER_MAPPED))
    return;
  if (driver->mapped_pointer(&s->mapped, arena, 0)) {
    s->mapped = 0;
    driver->unmap_host(arena);
  }
}

static int open_session(session *s, const void *weights) {
  driver = burin_cuda_open_driver(error_text, sizeof error_text);
  if (!driver)
    return -1;
  int count = 0;
  TRY(init(0), "starting the driver");
  TRY(device_count(&count), "counting devices");
  if (s->device_number >= count) {
    snprintf(error_text, sizeof error_text, "CUDA: there is no device %d, the driver knows %d", s->device_number,
             count);
    return -1;
  }
  TRY(device_get(&s->device, s->device_number), "opening the device");
  TRY(context_retain(&s->context, s->device), "opening the device");
  TRY(context_push(s->context), "opening the device");
  if (!s->stream) {
    TRY(stream_create(&s->stream, CU_STREAM_NON_BLOCKING), "making a stream");
    s->owns_stream = 1;
  }
  const burin_cuda_header *header = header_of(s);
  if (load_module(s))
    return -1;
  map_arena(s);
  TRY(allocate(&s->memory, header->memory_bytes + 1), "allocating the arena");
  TRY(allocate(&s->weights, header->weights_bytes + 1), "allocating the weights");
  if (header->weights_bytes)
    TRY(copy(s->weights, (cu_pointer)(uintptr_t)weights, header->weights_bytes, s->stream), "uploading the weights");
  return load_functions(s);
}

static void close_session(session *s) {
  if (driver && s->context) {
    cu_context old;
    driver->context_push(s->context);
    drop_graphs(s);
    if (s->module)
      driver->module_unload(s->module);
    if (s->exact)
      driver->module_unload(s->exact);
    if (s->mapped)
      driver->unmap_host((void *)(uintptr_t)s->arena);
    if (s->memory)
      driver->release(s->memory);
    if (s->weights)
      driver->release(s->weights);
    if (s->owns_stream)
      driver->stream_destroy(s->stream);
    driver->context_pop(&old);
    driver->context_release(s->device);
  }
  free(s->functions);
  free(s->graphs);
  free(s->arguments);
  free(s->bound);
  free(s->maps);
  free(s);
}

/* A model may have gone since, and another one stand where it stood. */
static int is_of(const session *s, const char *program) {
  return !s->program || !program ||
         (s->program == program && !memcmp(s->identity, header_of(s)->identity, sizeof s->identity));
}

static session *find_session(const char *program, const void *arena) {
  session *s = sessions;
  while (s && (s->arena != arena || !is_of(s, program)))
    s = s->next;
  if (!s) {
    s = calloc(1, sizeof *s);
    if (!s)
      return NULL;
    s->arena = arena;
    s->next = sessions;
    sessions = s;
  }
  if (program) {
    s->program = program;
    memcpy(s->identity, header_of(s)->identity, sizeof s->identity);
  }
  return s;
}

static int launch_all(session *s, const burin_cuda_segment *segment) {
  const burin_cuda_launch *launches = table(s, header_of(s)->launches);
  const burin_cuda_argument *arguments = table(s, header_of(s)->arguments);
  void *parameters[64];
  int is_exact = s->exact && segment->num_exact;
  uint32_t count = is_exact ? segment->num_exact : segment->num_launches;
  for (uint32_t i = 0; i < count; ++i) {
    const burin_cuda_launch *l = &launches[(is_exact ? segment->first_exact : segment->first_launch) + i];
    if (l->num_arguments > sizeof parameters / sizeof *parameters) {
      snprintf(error_text, sizeof error_text, "CUDA: a kernel takes too many arguments");
      return -1;
    }
    for (uint32_t a = 0; a < l->num_arguments; ++a) {
      const burin_cuda_argument *argument = &arguments[l->first_argument + a];
      parameters[a] =
          argument->space == 2 ? (void *)&s->maps[argument->offset] : (void *)&s->arguments[l->first_argument + a];
    }
    TRY(launch(s->functions[l->kernel], l->grid[0], l->grid[1], l->grid[2], l->block[0], l->block[1], l->block[2],
               l->shared_bytes, s->stream, parameters, NULL),
        "launching a kernel");
  }
  return 0;
}

/* All addresses are constants of the session, so that a graph recorded once serves every run. */
static int record(session *s, uint32_t index, const burin_cuda_segment *segment) {
  cu_graph graph = NULL;
  TRY(capture_begin(s->stream, CU_CAPTURE_RELAXED), "recording the launches");
  int failed = launch_all(s, segment);
  cu_result code = driver->capture_end(s->stream, &graph);
  if (failed)
    return -1;
  if (code)
    return fail(code, "recording the launches");
  code = driver->graph_instantiate(&s->graphs[index], graph, 0);
  driver->graph_destroy(graph);
  return code ? fail(code, "preparing the recorded launches") : 0;
}

/* The number of copies, or -1. */
static int copy_all(session *s, uint32_t first, uint32_t count, const burin_tensor *tensors, int to_device) {
  const burin_cuda_copy *copies = table(s, header_of(s)->copies);
  int done = 0;
  for (uint32_t i = first; i < first + count; ++i) {
    if (s->mapped && copies[i].place < header_of(s)->arena_bytes)
      continue;
    if (copies[i].tensor < header_of(s)->num_tensors && s->bound[copies[i].tensor])
      continue;
    ++done;
    cu_pointer host = (cu_pointer)(uintptr_t)tensors[copies[i].tensor].data + copies[i].offset;
    cu_pointer device = s->memory + copies[i].place;
    TRY(copy(to_device ? device : host, to_device ? host : device, copies[i].bytes, s->stream),
        to_device ? "copying to the device" : "copying from the device");
  }
  return done;
}

static int run_segment(session *s, uint32_t index, const burin_tensor *tensors) {
  const burin_cuda_segment *segment = (const burin_cuda_segment *)table(s, header_of(s)->segments) + index;
  if (bind_tensors(s, tensors) || copy_all(s, segment->first_copy, segment->num_in, tensors, 1) < 0)
    return -1;
  if (!s->graphs[index] && record(s, index, segment))
    return -1;
  TRY(graph_launch(s->graphs[index], s->stream), "running the kernels");
  int copied = copy_all(s, segment->first_copy + segment->num_in, segment->num_out, tensors, 0);
  if (copied < 0)
    return -1;
  /* On a stream of the caller, who may wait for it, results that stay on the device need no wait here. */
  if (s->owns_stream || copied || s->mapped)
    TRY(stream_wait(s->stream), "running the kernels");
  return 0;
}

int32_t burin_cuda_run(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs, burin_tensor *outputs,
                       uint32_t num_outputs) {
  (void)outputs, (void)num_outputs;
  const char *program = NULL;
  uint32_t index = 0;
  for (uint32_t i = 0; i < call->num_attributes; ++i) {
    const burin_attribute *a = &call->attributes[i];
    if (!strcmp(a->name, "program"))
      program = ((const burin_string *)a->values)->bytes;
    else if (!strcmp(a->name, "segment"))
      index = (uint32_t)*(const int64_t *)a->values;
  }
  const burin_cuda_header *header = (const void *)program;
  if (!program || num_inputs < 2 || header->magic != BURIN_CUDA_MAGIC || header->version != BURIN_CUDA_VERSION) {
    snprintf(error_text, sizeof error_text, "CUDA: the program and this runtime do not belong together");
    return tell();
  }
  enter();
  session *s = find_session(program, inputs[num_inputs - 2].data);
  int opens = s && !s->is_ready && !s->has_failed;
  if (s && !s->has_failed) /* the first message counts */
    *error_text = 0;
  int failed = !s || s->has_failed || (opens && open_session(s, inputs[num_inputs - 1].data));
  if (opens)
    *(failed ? &s->has_failed : &s->is_ready) = 1;
  leave();
  if (!failed && !opens && driver->context_push(s->context))
    failed = 1;
  cu_context old;
  if (!failed)
    failed = run_segment(s, index, inputs);
  if (driver && s && s->context)
    driver->context_pop(&old);
  return failed ? (*error_text ? tell() : BURIN_ERROR_CALL) : BURIN_OK;
}

void burin_cuda_choose(const void *arena, int device, void *stream) {
  enter();
  session *s = find_session(NULL, arena);
  if (s && !s->is_ready) {
    s->device_number = device;
    s->stream = stream;
  }
  leave();
}

void burin_cuda_release(const void *arena) {
  enter();
  for (session **at = &sessions; *at;) {
    session *s = *at;
    if (s->arena != arena) {
      at = &s->next;
      continue;
    }
    *at = s->next;
    close_session(s);
  }
  leave();
}
