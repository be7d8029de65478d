/* Uses the compiler as a C library: options, a file compiled from memory, a session, and the errors of each. usage:
 * capi MODEL FOLDER */
#include "burin/Compiler.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;
static void check(int condition, const char *what) {
  if (!condition) {
    printf("failed: %s\n", what);
    ++failures;
  }
}

static char *read_all(const char *path, size_t *bytes) {
  FILE *file = fopen(path, "rb");
  if (!file)
    exit(2);
  fseek(file, 0, SEEK_END);
  *bytes = (size_t)ftell(file);
  rewind(file);
  char *data = malloc(*bytes);
  if (fread(data, 1, *bytes, file) != *bytes)
    exit(2);
  fclose(file);
  return data;
}

static void run(burin_session *session) {
  const burin_model *model = burin_session_model(session);
  check(model != NULL, burin_session_error(session));
  if (!model)
    return;
  check(model->num_inputs == 1 && !strcmp(model->inputs[0].name, "x"), "the input is x");
  float x[4] = {1, 2, 3, 4}, y[4] = {0};
  burin_tensor input = {.data = x, .dtype = BURIN_FLOAT, .rank = 2, .dims = {2, 2}};
  burin_tensor output = {.data = y, .dtype = BURIN_FLOAT, .rank = 2, .dims = {2, 2}};
  check(burin_session_run(session, &input, &output) == BURIN_OK, burin_session_error(session));
  check(y[0] == 3 && y[1] == 6 && y[2] == 9 && y[3] == 12, "y = 2 x + w");
  input.dims[1] = 3;
  check(burin_session_run(session, &input, &output) == BURIN_ERROR_SHAPE, "a wrong shape is refused");
  check(strstr(burin_session_error(session), "input 'x': ") != NULL, burin_session_error(session));
}

static int stages;
static void progress(void *user, const char *stage) {
  (void)stage;
  ++*(int *)user;
}

int main(int argc, char **argv) {
  if (argc != 3)
    return 2;
  char path[4096];
  burin_options *options = burin_options_create();
  check(burin_options_set(options, "target", "z80") != 0, "an unknown target is refused");
  check(strstr(burin_options_error(options), "unknown target 'z80'") != NULL, burin_options_error(options));
  check(burin_options_set(options, "O", "1") == 0 && !*burin_options_error(options), burin_options_error(options));
  burin_options_set_progress(options, progress, &stages);

  size_t bytes;
  char *model = read_all(argv[1], &bytes);
  snprintf(path, sizeof path, "%s/libmemory.so", argv[2]);
  burin_compilation *made = burin_compile_buffer(options, model, bytes, "memory.mlir", path);
  check(burin_compilation_ok(made), burin_compilation_messages(made));
  check(strstr(burin_compilation_report(made), "\"arena_bytes\":128") != NULL, burin_compilation_report(made));
  check(stages == 2, "import and emit were announced");
  burin_compilation_destroy(made);

  burin_session *loaded = burin_session_load(path);
  run(loaded);
  burin_session *jitted = burin_session_compile_buffer(options, model, bytes, "memory.mlir");
  run(jitted);
  burin_session_destroy(loaded);
  run(jitted);
  burin_session_destroy(jitted);

  burin_compilation *refused = burin_compile_file(options, "/nonexistent.onnx", NULL);
  check(!burin_compilation_ok(refused) &&
            strstr(burin_compilation_messages(refused), "error: /nonexistent.onnx: no such file") != NULL,
        burin_compilation_messages(refused));
  burin_compilation_destroy(refused);
  burin_session *none = burin_session_compile_buffer(options, "module {", 8, "broken.mlir");
  check(!burin_session_model(none) && strstr(burin_session_error(none), "error: ") != NULL, burin_session_error(none));
  check(burin_session_run(none, NULL, NULL) == BURIN_ERROR_ABI, "a session without a model does not run");
  burin_session_destroy(none);
  free(model);
  burin_options_destroy(options);
  printf("%d failures\n", failures);
  return failures != 0;
}
