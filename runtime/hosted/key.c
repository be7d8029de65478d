/* See key.h. No message holds any of what was read. */
#define _GNU_SOURCE
#include "runtime/hosted/key.h"
#include "runtime/hosted/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static int digit(char c) {
  return c >= '0' && c <= '9'   ? c - '0'
         : c >= 'a' && c <= 'f' ? c - 'a' + 10
         : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                : -1;
}

static int from_digits(const char *text, size_t length, uint8_t *key) {
  while (length && isspace((unsigned char)*text))
    ++text, --length;
  while (length && isspace((unsigned char)text[length - 1]))
    --length;
  if (length != 2 * BURIN_KEY_BYTES)
    return 0;
  for (size_t i = 0; i < BURIN_KEY_BYTES; ++i) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0)
      return 0;
    key[i] = (uint8_t)(high * 16 + low);
  }
  return 1;
}

int burin_read_key(const char *place, uint8_t *key, burin_error *error) {
  if (!strncmp(place, "env:", 4)) {
    const char *text = getenv(place + 4);
    if (!text)
      return burin_fail(error, "no key: the environment has no %s", place + 4);
    return from_digits(text, strlen(text), key)
               ? 0
               : burin_fail(error, "%s of the environment: expected a key of 64 hexadecimal digits", place + 4);
  }
  void *data;
  size_t bytes;
  if (burin_file_read(place, &data, &bytes, error))
    return -1;
  int good = bytes == BURIN_KEY_BYTES || from_digits(data, bytes, key);
  if (bytes == BURIN_KEY_BYTES)
    memcpy(key, data, BURIN_KEY_BYTES);
  explicit_bzero(data, bytes);
  free(data);
  return good ? 0
              : burin_fail(error,
                           "%s: expected a key, 32 bytes or 64 hexadecimal digits; `openssl rand -hex 32` makes one",
                           place);
}

void burin_forget_key(uint8_t *key) { explicit_bzero(key, BURIN_KEY_BYTES); }
