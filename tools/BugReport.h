// What every tool says when it crashes, before the stack.
#pragma once

namespace burin {
inline constexpr char bugReport[] =
    "error: this is a fault of the tool, not of your model. Please report the model, the command and the lines below; "
    "burin-reduce makes a small model that still shows the fault.\n";
} // namespace burin
