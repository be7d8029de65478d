/* --profile: where the time of a run goes, layer by layer, beside what the machine can do. */
#include "runtime/hosted/cli_internal.h"
#include "runtime/hosted/file.h"
#include "runtime/hosted/host.h"
#include "runtime/hosted/peak.h"
#include "runtime/hosted/roofline.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEWEST_RUNS = 5, MOST_RUNS = 1000, MOST_SAMPLES = 1 << 22, NAME_WIDTH = 60 };

typedef struct recorder {
  uint32_t num_layers;
  uint64_t *begin; /* ns, when the layer last began */
  uint64_t *first; /* ns, when it first began in this run; 0: not yet */
  uint64_t *time;  /* ns in this run; a layer inside a loop runs more than once */
} recorder;

static void record(void *user, uint32_t layer, int32_t end) {
  recorder *r = user;
  if (layer >= r->num_layers)
    return;
  uint64_t now = burin_clock();
  if (end) {
    r->time[layer] += now - r->begin[layer];
    return;
  }
  r->begin[layer] = now;
  if (!r->first[layer])
    r->first[layer] = now;
}

/* One line of the table. `least`: ms that the machine takes at least, 0 where nobody knows; `bound` tells what by. */
static void print_line(const char *index, const char *kind, double ms, double total_ms, double flops, double bytes,
                       double least, const char *bound, const char *name) {
  size_t length = strlen(name);
  double per_second = ms > 0 ? 1e3 / ms : 0;
  printf("%5s  %-14.14s %10.4f %6.1f %9.1f %8.2f %7.1f  %-6s  %.*s%s\n", index, kind, ms,
         total_ms > 0 ? 100 * ms / total_ms : 0, flops * per_second / 1e9, bytes * per_second / 1e9,
         ms > 0 ? 100 * least / ms : 0, bound, NAME_WIDTH, name, length > NAME_WIDTH ? "..." : "");
}

static void print_table(const burin_cli *cli, const burin_measured *measured) {
  const burin_model *model = cli->model;
  const burin_roofline *roofline = &measured->roofline;
  double flops = 0, bytes = 0, inside = 0, least = 0, total = measured->run_ms;
  printf("%5s  %-14s %10s %6s %9s %8s %7s  %-6s  %s\n", "layer", "kind", "ms", "%", "GFLOP/s", "GB/s", "% roof",
         "bound", "name");
  for (uint32_t i = 0; i < model->num_layers; ++i) {
    const burin_layer_info *layer = &model->layers[i];
    char index[16];
    int is_memory;
    double ms = measured->layer_ms[i], roof = 1e3 * burin_least_time(roofline, model, layer, &is_memory);
    flops += (double)layer->flops;
    bytes += (double)layer->bytes;
    inside += ms;
    least += ms > 0 ? roof : 0; /* not what an early exit or a branch has left out */
    if (cli->options.profile_layer >= 0 && cli->options.profile_layer != i)
      continue;
    snprintf(index, sizeof index, "%" PRIu32, i);
    print_line(index, layer->kind, ms, total, (double)layer->flops, (double)layer->bytes, roof,
               is_memory ? "memory" : "fma", layer->name);
  }
  if (cli->options.profile_layer < 0) {
    print_line("", "between", total > inside ? total - inside : 0, total, 0, 0, 0, "", "");
    print_line("", "run", total, total, flops, bytes, least, "", model->name);
  }
  printf("median of %zu runs on %d thread%s; roof: peak %.1f GFLOP/s, %.1f GOP/s on bytes, reading", measured->runs,
         cli->options.threads, cli->options.threads > 1 ? "s" : "", roofline->float_peak / 1e9,
         roofline->byte_peak / 1e9);
  for (int level = 0; level < roofline->levels; ++level)
    printf("%s %.0f GB/s of %" PRIu64 " KB", level ? "," : "", roofline->bandwidth[level] / 1e9,
           roofline->footprint[level] >> 10);
  printf(", measured\n");
}

/* Times runs until the seconds are over; then the medians. */
static int measure(burin_cli *cli, recorder *r, double *by_run, size_t most, burin_measured *measured,
                   burin_error *error) {
  const uint32_t n = cli->model->num_layers;
  uint64_t run_begin = 0, run_end = 0, start = 0;
  size_t runs = 0;
  burin_measure_roofline(&measured->roofline, cli->model->weights_bytes + cli->arena_bytes, cli->context.parallel,
                         cli->options.threads);
  for (int warm = 0;
       runs < FEWEST_RUNS || (runs < most && (double)(run_end - start) < cli->options.bench_seconds * 1e9);) {
    memset(r->first, 0, (n + 1) * sizeof *r->first);
    memset(r->time, 0, (n + 1) * sizeof *r->time);
    run_begin = burin_clock();
    if (burin_cli_run_once(cli, error))
      return -1;
    run_end = burin_clock();
    if (!warm) { /* the first run pays for page faults */
      warm = 1;
      start = run_end;
      continue;
    }
    for (uint32_t i = 0; i < n; ++i)
      by_run[runs * (n + 1) + i] = (double)r->time[i] / 1e6;
    by_run[runs++ * (n + 1) + n] = (double)(run_end - run_begin) / 1e6;
  }
  /* Runs may have raised the clock: the higher of the peaks before and after counts. */
  const int32_t dtypes[] = {BURIN_FLOAT, BURIN_INT8};
  double *peaks[] = {&measured->roofline.float_peak, &measured->roofline.byte_peak};
  for (int i = 0; i < 2; ++i) {
    double again = burin_peak_operations(dtypes[i], cli->context.parallel, cli->options.threads);
    *peaks[i] = again > *peaks[i] ? again : *peaks[i];
  }
  double *samples = malloc(runs * sizeof *samples);
  if (!samples)
    return burin_fail(error, "out of memory");
  for (uint32_t i = 0; i <= n; ++i) {
    for (size_t run = 0; run < runs; ++run)
      samples[run] = by_run[run * (n + 1) + i];
    measured->layer_ms[i] = burin_cli_median(samples, runs);
  }
  free(samples);
  measured->run_ms = measured->layer_ms[n];
  measured->runs = runs;
  for (uint32_t i = 0; i < n; ++i) {
    measured->last_begin[i] = r->first[i] ? (double)(r->first[i] - run_begin) / 1e3 : -1;
    measured->last_time[i] = (double)r->time[i] / 1e3;
  }
  measured->last_run = (double)(run_end - run_begin) / 1e3;
  return 0;
}

static int show(burin_cli *cli, const burin_measured *measured, burin_error *error) {
  const char *path = cli->options.profile_path;
  if (path && !strcmp(path, "-"))
    return burin_cli_write_trace(cli, measured, stdout), 0;
  print_table(cli, measured);
  burin_output output;
  if (!path)
    return 0;
  if (burin_output_open(&output, path, error))
    return -1;
  burin_cli_write_trace(cli, measured, output.stream);
  return burin_output_commit(&output, error);
}

int burin_cli_profile(burin_cli *cli, burin_error *error) {
  const size_t n = cli->model->num_layers, columns = n + 1;
  size_t most = MOST_SAMPLES / columns;
  most = most < FEWEST_RUNS ? FEWEST_RUNS : most > MOST_RUNS ? MOST_RUNS : most;
  uint64_t *times = calloc(3 * columns, sizeof *times);
  double *samples = malloc(most * columns * sizeof *samples);
  int status = -1;
  double *results = calloc(3 * columns, sizeof *results);
  if (cli->options.profile_layer >= (int64_t)n) {
    burin_fail(error, "--profile-layer: there are layers 0 to %zu, got %" PRId64, n - 1, cli->options.profile_layer);
  } else if (times && samples && results) {
    recorder r = {(uint32_t)n, times, times + columns, times + 2 * columns};
    burin_measured measured = {
        .layer_ms = results, .last_begin = results + columns, .last_time = results + 2 * columns};
    const burin_profile hook = {record, &r};
    cli->context.profile = &hook;
    status = measure(cli, &r, samples, most, &measured, error);
    cli->context.profile = NULL;
    if (!status)
      status = show(cli, &measured, error);
  } else {
    burin_fail(error, "out of memory");
  }
  free(results);
  free(times);
  free(samples);
  return status;
}
