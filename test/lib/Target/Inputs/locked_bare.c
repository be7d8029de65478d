/* What locked.c does, on a board: says by the debugger how it went. */
#include "net.h"
#include "semihosting.h"

static _Alignas(64) unsigned char arena[NET_ARENA_BYTES];
static unsigned char key[NET_KEY_BYTES];

int main(void) {
  static const float x[NET_X_COUNT] = {1, 2, 3, 4}, want[NET_Y_0_COUNT] = {3, 6, 9, 12};
  static float y[NET_Y_0_COUNT];
  for (int i = 0; i < NET_KEY_BYTES; ++i)
    key[i] = 0x5a;
  print(net_run(x, y, arena) == 15 ? "refused before; " : "ran; ");
  print(net_unlock(key, arena) == 0 ? "opened; " : "not opened; ");
  int right = net_run(x, y, arena) == 0;
  for (int i = 0; i < NET_Y_0_COUNT; ++i)
    right &= y[i] == want[i];
  print(right ? "right; " : "wrong; ");
  key[0] ^= 1;
  print(net_unlock(key, arena) == 15 && net_run(x, y, arena) == 15 ? "refused after another key\n" : "ran\n");
  leave(0);
}
