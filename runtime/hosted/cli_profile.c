/* --profile: where the time of a run goes, layer by layer, beside what the machine can do; --profile=F.json: the last
 * run as a Chrome trace (chrome://tracing, ui.perfetto.dev). */
#include "runtime/hosted/cli_internal.h"
#include "runtime/hosted/file.h"
#include "runtime/hosted/host.h"
#include "runtime/hosted/peak.h"

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

static void write_json_text(FILE *stream, const char *text) {
  fputc('"', stream);
  for (; *text; ++text) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\')
      fprintf(stream, "\\%c", c);
    else if (c < 32)
      fprintf(stream, "\\u%04x", c);
    else
      fputc(c, stream);
  }
  fputc('"', stream);
}

static int write_trace(const burin_cli *cli, const recorder *r, uint64_t run_begin, uint64_t run_end,
                       burin_error *error) {
  const burin_model *model = cli->model;
  burin_output output;
  if (burin_output_open(&output, cli->options.profile_path, error))
    return -1;
  FILE *f = output.stream;
  fprintf(f, "{\"displayTimeUnit\":\"ms\",\"traceEvents\":[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,"
             "\"args\":{\"name\":");
  write_json_text(f, model->name);
  fprintf(f, "}},\n{\"name\":\"run\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":0,\"dur\":%.3f}",
          (double)(run_end - run_begin) / 1e3);
  for (uint32_t i = 0; i < r->num_layers; ++i) {
    const burin_layer_info *layer = &model->layers[i];
    if (!r->first[i])
      continue;
    fprintf(f, ",\n{\"name\":");
    write_json_text(f, layer->name);
    fprintf(f, ",\"cat\":");
    write_json_text(f, layer->kind);
    fprintf(f, ",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"layer\":%" PRIu32 ",\"kind\":",
            (double)(r->first[i] - run_begin) / 1e3, (double)r->time[i] / 1e3, i);
    write_json_text(f, layer->kind);
    fprintf(f, ",\"flops\":%" PRIu64 ",\"bytes\":%" PRIu64 "}}", layer->flops, layer->bytes);
  }
  fprintf(f, "\n]}\n");
  return burin_output_commit(&output, error);
}

static void print_line(const char *index, const char *kind, double ms, double total_ms, double flops, double bytes,
                       double peak, const char *name) {
  size_t length = strlen(name);
  double per_second = ms > 0 ? 1e3 / ms : 0;
  printf("%5s  %-14.14s %10.4f %6.1f %9.1f %7.1f %8.2f  %.*s%s\n", index, kind, ms,
         total_ms > 0 ? 100 * ms / total_ms : 0, flops * per_second / 1e9,
         peak > 0 ? 100 * flops * per_second / peak : 0, bytes * per_second / 1e9, NAME_WIDTH, name,
         length > NAME_WIDTH ? "..." : "");
}

/* samples: [layer][run], and the whole run as the last layer. */
static void print_table(const burin_cli *cli, double *samples, size_t runs, double peak) {
  const burin_model *model = cli->model;
  uint32_t n = model->num_layers;
  double total = burin_cli_median(samples + n * runs, runs), flops = 0, bytes = 0, inside = 0;
  printf("%5s  %-14s %10s %6s %9s %7s %8s  %s\n", "layer", "kind", "ms", "%", "GFLOP/s", "% peak", "GB/s", "name");
  for (uint32_t i = 0; i < n; ++i) {
    const burin_layer_info *layer = &model->layers[i];
    char index[16];
    double ms = burin_cli_median(samples + i * runs, runs);
    snprintf(index, sizeof index, "%" PRIu32, i);
    print_line(index, layer->kind, ms, total, (double)layer->flops, (double)layer->bytes, peak, layer->name);
    flops += (double)layer->flops;
    bytes += (double)layer->bytes;
    inside += ms;
  }
  print_line("", "between", total > inside ? total - inside : 0, total, 0, 0, peak, "");
  print_line("", "run", total, total, flops, bytes, peak, model->name);
  printf("median of %zu runs on %d thread%s; peak %.1f GFLOP/s, measured\n", runs, cli->options.threads,
         cli->options.threads > 1 ? "s" : "", peak / 1e9);
}

static int measure(burin_cli *cli, recorder *r, double *by_run, size_t most, burin_error *error) {
  const uint32_t n = cli->model->num_layers;
  double peak = burin_peak_flops(cli->context.parallel, cli->options.threads);
  uint64_t run_begin = 0, run_end = 0, start = 0;
  size_t runs = 0;
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
  double again = burin_peak_flops(cli->context.parallel, cli->options.threads);
  double *by_layer = malloc(runs * (n + 1) * sizeof *by_layer);
  if (!by_layer)
    return burin_fail(error, "out of memory");
  for (size_t run = 0; run < runs; ++run)
    for (uint32_t i = 0; i <= n; ++i)
      by_layer[i * runs + run] = by_run[run * (n + 1) + i];
  print_table(cli, by_layer, runs, peak > again ? peak : again);
  free(by_layer);
  return cli->options.profile_path ? write_trace(cli, r, run_begin, run_end, error) : 0;
}

int burin_cli_profile(burin_cli *cli, burin_error *error) {
  const size_t n = cli->model->num_layers, columns = n + 1;
  size_t most = MOST_SAMPLES / columns;
  most = most < FEWEST_RUNS ? FEWEST_RUNS : most > MOST_RUNS ? MOST_RUNS : most;
  uint64_t *times = calloc(3 * columns, sizeof *times);
  double *samples = malloc(most * columns * sizeof *samples);
  int status = -1;
  if (times && samples) {
    recorder r = {(uint32_t)n, times, times + columns, times + 2 * columns};
    const burin_profile hook = {record, &r};
    cli->context.profile = &hook;
    status = measure(cli, &r, samples, most, error);
    cli->context.profile = NULL;
  } else {
    burin_fail(error, "out of memory");
  }
  free(times);
  free(samples);
  return status;
}
