/* The runtime's own C functions (burin_function) by name, for code that is loaded and not linked. */
#ifndef BURIN_RUNTIME_HOSTED_FUNCTIONS_H
#define BURIN_RUNTIME_HOSTED_FUNCTIONS_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* NULL when there is none. */
burin_function burin_find_function(const char *name);

#ifdef __cplusplus
}
#endif
#endif
