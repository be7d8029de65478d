// See pattern.h. A door of C to RE2: nothing of C++, no exception either, gets out.
#include "runtime/hosted/pattern.h"

#include <cstdio>
#include <re2/re2.h>

struct burin_pattern {
  RE2 expression;
  burin_pattern(re2::StringPiece text, const RE2::Options &options) : expression(text, options) {}
};

burin_pattern *burin_pattern_create(const char *text, uint64_t length, char *why, uint64_t room) {
  try {
    RE2::Options options;
    options.set_log_errors(false);
    options.set_never_capture(true);
    auto *pattern = new burin_pattern(re2::StringPiece(text, length), options);
    if (pattern->expression.ok())
      return pattern;
    std::snprintf(why, room, "%s", pattern->expression.error().c_str());
    delete pattern;
  } catch (...) {
    std::snprintf(why, room, "out of memory");
  }
  return nullptr;
}

void burin_pattern_destroy(burin_pattern *pattern) { delete pattern; }

int burin_pattern_matches(burin_pattern *pattern, const char *text, uint64_t length) {
  try {
    return RE2::FullMatch(re2::StringPiece(text, length), pattern->expression);
  } catch (...) {
    return -1;
  }
}
