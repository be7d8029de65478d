// Constant folding by compiling: the implementation of lib/Support/Evaluator.h over the pipeline for this CPU.
#ifndef BURIN_LIB_PIPELINE_EVALUATOR_H
#define BURIN_LIB_PIPELINE_EVALUATOR_H

#include "lib/Support/Evaluator.h"
#include <memory>

namespace burin {

/// Needs a context with all dialects of registerAllDialects available. Runs the function in this process.
std::shared_ptr<Evaluator> createEvaluator();

} // namespace burin

#endif
