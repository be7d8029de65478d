/* Whole files: read at once, and written so that they appear whole or not at all. */
#ifndef BURIN_RUNTIME_HOSTED_FILE_H
#define BURIN_RUNTIME_HOSTED_FILE_H

#include "runtime/hosted/error.h"

#include <stddef.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a file or pipe to its end. *data is malloc'ed, and is the caller's. */
int burin_file_read(const char *path, void **data, size_t *bytes, burin_error *error);

/* A file being written. Until burin_output_commit it lies beside its place under another name. A path that is
 * no regular file (/dev/null, a pipe) is written directly. */
typedef struct burin_output {
  FILE *stream;
  char *path;      /* where it goes, links resolved */
  char *temporary; /* where it lies now; NULL when written directly */
} burin_output;

int burin_output_open(burin_output *output, const char *path, burin_error *error);
/* Closes and moves to its place; on failure nothing is left behind. Either this or _discard must follow _open. */
int burin_output_commit(burin_output *output, burin_error *error);
void burin_output_discard(burin_output *output);

#ifdef __cplusplus
}
#endif
#endif
