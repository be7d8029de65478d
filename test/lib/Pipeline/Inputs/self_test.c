#include "types.h"
#include <stdio.h>

static _Alignas(64) unsigned char arena[TYPES_ARENA_BYTES], outputs[TYPES_SELFTEST_BYTES];

int main(void) {
  printf("%d\n", types_selftest(arena, outputs));
  return 0;
}
