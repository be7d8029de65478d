// The struct behind burin_compilation: what a job leaves.
#ifndef BURIN_LIB_CAPI_COMPILATION_H
#define BURIN_LIB_CAPI_COMPILATION_H

#include "burin/Compiler.h"
#include <string>

struct burin_compilation {
  bool ok = false;
  std::string messages, json;
};

#endif
