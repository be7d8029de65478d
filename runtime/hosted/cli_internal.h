/* What the files of the command line share. Not for others. */
#ifndef BURIN_RUNTIME_HOSTED_CLI_INTERNAL_H
#define BURIN_RUNTIME_HOSTED_CLI_INTERNAL_H

#include "burin/runtime.h"
#include "runtime/hosted/array.h"
#include "runtime/hosted/pool.h"
#include "runtime/hosted/roofline.h"

#include <stdio.h>

typedef struct burin_cli_options {
  const char *outputs, *expect, *profile_path, *key;
  double rtol, atol, bench_seconds;
  int bench, profile, threads;
  int64_t profile_layer; /* the only one to print; -1: all */
  int describe, version, help, self_test;
} burin_cli_options;

/* One invocation. */
typedef struct burin_cli {
  const burin_model *model;
  const char *name; /* of the program */
  burin_cli_options options;
  burin_arrays given;           /* what --inputs and --input read */
  burin_tensor *inputs;         /* in the model's order; data belongs to `given` */
  burin_array *outputs;         /* in the model's order, as of the last run; names and data belong to others */
  burin_tensor *output_tensors; /* the same, as burin_run takes them; data is owned */
  uint64_t arena_bytes;         /* for these inputs */
  burin_context context;
  burin_pool *pool;
  /* Of a model whose weights are encrypted or coded: `model` points here once these hold them. */
  burin_model unlocked, decoded;
  void *unlocked_weights, *weights;
  uint64_t unlocked_bytes;
  double decode_ms;
} burin_cli;

/* cli_data.c: tensors in and out. All return 0, or -1 with the error written. */
int burin_cli_random_inputs(burin_cli *cli, burin_error *error);
/* [NAME=]WxH+X+Y: the region of the frame NAME, or of the only one. */
int burin_cli_read_region(burin_cli *cli, const char *value, burin_error *error);
int burin_cli_bind_inputs(burin_cli *cli, burin_error *error);
int burin_cli_allocate_outputs(burin_cli *cli, burin_error *error);
int burin_cli_compare(const burin_cli *cli, burin_error *error);
void burin_cli_summarize(const burin_cli *cli);

/* cli.c: runs, and updates `outputs`. */
int burin_cli_run_once(burin_cli *cli, burin_error *error);

/* cli_bench.c and cli_profile.c: print to stdout. */
int burin_cli_bench(burin_cli *cli, burin_error *error);
int burin_cli_profile(burin_cli *cli, burin_error *error);
/* What a profile knows. Arrays have an entry a layer; times of the last run are in microseconds from its begin, -1 for
 * layers that it left out. */
typedef struct burin_measured {
  burin_roofline roofline;
  size_t runs;
  double run_ms, *layer_ms; /* medians */
  double last_run, *last_begin, *last_time;
} burin_measured;
/* trace.c: the last run as a Chrome trace (chrome://tracing, ui.perfetto.dev), with the medians beside. */
void burin_cli_write_trace(const burin_cli *cli, const burin_measured *measured, FILE *stream);
/* Sorts. */
double burin_cli_median(double *values, size_t count);

/* cli_selftest.c */
int burin_cli_self_test(burin_cli *cli, burin_error *error);

/* cli_describe.c */
void burin_cli_describe(const burin_cli *cli);
void burin_cli_help(const burin_cli *cli);
void burin_cli_version(const burin_cli *cli);

#endif
