/* NVIDIA's driver API, opened while a program runs: nothing of CUDA is needed to build or to link. Own declarations of
 * the few functions in use, under the names that the driver exports (cuda.h renames some of them by #define). */
#ifndef BURIN_RUNTIME_CUDA_DRIVER_H
#define BURIN_RUNTIME_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

typedef int cu_result; /* 0: success */
typedef int cu_device;
typedef uint64_t cu_pointer; /* of the device; with unified addressing also of the host */
typedef struct cu_context_s *cu_context;
typedef struct cu_module_s *cu_module;
typedef struct cu_function_s *cu_function;
typedef struct cu_stream_s *cu_stream;
typedef struct cu_graph_s *cu_graph;
typedef struct cu_graph_exec_s *cu_graph_exec;

enum {
  CU_MAJOR = 75, /* of cuDeviceGetAttribute: compute capability */
  CU_MINOR = 76,
  CU_INTEGRATED = 18,           /* the device works in the host's memory */
  CU_REGISTER_MAPPED = 2,       /* of cuMemHostRegister */
  CU_FUNCTION_SHARED_BYTES = 8, /* of cuFuncSetAttribute: most dynamic shared memory */
  CU_JIT_ERROR_LOG = 5,         /* of cuModuleLoadDataEx */
  CU_JIT_ERROR_LOG_BYTES = 6,
  CU_STREAM_NON_BLOCKING = 1,
  CU_CAPTURE_RELAXED = 2,
  CU_POINTER_MEMORY_TYPE = 2, /* of cuPointerGetAttribute */
  CU_MEMORY_DEVICE = 2,       /* its answer for the device's memory */
  CU_MAP_UINT16 = 1,          /* of cuTensorMapEncodeTiled: elements */
  CU_MAP_SWIZZLE_128 = 3,     /* units of 16 bytes in rows of 128 change places */
  CU_MAP_PROMOTION_256 = 3    /* bytes that the cache fetches at once */
};

/* Opaque; at a multiple of 64. */
typedef struct cu_tensor_map {
  uint64_t words[16];
} cu_tensor_map;

/* X(name in the struct, exported name, parameters) */
#define BURIN_CUDA_FUNCTIONS(X)                                                                                        \
  X(init, "cuInit", (unsigned))                                                                                        \
  X(error_name, "cuGetErrorName", (cu_result, const char **))                                                          \
  X(error_string, "cuGetErrorString", (cu_result, const char **))                                                      \
  X(device_count, "cuDeviceGetCount", (int *))                                                                         \
  X(device_get, "cuDeviceGet", (cu_device *, int))                                                                     \
  X(device_attribute, "cuDeviceGetAttribute", (int *, int, cu_device))                                                 \
  X(context_retain, "cuDevicePrimaryCtxRetain", (cu_context *, cu_device))                                             \
  X(context_release, "cuDevicePrimaryCtxRelease_v2", (cu_device))                                                      \
  X(context_push, "cuCtxPushCurrent_v2", (cu_context))                                                                 \
  X(context_pop, "cuCtxPopCurrent_v2", (cu_context *))                                                                 \
  X(module_load, "cuModuleLoadDataEx", (cu_module *, const void *, unsigned, int *, void **))                          \
  X(module_unload, "cuModuleUnload", (cu_module))                                                                      \
  X(module_function, "cuModuleGetFunction", (cu_function *, cu_module, const char *))                                  \
  X(function_set, "cuFuncSetAttribute", (cu_function, int, int))                                                       \
  X(allocate, "cuMemAlloc_v2", (cu_pointer *, size_t))                                                                 \
  X(release, "cuMemFree_v2", (cu_pointer))                                                                             \
  X(map_host, "cuMemHostRegister_v2", (void *, size_t, unsigned))                                                      \
  X(unmap_host, "cuMemHostUnregister", (void *))                                                                       \
  X(mapped_pointer, "cuMemHostGetDevicePointer_v2", (cu_pointer *, void *, unsigned))                                  \
  X(copy, "cuMemcpyAsync", (cu_pointer, cu_pointer, size_t, cu_stream))                                                \
  X(pointer_attribute, "cuPointerGetAttribute", (void *, int, cu_pointer))                                             \
  X(stream_create, "cuStreamCreate", (cu_stream *, unsigned))                                                          \
  X(stream_destroy, "cuStreamDestroy_v2", (cu_stream))                                                                 \
  X(stream_wait, "cuStreamSynchronize", (cu_stream))                                                                   \
  X(capture_begin, "cuStreamBeginCapture_v2", (cu_stream, int))                                                        \
  X(capture_end, "cuStreamEndCapture", (cu_stream, cu_graph *))                                                        \
  X(graph_instantiate, "cuGraphInstantiateWithFlags", (cu_graph_exec *, cu_graph, unsigned long long))                 \
  X(graph_destroy, "cuGraphDestroy", (cu_graph))                                                                       \
  X(graph_launch, "cuGraphLaunch", (cu_graph_exec, cu_stream))                                                         \
  X(graph_exec_destroy, "cuGraphExecDestroy", (cu_graph_exec))                                                         \
  X(launch, "cuLaunchKernel",                                                                                          \
    (cu_function, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, cu_stream, void **, void **))

/* Those that older drivers lack; the pointers are null then. */
#define BURIN_CUDA_NEWER_FUNCTIONS(X)                                                                                  \
  X(encode_map, "cuTensorMapEncodeTiled",                                                                              \
    (cu_tensor_map *, int type, unsigned rank, void *base, const uint64_t *dims, const uint64_t *strides,              \
     const uint32_t *box, const uint32_t *steps, int interleave, int swizzle, int promotion, int fill))

typedef struct burin_cuda_driver {
#define BURIN_CUDA_MEMBER(member, exported, parameters) cu_result(*member) parameters;
  BURIN_CUDA_FUNCTIONS(BURIN_CUDA_MEMBER)
  BURIN_CUDA_NEWER_FUNCTIONS(BURIN_CUDA_MEMBER)
#undef BURIN_CUDA_MEMBER
} burin_cuda_driver;

/* Opens the driver; once a process, the same answer for all callers. NULL with a reason in `text` where there is none.
 */
const burin_cuda_driver *burin_cuda_open_driver(char *text, size_t size);

#endif
