// What the code of an artifact takes on the device: bytes of flash and, at most, of stack.
#ifndef BURIN_LIB_TARGET_MEASURE_H
#define BURIN_LIB_TARGET_MEASURE_H

#include "lib/Target/Codegen.h"

namespace burin {

struct CodeSize {
  uint64_t code = 0;      // machine code alone
  uint64_t constants = 0; // that the code reads beside the weights
  uint64_t stack = 0;     // of the deepest chain of calls; 0 where objects do not say (see Codegen)
};

/// Adds up objects. A run calls NAME_run, which calls the entry, which calls one kernel after another, which call
/// nothing: the two largest frames of the code bound the last two.
class CodeMeter {
public:
  void addCode(const ObjectCode &object);
  /// The object of the description, which holds NAME_run: a linker takes that and, where it is direct, nothing else.
  void addCaller(const ObjectCode &object);
  CodeSize size() const;

private:
  uint64_t code = 0, constants = 0, caller = 0, largest = 0, second = 0;
};

} // namespace burin

#endif
