/* Weights that --encrypt closed, with XChaCha20-Poly1305 of Monocypher. The section as it is stored, little endian:
 *
 *   "BLW1" | u32 0 | u64 bytes of what is closed, n | nonce, 24 bytes | MAC, 16 bytes | u64 ~n | n bytes
 *
 * The MAC covers the first 16 bytes too; ~n tells that n is sound before anything is read by it. Opened,
 * BURIN_ALIGNMENT bytes come before the weights: the MAC, by which NAME_run knows memory that was opened for it, and
 * zeros. */
#include "runtime/freestanding/lock.h"
#include "monocypher.h"

enum { NONCE = 16, MAC = BURIN_LOCK_MAC, MAC_BYTES = 16, AGAIN = MAC + MAC_BYTES };

#define MAGIC 0x31574c42u /* "BLW1" */

/* Of a sound section; else 0. */
static uint64_t closed_bytes(const uint8_t *stored) {
  uint32_t magic;
  uint64_t bytes, again;
  __builtin_memcpy(&magic, stored, 4);
  __builtin_memcpy(&bytes, stored + 8, 8);
  __builtin_memcpy(&again, stored + AGAIN, 8);
  return magic == MAGIC && bytes == ~again ? bytes : 0;
}

void burin_lock(const uint8_t *plain, uint64_t bytes, const uint8_t *key, const uint8_t *nonce, uint8_t *to) {
  __builtin_memset(to, 0, BURIN_LOCK_BYTES);
  uint32_t magic = MAGIC;
  uint64_t again = ~bytes;
  __builtin_memcpy(to, &magic, 4);
  __builtin_memcpy(to + 8, &bytes, 8);
  __builtin_memcpy(to + AGAIN, &again, 8);
  __builtin_memcpy(to + NONCE, nonce, BURIN_NONCE_BYTES);
  crypto_aead_lock(to + BURIN_LOCK_BYTES, to + MAC, key, nonce, to, NONCE, plain, (size_t)bytes);
}

int32_t burin_open_weights(const void *stored, const uint8_t *key, void *to) {
  const uint8_t *from = stored;
  uint8_t *mark = to;
  uint64_t bytes = closed_bytes(from);
  __builtin_memset(mark, 0, BURIN_ALIGNMENT);
  if (bytes == 0 || crypto_aead_unlock(mark + BURIN_ALIGNMENT, from + MAC, key, from + NONCE, from, NONCE,
                                       from + BURIN_LOCK_BYTES, (size_t)bytes))
    return BURIN_ERROR_KEY;
  __builtin_memcpy(mark, from + MAC, MAC_BYTES);
  return BURIN_OK;
}

uint64_t burin_unlocked_bytes(const burin_model *model) {
  uint64_t bytes = model->flags & BURIN_LOCKED_WEIGHTS ? closed_bytes(model->weights) + BURIN_ALIGNMENT : 0;
  return (bytes + BURIN_ALIGNMENT - 1) & -(uint64_t)BURIN_ALIGNMENT;
}

burin_status burin_unlock_weights(const burin_model *model, const uint8_t *key, void *to, burin_model *unlocked) {
  if (!key || !to || !(model->flags & BURIN_LOCKED_WEIGHTS))
    return BURIN_ERROR_NULL;
  burin_status status = (burin_status)burin_open_weights(model->weights, key, to);
  if (status != BURIN_OK)
    return status;
  *unlocked = *model;
  unlocked->weights = (const uint8_t *)to + BURIN_ALIGNMENT;
  unlocked->flags &= ~(uint32_t)BURIN_LOCKED_WEIGHTS;
  return BURIN_OK;
}
