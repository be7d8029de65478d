/* A model with free dims through its own header: sizes first, then a run in an arena of that size. */
#include "free_dims.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  for (int64_t length = 1; length <= 40; length += 13) {
    int64_t dims[1][8];
    uint64_t bytes;
    if (free_dims_sizes(2, length, dims, &bytes) || dims[0][0] != 2 || dims[0][1] != length || dims[0][2] != 4)
      return 1;
    float *x = calloc((size_t)length * 16, sizeof *x), *z = calloc((size_t)length * 8, sizeof *z),
          *y = calloc((size_t)length * 8, sizeof *y);
    void *arena = aligned_alloc(64, (bytes + 64) / 64 * 64);
    for (int64_t i = 0; i < length * 8; ++i)
      z[i] = (float)i;
    if (free_dims_run(2, length, x, z, y, arena))
      return 2;
    for (int64_t i = 0; i < length * 8; ++i)
      if (fabsf(y[i] - (float)i - 1) > 1e-5f)
        return 3;
    free(x), free(z), free(y), free(arena);
  }
  printf("all sizes\n");
  return 0;
}
