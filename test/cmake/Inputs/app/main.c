#include "net.h"
#include <stdio.h>

static _Alignas(64) unsigned char arena[NET_ARENA_BYTES];

int main(void) {
  float x[NET_X_COUNT] = {1, 2, 3, 4}, y[NET_Y_0_COUNT];
  if (net_run(x, y, arena))
    return 1;
  printf("%g %g %g %g\n", y[0], y[1], y[2], y[3]);
  return 0;
}
