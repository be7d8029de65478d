/* What burin_run or burin_plan complained about, for people. */
#ifndef BURIN_RUNTIME_HOSTED_EXPLAIN_H
#define BURIN_RUNTIME_HOSTED_EXPLAIN_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One line: which tensor, which dim and its symbol, what was expected and what came. `context` as the failed call left
 * it, `inputs` and `outputs` (NULL after burin_plan) as it got them. Returns buffer. */
const char *burin_explain(char *buffer, size_t size, const burin_model *model, const burin_context *context,
                          const burin_tensor *inputs, const burin_tensor *outputs, burin_status status);

/* Is input `i` the region of a frame that each run says (x, y, width, height; four zeros for all of it)? */
int burin_is_region(const burin_model *model, uint32_t i);

#ifdef __cplusplus
}
#endif
#endif
