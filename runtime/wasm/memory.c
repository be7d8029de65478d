/* What a WebAssembly module needs of a C library and does not find in a browser. Compiled with bulk memory, each is one
 * instruction: the loops below never call themselves. */
#include <stddef.h>

void *memmove(void *to, const void *from, size_t bytes) {
  __asm__("local.get %0\n local.get %1\n local.get %2\n memory.copy 0, 0"
          :
          : "r"(to), "r"(from), "r"(bytes)
          : "memory");
  return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t bytes) { return memmove(to, from, bytes); }

void *memset(void *to, int value, size_t bytes) {
  __asm__("local.get %0\n local.get %1\n local.get %2\n memory.fill 0" : : "r"(to), "r"(value), "r"(bytes) : "memory");
  return to;
}
