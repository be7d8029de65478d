/* A libcuda.so.1 without a GPU: the functions that runtime/cuda asks the driver for, over memory and threads of this
 * process. Its "cubins" are shared objects (--target=cuda:emulated). It is as strict as it can be: memory starts as
 * NaN, device pointers are known, streams record, graphs replay. */
#define _GNU_SOURCE
#include "runtime/cuda/driver.h"
#include "test/CudaEmulator/emulator.h"

#include <dlfcn.h>
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
enum { OK = 0, INVALID = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, LAUNCH_FAILED = 719, BAD_IMAGE = 200 };

struct cu_context_s {
  int pushed;
};
struct cu_module_s {
  void *library;
};
struct cu_function_s {
  emu_launch launch;
  int64_t num_arguments, maps; /* maps: a bit an argument that is one */
  size_t most_dynamic;
  char name[128];
};
typedef struct recorded {
  struct cu_function_s *function;
  emu_launch launch;
  _Alignas(64) uint64_t arguments[64][16];
} recorded;
struct cu_graph_s {
  recorded *launches;
  int count, capacity;
};
struct cu_stream_s {
  struct cu_graph_s *records;
};

static struct cu_context_s the_context;
static char message[512] = "the emulator refuses it";

EXPORT cu_result cuInit(unsigned flags) { return flags ? INVALID : OK; }
EXPORT cu_result cuGetErrorName(cu_result code, const char **name) {
  *name = code == LAUNCH_FAILED ? "EMULATOR_LAUNCH_FAILED" : "EMULATOR_ERROR";
  return OK;
}
EXPORT cu_result cuGetErrorString(cu_result code, const char **text) {
  (void)code;
  *text = message;
  return OK;
}
EXPORT cu_result cuDeviceGetCount(int *count) {
  *count = 1;
  return OK;
}
EXPORT cu_result cuDeviceGet(cu_device *device, int number) {
  *device = 0;
  return number ? INVALID : OK;
}
EXPORT cu_result cuDeviceGetAttribute(int *value, int attribute, cu_device device) {
  (void)device;
  const char *given = getenv("BURIN_EMULATOR_ARCH");
  int arch = given ? (int)strtol(given, NULL, 10) : 90;
  *value = attribute == CU_MAJOR   ? arch / 10
           : attribute == CU_MINOR ? arch % 10
                                   : attribute == CU_INTEGRATED && getenv("BURIN_EMULATOR_INTEGRATED");
  return OK;
}
/* The limits are the driver's. */
EXPORT cu_result cuTensorMapEncodeTiled(cu_tensor_map *result, int type, unsigned rank, void *base,
                                        const uint64_t *dims, const uint64_t *strides, const uint32_t *box,
                                        const uint32_t *steps, int interleave, int swizzle, int promotion, int fill) {
  (void)promotion;
  emu_map map = {.base = base, .rank = rank};
  int fits = (uintptr_t)result % 64 == 0 && type == CU_MAP_UINT16 && rank >= 1 && rank <= 5 &&
             (uintptr_t)base % 16 == 0 && !interleave && swizzle == CU_MAP_SWIZZLE_128 && !fill && box[0] * 2 <= 128;
  for (unsigned d = 0; d < rank && fits; ++d) {
    fits = dims[d] && dims[d] <= UINT32_MAX && box[d] && box[d] <= 256 && steps[d] && steps[d] <= 8 &&
           (!d || (strides[d - 1] % 16 == 0 && strides[d - 1] < (uint64_t)1 << 40));
    map.dims[d] = (uint32_t)dims[d];
    map.box[d] = (uint16_t)box[d];
    map.steps[d] = (uint16_t)steps[d];
    if (d)
      map.strides[d - 1] = strides[d - 1];
  }
  if (!fits)
    return snprintf(message, sizeof message, "a tensor that no map describes"), INVALID;
  _Static_assert(sizeof map <= sizeof *result, "a tensor map has 128 bytes");
  memcpy(result, &map, sizeof map);
  return OK;
}
EXPORT cu_result cuMemHostRegister_v2(void *memory, size_t bytes, unsigned flags) {
  return memory && bytes && flags == CU_REGISTER_MAPPED ? OK : INVALID;
}
EXPORT cu_result cuMemHostUnregister(void *memory) { return memory ? OK : INVALID; }
EXPORT cu_result cuMemHostGetDevicePointer_v2(cu_pointer *pointer, void *memory, unsigned flags) {
  *pointer = (cu_pointer)(uintptr_t)memory;
  return flags ? INVALID : OK;
}
EXPORT cu_result cuDevicePrimaryCtxRetain(cu_context *context, cu_device device) {
  (void)device;
  *context = &the_context;
  return OK;
}
EXPORT cu_result cuDevicePrimaryCtxRelease_v2(cu_device device) { return device ? INVALID : OK; }
EXPORT cu_result cuCtxPushCurrent_v2(cu_context context) {
  ++context->pushed;
  return OK;
}
EXPORT cu_result cuCtxPopCurrent_v2(cu_context *context) {
  *context = &the_context;
  return the_context.pushed-- > 0 ? OK : INVALID;
}

EXPORT cu_result cuModuleLoadDataEx(cu_module *module, const void *image, unsigned n, int *keys, void **values) {
  (void)n, (void)keys, (void)values;
  const Elf64_Ehdr *header = image;
  if (memcmp(header->e_ident, ELFMAG, SELFMAG))
    return snprintf(message, sizeof message, "the emulator takes shared objects alone"), BAD_IMAGE;
  size_t bytes = header->e_shoff + (size_t)header->e_shentsize * header->e_shnum;
  /* A name of its own: the loader takes a name that it has seen for the same library. */
  const char *folder = getenv("TMPDIR");
  char path[4096];
  snprintf(path, sizeof path, "%s/burin-emulator-XXXXXX", folder && *folder ? folder : P_tmpdir);
  int file = mkstemp(path);
  if (file < 0)
    return snprintf(message, sizeof message, "cannot make a file in the folder for temporary ones"), BAD_IMAGE;
  int is_written = write(file, image, bytes) == (ssize_t)bytes;
  close(file);
  void *library = is_written ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  unlink(path);
  if (!library)
    return snprintf(message, sizeof message, "%s", dlerror()), BAD_IMAGE;
  *module = calloc(1, sizeof **module);
  (*module)->library = library;
  return OK;
}
EXPORT cu_result cuModuleUnload(cu_module module) {
  dlclose(module->library);
  free(module);
  return OK;
}
EXPORT cu_result cuModuleGetFunction(cu_function *function, cu_module module, const char *name) {
  char info_name[160];
  snprintf(info_name, sizeof info_name, "%s_info", name);
  const int64_t *info = dlsym(module->library, info_name);
  void *kernel = dlsym(module->library, name);
  if (!info || !kernel)
    return snprintf(message, sizeof message, "there is no kernel '%s'", name), NOT_FOUND;
  struct cu_function_s *f = *function = calloc(1, sizeof *f);
  memcpy(&f->launch.kernel, &kernel, sizeof kernel);
  f->num_arguments = info[0];
  f->maps = info[3];
  f->launch.shared_bytes = (size_t)info[1];
  f->launch.meets = (int)info[2];
  snprintf(f->name, sizeof f->name, "%s", name);
  return OK;
}
EXPORT cu_result cuFuncSetAttribute(cu_function function, int attribute, int value) {
  if (attribute == CU_FUNCTION_SHARED_BYTES)
    function->most_dynamic = (size_t)value;
  return OK;
}

static struct {
  uintptr_t begin, end;
} allocations[4096];
enum { MOST_ALLOCATIONS = sizeof allocations / sizeof *allocations };

EXPORT cu_result cuPointerGetAttribute(void *value, int attribute, cu_pointer pointer) {
  for (int i = 0; i < MOST_ALLOCATIONS && attribute == CU_POINTER_MEMORY_TYPE; ++i)
    if (pointer >= allocations[i].begin && pointer < allocations[i].end) {
      *(unsigned *)value = CU_MEMORY_DEVICE;
      return OK;
    }
  return INVALID;
}
EXPORT cu_result cuMemAlloc_v2(cu_pointer *pointer, size_t bytes) {
  int slot = 0;
  while (slot < MOST_ALLOCATIONS && allocations[slot].end)
    ++slot;
  if (slot == MOST_ALLOCATIONS)
    return snprintf(message, sizeof message, "too many allocations"), OUT_OF_MEMORY;
  void *memory = bytes ? aligned_alloc(256, (bytes + 255) / 256 * 256) : NULL;
  if (!memory)
    return snprintf(message, sizeof message, "no memory for %zu bytes", bytes), OUT_OF_MEMORY;
  memset(memory, 0xff, bytes);
  *pointer = (cu_pointer)(uintptr_t)memory;
  allocations[slot].begin = (uintptr_t)memory;
  allocations[slot].end = (uintptr_t)memory + bytes;
  return OK;
}
EXPORT cu_result cuMemFree_v2(cu_pointer pointer) {
  for (int i = 0; i < MOST_ALLOCATIONS; ++i)
    if (allocations[i].begin == pointer)
      allocations[i].begin = allocations[i].end = 0;
  free((void *)(uintptr_t)pointer);
  return OK;
}
EXPORT cu_result cuMemcpyAsync(cu_pointer to, cu_pointer from, size_t bytes, cu_stream stream) {
  if (stream->records)
    return snprintf(message, sizeof message, "a copy while a stream records"), INVALID;
  memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes);
  return OK;
}

EXPORT cu_result cuMemcpy(cu_pointer to, cu_pointer from, size_t bytes) {
  memcpy((void *)(uintptr_t)to, (const void *)(uintptr_t)from, bytes);
  return OK;
}

EXPORT cu_result cuStreamCreate(cu_stream *stream, unsigned flags) {
  (void)flags;
  *stream = calloc(1, sizeof **stream);
  return OK;
}
EXPORT cu_result cuStreamDestroy_v2(cu_stream stream) {
  free(stream);
  return OK;
}
/* The first numbers are streams that every driver has. */
EXPORT cu_result cuStreamSynchronize(cu_stream stream) {
  return (uintptr_t)stream > 2 && stream->records ? INVALID : OK;
}
EXPORT cu_result cuStreamBeginCapture_v2(cu_stream stream, int mode) {
  (void)mode;
  if (stream->records)
    return INVALID;
  stream->records = calloc(1, sizeof *stream->records);
  return OK;
}
EXPORT cu_result cuStreamEndCapture(cu_stream stream, cu_graph *graph) {
  *graph = stream->records;
  stream->records = NULL;
  return *graph ? OK : INVALID;
}
EXPORT cu_result cuGraphInstantiateWithFlags(cu_graph_exec *exec, cu_graph graph, unsigned long long flags) {
  (void)flags;
  struct cu_graph_s *copy = malloc(sizeof *copy);
  *copy = *graph;
  graph->launches = NULL;
  *exec = (cu_graph_exec)(void *)copy;
  return OK;
}
EXPORT cu_result cuGraphDestroy(cu_graph graph) {
  free(graph->launches);
  free(graph);
  return OK;
}
EXPORT cu_result cuGraphExecDestroy(cu_graph_exec exec) { return cuGraphDestroy((cu_graph)(void *)exec); }

static cu_result execute(recorded *r) {
  void *arguments[64];
  for (int64_t i = 0; i < r->function->num_arguments; ++i)
    arguments[i] = r->arguments[i];
  char error[400];
  if (!emu_run(&r->launch, arguments, error, sizeof error))
    return OK;
  snprintf(message, sizeof message, "kernel '%.100s': %s", r->function->name, error);
  return LAUNCH_FAILED;
}
EXPORT cu_result cuGraphLaunch(cu_graph_exec exec, cu_stream stream) {
  struct cu_graph_s *graph = (void *)exec;
  if (stream->records)
    return INVALID;
  for (int i = 0; i < graph->count; ++i) {
    cu_result code = execute(&graph->launches[i]);
    if (code)
      return code;
  }
  return OK;
}

EXPORT cu_result cuLaunchKernel(cu_function f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                                unsigned bz, unsigned shared, cu_stream stream, void **parameters, void **extra) {
  if (extra || f->num_arguments > 64 || gy > 65535 || gz > 65535 || bx * by * bz > 1024 || !gx || !gy || !gz)
    return snprintf(message, sizeof message, "kernel '%s': a launch that no GPU takes", f->name), INVALID;
  if (f->launch.shared_bytes > 48 * 1024 || shared > (f->most_dynamic > 48 * 1024 ? f->most_dynamic : 48 * 1024))
    return snprintf(message, sizeof message, "kernel '%s': more shared memory than it asked for", f->name), INVALID;
  recorded r = {.function = f, .launch = f->launch};
  r.launch.shared_bytes += shared;
  memcpy(r.launch.grid, (int64_t[]){gx, gy, gz}, sizeof r.launch.grid);
  memcpy(r.launch.block, (int64_t[]){bx, by, bz}, sizeof r.launch.block);
  for (int64_t i = 0; i < f->num_arguments; ++i)
    memcpy(r.arguments[i], parameters[i], f->maps >> i & 1 ? sizeof(cu_tensor_map) : sizeof(cu_pointer));
  struct cu_graph_s *graph = stream->records;
  if (!graph)
    return execute(&r);
  if (graph->count == graph->capacity) {
    graph->capacity = graph->capacity ? graph->capacity * 2 : 64;
    recorded *more = aligned_alloc(64, (size_t)graph->capacity * sizeof *more);
    memcpy(more, graph->launches, (size_t)graph->count * sizeof *more);
    free(graph->launches);
    graph->launches = more;
  }
  graph->launches[graph->count++] = r;
  return OK;
}
