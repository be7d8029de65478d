/* What runs the device's part of a model that was made with --target=cuda. Programs call it by the code that the
 * compiler makes; a caller needs it only to choose a stream or a device, and to give memory back.
 *
 * A session belongs to a model and an arena, the arena being what tells concurrent calls apart: the first run on an
 * arena opens the driver, uploads the weights and records the launches; later ones replay them. Inputs and outputs may
 * be pointers of the host or of the device; the latter are used where they lie. */
#ifndef BURIN_RUNTIME_CUDA_CUDA_H
#define BURIN_RUNTIME_CUDA_CUDA_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A burin_function: runs one segment. Attributes: "program" (program.h), "segment". Inputs: the model's tensors, the
 * arena, the weights. */
int32_t burin_cuda_run(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs, burin_tensor *outputs,
                       uint32_t num_outputs);

/* Runs on this arena go to this stream (a CUstream; NULL: one of its own) of this device; before the first of them. On
 * a stream of the caller's a run whose results all stay on the device returns before they are there. */
void burin_cuda_choose(const void *arena, int device, void *stream);

/* Gives back what all sessions on this arena hold. */
void burin_cuda_release(const void *arena);

/* What went wrong last in this thread, in the driver's words; empty when nothing has. */
const char *burin_cuda_error(void);

#ifdef __cplusplus
}
#endif
#endif
