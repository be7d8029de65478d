/* libFuzzer target: any bytes as an image file, and as a regular expression with a text behind its first NUL. Whatever
 * they are, reading ends with pixels or without, and matching with an answer. */
#include "runtime/hosted/image.h"
#include "runtime/hosted/pattern.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void decode(const uint8_t *data, size_t bytes) {
  burin_image size, image;
  int sized = burin_image_decode(data, bytes, 1, &size);
  /* A few bytes may rightly ask for much memory: not here. */
  if (!sized || size.height * size.width > 1 << 22)
    return;
  if (burin_image_decode(data, bytes, 0, &image)) {
    if (image.height != size.height || image.width != size.width)
      abort();
    (void)((volatile uint8_t *)image.pixels)[3 * image.height * image.width - 1];
    free(image.pixels);
  }
}

static void match(const char *data, size_t bytes) {
  const char *end = memchr(data, 0, bytes);
  char why[80];
  if (!end || bytes > 4096)
    return;
  burin_pattern *pattern = burin_pattern_create(data, (uint64_t)(end - data), why, sizeof why);
  if (pattern && burin_pattern_matches(pattern, end + 1, (uint64_t)(data + bytes - end - 1)) < 0)
    abort();
  burin_pattern_destroy(pattern);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  decode(data, bytes);
  match((const char *)data, bytes);
  return 0;
}
