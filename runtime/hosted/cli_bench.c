/* --bench: times whole runs and prints one line of JSON. */
#include "runtime/hosted/cli_internal.h"
#include "runtime/hosted/host.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { FEWEST_RUNS = 3, MOST_RUNS = 1 << 20 };

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

double burin_cli_median(double *values, size_t count) {
  qsort(values, count, sizeof *values, by_value);
  return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

int burin_cli_bench(burin_cli *cli, burin_error *error) {
  const double seconds = cli->options.bench_seconds;
  double *ms = malloc(MOST_RUNS * sizeof *ms); /* pages that stay unused cost nothing */
  if (!ms)
    return burin_fail(error, "out of memory");
  /* The first run faults pages in, the next ones raise the clock. */
  uint64_t start = burin_clock();
  do {
    if (burin_cli_run_once(cli, error)) {
      free(ms);
      return -1;
    }
  } while ((double)(burin_clock() - start) < 0.05e9 && (double)(burin_clock() - start) < 0.1e9 * seconds);

  size_t runs = 0;
  start = burin_clock();
  for (uint64_t now = start; runs < FEWEST_RUNS || (runs < MOST_RUNS && (double)(now - start) < seconds * 1e9);) {
    uint64_t begin = burin_clock();
    if (burin_cli_run_once(cli, error)) {
      free(ms);
      return -1;
    }
    now = burin_clock();
    ms[runs++] = (double)(now - begin) / 1e6;
  }
  double median = burin_cli_median(ms, runs);
  printf("{\"median_ms\":%.6f,\"min_ms\":%.6f,\"p90_ms\":%.6f,\"runs\":%zu,\"arena_bytes\":%" PRIu64
         ",\"weights_bytes\":%" PRIu64 ",\"code_bytes\":%" PRIu64,
         median, ms[0], ms[(runs - 1) * 9 / 10], runs, cli->arena_bytes, cli->model->weights_bytes,
         burin_code_bytes(burin_select_variant(cli->model)->entry));
  if (cli->weights)
    printf(",\"decode_ms\":%.3f", cli->decode_ms);
  printf("}\n");
  free(ms);
  return 0;
}
