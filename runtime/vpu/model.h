/* A blob behind the contract of every compiled model (burin/runtime.h), run by the emulator: whoever runs programs runs
 * blobs. */
#ifndef BURIN_RUNTIME_VPU_MODEL_H
#define BURIN_RUNTIME_VPU_MODEL_H

#include "burin/runtime.h"
#include "runtime/hosted/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Does the file begin as a blob does? */
int burin_vpu_is_blob(const char *path);

/* Reads a blob, checks it (also for races and unwritten memory) and gives its model, which lives as long as the
 * process. NULL with the error written. */
const burin_model *burin_vpu_load(const char *path, burin_error *error);

/* The model of bytes in memory, which must stay; NULL with the error written. `name` is for messages. */
const burin_model *burin_vpu_model(const void *bytes, uint64_t size, const char *name, burin_error *error);

/* Prints queues, tasks and memory use of a blob that burin_vpu_load gave. */
void burin_vpu_describe(const burin_model *model);

#ifdef __cplusplus
}
#endif
#endif
