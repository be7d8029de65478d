/* Two models side by side, as the comment in their headers shows. */
#include "one.h"
#include "two.h"
#include <stdio.h>

static _Alignas(64) unsigned char arena[ONE_ARENA_BYTES];
static const float x[ONE_X_COUNT] = {1, 2, 3, 4};
static float y[ONE_Y_0_COUNT];

int main(void) {
  for (int i = 0; i < 2; ++i) {
    if (i ? two_run(x, y, arena) : one_run(x, y, arena))
      return 1;
    printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]);
  }
  return 0;
}
