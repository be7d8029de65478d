/* Which of the burin_cpu_feature bits the CPU has. Internal to runtime/freestanding. */
#ifndef BURIN_RUNTIME_FREESTANDING_CPU_H
#define BURIN_RUNTIME_FREESTANDING_CPU_H

#include <stdint.h>

/* Asks the CPU the first time and remembers. Safe from any thread. */
uint32_t burin_cpu_features(void);

#endif
