/* What a program asks of the operating system. */
#define _GNU_SOURCE
#include "runtime/hosted/host.h"

#include <link.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <time.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older ones refuse it */
#endif

/* The freestanding runtime knows getauxval as a weak symbol only, which draws nothing out of a static libc. This does.
 */
__attribute__((used)) static unsigned long (*const keep_getauxval)(unsigned long) = getauxval;

uint64_t burin_clock(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void *burin_arena_allocate(uint64_t bytes) {
  const size_t LARGE_PAGE = 2u << 20, PAGE = 4096;
  size_t alignment = bytes >= LARGE_PAGE ? LARGE_PAGE : BURIN_ALIGNMENT;
  void *arena = NULL;
  if (bytes > SIZE_MAX - LARGE_PAGE || posix_memalign(&arena, alignment, (size_t)bytes + BURIN_ALIGNMENT))
    return NULL;
  if (alignment == LARGE_PAGE)
    (void)madvise(arena, (size_t)bytes, MADV_HUGEPAGE); /* only a wish */
  /* All pages by one call instead of a fault each. */
  uintptr_t first = ((uintptr_t)arena + PAGE - 1) / PAGE * PAGE, end = ((uintptr_t)arena + (size_t)bytes) / PAGE * PAGE;
  if (end <= first || madvise((void *)first, end - first, MADV_POPULATE_WRITE))
    memset(arena, 0, (size_t)bytes + BURIN_ALIGNMENT);
  return arena;
}

/* There only where something calls a device. */
__attribute__((weak)) void burin_cuda_release(const void *arena);

void burin_arena_release(void *arena) {
  if (arena && burin_cuda_release)
    burin_cuda_release(arena);
  free(arena);
}

static void *host_allocate(void *user, size_t bytes, size_t alignment) {
  void *data = NULL;
  (void)user;
  return posix_memalign(&data, alignment, bytes) ? NULL : data;
}

static void host_release(void *user, void *pointer) {
  (void)user;
  free(pointer);
}

const burin_allocator burin_host_allocator = {host_allocate, host_release, NULL};

uint64_t burin_float_control(void) {
#if defined(__x86_64__)
  return _mm_getcsr() & ~(uint64_t)_MM_EXCEPT_MASK; /* what has happened so far is no setting */
#elif defined(__aarch64__)
  uint64_t control;
  __asm__ volatile("mrs %0, fpcr" : "=r"(control));
  return control;
#else
  return 0;
#endif
}

void burin_set_float_control(uint64_t control) {
  if (control == burin_float_control())
    return;
#if defined(__x86_64__)
  _mm_setcsr((unsigned)control);
#elif defined(__aarch64__)
  __asm__ volatile("msr fpcr, %0" : : "r"(control));
#endif
}

void burin_flush_denormals(void) {
#if defined(__x86_64__)
  burin_set_float_control(burin_float_control() | 0x8040); /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
  burin_set_float_control(burin_float_control() | 1u << 24);
#endif
}

typedef struct code_query {
  uintptr_t address;
  uint64_t bytes;
} code_query;

static int visit_module(struct dl_phdr_info *module, size_t size, void *data) {
  (void)size;
  code_query *query = data;
  uint64_t bytes = 0;
  int found = 0;
  for (int i = 0; i < module->dlpi_phnum; ++i) {
    const ElfW(Phdr) *segment = &module->dlpi_phdr[i];
    if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
      continue;
    bytes += segment->p_memsz;
    found |= query->address - (module->dlpi_addr + segment->p_vaddr) < segment->p_memsz;
  }
  if (found)
    query->bytes = bytes;
  return found;
}

uint64_t burin_code_bytes(burin_entry function) {
  code_query query = {(uintptr_t)function, 0};
  dl_iterate_phdr(visit_module, &query);
  return query.bytes;
}
