// What an application does with the module: the header, one call.
#include "net.h"
#include <stdio.h>

static _Alignas(64) unsigned char arena[NET_ARENA_BYTES];

int main(void) {
  static const float x[NET_X_COUNT] = {1, 2, 3, 4};
  float y[NET_Y_0_COUNT];
  int status = net_run(x, y, arena);
  for (int i = 0; i < NET_Y_0_COUNT && !status; ++i)
    printf("%g ", y[i]);
  return status;
}
