/* What a program asks of the operating system: time, an arena, denormals off, the size of its code. */
#ifndef BURIN_RUNTIME_HOSTED_HOST_H
#define BURIN_RUNTIME_HOSTED_HOST_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Monotonic, nanoseconds. */
uint64_t burin_clock(void);

/* Zeroed, BURIN_ALIGNMENT-aligned, every page touched so that no run pays for it; on large pages where there are any.
 * NULL when out of memory. */
void *burin_arena_allocate(uint64_t bytes);
/* Frees it, and gives back what runs on it hold of a GPU. NULL is allowed. */
void burin_arena_release(void *arena);

/* malloc and free, aligned. */
extern const burin_allocator burin_host_allocator;

/* How this thread rounds and treats denormals, as the machine's own word, for another thread to do the same. */
uint64_t burin_float_control(void);
void burin_set_float_control(uint64_t control);

/* Treats denormal numbers as zero on this thread from now on: they cost up to 100 times more and mean nothing here. */
void burin_flush_denormals(void);

/* Bytes of machine code in the program or shared library that holds `function`; 0 if unknown (code made in memory). */
uint64_t burin_code_bytes(burin_entry function);

#ifdef __cplusplus
}
#endif
#endif
