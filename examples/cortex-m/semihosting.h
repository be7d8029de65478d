/* Files and text through the debugger (Arm's semihosting interface, which qemu offers as well). */
#ifndef SEMIHOSTING_H
#define SEMIHOSTING_H

#include <stdint.h>

static inline int32_t semihosting(int32_t operation, const void *arguments) {
  register int32_t r0 __asm__("r0") = operation;
  register const void *r1 __asm__("r1") = arguments;
  __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

static inline uint32_t text_length(const char *text) {
  uint32_t length = 0;
  while (text[length])
    ++length;
  return length;
}

static inline void print(const char *text) { semihosting(0x04, text); }

/* `mode`: 1 reads, 5 writes. Negative where there is no such file. */
static inline int32_t open_file(const char *name, uint32_t mode) {
  const uint32_t arguments[] = {(uint32_t)name, mode, text_length(name)};
  return semihosting(0x01, arguments);
}

/* Bytes that were not read or written. */
static inline int32_t read_file(int32_t file, void *to, uint32_t bytes) {
  const uint32_t arguments[] = {(uint32_t)file, (uint32_t)to, bytes};
  return semihosting(0x06, arguments);
}

static inline int32_t write_file(int32_t file, const void *from, uint32_t bytes) {
  const uint32_t arguments[] = {(uint32_t)file, (uint32_t)from, bytes};
  return semihosting(0x05, arguments);
}

static inline void close_file(int32_t file) { semihosting(0x02, &file); }

_Noreturn static inline void leave(int32_t status) {
  const uint32_t arguments[] = {0x20026, (uint32_t)status};
  semihosting(0x20, arguments);
  for (;;)
    ;
}

#endif
