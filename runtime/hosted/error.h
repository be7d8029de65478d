/* One error message, written by whoever finds the fault and printed once, by the command line. */
#ifndef BURIN_RUNTIME_HOSTED_ERROR_H
#define BURIN_RUNTIME_HOSTED_ERROR_H

#ifdef __cplusplus
extern "C" {
#endif

typedef struct burin_error {
  char text[1024];
} burin_error;

/* Writes the message (lower case, no full stop, cut when too long) and returns -1, so that callers can `return` it. */
int burin_fail(burin_error *error, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __cplusplus
}
#endif
#endif
