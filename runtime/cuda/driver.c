/* See driver.h. */
#include "runtime/cuda/driver.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

static int resolve(void *library, burin_cuda_driver *driver, char *text, size_t size) {
#define BURIN_CUDA_RESOLVE(member, exported, parameters)                                                               \
  {                                                                                                                    \
    void *symbol = dlsym(library, exported);                                                                           \
    if (!symbol) {                                                                                                     \
      snprintf(text, size, "the NVIDIA driver is too old: it has no %s", exported);                                    \
      return -1;                                                                                                       \
    }                                                                                                                  \
    memcpy(&driver->member, &symbol, sizeof symbol);                                                                   \
  }
  BURIN_CUDA_FUNCTIONS(BURIN_CUDA_RESOLVE)
#undef BURIN_CUDA_RESOLVE
#define BURIN_CUDA_RESOLVE(member, exported, parameters)                                                               \
  {                                                                                                                    \
    void *symbol = dlsym(library, exported);                                                                           \
    memcpy(&driver->member, &symbol, sizeof symbol);                                                                   \
  }
  BURIN_CUDA_NEWER_FUNCTIONS(BURIN_CUDA_RESOLVE)
#undef BURIN_CUDA_RESOLVE
  return 0;
}

/* Under the lock of run.c. */
const burin_cuda_driver *burin_cuda_open_driver(char *text, size_t size) {
  static burin_cuda_driver driver;
  static int is_open;
  if (is_open)
    return &driver;
  void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    const char *why = dlerror();
    char first[200];
    snprintf(first, sizeof first, "%s", why ? why : "libcuda.so.1 cannot be opened");
    library = dlopen("libcuda.so", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
      snprintf(text, size, "no NVIDIA driver: %s", first);
      return NULL;
    }
  }
  if (resolve(library, &driver, text, size)) {
    dlclose(library);
    return NULL;
  }
  is_open = 1;
  return &driver;
}
