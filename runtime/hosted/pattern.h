/* Regular expressions in RE2's syntax, by RE2: matched in time linear in the text, so that no pattern and no text can
 * make it slow. */
#ifndef BURIN_RUNTIME_HOSTED_PATTERN_H
#define BURIN_RUNTIME_HOSTED_PATTERN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct burin_pattern burin_pattern;

/* NULL for what is no pattern or when out of memory; then `why`, of `room` bytes, holds a text. */
burin_pattern *burin_pattern_create(const char *text, uint64_t length, char *why, uint64_t room);
void burin_pattern_destroy(burin_pattern *pattern);

/* 1 if the whole text matches, 0 if not, -1 when out of memory. */
int burin_pattern_matches(burin_pattern *pattern, const char *text, uint64_t length);

#ifdef __cplusplus
}
#endif
#endif
