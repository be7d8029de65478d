/* What the files of the command line share. Not for others. */
#ifndef BURIN_RUNTIME_HOSTED_CLI_INTERNAL_H
#define BURIN_RUNTIME_HOSTED_CLI_INTERNAL_H

#include "burin/runtime.h"
#include "runtime/hosted/array.h"
#include "runtime/hosted/pool.h"

typedef struct burin_cli_options {
  const char *outputs, *expect, *profile_path;
  double rtol, atol, bench_seconds;
  int bench, profile, threads;
  int describe, version, help;
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
  burin_model decoded; /* of a model with coded weights: `model` points here once `weights` holds them */
  void *weights;
  double decode_ms;
} burin_cli;

/* cli_data.c: tensors in and out. All return 0, or -1 with the error written. */
int burin_cli_random_inputs(burin_cli *cli, burin_error *error);
int burin_cli_bind_inputs(burin_cli *cli, burin_error *error);
int burin_cli_allocate_outputs(burin_cli *cli, burin_error *error);
int burin_cli_compare(const burin_cli *cli, burin_error *error);
void burin_cli_summarize(const burin_cli *cli);

/* cli.c: runs, and updates `outputs`. */
int burin_cli_run_once(burin_cli *cli, burin_error *error);

/* cli_bench.c and cli_profile.c: print to stdout. */
int burin_cli_bench(burin_cli *cli, burin_error *error);
int burin_cli_profile(burin_cli *cli, burin_error *error);
/* Sorts. */
double burin_cli_median(double *values, size_t count);

/* cli_describe.c */
void burin_cli_describe(const burin_cli *cli);
void burin_cli_help(const burin_cli *cli);
void burin_cli_version(const burin_cli *cli);

#endif
