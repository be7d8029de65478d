/* A blob inside a program: what the node calls that stands for the part of a network that the vision unit computes. */
#ifndef BURIN_RUNTIME_VPU_CALL_H
#define BURIN_RUNTIME_VPU_CALL_H

#include "burin/runtime.h"

/* Runs the blob of `size` bytes on a node's tensors; a burin_function but for the first three. `slot`, zero at first
 * and one a blob, keeps what opening it gave. Several threads may call at once. */
int32_t burin_vpu_call(void **slot, const void *bytes, uint64_t size, const burin_call *call,
                       const burin_tensor *inputs, uint32_t num_inputs, burin_tensor *outputs, uint32_t num_outputs);

#endif
