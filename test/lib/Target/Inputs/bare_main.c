// The least program: the library's own arena, no C library.
#include "net.h"
static float x[NET_X_COUNT], y[NET_Y_0_COUNT];
int main(void) { return net_run(x, y, net_arena); }
