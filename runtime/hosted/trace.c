/* A profile as JSON, in the form of a Chrome trace: an event a layer of the last run; under "profile" and in each
 * event's "args" the medians of all runs and what the machine can do. */
#include "runtime/hosted/cli_internal.h"

#include <inttypes.h>

static void write_text(FILE *stream, const char *text) {
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

static void write_layer(FILE *f, const burin_cli *cli, const burin_measured *measured, uint32_t i) {
  const burin_layer_info *layer = &cli->model->layers[i];
  int is_memory;
  double ms = measured->layer_ms[i], least = burin_least_time(&measured->roofline, cli->model, layer, &is_memory) * 1e3;
  fprintf(f, "{\"name\":");
  write_text(f, layer->name);
  fprintf(f, ",\"cat\":");
  write_text(f, layer->kind);
  fprintf(f, ",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"layer\":%" PRIu32 ",\"kind\":",
          measured->last_begin[i], measured->last_time[i], i);
  write_text(f, layer->kind);
  fprintf(f,
          ",\"flops\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"weight_bytes\":%" PRIu64
          ",\"median_ms\":%.6f,\"roofline_ms\":%.6f,\"bound\":\"%s\",\"gflops\":%.3f,\"gbytes\":%.3f}}",
          layer->flops, layer->bytes, layer->weight_bytes, ms, least, is_memory ? "memory" : "fma",
          ms > 0 ? (double)layer->flops / ms / 1e6 : 0, ms > 0 ? (double)layer->bytes / ms / 1e6 : 0);
}

void burin_cli_write_trace(const burin_cli *cli, const burin_measured *measured, FILE *f) {
  const burin_model *model = cli->model;
  const burin_roofline *roofline = &measured->roofline;
  double least = 0;
  int is_memory;
  for (uint32_t i = 0; i < model->num_layers; ++i)
    least += measured->last_begin[i] >= 0 ? burin_least_time(roofline, model, &model->layers[i], &is_memory) * 1e3 : 0;
  fprintf(f,
          "{\"displayTimeUnit\":\"ms\",\"profile\":{\"run_ms\":%.6f,\"roofline_ms\":%.6f,\"runs\":%zu,\"threads\":%d,"
          "\"gflops_peak\":%.3f,\"gops_peak\":%.3f,\"bandwidth\":[",
          measured->run_ms, least, measured->runs, cli->options.threads, roofline->float_peak / 1e9,
          roofline->byte_peak / 1e9);
  for (int level = 0; level < roofline->levels; ++level)
    fprintf(f, "%s{\"bytes\":%" PRIu64 ",\"gbytes\":%.3f}", level ? "," : "", roofline->footprint[level],
            roofline->bandwidth[level] / 1e9);
  fprintf(f, "]},\"traceEvents\":[\n{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":1,\"args\":{\"name\":");
  write_text(f, model->name);
  fprintf(f, "}},\n{\"name\":\"run\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":0,\"dur\":%.3f}", measured->last_run);
  for (uint32_t i = 0; i < model->num_layers; ++i)
    if (measured->last_begin[i] >= 0) {
      fprintf(f, ",\n");
      write_layer(f, cli, measured, i);
    }
  fprintf(f, "\n]}\n");
}
