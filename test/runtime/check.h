/* CHECK(condition): counts and prints failures; a test's main returns check_failures. */
#ifndef BURIN_TEST_RUNTIME_CHECK_H
#define BURIN_TEST_RUNTIME_CHECK_H

#include <stdio.h>

static int check_failures;

#define CHECK(condition)                                                                                               \
  do {                                                                                                                 \
    if (!(condition)) {                                                                                                \
      fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition);                                          \
      check_failures = 1;                                                                                              \
    }                                                                                                                  \
  } while (0)

#endif
