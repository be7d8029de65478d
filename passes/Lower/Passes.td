// The passes of this room, alphabetical. CONVENTIONS: flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_LOWER_PASSES_TD
#define BURIN_PASSES_LOWER_PASSES_TD

include "mlir/Pass/PassBase.td"

#endif
