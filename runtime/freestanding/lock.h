/* The two sides of --encrypt below burin_unlock_weights: what the compiler closes, what NAME_unlock opens. */
#ifndef BURIN_RUNTIME_FREESTANDING_LOCK_H
#define BURIN_RUNTIME_FREESTANDING_LOCK_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BURIN_LOCK_BYTES = 64, BURIN_LOCK_MAC = 40, BURIN_NONCE_BYTES = 24 };

/* BURIN_LOCK_MAC: where a stored section has its MAC, as the first bytes of opened weights repeat it. */

/* Closes `bytes` bytes into `to`, BURIN_LOCK_BYTES more. No nonce may come twice with one key: 24 random bytes. */
void burin_lock(const uint8_t *plain, uint64_t bytes, const uint8_t *key, const uint8_t *nonce, uint8_t *to);

/* Opens a stored section into `to`: what burin_unlocked_bytes says. BURIN_OK or BURIN_ERROR_KEY. */
int32_t burin_open_weights(const void *stored, const uint8_t *key, void *to);

#ifdef __cplusplus
}
#endif
#endif
