/* The compiler as a C library (libBurinCompiler.so): what the tools and every other language use. Opaque handles, no
 * C++ in the interface, no exception leaves. A handle is used by one thread at a time; different handles are
 * independent.
 *
 *   burin_options *o = burin_options_create();
 *   burin_options_set(o, "target", "x86-64-v3");           // names and values of burin-compile's command line
 *   burin_compilation *c = burin_compile_file(o, "model.onnx", "model");
 *   if (!burin_compilation_ok(c))
 *     fputs(burin_compilation_messages(c), stderr);
 *   burin_compilation_destroy(c);
 *   burin_options_destroy(o);
 */
#ifndef BURIN_COMPILER_H
#define BURIN_COMPILER_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* "0.1.0" */
const char *burin_compiler_version(void);

/*===-- options --===*/

typedef struct burin_options burin_options;

burin_options *burin_options_create(void);
burin_options *burin_options_copy(const burin_options *options);
void burin_options_destroy(burin_options *options);

/* Sets an option by its name on the command line, without dashes ("target", "O", "shape"); those that may be repeated
 * append. A switch takes NULL, "1" or "0". Returns 0, or -1 with the reason in burin_options_error. */
int burin_options_set(burin_options *options, const char *name, const char *value);

/* Takes every compile option out of a command line: `--name=value`, `--name value`, -o, -O2, -v. What is left, argv[0]
 * first, moves to the front and *argc is its count. Words behind `--` are left. Returns 0, or -1 with the reason in
 * burin_options_error. */
int burin_options_parse(burin_options *options, int *argc, char **argv);

/* The shape of data at hand, for inputs whose dims the model leaves open; no error where the model has no such input.
 */
void burin_options_hint_shape(burin_options *options, const char *input, const int64_t *dims, int32_t rank);

/* The address of a C function that --custom-op names, for models that run in this process. */
void burin_options_define(burin_options *options, const char *name, burin_function function);

/* What the last call on these options complained about; "" if nothing. */
const char *burin_options_error(const burin_options *options);

/* 1 when a switch is set or a value given. */
int burin_options_has(const burin_options *options, const char *name);

/* What an option was last set to, "" for a switch; NULL when it is not set. */
const char *burin_options_get(const burin_options *options, const char *name);

/* All that changes the output, as text: equal texts make equal artifacts of equal models. Valid until the next call on
 * `options`. */
const char *burin_options_text(burin_options *options);

/* The options as lines for --help. */
const char *burin_options_help(void);

/* A change of the model from outside: `rewrite` gets it as an ONNX file in memory and hands its answer to `answer` (not
 * at all: no change). It returns NULL, or what went wrong, valid until the next call. `point` is after-import,
 * after-graph (also for NULL), or before-FLAG and after-FLAG of a graph pass; `name` is for messages. `release` (NULL
 * allowed) is called with `user` when the options and all that was made of them have gone; now, where the answer is not
 * 0. The reason is then in burin_options_error. */
typedef const char *(*burin_rewrite)(void *user, const void *onnx, size_t bytes,
                                     void (*answer)(void *to, const void *onnx, size_t bytes), void *to);
int burin_options_add_rewriter(burin_options *options, const char *point, const char *name, burin_rewrite rewrite,
                               void *user, void (*release)(void *user));

/* Called when a stage ("import", "graph", ...) starts, from the compiling thread. */
void burin_options_set_progress(burin_options *options, void (*progress)(void *user, const char *stage), void *user);

/*===-- compiling --===*/

typedef struct burin_compilation burin_compilation;

/* Compiles the file `model` (.onnx or .mlir) to `output`; NULL: the option "output", or a name made from the model's.
 * Never NULL. */
burin_compilation *burin_compile_file(const burin_options *options, const char *model, const char *output);

/* The same for a model in memory, which is copied. `name` stands for the file in messages; ".mlir" at its end means
 * MLIR, and external data may lie in its folder if it names one. */
burin_compilation *burin_compile_buffer(const burin_options *options, const void *model, size_t bytes, const char *name,
                                        const char *output);

/* What a model takes, before anything is compiled: its report is JSON of parameters, multiply-accumulates, bytes,
 * intensity, energy and an estimate of cycles on the target, by operator and in total (lib/Cost/README.md). `model`
 * NULL: the file `name`. `accounting`: "macs" (also for NULL) or "edge". */
burin_compilation *burin_cost(const burin_options *options, const void *model, size_t bytes, const char *name,
                              const char *accounting);

/* What a long quantization tells and asks while it runs. Zeroed where nothing is wanted. */
typedef struct burin_quantize_hooks {
  void *user;
  void (*progress)(void *user, const char *what, size_t done, size_t total);
  /* The score of the model in the file `onnx`, larger is better; NaN where it cannot be told. For --max-drop. */
  double (*evaluate)(void *user, const char *onnx);
} burin_quantize_hooks;

/* Quantizes a model: `words` are burin-quantize's command line without its name. The report is JSON: layers, outputs
 * with their signal-to-noise ratio in dB, and `summary`, text for people. `hooks` may be NULL. */
burin_compilation *burin_quantize(const char *const *words, size_t count, const burin_quantize_hooks *hooks);

/* Its options as lines for --help. */
const char *burin_quantize_help(void);

/* 1 on success. Then, and only then, the output file exists, whole. */
int burin_compilation_ok(const burin_compilation *compilation);

/* Errors and warnings, a line each: "error: model.onnx: node 'conv1' (Conv, opset 13): expected ..., got ...". "" if
 * none. */
const char *burin_compilation_messages(const burin_compilation *compilation);

/* JSON: output, header, stages with seconds, memory, arena, weights and code bytes. */
const char *burin_compilation_report(const burin_compilation *compilation);

void burin_compilation_destroy(burin_compilation *compilation);

/*===-- running in this process --===*/

typedef struct burin_session burin_session;

/* A model compiled for this CPU and loaded without a linker, or a shared library made with --emit=shared. NULL never;
 * ask burin_session_error. */
burin_session *burin_session_compile(const burin_options *options, const char *model);
burin_session *burin_session_compile_buffer(const burin_options *options, const void *model, size_t bytes,
                                            const char *name);
burin_session *burin_session_load(const char *shared_library);

/* What went wrong in making the session or in its last run; "" if nothing. */
const char *burin_session_error(const burin_session *session);

/* The model's description, valid as long as the session; NULL when it could not be made. */
const burin_model *burin_session_model(const burin_session *session);

/* Runs with an arena that the session owns and that grows with the inputs, so one call at a time. `outputs` are the
 * caller's memory, as burin_run takes them; what data sizes is allocated with malloc when its data is NULL or too
 * small, and is the caller's to free. */
burin_status burin_session_run(burin_session *session, const burin_tensor *inputs, burin_tensor *outputs);

void burin_session_destroy(burin_session *session);

/* Of models compiled with --target=cuda that run on an arena of the caller's: see runtime/cuda/cuda.h. choose: device
 * and stream (a CUstream; NULL: one of its own), before the first run on the arena. release: before the arena goes.
 * error: the driver's words about the last failed run in this thread, "" if there was none. */
void burin_device_choose(const void *arena, int device, void *stream);
void burin_device_release(const void *arena);
const char *burin_device_error(void);

#ifdef __cplusplus
}
#endif
#endif
