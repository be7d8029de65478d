/* com.acme.Scale: y = alpha * x, and a message where alpha is 0: what a user binds with --custom-op. */
#include "burin/runtime.h"
#include <string.h>

int32_t acme_scale(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs, burin_tensor *outputs,
                   uint32_t num_outputs) {
  float alpha = 1;
  int64_t count = 1;
  for (uint32_t i = 0; i < call->num_attributes; ++i)
    if (!strcmp(call->attributes[i].name, "alpha") && call->attributes[i].dtype == BURIN_FLOAT)
      alpha = *(const float *)call->attributes[i].values;
  if (num_inputs != 2 || inputs[1].dtype != BURIN_UNDEFINED || num_outputs != 1 || alpha == 0)
    return BURIN_ERROR_CALL;
  for (int32_t d = 0; d < inputs[0].rank; ++d)
    count *= inputs[0].dims[d];
  for (int64_t i = 0; i < count; ++i)
    ((float *)outputs[0].data)[i] = alpha * ((const float *)inputs[0].data)[i];
  return BURIN_OK;
}
