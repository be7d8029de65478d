/* Regular expressions in RE2's syntax, matched in time linear in the text: Thompson's simulation of a nondeterministic
 * automaton (K. Thompson, CACM 11(6), 1968), so that no pattern and no text can make it slow. Without Unicode classes
 * (\p), and case is folded for ASCII letters only. */
#ifndef BURIN_RUNTIME_HOSTED_PATTERN_H
#define BURIN_RUNTIME_HOSTED_PATTERN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct burin_pattern burin_pattern;

/* NULL for what is no pattern, with `why` a constant text. */
burin_pattern *burin_pattern_create(const char *text, uint64_t length, const char **why);
void burin_pattern_destroy(burin_pattern *pattern);

/* 1 if the whole text matches, 0 if not, -1 when out of memory. One thread at a time. */
int burin_pattern_matches(burin_pattern *pattern, const char *text, uint64_t length);

/* The code point at `bytes`, of which there is at least one, and its number of bytes; U+FFFD and 1 where it is not
 * UTF-8. */
uint64_t burin_decode_utf8(const char *bytes, uint64_t left, uint32_t *code);

#ifdef __cplusplus
}
#endif
#endif
