// What a tool says when it crashes. Only calls that a signal handler may make: LLVM's own handler prints the stack, for
// which it allocates, and so waits forever where the heap is what broke.
#pragma once

#include <csignal>
#include <unistd.h>

namespace burin {

/// From now on a crash prints where to report it, and ends the process as it would have ended.
inline void reportCrashes() {
  static char stack[16384]; // a stack that overflowed holds no handler
  stack_t other = {};
  other.ss_sp = stack;
  other.ss_size = sizeof(stack);
  sigaltstack(&other, nullptr);
  struct sigaction action = {};
  action.sa_flags = SA_ONSTACK | SA_RESETHAND | SA_NODEFER;
  action.sa_handler = [](int signal) {
    static const char text[] = "error: this is a fault of the tool, not of your model. Please report the model and the "
                               "command; burin-reduce makes a small model that still shows the fault.\n";
    (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    raise(signal);
  };
  for (int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT})
    sigaction(signal, &action, nullptr);
}

} // namespace burin
