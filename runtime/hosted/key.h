/* Keys of --encrypt, for the compiler and for programs. */
#ifndef BURIN_RUNTIME_HOSTED_KEY_H
#define BURIN_RUNTIME_HOSTED_KEY_H

#include "burin/runtime.h"
#include "runtime/hosted/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* From a file, or the environment where `place` is env:NAME: 64 hexadecimal digits, white space around them ignored,
 * or, in a file, BURIN_KEY_BYTES bytes as they are. Returns 0, or -1 with the error written. */
int burin_read_key(const char *place, uint8_t *key, burin_error *error);

/* Overwrites a key that was used. */
void burin_forget_key(uint8_t *key);

#ifdef __cplusplus
}
#endif
#endif
