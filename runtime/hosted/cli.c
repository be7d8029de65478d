/* The command line shared by --emit=exe programs and burin-run: reads the flags, then does what they ask in this order:
 * run and write, compare, profile, bench. The first error ends it, with one line on stderr. */
#define _GNU_SOURCE
#include "runtime/hosted/cli.h"
#include "runtime/hosted/cli_internal.h"
#include "runtime/hosted/explain.h"
#include "runtime/hosted/host.h"
#include "runtime/hosted/key.h"
#include "runtime/hosted/npy.h"
#include "runtime/hosted/npz.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_THREADS = 1024 };

typedef enum flag {
  HELP,
  HELP_SHORT,
  VERSION,
  DESCRIBE,
  INPUTS,
  INPUT,
  REGION,
  OUTPUTS,
  EXPECT,
  RTOL,
  ATOL,
  BENCH,
  PROFILE,
  PROFILE_LAYER,
  THREADS,
  SELF_TEST,
  KEY,
  NUM_FLAGS,
  WRONG
} flag;

static const struct {
  const char *text;
  enum { NO_VALUE, VALUE, MAYBE_VALUE } value; /* MAYBE_VALUE: only behind '=' */
} FLAGS[NUM_FLAGS] = {[HELP] = {"--help", NO_VALUE},
                      [HELP_SHORT] = {"-h", NO_VALUE},
                      [VERSION] = {"--version", NO_VALUE},
                      [DESCRIBE] = {"--describe", NO_VALUE},
                      [INPUTS] = {"--inputs", VALUE},
                      [INPUT] = {"--input", VALUE},
                      [REGION] = {"--region", VALUE},
                      [OUTPUTS] = {"--outputs", VALUE},
                      [EXPECT] = {"--expect", VALUE},
                      [RTOL] = {"--rtol", VALUE},
                      [ATOL] = {"--atol", VALUE},
                      [BENCH] = {"--bench", MAYBE_VALUE},
                      [PROFILE] = {"--profile", MAYBE_VALUE},
                      [PROFILE_LAYER] = {"--profile-layer", VALUE},
                      [THREADS] = {"--threads", VALUE},
                      [SELF_TEST] = {"--self-test", NO_VALUE},
                      [KEY] = {"--key", VALUE}};

/* The flag at argv[*at] and its value (NULL if none); moves *at to the last word used. */
static flag next_flag(int argc, char **argv, int *at, const char **value, burin_error *error) {
  const char *word = argv[*at], *equals = strchr(word, '=');
  size_t length = equals ? (size_t)(equals - word) : strlen(word);
  *value = equals ? equals + 1 : NULL;
  for (flag f = HELP; f < NUM_FLAGS; ++f) {
    if (strlen(FLAGS[f].text) != length || memcmp(word, FLAGS[f].text, length))
      continue;
    if (*value && FLAGS[f].value == NO_VALUE) {
      burin_fail(error, "%s takes no value", FLAGS[f].text);
      return WRONG;
    }
    if (!*value && FLAGS[f].value == VALUE) {
      if (*at + 1 == argc) {
        burin_fail(error, "%s needs a value; see --help", FLAGS[f].text);
        return WRONG;
      }
      *value = argv[++*at];
    }
    return f;
  }
  burin_fail(error, "%s '%s'; see --help", *word == '-' ? "unknown flag" : "unexpected argument", word);
  return WRONG;
}

static int to_number(flag f, const char *text, double least, double most, double *number, burin_error *error) {
  char *end;
  *number = strtod(text, &end);
  if (end == text || *end || !(*number >= least && *number <= most))
    return burin_fail(error, "%s: expected a number from %g to %g, got '%s'", FLAGS[f].text, least, most, text);
  return 0;
}

/* NAME=FILE, where NAME itself may hold a '='. */
static int read_input(burin_cli *cli, const char *value, burin_error *error) {
  const char *split = strchr(value, '=');
  for (uint32_t i = 0; i < cli->model->num_inputs; ++i) {
    size_t length = strlen(cli->model->inputs[i].name);
    if (!strncmp(value, cli->model->inputs[i].name, length) && value[length] == '=')
      split = value + length;
  }
  if (!split)
    return burin_fail(error, "--input: expected NAME=FILE.npy, got '%s'", value);
  char *name = strndup(value, (size_t)(split - value));
  int status = name ? burin_npy_load(split + 1, name, &cli->given, error) : burin_fail(error, "out of memory");
  free(name);
  return status;
}

static int parse(burin_cli *cli, int argc, char **argv, burin_error *error) {
  burin_cli_options *o = &cli->options;
  for (int i = 1; i < argc; ++i) {
    const char *value;
    double number;
    flag f = next_flag(argc, argv, &i, &value, error);
    switch (f) {
    case HELP:
    case HELP_SHORT:
      o->help = 1;
      break;
    case VERSION:
      o->version = 1;
      break;
    case DESCRIBE:
      o->describe = 1;
      break;
    case INPUTS:
      if (burin_npz_read(value, &cli->given, error))
        return -1;
      break;
    case INPUT:
      if (read_input(cli, value, error))
        return -1;
      break;
    case REGION:
      if (burin_cli_read_region(cli, value, error))
        return -1;
      break;
    case SELF_TEST:
      o->self_test = 1;
      break;
    case KEY:
      o->key = value;
      break;
    case OUTPUTS:
      o->outputs = value;
      break;
    case EXPECT:
      o->expect = value;
      break;
    case RTOL:
      if (to_number(f, value, 0, 1e30, &o->rtol, error))
        return -1;
      break;
    case ATOL:
      if (to_number(f, value, 0, 1e30, &o->atol, error))
        return -1;
      break;
    case BENCH:
      o->bench = 1;
      if (value && to_number(f, value, 0, 86400, &o->bench_seconds, error))
        return -1;
      break;
    case PROFILE:
      o->profile = 1;
      o->profile_path = value;
      break;
    case PROFILE_LAYER:
      if (to_number(f, value, 0, UINT32_MAX, &number, error))
        return -1;
      o->profile = 1;
      o->profile_layer = (int64_t)number;
      break;
    case THREADS:
      if (to_number(f, value, 1, MOST_THREADS, &number, error))
        return -1;
      o->threads = (int)number;
      if (o->threads != number)
        return burin_fail(error, "--threads: expected a whole number, got '%s'", value);
      break;
    default:
      return -1;
    }
  }
  return 0;
}

int burin_cli_run_once(burin_cli *cli, burin_error *error) {
  burin_status status = burin_run(cli->model, &cli->context, cli->inputs, cli->output_tensors);
  if (status == BURIN_OK) {
    for (uint32_t o = 0; o < cli->model->num_outputs; ++o)
      cli->outputs[o].tensor = cli->output_tensors[o];
    return 0;
  }
  char text[sizeof error->text];
  return burin_fail(
      error, "%s",
      burin_explain(text, sizeof text, cli->model, &cli->context, cli->inputs, cli->output_tensors, status));
}

static int set_up_context(burin_cli *cli, burin_error *error) {
  cli->context.abi_version = BURIN_ABI_VERSION;
  cli->context.arena_bytes = cli->arena_bytes;
  cli->context.arena = burin_arena_allocate(cli->arena_bytes);
  cli->context.allocator = &burin_host_allocator;
  if (!cli->context.arena)
    return burin_fail(error, "no memory for the arena of %" PRIu64 " bytes", cli->arena_bytes);
  burin_flush_denormals();
  if (cli->options.threads > 1) {
    cli->pool = burin_pool_create(cli->options.threads);
    if (!cli->pool)
      return burin_fail(error, "cannot start %d threads: %s", cli->options.threads, strerror(errno));
    cli->context.parallel = burin_pool_parallel(cli->pool);
  }
  return 0;
}

static int act(burin_cli *cli, burin_error *error) {
  const burin_cli_options *o = &cli->options;
  int measures = o->bench || o->profile;
  /* Only a measurement can do with made-up inputs. */
  if (measures && !cli->given.count && !o->outputs && !o->expect && burin_cli_random_inputs(cli, error))
    return -1;
  if (burin_cli_bind_inputs(cli, error) || burin_cli_allocate_outputs(cli, error) || set_up_context(cli, error))
    return -1;
  if (o->outputs || o->expect || !measures) {
    if (burin_cli_run_once(cli, error))
      return -1;
    if (o->outputs && burin_npz_write(o->outputs, cli->outputs, cli->model->num_outputs, error))
      return -1;
    if (!o->outputs && !o->expect)
      burin_cli_summarize(cli);
    if (o->expect && burin_cli_compare(cli, error))
      return -1;
  }
  if (o->profile && burin_cli_profile(cli, error))
    return -1;
  return o->bench ? burin_cli_bench(cli, error) : 0;
}

/* Into memory of our own, once; the description goes on with that. */
static int unlock_weights(burin_cli *cli, burin_error *error) {
  if (!(cli->model->flags & BURIN_LOCKED_WEIGHTS))
    return 0;
  uint8_t key[BURIN_KEY_BYTES];
  const char *place = cli->options.key ? cli->options.key : "env:BURIN_KEY";
  if (!cli->options.key && !getenv("BURIN_KEY"))
    return burin_fail(error, "the weights are encrypted: give --key=FILE, or BURIN_KEY in the environment");
  if (burin_read_key(place, key, error))
    return -1;
  uint64_t bytes = cli->unlocked_bytes = burin_unlocked_bytes(cli->model);
  cli->unlocked_weights = burin_arena_allocate(bytes);
  burin_status status = BURIN_OK;
  if (cli->unlocked_weights)
    status = burin_unlock_weights(cli->model, key, cli->unlocked_weights, &cli->unlocked);
  burin_forget_key(key);
  if (!cli->unlocked_weights)
    return burin_fail(error, "no memory for the weights of %" PRIu64 " bytes", bytes);
  if (status != BURIN_OK)
    return burin_fail(error, "the weights do not open: the key is not theirs, or they were changed; nothing was run");
  cli->model = &cli->unlocked;
  return 0;
}

static int decode_weights(burin_cli *cli, burin_error *error) {
  if (!(cli->model->flags & BURIN_CODED_WEIGHTS))
    return 0;
  uint64_t begin = burin_clock();
  cli->weights = burin_arena_allocate(cli->model->weights_bytes);
  if (!cli->weights)
    return burin_fail(error, "no memory for the weights of %" PRIu64 " bytes", cli->model->weights_bytes);
  burin_status status = burin_decode_weights(cli->model, cli->weights, &cli->decoded);
  if (status != BURIN_OK)
    return burin_fail(error, "%s", burin_status_text(status));
  cli->model = &cli->decoded;
  cli->decode_ms = (double)(burin_clock() - begin) * 1e-6;
  return 0;
}

static int perform(burin_cli *cli, int argc, char **argv, burin_error *error) {
  if (!cli->model || cli->model->magic != BURIN_MODEL_MAGIC || cli->model->abi_version != BURIN_ABI_VERSION)
    return burin_fail(error, "%s", burin_status_text(BURIN_ERROR_ABI));
  if (parse(cli, argc, argv, error))
    return -1;
  if (cli->options.help || cli->options.version || cli->options.describe) {
    if (cli->options.help)
      burin_cli_help(cli);
    else if (cli->options.version)
      burin_cli_version(cli);
    else
      burin_cli_describe(cli);
    return 0;
  }
  if (unlock_weights(cli, error) || decode_weights(cli, error))
    return -1;
  burin_status status = burin_check_model(cli->model);
  if (status != BURIN_OK)
    return burin_fail(error, "%s", burin_status_text(status));
  return cli->options.self_test ? burin_cli_self_test(cli, error) : act(cli, error);
}

/* Of a program for a board: how many cores of one kind it has. */
extern const uint32_t burin_program_threads __attribute__((weak));

int burin_cli_main(const burin_model *model, int argc, char **argv) {
  burin_cli cli = {.model = model,
                   .options = {.rtol = 1e-3, .atol = 1e-5, .bench_seconds = 1, .threads = 1, .profile_layer = -1}};
  if (&burin_program_threads)
    cli.options.threads = (int)burin_program_threads;
  const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
  cli.name = slash ? slash + 1 : argc > 0 ? argv[0] : "burin";
  burin_error error;
  int failed = perform(&cli, argc, argv, &error);
  if (fflush(stdout) || ferror(stdout)) {
    if (!failed)
      burin_fail(&error, "cannot write to standard output");
    failed = -1;
  }
  if (failed) {
    /* Names out of files may hold anything; the message stays one line and leaves the terminal alone. */
    for (char *c = error.text; *c; ++c)
      if ((unsigned char)*c < 32 || *c == 127)
        *c = '?';
    fprintf(stderr, "%s: error: %s\n", cli.name, error.text);
  }
  burin_pool_destroy(cli.pool);
  burin_arena_release(cli.context.arena);
  free(cli.unlocked_weights);
  free(cli.weights);
  free(cli.inputs);
  if (cli.output_tensors)
    for (uint32_t i = 0; i < model->num_outputs; ++i)
      free(cli.output_tensors[i].data);
  free(cli.outputs);
  free(cli.output_tensors);
  burin_arrays_free(&cli.given);
  return failed ? 1 : 0;
}
