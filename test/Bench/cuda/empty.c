/* A CUDA program that does nothing: what any program pays before its own work. Start times are measured against it. */
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>

int main(void) {
  void *driver = dlopen("libcuda.so.1", RTLD_NOW), *context = 0;
  if (!driver)
    return fprintf(stderr, "no NVIDIA driver\n"), 1;
  int (*init)(unsigned), (*get)(int *, int), (*retain)(void **, int), (*push)(void *), (*allocate)(uint64_t *, size_t);
  *(void **)&init = dlsym(driver, "cuInit");
  *(void **)&get = dlsym(driver, "cuDeviceGet");
  *(void **)&retain = dlsym(driver, "cuDevicePrimaryCtxRetain");
  *(void **)&push = dlsym(driver, "cuCtxPushCurrent_v2");
  *(void **)&allocate = dlsym(driver, "cuMemAlloc_v2");
  int device = 0;
  uint64_t memory = 0;
  return init(0) || get(&device, 0) || retain(&context, device) || push(context) || allocate(&memory, 1 << 20);
}
