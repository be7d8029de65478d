// The struct behind burin_options, shared by the files of this room.
#ifndef BURIN_LIB_CAPI_OPTIONS_H
#define BURIN_LIB_CAPI_OPTIONS_H

#include "burin/Compiler.h"
#include "lib/Pipeline/Pipeline.h"
#include "llvm/ADT/StringMap.h"
#include <map>

struct burin_options {
  burin::CompileOptions options;
  llvm::StringMap<std::string> given;            // with the last value
  std::map<std::string, const void *> functions; // C functions of this process by name
  std::string error, text;
  void (*progress)(void *user, const char *stage) = nullptr;
  void *progressUser = nullptr;

  burin::Progress makeProgress() const {
    if (!progress)
      return {};
    return [call = progress, user = progressUser](burin::Stage stage) {
      call(user, burin::stageName(stage).str().c_str());
    };
  }
};

#endif
