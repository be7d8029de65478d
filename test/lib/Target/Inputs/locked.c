/* NAME_unlock beside NAME_run: nothing runs before the key has fitted, and nothing after a key that has not. */
#include "net.h"
#include <stdio.h>
#include <string.h>

static _Alignas(64) unsigned char arena[NET_ARENA_BYTES];

int main(void) {
  static const float x[NET_X_COUNT] = {1, 2, 3, 4};
  float y[NET_Y_0_COUNT];
  unsigned char key[NET_KEY_BYTES];
  memset(key, 0x5a, sizeof key);
  memset(arena, 0xa5, sizeof arena);
  printf("run %d\n", net_run(x, y, arena));
  printf("unlock %d\n", net_unlock(key, arena));
  printf("run %d:", net_run(x, y, arena));
  for (int i = 0; i < NET_Y_0_COUNT; ++i)
    printf(" %g", y[i]);
  key[31] ^= 1;
  printf("\nunlock %d\n", net_unlock(key, arena));
  printf("run %d\n", net_run(x, y, arena));
}
