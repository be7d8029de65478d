/* The command line of every program that Burin makes, and of burin-run. */
#ifndef BURIN_RUNTIME_HOSTED_CLI_H
#define BURIN_RUNTIME_HOSTED_CLI_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Does what argv asks of the model (`--help` prints what can be asked) and returns the exit status: 0, or 1 after one
 * line `NAME: error: ...` on stderr, NAME being the last part of argv[0]. Leaves denormals flushed on this thread. */
int burin_cli_main(const burin_model *model, int argc, char **argv);

#ifdef __cplusplus
}
#endif
#endif
